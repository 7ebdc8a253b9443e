//! The gateway dies at every place where dying matters, and the books balance each time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use gauntlet_ports::crash;
use gauntlet_testkit::{Provider, Step, http};
use serde_json::Value;

use crate::{
    app::TestApp,
    load::{self, Books, Load},
};

/// Two targets, so that holds move; a retry and a hedge, so that they grow.
const CONFIG: &str = "
models: {support: {targets: [prov/first, prov/second], hedge: {after: 12ms}}}
default: {max_tokens: 64, retry: {attempts: 2, base: 1ms, max: 2ms}}
routes: {support: {model: support}}
";
/// Every sort of budget over one another. `poor` and the conversations are at their caps soon, the others near it.
const BUDGETS: &str = "
models:
  first: {daily_usd: 5, daily_tokens: 4_000_000}
  second: {daily_usd: 5, daily_requests: 100_000}
tenants:
  default: {daily_tokens: 9_000_000, monthly_usd: 300, caps: [{usd: 2, window: rolling 1h}]}
routes:
  support: {per_user_daily_usd: 1, per_conv_cap_usd: 0.01, caps: [{tokens: 900_000, window: rolling 2h, per: user}]}
users:
  poor: {daily_requests: 6, daily_usd: 0.05}
environments:
  prod: {daily_requests: 100_000, total_usd: 50}
everything: {daily_usd: 20}
";
const PRICES: &str =
    "test-model: {input: 1, output: 2}\nfirst: {input: 1, output: 2}\nsecond: {input: 3, output: 5}\n";
/// How many die at once: each is a gateway, a provider and eight callers.
const AT_ONCE: usize = 3;
/// By then a place that is passed at all was passed.
const REACHED_WITHIN: Duration = Duration::from_secs(15);

/// `first` refuses some calls and breaks off in the middle of others, which are billed; `second` answers.
fn answer(provider: &Provider) {
    provider.respond(|request| {
        let model = request.json()["model"].as_str().unwrap_or_default().to_owned();
        let pieces = vec!["a few words "; fastrand::usize(2..9)];
        let whole = Step::answer(&pieces)
            .usage(9, fastrand::u64(1..=64))
            .delay(Duration::from_millis(fastrand::u64(0..8)))
            .delay_between(Duration::from_millis(fastrand::u64(0..3)));
        match (model.as_str(), fastrand::u8(0..10)) {
            ("first", 0) => Step::status(500),
            ("first", 1 | 2) => Step::answer(&pieces).cut_after_bytes(fastrand::usize(1..80)),
            _ => whole,
        }
    });
}

/// A gateway that will die at this place, at some pass of many callers at once.
fn doomed(point: &str, nth: u64) -> TestApp {
    let armed = format!("{point}:{nth}");
    let files = [("budgets.yml", BUDGETS), ("prices.yml", PRICES)];
    let app = TestApp::with_env(CONFIG, &files, &[("GAUNTLET_CRASH_AT", &armed)]).without_balance();
    answer(&app.provider);
    app
}

/// Presses until the gateway is gone; at every look no cap is passed.
fn press_to_death(app: &mut TestApp, load: &Load, point: &str) {
    let until = Instant::now() + REACHED_WITHIN;
    let mut looks = 0;
    while app.is_running() {
        assert!(Instant::now() < until, "{point} was not reached, or did not end the process");
        let url = app.url("/api/v1/budgets");
        if let Some(reply) = http::get(&url, &[]).ok().filter(|reply| reply.status == 200 && reply.is_whole) {
            load::caps_hold(&reply.json());
        }
        looks += 1;
        if point.starts_with("reload") && looks % 10 == 0 {
            app.reconfigure(&format!("{CONFIG}\n# {looks}\n"));
        }
        thread::sleep(Duration::from_millis(15));
    }
    load.send_to(None);
}

fn dies_at(point: &'static str) -> Books {
    // Few calls fail and move their hold; after several failures the target is left alone for a while.
    let nth = match point {
        "amend.held" | "amend.opened" | "attempt.billed" | "hedge.held" => fastrand::u64(1..5),
        "reload.read" | "reload.put" => 1,
        _ if point.starts_with("drain") || point.starts_with("store") => fastrand::u64(1..4),
        _ => fastrand::u64(8..40),
    };
    // A start is interrupted at its first pass, which every start after a crash makes.
    let (first, nth) = if point.starts_with("recover") { ("settle.begun", 20) } else { (point, nth) };
    let mut app = doomed(first, nth);
    let load = Load::start(&app);
    press_to_death(&mut app, &load, first);
    if point.starts_with("recover") {
        die_in_recovery(&mut app, &load, point);
    }
    app.restart_with(&[]);
    load.send_to(Some(&app));
    thread::sleep(Duration::from_millis(100));
    let asked = load.stop();
    let books = Books::check(&app, &asked);
    let before = figures(&app);
    app.kill9();
    app.restart();
    assert_eq!(figures(&app), before, "another start changed something after {point}");
    books
}

/// Dies at least once in taking over what a death left, and once more if there is still something to take over. What was
/// stored before the death needs no replay, so that a gateway may have to be pressed and killed again first.
fn die_in_recovery(app: &mut TestApp, load: &Load, point: &str) {
    let mut deaths = 0;
    for _ in 0..20 {
        if app.dies_at_start(&[("GAUNTLET_CRASH_AT", point)]) {
            deaths += 1;
            if deaths == 2 {
                return;
            }
            continue;
        }
        if deaths == 0 {
            load.send_to(Some(app));
            thread::sleep(Duration::from_millis(fastrand::u64(60..200)));
        }
        app.kill9();
        load.send_to(None);
        if deaths > 0 {
            return;
        }
    }
    panic!("{point} was not reached in twenty starts");
}

/// What no restart may change: the ledger line by line, and the roll-ups.
fn figures(app: &TestApp) -> (BTreeMap<String, (Value, Value)>, Value) {
    let books = app.api("/api/v1/budgets");
    assert_eq!(books["open_holds"], 0, "{books:#}");
    let lines = books["lines"].as_array().expect("a list").iter();
    let lines = lines.map(|line| {
        let name = format!("{} {} {}", line["scope"], line["key"], line["period"]);
        (name, (line["spent"].clone(), line["held"].clone()))
    });
    (lines.collect(), app.api("/api/v1/spend?by=tenant"))
}

#[test]
fn dying_at_any_crash_point_overspends_loses_and_doubles_nothing() {
    let next = AtomicUsize::new(0);
    let (interrupted, records) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(point) = crash::POINTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let books = dies_at(point);
                    interrupted.fetch_add(books.interrupted, Ordering::Relaxed);
                    records.fetch_add(books.records.len(), Ordering::Relaxed);
                    eprintln!("{point}: {} interrupted, {:?}", books.interrupted, begun.elapsed());
                }
            });
        }
    });
    let (interrupted, records) = (interrupted.into_inner(), records.into_inner());
    assert!(interrupted > crash::POINTS.len(), "only {interrupted} calls were in flight");
    let points = crash::POINTS.len();
    eprintln!("{points} deaths in {:?}: {records} records, {interrupted} interrupted", begun.elapsed());
}

#[test]
fn every_crash_point_of_the_source_is_in_the_list_once() {
    let mut found = Vec::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/");
    for room in fs::read_dir(crates).expect("a folder") {
        collect(&room.expect("an entry").path().join("src"), &mut found);
    }
    let points = crash::POINTS.iter().chain(&crash::MOVE_POINTS);
    let listed: BTreeSet<String> = points.map(|point| (*point).to_owned()).collect();
    let distinct: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(distinct, listed);
    assert_eq!(found.len(), listed.len(), "a point stands in two places: {found:?}");
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !path.ends_with("ports/src/crash.rs")
        {
            let text = fs::read_to_string(&path).expect("source is text");
            let points = text.split("crash_point!(\"").skip(1);
            found.extend(points.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()));
        }
    }
}
