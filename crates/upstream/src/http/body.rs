//! An answer's body as the gateway reads it: unpacked, and streams as server-sent events.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use gauntlet_ports::{UpstreamAnswer, UpstreamBody, UpstreamError};
use gauntlet_types::Name;
use http_body::Body;
use hyper::{
    Response,
    body::Incoming,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue},
};

use crate::{frames::Frames, gzip::Gunzip};

pub(super) fn answer(answer: Response<Incoming>, provider: &Name) -> Result<UpstreamAnswer, UpstreamError> {
    let (mut parts, body) = answer.into_parts();
    let plain = Plain { body, provider: provider.clone() };
    let encoding = parts.headers.get(CONTENT_ENCODING).map(|value| value.as_bytes());
    let mut body: UpstreamBody = match encoding {
        None | Some(b"identity") => Box::pin(plain),
        Some(b"gzip" | b"x-gzip") => Box::pin(Gunzip::new(plain, provider.clone())),
        Some(other) => {
            let encoding = String::from_utf8_lossy(&other[..other.len().min(40)]).into_owned();
            return Err(UpstreamError::Encoding { provider: provider.clone(), encoding });
        }
    };
    if is_event_stream(&parts.headers) {
        body = Box::pin(Frames::new(body, provider.clone()));
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        parts.headers.remove(CONTENT_LENGTH);
    }
    Ok(UpstreamAnswer { status: parts.status, headers: parts.headers, body })
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim() == "application/vnd.amazon.eventstream")
}

/// The frames of an answer as they arrive; trailers are left out.
struct Plain {
    body: Incoming,
    provider: Name,
}

impl Stream for Plain {
    type Item = Result<Bytes, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => None,
                Some(Err(error)) => {
                    Some(Err(UpstreamError::Broken { provider: self.provider.clone(), source: error.into() }))
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some(Ok(data)),
                    Err(_trailers) => continue,
                },
            });
        }
    }
}
