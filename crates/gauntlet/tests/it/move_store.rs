//! A team grows from SQLite to a real Postgres while its gateway serves, and goes back; copies are killed and go on.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use gauntlet_ports::crash;
use gauntlet_testkit::PostgresServer;
use serde_json::Value;

use crate::app::TestApp;

const ROUTES: &str = "routes:\n  support_bot: {model: prov/test-model}\n  search: {model: prov/test-model}\n";
const BUDGETS: (&str, &str) = (
    "budgets.yml",
    "tenants:\n  default: {daily_usd: 50, daily_tokens: 90_000_000, caps: [{usd: 9, window: rolling 2h}]}\n\
     everything: {total_usd: 500}\n",
);
const PROMPT: (&str, &str) =
    ("prompts/greet.yaml", "name: greet\nversion: 1.0.0\nrequired_vars: [who]\ntemplate: |\n  Greet $who.\n");

fn server() -> PostgresServer {
    PostgresServer::start().expect("a Postgres server")
}

fn call(app: &TestApp, number: usize) {
    let route = ["support_bot", "search"][number % 2];
    let user = format!("user-{}", number % 5);
    let headers = [("x-gauntlet-route", route), ("x-gauntlet-user", &*user)];
    let reply = app.chat(&headers, &TestApp::body(&format!("Where is order {number}? \u{0}\u{1F600}")));
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// What a team looks at.
fn bills(app: &TestApp) -> Vec<Value> {
    let mut all: Vec<Value> = ["route,model", "user", "day", "tenant"]
        .iter()
        .map(|by| app.command_json(&["spend", "--by", by, "--last", "7d"])["rows"].clone())
        .collect();
    let budgets = app.command_json(&["budget"]);
    let spent = budgets["lines"].as_array().unwrap().iter();
    all.push(spent.map(|line| serde_json::json!([line["scope"], line["key"], line["spent"]])).collect());
    all.extend(
        [
            &["trace", "list", "--limit", "1000"][..],
            &["key", "list"],
            &["prompt", "list"],
            &["kill", "--list"],
        ]
        .map(|args| app.command_json(args)),
    );
    all
}

fn migrated(app: &TestApp, to: &str) -> Value {
    let ended = app.command(&["store", "migrate", "--to", to, "--json"]);
    assert!(!format!("{ended}").contains("postgres-secret"), "the password is shown: {ended}");
    let report = ended.expect_ok().json();
    assert_eq!(report["same"], true, "{report}");
    report
}

#[test]
fn a_team_grows_to_postgres_while_its_gateway_serves_and_goes_back() {
    let server = server();
    let mut app = TestApp::with_files(ROUTES, &[BUDGETS, PROMPT]);
    let secret = app.command(&["key", "create", "app"]).expect_ok().stdout;
    let bearer = format!("Bearer {}", secret.lines().next().unwrap());
    app.command(&["kill", "model", "prov/other", "--reason", "it loops"]).expect_ok();
    // A configuration without keys stays open; the key goes along all the same.
    let with_key = [("authorization", bearer.as_str())];
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let app = &app;
        let caller = scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(app.chat(&with_key, &TestApp::body(&format!("call {number}"))).status, 200);
                number += 1;
            }
            number
        });
        let first = migrated(app, &server.url());
        assert_eq!(first["source_runs"], true);
        let second = migrated(app, &server.url());
        is_over.store(true, Ordering::Relaxed);
        assert!(second["copied"]["calls"].as_u64().unwrap() > 0, "{second}");
        assert!(caller.join().unwrap() > 0);
    });
    app.stop();
    let wanted = bills(&app);
    let rest = migrated(&app, &server.url());
    assert_eq!(rest["source_runs"], false);
    let shown = app.command(&["store", "migrate", "--to", &server.url()]).expect_ok().stdout;
    assert!(
        shown.contains("0 calls and 0 spans copied") && shown.contains("Both sides are the same"),
        "{shown}"
    );

    app.reconfigure(&format!("store: {}\n{ROUTES}", server.url()));
    assert_eq!(bills(&app), wanted);
    app.restart();
    assert_eq!(bills(&app), wanted);
    assert_eq!(app.chat(&with_key, &TestApp::body("on")).status, 200);
    let refused = app.command(&["store", "migrate", "--from", &server.url(), "--to", &server.url()]);
    assert!(refused.stderr.contains("a gateway uses postgres at"), "{refused}");
    // The old files lack what came since.
    let late = app.command(&[
        "store",
        "migrate",
        "--from",
        &app.data_dir().display().to_string(),
        "--to",
        &server.url(),
    ]);
    assert!(late.stderr.contains("a gateway uses"), "{late}");
    app.stop();
    let late = app.command(&[
        "store",
        "migrate",
        "--from",
        &app.data_dir().display().to_string(),
        "--to",
        &server.url(),
    ]);
    assert!(late.stderr.contains("has data of its own"), "{late}");

    // Back into the folder it came from, where only the rest is missing.
    let wanted = bills(&app);
    let back = migrated(&app, "sqlite");
    assert_eq!(back["copied"]["calls"], 1, "{back}");
    app.reconfigure(ROUTES);
    app.restart();
    assert_eq!(bills(&app), wanted);
    assert_eq!(app.chat(&with_key, &TestApp::body("home")).status, 200);
}

#[test]
fn a_copy_that_is_killed_anywhere_goes_on_and_counts_nothing_twice() {
    let mut app = TestApp::with_files(ROUTES, &[BUDGETS, PROMPT]);
    (0..60).for_each(|number| call(&app, number));
    // Killed, it leaves records in its spool, which the copy takes over first.
    app.kill9();
    let server = server();
    let mut number = 0;
    for (point, nth) in crash::MOVE_POINTS.into_iter().zip([1, 3, 1, 1]) {
        number += 1;
        let name = format!("copy_{number}");
        server.query(&format!("create database {name}"));
        let url = server.url();
        let url = format!("{}/{name}", url.strip_suffix("/postgres").expect("the server's own database"));
        let folder = app.folder().join(&name).display().to_string();
        for to in [url, folder] {
            let doomed = app
                .launch(&["store", "migrate", "--to", &to])
                .env("GAUNTLET_CRASH_AT", &format!("{point}:{nth}"))
                .run();
            assert!(doomed.code != Some(0), "{point} was not reached: {doomed}");
            let report = migrated(&app, &to);
            let calls =
                report["tables"].as_array().unwrap().iter().find(|table| table["table"] == "llm_traces");
            assert_eq!(calls.unwrap()["target"]["rows"], 60, "{report}");
        }
    }
    let wanted = bills(&app);
    let copy = TestApp::data_of(&app, "copy_1");
    assert_eq!(copy.len(), 2, "{copy:?}");
    app.restart();
    assert_eq!(bills(&app), wanted);
}

impl TestApp {
    /// The files of a copy.
    fn data_of(app: &TestApp, name: &str) -> Vec<String> {
        let is_store = |path: &Path| path.extension().is_some_and(|ending| ending == "db");
        std::fs::read_dir(app.folder().join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| is_store(path))
            .map(|path| path.display().to_string())
            .collect()
    }
}

#[test]
fn what_cannot_be_copied_is_refused_with_its_cure() {
    let mut app = TestApp::with_files(ROUTES, &[]);
    call(&app, 1);
    let data = app.data_dir().display().to_string();
    let says = |app: &TestApp, args: &[&str], why: &str| {
        let ended = app.command(&[&["store", "migrate"], args].concat());
        assert!(ended.code == Some(2) && ended.stderr.contains(why), "{ended}");
        assert!(!ended.stderr.contains("s3cret"), "{ended}");
    };
    says(&app, &["--to", &data], "are the same store");
    says(&app, &["--to", &format!("{data}/../data")], "are the same store");
    let nowhere = app.folder().join("nowhere").display().to_string();
    says(&app, &["--from", &nowhere, "--to", &data], "uses the data folder");
    says(
        &app,
        &["--from", &nowhere, "--to", &app.folder().join("new").display().to_string()],
        "there is no store in",
    );
    says(&app, &["--to", "postgres://me:s3cret@127.0.0.1:1/db"], "the target cannot be opened");
    says(&app, &["--to", "postgres://me:s3cret@[bad"], "no valid address");
    let newer = app.folder().join("newer");
    std::fs::create_dir_all(&newer).unwrap();
    app.stop();
    std::fs::copy(app.data_dir().join("gauntlet.db"), newer.join("gauntlet.db")).unwrap();
    rusqlite::Connection::open(newer.join("gauntlet.db"))
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    says(&app, &["--to", &newer.display().to_string()], "was written by a newer version");
    app.restart();
}
