//! Which targets, in which order. Pure: the deciding is `policy::plan`'s; here its answer is joined with endpoints and prices.

use gauntlet_types::{Fault, Stage};

use crate::call::Call;

pub(crate) fn run(call: &mut Call) -> Result<(), Fault> {
    call.enter(Stage::Plan);
    call.plan = call.targets_of(&call.model_wanted(), call.pinned.as_deref())?;
    call.output_max = call.output_bound();
    Ok(())
}
