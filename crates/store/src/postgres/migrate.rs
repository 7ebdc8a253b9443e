//! The schema: numbered migrations, forward only, one gateway at a time.

use tokio_postgres::types::Type;

use super::database::{Connection, Result};

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres_001.sql"),
    include_str!("../../migrations/postgres_002.sql"),
    include_str!("../../migrations/postgres_003.sql"),
    include_str!("../../migrations/postgres_004.sql"),
    include_str!("../../migrations/postgres_005.sql"),
    include_str!("../../migrations/postgres_006.sql"),
    include_str!("../../migrations/postgres_007.sql"),
    include_str!("../../migrations/postgres_008.sql"),
    include_str!("../../migrations/postgres_009.sql"),
];

pub(super) enum Schema {
    Known,
    Newer { found: i64, known: i64 },
}

/// Brings the schema up to date; any number of processes may try at once.
pub(super) fn migrate(connection: &Connection) -> Result<Schema> {
    let known = MIGRATIONS.len() as i64;
    // A user who may only use the tables need not have the right to make them.
    match version(connection)? {
        Some(found) if found == known => return Ok(Schema::Known),
        Some(found) if found > known => return Ok(Schema::Newer { found, known }),
        _ => {}
    }
    connection.batch("begin; select pg_advisory_xact_lock(1196314740, 1)")?;
    // Read again under the lock: another process may have been faster.
    let found = version(connection)?.unwrap_or(0);
    if found > known {
        connection.batch("rollback")?;
        return Ok(Schema::Newer { found, known });
    }
    connection.batch(
        "create schema if not exists gauntlet; create table if not exists schema_version (version bigint not null)",
    )?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        connection.batch(migration)?;
    }
    connection.batch("delete from schema_version")?;
    connection.execute("insert into schema_version values ($1)", &[(&known, Type::INT8)])?;
    connection.batch("commit")?;
    Ok(Schema::Known)
}

/// None without the schema.
fn version(connection: &Connection) -> Result<Option<i64>> {
    let there = connection.query("select 1 where to_regclass('gauntlet.schema_version') is not null", &[])?;
    if there.is_empty() {
        return Ok(None);
    }
    let rows = connection.query("select version from gauntlet.schema_version", &[])?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()))
}
