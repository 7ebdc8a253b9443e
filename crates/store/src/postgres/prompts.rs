//! Prompt versions, labels with their moves, and approvals, in Postgres.

use gauntlet_ports::{Approval, ControlError, HISTORY_MAX, LabelMove, MoveKind, StoredPrompt};
use gauntlet_types::Timestamp;
use tokio_postgres::types::Type;

use super::{
    control::{Changed, first, run},
    database::{Connection, Param, Result},
    values::{Columns, stored},
};
use crate::{control::Audit, error::control_failed};

const KEEPING: &str = "keeping a prompt";
const MOVING: &str = "moving a label";
const APPROVING: &str = "keeping an approval";

pub(super) fn put_all(
    connection: &Connection,
    prompts: &[StoredPrompt],
    known: Option<usize>,
) -> std::result::Result<(usize, Vec<Audit>), ControlError> {
    if let Some(known) = known {
        let sql = "select count(*) from prompts";
        let count: Option<i64> = first(connection, "counting prompts", sql, &[], |row| row.get(0))?;
        if count.and_then(|count| usize::try_from(count).ok()) != Some(known) {
            return Err(ControlError::PromptsCame);
        }
    }
    let mut audits = Vec::new();
    let mut new = 0;
    for prompt in prompts {
        let (is_new, audit) = put(connection, prompt)?;
        new += usize::from(is_new);
        audits.extend(audit);
    }
    Ok((new, audits))
}

fn put(connection: &Connection, prompt: &StoredPrompt) -> Changed<bool> {
    let sql = "select hash, source, author, about from prompts where name = $1 and version = $2";
    let named = [&*prompt.name, &*prompt.version];
    let known = first(connection, "looking for a prompt", sql, &named, |row| {
        Ok((row.name(0)?, row.text(1)?, row.name_or_none(2)?, row.text_or_none(3)?))
    })?;
    let Some((hash, source, author, about)) = known else {
        let sql = "insert into prompts (name, version, hash, source, author, app_sha, about, created) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let texts = [
            Some(&*prompt.name),
            Some(&*prompt.version),
            Some(&*prompt.hash),
            Some(&*prompt.source),
            prompt.author.as_deref(),
            prompt.app_sha.as_deref(),
            prompt.about.as_deref(),
        ];
        write(connection, KEEPING, sql, &texts, Some(prompt.created))?;
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
    let sql = "update prompts set author = coalesce(author, $3), app_sha = coalesce(app_sha, $4), \
         about = coalesce($5, about) where name = $1 and version = $2";
    let texts = [
        Some(&*prompt.name),
        Some(&*prompt.version),
        prompt.author.as_deref(),
        prompt.app_sha.as_deref(),
        prompt.about.as_deref(),
    ];
    write(connection, KEEPING, sql, &texts, None)?;
    Ok((false, Audit::prompt(if gets_author { "prompt.author" } else { "prompt.about" }, prompt)))
}

// In the order they came: versions are semantic, and text order would put 10 before 2.
pub(super) const LIST: &str = "select name, version, hash, source, created, author, app_sha, about from prompts \
     order by name, created, seq";

pub(super) fn read(row: &Columns<'_>) -> Result<StoredPrompt> {
    Ok(StoredPrompt {
        name: row.name(0)?,
        version: row.name(1)?,
        hash: row.name(2)?,
        source: row.text(3)?,
        created: Timestamp(row.get(4)?),
        author: row.name_or_none(5)?,
        app_sha: row.name_or_none(6)?,
        about: row.text_or_none(7)?,
    })
}

pub(super) fn move_label(connection: &Connection, moved: &LabelMove) -> Changed<bool> {
    let (name, label, to) = (&*moved.name, &*moved.label, &*moved.to);
    let sql = "select 1 from prompts where name = $1 and version = $2";
    if first(connection, "looking for a prompt", sql, &[name, to], |_| Ok(()))?.is_none() {
        return Err(ControlError::UnknownPrompt { name: moved.name.clone(), version: moved.to.clone() });
    }
    let sql = "select version from labels where name = $1 and label = $2";
    match first(connection, "looking for a label", sql, &[name, label], |row| row.name(0))? {
        Some(now) if now == moved.to => return Ok((false, None)),
        Some(now) if Some(&now) != moved.from.as_ref() => {
            let (name, label) = (moved.name.clone(), moved.label.clone());
            return Err(ControlError::LabelMoved { name, label, now });
        }
        Some(_) | None => {}
    }
    let sql = "insert into labels (name, label, version) values ($1, $2, $3) \
         on conflict (name, label) do update set version = excluded.version";
    run(connection, MOVING, sql, &[name, label, to], &[])?;
    let sql = "insert into label_history (name, label, version, from_version, kind, actor, why, at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8)";
    let texts = [
        Some(name),
        Some(label),
        Some(to),
        moved.from.as_deref(),
        Some(moved.kind.as_str()),
        Some(&*moved.by),
        moved.why.as_deref(),
    ];
    write(connection, MOVING, sql, &texts, Some(moved.at))?;
    Ok((true, Audit::label(moved)))
}

pub(super) fn history(connection: &Connection, prompt: &str) -> Result<Vec<LabelMove>> {
    let sql = format!(
        "select seq, name, label, from_version, version, kind, actor, why, at from label_history \
         where name = $1 order by seq desc limit {HISTORY_MAX}"
    );
    of_prompt(connection, &sql, prompt, |row| {
        Ok(LabelMove {
            seq: row.get(0)?,
            name: row.name(1)?,
            label: row.name(2)?,
            from: row.name_or_none(3)?,
            to: row.name(4)?,
            kind: row.read(5, MoveKind::parse)?,
            by: row.name(6)?,
            why: row.text_or_none(7)?,
            at: Timestamp(row.get(8)?),
        })
    })
}

pub(super) fn approve(connection: &Connection, approval: &Approval) -> Changed<bool> {
    let sql = "insert into approvals (name, version, hash, label, actor, note, at) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (hash, label, actor) do nothing";
    let texts = [
        Some(&*approval.name),
        Some(&*approval.version),
        Some(&*approval.hash),
        Some(&*approval.label),
        Some(&*approval.by),
        approval.note.as_deref(),
    ];
    let is_new = write(connection, APPROVING, sql, &texts, Some(approval.at))? > 0;
    Ok((is_new, if is_new { Audit::approval(approval) } else { None }))
}

pub(super) fn approvals(connection: &Connection, prompt: &str) -> Result<Vec<Approval>> {
    let sql = format!(
        "select seq, name, version, hash, label, actor, note, at from approvals \
         where name = $1 order by seq desc limit {HISTORY_MAX}"
    );
    of_prompt(connection, &sql, prompt, |row| {
        Ok(Approval {
            seq: row.get(0)?,
            name: row.name(1)?,
            version: row.name(2)?,
            hash: row.name(3)?,
            label: row.name(4)?,
            by: row.name(5)?,
            note: row.text_or_none(6)?,
            at: Timestamp(row.get(7)?),
        })
    })
}

fn of_prompt<T>(
    connection: &Connection,
    sql: &str,
    prompt: &str,
    read: impl Fn(&Columns<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let prompt = stored(prompt);
    let rows = connection.query(sql, &[(&prompt, Type::TEXT)])?;
    rows.iter().map(|row| read(&Columns(row))).collect()
}

/// A statement of texts, some of which may be missing, and of an instant behind them.
fn write(
    connection: &Connection,
    what: &'static str,
    sql: &str,
    texts: &[Option<&str>],
    at: Option<Timestamp>,
) -> std::result::Result<u64, ControlError> {
    let texts: Vec<Option<String>> =
        texts.iter().map(|text| text.map(|text| stored(text).into_owned())).collect();
    let at = at.map(|at| at.0);
    let texts = texts.iter().map(|text| -> Param<'_> { (text, Type::TEXT) });
    let params: Vec<Param<'_>> = texts.chain(at.iter().map(|at| -> Param<'_> { (at, Type::INT8) })).collect();
    connection.execute(sql, &params).map_err(control_failed(what))
}
