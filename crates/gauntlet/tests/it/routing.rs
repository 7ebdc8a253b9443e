//! Where calls go: rules and tasks name the model, strategies choose among its targets, health keeps calls away from the
//! sick, and `route explain` says why.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_testkit::{Provider, Seen, Step, http};
use serde_json::{Value, json};

use crate::app::TestApp;

/// A gateway with the scripted providers `prov` and `two`, `prov` in region eu and `two` in us.
struct Both {
    app: TestApp,
    two: Provider,
}

fn both(config: &str, more_of_two: &str) -> Both {
    let two = Provider::start();
    two.default(Step::answer(&["from two"]));
    let provider =
        format!("  two: {{dialect: openai, url: \"{}\", key: k, region: us-east{more_of_two}}}\n", two.url());
    let prices =
        ("prices.yml", "a: {input: 1, output: 2}\nb: {input: 1, output: 2}\ndear: {input: 9, output: 9}\n");
    let app = TestApp::with_files(&format!("{provider}{config}"), &[prices]);
    app.provider.default(Step::answer(&["from prov"]));
    Both { app, two }
}

fn body(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}

/// Asks, and says which target answered.
fn answered_by(app: &TestApp, headers: &[(&str, &str)], body: &Value) -> String {
    let reply = app.chat(headers, body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-gauntlet-model").unwrap().to_owned()
}

fn shares(app: &TestApp, count: usize, model: &str) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        *shares.entry(answered_by(app, &[], &body(model))).or_default() += 1;
    }
    shares
}

fn explained(app: &TestApp, rest: &[&str]) -> Value {
    app.command_json(&[&["route", "explain"], rest].concat())
}

#[test]
fn the_first_rule_that_fits_names_the_model_and_the_record_says_so() {
    let Both { app, two: _two } = both(
        "models: {small: [prov/a], large: [two/b]}\ntasks: {classification: small, drafting: large}\nroutes:\n  \
         bot:\n    model: small\n    rules:\n    - {if: {tokens_over: 200}, model: large}\n    \
         - {if: {tags: [vip], stream: false}, model: large}\n    - {if: {tools: true}, model: large}\n    \
         - {if: {task: drafting, tenant: acme}, model: large}\n  work: {task: classification}\n",
        "",
    );
    let bot = ("x-gauntlet-route", "bot");
    let check = |headers: &[(&str, &str)], body: &Value, expected: &str, routing: Value| {
        let reply = app.chat(headers, body);
        assert_eq!(reply.header("x-gauntlet-model"), Some(expected), "{}", reply.text());
        assert_eq!(app.trace_of(&reply)["record"]["routing"], routing);
    };
    check(&[bot], &body("any"), "prov/a", Value::Null);
    let long = json!({"model": "any", "messages": [{"role": "user", "content": "word ".repeat(400)}]});
    check(&[bot], &long, "two/b", json!("rule 1"));
    // Many bytes and few tokens.
    let wide = json!({"model": "any", "messages": [{"role": "user", "content": " ".repeat(400)}]});
    check(&[bot], &wide, "prov/a", Value::Null);
    check(&[bot, ("x-gauntlet-tags", "x, vip")], &body("any"), "two/b", json!("rule 2"));
    let mut tools = body("any");
    tools["tools"] =
        json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    check(&[bot], &tools, "two/b", json!("rule 3"));
    let drafting = ("x-gauntlet-task", "drafting");
    check(&[bot, drafting, ("x-gauntlet-tenant", "acme")], &body("any"), "two/b", json!("rule 4"));
    check(&[bot, drafting], &body("any"), "prov/a", Value::Null);
    check(&[("x-gauntlet-route", "work")], &body("any"), "prov/a", json!("task classification"));
    check(&[drafting], &body("any"), "two/b", json!("task drafting"));
    let reply = app.chat(&[("x-gauntlet-task", "draftin")], &body("any"));
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("x-gauntlet-task")));
    assert!(reply.text().contains("did you mean `drafting`?"), "{}", reply.text());
    let shown = app.command(&["route", "explain", "bot", "--tokens", "300"]).expect_ok().stdout;
    assert!(shown.contains("Model large: rule 1 of route bot"), "{shown}");
}

#[test]
fn weights_share_the_calls_and_a_weight_of_nought_only_helps_out() {
    let Both { app, two } = both(
        "models: {m: {targets: [{target: prov/a, weight: 3}, two/b, {target: prov/b, weight: 0}], strategy: weighted}}\n\
         default: {retry: off}\n",
        "",
    );
    let shares = shares(&app, 60, "m");
    // Of 60, fewer than 30 or more than 57 at weight 3 of 4 come once in a hundred thousand times.
    assert!((30..58).contains(&shares["prov/a"]) && shares.len() == 2, "{shares:?}");
    let fails = |seen: &Seen| seen.json()["model"] == "a";
    app.provider.respond(move |seen| if fails(seen) { Step::status(404) } else { Step::answer(&["b"]) });
    two.default(Step::status(404));
    assert_eq!(answered_by(&app, &[], &body("m")), "prov/b");
}

#[test]
fn calls_leave_a_slow_target() {
    let Both { app, two } = both("models: {m: {targets: [prov/a, two/b], strategy: latency}}\n", "");
    two.default(Step::answer(&["slow"]).delay(Duration::from_millis(150)));
    let shares = shares(&app, 20, "m");
    assert!(shares["two/b"] <= 2 && shares["prov/a"] >= 18, "{shares:?}");
    let record = app.last_trace()["record"].clone();
    let routing = record["routing"].as_str().unwrap();
    assert!(routing.starts_with("latency, ") && routing.ends_with(" ms (of 2)"), "{routing}");
    let explained = explained(&app, &["m"]);
    assert_eq!(explained["targets"][0]["target"], "prov/a", "{explained:#}");
    assert!(explained["targets"][1]["latency_ms"].as_f64().unwrap() > 50.0, "{explained:#}");
}

#[test]
fn calls_go_where_fewer_are_under_way() {
    let Both { app, two } = both("models: {m: {targets: [prov/a, two/b], strategy: least_busy}}\n", "");
    for provider in [&app.provider, &two] {
        provider.respond(|seen| match seen.json()["stream"] == true {
            true => Step::endless("x", Duration::from_millis(20)),
            false => Step::answer(&["done"]),
        });
    }
    let mut running = app.stream(&[], &body("m"));
    assert!(running.next_frame().is_some());
    let busy = running.header("x-gauntlet-model").unwrap().to_owned();
    for _ in 0..6 {
        assert_ne!(answered_by(&app, &[], &body("m")), busy);
    }
    let line = app.command_json(&["route", "targets"]);
    let line = line.as_array().unwrap().iter().find(|line| line["target"] == *busy).unwrap();
    assert_eq!(line["in_flight"], 1);
    drop(running);
}

#[test]
fn the_cheapest_that_has_room_is_asked() {
    let Both { app, two: _two } = both(
        "models: {m: {targets: [two/dear, {target: prov/a, max_context: 300}], strategy: cheapest}}\n",
        "",
    );
    assert_eq!(answered_by(&app, &[], &body("m")), "prov/a");
    let long = json!({"model": "m", "messages": [{"role": "user", "content": "word ".repeat(400)}]});
    assert_eq!(answered_by(&app, &[], &long), "two/dear");
    assert_eq!(app.last_trace()["record"]["routing"], "too small: prov/a");
    let asks_much = json!({"model": "m", "max_tokens": 299, "messages": [{"role": "user", "content": "word ".repeat(20)}]});
    assert_eq!(answered_by(&app, &[], &asks_much), "two/dear", "the answer needs room too");
}

#[test]
fn a_conversation_stays_with_its_target_and_conversations_spread() {
    let Both { app, two: _two } = both(
        "models: {m: {targets: [prov/a, two/b], strategy: weighted, sticky: prefix}, \
         s: {targets: [prov/a, two/b], strategy: latency, sticky: session}}\n",
        "",
    );
    let conversation = |number: usize, turns: usize| {
        let mut messages =
            vec![json!({"role": "system", "content": format!("Rules {number}. {}", "x".repeat(1200))})];
        messages.extend((0..turns).map(|turn| json!({"role": "user", "content": format!("turn {turn}")})));
        json!({"model": "m", "messages": messages})
    };
    let mut homes = BTreeMap::new();
    for number in 0..16 {
        let home = answered_by(&app, &[], &conversation(number, 1));
        assert_eq!(answered_by(&app, &[], &conversation(number, 2)), home);
        assert_eq!(answered_by(&app, &[], &conversation(number, 5)), home);
        *homes.entry(home).or_insert(0) += 1;
    }
    // All sixteen in one place come once in thirty thousand times, and these are always the same sixteen.
    assert_eq!(homes.len(), 2, "{homes:?}");
    let home = answered_by(&app, &[("x-gauntlet-session", "s-1")], &body("s"));
    for _ in 0..5 {
        assert_eq!(answered_by(&app, &[("x-gauntlet-session", "s-1")], &body("s")), home);
    }
}

#[test]
fn calls_stay_in_the_regions_they_are_bound_to() {
    let Both { app, two } = both(
        "models: {m: [two/b, {target: prov/a, region: eu-west-1}], far: two/b}\ntenants: {acme: {residency: eu}}\n\
         routes: {local: {model: m, residency: us}}\n",
        "",
    );
    let acme = ("x-gauntlet-tenant", "acme");
    assert_eq!(answered_by(&app, &[], &body("m")), "two/b");
    two.take_requests();
    assert_eq!(answered_by(&app, &[acme], &body("m")), "prov/a");
    let routing = app.last_trace()["record"]["routing"].clone();
    assert_eq!(routing, "left out: two/b (in us-east, and tenant `acme` is bound to eu)");
    app.provider.default(Step::status(503));
    assert_eq!(app.chat(&[acme], &body("m")).status, 502);
    for (headers, model) in
        [(&[acme][..], "far"), (&[acme, ("x-gauntlet-route", "local")], "m"), (&[acme], "prov/a")]
    {
        let reply = app.chat(headers, &body(model));
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (403, &json!("forbidden")), "{model}");
        assert!(reply.text().contains("must stay"), "{}", reply.text());
    }
    assert!(two.requests().is_empty(), "no call of acme's left for another region");
}

#[test]
fn a_refused_key_rests_its_provider_until_it_answers_again() {
    let Both { app, two } =
        both("models: {m: [prov/a, prov/b, two/b]}\ndefault: {retry: {attempts: 2, base: 5ms}}\n", "");
    app.provider.default(Step::status(401));
    assert_eq!(answered_by(&app, &[], &body("m")), "two/b");
    assert_eq!(app.provider.take_requests().len(), 1, "the key is the same for the second model");
    assert_eq!(answered_by(&app, &[], &body("m")), "two/b");
    assert!(app.provider.take_requests().is_empty());
    let routing = app.last_trace()["record"]["routing"].clone();
    assert_eq!(routing, "first of 3; left alone: prov/a (key refused), prov/b (key refused)");
    let explained = explained(&app, &["m"]);
    let shown: Vec<(&str, &Value)> = explained["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| (target["target"].as_str().unwrap(), &target["left_alone"]))
        .collect();
    let refused = &json!("key refused");
    assert_eq!(shown, [("two/b", &Value::Null), ("prov/a", refused), ("prov/b", refused)]);
    let metrics = http::get(&app.url("/metrics"), &[]).unwrap().text();
    let left = metrics
        .lines()
        .find_map(|line| {
            line.strip_prefix("gauntlet_target_left_alone_seconds{provider=\"prov\",model=\"a\"} ")
        })
        .unwrap_or_else(|| panic!("{metrics}"));
    assert!((1.0..=60.0).contains(&left.parse::<f64>().unwrap()), "{left}");
    app.chat(&[], &body("prov/made-up"));
    let metrics = http::get(&app.url("/metrics"), &[]).unwrap().text();
    let labelled: Vec<&str> = metrics.lines().filter(|line| line.contains("made-up")).collect();
    let of_targets =
        |line: &&&str| line.starts_with("gauntlet_target_") || line.starts_with("gauntlet_breaker_");
    assert_eq!(labelled.iter().find(of_targets), None, "{labelled:#?}");
    // The key may be another one after a reload.
    app.provider.take_requests();
    http::post(&app.url("/api/v1/reload"), &[], b"").unwrap();
    assert_eq!(answered_by(&app, &[], &body("m")), "two/b");
    assert_eq!(app.provider.take_requests().len(), 1);
    // Nobody else to ask: the key is tried all the same, and is good again.
    app.provider.default(Step::answer(&["back"]));
    two.default(Step::status(500));
    assert_eq!(answered_by(&app, &[], &body("m")), "prov/a");
    assert_eq!(answered_by(&app, &[], &body("m")), "prov/a");
}

#[test]
fn a_target_that_asks_for_a_pause_gets_it_and_the_next_one_the_calls() {
    let Both { app, two: _two } =
        both("models: {m: [prov/a, two/b]}\ndefault: {retry: {attempts: 3, base: 5ms, max: 8s}}\n", "");
    app.provider.default(Step::status(429).header("retry-after", "2"));
    assert_eq!(answered_by(&app, &[], &body("m")), "two/b");
    assert!(
        app.last_trace()["record"]["latency_us"].as_u64().unwrap() < 1_500_000,
        "nobody waits for two seconds"
    );
    assert_eq!(answered_by(&app, &[], &body("m")), "two/b");
    assert_eq!(app.provider.take_requests().len(), 1);
    let breaker = app.command_json(&["route", "targets"])[0]["breaker"].clone();
    assert_eq!(breaker, "closed", "a full rate is no fault of the server's");
    app.provider.default(Step::answer(&["rested"]));
    std::thread::sleep(Duration::from_millis(2_100));
    assert_eq!(answered_by(&app, &[], &body("m")), "prov/a");
}

#[test]
fn a_providers_breaker_is_as_it_is_configured() {
    let Both { app, two } = both(
        "models: {m: [two/b, prov/a]}\ndefault: {retry: off}\n",
        ", breaker: {failures: 1, cooldown: 700ms}",
    );
    two.default(Step::status(500));
    assert_eq!(answered_by(&app, &[], &body("m")), "prov/a");
    assert_eq!(answered_by(&app, &[], &body("m")), "prov/a");
    assert_eq!(two.take_requests().len(), 1, "one failure opens it");
    let reply = app.chat(&[], &body("two/b"));
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (502, Some("1")),
        "whoever asks for it alone is told when"
    );
    assert!(two.take_requests().is_empty());
    two.default(Step::answer(&["well"]));
    std::thread::sleep(Duration::from_millis(750));
    assert_eq!(answered_by(&app, &[], &body("m")), "two/b");
    let metrics = http::get(&app.url("/metrics"), &[]).unwrap().text();
    assert!(metrics.contains("gauntlet_breaker_state{provider=\"two\",model=\"b\"} 0\n"), "{metrics}");
}

#[test]
fn time_that_one_target_used_up_is_not_held_against_the_next() {
    let Both { app, two } = both(
        "models: {m: [prov/a, two/b]}\n\
         default: {retry: off, timeouts: {attempt: 2s, first_token: 600ms, total: 900ms}}\n",
        ", breaker: {failures: 1}",
    );
    app.provider.default(Step::hang());
    two.default(Step::hang());
    let mut streamed = body("m");
    streamed["stream"] = true.into();
    // The first uses up all of the time, or all but three tenths of a second.
    for (asked, requests) in [(body("m"), 0), (streamed, 1)] {
        let reply = app.chat(&[], &asked);
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (504, &json!("upstream_timeout")));
        assert_eq!(two.take_requests().len(), requests);
    }
    let lines = app.command_json(&["route", "targets"]);
    let line = lines.as_array().unwrap().iter().find(|line| line["target"] == "two/b").unwrap();
    assert_eq!((&line["breaker"], &line["left_alone"]), (&json!("closed"), &Value::Null), "{lines:#}");
}

#[test]
fn pins_and_retirements_are_warned_of_and_explained_without_a_gateway() {
    let Both { mut app, two: _two } = both(
        "models:\n  latest: prov/gpt-4o\n  loose: {pin: prov/gpt-4o}\n  frozen: {pin: prov/gpt-4o-2024-08-06}\n  \
         old: {targets: [{target: prov/a, retires: 2024-01-31}]}\n",
        "",
    );
    app.stop();
    let checked = app.command_json(&["check"]);
    let said: Vec<&str> =
        checked["mistakes"].as_array().unwrap().iter().filter_map(|one| one["message"].as_str()).collect();
    assert!(said.contains(&"pin `loose` names `prov/gpt-4o`, which has no date or version"), "{said:#?}");
    assert!(said.contains(&"`prov/a` has been retired since 2024-01-31"), "{said:#?}");
    let explained = explained(&app, &["old"]);
    assert_eq!((&explained["is_live"], &explained["strategy"]), (&json!(false), &json!("fallback")));
    assert_eq!(explained["warnings"], json!(["prov/a has been retired since 2024-01-31"]));
    let shown = app.command(&["route", "explain", "frozen"]).expect_ok().stdout;
    assert!(shown.contains("Chosen by a pin") && shown.contains("no gateway runs"), "{shown}");
    let ended = app.command(&["route", "explain", "frozne"]);
    assert!(ended.stderr.contains("did you mean `frozen`?"), "{}", ended.stderr);
}

#[test]
fn an_answer_is_kept_whichever_target_gave_it() {
    let Both { app, two: _two } = both(
        "models: {m: {targets: [prov/a, two/b], strategy: weighted}}\nroutes: {cached: {cache: 10m}}\n",
        "",
    );
    let route = [("x-gauntlet-route", "cached")];
    assert_eq!(app.chat(&route, &body("m")).header("x-gauntlet-cache"), Some("miss"));
    for _ in 0..8 {
        assert_eq!(app.chat(&route, &body("m")).header("x-gauntlet-cache"), Some("exact"));
    }
}

#[test]
fn what_a_guard_keeps_from_the_first_target_never_reaches_it_however_the_order_falls() {
    let Both { app, two } = both(
        "models: {m: {targets: [two/b, prov/a], strategy: weighted}}\n\
         routes: {bot: {model: m, input: {pii: reroute}}}\n",
        "",
    );
    let private = json!({"model": "m", "messages": [{"role": "user", "content": "I am ann@example.com"}]});
    for _ in 0..10 {
        assert_eq!(answered_by(&app, &[("x-gauntlet-route", "bot")], &private), "prov/a");
    }
    assert!(two.requests().is_empty());
}
