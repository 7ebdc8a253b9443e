//! `gauntlet reconcile`: a provider's own figures against ours.

use std::{fs, io::Read, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    cli::{Place, Reconcile},
    reach::Reach,
    show::{self, Column, printable, text},
};

pub fn run(place: &Place, asked: &Reconcile) -> Result<ExitCode> {
    let body = json!({
        "provider": asked.provider, "format": asked.format, "threshold_percent": asked.threshold,
        "export": read(&asked.file)?,
    });
    let answer = Reach::new(place)?.post("/api/v1/reconcile", &body)?;
    if place.json {
        show::json(&answer);
    } else {
        print(&answer, asked.all);
    }
    // As everywhere: 1 says that the answer is no.
    Ok(if answer["is_drift"] == true { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn read(file: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
    } else {
        bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn print(answer: &Value, all: bool) {
    let report = &answer["report"];
    println!(
        "Provider {} against our records, {} to {} (UTC)",
        printable(&text(&answer["provider"])),
        text(&answer["from"]),
        text(&answer["to"])
    );
    let columns = [
        Column::Left("day"),
        Column::Left("model"),
        Column::Left("figure"),
        Column::Right("ours"),
        Column::Right("theirs"),
        Column::Right("drift"),
        Column::Left(""),
    ];
    let lines = |rows: &Value, only_drift: bool| -> Vec<Vec<String>> {
        let rows = rows.as_array().into_iter().flatten().filter(|row| !only_drift || row["is_drift"] == true);
        rows.flat_map(|row| {
            let figures = row["figures"].as_array().into_iter().flatten();
            figures
                .filter(|figure| !only_drift || figure["is_drift"] == true)
                .map(|figure| line(row, figure))
                .collect::<Vec<_>>()
        })
        .collect()
    };
    let mut shown = lines(&report["totals"], false);
    shown.extend(lines(&report["rows"], !all));
    show::table(&columns, shown, "Neither side knows of a call.");
    for note in report["notes"].as_array().into_iter().flatten() {
        println!("note: {}", printable(&text(note)));
    }
    let threshold = &answer["threshold_percent"];
    if answer["is_drift"] == true {
        println!("Figures marked ! differ by more than {threshold} %.");
    } else {
        println!("All figures agree within {threshold} %.");
    }
}

fn line(row: &Value, figure: &Value) -> Vec<String> {
    let name = text(&figure["name"]);
    let amount = |value: &Value| match name.as_str() {
        "cost" => show::nano_usd(value),
        _ => value.to_string(),
    };
    vec![
        row["day"].as_str().unwrap_or("all days").to_owned(),
        text(&row["model"]),
        name.replace('_', " "),
        amount(&figure["ours"]),
        amount(&figure["theirs"]),
        figure["drift_percent"].as_f64().map_or("only ours".to_owned(), |percent| format!("{percent:+.2} %")),
        if figure["is_drift"] == true { "!".to_owned() } else { String::new() },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::usd;

    #[test]
    fn a_line_names_its_drift() {
        let row = json!({"day": null, "model": "gpt-4o"});
        let figure = json!({"name": "cost", "ours": 1_010_000_000i64, "theirs": 1_000_000_000, "drift_percent": 1.0, "is_drift": true});
        assert_eq!(line(&row, &figure), ["all days", "gpt-4o", "cost", &usd(1.01), "$1.00", "+1.00 %", "!"]);
    }
}
