//! Some proxies compress although asked not to; their answers are read all the same.

use std::{
    io::Write,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use flate2::write::GzDecoder;
use futures_util::Stream;
use gauntlet_ports::UpstreamError;
use gauntlet_types::Name;

/// A piece of compressed input may grow a thousandfold: it is fed in slices of this size, so that no single piece of
/// output is larger than 16 MiB and the reader's own limit can step in.
const SLICE: usize = 16 * 1024;

pub(crate) struct Gunzip<S> {
    body: S,
    provider: Name,
    waiting: Bytes,
    /// None once the end has been reached.
    decoder: Option<GzDecoder<Vec<u8>>>,
}

impl<S> Gunzip<S> {
    pub(crate) fn new(body: S, provider: Name) -> Self {
        Self { body, provider, waiting: Bytes::new(), decoder: Some(GzDecoder::new(Vec::new())) }
    }

    fn broken(&self, error: std::io::Error) -> UpstreamError {
        UpstreamError::Broken { provider: self.provider.clone(), source: error.into() }
    }
}

impl<S: Stream<Item = Result<Bytes, UpstreamError>> + Unpin> Stream for Gunzip<S> {
    type Item = Result<Bytes, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let this = &mut *self;
            let Some(decoder) = this.decoder.as_mut() else { return Poll::Ready(None) };
            if this.waiting.is_empty() {
                match ready!(Pin::new(&mut this.body).poll_next(cx)) {
                    Some(Ok(piece)) => this.waiting = piece,
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => {
                        let decoder = this.decoder.take().expect("checked above");
                        return Poll::Ready(match decoder.finish() {
                            Ok(rest) if rest.is_empty() => None,
                            Ok(rest) => Some(Ok(rest.into())),
                            Err(error) => Some(Err(this.broken(error))),
                        });
                    }
                }
            }
            let slice = this.waiting.split_to(this.waiting.len().min(SLICE));
            let fed = decoder.write_all(&slice).and_then(|()| decoder.flush());
            let plain = std::mem::take(decoder.get_mut());
            if let Err(error) = fed {
                return Poll::Ready(Some(Err(this.broken(error))));
            }
            if !plain.is_empty() {
                return Poll::Ready(Some(Ok(plain.into())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use futures_util::{FutureExt, StreamExt, stream};

    fn read(pieces: Vec<Vec<u8>>) -> Result<Vec<u8>, UpstreamError> {
        let body = stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece))));
        let read = Gunzip::new(body, "p".into()).collect::<Vec<_>>().now_or_never().unwrap();
        read.into_iter().try_fold(Vec::new(), |mut all, piece| {
            all.extend_from_slice(&piece?);
            Ok(all)
        })
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn any_split_reads_the_same() {
        let text = br#"{"choices":[{"message":{"content":"hello"}}]}"#.repeat(50);
        let packed = packed(&text);
        for at in 0..packed.len() {
            let (head, tail) = packed.split_at(at);
            assert_eq!(read(vec![head.to_vec(), tail.to_vec()]).unwrap(), text);
        }
    }

    #[test]
    fn a_cut_or_false_body_is_an_error() {
        let packed = packed(b"hello hello hello");
        assert!(read(vec![packed[..packed.len() - 5].to_vec()]).is_err());
        assert!(read(vec![b"not gzip at all".to_vec()]).is_err());
    }
}
