//! What a run costs besides waiting for the model: 10,000 cases against a mock that answers after a fixed time.
//!
//! ```text
//! cargo run --release -p gauntlet-evals --example overhead [CASES] [CONCURRENCY] [LATENCY_MS]
//! ```
//!
//! A fourth argument names metrics as a suite does: `"[exact, bleu]"`. The best there can be is `cases / concurrency × latency`: every slot waits for the model all the time. What the run took
//! beyond that is its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use gauntlet_evals::{
    JudgeCache, Scorer, metrics,
    run::{Parts, Plan, Sink, Standing, Stop, Watch, candidate::Wanted, run},
    suite,
};
use gauntlet_ports::{Ask, Clock, EvalResult, EvalRun, JudgeKey, Judged, Runner, RunnerError, Told};
use gauntlet_types::{CallId, Mono, NanoUsd, Timestamp};
use serde_json::json;

struct Mock(Duration);

impl Runner for Mock {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Told, RunnerError>> {
        Box::pin(async move {
            tokio::time::sleep(self.0).await;
            let asked = ask.body["messages"][0]["content"].clone();
            Ok(Told {
                status: 200,
                body: json!({"choices": [{"message": {"role": "assistant", "content": asked}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 100, "completion_tokens": 50}}),
                cost: NanoUsd(100_000),
                latency_us: self.0.as_micros() as u64,
                decision: "allow".into(),
                cache: "miss".into(),
                ..Told::default()
            })
        })
    }
}

/// Writes each batch as JSON, as a client of the gateway must.
#[derive(Default)]
struct Written(AtomicUsize);

impl Sink for Written {
    fn run<'a>(&'a self, run: &'a EvalRun) -> BoxFuture<'a, Result<(), String>> {
        self.0.fetch_add(serde_json::to_vec(run).map_or(0, |bytes| bytes.len()), Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn results<'a>(&'a self, results: &'a [EvalResult]) -> BoxFuture<'a, Result<(), String>> {
        self.0.fetch_add(serde_json::to_vec(results).map_or(0, |bytes| bytes.len()), Relaxed);
        Box::pin(async { Ok(()) })
    }
}

struct NoCache;

impl JudgeCache for NoCache {
    fn get<'a>(&'a self, _: &'a JudgeKey) -> BoxFuture<'a, Option<Judged>> {
        Box::pin(async { None })
    }

    fn put(&self, _: Judged) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp(1_777_142_531_482_000).plus(self.0.elapsed())
    }

    fn mono(&self) -> Mono {
        Mono(self.0.elapsed().as_micros() as u64)
    }

    fn call_id(&self) -> CallId {
        CallId(Default::default())
    }

    fn chance(&self) -> f64 {
        0.5
    }
}

#[derive(Default)]
struct Counted(AtomicUsize);

impl Watch for Counted {
    fn tell(&self, standing: &Standing) {
        self.0.store(standing.done, Relaxed);
    }
}

/// Of this process so far, in hundredths of a second as Linux counts them.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn main() {
    let number = |at: usize, default: u64| {
        std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (cases, concurrency, latency) =
        (number(1, 10_000), number(2, 64), Duration::from_millis(number(3, 100)));
    let data: String = (0..cases)
        .map(|index| {
            let asked = format!("{index}: {}", "Where is my parcel, and who pays if it is lost? ".repeat(8));
            json!({"id": format!("c{index}"), "input": asked, "expected": asked, "contexts": [asked]})
                .to_string()
                + "\n"
        })
        .collect();
    let metrics_text = std::env::args().nth(4).unwrap_or_else(|| "[]".to_owned());
    let text =
        format!("suite: overhead\ndataset: d.jsonl\nconcurrency: {concurrency}\nmetrics: {metrics_text}\n");
    let read = Instant::now();
    let (suite, _) = match suite::read("s.yaml", &text, &mut |_| Ok(data.clone())).good() {
        Ok(good) => good,
        Err(mistakes) => {
            for mistake in mistakes {
                eprintln!("{mistake}");
            }
            std::process::exit(2);
        }
    };
    let read = read.elapsed();
    let scorers: Vec<Box<dyn Scorer>> = metrics::make(&suite).unwrap_or_default();
    let (mock, sink, clock, watch, stop) =
        (Mock(latency), Written::default(), Wall(Instant::now()), Counted::default(), Stop::default());
    let wanted = Wanted { name: "mock/m".into(), prompt: None, model: Some("mock/m".into()) };
    let plan = Plan { wanted, ..Plan::of(&suite) };
    let parts = Parts {
        runner: &mock,
        scorers: &scorers,
        cache: &NoCache,
        sink: &sink,
        clock: &clock,
        prompts: &|_| None::<Arc<gauntlet_prompts::Prompt>>,
        stop: &stop,
        watch: &watch,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            std::process::exit(2);
        }
    };
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let row = runtime.block_on(run(&plan, &parts));
    let took = begun.elapsed().as_secs_f64();
    let ideal = cases as f64 / concurrency as f64 * latency.as_secs_f64();
    let cpu = cpu_seconds() - cpu;
    let done = watch.0.load(Relaxed);
    println!(
        "{done} of {cases} cases, {concurrency} at once, a model that takes {latency:?}: {:?}",
        row.map(|row| row.state)
    );
    println!("read in {read:.1?}; ran in {took:.3} s, of which {ideal:.3} s wait for the model at best");
    let each = cpu * 1e6 / done.max(1) as f64;
    println!("processor: {cpu:.2} s, {each:.0} µs a case");
    println!(
        "not spent waiting: {:.2} %; {} KB of results written",
        100.0 * (took - ideal) / took,
        sink.0.load(Relaxed) >> 10
    );
}
