//! Opening a database file: permissions, pragmas, schema.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::OpenError;

/// Long enough for another process (the command line) to finish a write, short enough to be told.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What sort of file: its mark, its migrations in order, how hard it syncs.
pub(crate) struct Kind {
    /// SQLite's `application_id`, so that a mix-up of files is noticed.
    pub application_id: i32,
    pub migrations: &'static [&'static str],
    pub synchronous: &'static str,
    /// Bytes in a page of a new file; one that exists keeps its own.
    pub page_size: u32,
    /// Page caches, in KiB; they grow only as pages are read.
    pub cache_kib_writer: u32,
    pub cache_kib_reader: u32,
    /// Pages in the write-ahead log at which a commit itself checkpoints.
    pub autocheckpoint: u32,
}

/// Opens for writing; makes the folder, the file and the schema where they are missing.
pub(crate) fn open_writer(path: &Path, kind: &Kind) -> Result<Connection, OpenError> {
    make_private(path)?;
    let failed = |error| OpenError::of_sqlite(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    // First look at what is there: a foreign or damaged file is left as it was.
    check(path, kind, &connection)?;
    connection.pragma_update(None, "page_size", kind.page_size).map_err(failed)?;
    // Of a file that is there already this takes effect with its next `vacuum`: see `traces/cut.rs`.
    connection.pragma_update(None, "auto_vacuum", "incremental").map_err(failed)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
    tune(&connection, kind).map_err(failed)?;
    migrate(path, kind, &mut connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens a file that [`open_writer`] has opened before, for reading alone.
pub(crate) fn open_reader(path: &Path, kind: &Kind) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -i64::from(kind.cache_kib_reader))?;
    connection.pragma_update(None, "query_only", true)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Opens a connection that only checkpoints: it needs no page cache, and gives up rather than hold a batch up for long.
pub(crate) fn open_checkpointer(path: &Path, wait: Duration) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(wait)?;
        connection.pragma_update(None, "cache_size", 16)?;
        Ok(connection)
    };
    open().map_err(|error| OpenError::of_sqlite(path, error))
}

/// The file holds key hashes and users' words: only its owner may read it. SQLite gives `-wal` and `-shm` the same mode.
fn make_private(path: &Path) -> Result<(), OpenError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            OpenError::Denied { path: path.to_owned(), source: error.into() }
        }
        _ => OpenError::Failed { path: path.to_owned(), source: error.into() },
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(failed)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(failed).map(drop)
}

fn tune(connection: &Connection, kind: &Kind) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", kind.synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -i64::from(kind.cache_kib_writer))?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // What is erased is overwritten, not only unlinked.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", kind.autocheckpoint)
}

fn check(path: &Path, kind: &Kind, connection: &Connection) -> Result<i64, OpenError> {
    let failed = |error| OpenError::of_sqlite(path, error);
    let found = number(connection, "user_version").map_err(failed)?;
    let application = number(connection, "application_id").map_err(failed)?;
    let tables: i64 =
        connection.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let known = kind.migrations.len() as i64;
    if tables > 0 && application != i64::from(kind.application_id) {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// Forward only, one transaction a migration: a crash between two leaves the older schema whole.
fn migrate(path: &Path, kind: &Kind, connection: &mut Connection) -> Result<(), OpenError> {
    let failed = |error| OpenError::of_sqlite(path, error);
    for _ in 0..=kind.migrations.len() {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        // Read again under the lock: another process may have been faster.
        let at = check(path, kind, &tx)?;
        let Some(migration) = usize::try_from(at).ok().and_then(|at| kind.migrations.get(at)) else {
            return Ok(());
        };
        tx.execute_batch(migration).map_err(failed)?;
        tx.pragma_update(None, "application_id", kind.application_id).map_err(failed)?;
        tx.pragma_update(None, "user_version", at + 1).map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    Ok(())
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

/// The write-ahead log beside a database.
pub(crate) fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
