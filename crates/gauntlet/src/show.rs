//! How the command line shows things: tables that fit the terminal, times and amounts a person can read.

use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use serde_json::Value;

#[derive(Clone)]
pub enum Column {
    Left(&'static str),
    Right(&'static str),
    /// Never broken over lines, so that it can be copied: ids.
    Whole(&'static str),
}

impl Column {
    const fn title(&self) -> &'static str {
        match self {
            Column::Left(title) | Column::Right(title) | Column::Whole(title) => title,
        }
    }
}

/// Columns of text where nobody says how wide the output is: a pipe, a file.
const WIDTH_UNKNOWN: usize = 160;
/// Between two columns.
const GAP: u16 = 2;

/// Characters of a line: of `COLUMNS`, else of the terminal.
pub fn width() -> usize {
    let said = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.trim().parse::<u16>().ok())
        .filter(|said| *said > 0);
    // A terminal that nobody has measured says 0.
    let measured = || Table::new().width().filter(|columns| *columns > 0);
    said.or_else(measured).map_or(WIDTH_UNKNOWN, usize::from)
}

/// Prints rows under their titles, or says that there are none.
pub fn table(columns: &[Column], rows: Vec<Vec<String>>, none: &str) {
    if rows.is_empty() {
        println!("{none}");
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width()).unwrap_or(u16::MAX));
    table.set_header(columns.iter().map(|column| {
        let cell = Cell::new(column.title()).add_attribute(Attribute::Bold);
        aligned(cell, column)
    }));
    for row in rows {
        table.add_row(
            row.iter().zip(columns).map(|(text, column)| aligned(Cell::new(printable(text)), column)),
        );
    }
    for (shown, column) in table.column_iter_mut().zip(columns) {
        shown.set_padding((0, GAP));
        if let Column::Whole(_) = column {
            shown.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    println!("{}", table.trim_fmt());
}

/// As [`table`], without as many of the columns named in `drop`, one after the other, as it takes for no word to be broken.
pub fn table_dropping(columns: &[Column], rows: Vec<Vec<String>>, drop: &[&str], none: &str) {
    let titles: Vec<&str> = columns.iter().map(Column::title).collect();
    let kept = fitting(&titles, &rows, drop, width());
    let keep = |row: Vec<String>| {
        row.into_iter().zip(&kept).filter(|(_, kept)| **kept).map(|(text, _)| text).collect()
    };
    let columns: Vec<Column> =
        columns.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(column, _)| column.clone()).collect();
    table(&columns, rows.into_iter().map(keep).collect(), none);
}

/// Which columns are shown.
fn fitting(titles: &[&str], rows: &[Vec<String>], drop: &[&str], width: usize) -> Vec<bool> {
    let longest = |at: usize| {
        let texts = rows.iter().map(|row| row[at].chars().count());
        texts.max().unwrap_or(0).max(titles[at].chars().count()) + usize::from(GAP)
    };
    let widths: Vec<usize> = (0..titles.len()).map(longest).collect();
    let mut kept = vec![true; titles.len()];
    for name in drop {
        let wanted: usize = widths.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(width, _)| width).sum();
        if wanted <= width + usize::from(GAP) {
            break;
        }
        if let Some(at) = titles.iter().position(|title| title == name) {
            kept[at] = false;
        }
    }
    kept
}

fn aligned(cell: Cell, column: &Column) -> Cell {
    match column {
        Column::Left(_) | Column::Whole(_) => cell,
        Column::Right(_) => cell.set_alignment(CellAlignment::Right),
    }
}

/// `1 case`, `2 cases`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

pub fn json(value: &Value) {
    println!("{value:#}");
}

/// Text of callers and models may hold control sequences, which a terminal would obey.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                '\u{fffd}'
            }
            c => c,
        })
        .collect()
}

/// `0.000123` dollars as `$0.000123`; enough places for a cheap call, two for a dear month.
pub fn usd(amount: f64) -> String {
    let places = match amount.abs() {
        a if a == 0.0 || a >= 1.0 => 2,
        a if a >= 0.01 => 4,
        _ => 6,
    };
    format!("${amount:.places$}")
}

pub fn nano_usd(value: &Value) -> String {
    usd(value.as_i64().unwrap_or(0) as f64 / 1e9)
}

pub fn duration_us(value: &Value) -> String {
    match value.as_u64() {
        None => "–".to_owned(),
        Some(us) if us < 1_000 => format!("{us} µs"),
        Some(us) if us < 10_000 => format!("{:.1} ms", us as f64 / 1e3),
        Some(us) if us < 10_000_000 => format!("{} ms", us / 1_000),
        Some(us) => format!("{:.1} s", us as f64 / 1e6),
    }
}

pub fn time(value: &Value) -> String {
    value.as_i64().map_or_else(String::new, |micros| gauntlet_types::Timestamp(micros).to_string())
}

/// A string of a JSON object, or a dash.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_times_read_well() {
        assert_eq!(usd(0.0), "$0.00");
        assert_eq!(usd(12.345), "$12.35");
        assert_eq!(usd(0.0123), "$0.0123");
        assert_eq!(usd(0.0000421), "$0.000042");
        assert_eq!(duration_us(&1234.into()), "1.2 ms");
        assert_eq!(duration_us(&Value::Null), "–");
    }

    #[test]
    fn a_narrow_terminal_gets_fewer_columns_rather_than_broken_words() {
        let titles = ["prompt", "hash", "since"];
        let rows = vec![vec!["support-agent".to_owned(), "0123456789ab".to_owned(), "2026-11-22".to_owned()]];
        let check = |width: usize, wanted: [bool; 3]| {
            assert_eq!(fitting(&titles, &rows, &["hash", "since"], width), wanted, "{width}");
        };
        check(39, [true, true, true]);
        check(38, [true, false, true]);
        check(25, [true, false, true]);
        check(24, [true, false, false]);
        check(5, [true, false, false]);
    }

    #[test]
    fn a_terminal_is_not_given_orders() {
        assert_eq!(printable("a\u{1b}[31mb\n\u{202e}c"), "a\u{fffd}[31mb \u{fffd}c");
    }
}
