//! Which targets, in which order. Pure: the deciding is `policy::plan`'s; here its answer is joined with endpoints and prices.

use gauntlet_types::{Code, Fault, Stage};

use crate::call::Call;

pub(crate) fn run(call: &mut Call) -> Result<(), Fault> {
    call.enter(Stage::Plan);
    call.plan = match call.reroute.take() {
        Some(Some(model)) => call.targets_of(&model, Some(&model))?,
        other => {
            let mut plan = call.targets_of(&call.model_wanted(), call.pinned.as_deref())?;
            // The model that was meant shall not see it; where there is no other, nobody does.
            if other.is_some() {
                plan.remove(0);
            }
            if plan.is_empty() {
                let message = "a guardrail wants another model asked, and the route has no other";
                return Err(Fault::policy(Code::GuardrailBlocked, message));
            }
            plan
        }
    };
    call.output_max = call.output_bound();
    Ok(())
}
