//! What guards found and what was done about it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::id::Name;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Input,
    Output,
}

/// What a policy asks to be done about a kind of finding. Ordered from mild to severe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Traffic is left alone and the finding is not noted. The record is redacted all the same.
    Allow,
    /// Traffic is left alone and the finding is noted.
    #[default]
    Flag,
    Redact,
    Block,
}

/// The sum of what the guards decided on a call. Ordered from mild to severe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    #[default]
    Allow,
    Flag,
    Redact,
    Block,
}

impl Decision {
    pub const fn as_str(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Flag => "flag",
            Decision::Redact => "redact",
            Decision::Block => "block",
        }
    }
}

impl From<Action> for Decision {
    fn from(action: Action) -> Decision {
        match action {
            Action::Allow => Decision::Allow,
            Action::Flag => Decision::Flag,
            Action::Redact => Decision::Redact,
            Action::Block => Decision::Block,
        }
    }
}

/// Something a detector saw in a text. `span` is in bytes of that text, on character borders.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// `pii`, `secrets`, `injection`, `size`, `schema` …: the names that a policy sets actions for.
    pub kind: &'static str,
    /// `EMAIL_ADDRESS`, `US_SSN`, `github_token`, `ignore_instructions` …
    pub label: &'static str,
    pub span: Range<usize>,
    /// From 0 to 1: 1 where a checksum or an unmistakable structure proves it.
    pub score: f32,
}

/// A finding as the record keeps it: without the text that was found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GuardNote {
    pub direction: Direction,
    pub kind: Name,
    pub label: Name,
    pub action: Action,
    pub count: u32,
    /// The highest score among them.
    pub score: f32,
    /// Says where and why, for a person; holds no text of the caller's.
    pub reason: String,
    /// Keyed hash of the value, so that equal values can be found without keeping any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_hash: Option<String>,
}
