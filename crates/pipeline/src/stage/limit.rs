//! Requests and tokens a minute, calls at once: taken together or not at all; a busy limit may be waited for.

use std::time::Duration;

use gauntlet_policy::{
    config::LimitRule,
    limit::{Collected, LimitScope, Limited, Limits, Ticket},
    plan,
};
use gauntlet_types::{Fault, Name, Stage};

use crate::{
    call::{Call, Request},
    gate::lock,
};

/// How often a call asks for what other replicas may spare.
const ASKED_MAX: u32 = 3;

/// Bytes of English a token stands for: good enough for a rate, which the real count puts right afterwards.
const BYTES_PER_TOKEN: usize = 4;

pub(crate) async fn run(call: &mut Call) -> Result<(), Fault> {
    call.enter(Stage::Limit);
    let asked = &model_meant(call);
    let mut wanted: Vec<(LimitScope, Name, Limits)> = Vec::new();
    let mut rules = Vec::new();
    // A limit on a model holds by whichever name it is asked for, so the target that is meant is looked at as well.
    let meant = match call.policy().has_model_limits().then(|| plan::resolve(call.policy().config(), asked)) {
        Some(plan::Resolved::Targets(targets)) => targets.into_iter().next(),
        _ => None,
    };
    call.policy().limits(&call.record.caller, &call.route.name, asked, meant.as_ref(), &mut rules);
    if rules.is_empty() {
        return Ok(());
    }
    wanted.extend(rules.into_iter().map(LimitRule::wanted));
    let tokens = tokens(call);
    let now = call.clock().mono();
    let mut admitted = lock(&call.shared().limiter).admit(now, &wanted, tokens);
    let gate = call.gate.clone();
    // Where replicas share limits, what is short here may be had from the others.
    for asked in 0..ASKED_MAX {
        // Of a rate, one question tells; places that others do not use come back within some exchanges.
        let is_worth_it = match &admitted {
            Ok(_) => false,
            Err(Limited::Rate { .. }) => asked == 0,
            Err(Limited::Busy { .. }) => true,
        };
        let sharing = gate.shared.ledger.sharing().filter(|_| is_worth_it);
        let Some(sharing) = sharing else { break };
        if !sharing.refill(asked).await {
            break;
        }
        admitted = lock(&gate.shared.limiter).admit(call.clock().mono(), &wanted, tokens);
    }
    let limited = match admitted {
        Ok(permit) => {
            call.permit = Some(permit);
            return Ok(());
        }
        Err(limited) => limited,
    };
    if matches!(limited, Limited::Rate { .. }) {
        return Err(limited.fault());
    }
    let queued = lock(&call.shared().limiter).enqueue(now, call.record.id, &wanted, tokens);
    let ticket = queued.map_err(|limited| limited.fault())?;
    wait(call, ticket, limited.fault()).await
}

/// The model that will be asked for: one that the prompt is pinned to stands above all, though it is rendered later.
fn model_meant(call: &Call) -> Name {
    let pinned = || {
        let (prompt, _) = call.snapshot.prompts.resolve(&call.prompt_named()?).ok()?;
        prompt.model.clone()
    };
    let may_pin = call.policy().has_model_limits() && !call.is_pin_ignored();
    let pinned = if may_pin { pinned() } else { None };
    pinned.unwrap_or_else(|| call.model_wanted())
}

/// Waits for a free slot. Whoever lets one go wakes all who wait; each looks whether it is the one.
async fn wait(call: &mut Call, ticket: Ticket, busy: Fault) -> Result<(), Fault> {
    let gate = call.gate.clone();
    let deadline = tokio::time::Instant::now() + ticket.wait.min(Duration::from_secs(3600));
    let mut queued = Queued { gate: &gate, ticket: Some(ticket) };
    loop {
        let woken = gate.shared.slots.notified();
        tokio::pin!(woken);
        // Registered before looking, so that a slot freed in between is not missed.
        woken.as_mut().enable();
        let Some(ticket) = queued.ticket.take() else { return Err(busy) };
        let collected = lock(&gate.shared.limiter).collect(call.clock().mono(), ticket);
        match collected {
            Collected::Go(permit) => {
                call.permit = Some(permit);
                return Ok(());
            }
            Collected::Refused { limited, wake } => {
                wake_all(&gate, !wake.is_empty());
                return Err(limited.fault());
            }
            Collected::Wait(ticket) => queued.ticket = Some(ticket),
        }
        // A caller that has gone needs no slot.
        if call.gone.is_set() || tokio::time::timeout_at(deadline, woken).await.is_err() {
            return Err(busy);
        }
    }
}

/// Gives the place in the queue back however the wait ends.
struct Queued<'a> {
    gate: &'a crate::gate::Gate,
    ticket: Option<Ticket>,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let now = self.gate.shared.clock.mono();
            let wake = lock(&self.gate.shared.limiter).cancel(now, ticket);
            wake_all(self.gate, !wake.is_empty());
        }
    }
}

fn wake_all(gate: &crate::gate::Gate, any: bool) {
    if any {
        gate.shared.slots.notify_waiters();
    }
}

fn tokens(call: &Call) -> u32 {
    let output = match &call.request {
        Request::Conversation(chat) => chat.max_tokens.as_ref().map_or(0, |asked| asked.value),
        Request::Embeddings(_) | Request::Embed(_) | Request::Pass(_) | Request::None => 0,
    };
    u32::try_from(call.body.len() / BYTES_PER_TOKEN).unwrap_or(u32::MAX).saturating_add(output)
}
