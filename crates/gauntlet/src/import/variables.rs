//! Secrets become `${NAME}`: the variable that the source names, or one for a secret that stood there in clear text. The
//! value itself goes no further than this file.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    notes::Place,
    source::{Node, Value},
};

/// Why a variable is to be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The source read it too.
    AsBefore,
    /// The source had the value in clear text.
    WasClear,
    /// The value is kept by the other gateway or in a file, and is to be brought over.
    Elsewhere,
}

impl Reason {
    pub const fn words(self) -> &'static str {
        match self {
            Reason::AsBefore => "as before",
            Reason::WasClear => {
                "its value stands in clear text in the source: set it here, and change it there"
            }
            Reason::Elsewhere => "its value is not in the source: bring it over",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    pub name: String,
    pub reason: Reason,
    pub from: Place,
}

/// Variables that the written configuration needs.
#[derive(Default)]
pub struct Variables {
    /// Read by the source itself somewhere, so that no other value may take their names.
    reserved: BTreeSet<String>,
    found: BTreeMap<String, (Variable, Option<String>)>,
}

impl Variables {
    /// `named_in` gives the variable that a text of the source stands for.
    pub fn new(root: &Node, named_in: &dyn Fn(&str) -> Option<&str>) -> Variables {
        let (mut reserved, mut open) = (BTreeSet::new(), vec![root]);
        while let Some(node) = open.pop() {
            match &node.value {
                Value::Text(text) => reserved.extend(named_in(text.trim()).map(str::to_owned)),
                Value::List(items) => open.extend(items),
                Value::Map(entries) => open.extend(entries.iter().map(|(_, node)| node)),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        Variables { reserved, found: BTreeMap::new() }
    }

    /// A variable that the source reads itself; none if nothing can be called so.
    pub fn named(&mut self, name: &str, from: &Place) -> Option<String> {
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.as_bytes()[0].is_ascii_digit();
        if !is_name {
            return None;
        }
        let variable = Variable { name: name.to_owned(), reason: Reason::AsBefore, from: from.clone() };
        self.found.entry(name.to_owned()).or_insert((variable, None));
        Some(name.to_owned())
    }

    /// A variable for a value that stands in the source; equal values share one.
    pub fn clear(&mut self, wanted: &str, value: &str, from: &Place) -> String {
        self.add(wanted, Reason::WasClear, value, from)
    }

    /// A variable for a value that is not in the source. `known_as` is what the source calls it.
    pub fn elsewhere(&mut self, wanted: &str, known_as: &str, from: &Place) -> String {
        self.add(wanted, Reason::Elsewhere, known_as, from)
    }

    /// All, by name.
    pub fn all(&self) -> Vec<Variable> {
        self.found.values().map(|(variable, _)| variable.clone()).collect()
    }

    /// A name that is taken by another value gets a number behind it.
    fn add(&mut self, wanted: &str, reason: Reason, value: &str, from: &Place) -> String {
        let mut name = wanted.to_owned();
        // Each round meets another name that is taken, so this ends.
        for number in 2.. {
            match self.found.get(&name) {
                None if !self.reserved.contains(&name) => break,
                Some((known, Some(held))) if known.reason == reason && held == value => return name,
                _ => name = format!("{wanted}_{number}"),
            }
        }
        let variable = Variable { name: name.clone(), reason, from: from.clone() };
        self.found.insert(name.clone(), (variable, Some(value.to_owned())));
        name
    }
}

/// `openai-prod` as the name of a variable: `OPENAI_PROD`.
pub fn name_of(text: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = text.chars().take(NAME_LETTERS_MAX).map(letter).collect();
    let name = name.trim_matches('_');
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name.to_owned() } else { format!("KEY_{name}") }
}

/// Nobody wants to type a longer one.
const NAME_LETTERS_MAX: usize = 60;
