//! The gateway is killed under load, again and again, and the books balance.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use gauntlet_testkit::{Step, http};

use crate::{
    app::TestApp,
    load::{self, Asked, Books, Ending, Load, nano},
};

/// A start after a crash, by the program's own clock: nobody waits long for the gateway to come back.
const START_MAX: Duration = Duration::from_secs(2);

/// `GAUNTLET_TEST_KILL_ROUNDS` asks for more of them.
fn rounds() -> usize {
    std::env::var("GAUNTLET_TEST_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(15)
}

fn loaded() -> TestApp {
    let app = TestApp::with_files(load::CONFIG, &[("budgets.yml", load::BUDGETS)]).without_balance();
    load::answer_at_random(&app.provider);
    app
}

/// What the banner says of the start: how long it took, what it took over, what it found interrupted.
fn start_up(app: &TestApp) -> (Duration, usize, usize) {
    app.gateway().wait_for_stdout("Try:", Duration::from_secs(5)).expect("the gateway says what to try");
    let lines = app.gateway().stdout();
    let numbers = |part: &str| -> Vec<usize> {
        let line = lines.iter().find(|line| line.contains(part));
        let words = line.into_iter().flat_map(|line| line.split([' ', '(']));
        words.filter_map(|word| word.parse().ok()).collect()
    };
    let took = *numbers(" is up at ").last().expect("the banner says how long the start took");
    match numbers("recovered ")[..] {
        [] => (Duration::from_millis(took as u64), 0, 0),
        [replayed, interrupted] => (Duration::from_millis(took as u64), replayed, interrupted),
        ref other => panic!("two numbers in {lines:#?}, not {other:?}"),
    }
}

fn count(asked: &Asked, is: impl Fn(&Ending) -> bool) -> usize {
    asked.values().filter(|ending| is(ending)).count()
}

#[test]
fn after_many_kills_every_answer_has_its_record_and_the_books_balance() {
    let mut app = loaded();
    let load = Load::start(&app);
    let (mut replayed, mut interrupted, mut slowest) = (0, 0, Duration::ZERO);
    let begun = Instant::now();
    for _ in 0..rounds() {
        thread::sleep(Duration::from_millis(fastrand::u64(150..600)));
        load::no_cap_is_passed(&app);
        app.kill9();
        load.send_to(None);
        app.restart();
        load.send_to(Some(&app));
        let found = start_up(&app);
        assert!(found.0 < START_MAX, "the start took {:?}", found.0);
        slowest = slowest.max(found.0);
        replayed += found.1;
        interrupted += found.2;
    }
    thread::sleep(Duration::from_millis(300));
    let asked = load.stop();
    let pressed = begun.elapsed();
    let books = Books::check(&app, &asked);
    assert_eq!(books.interrupted, interrupted, "what each start found interrupted is what is recorded so");
    assert!(interrupted >= 1, "no call was in flight at any of the kills");
    let whole = count(&asked, |ending| matches!(ending, Ending::Whole { status: 200, .. }));
    let refused = count(&asked, |ending| matches!(ending, Ending::Whole { status: 429, .. }));
    assert!(
        whole > 100 && refused >= 1,
        "{whole} answers, {refused} refusals: the load was too light to show anything"
    );
    eprintln!(
        "{} kills in {pressed:?}: {} calls, {whole} answered, {refused} refused, {} broken, {} left; {} records, \
         {interrupted} interrupted, {replayed} taken over from the spool; slowest start {slowest:?}; books in {:?}",
        rounds(),
        asked.len(),
        count(&asked, |ending| matches!(ending, Ending::Broken)),
        count(&asked, |ending| matches!(ending, Ending::Left)),
        books.records.len(),
        begun.elapsed() - pressed,
    );
}

/// Taking over what a crash left may itself be cut off anywhere, and is then done again.
#[test]
fn kills_during_the_start_after_a_kill_lose_and_double_nothing() {
    let mut app = loaded();
    let load = Load::start(&app);
    thread::sleep(Duration::from_millis(500));
    app.kill9();
    let asked = load.stop();
    for _ in 0..20 {
        let mut start = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        start.args(["up", "--listen", "127.0.0.1:0", "--config"]).arg(app.config_dir());
        start.arg("--data").arg(app.data_dir()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut gateway = start.spawn().expect("the gateway starts");
        thread::sleep(Duration::from_micros(fastrand::u64(0..25_000)));
        gateway.kill().expect("a child of ours can be killed");
        gateway.wait().expect("a child of ours can be waited for");
    }
    app.restart();
    let books = Books::check(&app, &asked);
    assert!(books.interrupted >= 1, "no call was in flight at the first kill");
}

#[test]
fn a_stream_cut_by_a_kill_is_found_interrupted_and_charged_its_hold() {
    let mut app = TestApp::with_files(load::CONFIG, &[("budgets.yml", load::BUDGETS)]);
    app.provider.script([Step::stream(&["word "; 100]).delay_between(Duration::from_millis(100))]);
    let mut stream = app.stream(&[("x-gauntlet-user", "ann")], &TestApp::body("a long story, please"));
    let id = stream.header("x-gauntlet-request-id").expect("every answer names its request").to_owned();
    for _ in 0..3 {
        stream.next_frame().expect("the stream has begun");
    }
    app.kill9();
    let rest = stream.collect();
    assert!(!rest.is_whole && !rest.has_done(), "the caller can tell that this is no whole answer: {rest:?}");

    app.restart();
    assert_eq!(start_up(&app).2, 1);
    let listed = app.command_json(&["trace", "list", "--outcome", "interrupted"]);
    let found: Vec<_> = listed.as_array().expect("a list").iter().map(load::request_id).collect();
    assert_eq!(found.join(" "), id, "{listed:#}");
    let record = &app.trace(&id)["record"];
    assert_eq!(
        (&record["outcome"], &record["error"]),
        (&"interrupted".into(), &"interrupted".into()),
        "{record:#}"
    );
    assert!(nano(&record["held"]) > 0);
    assert_eq!(record["cost"], record["held"]);
    let books = app.api("/api/v1/budgets");
    let drawn: Vec<_> =
        books["lines"].as_array().expect("a list").iter().filter(|line| line["spent_usd"] != 0.0).collect();
    let scopes: Vec<_> = drawn.iter().map(|line| line["scope"].as_str().unwrap_or_default()).collect();
    assert_eq!(scopes, ["tenant_daily", "tenant_monthly", "user_daily"], "{books:#}");
    for line in drawn {
        assert_eq!(
            (line["spent_usd"].as_f64().expect("a number") * 1e9).round() as i64,
            nano(&record["held"]),
            "{line:#}"
        );
    }
}

#[test]
fn a_graceful_stop_under_load_interrupts_nothing() {
    let mut app = loaded();
    let load = Load::start(&app);
    thread::sleep(Duration::from_millis(1500));
    app.stop().expect_ok();
    load.send_to(None);
    let asked = load.stop();
    for request in app.provider.requests() {
        let ending = asked.get(load::tag_of(&request));
        assert!(matches!(ending, Some(Ending::Whole { .. } | Ending::Left)), "{ending:?}: {request:?}");
    }
    app.restart();
    assert_eq!(start_up(&app).1, 0, "a graceful stop leaves nothing to take over");
    let books = Books::check(&app, &asked);
    assert_eq!(books.interrupted, 0);
    assert!(
        count(&asked, |ending| matches!(ending, Ending::Whole { status: 200, .. })) > 20,
        "too few calls"
    );
}

#[test]
fn a_locked_store_holds_up_no_call_and_loses_none_not_even_with_a_kill() {
    let mut app = TestApp::with_files(load::CONFIG, &[("budgets.yml", load::BUDGETS)]);
    let lock = || {
        let db = rusqlite::Connection::open(app.data_dir().join("gauntlet.db")).expect("the store opens");
        db.busy_timeout(Duration::from_secs(5)).expect("a time");
        db.execute_batch("begin exclusive").expect("the store can be locked");
        db
    };
    let ask = |count: usize| -> Vec<String> {
        let once = |_| {
            let reply = app.chat(&[], &TestApp::body("hi"));
            assert_eq!(reply.status, 200, "{}", reply.text());
            assert!(reply.took < Duration::from_secs(1), "a call waited for the store: {:?}", reply.took);
            reply.header("x-gauntlet-request-id").expect("every answer names its request").to_owned()
        };
        (0..count).map(once).collect()
    };
    let mut ids = ask(1);
    app.trace(&ids[0]);

    let db = lock();
    ids.extend(ask(20));
    let metrics =
        || String::from_utf8_lossy(&http::get(&app.url("/metrics"), &[]).expect("metrics").body).into_owned();
    let until = Instant::now() + Duration::from_secs(20);
    while !metrics().contains("gauntlet_store_failing 1") {
        assert!(Instant::now() < until, "nobody is told that the store takes nothing: {}", metrics());
        thread::sleep(Duration::from_millis(100));
    }
    let stored = || -> i64 {
        let db = rusqlite::Connection::open(app.data_dir().join("gauntlet.db")).expect("the store opens");
        db.query_row("select count(*) from llm_traces", [], |row| row.get(0))
            .expect("a locked store can be read")
    };
    assert_eq!(stored(), 1);
    ids.extend(ask(5));
    drop(db);
    for id in &ids {
        assert_eq!(app.trace(id)["record"]["outcome"], "ok");
    }
    assert_eq!(stored(), ids.len() as i64);

    // The same, and the process dies before the store comes back.
    let db = lock();
    ids.extend(ask(20));
    app.kill9();
    drop(db);
    app.restart();
    assert_eq!(start_up(&app).1, 20);
    for id in &ids {
        assert_eq!(app.trace(id)["record"]["outcome"], "ok");
    }
    let rows = app.api("/api/v1/traces?limit=200")["traces"].as_array().map(Vec::len);
    assert_eq!(rows, Some(ids.len()));
}
