//! The guard: what may stand in a prompt or an answer, decided from the text alone.
//!
//! [`Scanner`] finds personal data, secrets and attempts at injection; [`StreamRedactor`] does the same to text that
//! arrives in pieces, with the same result; [`OutputSchema`] checks the form of an answer; [`decide`] turns findings
//! into a decision and notes for the record. Nothing here reads a clock, a file or the network, and nothing learns:
//! classifiers and judges live elsewhere.

#![forbid(unsafe_code)]

mod candidate;
mod checksum;
mod decide;
mod decode;
#[doc(hidden)]
pub mod injection;
mod pii;
#[doc(hidden)]
pub mod quality;
mod redact;
mod rulebook;
mod scanner;
mod schema;
mod secret;
mod stream;
mod trigger;
mod vault;
mod view;
mod window;

#[cfg(test)]
mod tests;

pub use decide::{Decided, Found, Where, decide};
pub use injection::Trust;
pub use redact::{code_points, mask, placeholder, redact, replacement};
pub use rulebook::{Rulebook, Ruling, tenant_key};
pub use scanner::{Kinds, Scanner};
pub use schema::{OutputSchema, SchemaError};
pub use secret::SECRET_MAX;
pub use stream::{HOLD_MAX, Replace, StreamRedactor};
pub use vault::{Restorer, Vault};
