//! Two columns as people have them: with spaces, tabs, commas or semicolons between, comments, empty lines, names on top.

use std::{
    cmp::Ordering,
    fs::File,
    io::{self, IsTerminal, Read},
};

use anyhow::{Context, Result, bail};
use gauntlet_stats::{Clustered, StatsError, cluster_by, paired_differences};

use crate::cli::{Clusters, Input};

/// A million lines of two numbers; more is a mistake about which file it is.
const BYTES_MAX: u64 = 64 << 20;

pub struct Numbers {
    pub first: Vec<f64>,
    pub second: Vec<f64>,
    /// The line of each case.
    lines: Vec<usize>,
    /// What belongs together, where a third column says it.
    keys: Option<Vec<String>>,
}

impl Numbers {
    pub fn mean_difference(&self) -> f64 {
        let differences = self.first.iter().zip(&self.second).map(|(first, second)| second - first);
        differences.sum::<f64>() / self.first.len() as f64
    }

    pub fn differences(&self) -> Result<Vec<Clustered>, StatsError> {
        let plain = paired_differences(&self.first, &self.second)?;
        Ok(match &self.keys {
            None => plain,
            Some(keys) => cluster_by(keys.iter().zip(plain.iter().map(|one| one.value))),
        })
    }

    /// A gate's bounds rest on what scores can be. Differences within ±1 of scores in other units would pass for shares.
    pub fn are_shares(&self) -> Result<()> {
        let all = self.first.iter().zip(&self.second).zip(&self.lines);
        for ((first, second), line) in all {
            if let Some(value) = [first, second].into_iter().find(|value| !(0.0..=1.0).contains(*value)) {
                bail!("line {line}: `{value}` is outside 0 to 1: scale the scores to 0..1");
            }
        }
        Ok(())
    }

    pub fn clusters(&self) -> usize {
        match &self.keys {
            None => self.first.len(),
            Some(keys) => keys.iter().collect::<std::collections::BTreeSet<_>>().len(),
        }
    }
}

pub struct Labels {
    pub first: Vec<Label>,
    pub second: Vec<Label>,
}

/// A category: numbers in their order where all are numbers, else words in theirs.
#[derive(Clone, PartialEq)]
pub enum Label {
    Number(f64),
    Word(String),
}

impl Eq for Label {}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Label) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Label) -> Ordering {
        match (self, other) {
            (Label::Number(one), Label::Number(other)) => one.total_cmp(other),
            (Label::Word(one), Label::Word(other)) => one.cmp(other),
            (Label::Number(_), Label::Word(_)) => Ordering::Less,
            (Label::Word(_), Label::Number(_)) => Ordering::Greater,
        }
    }
}

/// A line that says something, with its number from 1.
struct Row {
    line: usize,
    fields: Vec<String>,
    /// A comma stands between digits and something else between fields.
    has_decimal_commas: bool,
}

pub fn numbers(input: &Input) -> Result<Numbers> {
    to_numbers(rows(&read(input)?, input.header, 2)?)
}

pub fn clustered(input: &Input, clusters: &Clusters) -> Result<Numbers> {
    let columns = if clusters.clusters { 3 } else { 2 };
    to_numbers(rows(&read(input)?, input.header, columns)?)
}

pub fn labels(input: &Input) -> Result<Labels> {
    to_labels(rows(&read(input)?, input.header, 2)?)
}

fn read(input: &Input) -> Result<String> {
    let source: Box<dyn Read> = match &input.file {
        Some(path) => {
            Box::new(File::open(path).with_context(|| format!("cannot open `{}`", path.display()))?)
        }
        None if io::stdin().is_terminal() => {
            bail!("give two columns on standard input, such as `paste old new | gauntlet stats …`, or a file")
        }
        None => Box::new(io::stdin()),
    };
    let mut bytes = Vec::new();
    source.take(BYTES_MAX + 1).read_to_end(&mut bytes).context("cannot read the columns")?;
    if bytes.len() as u64 > BYTES_MAX {
        bail!("the input is longer than 64 MiB: give two columns, or take a sample");
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            bail!("line {line} is not UTF-8: give plain text, a line a case")
        }
    }
}

fn rows(text: &str, has_header: bool, columns: usize) -> Result<Vec<Row>> {
    // Spreadsheets begin a file with a mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows: Vec<Row> = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|(line, number)| Row {
            line: number,
            fields: fields(line),
            has_decimal_commas: has_decimal_commas(line),
        })
        .collect();
    if has_header && !rows.is_empty() {
        rows.remove(0);
    }
    if let Some(row) = rows.iter().find(|row| row.fields.len() != columns) {
        bail!(
            "line {} has {} fields and should have {columns}: {}",
            row.line,
            row.fields.len(),
            if row.has_decimal_commas {
                "write numbers with a point, 0.75 and not 0,75"
            } else if columns == 3 {
                "first, second, and the name of the cluster"
            } else {
                "first and second (for the name of a cluster after them, give --clusters)"
            }
        );
    }
    if rows.is_empty() {
        bail!("there are no cases: give a line a case, first and second with a space between");
    }
    Ok(rows)
}

/// One separator between fields may have spaces about it; quotes are taken off.
fn fields(line: &str) -> Vec<String> {
    let unquoted = |field: &str| field.trim().trim_matches('"').to_owned();
    // Where both are, the comma is a decimal one, which the number's own message names.
    match [';', ','].into_iter().find(|separator| line.contains(*separator)) {
        Some(separator) => line.split(separator).map(unquoted).collect(),
        None => line.split_whitespace().map(unquoted).collect(),
    }
}

fn has_decimal_commas(line: &str) -> bool {
    let is_one = |part: &[u8]| part[0].is_ascii_digit() && part[1] == b',' && part[2].is_ascii_digit();
    let has_other = line.trim().contains([';', ' ', '\t']);
    has_other && line.as_bytes().windows(3).any(is_one)
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn is_words(row: &Row) -> bool {
    row.fields.iter().take(2).all(|field| number(field).is_none())
}

fn to_numbers(mut rows: Vec<Row>) -> Result<Numbers> {
    if rows.len() > 1 && is_words(&rows[0]) {
        rows.remove(0);
    }
    let mut columns = Numbers { first: Vec::new(), second: Vec::new(), lines: Vec::new(), keys: None };
    for row in &rows {
        for (field, column) in row.fields.iter().zip([&mut columns.first, &mut columns.second]) {
            match number(field) {
                Some(value) if value.is_finite() => column.push(value),
                Some(_) => bail!(
                    "line {}: `{}` is not a finite number: leave the case out, or give it a score",
                    row.line,
                    excerpt(field)
                ),
                None => bail!(
                    "line {}: `{}` is not a number: write it as 0.75, with a point",
                    row.line,
                    excerpt(field)
                ),
            }
        }
        columns.lines.push(row.line);
        if let Some(key) = row.fields.get(2) {
            columns.keys.get_or_insert_default().push(key.clone());
        }
    }
    Ok(columns)
}

/// Text of an input may be long and odd; a message has its beginning.
fn excerpt(field: &str) -> String {
    crate::show::printable(&field.chars().take(40).collect::<String>())
}

fn to_labels(mut rows: Vec<Row>) -> Result<Labels> {
    let are_numbers =
        |rows: &[Row]| rows.iter().flat_map(|row| &row.fields).all(|field| number(field).is_some());
    // Names over columns of numbers can be told from labels; over words they cannot, and `--header` says it.
    if rows.len() > 1 && is_words(&rows[0]) && are_numbers(&rows[1..]) {
        rows.remove(0);
    }
    for row in &rows {
        // What programs write where nobody rated, and two that did not rate do not agree.
        if let Some(field) = row.fields.iter().find(|field| is_missing(field)) {
            bail!(
                "line {}: `{}` is no label: leave the case out, or name the category",
                row.line,
                excerpt(field)
            );
        }
    }
    let are_numbers = are_numbers(&rows);
    let label = |field: &String| match number(field) {
        // 0.0 is added so that −0 is 0.
        Some(value) if are_numbers => Label::Number(value + 0.0),
        _ => Label::Word(field.clone()),
    };
    Ok(Labels {
        first: rows.iter().map(|row| label(&row.fields[0])).collect(),
        second: rows.iter().map(|row| label(&row.fields[1])).collect(),
    })
}

fn is_missing(field: &str) -> bool {
    field.is_empty() || number(field).is_some_and(|number| !number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(Vec<f64>, Vec<f64>)> {
        let found = to_numbers(rows(text, false, 2)?)?;
        Ok((found.first, found.second))
    }

    #[test]
    fn columns_are_taken_as_people_have_them() {
        let check = |text: &str| {
            assert_eq!(parsed(text).unwrap(), (vec![0.5, 1.0], vec![0.25, -2.0]), "{text:?}");
        };
        check("0.5 0.25\n1 -2\n");
        check("0.5\t0.25\r\n1\t-2");
        check("0.5,0.25\n1, -2\n");
        check("0.5;0.25\n 1 ; -2 \n");
        check("# old and new\n\nbaseline candidate\n0.5 0.25\n\n1e0 -2.0\n# end\n");
        check("\u{feff}\"old\",\"new\"\n\"0.5\",\"0.25\"\n1,-2\n");
    }

    #[test]
    fn a_bad_line_is_named_with_its_cure() {
        let check = |text: &str, wanted: &[&str]| {
            let error = parsed(text).unwrap_err().to_string();
            for wanted in wanted {
                assert!(error.contains(wanted), "{error}");
            }
        };
        check("0.5 0.25\n\n1\n", &["line 3 has 1 fields", "first and second"]);
        check("1 2 case-1\n", &["line 1 has 3 fields", "--clusters"]);
        check("1 2\n3 x\n", &["line 2", "`x` is not a number", "0.75"]);
        check("1 2\nnan 1\n", &["line 2", "not a finite number", "leave the case out"]);
        check("1 2\n1 inf\n", &["line 2", "not a finite number"]);
        check("1 2\n,\n", &["line 2", "`` is not a number"]);
        check("1 2\n0,5;0,6\n", &["line 2", "`0,5` is not a number", "with a point"]);
        check("1 2\n0,5 0,6\n", &["line 2 has 3 fields", "0.75 and not 0,75"]);
        check("", &["no cases"]);
        check("# only words\n", &["no cases"]);
        check("old new\n", &["`old` is not a number"]);
    }

    #[test]
    fn labels_are_numbers_only_where_all_are() {
        let of = |text: &str| to_labels(rows(text, false, 2).unwrap()).unwrap();
        let numbers = of("human judge\n1 2\n1.0 10\n");
        assert!(numbers.first[0] == numbers.first[1] && numbers.second[0] < numbers.second[1]);
        let words = of("yes no\n1 yes\n");
        assert_eq!(words.first.len(), 2);
        assert!(words.first[1] == Label::Word("1".to_owned()));
        let headed = to_labels(rows("human judge\nyes no\n", true, 2).unwrap()).unwrap();
        assert_eq!(headed.first.len(), 1);
    }

    #[test]
    fn a_rating_that_is_missing_is_no_label() {
        for text in ["1 2\n1 nan\n", "yes no\nNaN yes\n", "1,2\n1,\n", "1 2\n1 inf\n"] {
            let error = to_labels(rows(text, false, 2).unwrap()).err().expect("refused").to_string();
            assert!(
                error.starts_with("line 2: `") && error.contains("leave the case out"),
                "{text:?}: {error}"
            );
        }
    }

    #[test]
    fn a_gate_takes_shares_alone() {
        let check = |text: &str, refused: Option<&str>| {
            let found = to_numbers(rows(text, false, 2).unwrap()).unwrap().are_shares();
            assert_eq!(found.err().map(|error| error.to_string()).as_deref(), refused, "{text:?}");
        };
        check("0 1\n0.5 0.5\n", None);
        check("0 1\n\n5 5.5\n", Some("line 3: `5` is outside 0 to 1: scale the scores to 0..1"));
        check("0 1\n0 -0.5\n", Some("line 2: `-0.5` is outside 0 to 1: scale the scores to 0..1"));
    }
}
