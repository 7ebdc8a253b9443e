//! `gauntlet cache quality`: hits and false hits of an embedder on labelled pairs, by threshold.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use gauntlet_models::Embedder;
use gauntlet_pipeline::cache::agree;
use gauntlet_policy::config::EmbedBy;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    cli::{CacheQuality, Place},
    config_dir,
    show::{self, Column},
    wiring,
};

/// Texts are embedded one by one, some milliseconds each.
const PAIRS_MAX: usize = 100_000;
/// False hits that may be taken for hits, by the upper end of their interval.
const FALSE_MAX: f64 = 0.01;
/// Of 95 %, two-sided.
const Z: f64 = 1.959_963_984_540_054;

#[derive(Deserialize)]
struct Pair {
    a: String,
    b: String,
    same: bool,
    #[serde(default)]
    kind: String,
}

/// A pair as the cache sees it.
struct Seen<'a> {
    pair: &'a Pair,
    similarity: f32,
    agrees: bool,
}

pub fn run(place: &Place, asked: &CacheQuality) -> Result<()> {
    let pairs = read(&asked.pairs)?;
    let folder = match &asked.embedder {
        Some(folder) => folder.clone(),
        None => configured(place)?,
    };
    let embedder = Embedder::open(&folder)?;
    let mut vectors: HashMap<&str, Vec<f32>> = HashMap::new();
    let begun = Instant::now();
    for text in pairs.iter().flat_map(|pair| [pair.a.as_str(), pair.b.as_str()]) {
        if !vectors.contains_key(text) {
            vectors.insert(text, embedder.embed(text)?);
        }
    }
    let embed_ms = begun.elapsed().as_secs_f64() * 1e3 / vectors.len() as f64;
    let seen: Vec<Seen<'_>> = pairs
        .iter()
        .map(|pair| {
            let (a, b) = (&vectors[pair.a.as_str()], &vectors[pair.b.as_str()]);
            let similarity = a.iter().zip(b).map(|(a, b)| a * b).sum();
            Seen { pair, similarity, agrees: agree::difference(&pair.a, &pair.b).is_none() }
        })
        .collect();
    let report = report(&seen, vectors.values().next().map_or(0, Vec::len), embed_ms);
    if place.json {
        show::json(&report);
    } else {
        print(&report);
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Pair>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut pairs = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let pair = serde_json::from_str(line).with_context(|| {
            format!("line {} of {} is no pair {{\"a\", \"b\", \"same\"}}", at + 1, path.display())
        })?;
        pairs.push(pair);
        ensure!(
            pairs.len() <= PAIRS_MAX,
            "{} has more than {PAIRS_MAX} pairs; take a part of it",
            path.display()
        );
    }
    let same = pairs.iter().filter(|pair: &&Pair| pair.same).count();
    ensure!(
        same > 0 && same < pairs.len(),
        "{} needs pairs that mean the same and pairs that do not; it has {same} of {}",
        path.display(),
        pairs.len()
    );
    Ok(pairs)
}

/// The folder that the first route with one names.
fn configured(place: &Place) -> Result<PathBuf> {
    let dir = config_dir::read(config_dir::find(place.config.as_deref())?.as_deref())?;
    let Ok(loaded) = wiring::load(&dir, true) else {
        bail!("the configuration has mistakes; `gauntlet check` shows them");
    };
    let config = loaded.policy.config();
    let mut routes: Vec<_> = config.routes.values().chain([&config.default_route]).collect();
    routes.sort_by(|a, b| a.name.cmp(&b.name));
    let folder = routes.iter().find_map(|route| match &route.cache.as_ref()?.semantic.as_ref()?.embedder {
        EmbedBy::Folder(folder) => Some(folder.as_str()),
        EmbedBy::Model(_) => None,
    });
    let Some(folder) = folder else {
        bail!("no route names a folder under `cache: semantic: embedder`; give one by --embedder");
    };
    Ok(dir.dir.map_or_else(|| folder.into(), |dir| dir.join(folder)))
}

fn report(seen: &[Seen<'_>], dimensions: usize, embed_ms: f64) -> Value {
    let same = seen.iter().filter(|seen| seen.pair.same).count();
    let mut killed: BTreeMap<&str, usize> = BTreeMap::new();
    for one in seen.iter().filter(|seen| !seen.agrees) {
        if let Some(difference) = agree::difference(&one.pair.a, &one.pair.b) {
            let side = if one.pair.same { "of_same" } else { "of_others" };
            *killed.entry(side).or_default() += 1;
            *killed.entry(difference.as_str()).or_default() += 1;
        }
    }
    json!({
        "what": "shares of pairs at or above each threshold; intervals of Wilson, 95 %",
        "pairs": {"same": same, "others": seen.len() - same}, "dimensions": dimensions, "embed_ms": round(embed_ms),
        "refused_by_words": killed,
        "with_check": side(seen, true), "without_check": side(seen, false),
    })
}

/// All thresholds, with or without the look at the words.
fn side(seen: &[Seen<'_>], checks: bool) -> Value {
    let lines: Vec<Line> = (70..100).map(|percent| Line::of(seen, percent, checks)).collect();
    let good = lines.iter().filter(|line| line.falsely.2 <= FALSE_MAX);
    // Of equal ones the highest.
    let advised = good.max_by_key(|line| (line.hits, line.percent));
    let threshold = |line: &Line| f64::from(line.percent) / 100.0;
    let at_advised = advised.map(|line| kinds(seen, threshold(line) as f32, checks));
    json!({
        "advised": advised.map_or("none".into(), |line| json!(threshold(line))),
        "false_hits_by_kind_at_advised": at_advised,
        "false_hits_by_kind_at_0.95": kinds(seen, 0.95, checks),
        "thresholds": lines.iter().map(Line::json).collect::<Vec<_>>(),
    })
}

/// False hits of each kind, and how many pairs of it there are.
fn kinds(seen: &[Seen<'_>], threshold: f32, checks: bool) -> Value {
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for one in seen.iter().filter(|seen| !seen.pair.same) {
        let count = kinds.entry(&one.pair.kind).or_default();
        count.0 += usize::from(one.similarity >= threshold && (one.agrees || !checks));
        count.1 += 1;
    }
    let shown = kinds
        .into_iter()
        .map(|(kind, (hits, of))| (kind.to_owned(), json!({"false_hits": hits, "pairs": of})));
    Value::Object(shown.collect())
}

/// Share, and the ends of its interval.
type Share = (f64, f64, f64);

struct Line {
    percent: u32,
    hits: usize,
    false_hits: usize,
    rightly: Share,
    falsely: Share,
}

impl Line {
    fn of(seen: &[Seen<'_>], percent: u32, checks: bool) -> Line {
        let threshold = percent as f32 / 100.0;
        let count = |same: bool| {
            let of: Vec<_> = seen.iter().filter(|seen| seen.pair.same == same).collect();
            let is_hit = |seen: &&&Seen<'_>| seen.similarity >= threshold && (seen.agrees || !checks);
            (of.iter().filter(is_hit).count(), of.len())
        };
        let ((hits, same), (false_hits, others)) = (count(true), count(false));
        Line { percent, hits, false_hits, rightly: wilson(hits, same), falsely: wilson(false_hits, others) }
    }

    fn json(&self) -> Value {
        let share = |(share, low, high): Share| json!([round(share), round(low), round(high)]);
        json!({
            "threshold": f64::from(self.percent) / 100.0, "hits": self.hits, "false_hits": self.false_hits,
            "hit_rate": share(self.rightly), "false_hit_rate": share(self.falsely),
        })
    }
}

/// The score interval of a share. Source: Wilson 1927, as in Brown, Cai and DasGupta 2001, eq. 4.
fn wilson(hits: usize, of: usize) -> Share {
    let (hits, n) = (hits as f64, of as f64);
    if of == 0 {
        return (0.0, 0.0, 1.0);
    }
    let (share, z2) = (hits / n, Z * Z);
    let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    (share, (middle - half).max(0.0), (middle + half).min(1.0))
}

fn round(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

fn print(report: &Value) {
    let pairs = &report["pairs"];
    println!("{} pairs that mean the same, {} that do not.", pairs["same"], pairs["others"]);
    for (title, name) in
        [("Words are looked at (check: true)", "with_check"), ("By vectors alone", "without_check")]
    {
        println!("\n{title}; advised: {}", show::text(&report[name]["advised"]));
        let columns = [
            Column::Right("threshold"),
            Column::Right("hits"),
            Column::Right("95 %"),
            Column::Right("false hits"),
            Column::Right("95 %"),
        ];
        let percent = |value: &Value| format!("{:.1} %", value.as_f64().unwrap_or(0.0) * 100.0);
        let ends = |share: &Value| format!("{} – {}", percent(&share[1]), percent(&share[2]));
        let rows = report[name]["thresholds"].as_array().into_iter().flatten().map(|line| {
            vec![
                format!("{:.2}", line["threshold"].as_f64().unwrap_or(0.0)),
                percent(&line["hit_rate"][0]),
                ends(&line["hit_rate"]),
                percent(&line["false_hit_rate"][0]),
                ends(&line["false_hit_rate"]),
            ]
        });
        show::table(&columns, rows.collect(), "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_book() {
        let check = |hits, of, low: f64, high: f64| {
            let (_, ours_low, ours_high) = wilson(hits, of);
            assert!(
                (ours_low - low).abs() < 5e-4 && (ours_high - high).abs() < 5e-4,
                "{ours_low} {ours_high}"
            );
        };
        // By the formula with z = 1.96, worked out apart.
        check(0, 10, 0.0, 0.2775);
        check(5, 10, 0.2366, 0.7634);
        check(10, 10, 0.7225, 1.0);
        check(0, 381, 0.0, 0.00998);
        check(81, 263, 0.2553, 0.3662);
    }

    #[test]
    fn advised_is_the_threshold_with_the_most_hits_and_hardly_a_false_one() {
        let pair = |same: bool| Pair { a: "x".into(), b: "y".into(), same, kind: "subject".into() };
        let (same, other) = (pair(true), pair(false));
        let mut seen: Vec<Seen<'_>> =
            [0.99, 0.95, 0.9].map(|similarity| Seen { pair: &same, similarity, agrees: true }).into();
        seen.extend((0..500).map(|_| Seen { pair: &other, similarity: 0.92, agrees: false }));
        assert_eq!(side(&seen, true)["advised"], 0.9, "the words tell them apart");
        assert_eq!(side(&seen, false)["advised"], 0.95);
        assert_eq!(
            side(&seen, false)["false_hits_by_kind_at_0.95"]["subject"],
            json!({"false_hits": 0, "pairs": 500})
        );
        seen.truncate(103);
        assert_eq!(side(&seen, true)["advised"], "none", "a hundred pairs prove nothing of one in a hundred");
    }
}
