//! What people look for, asked often enough for percentiles.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use gauntlet_ports::{Grain, TraceFilter, TracePage, TraceStore};
use gauntlet_store::SqliteTraces;
use gauntlet_types::{NanoUsd, Outcome, Timestamp, TraceId};

use crate::{Maker, START, ms};

const TIMES: usize = 40;

pub fn index(store: &dyn TraceStore, sqlite: Option<&SqliteTraces>, path: &Path, calls: usize) {
    let before = fs::metadata(path).map_or(0, |meta| meta.len());
    let (began, mut done, mut steps, mut slowest) = (Instant::now(), 0, 0, Duration::ZERO);
    loop {
        let began = Instant::now();
        let count = store.index_step(128).expect("indexed");
        slowest = slowest.max(began.elapsed());
        if count == 0 {
            break;
        }
        (done, steps) = (done + count, steps + 1);
        if steps % 100 == 0 {
            sqlite.iter().for_each(|store| store.checkpoint().expect("checkpoint"));
        }
    }
    sqlite.iter().for_each(|store| store.checkpoint().expect("checkpoint"));
    let after = fs::metadata(path).map_or(0, |meta| meta.len());
    println!(
        "  indexed {done} calls, {:.0} a second, slowest step of 128 {:.0} ms; {} bytes a call, {} of everything",
        done as f64 / began.elapsed().as_secs_f64(),
        ms(slowest),
        (after - before) as usize / calls,
        after as usize / calls,
    );
}

pub fn questions(store: &dyn TraceStore, maker: &Maker) {
    let mut rng = fastrand::Rng::with_seed(3);
    let none = TraceFilter::default;
    let some = |text: String| Some(text);
    let word = |rng: &mut fastrand::Rng, from: usize, to: usize| maker.words[rng.usize(from..to)].clone();
    let span = maker.latest - START;
    let calls = span / maker.apart_us;
    let when = |rng: &mut fastrand::Rng| Timestamp(START + rng.i64(0..span));
    type Make<'a> = Box<dyn Fn(&mut fastrand::Rng) -> TraceFilter + 'a>;
    let cases: Vec<(&str, Make<'_>)> = vec![
        ("newest", Box::new(|_| none())),
        (
            "a route (common)",
            Box::new(|rng| TraceFilter { route: some(format!("route-{}", rng.u8(..5))), ..none() }),
        ),
        ("a model", Box::new(|_| TraceFilter { model: some("gpt-4.1".into()), ..none() })),
        (
            "a tenant",
            Box::new(|rng| TraceFilter { tenant: some(format!("tenant-{}", rng.u8(..20))), ..none() }),
        ),
        ("failed (1 in 256)", Box::new(|_| TraceFilter { outcome: Some(Outcome::Failed), ..none() })),
        ("a status that is nowhere", Box::new(|_| TraceFilter { status: Some(418), ..none() })),
        (
            "a user (rare)",
            Box::new(|rng| TraceFilter { user: some(format!("user-{}", rng.u32(15_000..20_000))), ..none() }),
        ),
        (
            "a user (common)",
            Box::new(|rng| TraceFilter { user: some(format!("user-{}", rng.u32(..20))), ..none() }),
        ),
        (
            "a session",
            Box::new(|rng| TraceFilter {
                session: some(format!("session-{}", rng.i64(0..calls / 5))),
                ..none()
            }),
        ),
        ("a trace", Box::new(|_| TraceFilter { trace_id: Some(maker.a_trace), ..none() })),
        (
            "a trace that is nowhere",
            Box::new(|rng| TraceFilter { trace_id: Some(TraceId(rng.u128(..))), ..none() }),
        ),
        ("slow, dearer than any", Box::new(|_| TraceFilter { cost_min: Some(NanoUsd(i64::MAX)), ..none() })),
        (
            "latency of 3.39 s (few in a step)",
            Box::new(|_| TraceFilter { latency_ms_min: Some(3_399), ..none() }),
        ),
        (
            "tenant + model + failed",
            Box::new(|rng| TraceFilter {
                tenant: some(format!("tenant-{}", rng.u8(..20))),
                model: some("gpt-4o".into()),
                outcome: Some(Outcome::Failed),
                ..none()
            }),
        ),
        (
            "a route, an hour long ago",
            Box::new(|rng| {
                let at = when(rng);
                let route = some(format!("route-{}", rng.u8(..5)));
                TraceFilter { route, until: Some(at), since: Some(Timestamp(at.0 - 60_000_000)), ..none() }
            }),
        ),
        (
            "two that never meet",
            Box::new(|_| TraceFilter {
                tenant: some("tenant-1".into()),
                user: some("user-1".into()),
                status: Some(200),
                ..none()
            }),
        ),
        ("a common word", Box::new(|rng| TraceFilter { text: Some(word(rng, 0, 20)), ..none() })),
        ("a rare word", Box::new(|rng| TraceFilter { text: Some(word(rng, 2_900, 3_000)), ..none() })),
        (
            "a number (once or never)",
            Box::new(|rng| TraceFilter { text: Some(rng.u32(..).to_string()), ..none() }),
        ),
        (
            "a phrase",
            Box::new(|rng| TraceFilter {
                text: Some(format!("\"{} {}\"", word(rng, 0, 300), word(rng, 0, 300))),
                ..none()
            }),
        ),
        (
            "a phrase that is nowhere",
            Box::new(|rng| {
                let (one, other, third) = (word(rng, 0, 50), word(rng, 0, 50), word(rng, 2_000, 3_000));
                TraceFilter { text: Some(format!("\"{one} {other} {third} {one}\"")), ..none() }
            }),
        ),
        (
            "a beginning",
            Box::new(|rng| TraceFilter {
                text: Some(format!("{}*", &format!("{}xyz", word(rng, 0, 3_000))[..3])),
                ..none()
            }),
        ),
        (
            "a word without another",
            Box::new(|rng| TraceFilter {
                text: Some(format!("{} -{}", word(rng, 0, 300), word(rng, 0, 20))),
                ..none()
            }),
        ),
        (
            "a word + user",
            Box::new(|rng| TraceFilter {
                text: Some(word(rng, 0, 300)),
                user: some(format!("user-{}", rng.u32(..20_000))),
                ..none()
            }),
        ),
        (
            "a rare word + tenant + route",
            Box::new(|rng| TraceFilter {
                text: Some(word(rng, 2_900, 3_000)),
                tenant: some(format!("tenant-{}", rng.u8(..20))),
                route: some(format!("route-{}", rng.u8(..5))),
                ..none()
            }),
        ),
    ];
    println!(
        "  {:<34} {:>9} {:>9} {:>9}  rows, pages that go on for their time",
        "question", "p50 ms", "p95 ms", "worst"
    );
    for (what, make) in &cases {
        let (mut rows, mut cut) = (0, 0);
        report(what, || {
            let filter = make(&mut rng);
            let began = Instant::now();
            let TracePage { rows: found, looked_back_to, .. } = store.trace_find(&filter).expect("found");
            let took = began.elapsed();
            rows += found.len();
            cut += usize::from(looked_back_to.is_some());
            took
        });
        println!("  {:>6} {cut:>3}", rows / TIMES);
    }
    let asks: [(&str, &dyn Fn()); 3] = [
        ("one whole call", &|| drop(store.trace_get(maker.a_call).expect("read"))),
        ("overview of seven days, by day", &|| {
            let to = Timestamp(maker.latest);
            drop(store.overview(Timestamp(to.0 - 7 * 86_400_000_000), to, Grain::Day).expect("figures"));
        }),
        ("overview of a day, by hour", &|| {
            let to = Timestamp(maker.latest);
            drop(store.overview(Timestamp(to.0 - 86_400_000_000), to, Grain::Hour).expect("figures"));
        }),
    ];
    for (what, ask) in asks {
        report(what, || {
            let began = Instant::now();
            ask();
            began.elapsed()
        });
        println!();
    }
}

fn report(what: &str, ask: impl FnMut() -> Duration) {
    let mut took: Vec<Duration> = std::iter::repeat_with(ask).take(TIMES).collect();
    took.sort();
    print!(
        "  {what:<34} {:>9.2} {:>9.2} {:>9.2}",
        ms(took[TIMES / 2]),
        ms(took[TIMES * 95 / 100]),
        ms(took[TIMES - 1])
    );
}
