//! `gauntlet spend` and `gauntlet budget`.

use crate::{
    cli::{Place, Spend},
    reach::{Reach, escape},
    show::{self, Column, nano_usd, text, usd},
};
use anyhow::Result;

pub fn run(place: &Place, asked: Spend) -> Result<()> {
    let pairs = [
        ("by", &Some(asked.by)),
        ("month", &asked.month),
        ("from", &asked.from),
        ("to", &asked.to),
        ("tenant", &asked.tenant),
        ("route", &asked.route),
    ]
    .map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", escape(value))));
    let query: Vec<_> = pairs.into_iter().flatten().collect();
    let answer = Reach::new(place)?.get(&format!("/api/v1/spend?{}", query.join("&")))?;
    if place.json {
        show::json(&answer);
        return Ok(());
    }
    let rows = answer["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let names: Vec<String> = answer["by"].as_array().into_iter().flatten().map(text).collect();
    let mut columns = vec![Column::Left("what")];
    columns.extend(["calls", "errors", "tokens in", "cached", "tokens out", "cost"].map(Column::Right));
    let shown = rows.iter().map(|row| {
        let keys: Vec<String> = row["keys"].as_array().into_iter().flatten().map(text).collect();
        let mut cells = vec![keys.join(" · ")];
        cells.extend(
            ["calls", "errors", "tokens_in", "tokens_cached", "tokens_out"]
                .map(|field| row[field].to_string()),
        );
        cells.push(nano_usd(&row["cost"]));
        cells
    });
    println!("Spend by {}, {} to {} (UTC)", names.join(", "), text(&answer["from"]), text(&answer["to"]));
    show::table(&columns, shown.collect(), "Nothing was spent.");
    let total: i64 = rows.iter().filter_map(|row| row["cost"].as_i64()).sum();
    println!("total {}", usd(total as f64 / 1e9));
    Ok(())
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
    fn use_is_a_share_of_the_cap() {
        assert_eq!(used(4.0, Some(5.0)), "80 %");
        assert_eq!(used(0.0, Some(0.0)), "100 %");
        assert_eq!(used(1.0, None), "");
    }
}
