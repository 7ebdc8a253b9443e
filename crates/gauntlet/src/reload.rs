//! Takes a changed configuration over, whole or not at all: on a change of its files, on SIGHUP, and by the API.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

use anyhow::Result;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::wiring::Live;

/// Editors write in several steps; what follows within this time belongs to the same change.
const SETTLE: Duration = Duration::from_millis(200);

/// Folders that are looked into besides the configuration folder itself.
const SUBFOLDERS: [&str; 3] = ["guardrails", "prompts", "schemas"];

/// A folder under watch. Begun before the folder is read, so that a change during the start is not missed.
pub struct Watch {
    dir: PathBuf,
    watcher: RecommendedWatcher,
    changes: mpsc::Receiver<()>,
}

impl Watch {
    pub fn begin(dir: &Path) -> Result<Watch> {
        let (tx, changes) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let matters = event
                .is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| is_ours(path)));
            if matters {
                let _ = tx.send(());
            }
        })?;
        watcher.watch(dir, RecursiveMode::NonRecursive)?;
        watch_subfolders(&mut watcher, dir);
        Ok(Watch { dir: dir.to_owned(), watcher, changes })
    }

    /// Takes every change over, for as long as the process lives.
    pub fn follow(self, live: Arc<Live>) -> Result<()> {
        let Watch { dir, mut watcher, changes } = self;
        std::thread::Builder::new().name("reload".into()).spawn(move || {
            while changes.recv().is_ok() {
                while changes.recv_timeout(SETTLE).is_ok() {}
                // A folder may have come since, or come anew.
                watch_subfolders(&mut watcher, &dir);
                // A mistake is logged where it is found; the configuration in force stays.
                let _ = live.reload("its files changed");
            }
        })?;
        Ok(())
    }
}

fn watch_subfolders(watcher: &mut RecommendedWatcher, dir: &Path) {
    for sub in SUBFOLDERS.map(|sub| dir.join(sub)) {
        if sub.is_dir()
            && let Err(error) = watcher.watch(&sub, RecursiveMode::NonRecursive)
        {
            tracing::warn!(%error, folder = %sub.display(), "changes of this folder are not seen; use SIGHUP");
        }
    }
}

fn is_ours(path: &Path) -> bool {
    let is_folder =
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| SUBFOLDERS.contains(&name));
    let ending = path.extension().and_then(|ending| ending.to_str());
    is_folder || ending.is_some_and(|ending| matches!(ending, "yml" | "yaml" | "json"))
}
