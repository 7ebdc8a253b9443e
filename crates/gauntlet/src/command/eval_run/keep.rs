//! Where results go and judges' answers come from: the gateway's store.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use gauntlet_evals::{JudgeCache, run::Sink};
use gauntlet_ports::{EvalResult, EvalRun, EvalStore, EvalStoreError, JudgeKey, Judged};

use super::brief::Brief;
use crate::evals_client::{GatewayRunner, GatewayStore};

/// The store's client waits for its answers, so it does so on threads for that.
pub(super) struct Shelf {
    store: Arc<GatewayStore>,
    /// Of what was kept, by this run and its former parts.
    brief: Mutex<Brief>,
}

impl Shelf {
    pub(super) fn new(store: Arc<GatewayStore>, former: &[EvalResult]) -> Shelf {
        let mut brief = Brief::default();
        former.iter().for_each(|result| brief.add(result));
        Shelf { store, brief: Mutex::new(brief) }
    }

    pub(super) fn into_brief(self) -> Brief {
        self.brief.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    async fn put(
        &self,
        put: impl FnOnce(&GatewayStore) -> Result<(), EvalStoreError> + Send + 'static,
    ) -> Result<(), String> {
        let store = Arc::clone(&self.store);
        let put = tokio::task::spawn_blocking(move || put(&store)).await;
        // The cause is what helps: the message only says at what.
        put.map_err(|error| error.to_string())?.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    }
}

impl Sink for Shelf {
    fn run<'a>(&'a self, run: &'a EvalRun) -> BoxFuture<'a, Result<(), String>> {
        let run = run.clone();
        Box::pin(self.put(move |store| store.run_put(&run)))
    }

    fn results<'a>(&'a self, results: &'a [EvalResult]) -> BoxFuture<'a, Result<(), String>> {
        let sent = results.to_vec();
        Box::pin(async move {
            self.put(move |store| store.result_add(&sent)).await?;
            let mut brief = self.brief.lock().unwrap_or_else(PoisonError::into_inner);
            results.iter().for_each(|result| brief.add(result));
            Ok(())
        })
    }
}

pub(super) struct Judgements {
    pub(super) runner: Arc<GatewayRunner>,
    /// Nothing that was answered before counts.
    pub(super) is_fresh: bool,
}

/// Fails open: a judge whose answer cannot be looked up is asked.
impl JudgeCache for Judgements {
    fn get<'a>(&'a self, key: &'a JudgeKey) -> BoxFuture<'a, Option<Judged>> {
        Box::pin(async move {
            if self.is_fresh {
                return None;
            }
            match self.runner.judged_get(key).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(%error, "a judge's answer cannot be looked up");
                    None
                }
            }
        })
    }

    fn put(&self, judged: Judged) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Err(error) = self.runner.judged_put(&judged).await {
                tracing::warn!(%error, "a judge's answer cannot be kept");
            }
        })
    }
}
