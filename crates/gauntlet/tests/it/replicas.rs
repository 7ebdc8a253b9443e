//! Three gateways, one set of caps: budgets, rates and places shared over a real Redis and a real Postgres, which are
//! killed, cut off and emptied under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use gauntlet_testkit::{Binary, Launch, PostgresServer, Provider, RedisServer, Step, http};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::TestApp;

/// One call is answered with 5 tokens in (as we count them, too) and 100 out at 1 and 2 USD a million.
pub const CALL_NANO: i64 = 205_000;
const SOON: Duration = Duration::from_secs(10);

pub struct Replicas {
    pub provider: Provider,
    pub running: Vec<Option<Binary>>,
    folder: TempDir,
}

impl Replicas {
    /// So many gateways with one configuration and a data folder each.
    pub fn start(count: usize, shared: &str, rest: &str, budgets: &str) -> Replicas {
        let provider = Provider::start();
        provider.default(answer(20));
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        std::fs::create_dir(&config).unwrap();
        let url = provider.url();
        let main = format!(
            "providers:\n  prov: {{dialect: openai, url: \"{url}\", key: secret}}\nshared: {shared}\n{rest}\n"
        );
        std::fs::write(config.join("gauntlet.yml"), main).unwrap();
        std::fs::write(config.join("budgets.yml"), budgets).unwrap();
        std::fs::write(config.join("prices.yml"), "test-model: {input: 1, output: 2}\n").unwrap();
        let mut replicas = Replicas { provider, running: Vec::new(), folder };
        for number in 0..count {
            let gateway = replicas.launch(number).serve();
            replicas.running.push(Some(gateway));
        }
        replicas
    }

    pub fn launch(&self, number: usize) -> Launch {
        let data = self.folder.path().join(format!("data-{number}"));
        Launch::new(env!("CARGO_BIN_EXE_gauntlet"))
            .args(["up", "--config", &self.folder.path().join("config").display().to_string()])
            .args(["--data", &data.display().to_string()])
            .folder(self.folder.path())
    }

    /// What a command beside a replica says.
    fn launch_command(&self, number: usize, args: &[&str]) -> Value {
        let data = self.folder.path().join(format!("data-{number}"));
        Launch::new(env!("CARGO_BIN_EXE_gauntlet"))
            .args(args)
            .args(["--config", &self.folder.path().join("config").display().to_string()])
            .args(["--data", &data.display().to_string()])
            .run()
            .expect_ok()
            .json()
    }

    pub fn restart(&mut self, number: usize) {
        self.running[number] = Some(self.launch(number).serve());
    }

    pub fn url(&self, number: usize, path: &str) -> String {
        self.running[number].as_ref().unwrap().url(path)
    }

    pub fn chat(&self, number: usize) -> http::Reply {
        http::post_json(&self.url(number, "/v1/chat/completions"), &[], &body()).unwrap()
    }

    /// Asks until the answer has this status.
    pub fn wait_for_status(&self, number: usize, status: u16) -> http::Reply {
        let until = Instant::now() + SOON;
        loop {
            let reply = self.chat(number);
            if reply.status == status {
                return reply;
            }
            assert!(Instant::now() < until, "replica {number} does not answer {status}: {}", reply.text());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Callers at every replica that runs, until stopped: how many calls each status had.
    fn load(&self, callers: usize) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let counts: Arc<[AtomicUsize; 3]> = Arc::default();
        let mut threads = Vec::new();
        for gateway in self.running.iter().flatten() {
            for _ in 0..callers {
                let (url, stop, counts) = (gateway.url("/v1/chat/completions"), stop.clone(), counts.clone());
                threads.push(thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        // A gateway that was killed answers nobody.
                        let Ok(reply) = http::post_json(&url, &[], &body()) else {
                            thread::sleep(Duration::from_millis(20));
                            continue;
                        };
                        let place = match reply.status {
                            200 => 0,
                            429 => 1,
                            _ => 2,
                        };
                        counts[place].fetch_add(1, Ordering::Relaxed);
                        if place > 0 {
                            thread::sleep(Duration::from_millis(10));
                        }
                    }
                }));
            }
        }
        Load { stop, counts, threads }
    }

    /// Spent and held of a budget over all replicas that run, each by its own books.
    pub fn used(&self, scope: &str) -> i64 {
        let of = |gateway: &Binary| -> i64 {
            let books = http::get(&gateway.url("/api/v1/budgets"), &[]).unwrap().json();
            let lines = books["lines"].as_array().unwrap();
            let line = lines.iter().find(|line| line["scope"] == scope);
            line.map_or(0, |line| line["spent"].as_i64().unwrap() + line["held"].as_i64().unwrap())
        };
        self.running.iter().flatten().map(of).sum()
    }
}

struct Load {
    stop: Arc<AtomicBool>,
    /// Answered, refused for a cap, and everything else.
    counts: Arc<[AtomicUsize; 3]>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn counts(&self) -> [usize; 3] {
        std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed))
    }

    fn wait_until(&self, what: &str, is_so: impl Fn([usize; 3]) -> bool) {
        let until = Instant::now() + SOON;
        while !is_so(self.counts()) {
            assert!(Instant::now() < until, "{what}: {:?}", self.counts());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(self) -> [usize; 3] {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed))
    }
}

fn body() -> Value {
    let mut body = TestApp::body("Hello");
    body["max_tokens"] = 100.into();
    body
}

fn answer(delay_ms: u64) -> Step {
    Step::text("Hello to you").usage(5, 100).delay(Duration::from_millis(delay_ms))
}

/// Nobody passes the cap, most of it can be used, and what the provider answered is what the books say.
fn a_cap_is_kept_by_three(shared: &str) {
    let cap = 60 * CALL_NANO;
    let budgets = format!("tenants: {{default: {{daily_usd: {}}}}}\n", cap as f64 / 1e9);
    let mut replicas = Replicas::start(3, shared, "", &budgets);
    for number in 0..3 {
        // A store that has just begun grants nothing for a lease.
        replicas.wait_for_status(number, 200);
    }
    let load = replicas.load(4);
    let watch = Instant::now();
    load.wait_until("the cap is reached", |[_, refused, _]| {
        assert!(replicas.used("tenant_daily") <= cap, "the cap is passed after {:?}", watch.elapsed());
        refused > 30
    });
    let [_, _, other] = load.end();
    assert_eq!(other, 0, "only caps refuse");
    let answered = replicas.provider.requests().len() as i64;
    assert!(answered <= 60, "{answered} calls were answered under a cap of 60");
    assert!(answered >= 55, "only {answered} of 60 calls were let through");
    assert_eq!(replicas.used("tenant_daily"), answered * CALL_NANO);
    let refused = replicas.chat(1);
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (429, &json!("budget_exceeded")));
    // Whoever stops and comes back finds the same cap, used up.
    for number in 0..3 {
        replicas.running[number].take().unwrap().stop().expect_ok();
        replicas.restart(number);
    }
    thread::sleep(Duration::from_millis(500));
    let late =
        (0..12).map(|number| replicas.chat(number % 3).status).filter(|status| *status == 200).count() as i64;
    assert!(answered + late <= 60, "{late} more after a restart");
}

#[test]
fn three_replicas_keep_one_cap_over_redis() {
    let redis = RedisServer::start().expect("a Redis server");
    a_cap_is_kept_by_three(&format!("{{url: \"{}\", lease: 2s}}", redis.url()));
}

#[test]
fn three_replicas_keep_one_cap_over_postgres() {
    let postgres = PostgresServer::start().expect("a Postgres server");
    a_cap_is_kept_by_three(&format!("{{url: \"{}\", lease: 2s}}", postgres.url()));
}

#[test]
fn a_store_killed_under_load_stops_what_it_would_have_granted_and_no_cap_is_passed() {
    let mut redis = RedisServer::start_durable().expect("a Redis server");
    let cap = 400 * CALL_NANO;
    let budgets = format!("tenants: {{default: {{daily_usd: {}}}}}\n", cap as f64 / 1e9);
    let shared = format!("{{url: \"{}\", lease: 2s}}", redis.url());
    let mut replicas = Replicas::start(3, &shared, "", &budgets);
    for number in 0..3 {
        replicas.wait_for_status(number, 200);
    }
    let load = replicas.load(2);
    load.wait_until("calls are answered", |[answered, ..]| answered > 30);
    redis.kill_9();
    load.wait_until("without the store, calls are refused", |[.., other]| other > 20);
    let refused = replicas.wait_for_status(0, 503);
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (503, &json!("unavailable")),
        "{}",
        refused.text()
    );
    assert!(refused.text().contains("cannot be reached"), "{}", refused.text());
    // A replica dies meanwhile, and its slice with it.
    replicas.running[2].take().unwrap().kill9();
    redis.start_again();
    let before = load.counts()[0];
    load.wait_until("with the store, calls are answered again", |[answered, ..]| answered > before + 20);
    // Cut off: nothing answers, and nothing is refused either.
    redis.pause();
    load.wait_until("cut off, calls are refused", {
        let before = load.counts()[2];
        move |[.., other]| other > before + 5
    });
    redis.resume();
    // It comes back, and what it held in doubt with it.
    replicas.restart(2);
    replicas.wait_for_status(2, 200);
    load.wait_until("the cap is reached", |[_, refused, _]| {
        assert!(replicas.used("tenant_daily") <= cap);
        refused > 10
    });
    let [answered, ..] = load.end();
    let asked = replicas.provider.requests().len() as i64;
    assert!(asked <= 400, "{asked} calls reached the provider under a cap of 400");
    assert!(answered > 300, "{answered} calls were answered");
}

#[test]
fn a_replica_may_go_on_alone_if_that_is_wanted() {
    let mut redis = RedisServer::start_durable().expect("a Redis server");
    let cap = 100 * CALL_NANO;
    let budgets = format!("tenants: {{default: {{daily_usd: {}, rpm: 600}}}}\n", cap as f64 / 1e9);
    let shared = format!("{{url: \"{}\", lease: 2s, on_store_down: local}}", redis.url());
    let replicas = Replicas::start(2, &shared, "", &budgets);
    for number in 0..2 {
        replicas.wait_for_status(number, 200);
    }
    redis.stop();
    thread::sleep(Duration::from_millis(2_500));
    for number in 0..2 {
        replicas.wait_for_status(number, 200);
        let steady = (0..10).filter(|_| replicas.chat(number).status == 200).count();
        assert_eq!(steady, 10, "replica {number} goes on");
    }
    redis.start_again();
    for number in 0..2 {
        replicas.wait_for_status(number, 200);
    }
    assert!(replicas.used("tenant_daily") <= cap);
}

#[test]
fn rates_and_places_are_shared_and_a_dead_replicas_places_return() {
    let redis = RedisServer::start().expect("a Redis server");
    let shared = format!("{{url: \"{}\", lease: 2s}}", redis.url());
    let limits = "limits:\n  tenants: {default: {max_concurrency: 6, queue: 0}}\n";
    let mut replicas = Replicas::start(3, &shared, limits, "");
    replicas.provider.default(answer(120));
    let load = replicas.load(6);
    load.wait_until("some are refused", |[answered, refused, _]| answered > 40 && refused > 20);
    load.end();
    let most = most_at_once(&replicas.provider, Duration::from_millis(120));
    assert!((3..=6).contains(&most), "{most} calls at once under a limit of 6");
    // Places of one that dies return after its lease.
    replicas.provider.default(answer(3_000));
    let url = replicas.url(0, "/v1/chat/completions");
    let before = replicas.provider.requests().len();
    let busy: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            // Places that others do not need any more come back one after the other.
            let ask = move || http::post_json(&url, &[], &body()).is_ok_and(|reply| reply.status == 429);
            thread::spawn(move || while ask() {})
        })
        .collect();
    let until = Instant::now() + SOON;
    while replicas.provider.requests().len() < before + 6 {
        assert!(Instant::now() < until, "one replica can have all places");
        thread::sleep(Duration::from_millis(20));
    }
    replicas.provider.default(answer(0));
    assert_eq!(replicas.chat(1).status, 429, "all places are taken elsewhere");
    replicas.running[0].take().unwrap().kill9();
    busy.into_iter().for_each(|thread| thread.join().unwrap());
    replicas.wait_for_status(1, 200);

    let limits = "limits:\n  tenants: {default: {rpm: 60}}\n";
    let replicas = Replicas::start(3, &shared, limits, "");
    let begun = Instant::now();
    let answered = (0..150).filter(|number| replicas.chat(number % 3).status == 200).count();
    // A minute's worth at once, and one more each second.
    let most = 61 + begun.elapsed().as_secs() as usize;
    assert!((50..=most).contains(&answered), "{answered} of 150 calls went through 60 a minute");
}

/// How many requests were under way at once, at most.
fn most_at_once(provider: &Provider, each: Duration) -> usize {
    let mut begun: Vec<Instant> = provider.requests().iter().map(|request| request.at).collect();
    begun.sort();
    let within = |at: &Instant| {
        begun.iter().filter(|other| **other <= *at && at.duration_since(**other) < each).count()
    };
    begun.iter().map(within).max().unwrap_or(0)
}

#[test]
fn a_replica_gone_for_good_is_forgotten_and_its_slices_return() {
    let redis = RedisServer::start_durable().expect("a Redis server");
    let cap = 10 * CALL_NANO;
    let budgets = format!("tenants: {{default: {{daily_usd: {}}}}}\n", cap as f64 / 1e9);
    let mut replicas = Replicas::start(2, &format!("{{url: \"{}\", lease: 2s}}", redis.url()), "", &budgets);
    for number in 0..2 {
        replicas.wait_for_status(number, 200);
    }
    // It dies with a call under way, and so with a slice in hand.
    replicas.provider.default(answer(5_000));
    let url = replicas.url(0, "/v1/chat/completions");
    let busy = thread::spawn(move || drop(http::post_json(&url, &[], &body())));
    thread::sleep(Duration::from_millis(600));
    replicas.running[0].take().unwrap().kill9();
    busy.join().unwrap();
    replicas.provider.default(answer(0));
    let list = |replicas: &Replicas| http::get(&replicas.url(1, "/api/v1/replicas"), &[]).unwrap().json();
    let both = list(&replicas);
    assert_eq!(
        (&both["is_shared"], both["replicas"].as_array().map(Vec::len)),
        (&json!(true), Some(2)),
        "{both}"
    );
    let own = replicas.launch_command(1, &["replica", "list", "--json"]);
    assert_eq!(own["replicas"].as_array().map(Vec::len), Some(2));
    thread::sleep(Duration::from_millis(2_200));
    let dead = list(&replicas)["replicas"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["is_alive"] == false)
        .unwrap()
        .clone();
    assert!(dead["slices"].as_i64().unwrap() >= CALL_NANO, "{dead}");
    // Two calls are spent. The slice in doubt stays counted.
    let answered = (0..12).filter(|_| replicas.chat(1).status == 200).count();
    assert!((5..8).contains(&answered), "{answered} of 8 calls, less the slice in doubt");
    let forgotten =
        replicas.launch_command(1, &["replica", "forget", dead["id"].as_str().unwrap(), "--json"]);
    assert_eq!(forgotten["forgotten"], dead["id"]);
    assert_eq!(replicas.chat(1).status, 200, "what it held can be spent again");
    let unknown = http::send("DELETE", &replicas.url(1, "/api/v1/replicas/nobody"), &[], b"").unwrap();
    assert_eq!(unknown.status, 404, "{}", unknown.text());
}
