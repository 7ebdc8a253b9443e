//! A streamed answer on its way: read up to its first token by `attempt`, then guarded and passed on frame by frame,
//! settled and recorded before its last byte.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
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
use gauntlet_types::{Action, Code, Dialect, Direction, Event, Finish, Outcome};
use gauntlet_wire::{
    Edit,
    answer::{Channel, Chunk, End, Extent, Key},
    json::escape,
    seal,
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

/// One filter for each text of each choice.
#[derive(Default)]
struct Filters {
    by_text: BTreeMap<Key, Text>,
    /// The tool calls under way, by choice and index, with their ids.
    calls: BTreeMap<(u32, u32), String>,
    /// Texts of one frame that were changed.
    changed: BTreeSet<Key>,
    /// Texts as they were let through, where the dialect tells them again; else none.
    told: Option<BTreeMap<Key, String>>,
    /// Something was found that must not go on.
    stop: Arc<AtomicBool>,
}

/// A text under way: its filter, and whether what went out is what came in.
struct Text {
    filter: Filter,
    came: Trace,
    went: Trace,
}

/// The hash of a text that comes in pieces, however it is cut (FNV-1a); a seal stands or falls by it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Trace(u64);

impl Trace {
    fn add(&mut self, text: &str) {
        self.0 =
            text.bytes().fold(self.0, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    }
}

impl Default for Trace {
    fn default() -> Trace {
        Trace(0xcbf2_9ce4_8422_2325)
    }
}

impl Text {
    fn push(&mut self, text: &str, vault: &Vault) -> String {
        self.came.add(text);
        let shown = self.filter.push(text, vault);
        self.went.add(&shown);
        shown
    }

    fn finish(&mut self, vault: &Vault) -> String {
        let rest = self.filter.finish(vault);
        self.went.add(&rest);
        rest
    }
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
        let tells_twice = call.dialect() == Dialect::Responses;
        let filters = filter::is_needed(&call)
            .then(|| Filters { told: tells_twice.then(BTreeMap::new), ..Filters::default() });
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
        Answer { status: StatusCode::OK, headers, body: AnswerBody::Stream(body), record: None }
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
            if let Some(last) = self.guarded(&frame, &chunk) {
                self.complete(Some(last));
            }
            return;
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
        let Some(bytes) = self.guarded(&frame, chunk) else { return };
        // As it went out: what was taken out of it must not come back in a frame that ends the stream.
        match bytes.as_ptr() == frame.raw.as_ptr() {
            true => self.live.flow.sent(&frame, chunk),
            false => self.live.flow.sent(&Frame::parse(bytes.clone()), chunk),
        }
        self.emit(bytes);
    }

    /// The frame with the filters' words in place of its own, once what they held back of texts that it ends has gone out;
    /// none where that ended the stream.
    fn guarded(&mut self, frame: &Frame, chunk: &Chunk) -> Option<Bytes> {
        if self.filters.is_none() {
            return Some(frame.raw.clone());
        }
        self.end_calls(chunk);
        let mut edits = self.filtered(frame, chunk)?;
        if self.filters.as_ref().is_some_and(Filters::must_stop) {
            self.block();
            return None;
        }
        for end in &chunk.ends {
            self.flush(*end);
        }
        let repeated = self.repeated(frame, chunk, &edits);
        edits.extend(repeated);
        edits.extend(self.voided(chunk));
        if self.filters.as_ref().is_some_and(Filters::must_stop) {
            self.block();
            return None;
        }
        edits.extend(self.live.flow.renumbered(chunk));
        Some(frame.edited(edits))
    }

    /// The pieces of the frame's texts as they may go on now; what is held back of them comes with a later frame.
    fn filtered(&mut self, frame: &Frame, chunk: &Chunk) -> Option<Vec<Edit>> {
        let (call, filters) = (self.call.as_ref()?, self.filters.as_mut()?);
        let Some(data) = frame.data_bytes() else { return Some(Vec::new()) };
        let mut edits = Vec::new();
        // Of each text the pieces in this frame, and the last of them.
        let mut pieces: BTreeMap<Key, (usize, usize)> = BTreeMap::new();
        for (at, delta) in chunk.texts.iter().enumerate() {
            let (count, last) = pieces.entry(delta.key).or_default();
            (*count, *last) = (*count + 1, at);
        }
        for (at, delta) in chunk.texts.iter().enumerate() {
            let key = delta.key;
            let (count, last) = pieces.get(&key).copied().unwrap_or_default();
            let twice = count > 1;
            // Calls that share a number within one frame are there whole, and have nothing to do with each other.
            let is_whole = delta.extent == Extent::Whole
                || (matches!(key.channel, Channel::Arguments(_)) && twice && delta.extent == Extent::Piece);
            let is_known = filters.by_text.contains_key(&key) || filters.has_told(key);
            if delta.extent == Extent::Repeat && is_known {
                continue;
            }
            let text = gauntlet_wire::text::decode(&data, delta.raw.clone());
            let shown = if is_whole || delta.extent == Extent::Repeat {
                let mut whole = Filter::new(call, key.channel, &filters.stop);
                let shown = whole.push(&text, &call.vault) + &whole.finish(&call.vault);
                if shown != text {
                    filters.changed.insert(key);
                }
                shown
            } else {
                let stop = &filters.stop;
                let under_way = filters.by_text.entry(key).or_insert_with(|| Text {
                    filter: Filter::new(call, key.channel, stop),
                    came: Trace::default(),
                    went: Trace::default(),
                });
                let mut shown = under_way.push(&text, &call.vault);
                // Nothing can go out between the last words and the end that comes with them.
                if last == at && chunk.ends.iter().any(|end| is_ended(*end, key)) {
                    shown.push_str(&under_way.finish(&call.vault));
                }
                shown
            };
            filters.tell(key, &shown);
            if shown != text {
                edits.push(Edit { range: delta.raw.clone(), with: escape(&shown).into() });
            }
        }
        Some(edits)
    }

    /// Texts that the frame tells once more, as they were let through. A server that sent no pieces tells them here for
    /// the first time: those are among the `edits` already.
    fn repeated(&self, frame: &Frame, chunk: &Chunk, edits: &[Edit]) -> Vec<Edit> {
        let Some(filters) = &self.filters else { return Vec::new() };
        let Some(data) = frame.data_bytes() else { return Vec::new() };
        let is_new = |range| edits.iter().all(|edit| edit.range != range);
        let again =
            chunk.texts.iter().filter(|delta| delta.extent == Extent::Repeat && is_new(delta.raw.clone()));
        let edits = again.filter_map(|delta| {
            let told = filters.told.as_ref()?.get(&delta.key)?;
            let text = gauntlet_wire::text::decode(&data, delta.raw.clone());
            (*told != text).then(|| Edit { range: delta.raw.clone(), with: escape(told).into() })
        });
        edits.collect()
    }

    /// Seals of texts that were changed hold no longer.
    fn voided(&mut self, chunk: &Chunk) -> Vec<Edit> {
        let Some(dialect) = self.call.as_ref().map(Call::dialect) else { return Vec::new() };
        let mut edits: Vec<Edit> = Vec::new();
        for sealed in &chunk.seals {
            self.flush_text(sealed.key);
            let Some(filters) = &self.filters else { continue };
            let is_changed = filters.by_text.get(&sealed.key).is_some_and(|text| text.came != text.went)
                || filters.changed.contains(&sealed.key);
            // One seal may hold for several texts.
            if is_changed && !edits.iter().any(|edit| edit.range == sealed.raw) {
                edits.push(Edit::new(sealed.raw.clone(), seal::void(dialect)));
            }
        }
        edits
    }

    fn flush(&mut self, end: End) {
        let Some(filters) = &self.filters else { return };
        let keys: Vec<Key> = filters.by_text.keys().filter(|key| is_ended(end, **key)).copied().collect();
        keys.into_iter().for_each(|key| self.flush_text(key));
    }

    /// What is held back of a text goes out before its end.
    fn flush_text(&mut self, key: Key) {
        let (Some(call), Some(filters)) = (self.call.as_ref(), self.filters.as_mut()) else { return };
        let Some(text) = filters.by_text.get_mut(&key) else { return };
        let rest = text.finish(&call.vault);
        if !rest.is_empty() {
            filters.tell(key, &rest);
            let frame = self.live.flow.piece(key, &rest);
            self.emit(frame);
        }
    }

    /// Some servers number all parallel calls 0: where a frame opens another call under a known index, what is held of
    /// the one before goes out first.
    fn end_calls(&mut self, chunk: &Chunk) {
        for event in &chunk.events {
            let Event::ToolCall { choice, index, id: Some(id), .. } = event else { continue };
            let Some(filters) = self.filters.as_mut() else { return };
            let old = filters.calls.insert((*choice, *index), id.clone());
            if old.is_none_or(|old| old == *id) {
                continue;
            }
            let channel = Channel::Arguments(*index);
            let is_of_it = |key: &&Key| key.choice == *choice && key.channel == channel;
            let keys: Vec<Key> = filters.by_text.keys().filter(is_of_it).copied().collect();
            for key in keys {
                self.flush_text(key);
                self.filters.as_mut().and_then(|filters| filters.by_text.remove(&key));
            }
        }
    }

    /// A guard says stop: the route's own words and a native end take the place of the rest.
    fn block(&mut self) {
        let Some(call) = self.call.as_mut() else { return };
        call.record.outcome = Outcome::Blocked;
        call.record.error = Some(Code::GuardrailBlocked);
        call.record.finish = Some(Finish::ContentFilter);
        let text = call.route.fallback.as_deref().unwrap_or("").to_owned();
        // Taken: what is still held back of the model's words is not to follow ours.
        self.filters = None;
        self.kept = None;
        let mut frames = self.live.flow.close(&text, Finish::ContentFilter);
        let last = frames.pop();
        self.out.extend(frames);
        self.complete(last);
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
        let keys: Vec<Key> =
            self.filters.iter().flat_map(|filters| filters.by_text.keys().copied()).collect();
        keys.into_iter().for_each(|key| self.flush_text(key));
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
        let id = call.record.id.to_string();
        if matches!(stop, Stop::Gone) {
            call.note_gone();
        } else {
            call.refuse(&fault);
            stage::attempt::report(&call, call.current, BreakerEvent::Failed);
        }
        call.note_broken(stop);
        finish(&mut call);
        self.out.extend(self.live.flow.error(&fault, &id));
    }
}

fn is_ended(end: End, key: Key) -> bool {
    match end {
        End::Choice(choice) => key.choice == choice,
        End::Part { choice, part } => key.choice == choice && key.part == part,
    }
}

fn finish(call: &mut Call) {
    call.enter(gauntlet_types::Stage::GuardOutput);
    let message = call.assembler.message_json();
    let texts = stage::guard_output::texts_of(Dialect::Chat, &message);
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
    fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn tell(&mut self, key: Key, text: &str) {
        if let Some(told) = &mut self.told {
            told.entry(key).or_default().push_str(text);
        }
    }

    fn has_told(&self, key: Key) -> bool {
        self.told.as_ref().is_some_and(|told| told.contains_key(&key))
    }
}
