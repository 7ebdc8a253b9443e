//! Measures names and places on labelled sets: `names rules|MODEL_DIR FILE.jsonl[.gz] … [--list]`.
//!
//! Each line of a set is an object with `text` and, where known, `spans` in code points, of which those of the types PERSON
//! and LOCATION count. A found span is right when it covers a labelled one with an intersection over union of at least
//! one half; its label must fit as well. What is found inside of spans of other types is not counted. `--list` shows
//! what was missed and what was too much. The last line says how fast it was.

use std::{collections::BTreeMap, fs::File, io::Read, ops::Range, path::Path, time::Instant};

use flate2::read::GzDecoder;
use gauntlet_models::{Tagger, names};
use gauntlet_types::Finding;
use serde_json::Value;

const LABELS: [&str; 2] = ["PERSON", "LOCATION"];

#[derive(Default)]
struct Count {
    right: usize,
    found: usize,
    labelled: usize,
    labelled_found: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let is_listed = args.last().is_some_and(|arg| arg == "--list");
    args.truncate(args.len() - usize::from(is_listed));
    let (by, files) = args.split_first().ok_or("usage: names rules|MODEL_DIR FILE … [--list]")?;
    let begun = Instant::now();
    let tagger = if by == "rules" { None } else { Some(Tagger::open(Path::new(by))?) };
    println!("ready after {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    for file in files {
        measure(tagger.as_ref(), file, is_listed)?;
    }
    Ok(())
}

fn measure(tagger: Option<&Tagger>, file: &str, is_listed: bool) -> Result<(), Box<dyn std::error::Error>> {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let (mut rows, mut rows_flagged, mut bytes, mut seconds) = (0, 0, 0, 0.0);
    for line in read(file)?.lines() {
        let row: Value = serde_json::from_str(line)?;
        let text = row["text"].as_str().unwrap_or("");
        let begun = Instant::now();
        let found = match tagger {
            Some(tagger) => tagger.entities(text)?,
            None => names::find(text),
        };
        seconds += begun.elapsed().as_secs_f64();
        rows += 1;
        bytes += text.len();
        let found: Vec<Finding> = found.into_iter().filter(|found| LABELS.contains(&found.label)).collect();
        rows_flagged += usize::from(!found.is_empty());
        let gold = labelled(&row, text);
        for label in LABELS {
            let count = counts.entry(label).or_default();
            for (of, span) in gold.iter().filter(|(of, _)| of == label) {
                let is_found =
                    found.iter().any(|found| found.label == of && overlap(&found.span, span) >= 0.5);
                count.labelled += 1;
                count.labelled_found += usize::from(is_found);
                if is_listed && !is_found {
                    println!("missed {label}: {:?} in {text:?}", &text[span.clone()]);
                }
            }
            for found in found.iter().filter(|found| found.label == label) {
                let hits = |(_, span): &&(String, Range<usize>)| {
                    span.start < found.span.end && found.span.start < span.end
                };
                let is_right = gold.iter().any(|(of, span)| of == label && overlap(&found.span, span) >= 0.5);
                if !is_right && gold.iter().filter(hits).any(|(of, _)| !LABELS.contains(&of.as_str())) {
                    continue;
                }
                count.found += 1;
                count.right += usize::from(is_right);
                if is_listed && !is_right {
                    println!("too much {label}: {:?} in {text:?}", &text[found.span.clone()]);
                }
            }
        }
    }
    println!("{file}: {rows} rows, {rows_flagged} with a finding");
    for (label, Count { right, found, labelled, labelled_found }) in counts {
        let precision = right as f64 / found.max(1) as f64;
        let recall = labelled_found as f64 / labelled.max(1) as f64;
        println!(
            "  {label:<10} precision {precision:.3} ({right}/{found})  recall {recall:.3} ({labelled_found}/{labelled})"
        );
    }
    println!(
        "  {:.3} ms a row, {:.3} ms a kilobyte",
        seconds * 1e3 / f64::from(rows.max(1)),
        seconds * 1e6 / bytes.max(1) as f64
    );
    Ok(())
}

/// All labelled spans in bytes, with their types.
fn labelled(row: &Value, text: &str) -> Vec<(String, Range<usize>)> {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let place =
        |value: &Value| value.as_u64().and_then(|at| starts.get(at as usize)).copied().unwrap_or(text.len());
    let spans = row["spans"].as_array().into_iter().flatten();
    spans
        .map(|span| {
            (span["type"].as_str().unwrap_or("").to_owned(), place(&span["start"])..place(&span["end"]))
        })
        .collect()
}

fn overlap(left: &Range<usize>, right: &Range<usize>) -> f64 {
    let shared = left.end.min(right.end).saturating_sub(left.start.max(right.start));
    shared as f64 / (left.len() + right.len() - shared).max(1) as f64
}

fn read(file: &str) -> std::io::Result<String> {
    let mut text = String::new();
    let open = File::open(file)?;
    if file.ends_with(".gz") {
        GzDecoder::new(open).read_to_string(&mut text)
    } else {
        { open }.read_to_string(&mut text)
    }?;
    Ok(text)
}
