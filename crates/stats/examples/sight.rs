//! How often a gate shows the drop that it says it can see: the table "What a number of cases can see" of `docs/gates.md`.
//!
//! `cargo run --release -p gauntlet-stats --example sight -- [RUNS]`

use std::{env, process::ExitCode};

use gauntlet_stats::{
    StatsError,
    operating::{Rule, Scores, Setting, sight},
};

const NUMBERS: [usize; 6] = [10, 30, 60, 100, 200, 400];
const KINDS: [(Scores, &str); 5] = [
    (Scores::RareLoss, "no case differs"),
    (Scores::Binary, "binary"),
    (Scores::Continuous, "continuous"),
    (Scores::Repeats, "repeats"),
    (Scores::Conversations, "conversations"),
];
const SEED: u64 = 20_260_402;

fn main() -> ExitCode {
    let runs = env::args().nth(1).map_or(Ok(1_000), |text| text.parse::<u32>());
    let Ok(runs) = runs else {
        eprintln!("sight [RUNS]: RUNS is a number of simulated releases a setting, such as 1000");
        return ExitCode::from(2);
    };
    match table(runs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn table(runs: u32) -> Result<(), StatsError> {
    let heads: Vec<String> = NUMBERS.iter().map(usize::to_string).collect();
    println!("| scores | {} |\n|---|{}", heads.join(" | "), "---|".repeat(NUMBERS.len()));
    for (scores, kind) in KINDS {
        let mut cells = Vec::new();
        for n in NUMBERS {
            let setting =
                Setting { rule: Rule::NonInferiority, scores, n, effect: 0.0, margin: 0.03, alpha: 0.05 };
            let found = sight(&setting, runs, SEED)?;
            cells.push(format!("{:.3}: {:.0}", found.mde, 100.0 * found.shown));
        }
        println!("| {kind} | {} |", cells.join(" | "));
    }
    Ok(())
}
