//! What is known of vendors and servers: one row each, so that a configuration need only name them.

use std::sync::LazyLock;

use gauntlet_types::{Quirks, Service, Services};

use super::{Dialect, KeyHeader};

const FILE: &str = include_str!("../../../data/providers.txt");

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let lines = FILE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| Row::parse(line).expect("a test reads every line")).collect()
});

/// A vendor or a kind of server.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: &'static str,
    pub dialect: Dialect,
    /// May hold `{region}`; none where only its owner knows it.
    pub url: Option<&'static str>,
    pub style: Style,
    pub variables: Vec<Variable>,
    pub services: Services,
    pub quirks: Quirks,
    /// In the table of prices.
    pub vendor: Option<&'static str>,
    /// Paths that stand at another address.
    pub elsewhere: Vec<(&'static str, &'static str)>,
}

/// How a request shows who sends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    None,
    Key(KeyHeader),
    /// A signature of AWS's, or a key of Bedrock's.
    Aws,
    /// A token of Google's cloud.
    Google,
}

/// A variable of the environment with a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Variable {
    pub name: &'static str,
    /// It is set for other purposes too, so it brings no provider in by itself.
    pub is_shared: bool,
}

/// Every row, in the order of the file.
pub fn rows() -> &'static [Row] {
    &ROWS
}

pub(super) fn row(name: &str) -> Option<&'static Row> {
    rows().iter().find(|row| row.name == name)
}

/// The row whose vendor answers at the host of an address.
pub(super) fn at_host(url: &str) -> Option<&'static Row> {
    let host = host(url);
    // Servers of one's own all live at this host, and say nothing by it.
    if host == "127.0.0.1" {
        return None;
    }
    rows().iter().find(|row| row.url.is_some_and(|known| self::host(known) == host))
}

/// The host of an address, without its port.
pub(super) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or_default()
}

/// The words that a row, or a provider's `quirks`, may say.
pub(super) const QUIRKS: [&str; 4] = ["max_tokens", "no_stream_options", "no_usage", "usage_unasked"];

/// Adds a quirk by its word; false when there is none of that name.
pub(super) fn add_quirk(quirks: &mut Quirks, word: &str) -> bool {
    match word {
        "max_tokens" => quirks.has_old_limit = true,
        "no_stream_options" => quirks.has_no_stream_options = true,
        "no_usage" => quirks.sends_no_usage = true,
        "usage_unasked" => quirks.sends_usage_unasked = true,
        _ => return false,
    }
    true
}

impl Row {
    /// A line of the file. Errors: the name and the column that cannot be read.
    fn parse(line: &'static str) -> Result<Row, String> {
        let columns: Vec<&'static str> = line.split('|').map(str::trim).collect();
        let [name, dialect, url, style, variables, services, quirks, vendor, elsewhere] = columns[..] else {
            return Err(format!("`{line}` has {} columns, not 9", columns.len()));
        };
        let bad = |column: &str, value: &str| format!("row `{name}` has the {column} `{value}`");
        let words = |text: &'static str| text.split_whitespace().filter(|word| *word != "-");
        let dialect = Dialect::CHOICES
            .iter()
            .find(|(word, _)| *word == dialect)
            .map(|(_, dialect)| *dialect)
            .ok_or_else(|| bad("dialect", dialect))?;
        let style = match style {
            "none" => Style::None,
            "aws" => Style::Aws,
            "google" => Style::Google,
            header => Style::Key(KeyHeader::parse(header).ok_or_else(|| bad("auth", header))?),
        };
        let services: Result<Services, String> =
            words(services).map(|word| Service::parse(word).ok_or_else(|| bad("service", word))).collect();
        let mut known = Quirks::default();
        for word in words(quirks) {
            if !add_quirk(&mut known, word) {
                return Err(bad("quirk", word));
            }
        }
        let elsewhere: Option<Vec<_>> = words(elsewhere).map(|pair| pair.split_once('=')).collect();
        Ok(Row {
            name,
            dialect,
            url: (url != "-").then_some(url),
            style,
            variables: words(variables)
                .map(|word| Variable { name: word.trim_start_matches('~'), is_shared: word.starts_with('~') })
                .collect(),
            services: services?,
            quirks: known,
            vendor: (vendor != "-").then_some(vendor),
            elsewhere: elsewhere.ok_or_else(|| bad("path elsewhere", ""))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price;

    #[test]
    fn every_line_of_the_file_is_a_row_of_its_own() {
        for line in FILE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Err(why) = Row::parse(line) {
                panic!("{why}");
            }
        }
        for row in rows() {
            assert_eq!(rows().iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
            assert!(row.services.has(Service::Chat), "{}", row.name);
            assert!(row.vendor.is_none_or(price::is_vendor), "{} is priced as {:?}", row.name, row.vendor);
            let addresses = row.elsewhere.iter().map(|(_, address)| *address).chain(row.url);
            for address in addresses {
                assert!(
                    address.starts_with("https://") || address.starts_with("http://127.0.0.1:"),
                    "{address}"
                );
                assert!(!address.ends_with('/'), "{address}");
            }
            assert!(row.elsewhere.iter().all(|(path, _)| path.starts_with('/')), "{}", row.name);
        }
        assert_eq!(rows().len(), 31);
    }

    #[test]
    fn a_vendor_is_known_by_its_host() {
        let check = |url: &str, expected: Option<&str>| {
            assert_eq!(at_host(url).map(|row| row.name), expected, "{url}");
        };
        check("https://api.groq.com/openai/v1", Some("groq"));
        check("https://api.groq.com:443", Some("groq"));
        check("https://api.groq.com.evil.example/v1", None);
        check("http://127.0.0.1:8000/v1", None);
    }

    #[test]
    fn the_documented_table_is_in_step_with_the_rows() {
        let document = include_str!("../../../../../docs/providers.md");
        let code = |words: Vec<&str>| match words.is_empty() {
            true => "–".to_owned(),
            false => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" "),
        };
        let line = |row: &Row| {
            let variables = row.variables.iter().map(|variable| variable.name).collect();
            let services: Vec<&str> = row.services.iter().map(Service::as_str).collect();
            let mut quirks = Vec::new();
            let Quirks { has_old_limit, has_no_stream_options, sends_no_usage, sends_usage_unasked } =
                row.quirks;
            let has = [has_old_limit, has_no_stream_options, sends_no_usage, sends_usage_unasked];
            quirks.extend(QUIRKS.into_iter().zip(has).filter(|(_, has)| *has).map(|(word, _)| word));
            format!(
                "| `{}` | {} | {} | {} | {} | {} |",
                row.name,
                row.dialect.as_str(),
                code(row.url.into_iter().collect()),
                code(variables),
                services.join(" "),
                code(quirks),
            )
        };
        let expected: Vec<String> = rows().iter().map(line).collect();
        let written: Vec<&str> = document
            .lines()
            .filter(|line| rows().iter().any(|row| line.starts_with(&format!("| `{}` |", row.name))))
            .collect();
        assert_eq!(
            written,
            expected,
            "the table of docs/providers.md should read\n{}\n",
            expected.join("\n")
        );
    }
}
