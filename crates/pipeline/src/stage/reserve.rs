//! Holds the worst case in the ledger, all budgets of the first target or none (a fallback moves the hold), and opens the
//! call's entry in the spool. A budget without room refuses the call, or does what its rule says instead.
//!
//! A cheap bound is tried first: no token is shorter than a byte, so the bytes of the texts bound the tokens. Only when
//! that does not fit are tokens counted, by the model's tokenizer where there is one.

use std::time::Duration;

use gauntlet_policy::{
    budget::{Draw, Refused, Short},
    config::AtLimit,
};

use gauntlet_types::{BudgetAction, BudgetNote, Code, Drawn, Fault, Finish, Name, Outcome, Stage};
use gauntlet_wire::conversation::LimitField;

use crate::{
    call::{Call, Passed, Request},
    stage::attempt::canned,
};

/// A call that waits for room looks again at least so often: a window may turn while nothing is settled.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The budget that has no room, and how much it was asked for.
struct Full {
    draw: Draw,
    refused: Box<Refused>,
}

/// Gives an answer where a full budget has one in place of the model's.
pub(crate) async fn run(call: &mut Call) -> Result<Option<Passed>, Fault> {
    call.enter(Stage::Reserve);
    let (draws, per_call) = call.draws_of(0);
    say_limits(call, !draws.is_empty() || !per_call.is_empty());
    let Err(full) = hold(call, draws, per_call).await else { return opened(call, None) };
    if let Some(crossed) = call.shared().ledger.turned_away(&full.refused) {
        call.shared().told(&crossed);
    }
    let rule = call.policy().budget_rule(full.draw.rule);
    let at_limit = rule.map_or(AtLimit::Block, |rule| rule.at_limit.clone());
    let note = |action, instead_of: Option<Name>| BudgetNote {
        action,
        scope: full.draw.charge.scope.clone(),
        key: full.draw.charge.key.clone(),
        instead_of,
    };
    match at_limit {
        AtLimit::Block => {}
        AtLimit::Answer(text) => {
            call.record.budget = Some(note(BudgetAction::Answer, None));
            call.record.outcome = Outcome::Canned;
            call.record.error = Some(Code::BudgetExceeded);
            return Ok(Some(Passed::Whole(canned(call, &text, Finish::Stop))));
        }
        AtLimit::Queue(wait) => {
            if wait_for_room(call, wait).await {
                return opened(call, Some(note(BudgetAction::Queue, None)));
            }
        }
        AtLimit::Downgrade(models) => {
            let dear = call.plan.first().map(|planned| Name::from(planned.target.to_string().as_str()));
            if turn_to(call, &models).await {
                return opened(call, Some(note(BudgetAction::Downgrade, dear)));
            }
        }
    }
    Err(fault(call, &full))
}

fn opened(call: &mut Call, note: Option<BudgetNote>) -> Result<Option<Passed>, Fault> {
    call.record.budget = note;
    gauntlet_ports::crash_point!("reserve.held");
    call.open_entry(0)?;
    gauntlet_ports::crash_point!("reserve.opened");
    Ok(None)
}

/// The provider holds to the bound only if it is told of it; where no budget depends on it, the bytes stay as they are.
fn say_limits(call: &mut Call, has_budgets: bool) {
    call.text_edits = call.edits.len();
    let Request::Conversation(chat) = &call.request else { return };
    let each = call.output_max.0 / chat.n.max(1);
    let limited = chat.max_tokens.as_ref().is_some_and(|asked| asked.value > each);
    let is_bound = has_budgets || call.route.max_tokens.is_some();
    if limited || (chat.max_tokens.is_none() && is_bound) {
        call.edits.push(chat.with_max_tokens(each, LimitField::MaxTokens));
        call.edits.extend(chat.with_less_thinking(each));
        call.record.injected.push("max_tokens".into());
    }
    if let Some(edit) = chat.with_usage() {
        call.edits.push(edit);
        call.record.injected.push("stream_options.include_usage".into());
    }
}

/// Holds the worst case of the plan as it stands.
async fn hold(call: &mut Call, draws: Vec<Draw>, per_call: Vec<Draw>) -> Result<(), Box<Full>> {
    let mut bound = call.bound_of(call.input_bytes());
    let mut held = try_hold(call, bound, &draws, &per_call).await;
    if held.is_err() {
        bound = call.bound_of(call.input_counted().await);
        held = try_hold(call, bound, &draws, &per_call).await;
    }
    call.hold = Some(held?);
    call.bound = bound;
    call.note_held(draws, bound);
    Ok(())
}

async fn try_hold(
    call: &Call,
    bound: Drawn,
    draws: &[Draw],
    per_call: &[Draw],
) -> Result<gauntlet_policy::budget::Hold, Box<Full>> {
    let too_much = |draw: &&Draw| draw.charge.amount(&bound) > draw.cap.amount;
    if let Some(draw) = per_call.iter().find(too_much) {
        let refused = Box::new(Refused {
            index: 0,
            charge: draw.charge.clone(),
            cap: draw.cap,
            spent: 0,
            held: 0,
            wanted: draw.charge.amount(&bound),
            short: Short::Cap,
            until: None,
        });
        return Err(Box::new(Full { draw: draw.clone(), refused }));
    }
    let (id, deadline) = (call.record.id, call.hold_deadline());
    let held = call.shared().ledger.reserve(id, bound, draws, deadline).await;
    held.map_err(|refused| Box::new(Full { draw: draws[refused.index].clone(), refused }))
}

/// Waits until the call fits; false when it has waited long enough.
async fn wait_for_room(call: &mut Call, wait: Duration) -> bool {
    let deadline = call.clock().mono().plus(wait.min(call.route.timeouts.total));
    loop {
        let left = deadline.since(call.clock().mono());
        // A caller that has gone needs no room.
        if left.is_zero() || call.gone.is_set() {
            return false;
        }
        call.gate.shared.ledger.freed(left.min(LOOK_AGAIN)).await;
        // It belongs to the window in which it goes on, and stays there: an attempt asks for its budgets again.
        call.drawn_at = call.clock().now();
        let (draws, per_call) = call.draws_of(0);
        if hold(call, draws, per_call).await.is_ok() {
            return true;
        }
    }
}

/// Plans the call anew for the first of these models whose worst case fits; false if none does. A model that a prompt
/// version is pinned to stays: whoever pinned it wants that one or none.
async fn turn_to(call: &mut Call, models: &[Name]) -> bool {
    if call.pinned.is_some() {
        return false;
    }
    for model in models {
        let Ok(plan) = call.targets_of(model).await else { continue };
        let before = std::mem::replace(&mut call.plan, plan);
        let (draws, per_call) = call.draws_of(0);
        if hold(call, draws, per_call).await.is_ok() {
            return true;
        }
        call.plan = before;
    }
    false
}

fn fault(call: &Call, full: &Full) -> Fault {
    let trouble = match (full.refused.short, call.shared().ledger.sharing()) {
        (Short::Slice, Some(sharing)) if sharing.is_down() => Some("cannot be reached"),
        (Short::Slice, Some(sharing)) if sharing.is_settling() => Some("has just begun anew"),
        (Short::Slice | Short::Cap, _) => None,
    };
    if let Some(trouble) = trouble {
        let scope = &full.draw.charge.scope;
        let message = format!(
            "budget `{scope}` is shared by several gateways, and the store where they meet {trouble}; try again soon"
        );
        return Fault::us(Code::Unavailable, message).retry_after(Duration::from_secs(2));
    }
    let fault = call.exceeded(&full.refused, &full.draw);
    match full.refused.short {
        // Held ready by other replicas, and back soon if they do not use it.
        Short::Slice => fault.retry_after(Duration::from_secs(1)),
        Short::Cap => fault,
    }
}
