//! Bedrock's binary stream as server-sent events, message by message as it arrives.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use gauntlet_ports::UpstreamError;
use gauntlet_types::Name;
use gauntlet_wire::eventstream::{BadMessage, Decoder};

pub(crate) struct Frames<S> {
    body: S,
    provider: Name,
    /// None once the end has been reached, or an error.
    decoder: Option<Decoder>,
}

impl<S> Frames<S> {
    pub(crate) fn new(body: S, provider: Name) -> Self {
        Self { body, provider, decoder: Some(Decoder::default()) }
    }

    fn broken(&mut self, bad: BadMessage) -> UpstreamError {
        self.decoder = None;
        UpstreamError::Broken { provider: self.provider.clone(), source: bad.into() }
    }
}

impl<S: Stream<Item = Result<Bytes, UpstreamError>> + Unpin> Stream for Frames<S> {
    type Item = Result<Bytes, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let this = &mut *self;
            let Some(decoder) = this.decoder.as_mut() else { return Poll::Ready(None) };
            match decoder.message() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message.to_sse()))),
                Err(bad) => return Poll::Ready(Some(Err(this.broken(bad)))),
                Ok(None) => {}
            }
            match ready!(Pin::new(&mut this.body).poll_next(cx)) {
                Some(Ok(piece)) => decoder.push(&piece),
                Some(Err(error)) => {
                    this.decoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    let end = decoder.finish();
                    this.decoder = None;
                    return Poll::Ready(end.err().map(|bad| Err(this.broken(bad))));
                }
            }
        }
    }
}
