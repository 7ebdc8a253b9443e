//! Runs of evals beside the calls that they made. Batches go as one JSON text each: a statement has no more than a few
//! columns to name, however many a row has.

mod words;

use std::{collections::HashMap, sync::PoisonError};

use gauntlet_ports::{
    Candidate, EVAL_BATCH_MAX, EvalCursor, EvalGate, EvalResult, EvalRun, EvalStore, EvalStoreError,
    GateFilter, JudgeKey, Judged, RunFilter, RunState, SUITES_SHOWN_MAX, Score, SuiteTrend, TrendRun,
    Verdict,
};
use gauntlet_types::{CallId, NanoUsd, PromptRef};
use serde_json::{Value, json};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{
    PostgresTraces,
    database::{Connection, Param, Result, Trouble},
    values::{At, Columns, Id, shown, stored},
};
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
const GATE_COLUMNS: &str = "id, suite, eval_id, baseline, app_sha, prompt_name, prompt_version, prompt_label, prompt_hash, \
    verdict, summary, report, ts";

type Done<T> = std::result::Result<T, EvalStoreError>;

impl PostgresTraces {
    /// In one transaction, by a connection of its own: batches of calls do not wait for it.
    fn evals_write<T>(&self, what: &'static str, write: impl FnOnce(&Connection) -> Result<T>) -> Done<T> {
        let mut held = self.evals.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = held.take(&self.database).map_err(failed(what))?;
        let written = || -> Result<T> {
            connection.batch("begin")?;
            let answer = write(&connection)?;
            connection.batch("commit")?;
            Ok(answer)
        };
        let answer = written().map_err(failed(what))?;
        held.keep(connection);
        Ok(answer)
    }

    fn evals_read<T>(&self, what: &'static str, read: impl Fn(&Connection) -> Result<T>) -> Done<T> {
        self.database.read(read).map_err(failed(what))
    }
}

impl EvalStore for PostgresTraces {
    fn run_put(&self, run: &EvalRun) -> Done<()> {
        self.evals_write("keeping a run", |connection| {
            put(connection, "eval_runs", RUN_COLUMNS, &run_row(run)).map(drop)
        })
    }

    fn run_get(&self, id: &str) -> Done<EvalRun> {
        let sql = format!("select {RUN_COLUMNS} from eval_runs where id = $1");
        let asked = stored(id);
        let found = self.evals_read("reading a run", |connection| {
            let rows = connection.query(&sql, &[(&asked, Type::TEXT)])?;
            rows.first().map(|row| read_run(&Columns(row))).transpose()
        })?;
        found.ok_or_else(|| EvalStoreError::UnknownRun(id.into()))
    }

    fn run_list(&self, filter: &RunFilter) -> Done<Vec<EvalRun>> {
        let sql = format!(
            "select {RUN_COLUMNS} from eval_runs where ($1::text is null or suite = $1) \
             and ($2::text is null or app_sha = $2) and ($3::text is null or prompt_name = $3) \
             and ($4::text is null or prompt_hash = $4) and ($5::text is null or state = $5) \
             and ($6::timestamptz is null or started >= $6) \
             and ($8::timestamptz is null or (started, id) < ($8, $9)) order by started desc, id desc limit $7"
        );
        let [suite, app_sha, name, hash] =
            [&filter.suite, &filter.app_sha, &filter.prompt_name, &filter.prompt_hash]
                .map(|name| name.as_deref().map(stored));
        let state = filter.state.map(RunState::as_str);
        let (since, limit) = (filter.since.map(At), limit(filter.limit));
        let (before, before_id) = before(filter.before.as_ref());
        let params: [Param<'_>; 9] = [
            (&suite, Type::TEXT),
            (&app_sha, Type::TEXT),
            (&name, Type::TEXT),
            (&hash, Type::TEXT),
            (&state, Type::TEXT),
            (&since, Type::TIMESTAMPTZ),
            (&limit, Type::INT8),
            (&before, Type::TIMESTAMPTZ),
            (&before_id, Type::TEXT),
        ];
        self.evals_read("listing runs", |connection| {
            connection.query(&sql, &params)?.iter().map(|row| read_run(&Columns(row))).collect()
        })
    }

    fn result_add(&self, results: &[EvalResult]) -> Done<()> {
        bounded(results.len())?;
        let unknown = self.evals_write("keeping results", |connection| {
            let unknown = unknown_run(connection, results)?;
            if unknown.is_none() {
                put_results(connection, results)?;
            }
            Ok(unknown)
        })?;
        unknown.map_or(Ok(()), |run| Err(EvalStoreError::UnknownRun(run.into())))
    }

    fn trend_list(&self, suites: u32, runs: u32) -> Done<Vec<SuiteTrend>> {
        // As many runs of each suite as are asked for, by the index of suite and time; of a gate no report.
        let sql = format!(
            "select {RUN_COLUMNS}, g.verdict, g.gated from \
             (select suite as of_suite, max(started) as newest from eval_runs group by suite order by 2 desc, 1 limit $1) s \
             cross join lateral (select * from eval_runs e where e.suite = s.of_suite order by e.started desc, e.id desc limit $2) r \
             left join lateral (select verdict, metrics as gated from eval_gates where eval_id = r.id \
             order by ts desc, id desc limit 1) g on true \
             order by s.newest desc, s.of_suite, r.started desc, r.id desc"
        );
        let (suites, runs) = (i64::from(suites.min(SUITES_SHOWN_MAX)), limit(Some(runs)));
        let params: [Param<'_>; 2] = [(&suites, Type::INT8), (&runs, Type::INT8)];
        self.evals_read("reading trends", |connection| {
            let mut trends: Vec<SuiteTrend> = Vec::new();
            for row in &connection.query(&sql, &params)? {
                let row = Columns(row);
                let run = read_run(&row)?;
                let verdict = row.get::<Option<&str>>(27)?.map(Verdict::parse);
                let verdict = verdict.map(|known| known.ok_or(Trouble::Unreadable(27))).transpose()?;
                let gated = gated_of(row.text_or_none(28)?.as_deref());
                if trends.last().is_none_or(|trend| trend.suite != run.suite) {
                    trends.push(SuiteTrend { suite: run.suite.clone(), runs: Vec::new() });
                }
                if let Some(trend) = trends.last_mut() {
                    trend.runs.push(TrendRun { run, verdict, gated });
                }
            }
            Ok(trends)
        })
    }

    fn result_failed(&self, run: &str, limit: u32) -> Done<Vec<EvalResult>> {
        let run = stored(run);
        let limit = i64::from(limit.min(EVAL_BATCH_MAX as u32));
        // The condition and the order are those of the index `eval_results_failed`, which is why it is used.
        let sql = format!(
            "select {RESULT_COLUMNS} from eval_results where eval_id = $1 and (error is not null or not passed) \
             order by (error is null), case_id, repeat limit $2"
        );
        let of_results = format!(
            "select {SCORE_COLUMNS} from eval_scores where result_id = any($1) order by result_id, place"
        );
        self.evals_read("reading what failed", |connection| {
            let rows = connection.query(&sql, &[(&run, Type::TEXT), (&limit, Type::INT8)])?;
            let ids: Vec<Id> = rows.iter().map(|row| Columns(row).get(0)).collect::<Result<_>>()?;
            let scores = connection.query(&of_results, &[(&ids, Type::UUID_ARRAY)])?;
            with_scores(&rows, &scores)
        })
    }

    fn result_list(&self, run: &str) -> Done<Vec<EvalResult>> {
        let results = self.evals_read("reading results", |connection| read_results(connection, run))?;
        if results.is_empty() {
            self.run_get(run)?;
        }
        Ok(results)
    }

    fn judged_get(&self, keys: &[JudgeKey]) -> Done<Vec<Judged>> {
        bounded(keys.len())?;
        let asked: Vec<Value> = keys.iter().map(key_row).collect();
        let asked = Value::Array(asked).to_string();
        self.evals_read("looking for judges' answers", |connection| {
            let rows = connection.query(
                "select j.judge_model, j.judge_prompt_hash, j.output_hash, j.sample, j.answer, j.cost_nano, j.call_id, j.ts \
                 from judge_cache j join (select distinct * from jsonb_to_recordset($1::jsonb) \
                 as k (judge_model text, judge_prompt_hash text, output_hash text, sample bigint)) k \
                 using (judge_prompt_hash, output_hash, judge_model, sample)",
                &[(&asked, Type::TEXT)],
            )?;
            rows.iter().map(|row| read_judged(&Columns(row))).collect()
        })
    }

    fn judged_put(&self, judged: &[Judged]) -> Done<()> {
        bounded(judged.len())?;
        let rows = judged.iter().map(|one| {
            let mut row = key_row(&one.key);
            row["answer"] = text(&one.answer);
            row["cost_nano"] = one.cost.0.into();
            row["call_id"] = one.call.map(|call| call.0.to_string()).into();
            row["ts"] = time::instant(one.at).into();
            row
        });
        let rows = Value::Array(rows.collect()).to_string();
        self.evals_write("keeping judges' answers", |connection| {
            const COLUMNS: &str =
                "judge_model, judge_prompt_hash, output_hash, sample, answer, cost_nano, call_id, ts";
            let sql = format!(
                "insert into judge_cache ({COLUMNS}) select {COLUMNS} \
                 from jsonb_populate_recordset(null::judge_cache, $1::jsonb) on conflict do nothing"
            );
            connection.execute(&sql, &[(&rows, Type::TEXT)])?;
            let sql = "delete from judge_cache where seq <= (select max(seq) from judge_cache) - $1";
            connection.execute(sql, &[(&JUDGED_MAX, Type::INT8)]).map(drop)
        })
    }

    fn gate_put(&self, gate: &EvalGate) -> Done<()> {
        let mut row = json!({
            "id": text(&gate.id), "suite": text(&gate.suite), "eval_id": text(&gate.run),
            "baseline": maybe(gate.baseline.as_deref()), "app_sha": maybe(gate.app_sha.as_deref()),
            "verdict": gate.verdict.as_str(), "summary": text(&gate.summary),
            "report": text(&gate.report.to_string()), "ts": time::instant(gate.at), "quotes": true,
            "metrics": text(&gated_text(&gate.report)),
        });
        name_prompt(&mut row, gate.prompt.as_ref());
        self.evals_write("keeping what a gate said", |connection| {
            put(connection, "eval_gates", &format!("{GATE_COLUMNS}, quotes, metrics"), &row).map(drop)
        })
    }

    fn gate_list(&self, filter: &GateFilter) -> Done<Vec<EvalGate>> {
        let sql = format!(
            "select {GATE_COLUMNS} from eval_gates where ($1::text is null or suite = $1) \
             and ($2::text is null or eval_id = $2) and ($3::text is null or prompt_name = $3) \
             and ($4::text is null or prompt_hash = $4) \
             and ($6::timestamptz is null or (ts, id) < ($6, $7)) order by ts desc, id desc limit $5"
        );
        let [suite, run, name, hash] = [&filter.suite, &filter.run, &filter.prompt_name, &filter.prompt_hash]
            .map(|name| name.as_deref().map(stored));
        let limit = limit(filter.limit);
        let (before, before_id) = before(filter.before.as_ref());
        let params: [Param<'_>; 7] = [
            (&suite, Type::TEXT),
            (&run, Type::TEXT),
            (&name, Type::TEXT),
            (&hash, Type::TEXT),
            (&limit, Type::INT8),
            (&before, Type::TIMESTAMPTZ),
            (&before_id, Type::TEXT),
        ];
        self.evals_read("listing gates", |connection| {
            let rows = connection.query(&sql, &params)?;
            rows.iter().map(|row| read_gate(&Columns(row))).collect()
        })
    }
}

fn before(cursor: Option<&EvalCursor>) -> (Option<At>, Option<String>) {
    (cursor.map(|cursor| At(cursor.at)), cursor.map(|cursor| stored(&cursor.id).into()))
}

/// A text as it is stored, in JSON: without NUL, which `jsonb` takes no more than a text does.
fn text(text: &str) -> Value {
    stored(text).into()
}

fn maybe(optional: Option<&str>) -> Value {
    optional.map_or(Value::Null, text)
}

fn name_prompt(row: &mut Value, prompt: Option<&PromptRef>) {
    row["prompt_name"] = maybe(prompt.map(|prompt| &*prompt.name));
    row["prompt_version"] = maybe(prompt.map(|prompt| &*prompt.version));
    row["prompt_label"] = maybe(prompt.and_then(|prompt| prompt.label.as_deref()));
    row["prompt_hash"] = maybe(prompt.map(|prompt| &*prompt.hash));
}

/// Adds a row by its id, or replaces all of it.
fn put(connection: &Connection, table: &str, columns: &str, row: &Value) -> Result<u64> {
    let sql = format!(
        "insert into {table} ({columns}) select {columns} from jsonb_populate_record(null::{table}, $1::jsonb) \
         on conflict (id) do update set ({columns}) = (select {columns} from jsonb_populate_record(null::{table}, $1::jsonb))"
    );
    connection.execute(&sql, &[(&row.to_string(), Type::TEXT)])
}

fn run_row(run: &EvalRun) -> Value {
    let mut row = json!({
        "id": text(&run.id), "suite": text(&run.suite), "suite_hash": text(&run.suite_hash),
        "dataset_hash": text(&run.dataset_hash), "app_sha": maybe(run.app_sha.as_deref()),
        "route": maybe(run.route.as_deref()), "candidate": text(&run.candidate.name),
        "model": maybe(run.candidate.model.as_deref()), "is_fast": run.is_fast, "cases": run.cases,
        "repeats": run.repeats, "state": run.state.as_str(), "why": maybe(run.why.as_deref()),
        "started": time::instant(run.started), "ended": run.ended.map(time::instant), "cost_nano": run.cost.0,
        "judge_cost_nano": run.judge_cost.0, "judge_calls": run.judge_calls, "judge_cached": run.judge_cached,
        "passed": run.passed, "failed": run.failed, "errors": run.errors,
        "metrics": text(&json!(run.metrics).to_string()),
    });
    name_prompt(&mut row, run.candidate.prompt.as_ref());
    row
}

fn read_run(row: &Columns<'_>) -> Result<EvalRun> {
    let count = |column: usize| row.whole(column).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    Ok(EvalRun {
        id: row.name(0)?,
        suite: row.name(1)?,
        suite_hash: row.name(2)?,
        dataset_hash: row.name(3)?,
        app_sha: row.name_or_none(4)?,
        route: row.name_or_none(5)?,
        candidate: Candidate { name: row.name(6)?, model: row.name_or_none(7)?, prompt: prompt(row, 8)? },
        is_fast: row.get(12)?,
        cases: count(13)?,
        repeats: count(14)?,
        state: row.read(15, RunState::parse)?,
        why: row.text_or_none(16)?,
        started: row.at(17)?,
        ended: row.get::<Option<At>>(18)?.map(|at| at.0),
        cost: row.usd(19)?,
        judge_cost: row.usd(20)?,
        judge_calls: count(21)?,
        judge_cached: count(22)?,
        passed: count(23)?,
        failed: count(24)?,
        errors: count(25)?,
        metrics: row.read(26, |text| serde_json::from_str(text).ok())?,
    })
}

/// The first run that results name and nobody knows.
fn unknown_run(connection: &Connection, results: &[EvalResult]) -> Result<Option<String>> {
    let mut runs: Vec<String> = results.iter().map(|result| stored(&result.run).into_owned()).collect();
    runs.sort_unstable();
    runs.dedup();
    let rows = connection.query(
        "select r.id from unnest($1) as r (id) where not exists (select 1 from eval_runs e where e.id = r.id) limit 1",
        &[(&runs, Type::TEXT_ARRAY)],
    )?;
    rows.first().map(|row| Columns(row).text(0)).transpose()
}

fn put_results(connection: &Connection, results: &[EvalResult]) -> Result<()> {
    // Of one result that comes twice the last counts; one statement may not touch a row twice.
    let last: HashMap<Uuid, &EvalResult> = results.iter().map(|result| (result_id(result), result)).collect();
    let (mut rows, mut scores) = (Vec::with_capacity(last.len()), Vec::new());
    for (id, result) in &last {
        rows.push(result_row(*id, result));
        scores.extend(score_rows(*id, result));
    }
    let ids: Vec<Id> = last.keys().map(|id| Id(*id)).collect();
    let gone: [Param<'_>; 1] = [(&ids, Type::UUID_ARRAY)];
    connection.execute("delete from eval_scores where result_id = any($1)", &gone)?;
    connection.execute("delete from eval_results where id = any($1)", &gone)?;
    for (table, rows) in [("eval_results", rows), ("eval_scores", scores)] {
        let sql =
            format!("insert into {table} select * from jsonb_populate_recordset(null::{table}, $1::jsonb)");
        connection.execute(&sql, &[(&Value::Array(rows).to_string(), Type::TEXT)])?;
    }
    Ok(())
}

/// Every column of the table: one that is left out would be null, whatever its default is.
fn result_row(id: Uuid, result: &EvalResult) -> Value {
    let [faith, relevance, exact] = founding(&result.scores);
    json!({
        "id": id.to_string(), "eval_id": text(&result.run), "app_sha": maybe(result.app_sha.as_deref()),
        "route": maybe(result.route.as_deref()), "case_id": text(&result.case), "faith": faith,
        "relevance": relevance, "exact": exact, "cost_usd": result.cost.to_string(), "passed": result.passed,
        "ts": time::instant(result.at), "repeat": result.repeat, "cluster": maybe(result.cluster.as_deref()),
        "call_id": result.call.map(|call| call.0.to_string()), "model": maybe(result.model.as_deref()),
        "input": maybe(result.input.as_deref()), "expected": maybe(result.expected.as_deref()),
        "output": maybe(result.output.as_deref()), "output_hash": maybe(result.output_hash.as_deref()),
        "error": maybe(result.error.as_deref()), "decision": maybe(result.decision.as_deref()),
        "cost_nano": result.cost.0, "judge_cost_nano": result.judge_cost.0, "latency_us": int(result.latency_us),
        "tokens_in": int(result.tokens_in), "tokens_out": int(result.tokens_out),
        "source_call": result.source.map(|call| call.0.to_string()),
    })
}

fn score_rows(id: Uuid, result: &EvalResult) -> Vec<Value> {
    let mut rows: Vec<(&str, Value)> = Vec::with_capacity(result.scores.len());
    for (place, score) in result.scores.iter().enumerate() {
        let row = json!({
            "result_id": id.to_string(), "metric": text(&score.metric), "eval_id": text(&result.run),
            "case_id": text(&result.case), "repeat": result.repeat, "place": place,
            "implementation": text(&score.implementation), "value": value(score), "passed": score.passed,
            "reason": maybe(score.reason.as_deref()), "evidence": maybe(evidence(score).as_deref()),
        });
        // A metric stands once in a result.
        rows.retain(|(metric, _)| *metric != score.metric.as_str());
        rows.push((&score.metric, row));
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

fn read_results(connection: &Connection, run: &str) -> Result<Vec<EvalResult>> {
    let run = stored(run);
    let params: [Param<'_>; 1] = [(&run, Type::TEXT)];
    let sql = format!("select {SCORE_COLUMNS} from eval_scores where eval_id = $1 order by result_id, place");
    let scores = connection.query(&sql, &params)?;
    let sql =
        format!("select {RESULT_COLUMNS} from eval_results where eval_id = $1 order by case_id, repeat, id");
    with_scores(&connection.query(&sql, &params)?, &scores)
}

/// Rows of [`RESULT_COLUMNS`] with their rows of [`SCORE_COLUMNS`].
fn with_scores(rows: &[tokio_postgres::Row], scored: &[tokio_postgres::Row]) -> Result<Vec<EvalResult>> {
    let mut scores: HashMap<Uuid, Vec<Score>> = HashMap::new();
    for row in scored {
        let row = Columns(row);
        let evidence = row.get::<Option<&str>>(6)?.map(|text| serde_json::from_str(&shown(text)));
        scores.entry(row.get::<Id>(0)?.0).or_default().push(Score {
            metric: row.name(1)?,
            implementation: row.name(2)?,
            value: row.get(3)?,
            passed: row.get(4)?,
            reason: row.text_or_none(5)?,
            evidence: evidence.transpose().map_err(|_| Trouble::Unreadable(6))?.unwrap_or(Value::Null),
        });
    }
    let read = |row: &tokio_postgres::Row| -> Result<EvalResult> {
        let row = Columns(row);
        Ok(EvalResult {
            run: row.name(1)?,
            case: row.name(2)?,
            repeat: row.get::<i32>(3)?.unsigned_abs(),
            cluster: row.name_or_none(4)?,
            app_sha: row.name_or_none(5)?,
            route: row.name_or_none(6)?,
            call: row.get::<Option<Id>>(7)?.map(|id| CallId(id.0)),
            model: row.name_or_none(8)?,
            input: row.text_or_none(9)?,
            expected: row.text_or_none(10)?,
            output: row.text_or_none(11)?,
            output_hash: row.name_or_none(12)?,
            error: row.text_or_none(13)?,
            decision: row.name_or_none(14)?,
            cost: row.usd(15)?,
            judge_cost: row.usd(16)?,
            latency_us: row.whole(17)?,
            tokens_in: row.whole(18)?,
            tokens_out: row.whole(19)?,
            passed: row.get(20)?,
            // Rows that somebody wrote by hand may have no time.
            at: row.get::<Option<At>>(21)?.map(|at| at.0).unwrap_or_default(),
            source: row.get::<Option<Id>>(22)?.map(|id| CallId(id.0)),
            scores: scores.remove(&row.get::<Id>(0)?.0).unwrap_or_default(),
        })
    };
    rows.iter().map(read).collect()
}

fn key_row(key: &JudgeKey) -> Value {
    json!({
        "judge_model": text(&key.judge_model), "judge_prompt_hash": text(&key.judge_prompt_hash),
        "output_hash": text(&key.output_hash), "sample": key.sample,
    })
}

fn read_judged(row: &Columns<'_>) -> Result<Judged> {
    Ok(Judged {
        key: JudgeKey {
            judge_model: row.name(0)?,
            judge_prompt_hash: row.name(1)?,
            output_hash: row.name(2)?,
            sample: u32::try_from(row.whole(3)?).map_err(|_| Trouble::Unreadable(3))?,
        },
        answer: row.text(4)?,
        cost: NanoUsd(row.get(5)?),
        call: row.get::<Option<Id>>(6)?.map(|id| CallId(id.0)),
        at: row.at(7)?,
    })
}

fn read_gate(row: &Columns<'_>) -> Result<EvalGate> {
    Ok(EvalGate {
        id: row.name(0)?,
        suite: row.name(1)?,
        run: row.name(2)?,
        baseline: row.name_or_none(3)?,
        app_sha: row.name_or_none(4)?,
        prompt: prompt(row, 5)?,
        verdict: row.read(9, Verdict::parse)?,
        summary: row.text(10)?,
        report: row.read(11, |text| serde_json::from_str(text).ok())?,
        at: row.at(12)?,
    })
}

/// Name, version, label and hash stand side by side from `column` on.
fn prompt(row: &Columns<'_>, column: usize) -> Result<Option<PromptRef>> {
    let Some(name) = row.name_or_none(column)? else { return Ok(None) };
    let or_empty = |column| row.name_or_none(column).map(Option::unwrap_or_default);
    Ok(Some(PromptRef {
        name,
        version: or_empty(column + 1)?,
        label: row.name_or_none(column + 2)?,
        hash: or_empty(column + 3)?,
    }))
}
