//! How words of evals go: with the calls that they came from, and by age. Figures, hashes and verdicts stay.

use std::collections::{BTreeMap, BTreeSet};

use gauntlet_ports::{EVAL_BATCH_MAX, EvalRetention, EvalStoreError, EvalsCut};
use gauntlet_types::{CallId, Name, Timestamp};
use rusqlite::{Result, Row, Transaction, params};

use super::{SqliteTraces, call_id, name_or_none, readable};
use crate::{
    evals::{REPORTS_AT_ONCE, bounded, unquote},
    time,
};

/// Cases that lose their words, by the run that asked them.
type Gone = BTreeMap<String, BTreeSet<String>>;

impl EvalRetention for SqliteTraces {
    fn eval_cut(&self, calls: &[CallId]) -> std::result::Result<EvalsCut, EvalStoreError> {
        bounded(calls.len())?;
        self.evals_write("erasing words of evals", |tx| {
            let mut cut = EvalsCut::default();
            let mut gone = Gone::new();
            for call in calls {
                cut_call(tx, *call, &mut cut, &mut gone)?;
            }
            for (run, cases) in &gone {
                cut.rows += unquote_run(tx, run, cases)?;
            }
            Ok(cut)
        })
    }

    fn eval_expire(
        &self,
        words: Option<Timestamp>,
        results: Option<Timestamp>,
    ) -> std::result::Result<u64, EvalStoreError> {
        self.evals_write("letting old evals go", |tx| {
            let mut count = 0;
            if let Some(before) = results.map(time::instant) {
                count += remove_results(tx, &before)?;
            }
            if let Some(before) = words.map(time::instant) {
                let sql = format!(
                    "select id from eval_results where ts < ?1 \
                     and (input is not null or expected is not null or output is not null) limit {EVAL_BATCH_MAX}"
                );
                let ids = ids(tx, &sql, &before)?;
                for id in &ids {
                    clear_words(tx, id)?;
                }
                let sql = format!(
                    "delete from judge_cache where seq in \
                     (select seq from judge_cache where ts < ?1 limit {EVAL_BATCH_MAX})"
                );
                count += ids.len() + tx.prepare_cached(&sql)?.execute([&before])?;
                count += unquote_old(tx, &before)?;
            }
            Ok(count as u64)
        })
    }
}

/// What is erased with one call: results that it answered, results of cases that were made from it, judges' answers.
fn cut_call(tx: &Transaction<'_>, erased: CallId, cut: &mut EvalsCut, gone: &mut Gone) -> Result<()> {
    struct Found {
        id: String,
        run: Option<Name>,
        case: Option<Name>,
        output_hash: Option<String>,
        call: Option<CallId>,
        is_source: bool,
        suite: Option<Name>,
    }
    let call = erased.0.to_string();
    let mut find = tx.prepare_cached(
        "select e.id, e.eval_id, e.case_id, e.output_hash, e.call_id, e.source_call is ?1, r.suite \
         from (select * from eval_results where call_id = ?1 union select * from eval_results where source_call = ?1) e \
         left join eval_runs r on r.id = e.eval_id",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Found {
            id: row.get(0)?,
            run: name_or_none(row, 1)?,
            case: name_or_none(row, 2)?,
            output_hash: row.get(3)?,
            call: call_id(row, 4)?,
            is_source: row.get(5)?,
            suite: name_or_none(row, 6)?,
        })
    };
    let found: Vec<Found> = find.query_map([&call], read)?.collect::<Result<_>>()?;
    let mut forget = tx.prepare_cached("delete from judge_cache where call_id = ?1")?;
    let mut forget_output = tx.prepare_cached("delete from judge_cache where output_hash = ?1")?;
    cut.rows += (found.len() + forget.execute([&call])?) as u64;
    for one in found {
        clear_words(tx, &one.id)?;
        if let Some(hash) = &one.output_hash {
            cut.rows += forget_output.execute([hash])? as u64;
        }
        let (Some(run), Some(case)) = (one.run, one.case) else { continue };
        gone.entry(run.to_string()).or_default().insert(case.to_string());
        if !one.is_source {
            continue;
        }
        cut.answers.extend(one.call);
        if !cut.runs.contains(&run) {
            cut.runs.push(run);
        }
        let case = (one.suite.unwrap_or_default(), case);
        if !cut.cases.contains(&case) {
            cut.cases.push(case);
        }
    }
    Ok(())
}

/// Takes quotes of these cases out of every report that is about the run; how many reports changed.
fn unquote_run(tx: &Transaction<'_>, run: &str, cases: &BTreeSet<String>) -> Result<u64> {
    let mut find = tx.prepare_cached(
        "select id from eval_gates where eval_id = ?1 and quotes = 1 \
         union select id from eval_gates where baseline = ?1 and quotes = 1",
    )?;
    let ids: Vec<String> = find.query_map([run], |row| row.get(0))?.collect::<Result<_>>()?;
    let mut changed = 0;
    // One at a time: a report may be large.
    for id in &ids {
        changed += u64::from(rewrite(tx, id, |case| cases.contains(case), true)?);
    }
    Ok(changed)
}

fn unquote_old(tx: &Transaction<'_>, before: &str) -> Result<usize> {
    let sql = format!("select id from eval_gates where ts < ?1 and quotes = 1 limit {REPORTS_AT_ONCE}");
    let ids = ids(tx, &sql, before)?;
    for id in &ids {
        rewrite(tx, id, |_| true, false)?;
    }
    Ok(ids.len())
}

fn rewrite(
    tx: &Transaction<'_>,
    id: &str,
    is_meant: impl Fn(&str) -> bool,
    still_quotes: bool,
) -> Result<bool> {
    let mut read = tx.prepare_cached("select report from eval_gates where id = ?1")?;
    let mut report =
        read.query_row([id], |row| readable(0, serde_json::from_str(row.get_ref(0)?.as_str()?).ok()))?;
    let held = unquote(&mut report, is_meant);
    if held || !still_quotes {
        tx.prepare_cached("update eval_gates set report = ?2, quotes = ?3 where id = ?1")?
            .execute(params![id, report.to_string(), still_quotes])?;
    }
    Ok(held)
}

fn clear_words(tx: &Transaction<'_>, result_id: &str) -> Result<()> {
    tx.prepare_cached(
        "update eval_results set input = null, expected = null, output = null, error = null where id = ?1",
    )?
    .execute([result_id])?;
    tx.prepare_cached("update eval_scores set reason = null, evidence = null where result_id = ?1")?
        .execute([result_id])
        .map(drop)
}

fn remove_results(tx: &Transaction<'_>, before: &str) -> Result<usize> {
    let sql = format!("select id from eval_results where ts < ?1 limit {EVAL_BATCH_MAX}");
    let ids = ids(tx, &sql, before)?;
    let mut drop_scores = tx.prepare_cached("delete from eval_scores where result_id = ?1")?;
    let mut drop_result = tx.prepare_cached("delete from eval_results where id = ?1")?;
    for id in &ids {
        drop_scores.execute([id])?;
        drop_result.execute([id])?;
    }
    Ok(ids.len())
}

fn ids(tx: &Transaction<'_>, sql: &str, before: &str) -> Result<Vec<String>> {
    tx.prepare_cached(sql)?.query_map([before], |row| row.get(0))?.collect()
}
