//! Takes a request's body within limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gauntlet_types::{Code, Fault};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// A caller that sends nothing for this long is taken for gone; it would hold memory for ever otherwise.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Reads the whole body, up to `limit` bytes.
pub(crate) async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, Fault> {
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(IDLE_MAX, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                return Err(Fault::caller(Code::InvalidRequest, "the request body broke off before its end"));
            }
            Err(_) => {
                let message =
                    format!("the request body stopped arriving for {IDLE_MAX:?}; send it without pauses");
                return Err(Fault::caller(Code::InvalidRequest, message));
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.reserve((hint.lower() as usize).max(first.len() + data.len()));
                all.extend_from_slice(&first);
                first = Bytes::new();
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

pub(crate) fn too_large(limit: usize) -> Fault {
    let message = format!(
        "the request body is larger than {limit} bytes; send less, or raise `max_body` in gauntlet.yml"
    );
    Fault::caller(Code::RequestTooLarge, message)
}
