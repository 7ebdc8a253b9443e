//! Opens the stores that the configuration names: SQLite files in the data folder, or a Postgres database.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use gauntlet_policy::config::Secret;
use gauntlet_ports::{Clock, ControlError, ControlStore, EvalRetention, StoreError, TraceStore};
use gauntlet_store::{Database, PostgresControl, PostgresTraces, SpentBy, SqliteControl, SqliteTraces};

use crate::{clock::SystemClock, wiring::make_data_dir};

/// What the stores are opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A gateway that has its caps for itself.
    OwnBudgets,
    /// A gateway that shares its caps, and says there what it has spent.
    SharedBudgets,
    /// Management without a gateway.
    Pages,
}

/// Where records and control data rest.
pub struct Stores {
    pub traces: Arc<dyn TraceStore>,
    pub control: Arc<dyn ControlStore>,
    /// Beside the traces, so that plain SQL joins both.
    pub evals: Arc<dyn EvalRetention>,
    /// Names this data folder among the gateways that share budgets or a store.
    pub replica: String,
    /// For messages.
    pub place: String,
    kind: Kind,
}

enum Kind {
    Sqlite(Arc<SqliteTraces>),
    Postgres { traces: Arc<PostgresTraces>, control: Arc<PostgresControl>, used: Use },
}

impl Stores {
    /// Opens what `store` names. The data folder holds the spool and the replica's name in any case.
    pub fn open(data: &Path, store: &Secret, used: Use) -> Result<Stores> {
        make_data_dir(data)?;
        let url = store.expose();
        if url == "sqlite" { sqlite(data) } else { postgres(data, url, used) }
    }

    /// Moves the store's log into its file, where it has one.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        match &self.kind {
            Kind::Sqlite(traces) => traces.checkpoint(),
            Kind::Postgres { .. } => Ok(()),
        }
    }

    /// Rises with every change of control data; none where only this gateway changes them.
    pub fn change_count(&self) -> Result<Option<i64>, ControlError> {
        match &self.kind {
            Kind::Sqlite(_) => Ok(None),
            Kind::Postgres { control, .. } => control.change_count().map(Some),
        }
    }

    /// Whether others may change control data beside this gateway.
    pub fn has_others(&self) -> bool {
        matches!(self.kind, Kind::Postgres { .. })
    }

    /// What an operator should know at the start: (message, cure).
    pub fn warnings(&self) -> Result<Vec<(String, &'static str)>, StoreError> {
        let Kind::Postgres { traces, used: Use::OwnBudgets, .. } = &self.kind else { return Ok(Vec::new()) };
        let others = traces.other_replicas()?;
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let message = format!(
            "other gateways ({}) used this store within the last hour, and `shared` is not set: each may spend the whole of a cap",
            others.join(", ")
        );
        let cure = "name a store that they share: `shared: redis://HOST:6379`, or the same `postgres://…`; \
             for gateways that were replaced, leave it";
        Ok(vec![(message, cure)])
    }
}

fn sqlite(data: &Path) -> Result<Stores> {
    let traces = Arc::new(SqliteTraces::open(data.join("gauntlet.db"))?);
    let control = Arc::new(SqliteControl::open(data.join(CONTROL_FILE))?);
    Ok(Stores {
        replica: control.setting(REPLICA, &mut fresh_replica)?,
        traces: traces.clone(),
        control,
        evals: traces.clone(),
        place: data.display().to_string(),
        kind: Kind::Sqlite(traces),
    })
}

fn postgres(data: &Path, url: &str, used: Use) -> Result<Stores> {
    let database = Database::open(url)?;
    let replica = replica_of(data)?;
    let spent_by = if used == Use::SharedBudgets { SpentBy::ThisReplica } else { SpentBy::All };
    let traces = Arc::new(PostgresTraces::new(database.clone(), &replica, spent_by));
    let place = database.place().to_owned();
    let control = Arc::new(PostgresControl::new(database));
    if used != Use::Pages {
        traces.announce()?;
    }
    Ok(Stores {
        traces: traces.clone(),
        control: control.clone(),
        evals: traces.clone(),
        replica,
        place,
        kind: Kind::Postgres { traces, control, used },
    })
}

pub const CONTROL_FILE: &str = "control.db";
/// The setting of that file, and the name of a file of its own where the control data are elsewhere.
pub const REPLICA: &str = "replica_id";

/// The name of this data folder, whose spool and spend are told by it. It stays when the folder changes from SQLite to
/// Postgres: what the shared state granted to it is not lost.
pub fn replica_of(data: &Path) -> Result<String> {
    let path = data.join(REPLICA);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let control = data.join(CONTROL_FILE);
    let replica = if control.exists() {
        SqliteControl::open(control)?.setting(REPLICA, &mut fresh_replica)?
    } else {
        fresh_replica()
    };
    keep(&path, &replica).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(replica)
}

pub fn fresh_replica() -> String {
    SystemClock::new().call_id().to_string()
}

/// Whole or not at all: half a name would be another gateway's.
fn keep(path: &PathBuf, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}
