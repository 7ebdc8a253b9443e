//! Prompt versions, labels with their moves, and approvals, in SQLite.

use gauntlet_ports::{Approval, ControlError, HISTORY_MAX, LabelMove, MoveKind, StoredPrompt};
use gauntlet_types::{Name, Timestamp};
use rusqlite::{Connection, OptionalExtension, Result, Row, Transaction, params};

use super::{Audit, name, readable};
use crate::error::control_failed;

type Changed = std::result::Result<(bool, Option<Audit>), ControlError>;

const KEEPING: &str = "keeping a prompt";
const MOVING: &str = "moving a label";
const APPROVING: &str = "keeping an approval";

pub(super) fn put_all(
    tx: &Transaction<'_>,
    prompts: &[StoredPrompt],
    known: Option<usize>,
) -> std::result::Result<(usize, Vec<Audit>), ControlError> {
    if let Some(known) = known {
        let count: i64 = tx
            .query_row("select count(*) from prompts", [], |row| row.get(0))
            .map_err(control_failed("counting prompts"))?;
        if usize::try_from(count) != Ok(known) {
            return Err(ControlError::PromptsCame);
        }
    }
    let mut audits = Vec::new();
    let mut new = 0;
    for prompt in prompts {
        let (is_new, audit) = put(tx, prompt)?;
        new += usize::from(is_new);
        audits.extend(audit);
    }
    Ok((new, audits))
}

fn put(tx: &Transaction<'_>, prompt: &StoredPrompt) -> Changed {
    let known = tx
        .query_row(
            "select hash, source, author, about from prompts where name = ?1 and version = ?2",
            [&*prompt.name, &*prompt.version],
            |row| {
                Ok((
                    name(row, 0)?,
                    row.get::<_, String>(1)?,
                    maybe(row, 2)?,
                    row.get::<_, Option<String>>(3)?,
                ))
            },
        )
        .optional()
        .map_err(control_failed("looking for a prompt"))?;
    let Some((hash, source, author, about)) = known else {
        tx.execute(
            "insert into prompts (name, version, hash, source, created, author, app_sha, about) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                &*prompt.name,
                &*prompt.version,
                &*prompt.hash,
                prompt.source,
                prompt.created.0,
                prompt.author.as_deref(),
                prompt.app_sha.as_deref(),
                prompt.about
            ],
        )
        .map_err(control_failed(KEEPING))?;
        return Ok((true, Audit::prompt("prompt.put", prompt)));
    };
    if hash != prompt.hash || source != prompt.source {
        return Err(ControlError::PromptChanged {
            name: prompt.name.clone(),
            version: prompt.version.clone(),
            known: hash,
            now: prompt.hash.clone(),
        });
    }
    let gets_author = author.is_none() && prompt.author.is_some();
    if !gets_author && (prompt.about.is_none() || about == prompt.about) {
        return Ok((false, None));
    }
    tx.execute(
        "update prompts set author = coalesce(author, ?3), app_sha = coalesce(app_sha, ?4), \
         about = coalesce(?5, about) where name = ?1 and version = ?2",
        params![
            &*prompt.name,
            &*prompt.version,
            prompt.author.as_deref(),
            prompt.app_sha.as_deref(),
            prompt.about
        ],
    )
    .map_err(control_failed(KEEPING))?;
    Ok((false, Audit::prompt(if gets_author { "prompt.author" } else { "prompt.about" }, prompt)))
}

// In the order they came: versions are semantic, and text order would put 10 before 2.
pub(super) const LIST: &str = "select name, version, hash, source, created, author, app_sha, about from prompts \
     order by name, created, rowid";

pub(super) fn read(row: &Row<'_>) -> Result<StoredPrompt> {
    Ok(StoredPrompt {
        name: name(row, 0)?,
        version: name(row, 1)?,
        hash: name(row, 2)?,
        source: row.get(3)?,
        created: Timestamp(row.get(4)?),
        author: maybe(row, 5)?,
        app_sha: maybe(row, 6)?,
        about: row.get(7)?,
    })
}

pub(super) const LABELS: &str = "select name, label, version from labels order by name, label";

pub(super) fn read_label(row: &Row<'_>) -> Result<(Name, Name, Name)> {
    Ok((name(row, 0)?, name(row, 1)?, name(row, 2)?))
}

pub(super) fn move_label(tx: &Transaction<'_>, moved: &LabelMove) -> Changed {
    let named = [&*moved.name, &*moved.to];
    let is_known: bool = tx
        .query_row("select exists (select 1 from prompts where name = ?1 and version = ?2)", named, |row| {
            row.get(0)
        })
        .map_err(control_failed("looking for a prompt"))?;
    if !is_known {
        return Err(ControlError::UnknownPrompt { name: moved.name.clone(), version: moved.to.clone() });
    }
    let now = tx
        .query_row(
            "select version from labels where name = ?1 and label = ?2",
            [&*moved.name, &*moved.label],
            |row| name(row, 0),
        )
        .optional()
        .map_err(control_failed("looking for a label"))?;
    match now {
        Some(now) if now == moved.to => return Ok((false, None)),
        Some(now) if Some(&now) != moved.from.as_ref() => {
            let (name, label) = (moved.name.clone(), moved.label.clone());
            return Err(ControlError::LabelMoved { name, label, now });
        }
        Some(_) | None => {}
    }
    tx.execute(
        "insert into labels (name, label, version) values (?1, ?2, ?3) \
         on conflict do update set version = excluded.version",
        [&*moved.name, &*moved.label, &*moved.to],
    )
    .map_err(control_failed(MOVING))?;
    tx.execute(
        "insert into label_history (name, label, version, at, from_version, kind, actor, why) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            &*moved.name,
            &*moved.label,
            &*moved.to,
            moved.at.0,
            moved.from.as_deref(),
            moved.kind.as_str(),
            &*moved.by,
            moved.why
        ],
    )
    .map_err(control_failed(MOVING))?;
    Ok((true, Audit::label(moved)))
}

pub(super) fn history(connection: &Connection, prompt: &str) -> Result<Vec<LabelMove>> {
    connection
        .prepare_cached(
            "select seq, name, label, from_version, version, kind, actor, why, at from label_history \
             where name = ?1 order by seq desc limit ?2",
        )?
        .query_map(params![prompt, HISTORY_MAX as i64], |row| {
            Ok(LabelMove {
                seq: row.get(0)?,
                name: name(row, 1)?,
                label: name(row, 2)?,
                from: maybe(row, 3)?,
                to: name(row, 4)?,
                kind: readable(5, MoveKind::parse(row.get_ref(5)?.as_str()?))?,
                by: name(row, 6)?,
                why: row.get(7)?,
                at: Timestamp(row.get(8)?),
            })
        })?
        .collect()
}

pub(super) fn approve(tx: &Transaction<'_>, approval: &Approval) -> Changed {
    let added = tx
        .execute(
            "insert into approvals (name, version, hash, label, actor, note, at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7) on conflict do nothing",
            params![
                &*approval.name,
                &*approval.version,
                &*approval.hash,
                &*approval.label,
                &*approval.by,
                approval.note,
                approval.at.0
            ],
        )
        .map_err(control_failed(APPROVING))?;
    Ok((added > 0, if added > 0 { Audit::approval(approval) } else { None }))
}

pub(super) fn approvals(connection: &Connection, prompt: &str) -> Result<Vec<Approval>> {
    connection
        .prepare_cached(
            "select seq, name, version, hash, label, actor, note, at from approvals \
             where name = ?1 order by seq desc limit ?2",
        )?
        .query_map(params![prompt, HISTORY_MAX as i64], |row| {
            Ok(Approval {
                seq: row.get(0)?,
                name: name(row, 1)?,
                version: name(row, 2)?,
                hash: name(row, 3)?,
                label: name(row, 4)?,
                by: name(row, 5)?,
                note: row.get(6)?,
                at: Timestamp(row.get(7)?),
            })
        })?
        .collect()
}

fn maybe(row: &Row<'_>, column: usize) -> Result<Option<Name>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(Name::from))
}
