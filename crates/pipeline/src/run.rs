//! The way of one call, on one page. The order is the product.

use std::sync::Arc;

use gauntlet_types::Fault;

use crate::{
    answer::{Answer, Incoming},
    call::{Call, Passed},
    detach::Gone,
    gate::Gate,
    stage::{self, guard_output::Guarded},
    stream::LiveStream,
};

/// Takes a call through the gauntlet. Never fails: a refusal is an answer too, and has its record.
pub async fn run(gate: Arc<Gate>, incoming: Incoming, gone: Gone) -> Answer {
    let mut call = Call::begin(gate, incoming, gone);
    match stages(&mut call).await {
        // A stream settles and records itself, before its last byte.
        Ok(Passed::Live(live)) => LiveStream::answer(call, *live),
        Ok(Passed::Whole(whole)) => {
            call.note_gone();
            stage::settle::run(&mut call).await;
            stage::record::run(&mut call);
            call.answer(whole)
        }
        Err(fault) => {
            call.refuse(&fault);
            stage::settle::run(&mut call).await;
            stage::record::run(&mut call);
            call.error_answer(&fault)
        }
    }
}

/// The stages in their order; each is a file in `stage/` and none calls another.
async fn stages(call: &mut Call) -> Result<Passed, Fault> {
    stage::admit::run(call).await?;
    stage::limit::run(call).await?;
    if let Some(answer) = stage::guard_input::run(call).await? {
        return Ok(answer);
    }
    stage::render::run(call)?;
    stage::plan::run(call).await?;
    call.check_owner().await?;
    if let Some(answer) = stage::reserve::run(call).await? {
        return Ok(answer);
    }
    if let Some(hit) = stage::cache::look_up(call).await? {
        return Ok(hit);
    }
    loop {
        let answered = stage::attempt::run(call).await?;
        match stage::guard_output::run(call, answered).await? {
            Guarded::Passed(passed) => {
                stage::cache::keep(call, &passed);
                return Ok(passed);
            }
            // Bounded: each round uses up a target of the plan.
            Guarded::Again => {}
        }
    }
}
