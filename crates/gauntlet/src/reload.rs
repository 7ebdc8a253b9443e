//! Takes a changed configuration over, whole or not at all: on a change of its files, on SIGHUP, and by the API.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use anyhow::Result;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::wiring::Live;

/// Editors write in several steps; what follows within this time belongs to the same change.
const SETTLE: Duration = Duration::from_millis(200);

/// Watches the folder for as long as the returned watcher lives.
pub fn watch(dir: &Path, live: Arc<Live>) -> Result<RecommendedWatcher> {
    let (tx, changes) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let matters = event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| is_ours(path)));
        if matters {
            let _ = tx.send(());
        }
    })?;
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    for sub in ["prompts", "schemas"] {
        if dir.join(sub).is_dir() {
            watcher.watch(&dir.join(sub), RecursiveMode::NonRecursive)?;
        }
    }
    std::thread::Builder::new().name("reload".into()).spawn(move || {
        while changes.recv().is_ok() {
            while changes.recv_timeout(SETTLE).is_ok() {}
            // A mistake is logged where it is found; the configuration in force stays.
            let _ = live.reload("its files changed");
        }
    })?;
    Ok(watcher)
}

fn is_ours(path: &Path) -> bool {
    path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| matches!(ending, "yml" | "yaml" | "json"))
}
