//! How fast the detectors are. The clock is the caller's.

use gauntlet_types::Finding;
use serde_json::{Value, json};

use super::{
    card::{Role, Sets},
    trigger_count,
};
use crate::{Kinds, Scanner};

/// Texts are scanned again and again for as long (seconds), so that a speed is no accident.
const MEASURED: f64 = 1.5;
const PROMPT: usize = 4 << 10;

/// Megabytes a second on one core, and how long a prompt of 4 KB takes. `clock` says seconds since any instant. Null
/// without a set of clean texts.
///
/// The prefilter is the search for bytes at which something may begin; dense are the texts that are full of findings.
pub fn speed(scanner: &Scanner, sets: &Sets, clock: &dyn Fn() -> f64) -> Value {
    let of = |role: Role| -> Vec<&str> {
        let rows = sets.iter().filter(|(name, rows)| Role::of(name, rows) == role).flat_map(|(_, rows)| rows);
        rows.map(|row| row.text.as_str()).collect()
    };
    let clean = of(Role::Clean);
    if clean.is_empty() {
        return Value::Null;
    }
    let mut dense = of(Role::Pii);
    dense.extend(of(Role::Secrets));
    let mut found: Vec<Finding> = Vec::new();
    let mut scan = |texts: &[&str], kinds: Kinds| {
        megabytes(texts, clock, |text| {
            found.clear();
            scanner.scan(text, kinds, &mut found);
            found.len()
        })
    };
    let private = Kinds { injection: false, ..Kinds::ALL };
    let (p50, p99, prompts) = latency(scanner, &clean, clock);
    json!({
        "clean_whole_mb_s": scan(&clean, Kinds::ALL), "clean_pii_secrets_mb_s": scan(&clean, private),
        "clean_prefilter_mb_s": megabytes(&clean, clock, trigger_count),
        "dense_whole_mb_s": scan(&dense, Kinds::ALL), "dense_pii_secrets_mb_s": scan(&dense, private),
        "prompt_4kb_us": {"p50": p50, "p99": p99, "prompts": prompts},
    })
}

fn megabytes(texts: &[&str], clock: &dyn Fn() -> f64, mut each: impl FnMut(&str) -> usize) -> f64 {
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    if bytes == 0 {
        return 0.0;
    }
    let (begun, mut rounds, mut seen) = (clock(), 0, 0);
    while rounds == 0 || clock() - begun < MEASURED {
        seen += texts.iter().map(|text| each(text)).sum::<usize>();
        rounds += 1;
    }
    std::hint::black_box(seen);
    let per_second = (bytes * rounds) as f64 / (clock() - begun).max(1e-9);
    (per_second / 1e5).round() / 10.0
}

/// Of prompts put together from clean texts, everything looked for: the median and the slowest in a hundred, in µs.
fn latency(scanner: &Scanner, clean: &[&str], clock: &dyn Fn() -> f64) -> (f64, f64, usize) {
    let mut prompts = vec![String::new()];
    for text in clean {
        match prompts.last_mut() {
            Some(last) if last.len() < PROMPT => {
                last.push_str(text);
                last.push('\n');
            }
            _ => prompts.push((*text).to_owned()),
        }
    }
    for prompt in &mut prompts {
        let mut end = PROMPT.min(prompt.len());
        while !prompt.is_char_boundary(end) {
            end -= 1;
        }
        prompt.truncate(end);
    }
    let (mut times, mut found) = (Vec::new(), Vec::new());
    let begun = clock();
    while times.is_empty() || clock() - begun < MEASURED {
        for prompt in &prompts {
            found.clear();
            let from = clock();
            scanner.scan(prompt, Kinds::ALL, &mut found);
            times.push((clock() - from) * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| (times[(times.len() as f64 * share) as usize] * 10.0).round() / 10.0;
    (at(0.5), at(0.99), times.len())
}
