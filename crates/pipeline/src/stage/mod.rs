//! The stages of a call, a file each, in the order of `run.rs`. None calls another.

pub(crate) mod admit;
pub(crate) mod attempt;
pub(crate) mod cache;
pub(crate) mod guard_input;
pub(crate) mod guard_output;
pub(crate) mod limit;
pub(crate) mod plan;
pub(crate) mod record;
pub(crate) mod render;
pub(crate) mod reserve;
pub(crate) mod settle;
