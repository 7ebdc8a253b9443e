//! Lists what the detectors miss and what they find too much of, while they are tuned: `score DIR [--list NAME]`.
//!
//! `DIR` holds the sets as JSON lines, plain or gzipped. Prints the quality card of `gauntlet guard quality` (the scorer is
//! the same, `quality` in this crate), of the made set where DIR is `made`, and with `--list SET` each row of a set that was not read as it is labelled,
//! with `--list disguised` which disguises hide what.

use std::{io::Read, path::Path, time::Instant};

use gauntlet_guard::{
    Kinds, Scanner,
    quality::{
        Flagged, Row,
        card::{Role, Sets, card},
        disguise::Disguised,
        spans::{Mistake, Spans},
        speed, synthetic,
    },
};

const USAGE: &str = "usage: score DIR [--list NAME]";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or(USAGE)?;
    let list = match (args.next().as_deref(), args.next()) {
        (Some("--list"), Some(name)) => Some(name),
        (None, _) => None,
        _ => return Err(USAGE.into()),
    };
    let sets = if dir == "made" { synthetic::sets() } else { read(Path::new(&dir))? };
    let scanner = Scanner::new();
    match list.as_deref() {
        None => {
            let mut figures = card(&scanner, &sets);
            let begun = Instant::now();
            figures["speed"] = speed::speed(&scanner, &sets, &|| begun.elapsed().as_secs_f64());
            println!("{figures:#}");
        }
        Some("disguised") => {
            let rows = sets.get("pii").ok_or("there is no set `pii`")?;
            let kinds = Kinds { pii: true, ..Kinds::NONE };
            let scored = Disguised::score(&scanner, rows, kinds, |disguise, row| {
                println!("missed {disguise} {} in {:?}", row.gold[0].label, head(&row.text));
            });
            println!("{:#}", scored.json());
        }
        Some(name) => {
            let rows = sets.get(name).ok_or_else(|| format!("there is no set `{name}`"))?;
            list_set(&scanner, Role::of(name, rows), rows);
        }
    }
    Ok(())
}

fn list_set(scanner: &Scanner, role: Role, rows: &[Row]) {
    let kinds = match role {
        Role::Pii => Kinds { pii: true, ..Kinds::NONE },
        Role::Secrets => Kinds { secrets: true, ..Kinds::NONE },
        Role::Clean => Kinds::ALL,
        Role::Injection | Role::Taught | Role::Toxicity => Kinds { injection: true, ..Kinds::NONE },
    };
    if !kinds.injection {
        let scored = Spans::score(scanner, rows, kinds, |row, mistake| {
            let text = head(&row.text);
            match mistake {
                Mistake::TooMuch { finding, value } => {
                    println!("too much {} `{value}` in {text:?}", finding.label)
                }
                Mistake::Missed(gold) => println!("missed {} `{}` in {text:?}", gold.label, gold.value),
                Mistake::Mistaken { gold, for_ } => {
                    println!("mistaken {} for {for_:?} `{}`", gold.label, gold.value);
                }
            }
        });
        println!("{:#}", scored.json());
        return;
    }
    for row in rows {
        let flagged = Flagged::count(scanner, std::slice::from_ref(row), kinds);
        if (flagged.flagged > 0) != row.is_positive {
            let score = scanner.injection_score(&row.text);
            println!("{} {:?} {score:.3} {:?}", row.slice, flagged.by_type, head(&row.text));
        }
    }
}

fn read(dir: &Path) -> Result<Sets, Box<dyn std::error::Error>> {
    let mut sets = Sets::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let mut text = String::new();
        let name = match (file.strip_suffix(".jsonl"), file.strip_suffix(".jsonl.gz")) {
            (Some(name), _) => {
                text = std::fs::read_to_string(&path)?;
                name
            }
            (_, Some(name)) => {
                flate2::read::GzDecoder::new(std::fs::File::open(&path)?).read_to_string(&mut text)?;
                name
            }
            (None, None) => continue,
        };
        let rows: Result<Vec<Row>, serde_json::Error> =
            text.lines().map(|line| Ok(Row::of(&serde_json::from_str(line)?))).collect();
        sets.insert(name.to_owned(), rows?);
    }
    Ok(sets)
}

fn head(text: &str) -> String {
    text.chars().take(200).collect()
}
