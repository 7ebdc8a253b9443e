//! What readers of files share: YAML as a tree in which every value knows its place, and names that were nearly right.
//!
//! Typed reading stops at the first mistake; a tree can be walked to its end, so that all mistakes are told at once. What a
//! file may hold, and in which words that is told, is its reader's own: configuration, suites, files of other tools.

pub mod near;

mod tree;
mod unreadable;

pub use tree::{Label, Node, Plain, Value, parse};
pub use unreadable::{NotYaml, Problem};

/// A place in a file, both from 1, the column in characters; 0 where none is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct At {
    pub line: usize,
    pub column: usize,
}

impl At {
    pub const fn line(line: usize) -> At {
        At { line, column: 0 }
    }
}
