use super::*;

const DATA: &str =
    "{\"id\": \"a\", \"input\": \"x\", \"expected\": \"y\"}\n{\"id\": \"b\", \"input\": \"x\"}\n";

fn reading(text: &str) -> Reading {
    read("evals/s.yaml", text, &mut |path| match path {
        "d.jsonl" => Ok(DATA.to_owned()),
        "twice.jsonl" => Ok(format!("{DATA}{{\"id\": \"a\", \"input\": \"z\"}}\n")),
        _ => Err("it is not there".to_owned()),
    })
}

#[test]
fn a_suite_is_read_with_all_that_it_may_say() {
    let text = "suite: support\ndescription: d\ndataset: d.jsonl\nroute: bot\nprompt: agent\nmodel: openai/gpt\n\
        params: {temperature: 0}\nvars: {locale: en}\nrepeats: 3\nconcurrency: 16\nbudget_usd: 2.00\nanswer_limit: 30s\n\
        judge: {model: openai/judge, samples: 3, min_agreement: 0.6}\n\
        metrics:\n  - exact\n  - contains: {value: \"{{ expected }}\", floor: 0.9}\n  - {kind: contains, name: polite, threshold: 0.5}\n\
        gate: {baseline: production, margin: 0.02, cost: off, trend: {drop: 0.1}, rule: p_value}\n";
    let (suite, warnings) = reading(text).good().unwrap();
    assert_eq!(warnings, []);
    assert_eq!((suite.repeats, suite.concurrency, suite.cases.len()), (3, 16, 2));
    assert_eq!(suite.budget, Some(NanoUsd(2_000_000_000)));
    assert_eq!((suite.answer_limit, suite.score_limit), (Duration::from_secs(30), Suite::SCORE_LIMIT));
    assert_eq!(suite.datasets, ["evals/d.jsonl"]);
    let names: Vec<(&str, &str)> =
        suite.metrics.iter().map(|metric| (&*metric.name, &*metric.kind)).collect();
    assert_eq!(names, [("exact", "exact"), ("contains", "contains"), ("polite", "contains")]);
    assert_eq!(
        (suite.metrics[1].floor, suite.metrics[1].line, suite.metrics[2].threshold),
        (Some(0.9), 16, Some(0.5))
    );
    assert_eq!(suite.metrics[1].options["value"], "{{ expected }}");
    let GateSpec { baseline, margin, cost, trend, rule, .. } = suite.gate;
    assert_eq!((baseline, margin, cost), (BaselineSpec::Label("production".into()), 0.02, None));
    assert_eq!((trend, &*rule), (Some(TrendSpec { drop: 0.1, days: 7 }), "p_value"));
}

#[test]
fn the_documented_gate_is_read_and_its_defaults_are_those() {
    let page = include_str!("../../../../docs/release-gates.md");
    let yaml =
        page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a suite is shown");
    let (suite, warnings) = reading(&yaml.replace("support.jsonl", "d.jsonl")).good().unwrap();
    assert_eq!(warnings, []);
    let GateSpec { baseline, latency, line, .. } = suite.gate.clone();
    assert_eq!((baseline.clone(), latency), (BaselineSpec::Label("production".into()), Some(1.25)));
    assert_eq!(suite.gate, GateSpec { baseline, latency, line, ..GateSpec::default() });
    let plain = "suite: s\ndataset: d.jsonl\nmetrics: [exact]\ngate: {}\n";
    let fields =
        ["baseline", "rule", "margin", "alpha", "cost", "latency", "violations", "trend", "sequential"];
    assert!(fields.iter().all(|field| page.contains(&format!("\n| `{field}` |"))), "each has its row");
    assert_eq!(reading(plain).good().unwrap().0.gate, GateSpec { line: 4, ..GateSpec::default() });
}

#[test]
fn metrics_may_be_written_as_a_map() {
    let text = "suite: s\ndataset: d.jsonl\nmetrics:\n  exact:\n  has_it: {kind: contains, floor: 1}\n";
    let suite = reading(text).good().unwrap().0;
    let names: Vec<(&str, &str)> =
        suite.metrics.iter().map(|metric| (&*metric.name, &*metric.kind)).collect();
    assert_eq!(names, [("exact", "exact"), ("has_it", "contains")]);
}

#[test]
fn every_mistake_is_told_with_its_place_and_cure() {
    let check = |text: &str, wanted: &[&str]| {
        let said: Vec<String> = reading(text).good().unwrap_err().iter().map(ToString::to_string).collect();
        for wanted in wanted {
            assert!(said.iter().any(|said| said.contains(wanted)), "{wanted}: {said:?}");
        }
    };
    let good = "suite: s\ndataset: d.jsonl\nmetrics: [exact]\n";
    check("suite: [s\n", &["evals/s.yaml:", "not valid YAML"]);
    check("", &["the file is empty"]);
    check("- a\n", &["the file must be a map of fields"]);
    check(
        "{}",
        &[
            "`suite` is missing",
            "`metrics` is missing",
            "no dataset is named; add a line `dataset: NAME.jsonl`",
        ],
    );
    check(
        "suite: s\ndatset: d.jsonl\nmetrics: [exat, contains]\nrepeats: 0\n",
        &[
            "evals/s.yaml:2:1: unknown field `datset`; did you mean `dataset`?",
            "evals/s.yaml:3:11: unknown metric `exat`; did you mean `exact`?",
            "evals/s.yaml:4:10: `repeats: 0` is not a whole number from 1 to 100",
        ],
    );
    check(
        "suite: s\ndataset: none.jsonl\nmetrics: [exact]\n",
        &["evals/s.yaml:2:10: the dataset `none.jsonl` cannot be read: it is not there"],
    );
    check(
        "suite: s\ndataset: twice.jsonl\nmetrics: [exact]\n",
        &["evals/twice.jsonl:3: the id `a` is taken by line 1"],
    );
    check(
        "suite: s\ndataset: [d.jsonl, twice.jsonl]\nmetrics: [exact]\n",
        &["evals/twice.jsonl:1: the id `a` is taken by evals/d.jsonl:1"],
    );
    check(
        "suite: a b\ndataset: d.jsonl\nmetrics: [exact, exact]\n",
        &["cannot be named `a b`", "metric `exact` is there twice; give one of them a name"],
    );
    check(&format!("{good}suite: t\n"), &["`suite` is given twice"]);
    check(&format!("{good}budget_usd: much\n"), &["is not an amount in USD"]);
    check(&format!("{good}answer_limit: 5\n"), &["is not a duration up to 1h; write for example `90s`"]);
    check(&format!("{good}params: {{model: x}}\n"), &["`params` has `model`; write it beside `params`"]);
    check(
        &format!("{good}judge: {{modle: x}}\n"),
        &["unknown field `modle` in `judge`; did you mean `model`?"],
    );
    check(
        &format!("{good}gate: {{margin: -1, rule: pvalue}}\n"),
        &["`margin: -1` is not a number of 0 or more", "did you mean `p_value`?"],
    );
    check(&format!("{good}golden: abc\n"), &["let `gauntlet eval freeze s` write it"]);
    check(
        &format!("{good}golden: sha256:{}\n", "0".repeat(64)),
        &["the golden cases are not the frozen ones"],
    );
}

#[test]
fn layout_makes_no_other_suite_and_words_do() {
    let hash = |text: &str| reading(text).suite.hash;
    let one = hash("suite: s\ndataset: d.jsonl\nmetrics: [exact]\n");
    assert_eq!(
        one,
        hash("# c\nmetrics:\n  - exact\nsuite: s\ndataset: d.jsonl\ndescription: d\nconcurrency: 2\n")
    );
    assert_ne!(one, hash("suite: s\ndataset: d.jsonl\nmetrics: [exact]\nrepeats: 2\n"));
}
