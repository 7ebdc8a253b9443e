//! How a run is told to stop.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Asked once, no further case begins and those under way may end; asked again, they are let go of.
#[derive(Default)]
pub struct Stop {
    asked: AtomicU8,
    notify: Notify,
}

impl Stop {
    pub fn ask(&self) {
        // It saturates: nobody presses a key 255 times within a run, but a wrap would take the stop back.
        let _ = self
            .asked
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |times| Some(times.saturating_add(1)));
        self.notify.notify_waiters();
    }

    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst) > 0
    }

    pub(super) async fn asked(&self) {
        self.reached(1).await;
    }

    pub(super) async fn hurried(&self) {
        self.reached(2).await;
    }

    async fn reached(&self, times: u8) {
        loop {
            // Registered before the look, so that no call of `ask` falls between the two.
            let notified = self.notify.notified();
            if self.asked.load(Ordering::SeqCst) >= times {
                return;
            }
            notified.await;
        }
    }
}
