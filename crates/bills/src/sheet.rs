//! Spend as a sheet: for spreadsheets (CSV) and for programs (JSON with each group's names as fields).

use gauntlet_ports::{SpendBy, SpendRow};
use gauntlet_types::NanoUsd;
use serde_json::{Map, Value, json};

use crate::csv::{Cell, Csv};

/// A column's name, and how its cells are made.
type Column = (&'static str, fn(&SpendRow) -> String);

/// Columns behind the groups' own.
const COLUMNS: [Column; 17] = [
    ("calls", |row| row.calls.to_string()),
    ("errors", |row| row.errors.to_string()),
    ("refused", |row| row.refused.to_string()),
    ("cache_hits", |row| row.cache_hits.to_string()),
    ("cut_short", |row| row.cut_short.to_string()),
    ("estimated", |row| row.estimated.to_string()),
    ("tokens_in", |row| row.tokens_in.to_string()),
    ("tokens_fresh", |row| row.tokens_fresh().to_string()),
    ("tokens_cached", |row| row.tokens_cached.to_string()),
    ("tokens_written", |row| row.tokens_written.to_string()),
    ("tokens_out", |row| row.tokens_out.to_string()),
    ("tokens_reasoning", |row| row.tokens_reasoning.to_string()),
    ("cost_usd", |row| row.cost.to_string()),
    ("corrected_usd", |row| row.corrected.to_string()),
    ("wasted_usd", |row| row.wasted.to_string()),
    ("cost_per_call_usd", |row| per_call(row).to_string()),
    ("errors_percent", |row| format!("{:.3}", share(row.errors, row.calls))),
];

/// What one call cost on average, rounded down to the nano-dollar.
pub fn per_call(row: &SpendRow) -> NanoUsd {
    NanoUsd(row.cost.0 / i64::try_from(row.calls.max(1)).unwrap_or(i64::MAX))
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// One line a group, under a line of names. Without a line of totals, which whoever adds the column up would count twice.
pub fn csv(by: &[SpendBy], rows: &[SpendRow]) -> String {
    let mut csv = Csv::default();
    let heads = by.iter().map(|by| by.as_str()).chain(COLUMNS.iter().map(|(name, _)| *name));
    csv.row(heads.map(Cell::Text));
    for row in rows {
        let figures: Vec<String> = COLUMNS.iter().map(|(_, figure)| figure(row)).collect();
        let keys = row.keys.iter().map(|key| Cell::Text(key));
        csv.row(keys.chain(figures.iter().map(|figure| Cell::Number(figure))));
    }
    csv.finish()
}

/// The row's own fields (money in nano-dollars), its groups by name, and amounts in dollars.
pub fn json(by: &[SpendBy], row: &SpendRow) -> Value {
    let mut fields: Map<String, Value> = Map::new();
    for (by, key) in by.iter().zip(&row.keys) {
        fields.insert(by.as_str().to_owned(), key.as_str().into());
    }
    if let Ok(Value::Object(own)) = serde_json::to_value(row) {
        fields.extend(own);
    }
    for (name, amount) in [
        ("cost_usd", row.cost),
        ("corrected_usd", row.corrected),
        ("wasted_usd", row.wasted),
        ("cost_per_call_usd", per_call(row)),
    ] {
        fields.insert(name.to_owned(), json!(amount.as_usd()));
    }
    fields.insert("tokens_fresh".to_owned(), row.tokens_fresh().into());
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_names_its_columns_and_guards_its_names() {
        let row = SpendRow {
            keys: vec!["=cmd()".into(), "support, \"bot\"".into()],
            calls: 3,
            tokens_in: 10,
            tokens_cached: 4,
            cost: NanoUsd(1_500_000_001),
            corrected: NanoUsd(-1),
            ..SpendRow::default()
        };
        let by = [SpendBy::Tenant, SpendBy::Route];
        let text = csv(&by, std::slice::from_ref(&row));
        let mut lines = text.split("\r\n");
        assert!(lines.next().unwrap().starts_with("tenant,route,calls,errors,"));
        let line = lines.next().unwrap();
        assert!(line.starts_with("\"'=cmd()\",\"support, \"\"bot\"\"\",3,0,"), "{line}");
        assert!(line.contains(",1.500000001,-0.000000001,"), "{line}");
        let value = json(&by, &row);
        assert_eq!((&value["tenant"], &value["tokens_fresh"]), (&"=cmd()".into(), &6.into()));
        assert_eq!(value["cost_per_call_usd"], 0.5);
    }
}
