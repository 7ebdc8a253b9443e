//! A team keeps its records, keys and prompts in a real Postgres, which is killed under load, and which several gateways
//! share.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use gauntlet_testkit::{PostgresServer, http};
use serde_json::{Value, json};

use crate::{
    app::TestApp,
    replicas::{CALL_NANO, Replicas},
};

const SOON: Duration = Duration::from_secs(20);
const PROMPT: (&str, &str) =
    ("prompts/greet.yaml", "name: greet\nversion: 1.0.0\nrequired_vars: [who]\ntemplate: |\n  Greet $who.\n");

fn server() -> PostgresServer {
    PostgresServer::start().expect("a Postgres server")
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn everything_works_on_postgres_as_on_sqlite() {
    let server = server();
    let config = format!("store: {}\nroutes:\n  support_bot: {{model: prov/test-model}}\n", server.url());
    let budgets = ("budgets.yml", "tenants: {default: {daily_usd: 5}, acme: {daily_usd: 5}}\n");
    let mut app = TestApp::with_files(&config, &[budgets, PROMPT]);
    let headers = [
        ("x-gauntlet-route", "support_bot"),
        ("x-gauntlet-user", "ann"),
        ("x-gauntlet-eval-id", "nightly"),
        ("x-gauntlet-app-sha", "9f8c1d2"),
    ];
    let reply = app.chat(&headers, &TestApp::body("Where is my order?"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let trace = app.trace_of(&reply);
    assert_eq!(trace["record"]["caller"]["user"], "ann");
    assert!(trace["input"].to_string().contains("Where is my order?"), "{trace}");
    let body = json!({"model": "prov/test-model", "gauntlet": {"prompt": "greet@1.0.0", "variables": {"who": "Bo"}}});
    assert_eq!(app.chat(&[], &body).header("x-gauntlet-prompt"), Some("greet@1.0.0"));
    assert!(!app.data_dir().join("gauntlet.db").exists() && !app.data_dir().join("control.db").exists());

    // Keys and switches, from the command line.
    let secret = app.command(&["key", "create", "app", "--tenant", "acme"]).expect_ok().stdout;
    let bearer = format!("Bearer {}", secret.lines().next().unwrap());
    assert_eq!(app.chat(&[], &TestApp::body("hi")).status, 401);
    let with_key = [("authorization", bearer.as_str())];
    assert_eq!(app.chat(&with_key, &TestApp::body("hi")).status, 200);
    app.command(&["kill", "tenant", "acme", "--reason", "it loops"]).expect_ok();
    assert_eq!(app.chat(&with_key, &TestApp::body("hi")).json()["error"]["code"], "killed");

    // What it answers while it runs, it answers after a stop as well, from the same tables.
    let ask = |app: &TestApp| {
        let listed = app.command_json(&["trace", "list"]);
        let spend = app.command_json(&["spend", "--by", "tenant"]);
        let budgets = app.command_json(&["budget"]);
        let keys = app.command_json(&["key", "list"]);
        let prompts = app.command_json(&["prompt", "list"]);
        let line = |scope: &str| -> Value {
            let lines = budgets["lines"].as_array().unwrap();
            lines.iter().filter(|line| line["scope"] == scope).map(|line| line["spent"].clone()).collect()
        };
        (listed.as_array().unwrap().len(), spend["rows"].clone(), line("tenant_daily"), keys, prompts)
    };
    // Each call is stored a moment after its answer.
    wait_for("five calls are listed", || ask(&app).0 == 5);
    let running = ask(&app);
    assert_eq!(running.3.to_string().matches("acme").count(), 1, "{}", running.3);
    let ended = app.stop();
    assert!(ended.stdout.contains("postgres at 127.0.0.1"), "{ended}");
    assert_eq!(ask(&app), running);

    let joined = server.query(
        "set search_path = gauntlet; \
         insert into eval_results (id, eval_id, app_sha, route, case_id, faith, passed, ts) \
         values (gen_random_uuid(), 'nightly', '9f8c1d2', 'support_bot', 'c1', 0.9, true, now()); \
         select t.user_id, t.input_redacted ->> 'content', e.faith, b.spent_usd >= t.cost_usd and t.cost_usd > 0 \
         from llm_traces t \
         join eval_results e on e.eval_id = t.eval_id and e.app_sha = t.app_sha and e.route = t.route \
         join budgets b on b.scope = 'tenant_daily' and b.key = t.tenant and b.period = (t.ts at time zone 'UTC')::date \
         where t.route = 'support_bot'",
    );
    assert_eq!(joined, "ann|Where is my order?|0.9|t");

    let looked = app.command(&["doctor"]);
    assert!(looked.stdout.contains("postgres at 127.0.0.1"), "{looked}");
    for text in [&looked.stdout, &looked.stderr, &ended.stdout, &ended.stderr] {
        assert!(!text.contains(server.password()), "the password is shown: {text}");
    }
    app.restart();
    assert_eq!(app.chat(&with_key, &TestApp::body("hi")).json()["error"]["code"], "killed");
    let api = http::get(&app.url("/readyz"), &[]).unwrap();
    assert_eq!((api.status, api.text().trim()), (200, "ready"));
}

#[test]
fn calls_are_answered_while_postgres_is_killed_and_every_record_is_there_once() {
    let mut server = server();
    let budgets = ("budgets.yml", "tenants: {default: {daily_usd: 50}}\n");
    let app = TestApp::with_files(&format!("store: {}\n", server.url()), &[budgets]);
    let stop = AtomicBool::new(false);
    let (answered, longest) = thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (mut ids, mut longest) = (Vec::new(), Duration::ZERO);
                    while !stop.load(Ordering::Relaxed) {
                        let began = Instant::now();
                        let reply = app.chat(&[], &TestApp::body("hi"));
                        longest = longest.max(began.elapsed());
                        assert_eq!(reply.status, 200, "{}", reply.text());
                        ids.push(reply.header("x-gauntlet-request-id").unwrap().to_owned());
                        thread::sleep(Duration::from_millis(5));
                    }
                    (ids, longest)
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(700));
        for _ in 0..2 {
            server.kill_9();
            let down = http::get(&app.url("/readyz"), &[]).unwrap();
            assert_eq!(down.status, 503);
            assert!(down.text().contains("calls go on"), "{}", down.text());
            assert!(!down.text().contains(server.password()));
            thread::sleep(Duration::from_millis(1_500));
            server.start_again();
            thread::sleep(Duration::from_millis(700));
        }
        stop.store(true, Ordering::Relaxed);
        let ended: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        let longest = ended.iter().map(|(_, longest)| *longest).max().unwrap();
        (ended.into_iter().flat_map(|(ids, _)| ids).collect::<Vec<_>>(), longest)
    });
    assert!(longest < Duration::from_secs(2), "a call waited {longest:?} for a store it does not need");
    let count = || server.query("select count(*) from gauntlet.llm_traces").parse::<usize>().unwrap();
    wait_for("all records get there", || count() >= answered.len());
    assert_eq!(count(), answered.len());
    let distinct: BTreeSet<_> = answered.iter().collect();
    assert_eq!(distinct.len(), answered.len());
    assert_eq!(
        server.query("select sum(calls) from gauntlet.rollup_hour").parse::<usize>().unwrap(),
        answered.len()
    );
    for id in answered.iter().step_by(answered.len() / 20 + 1) {
        app.trace(id);
    }
    let sums = server.query(
        "select (select sum(cost_nano) from gauntlet.llm_traces) = \
                (select sum(spent_nano) from gauntlet.budgets where scope = 'tenant_daily')",
    );
    assert_eq!(sums, "t", "what is spent is what the calls cost");
    // Hundreds of calls were made; looking at each for the balance would take longer than the test.
    drop(app.without_balance());
}

#[test]
fn two_gateways_on_one_postgres_keep_one_cap_and_see_each_others_calls_and_switches() {
    let server = server();
    let cap = 40 * CALL_NANO;
    let budgets = format!("tenants: {{default: {{daily_usd: {}}}}}\n", cap as f64 / 1e9);
    let shared = format!("{{url: \"{}\", lease: 2s}}", server.url());
    let store = format!("store: {}", server.url());
    let mut gateways = Replicas::start(2, &shared, &store, &budgets);
    let chat = |gateways: &Replicas, number: usize| gateways.chat(number).status;
    for number in 0..2 {
        gateways.wait_for_status(number, 200);
    }
    let refused = |gateways: &Replicas| {
        let mut refused = 0;
        let until = Instant::now() + SOON;
        while refused < 12 {
            assert!(Instant::now() < until, "the cap is never reached");
            for number in 0..2 {
                refused += usize::from(chat(gateways, number) == 429);
            }
        }
    };
    refused(&gateways);
    let answered = gateways.provider.requests().len() as i64;
    assert!((35..=40).contains(&answered), "{answered} calls were answered under a cap of 40");
    assert_eq!(gateways.used("tenant_daily"), answered * CALL_NANO);
    let seen = |gateways: &Replicas, number: usize| {
        let url = gateways.url(number, "/api/v1/traces?outcome=ok&limit=200");
        http::get(&url, &[]).unwrap().json()["traces"].as_array().unwrap().len() as i64
    };
    for number in 0..2 {
        wait_for("both see all calls", || seen(&gateways, number) == answered);
    }
    let replicas = server.query(
        "select count(distinct replica), sum(spent_nano) from gauntlet.budgets where scope = 'tenant_daily'",
    );
    assert_eq!(replicas, format!("2|{}", answered * CALL_NANO));

    // Whoever comes back knows what itself has spent, and of the rest what the others say.
    for number in 0..2 {
        gateways.running[number].take().unwrap().kill9();
        gateways.restart(number);
    }
    thread::sleep(Duration::from_millis(500));
    refused(&gateways);
    let after = gateways.provider.requests().len() as i64;
    assert!(after <= 40, "{after} calls after a restart");

    // A switch thrown at one holds at the other.
    let kill = json!({"kind": "tenant", "name": "default", "reason": "enough"});
    let thrown = http::post_json(&gateways.url(0, "/api/v1/kills"), &[], &kill).unwrap();
    assert!(thrown.status < 300, "{}", thrown.text());
    wait_for("the switch holds at the other gateway", || {
        gateways.chat(1).json()["error"]["code"] == "killed"
    });
}

#[test]
fn a_store_that_cannot_be_used_is_told_of_at_the_start() {
    let mut server = server();
    let mut app = TestApp::start(&format!("store: {}\n", server.url())).without_balance();
    app.stop();
    // A second gateway on the same store, each with its caps for itself.
    let data = app.folder().join("other");
    let other = gauntlet_testkit::Launch::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(["up", "--config", &app.config_dir().display().to_string()])
        .args(["--data", &data.display().to_string()])
        .folder(app.folder())
        .serve();
    let ended = other.stop();
    assert!(ended.stdout.contains("each may spend the whole of a cap"), "{ended}");
    server.stop();
    for args in [&["up"][..], &["trace", "list"]] {
        let refused = app.command(args);
        assert_ne!(refused.code, Some(0));
        assert!(refused.stderr.contains("start it, or mend the address of `store`"), "{refused}");
        assert!(!refused.stderr.contains(server.password()), "{refused}");
    }
    app.reconfigure(&format!("store: {}\nroute: {{}}\n", server.url()));
    let refused = app.command(&["key", "create", "app"]);
    assert!(refused.stderr.contains("nobody knows which store is meant"), "{refused}");
    server.start_again();
}
