//! The suites against a real Postgres, and what is Postgres's alone: servers that are killed, several gateways at once,
//! plain SQL.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gauntlet_ports::{
    Arrived, ControlStore, SpoolPosition, StoredCall, TraceCursor, TraceFilter, TraceStore,
};
use gauntlet_testkit::PostgresServer;
use gauntlet_types::{CallId, Day, Name};

use super::{Database, PostgresControl, PostgresTraces, SpentBy};
use crate::{
    OpenError, Patience,
    conformance::{self, sample},
    tests::HASTY,
};

fn server() -> PostgresServer {
    PostgresServer::start().expect("a Postgres server")
}

/// Counts the databases of a server: each store gets one of its own.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

fn fresh(server: &PostgresServer) -> String {
    let name = format!("store_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    server.query(&format!("create database {name}"));
    let url = server.url();
    format!("{}/{name}", url.strip_suffix("/postgres").expect("the server's own database"))
}

fn traces(url: &str, replica: &str) -> PostgresTraces {
    PostgresTraces::new(Database::open(url).expect("the server is there"), replica, SpentBy::All)
}

#[test]
fn postgres_traces_conform() {
    let server = server();
    conformance::trace_store(&|| -> Arc<dyn TraceStore> { Arc::new(traces(&fresh(&server), "r1")) });
}

#[test]
fn postgres_evals_conform() {
    let server = server();
    let make = || Arc::new(traces(&fresh(&server), "r1"));
    conformance::eval_store(&|| make());
    conformance::eval_retention(&|| make());
}

#[test]
fn postgres_finds_what_a_naive_search_finds() {
    let server = server();
    for patience in [Patience::default(), HASTY] {
        conformance::finding(
            &|| -> Arc<dyn TraceStore> { Arc::new(traces(&fresh(&server), "r1").with_patience(patience)) },
            3,
        );
    }
}

#[test]
fn postgres_control_conforms() {
    let server = server();
    conformance::control_store(&|| -> Arc<dyn ControlStore> {
        Arc::new(PostgresControl::new(Database::open(&fresh(&server)).unwrap()))
    });
}

/// Rows of each table and the sums that must agree with them.
fn counts(server: &PostgresServer) -> Vec<i64> {
    let sql = "select concat_ws(' ', \
        (select count(*) from gauntlet.llm_traces), \
        (select coalesce(sum(calls), 0) from gauntlet.rollup_hour), \
        (select coalesce(sum(calls), 0) from gauntlet.rollup_day), \
        (select coalesce(sum(calls), 0) from gauntlet.latency_day), \
        (select coalesce(sum(calls), 0) from gauntlet.spend_name where kind = 'key'), \
        (select coalesce(sum(cost_nano), 0) from gauntlet.llm_traces), \
        (select coalesce(sum(cost_nano), 0) from gauntlet.rollup_day), \
        (select coalesce(sum(spent_nano), 0) from gauntlet.budgets where scope = 'model_daily'))";
    server.query(sql).split(' ').map(|number| number.parse().unwrap()).collect()
}

/// A plain call with a key and one charge, so that every sum counts it.
fn call(number: u32) -> StoredCall {
    let mut call = sample::call(number, i64::from(number / 50));
    call.record.caller.key = Some("app".into());
    call.record.charges = vec![sample::charge("model_daily", "gpt-4o".into(), Some(call.record.started))];
    call
}

fn check_counts(server: &PostgresServer, calls: i64) {
    let cost = calls * 1_500_000;
    assert_eq!(counts(server), [calls, calls, calls, calls, calls, cost, cost, cost]);
}

fn position(offset: u64) -> Vec<SpoolPosition> {
    vec![SpoolPosition { worker: "w0".to_owned(), segment: 1, offset }]
}

/// As the drainer does: the same batch again until it is in.
fn append_until_in(store: &PostgresTraces, batch: &[StoredCall], positions: &[SpoolPosition]) -> usize {
    let until = Instant::now() + Duration::from_secs(60);
    let mut failures = 0;
    while let Err(error) = store.append(Arrived::calls(batch), positions) {
        assert!(Instant::now() < until, "{error:?}");
        failures += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    failures
}

#[test]
fn a_server_killed_under_load_loses_nothing_and_counts_nothing_twice() {
    let mut server = server();
    let store = traces(&server.url(), "r1");
    let is_over = AtomicBool::new(false);
    let done = AtomicUsize::new(0);
    let failures = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut failures = 0;
            let mut batch = 0;
            while !is_over.load(Ordering::Relaxed) {
                let calls: Vec<_> = (batch * 50..batch * 50 + 50).map(call).collect();
                failures += append_until_in(&store, &calls, &position(u64::from(batch + 1)));
                batch += 1;
                done.store(batch as usize, Ordering::Relaxed);
            }
            failures
        });
        for _ in 0..3 {
            let before = done.load(Ordering::Relaxed);
            while done.load(Ordering::Relaxed) < before + 10 {
                std::thread::sleep(Duration::from_millis(3));
            }
            server.kill_9();
            std::thread::sleep(Duration::from_millis(200));
            server.start_again();
        }
        is_over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    assert!(failures >= 3, "the writer met the server's end {failures} times");
    let batches = done.load(Ordering::Relaxed);
    check_counts(&server, batches as i64 * 50);
    assert_eq!(store.spool_positions().unwrap(), position(batches as u64));
    for number in [0, 49, 50, batches as u32 * 50 - 1] {
        let wanted = call(number);
        let found = store.trace_get(wanted.record.id).unwrap().expect("every call is there");
        assert_eq!((found.record.id, found.input), (wanted.record.id, wanted.input));
    }
}

#[test]
fn gateways_that_append_the_same_calls_at_once_add_each_once() {
    let server = server();
    let stores: Vec<_> = (0..3).map(|number| traces(&server.url(), &format!("r{number}"))).collect();
    let new: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(number, store)| {
                scope.spawn(move || {
                    let mut new = 0;
                    for batch in 0..30u32 {
                        // Two thirds of each batch are another's as well, and one comes in the other order.
                        let first = (batch * 3 + number as u32) * 20;
                        let mut calls: Vec<_> = (first..first + 60).map(call).collect();
                        if number == 1 {
                            calls.reverse();
                        }
                        new += store.append(Arrived::calls(&calls), &position(u64::from(batch))).unwrap();
                    }
                    new
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    // Numbers from 0 to the last batch of the last store.
    let wanted = (29 * 3 + 2) * 20 + 60;
    assert_eq!(new, wanted);
    check_counts(&server, wanted as i64);
    let followed = |after: CallId| {
        let filter =
            TraceFilter { after: Some(TraceCursor::Call(after)), limit: 1000, ..TraceFilter::default() };
        stores[0].trace_find(&filter).unwrap().rows
    };
    let mut seen: Vec<CallId> = Vec::new();
    loop {
        let page = followed(seen.last().copied().unwrap_or(CallId(uuid::Uuid::nil())));
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|row| row.id));
    }
    let distinct: std::collections::HashSet<_> = seen.iter().copied().collect();
    assert_eq!((seen.len(), distinct.len()), (wanted, wanted), "whoever follows sees each once");
}

#[test]
fn following_misses_nothing_while_two_write() {
    let server = server();
    let stores = [traces(&server.url(), "a"), traces(&server.url(), "b")];
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(number, store)| {
                scope.spawn(move || {
                    for batch in 0..40u32 {
                        let first = (number as u32) * 100_000 + batch * 10;
                        let calls: Vec<_> = (first..first + 10).map(call).collect();
                        store.append(Arrived::calls(&calls), &[]).unwrap();
                    }
                })
            })
            .collect();
        let follower = scope.spawn(|| {
            let (mut seen, mut last) = (0, CallId(uuid::Uuid::nil()));
            loop {
                let is_last = is_over.load(Ordering::Relaxed);
                let filter = TraceFilter {
                    after: Some(TraceCursor::Call(last)),
                    limit: 1000,
                    ..TraceFilter::default()
                };
                let page = stores[0].trace_find(&filter).unwrap().rows;
                seen += page.len();
                last = page.last().map_or(last, |row| row.id);
                if is_last && page.is_empty() {
                    return seen;
                }
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(follower.join().unwrap(), 800);
    });
}

#[test]
fn a_batch_that_fails_leaves_nothing_half() {
    let server = server();
    let store = traces(&server.url(), "r1");
    let calls: Vec<_> = (0..100).map(call).collect();
    let spans = sample::spread_spans(50);
    let all = Arrived { calls: &calls, spans: &spans };
    store.append(Arrived { calls: &calls[..40], spans: &spans[..20] }, &[]).unwrap();
    let check = |calls: i64, spans: i64| {
        check_counts(&server, calls);
        assert_eq!(server.query("select count(*) from gauntlet.spans"), spans.to_string());
    };
    server.query(
        "create function gauntlet.broken() returns trigger language plpgsql as \
         $$ begin raise exception 'disk is full'; end $$",
    );
    let tables = [
        "payload",
        "spans",
        "span_payload",
        "rollup_day",
        "spend_name",
        "latency_day",
        "budgets",
        "spool_position",
    ];
    for table in tables {
        server.query(&format!(
            "create trigger broken before insert on gauntlet.{table} execute function gauntlet.broken()"
        ));
        let error = store.append(all, &position(1)).expect_err("a broken table fails the batch");
        assert!(error.to_string().starts_with("the trace store failed at "), "{error}");
        check(40, 20);
        server.query(&format!("drop trigger broken on gauntlet.{table}"));
    }
    assert_eq!(store.append(all, &position(1)).unwrap(), 60 + 30, "and the same batch goes in afterwards");
    check(100, 50);
}

#[test]
fn each_gateway_has_its_spool_and_its_spend() {
    let server = server();
    let database = Database::open(&server.url()).unwrap();
    let [one, other] =
        ["r1", "r2"].map(|replica| PostgresTraces::new(database.clone(), replica, SpentBy::ThisReplica));
    one.append(Arrived::calls(&[call(1), call(2)]), &position(7)).unwrap();
    other.append(Arrived::calls(&[call(3)]), &position(9)).unwrap();
    assert_eq!(one.spool_positions().unwrap(), position(7));
    assert_eq!(other.spool_positions().unwrap(), position(9), "workers of both are called w0");
    let day = sample::START.day();
    let spent = |store: &PostgresTraces| store.budget_spent(day).unwrap()[0].spent;
    assert_eq!((spent(&one), spent(&other)), (3_000_000, 1_500_000));
    let all = PostgresTraces::new(database, "r1", SpentBy::All);
    assert_eq!((all.budget_spent(day).unwrap().len(), spent(&all)), (1, 4_500_000));
    assert!(all.budget_spent(Day(day.0 + 1)).unwrap().is_empty());
    assert_eq!(one.trace_find(&TraceFilter::default()).unwrap().rows.len(), 3, "all see every call");
    assert_eq!(one.other_replicas().unwrap(), ["r2"]);
    server.query("update gauntlet.replicas set seen = now() - interval '2 hours'");
    assert!(one.other_replicas().unwrap().is_empty());
    one.announce().unwrap();
    assert_eq!(other.other_replicas().unwrap(), ["r1"]);
}

#[test]
fn plain_sql_reads_the_founding_columns() {
    let server = server();
    let store = traces(&server.url(), "r1");
    let mut call = call(7);
    call.record.caller.eval_id = Some("nightly".into());
    call.record.caller.app_sha = Some("9f8c1d2".into());
    call.record.caller.user = Some("ann".into());
    store.append(Arrived::calls(&[call]), &[]).unwrap();
    server.query(
        "insert into gauntlet.eval_results (id, eval_id, app_sha, route, case_id, faith, relevance, exact, cost_usd, passed, ts) \
         values (gen_random_uuid(), 'nightly', '9f8c1d2', 'support_bot', 'c1', 0.9, 0.8, 1, 0.001, true, '2026-04-25T18:42:12Z')",
    );
    let joined = server.query(
        "set search_path = gauntlet; set timezone = 'UTC'; \
         select t.ts, t.user_id, t.cost_usd, t.input_redacted ->> 'content', t.output #>> '{}', e.faith \
         from llm_traces t \
         join eval_results e on e.eval_id = t.eval_id and e.app_sha = t.app_sha and e.route = t.route \
         join budgets b on b.scope = 'model_daily' and b.key = t.model and b.period = t.ts::date \
         where t.ts >= '2026-04-25' and t.latency_ms = 840 and t.tokens_in = 100 and t.tokens_out = 40 \
           and b.spent_usd = t.cost_usd and t.prompt_name is null",
    );
    assert_eq!(joined, "2026-04-25 18:42:11.482123+00|ann|0.001500000|question 7|answer 7|0.9");
}

#[test]
fn many_names_of_a_day_stand_together() {
    let server = server();
    let store = traces(&server.url(), "r1");
    server.query(
        "insert into gauntlet.spend_name (day, kind, tenant, name, calls, errors, tokens_in, tokens_cached, tokens_out, cost_nano) \
         select '2026-04-25', 'tag', 'acme', 'tag-' || n, 1, 0, 0, 0, 0, 0 from generate_series(1, 9998) n",
    );
    let tagged = |number: u32| {
        let mut call = sample::call(number, 0);
        call.record.caller.tags = vec![Name::from(format!("new-{number}")), "tag-5".into()];
        call
    };
    store.append(Arrived::calls(&[tagged(1), tagged(2), tagged(3)]), &[]).unwrap();
    store.append(Arrived::calls(&[tagged(4), tagged(1)]), &[]).unwrap();
    let count = |name: &str| {
        server.query(&format!(
            "select coalesce(sum(calls), 0) from gauntlet.spend_name where kind = 'tag' and name = '{name}'"
        ))
    };
    assert_eq!(
        ["new-1", "new-2", "new-3", "new-4", "(other)", "tag-5"].map(count),
        ["1", "1", "0", "0", "2", "5"]
    );
}

#[test]
fn gateways_that_start_at_once_make_the_tables_once_and_see_each_others_changes() {
    let server = server();
    let url = fresh(&server);
    let stores: Vec<PostgresControl> = std::thread::scope(|scope| {
        let open = || PostgresControl::new(Database::open(&url).unwrap());
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let before = stores[1].change_count().unwrap();
    stores[0].setting_put("salt", "a").unwrap();
    assert!(stores[1].change_count().unwrap() > before);
    assert_eq!(stores[1].setting("salt", &mut || panic!("is there")).unwrap(), "a");
    let made: Vec<String> = std::thread::scope(|scope| {
        let make = |store: &PostgresControl, number: usize| {
            store.setting("once", &mut || number.to_string()).unwrap()
        };
        let threads: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(number, store)| scope.spawn(move || make(store, number)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(made.iter().all(|value| *value == made[0]), "all got what one of them made: {made:?}");
}

#[test]
fn a_database_that_cannot_be_used_says_why_and_what_to_do() {
    let mut server = server();
    let refused = |url: &str| -> String {
        let Err(error) = Database::open(url) else { panic!("opened what cannot be used") };
        let mut text = error.to_string();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            text.push_str(&format!(": {source}"));
            cause = source;
        }
        assert!(!text.contains(server.password()) && !text.contains("wrong-word"), "{text}");
        text
    };
    let wrong = server.url().replace(server.password(), "wrong-word");
    let text = refused(&wrong);
    assert!(text.contains("127.0.0.1") && text.contains("mend user and password"), "{text}");
    let text = refused("postgres://a:wrong-word@[b");
    assert!(text.contains("postgres://USER"), "{text}");
    server.query("create role guest login password 'guest'");
    server.query("create database closed");
    let guest = server.url().replace(&format!("gauntlet:{}", server.password()), "guest:guest");
    let text = refused(&guest.replace("/postgres", "/closed"));
    assert!(text.contains("right to make a schema"), "{text}");

    drop(traces(&server.url(), "r1"));
    let known = server.query("select version from gauntlet.schema_version");
    server.query("update gauntlet.schema_version set version = 99");
    let Err(error) = Database::open(&server.url()) else { panic!("a newer schema is refused") };
    assert!(matches!(error, OpenError::PostgresNewer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("schema 99"), "{error}");
    server.query(&format!("update gauntlet.schema_version set version = {known}"));
    let store = traces(&server.url(), "r1");
    server.stop();
    let began = Instant::now();
    let Err(error) = Database::open(&server.url()) else { panic!("nothing is there") };
    assert!(error.to_string().contains("start it"), "{error}");
    assert!(store.ping().is_err() && store.append(Arrived::calls(&[call(1)]), &[]).is_err());
    assert!(began.elapsed() < Duration::from_secs(5), "who is not there is told of soon");
    server.start_again();
    append_until_in(&store, &[call(1)], &[]);
    store.ping().unwrap();
}

#[test]
fn a_server_that_stands_still_is_waited_for_and_an_async_thread_may_ask() {
    let server = server();
    let store = Arc::new(traces(&server.url(), "r1"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { store.append(Arrived::calls(&[call(1)]), &[]) }).unwrap();
    server.pause();
    let asking = std::thread::spawn({
        let store = store.clone();
        move || store.append(Arrived::calls(&[call(2)]), &[])
    });
    std::thread::sleep(Duration::from_millis(300));
    server.resume();
    assert_eq!(asking.join().unwrap().unwrap(), 1);
}
