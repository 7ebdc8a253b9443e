//! How often the whole gate ships, blocks and leaves open, by simulation: three metrics, a floor, repeats, conversations, early stops.
//!
//! `cargo run --release -p gauntlet-evals --example gate_operating -- [RUNS]` prints the tables of
//! `docs/release-gates.md`, "How often the whole gate errs".
//! One metric alone is simulated in `gauntlet-stats`.

use gauntlet_evals::{
    GateSpec, MetricSpec, Suite,
    gate::{GateInput, Stopper, decide},
};
use gauntlet_ports::{Candidate, EvalResult, EvalRun, RunState, Score, Verdict};
use gauntlet_stats::Rng;
use gauntlet_types::{NanoUsd, Timestamp};

const METRICS: [&str; 3] = ["exact", "fields", "similar"];
const CASES: [usize; 5] = [30, 50, 100, 200, 400];
/// So many times fewer releases that may stop early are simulated.
const SEQUENTIAL_LESS: u64 = 4;
/// Cases of one conversation, where there are some.
const CONVERSATION: usize = 5;

/// The truth that a gate is asked about.
#[derive(Clone, Copy)]
struct World {
    name: &'static str,
    /// Of each metric, candidate − baseline.
    shift: [f64; 3],
    repeats: u32,
    /// How much a conversation moves all its cases: half the width of an even distribution.
    conversation: f64,
    /// Of metric `exact`, whose true mean is 0.82 before the shift.
    floor: f64,
    margin: f64,
    sequential: bool,
}

const SAME: World = World {
    name: "no change",
    shift: [0.0; 3],
    repeats: 1,
    conversation: 0.0,
    floor: 0.70,
    margin: 0.03,
    sequential: false,
};

fn worlds() -> Vec<(&'static str, Vec<World>)> {
    let shifts = |base: World| {
        let margin = base.margin;
        vec![
            base,
            World { name: "one metric worse by exactly the margin", shift: [-margin, 0.0, 0.0], ..base },
            World { name: "one metric worse by 5 points", shift: [0.0, -0.05, 0.0], ..base },
            World { name: "all three worse by 10 points", shift: [-0.10; 3], ..base },
            World { name: "all three better by 3 points", shift: [0.03; 3], ..base },
        ]
    };
    let floor = World { floor: 0.87, ..SAME };
    vec![
        ("Margin 0.03 (the default), one answer a case", shifts(SAME)),
        ("Margin 0.10, one answer a case", shifts(World { margin: 0.10, ..SAME })),
        ("Margin 0.03, three answers a case", shifts(World { repeats: 3, ..SAME })),
        (
            "Margin 0.03, conversations of five cases that move together",
            shifts(World { conversation: 0.09, ..SAME }),
        ),
        ("Margin 0.10, stopped early", shifts(World { margin: 0.10, sequential: true, ..SAME })),
        (
            "A floor of `exact`, margin 0.20",
            vec![
                World { name: "the true mean is 5 points below the floor", margin: 0.20, ..floor },
                World { name: "2 points below", floor: 0.84, margin: 0.20, ..SAME },
                World { name: "5 points above", floor: 0.77, margin: 0.20, ..SAME },
                World { name: "12 points above", margin: 0.20, ..SAME },
            ],
        ),
    ]
}

fn suite(world: &World) -> Suite {
    let metric = |name: &&str| MetricSpec {
        name: (**name).into(),
        kind: (**name).into(),
        floor: (**name == *"exact").then_some(world.floor),
        gates: true,
        ..MetricSpec::default()
    };
    Suite {
        name: "simulated".into(),
        metrics: METRICS.iter().map(metric).collect(),
        gate: GateSpec {
            margin: world.margin,
            sequential: world.sequential,
            trend: None,
            ..GateSpec::default()
        },
        ..Suite::default()
    }
}

/// What is true of a case, whoever answers it.
struct Truth {
    conversation: usize,
    /// The chance of an exact answer, and the middles of the two graded metrics.
    middles: [f64; 3],
}

fn truths(n: usize, rng: &mut Rng) -> Vec<Truth> {
    (0..n)
        .map(|at| {
            let exact = if rng.unit() < 0.8 { 0.90 } else { 0.50 };
            Truth {
                conversation: at / CONVERSATION,
                middles: [exact, 0.5 + 0.3 * rng.unit(), 0.5 + 0.3 * rng.unit()],
            }
        })
        .collect()
}

fn side(truths: &[Truth], world: &World, shift: [f64; 3], rng: &mut Rng) -> Vec<EvalResult> {
    let moved: Vec<f64> = truths.iter().map(|_| world.conversation * (2.0 * rng.unit() - 1.0)).collect();
    let mut results = Vec::new();
    for (at, truth) in truths.iter().enumerate() {
        let moved = if world.conversation > 0.0 { moved[truth.conversation] } else { 0.0 };
        for repeat in 0..world.repeats {
            let mut value = |metric: usize| {
                let middle = truth.middles[metric] + shift[metric] + moved;
                match metric {
                    0 => f64::from(u8::from(rng.unit() < middle)),
                    // Even noise that stays within 0..1, so that the mean moves by the shift and nothing else.
                    _ => (middle + 0.2 * (rng.unit() - 0.5)).clamp(0.0, 1.0),
                }
            };
            let scores = METRICS.iter().enumerate().map(|(metric, name)| Score {
                metric: (*name).into(),
                implementation: "simulated/1".into(),
                value: Some(value(metric)),
                ..Score::default()
            });
            results.push(EvalResult {
                case: format!("c{at:04}").as_str().into(),
                repeat,
                cluster: (world.conversation > 0.0)
                    .then(|| format!("conversation {:03}", truth.conversation).as_str().into()),
                cost: NanoUsd(1_000),
                latency_us: 100_000,
                scores: scores.collect(),
                at: Timestamp(at as i64),
                ..EvalResult::default()
            });
        }
    }
    results
}

fn run(id: &str, n: usize, world: &World) -> EvalRun {
    EvalRun {
        id: id.into(),
        suite: "simulated".into(),
        dataset_hash: "one".into(),
        candidate: Candidate::default(),
        cases: n as u32,
        repeats: world.repeats,
        state: RunState::Done,
        ..EvalRun::default()
    }
}

/// The verdict, and the share of the cases that were asked for it.
fn once(n: usize, world: &World, seed: u64) -> (Verdict, f64) {
    let mut rng = Rng::new(seed);
    let truths = truths(n, &mut rng);
    let (suite, candidate, baseline) = (suite(world), run("b", n, world), run("a", n, world));
    let before = side(&truths, world, [0.0; 3], &mut rng);
    let now = side(&truths, world, world.shift, &mut rng);
    if let Some(mut stopper) = Stopper::new(&suite, baseline.clone(), before.clone(), Vec::new()) {
        let per_case = world.repeats as usize;
        for look in 1..10 {
            let asked = (n * look).div_ceil(10);
            if let Some(verdict) = stopper.look(&candidate, &now[..asked * per_case]) {
                return (verdict, asked as f64 / n as f64);
            }
        }
    }
    let input = GateInput {
        suite: &suite,
        run: &candidate,
        results: &now,
        baseline: Some((&baseline, &before)),
        history: &[],
        standings: &[],
    };
    (decide(&input).expect("the runs fit").verdict, 1.0)
}

fn main() {
    let runs: u64 = std::env::args().nth(1).and_then(|runs| runs.parse().ok()).unwrap_or(400);
    println!(
        "{runs} simulated releases a cell, {} where they may stop early: shipped / blocked / left open, in percent.",
        runs / SEQUENTIAL_LESS
    );
    for (title, worlds) in worlds() {
        println!("\n**{title}**\n");
        println!("| the truth |{}", CASES.map(|n| format!(" {n} cases |")).concat());
        println!("|---|{}", "--:|".repeat(CASES.len()));
        for (at, world) in worlds.iter().enumerate() {
            let cells = CASES.map(|n| {
                let mut count = [0u64; 3];
                let mut asked = 0.0;
                // Ten looks a release take ten times as long.
                let runs = if world.sequential { (runs / SEQUENTIAL_LESS).max(1) } else { runs };
                for seed in 0..runs {
                    // The same worlds get the same luck in every table, so that tables can be compared.
                    let (verdict, share) = once(n, world, seed * 1_000 + at as u64);
                    let place = match verdict {
                        Verdict::Pass => 0,
                        Verdict::Fail => 1,
                        Verdict::Inconclusive => 2,
                    };
                    count[place] += 1;
                    asked += share;
                }
                let [ship, block, open] = count.map(|count| (100.0 * count as f64 / runs as f64).round());
                let asked = (100.0 * asked / runs as f64).round();
                let asked = if world.sequential { format!(" ({asked}% asked)") } else { String::new() };
                format!(" {ship} / {block} / {open}{asked} |")
            });
            println!("| {} |{}", world.name, cells.concat());
        }
    }
}
