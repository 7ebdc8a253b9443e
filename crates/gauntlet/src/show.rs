//! How the command line shows things: tables that fit the terminal, times and amounts a person can read.

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

pub enum Column {
    Left(&'static str),
    Right(&'static str),
}

/// Prints rows under their titles, or says that there are none.
pub fn table(columns: &[Column], rows: Vec<Vec<String>>, none: &str) {
    if rows.is_empty() {
        println!("{none}");
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if std::env::var_os("COLUMNS").is_none() && !table.is_tty() {
        table.set_width(160);
    }
    table.set_header(columns.iter().map(|column| match column {
        Column::Left(title) => Cell::new(title).add_attribute(Attribute::Bold),
        Column::Right(title) => {
            Cell::new(title).add_attribute(Attribute::Bold).set_alignment(CellAlignment::Right)
        }
    }));
    for row in rows {
        table.add_row(row.iter().zip(columns).map(|(text, column)| {
            let cell = Cell::new(printable(text));
            match column {
                Column::Left(_) => cell,
                Column::Right(_) => cell.set_alignment(CellAlignment::Right),
            }
        }));
    }
    println!("{table}");
}

pub fn json(value: &Value) {
    println!("{value:#}");
}

/// Text of callers and models may hold control sequences, which a terminal would obey.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => '\u{fffd}',
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
    fn a_terminal_is_not_given_orders() {
        assert_eq!(printable("a\u{1b}[31mb\n\u{202e}c"), "a\u{fffd}[31mb \u{fffd}c");
    }
}
