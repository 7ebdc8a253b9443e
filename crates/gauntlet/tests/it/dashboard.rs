//! The Grafana dashboard holds what it promises: a real Prometheus looks at a busy gateway and answers every question of it.

use std::{thread, time::Duration};

use gauntlet_testkit::{PrometheusServer, Step};
use serde_json::{Value, json};

use crate::app::TestApp;

const PATIENCE: Duration = Duration::from_secs(60);

/// What a quiet gateway has nothing to say about: replicas and exporters that this one does not have, and refusals.
const MAY_BE_EMPTY: [&str; 6] = [
    "gauntlet_shared_store_up",
    "gauntlet_replicas",
    "gauntlet_export_",
    "gauntlet_errors_total",
    "gauntlet_cut_short_total",
    "gauntlet_cache_total",
];

#[test]
fn prometheus_answers_every_question_of_the_dashboard() {
    let app = TestApp::with_files(
        "models: {m: {targets: [prov/test-model]}}\nroutes: {bot: {model: m, input: {pii: redact}}}",
        &[("budgets.yml", "tenants: {default: {daily_usd: 5, daily_tokens: 100000}}\n")],
    );
    let port = app.url("").rsplit_once(':').unwrap().1.parse().unwrap();
    let Some(prometheus) = PrometheusServer::start(port) else { return };
    app.provider.default(Step::answer(&["one ", "two"]).usage(9, 2));
    let traffic = |calls: usize| {
        for _ in 0..calls {
            let body =
                json!({"model": "m", "messages": [{"role": "user", "content": "I am ann@example.com"}]});
            let headers = [("x-gauntlet-route", "bot")];
            assert_eq!(app.chat(&headers, &body).status, 200);
            let mut stream = app.stream(&headers, &body);
            while stream.next_frame().is_some() {}
        }
    };
    evaluate(&app);
    // A rate needs two looks with calls between them; a look that has the first calls must come before the rest.
    traffic(3);
    prometheus.wait_for("gauntlet_requests_total{route=\"bot\"}", PATIENCE);
    traffic(3);
    prometheus.wait_for("sum(rate(gauntlet_requests_total{route=\"bot\"}[1m])) > 0", PATIENCE);

    let dashboard = app.command_json(&["metrics", "dashboard"]);
    let panels = dashboard["panels"].as_array().unwrap();
    let mut asked = 0;
    for (panel, target) in panels.iter().flat_map(|panel| targets(panel).map(move |target| (panel, target))) {
        let typed = target["expr"].as_str().unwrap();
        let expr = typed.replace("$__rate_interval", "1m").replace("$route", ".*");
        let series =
            prometheus.query(&expr).unwrap_or_else(|why| panic!("{}: {expr}: {why}", panel["title"]));
        let may_be_empty = MAY_BE_EMPTY.iter().any(|name| typed.contains(name));
        assert!(may_be_empty || !series.is_empty(), "{} shows nothing: {expr}", panel["title"]);
        asked += 1;
    }
    assert!(asked >= 40, "only {asked} questions were asked");

    let full = prometheus.query("gauntlet_budget_used / gauntlet_budget_cap").unwrap();
    let used: Vec<(&Value, f64)> = full.iter().map(|one| (&one["metric"], value(one))).collect();
    assert!(
        used.iter()
            .any(|(labels, used)| labels["scope"] == "tenant_daily_tokens" && *used > 0.0 && *used < 1.0),
        "{used:?}"
    );
    // What Prometheus has counted is what the gateway has in its books.
    thread::sleep(Duration::from_millis(1500));
    let tokens = prometheus.query("sum(gauntlet_tokens_total)").unwrap();
    assert_eq!(value(&tokens[0]), 12.0 * 11.0);
}

/// A run and what a gate said of it, as a runner keeps them.
fn evaluate(app: &TestApp) {
    let run = json!({
        "id": "bot-1", "suite": "bot", "suite_hash": "", "dataset_hash": "", "app_sha": null, "route": null,
        "candidate": {"name": "m", "model": "m", "prompt": null}, "is_fast": false, "cases": 4, "repeats": 1,
        "state": "done", "why": null, "started": 5, "ended": null, "cost": 0, "judge_cost": 0, "judge_calls": 3,
        "judge_cached": 1, "passed": 3, "failed": 1, "errors": 0, "metrics": [{"metric": "exact",
            "implementation": "gauntlet/1:exact", "direction": "higher_is_better", "mean": 0.75, "ci_low": null,
            "ci_high": null, "scored": 4, "unscored": 0}],
    });
    let gate = json!({
        "id": "g", "suite": "bot", "run": "bot-1", "baseline": null, "app_sha": null, "prompt": null, "verdict": "pass",
        "summary": "as good", "report": {}, "at": 5,
    });
    for (path, body) in [("runs", run), ("gates", gate)] {
        let url = app.url(&format!("/api/v1/evals/{path}"));
        let reply = gauntlet_testkit::http::post_json(&url, &[], &body).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}

fn targets(panel: &Value) -> impl Iterator<Item = &Value> {
    panel["targets"].as_array().into_iter().flatten()
}

fn value(series: &Value) -> f64 {
    series["value"][1].as_str().unwrap().parse().unwrap()
}

#[test]
fn the_list_of_metrics_is_what_a_gateway_shows() {
    let app = TestApp::start("");
    app.chat(&[], &TestApp::body("hi"));
    app.last_trace();
    let list = app.command_json(&["metrics", "list"]);
    let metrics = list["metrics"].as_array().unwrap();
    let shown = gauntlet_testkit::http::get(&app.url("/metrics"), &[]).unwrap().text();
    for line in shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        assert!(metrics.iter().any(|one| one["name"] == name && one["kind"] == kind), "{line}");
    }
    let table = app.command(&["metrics", "list"]).expect_ok().stdout;
    assert!(table.contains("gauntlet_requests_total"), "{table}");
}
