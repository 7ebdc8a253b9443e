//! A streamed answer frame by frame, read up to its first token before it is promised to the caller.

use std::collections::VecDeque;

use bytes::Bytes;
use gauntlet_types::{Dialect, Event};
use gauntlet_wire::{
    answer::Chunk,
    flow::Flow,
    sse::{Decoder, Frame},
    translate::{Head, Writer},
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
    /// In the caller's dialect.
    pub(crate) flow: Flow,
    /// Where the model speaks another.
    interpreter: Option<Box<Interpreter>>,
    /// Read while looking for the first token.
    ahead: VecDeque<(Frame, Option<Chunk>)>,
    /// Several frames of ours may stand for one of the model's.
    translated: VecDeque<(Frame, Option<Chunk>)>,
    is_done: bool,
    is_closed: bool,
}

impl Live {
    /// `dialect` is the caller's, `spoken` the model's; `head` is for an answer that has to be translated.
    pub(crate) fn new(reader: Reader, dialect: Dialect, spoken: Dialect, head: Head) -> Live {
        let interpreter = (spoken != dialect).then(|| {
            Box::new(Interpreter {
                heard: Flow::new(spoken),
                writer: Writer::new(dialect, head),
                kept: Vec::new(),
                has_finish: false,
                is_over: false,
            })
        });
        Live {
            reader,
            decoder: Decoder::new(),
            flow: Flow::new(dialect),
            interpreter,
            ahead: VecDeque::new(),
            translated: VecDeque::new(),
            is_done: false,
            is_closed: false,
        }
    }

    /// Reads up to the first sign of an answer: a token, a tool call, or an end.
    pub(crate) async fn peek(&mut self, patience: Instant) -> Result<(), Stop> {
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
            self.ahead.push_back((frame, chunk));
            if has_begun {
                self.reader.set_deadline(deadline);
                return Ok(());
            }
        }
        Err(Stop::Malformed(format!("{PEEK_FRAMES_MAX} frames without a token")))
    }

    /// The model's first frame, where it goes to the caller as it is.
    pub(crate) fn first_as_sent(&self) -> Option<&Bytes> {
        let (frame, _) = self.ahead.front().filter(|_| self.interpreter.is_none())?;
        Some(&frame.raw)
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
            if let Some(next) = self.translated.pop_front() {
                return Ok(Some(next));
            }
            let frame = self.decoder.next().map_err(|_| Stop::Malformed("a frame without end".into()))?;
            if let Some(frame) = frame {
                match self.understand(frame)? {
                    Some(next) => return Ok(Some(next)),
                    None => continue,
                }
            }
            if self.is_closed {
                return Ok(None);
            }
            match self.reader.next(gone).await? {
                Some(piece) => self.decoder.push(piece),
                None => self.close()?,
            }
        }
    }

    /// The provider has closed the stream: what is left is a frame without its blank line, whole or cut.
    fn close(&mut self) -> Result<(), Stop> {
        self.is_closed = true;
        self.decoder.close();
        let last = self.decoder.next().map_err(|_| Stop::Malformed("a frame without end".into()))?;
        let last = match last {
            Some(frame) => Some(frame),
            None => {
                let rest = self.decoder.rest();
                (!rest.iter().all(u8::is_ascii_whitespace)).then(|| Frame::parse(rest))
            }
        };
        if let Some(frame) = last {
            let cut = |_| Stop::Cut("the stream ended within a frame".into());
            let next = self.understand(frame).map_err(cut)?;
            // Before what follows of it.
            next.into_iter().for_each(|next| self.translated.push_front(next));
        }
        if let Some(interpreter) = &mut self.interpreter
            && interpreter.has_finish
        {
            interpreter.end(&mut self.flow, &mut self.translated)?;
        }
        Ok(())
    }

    fn understand(&mut self, frame: Frame) -> Result<Option<(Frame, Option<Chunk>)>, Stop> {
        let malformed = |bad: gauntlet_wire::Malformed| Stop::Malformed(bad.message);
        let Some(interpreter) = &mut self.interpreter else {
            let chunk = self.flow.read(&frame).map_err(malformed)?;
            self.is_done |= chunk.as_ref().is_some_and(|chunk| chunk.is_done);
            return Ok(Some((frame, chunk)));
        };
        interpreter.hear(&frame, &mut self.flow, &mut self.translated)?;
        self.is_done |= interpreter.is_over;
        Ok(self.translated.pop_front())
    }
}

/// Turns a stream of one dialect into another's, frame by frame.
struct Interpreter {
    heard: Flow,
    writer: Writer,
    /// What was learnt and no frame has told yet.
    kept: Vec<Event>,
    has_finish: bool,
    is_over: bool,
}

impl Interpreter {
    fn hear(
        &mut self,
        frame: &Frame,
        flow: &mut Flow,
        out: &mut VecDeque<(Frame, Option<Chunk>)>,
    ) -> Result<(), Stop> {
        let malformed = |bad: gauntlet_wire::Malformed| Stop::Malformed(bad.message);
        let Some(chunk) = self.heard.read(frame).map_err(malformed)? else { return Ok(()) };
        if self.is_over {
            return Ok(());
        }
        let mut frames = Vec::new();
        for event in chunk.events {
            if let Event::Error { .. } = event {
                let chunk = Chunk { events: vec![event], ..Chunk::default() };
                out.push_back((Frame::parse(Bytes::new()), Some(chunk)));
                return Ok(());
            }
            frames.extend(self.writer.push(&event));
            self.has_finish |= matches!(event, Event::Finish { .. });
            // Words and calls are learnt from our own frames, which say the same; of the rest a dialect may tell less.
            if is_fact(&event) {
                self.kept.push(event);
            }
        }
        self.tell(frames, flow, out)?;
        if chunk.is_done {
            self.end(flow, out)?;
        }
        Ok(())
    }

    fn end(&mut self, flow: &mut Flow, out: &mut VecDeque<(Frame, Option<Chunk>)>) -> Result<(), Stop> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        let frames = self.writer.end();
        self.tell(frames, flow, out)
    }

    fn tell(
        &mut self,
        frames: Vec<Bytes>,
        flow: &mut Flow,
        out: &mut VecDeque<(Frame, Option<Chunk>)>,
    ) -> Result<(), Stop> {
        for bytes in frames {
            let frame = Frame::parse(bytes);
            let mut chunk = flow.read(&frame).map_err(|bad| Stop::Malformed(bad.message))?;
            if let Some(chunk) = &mut chunk {
                chunk.events.retain(|event| !is_fact(event));
                chunk.events.append(&mut self.kept);
            }
            out.push_back((frame, chunk));
        }
        Ok(())
    }
}

/// What is learnt from the model's own frames alone.
fn is_fact(event: &Event) -> bool {
    matches!(event, Event::Model(_) | Event::Usage(_) | Event::Finish { .. })
}

pub(crate) fn asked_for_usage(call: &Call) -> bool {
    call.request.conversation().is_some_and(|chat| chat.include_usage)
}

fn is_sign(event: &Event) -> bool {
    match event {
        Event::Text { text, .. } | Event::Refusal { text, .. } | Event::Reasoning { text, .. } => {
            !text.is_empty()
        }
        Event::ToolCall { .. }
        | Event::Finish { .. }
        | Event::Done
        | Event::Seal { .. }
        | Event::Citation { .. }
        | Event::Media { .. } => true,
        Event::Model(_) | Event::Usage(_) | Event::Error { .. } => false,
    }
}
