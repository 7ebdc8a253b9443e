//! A model, scorers, a sink and a clock for tests.

use std::{
    cell::Cell,
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use gauntlet_ports::{
    Ask, Clock, Direction, EvalResult, EvalRun, JudgeKey, Judged, Runner, RunnerError, Score, Told,
};
use gauntlet_types::{CallId, Mono, Name, NanoUsd, Timestamp};
use serde_json::json;

use crate::{Asker, Case, JudgeCache, Mistake, Scored, Scorer, Seen, Suite, run::Sink, suite::MetricSpec};

pub(crate) const KINDS: &[&str] = &["judged", "hang", "nonsense", "panic", "begun"];

thread_local! {
    /// Calls that models of this thread were asked so far; the metric `begun` is their number at the time of scoring.
    static BEGUN: Cell<u32> = const { Cell::new(0) };
}

pub(crate) fn make(spec: &MetricSpec, _: &Suite) -> Result<Option<Box<dyn Scorer>>, Mistake> {
    let is_mine = KINDS.contains(&&*spec.kind);
    Ok(is_mine
        .then(|| Box::new(Fake { name: spec.name.clone(), kind: spec.kind.clone() }) as Box<dyn Scorer>))
}

struct Fake {
    name: Name,
    kind: Name,
}

impl Scorer for Fake {
    fn metric(&self) -> &Name {
        &self.name
    }

    fn implementation(&self) -> &str {
        "fake/1:fake"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn calls_max(&self) -> u32 {
        u32::from(&*self.kind == "judged")
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        (&*self.kind == "exact" && case.expected.is_none()).then(|| "it has no `expected`".to_owned())
    }

    fn score<'a>(&'a self, seen: &'a Seen<'a>, asker: &'a Asker<'a>) -> BoxFuture<'a, Scored> {
        Box::pin(async move {
            let of = |value: Option<f64>| Scored {
                score: Score { value, ..Score::default() },
                ..Scored::default()
            };
            match &*self.kind {
                "hang" => std::future::pending().await,
                "nonsense" => of(Some(f64::NAN)),
                "panic" => panic!("a scorer that breaks"),
                "judged" => judged(seen, asker).await,
                "begun" => of(Some(f64::from(BEGUN.get()))),
                _ => of(Some(f64::from(seen.case.expected_text().as_deref() == Some(seen.text)))),
            }
        })
    }
}

async fn judged(seen: &Seen<'_>, asker: &Asker<'_>) -> Scored {
    let key = JudgeKey {
        judge_model: "judge".into(),
        judge_prompt_hash: seen.case.id.clone(),
        output_hash: seen.output_hash.into(),
        sample: 0,
    };
    if asker.cache.get(&key).await.is_some() {
        return Scored {
            score: Score { value: Some(1.0), ..Score::default() },
            cached: 1,
            ..Scored::default()
        };
    }
    let ask = Ask {
        kind: gauntlet_ports::AskKind::Chat,
        body: serde_json::Map::new(),
        route: None,
        eval_id: asker.eval_id.clone(),
        app_sha: None,
        prompt: None,
        is_judge: true,
    };
    let Ok(told) = asker.runner.ask(ask).await else { return Scored::default() };
    let answer = told.text().to_owned();
    asker.cache.put(Judged { key, answer, cost: told.cost, call: None, at: Timestamp(0) }).await;
    Scored {
        score: Score { value: told.is_ok().then_some(1.0), ..Score::default() },
        cost: told.cost,
        calls: 1,
        cached: 0,
    }
}

type Answer = dyn Fn(&Ask, usize) -> Result<Told, RunnerError> + Send + Sync;

/// A model that says what it is told to, after a while.
pub(crate) struct Model {
    answer: Box<Answer>,
    pub(crate) latency: Duration,
    /// Judges' calls after which no judge answers.
    pub(crate) hangs_after: Option<usize>,
    /// Calls by candidate and by judges.
    pub(crate) calls: [AtomicUsize; 2],
    pub(crate) at_once: AtomicUsize,
    pub(crate) at_once_max: AtomicUsize,
    pub(crate) asks: Mutex<Vec<Ask>>,
}

impl Model {
    /// `answer` sees the call and how many came before it.
    pub(crate) fn new(
        answer: impl Fn(&Ask, usize) -> Result<Told, RunnerError> + Send + Sync + 'static,
    ) -> Model {
        Model {
            answer: Box::new(answer),
            latency: Duration::from_millis(100),
            hangs_after: None,
            calls: Default::default(),
            at_once: AtomicUsize::new(0),
            at_once_max: AtomicUsize::new(0),
            asks: Mutex::new(Vec::new()),
        }
    }

    /// Says the last message again, for a milli-dollar.
    pub(crate) fn echo() -> Model {
        Model::new(|ask, _| {
            Ok(said(ask.body.get("messages").and_then(|all| all[0]["content"].as_str()).unwrap_or("yes")))
        })
    }

    pub(crate) fn asked(&self) -> usize {
        self.calls[0].load(SeqCst)
    }

    pub(crate) fn judged(&self) -> usize {
        self.calls[1].load(SeqCst)
    }
}

pub(crate) fn said(text: &str) -> Told {
    Told {
        status: 200,
        body: json!({
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        }),
        cost: NanoUsd(1_000_000),
        latency_us: 100_000,
        decision: "allow".into(),
        cache: "miss".into(),
        ..Told::default()
    }
}

pub(crate) fn refused(status: u16, code: &str) -> Told {
    Told {
        status,
        body: json!({"error": {"code": code, "message": "no"}}),
        decision: "allow".into(),
        ..Told::default()
    }
}

impl Runner for Model {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Told, RunnerError>> {
        Box::pin(async move {
            let before = self.calls[usize::from(ask.is_judge)].fetch_add(1, SeqCst);
            BEGUN.set(BEGUN.get() + 1);
            let at_once = self.at_once.fetch_add(1, SeqCst) + 1;
            self.at_once_max.fetch_max(at_once, SeqCst);
            tokio::time::sleep(self.latency).await;
            if ask.is_judge && self.hangs_after.is_some_and(|after| before >= after) {
                std::future::pending::<()>().await;
            }
            self.at_once.fetch_sub(1, SeqCst);
            let told = (self.answer)(&ask, before);
            self.asks.lock().unwrap().push(ask);
            told
        })
    }
}

/// Keeps what it is given; fails so many times first.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) runs: Mutex<Vec<EvalRun>>,
    pub(crate) results: Mutex<HashMap<(Name, u32), EvalResult>>,
    pub(crate) fails: AtomicUsize,
}

impl Kept {
    pub(crate) fn all(&self) -> Vec<EvalResult> {
        self.results.lock().unwrap().values().cloned().collect()
    }

    fn fail(&self) -> Result<(), String> {
        let left = self.fails.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        left.map_or(Ok(()), |_| Err("the disk is full".to_owned()))
    }
}

impl Sink for Kept {
    fn run<'a>(&'a self, run: &'a EvalRun) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.fail()?;
            self.runs.lock().unwrap().push(run.clone());
            Ok(())
        })
    }

    fn results<'a>(&'a self, results: &'a [EvalResult]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.fail()?;
            let keyed = results.iter().map(|result| ((result.case.clone(), result.repeat), result.clone()));
            self.results.lock().unwrap().extend(keyed);
            Ok(())
        })
    }
}

#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<JudgeKey, Judged>>);

impl JudgeCache for Known {
    fn get<'a>(&'a self, key: &'a JudgeKey) -> BoxFuture<'a, Option<Judged>> {
        Box::pin(async move { self.0.lock().unwrap().get(key).cloned() })
    }

    fn put(&self, judged: Judged) -> BoxFuture<'_, ()> {
        Box::pin(async move { drop(self.0.lock().unwrap().insert(judged.key.clone(), judged)) })
    }
}

/// Time as tokio's paused clock counts it.
pub(crate) struct Paused {
    begun: tokio::time::Instant,
    chances: AtomicU64,
}

impl Paused {
    pub(crate) fn new() -> Paused {
        Paused { begun: tokio::time::Instant::now(), chances: AtomicU64::new(0) }
    }
}

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp(1_777_142_531_482_000).plus(self.begun.elapsed())
    }

    fn mono(&self) -> Mono {
        Mono(self.begun.elapsed().as_micros() as u64)
    }

    fn call_id(&self) -> CallId {
        CallId(Default::default())
    }

    fn chance(&self) -> f64 {
        (self.chances.fetch_add(1, SeqCst) % 100) as f64 / 100.0
    }
}
