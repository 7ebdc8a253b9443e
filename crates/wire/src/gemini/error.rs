//! Not written yet.

use bytes::Bytes;
use gauntlet_types::Fault;

/// The body that tells a caller of a fault.
pub fn body(fault: &Fault, _: u16, request_id: Option<&str>) -> Bytes {
    crate::openai::error::body(fault, request_id)
}
