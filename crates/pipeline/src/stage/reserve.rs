//! Holds the worst case in the ledger, all budgets of the first target or none (a fallback moves the hold), and opens the call's entry in the spool.
//!
//! A cheap bound is tried first: no token is shorter than a byte, so the bytes of the texts bound the tokens. Only when
//! that does not fit are tokens counted, by the model's tokenizer where there is one.

use std::time::Duration;

use gauntlet_policy::{budget::Refused, config::OnInvalid};
use gauntlet_types::{Code, Fault, NanoUsd, Outcome, Stage, TokenCount};

use gauntlet_wire::openai::chat::LimitField;

use crate::{
    call::{Call, Request},
    stage::settle,
};

/// Tokens of the frame around each message (role, separators), and of the tools' frame: above what any vendor documents.
const TOKENS_PER_MESSAGE: u32 = 16;

pub(crate) fn run(call: &mut Call) -> Result<(), Fault> {
    call.enter(Stage::Reserve);
    let charges = call.charges_of(0);
    // The provider holds to the bound only if it is told of it; where no budget depends on it, the bytes stay as they are.
    if let Request::Chat(chat) = &call.request {
        let each = call.output_max.0 / chat.n.max(1);
        let limited = chat.max_tokens.as_ref().is_some_and(|asked| asked.value > each);
        if limited || (chat.max_tokens.is_none() && (!charges.is_empty() || call.route.max_tokens.is_some()))
        {
            call.edits.push(chat.with_max_tokens(each, LimitField::MaxTokens));
            call.record.injected.push("max_tokens".into());
        }
        if let Some(edit) = chat.with_usage() {
            call.edits.push(edit);
            call.record.injected.push("stream_options.include_usage".into());
        }
    }
    let deadline = call.hold_deadline();
    let mut bound = bound(call, input_bytes(call));
    let id = call.record.id;
    let mut held = call.shared().ledger.reserve(id, bound, &charges, deadline);
    if held.is_err() {
        bound = self::bound(call, settle::count_input(call));
        held = call.shared().ledger.reserve(id, bound, &charges, deadline);
    }
    let hold = held.map_err(|refused| exceeded(&refused, call))?;
    call.hold = Some(hold);
    call.record.held = bound;
    call.record.charges = charges.into_iter().map(|(charge, _)| charge).collect();
    open(call)
}

/// The entry by which a call is found again should the process die now: interrupted, and charged its hold.
fn open(call: &mut Call) -> Result<(), Fault> {
    let record = &mut call.record;
    let target = record.target.replace(call.plan[0].target.clone());
    (record.outcome, record.cost, record.error) =
        (Outcome::Interrupted, record.held, Some(Code::Interrupted));
    let opened = call.gate.spool.open(&call.record);
    let record = &mut call.record;
    (record.outcome, record.cost, record.error, record.target) = (Outcome::Ok, NanoUsd::ZERO, None, target);
    opened.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot open a record");
        let message =
            "the gateway cannot write its records at the moment, so it takes no calls; try again soon";
        Fault::us(Code::Unavailable, message).retry_after(Duration::from_secs(5))
    })
}

fn input_bytes(call: &Call) -> TokenCount {
    let messages = call.request.chat().map_or(1, |chat| chat.message_count as u32);
    let edited: usize = call.edits.iter().map(|edit| edit.with.len()).sum();
    let bytes = u32::try_from(call.body.len() + edited).unwrap_or(u32::MAX);
    TokenCount(bytes.saturating_add(messages.saturating_mul(TOKENS_PER_MESSAGE)))
}

/// The dearest target's worst case; all of them together where an answer that does not fit is asked for again.
fn bound(call: &Call, input: TokenCount) -> NanoUsd {
    let prices = call.plan.iter().filter_map(|planned| planned.price.as_ref());
    let bounds = prices.map(|price| price.bound(input, call.output_max));
    let asks_again =
        call.route.output.schema.is_some() && call.route.output.on_invalid == OnInvalid::Fallback;
    if asks_again { bounds.sum() } else { bounds.max().unwrap_or(NanoUsd::ZERO) }
}

/// A daily budget says when to come back; SDKs that heed it do not hammer.
fn exceeded(refused: &Refused, call: &Call) -> Fault {
    let fault = refused.fault();
    match refused.charge.period {
        Some(day) => {
            let wait = day.next().start().0.saturating_sub(call.record.started.0).max(0) as u64;
            fault.retry_after(Duration::from_micros(wait))
        }
        None => fault,
    }
}
