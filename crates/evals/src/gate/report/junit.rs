//! A report as JUnit's XML, which CI systems show beside other tests.
//!
//! There is no standard but what Jenkins' schema and the readers of GitLab, CircleCI and Azure have in common: `testsuites`, `testsuite`,
//! `properties`, `testcase` with `failure`, `error` or `skipped`, and `system-out`. Nothing else is written.

use std::fmt::Write;

use gauntlet_ports::{EvalResult, Verdict};

use super::{Check, GateReport};
use crate::gate::{
    pair::{by_case, is_unanswered},
    whole::cut,
};

/// Of an answer in a failure's text: enough to see what went wrong.
const TEXT_MAX: usize = 2_000;

/// Whether an inconclusive check is shown as skipped instead of as a failure.
///
/// A reader takes what is skipped for no obstacle, so only a gate that was told to let it pass may say it so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inconclusive {
    Fails,
    Skipped,
}

/// One test case for each check of the gate, and one for each case of the suite.
pub fn junit(report: &GateReport, results: &[EvalResult], inconclusive: Inconclusive) -> String {
    let checks: Vec<String> =
        report.checks.iter().map(|check| of_check(report, check, inconclusive)).collect();
    let cases: Vec<(String, Outcome, f64)> =
        by_case(results).iter().map(|(case, answers)| of_case(report, case, answers)).collect();
    let failed = |verdict: Verdict| report.checks.iter().filter(|check| check.verdict == verdict).count();
    let open = failed(Verdict::Inconclusive);
    let (skipped, failures) = match inconclusive {
        Inconclusive::Skipped => (open, failed(Verdict::Fail)),
        Inconclusive::Fails => (0, failed(Verdict::Fail) + open),
    };
    let of = |outcome: Outcome| cases.iter().filter(|(_, found, _)| *found == outcome).count();
    let seconds: f64 = cases.iter().map(|(_, _, seconds)| seconds).sum();
    let stamp = report.run.started.to_string();
    let stamp = stamp.split('.').next().unwrap_or_default();

    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"gauntlet\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{seconds:.3}\">",
        checks.len() + cases.len(),
        failures + of(Outcome::Failed),
        of(Outcome::Error),
    );
    let name = attribute(&report.suite);
    let _ = writeln!(
        out,
        "  <testsuite name=\"{name}: gate\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"0\" timestamp=\"{stamp}\">",
        checks.len(),
    );
    out.push_str(&properties(report));
    out.extend(checks);
    out.push_str("  </testsuite>\n");
    let _ = writeln!(
        out,
        "  <testsuite name=\"{name}: cases\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\" timestamp=\"{stamp}\">",
        cases.len(),
        of(Outcome::Failed),
        of(Outcome::Error),
        of(Outcome::Skipped),
    );
    out.extend(cases.into_iter().map(|(xml, _, _)| xml));
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn properties(report: &GateReport) -> String {
    let mut pairs = vec![
        ("verdict", report.verdict.as_str().to_owned()),
        ("summary", report.summary.clone()),
        ("run", report.run.id.to_string()),
        ("candidate", report.run.candidate.to_string()),
    ];
    if let Some(baseline) = &report.baseline {
        pairs.push(("baseline", baseline.id.to_string()));
    }
    if let Some(sha) = &report.run.app_sha {
        pairs.push(("app_sha", sha.to_string()));
    }
    let mut out = String::from("    <properties>\n");
    for (name, value) in pairs {
        let _ = writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", attribute(&value));
    }
    out.push_str("    </properties>\n");
    out
}

fn of_check(report: &GateReport, check: &Check, inconclusive: Inconclusive) -> String {
    let opening = format!(
        "    <testcase classname=\"{}.gate\" name=\"{}\" time=\"0\"",
        attribute(&report.suite),
        attribute(&check.title())
    );
    let reason = attribute(&check.reason);
    match (check.verdict, inconclusive) {
        (Verdict::Pass, _) => {
            format!("{opening}>\n      <system-out>{}</system-out>\n    </testcase>\n", words(&check.reason))
        }
        (Verdict::Inconclusive, Inconclusive::Skipped) => {
            format!("{opening}>\n      <skipped message=\"{reason}\"/>\n    </testcase>\n")
        }
        (verdict, _) => format!(
            "{opening}>\n      <failure type=\"{}\" message=\"{reason}\"/>\n    </testcase>\n",
            verdict.as_str()
        ),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    /// There is no answer.
    Error,
    /// No metric has a threshold.
    Skipped,
}

fn of_case(report: &GateReport, case: &str, answers: &[&EvalResult]) -> (String, Outcome, f64) {
    let seconds = answers.iter().map(|result| result.latency_us as f64 / 1e6).sum::<f64>();
    let opening = format!(
        "    <testcase classname=\"{}.cases\" name=\"{}\" time=\"{seconds:.3}\"",
        attribute(&report.suite),
        attribute(case)
    );
    if let Some(lost) = answers.iter().find(|result| is_unanswered(result)) {
        let why = attribute(&cut(lost.error.as_deref().unwrap_or("no answer came"), TEXT_MAX));
        return (
            format!("{opening}>\n      <error type=\"no_answer\" message=\"{why}\"/>\n    </testcase>\n"),
            Outcome::Error,
            seconds,
        );
    }
    let failing: Vec<&&EvalResult> = answers.iter().filter(|result| result.passed == Some(false)).collect();
    if let Some(first) = failing.first() {
        let body = failing.iter().map(|result| failure_text(result)).collect::<Vec<_>>().join("\n");
        let message = attribute(&missed(first).join("; "));
        return (
            format!(
                "{opening}>\n      <failure type=\"threshold\" message=\"{message}\">{}</failure>\n    </testcase>\n",
                words(&body)
            ),
            Outcome::Failed,
            seconds,
        );
    }
    if answers.iter().all(|result| result.passed.is_none()) {
        let said = "<skipped message=\"no metric of the suite has a threshold for this case\"/>";
        return (format!("{opening}>\n      {said}\n    </testcase>\n"), Outcome::Skipped, seconds);
    }
    (format!("{opening}/>\n"), Outcome::Passed, seconds)
}

/// What the answer missed, a metric each.
fn missed(result: &EvalResult) -> Vec<String> {
    let failing = result.scores.iter().filter(|score| score.passed == Some(false));
    failing
        .map(|score| {
            let value = score.value.map_or("unscored".to_owned(), |value| format!("{value:.3}"));
            let why = score.reason.as_deref().map(|why| format!(" ({})", cut(why, 300))).unwrap_or_default();
            format!("{}: {value}{why}", score.metric)
        })
        .collect()
}

fn failure_text(result: &EvalResult) -> String {
    let mut lines = Vec::new();
    if result.repeat > 0 {
        lines.push(format!("repeat {}", result.repeat));
    }
    lines.extend(missed(result));
    let mut add = |name: &str, text: Option<&str>| {
        if let Some(text) = text {
            lines.push(format!("{name}: {}", cut(text, TEXT_MAX)));
        }
    };
    add("input", result.input.as_deref());
    add("expected", result.expected.as_deref());
    add("output", result.output.as_deref());
    add("trace", result.call.map(|call| call.to_string()).as_deref());
    lines.join("\n")
}

/// Text between tags: what XML 1.0 cannot hold at all becomes U+FFFD.
fn words(text: &str) -> String {
    escaped(text, false)
}

/// Text of an attribute; a line's end there would come back as a space, so it is written as a reference.
fn attribute(text: &str) -> String {
    escaped(text, true)
}

fn escaped(text: &str, is_attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if is_attribute => out.push_str("&quot;"),
            '\n' | '\t' if is_attribute => {
                let _ = write!(out, "&#{};", c as u32);
            }
            // A reader makes a line's end of a bare one.
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
