//! Money under load and kills: callers press a gateway that is killed every few seconds, under fifty overlapping budgets
//! of which many run out, and keep books of their own.
//!
//! Shared with `examples/soak.rs`, which does the same at full size; it stands on nothing but the testkit.
//!
//! What the callers know of each budget bounds what can have been spent and held in it at any moment: `begun` grows by a
//! call's bound before it is sent, `freed` by what the call turned out not to cost once its answer is there. A call whose
//! answer never came stays at its bound.

mod callers;
mod verdict;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use gauntlet_testkit::{Binary, Launch, http};
use serde::Serialize;
use serde_json::Value;

/// What a token costs, in nano-dollars.
pub(crate) const INPUT_NANO: i64 = 1_000;
pub(crate) const OUTPUT_NANO: i64 = 2_000;
pub(crate) const OUTPUT_MAX: i64 = 32;
/// About what a call costs, for caps that run out in the course of the run.
const CALL_NANO: f64 = 75_000.0;
/// How often the books are looked at while the gateway is pressed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub struct Options {
    pub gateway: PathBuf,
    pub calls: u64,
    pub concurrency: usize,
    pub kill_every: Duration,
    pub seed: u64,
}

/// What came of it. Everything from `overspend` to `lost_records` must be nothing.
#[derive(Clone, Default, Serialize, Debug)]
pub struct Report {
    pub calls: u64,
    pub answered: u64,
    pub refused: u64,
    pub failed: u64,
    /// The connection broke before the answer was whole.
    pub broken: u64,
    pub kills: u64,
    pub budgets: usize,
    pub budgets_run_out: usize,
    pub looks: u64,
    /// The most by which spent + held passed a cap, over all budgets, looks and refusals.
    pub overspend: i64,
    /// Held, or calls in the books as open, once no call runs.
    pub leaked_holds: i64,
    /// What the ledger has above the sum of the records, over all budgets; and calls with two records.
    pub double_charges: i64,
    /// What the records have above the ledger.
    pub lost_charges: i64,
    /// Budgets whose ledger is outside of what the callers know.
    pub unexplained: u64,
    /// Refusals that the refusal's own figures, or the callers' bound, say there was room for.
    pub false_blocks: u64,
    /// Answers whose record is missing.
    pub lost_records: u64,
    /// Lines of the ledger that another restart changed.
    pub changed_by_restart: u64,
    pub records: u64,
    pub interrupted: u64,
    pub restart_ms_mean: u64,
    pub restart_ms_max: u64,
    pub seconds: f64,
    pub calls_per_second: f64,
}

impl Report {
    /// What must be nothing and is not.
    pub fn wrongs(&self) -> Vec<String> {
        let figures = [
            ("overspend", self.overspend),
            ("leaked holds", self.leaked_holds),
            ("double charges", self.double_charges),
            ("lost charges", self.lost_charges),
            ("unexplained", self.unexplained as i64),
            ("false blocks", self.false_blocks as i64),
            ("lost records", self.lost_records as i64),
            ("changed by a restart", self.changed_by_restart as i64),
        ];
        let wrong = figures.iter().filter(|(_, figure)| *figure > 0);
        wrong.map(|(name, figure)| format!("{name}: {figure}")).collect()
    }

    pub fn table(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        let rows = value.as_object().into_iter().flatten();
        rows.map(|(name, figure)| format!("{:<20} {figure}\n", name.replace('_', " "))).collect()
    }
}

/// Between the callers, who kills, and who looks.
#[derive(Default)]
pub(crate) struct Field {
    /// Where the gateway is; none while it is dead.
    address: Mutex<Option<String>>,
    pub(crate) generation: AtomicU64,
    is_over: AtomicBool,
    /// Begun so far.
    pub(crate) calls: AtomicU64,
    pub(crate) broken: AtomicU64,
    looks: AtomicU64,
    overspend: Mutex<i64>,
    restarts: Mutex<Vec<Duration>>,
}

impl Field {
    pub(crate) fn address(&self) -> Option<String> {
        lock(&self.address).clone()
    }

    fn send_to(&self, gateway: Option<&Binary>) {
        *lock(&self.address) = gateway.map(|gateway| gateway.base_url().replace("http://", ""));
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn whole(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("a whole number, not {value}"))
}

pub fn run(options: &Options) -> Report {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("config")).expect("a folder");
    for (name, text) in configuration(options) {
        std::fs::write(path("config").join(name), text).expect("a file");
    }
    let launch = Launch::new(&options.gateway)
        .args(["up", "--config", &path("config").display().to_string()])
        .args(["--data", &path("data").display().to_string()]);
    let mut gateway = launch.serve();
    let field = Arc::new(Field::default());
    let budgets = verdict::lines(&gateway);
    field.send_to(Some(&gateway));
    let begun = Instant::now();
    let callers = {
        let (field, budgets) = (Arc::clone(&field), budgets.clone());
        let (calls, concurrency, seed) = (options.calls, options.concurrency, options.seed);
        thread::spawn(move || callers::press(&field, budgets, calls, concurrency, seed))
    };
    let looker = {
        let field = Arc::clone(&field);
        thread::spawn(move || look(&field))
    };
    let mut killed = Instant::now();
    let mut report = Report::default();
    while !callers.is_finished() {
        thread::sleep(Duration::from_millis(20));
        if killed.elapsed() < options.kill_every {
            continue;
        }
        field.send_to(None);
        gateway.kill9();
        let dead = Instant::now();
        gateway = launch.serve();
        lock(&field.restarts).push(dead.elapsed());
        field.send_to(Some(&gateway));
        report.kills += 1;
        killed = Instant::now();
    }
    let learnt = callers.join().expect("the callers do not panic");
    report.seconds = begun.elapsed().as_secs_f64();
    field.is_over.store(true, Ordering::SeqCst);
    looker.join().expect("the looker does not panic");
    report.calls = options.calls;
    report.calls_per_second = options.calls as f64 / report.seconds;
    report.looks = field.looks.load(Ordering::SeqCst);
    report.overspend = *lock(&field.overspend);
    report.broken = field.broken.load(Ordering::SeqCst);
    let restarts = lock(&field.restarts).clone();
    let total: Duration = restarts.iter().sum();
    report.restart_ms_mean = total.as_millis() as u64 / restarts.len().max(1) as u64;
    report.restart_ms_max = restarts.iter().max().map_or(0, |took| took.as_millis() as u64);
    verdict::judge(&mut report, &learnt, gateway, &launch, &path("data"));
    report
}

/// Looks at the books while calls run: no budget may be above its cap at any moment.
fn look(field: &Field) {
    while !field.is_over.load(Ordering::SeqCst) {
        thread::sleep(LOOK_EVERY);
        let Some(address) = field.address() else { continue };
        // A gateway that is killed meanwhile says nothing.
        let Ok(reply) = http::get(&format!("http://{address}/api/v1/budgets"), &[]) else { continue };
        if reply.status != 200 || !reply.is_whole {
            continue;
        }
        field.looks.fetch_add(1, Ordering::SeqCst);
        for line in reply.json()["lines"].as_array().into_iter().flatten() {
            let Some(cap) = line["cap"].as_i64() else { continue };
            let over = whole(&line["spent"]) + whole(&line["held"]) - cap;
            let mut most = lock(&field.overspend);
            *most = over.max(*most);
        }
    }
}

/// gauntlet.yml, budgets.yml and prices.yml: fifty budgets over one another, each of a size that a share of the calls
/// comes near or passes.
fn configuration(options: &Options) -> [(&'static str, String); 3] {
    let mut random = fastrand::Rng::with_seed(options.seed);
    let calls = options.calls as f64;
    let mut cap = |share: f64| share * calls * (0.2 + 0.5 * random.f64());
    let mut usd = |share: f64| format!("{:.6}", cap(share) * CALL_NANO / 1e9);
    let mut text = String::from("models:\n");
    for i in 0..4 {
        text += &format!("  s{i}: {{daily_usd: {}}}\n", usd(0.5));
        text += &format!("  m{i}: {{daily_tokens: {}}}\n", (0.25 * calls * 40.0) as i64);
    }
    text += &format!("providers:\n  a: {{daily_usd: {}}}\n", usd(2.5));
    text += &format!("  b: {{daily_requests: {}}}\nroutes:\n", (0.04 * calls) as i64);
    for i in 0..4 {
        text += &format!("  r{i}: {{daily_usd: {}, daily_requests: {}", usd(0.4), (0.14 * calls) as i64);
        text += &format!(", per_conversation_usd: {}}}\n", usd(0.004));
    }
    text += "tenants:\n";
    for i in 0..4 {
        let caps = format!("caps: [{{usd: {}, window: rolling 1h}}]", usd(0.4));
        text += &format!("  t{i}: {{daily_usd: {}, monthly_usd: {}, {caps}}}\n", usd(0.4), usd(0.45));
    }
    text += "teams:\n";
    for i in 0..5 {
        text +=
            &format!("  g{i}: {{weekly_usd: {}, daily_tokens: {}}}\n", usd(0.2), (0.2 * calls * 25.0) as i64);
    }
    text += "users:\n";
    for i in 0..10 {
        text += &format!("  u{i}: {{daily_usd: {}}}\n", usd(0.1));
    }
    text += "keys:\n";
    for i in 0..4 {
        text += &format!("  k{i}: {{daily_usd: {}}}\n", usd(0.35));
    }
    text += "tags:\n";
    for tag in ["red", "blue"] {
        text += &format!("  {tag}: {{daily_usd: {}}}\n", usd(0.5));
    }
    text += &format!("environments:\n  prod: {{daily_requests: {}}}\n", (0.95 * calls) as i64);
    text += &format!("  staging: {{daily_requests: {}}}\n", (0.1 * calls) as i64);
    text += &format!("everything: {{total_usd: {}}}\n", usd(5.0));
    let mut gateway = String::from(
        "providers:\n  a: {dialect: sim, latency: 3ms, chunk_delay: 0ms, tokens: 20, fault_rate: 0.05}\n  \
         b: {dialect: sim, latency: 3ms, chunk_delay: 0ms, tokens: 20}\n\
         default: {retry: {attempts: 1}, max_tokens: 32}\nmodels:\n",
    );
    for i in 0..4 {
        gateway += &format!("  s{i}: {{targets: [a/m{i}, b/m{i}]}}\n");
    }
    gateway += "routes:\n";
    for i in 0..4 {
        gateway += &format!("  r{i}: {{record: {{bodies: false}}}}\n");
    }
    gateway += "keys:\n";
    for i in 0..4 {
        gateway += &format!("  - {{name: k{i}, key: \"{}\", tenant: t{i}}}\n", callers::key(i));
    }
    let prices = (0..4).map(|i| format!("m{i}: {{input: 1, output: 2}}\n")).collect();
    [("gauntlet.yml", gateway), ("budgets.yml", text), ("prices.yml", prices)]
}

#[cfg(test)]
#[test]
fn fifty_budgets_hold_under_load_and_kills() {
    let options = Options {
        gateway: env!("CARGO_BIN_EXE_gauntlet").into(),
        calls: 6_000,
        concurrency: 48,
        kill_every: Duration::from_millis(400),
        seed: 7,
    };
    let report = run(&options);
    eprintln!("{}", report.table());
    assert_eq!(report.wrongs(), Vec::<String>::new());
    assert!(report.kills >= 2 && report.interrupted > 0 && report.refused > 100, "{report:#?}");
    assert!(report.answered > 500 && report.budgets_run_out > 2, "{report:#?}");
}
