//! The testkit, tested as its users use it: over sockets and with real processes.

// Clippy's leave for tests covers `#[test]` functions, not what they share.
#![allow(clippy::unwrap_used)]

mod binary;
mod faults;
mod llama;
mod provider;
mod sdk;
