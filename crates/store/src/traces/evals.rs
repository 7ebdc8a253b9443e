//! Runs of evals beside the calls that they made.

mod words;

use std::{collections::HashMap, sync::PoisonError};

use gauntlet_ports::{
    Candidate, EVAL_BATCH_MAX, EvalGate, EvalResult, EvalRun, EvalStore, EvalStoreError, GateFilter,
    JudgeKey, Judged, RunFilter, RunState, SUITES_SHOWN_MAX, Score, SuiteTrend, TrendRun, Verdict,
};
use gauntlet_types::{CallId, Name, NanoUsd, PromptRef, Timestamp};
use rusqlite::{Connection, OptionalExtension, Result, Row, Transaction, params, types::Type};
use serde_json::Value;

use super::SqliteTraces;
use crate::{
    evals::{
        JUDGED_MAX, bounded, evidence, failed, founding, gated_of, gated_text, int, limit, result_id, value,
    },
    time,
};

const RUN_COLUMNS: &str = "id, suite, suite_hash, dataset_hash, app_sha, route, candidate, model, prompt_name, \
    prompt_version, prompt_label, prompt_hash, is_fast, cases, repeats, state, why, started, ended, cost_nano, \
    judge_cost_nano, judge_calls, judge_cached, passed, failed, errors, metrics";
const RESULT_COLUMNS: &str = "id, eval_id, coalesce(case_id, ''), repeat, cluster, app_sha, route, call_id, model, input, \
    expected, output, output_hash, error, decision, cost_nano, judge_cost_nano, latency_us, tokens_in, tokens_out, passed, \
    ts, source_call";
const SCORE_COLUMNS: &str = "result_id, metric, implementation, value, passed, reason, evidence";

impl SqliteTraces {
    fn evals_write<T>(
        &self,
        what: &'static str,
        write: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> std::result::Result<T, EvalStoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write(write).map_err(failed(what))
    }

    fn evals_read<T>(
        &self,
        what: &'static str,
        read: impl FnOnce(&Connection) -> Result<T>,
    ) -> std::result::Result<T, EvalStoreError> {
        self.readers.read(read).map_err(failed(what))
    }
}

impl EvalStore for SqliteTraces {
    fn run_put(&self, run: &EvalRun) -> std::result::Result<(), EvalStoreError> {
        self.evals_write("keeping a run", |tx| put_run(tx, run))
    }

    fn run_get(&self, id: &str) -> std::result::Result<EvalRun, EvalStoreError> {
        let sql = format!("select {RUN_COLUMNS} from eval_runs where id = ?1");
        let found = self.evals_read("reading a run", |connection| {
            connection.prepare_cached(&sql)?.query_row([id], read_run).optional()
        })?;
        found.ok_or_else(|| EvalStoreError::UnknownRun(id.into()))
    }

    fn run_list(&self, filter: &RunFilter) -> std::result::Result<Vec<EvalRun>, EvalStoreError> {
        let sql = format!(
            "select {RUN_COLUMNS} from eval_runs where (?1 is null or suite = ?1) and (?2 is null or app_sha = ?2) \
             and (?3 is null or prompt_name = ?3) and (?4 is null or prompt_hash = ?4) \
             and (?5 is null or state = ?5) and (?6 is null or started >= ?6) \
             and (?8 is null or (started, id) < (?8, ?9)) order by started desc, id desc limit ?7"
        );
        self.evals_read("listing runs", |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(
                params![
                    filter.suite.as_deref(),
                    filter.app_sha.as_deref(),
                    filter.prompt_name.as_deref(),
                    filter.prompt_hash.as_deref(),
                    filter.state.map(RunState::as_str),
                    filter.since.map(time::instant),
                    limit(filter.limit),
                    filter.before.as_ref().map(|before| time::instant(before.at)),
                    filter.before.as_ref().map(|before| &*before.id),
                ],
                read_run,
            )?;
            rows.collect()
        })
    }

    fn result_add(&self, results: &[EvalResult]) -> std::result::Result<(), EvalStoreError> {
        bounded(results.len())?;
        let unknown = self.evals_write("keeping results", |tx| {
            let mut known: Option<&Name> = None;
            let mut is_known = tx.prepare_cached("select 1 from eval_runs where id = ?1")?;
            for result in results {
                if known != Some(&result.run) && !is_known.exists([&*result.run])? {
                    return Ok(Some(result.run.clone()));
                }
                known = Some(&result.run);
            }
            results.iter().try_for_each(|result| put_result(tx, result))?;
            Ok(None)
        })?;
        unknown.map_or(Ok(()), |run| Err(EvalStoreError::UnknownRun(run)))
    }

    fn trend_list(&self, suites: u32, runs: u32) -> std::result::Result<Vec<SuiteTrend>, EvalStoreError> {
        self.evals_read("reading trends", |connection| {
            let sql = "select suite from eval_runs group by suite order by max(started) desc, suite limit ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let names = statement.query_map([suites.min(SUITES_SHOWN_MAX)], |row| name(row, 0))?;
            names.map(|suite| read_trend(connection, suite?, limit(Some(runs)))).collect()
        })
    }

    fn result_failed(&self, run: &str, limit: u32) -> std::result::Result<Vec<EvalResult>, EvalStoreError> {
        let limit = limit.min(EVAL_BATCH_MAX as u32);
        self.evals_read("reading what failed", |connection| {
            // The condition and the order are those of the index `eval_results_failed`, which is why it is used.
            let sql = format!(
                "select {RESULT_COLUMNS} from eval_results where eval_id = ?1 and (error is not null or passed = 0) \
                 order by (error is null), case_id, repeat limit ?2"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let results = statement.query_map(params![run, limit], |row| Ok((row.get(0)?, read_result(row)?)))?;
            let sql =
                format!("select {SCORE_COLUMNS} from eval_scores where result_id = ?1 order by place");
            let mut of_result = connection.prepare_cached(&sql)?;
            let scored = results.map(|read| {
                let (id, result): (String, EvalResult) = read?;
                let scores = of_result.query_map([id], read_score)?.collect::<Result<_>>()?;
                Ok(EvalResult { scores, ..result })
            });
            scored.collect()
        })
    }

    fn result_list(&self, run: &str) -> std::result::Result<Vec<EvalResult>, EvalStoreError> {
        let results = self.evals_read("reading results", |connection| read_results(connection, run))?;
        if results.is_empty() {
            self.run_get(run)?;
        }
        Ok(results)
    }

    fn judged_get(&self, keys: &[JudgeKey]) -> std::result::Result<Vec<Judged>, EvalStoreError> {
        bounded(keys.len())?;
        self.evals_read("looking for judges' answers", |connection| {
            let mut statement = connection.prepare_cached(
                "select answer, cost_nano, call_id, ts from judge_cache where judge_prompt_hash = ?1 \
                 and output_hash = ?2 and judge_model = ?3 and sample = ?4",
            )?;
            let mut found = Vec::new();
            for key in keys {
                let named =
                    params![&*key.judge_prompt_hash, &*key.output_hash, &*key.judge_model, key.sample];
                let read = |row: &Row<'_>| {
                    Ok(Judged {
                        key: key.clone(),
                        answer: row.get(0)?,
                        cost: NanoUsd(row.get(1)?),
                        call: call_id(row, 2)?,
                        at: at(row, 3)?,
                    })
                };
                found.extend(statement.query_row(named, read).optional()?);
            }
            Ok(found)
        })
    }

    fn judged_put(&self, judged: &[Judged]) -> std::result::Result<(), EvalStoreError> {
        bounded(judged.len())?;
        self.evals_write("keeping judges' answers", |tx| {
            let mut insert = tx.prepare_cached(
                "insert into judge_cache (judge_model, judge_prompt_hash, output_hash, sample, answer, cost_nano, call_id, ts) \
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict do nothing",
            )?;
            for one in judged {
                insert.execute(params![
                    &*one.key.judge_model,
                    &*one.key.judge_prompt_hash,
                    &*one.key.output_hash,
                    one.key.sample,
                    one.answer,
                    one.cost.0,
                    one.call.map(|call| call.0.to_string()),
                    time::instant(one.at),
                ])?;
            }
            tx.prepare_cached(
                "delete from judge_cache where seq <= (select max(seq) from judge_cache) - ?1",
            )?
            .execute([JUDGED_MAX])
            .map(drop)
        })
    }

    fn gate_put(&self, gate: &EvalGate) -> std::result::Result<(), EvalStoreError> {
        let prompt = gate.prompt.as_ref();
        self.evals_write("keeping what a gate said", |tx| {
            tx.prepare_cached(
                "insert or replace into eval_gates (id, suite, eval_id, baseline, app_sha, prompt_name, prompt_version, \
                 prompt_label, prompt_hash, verdict, summary, report, ts, metrics) \
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                &*gate.id,
                &*gate.suite,
                &*gate.run,
                gate.baseline.as_deref(),
                gate.app_sha.as_deref(),
                prompt.map(|prompt| &*prompt.name),
                prompt.map(|prompt| &*prompt.version),
                prompt.and_then(|prompt| prompt.label.as_deref()),
                prompt.map(|prompt| &*prompt.hash),
                gate.verdict.as_str(),
                gate.summary,
                gate.report.to_string(),
                time::instant(gate.at),
                gated_text(&gate.report),
            ])
            .map(drop)
        })
    }

    fn gate_list(&self, filter: &GateFilter) -> std::result::Result<Vec<EvalGate>, EvalStoreError> {
        self.evals_read("listing gates", |connection| {
            let mut statement = connection.prepare_cached(
                "select id, suite, eval_id, baseline, app_sha, prompt_name, prompt_version, prompt_label, prompt_hash, \
                 verdict, summary, report, ts from eval_gates \
                 where (?1 is null or suite = ?1) and (?2 is null or eval_id = ?2) \
                 and (?3 is null or prompt_name = ?3) and (?4 is null or prompt_hash = ?4) \
                 and (?6 is null or (ts, id) < (?6, ?7)) order by ts desc, id desc limit ?5",
            )?;
            let rows = statement.query_map(
                params![
                    filter.suite.as_deref(),
                    filter.run.as_deref(),
                    filter.prompt_name.as_deref(),
                    filter.prompt_hash.as_deref(),
                    limit(filter.limit),
                    filter.before.as_ref().map(|before| time::instant(before.at)),
                    filter.before.as_ref().map(|before| &*before.id),
                ],
                |row| {
                    Ok(EvalGate {
                        id: name(row, 0)?,
                        suite: name(row, 1)?,
                        run: name(row, 2)?,
                        baseline: name_or_none(row, 3)?,
                        app_sha: name_or_none(row, 4)?,
                        prompt: prompt(row, 5)?,
                        verdict: readable(9, Verdict::parse(row.get_ref(9)?.as_str()?))?,
                        summary: row.get(10)?,
                        report: readable(11, serde_json::from_str(row.get_ref(11)?.as_str()?).ok())?,
                        at: at(row, 12)?,
                    })
                },
            )?;
            rows.collect()
        })
    }
}

fn put_run(tx: &Transaction<'_>, run: &EvalRun) -> Result<()> {
    let places: Vec<String> = (1..=27).map(|place| format!("?{place}")).collect();
    let sql = format!("insert or replace into eval_runs ({RUN_COLUMNS}) values ({})", places.join(", "));
    let prompt = run.candidate.prompt.as_ref();
    let metrics = serde_json::to_string(&run.metrics).map_err(unwritable)?;
    tx.prepare_cached(&sql)?
        .execute(params![
            &*run.id,
            &*run.suite,
            &*run.suite_hash,
            &*run.dataset_hash,
            run.app_sha.as_deref(),
            run.route.as_deref(),
            &*run.candidate.name,
            run.candidate.model.as_deref(),
            prompt.map(|prompt| &*prompt.name),
            prompt.map(|prompt| &*prompt.version),
            prompt.and_then(|prompt| prompt.label.as_deref()),
            prompt.map(|prompt| &*prompt.hash),
            run.is_fast,
            run.cases,
            run.repeats,
            run.state.as_str(),
            run.why,
            time::instant(run.started),
            run.ended.map(time::instant),
            run.cost.0,
            run.judge_cost.0,
            run.judge_calls,
            run.judge_cached,
            run.passed,
            run.failed,
            run.errors,
            metrics,
        ])
        .map(drop)
}

fn read_run(row: &Row<'_>) -> Result<EvalRun> {
    Ok(EvalRun {
        id: name(row, 0)?,
        suite: name(row, 1)?,
        suite_hash: name(row, 2)?,
        dataset_hash: name(row, 3)?,
        app_sha: name_or_none(row, 4)?,
        route: name_or_none(row, 5)?,
        candidate: Candidate { name: name(row, 6)?, model: name_or_none(row, 7)?, prompt: prompt(row, 8)? },
        is_fast: row.get(12)?,
        cases: row.get(13)?,
        repeats: row.get(14)?,
        state: readable(15, RunState::parse(row.get_ref(15)?.as_str()?))?,
        why: row.get(16)?,
        started: at(row, 17)?,
        ended: at_or_none(row, 18)?,
        cost: NanoUsd(row.get(19)?),
        judge_cost: NanoUsd(row.get(20)?),
        judge_calls: row.get(21)?,
        judge_cached: row.get(22)?,
        passed: row.get(23)?,
        failed: row.get(24)?,
        errors: row.get(25)?,
        metrics: readable(26, serde_json::from_str(row.get_ref(26)?.as_str()?).ok())?,
    })
}

fn put_result(tx: &Transaction<'_>, result: &EvalResult) -> Result<()> {
    let id = result_id(result).to_string();
    let [faith, relevance, exact] = founding(&result.scores);
    tx.prepare_cached(
        "insert or replace into eval_results (id, eval_id, app_sha, route, case_id, faith, relevance, exact, cost_usd, \
         passed, ts, repeat, cluster, call_id, model, input, expected, output, output_hash, error, decision, cost_nano, \
         judge_cost_nano, latency_us, tokens_in, tokens_out, source_call) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 / 1e9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?9, \
         ?22, ?23, ?24, ?25, ?26)",
    )?
    .execute(params![
        id,
        &*result.run,
        result.app_sha.as_deref(),
        result.route.as_deref(),
        &*result.case,
        faith,
        relevance,
        exact,
        result.cost.0,
        result.passed,
        time::instant(result.at),
        result.repeat,
        result.cluster.as_deref(),
        result.call.map(|call| call.0.to_string()),
        result.model.as_deref(),
        result.input,
        result.expected,
        result.output,
        result.output_hash.as_deref(),
        result.error,
        result.decision.as_deref(),
        result.judge_cost.0,
        int(result.latency_us),
        int(result.tokens_in),
        int(result.tokens_out),
        result.source.map(|call| call.0.to_string()),
    ])?;
    // Of an earlier answer there may be metrics that the suite no longer has.
    tx.prepare_cached("delete from eval_scores where result_id = ?1")?.execute([&id])?;
    let mut insert = tx.prepare_cached(
        "insert or replace into eval_scores (result_id, metric, eval_id, case_id, repeat, place, implementation, value, passed, \
         reason, evidence) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for (place, score) in result.scores.iter().enumerate() {
        insert.execute(params![
            id,
            &*score.metric,
            &*result.run,
            &*result.case,
            result.repeat,
            place as i64,
            &*score.implementation,
            value(score),
            score.passed,
            score.reason,
            evidence(score),
        ])?;
    }
    Ok(())
}

/// The last runs of a suite, each with the newest word of a gate.
fn read_trend(connection: &Connection, suite: Name, runs: i64) -> Result<SuiteTrend> {
    let sql = format!(
        "select {RUN_COLUMNS} from eval_runs where suite = ?1 order by started desc, id desc limit ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut of_run = connection.prepare_cached(
        "select verdict, metrics from eval_gates where eval_id = ?1 order by ts desc, id desc limit 1",
    )?;
    let rows = statement.query_map(params![&*suite, runs], read_run)?;
    let with_gate = rows.map(|run| {
        let run = run?;
        let gate = of_run.query_row([&*run.id], |row| {
            let verdict = readable(0, Verdict::parse(row.get_ref(0)?.as_str()?))?;
            Ok((verdict, gated_of(row.get_ref(1)?.as_str_or_null()?)))
        });
        let (verdict, gated) =
            gate.optional()?.map_or_else(Default::default, |(verdict, gated)| (Some(verdict), gated));
        Ok(TrendRun { run, verdict, gated })
    });
    let runs = with_gate.collect::<Result<_>>()?;
    Ok(SuiteTrend { suite, runs })
}

fn read_results(connection: &Connection, run: &str) -> Result<Vec<EvalResult>> {
    let mut scores: HashMap<String, Vec<Score>> = HashMap::new();
    let sql = format!("select {SCORE_COLUMNS} from eval_scores where eval_id = ?1 order by result_id, place");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([run])?;
    while let Some(row) = rows.next()? {
        scores.entry(row.get(0)?).or_default().push(read_score(row)?);
    }
    let sql = format!("select {RESULT_COLUMNS} from eval_results where eval_id = ?1 order by 3, 4, 1");
    let mut statement = connection.prepare_cached(&sql)?;
    let read = |row: &Row<'_>| {
        let scores = scores.remove(row.get_ref(0)?.as_str()?).unwrap_or_default();
        Ok(EvalResult { scores, ..read_result(row)? })
    };
    statement.query_map([run], read)?.collect()
}

/// By [`SCORE_COLUMNS`].
fn read_score(row: &Row<'_>) -> Result<Score> {
    let evidence: Option<String> = row.get(6)?;
    let evidence = evidence.map(|text| readable(6, serde_json::from_str(&text).ok())).transpose()?;
    Ok(Score {
        metric: name(row, 1)?,
        implementation: name(row, 2)?,
        value: row.get(3)?,
        passed: row.get(4)?,
        reason: row.get(5)?,
        evidence: evidence.unwrap_or(Value::Null),
    })
}

/// By [`RESULT_COLUMNS`], without scores.
fn read_result(row: &Row<'_>) -> Result<EvalResult> {
    let whole = |column: usize| row.get::<_, i64>(column).map(|number| number.max(0).unsigned_abs());
    Ok(EvalResult {
        run: name(row, 1)?,
        case: name(row, 2)?,
        repeat: row.get(3)?,
        cluster: name_or_none(row, 4)?,
        app_sha: name_or_none(row, 5)?,
        route: name_or_none(row, 6)?,
        call: call_id(row, 7)?,
        model: name_or_none(row, 8)?,
        input: row.get(9)?,
        expected: row.get(10)?,
        output: row.get(11)?,
        output_hash: name_or_none(row, 12)?,
        error: row.get(13)?,
        decision: name_or_none(row, 14)?,
        cost: NanoUsd(row.get(15)?),
        judge_cost: NanoUsd(row.get(16)?),
        latency_us: whole(17)?,
        tokens_in: whole(18)?,
        tokens_out: whole(19)?,
        passed: row.get(20)?,
        // Rows that somebody wrote by hand may have no time.
        at: at_or_none(row, 21)?.unwrap_or_default(),
        source: call_id(row, 22)?,
        scores: Vec::new(),
    })
}

fn name(row: &Row<'_>, column: usize) -> Result<Name> {
    Ok(Name::from(row.get_ref(column)?.as_str()?))
}

fn name_or_none(row: &Row<'_>, column: usize) -> Result<Option<Name>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(Name::from))
}

/// Name, version, label and hash stand side by side from `column` on.
fn prompt(row: &Row<'_>, column: usize) -> Result<Option<PromptRef>> {
    let Some(name) = name_or_none(row, column)? else { return Ok(None) };
    let or_empty = |column| name_or_none(row, column).map(Option::unwrap_or_default);
    Ok(Some(PromptRef {
        name,
        version: or_empty(column + 1)?,
        label: name_or_none(row, column + 2)?,
        hash: or_empty(column + 3)?,
    }))
}

fn call_id(row: &Row<'_>, column: usize) -> Result<Option<CallId>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(|text| readable(column, text.parse().ok().map(CallId))).transpose()
}

fn at(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    readable(column, time::parse(row.get_ref(column)?.as_str()?))
}

fn at_or_none(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(|text| readable(column, time::parse(text))).transpose()
}

/// What this program did not write, or a later one did.
fn readable<T>(column: usize, read: Option<T>) -> Result<T> {
    read.ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, "it cannot be read".into())
    })
}

fn unwritable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}
