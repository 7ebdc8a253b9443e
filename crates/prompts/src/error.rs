//! A mistake in a prompt file: where it is and what to do about it.

use thiserror::Error;

/// Shown as `prompts/refund.yaml:7:3: unknown field …; did you mean …?`. Line and column count from 1; 0 where the file as
/// a whole is meant.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{file}:{line}:{column}: {message}; {cure}")]
pub struct PromptError {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub cure: String,
}
