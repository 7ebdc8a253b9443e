//! Callers that press a gateway from several threads while it dies and comes back, and remember what they were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use gauntlet_testkit::{
    Provider, Seen, Step,
    http::{self, Reply},
};
use serde_json::{Value, json};

use crate::app::TestApp;

pub const CALLERS: usize = 8;
/// More than any one answer of the scripted provider: what is held bounds what is spent.
const MAX_TOKENS: u64 = 64;
/// Travels to the provider as it is, and names the call there.
const TAG: &str = "x-test-call";

/// What a caller learnt of one call.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It saw the last byte and the end of the transport.
    Whole { id: String, status: u16, cost: Option<String> },
    /// The connection broke, or there was none.
    Broken,
    /// It hung up itself.
    Left,
}

/// Everything that was asked, by the tag that every call has for itself (also its session).
pub type Asked = BTreeMap<String, Ending>;

#[derive(Default)]
struct Shared {
    url: Mutex<Option<String>>,
    stop: AtomicBool,
    asked: Mutex<Asked>,
}

/// The callers at work. They ask wherever `send_to` says, and pause while it says nothing.
pub struct Load {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<()>>,
}

/// A configuration with a price and every sort of cap; `poor` is at its cap soon.
pub const CONFIG: &str = "routes:\n  support: {model: prov/test-model}\n";
pub const BUDGETS: &str = "
tenants: {default: {daily_usd: 20, monthly_usd: 300}}
routes: {support: {daily_usd: 10, per_user_daily_usd: 5}}
users: {ann: {daily_usd: 5}, poor: {daily_usd: 0.004}}
";
const USERS: [&str; 4] = ["ann", "bob", "cid", "poor"];

/// Answers of a few pieces after a few milliseconds, never beyond `MAX_TOKENS`.
pub fn answer_at_random(provider: &Provider) {
    provider.respond(|_| {
        let pieces = vec!["a few words "; fastrand::usize(2..9)];
        Step::answer(&pieces)
            .usage(9, fastrand::u64(1..=MAX_TOKENS))
            .delay(Duration::from_millis(fastrand::u64(0..20)))
            .delay_between(Duration::from_millis(fastrand::u64(0..6)))
    });
}

impl Load {
    pub fn start(app: &TestApp) -> Load {
        let shared = Arc::new(Shared::default());
        let callers = (0..CALLERS)
            .map(|number| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || call_on(&shared, number))
            })
            .collect();
        let load = Load { shared, callers };
        load.send_to(Some(app));
        load
    }

    pub fn send_to(&self, app: Option<&TestApp>) {
        *self.shared.url.lock().expect("no caller panics with it") =
            app.map(|app| app.url("/v1/chat/completions"));
    }

    /// Ends when every call under way has ended.
    pub fn stop(self) -> Asked {
        self.shared.stop.store(true, Ordering::SeqCst);
        for caller in self.callers {
            caller.join().expect("a caller does not panic");
        }
        std::mem::take(&mut self.shared.asked.lock().expect("no caller panics with it"))
    }
}

fn call_on(shared: &Shared, number: usize) {
    let mut random = fastrand::Rng::with_seed(number as u64);
    for count in 0.. {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Some(url) = shared.url.lock().expect("nobody panics with it").clone() else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let tag = format!("c{number}-{count}");
        let ending = call(&url, &tag, &mut random);
        let pause = !matches!(ending, Ending::Whole { status: 200, .. } | Ending::Left);
        shared.asked.lock().expect("nobody panics with it").insert(tag, ending);
        if pause {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn call(url: &str, tag: &str, random: &mut fastrand::Rng) -> Ending {
    let mut headers = vec![
        (TAG, tag),
        ("x-gauntlet-session", tag),
        ("x-gauntlet-user", USERS[random.usize(0..USERS.len())]),
    ];
    if random.bool() {
        headers.push(("x-gauntlet-route", "support"));
    }
    let mut body = TestApp::body("a question of some length, so that it costs something");
    body["max_tokens"] = MAX_TOKENS.into();
    let leaves = random.u8(0..10) == 0;
    match (random.bool(), leaves) {
        (false, false) => match http::post_json(url, &headers, &body) {
            Ok(reply) if reply.is_whole => told(&reply),
            _ => Ending::Broken,
        },
        (false, true) => {
            let pause = Duration::from_millis(random.u64(0..25));
            match leave_after(url, &headers, &body, pause) {
                Ok(()) => Ending::Left,
                Err(_) => Ending::Broken,
            }
        }
        (true, leaves) => {
            body["stream"] = true.into();
            let Ok(mut stream) = http::post_stream(url, &headers, &body) else { return Ending::Broken };
            if leaves {
                for _ in 0..random.usize(0..4) {
                    stream.next_frame();
                }
                if random.bool() {
                    stream.reset();
                }
                return Ending::Left;
            }
            let answer = stream.collect();
            let is_refusal = answer.status != 200;
            match answer.is_whole && (answer.has_done() || is_refusal) {
                true => Ending::Whole {
                    id: id(answer.header("x-gauntlet-request-id")),
                    status: answer.status,
                    cost: None,
                },
                false => Ending::Broken,
            }
        }
    }
}

fn told(reply: &Reply) -> Ending {
    let cost = reply.header("x-gauntlet-cost-usd").map(str::to_owned);
    Ending::Whole { id: id(reply.header("x-gauntlet-request-id")), status: reply.status, cost }
}

fn id(header: Option<&str>) -> String {
    header.expect("every answer names its request").to_owned()
}

/// Asks for a plain answer and goes without waiting for it.
fn leave_after(url: &str, headers: &[(&str, &str)], body: &Value, pause: Duration) -> std::io::Result<()> {
    let rest = url.strip_prefix("http://").expect("an http:// address");
    let (address, path) = rest.split_at(rest.find('/').expect("a path"));
    let body = body.to_string();
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(head.as_bytes())?;
    thread::sleep(pause);
    Ok(())
}

/// What the gateway says afterwards, set beside what the callers and the provider saw.
pub struct Books {
    /// Every record, by its call's tag.
    pub records: BTreeMap<String, Value>,
    pub interrupted: usize,
}

impl Books {
    /// Checks everything that must hold whatever happened, once the gateway is idle.
    pub fn check(app: &TestApp, asked: &Asked) -> Books {
        let books = idle(app);
        let records = records(app);
        seen_answers_are_recorded(asked, &records);
        requests_upstream_are_recorded(app, asked, &records);
        let interrupted = interrupted_calls_cost_their_hold(asked, &records);
        sums_agree(app, &books, &records);
        Books { records, interrupted }
    }
}

/// The budgets once no call runs.
fn idle(app: &TestApp) -> Value {
    for _ in 0..500 {
        let books = app.api("/api/v1/budgets");
        if books["open_holds"] == 0 && books["running_calls"] == 0 {
            return books;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("calls are still running, or holds open: {:#}", app.api("/api/v1/budgets"));
}

/// All records in full; no id and no call comes twice.
fn records(app: &TestApp) -> BTreeMap<String, Value> {
    let mut ids = Vec::new();
    let mut before = String::new();
    loop {
        let page = app.api(&format!("/api/v1/traces?limit=200{before}"));
        let rows = page["traces"].as_array().expect("a list");
        ids.extend(rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()));
        if rows.len() < 200 {
            break;
        }
        before = format!("&before={}", ids.last().expect("a page is not empty"));
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id appears twice");
    let mut records = BTreeMap::new();
    let found: Vec<Value> = thread::scope(|scope| {
        let parts = ids.chunks(ids.len().div_ceil(CALLERS).max(1));
        let readers: Vec<_> = parts
            .map(|part| {
                scope.spawn(|| part.iter().map(|id| app.trace(id)["record"].take()).collect::<Vec<_>>())
            })
            .collect();
        readers.into_iter().flat_map(|reader| reader.join().expect("a reader does not panic")).collect()
    });
    for record in found {
        let tag = record["caller"]["session"].as_str().expect("every call had a session").to_owned();
        if let Some(first) = records.insert(tag.clone(), record) {
            panic!("two records of call {tag}: {first:#} and {:#}", records[&tag]);
        }
    }
    records
}

fn seen_answers_are_recorded(asked: &Asked, records: &BTreeMap<String, Value>) {
    for (tag, ending) in asked {
        let Ending::Whole { id, status, cost } = ending else { continue };
        let Some(record) = records.get(tag) else {
            panic!("call {tag} was answered ({id}, {status}) and has no record")
        };
        assert_eq!(request_id(record), *id, "{tag}");
        let expected = if *status == 200 { "ok" } else { "refused" };
        assert_eq!(record["outcome"], expected, "{tag}: {record:#}");
        assert_eq!(record["status"], *status, "{tag}: {record:#}");
        if let Some(cost) = cost {
            let told = (cost.parse::<f64>().expect("a number") * 1e9).round() as i64;
            assert_eq!(nano(&record["cost"]), told, "{tag}: {record:#}");
        }
    }
}

/// Which call a request at the provider belongs to.
pub fn tag_of(request: &Seen) -> &str {
    request.header(TAG).expect("the tag travels")
}

/// At any moment, what is spent and held keeps within every cap.
pub fn no_cap_is_passed(app: &TestApp) {
    let books = app.api("/api/v1/budgets");
    caps_hold(&books);
}

/// The same of budgets that were looked up before.
pub fn caps_hold(books: &Value) {
    for line in books["lines"].as_array().expect("a list") {
        let Some(cap) = line["cap"].as_i64() else { continue };
        assert!(whole(&line["spent"]) + whole(&line["held"]) <= cap, "{line:#}");
    }
}

fn whole(amount: &Value) -> i64 {
    amount.as_i64().unwrap_or_else(|| panic!("a whole number, not {amount}"))
}

/// What a record draws from one of its budgets.
fn drawn(record: &Value, charge: &Value) -> i64 {
    match charge["measure"].as_str() {
        None | Some("usd") => nano(&record["cost"]),
        Some("requests") => 1,
        Some(_) if record["outcome"] == "interrupted" => whole(&record["held_tokens"]),
        Some(_) => {
            record["usage"].as_object().expect("figures of use").values().filter_map(Value::as_i64).sum()
        }
    }
}

/// A record's id as the answer's header gives it.
pub fn request_id(record: &Value) -> String {
    text(&record["id"])
}

/// A provider bills every request that reached it, so each must be found.
fn requests_upstream_are_recorded(app: &TestApp, asked: &Asked, records: &BTreeMap<String, Value>) {
    for request in app.provider.requests() {
        let tag = tag_of(&request);
        assert!(
            records.contains_key(tag),
            "the provider was asked for {tag} ({:?}), which has no record",
            asked.get(tag)
        );
    }
}

fn interrupted_calls_cost_their_hold(asked: &Asked, records: &BTreeMap<String, Value>) -> usize {
    let interrupted = records.iter().filter(|(_, record)| record["outcome"] == "interrupted");
    interrupted
        .inspect(|(tag, record)| {
            assert!(nano(&record["held"]) > 0, "{tag}: {record:#}");
            assert_eq!(record["cost"], record["held"], "{tag}: {record:#}");
            assert!(!record["charges"].as_array().expect("a list").is_empty(), "{tag}: {record:#}");
            let ending = asked.get(*tag);
            assert!(
                matches!(ending, Some(Ending::Broken | Ending::Left)),
                "{tag} ended as {ending:?}: {record:#}"
            );
        })
        .count()
}

/// The ledger, the table `budgets`, the roll-ups and the records say the same.
fn sums_agree(app: &TestApp, books: &Value, records: &BTreeMap<String, Value>) {
    let mut by_budget: BTreeMap<(String, String), i64> = BTreeMap::new();
    for record in records.values() {
        for charge in record["charges"].as_array().into_iter().flatten() {
            *by_budget.entry((text(&charge["scope"]), text(&charge["key"]))).or_default() +=
                drawn(record, charge);
        }
    }
    let stored = stored_budgets(app);
    by_budget.retain(|_, spent| *spent != 0);
    assert_eq!(stored, by_budget, "the table `budgets` and the records differ");
    let lines = books["lines"].as_array().expect("a list");
    for line in lines {
        let key = (text(&line["scope"]), text(&line["key"]));
        assert_eq!(
            whole(&line["spent"]),
            by_budget.get(&key).copied().unwrap_or(0),
            "the ledger and the records differ: {line:#}"
        );
        assert_eq!(line["held"], 0, "{line:#}");
    }
    caps_hold(books);
    for key in by_budget.keys() {
        let is_known = |line: &Value| text(&line["scope"]) == key.0 && text(&line["key"]) == key.1;
        assert!(lines.iter().any(is_known), "the ledger knows nothing of {key:?}");
    }
    let spend = app.api("/api/v1/spend?by=tenant");
    let total: i64 = records.values().map(|record| nano(&record["cost"])).sum();
    let row = &spend["rows"][0];
    assert_eq!(
        (&row["calls"], nano(&row["cost"])),
        (&json!(records.len()), total),
        "the roll-ups differ: {spend:#}"
    );
}

fn stored_budgets(app: &TestApp) -> BTreeMap<(String, String), i64> {
    let db = rusqlite::Connection::open(app.data_dir().join("gauntlet.db")).expect("the store opens");
    let mut query = db
        .prepare(
            "select scope, key, sum(spent_nano + spent_count) from budgets
             where spent_nano <> 0 or spent_count <> 0 group by 1, 2",
        )
        .expect("the table `budgets` is there");
    let rows =
        query.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).expect("it can be read");
    rows.collect::<Result<_, _>>().expect("rows of two texts and a number")
}

pub fn nano(amount: &Value) -> i64 {
    amount.as_i64().unwrap_or_else(|| panic!("an amount in nano-dollars, not {amount}"))
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
