//! A streamed answer on its way: read up to its first token by `attempt`, then guarded and passed on frame by frame,
//! settled and recorded before its last byte.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use gauntlet_guard::Vault;
use gauntlet_policy::{breaker::BreakerEvent, config::OnDisconnect};
use gauntlet_types::{Action, Code, Direction, Event, Finish, Outcome};
use gauntlet_wire::{
    Edit,
    json::escape,
    openai::{
        answer::{self, Channel, Chunk},
        error,
    },
    sse::Frame,
};
use http::{HeaderValue, StatusCode, header};

use crate::{
    answer::{Answer, AnswerBody},
    call::{Call, Whole},
    checks,
    detach::DetachStream,
    filter::{self, Filter},
    live::{KEPT_BYTES_MAX, Live, asked_for_usage},
    reader::Stop,
    stage,
};

/// A stream under way to its caller. Owns its call, and ends it.
pub(crate) struct LiveStream {
    /// None once the call is settled and recorded.
    call: Option<Call>,
    live: Live,
    filters: Option<Filters>,
    /// Calls of tools are looked at before they go out, and they are whole only at the end.
    waits_for_calls: bool,
    /// From the first frame of a call on, until it has been looked at.
    waiting: Option<Waiting>,
    /// Guarded frames, ready to go.
    out: VecDeque<Bytes>,
    /// Frames as they went out, for the cache; none when the route asks for no cache.
    kept: Option<Vec<Bytes>>,
    kept_bytes: usize,
    drained_chars: usize,
}

/// Frames that wait, and their bytes.
#[derive(Default)]
struct Waiting {
    frames: Vec<(Frame, Chunk)>,
    bytes: usize,
}

/// One filter for each text of each choice, and the last frame as a pattern for frames of our own.
#[derive(Default)]
struct Filters {
    by_text: BTreeMap<(u32, Channel), Filter>,
    /// The tool calls under way, by choice and index, with their ids.
    calls: BTreeMap<(u32, u32), String>,
    pattern: Bytes,
    /// Something was found that must not go on.
    stop: Arc<AtomicBool>,
}

impl LiveStream {
    /// The answer whose body is this stream.
    pub(crate) fn answer(call: Call, live: Live) -> Answer {
        gauntlet_ports::crash_point!("stream.begun");
        let mut headers = call.answer_headers();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // Proxies in between shall pass each token on at once.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        let (gone, tasks) = (call.gone.clone(), call.shared().tasks.clone());
        let filters = filter::is_needed(&call).then(Filters::default);
        let waits_for_calls = checks::OF_CALLS
            .iter()
            .any(|kind| call.rules[Direction::Output as usize].most(kind) > Action::Flag);
        let kept = call.caching.as_ref().map(|_| Vec::new());
        // Boxed, since the state is handed back and forth with every frame, and a call is kilobytes.
        let stream = Box::new(LiveStream {
            call: Some(call),
            live,
            filters,
            waits_for_calls,
            waiting: None,
            out: VecDeque::new(),
            kept,
            kept_bytes: 0,
            drained_chars: 0,
        });
        let frames =
            stream::unfold(stream, |mut stream| async { stream.next().await.map(|frame| (frame, stream)) });
        let body: Pin<Box<dyn Stream<Item = Bytes> + Send>> =
            Box::pin(DetachStream::new(frames, gone, tasks));
        Answer { status: StatusCode::OK, headers, body: AnswerBody::Stream(body) }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.out.pop_front() {
                return Some(frame);
            }
            let call = self.call.as_mut()?;
            let stops = match call.route.on_disconnect {
                OnDisconnect::Abort => true,
                OnDisconnect::Drain => false,
                OnDisconnect::DrainTokens(tokens) => self.drained_chars / 4 >= tokens.0 as usize,
            };
            let gone = call.gone.clone();
            match self.live.next(stops.then_some(&gone)).await {
                Ok(Some((frame, chunk))) => self.pass(frame, chunk),
                Ok(None) => self.end(),
                Err(stop) => self.break_off(&stop),
            }
        }
    }

    /// Notes what a frame says, guards it, and lets it go.
    fn pass(&mut self, frame: Frame, chunk: Option<Chunk>) {
        let Some(call) = self.call.as_mut() else { return };
        gauntlet_ports::crash_point!("stream.frame");
        let Some(chunk) = chunk else { return self.emit(frame.raw) };
        for event in &chunk.events {
            if let Event::Error { code, message } = event {
                let stop = Stop::Provider { code: code.clone(), message: message.clone() };
                return self.break_off(&stop);
            }
            if call.gone.is_set()
                && let Event::Text { text, .. } = event
            {
                self.drained_chars += text.len();
            }
            call.take_note(event);
        }
        if chunk.is_done {
            if !self.let_calls_go() {
                return;
            }
            // The caller's last frame: not before the record is written.
            return self.complete(Some(frame.raw));
        }
        if chunk.is_usage_only && !asked_for_usage(call) {
            return;
        }
        let has_call = chunk.events.iter().any(|event| matches!(event, Event::ToolCall { .. }));
        if self.waiting.is_some() || (self.waits_for_calls && has_call) {
            let waiting = self.waiting.get_or_insert_default();
            waiting.bytes += frame.raw.len();
            waiting.frames.push((frame, chunk));
            if waiting.bytes > KEPT_BYTES_MAX {
                self.break_off(&Stop::Malformed(format!(
                    "calls of tools longer than {KEPT_BYTES_MAX} bytes"
                )));
            }
            return;
        }
        self.let_go(frame, &chunk);
    }

    /// Looks at the calls that are whole now, and lets them go; says no where they end the stream.
    fn let_calls_go(&mut self) -> bool {
        let Some(waiting) = self.waiting.take() else { return true };
        let Some(call) = self.call.as_mut() else { return false };
        let wrongs = checks::of_calls(call);
        if wrongs.iter().any(|wrong| wrong.action > Action::Redact) {
            self.block();
            return false;
        }
        for (frame, chunk) in waiting.frames {
            self.let_go(frame, &chunk);
        }
        // A filter may have ended it.
        self.call.is_some()
    }

    fn let_go(&mut self, frame: Frame, chunk: &Chunk) {
        if self.filters.is_none() {
            return self.emit(frame.raw);
        }
        self.pass_guarded(&frame, chunk);
    }

    /// Puts the redactor's words in place of the frame's; what it holds back comes with a later frame.
    fn pass_guarded(&mut self, frame: &Frame, chunk: &Chunk) {
        let (Some(call), Some(filters)) = (self.call.as_ref(), self.filters.as_mut()) else { return };
        let Some(data) = frame.data_bytes() else { return };
        let before = filters.end_calls(chunk, &call.vault);
        let mut edits = Vec::new();
        for delta in &chunk.texts {
            let text = gauntlet_wire::text::decode(&data, delta.raw.clone());
            let key = (delta.choice, delta.channel);
            let is_key =
                |other: &&gauntlet_wire::openai::answer::TextDelta| (other.choice, other.channel) == key;
            let shown = if matches!(delta.channel, Channel::Arguments(_))
                && chunk.texts.iter().filter(is_key).count() > 1
            {
                // Calls that share a number within one frame are there whole, and have nothing to do with each other.
                let mut whole = Filter::new(call, delta.channel, &filters.stop);
                whole.push(&text, &call.vault) + &whole.finish(&call.vault)
            } else {
                let filter = filters.by_text.entry(key);
                let filter = filter.or_insert_with(|| Filter::new(call, delta.channel, &filters.stop));
                filter.push(&text, &call.vault)
            };
            if shown != text {
                edits.push(Edit { range: delta.raw.clone(), with: escape(&shown).into() });
            }
        }
        filters.pattern = data;
        if filters.must_stop() {
            return self.block();
        }
        let ends: Vec<u32> = chunk
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Finish { choice, .. } => Some(*choice),
                _ => None,
            })
            .collect();
        let changed = frame.edited(edits);
        before.into_iter().for_each(|frame| self.emit(frame));
        if ends.is_empty() {
            return self.emit(changed);
        }
        // What is still held back of a choice goes out before its finish.
        for choice in ends {
            self.flush(choice);
        }
        if self.filters.as_ref().is_some_and(Filters::must_stop) {
            return self.block();
        }
        self.emit(changed);
    }

    fn flush(&mut self, choice: u32) {
        let (Some(call), Some(filters)) = (self.call.as_ref(), self.filters.as_mut()) else { return };
        let mut frames = Vec::new();
        for ((of, channel), filter) in &mut filters.by_text {
            if *of == choice {
                let rest = filter.finish(&call.vault);
                if !rest.is_empty() {
                    frames.push(answer::channel_frame(&filters.pattern, choice, *channel, &rest));
                }
            }
        }
        frames.into_iter().for_each(|frame| self.emit(frame));
    }

    /// A guard says stop: the route's own words and a native end take the place of the rest.
    fn block(&mut self) {
        let Some(call) = self.call.as_mut() else { return };
        call.record.outcome = Outcome::Blocked;
        call.record.error = Some(Code::GuardrailBlocked);
        call.record.finish = Some(Finish::ContentFilter);
        let text = call.route.fallback.as_deref().unwrap_or("").to_owned();
        // Taken: what is still held back of the model's words is not to follow ours.
        let pattern = self.filters.take().map(|filters| filters.pattern).unwrap_or_default();
        self.kept = None;
        self.out.push_back(answer::text_frame(&pattern, 0, &text, Some(Finish::ContentFilter)));
        self.complete(Some(answer::frame(b"[DONE]")));
    }

    fn emit(&mut self, frame: Bytes) {
        if let Some(kept) = &mut self.kept {
            self.kept_bytes += frame.len();
            kept.push(frame.clone());
        }
        if self.kept_bytes > KEPT_BYTES_MAX {
            self.kept = None;
        }
        self.out.push_back(frame);
    }

    /// The provider closed the stream. Some send no `[DONE]`; a finish is enough then.
    fn end(&mut self) {
        let finished = self.call.as_ref().is_some_and(|call| call.record.finish.is_some());
        if finished {
            if self.let_calls_go() {
                self.complete(None);
            }
        } else {
            self.break_off(&Stop::Cut("the stream ended without a finish".into()));
        }
    }

    /// Settles and records, then lets the last frame go.
    fn complete(&mut self, last: Option<Bytes>) {
        let choices: Vec<u32> = self
            .filters
            .iter()
            .flat_map(|filters| filters.by_text.keys().map(|(choice, _)| *choice))
            .collect();
        for choice in choices {
            self.flush(choice);
        }
        let Some(mut call) = self.call.take() else { return };
        call.note_gone();
        finish(&mut call);
        if let (Some(mut kept), Some(last)) = (self.kept.take(), &last) {
            kept.push(last.clone());
            stage::cache::keep_whole(&call, &Whole::events(kept.concat().into()));
        }
        gauntlet_ports::crash_point!("stream.last");
        self.out.extend(last);
    }

    /// Ends a broken stream the way the dialect does: an error frame and no `[DONE]`.
    fn break_off(&mut self, stop: &Stop) {
        let Some(mut call) = self.call.take() else { return };
        let fault = stop.fault(call.record.id);
        if matches!(stop, Stop::Gone) {
            call.note_gone();
        } else {
            call.refuse(&fault);
            stage::attempt::report(&call, call.current, BreakerEvent::Failed);
        }
        call.note_broken(stop);
        finish(&mut call);
        self.out.push_back(error::stream_frame(&fault));
    }
}

fn finish(call: &mut Call) {
    call.enter(gauntlet_types::Stage::GuardOutput);
    let message = call.assembler.message_json();
    let texts = stage::guard_output::texts_of(&message);
    checks::of_words(call, &texts, &message);
    // Where calls had to wait, they have been looked at.
    if !call.has_run(Direction::Output, &checks::OF_CALLS) {
        checks::of_calls(call);
    }
    stage::guard_output::note_output(call, &message, texts);
    call.end_last_attempt();
    stage::settle::run(call);
    stage::record::run(call);
}

impl Filters {
    /// Some servers number all parallel calls 0: where a frame opens another call under a known index, what is held of
    /// the one before goes out first.
    fn end_calls(&mut self, chunk: &Chunk, vault: &Vault) -> Vec<Bytes> {
        let mut frames = Vec::new();
        for event in &chunk.events {
            let Event::ToolCall { choice, index, id: Some(id), .. } = event else { continue };
            let old = self.calls.insert((*choice, *index), id.clone());
            if old.is_none_or(|old| old == *id) {
                continue;
            }
            let channel = Channel::Arguments(*index);
            let Some(mut filter) = self.by_text.remove(&(*choice, channel)) else { continue };
            let rest = filter.finish(vault);
            if !rest.is_empty() {
                frames.push(answer::channel_frame(&self.pattern, *choice, channel, &rest));
            }
        }
        frames
    }

    fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
