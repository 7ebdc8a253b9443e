//! Sampling and retention, in the background: what the configuration does not keep goes a page at a time.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use anyhow::Result;
use gauntlet_policy::config::Policy;
use gauntlet_ports::{EVAL_BATCH_MAX, SUITES_SHOWN_MAX, StoreError};
use gauntlet_trace::keep::{self, Keeper, Kept, Rules};
use gauntlet_types::{Environment, Timestamp};

use crate::wiring::{Live, now};

/// Ages are counted in hours at least, and a trace is decided a minute after its end.
const EVERY: Duration = Duration::from_secs(20);
/// Between two passes that both found work: batches and pages go first.
const PAUSE: Duration = Duration::from_millis(200);
/// How often the thread looks whether the gateway is still there.
const LOOK: Duration = Duration::from_millis(200);

pub fn rules(policy: &Policy) -> Rules {
    let server = &policy.config().server;
    let mut ages = [keep::Ages::default(); Environment::ALL.len()];
    for (own, said) in ages.iter_mut().zip(server.retention.ages) {
        *own = keep::Ages { messages: said.messages, records: said.records };
    }
    let sampling = server.sampling.map(|sampling| keep::Sampling {
        keep_percent: sampling.keep_percent,
        slow: sampling.slow,
        wait: sampling.wait,
    });
    Rules { sampling, ages }
}

/// One pass by the configuration in force.
pub fn pass(live: &Live) -> Result<Kept, StoreError> {
    let rules = rules(&live.shared.snapshot.load().policy);
    if !rules.is_any() {
        return Ok(Kept::default());
    }
    let now = now();
    let mut kept = Keeper::new(live.stores.traces.clone()).pass(&rules, now)?;
    let old = old_evals(live, rules.ages[Environment::Eval as usize], now)?;
    kept.cut += old;
    kept.is_more |= old >= EVAL_BATCH_MAX as u64;
    Ok(kept)
}

/// Results of evals are as old as calls of environment `eval` may become: first their words go, then they.
fn old_evals(live: &Live, ages: keep::Ages, now: Timestamp) -> Result<u64, StoreError> {
    if ages.messages.is_none() && ages.records.is_none() {
        return Ok(0);
    }
    let [words, results] = [ages.messages.or(ages.records), ages.records].map(|age| Some(now.minus(age?)));
    live.stores
        .evals
        .eval_expire(words, results)
        .map_err(|error| StoreError::Failed { what: "letting old evals go", source: error.into() })
}

/// Looks for the newest run of each suite that is over, whose means are metrics. The newest may be under way.
const RUNS_LOOKED_AT: u32 = 3;

fn remember_evals(live: &Live) {
    match live.stores.evals.trend_list(SUITES_SHOWN_MAX, RUNS_LOOKED_AT) {
        Ok(trends) => {
            let runs = trends.iter().flat_map(|trend| &trend.runs).map(|one| &one.run);
            live.eval_figures.remember(runs);
        }
        // The next run of each suite says its means again.
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "means of evals are not known")
        }
    }
}

/// Passes now and then, until the gateway has gone.
pub fn in_background(live: &Arc<Live>) -> Result<()> {
    let live: Weak<Live> = Arc::downgrade(live);
    let work = move || {
        // Here rather than at the start, which it would hold up.
        live.upgrade().iter().for_each(|live| remember_evals(live));
        let mut wait = EVERY;
        loop {
            let mut slept = Duration::ZERO;
            while slept < wait {
                if live.strong_count() == 0 {
                    return;
                }
                std::thread::sleep(LOOK.min(wait));
                slept += LOOK;
            }
            let Some(live) = live.upgrade() else { return };
            // A store that is down is told of elsewhere; records wait in the spool meanwhile, and nothing is cut.
            wait = match pass(&live) {
                Ok(kept) if kept.is_more => PAUSE,
                Ok(_) => EVERY,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "sampling and retention wait");
                    EVERY
                }
            };
        }
    };
    std::thread::Builder::new().name("keeper".into()).spawn(work)?;
    Ok(())
}
