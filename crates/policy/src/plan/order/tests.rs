use std::time::Duration;

use gauntlet_types::Mono;
use proptest::prelude::*;

use super::*;
use crate::config::Strategy;
use crate::health::{Health, Measured, Standing};

const STRATEGIES: [Strategy; 5] =
    [Strategy::Fallback, Strategy::Weighted, Strategy::LeastBusy, Strategy::Latency, Strategy::Cheapest];

fn targets(count: usize) -> Vec<Target> {
    (0..count).map(|at| Target::parse(&format!("p{at}/m")).unwrap()).collect()
}

fn plain(target: &Target) -> Candidate<'_> {
    Candidate { target, weight: 1, view: View::UNKNOWN, price: None }
}

fn first(strategy: Strategy, seed: u64, candidates: &[Candidate<'_>]) -> usize {
    order(Draw { strategy, seed, is_sticky: false }, candidates)[0]
}

fn standing() -> impl proptest::strategy::Strategy<Value = Standing> {
    let alone = |why| Standing::LeftAlone { why, left: Duration::from_secs(1) };
    prop_oneof![
        3 => Just(Standing::Free),
        1 => Just(alone(Why::RateLimited)),
        1 => Just(alone(Why::Outrun)),
        1 => Just(alone(Why::KeyRefused)),
        1 => Just(alone(Why::Probe)),
        1 => Just(alone(Why::Breaker)),
    ]
}

type Drawn = (u32, Standing, u32, Option<f64>, Option<i64>);

fn drawn() -> impl proptest::strategy::Strategy<Value = Vec<Drawn>> {
    let latency = prop::option::of(0.0..1e8_f64);
    let price = prop::option::of(0..1_000_000_000_i64);
    prop::collection::vec((0..5_u32, standing(), 0..50_u32, latency, price), 1..12)
}

proptest! {
    #[test]
    fn the_order_has_each_target_once_and_never_an_open_breaker_before_a_closed_one(
        drawn in drawn(), seed: u64, at in 0..5_usize, is_sticky: bool,
    ) {
        let targets = targets(drawn.len());
        let candidates: Vec<Candidate<'_>> = drawn
            .iter()
            .zip(&targets)
            .map(|((weight, standing, in_flight, latency_us, price), target)| Candidate {
                target,
                weight: *weight,
                view: View { standing: *standing, in_flight: *in_flight, latency_us: *latency_us },
                price: price.map(NanoUsd),
            })
            .collect();
        let draw = Draw { strategy: STRATEGIES[at], seed, is_sticky };
        let order = order(draw, &candidates);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..candidates.len()).collect::<Vec<_>>());
        let ranks: Vec<u8> = order.iter().map(|at| rank(candidates[*at].view.standing.why())).collect();
        prop_assert!(ranks.is_sorted(), "{:?}", ranks);
        prop_assert_eq!(super::order(draw, &candidates), order, "the same number gives the same order");
    }
}

#[test]
fn shares_are_those_of_the_weights() {
    let targets = targets(4);
    let weights = [6, 3, 1, 0];
    let candidates: Vec<Candidate<'_>> =
        targets.iter().zip(weights).map(|(target, weight)| Candidate { weight, ..plain(target) }).collect();
    let mut counts = [0_u32; 4];
    for call in 0..20_000_u64 {
        counts[first(Strategy::Weighted, hash(&[&call.to_le_bytes()]), &candidates)] += 1;
    }
    let shares = counts.map(|count| f64::from(count) / 20_000.0);
    for (share, wanted) in shares.iter().zip([0.6, 0.3, 0.1, 0.0]) {
        // Four standard deviations at the widest are 0.014.
        assert!((share - wanted).abs() < 0.015, "{shares:?}");
    }
}

#[test]
fn a_target_that_fails_gives_away_its_own_conversations_and_moves_no_other() {
    let targets = targets(4);
    let all: Vec<Candidate<'_>> = targets.iter().map(plain).collect();
    let mut without = all.clone();
    without[2].view.standing = Standing::LeftAlone { why: Why::Breaker, left: Duration::from_secs(1) };
    let mut moved = 0;
    for call in 0..1000_u64 {
        let seed = hash(&[b"tenant", &call.to_le_bytes()]);
        for strategy in [Strategy::Weighted, Strategy::LeastBusy, Strategy::Latency, Strategy::Cheapest] {
            let draw = Draw { strategy, seed, is_sticky: true };
            let (before, after) = (order(draw, &all)[0], order(draw, &without)[0]);
            assert!(before == after || before == 2, "{strategy:?}");
            moved += u32::from(before == 2);
        }
    }
    assert!((600..1400).contains(&moved), "about a quarter of four thousand: {moved}");
}

#[test]
fn a_conversation_stays_where_it_is_though_others_are_idle() {
    let targets = targets(3);
    for strategy in [Strategy::LeastBusy, Strategy::Latency] {
        let seed = hash(&[b"acme", b"support", b"You are a helpful agent"]);
        let draw = Draw { strategy, seed, is_sticky: true };
        let idle: Vec<Candidate<'_>> = targets.iter().map(plain).collect();
        let home = order(draw, &idle)[0];
        let mut busy = idle.clone();
        busy[home].view.in_flight = 40;
        busy[home].view.latency_us = Some(9e6);
        assert_eq!(order(draw, &busy)[0], home, "{strategy:?}");
        assert_ne!(order(Draw { is_sticky: false, ..draw }, &busy)[0], home, "{strategy:?}");
    }
}

#[test]
fn the_least_busy_for_its_weight_is_first() {
    let targets = targets(2);
    let check = |flights: [u32; 2], weights: [u32; 2], expected: usize| {
        let candidates: Vec<Candidate<'_>> = (0..2)
            .map(|at| Candidate {
                weight: weights[at],
                view: View { in_flight: flights[at], ..View::UNKNOWN },
                ..plain(&targets[at])
            })
            .collect();
        for seed in 0..20 {
            assert_eq!(first(Strategy::LeastBusy, seed, &candidates), expected, "{flights:?} {weights:?}");
        }
    };
    check([3, 2], [1, 1], 1);
    check([3, 2], [2, 1], 0);
    check([0, 0], [3, 1], 0);
    check([9, 50], [1, 0], 0);
}

#[test]
fn the_cheapest_is_first_and_an_unknown_price_last() {
    let targets = targets(3);
    let mut candidates: Vec<Candidate<'_>> = targets.iter().map(plain).collect();
    candidates[1].price = Some(NanoUsd(50));
    candidates[2].price = Some(NanoUsd(20));
    let draw = |seed| Draw { strategy: Strategy::Cheapest, seed, is_sticky: false };
    assert!((0..50).all(|seed| order(draw(seed), &candidates) == [2, 1, 0]));
    candidates[2].view.standing = Standing::LeftAlone { why: Why::RateLimited, left: Duration::from_secs(1) };
    assert!((0..50).all(|seed| order(draw(seed), &candidates) == [1, 0, 2]));
}

/// Three targets under 40 calls a second, each call as slow as its target is then.
struct Simulation {
    targets: Vec<Target>,
    health: Health,
    /// (when it ends, which target, how long it took), in microseconds.
    running: Vec<(u64, usize, u64)>,
    call: u64,
    now: u64,
}

impl Simulation {
    fn run(&mut self, strategy: Strategy, seconds: u64, latency_ms: [u64; 3]) -> [f64; 3] {
        let mut counts = [0_u32; 3];
        let end = self.now + seconds * 1_000_000;
        while self.now < end {
            self.now += 25_000;
            let now = Mono(self.now);
            let (over, running) = self.running.iter().copied().partition(|(end, ..)| *end <= self.now);
            self.running = running;
            let over: Vec<(u64, usize, u64)> = over;
            for (end, at, took) in over {
                let target = &self.targets[at];
                self.health.ended(target);
                self.health.answered(target, Measured::Whole, Duration::from_micros(took), Mono(end));
            }
            let candidates: Vec<Candidate<'_>> = self
                .targets
                .iter()
                .map(|target| Candidate {
                    view: self.health.view(target, Measured::Whole, now),
                    ..plain(target)
                })
                .collect();
            self.call += 1;
            let at = first(strategy, hash(&[&self.call.to_le_bytes()]), &candidates);
            counts[at] += 1;
            self.health.began(&self.targets[at], now);
            // A little unevenness, as real answers have.
            let took = latency_ms[at] * (900 + self.call * 37 % 200);
            self.running.push((self.now + took, at, took));
        }
        let all: u32 = counts.iter().sum();
        counts.map(|count| f64::from(count) / f64::from(all))
    }
}

#[test]
fn load_leaves_a_slow_target_and_comes_back() {
    let mut simulation =
        Simulation { targets: targets(3), health: Health::default(), running: Vec::new(), call: 0, now: 0 };
    let even = simulation.run(Strategy::Latency, 60, [300, 300, 300]);
    assert!(even.iter().all(|share| (0.2..0.5).contains(share)), "{even:?}");
    let slow = simulation.run(Strategy::Latency, 60, [300, 6000, 300]);
    assert!(slow[1] < 0.06, "{slow:?}");
    simulation.run(Strategy::Latency, 30, [300, 300, 300]);
    let back = simulation.run(Strategy::Latency, 60, [300, 300, 300]);
    assert!(back[1] > 0.2, "{back:?}");
}

#[test]
fn fewer_calls_wait_at_a_slow_target_when_the_least_busy_is_asked() {
    let mut simulation =
        Simulation { targets: targets(3), health: Health::default(), running: Vec::new(), call: 0, now: 0 };
    let shares = simulation.run(Strategy::LeastBusy, 60, [300, 6000, 300]);
    assert!(shares[1] < 0.1, "{shares:?}");
}
