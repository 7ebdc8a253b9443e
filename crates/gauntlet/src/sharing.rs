//! The thread that meets the other replicas at the shared store, beside the workers and out of their way.

use std::{sync::Arc, thread::JoinHandle};

use anyhow::{Context, Result};
use gauntlet_pipeline::{Shared, Sharer, SharerParts};
use gauntlet_policy::config::SharedStore;
use gauntlet_ports::{SharedError, SharedState};
use tokio::sync::oneshot;

/// Puts one question to the shared store, on a connection of its own; for management, off the workers' threads.
pub fn ask<T>(
    settings: &SharedStore,
    question: impl AsyncFnOnce(&dyn SharedState) -> Result<T, SharedError>,
) -> Result<T, String> {
    let say = |error: &dyn std::error::Error| match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| say(&error))?;
    let store = gauntlet_store::shared::open(settings.url.expose()).map_err(|error| say(&error))?;
    runtime.block_on(question(&*store)).map_err(|error| say(&error))
}

pub struct Sharing {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Sharing {
    /// Begins to share where the configuration names a store for it.
    pub fn begin(
        shared: &Arc<Shared>,
        store: Option<&SharedStore>,
        replica: &str,
    ) -> Result<Option<Sharing>> {
        let Some(settings) = store else { return Ok(None) };
        let parts = SharerParts {
            shared: shared.clone(),
            store: gauntlet_store::shared::open(settings.url.expose())?,
            replica: replica.to_owned(),
            lease: settings.lease,
            on_down: settings.on_store_down,
        };
        let Some(sharer) = Sharer::new(parts) else { return Ok(None) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            runtime.block_on(sharer.run(async {
                // Dropped is as good as told.
                let _ = stopped.await;
            }));
        };
        let thread = std::thread::Builder::new().name("sharing".to_owned()).spawn(work);
        Ok(Some(Sharing { stop, thread: thread.context("cannot begin to share budgets")? }))
    }

    /// Gives back what is left of this replica's slices; for when all calls have ended. Bounded by the store's own
    /// time limits.
    pub fn end(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}
