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
mod extras;
mod host;
#[doc(hidden)]
pub mod injection;
mod misfit;
mod output;
mod pattern;
mod pii;
#[doc(hidden)]
pub mod quality;
mod redact;
mod repair;
mod rulebook;
mod scanner;
mod schema;
mod secret;
mod shingle;
mod spotlight;
mod stream;
mod tools;
mod trigger;
mod vault;
mod view;
mod window;

#[cfg(test)]
mod tests;

pub use decide::{Decided, Found, Where, decide};
pub use extras::{Extras, joined};
pub use injection::Trust;
pub use misfit::Misfit;
pub use output::{
    canary::Words,
    citation::{CitationRules, Citations, Source},
    contract::{Bounds, Contract, ContractError, ContractRules, FieldRules, Script},
    leak::{Leak, LeakWatch},
    links::{LinkRules, URL_MAX},
    profanity::Profanity,
    refusal::{REFUSAL_SCORE, Refusals},
};
pub use redact::{code_points, mask, placeholder, redact, replacement};
pub use repair::{Repaired, STEPS_MAX, Step};
pub use rulebook::{Rulebook, Ruling, tenant_key};
pub use scanner::{Kinds, Scanner};
pub use schema::{OutputSchema, SchemaError};
pub use secret::SECRET_MAX;
pub use spotlight::{Spotlight, spotlight};
pub use stream::{HOLD_MAX, Replace, StreamRedactor};
pub use tools::{
    rules::{Test, ToolConfig, ToolRules, ToolRulesError, ToolsConfig, ValueRule},
    taint::Taint,
};
pub use vault::{Restorer, Vault};
