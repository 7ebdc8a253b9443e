//! The terms of a call: one for each thing that a filter can ask for, beside the words of its texts.
//!
//! A term is a letter for its kind and a hash of the value, so that any text is one term. The row itself decides, so a
//! collision costs a look and never a wrong answer. Terms are on disk: neither letters nor hash nor steps ever change.

use gauntlet_ports::TraceFilter;
use gauntlet_types::{CallRecord, NanoUsd};

use super::text::TextQuery;
use crate::traces::rollup::model_of;

/// Stands in every call, for questions that only say what shall not be there.
pub(crate) const EVERY: &str = "z";
/// Steps of cost and latency: two to an octave of an i64.
const STEPS: u32 = 126;
/// Steps of a stair: ranges ask for whole stairs where they can, since each term that is asked for costs.
const STAIR: u32 = 8;

/// The terms of a call, each once.
pub(crate) fn of_record(record: &CallRecord) -> Vec<String> {
    let (caller, prompt, target) = (&record.caller, record.prompt.as_ref(), record.target.as_ref());
    let mut terms = vec![
        EVERY.to_owned(),
        term('t', &caller.tenant),
        term('r', &record.route),
        term('m', &record.model_asked),
        term('m', model_of(record)),
        term('e', caller.environment.as_str()),
        term('o', record.outcome.as_str()),
        term('d', record.decision.as_str()),
        term('c', record.cache.as_str()),
        term('h', &record.status.to_string()),
        term('y', &record.trace_id.to_string()),
    ];
    for (kind, step) in [('b', cost_step(record.cost)), ('w', step(record.latency_us))] {
        terms.extend([step_term(kind, step), stair_term(kind, step / STAIR)]);
    }
    let maybe = [
        ('g', caller.team.as_deref()),
        ('u', caller.user.as_deref()),
        ('s', caller.session.as_deref()),
        ('k', caller.key.as_deref()),
        ('i', caller.eval_id.as_deref()),
        ('a', caller.app_sha.as_deref()),
        ('p', target.map(|target| &*target.provider)),
        ('x', record.error.map(|code| code.as_str())),
        ('n', prompt.map(|prompt| &*prompt.name)),
        ('v', prompt.map(|prompt| &*prompt.version)),
    ];
    terms.extend(maybe.into_iter().filter_map(|(kind, value)| value.map(|value| term(kind, value))));
    terms.extend(caller.tags.iter().map(|tag| term('l', tag)));
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// What an index is asked for: of each group at least one term, and the words.
#[derive(Default, Debug)]
pub(crate) struct Wanted {
    pub groups: Vec<Vec<String>>,
    pub text: TextQuery,
}

impl Wanted {
    pub(crate) fn of(filter: &TraceFilter) -> Wanted {
        let text = filter.text.as_deref().map(TextQuery::parse).unwrap_or_default();
        let status = filter.status.map(|status| status.to_string());
        let trace_id = filter.trace_id.map(|id| id.to_string());
        let outcome = filter.outcome.map(|outcome| outcome.as_str());
        let values = [
            ('t', filter.tenant.as_deref()),
            ('g', filter.team.as_deref()),
            ('u', filter.user.as_deref()),
            ('s', filter.session.as_deref()),
            ('r', filter.route.as_deref()),
            ('m', filter.model.as_deref()),
            ('p', filter.provider.as_deref()),
            ('k', filter.key.as_deref()),
            ('l', filter.tag.as_deref()),
            ('e', filter.environment.as_deref()),
            ('o', outcome),
            ('h', status.as_deref()),
            ('x', filter.error.as_deref()),
            ('d', filter.decision.as_deref()),
            ('c', filter.cache.as_deref()),
            ('n', filter.prompt_name.as_deref()),
            ('v', filter.prompt_version.as_deref()),
            ('i', filter.eval_id.as_deref()),
            ('a', filter.app_sha.as_deref()),
            ('y', trace_id.as_deref()),
        ];
        let mut groups: Vec<Vec<String>> = values
            .into_iter()
            .filter_map(|(kind, value)| value.map(|value| vec![term(kind, value)]))
            .collect();
        let us = |ms: u64| step(ms.saturating_mul(1000));
        groups.extend(between('b', filter.cost_min.map(cost_step), filter.cost_max.map(cost_step)));
        groups.extend(between('w', filter.latency_ms_min.map(us), filter.latency_ms_max.map(us)));
        if groups.is_empty() && text.wanted.is_empty() && !text.unwanted.is_empty() {
            groups.push(vec![EVERY.to_owned()]);
        }
        Wanted { groups, text }
    }

    pub(crate) fn is_anything(&self) -> bool {
        self.groups.is_empty() && self.text.is_empty()
    }
}

fn term(kind: char, value: &str) -> String {
    format!("{kind}{:016x}", hash(value))
}

/// FNV-1a, 64 bits. Not keyed: the worst a collision does is a wasted look.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn step_term(kind: char, step: u32) -> String {
    format!("{kind}{step}")
}

fn stair_term(kind: char, stair: u32) -> String {
    format!("{kind}s{stair}")
}

/// Half an octave: 0 for 0, then the number's highest bit and the one below it.
fn step(number: u64) -> u32 {
    match number.checked_ilog2() {
        None => 0,
        Some(0) => 1,
        Some(high) => (2 * high + ((number >> (high - 1)) & 1) as u32).min(STEPS),
    }
}

fn cost_step(NanoUsd(nano): NanoUsd) -> u32 {
    step(u64::try_from(nano).unwrap_or(0))
}

/// The steps that a range touches. The whole range is no condition for an index.
fn between(kind: char, least: Option<u32>, most: Option<u32>) -> Option<Vec<String>> {
    let range = least.unwrap_or(0)..=most.unwrap_or(STEPS);
    if range == (0..=STEPS) {
        return None;
    }
    // A range the wrong way round finds nothing by a step that no call has.
    if range.is_empty() {
        return Some(vec![step_term(kind, STEPS + 1)]);
    }
    let (mut at, end) = range.into_inner();
    let mut terms = Vec::new();
    while at <= end {
        let is_whole = at.is_multiple_of(STAIR) && (at + STAIR - 1).min(STEPS) <= end;
        let (term, steps) =
            if is_whole { (stair_term(kind, at / STAIR), STAIR) } else { (step_term(kind, at), 1) };
        terms.push(term);
        at += steps;
    }
    Some(terms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_disk_never_changes() {
        assert_eq!(term('t', "foobar"), "t85944171f73967e8");
        assert_eq!(term('u', ""), "ucbf29ce484222325");
        let steps: Vec<u32> = [0, 1, 2, 3, 4, 6, 1_000, 1_000_000, u64::MAX].map(step).to_vec();
        assert_eq!(steps, [0, 1, 2, 3, 4, 5, 19, 39, 126]);
    }

    #[test]
    fn steps_rise_with_their_numbers() {
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..10_000 {
            let (one, other) = (rng.u64(..) >> rng.u32(0..64), rng.u64(..) >> rng.u32(0..64));
            assert!(one > other || step(one) <= step(other), "{one} {other}");
        }
    }

    #[test]
    fn a_range_asks_for_the_steps_that_it_touches() {
        let check = |least: Option<u32>, most: Option<u32>, terms: &str| {
            let found = between('b', least, most).map_or("any".to_owned(), |terms| terms.join(" "));
            assert_eq!(found, terms, "{least:?} {most:?}");
        };
        check(None, None, "any");
        check(Some(0), None, "any");
        check(Some(109), None, "b109 b110 b111 bs14 bs15");
        check(None, Some(8), "bs0 b8");
        check(Some(5), Some(5), "b5");
        check(Some(9), Some(5), "b127");
    }
}
