//! A dataset: a file of JSON lines, one case each. All mistakes are told, each with its line.

mod row;

pub(crate) use row::ASKED;

use gauntlet_places::At;
use serde_json::Value;

use crate::{Case, hash, report::Report};

/// Of one dataset that is read whole. Larger ones are no set of examples any more.
pub const DATASET_BYTES_MAX: usize = 256 << 20;
/// A case with longer texts than any model reads.
const LINE_BYTES_MAX: usize = 4 << 20;
pub const CASES_MAX: usize = 100_000;

/// Letters of a hash that stand for an id where a line has none.
const ID_LETTERS: usize = 12;

pub(crate) fn read(file: &str, text: &str, report: &mut Report) -> Vec<Case> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut cases = Vec::new();
    if text.len() > DATASET_BYTES_MAX {
        let message = format!("the dataset has {} MB", text.len() >> 20);
        report.error(
            At::default(),
            message,
            format!("a dataset has at most {} MB: split it", DATASET_BYTES_MAX >> 20),
        );
        return cases;
    }
    if text.trim_start().starts_with('[') {
        let message = "this is a list in one value, not one case a line";
        report.error(At::line(1), message, format!("rewrite it: jq -c '.[]' {file}"));
        return cases;
    }
    for (index, line) in text.lines().enumerate() {
        // Blank lines and comments part a long file into chapters.
        if line.trim().is_empty() || line.trim_start().starts_with("//") || line.starts_with('#') {
            continue;
        }
        if cases.len() == CASES_MAX {
            let cure = format!("a dataset has at most {CASES_MAX}: split it, or sample it");
            report.error(At::line(index + 1), "there are too many cases", cure);
            break;
        }
        if let Some(case) = case(file, index + 1, line, report) {
            cases.push(case);
        }
    }
    if cases.is_empty() && !report.has_errors() {
        let cure = "write a line such as {\"id\": \"1\", \"input\": \"…\", \"expected\": \"…\"}, or add calls with `gauntlet trace promote`";
        report.error(At::default(), "the dataset has no cases", cure);
    }
    cases
}

/// Reads one line; what is wrong with it is reported.
pub(crate) fn case(file: &str, line: usize, text: &str, report: &mut Report) -> Option<Case> {
    let at = At::line(line);
    if text.len() > LINE_BYTES_MAX {
        report.error(
            at,
            format!("this line has {} bytes", text.len()),
            format!("a case has at most {LINE_BYTES_MAX}"),
        );
        return None;
    }
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let column = error.column();
            let words = error.to_string();
            let words = words.split_once(" at line ").map_or(words.as_str(), |(words, _)| words);
            let cure = if words.contains("EOF") {
                "a case stands on one line: join it with the next, or close its braces"
            } else {
                "check quotes, commas and braces there"
            };
            report.error(At { line, column }, format!("this line is no JSON: {words}"), cure);
            return None;
        }
    };
    let Value::Object(fields) = value else {
        report.error(at, "this line is no object", "write {\"id\": …, \"input\": …, \"expected\": …}");
        return None;
    };
    let hash = hash::sha256(&hash::canonical(&Value::Object(fields.clone())));
    let mut case = row::read(fields, at, report)?;
    if case.id.is_empty() {
        case.id = format!("case-{}", &hash[..ID_LETTERS]).into();
    }
    Some(Case { hash, file: file.to_owned(), line, ..case })
}

#[cfg(test)]
mod tests;
