//! The configuration as an immutable `Policy`, and the pure deciders that read it.
//!
//! No clock, no network, no files, no async: the binary hands in texts, times and secrets, and gets values back.

pub mod config;
pub mod guard;
pub mod plan;

pub mod check;
pub mod keys;
pub mod price;

pub mod breaker;
pub mod budget;
pub mod health;
pub mod limit;
pub mod promotion;
pub mod retire;
pub mod retry;

pub use config::{Policy, Route};
