//! `run.json` in the data folder: how the command line finds the running gateway, readable by its owner alone.

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone)]
pub struct RunFile {
    pub pid: u32,
    pub url: String,
    /// Opens the management API; new at each start.
    pub token: String,
}

/// A gateway that starts has the folder a moment before it can be found; it is waited for this often and long, since
/// nobody else may work on its folder meanwhile.
const START_TRIES: usize = 40;
const START_PAUSE: Duration = Duration::from_millis(50);

/// Holds the data folder for one gateway; let go by the operating system when the process ends, however it ends.
pub struct Lock {
    _file: File,
    run: PathBuf,
}

/// Of commands that use a private gateway which another command has started: each holds the file shared, and the gateway
/// ends when it has it alone. The operating system lets go of it with the process, however that ends.
fn guests_file(data: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(data.join("guests"))
}

/// Keeps a private gateway from ending while it is held.
pub struct Guest {
    _file: File,
}

impl Guest {
    /// None where the gateway is about to end, or has.
    pub fn enter(data: &Path, run: &RunFile) -> Option<Guest> {
        let file = guests_file(data).ok()?;
        file.try_lock_shared().ok()?;
        // It may have ended, and another begun, between the two looks.
        let is_same =
            RunFile::find(data).is_some_and(|now| (now.pid, now.token) == (run.pid, run.token.clone()));
        is_same.then_some(Guest { _file: file })
    }

    /// Whether somebody else uses the gateway of this folder.
    pub fn is_there(data: &Path) -> bool {
        let Ok(file) = guests_file(data) else { return false };
        match file.try_lock() {
            Ok(()) => false,
            // Held by guests, who share it, or by the gateway that ends, which does not.
            Err(_) => file.try_lock_shared().is_ok(),
        }
    }

    /// Waits until the last has gone, and lets nobody in any more while the answer is held.
    pub fn none_left(data: &Path) -> std::io::Result<File> {
        let file = guests_file(data)?;
        file.lock()?;
        Ok(file)
    }
}

fn lock_file(data: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(data.join("lock"))
}

impl RunFile {
    /// The gateway that runs on this folder, if one does: its lock is held.
    pub fn find(data: &Path) -> Option<RunFile> {
        let file = File::options().write(true).open(data.join("lock")).ok()?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => (0..START_TRIES).find_map(|attempt| {
                if attempt > 0 {
                    std::thread::sleep(START_PAUSE);
                }
                let text = fs::read_to_string(data.join("run.json")).ok()?;
                serde_json::from_str(&text).ok()
            }),
            _ => None,
        }
    }
}

impl Lock {
    /// Takes the folder, or says who has it.
    pub fn take(data: &Path) -> Result<Lock> {
        let file =
            lock_file(data).with_context(|| format!("cannot write to the data folder {}", data.display()))?;
        match file.try_lock() {
            Ok(()) => {
                let run = data.join("run.json");
                // Of a gateway that was killed; nobody shall find that one while this one starts.
                let _ = fs::remove_file(&run);
                Ok(Lock { _file: file, run })
            }
            Err(TryLockError::WouldBlock) => {
                let who = RunFile::find(data)
                    .map_or_else(String::new, |run| format!(" (process {}, {})", run.pid, run.url));
                bail!(
                    "another gateway uses the data folder {}{who}; stop it, or give --data another folder",
                    data.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock the data folder {}", data.display()))
            }
        }
    }

    pub fn publish(&self, run: &RunFile) -> Result<()> {
        // Removed first: an old file's mode would stay otherwise.
        let _ = fs::remove_file(&self.run);
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(&self.run)?;
        file.write_all(serde_json::to_string(run)?.as_bytes())?;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.run);
    }
}
