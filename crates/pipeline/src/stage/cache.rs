//! A question that was answered before is answered again for nothing, as far as the route says. Off unless a route asks.
//!
//! What an answer depends on is in its key: tenant (and user), environment, configuration, route, guards, prompt version,
//! targets, and the request in one form. Only an answer that passed every guard untouched and holds nothing private is kept.

use std::sync::Arc;

use bytes::Bytes;
use gauntlet_guard::Extras;
use gauntlet_policy::config::{CachePolicy, CacheShare};
use gauntlet_types::{CacheHit, CacheUse, Code, Decision, Door, Fault, Finish, NanoUsd, Outcome, Stage};

use crate::{
    cache::{
        canon::Canon,
        control::Control,
        embed, replay,
        shelf::Probe,
        store::{Asked, Kept, Key, When},
    },
    call::{Call, Passed, Request, Whole},
    text::Scanned,
};

/// One answer; a larger one would push out a hundred others.
const ANSWER_MAX: usize = 1 << 20;

/// How the answer of a call under way may be kept.
pub(crate) struct Caching {
    key: Key,
    framed: Option<Framed>,
    wanted: replay::Wanted,
    policy: CachePolicy,
}

/// A question, and the hash of all else that its answer depends on.
struct Framed {
    hash: Key,
    question: String,
    probe: Option<Probe>,
}

/// A kept answer, if there is one; its hold is then let go at no cost.
///
/// Errors: nothing else will do for this call, and there is none; or a judge stops the call.
pub(crate) async fn look_up(call: &mut Call) -> Result<Option<Passed>, Fault> {
    // What is passed through may do something, and to count costs nothing.
    if call.operator.is_some() || matches!(call.request, Request::Pass(_)) || call.door().is_count() {
        return Ok(None);
    }
    let control = Control::of(&call.headers);
    let Some(policy) = call.route.cache.clone().filter(|policy| fits(call, policy)) else {
        return if control.is_only { Err(not_cached(call)) } else { Ok(None) };
    };
    call.enter(Stage::Cache);
    call.record.cache = CacheUse::Miss;
    if let Some(mut caching) = caching(call, policy) {
        if let Some((kept, similarity)) = find(call, &mut caching, control).await
            && let Some(whole) = replay::as_wanted(&kept, caching.wanted)
        {
            // Judges that were asked beside the model have a word about this question, too.
            let judging = std::mem::take(&mut call.judging);
            super::guard_input::heed(call, judging).await?;
            note_hit(call, &kept, similarity);
            return Ok(Some(Passed::Whole(whole)));
        }
        call.caching = control.keeps.then(|| Box::new(caching));
    }
    if control.is_only { Err(not_cached(call)) } else { Ok(None) }
}

/// Whether calls of this kind are kept at all.
fn fits(call: &Call, policy: &CachePolicy) -> bool {
    // What nobody could look at must not rest anywhere.
    if call.is_unseen || (policy.share == CacheShare::User && call.record.caller.user.is_none()) {
        return false;
    }
    let Some(chat) = call.request.conversation() else { return true };
    (policy.tools || !chat.has_tools)
        && (policy.choices || chat.n <= 1)
        && chat.temperature.is_none_or(|temperature| temperature <= policy.temperature_max)
}

/// None where the request has no one form.
fn caching(call: &Call, policy: CachePolicy) -> Option<Caching> {
    // Not the masks: with any but the guards' own additions there is something private, and nothing is kept.
    let body = gauntlet_wire::splice(&call.body, call.edits.clone());
    let mut canon = Canon::read(&body)?;
    let context = context(call, &policy);
    let finish = |canon: &Canon, parts: &[&[u8]]| {
        let mut hasher = context.clone();
        parts.iter().for_each(|bytes| part(&mut hasher, bytes));
        canon.feed(&mut hasher);
        *hasher.finalize().as_bytes()
    };
    let key = finish(&canon, &[b"answer"]);
    let chat = call.request.conversation();
    // The words of other dialects are not told apart here yet: they are kept as they went out.
    let is_chat = call.door() == Door::ChatCompletions;
    let wanted = replay::Wanted {
        stream: call.request.is_streaming(),
        usage: chat.is_some_and(|chat| chat.include_usage),
        only_words: is_chat && canon.asks_for_words(),
    };
    // Nothing private is embedded, since nothing of such a call is kept.
    let semantic = policy.semantic.as_ref().filter(|_| is_chat && !has_private_question(call));
    let framed = semantic.and_then(|semantic| {
        let question = canon.take_question()?;
        let embedder = format!("{:?}", semantic.embedder);
        Some(Framed { hash: finish(&canon, &[b"question", embedder.as_bytes()]), question, probe: None })
    });
    Some(Caching { key, framed, wanted, policy })
}

/// All that the answer depends on beside the request itself.
fn context(call: &Call, policy: &CachePolicy) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    let record = &call.record;
    part(&mut hasher, record.caller.tenant.as_bytes());
    match policy.share {
        CacheShare::Tenant => part(&mut hasher, b"tenant"),
        CacheShare::User => part(&mut hasher, record.caller.user.as_deref().unwrap_or("").as_bytes()),
    }
    part(&mut hasher, record.caller.environment.as_str().as_bytes());
    // An answer that passed under other rules has not passed these.
    part(&mut hasher, record.config_version.as_bytes());
    part(&mut hasher, call.route.name.as_bytes());
    for level in call.chain.levels() {
        part(&mut hasher, level.label().as_bytes());
    }
    part(&mut hasher, call.door().as_str().as_bytes());
    let prompt = record.prompt.as_ref();
    let prompt = prompt.map(|prompt| format!("{}@{} {}", prompt.name, prompt.version, prompt.hash));
    part(&mut hasher, prompt.unwrap_or_default().as_bytes());
    // Whichever of them is asked first this time.
    let mut targets: Vec<String> = call.plan.iter().map(|planned| planned.target.to_string()).collect();
    targets.sort_unstable();
    part(&mut hasher, targets.join("\n").as_bytes());
    // Other behaviour of the provider, asked for by header: `anthropic-beta`, `openai-beta`.
    for (name, value) in call.headers.iter().filter(|(name, _)| name.as_str().ends_with("-beta")) {
        part(&mut hasher, name.as_str().as_bytes());
        part(&mut hasher, value.as_bytes());
    }
    hasher
}

/// With its length, so that no two rows of parts are written alike.
fn part(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// The same question, or else one that means the same.
async fn find(call: &Call, caching: &mut Caching, control: Control) -> Option<(Arc<Kept>, Option<f32>)> {
    let when = When { now: call.clock().mono(), age_max: control.age_max };
    let (cache, tenant) = (&call.shared().cache, &call.record.caller.tenant);
    if control.looks
        && let Some(kept) = cache.get(tenant, &caching.key, when)
    {
        return Some((kept, None));
    }
    let semantic = caching.policy.semantic.clone()?;
    let framed = caching.framed.as_mut()?;
    if !control.looks && !control.keeps {
        return None;
    }
    if !cache.may_embed(&semantic.embedder, when.now) {
        return None;
    }
    let vector = match embed::vector(call, &semantic.embedder, &framed.question).await {
        Ok(vector) => Probe::new(vector).ok_or_else(|| "its vector has no direction".to_owned()),
        Err(why) => Err(why),
    };
    cache.note_embedded(&semantic.embedder, vector.is_ok(), call.clock().mono());
    match vector {
        Ok(probe) => framed.probe = Some(probe),
        Err(why) => tracing::debug!(route = %call.route.name, why, "a question could not be embedded"),
    }
    let probe = framed.probe.as_ref().filter(|_| control.looks)?;
    let asked = Asked {
        frame: framed.hash,
        probe,
        question: &framed.question,
        threshold: semantic.threshold,
        checks: semantic.check,
    };
    cache.near(tenant, &asked, when).map(|(kept, similarity)| (kept, Some(similarity)))
}

fn note_hit(call: &mut Call, kept: &Kept, similarity: Option<f32>) {
    let age = call.clock().mono().since(kept.born);
    call.record.cache = if similarity.is_some() { CacheUse::Semantic } else { CacheUse::Exact };
    call.record.cache_hit = Some(CacheHit {
        of: kept.call,
        similarity,
        age_s: u32::try_from(age.as_secs()).unwrap_or(u32::MAX),
        saved: kept.cost,
    });
    call.record.target = Some(kept.target.clone());
    call.record.model_answered = kept.model_answered.clone();
    call.record.finish = kept.finish;
    call.usage = Some(kept.usage);
    call.output = kept.output.clone();
    call.shared().cache.note_hit(&call.record.caller.tenant, kept, similarity.is_some());
}

fn not_cached(call: &Call) -> Fault {
    let message = match &call.route.cache {
        Some(_) => "the call asks for a kept answer only (`cache-control: only-if-cached`), and there is none; leave the header out to ask a model".to_owned(),
        None => format!(
            "the call asks for a kept answer only (`cache-control: only-if-cached`), and route `{}` keeps none; set its `cache`",
            call.route.name
        ),
    };
    Fault::caller(Code::NotCached, message).param("cache-control")
}

/// Keeps a good answer. Streams are kept by their own end (`keep_whole`).
pub(crate) fn keep(call: &Call, passed: &Passed) {
    if let Passed::Whole(whole) = passed {
        keep_whole(call, whole);
    }
}

pub(crate) fn keep_whole(call: &Call, whole: &Whole) {
    let Some(caching) = &call.caching else { return };
    if !is_good(call, &caching.policy) || whole.body.len() > ANSWER_MAX || has_private(call) {
        return;
    }
    let Some(target) = call.record.target.clone() else { return };
    let now = call.clock().mono();
    let usage = call.usage.unwrap_or_default();
    let price = call.plan.get(call.current).and_then(|planned| planned.price.as_ref());
    // Copies: these bytes may be a piece of a much larger read.
    let body = Bytes::copy_from_slice(&whole.body);
    let output = if call.output == whole.body { body.clone() } else { Bytes::copy_from_slice(&call.output) };
    let framed = caching.framed.as_ref().and_then(|framed| Some((framed, framed.probe.as_ref()?)));
    let kept = Kept {
        call: call.record.id,
        route: call.route.name.clone(),
        body,
        is_stream: caching.wanted.stream,
        has_usage: caching.wanted.usage,
        output,
        target,
        model_answered: call.record.model_answered.clone(),
        usage,
        finish: call.record.finish,
        cost: price.map_or(NanoUsd::ZERO, |price| price.cost(&usage)),
        question: framed.map_or("", |(framed, _)| &framed.question).into(),
        born: now,
        until: now.plus(caching.policy.ttl),
    };
    let framed = framed.map(|(framed, probe)| (framed.hash, probe));
    let bounds = call.policy().config().server.cache;
    call.shared().cache.put(&call.record.caller.tenant, caching.key, framed, kept, &bounds);
}

/// A model's own answer to this very question, whole, and as it said it.
fn is_good(call: &Call, policy: &CachePolicy) -> bool {
    let record = &call.record;
    let is_ended = |finish: Option<Finish>| match finish {
        Some(Finish::Stop) => true,
        Some(Finish::ToolCalls) => policy.tools,
        Some(Finish::Length | Finish::ContentFilter | Finish::Other) | None => false,
    };
    let choices = call.assembler.choices();
    let is_whole = match &call.request {
        Request::Conversation(_) => {
            !choices.is_empty()
                && choices.iter().all(|choice| is_ended(choice.finish))
                && !call.assembler.is_truncated()
        }
        _ => true,
    };
    record.cache == CacheUse::Miss
        && record.outcome == Outcome::Ok
        && record.decision == Decision::Allow
        && call.reasked == 0
        && is_whole
}

/// Whether anything private stands in the question, as far as is known before the answer.
fn has_private_question(call: &Call) -> bool {
    !call.input.is_clean() || !call.record.guard.is_empty() || !call.record_prompt.is_empty()
}

/// Whether anything private stands in question or answer. The route may let it pass to this caller; it is not to be kept.
fn has_private(call: &Call) -> bool {
    if has_private_question(call) {
        return true;
    }
    let message = call.assembler.message_json();
    let texts = super::guard_output::texts_of(gauntlet_types::Dialect::Chat, &message);
    let scanned = Scanned::scan(&call.shared().scanner, texts, &message, None, &Extras::default(), || false);
    !scanned.is_ok_and(|scanned| scanned.is_clean())
}
