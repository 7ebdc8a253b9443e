//! What is kept of calls and spans, and for how long: tail sampling of their texts, and retention.
//!
//! A job reads what is stored in the order of arrival, a page at a time, cuts what should go and notes how far it came, so
//! that a process that dies goes on where it was. Counts, cost and percentiles come from sums that are not touched.
//!
//! Sampling looks at a whole trace once it is over: an answer that led to an error later is kept with the error.

mod rules;

use std::{collections::HashMap, sync::Arc};

use gauntlet_ports::{
    Cut, RecordCursor, RecordQuery, SpanFilter, SpanRow, StoreError, TraceFilter, TraceStore,
};
use gauntlet_types::{CallRecord, Environment, TextsGone, Timestamp, TraceId};

pub use rules::{Ages, Rules, Sampling};

/// Calls or spans of one transaction: some 15 blocks, so a batch waits for milliseconds.
const PAGE: u32 = 512;
/// Pages of a job at once; what is left comes with the next pass.
const PAGES_PER_PASS: u32 = 64;
/// Calls and spans of one trace that are looked at for a reason to keep it.
const TRACE_MAX: usize = 1000;
/// Of a clock this far ahead nobody knows what it means.
const AHEAD_MAX: std::time::Duration = std::time::Duration::from_secs(86_400);

/// What a pass has done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Kept {
    /// Calls and spans that lost their texts.
    pub cut: u64,
    /// Calls and spans that went whole.
    pub removed: u64,
    /// There is more to do at once.
    pub is_more: bool,
}

/// Runs the jobs; see the module.
pub struct Keeper {
    store: Arc<dyn TraceStore>,
}

/// What a job does with a page.
enum Paged {
    /// All of it was looked at.
    Done,
    /// Something in it is too young to be decided: the page comes again.
    TooYoung,
}

impl Keeper {
    pub fn new(store: Arc<dyn TraceStore>) -> Keeper {
        Keeper { store }
    }

    /// One pass of every job that the rules ask for.
    pub fn pass(&self, rules: &Rules, now: Timestamp) -> Result<Kept, StoreError> {
        let mut kept = Kept::default();
        if let Some(sampling) = &rules.sampling {
            let mut sampler = Sampler { store: &*self.store, sampling, now, traces: HashMap::new() };
            self.over_calls("sample", &mut kept, |calls, cuts| sampler.calls(calls, cuts))?;
            self.over_spans("sample_spans", &mut kept, |spans, cuts| sampler.spans(spans, cuts))?;
        }
        for (environment, ages) in rules.retention() {
            let name = environment.as_str();
            if let Some(age) = ages.messages {
                let old =
                    Old { environment, before: now.minus(age), now, cut: Cut::Texts(TextsGone::Expired) };
                self.over_calls(&format!("messages:{name}"), &mut kept, |calls, cuts| {
                    Ok(old.calls(calls, cuts))
                })?;
                self.over_spans(&format!("span_messages:{name}"), &mut kept, |spans, cuts| {
                    Ok(old.spans(spans, cuts))
                })?;
            }
            if let Some(age) = ages.records {
                let old = Old { environment, before: now.minus(age), now, cut: Cut::Whole };
                self.over_calls(&format!("records:{name}"), &mut kept, |calls, cuts| {
                    Ok(old.calls(calls, cuts))
                })?;
                self.over_spans(&format!("span_records:{name}"), &mut kept, |spans, cuts| {
                    Ok(old.spans(spans, cuts))
                })?;
            }
        }
        if kept.cut + kept.removed > 0 {
            self.store.shrink(false)?;
        }
        Ok(kept)
    }

    fn over_calls(
        &self,
        job: &str,
        kept: &mut Kept,
        mut look: impl FnMut(&[CallRecord], &mut Vec<(gauntlet_types::CallId, Cut)>) -> Result<Paged, StoreError>,
    ) -> Result<(), StoreError> {
        let newest = self.store.record_newest()?;
        let mut at = self.store.progress(job)?;
        let query = RecordQuery {
            from: Timestamp(i64::MIN),
            to: Timestamp(i64::MAX),
            without_texts: true,
            newest: 0,
        };
        for _ in 0..PAGES_PER_PASS {
            if at >= newest {
                return Ok(());
            }
            let cursor = RecordCursor { next: at + 1, last: newest };
            let page = self.store.record_page(&query, Some(cursor), PAGE)?;
            let records: Vec<CallRecord> = page.calls.into_iter().map(|call| call.record).collect();
            let mut cuts = Vec::new();
            let paged = look(&records, &mut cuts)?;
            if !cuts.is_empty() {
                count(kept, cuts[0].1, self.store.cut(&cuts)?);
            }
            if let Paged::TooYoung = paged {
                return Ok(());
            }
            at = page.next.map_or(newest, |next| next.next - 1);
            self.store.progress_set(job, at)?;
        }
        kept.is_more |= at < newest;
        Ok(())
    }

    fn over_spans(
        &self,
        job: &str,
        kept: &mut Kept,
        mut look: impl FnMut(&[SpanRow], &mut Vec<(i64, Cut)>) -> Result<Paged, StoreError>,
    ) -> Result<(), StoreError> {
        let mut at = self.store.progress(job)?;
        for _ in 0..PAGES_PER_PASS {
            let page = self.store.span_page(at, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            let mut cuts = Vec::new();
            let paged = look(&page, &mut cuts)?;
            if !cuts.is_empty() {
                count(kept, cuts[0].1, self.store.span_cut(&cuts)?);
            }
            if let Paged::TooYoung = paged {
                return Ok(());
            }
            at = last.seq;
            self.store.progress_set(job, at)?;
        }
        kept.is_more = true;
        Ok(())
    }
}

/// Cuts of a page are all of one kind.
fn count(kept: &mut Kept, cut: Cut, changed: u64) {
    match cut {
        Cut::Texts(_) => kept.cut += changed,
        Cut::Whole => kept.removed += changed,
    }
}

/// What of one environment is older than it is kept.
struct Old {
    environment: Environment,
    before: Timestamp,
    now: Timestamp,
    cut: Cut,
}

impl Old {
    fn calls(&self, calls: &[CallRecord], cuts: &mut Vec<(gauntlet_types::CallId, Cut)>) -> Paged {
        let mut times = Times::new(self, calls.iter().map(|record| record.started));
        for record in calls.iter().filter(|record| record.caller.environment == self.environment) {
            if times.is_old(record.started) && (self.cut == Cut::Whole || record.texts_gone.is_none()) {
                cuts.push((record.id, self.cut));
            }
        }
        times.paged
    }

    fn spans(&self, spans: &[SpanRow], cuts: &mut Vec<(i64, Cut)>) -> Paged {
        let mut times = Times::new(self, spans.iter().map(|row| row.record.started));
        for row in spans.iter().filter(|row| row.record.caller.environment == self.environment) {
            if times.is_old(row.record.started) {
                cuts.push((row.seq, self.cut));
            }
        }
        times.paged
    }
}

/// Times of a page, of which some may be from a clock that is far ahead: those count as the newest of the others, so that
/// they neither stop a job for ever nor stay for ever.
struct Times<'a> {
    old: &'a Old,
    newest: Timestamp,
    paged: Paged,
}

impl<'a> Times<'a> {
    fn new(old: &'a Old, times: impl Iterator<Item = Timestamp>) -> Times<'a> {
        let end = old.now.plus(AHEAD_MAX);
        let newest = times.filter(|time| *time <= end).max().unwrap_or(Timestamp(i64::MIN));
        Times { old, newest, paged: Paged::Done }
    }

    fn is_old(&mut self, started: Timestamp) -> bool {
        let is_old = started.min(self.newest) < self.old.before;
        if !is_old {
            self.paged = Paged::TooYoung;
        }
        is_old
    }
}

/// What is to become of a trace's texts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Keep,
    Cut,
    /// Something of it happened a moment ago.
    Open,
}

/// Decides page by page, with a memory of the traces it has seen in this pass.
struct Sampler<'a> {
    store: &'a dyn TraceStore,
    sampling: &'a Sampling,
    now: Timestamp,
    traces: HashMap<TraceId, Verdict>,
}

impl Sampler<'_> {
    fn calls(
        &mut self,
        calls: &[CallRecord],
        cuts: &mut Vec<(gauntlet_types::CallId, Cut)>,
    ) -> Result<Paged, StoreError> {
        let mut wanted = Vec::new();
        for record in calls.iter().filter(|record| record.texts_gone.is_none()) {
            // A call that began its trace here has nobody else in it.
            let verdict = match record.parent_span_id {
                _ if self.sampling.keeps(record) => Verdict::Keep,
                None => self.of_share(record.trace_id),
                Some(_) => self.of_trace(record.trace_id, record.started)?,
            };
            match verdict {
                Verdict::Keep => {}
                Verdict::Cut => wanted.push((record.id, Cut::Texts(TextsGone::Sampled))),
                Verdict::Open => return Ok(Paged::TooYoung),
            }
        }
        cuts.append(&mut wanted);
        Ok(Paged::Done)
    }

    fn spans(&mut self, spans: &[SpanRow], cuts: &mut Vec<(i64, Cut)>) -> Result<Paged, StoreError> {
        let mut wanted = Vec::new();
        for row in spans {
            match self.of_trace(row.record.trace_id, row.record.started)? {
                Verdict::Keep => {}
                Verdict::Cut => wanted.push((row.seq, Cut::Texts(TextsGone::Sampled))),
                Verdict::Open => return Ok(Paged::TooYoung),
            }
        }
        cuts.append(&mut wanted);
        Ok(Paged::Done)
    }

    fn of_share(&self, trace: TraceId) -> Verdict {
        if self.sampling.is_in_share(trace) { Verdict::Keep } else { Verdict::Cut }
    }

    /// A trace is over when nothing of it has happened for a while; one that never ends is decided all the same.
    fn of_trace(&mut self, trace: TraceId, started: Timestamp) -> Result<Verdict, StoreError> {
        if let Some(known) = self.traces.get(&trace) {
            return Ok(*known);
        }
        let filter = TraceFilter { trace_id: Some(trace), ..TraceFilter::default() };
        let (calls, _) = self.store.trace_rows(&filter, TRACE_MAX)?;
        let filter = SpanFilter {
            trace_id: Some(trace),
            // What began so long before is decided by itself, and a bound spares a look at every span there is.
            since: Some(started.minus(self.sampling.wait * rules::WAITS_MAX)),
            limit: TRACE_MAX as u32,
            ..SpanFilter::default()
        };
        let spans = self.store.span_find(&filter)?;
        let is_kept = calls.iter().any(|row| self.sampling.keeps_row(row))
            || spans.iter().any(|row| self.sampling.keeps_span(&row.record));
        let call_ends = calls.iter().map(|row| end(row.started, row.latency_us));
        let span_ends = spans.iter().map(|row| end(row.record.started, row.record.took_us));
        let last = call_ends.chain(span_ends).max().unwrap_or(started);
        let is_quiet = last < self.now.minus(self.sampling.wait);
        let is_ancient = started < self.now.minus(self.sampling.wait * rules::WAITS_MAX);
        let verdict = match () {
            () if is_kept => Verdict::Keep,
            () if is_quiet || is_ancient => self.of_share(trace),
            () => Verdict::Open,
        };
        self.traces.insert(trace, verdict);
        Ok(verdict)
    }
}

fn end(started: Timestamp, took_us: u64) -> Timestamp {
    Timestamp(started.0.saturating_add_unsigned(took_us))
}
