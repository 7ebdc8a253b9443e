//! How words of evals go: with the calls that they came from, and by age. Figures, hashes and verdicts stay.

use std::collections::{BTreeMap, BTreeSet};

use gauntlet_ports::{EVAL_BATCH_MAX, EvalRetention, EvalsCut};
use gauntlet_types::{CallId, Name, Timestamp};
use serde_json::Value;
use tokio_postgres::types::Type;

use super::{
    super::{
        PostgresTraces,
        database::{Connection, Param, Result, Trouble},
        values::{At, Columns, Id, shown, stored},
    },
    Done,
};
use crate::evals::{REPORTS_AT_ONCE, bounded, unquote};

/// Cases that lose their words, by the run that asked them.
type Gone = BTreeMap<Name, BTreeSet<Name>>;

impl EvalRetention for PostgresTraces {
    fn eval_cut(&self, calls: &[CallId]) -> Done<EvalsCut> {
        bounded(calls.len())?;
        let calls: Vec<Id> = calls.iter().map(|call| Id(call.0)).collect();
        self.evals_write("erasing words of evals", |connection| {
            let mut cut = EvalsCut::default();
            let gone = cut_calls(connection, &calls, &mut cut)?;
            for (run, cases) in &gone {
                cut.rows += unquote_run(connection, run, cases)?;
            }
            Ok(cut)
        })
    }

    fn eval_expire(&self, words: Option<Timestamp>, results: Option<Timestamp>) -> Done<u64> {
        self.evals_write("letting old evals go", |connection| {
            let mut count = 0;
            if let Some(before) = results.map(At) {
                let sql = format!("select id from eval_results where ts < $1 limit {EVAL_BATCH_MAX}");
                let ids = ids(connection, &sql, &[(&before, Type::TIMESTAMPTZ)])?;
                let gone: [Param<'_>; 1] = [(&ids, Type::UUID_ARRAY)];
                connection.execute("delete from eval_scores where result_id = any($1)", &gone)?;
                connection.execute("delete from eval_results where id = any($1)", &gone)?;
                count += ids.len() as u64;
            }
            if let Some(before) = words.map(At) {
                let before: [Param<'_>; 1] = [(&before, Type::TIMESTAMPTZ)];
                let sql = format!(
                    "select id from eval_results where ts < $1 \
                     and (input is not null or expected is not null or output is not null) limit {EVAL_BATCH_MAX}"
                );
                let ids = ids(connection, &sql, &before)?;
                clear_words(connection, &ids)?;
                let sql = format!(
                    "delete from judge_cache where seq in \
                     (select seq from judge_cache where ts < $1 limit {EVAL_BATCH_MAX})"
                );
                count += ids.len() as u64 + connection.execute(&sql, &before)?;
                count += unquote_old(connection, &before)?;
            }
            Ok(count)
        })
    }
}

/// What is erased with calls: results that they answered, results of cases that were made from them, judges' answers.
fn cut_calls(connection: &Connection, calls: &Vec<Id>, cut: &mut EvalsCut) -> Result<Gone> {
    let calls: [Param<'_>; 1] = [(calls, Type::UUID_ARRAY)];
    let found = connection.query(
        "select e.id, e.eval_id, e.case_id, e.output_hash, e.call_id, coalesce(e.source_call = any($1), false), r.suite \
         from eval_results e left join eval_runs r on r.id = e.eval_id \
         where e.call_id = any($1) or e.source_call = any($1) order by e.id",
        &calls,
    )?;
    let (mut ids, mut hashes, mut gone) = (Vec::new(), Vec::new(), Gone::new());
    for row in &found {
        let row = Columns(row);
        ids.push(row.get::<Id>(0)?);
        hashes.extend(row.get::<Option<String>>(3)?);
        let (Some(run), Some(case)) = (row.name_or_none(1)?, row.name_or_none(2)?) else { continue };
        gone.entry(run.clone()).or_default().insert(case.clone());
        if !row.get::<bool>(5)? {
            continue;
        }
        cut.answers.extend(row.get::<Option<Id>>(4)?.map(|id| CallId(id.0)));
        if !cut.runs.contains(&run) {
            cut.runs.push(run);
        }
        let case = (row.name_or_none(6)?.unwrap_or_default(), case);
        if !cut.cases.contains(&case) {
            cut.cases.push(case);
        }
    }
    clear_words(connection, &ids)?;
    let forgotten = connection.execute("delete from judge_cache where call_id = any($1)", &calls)?;
    let of_outputs = "delete from judge_cache where output_hash = any($1)";
    let about = connection.execute(of_outputs, &[(&hashes, Type::TEXT_ARRAY)])?;
    cut.rows += ids.len() as u64 + forgotten + about;
    Ok(gone)
}

/// Takes quotes of these cases out of every report that is about the run; how many reports changed.
fn unquote_run(connection: &Connection, run: &Name, cases: &BTreeSet<Name>) -> Result<u64> {
    let run = stored(run);
    let rows = connection.query(
        "select id from eval_gates where (eval_id = $1 or baseline = $1) and quotes",
        &[(&run, Type::TEXT)],
    )?;
    let mut changed = 0;
    // One at a time: a report may be large.
    for row in &rows {
        let id: &str = Columns(row).get(0)?;
        changed += u64::from(rewrite(connection, id, |case| cases.contains(case), true)?);
    }
    Ok(changed)
}

fn unquote_old(connection: &Connection, before: &[Param<'_>]) -> Result<u64> {
    let sql = format!("select id from eval_gates where ts < $1 and quotes limit {REPORTS_AT_ONCE}");
    let rows = connection.query(&sql, before)?;
    for row in &rows {
        rewrite(connection, Columns(row).get(0)?, |_| true, false)?;
    }
    Ok(rows.len() as u64)
}

fn rewrite(
    connection: &Connection,
    id: &str,
    is_meant: impl Fn(&str) -> bool,
    still_quotes: bool,
) -> Result<bool> {
    let found = connection.query("select report from eval_gates where id = $1", &[(&id, Type::TEXT)])?;
    let Some(row) = found.first() else { return Ok(false) };
    let text: &str = Columns(row).get(0)?;
    let mut report: Value = serde_json::from_str(&shown(text)).map_err(|_| Trouble::Unreadable(0))?;
    let held = unquote(&mut report, is_meant);
    if held || !still_quotes {
        let text = report.to_string();
        let report = stored(&text);
        connection.execute(
            "update eval_gates set report = $2, quotes = $3 where id = $1",
            &[(&id, Type::TEXT), (&report, Type::TEXT), (&still_quotes, Type::BOOL)],
        )?;
    }
    Ok(held)
}

fn ids(connection: &Connection, sql: &str, params: &[Param<'_>]) -> Result<Vec<Id>> {
    connection.query(sql, params)?.iter().map(|row| Columns(row).get(0)).collect()
}

fn clear_words(connection: &Connection, ids: &Vec<Id>) -> Result<()> {
    let params: [Param<'_>; 1] = [(ids, Type::UUID_ARRAY)];
    let sql = "update eval_results set input = null, expected = null, output = null, error = null where id = any($1)";
    connection.execute(sql, &params)?;
    let sql = "update eval_scores set reason = null, evidence = null where result_id = any($1)";
    connection.execute(sql, &params).map(drop)
}
