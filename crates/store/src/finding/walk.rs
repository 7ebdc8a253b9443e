//! Putting a page together: the index where it reaches, rows and texts where it does not, until the page is full or looking
//! further would take too long.
//!
//! Calls stand in the order of their arrival (`rid`). What the index has are all calls up to some rid; the tail beyond is
//! walked by rows. A question about texts unpacks those of the tail, and decides by the same words.

use std::time::{Duration, Instant};

use gauntlet_ports::{StoredCall, TraceCursor, TraceFilter, TracePage, TraceRow};
use gauntlet_types::{CallId, Timestamp};

use super::{terms::Wanted, words};

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 1000;
/// A window that takes less is doubled, one that takes four times as long is halved.
const WINDOW_QUICK: Duration = Duration::from_millis(2);
/// Candidates of the index looked at together at first: a page has room for few. Where most of them do not fit, more.
const CANDIDATES_FIRST: usize = 256;
/// Rows walked at once where there is no index: some 5 ms.
const ROWS_AT_ONCE: i64 = 4 * 1024;
/// Calls unpacked at once: one or two blocks.
const TEXTS_AT_ONCE: i64 = 32;
/// What a window costs besides its candidates, in rows: what an index does to find nothing cannot be counted from outside, so
/// that time alone decides after each.
const WINDOW_COST: usize = 4 * 1024;
/// What a call's texts cost to look at, in rows.
const TEXTS_COST: u32 = 32;

/// How long a question looks before it answers with how far it came.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub time: Duration,
    /// Rows looked at in any case, so that a busy machine cannot make pages of nothing.
    pub rows_min: u32,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { time: Duration::from_millis(30), rows_min: 4 * 1024 }
    }
}

/// Rids from one to another, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub first: i64,
    pub last: i64,
}

impl Span {
    pub(crate) fn is_empty(self) -> bool {
        self.first > self.last
    }

    pub(crate) fn and(self, other: Span) -> Span {
        Span { first: self.first.max(other.first), last: self.last.min(other.last) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    NewestFirst,
    OldestFirst,
}

impl Order {
    /// Up to `count` rids of a span, those that come first, and never across a multiple of `split`.
    fn next(self, span: Span, count: i64, split: i64) -> Span {
        match self {
            Order::NewestFirst => {
                let border = span.last.div_euclid(split) * split;
                Span { first: span.first.max(border).max(span.last.saturating_sub(count - 1)), ..span }
            }
            Order::OldestFirst => {
                let border = span.first.div_euclid(split) * split + (split - 1);
                Span { last: span.last.min(border).min(span.first.saturating_add(count - 1)), ..span }
            }
        }
    }

    /// What is left of a span after everything up to `rid` was looked at.
    fn beyond(self, span: Span, rid: i64) -> Span {
        match self {
            Order::NewestFirst => Span { last: rid.saturating_sub(1), ..span },
            Order::OldestFirst => Span { first: rid.saturating_add(1), ..span },
        }
    }

    /// The last rid looked at of a span that was looked through.
    fn end(self, span: Span) -> i64 {
        match self {
            Order::NewestFirst => span.first,
            Order::OldestFirst => span.last,
        }
    }
}

/// A database, with the conditions on rows of one question.
pub(crate) trait Source {
    type Error;
    /// Windows of the index do not reach across multiples of this.
    const SPLIT: i64;
    /// Rids asked of the index at first, and at most; more while that costs little.
    const WINDOW_FIRST: i64;
    const WINDOW_MAX: i64;
    /// Candidates looked at together at most.
    const CANDIDATES_MAX: usize;

    /// The newest rid, and up to which the index reaches; 0 for none.
    fn ends(&mut self) -> Result<(i64, i64), Self::Error>;
    /// The rid of a call.
    fn place(&mut self, id: CallId) -> Result<Option<i64>, Self::Error>;
    /// The rid of the last call that began by then, 0 for none.
    fn place_at(&mut self, at: Timestamp) -> Result<i64, Self::Error>;
    /// Where in the index calls of a span of time may be.
    fn reach(&mut self, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Span, Self::Error>;
    /// Calls that the index says may fit, in order, at most `most` of them, and whether their words do for certain.
    fn candidates(
        &mut self,
        wanted: &Wanted,
        span: Span,
        order: Order,
        most: usize,
    ) -> Result<Vec<(i64, bool)>, Self::Error>;
    /// Those of the rows that fit, in any order.
    fn rows(&mut self, rids: &[i64]) -> Result<Vec<TraceRow>, Self::Error>;
    /// Rows of a span that fit, in order, at most `most` of them.
    fn walk(&mut self, span: Span, order: Order, most: usize) -> Result<Vec<TraceRow>, Self::Error>;
    /// The whole calls of some rids, with these.
    fn calls(&mut self, rids: &[i64]) -> Result<Vec<(i64, StoredCall)>, Self::Error>;
    /// When the first call from some rid on began.
    fn began(&mut self, rid: i64) -> Result<Option<Timestamp>, Self::Error>;
}

pub(crate) fn limit_of(filter: &TraceFilter) -> usize {
    match filter.limit {
        0 => LIMIT_DEFAULT as usize,
        limit => limit.min(LIMIT_MAX) as usize,
    }
}

pub(crate) fn find<S: Source>(
    source: &mut S,
    filter: &TraceFilter,
    patience: Patience,
) -> Result<TracePage, S::Error> {
    let (newest, indexed) = source.ends()?;
    let mut span = Span { first: 1, last: newest };
    if let Some(before) = filter.before {
        span = Order::NewestFirst.beyond(span, place(source, before, 1)?);
    }
    if let Some(after) = filter.after {
        span = span.and(Order::OldestFirst.beyond(span, place(source, after, 0)?));
    }
    if let Some(id) = filter.id {
        let Some(rid) = source.place(id)? else { return Ok(TracePage::default()) };
        span = span.and(Span { first: rid, last: rid });
    }
    let tail = span.and(Span { first: indexed + 1, last: newest });
    let mut reach = span.and(Span { first: 1, last: indexed });
    if filter.since.is_some() || filter.until.is_some() {
        reach = reach.and(source.reach(filter.since, filter.until)?);
    }
    let order = if filter.after.is_some() { Order::OldestFirst } else { Order::NewestFirst };
    let mut walk = Walk {
        source,
        filter,
        wanted: Wanted::of(filter),
        order,
        limit: limit_of(filter),
        patience,
        began: Instant::now(),
        looked: 0,
        rows: Vec::new(),
        stopped: None,
    };
    match order {
        Order::NewestFirst => {
            walk.tail(tail)?;
            walk.reach(reach)?;
        }
        Order::OldestFirst => {
            walk.reach(reach)?;
            walk.tail(tail)?;
        }
    }
    walk.page()
}

/// A call that is not there any more: ids of version 7 tell when it began. `beyond` is added where that stands for what
/// comes after it.
fn place<S: Source>(source: &mut S, cursor: TraceCursor, beyond: i64) -> Result<i64, S::Error> {
    match cursor {
        TraceCursor::Seq(seq) => Ok(seq),
        TraceCursor::Call(id) => match source.place(id)? {
            Some(rid) => Ok(rid),
            None => {
                let millis = (id.0.as_u128() >> 80) as i64;
                Ok(source.place_at(Timestamp(millis.saturating_mul(1000)))? + beyond)
            }
        },
    }
}

struct Walk<'a, S: Source> {
    source: &'a mut S,
    filter: &'a TraceFilter,
    wanted: Wanted,
    order: Order,
    limit: usize,
    patience: Patience,
    began: Instant,
    /// In rows.
    looked: u32,
    /// One more than the limit says that the list goes on.
    rows: Vec<TraceRow>,
    /// Up to where was looked when patience ran out.
    stopped: Option<i64>,
}

impl<S: Source> Walk<'_, S> {
    fn is_over(&self) -> bool {
        self.rows.len() > self.limit || self.stopped.is_some()
    }

    /// Notes that all up to `rid` was looked at, and says what is left of the span.
    fn passed(&mut self, span: Span, rid: i64, looked: usize) -> Span {
        self.looked = self.looked.saturating_add(u32::try_from(looked).unwrap_or(u32::MAX));
        let rest = self.order.beyond(span, rid);
        if self.rows.len() <= self.limit
            && self.looked >= self.patience.rows_min
            && self.began.elapsed() >= self.patience.time
        {
            self.stopped = Some(rid);
        }
        rest
    }

    /// Rows that no index has.
    fn tail(&mut self, mut span: Span) -> Result<(), S::Error> {
        let with_texts = !self.wanted.text.is_empty() || self.filter.tag.is_some();
        let count = if with_texts { TEXTS_AT_ONCE } else { ROWS_AT_ONCE };
        while !span.is_empty() && !self.is_over() {
            let some = self.order.next(span, count, i64::MAX);
            let wanted = if with_texts { count as usize } else { self.limit + 1 - self.rows.len() };
            let mut rows = self.source.walk(some, self.order, wanted)?;
            let mut looked = (some.last - some.first + 1) as usize;
            if with_texts {
                looked += rows.len() * TEXTS_COST as usize;
                self.keep_by_texts(&mut rows, true)?;
            }
            self.rows.append(&mut rows);
            span = self.passed(span, self.order.end(some), looked);
        }
        Ok(())
    }

    fn reach(&mut self, mut span: Span) -> Result<(), S::Error> {
        if self.wanted.is_anything() {
            return self.tail(span);
        }
        let (mut count, mut most) = (S::WINDOW_FIRST, CANDIDATES_FIRST);
        while !span.is_empty() && !self.is_over() {
            let began = Instant::now();
            let window = self.order.next(span, count, S::SPLIT);
            let found = self.source.candidates(&self.wanted, window, self.order, most)?;
            if !found.is_empty() {
                let rids: Vec<i64> = found.iter().map(|(rid, _)| *rid).collect();
                let mut rows = self.source.rows(&rids)?;
                self.sort(&mut rows);
                let unsure: Vec<i64> =
                    found.iter().filter(|(_, is_sure)| !is_sure).map(|(rid, _)| *rid).collect();
                if self.filter.tag.is_some() {
                    self.keep_by_texts(&mut rows, !unsure.is_empty())?;
                } else if !unsure.is_empty() {
                    let (mut asked, sure): (Vec<_>, Vec<_>) =
                        rows.into_iter().partition(|row| unsure.contains(&row.seq));
                    self.keep_by_texts(&mut asked, true)?;
                    asked.extend(sure);
                    rows = asked;
                    self.sort(&mut rows);
                }
                self.rows.append(&mut rows);
            }
            let end = match found.last() {
                Some((last, _)) if found.len() >= most => {
                    most = (most * 4).min(S::CANDIDATES_MAX);
                    *last
                }
                _ => self.order.end(window),
            };
            span = self.passed(span, end, found.len() + WINDOW_COST);
            let took = began.elapsed();
            if took < WINDOW_QUICK {
                count = (count * 2).min(S::WINDOW_MAX);
            } else if took > 4 * WINDOW_QUICK {
                count = (count / 2).max(S::WINDOW_FIRST);
            }
        }
        Ok(())
    }

    fn sort(&self, rows: &mut [TraceRow]) {
        match self.order {
            Order::NewestFirst => rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.seq)),
            Order::OldestFirst => rows.sort_unstable_by_key(|row| row.seq),
        }
    }

    /// Keeps the rows whose call has the tag and, where no index said so, the words.
    fn keep_by_texts(&mut self, rows: &mut Vec<TraceRow>, by_words: bool) -> Result<(), S::Error> {
        let rids: Vec<i64> = rows.iter().map(|row| row.seq).collect();
        let calls = self.source.calls(&rids)?;
        rows.retain(|row| {
            let call = calls.iter().find(|(rid, _)| *rid == row.seq);
            call.is_some_and(|(_, call)| {
                let has_tag = |tag: &String| call.record.caller.tags.iter().any(|have| **have == **tag);
                self.filter.tag.as_ref().is_none_or(has_tag)
                    && (!by_words
                        || self.wanted.text.is_empty()
                        || self.wanted.text.fits(&words::of_call(call)))
            })
        });
        Ok(())
    }

    fn page(mut self) -> Result<TracePage, S::Error> {
        let goes_on = self.rows.len() > self.limit;
        self.rows.truncate(self.limit);
        let mut page = TracePage { rows: self.rows, ..TracePage::default() };
        if goes_on {
            page.next = page.rows.last().map(|row| TraceCursor::Seq(row.seq));
        } else if let Some(rid) = self.stopped {
            page.next = Some(TraceCursor::Seq(rid));
            page.looked_back_to = self.source.began(rid)?;
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_a_span_and_keep_to_their_borders() {
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let mut span = Span { first: 3, last: 57 };
            let mut seen = Vec::new();
            while !span.is_empty() {
                let window = order.next(span, 7, 10);
                assert_eq!(window.first / 10, window.last / 10, "{window:?}");
                seen.extend(window.first..=window.last);
                span = order.beyond(span, order.end(window));
            }
            seen.sort_unstable();
            assert_eq!(seen, (3..=57).collect::<Vec<_>>());
        }
        let all = Span { first: 1, last: i64::MAX };
        assert_eq!(Order::NewestFirst.next(all, 5, i64::MAX).last, i64::MAX);
    }
}
