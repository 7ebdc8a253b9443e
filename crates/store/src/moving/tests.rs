//! A rich store goes from SQLite to Postgres and back, and answers the same everywhere; copies that die go on.

use std::path::Path;

use gauntlet_ports::{
    Approval, Arrived, Candidate, ControlStore, Correction, EvalGate, EvalResult, EvalRun, EvalStore, Event,
    EventFilter, EventKind, GateFilter, Grain, JudgeKey, Judged, Kill, KillKind, LabelMove, MoveKind,
    Reconciliation, RecordQuery, Repricing, RunFilter, Score, Severity, SpanFilter, SpendBy, SpendQuery,
    SpoolPosition, StoredCall, StoredKey, StoredPrompt, TraceFilter, TraceStore, Verdict,
};
use gauntlet_testkit::PostgresServer;
use gauntlet_types::{Day, Name, NanoUsd, PromptRef, Timestamp};
use serde_json::json;
use tempfile::TempDir;

use super::{
    MoveError, Place, Report, View, Which,
    tables::{CONTROL, Column, Owner, SUMS},
    verify,
};
use crate::{
    Database, PostgresControl, PostgresTraces, SpentBy, SqliteControl, SqliteTraces, conformance::sample,
};

const REPLICA: &str = "0197-replica";
const FROM: Day = Day(20_000);
const TO: Day = Day(21_000);

fn server() -> PostgresServer {
    PostgresServer::start().expect("a Postgres server")
}

struct Stores {
    traces: Box<dyn TraceStore>,
    control: Box<dyn ControlStore>,
}

fn sqlite(folder: &Path) -> Stores {
    Stores {
        traces: Box::new(SqliteTraces::open(folder.join("gauntlet.db")).unwrap()),
        control: Box::new(SqliteControl::open(folder.join("control.db")).unwrap()),
    }
}

fn postgres(url: &str) -> Stores {
    let database = Database::open(url).unwrap();
    Stores {
        traces: Box::new(PostgresTraces::new(database.clone(), REPLICA, SpentBy::All)),
        control: Box::new(PostgresControl::new(database)),
    }
}

fn copy_between(from: &Place, to: &Place) -> Result<Report, MoveError> {
    super::copy(from, to, REPLICA, &mut |_| ())
}

fn source(folder: &Path) -> Place {
    Place::sqlite(folder, Which::Source).unwrap()
}

fn target(folder: &Path) -> Place {
    Place::sqlite(folder, Which::Target).unwrap()
}

/// To Postgres; the connections are given back at the end.
fn up(folder: &Path, url: &str) -> Result<Report, MoveError> {
    copy_between(&source(folder), &Place::postgres(url, REPLICA, Which::Target)?)
}

fn down(url: &str, folder: &Path) -> Result<Report, MoveError> {
    copy_between(&Place::postgres(url, REPLICA, Which::Source)?, &target(folder))
}

/// Calls and spans of every sort, hostile ones among them, with corrections, reconciliations and positions.
fn fill(stores: &Stores, numbers: std::ops::Range<u32>) {
    let calls: Vec<StoredCall> = sample::spread(numbers.end).split_off(numbers.start as usize);
    let spans = sample::spread_spans(numbers.end).split_off(numbers.start as usize);
    for (calls, spans) in calls.chunks(130).zip(spans.chunks(130)) {
        let position = SpoolPosition { worker: "w0".to_owned(), segment: 3, offset: numbers.end.into() };
        stores.traces.append(Arrived { calls, spans }, &[position]).unwrap();
    }
    let mut hostile = sample::call(9_000_000 + numbers.end, 17);
    hostile.record.caller.user = Some("nul\0 and \u{f4fff} mark".into());
    hostile.record.caller.tenant = "te\0nant".into();
    hostile.record.caller.tags = vec!["ta\0g".into()];
    hostile.record.charges = vec![sample::charge("tenant_daily", "te\0nant".into(), Some(sample::START))];
    hostile.input = r#"{"messages":[{"role":"user","content":"\ud800 alone \u0000"}]}"#.into();
    hostile.output = b"\xff\xfe no json".to_vec().into();
    let mut never = sample::call(9_500_000 + numbers.end, 18);
    never.record.charges = vec![sample::charge("total", "all".into(), None)];
    stores.traces.append(Arrived::calls(&[hostile, never]), &[]).unwrap();

    let dearer = |call: &'_ StoredCall| NanoUsd(call.record.cost.0 * 2 + 7);
    let run = Repricing {
        at: Timestamp(sample::START.0 + i64::from(numbers.end)),
        price_version: "2026-05".into(),
        from: FROM,
        to: TO,
        model: None,
        calls: 0,
        before: NanoUsd::ZERO,
        after: NanoUsd::ZERO,
    };
    let corrections: Vec<_> =
        calls.iter().step_by(3).map(|call| Correction { record: &call.record, cost: dearer(call) }).collect();
    assert!(stores.traces.reprice(&run, &corrections).unwrap() > 0);
    let reconciliation = Reconciliation {
        at: run.at,
        provider: "openai".into(),
        from: FROM,
        to: TO,
        threshold_percent: 1.5,
        is_drift: numbers.start == 0,
        report: json!({"days": [1, 2], "note": "a\u{0}b"}),
    };
    stores.traces.reconciliation_add(&reconciliation).unwrap();
}

fn administer(stores: &Stores, round: u32) {
    let control = &stores.control;
    let name = |what: &str| Name::from(format!("{what}{round}"));
    let key = StoredKey {
        name: name("app"),
        hash: format!("{round:064x}"),
        hint: "abcd".to_owned(),
        tenant: "ac\0me".into(),
        team: Some("red".into()),
        user: None,
        environment: None,
        routes: vec!["support".into()],
        models: vec![],
        created: sample::START,
        expires: Some(Timestamp(sample::START.0 + 5)),
        revoked: None,
    };
    control.key_insert(&key).unwrap();
    control.key_insert(&StoredKey { name: name("old"), hash: format!("{round:063x}f"), ..key }).unwrap();
    control.key_revoke(&format!("old{round}"), sample::START).unwrap();
    let kill =
        Kill { kind: KillKind::Model, name: name("m"), reason: "it\0loops".to_owned(), since: sample::START };
    control.kill_set(&kill).unwrap();
    let mut from: Option<Name> = None;
    for version in ["1.0.0", "1.10.0", "1.2.0"] {
        let prompt = StoredPrompt {
            name: name("greet"),
            version: version.into(),
            hash: format!("h{version}").into(),
            source: format!("{{\"template\":\"{version} \u{1F600}\"}}"),
            created: sample::START,
            author: (version == "1.2.0").then(|| "ann".into()),
            app_sha: None,
            about: Some("{\"owner\":\"team\"}".to_owned()),
        };
        control.prompt_put(&prompt).unwrap();
        let moved = LabelMove {
            seq: 0,
            name: prompt.name.clone(),
            label: "production".into(),
            from: from.replace(version.into()),
            to: version.into(),
            kind: MoveKind::Force,
            by: "bo".into(),
            why: (version == "1.10.0").then(|| "it\0burns".to_owned()),
            at: sample::START,
        };
        control.label_set(&moved).unwrap();
        let approval = Approval {
            seq: 0,
            name: prompt.name.clone(),
            version: version.into(),
            hash: prompt.hash.clone(),
            label: "production".into(),
            by: "bo".into(),
            note: None,
            at: sample::START,
        };
        control.approval_add(&approval).unwrap();
    }
    control.setting("value_hash_key", &mut || "secret-of-hashes".to_owned()).unwrap();
    control.setting_put("admin_token_hash", &format!("hash {round}")).unwrap();
    let event = Event {
        seq: 0,
        at: sample::START,
        kind: EventKind::BudgetFull,
        key: format!("full:{round}"),
        severity: Severity::Critical,
        message: "te\0nant is at its cap".to_owned(),
        detail: json!({"spent": 5}),
    };
    assert!(control.event_add(&event).unwrap());
}

/// Everything that the ports can be asked, as text.
fn answers(stores: &Stores) -> Vec<String> {
    let Stores { traces, control } = stores;
    let mut all = Vec::new();
    let mut say = |what: &str, answer: String| all.push(format!("{what}: {answer}"));
    for by in SpendBy::ALL {
        let query = SpendQuery { by: vec![by, SpendBy::Tenant], from: FROM, to: TO, ..SpendQuery::default() };
        let mut rows: Vec<_> = traces.spend(&query).unwrap().iter().map(|row| format!("{row:?}")).collect();
        rows.sort();
        say(by.as_str(), rows.join("\n"));
    }
    for grain in [Grain::Minute, Grain::Hour, Grain::Day] {
        let overview = traces.overview(FROM.start(), TO.start(), grain).unwrap();
        say("overview", format!("{overview:?}"));
    }
    for day in [Day(0), sample::START.day(), Day(sample::START.day().0 + 1)] {
        say("budgets", format!("{:?}", traces.budget_spent(day).unwrap()));
    }
    say("passes", format!("{:?}", traces.repricing_list(100).unwrap()));
    say("reconciliations", format!("{:?}", traces.reconciliation_list(100).unwrap()));
    let filter = TraceFilter { limit: 1000, ..TraceFilter::default() };
    let listed = traces.trace_find(&filter).unwrap();
    say("calls", listed.rows.iter().map(|row| format!("{row:?}\n")).collect());
    let user = Some("nul\0 and \u{f4fff} mark".to_owned());
    say("found", traces.trace_find(&TraceFilter { user, ..filter }).unwrap().rows.len().to_string());
    let filter = SpanFilter { limit: 1000, ..SpanFilter::default() };
    for row in traces.span_find(&filter).unwrap() {
        let whole = traces.span_get(row.record.trace_id, row.record.span_id).unwrap().unwrap();
        say("span", format!("{:?} {whole:?}", row.record));
    }
    let query = RecordQuery { from: Timestamp(0), to: Timestamp(i64::MAX), newest: 0, without_texts: false };
    let mut cursor = None;
    loop {
        let page = traces.record_page(&query, cursor, 500).unwrap();
        page.calls.iter().for_each(|call| say("record", format!("{call:?}")));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    say("positions", format!("{:?}", traces.spool_positions().unwrap()));
    say("keys", format!("{:?}", control.key_list().unwrap()));
    say("kills", format!("{:?}", control.kill_list().unwrap()));
    say("prompts", format!("{:?}", control.prompt_list().unwrap()));
    say("labels", format!("{:?}", control.label_list().unwrap()));
    for name in control.prompt_list().unwrap().iter().map(|prompt| &prompt.name) {
        say("moves", format!("{:?}", control.label_history(name).unwrap()));
        say("approvals", format!("{:?}", control.approval_list(name).unwrap()));
    }
    say("events", format!("{:?}", control.event_list(&EventFilter::default()).unwrap()));
    // Asking for one that is not there makes it.
    let is_administered = !control.key_list().unwrap().is_empty();
    for setting in ["value_hash_key", "admin_token_hash"].into_iter().filter(|_| is_administered) {
        say(setting, control.setting(setting, &mut || "none".to_owned()).unwrap());
    }
    all
}

/// Compared line by line: the whole would fill a terminal.
#[track_caller]
fn same(one: &[String], other: &[String]) {
    for (one, other) in one.iter().zip(other) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

#[track_caller]
fn whole(report: &Report) {
    let bad: Vec<_> = report.checks.iter().filter(|check| !check.is_same()).collect();
    assert!(report.is_same(), "{bad:?} {:?}", report.sampled_differing);
    assert!(report.sampled > 0);
}

fn evaluated(folder: &Path) {
    let connection = rusqlite::Connection::open(folder.join("gauntlet.db")).unwrap();
    let sql = "insert into eval_results (id, eval_id, app_sha, route, case_id, faith, cost_usd, passed, ts) values \
         ('0197a000-0000-7000-8000-000000000001', 'nightly', 'aaa111', 'search', 'c1', 0.75, 0.001234567, 1, \
          '2026-04-25T18:42:11.482123Z'), \
         ('0197a000-0000-7000-8000-000000000002', null, null, null, null, null, null, null, null)";
    assert_eq!(connection.execute(sql, []).unwrap(), 2);
    let store = SqliteTraces::open(folder.join("gauntlet.db")).unwrap();
    let at = sample::START;
    let prompt = PromptRef { name: "p".into(), version: "1.0.0".into(), label: None, hash: "ab".into() };
    let candidate = Candidate { name: "p@1.0.0".into(), model: None, prompt: Some(prompt.clone()) };
    let run = EvalRun { id: "nightly".into(), candidate, started: at, ..EvalRun::default() };
    store.run_put(&run).unwrap();
    let score =
        Score { metric: "exact".into(), value: Some(0.1), reason: Some("why".into()), ..Score::default() };
    let call = Some(sample::call(1, 0).record.id);
    let result = EvalResult {
        run: run.id.clone(),
        case: "c2".into(),
        call,
        source: Some(sample::call(2, 0).record.id),
        scores: vec![score],
        at,
        ..EvalResult::default()
    };
    store.result_add(&[result]).unwrap();
    let key = JudgeKey {
        judge_model: "j".into(),
        judge_prompt_hash: "p".into(),
        output_hash: "o".into(),
        sample: 1,
    };
    store.judged_put(&[Judged { key, answer: "yes\0".into(), cost: NanoUsd(5), call, at }]).unwrap();
    let gate = EvalGate {
        id: "gate-1".into(),
        suite: "support".into(),
        run: run.id,
        baseline: None,
        app_sha: None,
        prompt: Some(prompt),
        verdict: Verdict::Pass,
        summary: "as good".into(),
        report: json!({"checks": []}),
        at,
    };
    store.gate_put(&gate).unwrap();
}

/// What runs left, as each store tells it.
fn evals(store: &dyn EvalStore) -> String {
    let runs = store.run_list(&RunFilter::default()).unwrap();
    let results = store.result_list("nightly").unwrap();
    let key = JudgeKey {
        judge_model: "j".into(),
        judge_prompt_hash: "p".into(),
        output_hash: "o".into(),
        sample: 1,
    };
    let judged = store.judged_get(&[key]).unwrap();
    assert_eq!((runs.len(), results.len(), judged.len()), (1, 2, 1), "one result was written by hand");
    json!([runs, results, judged, store.gate_list(&GateFilter::default()).unwrap()]).to_string()
}

#[test]
fn a_rich_store_answers_the_same_in_postgres_and_back() {
    let server = server();
    let (first, last) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let stores = sqlite(first.path());
    fill(&stores, 0..2_000);
    administer(&stores, 1);
    evaluated(first.path());
    let wanted = answers(&stores);
    let report = up(first.path(), &server.url()).unwrap();
    whole(&report);
    assert_eq!(report.copied.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2_002, 2_000]);
    same(&answers(&postgres(&server.url())), &wanted);
    whole(&down(&server.url(), last.path()).unwrap());
    same(&answers(&sqlite(last.path())), &wanted);
    let of_files = |folder: &Path| evals(&SqliteTraces::open(folder.join("gauntlet.db")).unwrap());
    let database = Database::open(&server.url()).unwrap();
    let there = evals(&PostgresTraces::new(database, REPLICA, SpentBy::All));
    assert_eq!((&there, &of_files(last.path())), (&of_files(first.path()), &there));
    // What counts goes on counting after what came.
    let back = sqlite(last.path());
    administer(&back, 2);
    fill(&back, 2_000..2_010);
    let there = postgres(&server.url());
    administer(&there, 2);
    fill(&there, 2_000..2_010);
    same(&answers(&back), &answers(&there));
    let sql =
        "select faith || ' ' || cost_usd || ' ' || passed from gauntlet.eval_results where faith is not null";
    assert_eq!(server.query(sql), "0.75 0.001234567 true");
}

#[test]
fn what_came_meanwhile_is_brought_by_the_next_copy_and_nothing_counts_twice() {
    let server = server();
    let folder = TempDir::new().unwrap();
    let stores = sqlite(folder.path());
    fill(&stores, 0..300);
    administer(&stores, 1);
    whole(&up(folder.path(), &server.url()).unwrap());
    let again = up(folder.path(), &server.url()).unwrap();
    assert!(again.copied.iter().all(|(_, count)| *count == 0), "{:?}", again.copied);
    fill(&stores, 300..450);
    administer(&stores, 2);
    stores.control.kill_undo(KillKind::Model, "m1").unwrap();
    let rest = up(folder.path(), &server.url()).unwrap();
    whole(&rest);
    assert_eq!(rest.copied[0].1, 152);
    same(&answers(&postgres(&server.url())), &answers(&stores));
    // Back into the folder that it came from: the database has gone on since.
    let there = postgres(&server.url());
    fill(&there, 450..500);
    administer(&there, 3);
    drop((there, stores));
    let back = down(&server.url(), folder.path()).unwrap();
    whole(&back);
    assert_eq!(back.copied[0].1, 52);
    same(&answers(&sqlite(folder.path())), &answers(&postgres(&server.url())));
}

#[test]
fn a_target_with_data_of_its_own_is_left_alone() {
    let server = server();
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let stores = sqlite(one.path());
    fill(&stores, 0..50);
    administer(&stores, 1);
    let refused = |from: &Path, to: &Path, why: &str| {
        let before = answers(&sqlite(to));
        let error = copy_between(&source(from), &target(to)).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        same(&answers(&sqlite(to)), &before);
    };
    let its_own = sqlite(other.path());
    its_own.traces.append(Arrived::calls(&[sample::call(77_777, 4)]), &[]).unwrap();
    refused(one.path(), other.path(), "calls that the source does not have");
    let keyed = TempDir::new().unwrap();
    administer(&sqlite(keyed.path()), 7);
    refused(one.path(), keyed.path(), "keys, prompts or settings");
    // A call that both have, and others before it.
    let mixed = TempDir::new().unwrap();
    let some = sqlite(mixed.path());
    some.traces
        .append(Arrived::calls(&[sample::call(77_777, 4), sample::spread(3)[1].clone()]), &[])
        .unwrap();
    refused(one.path(), mixed.path(), "calls that are not those of the source");
    let ends = sqlite(mixed.path());
    ends.traces.append(Arrived::calls(&sample::spread(1)), &[]).unwrap();
    refused(one.path(), mixed.path(), "3 calls where the source has 1");

    let url = server.url();
    let gateway = postgres(&url);
    gateway.traces.ping().unwrap();
    assert!(matches!(Place::postgres(&url, REPLICA, Which::Target), Err(MoveError::InUse { .. })));
    drop(gateway);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let taken = loop {
        match Place::postgres(&url, REPLICA, Which::Target) {
            Ok(place) => break place,
            // The server notices some milliseconds later that a session is gone.
            Err(error) => assert!(std::time::Instant::now() < until, "{error}"),
        }
    };
    assert!(matches!(Place::postgres(&url, REPLICA, Which::Target), Err(MoveError::Taken { .. })));
    assert!(matches!(Place::postgres(&url, REPLICA, Which::Source), Err(MoveError::Taken { .. })));
    whole(&copy_between(&source(one.path()), &taken).unwrap());
    let nothing = TempDir::new().unwrap();
    assert!(matches!(Place::sqlite(nothing.path(), Which::Source), Err(MoveError::Nothing { .. })));
}

#[test]
fn a_difference_is_found() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let stores = sqlite(one.path());
    fill(&stores, 0..200);
    whole(&copy_between(&source(one.path()), &target(other.path())).unwrap());
    let spoil = |sql: &str| -> Report {
        let connection = rusqlite::Connection::open(other.path().join("gauntlet.db")).unwrap();
        assert!(connection.execute(sql, []).unwrap() > 0);
        let (from, to) = (source(one.path()), target(other.path()));
        let view =
            View { which: Which::Source, replica: REPLICA.to_owned(), by_replica: false, positions: false };
        let (mut here, mut there) = (from.side.look(&view).unwrap(), to.side.look(&view).unwrap());
        let mut report = verify::compare(&mut *here, &mut *there).unwrap();
        verify::sample(&from, &to, &mut report).unwrap();
        report
    };
    let differing = |report: &Report| -> Vec<&str> {
        report.checks.iter().filter(|check| !check.is_same()).map(|check| check.what).collect()
    };
    let found = spoil("update rollup_day set cost_nano = cost_nano + 1");
    assert_eq!((differing(&found), found.is_same()), (vec!["rollup_day"], false));
    // Sums are brought anew by the next copy; a call that was changed is no copy of ours.
    whole(&copy_between(&source(one.path()), &target(other.path())).unwrap());
    let found = spoil("update llm_traces set cost_nano = cost_nano + 1 where rid = 5");
    assert_eq!(differing(&found), ["llm_traces"]);
    assert_eq!(found.days.values().filter(|[source, target]| source != target).count(), 1);
    let refused = copy_between(&source(one.path()), &target(other.path()));
    assert!(matches!(refused, Err(MoveError::HasOther { .. })));
    let found = spoil("update llm_traces set cost_nano = cost_nano - 1 where rid = 5");
    whole(&found);
    let found = spoil("update payload set body = (select body from payload where rid_first = 1)");
    assert!(differing(&found).is_empty() && !found.is_same() && !found.sampled_differing.is_empty());
}

/// Tables that are not copied, since they follow from what is appended or belong to a gateway's place.
const FOLLOW: [&str; 12] = [
    "llm_traces",
    "payload",
    "find_span",
    "find_table",
    "find_terms",
    "spans",
    "span_payload",
    "span_marks",
    "sqlite_sequence",
    // Counted by the order of arrival, which has no gaps in a copy; jobs begin anew there and find most of it done.
    "progress",
    // Of Postgres: signs of life, and the version.
    "replicas",
    "schema_version",
];

/// A table or column that a migration adds must be copied, or be known to follow from calls: else a copy lacks it.
#[test]
fn every_table_and_column_is_copied_or_follows() {
    let check = |table: &str, mut columns: Vec<String>, is_postgres: bool| {
        if FOLLOW.contains(&table) {
            return;
        }
        let copied = SUMS.iter().chain(&CONTROL).find(|copied| copied.name == table);
        let copied = copied.unwrap_or_else(|| panic!("`{table}` is neither copied nor known to follow"));
        let name = |column: &Column| if is_postgres { column.postgres } else { column.sqlite };
        let mut wanted: Vec<&str> = copied.columns.iter().map(name).filter(|name| *name != "rowid").collect();
        match is_postgres {
            true if copied.owner != Owner::Store => wanted.push("replica"),
            false => wanted.extend(copied.shown.map(|(column, _)| column)),
            true => {}
        }
        wanted.sort_unstable();
        columns.sort_unstable();
        assert_eq!(columns, wanted, "columns of `{table}`");
    };
    let folder = TempDir::new().unwrap();
    drop(sqlite(folder.path()));
    for file in ["gauntlet.db", "control.db"] {
        let connection = rusqlite::Connection::open(folder.path().join(file)).unwrap();
        let list = |sql: &str| -> Vec<String> {
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        for table in list("select name from sqlite_schema where type = 'table'") {
            check(&table, list(&format!("select name from pragma_table_info('{table}')")), false);
        }
    }
    let server = server();
    drop(postgres(&server.url()));
    let list = |sql: &str| -> Vec<String> { server.query(sql).lines().map(str::to_owned).collect() };
    let tables = list("select table_name from information_schema.tables where table_schema = 'gauntlet'");
    assert!(tables.len() > 20, "{tables:?}");
    for table in tables {
        let columns = format!(
            "select column_name from information_schema.columns \
             where table_schema = 'gauntlet' and table_name = '{table}' and is_generated = 'NEVER'"
        );
        check(&table, list(&columns), true);
    }
}
