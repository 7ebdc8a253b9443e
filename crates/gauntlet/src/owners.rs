//! Whose the things are that providers keep: the control store, asked on threads that may block.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use gauntlet_ports::{ControlError, ControlStore, Owned, Owners};
use gauntlet_types::Name;

pub struct ControlOwners(pub Arc<dyn ControlStore>);

impl ControlOwners {
    fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn ControlStore) -> Result<T, ControlError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, ControlError>> {
        let control = self.0.clone();
        async move {
            let asked = tokio::task::spawn_blocking(move || ask(&*control)).await;
            asked.unwrap_or_else(|error| {
                Err(ControlError::Store { what: "asking whose something is", source: error.into() })
            })
        }
        .boxed()
    }
}

impl Owners for ControlOwners {
    fn keep(&self, owned: Owned) -> BoxFuture<'static, Result<(), ControlError>> {
        self.ask(move |control| control.owned_put(&owned))
    }

    fn owner(&self, provider: Name, id: Name) -> BoxFuture<'static, Result<Option<Name>, ControlError>> {
        self.ask(move |control| control.owner_of(&provider, &id))
    }

    fn ids(&self, provider: Name, tenant: Name) -> BoxFuture<'static, Result<Vec<Name>, ControlError>> {
        self.ask(move |control| control.owned_ids(&provider, &tenant))
    }
}
