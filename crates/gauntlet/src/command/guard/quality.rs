//! `gauntlet guard quality`: the card of the detectors on labelled sets, its speeds, and what got worse.

use std::{fs, io::Read, path::Path, process::ExitCode, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use gauntlet_guard::{
    Scanner,
    quality::{
        Row,
        card::{self, Role, Sets},
        speed, synthetic,
    },
};
use serde_json::{Value, json};

use crate::{
    cli::{Place, Quality},
    show::{self, Column},
    wiring,
};

/// A larger file is no set of examples.
const SET_MAX: u64 = 1 << 30;

pub fn run(place: &Place, asked: &Quality) -> Result<ExitCode> {
    let (sets, command) = match asked.made {
        true => (synthetic::sets(), "gauntlet guard quality --made".to_owned()),
        // The folder has another name elsewhere.
        false => (read(&place.data)?, "gauntlet guard quality --data DIR".to_owned()),
    };
    let scanner = Scanner::new();
    let mut figures = card::card(&scanner, &sets);
    if !asked.no_speed {
        let begun = Instant::now();
        figures["speed"] = speed::speed(&scanner, &sets, &|| begun.elapsed().as_secs_f64());
    }
    let card = with_head(figures, &command, &sets);
    let drops = match &asked.against {
        None => Vec::new(),
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let committed: Value =
                serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
            card::drops(&committed, &card, asked.margin)
        }
    };
    match place.json {
        true if asked.against.is_some() => show::json(&json!({"card": card, "drops": drops})),
        true => show::json(&card),
        false => print(&card),
    }
    if asked.against.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    if !place.json {
        println!("\n{}", if drops.is_empty() { "No figure dropped." } else { "Worse than the card:" });
        for drop in &drops {
            println!("  {drop}");
        }
    }
    Ok(if drops.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What a reader must know about the figures stands before them.
fn with_head(figures: Value, command: &str, sets: &Sets) -> Value {
    let rows = sets.iter().map(|(name, rows)| (name.clone(), rows.len().into()));
    let mut card = json!({
        "what": "quality of the detectors; spans count at an intersection over union of one half",
        "version": wiring::VERSION, "date": wiring::now().day().to_string(), "command": command,
        "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
        "sets": rows.collect::<serde_json::Map<_, _>>(),
    });
    if sets.iter().any(|(name, rows)| Role::of(name, rows) == Role::Taught) {
        card["caution"] = "the weights of injection were taught with sets of this folder, so its figures for injection \
            are those of rows that the model knows; docs/guard-quality.json has the figures of rows that it does not"
            .into();
    }
    if let (Some(card), Value::Object(figures)) = (card.as_object_mut(), figures) {
        card.extend(figures);
    }
    card
}

fn read(dir: &Path) -> Result<Sets> {
    let entries = fs::read_dir(dir).with_context(|| {
        format!("cannot read the folder {}; name the folder of the sets by --data", dir.display())
    })?;
    let mut sets = Sets::new();
    for entry in entries {
        let path = entry?.path();
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_packed = file.ends_with(".gz");
        let Some(name) = file.strip_suffix(".gz").unwrap_or(file).strip_suffix(".jsonl") else { continue };
        let rows = rows(&path, is_packed).with_context(|| path.display().to_string())?;
        sets.insert(name.to_owned(), rows);
    }
    if sets.is_empty() {
        bail!(
            "{} has no file that ends in .jsonl or .jsonl.gz; name the folder of the sets by --data",
            dir.display()
        );
    }
    Ok(sets)
}

fn rows(path: &Path, is_packed: bool) -> Result<Vec<Row>> {
    let file = fs::File::open(path)?;
    let mut text = String::new();
    let read = match is_packed {
        true => flate2::read::GzDecoder::new(file).take(SET_MAX + 1).read_to_string(&mut text)?,
        false => file.take(SET_MAX + 1).read_to_string(&mut text)?,
    };
    ensure!(read as u64 <= SET_MAX, "it is longer than {} MB", SET_MAX >> 20);
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| {
            let row = serde_json::from_str(line).with_context(|| format!("line {} is no JSON", i + 1))?;
            Ok(Row::of(&row))
        })
        .collect()
}

fn print(card: &Value) {
    println!("Quality of the detectors, {} ({})", show::text(&card["date"]), show::text(&card["profile"]));
    if let Some(caution) = card["caution"].as_str() {
        println!("caution: {caution}");
    }
    let mut rows = Vec::new();
    for family in ["pii", "secrets"] {
        for (name, set) in card[family].as_object().into_iter().flatten() {
            rows.push(span_row(name.clone(), set));
            if set["disguised"].is_object() {
                rows.push(span_row(format!("{name}, disguised"), &set["disguised"]));
            }
        }
    }
    let columns = [
        Column::Left("spans"),
        Column::Right("labelled"),
        Column::Right("precision"),
        Column::Right("recall"),
        Column::Right("F1"),
        Column::Right("right type"),
        Column::Right("rows without any flagged"),
    ];
    println!();
    show::table(&columns, rows, "No set has spans.");
    types(card);
    if let Some(clean) = card["clean_text"].as_object() {
        println!();
        let columns =
            [Column::Left("clean text"), Column::Right("rows"), Column::Right("flagged"), Column::Left("as")];
        let rows = clean.iter().map(|(name, one)| {
            let types = one["by_type"].as_object().into_iter().flatten();
            let types: Vec<String> = types.map(|(label, count)| format!("{label} {count}")).collect();
            vec![name.replace('_', " "), number(&one["rows"]), flagged(one), types.join(", ")]
        });
        show::table(&columns, rows.collect(), "");
    }
    if card["injection"].is_object() {
        injection(&card["injection"]);
    }
    for (name, why) in card["left_out"].as_object().into_iter().flatten() {
        println!("\nleft out: {name}: {}", show::text(why));
    }
    if let Some(speed) = card["speed"].as_object() {
        println!("\nSpeed on one core");
        for (name, figure) in speed.iter().filter(|(_, figure)| figure.is_number()) {
            println!("  {}: {figure} MB/s", name.trim_end_matches("_mb_s").replace('_', " "));
        }
        let prompt = &speed["prompt_4kb_us"];
        println!("  a prompt of 4 KB: p50 {} µs, p99 {} µs", prompt["p50"], prompt["p99"]);
    }
    weakest(&card["weakest"]);
}

fn span_row(name: String, set: &Value) -> Vec<String> {
    let negatives = &set["negatives"];
    let without = if negatives.is_object() { flagged(negatives) } else { String::new() };
    let share = |name: &str| share(&set[name]);
    let shares = [share("precision"), share("recall"), share("f1"), share("typed_recall")];
    [vec![name, number(&set["spans"])], shares.to_vec(), vec![without]].concat()
}

/// Types that are not all right; of the others there is nothing to say.
fn types(card: &Value) {
    let mut rows = Vec::new();
    for family in ["pii", "secrets"] {
        for (set, figures) in card[family].as_object().into_iter().flatten() {
            for (label, one) in figures["by_type"].as_object().into_iter().flatten() {
                if one["precision"] != 1.0 || (one["spans"] != 0 && one["typed_recall"] != 1.0) {
                    rows.push(span_row(format!("{set}: {label}"), one));
                }
            }
            for (disguise, one) in figures["disguised"]["by"].as_object().into_iter().flatten() {
                if one["recall"] != 1.0 {
                    rows.push(span_row(format!("{set}, disguised: {disguise}"), one));
                }
            }
        }
    }
    let columns = [
        Column::Left("not all right"),
        Column::Right("labelled"),
        Column::Right("precision"),
        Column::Right("recall"),
        Column::Right("F1"),
        Column::Right("right type"),
        Column::Right(""),
    ];
    println!();
    show::table(&columns, rows, "Every type and disguise is all right.");
}

fn injection(figures: &Value) {
    let shipped = &figures["shipped"];
    println!(
        "\nInjection: AUC {}, recall {} at 1 % and {} at 5 % false positives; at the shipped threshold {} recall {}, harmless rows {}, clean rows {}\n",
        figures["auc"],
        share(&figures["recall"]["at_1"]),
        share(&figures["recall"]["at_5"]),
        rounded(&shipped["threshold"]["user"]),
        share(&shipped["recall"]["user"]),
        share(&shipped["benign"]["flagged"]),
        share(&shipped["clean"]["flagged"]),
    );
    let columns = [
        Column::Left("attacks"),
        Column::Right("rows"),
        Column::Right("at 1 %"),
        Column::Right("at 5 %"),
        Column::Right("shipped"),
    ];
    let rows = figures["attacks"].as_object().into_iter().flatten().map(|(name, one)| {
        let of = |name: &str| share(&one[name]);
        vec![name.clone(), number(&one["rows"]), of("recall_at_1"), of("recall_at_5"), of("recall_shipped")]
    });
    show::table(&columns, rows.collect(), "No attacks.");
    println!();
    let columns = [
        Column::Left("harmless"),
        Column::Right("rows"),
        Column::Right("flagged of a user"),
        Column::Right("of a tool"),
    ];
    let rows = figures["benign"].as_object().into_iter().flatten().map(|(name, one)| {
        vec![name.clone(), number(&one["rows"]), share(&one["flagged"]), share(&one["flagged_untrusted"])]
    });
    show::table(&columns, rows.collect(), "No harmless rows.");
}

/// Last, so that it is what stays on the screen.
fn weakest(weakest: &Value) {
    for (name, title) in
        [("recall", "weakest: finds least"), ("flagged", "weakest: flags most that is harmless")]
    {
        let rows: Vec<Vec<String>> = weakest[name]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| vec![show::text(&one["figure"]), share(&one["value"]), number(&one["rows"])])
            .collect();
        if rows.is_empty() {
            continue;
        }
        println!();
        show::table(&[Column::Left(title), Column::Right("share"), Column::Right("rows")], rows, "");
    }
}

fn number(value: &Value) -> String {
    value.as_u64().map_or_else(String::new, |number| number.to_string())
}

fn share(value: &Value) -> String {
    value.as_f64().map_or_else(String::new, |share| format!("{share:.4}"))
}

fn rounded(value: &Value) -> String {
    value.as_f64().map_or_else(String::new, |number| format!("{number:.3}"))
}

fn flagged(one: &Value) -> String {
    format!("{} of {}", number(&one["flagged_rows"]), number(&one["rows"]))
}
