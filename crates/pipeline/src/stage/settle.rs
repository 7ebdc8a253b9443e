//! What it really cost, on every way out of a call; and into the ledger once that is recorded.

use gauntlet_types::{NanoUsd, Outcome, Stage, TokenCount, Usage};
use gauntlet_wire::answer::Assembled;

use crate::{
    call::{Call, Request},
    tokens::{self, count_text},
};

/// Tokens of a message's frame in OpenAI's counting: three and the role.
const TOKENS_PER_MESSAGE: u32 = 4;

pub(crate) async fn run(call: &mut Call) {
    call.enter(Stage::Settle);
    if must_count(call) {
        tokens::ready().await;
    }
    settle(call);
}

/// Of a call that is charged its hold, and so needs no counting: at once.
pub(crate) fn at_hold(call: &mut Call) {
    call.enter(Stage::Settle);
    call.charge_hold = true;
    settle(call);
}

/// Whether nobody says what the answer used.
fn must_count(call: &Call) -> bool {
    call.usage.is_none()
        && !call.charge_hold
        && was_asked(call)
        && !call.door().is_count()
        && has_answer(call)
        && !call.is_beyond_counting()
}

fn was_asked(call: &Call) -> bool {
    call.record.target.is_some() && !call.record.cache.is_hit()
}

fn settle(call: &mut Call) {
    gauntlet_ports::crash_point!("settle.begun");
    let was_asked = was_asked(call);
    let usage = match call.usage {
        Some(usage) => Some(usage),
        // What nobody can count costs what was held for it, rather than nothing.
        None if was_asked && has_answer(call) && call.is_beyond_counting() => {
            call.charge_hold = true;
            None
        }
        // A cut or silent answer was billed all the same: counted here, and said so. To count is not to use.
        None if must_count(call) => Some(count(call)),
        None => None,
    };
    call.record.usage = usage.unwrap_or_default().plus(&call.billed_usage);
    let price = call.plan.get(call.current).and_then(|planned| planned.price.as_ref());
    let cost = match (usage, price) {
        _ if call.charge_hold => call.record.held,
        (Some(usage), Some(price)) if was_asked => price.cost(&usage),
        _ => NanoUsd::ZERO,
    };
    if was_asked && call.unread_chars > 0 {
        call.record.wasted = wasted(call, cost);
    }
    // A hold that is charged whole covers earlier attempts as well.
    let cost = if call.charge_hold { cost } else { cost.plus(call.billed) };
    call.record.cost = cost;
    gauntlet_ports::crash_point!("settle.done");
    if let Some(permit) = call.permit.take() {
        let tokens = match call.record.outcome {
            Outcome::Interrupted => u32::try_from(call.record.held_tokens).unwrap_or(u32::MAX),
            _ => call.record.usage.total().0,
        };
        let now = call.clock().mono();
        let shared = &call.gate.shared;
        let wake = crate::gate::lock(&shared.limiter).release(permit, tokens, now);
        if !wake.is_empty() {
            shared.slots.notify_waiters();
        }
    }
}

/// Puts the cost in the place of the hold, once the record says it. Were the room free before, another worker's call could
/// take it, and a crash in between would charge both that call and the whole hold of this one.
pub(crate) fn release(call: &mut Call) {
    let Some(hold) = call.hold.take() else { return };
    for crossed in call.shared().ledger.settle(hold, call.record.drawn()) {
        call.shared().told(&crossed);
    }
}

fn has_answer(call: &Call) -> bool {
    // What its last attempt cost may stand in the books already.
    if call.record.attempts.last().is_some_and(|attempt| attempt.billed.is_some()) {
        return false;
    }
    matches!(call.record.outcome, Outcome::Ok | Outcome::Cancelled | Outcome::Blocked)
        || call.record.first_token_us.is_some()
}

/// Tokens of the input by the tokenizer that there is, once it is [`tokens::ready`].
pub(crate) fn count_input(call: &Call) -> TokenCount {
    let texts: u32 = match &call.request {
        Request::None => 0,
        // Without a scan (all guards off) the texts are collected here.
        _ if call.input.texts.is_empty() => count_text(&String::from_utf8_lossy(&call.body)),
        _ => call.input.texts.iter().map(|text| count_text(text.segment.as_str(&call.body))).sum(),
    };
    let edits = &call.edits[..call.text_edits.min(call.edits.len())];
    let added: u32 = edits.iter().map(|edit| count_text(&String::from_utf8_lossy(&edit.with))).sum();
    let messages = call.request.conversation().map_or(0, |chat| chat.message_count as u32);
    TokenCount(texts.saturating_add(added).saturating_add(messages * TOKENS_PER_MESSAGE))
}

/// What an answer used, by counting what is known of it, once tokens are [`tokens::ready`].
pub(crate) fn count(call: &Call) -> Usage {
    let output = count_answer(call);
    Usage { input_fresh: count_input(call), output: TokenCount(output), estimated: true, ..Usage::default() }
}

fn count_answer(call: &Call) -> u32 {
    let choice = |choice: &Assembled| {
        let calls: u32 =
            choice.tool_calls().map(|call| count_text(&call.name) + count_text(&call.arguments)).sum();
        count_text(&choice.text) + count_text(&choice.refusal) + count_text(&choice.reasoning) + calls
    };
    call.assembler.choices().iter().map(choice).sum()
}

/// The share of the output that arrived after the caller had gone, at its price.
fn wasted(call: &Call, cost: NanoUsd) -> NanoUsd {
    let chars = |text: &str| text.chars().count();
    let choices = call.assembler.choices().iter();
    let all = choices
        .map(|one| chars(&one.text) + chars(&one.refusal) + chars(&one.reasoning))
        .sum::<usize>()
        .max(1);
    let output = call.record.usage.output_total();
    let Some(price) = call.plan.get(call.current).and_then(|planned| planned.price.as_ref()) else {
        return cost;
    };
    let output_cost = price.cost(&Usage { output, tier: call.record.usage.tier, ..Usage::default() });
    NanoUsd((output_cost.0 as i128 * call.unread_chars as i128 / all as i128) as i64)
}
