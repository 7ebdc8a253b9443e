//! Takes calls into the index by which they are found: a thread of its own, which gives way to the drainer.
//!
//! It may die at any moment, and another gateway on the same store may do the same work: a step is whole or not at all, and what
//! has no index yet is found without it.

use std::{
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::wiring::Live;

/// Calls of a step: some 30 ms of writing, in which a batch of the drainer waits.
const STEP_CALLS: u32 = 128;
/// Where there was nothing to do. New calls are found without the index meanwhile.
const IDLE: Duration = Duration::from_millis(500);
/// After a failure: the store is down, or its disk full.
const PAUSE: Duration = Duration::from_secs(5);
/// Bytes of the spool that the drainer may be behind by before it is left alone: what it moves in some seconds.
const BEHIND_MAX: u64 = 32 * 1024 * 1024;

pub fn begin(live: &Arc<Live>) -> Result<()> {
    let live = Arc::downgrade(live);
    thread::Builder::new().name("index".to_owned()).spawn(move || work(&live))?;
    Ok(())
}

fn work(live: &Weak<Live>) {
    let mut has_failed = false;
    // Ends with the gateway.
    while let Some(live) = live.upgrade() {
        let began = Instant::now();
        let pause = if live.drainer.stats().spool_bytes_waiting > BEHIND_MAX {
            IDLE
        } else {
            match live.stores.traces.index_step(STEP_CALLS) {
                Ok(0) => {
                    has_failed = false;
                    IDLE
                }
                // At most half of a core's time, so that whoever has waited for the store comes to his turn.
                Ok(_) => began.elapsed(),
                Err(error) => {
                    // Said once, not every five seconds.
                    if !has_failed {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "cannot index calls; they are found, but slower"
                        );
                    }
                    has_failed = true;
                    PAUSE
                }
            }
        };
        drop(live);
        thread::sleep(pause);
    }
}
