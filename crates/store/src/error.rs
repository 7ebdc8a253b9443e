//! What can go wrong on opening a store. Later failures use the errors of the ports.

use std::path::PathBuf;

use gauntlet_ports::{ControlError, StoreError};
use thiserror::Error;

use crate::postgres::Trouble;

/// Why a store file cannot be used; the message names the file and the cure.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error(
        "`{path}` was written by a newer version (schema {found}, this one knows {known}); \
         run that version, or choose another data folder"
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "`{path}` is damaged or is not a database; restore a copy, or move the file and its `-wal` aside to begin afresh"
    )]
    Damaged { path: PathBuf, source: rusqlite::Error },
    #[error("`{path}` is a database of another kind; choose another data folder")]
    Foreign { path: PathBuf },
    #[error(
        "cannot write `{path}`; give this user the right to write the file and its folder, or choose another data folder"
    )]
    Denied { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("`{path}` stays locked by another process; stop it, or choose another data folder")]
    Locked { path: PathBuf, source: rusqlite::Error },
    #[error("cannot open `{path}`")]
    Failed { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the store's address is no valid address; write `postgres://USER:PASSWORD@HOST:5432/DATABASE`")]
    Address,
    #[error("TLS cannot be set up with this machine's certificates; SSL_CERT_FILE names others")]
    Tls { source: rustls::Error },
    #[error("cannot begin a thread for the store")]
    Thread { source: std::io::Error },
    #[error(
        "{place} was written by a newer version (schema {found}, this one knows {known}); \
         run that version, or choose another database"
    )]
    PostgresNewer { place: String, found: i64, known: i64 },
    #[error("{place} does not let this user in; mend user and password in the address of `store`")]
    PostgresLogin { place: String, source: tokio_postgres::Error },
    #[error(
        "{place} refuses to make its tables; give this user the right to make a schema in the database, \
         or make the schema `gauntlet` and give it to this user"
    )]
    PostgresRefused { place: String, source: tokio_postgres::Error },
    #[error(
        "the store cannot be used, and without it nobody knows what budgets have left; \
         start it, or mend the address of `store`"
    )]
    PostgresUnreachable { source: Box<dyn std::error::Error + Send + Sync> },
}

impl OpenError {
    pub(crate) fn of_postgres(trouble: Trouble) -> OpenError {
        match trouble {
            // SQLSTATE class 28: no such user, or a wrong password.
            Trouble::Refused { place, source }
                if source.code().is_some_and(|code| code.code().starts_with("28")) =>
            {
                OpenError::PostgresLogin { place, source }
            }
            // Of a right that is missing.
            Trouble::Refused { place, source }
                if source.code().is_some_and(|code| code.code() == "42501") =>
            {
                OpenError::PostgresRefused { place, source }
            }
            other => OpenError::PostgresUnreachable { source: other.into() },
        }
    }

    pub(crate) fn of_sqlite(path: &std::path::Path, error: rusqlite::Error) -> OpenError {
        use rusqlite::ErrorCode as Code;
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(Code::NotADatabase | Code::DatabaseCorrupt) => OpenError::Damaged { path, source: error },
            Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => {
                OpenError::Denied { path, source: error.into() }
            }
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => OpenError::Locked { path, source: error },
            _ => OpenError::Failed { path, source: error.into() },
        }
    }
}

/// Names the operation that failed; the cause stays the source.
pub(crate) trait During<T> {
    fn during(self, what: &'static str) -> Result<T, StoreError>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> During<T> for Result<T, E> {
    fn during(self, what: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::Failed { what, source: error.into() })
    }
}

/// The same for control data.
pub(crate) fn control_failed<E>(what: &'static str) -> impl Fn(E) -> ControlError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |error| ControlError::Store { what, source: error.into() }
}
