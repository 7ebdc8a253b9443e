//! JSON as it stands in a body: one validating pass that yields spans, and no tree.
//!
//! The scanner is our own, since `serde_json` gives either a tree (which loses spans, key order of duplicates and the
//! spelling of numbers) or raw values that must be scanned once a level. It accepts exactly the documents that
//! `serde_json` accepts as a raw value (property-tested), up to `DEPTH_MAX` levels.

mod cursor;
mod escape;

use std::{borrow::Cow, fmt};

use thiserror::Error;

pub(crate) use cursor::{Cursor, Inside, Literal, ValueKind};
pub(crate) use escape::{Piece, pieces, unescape};

/// Levels of nesting that are read: as many as `serde_json` allows, and more than any tool schema has.
pub const DEPTH_MAX: u8 = 128;

/// Bytes that cannot be read: where and why.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{message}{}", Position(*at))]
pub struct Malformed {
    pub message: String,
    /// The field at fault, as OpenAI's `param`: `messages[0].role`.
    pub param: Option<String>,
    /// Line and column, both from 1; the column counts characters.
    pub at: Option<(usize, usize)>,
}

impl Malformed {
    pub(crate) fn new(message: impl Into<String>) -> Malformed {
        Malformed { message: message.into(), param: None, at: None }
    }

    pub(crate) fn field(param: impl Into<String>, message: impl fmt::Display) -> Malformed {
        let param = param.into();
        Malformed { message: format!("`{param}` {message}"), param: Some(param), at: None }
    }
}

struct Position(Option<(usize, usize)>);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, " at line {line} column {column}"),
            None => Ok(()),
        }
    }
}

/// A JSON string literal with its quotes.
pub fn quote(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a string always has a JSON form")
}

/// The content of a JSON string literal, without quotes: to be put inside a literal that stays.
pub fn escape(text: &str) -> Vec<u8> {
    let mut literal = quote(text);
    literal.pop();
    literal.remove(0);
    literal
}

/// A scan that failed; boxed by `Scan`, so that the good path stays small.
#[derive(Debug)]
pub(crate) struct Fail {
    at: usize,
    message: Cow<'static, str>,
    param: Option<String>,
}

pub(crate) type Scan<T> = Result<T, Box<Fail>>;

impl Fail {
    pub(crate) fn new(at: usize, message: impl Into<Cow<'static, str>>) -> Box<Fail> {
        Box::new(Fail { at, message: message.into(), param: None })
    }

    pub(crate) fn field(at: usize, param: impl fmt::Display, message: impl fmt::Display) -> Box<Fail> {
        let param = param.to_string();
        Box::new(Fail { at, message: format!("`{param}` {message}").into(), param: Some(param) })
    }

    /// Turns the offset into a line and a column, which costs a look at the body and so waits until here.
    pub(crate) fn locate(self, body: &[u8]) -> Malformed {
        let before = &body[..self.at.min(body.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        // A character is counted at its first byte.
        let column = before[line_start..].iter().filter(|byte| (**byte as i8) >= -0x40).count() + 1;
        Malformed { message: self.message.into_owned(), param: self.param, at: Some((line, column)) }
    }
}

#[cfg(test)]
mod tests;
