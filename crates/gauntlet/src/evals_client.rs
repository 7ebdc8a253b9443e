//! The gateway that evals run through: the one of the data folder where one runs, else a private one for as long as a
//! command takes. Either way calls go over HTTP into the same pipeline, and results lie where the traces are.

mod folders;
mod private;
pub mod query;
mod runner;
mod store;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;

pub use runner::GatewayRunner;
pub use store::GatewayStore;

use crate::{cli::Place, config_dir, runfile::RunFile};
use private::Private;

/// A gateway to run evals through.
pub struct Gateway {
    run: RunFile,
    /// None where it runs anyway.
    private: Option<Private>,
    /// Where paths of the configuration begin.
    root: PathBuf,
}

impl Gateway {
    /// Runs `work` with the gateway of the data folder, or with a private one on the same folder and configuration, which
    /// has ended when this returns: a command that comes next has the folder for itself.
    pub fn with<T>(place: &Place, work: impl FnOnce(&Gateway) -> Result<T>) -> Result<T> {
        let gateway = Gateway::find_or_start(place)?;
        let answer = work(&gateway);
        let ended = gateway.end();
        let answer = answer?;
        ended.map(|()| answer)
    }

    /// End it by name. One that is dropped, or whose process ends however it does, takes a private gateway with it, but
    /// does not wait for its end.
    pub fn find_or_start(place: &Place) -> Result<Gateway> {
        let root = config_dir::find(place.config.as_deref())?.unwrap_or_else(|| PathBuf::from("."));
        if let Some(run) = RunFile::find(&place.data) {
            return Ok(Gateway { run, private: None, root });
        }
        match Private::start(place) {
            Ok((private, run)) => Ok(Gateway { run, private: Some(private), root }),
            // Somebody else was faster.
            Err(error) => match RunFile::find(&place.data) {
                Some(run) => Ok(Gateway { run, private: None, root }),
                None => Err(error),
            },
        }
    }

    pub fn runner(&self) -> Result<Arc<GatewayRunner>> {
        GatewayRunner::new(&self.run, self.root.clone()).map(Arc::new)
    }

    /// Synchronous, as the store itself is: for blocking threads.
    pub fn store(&self) -> Arc<GatewayStore> {
        Arc::new(GatewayStore::new(&self.run))
    }

    /// Waits until a private gateway has settled its calls and brought its records into the store.
    pub fn end(self) -> Result<()> {
        self.private.map_or(Ok(()), Private::end)
    }
}

/// What a refusal of the API says, for people.
fn message(text: &str, status: u16) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_str(text).ok();
    match parsed.as_ref().and_then(|value| value["error"]["message"].as_str()) {
        Some(message) => message.to_owned(),
        None => format!("the gateway answered with status {status}"),
    }
}
