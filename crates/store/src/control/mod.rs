//! Control data in `control.db`: keys, kill switches, prompts, labels, settings and the audit of their changes.
//!
//! Every change writes its audit row in its own transaction, so that neither stands without the other.

pub(crate) mod events;
mod prompts;

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use gauntlet_ports::{
    Approval, ControlError, ControlStore, Event, EventFilter, Kill, KillKind, LabelMove, OWNED_MAX, Owned,
    StoredKey, StoredPrompt,
};
use gauntlet_types::{Environment, Name, Timestamp};
use rusqlite::{
    Connection, OptionalExtension, Result, Row, Transaction, TransactionBehavior, params, types::Type,
};
use serde_json::{Value, json};

use crate::{
    error::{OpenError, control_failed},
    file::{self, Kind},
};

pub(crate) static KIND: Kind = Kind {
    application_id: 0x476e_6331,
    migrations: &[
        include_str!("../../migrations/control_001.sql"),
        include_str!("../../migrations/control_002.sql"),
        include_str!("../../migrations/control_003.sql"),
        include_str!("../../migrations/control_004.sql"),
    ],
    // A revoked key stays revoked after a power cut.
    synchronous: "full",
    page_size: 4096,
    cache_kib_writer: 1024,
    cache_kib_reader: 1024,
    autocheckpoint: 1000,
};

/// Prompt, label, and the version that it points to.
type Label = (Name, Name, Name);

/// Control data in an SQLite file. One connection does: there are few rows, and the hot path reads a snapshot instead.
pub struct SqliteControl {
    connection: Mutex<Connection>,
}

impl SqliteControl {
    /// Opens the file, making it and its folder (readable by their owner alone) where they are missing.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteControl, OpenError> {
        Ok(SqliteControl { connection: Mutex::new(file::open_writer(path.as_ref(), &KIND)?) })
    }

    /// The prompt versions that a file has, and (prompt, label, version) of its labels. Reads alone: nothing is made or
    /// brought up to date, so that it may be asked beside a gateway of any version.
    pub fn prompts_in(path: impl AsRef<Path>) -> Result<(Vec<StoredPrompt>, Vec<Label>), OpenError> {
        let read = || -> Result<_> {
            let connection = file::open_reader(path.as_ref(), &KIND)?;
            let mut list = connection.prepare(prompts::LIST)?;
            let kept = list.query_map([], prompts::read)?.collect::<Result<_>>()?;
            let mut list = connection.prepare(prompts::LABELS)?;
            let labels = list.query_map([], prompts::read_label)?.collect::<Result<_>>()?;
            Ok((kept, labels))
        };
        read().map_err(|error| OpenError::of_sqlite(path.as_ref(), error))
    }

    /// A change and its audit rows, all or nothing. `change` says what to note, or nothing if nothing changed.
    fn change<T, A: IntoIterator<Item = Audit>>(
        &self,
        what: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> Result<(T, A), ControlError>,
    ) -> Result<T, ControlError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let tx = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(control_failed(what))?;
        let (answer, audits) = change(&tx)?;
        for audit in audits {
            audit.write(&tx).map_err(control_failed("writing the audit log"))?;
        }
        tx.commit().map_err(control_failed(what))?;
        Ok(answer)
    }

    fn list<T>(
        &self,
        what: &'static str,
        sql: &str,
        read: fn(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>, ControlError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let list = || -> Result<Vec<T>> { connection.prepare_cached(sql)?.query_map([], read)?.collect() };
        list().map_err(control_failed(what))
    }
}

/// What the audit log says of a change: names and times, never a secret or its hash.
pub(crate) struct Audit {
    /// None is the operator.
    pub actor: Option<Name>,
    pub action: &'static str,
    pub subject: String,
    pub detail: Value,
}

impl Audit {
    pub(crate) fn key_created(key: &StoredKey) -> Option<Audit> {
        let detail = json!({
            "tenant": key.tenant, "team": key.team, "user": key.user, "hint": key.hint,
            "environment": key.environment, "routes": key.routes, "models": key.models,
            "expires": key.expires.map(|at| at.to_string()),
        });
        Audit::new("key.create", &*key.name, detail)
    }

    pub(crate) fn new(action: &'static str, subject: impl Into<String>, detail: Value) -> Option<Audit> {
        Some(Audit { actor: None, action, subject: subject.into(), detail })
    }

    pub(crate) fn prompt(action: &'static str, prompt: &StoredPrompt) -> Option<Audit> {
        let detail = json!({"hash": prompt.hash, "author": prompt.author, "app_sha": prompt.app_sha});
        let subject = format!("{}@{}", prompt.name, prompt.version);
        Some(Audit { actor: prompt.author.clone(), action, subject, detail })
    }

    pub(crate) fn label(moved: &LabelMove) -> Option<Audit> {
        let detail = json!({
            "from": moved.from, "to": moved.to, "kind": moved.kind, "why": moved.why, "at": moved.at.to_string(),
        });
        let subject = format!("{}@{}", moved.name, moved.label);
        Some(Audit { actor: Some(moved.by.clone()), action: "label.set", subject, detail })
    }

    pub(crate) fn approval(approval: &Approval) -> Option<Audit> {
        let detail = json!({"label": approval.label, "hash": approval.hash, "note": approval.note});
        let subject = format!("{}@{}", approval.name, approval.version);
        Some(Audit { actor: Some(approval.by.clone()), action: "prompt.approve", subject, detail })
    }

    pub(crate) fn actor(&self) -> &str {
        self.actor.as_deref().unwrap_or("operator")
    }

    fn write(&self, tx: &Transaction<'_>) -> Result<()> {
        // The table fills in the time itself: not every change of the port carries one.
        tx.prepare_cached("insert into audit (actor, action, subject, detail) values (?1, ?2, ?3, ?4)")?
            .execute(params![self.actor(), self.action, self.subject, self.detail.to_string()])
            .map(drop)
    }
}

impl ControlStore for SqliteControl {
    fn key_insert(&self, key: &StoredKey) -> Result<(), ControlError> {
        self.change("adding a key", |tx| {
            let insert = || -> Result<usize> {
                tx.prepare_cached(include_str!("sql/insert_key.sql"))?.execute(params![
                    &*key.name,
                    key.hash,
                    key.hint,
                    &*key.tenant,
                    key.team.as_deref(),
                    key.user.as_deref(),
                    key.environment.map(Environment::as_str),
                    json!(key.routes).to_string(),
                    json!(key.models).to_string(),
                    key.created.0,
                    key.expires.map(|at| at.0),
                    key.revoked.map(|at| at.0),
                ])
            };
            let is_known: bool = tx
                .query_row("select exists (select 1 from keys where name = ?1)", [&*key.name], |row| {
                    row.get(0)
                })
                .map_err(control_failed("looking for a key"))?;
            if is_known {
                return Err(ControlError::KeyExists(key.name.clone()));
            }
            insert().map_err(control_failed("adding a key"))?;
            Ok(((), Audit::key_created(key)))
        })
    }

    fn key_list(&self) -> Result<Vec<StoredKey>, ControlError> {
        self.list("listing keys", include_str!("sql/list_keys.sql"), read_key)
    }

    /// Revoking again keeps the first time.
    fn key_revoke(&self, name: &str, at: Timestamp) -> Result<(), ControlError> {
        self.change("revoking a key", |tx| {
            let revoked = tx
                .query_row("select revoked from keys where name = ?1", [name], |row| {
                    row.get::<_, Option<i64>>(0)
                })
                .optional()
                .map_err(control_failed("looking for a key"))?;
            match revoked {
                None => Err(ControlError::UnknownKey(name.into())),
                Some(Some(_)) => Ok(((), None)),
                Some(None) => {
                    tx.execute("update keys set revoked = ?2 where name = ?1", params![name, at.0])
                        .map_err(control_failed("revoking a key"))?;
                    Ok(((), Audit::new("key.revoke", name, json!({"at": at.to_string()}))))
                }
            }
        })
    }

    fn kill_set(&self, kill: &Kill) -> Result<(), ControlError> {
        self.change("throwing a kill switch", |tx| {
            tx.execute(
                "insert into kills (kind, name, reason, since) values (?1, ?2, ?3, ?4) \
                 on conflict do update set reason = excluded.reason, since = excluded.since",
                params![kill.kind.as_str(), &*kill.name, kill.reason, kill.since.0],
            )
            .map_err(control_failed("throwing a kill switch"))?;
            let subject = format!("{}/{}", kill.kind.as_str(), kill.name);
            Ok(((), Audit::new("kill.set", subject, json!({"reason": kill.reason}))))
        })
    }

    fn kill_undo(&self, kind: KillKind, name: &str) -> Result<bool, ControlError> {
        self.change("undoing a kill switch", |tx| {
            let gone = tx
                .execute("delete from kills where kind = ?1 and name = ?2", params![kind.as_str(), name])
                .map_err(control_failed("undoing a kill switch"))?;
            let subject = format!("{}/{name}", kind.as_str());
            Ok((gone > 0, if gone > 0 { Audit::new("kill.undo", subject, json!({})) } else { None }))
        })
    }

    fn kill_list(&self) -> Result<Vec<Kill>, ControlError> {
        self.list(
            "listing kill switches",
            "select kind, name, reason, since from kills order by kind, name",
            |row| {
                let kind = KillKind::parse(row.get_ref(0)?.as_str()?);
                Ok(Kill {
                    kind: readable(0, kind)?,
                    name: name(row, 1)?,
                    reason: row.get(2)?,
                    since: Timestamp(row.get(3)?),
                })
            },
        )
    }

    fn owned_put(&self, owned: &Owned) -> Result<(), ControlError> {
        self.change("noting whose something is", |tx| {
            tx.prepare_cached(
                "insert into owned (provider, id, kind, tenant, created) values (?1, ?2, ?3, ?4, ?5) \
                 on conflict do nothing",
            )
            .and_then(|mut insert| {
                insert.execute(params![
                    &*owned.provider,
                    &*owned.id,
                    &*owned.kind,
                    &*owned.tenant,
                    owned.created.0
                ])
            })
            .map_err(control_failed("noting whose something is"))?;
            Ok(((), None))
        })
    }

    fn owner_of(&self, provider: &str, id: &str) -> Result<Option<Name>, ControlError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let find = || -> Result<Option<Name>> {
            connection
                .prepare_cached("select tenant from owned where provider = ?1 and id = ?2")?
                .query_row([provider, id], |row| name(row, 0))
                .optional()
        };
        find().map_err(control_failed("looking whose something is"))
    }

    fn owned_ids(&self, provider: &str, tenant: &str) -> Result<Vec<Name>, ControlError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let list = || -> Result<Vec<Name>> {
            connection
                .prepare_cached(
                    "select id from owned where provider = ?1 and tenant = ?2 order by created desc limit ?3",
                )?
                .query_map(params![provider, tenant, OWNED_MAX as i64], |row| name(row, 0))?
                .collect()
        };
        list().map_err(control_failed("listing what a tenant has"))
    }

    fn prompt_put_all(&self, prompts: &[StoredPrompt], known: Option<usize>) -> Result<usize, ControlError> {
        self.change("keeping prompts", |tx| prompts::put_all(tx, prompts, known))
    }

    fn prompt_list(&self) -> Result<Vec<StoredPrompt>, ControlError> {
        self.list("listing prompts", prompts::LIST, prompts::read)
    }

    fn label_set(&self, moved: &LabelMove) -> Result<bool, ControlError> {
        self.change("moving a label", |tx| prompts::move_label(tx, moved))
    }

    fn label_list(&self) -> Result<Vec<(Name, Name, Name)>, ControlError> {
        self.list("listing labels", prompts::LABELS, prompts::read_label)
    }

    fn label_history(&self, name: &str) -> Result<Vec<LabelMove>, ControlError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        prompts::history(&connection, name).map_err(control_failed("listing moves of labels"))
    }

    fn approval_add(&self, approval: &Approval) -> Result<bool, ControlError> {
        self.change("keeping an approval", |tx| prompts::approve(tx, approval))
    }

    fn approval_list(&self, name: &str) -> Result<Vec<Approval>, ControlError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        prompts::approvals(&connection, name).map_err(control_failed("listing approvals"))
    }

    fn setting(&self, name: &str, make: &mut dyn FnMut() -> String) -> Result<String, ControlError> {
        self.change("reading a setting", |tx| {
            let kept = tx
                .query_row("select value from settings where name = ?1", [name], |row| {
                    row.get::<_, String>(0)
                })
                .optional()
                .map_err(control_failed("reading a setting"))?;
            match kept {
                Some(value) => Ok((value, None)),
                None => {
                    let value = make();
                    put_setting(tx, name, &value)?;
                    // Values may be secrets; the log says only that there is one.
                    Ok((value, Audit::new("setting.create", name, json!({}))))
                }
            }
        })
    }

    fn setting_put(&self, name: &str, value: &str) -> Result<(), ControlError> {
        self.change("keeping a setting", |tx| {
            put_setting(tx, name, value)?;
            Ok(((), Audit::new("setting.put", name, json!({}))))
        })
    }

    fn event_add(&self, event: &Event) -> Result<bool, ControlError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        events::add(&mut connection, event).map_err(control_failed("noting an event"))
    }

    fn event_list(&self, filter: &EventFilter) -> Result<Vec<Event>, ControlError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        events::list(&connection, filter).map_err(control_failed("listing events"))
    }
}

fn put_setting(tx: &Transaction<'_>, name: &str, value: &str) -> Result<(), ControlError> {
    tx.execute(
        "insert into settings (name, value) values (?1, ?2) on conflict do update set value = excluded.value",
        [name, value],
    )
    .map(drop)
    .map_err(control_failed("keeping a setting"))
}

fn read_key(row: &Row<'_>) -> Result<StoredKey> {
    let names = |column: usize| -> Result<Vec<Name>> {
        readable(column, serde_json::from_str(row.get_ref(column)?.as_str()?).ok())
    };
    let optional = |column: usize| -> Result<Option<Name>> {
        Ok(row.get_ref(column)?.as_str_or_null()?.map(Name::from))
    };
    let environment = match row.get_ref(6)?.as_str_or_null()? {
        Some(text) => Some(readable(6, Environment::parse(text))?),
        None => None,
    };
    Ok(StoredKey {
        name: name(row, 0)?,
        hash: row.get(1)?,
        hint: row.get(2)?,
        tenant: name(row, 3)?,
        team: optional(4)?,
        user: optional(5)?,
        environment,
        routes: names(7)?,
        models: names(8)?,
        created: Timestamp(row.get(9)?),
        expires: row.get::<_, Option<i64>>(10)?.map(Timestamp),
        revoked: row.get::<_, Option<i64>>(11)?.map(Timestamp),
    })
}

fn name(row: &Row<'_>, column: usize) -> Result<Name> {
    Ok(Name::from(row.get_ref(column)?.as_str()?))
}

fn readable<T>(column: usize, value: Option<T>) -> Result<T> {
    let unreadable = "not written by this program".into();
    value.ok_or(rusqlite::Error::FromSqlConversionFailure(column, Type::Text, unreadable))
}
