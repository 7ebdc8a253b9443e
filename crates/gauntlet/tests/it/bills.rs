//! Bills: who spent what on which feature, calls priced anew, figures of the provider, a tenant that runs away, advice.

use std::fs;

use gauntlet_testkit::{Step, http};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::app::TestApp;

const ROUTES: &str = "routes:\n  support_bot: {}\n  search: {}";

fn call(app: &TestApp, tenant: &str, route: &str, user: &str, text: &str) {
    let headers = [("x-gauntlet-tenant", tenant), ("x-gauntlet-route", route), ("x-gauntlet-user", user)];
    let reply = app.chat(&headers, &TestApp::body(text));
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// Four calls of 1,000 tokens in and 500 out at 1 and 2 USD a million: 0.002 USD each.
fn app() -> TestApp {
    let app = TestApp::start(ROUTES);
    app.provider.default(Step::answer(&["hello"]).usage(1000, 500));
    call(&app, "acme", "support_bot", "ann", "one");
    call(&app, "acme", "support_bot", "bob", "two");
    call(&app, "acme", "search", "ann", "three");
    call(&app, "=1+1", "search", "eve", "four");
    app
}

fn today(app: &TestApp) -> String {
    app.api("/api/v1/spend?by=")["to"].as_str().expect("a day").to_owned()
}

#[test]
fn a_month_by_tenant_and_feature_is_on_the_bill() {
    let app = app();
    let month = today(&app)[..7].to_owned();
    let bill = app.command_json(&["spend", "--by", "tenant,route", "--month", &month]);
    let found: Vec<(&str, &str, u64, f64)> = bill["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap();
            (text("tenant"), text("route"), row["calls"].as_u64().unwrap(), row["cost_usd"].as_f64().unwrap())
        })
        .collect();
    let wanted =
        [("acme", "support_bot", 2, 0.004), ("=1+1", "search", 1, 0.002), ("acme", "search", 1, 0.002)];
    assert_eq!(found, wanted, "{bill:#}");
    assert_eq!((&bill["total"]["cost_usd"], &bill["total"]["tokens_in"]), (&json!(0.008), &json!(4000)));
    assert!(bill["from"].as_str().unwrap().ends_with("-01"));

    let csv = app.command(&["spend", "--by", "tenant,route", "--month", "this", "--csv"]).expect_ok().stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("tenant,route,calls,errors,"), "{csv}");
    assert!(lines[1].starts_with("acme,support_bot,2,0,") && lines[1].contains(",0.004,"), "{csv}");
    assert!(csv.contains("\"'=1+1\",search,1,"), "no cell is a formula: {csv}");
    let url = app.url(&format!("/api/v1/spend?by=tenant,feature&month={month}"));
    let reply = http::get(&url, &[("accept", "text/csv")]).unwrap();
    assert!(reply.header("content-type").unwrap().starts_with("text/csv"));
    assert!(reply.text().ends_with("\r\n"));
    let same = reply.text().lines().eq(csv.lines());
    assert!(same, "the API and the command say the same: {}", reply.text());

    let shown = app.command(&["spend", "--by", "tenant,route", "--last", "7d"]).expect_ok().stdout;
    for part in ["acme", "support_bot", "$0.0040", "total", "$0.0080"] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
    let full = app.command(&["spend", "--by", "model", "--full"]).expect_ok().stdout;
    for part in ["reasoning", "wasted", "cut short", "a call"] {
        assert!(full.contains(part), "no {part} in\n{full}");
    }
}

#[test]
fn users_and_filters_narrow_a_bill() {
    let app = app();
    let users = app.command_json(&["spend", "--by", "user", "--tenant", "acme"]);
    let of = |name: &str| {
        let rows = users["rows"].as_array().unwrap();
        rows.iter().find(|row| row["user"] == name).map(|row| row["calls"].clone())
    };
    assert_eq!((of("ann"), of("bob"), of("eve")), (Some(json!(2)), Some(json!(1)), None), "{users:#}");
    let route = app.command_json(&["spend", "--by", "tenant", "--route", "search", "--model", "test-model"]);
    assert_eq!(route["rows"].as_array().unwrap().len(), 2);
    let ended = app.command(&["spend", "--by", "user,route"]);
    assert_eq!(ended.code, Some(2), "{ended}");
    assert!(ended.stderr.contains("by day and tenant only"), "{ended}");
    for (path, part) in [
        ("/api/v1/spend?by=colour", "cannot add up by"),
        ("/api/v1/spend?month=2026-13", "is not a month"),
        ("/api/v1/spend?tennant=acme", "tennant"),
        ("/api/v1/spend?last=7d&month=this", "give one span"),
        ("/api/v1/overview?last=7d", "is not a span of minutes"),
        ("/api/v1/overview?lest=1h", "lest"),
    ] {
        let reply = http::get(&app.url(path), &[]).unwrap();
        assert!(reply.status == 400 && reply.text().contains(part), "{path}: {}", reply.text());
    }
}

#[test]
fn cut_answers_are_counted() {
    let app = TestApp::start(ROUTES);
    app.provider.default(Step::answer(&["half of an ans"]).finish("length"));
    call(&app, "acme", "support_bot", "ann", "hi");
    call(&app, "acme", "support_bot", "ann", "hi again");
    let bill = app.command_json(&["spend", "--by", "route"]);
    assert_eq!(bill["rows"][0]["cut_short"], 2, "{bill:#}");
    let overview = app.api("/api/v1/overview");
    assert_eq!(overview["today"]["by_model"][0]["cut_short"], 2, "{overview:#}");
    let hour = app.api("/api/v1/overview?last=1h")["last"].clone();
    assert_eq!((&hour["total"]["calls"], &hour["total"]["cut_short"]), (&json!(2), &json!(2)), "{hour:#}");
    let minutes: u64 =
        hour["series"].as_array().unwrap().iter().map(|row| row[1]["calls"].as_u64().unwrap()).sum();
    assert_eq!(minutes, 2, "{hour:#}");
    let metrics = http::get(&app.url("/metrics"), &[]).unwrap().text();
    let line = metrics.lines().find(|line| line.starts_with("gauntlet_cut_short_total{")).expect("a metric");
    assert!(line.contains("route=\"support_bot\"") && line.ends_with(" 2"), "{line}");
    assert!(app.command(&["spend"]).expect_ok().stdout.contains("cut short"));
}

#[test]
fn a_corrected_price_stands_beside_the_cost() {
    let app = app();
    let day = today(&app);
    let budgets = app.api("/api/v1/budgets");
    // The price was wrong by half.
    app.write("prices.yml", "test-model: {input: 2, output: 4}\n");
    let reload = http::post(&app.url("/api/v1/reload"), &[], b"").unwrap();
    assert_eq!(reload.status, 200, "{}", reload.text());
    let seen = app.command_json(&["reprice", "--from", &day]);
    assert_eq!((&seen["before_usd"], &seen["after_usd"]), (&json!(0.008), &json!(0.016)), "{seen:#}");
    let bill = || app.command_json(&["spend", "--by", "tenant"]);
    assert_eq!(bill()["total"]["corrected_usd"], 0.008, "looking changes nothing");

    let shown = app.command(&["reprice", "--from", &day, "--model", "test-model", "--apply"]).expect_ok();
    assert!(shown.stdout.contains("4 calls are corrected"), "{shown}");
    let corrected = bill();
    assert_eq!(corrected["total"]["cost_usd"], 0.008, "{corrected:#}");
    assert_eq!(corrected["total"]["corrected_usd"], 0.016);
    assert_eq!(app.api("/api/v1/budgets"), budgets, "budgets are not rewritten");
    assert!(app.command(&["spend"]).expect_ok().stdout.contains("corrected"));
    let users = app.command_json(&["spend", "--by", "user", "--tenant", "acme"]);
    assert_eq!(users["total"]["corrected_usd"], 0.012);

    let again = app.command_json(&["reprice", "--from", &day, "--apply"]);
    assert_eq!(again["applied"], 0, "a repeat changes nothing: {again:#}");
    app.write("prices.yml", "test-model: {input: 1, output: 4}\n");
    assert_eq!(http::post(&app.url("/api/v1/reload"), &[], b"").unwrap().status, 200);
    assert_eq!(app.command_json(&["reprice", "--from", &day, "--apply"])["applied"], 4);
    assert_eq!(bill()["total"]["corrected_usd"], 0.012, "the second replaces the first");
    let history = app.command_json(&["reprice", "--history"]);
    let passes: Vec<_> = history.as_array().unwrap().iter().map(|pass| pass["after_usd"].clone()).collect();
    assert_eq!(passes, [json!(0.012), json!(0.016)], "{history:#}");
    assert_ne!(history[0]["price_version"], history[1]["price_version"]);
}

#[test]
fn a_providers_figures_are_compared_with_ours() {
    let app = app();
    let day = today(&app);
    let write = |name: &str, text: &str| {
        let path = app.folder().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let usage = |input: u64| {
        let start: i64 = gauntlet_types::Day::parse(&day).unwrap().start().0 / 1_000_000;
        json!({"object": "page", "has_more": false, "data": [{
            "object": "bucket", "start_time": start, "end_time": start + 86_400,
            "results": [{"object": "organization.usage.completions.result", "input_tokens": input,
                "output_tokens": 2000, "input_cached_tokens": 0, "num_model_requests": 4,
                "model": "test-model-2026-01-01"}],
        }]})
        .to_string()
    };
    let good = app.command(&["reconcile", &write("good.json", &usage(4000)), "--provider", "prov"]);
    assert_eq!(good.code, Some(0), "{good}");
    assert!(good.stdout.contains("All figures agree within 0.5 %"), "{good}");
    assert!(app.api("/api/v1/events")["events"].as_array().unwrap().is_empty());

    let bad = write("bad.json", &usage(4100));
    let ended = app.command(&["reconcile", &bad, "--provider", "prov", "--from", "openai"]);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stdout.contains("-2.44 %") && ended.stdout.contains('!'), "{ended}");
    let loose = app.command(&["reconcile", &bad, "--provider", "prov", "--threshold", "5", "--json"]);
    assert_eq!((loose.code, &loose.json()["is_drift"]), (Some(0), &json!(false)));
    let events = app.command_json(&["events", "--kind", "reconcile_drift"]);
    assert_eq!(events.as_array().unwrap().len(), 1, "{events:#}");
    assert!(events[0]["message"].as_str().unwrap().contains("test-model"), "{events:#}");
    let kept = app.api("/api/v1/reconcile");
    let drifts: Vec<_> =
        kept["reconciliations"].as_array().unwrap().iter().map(|one| &one["is_drift"]).collect();
    assert_eq!(drifts, [false, true, false], "newest first: {kept:#}");

    let csv = format!("day,model,input_tokens,output_tokens,cost_usd\n{day},test-model,4000,2000,0.01\n");
    let csv = app.command(&["reconcile", &write("u.csv", &csv), "--provider", "prov", "--from", "csv"]);
    assert_eq!(csv.code, Some(0), "less than half a cent is rounding: {csv}");
    // A long export is taken whole.
    let name = "a-model-with-a-name-that-makes-the-file-longer-than-what-a-body-may-be-elsewhere";
    let rows: String = (0..24_000).map(|n| format!("{day},{name}-{n},1,1,0\n")).collect();
    assert!(rows.len() > 2 << 20);
    let long = write("long.csv", &format!("day,model,input_tokens,output_tokens,cost_usd\n{rows}"));
    let long = app.command(&["reconcile", &long, "--provider", "prov", "--json"]);
    assert_eq!(long.code, Some(1), "{}", long.stderr);
    for (text, args, part) in [
        ("{}", ["--provider", "prov"], "no `data`"),
        ("day,model,cost_usd\nx,y,1\n", ["--provider", "prov"], "line 2"),
        ("day,model,cost_usd\n2026-01-01,y,1\n", ["--provider", "nobody"], "no provider `nobody`"),
    ] {
        let ended = app.command(&["reconcile", &write("odd", text), args[0], args[1]]);
        assert!(ended.code == Some(2) && ended.stderr.contains(part), "{ended}");
    }
}

/// What tenants spent on the days before today.
fn history(app: &TestApp, rows: &[(&str, &str, i64, f64)]) {
    let connection = Connection::open(app.data_dir().join("gauntlet.db")).unwrap();
    for (tenant, route, days_ago, usd) in rows {
        let sql = "insert into rollup_day (day, tenant, route, model, provider, environment, team, prompt_name, \
             prompt_version, calls, errors, refused, cache_hits, tokens_in, tokens_cached, tokens_out, cost_nano) \
             values (date('now', ?1), ?2, ?3, 'm', 'prov', 'prod', '', '', '', 1, 0, 0, 0, 1, 0, 1, ?4)";
        let ago = format!("-{days_ago} days");
        connection.execute(sql, rusqlite::params![ago, tenant, route, (usd * 1e9) as i64]).unwrap();
    }
}

#[test]
fn a_tenant_far_above_its_usual_spend_is_told_once() {
    let mut app = TestApp::start(ROUTES);
    let _ = app.stop();
    let mut rows = Vec::new();
    for ago in 1..=28 {
        rows.push(("steady", "search", ago, 2.0));
        rows.push(("runaway", "search", ago, 1.0));
        rows.push(("runaway", "support_bot", ago, 1.0));
    }
    rows.extend([
        ("steady", "search", 0, 2.5),
        ("runaway", "search", 0, 1.0),
        ("runaway", "support_bot", 0, 7.5),
    ]);
    rows.extend([("new", "search", 1, 1.0), ("new", "search", 0, 500.0)]);
    history(&app, &rows);
    // Without a gateway, by hand; and then again by the gateway itself, which adds nothing.
    let events = app.command_json(&["events", "--check"]);
    let told: Vec<&Value> = events.as_array().unwrap().iter().collect();
    assert_eq!(told.len(), 1, "{events:#}");
    let event = told[0];
    assert_eq!((&event["kind"], &event["detail"]["tenant"]), (&json!("spend_baseline"), &json!("runaway")));
    assert_eq!((&event["detail"]["mean_usd"], &event["detail"]["cost_usd"]), (&json!(2.0), &json!(8.5)));
    assert_eq!(event["detail"]["routes"][0]["route"], "support_bot", "the feature that grew most: {event:#}");
    let message = event["message"].as_str().unwrap();
    assert!(message.contains("4.2 times") && message.contains("$8.50"), "{message}");
    app.restart();
    assert_eq!(http::post(&app.url("/api/v1/events/check"), &[], b"").unwrap().json()["new"], json!([]));
    assert_eq!(app.api("/api/v1/events?kind=spend_baseline")["events"].as_array().unwrap().len(), 1);
    assert!(app.command(&["events"]).expect_ok().stdout.contains("runaway"));
    let odd = http::get(&app.url("/api/v1/events?kind=odd"), &[]).unwrap();
    assert!(odd.status == 400 && odd.text().contains("spend_baseline"), "{}", odd.text());
}

#[test]
fn a_model_without_a_price_is_told_and_priced_later() {
    let app = TestApp::start("routes:\n  free_trial: {model: prov/brand-new, unpriced: allow}");
    app.provider.default(Step::answer(&["hello"]).usage(1000, 500));
    call(&app, "acme", "free_trial", "ann", "one");
    call(&app, "acme", "free_trial", "ann", "two");
    let events = app.command_json(&["events", "--check", "--kind", "price_missing"]);
    assert_eq!(events.as_array().unwrap().len(), 1, "{events:#}");
    assert!(events[0]["message"].as_str().unwrap().contains("prov/brand-new"), "{events:#}");
    app.write("prices.yml", "brand-new: {input: 1, output: 2}\n");
    assert_eq!(http::post(&app.url("/api/v1/reload"), &[], b"").unwrap().status, 200);
    let day = today(&app);
    assert_eq!(app.command_json(&["reprice", "--from", &day, "--apply"])["applied"], 2);
    let bill = app.command_json(&["spend", "--by", "model"]);
    assert_eq!((&bill["total"]["cost_usd"], &bill["total"]["corrected_usd"]), (&json!(0.0), &json!(0.004)));
}

#[test]
fn advice_names_what_it_rests_on() {
    let app = TestApp::with_files(
        ROUTES,
        &[("prices.yml", "test-model: {input: 1, output: 2}\ntest-model-mini: {input: 0.1, output: 0.2}\n")],
    );
    app.provider.default(Step::answer(&["hello"]).usage(1000, 50));
    for _ in 0..12 {
        call(&app, "acme", "support_bot", "ann", "what are your opening hours");
    }
    let report = app.command_json(&["advice", "--last", "7d"]);
    let kinds: Vec<&str> =
        report["advice"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["cache", "cheaper_model"], "{report:#}");
    assert_eq!((&report["calls"], &report["is_whole"]), (&json!(12), &json!(true)));
    let saved = report["advice"][0]["saved_usd_per_month"].as_f64().unwrap();
    // Eleven of twelve calls of 0.0011 USD, for thirty days.
    assert!((saved - 11.0 * 0.0011 * 30.0).abs() < 0.0011, "{report:#}");
    let shown = app.command(&["advice"]).expect_ok().stdout;
    for part in ["a month", "cache: 1h", "test-model-mini", "eval", "Looked at all 12 calls"] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
}

#[test]
fn the_documented_commands_run() {
    let app = app();
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spend.md")).unwrap();
    let day = today(&app);
    for name in ["usage.json", "usage.csv"] {
        let csv = format!("day,model,input_tokens,output_tokens\n{day},test-model,4000,2000\n");
        fs::write(app.folder().join(name), csv).unwrap();
    }
    let blocks = text.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut count = 0;
    for line in blocks.flat_map(str::lines) {
        // The provider of this test has another name.
        let line = line.replace("--provider openai", "--provider prov");
        let args: Vec<&str> = line.split_whitespace().skip(1).collect();
        let ended = app.command(&args);
        assert_eq!(ended.code, Some(0), "{line}: {ended}");
        count += 1;
    }
    assert!(count >= 12, "only {count} commands were found");
}
