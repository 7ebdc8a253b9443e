//! An operator hands out keys and takes them back, and stops tenants, routes, models and keys at once.

use std::{fs, path::Path};

use gauntlet_testkit::http::{self, Reply};
use serde_json::json;

use crate::app::TestApp;

const PRICES: (&str, &str) =
    ("prices.yml", "test-model: {input: 1, output: 2}\nsecond: {input: 1, output: 2}\n");

fn create(app: &TestApp, args: &[&str]) -> String {
    let made = app.command(&[&["key", "create"], args].concat()).expect_ok();
    let secret = made.stdout.lines().next().expect("the secret stands first").to_owned();
    assert!(secret.starts_with("gk_") && secret.len() == 46, "{secret}");
    secret
}

fn call(app: &TestApp, secret: &str, headers: &[(&str, &str)]) -> Reply {
    let bearer = format!("Bearer {secret}");
    app.chat(&[&[("authorization", bearer.as_str())], headers].concat(), &TestApp::body("hi"))
}

fn code(reply: &Reply) -> String {
    reply.json()["error"]["code"].as_str().unwrap_or("").to_owned()
}

fn holds(folder: &Path, needle: &[u8]) -> bool {
    fs::read_dir(folder).expect("a folder").flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        fs::read(&path).expect("a file").windows(needle.len()).any(|window| window == needle)
    })
}

#[test]
fn a_key_is_shown_once_opens_the_doors_and_binds_its_tenant() {
    let app = TestApp::start("");
    assert_eq!(app.chat(&[], &TestApp::body("hi")).status, 200, "open while there is no key");
    let secret = create(&app, &["app", "--tenant", "acme", "--team", "search", "--user", "ann"]);

    let reply = call(&app, &secret, &[("x-gauntlet-user", "mallory")]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let caller = &app.trace_of(&reply)["record"]["caller"];
    assert_eq!((&caller["tenant"], &caller["team"]), (&"acme".into(), &"search".into()));
    assert_eq!((&caller["user"], &caller["key"]), (&"ann".into(), &"app".into()));
    assert_eq!(app.provider.last_request().header("authorization"), Some("Bearer upstream-secret"));
    let reply = app.chat(&[("x-api-key", &secret)], &TestApp::body("hi"));
    assert_eq!(reply.status, 200, "as Anthropic's SDK sends it");

    let reply = call(&app, &secret, &[("x-gauntlet-tenant", "other")]);
    assert_eq!((reply.status, code(&reply).as_str()), (403, "forbidden"), "{}", reply.text());
    let record = &app.trace_of(&reply)["record"];
    assert_eq!((&record["caller"]["tenant"], &record["outcome"]), (&"acme".into(), &"refused".into()));

    for reply in [app.chat(&[], &TestApp::body("hi")), call(&app, "gk_wrong", &[])] {
        assert_eq!((reply.status, code(&reply).as_str()), (401, "unauthorized"), "{}", reply.text());
        assert_eq!(app.trace_of(&reply)["record"]["error"], "unauthorized");
    }
    assert_eq!(http::get(&app.url("/v1/models"), &[]).unwrap().status, 401);

    let list = app.command(&["key", "list"]).expect_ok().stdout;
    assert!(list.contains("app") && list.contains(&secret[secret.len() - 4..]), "{list}");
    assert!(!list.contains(&secret) && !app.command_json(&["key", "list"]).to_string().contains(&secret));
    assert!(!holds(&app.data_dir(), secret.as_bytes()), "the secret stands in the data folder");
    let again = app.command(&["key", "create", "app"]);
    assert_eq!(again.code, Some(2), "{again}");
    assert!(again.stderr.contains("exists already"), "{again}");
}

#[test]
fn a_revoked_key_opens_nothing_from_the_next_call_on() {
    let mut app = TestApp::start("");
    let secret = create(&app, &["app"]);
    assert_eq!(call(&app, &secret, &[]).status, 200);
    app.command(&["key", "revoke", "app"]).expect_ok();
    assert_eq!(call(&app, &secret, &[]).status, 401);
    assert_eq!(app.chat(&[], &TestApp::body("hi")).status, 401, "the gateway does not open again");
    app.balance();
    app.stop().expect_ok();
    app.restart();
    assert_eq!(call(&app, &secret, &[]).status, 401);
    let unknown = app.command(&["key", "revoke", "nobody"]);
    assert_eq!(unknown.code, Some(2), "{unknown}");
}

#[test]
fn keys_of_the_configuration_come_from_the_environment_and_keep_to_their_routes_models_and_dates() {
    let app = TestApp::with_env(
        r#"models:
  support: {targets: [prov/test-model]}
  other: {targets: [prov/second]}
routes:
  support_bot: {model: support}
  search: {}
keys:
  - {name: app, key: "${APP_KEY}", tenant: acme, routes: [support_bot]}
  - {name: narrow, key: narrow-key-0123456789, tenant: acme, models: [support]}
  - {name: old, key: old-key-0123456789ab, tenant: acme, expires: 2020-01-01}"#,
        &[PRICES],
        &[("APP_KEY", "the-key-of-the-app-0123456789")],
    );
    // Its only route is taken without being named.
    let reply = call(&app, "the-key-of-the-app-0123456789", &[]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let record = &app.trace_of(&reply)["record"];
    assert_eq!((&record["route"], &record["caller"]["key"]), (&"support_bot".into(), &"app".into()));
    let reply = call(&app, "the-key-of-the-app-0123456789", &[("x-gauntlet-route", "search")]);
    assert_eq!((reply.status, code(&reply).as_str()), (403, "forbidden"), "{}", reply.text());
    assert!(reply.text().contains("support_bot"), "{}", reply.text());

    let ask = |model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        app.chat(&[("authorization", "Bearer narrow-key-0123456789")], &body)
    };
    assert_eq!(ask("support").status, 200);
    let reply = ask("other");
    assert_eq!((reply.status, code(&reply).as_str()), (403, "forbidden"), "{}", reply.text());
    let offered =
        http::get(&app.url("/v1/models"), &[("authorization", "Bearer narrow-key-0123456789")]).unwrap();
    assert!(!offered.text().contains("second"), "{}", offered.text());

    let reply = call(&app, "old-key-0123456789ab", &[]);
    assert_eq!((reply.status, code(&reply).as_str()), (401, "unauthorized"), "{}", reply.text());
    assert!(reply.text().contains("expired"), "{}", reply.text());
}

#[test]
fn a_kill_stops_the_next_call_and_its_undo_lets_it_through() {
    let mut app = TestApp::start(
        r#"models:
  support: {targets: [prov/test-model]}
routes:
  support_bot: {model: support}
keys:
  - {name: app, key: the-key-of-the-app-0123456789, tenant: acme}"#,
    );
    let ask =
        |app: &TestApp| call(app, "the-key-of-the-app-0123456789", &[("x-gauntlet-route", "support_bot")]);
    assert_eq!(ask(&app).status, 200);
    for (kind, name) in [
        ("tenant", "acme"),
        ("route", "support_bot"),
        ("model", "support"),
        ("model", "prov/test-model"),
        ("key", "app"),
    ] {
        app.command(&["kill", kind, name, "--reason", "drill of today"]).expect_ok();
        let reply = ask(&app);
        assert_eq!((reply.status, code(&reply).as_str()), (403, "killed"), "{kind} {name}: {}", reply.text());
        assert!(reply.text().contains("drill of today"), "{}", reply.text());
        assert_eq!(app.trace_of(&reply)["record"]["error"], "killed");
        assert!(app.command(&["kill", "--list"]).expect_ok().stdout.contains(name));
        app.command(&["kill", kind, name, "--undo"]).expect_ok();
        assert_eq!(ask(&app).status, 200, "{kind} {name} lives again");
    }
    let kill = json!({"kind": "route", "name": "support_bot", "reason": "by the API"});
    assert_eq!(http::post_json(&app.url("/api/v1/kills"), &[], &kill).unwrap().status, 200);
    assert_eq!(ask(&app).status, 403);
    assert_eq!(call(&app, "the-key-of-the-app-0123456789", &[]).status, 200, "other routes go on");
    app.balance();
    app.stop().expect_ok();
    app.restart();
    assert_eq!(ask(&app).status, 403, "it survives a restart");
    let undone = http::send("DELETE", &app.url("/api/v1/kills/route/support_bot"), &[], b"").unwrap();
    assert_eq!(undone.status, 200, "{}", undone.text());
    assert_eq!(ask(&app).status, 200);
    let twice = app.command(&["kill", "route", "support_bot", "--undo"]);
    assert_eq!(twice.code, Some(2), "{twice}");
    assert!(twice.stderr.contains("is not killed"), "{twice}");
}

#[test]
fn the_fallback_answers_while_the_first_model_is_killed() {
    let app = TestApp::with_files("models:\n  support: {targets: [prov/test-model, prov/second]}", &[PRICES]);
    let body = json!({"model": "support", "messages": [{"role": "user", "content": "hi"}]});
    let model = || {
        let reply = app.chat(&[], &body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.header("x-gauntlet-model").expect("the answer names its model").to_owned()
    };
    assert_eq!(model(), "prov/test-model");
    app.command(&["kill", "model", "prov/test-model"]).expect_ok();
    assert_eq!(model(), "prov/second");
    assert_eq!(app.provider.last_request().json()["model"], "second");
    app.command(&["kill", "model", "test-model"]).expect_ok();
    app.command(&["kill", "model", "prov/test-model", "--undo"]).expect_ok();
    assert_eq!(model(), "prov/second", "a bare name means the model at any provider");
    app.command(&["kill", "model", "test-model", "--undo"]).expect_ok();
    assert_eq!(model(), "prov/test-model");
}
