//! `gauntlet eval freeze` and `rotate`: the two ways in which the cases of a suite may change on purpose.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use gauntlet_evals::{
    dataset::DATASET_BYTES_MAX,
    golden,
    rotate::{self, Page, Rotation},
    suite::SUITE_BYTES_MAX,
};
use gauntlet_types::Name;
use serde_json::json;

use crate::{
    cli::{EvalFreeze, EvalRotate, Place},
    show, suites, wiring,
};

pub fn freeze(place: &Place, wanted: &EvalFreeze) -> Result<()> {
    let path = suites::find(place, &wanted.suite)?;
    let reading = suites::read(&path)?;
    // That the golden cases are not the frozen ones is what is mended here; everything else must be good.
    if reading.mistakes.iter().any(|mistake| !mistake.is_warning) {
        return Err(suites::told(&reading.mistakes));
    }
    let suite = reading.suite;
    let Some(hash) = golden::hash_of(&suite) else {
        bail!("no case of `{}` is golden; add the tag `golden` to those that shall never change", suite.name);
    };
    let lock_path = path.with_file_name(golden::lock_name(&suite.file));
    let before = suites::text(&lock_path, DATASET_BYTES_MAX).unwrap_or_default();
    let changes = suite.golden.as_ref().and_then(|frozen| golden::changes(&suite, frozen, &before));
    let count = suite.cases.iter().filter(|case| case.is_golden).count();
    let is_new = suite.golden.as_ref() != Some(&hash);
    if !wanted.dry_run {
        let text = suites::text(&path, SUITE_BYTES_MAX)
            .map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?;
        let text =
            golden::declare(&text, &hash).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?;
        // The lock first: it only explains, and a lock that fits nothing yet is ignored.
        suites::write(&lock_path, &golden::lock(&suite.cases))?;
        suites::write(&path, &text)?;
    }
    if place.json {
        let listed = changes.as_ref().map(
            |changes| json!({"added": changes.added, "removed": changes.removed, "changed": changes.changed}),
        );
        show::json(&json!({
            "suite": suite.name, "file": path.display().to_string(), "golden": format!("sha256:{hash}"),
            "cases": count, "is_new": is_new, "changes": listed, "dry_run": wanted.dry_run,
        }));
        return Ok(());
    }
    let verb = if wanted.dry_run { "would freeze" } else { "froze" };
    println!("{verb} {count} golden cases of {}: golden: sha256:{hash}", path.display());
    for (verb, ids) in changes.iter().flat_map(|changes| {
        [("changed", &changes.changed), ("added", &changes.added), ("removed", &changes.removed)]
    }) {
        for id in ids {
            println!("  {verb} {id}");
        }
    }
    if !is_new {
        println!("They are the ones that were frozen before.");
    }
    Ok(())
}

/// What a dataset's neighbours are called: `support.pool.jsonl`, `support.retired.jsonl`.
fn beside(dataset: &Path, what: &str) -> PathBuf {
    let stem = dataset.file_stem().and_then(|stem| stem.to_str()).unwrap_or("dataset");
    dataset.with_file_name(format!("{stem}.{what}.jsonl"))
}

/// `2026-Q4`.
fn quarter() -> String {
    let day = wiring::now().day().to_string();
    let month: u32 = day.get(5..7).and_then(|month| month.parse().ok()).unwrap_or(1);
    format!("{}-Q{}", &day[..4], month.div_ceil(3))
}

pub fn rotate(place: &Place, wanted: &EvalRotate) -> Result<()> {
    anyhow::ensure!(
        wanted.share > 0.0 && wanted.share <= 1.0,
        "--share {} is no share above 0 and up to 1; a quarter's usual one is 0.15",
        wanted.share
    );
    let path = suites::find(place, &wanted.suite)?;
    let suite = suites::good(&path)?;
    let [dataset] = &suite.datasets[..] else {
        bail!(
            "suite `{}` has {} datasets; rotate a suite that has one of them alone",
            suite.name,
            suite.datasets.len()
        );
    };
    let dataset = PathBuf::from(dataset);
    let pool = wanted.from.clone().unwrap_or_else(|| beside(&dataset, "pool"));
    let retired = beside(&dataset, "retired");
    let read = |path: &Path, must: bool| match suites::text(path, DATASET_BYTES_MAX) {
        Ok(text) => Ok(text),
        Err(_) if !must && !path.exists() => Ok(String::new()),
        Err(why) => Err(anyhow::anyhow!("{} cannot be read: {why}", path.display())),
    };
    let (data, waiting) = (read(&dataset, true)?, read(&pool, wanted.from.is_some())?);
    let gone = read(&retired, false)?;
    let seed = wanted.seed.clone().unwrap_or_else(quarter);
    let page = |path: &Path| path.display().to_string();
    let (data_file, pool_file) = (page(&dataset), page(&pool));
    let rotated = rotate::plan(
        Page { file: &data_file, text: &data },
        Page { file: &pool_file, text: &waiting },
        &ids(&gone),
        Rotation { share: wanted.share, seed: &seed },
    )
    .map_err(|mistakes| suites::told(&mistakes))?;
    if !wanted.dry_run {
        // In the order in which a crash between them loses nothing: a case may stand in two files, never in none.
        let begin = if gone.is_empty() || gone.ends_with('\n') { "" } else { "\n" };
        suites::write(&retired, &format!("{gone}{begin}{}", rotated.retired))?;
        suites::write(&dataset, &rotated.dataset)?;
        suites::write(&pool, &rotated.pool)
            .context("the dataset is rotated; take the cases that came in out of the pool by hand")?;
    }
    if place.json {
        show::json(&json!({
            "suite": suite.name, "dataset": data_file, "seed": seed, "out": rotated.out, "in": rotated.come,
            "short": rotated.short, "retired": page(&retired), "pool": pool_file, "dry_run": wanted.dry_run,
        }));
        return Ok(());
    }
    let verb = if wanted.dry_run { "would rotate" } else { "rotated" };
    println!("{verb} {} of the {} cases of {data_file} (seed {seed})", rotated.out.len(), suite.cases.len());
    for id in &rotated.out {
        println!("  out {id}");
    }
    for id in &rotated.come {
        println!("  in  {id}");
    }
    if rotated.short > 0 {
        println!("{} more were due, and {pool_file} has no more fresh cases.", rotated.short);
    }
    Ok(())
}

/// Ids of retired cases; a line that is none of ours has none.
fn ids(text: &str) -> HashSet<Name> {
    let id =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["id"].as_str().map(Name::from);
    text.lines().filter_map(id).collect()
}
