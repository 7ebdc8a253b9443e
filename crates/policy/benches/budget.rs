//! What the book costs a call: reserve and settle under one lock, so that this bounds calls per second.

use std::sync::Mutex;

use divan::{Bencher, black_box};
use gauntlet_policy::budget::{Book, Cap, Draw, Rolling};
use gauntlet_types::{CallId, Charge, Day, Drawn, Measure, Mono, NanoUsd};

fn main() {
    divan::main();
}

/// Budgets as a call has them: model, tenant, route and user, route and conversation, team.
fn charges(user: usize, count: usize) -> Vec<Draw> {
    let of = |scope: &str, key: String| Draw {
        charge: Charge::usd(scope, key, Some(Day(20_000))),
        cap: Cap::of(i64::MAX / 2),
        rule: 0,
    };
    let mut charges = vec![
        of("model_daily", "gpt-4o".to_owned()),
        of("tenant_daily", "acme".to_owned()),
        of("route_user_daily", format!("support_bot/user-{user}")),
        of("route_conversation", format!("support_bot/conversation-{user}")),
        of("team_monthly", "search".to_owned()),
    ];
    charges.truncate(count);
    charges
}

const USERS: usize = 10_000;
const COST: Drawn = Drawn { usd: NanoUsd(1_000), tokens: 900, requests: 1 };
const ACTUAL: Drawn = Drawn { usd: NanoUsd(900), tokens: 800, requests: 1 };

fn call_id() -> CallId {
    "00000000000000000000000000000001".parse().expect("32 digits are an id")
}

/// Among ten thousand users, so that accounts are not all in the nearest cache.
#[divan::bench(args = [3, 5])]
fn reserve_and_settle(bencher: Bencher, scopes: usize) {
    let calls: Vec<_> = (0..USERS).map(|user| charges(user, scopes)).collect();
    let mut book = Book::new();
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 7_919) % USERS;
        let id = call_id();
        let hold = book.reserve(id, COST, black_box(&calls[next]), Mono(1)).expect("the caps are far away");
        black_box(book.settle(hold, ACTUAL))
    });
}

/// As all workers do it at once, under the one lock.
#[divan::bench(args = [3, 5], threads = [1, 2, 4])]
fn reserve_and_settle_contended(bencher: Bencher, scopes: usize) {
    let calls: Vec<_> = (0..USERS).map(|user| charges(user, scopes)).collect();
    let book = Mutex::new(Book::new());
    let lock = || book.lock().expect("no bench panics under it");
    bencher.with_inputs(|| fastrand(&calls)).bench_refs(|call| {
        let hold = lock().reserve(call_id(), COST, black_box(call), Mono(1)).expect("the caps are far away");
        black_box(lock().settle(hold, ACTUAL))
    });
}

/// Some call, by the address of a local: threads differ, and nothing is shared.
fn fastrand(calls: &[Vec<Draw>]) -> &Vec<Draw> {
    let here = 0_u8;
    &calls[std::ptr::from_ref(&here) as usize / 16 % calls.len()]
}

/// A rolling day in hours, a token budget and three of dollars.
#[divan::bench]
fn reserve_and_settle_rolling(bencher: Bencher) {
    let mut call = charges(1, 5);
    call[0].cap.rolling = Some(Rolling { parts: 24, parts_per_day: 24 });
    call[1].charge.measure = Measure::Tokens;
    let mut book = Book::new();
    for part in 0..24 {
        let mut past = call.clone();
        past[0].charge.part = part;
        let hold = book.reserve(call_id(), COST, &past, Mono(1)).expect("the caps are far away");
        book.settle(hold, ACTUAL);
    }
    call[0].charge.part = 23;
    bencher.bench_local(|| {
        let hold = book.reserve(call_id(), COST, black_box(&call), Mono(1)).expect("the caps are far away");
        black_box(book.settle(hold, ACTUAL))
    });
}

#[divan::bench]
fn refuse(bencher: Bencher) {
    let mut call = charges(1, 3);
    call[2].cap = Cap::of(10);
    let mut book = Book::new();
    let id = call_id();
    bencher.bench_local(|| book.reserve(id, COST, black_box(&call), Mono(1)).map(drop));
}

/// The reaper's look over a busy gateway.
#[divan::bench]
fn overdue_among_ten_thousand_holds(bencher: Bencher) {
    let mut book = Book::new();
    let id = call_id();
    let hold = |user| book.reserve(id, COST, &charges(user, 3), Mono(100)).expect("the caps are far away");
    let holds: Vec<_> = (0..USERS).map(hold).collect();
    bencher.bench_local(|| black_box(book.overdue(Mono(99))).len());
    drop(holds);
}
