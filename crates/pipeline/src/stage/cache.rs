//! Exact repeats of a call, per tenant, for as long as the route says. Off unless a route asks.

use std::time::Duration;

use bytes::Bytes;
use gauntlet_guard::Extras;
use gauntlet_types::{CacheUse, Mono, Name, Outcome, Stage, Target, Usage};
use http::HeaderValue;
use moka::sync::Cache as Moka;

use crate::{
    call::{Call, Passed, Request, Whole},
    text::Scanned,
};

/// All cached answers together.
const BYTES_MAX: u64 = 64 << 20;
/// One answer; a larger one would push out a hundred others.
const ANSWER_MAX: usize = 1 << 20;

pub(crate) struct Cache(Moka<[u8; 32], Kept>);

/// An answer that passed every guard, and had nothing private in it or its question.
#[derive(Clone)]
struct Kept {
    body: Bytes,
    content_type: HeaderValue,
    /// The same answer as the record of a hit shows it.
    output: Bytes,
    until: Mono,
    target: Target,
    model_answered: Option<Name>,
    usage: Usage,
}

impl Cache {
    pub(crate) fn new() -> Cache {
        let weigh = |_: &[u8; 32], kept: &Kept| (kept.body.len() + kept.output.len() + 256) as u32;
        Cache(Moka::builder().max_capacity(BYTES_MAX).weigher(weigh).build())
    }

    pub(crate) fn forget(&self) {
        self.0.invalidate_all();
    }
}

/// A kept answer, if there is one; its hold is then let go at no cost.
pub(crate) fn look_up(call: &mut Call) -> Option<Passed> {
    // What is passed through may do something.
    let may = call.operator.is_none() && !matches!(call.request, Request::Pass(_));
    call.route.cache.filter(|_| may)?;
    call.enter(Stage::Cache);
    let key = key(call);
    call.cache_key = Some(key);
    call.record.cache = CacheUse::Miss;
    let kept = call.shared().cache.0.get(&key).filter(|kept| kept.until > call.clock().mono())?;
    call.record.cache = CacheUse::Exact;
    call.record.target = Some(kept.target);
    call.record.model_answered = kept.model_answered;
    call.usage = Some(kept.usage);
    call.output = kept.output;
    Some(Passed::Whole(Whole { body: kept.body, content_type: kept.content_type }))
}

/// Keeps a good answer. Streams are kept by their own end (`keep_stream`).
pub(crate) fn keep(call: &Call, passed: &Passed) {
    if let Passed::Whole(whole) = passed {
        keep_whole(call, whole);
    }
}

pub(crate) fn keep_whole(call: &Call, whole: &Whole) {
    let (Some(key), Some(policy)) = (call.cache_key, call.route.cache) else { return };
    let is_good = call.record.cache == CacheUse::Miss && call.record.outcome == Outcome::Ok;
    if !is_good || whole.body.len() > ANSWER_MAX || has_private(call) {
        return;
    }
    let Some(target) = call.record.target.clone() else { return };
    let kept = Kept {
        body: whole.body.clone(),
        content_type: whole.content_type.clone(),
        output: call.output.clone(),
        until: call.clock().mono().plus(policy.ttl.min(Duration::from_secs(30 * 86_400))),
        target,
        model_answered: call.record.model_answered.clone(),
        usage: call.usage.unwrap_or_default(),
    };
    call.shared().cache.0.insert(key, kept);
}

/// Whether anything private stands in question or answer. The route may let it pass to this caller; it is not to be kept.
fn has_private(call: &Call) -> bool {
    if !call.input.is_clean() || !call.record.guard.is_empty() || !call.record_prompt.is_empty() {
        return true;
    }
    let message = call.assembler.message_json();
    let texts = super::guard_output::texts_of(gauntlet_types::Dialect::Chat, &message);
    let scanned = Scanned::scan(&call.shared().scanner, texts, &message, None, &Extras::default(), || false);
    !scanned.is_ok_and(|scanned| scanned.is_clean())
}

/// Everything the answer depends on: tenant, route, door, plan, and the body as it would be sent.
fn key(call: &Call) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(call.record.caller.tenant.as_bytes());
    part(call.route.name.as_bytes());
    // Two keys of a tenant may be under other rules.
    for level in call.chain.levels() {
        part(level.label().as_bytes());
    }
    part(call.door().as_str().as_bytes());
    for planned in &call.plan {
        part(planned.target.to_string().as_bytes());
    }
    let edits = [&call.edits[..], &call.masks].concat();
    part(&gauntlet_wire::splice(&call.body, edits));
    *hasher.finalize().as_bytes()
}
