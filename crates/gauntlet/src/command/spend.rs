//! `gauntlet spend` and `gauntlet budget`.

use crate::{
    cli::{Place, Spend},
    reach::{Reach, escape},
    show::{self, Column, nano_usd, text, usd},
};
use anyhow::Result;
use gauntlet_ports::SpendBy;
use serde_json::Value;

/// A column of the table: its title, the field it shows, how, and whether it is of every table or of `--full`.
type Figure = (&'static str, &'static str, fn(&Value) -> String, bool);

const FIGURES: [Figure; 15] = [
    ("calls", "calls", count, true),
    ("errors", "errors", count, true),
    ("refused", "refused", count, false),
    ("cache hits", "cache_hits", count, false),
    ("cut short", "cut_short", count, false),
    ("in", "tokens_in", count, true),
    ("fresh", "tokens_fresh", count, false),
    ("cached", "tokens_cached", count, true),
    ("written", "tokens_written", count, false),
    ("out", "tokens_out", count, true),
    ("reasoning", "tokens_reasoning", count, false),
    ("wasted", "wasted", nano_usd, false),
    ("a call", "cost_per_call_usd", dollars, false),
    ("cost", "cost", nano_usd, true),
    ("corrected", "corrected", nano_usd, true),
];

pub fn run(place: &Place, asked: Spend) -> Result<()> {
    let pairs = [
        ("by", &Some(asked.by)),
        ("month", &asked.month),
        ("day", &asked.day),
        ("last", &asked.last),
        ("from", &asked.from),
        ("to", &asked.to),
        ("tenant", &asked.tenant),
        ("team", &asked.team),
        ("route", &asked.route),
        ("model", &asked.model),
        ("provider", &asked.provider),
        ("environment", &asked.environment),
        ("prompt", &asked.prompt),
        ("user", &asked.user),
        ("key", &asked.key),
        ("tag", &asked.tag),
    ]
    .map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", escape(value))));
    let query: Vec<_> = pairs.into_iter().flatten().collect();
    let path = format!("/api/v1/spend?{}", query.join("&"));
    let reach = Reach::new(place)?;
    if asked.csv {
        print!("{}", reach.get_text(&format!("{path}&format=csv"))?);
        return Ok(());
    }
    let answer = reach.get(&path)?;
    if place.json {
        show::json(&answer);
        return Ok(());
    }
    table(&answer, asked.full);
    Ok(())
}

fn table(answer: &Value, full: bool) {
    let rows = answer["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let by: Vec<SpendBy> =
        answer["by"].as_array().into_iter().flatten().filter_map(|by| SpendBy::parse(by.as_str()?)).collect();
    let is_corrected = rows.iter().any(|row| row["corrected"] != row["cost"]);
    // Tokens that were cut short are worth a column as soon as there are some.
    let is_cut = rows.iter().any(|row| row["cut_short"] != 0);
    let figures: Vec<&Figure> = FIGURES
        .iter()
        .filter(|(_, field, _, always)| match *field {
            "corrected" => is_corrected,
            "cut_short" => full || is_cut,
            _ => full || *always,
        })
        .collect();
    let mut columns: Vec<Column> = by.iter().map(|by| Column::Left(by.as_str())).collect();
    columns.extend(figures.iter().map(|(title, ..)| Column::Right(title)));
    let cells = |row: &Value| figures.iter().map(|(_, field, show, _)| show(&row[field])).collect::<Vec<_>>();
    let mut shown: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let keys = row["keys"].as_array().into_iter().flatten().map(text);
            let mut line: Vec<String> =
                keys.map(|key| if key.is_empty() { "–".to_owned() } else { key }).collect();
            line.extend(cells(row));
            line
        })
        .collect();
    if !by.is_empty() && rows.len() > 1 && answer["total"].is_object() {
        let mut line = vec![String::new(); by.len()];
        line[0] = "total".to_owned();
        line.extend(cells(&answer["total"]));
        shown.push(line);
    }
    let names: Vec<&str> = by.iter().map(|by| by.as_str()).collect();
    let names = if names.is_empty() { String::new() } else { format!(" by {}", names.join(", ")) };
    println!("Spend{names}, {} to {} (UTC)", text(&answer["from"]), text(&answer["to"]));
    show::table(&columns, shown, "Nothing was spent.");
    if answer["total"].is_object() {
        println!("total {}", nano_usd(&answer["total"]["cost"]));
    }
    if is_corrected {
        println!("corrected: by a later price table; `gauntlet reprice --history` says when");
    }
}

/// Digits up to a hundred thousand, then three of them: tables stay narrow, JSON and CSV are exact.
fn count(value: &Value) -> String {
    let number = value.as_u64().unwrap_or(0);
    let scaled = |unit: f64, name: &str| {
        let scaled = number as f64 / unit;
        let places = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
        format!("{scaled:.places$}{name}")
    };
    match number {
        0..=99_999 => number.to_string(),
        100_000..=999_499 => scaled(1e3, "k"),
        999_500..=999_499_999 => scaled(1e6, "M"),
        _ => scaled(1e9, "G"),
    }
}

fn dollars(value: &Value) -> String {
    usd(value.as_f64().unwrap_or(0.0))
}

pub fn budget(place: &Place) -> Result<()> {
    let answer = Reach::new(place)?.get("/api/v1/budgets")?;
    if place.json {
        show::json(&answer);
        return Ok(());
    }
    let columns = [
        Column::Left("budget"),
        Column::Left("of"),
        Column::Left("period"),
        Column::Right("spent"),
        Column::Right("held"),
        Column::Right("cap"),
        Column::Right("used"),
    ];
    let rows = answer["lines"].as_array().into_iter().flatten().map(|line| {
        let whole = |field: &str| line[field].as_i64();
        let amount = |amount: i64| match line["measure"].as_str() {
            Some("usd") | None => usd(amount as f64 / 1e9),
            Some(measure) => format!("{amount} {measure}"),
        };
        let spent = whole("spent").unwrap_or(0) + whole("elsewhere").unwrap_or(0);
        let (held, cap) = (whole("held").unwrap_or(0), whole("cap"));
        vec![
            text(&line["scope"]),
            text(&line["key"]),
            line["period"].as_str().unwrap_or("for good").to_owned(),
            amount(spent),
            amount(held),
            cap.map_or("–".to_owned(), amount),
            used((spent + held) as f64, cap.map(|cap| cap as f64)),
        ]
    });
    show::table(
        &columns,
        rows.collect(),
        "No budgets. Set them in budgets.yml, for example:\n\n  tenants:\n    default:\n      daily_usd: 5\n",
    );
    Ok(())
}

fn used(used: f64, cap: Option<f64>) -> String {
    match cap {
        Some(cap) if cap > 0.0 => format!("{:.0} %", 100.0 * used / cap),
        Some(_) => "100 %".to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stay_narrow() {
        let check = |number: u64, shown: &str| assert_eq!(count(&number.into()), shown);
        check(0, "0");
        check(99_999, "99999");
        check(100_000, "100k");
        check(999_499, "999k");
        check(999_500, "1.00M");
        check(12_345_678, "12.3M");
        check(123_456_789, "123M");
        check(1_234_567_890, "1.23G");
    }

    #[test]
    fn use_is_a_share_of_the_cap() {
        assert_eq!(used(4.0, Some(5.0)), "80 %");
        assert_eq!(used(0.0, Some(0.0)), "100 %");
        assert_eq!(used(1.0, None), "");
    }
}
