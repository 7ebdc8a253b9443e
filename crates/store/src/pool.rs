//! Reader connections: opened when needed, kept for the next question. Readers never wait for the writer.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use rusqlite::Connection;

use crate::file::{self, Kind};

/// More questions at once than this open a connection for themselves; each kept one may hold a page cache.
const IDLE_MAX: usize = 3;

pub(crate) struct Readers {
    path: PathBuf,
    kind: &'static Kind,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, kind: &'static Kind) -> Readers {
        Readers { path, kind, idle: Mutex::new(Vec::new()) }
    }

    /// Runs `read` in one read transaction, so that several statements see the same state.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => file::open_reader(&self.path, self.kind)?,
        };
        let answer = {
            let tx = connection.transaction()?;
            read(&tx)?
        };
        // A connection whose question failed is not kept: it may be what is broken.
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        Ok(answer)
    }
}
