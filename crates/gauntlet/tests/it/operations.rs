//! A day of whoever runs the gateway: check and reload a configuration, look at calls and money, stop and start.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use gauntlet_testkit::{
    Step, free_port,
    http::{self, Reply},
};
use serde_json::{Value, json};

use crate::app::TestApp;

const TOKEN: &str = "the-operators-token-0123456789";

fn reload(app: &TestApp) -> Reply {
    http::post(&app.url("/api/v1/reload"), &[], b"").expect("the gateway answers")
}

fn by_route(app: &TestApp, route: &str) -> u16 {
    app.chat(&[("x-gauntlet-route", route)], &TestApp::body("hi")).status
}

#[test]
fn check_names_file_line_column_and_cure_of_every_mistake_at_once() {
    let app = TestApp::start("");
    app.write("../bad/gauntlet.yml", "providers:\n  prov: {dialect: opnai, url: \"http://127.0.0.1:1/v1\"}\nroutes:\n  support_bot: {modle: support, cache: soon}\n");
    app.write("../bad/budgets.yml", "tenants:\n  acme:\n    daily_usd: lots\n");
    app.write("../bad/prompts/greet.yaml", "name: greet\ntemplate: hello\n");
    let bad = app.config_dir().join("../bad").display().to_string();
    let checked = app.command(&["check", &bad]);
    assert_eq!(checked.code, Some(1), "{checked}");
    let found = app.command(&["check", &bad, "--json"]);
    assert_eq!(found.code, Some(1), "{found}");
    let found = found.json();
    assert_eq!(found["ok"], false);
    for (file, line, column, says) in [
        ("gauntlet.yml", 2, 19, "opnai"),
        ("gauntlet.yml", 4, 17, "modle"),
        ("gauntlet.yml", 4, 40, "soon"),
        ("budgets.yml", 3, 16, "lots"),
        ("prompts/greet.yaml", 2, 1, "version"),
    ] {
        let mistakes = found["mistakes"].as_array().unwrap();
        let mistake = mistakes.iter().find(|mistake| {
            mistake["file"] == file
                && mistake["message"].as_str().is_some_and(|message| message.contains(says))
        });
        let mistake = mistake.unwrap_or_else(|| panic!("nothing of {says} in {file}: {found:#}"));
        assert_eq!((&mistake["line"], &mistake["column"]), (&line.into(), &column.into()), "{mistake}");
        assert!(!mistake["cure"].as_str().unwrap().is_empty(), "{mistake}");
        assert!(checked.stdout.contains(file) && checked.stdout.contains(says), "{checked}");
    }
    let good = app.command(&["check", &app.config_dir().display().to_string()]).expect_ok();
    assert!(good.stdout.contains("is good"), "{good}");
    let nothing = app.command(&["check", "/nonexistent"]);
    assert_eq!(nothing.code, Some(2), "{nothing}");
}

#[test]
fn a_new_configuration_is_taken_whole_or_not_at_all_and_no_call_is_dropped() {
    let app = TestApp::start("routes:\n  first: {}");
    let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let reply = app.chat(&[], &TestApp::body("hi"));
                assert_eq!(reply.status, 200, "{}", reply.text());
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        // By its files.
        assert_eq!(by_route(&app, "second"), 404);
        app.reconfigure("routes:\n  first: {}\n  second: {}");
        let waited = Duration::from_secs(5);
        assert!(app.gateway().wait_for_stderr("in force (its files changed)", waited).is_some());
        assert_eq!(by_route(&app, "second"), 200);
        // A bad one is refused, and the one in force stays.
        app.reconfigure("routes:\n  third: {cache: soon}");
        assert!(app.gateway().wait_for_stderr("is refused, the one in force stays", waited).is_some());
        assert!(app.gateway().wait_for_stderr("gauntlet.yml:", waited).is_some());
        let refused = reload(&app);
        assert!(refused.status >= 400 && refused.text().contains("cache: soon"), "{}", refused.text());
        assert_eq!((by_route(&app, "second"), by_route(&app, "third")), (200, 404));
        // By the API: at once.
        app.reconfigure("routes:\n  third: {}");
        assert_eq!(reload(&app).status, 200);
        assert_eq!((by_route(&app, "second"), by_route(&app, "third")), (404, 200));
        // By a signal, before the watcher has waited for the change to settle.
        app.reconfigure("routes:\n  fourth: {}");
        app.gateway().signal("HUP");
        assert!(app.gateway().wait_for_stderr("in force (SIGHUP)", waited).is_some());
        assert_eq!(by_route(&app, "fourth"), 200);
        stop.store(true, Ordering::Relaxed);
    });
    assert!(calls.load(Ordering::Relaxed) > 10, "calls went on meanwhile");
}

#[test]
fn doctor_says_what_is_well_and_what_is_not() {
    let app = TestApp::start("models:\n  support: {targets: [prov/test-model]}");
    let well = app.command(&["doctor"]).expect_ok();
    for part in ["gateway", "configuration", "data folder", "provider prov"] {
        assert!(well.stdout.contains(part), "{well}");
    }
    app.write("gauntlet.yml", &format!("providers:\n  gone: {{dialect: openai, url: \"http://127.0.0.1:{}/v1\"}}\nmodels:\n  support: {{targets: [gone/mystery]}}\n", free_port()));
    let ill = app.command(&["doctor", "--json"]);
    assert_eq!(ill.code, Some(1), "{ill}");
    let findings = ill.json()["findings"].as_array().unwrap().clone();
    let bad: Vec<&str> =
        findings.iter().filter(|one| one["ok"] == false).map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(bad, ["provider gone", "price"], "{ill}");
}

fn ids(value: &Value) -> Vec<String> {
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn calls_and_money_are_shown_the_same_with_and_without_a_gateway() {
    let mut app = TestApp::with_files(
        "routes:\n  support_bot: {}",
        &[("budgets.yml", "tenants:\n  acme:\n    daily_usd: 5\n")],
    );
    let headers = [("x-gauntlet-tenant", "acme"), ("x-gauntlet-route", "support_bot")];
    for text in ["first", "second", "\u{1b}[31mthird\u{202e}"] {
        assert_eq!(app.chat(&headers, &TestApp::body(text)).status, 200);
    }
    app.provider.script([Step::status(400)]);
    assert_eq!(app.chat(&headers, &TestApp::body("fourth")).status, 400);
    app.balance();
    let look = |app: &TestApp| {
        let list = app.command_json(&["trace", "list"]);
        let newest = &ids(&list)[0];
        let mut spend = app.command_json(&["spend", "--by", "tenant,route"]);
        spend["rows"][0]["keys"].take();
        let budget = app.command_json(&["budget"])["lines"].clone();
        (list.clone(), app.command_json(&["trace", "show", newest]), spend, budget)
    };
    let running = look(&app);
    let all = ids(&running.0);
    assert_eq!(all.len(), 4);
    // 3 calls of 9 tokens in and 12 out.
    assert_eq!(running.2["rows"][0]["cost"], 3 * (9_000 + 24_000), "{:#}", running.2);
    assert_eq!(running.3[0]["spent_usd"], 0.000099);

    // At every width the id stands whole on one line, and nothing is wider than the terminal.
    for width in [80_usize, 100, 120, 160, 200] {
        let shown =
            app.launch(&["trace", "list"]).env("COLUMNS", &width.to_string()).run().expect_ok().stdout;
        // As the answers' header says them.
        let mut headers = all.iter();
        assert!(headers.all(|id| shown.lines().any(|line| line.contains(id.as_str()))), "{width}:\n{shown}");
        let widest = shown.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width, "{widest} > {width}:\n{shown}");
        assert_eq!(shown.lines().count(), 5, "{width}: a row is a line:\n{shown}");
        assert!(shown.contains("upstream_refused") && !shown.contains('\u{1b}'), "{shown}");
        for args in [
            &["spend"][..],
            &["budget"],
            &["key", "list"],
            &["doctor"],
            &["prompt", "list"],
            &["kill", "--list"],
        ] {
            let shown = app.launch(args).env("COLUMNS", &width.to_string()).run().expect_ok().stdout;
            let widest = shown.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(widest <= width.max(110), "{args:?} at {width}:\n{shown}");
        }
    }
    let shown = app.command(&["trace", "show", &all[3]]).expect_ok().stdout;
    for part in ["acme", "support_bot", "prov/test-model", "first", "attempt", "$0.000033"] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
    assert!(app.command(&["spend"]).expect_ok().stdout.contains("total $0.000099"));
    assert!(app.command(&["budget"]).expect_ok().stdout.contains("$5.00"));
    let filtered = app.command_json(&["trace", "list", "--error", "upstream_refused"]);
    assert_eq!(ids(&filtered), all[..1]);
    let tail = app.command(&["trace", "tail", "-n", "2"]).expect_ok().stdout;
    assert_eq!(tail.lines().count(), 2, "{tail}");
    for wrong in ["r_nonsense", "r_00000000000000000000000000000000"] {
        assert_eq!(app.command(&["trace", "show", wrong]).code, Some(2));
    }
    assert_eq!(app.command(&["trace", "list", "--outcome", "splendid"]).code, Some(2), "a misspelt filter");

    app.stop().expect_ok();
    assert_eq!(look(&app), running, "the same without a gateway");
    let follow = app.command(&["trace", "tail", "-f"]);
    assert_eq!(follow.code, Some(2), "{follow}");
    assert!(follow.stderr.contains("gauntlet up"), "{follow}");
    app.restart();
    assert_eq!(look(&app), running, "and after a restart");
}

#[test]
fn trace_tail_follows_calls_as_they_end() {
    let app = TestApp::start("routes:\n  watched: {}");
    let mut tail = Command::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(["trace", "tail", "-f", "-n", "1", "--route", "watched", "--data"])
        .arg(app.data_dir())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let out = tail.stdout.take().expect("piped");
    let (tx, lines) = std::sync::mpsc::channel();
    thread::spawn(move || {
        BufReader::new(out).lines().map_while(Result::ok).for_each(|line| drop(tx.send(line)))
    });
    // Nothing says when the follower is there, so calls are made until one is seen.
    let mut seen = None;
    for _ in 0..50 {
        assert_eq!((by_route(&app, "watched"), by_route(&app, "default")), (200, 200));
        seen = lines.recv_timeout(Duration::from_millis(100)).ok();
        if seen.is_some() {
            break;
        }
    }
    let seen = seen.expect("a call was shown");
    assert!(seen.contains("watched") && seen.contains("ok"), "{seen}");
    let more: Vec<String> =
        std::iter::from_fn(|| lines.recv_timeout(Duration::from_millis(200)).ok()).collect();
    assert!(more.iter().all(|line| line.contains("watched")), "the filter holds: {more:#?}");
    tail.kill().expect("it is a child of ours");
    tail.wait().expect("it ends");
}

#[test]
fn a_second_gateway_on_the_same_data_is_refused() {
    let app = TestApp::start("");
    let ended = app.launch(&["up"]).try_serve().err().expect("it does not start");
    assert_eq!(ended.code, Some(2), "{ended}");
    for part in ["another gateway uses the data folder", app.gateway().base_url(), "--data"] {
        assert!(ended.stderr.contains(part), "{ended}");
    }
    assert_eq!(app.chat(&[], &TestApp::body("hi")).status, 200, "the first goes on");
}

#[test]
fn monitors_find_metrics_and_health() {
    let app = TestApp::start("routes:\n  \"odd\\\"name\": {}");
    assert_eq!(app.chat(&[("x-gauntlet-route", "odd\"name")], &TestApp::body("hi")).status, 200);
    for (path, says) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let reply = http::get(&app.url(path), &[]).unwrap();
        assert_eq!((reply.status, reply.text().trim()), (200, says));
    }
    let reply = http::get(&app.url("/metrics"), &[]).unwrap();
    assert!(reply.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let text = reply.text();
    let mut names = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'), "{line}");
        assert_eq!(series.contains('{'), series.ends_with('}'), "{line}");
        names.push(name.to_owned());
    }
    for name in [
        "gauntlet_requests_total",
        "gauntlet_cost_usd_total",
        "gauntlet_holds_open",
        "gen_ai_client_token_usage_sum",
        "gen_ai_client_operation_duration_seconds_count",
    ] {
        assert!(names.iter().any(|known| known == name), "no {name} in\n{text}");
    }
    let requests = text.lines().find(|line| line.starts_with("gauntlet_requests_total{")).unwrap();
    assert!(requests.contains("route=\"odd\\\"name\"") && requests.ends_with(" 1"), "{requests}");
}

#[test]
fn a_graceful_stop_finishes_a_running_stream() {
    let mut app = TestApp::start("");
    let pieces = ["a", "b", "c", "d", "e", "f", "g", "h"];
    app.provider.script([Step::stream(&pieces).delay_between(Duration::from_millis(60))]);
    let mut stream = app.stream(&[], &TestApp::body("hi"));
    let id = stream.header("x-gauntlet-request-id").unwrap().to_owned();
    assert!(stream.next_frame().is_some());
    app.gateway().signal("TERM");
    let rest = stream.collect();
    assert!(rest.is_whole && rest.has_done(), "{:?}", rest.frames.last());
    let ended = app.stop().expect_ok();
    assert!(!ended.stderr.contains("cut off"), "{ended}");
    let call = app.command_json(&["trace", "show", &id]);
    assert_eq!(call["record"]["outcome"], "ok", "{call:#}");
    assert_eq!(call["output"]["choices"][0]["message"]["content"], pieces.concat());
    app.restart();
    assert!(!app.gateway().stdout().join("\n").contains("interrupted"), "nothing was left to recover");
}

#[test]
fn the_log_line_has_the_founding_documents_names() {
    let prompt = "name: rag-answer\nversion: 3.2.0\nrequired_vars: [q]\ntemplate: $q\n";
    let app = TestApp::with_files("log: {json: calls.jsonl}", &[("prompts/rag.yaml", prompt)]);
    app.provider.script([Step::answer(&["hello"]).usage(100, 20).cached(80)]);
    let reply = app.chat(
        &[("x-gauntlet-tenant", "acme-corp"), ("x-gauntlet-prompt", "rag-answer@3.2.0")],
        &json!({"model": "prov/test-model", "gauntlet": {"variables": {"q": "secret words"}}}),
    );
    assert_eq!(reply.status, 200, "{}", reply.text());
    let path = app.config_dir().parent().unwrap().join("calls.jsonl");
    let mut text = String::new();
    for _ in 0..100 {
        text = fs::read_to_string(&path).unwrap_or_default();
        if text.ends_with('\n') {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let line: Value = serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: {text}"));
    let latency = line["latency_ms_total"].clone();
    assert!(latency.as_f64().unwrap() > 0.0 && line["ts"].as_str().unwrap().ends_with('Z'), "{line}");
    for (name, expected) in [
        ("request_id", json!(reply.header("x-gauntlet-request-id"))),
        ("tenant_id", json!("acme-corp")),
        ("model", json!("test-model")),
        ("prompt_name", json!("rag-answer")),
        ("prompt_version", json!("3.2.0")),
        ("input_tokens", json!(100)),
        ("cached_tokens", json!(80)),
        ("output_tokens", json!(20)),
        ("cost_usd", json!(0.00014)),
        ("guardrail_decision", json!("allow")),
        ("judge_score", Value::Null),
    ] {
        assert_eq!(line.get(name), Some(&expected), "{name} in {line}");
    }
    assert!(!text.contains("secret words"), "no text of a call in the log");
}

const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>";

#[test]
fn the_console_shows_calls_and_escapes_what_they_say() {
    let app = TestApp::start("routes:\n  support_bot: {}");
    app.provider.default(Step::answer(&[HOSTILE]));
    let headers = [("x-gauntlet-route", "support_bot"), ("x-gauntlet-user", "<b>ann</b>")];
    let reply = app.chat(&headers, &TestApp::body(HOSTILE));
    let id = reply.header("x-gauntlet-request-id").unwrap().to_owned();
    for path in [
        "/",
        "/traces",
        "/traces?user=%3Cscript%3E",
        &format!("/traces/{id}"),
        "/traces/r_%3Cscript%3E",
        "/login?next=%22%3E%3Cscript%3E",
    ] {
        let page = http::get(&app.url(path), &[]).unwrap();
        assert_eq!(page.status, if path.contains("r_%3C") { 400 } else { 200 }, "{path}: {}", page.text());
        let policy = page.header("content-security-policy").expect("a content policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        let text = page.text();
        for hostile in ["<script>alert", "<img src=x", "<b>ann", "<script>\""] {
            assert!(!text.contains(hostile), "{path}: {hostile} is not escaped");
        }
        assert!(text.contains("<title>"), "{path}");
    }
    let page = http::get(&app.url(&format!("/traces/{id}")), &[]).unwrap().text();
    for part in ["&lt;script&gt;alert(1)", "support_bot", "prov/test-model", id.as_str()] {
        assert!(page.contains(part), "no {part} in the trace's page");
    }
    assert!(http::get(&app.url("/"), &[]).unwrap().text().contains("support_bot"));
    assert!(http::get(&app.url("/traces"), &[]).unwrap().text().contains(&id));
}

#[test]
fn a_name_pointed_at_this_machine_is_not_served() {
    let app = TestApp::start("");
    let address = app.gateway().base_url().trim_start_matches("http://").to_owned();
    for (path, host, status) in [
        ("/", "evil.example", "403"),
        ("/api/v1/traces", "evil.example:8787", "403"),
        ("/metrics", "127.0.0.1.evil.example", "403"),
        ("/", "localhost", "200"),
        ("/", address.as_str(), "200"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = http::send_raw(&address, request.as_bytes()).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} as {host}: {answer}");
    }
    let elsewhere =
        http::post(&app.url("/api/v1/reload"), &[("origin", "https://evil.example")], b"").unwrap();
    assert_eq!(elsewhere.status, 403, "{}", elsewhere.text());
}

#[test]
fn beyond_loopback_management_asks_for_a_login_and_calls_for_a_key() {
    let mut app = TestApp::start("");
    app.stop().expect_ok();
    let listen = format!("0.0.0.0:{}", free_port());
    let gateway = app.launch(&["up", "--listen", &listen]).env("GAUNTLET_ADMIN_TOKEN", TOKEN).serve();
    let get = |path: &str, headers: &[(&str, &str)]| http::get(&gateway.url(path), headers).unwrap();
    let to_login = get("/traces?route=a", &[]);
    assert_eq!(
        (to_login.status, to_login.header("location")),
        (303, Some("/login?next=/traces%3Froute%3Da"))
    );
    for path in ["/api/v1/traces", "/api/v1/keys", "/metrics"] {
        let reply = get(path, &[]);
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (401, &"unauthorized".into()), "{path}");
        assert_eq!(get(path, &[("authorization", "Bearer wrong")]).status, 401);
        assert_eq!(get(path, &[("authorization", &format!("Bearer {TOKEN}"))]).status, 200, "{path}");
    }
    assert_eq!(
        (get("/healthz", &[]).status, get("/readyz", &[]).status, get("/login", &[]).status),
        (200, 200, 200)
    );

    let form = [("content-type", "application/x-www-form-urlencoded")];
    let sign_in = |body: &str| http::post(&gateway.url("/login"), &form, body.as_bytes()).unwrap();
    assert_eq!(sign_in("token=wrong&next=/").status, 401);
    let signed_in = sign_in(&format!("token={TOKEN}&next=//evil.example/"));
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/")), "it stays on this server");
    let signed_in = sign_in(&format!("token={TOKEN}&next=/traces"));
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/traces")));
    let set = signed_in.header("set-cookie").expect("a cookie").to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains(TOKEN), "{set}");
    let cookie = set.split(';').next().unwrap();
    assert_eq!(get("/", &[("cookie", cookie)]).status, 200);
    assert_eq!(get("/api/v1/keys", &[("cookie", cookie)]).status, 200);
    let post = |path: &str, origin: &str| {
        http::post(&gateway.url(path), &[("cookie", cookie), ("origin", origin)], b"").unwrap().status
    };
    assert_eq!(post("/api/v1/reload", "https://evil.example"), 403, "not from another site");
    assert_eq!(post("/api/v1/reload", gateway.base_url()), 200);
    assert_eq!(post("/logout", gateway.base_url()), 303);
    assert_eq!(get("/", &[("cookie", cookie)]).status, 303, "signed out");

    let chat = |headers: &[(&str, &str)]| {
        http::post_json(&gateway.url("/v1/chat/completions"), headers, &TestApp::body("hi")).unwrap().status
    };
    assert_eq!(chat(&[]), 401, "no key, no call");
    let made = app.command(&["key", "create", "app"]).expect_ok().stdout;
    let bearer = format!("Bearer {}", made.lines().next().unwrap());
    assert_eq!(chat(&[("authorization", &bearer)]), 200);
    assert_eq!(
        get("/api/v1/keys", &[("authorization", &bearer)]).status,
        401,
        "a caller's key does not manage"
    );
    gateway.stop().expect_ok();
}
