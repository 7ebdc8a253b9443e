//! A report for a terminal.

use gauntlet_ports::{Direction, Verdict};

use super::{Align, CaseChange, Check, CheckKind, GateReport, RunFacts, table};
use crate::gate::compare::{Comparison, MetricChange};

/// How it is shown: `color` only where it goes to a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    pub width: usize,
    pub color: bool,
}

/// Where nobody knows the terminal: a log of CI.
impl Default for Look {
    fn default() -> Look {
        Look { width: NARROW, color: false }
    }
}

/// Cases that are listed; all of them are in the JSON.
const CASES_SHOWN: usize = 10;
/// Columns below which p-values, detectable effects and reasons of cases are left out.
const NARROW: usize = 100;

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const PLAIN: &str = "\u{1b}[0m";

/// The verdict, what it was made of, the worst cases, and what to know of it.
pub fn text(report: &GateReport, look: Look) -> String {
    let mut parts = vec![format!(
        "{}  {}: {}",
        painted(report.verdict, look),
        printable(&report.suite),
        printable(&report.summary)
    )];
    let mut runs = vec![facts("candidate", &report.run)];
    runs.extend(report.baseline.as_ref().map(|run| facts("baseline", run)));
    parts.push(runs_table(&runs, look.width));
    parts.push(checks(&report.checks, look));
    let told: Vec<String> = report
        .checks
        .iter()
        .filter(|check| check.verdict != Verdict::Pass)
        .map(|check| {
            format!("{} {}: {}", mark(check.verdict), printable(&check.title()), printable(&check.reason))
        })
        .flat_map(|line| wrapped(&line, look.width))
        .collect();
    if !told.is_empty() {
        parts.push(told.join("\n"));
    }
    if !report.regressions.is_empty() {
        let shown = report.regressions.iter().take(CASES_SHOWN);
        let title = format!("{} worse, {} better; the worst:", report.worse, report.better);
        parts.push(format!("{title}\n{}", cases(shown, "baseline", "candidate", look.width)));
    }
    parts.extend(notes(&report.notes, look.width));
    parts.join("\n\n")
}

/// Which runs are spoken of: a line of [`facts`] each.
fn runs_table(runs: &[Vec<String>], width: usize) -> String {
    let columns = [
        ("", Align::Left),
        ("tested", Align::Cut),
        ("run", Align::Left),
        ("cases", Align::Right),
        ("cost", Align::Right),
        ("judges", Align::Right),
    ];
    table(&columns, runs, width)
}

/// What a reader must know as well, each on lines of its own.
fn notes(notes: &[String], width: usize) -> Option<String> {
    let lines = notes.iter().flat_map(|note| wrapped(&format!("Note: {}", printable(note)), width));
    let lines: Vec<String> = lines.collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn facts(side: &str, run: &RunFacts) -> Vec<String> {
    let sha = run.app_sha.as_ref().map(|sha| format!(" ({})", short_sha(sha))).unwrap_or_default();
    let repeats = if run.repeats > 1 { format!(" × {}", run.repeats) } else { String::new() };
    let judges = match (run.judge_calls, run.judge_cached) {
        (0, 0) => String::new(),
        (asked, known) => format!("{asked} asked, {known} known"),
    };
    vec![
        side.to_owned(),
        printable(&format!("{}{sha}", run.candidate)),
        printable(&run.id),
        format!("{}{repeats}", run.cases),
        format!("${}", run.cost),
        judges,
    ]
}

fn short_sha(sha: &str) -> &str {
    sha.char_indices().nth(12).map_or(sha, |(end, _)| &sha[..end])
}

fn checks(checks: &[Check], look: Look) -> String {
    let columns = [
        ("", Align::Left),
        ("check", Align::Cut),
        ("found", Align::Right),
        ("asked for", Align::Right),
        ("sure between", Align::Right),
        ("n", Align::Right),
        ("p, if", Align::Right),
        ("can see", Align::Right),
    ];
    let rows: Vec<Vec<String>> = checks
        .iter()
        .map(|check| {
            let mut row = vec![mark(check.verdict).to_owned(), printable(&check.title())];
            row.extend(numbers(check));
            if look.width < NARROW {
                row.truncate(6);
            }
            row
        })
        .collect();
    let plain = table(&columns, &rows, look.width);
    if !look.color {
        return plain;
    }
    // Marks stand first in their lines, so that colour does not move what is aligned.
    let mut lines = plain.lines();
    let head = lines.next().unwrap_or_default().to_owned();
    let painted = lines.zip(checks).map(|(line, check)| {
        let mark = mark(check.verdict);
        let rest = line.strip_prefix(mark).unwrap_or(line);
        format!("{}{mark}{PLAIN}{rest}", color(check.verdict))
    });
    std::iter::once(head).chain(painted).collect::<Vec<_>>().join("\n")
}

/// Found, asked for, bounds, n, p, and the smallest drop that can be seen.
pub(super) fn numbers(check: &Check) -> [String; 6] {
    let number = |value: Option<f64>| value.map(|value| valued(check.kind, value)).unwrap_or_default();
    let limit = check.limit.map(|limit| {
        let sign = match check.kind {
            CheckKind::Floor if check.direction == Direction::LowerIsBetter => "≤",
            CheckKind::Floor | CheckKind::Complete => "≥",
            CheckKind::Regression | CheckKind::Trend => ">",
            CheckKind::Cost
            | CheckKind::Latency
            | CheckKind::Errors
            | CheckKind::Unscored
            | CheckKind::Violations => "≤",
        };
        format!("{sign} {}", valued(check.kind, limit))
    });
    let bounds = match (check.low, check.high) {
        (Some(low), Some(high)) => format!("{} … {}", valued(check.kind, low), valued(check.kind, high)),
        _ => String::new(),
    };
    [
        number(check.value),
        limit.unwrap_or_default(),
        bounds,
        check.n.to_string(),
        p_value_if(check),
        check.detectable.map(|drop| format!("{drop:.3}")).unwrap_or_default(),
    ]
}

/// Rows ask different questions, so each names its own: `no worse: 0.013`.
fn p_value_if(check: &Check) -> String {
    let of = check.p_value_of.map(|of| format!("{}: ", of.as_str())).unwrap_or_default();
    check.p_value.map(|p| format!("{of}{}", p_value(p))).unwrap_or_default()
}

/// As every report and page has it: a p-value of 0 there is not.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

/// In a sentence: `= 0.013`, `< 0.001`.
pub(crate) fn p_relation(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("= {p:.3}") }
}

/// A difference with its sign, where three decimals leave it one.
pub fn signed(difference: f64) -> String {
    signed_to(difference, 3)
}

fn signed_to(difference: f64, places: usize) -> String {
    let told = format!("{difference:+.places$}");
    let is_zero = told[1..].bytes().all(|letter| matches!(letter, b'0' | b'.'));
    if is_zero { told[1..].to_owned() } else { told }
}

fn valued(kind: CheckKind, value: f64) -> String {
    match kind {
        CheckKind::Regression | CheckKind::Trend => signed(value),
        CheckKind::Cost | CheckKind::Latency => format!("{value:.2}×"),
        CheckKind::Complete | CheckKind::Errors | CheckKind::Unscored => format!("{:.1}%", value * 100.0),
        CheckKind::Violations => format!("{value:.0}"),
        CheckKind::Floor => format!("{value:.3}"),
    }
}

fn cases<'a>(changes: impl Iterator<Item = &'a CaseChange>, a: &str, b: &str, width: usize) -> String {
    let columns = [
        ("case", Align::Cut),
        ("metric", Align::Left),
        (a, Align::Right),
        (b, Align::Right),
        ("trace", Align::Left),
        ("why", Align::Cut),
    ];
    let has_room = width >= NARROW;
    let rows: Vec<Vec<String>> = changes
        .map(|change| {
            vec![
                printable(&change.case),
                printable(&change.metric),
                format!("{:.3}", change.baseline),
                format!("{:.3}", change.candidate),
                change.call.map(|call| call.to_string()).unwrap_or_default(),
                printable(why(change).filter(|_| has_room).unwrap_or_default()),
            ]
        })
        .collect();
    table(&columns, &rows, width)
}

fn why(change: &CaseChange) -> Option<&str> {
    change.reason.as_deref().or(change.output.as_deref())
}

/// Two runs side by side.
pub fn compared(found: &Comparison, look: Look, cases_shown: usize) -> String {
    let runs = [facts("A", &found.a), facts("B", &found.b)];
    let mut parts = vec![runs_table(&runs, look.width), figures(found, look)];
    match found.changes.len().min(cases_shown) {
        0 => parts.push("No case changed.".to_owned()),
        shown => {
            let title =
                format!("{} changes of {} cases, the worst first:", found.changes_count, found.compared.both);
            let list = cases(found.changes.iter().take(shown), "A", "B", look.width);
            parts.push(format!("{title}\n{list}"));
        }
    }
    parts.extend(notes(&found.notes, look.width));
    parts.join("\n\n")
}

/// What became of each metric, of cost and latency, and of violations, with notes; without the cases.
pub fn moved(found: &Comparison, look: Look) -> String {
    let mut parts = vec![figures(found, look)];
    parts.extend(notes(&found.notes, look.width));
    parts.join("\n\n")
}

fn figures(found: &Comparison, look: Look) -> String {
    let columns = [
        ("metric", Align::Cut),
        ("A", Align::Right),
        ("B", Align::Right),
        ("B − A", Align::Right),
        ("95% between", Align::Right),
        ("p", Align::Right),
        ("n", Align::Right),
        ("worse", Align::Right),
        ("better", Align::Right),
    ];
    let mut rows: Vec<Vec<String>> = found.metrics.iter().map(|metric| figure(metric, 3)).collect();
    // Answers cost fractions of a cent.
    rows.extend(found.answer_cost.iter().map(|cost| figure(cost, 6)));
    let ratio = |ratio: Option<f64>| ratio.map(|ratio| format!("{ratio:.2}×")).unwrap_or_default();
    let mut cost = vec!["cost".to_owned(), format!("${}", found.cost_a), format!("${}", found.cost_b)];
    cost.push(ratio(found.cost_ratio));
    rows.push(cost);
    let latency = found.latency_low.zip(found.latency_high);
    let bounds = latency.map(|(low, high)| format!("{low:.2}× … {high:.2}×")).unwrap_or_default();
    rows.push(vec!["latency".to_owned(), String::new(), String::new(), ratio(found.latency_ratio), bounds]);
    let mut parts = vec![table(&columns, &rows, look.width)];
    let unsure: Vec<String> = found
        .metrics
        .iter()
        .chain(&found.answer_cost)
        .filter_map(|metric| Some(format!("No interval for `{}`: {}", metric.metric, metric.why.as_ref()?)))
        .flat_map(|line| wrapped(&printable(&line), look.width))
        .collect();
    if !unsure.is_empty() {
        parts.push(unsure.join("\n"));
    }
    for (names, told) in
        [(&found.violations_new, "New violations in B"), (&found.violations_gone, "Violations gone in B")]
    {
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| printable(name)).collect();
            parts.push(wrapped(&format!("{told}: {}", names.join(", ")), look.width).join("\n"));
        }
    }
    parts.join("\n\n")
}

fn figure(metric: &MetricChange, places: usize) -> Vec<String> {
    let arrow = if metric.direction == Direction::LowerIsBetter { " (less is better)" } else { "" };
    let bounds = metric.low.zip(metric.high);
    vec![
        printable(&format!("{}{arrow}", metric.metric)),
        format!("{:.places$}", metric.a),
        format!("{:.places$}", metric.b),
        signed_to(metric.difference, places),
        bounds
            .map(|(low, high)| format!("{} … {}", signed_to(low, places), signed_to(high, places)))
            .unwrap_or_default(),
        metric.p_value.map(p_value).unwrap_or_default(),
        metric.n.to_string(),
        metric.worse.to_string(),
        metric.better.to_string(),
    ]
}

pub(super) const fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✗",
        Verdict::Inconclusive => "?",
    }
}

const fn color(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => GREEN,
        Verdict::Fail => RED,
        Verdict::Inconclusive => YELLOW,
    }
}

fn painted(verdict: Verdict, look: Look) -> String {
    let word = verdict.as_str().to_uppercase();
    match look.color {
        true => format!("{}{word}{PLAIN}", color(verdict)),
        false => word,
    }
}

/// Words over lines of a width; a line that goes on is set in.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is one from the start");
        let is_first = last.trim().is_empty();
        if !is_first && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(format!("  {word}"));
        } else {
            if !is_first {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// Text of callers and models may hold control sequences, which a terminal would obey, and lines, which a table would not survive.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' | '\r' => ' ',
            c if c.is_control() || is_turning(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Characters that turn the direction of what follows.
pub(super) const fn is_turning(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
