//! Kept answers: which call may get which, where they rest, and how a question that means the same is found.
//!
//! Nothing here talks to a model or decides what may be kept; that is `stage::cache`. An answer belongs to one tenant,
//! and is found under a hash of everything that it depended on ([`canon`]), or as the nearest of the questions that differ
//! from this one in their last words alone ([`shelf`]).

pub mod agree;
pub(crate) mod canon;
pub(crate) mod control;
pub(crate) mod embed;
pub(crate) mod replay;
pub mod shelf;
pub(crate) mod store;

pub use store::{Cache, Cleared, Figures, Line};
