//! Keys, kill switches, prompts, labels, settings and events in Postgres. Changes are made one after the other, under one
//! lock: two gateways that start with the same prompts shall not trip over each other.

use std::sync::{Arc, Mutex, PoisonError};

use gauntlet_ports::{
    Approval, ControlError, ControlStore, Event, EventFilter, EventKind, Kill, KillKind, LabelMove,
    OWNED_MAX, Owned, Severity, StoredKey, StoredPrompt,
};
use gauntlet_types::{Environment, Name, Timestamp};
use serde_json::json;
use tokio_postgres::types::Type;

use super::{
    database::{Connection, Database, Held, Param, Result},
    prompts,
    values::{Columns, stored},
};
use crate::{
    control::{
        Audit,
        events::{EVENTS_MAX, limit_of},
    },
    error::control_failed,
};

const BEGIN_CHANGE: &str = "begin; select pg_advisory_xact_lock(1196314740, 3)";

/// Control data in a Postgres database.
pub struct PostgresControl {
    database: Arc<Database>,
    writer: Mutex<Held>,
}

pub(super) type Changed<T> = std::result::Result<(T, Option<Audit>), ControlError>;

impl PostgresControl {
    pub fn new(database: Arc<Database>) -> PostgresControl {
        PostgresControl { database, writer: Mutex::default() }
    }

    /// Rises with every change, whoever makes it: another gateway's too.
    pub fn change_count(&self) -> std::result::Result<i64, ControlError> {
        let count = |connection: &Connection| {
            let rows = connection.query("select coalesce(max(seq), 0) from audit", &[])?;
            rows.first().map_or(Ok(0), |row| Columns(row).get(0))
        };
        self.database.read(count).map_err(control_failed("looking for changes"))
    }

    /// A change and its audit rows, all or nothing. `change` says what to note, or nothing if nothing changed.
    fn change<T, A: IntoIterator<Item = Audit>>(
        &self,
        what: &'static str,
        change: impl FnOnce(&Connection) -> std::result::Result<(T, A), ControlError>,
    ) -> std::result::Result<T, ControlError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = writer.take(&self.database).map_err(control_failed(what))?;
        connection.batch(BEGIN_CHANGE).map_err(control_failed(what))?;
        let (answer, audits) = change(&connection)?;
        for audit in audits {
            let texts = [audit.actor(), audit.action, &audit.subject, &audit.detail.to_string()]
                .map(|text| stored(text).into_owned());
            let params: Vec<Param<'_>> =
                texts.iter().map(|text| -> Param<'_> { (text, Type::TEXT) }).collect();
            let sql = "insert into audit (actor, action, subject, detail) values ($1, $2, $3, $4)";
            connection.execute(sql, &params).map_err(control_failed("writing the audit log"))?;
        }
        connection.batch("commit").map_err(control_failed(what))?;
        writer.keep(connection);
        Ok(answer)
    }

    fn list<T>(
        &self,
        what: &'static str,
        sql: &str,
        read: impl Fn(&Columns<'_>) -> Result<T>,
    ) -> std::result::Result<Vec<T>, ControlError> {
        let list = |connection: &Connection| -> Result<Vec<T>> {
            connection.query(sql, &[])?.iter().map(|row| read(&Columns(row))).collect()
        };
        self.database.read(list).map_err(control_failed(what))
    }
}

/// A statement whose values are texts.
pub(super) fn run(
    connection: &Connection,
    what: &'static str,
    sql: &str,
    texts: &[&str],
    numbers: &[i64],
) -> std::result::Result<u64, ControlError> {
    let texts: Vec<_> = texts.iter().map(|text| stored(text)).collect();
    let texts = texts.iter().map(|text| -> Param<'_> { (text, Type::TEXT) });
    let numbers = numbers.iter().map(|number| -> Param<'_> { (number, Type::INT8) });
    let params: Vec<Param<'_>> = texts.chain(numbers).collect();
    connection.execute(sql, &params).map_err(control_failed(what))
}

/// The first row of a question whose values are texts.
pub(super) fn first<T>(
    connection: &Connection,
    what: &'static str,
    sql: &str,
    texts: &[&str],
    read: impl FnOnce(&Columns<'_>) -> Result<T>,
) -> std::result::Result<Option<T>, ControlError> {
    let texts: Vec<_> = texts.iter().map(|text| stored(text)).collect();
    let params: Vec<Param<'_>> = texts.iter().map(|text| -> Param<'_> { (text, Type::TEXT) }).collect();
    let rows = connection.query(sql, &params).map_err(control_failed(what))?;
    rows.first().map(|row| read(&Columns(row))).transpose().map_err(control_failed(what))
}

impl ControlStore for PostgresControl {
    fn key_insert(&self, key: &StoredKey) -> std::result::Result<(), ControlError> {
        self.change("adding a key", |connection| {
            let sql = "select 1 from keys where name = $1";
            if first(connection, "looking for a key", sql, &[&key.name], |_| Ok(()))?.is_some() {
                return Err(ControlError::KeyExists(key.name.clone()));
            }
            let texts =
                [&*key.name, &key.hash, &key.hint, &key.tenant].map(|text| stored(text).into_owned());
            let maybe = [key.team.as_deref(), key.user.as_deref(), key.environment.map(Environment::as_str)]
                .map(|text| text.map(|text| stored(text).into_owned()));
            let lists = [json!(key.routes).to_string(), json!(key.models).to_string()];
            let times = [Some(key.created), key.expires, key.revoked].map(|at| at.map(|at| at.0));
            let params: Vec<Param<'_>> = (texts.iter().map(|text| -> Param<'_> { (text, Type::TEXT) }))
                .chain(maybe.iter().map(|text| -> Param<'_> { (text, Type::TEXT) }))
                .chain(lists.iter().map(|text| -> Param<'_> { (text, Type::TEXT) }))
                .chain(times.iter().map(|at| -> Param<'_> { (at, Type::INT8) }))
                .collect();
            let sql = "insert into keys (name, hash, hint, tenant, team, user_id, environment, routes, models, \
                 created, expires, revoked) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
            connection.execute(sql, &params).map_err(control_failed("adding a key"))?;
            Ok(((), Audit::key_created(key)))
        })
    }

    fn key_list(&self) -> std::result::Result<Vec<StoredKey>, ControlError> {
        let sql = "select name, hash, hint, tenant, team, user_id, environment, routes, models, created, expires, \
             revoked from keys order by name";
        self.list("listing keys", sql, |row| {
            let time = |column: usize| -> Result<Option<Timestamp>> {
                Ok(row.get::<Option<i64>>(column)?.map(Timestamp))
            };
            let environment = match row.text_or_none(6)? {
                Some(_) => Some(row.read(6, Environment::parse)?),
                None => None,
            };
            Ok(StoredKey {
                name: row.name(0)?,
                hash: row.text(1)?,
                hint: row.text(2)?,
                tenant: row.name(3)?,
                team: row.name_or_none(4)?,
                user: row.name_or_none(5)?,
                environment,
                routes: row.read(7, |text| serde_json::from_str(text).ok())?,
                models: row.read(8, |text| serde_json::from_str(text).ok())?,
                created: Timestamp(row.get(9)?),
                expires: time(10)?,
                revoked: time(11)?,
            })
        })
    }

    /// Revoking again keeps the first time.
    fn key_revoke(&self, name: &str, at: Timestamp) -> std::result::Result<(), ControlError> {
        self.change("revoking a key", |connection| {
            let sql = "select revoked from keys where name = $1";
            let revoked =
                first(connection, "looking for a key", sql, &[name], |row| row.get::<Option<i64>>(0))?;
            match revoked {
                None => Err(ControlError::UnknownKey(name.into())),
                Some(Some(_)) => Ok(((), None)),
                Some(None) => {
                    let sql = "update keys set revoked = $2 where name = $1";
                    run(connection, "revoking a key", sql, &[name], &[at.0])?;
                    Ok(((), Audit::new("key.revoke", name, json!({"at": at.to_string()}))))
                }
            }
        })
    }

    fn kill_set(&self, kill: &Kill) -> std::result::Result<(), ControlError> {
        self.change("throwing a kill switch", |connection| {
            let sql = "insert into kills (kind, name, reason, since) values ($1, $2, $3, $4) \
                 on conflict (kind, name) do update set reason = excluded.reason, since = excluded.since";
            let texts = [kill.kind.as_str(), &*kill.name, &*kill.reason];
            run(connection, "throwing a kill switch", sql, &texts, &[kill.since.0])?;
            let subject = format!("{}/{}", kill.kind.as_str(), kill.name);
            Ok(((), Audit::new("kill.set", subject, json!({"reason": kill.reason}))))
        })
    }

    fn kill_undo(&self, kind: KillKind, name: &str) -> std::result::Result<bool, ControlError> {
        self.change("undoing a kill switch", |connection| {
            let sql = "delete from kills where kind = $1 and name = $2";
            let gone = run(connection, "undoing a kill switch", sql, &[kind.as_str(), name], &[])?;
            let subject = format!("{}/{name}", kind.as_str());
            Ok((gone > 0, if gone > 0 { Audit::new("kill.undo", subject, json!({})) } else { None }))
        })
    }

    fn kill_list(&self) -> std::result::Result<Vec<Kill>, ControlError> {
        let sql = "select kind, name, reason, since from kills order by kind, name";
        self.list("listing kill switches", sql, |row| {
            Ok(Kill {
                kind: row.read(0, KillKind::parse)?,
                name: row.name(1)?,
                reason: row.text(2)?,
                since: Timestamp(row.get(3)?),
            })
        })
    }

    fn owned_put(&self, owned: &Owned) -> std::result::Result<(), ControlError> {
        self.change("noting whose something is", |connection| {
            let sql = "insert into owned (provider, id, kind, tenant, created) values ($1, $2, $3, $4, $5) \
                 on conflict (provider, id) do nothing";
            let texts = [&*owned.provider, &*owned.id, &*owned.kind, &*owned.tenant];
            run(connection, "noting whose something is", sql, &texts, &[owned.created.0])?;
            Ok(((), None))
        })
    }

    fn owner_of(&self, provider: &str, id: &str) -> std::result::Result<Option<Name>, ControlError> {
        const WHAT: &str = "looking whose something is";
        let sql = "select tenant from owned where provider = $1 and id = $2";
        let (provider, id) = (stored(provider), stored(id));
        let params: [Param<'_>; 2] = [(&provider, Type::TEXT), (&id, Type::TEXT)];
        let find = |connection: &Connection| -> Result<Option<Name>> {
            connection.query(sql, &params)?.first().map(|row| Columns(row).name(0)).transpose()
        };
        self.database.read(find).map_err(control_failed(WHAT))
    }

    fn owned_ids(&self, provider: &str, tenant: &str) -> std::result::Result<Vec<Name>, ControlError> {
        const WHAT: &str = "listing what a tenant has";
        let sql = format!(
            "select id from owned where provider = $1 and tenant = $2 order by created desc limit {OWNED_MAX}"
        );
        let (provider, tenant) = (stored(provider), stored(tenant));
        let params: [Param<'_>; 2] = [(&provider, Type::TEXT), (&tenant, Type::TEXT)];
        let list = |connection: &Connection| -> Result<Vec<Name>> {
            connection.query(&sql, &params)?.iter().map(|row| Columns(row).name(0)).collect()
        };
        self.database.read(list).map_err(control_failed(WHAT))
    }

    fn prompt_put_all(
        &self,
        prompts: &[StoredPrompt],
        known: Option<usize>,
    ) -> std::result::Result<usize, ControlError> {
        self.change("keeping prompts", |connection| prompts::put_all(connection, prompts, known))
    }

    fn prompt_list(&self) -> std::result::Result<Vec<StoredPrompt>, ControlError> {
        self.list("listing prompts", prompts::LIST, prompts::read)
    }

    fn label_set(&self, moved: &LabelMove) -> std::result::Result<bool, ControlError> {
        self.change("moving a label", |connection| prompts::move_label(connection, moved))
    }

    fn label_list(&self) -> std::result::Result<Vec<(Name, Name, Name)>, ControlError> {
        let sql = "select name, label, version from labels order by name, label";
        self.list("listing labels", sql, |row| Ok((row.name(0)?, row.name(1)?, row.name(2)?)))
    }

    fn label_history(&self, name: &str) -> std::result::Result<Vec<LabelMove>, ControlError> {
        let list = |connection: &Connection| prompts::history(connection, name);
        self.database.read(list).map_err(control_failed("listing moves of labels"))
    }

    fn approval_add(&self, approval: &Approval) -> std::result::Result<bool, ControlError> {
        self.change("keeping an approval", |connection| prompts::approve(connection, approval))
    }

    fn approval_list(&self, name: &str) -> std::result::Result<Vec<Approval>, ControlError> {
        let list = |connection: &Connection| prompts::approvals(connection, name);
        self.database.read(list).map_err(control_failed("listing approvals"))
    }

    fn setting(
        &self,
        name: &str,
        make: &mut dyn FnMut() -> String,
    ) -> std::result::Result<String, ControlError> {
        self.change("reading a setting", |connection| {
            let sql = "select value from settings where name = $1";
            match first(connection, "reading a setting", sql, &[name], |row| row.text(0))? {
                Some(value) => Ok((value, None)),
                None => {
                    let value = make();
                    put_setting(connection, name, &value)?;
                    // Values may be secrets; the log says only that there is one.
                    Ok((value, Audit::new("setting.create", name, json!({}))))
                }
            }
        })
    }

    fn setting_put(&self, name: &str, value: &str) -> std::result::Result<(), ControlError> {
        self.change("keeping a setting", |connection| {
            put_setting(connection, name, value)?;
            Ok(((), Audit::new("setting.put", name, json!({}))))
        })
    }

    fn event_add(&self, event: &Event) -> std::result::Result<bool, ControlError> {
        const WHAT: &str = "noting an event";
        self.change(WHAT, |connection| {
            let detail = event.detail.to_string();
            let texts =
                [event.kind.as_str(), &*event.key, event.severity.as_str(), &*event.message, &*detail];
            let sql = "insert into events (kind, key, severity, message, detail, at) \
                 values ($1, $2, $3, $4, $5, $6) on conflict (key) do nothing";
            let added = run(connection, WHAT, sql, &texts, &[event.at.0])? > 0;
            if added {
                let sql = "delete from events where seq <= (select max(seq) from events) - $1";
                run(connection, WHAT, sql, &[], &[EVENTS_MAX])?;
            }
            Ok((added, None))
        })
    }

    fn event_list(&self, filter: &EventFilter) -> std::result::Result<Vec<Event>, ControlError> {
        let kind = filter.kind.map(EventKind::as_str);
        let after = filter.after.map_or(0, |after| i64::try_from(after).unwrap_or(i64::MAX));
        let limit = i64::from(limit_of(filter));
        let sql = "select seq, at, kind, key, severity, message, detail from events \
             where ($1 is null or kind = $1) and seq > $2 order by seq desc limit $3";
        let list = |connection: &Connection| -> Result<Vec<Event>> {
            let params: [Param<'_>; 3] = [(&kind, Type::TEXT), (&after, Type::INT8), (&limit, Type::INT8)];
            let rows = connection.query(sql, &params)?;
            let read = |row: &tokio_postgres::Row| {
                let row = Columns(row);
                Ok(Event {
                    seq: row.whole(0)?,
                    at: Timestamp(row.get(1)?),
                    kind: row.read(2, EventKind::parse)?,
                    key: row.text(3)?,
                    severity: row.read(4, Severity::parse)?,
                    message: row.text(5)?,
                    detail: row.read(6, |text| serde_json::from_str(text).ok())?,
                })
            };
            rows.iter().map(read).collect()
        };
        self.database.read(list).map_err(control_failed("listing events"))
    }
}

fn put_setting(connection: &Connection, name: &str, value: &str) -> std::result::Result<(), ControlError> {
    let sql = "insert into settings (name, value) values ($1, $2) \
         on conflict (name) do update set value = excluded.value";
    run(connection, "keeping a setting", sql, &[name, value], &[]).map(drop)
}
