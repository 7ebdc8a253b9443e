//! What the configuration asks to be kept.

use std::time::Duration;

use gauntlet_ports::TraceRow;
use gauntlet_types::{CallRecord, Decision, Environment, Outcome, SpanRecord, TraceId};

/// A trace that still goes on after so many waits is decided as it stands.
pub(super) const WAITS_MAX: u32 = 10;

/// Which texts are kept beyond the moment, and for how long anything is.
#[derive(Clone, Default, Debug)]
pub struct Rules {
    /// None: all texts are kept.
    pub sampling: Option<Sampling>,
    /// By environment, in the order of [`Environment::ALL`].
    pub ages: [Ages; Environment::ALL.len()],
}

impl Rules {
    pub fn retention(&self) -> impl Iterator<Item = (Environment, Ages)> {
        Environment::ALL.into_iter().zip(self.ages)
    }

    /// There is something to do.
    pub fn is_any(&self) -> bool {
        self.sampling.is_some() || self.ages.iter().any(|ages| *ages != Ages::default())
    }
}

/// How long things are kept; none for good.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ages {
    /// Texts: bodies, previews, arguments, attributes.
    pub messages: Option<Duration>,
    /// The rest of a record.
    pub records: Option<Duration>,
}

/// Which texts of ordinary traces are kept. Errors, blocked and flagged calls, slow ones and evals always are.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// Percent of the traces, the same ones at every gateway.
    pub keep_percent: u32,
    /// Calls and spans that took at least so long keep their trace.
    pub slow: Option<Duration>,
    /// A trace is over when nothing of it has happened for so long.
    pub wait: Duration,
}

impl Sampling {
    pub(super) fn keeps(&self, record: &CallRecord) -> bool {
        record.outcome != Outcome::Ok
            || record.decision != Decision::Allow
            || !record.guard.is_empty()
            || record.caller.eval_id.is_some()
            || is_of_experiments(record.caller.environment)
            || self.is_slow(record.latency_us)
    }

    pub(super) fn keeps_row(&self, row: &TraceRow) -> bool {
        row.outcome != Outcome::Ok
            || row.decision != Decision::Allow.as_str()
            || Environment::parse(&row.environment).is_some_and(is_of_experiments)
            || self.is_slow(row.latency_us)
    }

    pub(super) fn keeps_span(&self, span: &SpanRecord) -> bool {
        span.is_error || is_of_experiments(span.caller.environment) || self.is_slow(span.took_us)
    }

    fn is_slow(&self, took_us: u64) -> bool {
        self.slow.is_some_and(|slow| u128::from(took_us) >= slow.as_micros())
    }

    /// By the trace's own id, so that all parts of a trace, at any gateway, have one answer.
    pub(super) fn is_in_share(&self, trace: TraceId) -> bool {
        // Ids may be counted up, and those of version 7 begin with the time: mixed, they are even.
        let mut mixed = (trace.0 ^ (trace.0 >> 64)) as u64;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        mixed % 100 < u64::from(self.keep_percent)
    }
}

/// Whoever compares answers needs all of them.
const fn is_of_experiments(environment: Environment) -> bool {
    matches!(environment, Environment::Eval | Environment::Judge | Environment::Shadow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_even_over_ids_of_any_making() {
        let sampling = Sampling { keep_percent: 20, slow: None, wait: Duration::from_secs(60) };
        let makings: [fn(u128) -> u128; 3] = [
            |n| n,
            |n| (n << 80) | 0x7000_8000_0000_0000_0000,
            |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c),
        ];
        for make in makings {
            let kept = (0..10_000).filter(|n| sampling.is_in_share(TraceId(make(*n)))).count();
            assert!((1_800..2_200).contains(&kept), "{kept} of 10000");
        }
        let all = Sampling { keep_percent: 100, ..sampling };
        let none = Sampling { keep_percent: 0, ..sampling };
        assert!((0..1000).all(|n| all.is_in_share(TraceId(n)) && !none.is_in_share(TraceId(n))));
    }
}
