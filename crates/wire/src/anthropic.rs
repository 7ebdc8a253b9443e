//! The Anthropic dialect: so far what its answers say of their use.

pub mod usage;
