//! Measures the checks that need no labelled spans: `checks DIR`.
//!
//! `DIR` holds `toxicity.jsonl.gz`, `clean_text.jsonl.gz`, `overdefense_benign.jsonl.gz` and `injection_attacks.jsonl.gz`,
//! one JSON object a line with `text`, `label` and `category`. Shown are how many rows each check flags, whether streamed
//! and whole texts give the same, and how many megabytes a second each check reads.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path, sync::Arc, time::Instant};

use gauntlet_guard::{
    Extras, Kinds, LeakWatch, LinkRules, Profanity, Refusals, Scanner, StreamRedactor, Taint, Trust, Words,
    redact,
};
use serde_json::Value;

struct Row {
    text: String,
    category: String,
    is_positive: bool,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: checks DIR [--list]")?;
    let shows = args.next().as_deref() == Some("--list");
    let dir = Path::new(&dir);
    let toxic = read(&dir.join("toxicity.jsonl.gz"))?;
    let clean = read(&dir.join("clean_text.jsonl.gz"))?;
    let benign = read(&dir.join("overdefense_benign.jsonl.gz"))?;
    let attacks = read(&dir.join("injection_attacks.jsonl.gz"))?;

    profanity(&toxic, &[("clean_text", &clean), ("overdefense_benign", &benign)], shows);
    for (name, rows) in
        [("clean_text", &clean), ("overdefense_benign", &benign), ("injection_attacks", &attacks)]
    {
        links(name, rows, shows);
    }
    refusals(&[("clean_text", &clean), ("overdefense_benign", &benign), ("toxicity", &toxic)], shows);
    let sets = [&toxic, &clean, &benign, &attacks];
    streams(&sets, shows);
    speed(&sets);
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Row>, Failure> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(path)?).read_to_string(&mut text)?;
    let rows = text.lines().map(|line| {
        let value: Value = serde_json::from_str(line)?;
        let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Ok(Row { text: field("text"), category: field("category"), is_positive: value["label"] == 1 })
    });
    rows.collect()
}

fn profanity(toxic: &[Row], others: &[(&str, &[Row])], shows: bool) {
    let lexicon = Profanity::new();
    let flags = |row: &Row| {
        let mut found = Vec::new();
        lexicon.find(&row.text, &mut found);
        found.first().map(|finding| row.text[finding.span.clone()].to_owned())
    };
    let mut by_category: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let (mut right, mut wrong) = (0, 0);
    for row in toxic {
        let is_flagged = flags(row).is_some();
        let count = by_category.entry(&row.category).or_default();
        *count = (count.0 + usize::from(is_flagged), count.1 + 1);
        if row.is_positive {
            right += usize::from(is_flagged);
        } else {
            wrong += usize::from(is_flagged);
        }
    }
    println!(
        "profanity: precision on toxicity {:.3}",
        f64::from(right as u32) / f64::from((right + wrong).max(1) as u32)
    );
    for (category, (flagged, all)) in by_category {
        println!("  {category}: {flagged} of {all} rows");
    }
    for (name, rows) in others {
        let flagged: Vec<String> = rows.iter().filter_map(flags).collect();
        println!("  {name}: {} of {} rows", flagged.len(), rows.len());
        if shows {
            println!("    {flagged:?}");
        }
    }
}

fn links(name: &str, rows: &[Row], shows: bool) {
    let rules = LinkRules::default();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        let mut found = Vec::new();
        rules.find(&row.text, &mut found);
        for finding in &found {
            *counts.entry(finding.label).or_default() += 1;
            if shows && finding.label != "link" {
                println!("    {}: {}", finding.label, &row.text[finding.span.clone()]);
            }
        }
    }
    println!("links in {name}, no host allowed: {counts:?}");
}

fn refusals(sets: &[(&str, &[Row])], shows: bool) {
    let refusals = Refusals::new();
    for (name, rows) in sets {
        let flagged: Vec<&Row> = rows.iter().filter(|row| refusals.is_refusal(&row.text)).collect();
        println!("refusals in {name}: {} of {}", flagged.len(), rows.len());
        for row in flagged.iter().filter(|_| shows) {
            println!("    {}", row.text.chars().take(160).collect::<String>());
        }
    }
}

fn extras() -> Extras {
    Extras {
        links: Some(Arc::new(LinkRules::default())),
        words: Words::new(&["kestrel-4417-plum"]).map(Arc::new),
        profanity: Some(Arc::new(Profanity::new())),
    }
}

/// Streams every row in pieces of several sizes and compares it with the scan of the whole.
fn streams(sets: &[&Vec<Row>], shows: bool) {
    let scanner = Arc::new(Scanner::new());
    let kinds = Kinds { injection: false, ..Kinds::ALL };
    let (mut count, mut different) = (0, 0);
    for row in sets.iter().flat_map(|rows| rows.iter()) {
        let mut found = Vec::new();
        scanner.scan_with(&row.text, Trust::User, kinds, &extras(), &mut found);
        let expected = redact(&row.text, &found);
        for size in [3, 17] {
            let mut redactor = StreamRedactor::with(Arc::clone(&scanner), kinds, extras());
            let mut shown = String::new();
            let chars: Vec<char> = row.text.chars().collect();
            for piece in chars.chunks(size) {
                shown.push_str(&redactor.push(&piece.iter().collect::<String>()));
            }
            shown.push_str(&redactor.finish());
            count += 1;
            let is_different = shown != expected || redactor.findings() != found;
            different += usize::from(is_different);
            if is_different && shows {
                println!(
                    "    in pieces of {size}: {:?}\n    {:?}\n    {:?}",
                    row.text,
                    redactor.findings(),
                    found
                );
            }
        }
    }
    println!("streams: {different} of {count} differ from the whole");
}

fn speed(sets: &[&Vec<Row>]) {
    let text: String =
        sets.iter().flat_map(|rows| rows.iter()).map(|row| row.text.as_str()).collect::<Vec<_>>().join("\n");
    let measure = |name: &str, work: &dyn Fn() -> usize| {
        let begun = Instant::now();
        let mut rounds = 0;
        let mut found = 0;
        while rounds < 3 {
            found = work();
            rounds += 1;
        }
        let seconds = begun.elapsed().as_secs_f64() / f64::from(rounds);
        println!("{name}: {:.1} MB/s, {found} found", text.len() as f64 / 1e6 / seconds);
    };
    let extras = extras();
    let count = |work: &dyn Fn(&mut Vec<gauntlet_types::Finding>)| {
        let mut found = Vec::new();
        work(&mut found);
        found.len()
    };
    measure("links", &|| count(&|out| LinkRules::default().find(&text, out)));
    if let Some(words) = &extras.words {
        measure("words", &|| count(&|out| words.find(&text, out)));
    }
    let lexicon = Profanity::new();
    measure("profanity", &|| count(&|out| lexicon.find(&text, out)));
    let system = &text[..text.char_indices().nth(4000).map_or(text.len(), |(at, _)| at)];
    measure("leak", &|| {
        let mut watch = LeakWatch::new(&["the words of a system text that no one says in any of these rows, but which are watched all the same"])
            .expect("it is long enough");
        watch.push(&text).len() & 1
    });
    measure("taint", &|| Taint::of(&[&text], &[system]).check("{}").len());
    let scanner = Scanner::new();
    let kinds = Kinds { injection: false, ..Kinds::ALL };
    measure("pii and secrets", &|| count(&|out| scanner.scan(&text, kinds, out)));
    measure("pii, secrets and extras", &|| {
        count(&|out| scanner.scan_with(&text, Trust::User, kinds, &extras, out))
    });
    let begun = Instant::now();
    for _ in 0..100 {
        std::hint::black_box(Words::new(&["kestrel-4417-plum"]));
    }
    println!("words built in {:.0} microseconds", begun.elapsed().as_secs_f64() * 1e4);
}
