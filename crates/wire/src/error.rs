//! Errors as each dialect tells them.

use bytes::Bytes;
use gauntlet_types::{Dialect, Fault};

use crate::{anthropic, gemini, openai};

/// The body that tells a caller of a fault, in the shape of its dialect; `status` is the HTTP status that goes with it.
pub fn body(dialect: Dialect, fault: &Fault, status: u16, request_id: Option<&str>) -> Bytes {
    match dialect {
        Dialect::Messages => anthropic::error::body(fault, status, request_id),
        Dialect::Gemini => gemini::error::body(fault, status, request_id),
        _ => openai::error::body(fault, request_id),
    }
}
