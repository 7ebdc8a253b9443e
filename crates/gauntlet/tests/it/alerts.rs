//! People are told of budgets, once, where they asked to be told; a receiver that is down holds nothing up.

use std::time::{Duration, Instant};

use gauntlet_testkit::{Provider, Step};
use serde_json::{Value, json};

use crate::app::TestApp;

const SOON: Duration = Duration::from_secs(10);

fn told(receiver: &Provider, count: usize) -> Vec<Value> {
    let until = Instant::now() + SOON;
    loop {
        let seen = receiver.requests();
        if seen.len() >= count {
            return seen.iter().map(|request| request.json()).collect();
        }
        assert!(Instant::now() < until, "only {} of {count} were told", seen.len());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_budgets_steps_are_told_once_to_slack_and_to_any_webhook() {
    let (hook, slack) = (Provider::start(), Provider::start());
    hook.default(Step::plain(json!({})));
    slack.default(Step::plain(json!({})));
    let url = |provider: &Provider| provider.url().trim_end_matches("/v1").to_owned();
    let budgets = format!(
        "tenants: {{default: {{daily_usd: 0.001, alert_at: [30, 60]}}}}\n\
         alerts:\n  - {{webhook: \"{}/hook\"}}\n  - {{slack_webhook: \"{}/T0/secret-path\", slack_channel: llm-spend, notify_over: 60%}}\n",
        url(&hook),
        url(&slack)
    );
    // `notify_over` of the first receiver is 80 unless it says otherwise.
    let budgets = budgets.replace("/hook\"}", "/hook\", notify_over: 1%}");
    let mut app = TestApp::with_files("", &[("budgets.yml", &budgets)]);
    app.provider.default(Step::text("Hello").usage(5, 100));
    let mut body = TestApp::body("Hello");
    body["max_tokens"] = 100.into();
    for _ in 0..4 {
        assert_eq!(app.chat(&[], &body).status, 200);
    }
    // 205 micro-dollars each: past 30 % with the second, past 60 % with the third.
    let steps: Vec<Value> = told(&hook, 2).iter().map(|event| event["detail"]["percent"].clone()).collect();
    assert_eq!(steps, [30, 60]);
    assert_eq!(app.chat(&[], &body).status, 429, "no room for a fifth");
    let told_all = told(&hook, 3);
    let full = &told_all[2];
    assert_eq!(
        (&full["kind"], &full["severity"], &full["detail"]["percent"]),
        (&json!("budget_full"), &json!("critical"), &json!(100))
    );
    assert!(
        full["message"].as_str().unwrap().starts_with(
            "budget tenant_daily of default has reached 100 %: 0.00082 USD of 0.001 USD; it turns at "
        ),
        "{full}"
    );
    let slack_told = told(&slack, 2);
    assert_eq!(slack_told[0]["channel"], "#llm-spend");
    assert!(
        slack_told[1]["text"].as_str().unwrap().starts_with(":rotating_light: Gauntlet: budget tenant_daily")
    );
    // A restart repeats nothing.
    app.kill9();
    app.restart();
    assert_eq!(app.chat(&[], &body).status, 429);
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!((hook.requests().len(), slack.requests().len()), (3, 2));
    let events = app.command_json(&["events", "--kind", "budget_full"]);
    assert_eq!(events.as_array().map(Vec::len), Some(1), "{events}");
    assert!(!app.gateway().stderr().concat().contains("secret-path"), "the address is a secret");
}

#[test]
fn a_receiver_that_is_down_holds_up_no_call() {
    let hook = Provider::start();
    hook.default(Step::hang());
    let budgets = format!(
        "tenants: {{default: {{daily_usd: 0.0004}}}}\nalerts: {{webhook: \"{}/hook\"}}\n",
        hook.url()
    );
    let app = TestApp::with_files("", &[("budgets.yml", &budgets)]);
    app.provider.default(Step::text("Hello").usage(5, 160));
    let mut body = TestApp::body("Hello");
    body["max_tokens"] = 160.into();
    let begun = Instant::now();
    assert_eq!(app.chat(&[], &body).status, 200);
    assert_eq!(app.chat(&[], &body).status, 429);
    assert_eq!(app.chat(&[], &body).status, 429);
    assert!(begun.elapsed() < Duration::from_secs(2));
    told(&hook, 1);
    assert_eq!(app.command_json(&["events"]).as_array().map(Vec::len), Some(2), "noted all the same");
}
