//! Budgets over several replicas: slices are asked for in the background, and by a call only when its slice is too small.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::sync::Notify;

/// How calls and the task that exchanges figures with the shared store meet.
#[derive(Default)]
pub struct Sharing {
    /// A call needs more than its slice.
    wanted: Notify,
    /// An exchange has ended, well or badly.
    done: Notify,
    /// The store could not be asked.
    is_down: AtomicBool,
}

/// How long a call waits for one exchange; the store's own limit is shorter.
const REFILL_WAIT: Duration = Duration::from_millis(800);
/// How often a call asks before it takes no for an answer: slices that others do not need come back within some
/// exchanges.
const REFILLS_MAX: u32 = 6;
/// Between two questions of one call: time for others to give back.
const REFILL_PAUSE: Duration = Duration::from_millis(100);

impl Sharing {
    /// Asks for larger slices and waits for the answer, the `nth` time for this call, from 0; false when asking more is
    /// no use.
    pub(crate) async fn refill(&self, nth: u32) -> bool {
        if nth >= REFILLS_MAX {
            return false;
        }
        if nth > 0 {
            tokio::time::sleep(REFILL_PAUSE).await;
        }
        let done = self.done.notified();
        tokio::pin!(done);
        // Registered before asking, so that a quick answer is not missed.
        done.as_mut().enable();
        self.wanted.notify_one();
        tokio::time::timeout(REFILL_WAIT, done).await.is_ok() && !self.is_down()
    }

    /// Whether the last exchange failed.
    pub fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Acquire)
    }
}
