//! Asks a second target beside one that is late, and takes whichever answers first (hedged requests, in "The Tail at
//! Scale" by Dean and Barroso, 2013).
//!
//! Once a call, and only where every budget has room for both. The one that is dropped is charged like any attempt that
//! gave the caller nothing, since its provider may bill it, and its breaker hears neither good nor bad.

use std::{pin::Pin, time::Duration};

use gauntlet_policy::retry::{Against, Verdict};
use gauntlet_types::AttemptEnd;
use tokio::time::Instant;

use super::{
    asking::{Asking, Came},
    failed::Failed,
    set_aside,
};
use crate::{call::Call, outgoing::Told, routing::Flight};

/// One try at one target of the plan.
pub(super) struct Try {
    pub(super) index: usize,
    pub(super) start_us: u32,
    pub(super) flight: Flight,
    /// What was changed to tell the request there.
    pub(super) told: Told,
}

impl Try {
    fn begin(call: &Call, index: usize, told: Told) -> Try {
        let flight = Flight::begin(&call.gate.shared, &call.plan[index].target);
        Try { index, start_us: call.elapsed_us(), flight, told }
    }

    pub(super) fn lasted(&self, until_us: u32) -> Duration {
        Duration::from_micros(u64::from(until_us.saturating_sub(self.start_us)))
    }
}

/// A try and its request under way.
struct Runner {
    tried: Try,
    going: Pin<Box<dyn Future<Output = Came> + Send>>,
}

impl Runner {
    fn new(tried: Try, asking: Asking) -> Runner {
        Runner { tried, going: Box::pin(asking.go()) }
    }
}

/// Asks this target, and where it is late and the model is hedged, another beside it. Gives the try that decides what
/// becomes of the call; what became of the other is noted and billed.
pub(super) async fn ask(call: &mut Call, index: usize, deadline: Instant) -> (Try, Came) {
    let (asking, told) = match Asking::new(call, index, deadline) {
        Ok(ready) => ready,
        Err(failed) => {
            let came = Came { result: Err(failed), at_us: call.elapsed_us() };
            return (Try::begin(call, index, Told::default()), came);
        }
    };
    let tried = Try::begin(call, index, told);
    let Some(after) = call.hedged_after(index) else { return (tried, asking.go().await) };
    let mut first = Runner::new(tried, asking);
    if let Ok(came) = tokio::time::timeout(after, &mut first.going).await {
        return (first.tried, came);
    }
    match with_second(call, &mut first, deadline).await {
        (Some(came), second) => {
            // It was never sent, so that nobody is to blame for it or to be paid.
            if let Some(second) = second {
                call.note_failed_at(second.tried.index, Against::Nobody, None);
            }
            (first.tried, came)
        }
        (None, Some(second)) => race(call, first, second, deadline).await,
        (None, None) => (first.tried, first.going.await),
    }
}

/// Makes a second request ready while the first goes on, and tells if that has come to its end meanwhile.
async fn with_second(
    call: &mut Call,
    first: &mut Runner,
    deadline: Instant,
) -> (Option<Came>, Option<Runner>) {
    let mut early = None;
    let second = second(call, first.tried.index, deadline);
    tokio::pin!(second);
    loop {
        tokio::select! {
            biased;
            // Never dropped half-way: the call's hold is in its hands meanwhile.
            ready = &mut second => return (early, ready),
            came = &mut first.going, if early.is_none() => early = Some(came),
        }
    }
}

/// A request to the next target that is free, once the hold covers both; not sent yet. None where there is no such target,
/// or no room in a budget.
async fn second(call: &mut Call, index: usize, deadline: Instant) -> Option<Runner> {
    if call.gone.is_set() || Instant::now() >= deadline {
        return None;
    }
    let beside = (index + 1..call.plan.len()).find(|at| call.stands_free(*at))?;
    let (asking, told) = Asking::new(call, beside, deadline).ok()?;
    call.has_hedged = true;
    if !call.hold_beside(index, beside).await || call.may_ask(beside).is_err() {
        return None;
    }
    gauntlet_ports::crash_point!("hedge.held");
    Some(Runner::new(Try::begin(call, beside, told), asking))
}

/// The first answer that will do decides, and the other request is dropped; where one fails, the other is waited for.
async fn race(call: &mut Call, mut first: Runner, mut second: Runner, deadline: Instant) -> (Try, Came) {
    let (came, one, other) = tokio::select! {
        biased;
        came = &mut first.going => (came, first, second),
        came = &mut second.going => (came, second, first),
    };
    if came.result.is_ok() {
        // Before anything else: what it would still write need not be paid for.
        drop(other.going);
        let message = format!("{} answered first", call.plan[one.tried.index].target);
        let outrun = Failed::new(AttemptEnd::Outrun, message);
        set_aside(call, &other.tried, came.at_us, &outrun, deadline).await;
        // Of the second it says little that it was not quicker: it began later.
        if other.tried.index < one.tried.index {
            call.note_outrun(other.tried.index, other.tried.lasted(came.at_us));
        }
        return (one.tried, came);
    }
    let ended = [(one.tried, came), (other.tried, other.going.await)];
    let [(decides, came), (aside, of_aside)] = ranked(ended);
    if let Err(failed) = &of_aside.result {
        set_aside(call, &aside, of_aside.at_us, failed, deadline).await;
    }
    (decides, came)
}

/// An answer first; then who finds fault with the request, which no target would take; then as they were planned.
fn ranked(mut ended: [(Try, Came); 2]) -> [(Try, Came); 2] {
    ended.sort_by_key(|(tried, came)| match &came.result {
        Ok(_) => (0, tried.index),
        Err(failed) if failed.verdict() == Verdict::GiveUp => (1, tried.index),
        Err(_) => (2, tried.index),
    });
    ended
}
