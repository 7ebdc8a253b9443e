//! A streamed answer frame by frame, read up to its first token before it is promised to the caller.

use std::collections::VecDeque;

use bytes::Bytes;
use gauntlet_types::Event;
use gauntlet_wire::{
    openai::answer::{self, Chunk},
    sse::{Decoder, Frame},
};
use tokio::time::Instant;

use crate::{
    call::Call,
    detach::Gone,
    reader::{Reader, Stop},
};

/// Frames read before the first token: role, empty deltas, content-filter preludes, comments while a model wakes up.
const PEEK_FRAMES_MAX: usize = 256;
/// All frames of a stream that is kept whole (for a schema or a cache).
pub(crate) const KEPT_BYTES_MAX: usize = 16 << 20;

/// A stream that has begun well.
pub(crate) struct Live {
    reader: Reader,
    decoder: Decoder,
    /// Read while looking for the first token.
    ahead: VecDeque<(Frame, Option<Chunk>)>,
    is_done: bool,
    is_closed: bool,
}

impl Live {
    pub(crate) fn new(reader: Reader) -> Live {
        Live { reader, decoder: Decoder::new(), ahead: VecDeque::new(), is_done: false, is_closed: false }
    }

    /// Reads up to the first sign of an answer: a token, a tool call, or an end.
    pub(crate) async fn peek(&mut self, call: &mut Call, patience: Instant) -> Result<(), Stop> {
        let deadline = self.reader.set_deadline(patience);
        for _ in 0..PEEK_FRAMES_MAX {
            let next = match self.read(None).await {
                Err(Stop::Total) if patience < deadline => return Err(Stop::FirstToken),
                read => read?,
            };
            let Some((frame, chunk)) = next else {
                return Err(Stop::Cut("the stream ended before it began".into()));
            };
            let error = chunk.iter().flat_map(|chunk| &chunk.events).find_map(|event| match event {
                Event::Error { code, message } => Some((code.clone(), message.clone())),
                _ => None,
            });
            if let Some((code, message)) = error {
                return Err(Stop::Provider { code, message });
            }
            let has_begun = chunk.iter().flat_map(|chunk| &chunk.events).any(is_sign);
            if has_begun && call.record.first_token_us.is_none() {
                call.record.first_token_us = Some(u64::from(call.elapsed_us()));
            }
            self.ahead.push_back((frame, chunk));
            if has_begun {
                self.reader.set_deadline(deadline);
                return Ok(());
            }
        }
        Err(Stop::Malformed(format!("{PEEK_FRAMES_MAX} frames without a token")))
    }

    /// Reads all that is left and notes it; for answers that must be seen whole before they may pass.
    pub(crate) async fn collect(&mut self, call: &mut Call, frames: &mut Vec<Bytes>) -> Result<(), Stop> {
        let mut bytes = 0;
        while let Some((frame, chunk)) = self.next(None).await? {
            if let Some(chunk) = &chunk {
                for event in &chunk.events {
                    if let Event::Error { code, message } = event {
                        return Err(Stop::Provider { code: code.clone(), message: message.clone() });
                    }
                    call.take_note(event);
                }
            }
            let is_ours = chunk.as_ref().is_some_and(|chunk| chunk.is_usage_only) && !asked_for_usage(call);
            bytes += frame.raw.len();
            if bytes > KEPT_BYTES_MAX {
                return Err(Stop::Malformed(format!("the stream is longer than {KEPT_BYTES_MAX} bytes")));
            }
            if !is_ours {
                frames.push(frame.raw.clone());
            }
        }
        match call.record.finish.is_some() || self.is_done {
            true => Ok(()),
            false => Err(Stop::Cut("the stream ended without a finish".into())),
        }
    }

    pub(crate) async fn next(&mut self, gone: Option<&Gone>) -> Result<Option<(Frame, Option<Chunk>)>, Stop> {
        match self.ahead.pop_front() {
            Some(ahead) => Ok(Some(ahead)),
            None => self.read(gone).await,
        }
    }

    /// The next frame with what it says; none at the end of the stream.
    async fn read(&mut self, gone: Option<&Gone>) -> Result<Option<(Frame, Option<Chunk>)>, Stop> {
        loop {
            let frame = self.decoder.next().map_err(|_| Stop::Malformed("a frame without end".into()))?;
            if let Some(frame) = frame {
                return self.understand(frame).map(Some);
            }
            if self.is_closed {
                return Ok(None);
            }
            match self.reader.next(gone).await? {
                Some(piece) => self.decoder.push(piece),
                None => {
                    self.is_closed = true;
                    self.decoder.close();
                    // What is left is a frame without its blank line, whole or cut.
                    if let Some(frame) =
                        self.decoder.next().map_err(|_| Stop::Malformed("a frame without end".into()))?
                    {
                        return self.understand(frame).map(Some);
                    }
                    let rest = self.decoder.rest();
                    if rest.iter().all(u8::is_ascii_whitespace) {
                        return Ok(None);
                    }
                    let cut = |_| Stop::Cut("the stream ended within a frame".into());
                    return self.understand(Frame::parse(rest)).map(Some).map_err(cut);
                }
            }
        }
    }

    fn understand(&mut self, frame: Frame) -> Result<(Frame, Option<Chunk>), Stop> {
        let Some(data) = frame.data() else { return Ok((frame, None)) };
        let chunk = answer::read_chunk(data).map_err(|bad| Stop::Malformed(bad.message))?;
        self.is_done |= chunk.is_done;
        Ok((frame, Some(chunk)))
    }
}

pub(crate) fn asked_for_usage(call: &Call) -> bool {
    call.request.chat().is_some_and(|chat| chat.include_usage)
}

fn is_sign(event: &Event) -> bool {
    match event {
        Event::Text { text, .. } | Event::Refusal { text, .. } | Event::Reasoning { text, .. } => {
            !text.is_empty()
        }
        Event::ToolCall { .. } | Event::Finish { .. } | Event::Done => true,
        Event::Model(_) | Event::Usage(_) | Event::Error { .. } => false,
    }
}
