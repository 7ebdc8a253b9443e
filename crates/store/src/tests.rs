//! The suites against SQLite, and what is SQLite's alone: files, crashes, plain SQL.

mod indexing;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use gauntlet_ports::{
    Arrived, ControlStore, Grain, SpendBy, SpendQuery, SpoolPosition, TraceFilter, TraceStore,
};
use gauntlet_types::{NanoUsd, Timestamp};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{
    OpenError, Patience, SqliteControl, SqliteTraces,
    conformance::{self, sample},
};

/// Looks at as little as can be, so that pages end at every place.
pub(crate) const HASTY: Patience = Patience { time: std::time::Duration::ZERO, rows_min: 0 };

/// Keeps the folders of stores until the test is over.
#[derive(Default)]
struct Folders(Mutex<Vec<TempDir>>);

impl Folders {
    fn file(&self, name: &str) -> std::path::PathBuf {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(name);
        self.0.lock().unwrap().push(folder);
        path
    }
}

#[test]
fn sqlite_traces_conform() {
    let folders = Folders::default();
    conformance::trace_store(&|| -> Arc<dyn TraceStore> {
        Arc::new(SqliteTraces::open(folders.file("gauntlet.db")).unwrap())
    });
}

#[test]
fn sqlite_evals_conform() {
    let folders = Folders::default();
    let make = || Arc::new(SqliteTraces::open(folders.file("gauntlet.db")).unwrap());
    conformance::eval_store(&|| make());
    conformance::eval_retention(&|| make());
}

#[test]
fn sqlite_finds_what_a_naive_search_finds() {
    let folders = Folders::default();
    for patience in [Patience::default(), HASTY] {
        let make = || -> Arc<dyn TraceStore> {
            Arc::new(SqliteTraces::open(folders.file("gauntlet.db")).unwrap().with_patience(patience))
        };
        conformance::finding(&make, 12);
    }
}

#[test]
fn sqlite_control_conforms() {
    let folders = Folders::default();
    conformance::control_store(&|| -> Arc<dyn ControlStore> {
        Arc::new(SqliteControl::open(folders.file("control.db")).unwrap())
    });
}

#[test]
fn everything_is_there_after_opening_again() {
    let folders = Folders::default();
    let path = folders.file("gauntlet.db");
    let calls = sample::spread(70);
    let positions = [SpoolPosition { worker: "0".to_owned(), segment: 2, offset: 9 }];
    SqliteTraces::open(&path).unwrap().append(Arrived::calls(&calls), &positions).unwrap();
    let store = SqliteTraces::open(&path).unwrap();
    assert_eq!(store.append(Arrived::calls(&calls), &[]).unwrap(), 0);
    assert_eq!(store.spool_positions().unwrap(), positions);
    assert!(store.trace_get(calls[69].record.id).unwrap().is_some());
}

#[test]
fn a_batch_that_fails_leaves_nothing_half() {
    let folders = Folders::default();
    let path = folders.file("gauntlet.db");
    let store = SqliteTraces::open(&path).unwrap();
    let calls = sample::spread(100);
    let spans = sample::spread_spans(50);
    let all = Arrived { calls: &calls, spans: &spans };
    store.append(Arrived { calls: &calls[..40], spans: &spans[..20] }, &[]).unwrap();
    let before = counts(&path);
    let other = Connection::open(&path).unwrap();
    // Each step of a batch fails in turn; the last one stands for a disk that is full at the very end.
    let tables = [
        "payload",
        "spans",
        "span_payload",
        "span_marks",
        "rollup_day",
        "spend_name",
        "latency_day",
        "budgets",
        "spool_position",
    ];
    for table in tables {
        let trigger = format!(
            "create trigger broken before insert on {table} begin select raise(abort, 'disk is full'); end"
        );
        other.execute_batch(&trigger).unwrap();
        let positions = [SpoolPosition { worker: "0".to_owned(), segment: 1, offset: 1 }];
        let error = store.append(all, &positions).expect_err("a broken table fails the batch");
        assert!(error.to_string().starts_with("the trace store failed at "), "{error}");
        assert_eq!(counts(&path), before, "nothing is left of a batch that failed at {table}");
        other.execute_batch("drop trigger broken").unwrap();
    }
    assert_eq!(store.append(all, &[]).unwrap(), 60 + 30, "and the same batch goes in afterwards");
    for call in &calls {
        assert!(store.trace_get(call.record.id).unwrap().is_some());
    }
}

/// Rows of each table and the sums that must agree with them.
fn counts(path: &Path) -> Vec<i64> {
    let connection = Connection::open(path).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get(0)).unwrap();
    vec![
        count("select count(*) from llm_traces"),
        count("select count(*) from spans"),
        count("select coalesce(sum(length(marks)) / 20, 0) from span_marks"),
        count("select coalesce(sum(calls), 0) from rollup_hour"),
        count("select coalesce(sum(calls), 0) from rollup_day"),
        count("select coalesce(sum(cost_nano), 0) from llm_traces"),
        count("select coalesce(sum(cost_nano), 0) from rollup_day"),
        count("select coalesce(sum(spent_nano), 0) from budgets where scope = 'model_daily'"),
        count("select coalesce(sum(offset), 0) from spool_position"),
        count("select coalesce(sum(calls), 0) from spend_name where kind = 'key'"),
    ]
}

const CRASH_FILE: &str = "GAUNTLET_STORE_CRASH_FILE";

/// The process that is killed; does nothing when the suite runs it as a test.
#[test]
fn crash_child() {
    let Some(path) = std::env::var_os(CRASH_FILE) else { return };
    let store = SqliteTraces::open(path).unwrap();
    for batch in 0..10_000u32 {
        let calls: Vec<_> = (0..50)
            .map(|number| {
                let mut call = sample::call(batch * 50 + number, i64::from(batch));
                call.record.charges =
                    vec![sample::charge("model_daily", "gpt-4o".into(), Some(call.record.started))];
                call
            })
            .collect();
        let offset = u64::from(batch + 1) * 50;
        store
            .append(Arrived::calls(&calls), &[SpoolPosition { worker: "0".to_owned(), segment: 1, offset }])
            .unwrap();
        println!("\nbatch {batch}");
    }
}

#[test]
fn a_killed_process_leaves_whole_batches() {
    let folders = Folders::default();
    let path = folders.file("gauntlet.db");
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::crash_child", "--nocapture", "--test-threads", "1"])
            .env(CRASH_FILE, path.as_os_str())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed at some point after this line, most likely within a batch.
        let wanted = format!("batch {}", round * 7);
        assert!(lines.map_while(Result::ok).any(|line| line == wanted), "the child came so far");
        child.kill().unwrap();
        child.wait().unwrap();
        let found = counts(&path);
        let calls = found[0];
        assert!(calls >= (round * 7 + 1) * 50, "what was reported is there");
        assert_eq!(found[3..5], [calls; 2], "rows and roll-ups agree");
        assert_eq!(found[5..8], [calls * 1_500_000; 3], "and so does the money");
        assert_eq!(found[8], calls, "and the spool's position");
        let store = SqliteTraces::open(&path).unwrap();
        let newest = store.trace_find(&TraceFilter::default()).unwrap().rows;
        assert!(newest.iter().all(|row| store.trace_get(row.id).unwrap().is_some()));
    }
}

#[test]
fn plain_sql_reads_the_founding_columns() {
    let folders = Folders::default();
    let path = folders.file("gauntlet.db");
    let store = SqliteTraces::open(&path).unwrap();
    let mut call = sample::call(7, 0);
    call.record.caller.eval_id = Some("nightly".into());
    call.record.caller.app_sha = Some("9f8c1d2".into());
    call.record.caller.user = Some("ann".into());
    call.record.charges = vec![
        sample::charge("model_daily", "gpt-4o".into(), Some(call.record.started)),
        sample::charge("route_conversation", "s1".into(), None),
    ];
    store.append(Arrived::calls(&[call]), &[]).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "insert into eval_results (id, eval_id, app_sha, route, case_id, faith, relevance, exact, cost_usd, passed, ts) \
             values ('e1', 'nightly', '9f8c1d2', 'support_bot', 'c1', 0.9, 0.8, 1, 0.001, 1, '2026-04-25T18:42:12Z')",
        )
        .unwrap();
    let joined: (String, String, f64, String, String, f64) = connection
        .query_row(
            "select t.ts, t.user_id, t.cost_usd, json_extract(t.input_redacted, '$.content'), \
                    json_extract(t.output, '$'), e.faith \
             from llm_traces t \
             join eval_results e on e.eval_id = t.eval_id and e.app_sha = t.app_sha and e.route = t.route \
             join budgets b on b.scope = 'model_daily' and b.key = t.model and b.period = date(t.ts) \
             where t.ts >= '2026-04-25' and t.latency_ms = 840 and t.tokens_in = 100 and t.tokens_out = 40 \
               and b.spent_usd = t.cost_usd and t.prompt_name is null",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)),
        )
        .unwrap();
    assert_eq!(joined.0, "2026-04-25T18:42:11.482123Z");
    assert_eq!((joined.1.as_str(), joined.2, joined.5), ("ann", 0.0015, 0.9));
    assert_eq!((joined.3.as_str(), joined.4.as_str()), ("question 7", "answer 7"));
    let forever: String = connection
        .query_row("select period from budgets where scope = 'route_conversation'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(forever, "0001-01-01");
}

#[test]
fn checkpoints_run_beside_readers_and_bound_the_log() {
    let folders = Folders::default();
    let path = folders.file("gauntlet.db");
    let store = SqliteTraces::open(&path).unwrap();
    store.append(Arrived::calls(&sample::spread(300)), &[]).unwrap();
    store.checkpoint().unwrap();
    let whole = fs::metadata(&path).unwrap().len();
    assert!(whole > 100_000, "the file holds the batch");
    store.append(Arrived::calls(&[sample::call(999, 0)]), &[]).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), whole, "a commit does not checkpoint");
    store.checkpoint().unwrap();
    assert_eq!(
        store.trace_find(&TraceFilter { limit: 1000, ..TraceFilter::default() }).unwrap().rows.len(),
        301
    );
}

#[test]
fn readers_and_the_writer_work_at_once() {
    let folders = Folders::default();
    let store = SqliteTraces::open(folders.file("gauntlet.db")).unwrap();
    let calls = sample::spread(600);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in calls.chunks(20) {
                store.append(Arrived::calls(batch), &[]).unwrap();
                store.checkpoint().unwrap();
            }
        });
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                for _ in 0..60 {
                    let day = sample::START.day();
                    let to = Timestamp(day.start().0 + 5 * 86_400_000_000);
                    let overview = store.overview(day.start(), to, Grain::Day).unwrap();
                    let series: u64 = overview.series.iter().map(|(_, row)| row.calls).sum();
                    assert_eq!(series, overview.total.calls, "one question sees one state");
                    assert!(overview.total.calls >= last && overview.total.calls.is_multiple_of(20));
                    last = overview.total.calls;
                }
            });
        }
    });
    assert_eq!(store.append(Arrived::calls(&calls), &[]).unwrap(), 0);
}

#[cfg(unix)]
#[test]
fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("a").join("data");
    let traces = SqliteTraces::open(data.join("gauntlet.db")).unwrap();
    traces.append(Arrived::calls(&[sample::call(1, 0)]), &[]).unwrap();
    let _control = SqliteControl::open(data.join("control.db")).unwrap();
    assert_eq!(mode(&data), 0o700);
    for file in fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
    }
}

#[test]
fn a_file_that_cannot_be_used_says_why_and_what_to_do() {
    fn refused<T>(result: Result<T, OpenError>) -> String {
        let Err(error) = result else { panic!("opened what cannot be used") };
        error.to_string()
    }
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    let check = |message: String, name: &str, cure: &str| {
        assert!(message.contains(name) && message.contains(cure), "{message}");
    };
    fs::write(file("noise.db"), "this is no database at all, ".repeat(400)).unwrap();
    check(refused(SqliteTraces::open(file("noise.db"))), "noise.db", "restore a copy");
    assert!(
        fs::read_to_string(file("noise.db")).unwrap().starts_with("this is"),
        "a foreign file is left alone"
    );

    Connection::open(file("other.db")).unwrap().execute_batch("create table t (x)").unwrap();
    check(refused(SqliteTraces::open(file("other.db"))), "other.db", "another kind");
    drop(SqliteControl::open(file("control.db")).unwrap());
    check(refused(SqliteTraces::open(file("control.db"))), "control.db", "another kind");

    drop(SqliteTraces::open(file("newer.db")).unwrap());
    Connection::open(file("newer.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    check(refused(SqliteTraces::open(file("newer.db"))), "newer.db", "schema 99");

    // A file where a folder should be stands for every path that cannot be made; rights do not bind a superuser.
    check(refused(SqliteTraces::open(file("noise.db").join("gauntlet.db"))), "noise.db", "cannot open");
    check(refused(SqliteControl::open(folder.path())), &folder.path().display().to_string(), "cannot open");
}

#[cfg(unix)]
#[test]
fn a_file_without_write_permission_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gauntlet.db");
    drop(SqliteTraces::open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    // A superuser may write anyway; everybody else is told what to do.
    if let Err(error) = SqliteTraces::open(&path) {
        assert!(error.to_string().contains("give this user the right"), "{error}");
    }
}

#[test]
fn every_change_of_control_data_is_in_the_audit_log() {
    let folders = Folders::default();
    let path = folders.file("control.db");
    let store = SqliteControl::open(&path).unwrap();
    let kill = gauntlet_ports::Kill {
        kind: gauntlet_ports::KillKind::Route,
        name: "support_bot".into(),
        reason: "it loops".to_owned(),
        since: sample::START,
    };
    store.kill_set(&kill).unwrap();
    store.kill_undo(kill.kind, &kill.name).unwrap();
    store.kill_undo(kill.kind, &kill.name).unwrap();
    store.setting("salt", &mut || "a secret".to_owned()).unwrap();
    store.setting("salt", &mut || "a secret".to_owned()).unwrap();
    assert!(store.key_revoke("nobody", sample::START).is_err());
    let connection = Connection::open(&path).unwrap();
    let rows: Vec<(String, String, String, String)> = connection
        .prepare("select actor, action, subject, detail from audit order by seq")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let row = |action: &str, subject: &str, detail: &str| {
        ("operator".to_owned(), action.to_owned(), subject.to_owned(), detail.to_owned())
    };
    assert_eq!(
        rows,
        [
            row("kill.set", "route/support_bot", r#"{"reason":"it loops"}"#),
            row("kill.undo", "route/support_bot", "{}"),
            row("setting.create", "salt", "{}"),
        ]
    );
    assert!(connection.execute("delete from audit", []).is_err(), "rows cannot be taken out");
    assert!(connection.execute("update audit set actor = 'me'", []).is_err(), "or changed");
}

#[test]
fn spend_of_great_sums_does_not_wrap() {
    let folders = Folders::default();
    let store = SqliteTraces::open(folders.file("gauntlet.db")).unwrap();
    let mut calls = [sample::call(1, 0), sample::call(2, 1), sample::call(3, 2)];
    for call in &mut calls {
        call.record.cost = NanoUsd(i64::MAX - 10);
        call.record.charges = vec![sample::charge("model_daily", "gpt-4o".into(), Some(call.record.started))];
    }
    // Within a batch, and then on top of what is in the file.
    for batch in [&calls[..2], &calls[2..]] {
        store.append(Arrived::calls(batch), &[]).unwrap();
        let spent = store.budget_spent(sample::START.day()).unwrap();
        assert_eq!(spent[0].spent, i64::MAX);
    }
}

/// A file as the version before wrote it, with calls of two days.
fn file_of_schema_2(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(include_str!("../migrations/traces_001.sql")).unwrap();
    connection.execute_batch(include_str!("../migrations/traces_002.sql")).unwrap();
    connection.pragma_update(None, "application_id", 0x476e_7431).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    let insert = "insert into llm_traces (id, ts, route, model, tokens_in, tokens_out, latency_ms, cost_usd, tenant, \
         environment, outcome, decision, cache, is_streaming, status, trace_id, tokens_cached, usage_estimated, \
         cost_nano, latency_us, user_id, key_name) \
         values (?1, ?2, 'support_bot', 'gpt-4o', 100, 40, 1, 0.0, 'acme', 'prod', ?3, 'allow', 'off', 0, 200, '0', 7, \
         0, ?4, 1, ?5, 'app')";
    let calls = [("a", "24", "ok", 5, "ann"), ("b", "25", "failed", 6, "ann"), ("c", "25", "ok", 7, "bob")];
    for (id, day, outcome, cost, user) in calls {
        let ts = format!("2026-04-{day}T10:00:00.000000Z");
        connection.execute(insert, rusqlite::params![id, ts, outcome, cost, user]).unwrap();
    }
    connection
        .execute_batch(
            "insert into rollup_day values \
             ('2026-04-24', 'acme', 'support_bot', 'gpt-4o', 'openai', 'prod', '', '', '', 1, 0, 0, 0, 100, 7, 40, 5), \
             ('2026-04-25', 'acme', 'support_bot', 'gpt-4o', 'openai', 'prod', '', '', '', 2, 1, 0, 0, 200, 14, 80, 13)",
        )
        .unwrap();
}

#[test]
fn a_file_of_the_version_before_keeps_its_bills() {
    let folders = Folders::default();
    let path = folders.file("gauntlet.db");
    file_of_schema_2(&path);
    let store = SqliteTraces::open(&path).unwrap();
    let (from, to) = (sample::START.day(), sample::START.day());
    let query = |by: &[SpendBy]| SpendQuery {
        by: by.to_vec(),
        from: gauntlet_types::Day(from.0 - 1),
        to,
        ..SpendQuery::default()
    };
    let total = &store.spend(&query(&[])).unwrap()[0];
    assert_eq!((total.calls, total.errors, total.tokens_in, total.tokens_cached), (3, 1, 300, 21));
    assert_eq!((total.cost, total.corrected, total.cut_short), (NanoUsd(18), NanoUsd(18), 0));
    let users: Vec<_> = store.spend(&query(&[SpendBy::User])).unwrap();
    let users: Vec<_> =
        users.iter().map(|row| (row.keys[0].as_str(), row.calls, row.errors, row.cost.0)).collect();
    assert_eq!(users, [("ann", 2, 1, 11), ("bob", 1, 0, 7)], "keys and users of before are known");
    let keys = store.spend(&query(&[SpendBy::Day, SpendBy::Key])).unwrap();
    assert_eq!(keys.iter().map(|row| row.calls).collect::<Vec<_>>(), [1, 2]);
    // And it goes on.
    let mut call = sample::call(1, 0);
    call.record.caller.user = Some("ann".into());
    store.append(Arrived::calls(&[call]), &[]).unwrap();
    let of_ann = SpendQuery { user: Some("ann".to_owned()), ..query(&[]) };
    assert_eq!(store.spend(&of_ann).unwrap()[0].calls, 3);
}

#[test]
fn names_beyond_a_days_number_stand_together() {
    let folders = Folders::default();
    let store = SqliteTraces::open(folders.file("gauntlet.db")).unwrap();
    let calls: Vec<_> = (0..10_050)
        .map(|number| {
            let mut call = sample::call(number, 0);
            call.record.caller.tags = vec![format!("tag-{number}").into()];
            call.record.charges.clear();
            call
        })
        .collect();
    for batch in calls.chunks(500) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    let day = sample::START.day();
    let query = SpendQuery { by: vec![SpendBy::Tag], from: day, to: day, ..SpendQuery::default() };
    let rows = store.spend(&query).unwrap();
    assert_eq!(rows.len(), 10_001);
    let rest = rows.iter().find(|row| row.keys[0] == "(other)").unwrap();
    assert_eq!(rest.calls, 50);
    assert_eq!(rows.iter().map(|row| row.calls).sum::<u64>(), 10_050, "nothing is lost");
}

#[test]
fn pages_of_traces_need_no_sorting() {
    let folders = Folders::default();
    let path = folders.file("gauntlet.db");
    drop(SqliteTraces::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    let plan = |sql: &str| -> String {
        let mut statement = connection.prepare(&format!("explain query plan {sql}")).unwrap();
        let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    };
    for filter in
        ["true", "route = 'a'", "tenant = 'a' and (ts, rid) < ('b', 1)", "cost_nano > 5", "user_id = 'a'"]
    {
        let found = plan(&format!(
            "select id, route from llm_traces where {filter} order by ts desc, rid desc limit 50"
        ));
        assert!(found.contains("llm_traces_ts") && !found.contains("TEMP B-TREE"), "{filter}: {found}");
    }
    let by_user = plan(
        "select user_id, count(*), sum(cost_nano), sum(tokens_in), sum(outcome in ('failed')) from llm_traces \
         where ts >= 'a' and ts < 'b' and user_id is not null group by 1",
    );
    assert!(by_user.contains("COVERING INDEX llm_traces_ts"), "{by_user}");
}

#[test]
fn what_a_page_asks_of_evals_is_found_by_its_indexes() {
    let folders = Folders::default();
    let path = folders.file("gauntlet.db");
    drop(SqliteTraces::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    let check = |sql: &str, index: &str| {
        let mut statement = connection.prepare(&format!("explain query plan {sql}")).unwrap();
        let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let plan = steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ");
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE FOR ORDER BY"), "{sql}: {plan}");
    };
    check(
        "select id, input from eval_results where eval_id = 'a' and (error is not null or passed = 0) \
         order by (error is null), case_id, repeat limit 15",
        "eval_results_failed",
    );
    check(
        "select id from eval_runs where suite = 'a' order by started desc, id desc limit 10",
        "eval_runs_suite",
    );
    check("select id from eval_results where source_call = 'a'", "eval_results_source");
}
