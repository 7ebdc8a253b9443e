//! Which targets, in which order. The deciding is `policy::plan`'s; `routing` tells it how targets are, and its answer is
//! joined with endpoints and prices.

use gauntlet_policy::plan::{Resolved, resolve};
use gauntlet_types::{Code, Fault, Stage};

use crate::call::Call;

pub(crate) async fn run(call: &mut Call) -> Result<(), Fault> {
    call.enter(Stage::Plan);
    call.plan = match call.reroute.take() {
        Some(Some(model)) => call.targets_of(&model).await?,
        other => {
            let model = call.pinned.clone().unwrap_or_else(|| call.model_wanted());
            let mut plan = call.targets_of(&model).await?;
            // The target that was meant, which is the first as written, shall not see it; where there is no other, nobody
            // does. Which one happens to be asked first today says nothing about that.
            if other.is_some() {
                let config = call.policy().config();
                if let Resolved::Targets(targets) = resolve(config, &model)
                    && let Some(meant) = targets.first()
                {
                    plan.retain(|planned| planned.target != *meant);
                }
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
