//! Exact repeats: what a cache on the route would have answered.

use std::collections::HashMap;

use gauntlet_ports::StoredCall;
use gauntlet_types::{CacheUse, Decision, NanoUsd, Timestamp};

use super::{Advice, CALLS_MIN, Kind, Place};

/// How long an answer would have been kept; what `cache: 1h` says.
const TTL_US: i64 = 3_600_000_000;

#[derive(Default)]
pub(super) struct Repeats {
    /// When the answer that would be kept was given, by tenant, route, model and input.
    kept: HashMap<[u8; 32], Timestamp>,
    saved: HashMap<Place, (u64, NanoUsd)>,
}

impl Repeats {
    pub(super) fn add(&mut self, place: &Place, call: &StoredCall) {
        let record = &call.record;
        // Where something was redacted, texts that look alike need not have been; a route that has a cache has its savings.
        if call.input.is_empty() || record.cache != CacheUse::Off || record.decision == Decision::Redact {
            return;
        }
        let key = key(place, call);
        match self.kept.get(&key) {
            Some(at) if record.started.0 - at.0 < TTL_US => {
                let saved = self.saved.entry(place.clone()).or_default();
                *saved = (saved.0 + 1, saved.1.plus(record.cost));
            }
            _ => drop(self.kept.insert(key, record.started)),
        }
    }

    pub(super) fn finish(&self) -> Vec<Advice> {
        let enough = self.saved.iter().filter(|(_, (calls, _))| *calls >= CALLS_MIN as u64);
        enough
            .map(|((route, target), (calls, saved))| Advice {
                kind: Kind::Cache,
                route: route.to_string(),
                model: target.to_string(),
                what: format!(
                    "{calls} calls repeat one of the hour before, word for word: set `cache: 1h` on route `{route}`"
                ),
                mind: "the repeats then get the same answer again; calls with redacted input are not counted"
                    .to_owned(),
                calls: *calls,
                saved: *saved,
                saved_usd_per_month: 0.0,
            })
            .collect()
    }
}

fn key((route, target): &Place, call: &StoredCall) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let names = [&call.record.caller.tenant, route, &target.provider, &target.model];
    for part in names.into_iter().map(|name| name.as_bytes()).chain([&*call.input]) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
