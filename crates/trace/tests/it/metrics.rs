use std::collections::{BTreeMap, HashMap, HashSet};

use gauntlet_trace::{Gauge, Metrics, metrics::SERIES_MAX};
use gauntlet_types::{CacheUse, CallRecord, Code, NanoUsd, Outcome};

use crate::support;

type Labels = BTreeMap<String, String>;

/// A reader of the text format that believes nothing: names, escapes, families in one piece, histograms that add up.
fn parse(text: &str) -> HashMap<(String, Labels), f64> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    assert!(text.ends_with('\n'));
    let mut samples = HashMap::new();
    let mut families: HashMap<String, String> = HashMap::new();
    let mut helped = HashSet::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(is_name(name) && !text.is_empty() && helped.insert(name.to_owned()), "{line}");
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(helped.contains(name) && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is in two pieces");
            current = name.to_owned();
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, parse_labels(labels.strip_suffix('}').unwrap())),
            None => (series, Labels::new()),
        };
        assert!(is_name(name) && labels.keys().all(|label| is_name(label)), "{line}");
        let suffixes: &[&str] =
            if families[&current] == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(suffixes.iter().any(|suffix| name == format!("{current}{suffix}")), "{line} under {current}");
        let value: f64 = value.replace("+Inf", "inf").parse().unwrap();
        assert!(samples.insert((name.to_owned(), labels), value).is_none(), "twice: {line}");
    }
    for (name, _) in families.iter().filter(|(_, kind)| *kind == "histogram") {
        check_histogram(name, &samples);
    }
    samples
}

fn parse_labels(text: &str) -> Labels {
    let mut labels = Labels::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("escape of {c}"),
                }),
                (_, c) => value.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none());
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels
}

fn check_histogram(name: &str, samples: &HashMap<(String, Labels), f64>) {
    let mut buckets: HashMap<Labels, Vec<(f64, f64)>> = HashMap::new();
    for ((series, labels), value) in samples {
        if *series == format!("{name}_bucket") {
            let mut labels = labels.clone();
            let bound = labels.remove("le").unwrap().replace("+Inf", "inf").parse().unwrap();
            buckets.entry(labels).or_default().push((bound, *value));
        }
    }
    for (labels, mut buckets) in buckets {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{name} {labels:?}: {buckets:?}");
        let last = buckets[buckets.len() - 1];
        assert_eq!(last.0, f64::INFINITY);
        assert_eq!(samples[&(format!("{name}_count"), labels.clone())], last.1);
        assert!(samples.contains_key(&(format!("{name}_sum"), labels)));
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn sum(samples: &HashMap<(String, Labels), f64>, name: &str) -> f64 {
    samples.iter().filter(|((series, _), _)| series == name).map(|(_, value)| value).sum()
}

#[test]
fn a_call_is_counted_everywhere_it_should_be() {
    let metrics = Metrics::new();
    let call = support::record(1);
    metrics.observe(&call);
    metrics.observe(&CallRecord { latency_us: 40_000_000, ..support::record(2) });
    let refused = CallRecord {
        outcome: Outcome::Refused,
        error: Some(Code::BudgetExceeded),
        target: None,
        attempts: vec![],
        cost: NanoUsd::ZERO,
        usage: Default::default(),
        cache: CacheUse::Off,
        ..support::record(3)
    };
    metrics.observe(&refused);
    let samples = parse(&metrics.render(&[]));
    let check = |name: &str, pairs: &[(&str, &str)], expected: f64| {
        let found = samples.get(&(name.to_owned(), labels(pairs)));
        assert!(found.is_some_and(|value| (value - expected).abs() < 1e-12), "{name}{pairs:?}: {found:?}");
    };
    let route = ("route", "support_bot");
    let (model, provider) = (("model", "gpt-4o-mini"), ("provider", "openai"));
    check("gauntlet_requests_total", &[route, model, provider, ("outcome", "ok")], 2.0);
    check(
        "gauntlet_requests_total",
        &[route, ("model", "support"), ("provider", "none"), ("outcome", "refused")],
        1.0,
    );
    check("gauntlet_cost_usd_total", &[route, model, provider], 0.0168);
    check("gauntlet_tokens_total", &[route, model, provider, ("type", "cache_read")], 7600.0);
    check("gauntlet_request_duration_seconds_count", &[route, model], 2.0);
    check("gauntlet_request_duration_seconds_bucket", &[route, model, ("le", "1")], 1.0);
    check("gauntlet_request_duration_seconds_sum", &[route, model], 40.812345);
    check("gauntlet_first_token_seconds_bucket", &[route, model, ("le", "0.5")], 2.0);
    check(
        "gauntlet_guardrail_decisions_total",
        &[("direction", "input"), ("kind", "pii"), ("action", "redact")],
        3.0,
    );
    check("gauntlet_errors_total", &[("code", "budget_exceeded")], 1.0);
    check("gauntlet_errors_total", &[("code", "internal")], 0.0);
    check("gauntlet_cache_total", &[("result", "miss")], 2.0);
    check("gauntlet_budget_refused_total", &[], 1.0);
    check("gauntlet_rate_limited_total", &[], 0.0);
    check("gauntlet_attempts_total", &[provider, ("end", "ok")], 2.0);
    let asked = [
        ("gen_ai_operation_name", "chat"),
        ("gen_ai_provider_name", "openai"),
        ("gen_ai_request_model", "gpt-4o-mini"),
    ];
    let with = |extra: &[(&'static str, &'static str)]| [&asked[..], extra].concat();
    check("gen_ai_client_token_usage_sum", &with(&[("gen_ai_token_type", "input")]), 8246.0);
    check("gen_ai_client_token_usage_bucket", &with(&[("gen_ai_token_type", "output"), ("le", "1024")]), 2.0);
    check("gen_ai_client_operation_duration_seconds_bucket", &with(&[("le", "0.64")]), 0.0);
    check("gen_ai_client_operation_duration_seconds_bucket", &with(&[("le", "1.28")]), 1.0);
    check("gen_ai_client_operation_duration_seconds_count", &with(&[]), 2.0);
}

#[test]
fn names_are_escaped_and_gauges_stand_together() {
    let metrics = Metrics::new();
    let route = "a\"b\\c\nd} 1";
    metrics.observe(&CallRecord { route: route.into(), ..support::record(1) });
    let gauge = |name, labels, value| Gauge { name, labels, value };
    let text = metrics.render(&[
        gauge("gauntlet_export_queue_bytes", &[("exporter", "a \"x\"")], 1.0),
        gauge("gauntlet_held_usd", &[], f64::INFINITY),
        gauge("gauntlet_export_queue_bytes", &[("exporter", "b")], 0.0),
    ]);
    let samples = parse(&text);
    assert!(samples.keys().any(|(_, labels)| labels.get("route").is_some_and(|found| found == route)));
    assert_eq!(samples[&("gauntlet_export_queue_bytes".into(), labels(&[("exporter", "a \"x\"")]))], 1.0);
    assert_eq!(samples[&("gauntlet_held_usd".into(), Labels::new())], f64::INFINITY);
}

#[test]
fn labels_are_bounded_and_totals_stay_exact() {
    let metrics = Metrics::new();
    std::thread::scope(|scope| {
        for worker in 0..4u64 {
            let metrics = &metrics;
            scope.spawn(move || {
                for n in 0..1000 {
                    let route = format!("route_{}", worker * 1000 + n).into();
                    metrics.observe(&CallRecord { route, ..support::record(n) });
                }
            });
        }
    });
    let samples = parse(&metrics.render(&[]));
    let routes = samples.keys().filter(|(name, _)| name == "gauntlet_requests_total").count();
    assert_eq!(routes, SERIES_MAX + 1);
    assert_eq!(sum(&samples, "gauntlet_requests_total"), 4000.0);
    assert!((sum(&samples, "gauntlet_cost_usd_total") - 4000.0 * 0.0084).abs() < 1e-9);
    let other = labels(&[("route", "other"), ("model", "other"), ("provider", "other"), ("outcome", "ok")]);
    assert_eq!(samples[&("gauntlet_requests_total".into(), other)], 3000.0);
}

#[test]
fn what_a_stranger_writes_is_no_label() {
    let metrics = Metrics::new();
    for n in 0..2000 {
        metrics.observe(&CallRecord {
            outcome: Outcome::Refused,
            error: Some(Code::UnknownModel),
            model_asked: format!("model-{n}").into(),
            target: None,
            ..support::record(n)
        });
    }
    let samples = parse(&metrics.render(&[]));
    assert_eq!(samples.keys().filter(|(name, _)| name == "gauntlet_requests_total").count(), 1);
}

#[test]
fn nothing_yet_is_readable_too() {
    parse(&Metrics::new().render(&[]));
}
