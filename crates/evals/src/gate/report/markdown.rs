//! A report as a comment of a pull request, which is found again and written over by its hidden first line.
//!
//! Names, questions and answers are other people's text. Each stands in `<code>` with every mark of punctuation as a numeric reference:
//! such a character begins no markup, link, mention or tag, in GitHub's dialect or another.

use std::fmt::Write;

use gauntlet_ports::Verdict;

use super::{CaseChange, Check, GateReport, RunFacts, text};

/// What GitHub takes as a comment, in characters.
pub const MARKDOWN_MAX: usize = 65_536;
/// Cases with their texts; the first ten are open to see.
const CASES_SHOWN: usize = 50;
/// Kept for the last lines.
const ENDING: usize = 300;
/// Characters of a text, which may become six times as many.
const TEXT_MAX: usize = 300;

/// The hidden line that a suite's comment begins with.
pub fn marker(suite: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let name: String = suite.chars().take(100).map(|c| if is_plain(c) { c } else { '-' }).collect();
    // Two dashes would end an HTML comment.
    let mut name = name;
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    format!("<!-- gauntlet-gate:{name} -->")
}

/// At most [`MARKDOWN_MAX`] characters: what does not fit is left out from the end, and said.
pub fn markdown(report: &GateReport) -> String {
    let mut out = format!("{}\n", marker(&report.suite));
    let (sign, word) = match report.verdict {
        Verdict::Pass => ("✅", "passes"),
        Verdict::Fail => ("❌", "fails"),
        Verdict::Inconclusive => ("❔", "is inconclusive"),
    };
    let _ = writeln!(out, "### {sign} Gate {} {word}\n", inert(&report.suite));
    let _ = writeln!(out, "{}\n", inert(&report.summary));
    out.push_str("| | tested | run | application | cases | cost |\n|---|---|---|---|--:|--:|\n");
    out.push_str(&facts("candidate", &report.run));
    if let Some(baseline) = &report.baseline {
        out.push_str(&facts("baseline", baseline));
    }
    out.push_str("\n| | check | found | asked for | sure between | n | p | can see |\n|---|---|--:|--:|--:|--:|--:|--:|\n");
    out.extend(report.checks.iter().map(line));
    let open: Vec<&Check> = report.checks.iter().filter(|check| check.verdict != Verdict::Pass).collect();
    if !open.is_empty() {
        out.push('\n');
        for check in open {
            let _ = writeln!(
                out,
                "- {} {}: {}",
                text::mark(check.verdict),
                inert(&check.title()),
                inert(&check.reason)
            );
        }
    }
    for note in &report.notes {
        let _ = writeln!(out, "\n> {}", inert(note));
    }
    // Checks and notes of a suite with hundreds of metrics may be too much themselves.
    let mut out = within(out, MARKDOWN_MAX - ENDING);
    regressions(&mut out, report);
    out
}

fn regressions(out: &mut String, report: &GateReport) {
    if report.regressions.is_empty() {
        return;
    }
    let opening = format!(
        "\n<details><summary>{} worse, {} better; the worst cases</summary>\n\n| case | metric | before | now | trace |\n|---|---|--:|--:|---|\n",
        report.worse, report.better
    );
    let closing = "\n</details>\n";
    let mut room = (MARKDOWN_MAX - ENDING).saturating_sub(out.chars().count());
    let Some(left) = room.checked_sub(opening.chars().count() + closing.len()) else { return };
    room = left;
    let shown: Vec<&CaseChange> = report.regressions.iter().take(CASES_SHOWN).collect();
    let (mut rows, mut texts, mut listed) = (String::new(), String::new(), 0);
    for change in shown {
        let (row, told) = (row(change), detail(change));
        let Some(left) = room.checked_sub(row.chars().count() + told.chars().count()) else { break };
        room = left;
        rows.push_str(&row);
        texts.push_str(&told);
        listed += 1;
    }
    let _ = write!(out, "{opening}{rows}\n{texts}{closing}");
    let left_out = report.worse.saturating_sub(listed);
    if left_out > 0 {
        let _ = writeln!(out, "\n{left_out} more are worse; `gauntlet eval compare` lists them.");
    }
}

fn facts(side: &str, run: &RunFacts) -> String {
    let repeats = if run.repeats > 1 { format!(" × {}", run.repeats) } else { String::new() };
    format!(
        "| {side} | {} | {} | {} | {}{repeats} | ${} |\n",
        inert(&run.candidate),
        inert(&run.id),
        run.app_sha.as_ref().map(|sha| inert(sha)).unwrap_or_default(),
        run.cases,
        run.cost
    )
}

fn line(check: &Check) -> String {
    let numbers = text::numbers(check).map(|number| number.replace('<', "&lt;"));
    format!("| {} | {} | {} |\n", text::mark(check.verdict), inert(&check.title()), numbers.join(" | "))
}

fn row(change: &CaseChange) -> String {
    format!(
        "| {} | {} | {:.3} | {:.3} | {} |\n",
        inert(&change.case),
        inert(&change.metric),
        change.baseline,
        change.candidate,
        change.call.map(|call| inert(&call.to_string())).unwrap_or_default()
    )
}

fn detail(change: &CaseChange) -> String {
    let mut out =
        format!("\n<details><summary>{} {}</summary>\n\n", inert(&change.case), inert(&change.metric));
    let mut add = |name: &str, text: Option<&String>| {
        if let Some(text) = text {
            let _ = writeln!(out, "- {name}: {}", inert(text));
        }
    };
    add("asked", change.input.as_ref());
    add("expected", change.expected.as_ref());
    add("before", change.baseline_output.as_ref());
    add("now", change.output.as_ref());
    add("why", change.reason.as_ref());
    out.push_str("\n</details>\n");
    out
}

/// Text that says what it says and does nothing.
fn inert(text: &str) -> String {
    let mut out = String::from("<code>");
    let mut chars = text::printable(text).chars().collect::<Vec<_>>();
    if chars.len() > TEXT_MAX {
        chars.truncate(TEXT_MAX);
        chars.push('…');
    }
    for c in chars {
        match c {
            c if c.is_alphanumeric() || c == ' ' || (!c.is_ascii() && !text::is_turning(c)) => out.push(c),
            c => {
                let _ = write!(out, "&#{};", c as u32);
            }
        }
    }
    out.push_str("</code>");
    out
}

/// Whole lines up to a number of characters.
fn within(text: String, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text;
    }
    let mut out = String::new();
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        length += line.chars().count();
        if length > limit {
            break;
        }
        out.push_str(line);
    }
    out.push_str("\nThe rest is left out: it does not fit into a comment.\n");
    out
}
