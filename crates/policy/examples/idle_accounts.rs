//! What a budget that never turns takes in memory, in use and idle: `cargo run --release -p gauntlet-policy --example
//! idle_accounts`. Linux only, since it asks the system.

use std::time::Instant;

use gauntlet_policy::budget::{Book, Cap, Draw};
use gauntlet_types::{CallId, Charge, Day, Drawn, Mono, NanoUsd};

const COUNT: usize = 1_000_000;

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux says what is resident");
    let pages =
        text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages");
    pages * 4096
}

fn charge(number: usize) -> Charge {
    Charge::usd("route_conversation", format!("support_bot/0196f2a4-7c1e-7b3a-9d52-{number:012}"), None)
}

fn main() {
    let id: CallId = "00000000000000000000000000000001".parse().expect("32 digits are an id");
    let amount = Drawn { usd: NanoUsd(1_000), tokens: 0, requests: 1 };
    let call = |book: &mut Book, number: usize| {
        let draws = [Draw { charge: charge(number), cap: Cap::of(1_000_000), rule: 0 }];
        let hold = book.reserve(id, amount, &draws, Mono(1)).expect("there is room");
        book.settle(hold, amount);
    };
    let before = resident_bytes();
    let begun = Instant::now();
    let mut idle = Book::new();
    (0..COUNT).for_each(|number| idle.load(&charge(number), None, 1_000));
    let bytes = resident_bytes().saturating_sub(before) / COUNT;
    println!("idle:   {bytes} bytes an account, {} of them, loaded in {:?}", idle.idle(), begun.elapsed());
    let begun = Instant::now();
    (0..COUNT).step_by(1_000).for_each(|number| call(&mut idle, number));
    println!("a call of an idle conversation: {:?}", begun.elapsed() / 1_000);
    let before = resident_bytes();
    let mut book = Book::new();
    (0..COUNT).for_each(|number| call(&mut book, number));
    println!("in use: {} bytes an account", resident_bytes().saturating_sub(before) / COUNT);
    book.forget_before(Day(20_000));
    let begun = Instant::now();
    book.forget_before(Day(20_001));
    println!("a day turns: {:?}, {} idle", begun.elapsed(), book.idle());
}
