//! Which minutes are kept: those of two days before the newest call, so that a page can show how the last hour goes.
//!
//! The store has no clock; its time is that of the calls it is given. A writer remembers the newest one since it began, not
//! since ever: after a call of a clock that was wrong by years, a restart is enough to count minutes again.

use std::{ops::Range, time::Duration};

use gauntlet_ports::Arrived;
use gauntlet_types::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::append::Charged;
use crate::time;

/// Two days: today and yesterday, whatever the reader's time zone. Kept as long as hours are, minutes would soon be most of
/// the store, and nobody asks about a minute of last month.
const KEPT: Duration = Duration::from_secs(48 * 3600);
/// To remove is two statements and a page or two of index each time; once an hour of the calls' time, nobody notices them.
const REMOVED_EVERY: Duration = Duration::from_secs(3600);
/// What one batch removes, counted from the oldest minute that has calls: what came in an hour. After days of rest the next
/// batches share the work, so that none is held up by all of it.
const REMOVED_AT_ONCE: Duration = Duration::from_secs(3600);

/// What a writer knows of the minutes. Only batches of a gateway's own calls move it on: a clock elsewhere would take this one's
/// minutes away.
#[derive(Default, Debug)]
pub(crate) struct Minutes {
    newest: Option<Timestamp>,
    /// The newest minute when some were last removed.
    looked: Option<Timestamp>,
    more: bool,
}

/// Whether there is more to remove.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    Nothing,
    More,
}

impl Minutes {
    /// The minutes that a batch is counted in. `newest_kept` finds the newest minute in the store.
    pub(crate) fn span<E>(
        &mut self,
        batch: Arrived<'_>,
        charged: Charged,
        newest_kept: impl FnOnce() -> Result<Option<Timestamp>, E>,
    ) -> Result<Range<Timestamp>, E> {
        let newest = match charged {
            Charged::Yes => {
                let latest = batch.calls.iter().map(|call| call.record.started).max();
                self.newest = self.newest.max(latest.map(|at| time::within_calendar(at).minute_start()));
                self.newest
            }
            // Calls from elsewhere are counted around what is there, on both sides: they can be of any time.
            Charged::No if self.newest.is_none() => newest_kept()?,
            Charged::No => self.newest,
        };
        let none = Timestamp(0)..Timestamp(0);
        Ok(newest.map_or(none, |newest| newest.minus(KEPT)..newest.plus(KEPT)))
    }

    /// Before which minutes are to be removed, when it is time to.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let newest = self.newest?;
        let is_due = self.more || self.looked.is_none_or(|looked| newest >= looked.plus(REMOVED_EVERY));
        is_due.then(|| newest.minus(KEPT))
    }

    /// To be told once a removal is certain.
    pub(crate) fn removed(&mut self, left: Left) {
        self.looked = self.newest;
        self.more = left == Left::More;
    }
}

/// Before which minutes this batch removes, of those before `end`.
pub(crate) fn portion(oldest: Option<Timestamp>, end: Timestamp) -> Option<(Timestamp, Left)> {
    let oldest = oldest.filter(|oldest| *oldest < end)?;
    let until = oldest.plus(REMOVED_AT_ONCE);
    Some(if until < end { (until, Left::More) } else { (end, Left::Nothing) })
}

pub(crate) fn newest_kept(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    one(connection, "select max(minute) from rollup_minute")
}

/// Removes a portion of the minutes before `end`.
pub(crate) fn remove(connection: &Connection, end: Timestamp) -> rusqlite::Result<Left> {
    let oldest = one(connection, "select min(minute) from rollup_minute")?;
    let Some((until, left)) = portion(oldest, end) else { return Ok(Left::Nothing) };
    let until = time::minute(until);
    connection.execute("delete from latency_minute where minute < ?1", params![until])?;
    connection.execute("delete from rollup_minute where minute < ?1", params![until])?;
    Ok(left)
}

fn one(connection: &Connection, sql: &str) -> rusqlite::Result<Option<Timestamp>> {
    let shown: Option<Option<String>> =
        connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(shown.flatten().and_then(|shown| time::parse(&shown)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::sample;

    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(sample::START.minute_start().0 + seconds * 1_000_000)
    }

    fn span(minutes: &mut Minutes, charged: Charged, seconds: i64) -> Range<Timestamp> {
        let call = sample::call(0, seconds);
        let nothing_kept = || Ok::<_, std::convert::Infallible>(None);
        minutes.span(Arrived::calls(&[call]), charged, nothing_kept).unwrap()
    }

    #[test]
    fn the_newest_call_of_this_gateway_says_what_is_kept() {
        let mut minutes = Minutes::default();
        assert!(span(&mut minutes, Charged::No, 0).is_empty(), "nobody knows yet what is new");
        assert_eq!(span(&mut minutes, Charged::Yes, 0), at(-48 * HOUR)..at(48 * HOUR));
        assert_eq!(span(&mut minutes, Charged::Yes, -90 * HOUR), at(-48 * HOUR)..at(48 * HOUR));
        assert_eq!(span(&mut minutes, Charged::No, 900 * HOUR), at(-48 * HOUR)..at(48 * HOUR));
        assert_eq!(span(&mut minutes, Charged::Yes, HOUR), at(-47 * HOUR)..at(49 * HOUR));
        let kept = Minutes::default().span(Arrived::default(), Charged::No, || Err("asked"));
        assert_eq!(kept, Err("asked"), "the store is asked where the writer does not know");
    }

    #[test]
    fn minutes_are_removed_once_an_hour_or_while_there_are_more() {
        let mut minutes = Minutes::default();
        assert_eq!(minutes.due(), None);
        span(&mut minutes, Charged::Yes, 0);
        assert_eq!(minutes.due(), Some(at(-48 * HOUR)));
        minutes.removed(Left::More);
        assert_eq!(minutes.due(), Some(at(-48 * HOUR)));
        minutes.removed(Left::Nothing);
        assert_eq!(minutes.due(), None);
        span(&mut minutes, Charged::Yes, HOUR - 60);
        assert_eq!(minutes.due(), None);
        span(&mut minutes, Charged::Yes, HOUR);
        assert_eq!(minutes.due(), Some(at(-47 * HOUR)));
    }

    #[test]
    fn a_batch_removes_an_hour_of_them_at_most() {
        let check = |oldest: Option<i64>, wanted| assert_eq!(portion(oldest.map(at), at(0)), wanted);
        check(None, None);
        check(Some(0), None);
        check(Some(60), None);
        check(Some(-60), Some((at(0), Left::Nothing)));
        check(Some(-HOUR), Some((at(0), Left::Nothing)));
        check(Some(-9 * HOUR), Some((at(-8 * HOUR), Left::More)));
    }
}
