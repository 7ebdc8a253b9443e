use gauntlet_ports::{EvalResult, EvalRun, Verdict};
use gauntlet_types::CallId;

use super::*;
use crate::{
    Suite,
    gate::{GateInput, compare, decide, made},
};

/// What a model might answer to be more than text.
const HOSTILE: &str = "</details> | <script>alert(1)</script> @octocat #1 [x](http://evil.example) www.evil.example `a` **b** -->\n# h\u{1b}[31m\u{202e}\u{0}\"'&";

fn hostile_results(values: &[f64]) -> Vec<EvalResult> {
    let mut results = made::results("exact", values);
    for result in &mut results {
        result.input = Some(HOSTILE.into());
        result.output = Some(HOSTILE.repeat(20));
        result.call = "r_0123456789abcdef0123456789abcdef".parse::<CallId>().ok();
        result.scores[0].reason = Some(HOSTILE.into());
        result.scores[0].passed = result.scores[0].value.map(|value| value >= 0.5);
        result.passed = result.scores[0].passed;
    }
    results
}

fn decided(now: &[EvalResult], before: &[EvalResult], suite: &Suite) -> GateReport {
    let (run, baseline) = (made::run("now", now), made::run("before", before));
    let run = EvalRun { app_sha: Some(HOSTILE.into()), ..run };
    decide(&GateInput {
        suite,
        run: &run,
        results: now,
        baseline: Some((&baseline, before)),
        history: &[],
        standings: &[],
    })
    .unwrap()
}

fn hostile(n: usize) -> (GateReport, Vec<EvalResult>) {
    let (now, before) = (hostile_results(&vec![0.2; n]), hostile_results(&vec![0.9; n]));
    (decided(&now, &before, &made::suite(vec![made::metric("exact", Some(0.5))])), now)
}

#[test]
fn a_comment_cannot_be_given_orders_by_an_answer() {
    let (report, _) = hostile(30);
    let comment = markdown(&report);
    for order in
        ["<script", "@octocat", "](http", "http://", "www.", "**b**", "\u{1b}", "\u{202e}", "\u{0}", "`a`"]
    {
        assert!(!comment.contains(order), "{order:?}");
    }
    // Every tag is one of ours, opened as often as it is closed.
    for tag in ["details", "summary", "code"] {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        assert_eq!(comment.matches(&open).count(), comment.matches(&close).count(), "{tag}");
    }
    let tags = comment.matches('<').count();
    let ours = ["<details>", "</details>", "<summary>", "</summary>", "<code>", "</code>", "<!--"];
    assert_eq!(tags, ours.iter().map(|tag| comment.matches(tag).count()).sum::<usize>());
    // No cell of a table holds another's border.
    for line in comment.lines().filter(|line| line.starts_with("| ✓") || line.starts_with("| ✗")) {
        assert_eq!(line.matches('|').count(), 9, "{line}");
    }
}

#[test]
fn a_comment_is_found_again_by_its_first_line() {
    let (report, _) = hostile(3);
    assert!(markdown(&report).starts_with("<!-- gauntlet-gate:support -->\n"));
    assert_eq!(marker("a --> b--c"), "<!-- gauntlet-gate:a-b-c -->");
}

#[test]
fn a_comment_fits_whatever_it_has_to_tell() {
    let check = |metrics: usize, cases: usize| {
        let mut suite = made::suite(vec![made::metric("exact", None)]);
        suite
            .metrics
            .extend((0..metrics).map(|at| made::metric(&format!("metric {at} {HOSTILE}"), Some(0.5))));
        let (now, before) = (hostile_results(&vec![0.2; cases]), hostile_results(&vec![0.9; cases]));
        let comment = markdown(&decided(&now, &before, &suite));
        assert!(comment.chars().count() <= MARKDOWN_MAX, "{metrics} {cases}: {}", comment.chars().count());
        assert_eq!(comment.matches("<details>").count(), comment.matches("</details>").count());
    };
    check(0, 500);
    check(300, 5);
}

#[test]
fn the_worst_case_is_told_first_with_its_trace() {
    let mut now = hostile_results(&[0.8, 0.1, 0.5]);
    let before = hostile_results(&[0.9; 3]);
    now[1].call = "r_ffffffffffffffffffffffffffffffff".parse::<CallId>().ok();
    let report = decided(&now, &before, &made::suite(vec![made::metric("exact", None)]));
    let order: Vec<&str> = report.regressions.iter().map(|change| change.case.as_str()).collect();
    assert_eq!(order, ["c0001", "c0002", "c0000"]);
    let comment = markdown(&report);
    let at = |text: &str| comment.find(text).unwrap_or_else(|| panic!("{text} in {comment}"));
    assert!(at("c0001") < at("c0002") && at("c0002") < at("c0000"));
    assert!(comment.contains("r&#95;ffffffffffffffffffffffffffffffff"));
}

/// Elements with their attributes, checked to be opened and closed in turn.
fn elements(xml: &str) -> Vec<(String, String)> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    let body = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("a declaration");
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        assert!(!text.contains('>'), "a bare > in {text:?}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in turn");
            continue;
        }
        let is_empty = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert_eq!(attributes.matches('"').count() % 2, 0, "{tag}");
        found.push((name.to_owned(), attributes.to_owned()));
        if !is_empty {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    assert!(xml.chars().all(|c| !c.is_control() || c == '\n'), "a character that XML cannot hold");
    found
}

#[test]
fn junit_is_whole_xml_whose_counts_are_right() {
    let (report, mut results) = hostile(12);
    results[0] = made::unanswered("c0000");
    results[1].passed = Some(true);
    results[2].passed = None;
    let found = elements(&junit(&report, &results, Inconclusive::Fails));
    let suites: Vec<&String> =
        found.iter().filter(|(name, _)| name == "testsuite").map(|(_, attributes)| attributes).collect();
    assert_eq!(suites.len(), 2);
    assert!(suites[1].contains("tests=\"12\" failures=\"9\" errors=\"1\" skipped=\"1\""), "{}", suites[1]);
    let count = |wanted: &str| found.iter().filter(|(name, _)| name == wanted).count();
    assert_eq!(count("testcase"), 12 + report.checks.len());
    let failed = report.checks.iter().filter(|check| check.verdict != Verdict::Pass).count();
    assert_eq!(count("failure"), 9 + failed);
    let known = [
        "testsuites",
        "testsuite",
        "properties",
        "property",
        "testcase",
        "failure",
        "error",
        "skipped",
        "system-out",
    ];
    assert!(found.iter().all(|(name, _)| known.contains(&name.as_str())));
}

#[test]
fn an_open_check_is_a_failure_in_junit_unless_it_was_allowed() {
    let (now, before) = (made::results("exact", &[1.0; 5]), made::results("exact", &[1.0; 5]));
    let report = decided(&now, &before, &made::suite(vec![made::metric("exact", None)]));
    assert_eq!(report.verdict, Verdict::Inconclusive);
    let strict = junit(&report, &now, Inconclusive::Fails);
    assert!(strict.contains("<failure type=\"inconclusive\""), "{strict}");
    let lenient = junit(&report, &now, Inconclusive::Skipped);
    assert!(!lenient.contains("<failure") && lenient.contains("skipped=\"1\""), "{lenient}");
}

#[test]
fn a_terminal_gets_lines_that_fit_and_no_orders() {
    let (report, _) = hostile(30);
    for width in [80, 120] {
        let shown = text(&report, Look { width, color: false });
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
        assert!(shown.starts_with("FAIL  support: failed: "), "{shown}");
        // A word of its own, such as a command to copy, is not broken.
        let long: Vec<&str> = shown.lines().filter(|line| line.chars().count() > width).collect();
        assert!(long.is_empty(), "{width}: {long:#?}");
    }
    assert!(text(&report, Look { width: 100, color: true }).contains("\u{1b}[31mFAIL\u{1b}[0m"));
}

#[test]
fn two_runs_are_shown_side_by_side() {
    let (now, before) = (hostile_results(&[0.2, 0.9]), hostile_results(&[0.9, 0.8]));
    let found = compare((&made::run("a", &before), &before), (&made::run("b", &now), &now), compare::CHANGES)
        .unwrap();
    let shown = compared(&found, Look { width: 100, color: false }, 10);
    assert!(shown.contains("2 changes of 2 cases, the worst first:"), "{shown}");
    assert!(shown.find("c0000") < shown.find("c0001"), "{shown}");
    assert!(!shown.contains('\u{1b}'));
}
