//! Measures the detectors on labelled sets: `score DIR [--list NAME] [--limit N]`.
//!
//! `DIR` holds the sets uncompressed, one JSON object a line: `pii.jsonl`, `secrets.jsonl`, `clean_text.jsonl`,
//! `injection_attacks.jsonl`, `overdefense_benign.jsonl`. A found span counts when it covers a labelled one with an
//! intersection over union of at least one half. `--list pii` shows what was missed and what was too much, and
//! `--list disguised` which disguises hide what. `--list streams` cuts every text in pieces instead and compares. Types of other projects' tests are read by the names of ours.

mod disguise;

use std::{collections::BTreeMap, ops::Range, path::Path, sync::Arc, time::Instant};

use gauntlet_guard::{Kinds, Scanner, StreamRedactor, code_points};
use gauntlet_types::Finding;
use serde_json::Value;

struct Gold {
    span: Range<usize>,
    label: String,
    value: String,
    /// A wider span that counts as well.
    wider: Option<Range<usize>>,
    is_pattern: bool,
}

struct Case {
    text: String,
    gold: Vec<Gold>,
    slice: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: score DIR [--list NAME]")?;
    let list = match (args.next().as_deref(), args.next()) {
        (Some("--list"), Some(name)) => Some(name),
        _ => None,
    };
    let dir = Path::new(&dir);
    let begun = Instant::now();
    let scanner = Scanner::new();
    println!("built in {:.2} ms", begun.elapsed().as_secs_f64() * 1e3);
    let shows = |name: &str| list.as_deref() == Some(name);

    if shows("streams") {
        let scanner = Arc::new(Scanner::new());
        for name in ["pii", "secrets", "clean_text"] {
            streamed(&scanner, name, &read(&dir.join(format!("{name}.jsonl")))?);
        }
        return Ok(());
    }
    let pii = Kinds { pii: true, ..Kinds::NONE };
    let secrets = Kinds { secrets: true, ..Kinds::NONE };
    let injection = Kinds { injection: true, ..Kinds::NONE };
    spans(&scanner, "pii", &read(&dir.join("pii.jsonl"))?, pii, shows("pii"));
    spans(&scanner, "secrets", &read(&dir.join("secrets.jsonl"))?, secrets, shows("secrets"));
    for name in ["pii_presidio_unit_conformance", "secrets_kingfisher_examples"] {
        if let Ok(cases) = read(&dir.join(format!("{name}.jsonl"))) {
            let kinds = if name.starts_with("pii") { pii } else { secrets };
            spans(&scanner, name, &cases, kinds, shows(name));
        }
    }
    disguised(&scanner, &read(&dir.join("pii.jsonl"))?, pii, shows("disguised"));
    for name in ["secrets", "secrets_kingfisher_examples"] {
        if let Ok(cases) = read(&dir.join(format!("{name}.jsonl"))) {
            let negative: Vec<Case> = cases.into_iter().filter(|case| case.gold.is_empty()).collect();
            flagged(&scanner, &format!("{name} negatives"), &negative, secrets, shows("negatives"), true);
        }
    }
    let clean = read(&dir.join("clean_text.jsonl"))?;
    let both = Kinds { pii: true, ..secrets };
    let all = [
        ("clean pii", pii),
        ("clean secrets", secrets),
        ("clean both", both),
        ("clean injection", injection),
    ];
    for (name, kinds) in all {
        flagged(&scanner, name, &clean, kinds, shows("clean"), true);
    }
    let attacks = read(&dir.join("injection_attacks.jsonl"))?;
    let benign = read(&dir.join("overdefense_benign.jsonl"))?;
    flagged(&scanner, "attacks", &attacks, injection, shows("attacks"), false);
    flagged(&scanner, "benign", &benign, injection, shows("benign"), true);
    ranked(&scanner, &attacks, &benign, &clean);
    Ok(())
}

/// Recall of disguised values, by disguise.
fn disguised(scanner: &Scanner, cases: &[Case], kinds: Kinds, is_listed: bool) {
    let (mut all, mut right) = (0, 0);
    for (name, disguise) in disguise::ALL {
        let cases = disguise::apply(cases, disguise);
        let mut hits = 0;
        for case in &cases {
            let mut findings = Vec::new();
            scanner.scan(&case.text, kinds, &mut findings);
            let is_found = findings.iter().any(|found| {
                overlap(&case.gold[0].span, &code_points(&case.text, found.span.clone())) >= 0.5
            });
            hits += usize::from(is_found);
            if is_listed && !is_found {
                println!("  missed {name} {} in {:?}", case.gold[0].label, head(&case.text));
            }
        }
        println!("  disguised {name}: {hits} of {} ({:.3})", cases.len(), ratio(hits, cases.len()));
        (all, right) = (all + cases.len(), right + hits);
    }
    println!("disguised: recall {:.4} ({all} values)", ratio(right, all));
}

/// Whether streams cut in pieces of several lengths give what the whole gives, and how much they held back at most.
fn streamed(scanner: &Arc<Scanner>, name: &str, cases: &[Case]) {
    let kinds = Kinds { pii: true, secrets: true, injection: false };
    let (mut unlike, mut held_most) = (0, 0);
    for case in cases {
        let mut findings = Vec::new();
        scanner.scan(&case.text, kinds, &mut findings);
        let whole = gauntlet_guard::redact(&case.text, &findings);
        let chars: Vec<char> = case.text.chars().collect();
        for len in [1, 2, 5, 17, 64] {
            let mut redactor = StreamRedactor::new(scanner.clone(), kinds);
            let mut shown = String::new();
            for piece in chars.chunks(len) {
                shown.push_str(&redactor.push(&piece.iter().collect::<String>()));
                held_most = held_most.max(redactor.held_len());
            }
            shown.push_str(&redactor.finish());
            if shown != whole {
                unlike += 1;
                println!(
                    "  pieces of {len}: {:?}\n    whole {whole:?}\n    gives {shown:?}",
                    head(&case.text)
                );
                break;
            }
        }
    }
    println!(
        "{name} in pieces: {unlike} of {} unlike the whole, at most {held_most} bytes held",
        cases.len()
    );
}

fn ratio(part: usize, all: usize) -> f64 {
    part as f64 / all.max(1) as f64
}

fn read(path: &Path) -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    let mut cases = Vec::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let row: Value = serde_json::from_str(line)?;
        let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let span = |value: &Value| {
            let at = |key: &str| value.get(key).and_then(Value::as_u64).map(|n| n as usize);
            Some(at("start")?..at("end")?)
        };
        let gold = row.get("spans").and_then(Value::as_array).into_iter().flatten().filter_map(|gold| {
            Some(Gold {
                span: span(gold)?,
                label: ours(gold.get("type")?.as_str()?)?.to_owned(),
                value: gold.get("value").and_then(Value::as_str).unwrap_or_default().to_owned(),
                wider: gold.get("alt").and_then(span),
                is_pattern: gold.get("class").is_none_or(|class| class == "pattern"),
            })
        });
        // Attacks have a category, of which the part before the colon says enough.
        let slice = match text("slice") {
            slice if slice.is_empty() => text("category").split(':').next().unwrap_or_default().to_owned(),
            slice => slice,
        };
        cases.push(Case { text: text("text"), gold: gold.collect(), slice });
    }
    Ok(cases)
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> f64 {
    let shared = a.end.min(b.end).saturating_sub(a.start.max(b.start));
    shared as f64 / (a.len() + b.len() - shared).max(1) as f64
}

/// What a type is called in other projects' tests; `None` for types that are not of patterns.
fn ours(label: &str) -> Option<&str> {
    match label {
        "ABA_ROUTING_NUMBER" => Some("ABA_ROUTING"),
        "PH_MOBILE_NUMBER" | "TR_PHONE_NUMBER" => Some("PHONE_NUMBER"),
        "DATE_TIME" | "URL" => None,
        label => Some(label),
    }
}

/// Found, wanted and right, of one type.
#[derive(Default)]
struct Count {
    gold: usize,
    recalled: usize,
    typed: usize,
    found: usize,
    right: usize,
}

fn spans(scanner: &Scanner, name: &str, cases: &[Case], kinds: Kinds, is_listed: bool) {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for case in cases {
        let mut findings = Vec::new();
        scanner.scan(&case.text, kinds, &mut findings);
        let spans: Vec<(Range<usize>, &Finding)> =
            findings.iter().map(|finding| (code_points(&case.text, finding.span.clone()), finding)).collect();
        let fits = |gold: &Gold, span: &Range<usize>| {
            overlap(&gold.span, span) >= 0.5
                || gold.wider.as_ref().is_some_and(|wider| overlap(wider, span) >= 0.5)
        };
        for (span, finding) in &spans {
            let is_right = case.gold.iter().any(|gold| gold.is_pattern && fits(gold, span));
            let is_other = case.gold.iter().any(|gold| !gold.is_pattern && overlap(&gold.span, span) > 0.0);
            if is_right || !is_other {
                let count = counts.entry(finding.label.to_owned()).or_default();
                count.found += 1;
                count.right += usize::from(is_right);
            }
            if is_listed && !is_right && !is_other {
                let value = &case.text[finding.span.clone()];
                println!("  too much {} `{value}` in {:?}", finding.label, head(&case.text));
            }
        }
        for gold in case.gold.iter().filter(|gold| gold.is_pattern) {
            let fitting: Vec<_> =
                spans.iter().filter(|(span, _)| fits(gold, span)).map(|(_, f)| f.label).collect();
            let is_typed = fitting.contains(&gold.label.as_str());
            let count = counts.entry(gold.label.clone()).or_default();
            count.gold += 1;
            count.recalled += usize::from(!fitting.is_empty());
            count.typed += usize::from(is_typed);
            if is_listed && fitting.is_empty() {
                println!("  missed {} `{}` in {:?}", gold.label, gold.value, head(&case.text));
            } else if is_listed && !is_typed {
                println!("  mistaken {} for {fitting:?} `{}`", gold.label, gold.value);
            }
        }
    }
    let sum = |of: fn(&Count) -> usize| counts.values().map(of).sum::<usize>();
    let precision = ratio(sum(|c| c.right), sum(|c| c.found));
    let recall = ratio(sum(|c| c.recalled), sum(|c| c.gold));
    let f1 = 2.0 * precision * recall / (precision + recall).max(1e-9);
    let typed = ratio(sum(|c| c.typed), sum(|c| c.gold));
    println!(
        "{name}: P {precision:.4} R {recall:.4} F1 {f1:.4} typed recall {typed:.4} ({} spans)",
        sum(|c| c.gold)
    );
    // Types that are all right say nothing; of hundreds of kinds of one, the sum says enough.
    let weak = counts.iter().filter(|(_, c)| c.typed < c.gold || c.right < c.found);
    for (label, c) in weak.take(if counts.len() > 100 { 0 } else { counts.len() }) {
        let (right, found) = (c.right, c.found);
        println!(
            "  {label}: recall {}/{}, typed {}/{}, precision {right}/{found}",
            c.recalled, c.gold, c.typed, c.gold
        );
    }
}

fn flagged(scanner: &Scanner, name: &str, cases: &[Case], kinds: Kinds, is_listed: bool, lists_hits: bool) {
    let mut hits = 0;
    let mut by_label: BTreeMap<&str, usize> = BTreeMap::new();
    let mut by_slice: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut spent = std::time::Duration::ZERO;
    for case in cases {
        let mut findings = Vec::new();
        let begun = Instant::now();
        scanner.scan(&case.text, kinds, &mut findings);
        spent += begun.elapsed();
        let slice = by_slice.entry(&case.slice).or_default();
        slice.1 += 1;
        if !findings.is_empty() {
            hits += 1;
            slice.0 += 1;
        }
        for finding in &findings {
            *by_label.entry(finding.label).or_default() += 1;
        }
        if is_listed && findings.is_empty() != lists_hits {
            let what: Vec<_> = findings.iter().map(|f| (f.label, &case.text[f.span.clone()])).collect();
            println!("  {what:?} in {:?}", head(&case.text));
        }
    }
    println!(
        "{name}: {hits} of {} rows flagged ({:.2} %, {:.0} MB/s) {by_label:?}",
        cases.len(),
        100.0 * hits as f64 / cases.len() as f64,
        cases.iter().map(|case| case.text.len()).sum::<usize>() as f64 / 1e6 / spent.as_secs_f64()
    );
    if by_slice.len() > 1 {
        println!("  {by_slice:?}");
    }
}

/// How well the score of injection tells attacks from harmless text. On the sets that the weights were taught with, these are
/// in-sample figures: those that count stand in `docs/guard-quality.json`.
fn ranked(scanner: &Scanner, attacks: &[Case], benign: &[Case], clean: &[Case]) {
    let begun = Instant::now();
    let score = |cases: &[Case]| -> Vec<f32> {
        cases.iter().map(|case| scanner.injection_score(&case.text)).collect()
    };
    let (hits, others, clean_scores) = (score(attacks), score(benign), score(clean));
    let seconds = begun.elapsed().as_secs_f64();
    let bytes: usize =
        [attacks, benign, clean].iter().flat_map(|cases| cases.iter()).map(|case| case.text.len()).sum();
    let mut sorted = others.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let below = |score: &f32| sorted.len() - sorted.partition_point(|other| other >= score);
    let auc = hits.iter().map(below).sum::<usize>() as f64 / (hits.len() * sorted.len()).max(1) as f64;
    let over = |scores: &[f32], cut: f32| {
        scores.iter().filter(|score| **score > cut).count() as f64 / scores.len().max(1) as f64
    };
    println!(
        "injection score (in-sample where the weights were taught with these rows): AUC {auc:.4}, {:.1} MB/s",
        bytes as f64 / seconds / 1e6
    );
    for share in [0.01, 0.05] {
        let cut = sorted.get((sorted.len() as f64 * share) as usize).copied().unwrap_or(1.0);
        println!(
            "  at {share} false positives (score over {cut:.3}): recall {:.4}, clean {:.4}",
            over(&hits, cut),
            over(&clean_scores, cut)
        );
        for (kind, cases, scores) in [("attack", attacks, &hits), ("benign", benign, &others)] {
            let mut slices: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
            for (case, score) in cases.iter().zip(scores) {
                slices.entry(&case.slice).or_default().push(*score);
            }
            let slices: Vec<_> =
                slices.iter().map(|(slice, scores)| format!("{slice} {:.3}", over(scores, cut))).collect();
            println!("    {kind}: {}", slices.join(", "));
        }
    }
    let shipped = scanner.injection_threshold(gauntlet_guard::Trust::User);
    let traps: Vec<f32> = benign
        .iter()
        .zip(&others)
        .filter(|(case, _)| case.slice == "notinject")
        .map(|(_, score)| *score)
        .collect();
    println!(
        "  at the shipped threshold {shipped:.3}: recall {:.4}, benign {:.4}, notinject {:.4}, clean {:.4}",
        over(&hits, shipped),
        over(&others, shipped),
        over(&traps, shipped),
        over(&clean_scores, shipped)
    );
}

fn head(text: &str) -> String {
    text.chars().take(200).collect()
}
