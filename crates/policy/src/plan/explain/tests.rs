use std::time::Duration;

use super::*;
use crate::{
    config::{self, LoadOptions, Source, Sources},
    health::Why,
};

const TEXT: &str = "\
providers:
  one: {dialect: openai, url: \"http://one:1\", region: eu-west-1, price: free}
  two: {dialect: openai, url: \"http://two:1\", region: us, price: free}
  far: {dialect: openai, url: \"http://far:1\", price: free}
models:
  spread: {targets: [{target: one/a, weight: 3}, two/a, {target: far/a, max_context: 2000, region: eu}], strategy: weighted}
  cheap: {targets: [two/small, far/small]}
  pinned: {pin: one/model-2024-08-06, retires: 2026-12-01}
tasks: {classification: cheap}
tenants: {acme: {residency: eu}}
routes:
  bot: {model: spread, rules: [{if: {tokens_over: 5000}, model: cheap}, {if: {tags: [vip, gold], tools: true}, model: pinned}]}
  free: {}
  night: {model: spread, rules: [{if: {hour: \"22-06\", tenant: [acme, beta]}, model: cheap}]}
  local: {model: spread, residency: us}
keys: [{name: app, key: a-key-of-good-length, tenant: acme}]
";

fn policy() -> Policy {
    let gauntlet = Some(Source { file: "gauntlet.yml".into(), text: TEXT.into() });
    let sources = Sources { gauntlet, ..Sources::default() };
    config::load(&sources, &|_| None, &LoadOptions::default()).unwrap().policy
}

/// 2026-11-21, one o'clock in the afternoon.
const NOON: Timestamp = Timestamp(1_795_266_000_000_000);

fn asked(name: &str) -> Asked {
    Asked { name: name.to_owned(), ..Asked::default() }
}

fn names(explained: &Explained) -> Vec<&str> {
    explained.targets.iter().map(|shown| shown.target.as_str()).collect()
}

#[track_caller]
fn check(asked: &Asked, by: &str, targets: &[&str]) -> Explained {
    let explained = explain(&policy(), asked, NOON, None).unwrap();
    assert_eq!((explained.by.as_str(), names(&explained)), (by, targets.to_vec()), "{explained:#?}");
    explained
}

#[test]
fn the_first_rule_that_fits_names_the_model() {
    let long = Asked { tokens: Some(5001), ..asked("bot") };
    check(&long, "rule 1 of route bot", &["two/small", "far/small"]);
    let vip = Asked { tags: vec!["gold".into()], tools: true, ..asked("bot") };
    check(&vip, "rule 2 of route bot", &["one/model-2024-08-06"]);
    check(&Asked { tools: false, ..vip }, "the model of route bot", &["one/a", "two/a", "far/a"]);
    let night = Asked { tenant: Some("beta".into()), ..asked("night") };
    check(&night, "the model of route night", &["one/a", "two/a", "far/a"]);
    let late = NOON.plus(Duration::from_secs(10 * 3600));
    let explained = explain(&policy(), &night, late, None).unwrap();
    assert_eq!(explained.by, "rule 1 of route night");
}

#[test]
fn a_task_names_a_model_where_the_route_does_not() {
    let task = |name| Asked { task: Some("classification".into()), ..asked(name) };
    check(&task("free"), "task classification", &["two/small", "far/small"]);
    check(&task("bot"), "the model of route bot", &["one/a", "two/a", "far/a"]);
    let slip = Asked { task: Some("clasification".into()), ..asked("free") };
    let fault = explain(&policy(), &slip, NOON, None).unwrap_err();
    assert_eq!(fault.message, "unknown task `clasification`; did you mean `classification`?");
    let fault = explain(&policy(), &asked("free"), NOON, None).unwrap_err();
    assert!(fault.message.contains("leaves the model to the caller"), "{fault}");
}

#[test]
fn a_call_goes_only_where_its_residency_allows() {
    let acme = |name| Asked { tenant: Some("acme".into()), ..asked(name) };
    let explained = check(&acme("spread"), "asked for by its name", &["one/a", "far/a"]);
    assert_eq!(explained.left_out[0].why, "in us, and tenant `acme` is bound to eu");
    let refused = |asked: &Asked, message: &str| {
        let fault = explain(&policy(), asked, NOON, None).unwrap_err();
        assert_eq!((fault.code, fault.message.as_str()), (Code::Forbidden, message));
    };
    let outside =
        "no target of model `cheap` that may be used is in eu, where calls of tenant `acme` must stay";
    refused(&acme("cheap"), outside);
    let by_key = Asked { key: Some("app".into()), ..asked("cheap") };
    refused(&by_key, outside);
    let fault = explain(&policy(), &Asked { key: Some("ap".into()), ..by_key }, NOON, None).unwrap_err();
    assert_eq!(fault.message, "there is no key `ap`; did you mean `app`?");
    // Nobody is in two places.
    let both =
        "no target of model `spread` that may be used is in us, where calls of route `local` must stay";
    refused(&acme("local"), both);
}

#[test]
fn a_target_without_room_is_left_out_and_one_near_its_end_is_warned_of() {
    let long = Asked { tokens: Some(3000), ..asked("spread") };
    let explained = check(&long, "asked for by its name", &["one/a", "two/a"]);
    assert_eq!(explained.left_out[0].why, "it has no room for 3000 tokens");
    assert_eq!(explained.targets[0].share, Some(0.75));
    let explained = check(&asked("pinned"), "asked for by its name", &["one/model-2024-08-06"]);
    assert_eq!(explained.warnings, ["one/model-2024-08-06 retires on 2026-12-01, in 10 days"]);
    assert!(explained.is_pin && !explained.is_live);
}

#[test]
fn live_figures_show_who_is_left_alone() {
    let views = |target: &Target| match *target.provider == *"one" {
        true => View {
            standing: Standing::LeftAlone { why: Why::KeyRefused, left: Duration::from_secs(30) },
            ..View::UNKNOWN
        },
        false => View { in_flight: 2, latency_us: Some(5e5), ..View::UNKNOWN },
    };
    let explained = explain(&policy(), &asked("spread"), NOON, Some(&views)).unwrap();
    assert_eq!(names(&explained), ["two/a", "far/a", "one/a"]);
    let last = &explained.targets[2];
    assert_eq!(
        (last.left_alone, last.share, last.left_alone_s),
        (Some("key refused"), Some(0.0), Some(30.0))
    );
    assert_eq!((explained.targets[0].latency_ms, explained.targets[0].share), (Some(500.0), Some(0.5)));
}

#[test]
fn names_that_are_neither_route_nor_model_are_told() {
    let fault = explain(&policy(), &asked("bott"), NOON, None).unwrap_err();
    assert_eq!(fault.message, "there is no route or model `bott`; did you mean `bot`?");
    let fault = explain(&policy(), &asked("sprea"), NOON, None).unwrap_err();
    assert!(fault.message.contains("did you mean `spread`?"), "{fault}");
}

#[test]
fn the_line_of_the_record_says_what_decided() {
    let targets: Vec<Target> =
        ["one/a", "two/a", "far/a"].iter().map(|text| Target::parse(text).unwrap()).collect();
    let mut candidates: Vec<Candidate<'_>> = targets
        .iter()
        .map(|target| Candidate { target, weight: 1, view: View::UNKNOWN, price: Some(NanoUsd(1_500_000)) })
        .collect();
    candidates[0].view.latency_us = Some(412_000.0);
    candidates[1].view.standing = Standing::LeftAlone { why: Why::Breaker, left: Duration::from_secs(1) };
    let line = |strategy, is_sticky, by, candidates: &[Candidate<'_>]| {
        let order: Vec<usize> = (0..candidates.len()).collect();
        let draw = Draw { strategy, seed: 0, is_sticky };
        let reasons = Reasons { by, draw, candidates, order: &order, too_small: &[], left_out: &[] };
        reasons.line()
    };
    let all = |strategy, is_sticky| line(strategy, is_sticky, None, &candidates).unwrap();
    let alone = "; left alone: two/a (breaker open)";
    assert_eq!(all(Strategy::Fallback, false), format!("first of 3{alone}"));
    assert_eq!(all(Strategy::Weighted, true), format!("weighted, 1 of 3, sticky{alone}"));
    assert_eq!(all(Strategy::Latency, false), format!("latency, 412 ms (of 3){alone}"));
    assert_eq!(all(Strategy::LeastBusy, false), format!("least busy of 3, 0 under way{alone}"));
    assert_eq!(all(Strategy::Cheapest, false), format!("cheapest of 3, at most $0.0015{alone}"));
    assert_eq!(line(Strategy::Fallback, false, None, &candidates[..1]), None);
    assert_eq!(line(Strategy::Fallback, false, Some("rule 2"), &candidates[..1]), Some("rule 2".into()));
}
