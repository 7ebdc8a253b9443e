//! The gateway that evals run through: the one of the data folder where one runs, else a private one for as long as a
//! command takes. Either way calls go over HTTP into the same pipeline, and results lie where the traces are.

mod folders;
mod private;
pub mod query;
mod runner;
mod store;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

pub use runner::GatewayRunner;
pub use store::GatewayStore;

use crate::{
    cli::Place,
    config_dir,
    runfile::{Guest, RunFile},
};
use private::Private;

/// A private gateway that is about to end has some forty seconds for it, while nobody else may start on its folder.
const FIND_MAX: Duration = Duration::from_secs(60);
const FIND_PAUSE: Duration = Duration::from_millis(50);

/// A gateway to run evals through.
pub struct Gateway {
    run: RunFile,
    /// None where it runs anyway.
    private: Option<Private>,
    /// Keeps a private gateway of another command from ending.
    _guest: Option<Guest>,
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
        let until = Instant::now() + FIND_MAX;
        loop {
            let error = match RunFile::find(&place.data) {
                Some(run) => match Guest::enter(&place.data, &run) {
                    Some(guest) => return Ok(Gateway { run, private: None, _guest: Some(guest), root }),
                    None => anyhow!("the gateway of another command ({}) does not end", run.url),
                },
                None => match Private::start(place) {
                    Ok((private, run)) => {
                        return Ok(Gateway { run, private: Some(private), _guest: None, root });
                    }
                    // Unless somebody else was faster, it cannot be started.
                    Err(error) if RunFile::find(&place.data).is_none() => return Err(error),
                    Err(error) => error,
                },
            };
            if Instant::now() > until {
                return Err(error);
            }
            std::thread::sleep(FIND_PAUSE);
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
