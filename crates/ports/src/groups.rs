//! Sessions and users as lists: what a page of them says.

use gauntlet_types::{Name, NanoUsd, Timestamp};
use serde::{Deserialize, Serialize};

use crate::TraceCursor;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    Session,
    User,
}

/// The calls of one session or user in a stretch.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupRow {
    pub name: Name,
    /// Sessions of the same name of two tenants are two.
    pub tenant: Name,
    pub first: Timestamp,
    pub last: Timestamp,
    pub calls: u64,
    /// Calls that broke (`Outcome::is_error`).
    pub errors: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub cost: NanoUsd,
    /// Of a session, whose it is; of the newest call that says so.
    pub user: Option<Name>,
    /// Of a user, how many sessions.
    pub sessions: u64,
}

#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct GroupPage {
    /// Newest activity first.
    pub rows: Vec<GroupRow>,
    /// Where older calls begin.
    pub next: Option<TraceCursor>,
    /// When the oldest call that was looked at began, if there are older ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_back_to: Option<Timestamp>,
}
