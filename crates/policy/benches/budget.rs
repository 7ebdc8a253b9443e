//! What the book costs a call: reserve and settle under one lock, so that this bounds calls per second.

use divan::{Bencher, black_box};
use gauntlet_policy::budget::Book;
use gauntlet_types::{CallId, Charge, Day, Mono, NanoUsd};

fn main() {
    divan::main();
}

/// Budgets as a call has them: model, tenant, route and user, route and conversation, team.
fn charges(user: usize, count: usize) -> Vec<(Charge, NanoUsd)> {
    let of = |scope: &str, key: String| (Charge::usd(scope, key, Some(Day(20_000))), NanoUsd(i64::MAX / 2));
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
        let hold = book
            .reserve(id, NanoUsd(1_000), black_box(&calls[next]), Mono(1))
            .expect("the caps are far away");
        black_box(book.settle(hold, NanoUsd(900)))
    });
}

#[divan::bench]
fn refuse(bencher: Bencher) {
    let mut call = charges(1, 3);
    call[2].1 = NanoUsd(10);
    let mut book = Book::new();
    let id = call_id();
    bencher.bench_local(|| book.reserve(id, NanoUsd(1_000), black_box(&call), Mono(1)).map(drop));
}

/// The reaper's look over a busy gateway.
#[divan::bench]
fn overdue_among_ten_thousand_holds(bencher: Bencher) {
    let mut book = Book::new();
    let id = call_id();
    let hold =
        |user| book.reserve(id, NanoUsd(1_000), &charges(user, 3), Mono(100)).expect("the caps are far away");
    let holds: Vec<_> = (0..USERS).map(hold).collect();
    bencher.bench_local(|| black_box(book.overdue(Mono(99))).len());
    drop(holds);
}
