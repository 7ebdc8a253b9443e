//! What one thread's shard of the metrics counts, and how shards add up.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use gauntlet_types::{
    Action, AttemptEnd, CacheUse, CallRecord, Code, Direction, Door, Finish, Name, NanoUsd, Outcome,
};

/// Seconds, in microseconds: from refusals and cache hits to the slowest answers.
pub(crate) const DURATION_US: [u64; 16] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
];
/// OpenTelemetry GenAI conventions, `gen_ai.client.operation.duration`: 10 ms, doubling.
pub(crate) const OPERATION_US: [u64; 14] = [
    10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 5_120_000, 10_240_000,
    20_480_000, 40_960_000, 81_920_000,
];
/// OpenTelemetry GenAI conventions, advised for the time to the first token.
pub(crate) const FIRST_CHUNK_US: [u64; 16] = [
    1_000, 5_000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000, 250_000, 500_000, 750_000, 1_000_000,
    2_500_000, 5_000_000, 7_500_000, 10_000_000,
];
/// The same, for the time per output token.
pub(crate) const PER_CHUNK_US: [u64; 13] = [
    10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000, 500_000, 750_000, 1_000_000,
    2_500_000,
];
/// OpenTelemetry GenAI conventions, `gen_ai.client.token.usage`: powers of four.
pub(crate) const TOKENS: [u64; 14] =
    [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];

pub(crate) const TOKEN_TYPES: [&str; 5] = ["input", "cache_read", "cache_write", "output", "reasoning"];

/// Guard kinds and providers come from configuration and code, so this many is never reached by honest use.
const TALLIES_MAX: usize = 256;

pub(crate) const OTHER: &str = "other";

/// Counts of values up to each bound; `N` bounds and what lies beyond.
#[derive(Clone, Copy)]
pub(crate) struct Histogram<const N: usize> {
    pub counts: [u64; N],
    pub beyond: u64,
    pub sum: u64,
}

impl<const N: usize> Histogram<N> {
    const EMPTY: Self = Histogram { counts: [0; N], beyond: 0, sum: 0 };

    fn observe(&mut self, bounds: &[u64; N], value: u64) {
        self.observe_many(bounds, value, 1);
    }

    fn observe_many(&mut self, bounds: &[u64; N], value: u64, times: u64) {
        let bucket = bounds.partition_point(|bound| *bound < value);
        *self.counts.get_mut(bucket).unwrap_or(&mut self.beyond) += times;
        self.sum = self.sum.saturating_add(value.saturating_mul(times));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
        self.beyond += other.beyond;
        self.sum = self.sum.saturating_add(other.sum);
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.beyond
    }
}

/// The labels of a record, borrowed from it.
#[derive(Clone, Copy)]
pub(crate) struct Labels<'a> {
    pub route: &'a str,
    pub model: &'a str,
    pub provider: &'a str,
    pub outcome: Outcome,
    pub door: Door,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub route: Name,
    pub model: Name,
    pub provider: Name,
    pub outcome: Outcome,
    pub door: Door,
}

impl<'a> Labels<'a> {
    pub(crate) fn of(record: &'a CallRecord) -> Labels<'a> {
        let target = record.target.as_ref();
        // What a stranger may write freely must not become a label.
        let is_vetted = !matches!(
            record.error,
            Some(
                Code::UnknownModel
                    | Code::UnknownRoute
                    | Code::Unauthorized
                    | Code::Forbidden
                    | Code::InvalidRequest
                    | Code::RequestTooLarge
                    | Code::NotFound
                    | Code::MethodNotAllowed
            )
        ) || target.is_some();
        Labels {
            route: if is_vetted { &record.route } else { "unknown" },
            model: match target {
                Some(target) => &target.model,
                None if is_vetted => &record.model_asked,
                None => "unknown",
            },
            provider: target.map_or("none", |target| &target.provider),
            outcome: record.outcome,
            door: record.door,
        }
    }

    pub(crate) fn other(self) -> Labels<'static> {
        Labels { route: OTHER, model: OTHER, provider: OTHER, outcome: self.outcome, door: self.door }
    }

    pub(crate) fn to_key(self) -> Key {
        let name = |text: &str| Name::from(text);
        Key {
            route: name(self.route),
            model: name(self.model),
            provider: name(self.provider),
            outcome: self.outcome,
            door: self.door,
        }
    }

    /// Quick, not secret: a flood of colliding names costs a longer look through a table that is bounded anyway.
    fn hash(&self) -> u64 {
        let mut hash = (self.outcome as u64) << 8 | self.door as u64;
        for text in [self.route, self.model, self.provider] {
            mix(&mut hash, text.len() as u64);
            for chunk in text.as_bytes().chunks(8) {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                mix(&mut hash, u64::from_le_bytes(word));
            }
        }
        hash ^ (hash >> 29)
    }

    fn is(&self, key: &Key) -> bool {
        key.model == *self.model
            && key.route == *self.route
            && key.provider == *self.provider
            && key.outcome == self.outcome
            && key.door == self.door
    }
}

fn mix(hash: &mut u64, word: u64) {
    *hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
}

/// Hands a hash through that is one already.
#[derive(Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            mix(&mut self.0, u64::from(*byte));
        }
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

/// Everything counted under one set of labels.
#[derive(Clone)]
pub(crate) struct Series {
    pub requests: u64,
    /// Answers that ended at their token limit.
    pub cut_short: u64,
    pub cost: NanoUsd,
    pub tokens: [u64; TOKEN_TYPES.len()],
    pub duration: Histogram<16>,
    pub first_token: Histogram<16>,
    /// Only of calls that asked a model.
    pub operation: Histogram<14>,
    pub tokens_in: Histogram<14>,
    pub tokens_out: Histogram<14>,
    /// Of streams: from the request to the provider to the first piece of its answer.
    pub first_chunk: Histogram<16>,
    /// Of streams: between two pieces. Each of a call's counts at their mean.
    pub per_chunk: Histogram<13>,
}

impl Series {
    pub(crate) const EMPTY: Series = Series {
        requests: 0,
        cut_short: 0,
        cost: NanoUsd::ZERO,
        tokens: [0; TOKEN_TYPES.len()],
        duration: Histogram::EMPTY,
        first_token: Histogram::EMPTY,
        operation: Histogram::EMPTY,
        tokens_in: Histogram::EMPTY,
        tokens_out: Histogram::EMPTY,
        first_chunk: Histogram::EMPTY,
        per_chunk: Histogram::EMPTY,
    };

    fn observe(&mut self, record: &CallRecord) {
        let usage = &record.usage;
        self.requests += 1;
        self.cut_short += u64::from(record.finish == Some(Finish::Length));
        self.cost = self.cost.plus(record.cost);
        let written = u64::from(usage.cache_write_5m.0) + u64::from(usage.cache_write_1h.0);
        let (read, reasoning) = (u64::from(usage.cache_read_total().0), u64::from(usage.reasoning.0));
        // Audio and images are told apart in records; here they are input and output.
        let fresh = u64::from(usage.input_total().0).saturating_sub(read + written);
        let output = u64::from(usage.output_total().0).saturating_sub(reasoning);
        for (total, count) in self.tokens.iter_mut().zip([fresh, read, written, output, reasoning]) {
            *total += count;
        }
        self.duration.observe(&DURATION_US, record.latency_us);
        if let Some(first_token_us) = record.first_token_us {
            self.first_token.observe(&DURATION_US, first_token_us);
        }
        if let (Some(attempt), Some(first), Some(stream)) =
            (record.attempts.last(), record.first_token_us, record.stream)
        {
            self.first_chunk.observe(&FIRST_CHUNK_US, first.saturating_sub(attempt.start_us.into()));
            if let Some(gap_us) = record.chunk_gap_us() {
                self.per_chunk.observe_many(&PER_CHUNK_US, gap_us, u64::from(stream.chunks - 1));
            }
        }
        if !record.attempts.is_empty() {
            self.operation.observe(&OPERATION_US, record.latency_us);
            if usage.total().0 > 0 {
                self.tokens_in.observe(&TOKENS, u64::from(usage.input_total().0));
                self.tokens_out.observe(&TOKENS, u64::from(usage.output_total().0));
            }
        }
    }

    pub(crate) fn add(&mut self, other: &Series) {
        self.requests += other.requests;
        self.cut_short += other.cut_short;
        self.cost = self.cost.plus(other.cost);
        for (mine, theirs) in self.tokens.iter_mut().zip(other.tokens) {
            *mine += theirs;
        }
        self.duration.add(&other.duration);
        self.first_token.add(&other.first_token);
        self.operation.add(&other.operation);
        self.tokens_in.add(&other.tokens_in);
        self.tokens_out.add(&other.tokens_out);
        self.first_chunk.add(&other.first_chunk);
        self.per_chunk.add(&other.per_chunk);
    }
}

/// By the hash of their labels.
type SeriesTable = HashMap<u64, Vec<(Key, Box<Series>)>, BuildHasherDefault<Ready>>;

/// One shard: threads that share none never wait for each other.
#[derive(Default)]
pub(crate) struct Shard {
    series: SeriesTable,
    pub codes: [u64; Code::ALL.len()],
    pub cache: [u64; CacheUse::ALL.len()],
    pub guard: Vec<((Direction, Name, Action), u64)>,
    pub attempts: Vec<((Name, AttemptEnd), u64)>,
}

impl Shard {
    /// False, and nothing is counted, if these labels are new to the shard.
    pub(crate) fn observe(&mut self, labels: &Labels<'_>, record: &CallRecord) -> bool {
        let found = self.series.get_mut(&labels.hash());
        let Some((_, series)) = found.and_then(|list| list.iter_mut().find(|(key, _)| labels.is(key))) else {
            return false;
        };
        series.observe(record);
        true
    }

    pub(crate) fn add_series(&mut self, labels: &Labels<'_>) {
        self.series.entry(labels.hash()).or_default().push((labels.to_key(), Box::new(Series::EMPTY)));
    }

    pub(crate) fn series(&self) -> impl Iterator<Item = &(Key, Box<Series>)> {
        self.series.values().flatten()
    }

    /// What is counted without the labels of the call.
    pub(crate) fn observe_rest(&mut self, record: &CallRecord) {
        if let Some(code) = record.error {
            self.codes[code as usize] += 1;
        }
        self.cache[record.cache as usize] += 1;
        // What a rule on trial would have done was not done.
        for note in record.guard.iter().filter(|note| !note.shadow) {
            let is_same = |key: &(Direction, Name, Action)| {
                key.0 == note.direction && key.2 == note.action && key.1 == *note.kind.as_str()
            };
            let other = || (note.direction, OTHER.into(), note.action);
            tally(&mut self.guard, is_same, || (note.direction, note.kind.clone(), note.action), other);
        }
        for attempt in &record.attempts {
            let provider = &attempt.target.provider;
            let is_same = |key: &(Name, AttemptEnd)| key.1 == attempt.end && key.0 == *provider.as_str();
            tally(
                &mut self.attempts,
                is_same,
                || (provider.clone(), attempt.end),
                || (OTHER.into(), attempt.end),
            );
        }
    }
}

/// Adds one to a small table; a search through a dozen entries is quicker than a hash.
fn tally<K: PartialEq>(
    table: &mut Vec<(K, u64)>,
    is_same: impl Fn(&K) -> bool,
    key: impl FnOnce() -> K,
    other: impl FnOnce() -> K,
) {
    if let Some((_, count)) = table.iter_mut().find(|(key, _)| is_same(key)) {
        *count += 1;
        return;
    }
    let key = if table.len() < TALLIES_MAX { key() } else { other() };
    match table.iter_mut().find(|(known, _)| *known == key) {
        Some((_, count)) => *count += 1,
        None => table.push((key, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_cache_results_stand_at_their_index() {
        assert!(Code::ALL.iter().enumerate().all(|(at, code)| *code as usize == at));
        assert!(CacheUse::ALL.iter().enumerate().all(|(at, result)| *result as usize == at));
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::<14>::EMPTY;
        for value in [0, 1, 2, 4, 5, u64::MAX] {
            histogram.observe(&TOKENS, value);
        }
        assert_eq!((&histogram.counts[..3], histogram.beyond), (&[2, 2, 1][..], 1));
        assert_eq!(histogram.count(), 6);
    }

    #[test]
    fn a_table_full_of_names_counts_the_rest_as_other() {
        let mut table = Vec::new();
        for n in 0..TALLIES_MAX * 2 {
            let name = n.to_string();
            tally(&mut table, |key: &String| *key == name, || name.clone(), || OTHER.into());
        }
        assert_eq!(table.len(), TALLIES_MAX + 1);
        assert_eq!(table.last(), Some(&(OTHER.to_owned(), TALLIES_MAX as u64)));
    }
}
