//! Prints how often each rule of a gate errs, as the tables of `docs/gates.md`; with a second argument also as JSON.
//!
//!     cargo run --release -p gauntlet-stats --example operating -- 1000 docs/gates-operating.json

use std::{env, fs, process::ExitCode};

use gauntlet_stats::{
    StatsError,
    operating::{Frequencies, Rule, Scores, Setting, simulate},
};

const NUMBERS: [usize; 7] = [10, 20, 30, 50, 100, 200, 400];
const EFFECTS: [f64; 5] = [-0.10, -0.05, -0.03, 0.0, 0.03];
const MARGIN: f64 = 0.05;
const ALPHA: f64 = 0.05;
const SEED: u64 = 20_260_401;
const RULES: [(Rule, &str); 3] =
    [(Rule::Seed, "p-value"), (Rule::NonInferiority, "non-inferiority"), (Rule::Sequential, "sequential")];
const KINDS: [(Scores, &str); 5] = [
    (Scores::Binary, "binary"),
    (Scores::Continuous, "continuous"),
    (Scores::RareLoss, "rare loss"),
    (Scores::Repeats, "repeats"),
    (Scores::Conversations, "conversations"),
];

fn main() -> ExitCode {
    let runs = env::args().nth(1).map_or(Ok(1_000), |text| text.parse::<u32>());
    let Ok(runs) = runs else {
        eprintln!("operating [RUNS] [JSON]: RUNS is a number of simulated releases a setting, such as 1000");
        return ExitCode::from(2);
    };
    let mut lines = Vec::new();
    let printed = decisions(runs, &mut lines).and_then(|()| mistakes(runs, &mut lines));
    if let Err(error) = printed {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    if let Some(path) = env::args().nth(2)
        && let Err(error) = fs::write(&path, format!("[\n{}\n]\n", lines.join(",\n")))
    {
        eprintln!("cannot write {path}: {error}");
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}

/// Pass, fail and inconclusive over numbers of cases and true effects.
fn decisions(runs: u32, lines: &mut Vec<String>) -> Result<(), StatsError> {
    for (scores, kind) in &KINDS[..2] {
        println!(
            "\n{kind} scores, margin {MARGIN}: pass / fail / inconclusive in % (sequential: and mean share of cases looked at)\n"
        );
        println!("| rule | n | −0.10 | −0.05 | −0.03 | 0 | +0.03 |\n|---|---|---|---|---|---|---|");
        for (rule, name) in RULES {
            for n in NUMBERS {
                let mut cells = Vec::new();
                for effect in EFFECTS {
                    let setting = Setting { rule, scores: *scores, n, effect, margin: MARGIN, alpha: ALPHA };
                    let found = simulate(&setting, runs, SEED)?;
                    lines.push(json(name, kind, &setting, &found, runs));
                    cells.push(cell(rule, n, &found));
                }
                println!("| {name} | {n} | {} |", cells.join(" | "));
            }
        }
    }
    Ok(())
}

/// Wrong passes at the margin, and wrong fails at no effect, where each is likeliest.
fn mistakes(runs: u32, lines: &mut Vec<String>) -> Result<(), StatsError> {
    println!("\nWrong passes at effect = −margin, in %\n");
    println!("| rule | margin | scores | 3 | 10 | 30 | 100 | 200 |\n|---|---|---|---|---|---|---|---|");
    let rules = [
        (Rule::NonInferiority, "non-inferiority"),
        (Rule::Sequential, "sequential"),
        (Rule::Student, "student"),
    ];
    for (rule, name) in rules {
        for margin in [0.03, 0.05] {
            for (scores, kind) in KINDS {
                let mut cells = Vec::new();
                for n in [3, 10, 30, 100, 200] {
                    let setting = Setting { rule, scores, n, effect: -margin, margin, alpha: ALPHA };
                    let found = simulate(&setting, runs, SEED + 1)?;
                    lines.push(json(name, kind, &setting, &found, runs));
                    cells.push(format!("{:.1}", 100.0 * found.passed));
                }
                println!("| {name} | {margin} | {kind} | {} |", cells.join(" | "));
            }
        }
    }
    Ok(())
}

fn cell(rule: Rule, n: usize, found: &Frequencies) -> String {
    let [passed, failed, open] = [found.passed, found.failed, found.inconclusive].map(|share| 100.0 * share);
    match rule {
        Rule::Seed => format!("{passed:.0} / {failed:.0} / –"),
        Rule::Sequential => {
            format!("{passed:.0} / {failed:.0} / {open:.0} ({:.0})", 100.0 * found.cases / n as f64)
        }
        Rule::NonInferiority | Rule::Student => format!("{passed:.0} / {failed:.0} / {open:.0}"),
    }
}

fn json(rule: &str, scores: &str, setting: &Setting, found: &Frequencies, runs: u32) -> String {
    let Setting { n, effect, margin, alpha, .. } = setting;
    let Frequencies { passed, failed, inconclusive, cases } = found;
    format!(
        r#"{{"rule":"{rule}","scores":"{scores}","n":{n},"effect":{effect},"margin":{margin},"alpha":{alpha},"runs":{runs},"passed":{passed:.5},"failed":{failed:.5},"inconclusive":{inconclusive:.5},"cases":{cases:.2}}}"#
    )
}
