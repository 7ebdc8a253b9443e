//! A file as a tree in which numbers are the text they were written as.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::ImportError;
use crate::config::{Source, tree as yaml_tree};

/// Deeper than any price list.
const DEPTH_MAX: usize = 24;

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Tree {
    Null,
    /// A text, or a number or truth value as written.
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    pub(super) fn get(&self, name: &str) -> Option<&Tree> {
        self.entries().iter().find(|(key, value)| key == name && *value != Tree::Null).map(|(_, value)| value)
    }

    pub(super) fn entries(&self) -> &[(String, Tree)] {
        match self {
            Tree::Map(entries) => entries,
            Tree::Null | Tree::Text(_) | Tree::List(_) => &[],
        }
    }

    pub(super) fn items(&self) -> &[Tree] {
        match self {
            Tree::List(items) => items,
            Tree::Null | Tree::Text(_) | Tree::Map(_) => &[],
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Tree::Text(text) => Some(text),
            Tree::Null | Tree::List(_) | Tree::Map(_) => None,
        }
    }
}

pub(super) fn json(text: &str) -> Result<Tree, ImportError> {
    fn read(text: &str, depth: usize) -> Result<Tree, ImportError> {
        let bad = |error: serde_json::Error| ImportError::Unreadable(error.to_string());
        if depth > DEPTH_MAX {
            return Err(ImportError::Unreadable(format!("it is nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(match text.bytes().next() {
            Some(b'{') => {
                let map: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(bad)?;
                let read = |(key, raw): (String, &RawValue)| Ok((key, read(raw.get(), depth + 1)?));
                Tree::Map(map.into_iter().map(read).collect::<Result<_, ImportError>>()?)
            }
            Some(b'[') => {
                let list: Vec<&RawValue> = serde_json::from_str(text).map_err(bad)?;
                Tree::List(list.into_iter().map(|raw| read(raw.get(), depth + 1)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Tree::Text(serde_json::from_str(text).map_err(bad)?),
            Some(b'n') => Tree::Null,
            _ => Tree::Text(text.to_owned()),
        })
    }
    let whole: &RawValue =
        serde_json::from_str(text).map_err(|error| ImportError::Unreadable(error.to_string()))?;
    read(whole.get(), 0)
}

pub(super) fn yaml(text: &str) -> Result<Tree, ImportError> {
    let source = Source { file: "the price list".to_owned(), text: text.to_owned() };
    yaml_tree(&source).map_err(|mistake| ImportError::Unreadable(mistake.to_string()))
}
