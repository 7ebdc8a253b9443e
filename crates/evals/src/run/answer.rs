//! One case, once: asked, scored, told.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use gauntlet_ports::{Ask, Candidate, EvalResult, Runner, RunnerError, Score, Told};
use gauntlet_types::{Name, NanoUsd, PromptRef};
use serde_json::{Value, json};

use super::{Parts, Plan, candidate::Asking, pace::Paced};
use crate::{Asker, Case, Scored, Scorer, Seen, Suite, Waits, hash, judge::Forms, suite::MetricSpec};

/// Of what was asked and expected: for lists.
const SHORT_LETTERS: usize = 500;
/// Of an answer: longer than models write.
const OUTPUT_BYTES_MAX: usize = 256 << 10;
/// The guards' no is an answer as the user gets it, and is scored.
const BLOCKED: &str = "guardrail_blocked";

/// What one case came to.
pub(super) struct Done {
    /// None where the run ended before the case was answered or scored to its end.
    pub(super) result: Option<EvalResult>,
    pub(super) prompt: Option<PromptRef>,
    pub(super) judge_calls: u32,
    pub(super) judge_cached: u32,
}

/// What every case of a run has in common.
pub(super) struct Work<'a> {
    plan: &'a Plan<'a>,
    parts: &'a Parts<'a>,
    pub(super) paced: &'a Paced<'a>,
    asking: Asking<'a>,
    forms: Arc<Forms>,
    run: Name,
    score_limit: Duration,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        plan: &'a Plan<'a>,
        parts: &'a Parts<'a>,
        paced: &'a Paced<'a>,
        run: Name,
        candidate: Candidate,
    ) -> Work<'a> {
        let limit = plan.suite.score_limit;
        Work {
            plan,
            parts,
            paced,
            asking: Asking::new(plan, parts.prompts, run.clone(), candidate.prompt),
            forms: Arc::default(),
            run,
            score_limit: if limit.is_zero() { Suite::SCORE_LIMIT } else { limit },
        }
    }

    pub(super) async fn unit(&self, case: &Case, repeat: u32) -> Done {
        let mut result = self.blank(case, repeat);
        let told = match self.told(case).await {
            Ok(told) => told,
            Err(why) => {
                result.error = Some(why);
                return self.done(result, None, (0, 0));
            }
        };
        // The slot is free again: who waits for it asks before this answer is scored, so that no model waits for a scorer.
        tokio::task::yield_now().await;
        answered(&mut result, &told);
        let prompt = told.prompt.clone();
        if let Some(prompt) = &prompt
            && !self.asking.pin(prompt)
        {
            result.error = Some(format!(
                "prompt `{}` changed under the run: this answer is of version {}",
                prompt.name, prompt.version
            ));
        }
        if result.error.is_some() {
            return self.done(result, prompt, (0, 0));
        }
        let text = told.text();
        let words = words(&told);
        let output_hash = hash::sha256(&words);
        let seen = Seen { case, text, told: &told, output_hash: &output_hash };
        let calls = self.score(&seen, &mut result).await;
        result.output_hash = Some(output_hash);
        result.output = Some(cut(words));
        self.done(result, prompt, calls)
    }

    fn blank(&self, case: &Case, repeat: u32) -> EvalResult {
        EvalResult {
            run: self.run.clone(),
            case: case.id.clone(),
            repeat,
            cluster: case.cluster.clone(),
            app_sha: self.plan.app_sha.clone(),
            route: self.plan.suite.route.clone(),
            source: case.source(),
            input: Some(short(&case.question())),
            expected: case.expected_text().map(|text| short(&text)),
            ..EvalResult::default()
        }
    }

    fn done(
        &self,
        mut result: EvalResult,
        prompt: Option<PromptRef>,
        (judge_calls, judge_cached): (u32, u32),
    ) -> Done {
        result.at = self.parts.clock.now();
        // A case that the end of the run cut short is asked again when the run goes on; one that was done by then is kept.
        let is_whole = result.error.is_none() && result.scores.iter().all(|score| score.value.is_some());
        let result = (is_whole || self.paced.ended().is_none()).then_some(result);
        Done { result, prompt, judge_calls, judge_cached }
    }

    async fn told(&self, case: &Case) -> Result<Told, String> {
        if self.plan.is_recorded {
            let output = case.output.as_ref().ok_or("the case brings no answer along")?;
            return Ok(recorded(output));
        }
        self.paced.ask(self.asking.ask(case)).await.map_err(|error| error.0)
    }

    /// Scores by all metrics at once; calls of judges made, and known.
    async fn score(&self, seen: &Seen<'_>, result: &mut EvalResult) -> (u32, u32) {
        let asked: Vec<&dyn Scorer> = scorers_of(self.parts.scorers, seen.case).collect();
        let scored = join_all(asked.iter().map(|scorer| self.one(*scorer, seen))).await;
        let (mut made, mut known) = (0, 0);
        for (scorer, scored) in asked.into_iter().zip(scored) {
            result.judge_cost = result.judge_cost.plus(scored.cost);
            made += scored.calls;
            known += scored.cached;
            let spec = self.plan.suite.metrics.iter().find(|spec| spec.name == *scorer.metric());
            result.scores.push(held(scored.score, spec, scorer));
        }
        result.passed = passed(&result.scores, &self.plan.suite.metrics);
        (made, known)
    }

    /// A scorer that hangs is cut, one that breaks is caught: the answer stays unscored by it, and the run goes on. What its calls took
    /// is told either way.
    async fn one(&self, scorer: &dyn Scorer, seen: &Seen<'_>) -> Scored {
        let turns = Turns::at(self.paced);
        let unscored = |reason: String| Scored {
            score: Score {
                metric: scorer.metric().clone(),
                implementation: scorer.implementation().into(),
                reason: Some(reason),
                ..Score::default()
            },
            cost: turns.cost(),
            calls: turns.calls.load(Relaxed),
            cached: 0,
        };
        if let Some(lacks) = scorer.lacks(seen.case) {
            return unscored(lacks);
        }
        let asker = Asker {
            runner: &turns,
            cache: self.parts.cache,
            eval_id: self.run.clone(),
            app_sha: self.plan.app_sha.clone(),
            forms: Arc::clone(&self.forms),
            waits: Arc::clone(&turns.waits),
        };
        let scoring = AssertUnwindSafe(async { scorer.score(seen, &asker).await }).catch_unwind();
        match within(self.score_limit, &turns.waits, scoring).await {
            Some(Ok(scored)) => scored,
            Some(Err(_)) => unscored("the scorer broke off; the program's own log says where".to_owned()),
            None => unscored(format!(
                "the scorer gave no score within {:?} (score_limit of the suite, which may be raised)",
                self.score_limit
            )),
        }
    }
}

/// The calls of one scorer: when each has its turn, and what they took.
struct Turns<'a> {
    paced: &'a Paced<'a>,
    waits: Arc<Waits>,
    calls: AtomicU32,
    answered: AtomicU32,
    cost: AtomicI64,
}

impl<'a> Turns<'a> {
    fn at(paced: &'a Paced<'a>) -> Turns<'a> {
        Turns {
            paced,
            waits: Arc::default(),
            calls: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            cost: AtomicI64::new(0),
        }
    }

    /// Calls that were cut count with what their like have cost, as the run's budget has them.
    fn cost(&self) -> NanoUsd {
        let open = self.calls.load(Relaxed).saturating_sub(self.answered.load(Relaxed));
        let cut = NanoUsd(self.paced.usual_cost(true).0.saturating_mul(i64::from(open)));
        NanoUsd(self.cost.load(Relaxed)).plus(cut)
    }
}

impl Runner for Turns<'_> {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Told, RunnerError>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Relaxed);
            let asked = self.paced.paced(ask, &self.waits).await;
            self.answered.fetch_add(1, Relaxed);
            let told = asked?;
            self.cost.fetch_add(told.cost.0.max(0), Relaxed);
            Ok(told)
        })
    }
}

/// None when it took longer than `limit`. Time in which it waits for its turn does not count: ten judges on a machine that serves one
/// call after the other would all be late. It ends all the same, since each of the calls before it has a limit of its own.
async fn within<T>(limit: Duration, waits: &Waits, future: impl Future<Output = T>) -> Option<T> {
    /// Parts of the limit in which is looked whether it waits.
    const STEPS: u32 = 20;
    let mut future = std::pin::pin!(future);
    let step = (limit / STEPS).max(Duration::from_millis(1));
    let mut left = STEPS;
    while left > 0 {
        match tokio::time::timeout(step, &mut future).await {
            Ok(done) => return Some(done),
            Err(_) if waits.is_waiting() => {}
            Err(_) => left -= 1,
        }
    }
    None
}

/// Those that are asked of the case at all.
pub(super) fn scorers_of<'a>(
    scorers: &'a [Box<dyn Scorer>],
    case: &Case,
) -> impl Iterator<Item = &'a dyn Scorer> {
    scorers.iter().map(|scorer| &**scorer).filter(|scorer| scorer.applies(case))
}

fn answered(result: &mut EvalResult, told: &Told) {
    result.call = told.call;
    result.model = told.model.clone();
    result.decision = (!told.decision.is_empty()).then(|| told.decision.clone());
    result.cost = told.cost;
    result.latency_us = told.latency_us;
    (result.tokens_in, result.tokens_out) = told.tokens();
    if told.error_code() == Some(BLOCKED) {
        return;
    }
    if told.is_ok() {
        result.error = wordless(told).map(str::to_owned);
        return;
    }
    let code = told.error_code().map_or_else(|| format!("status {}", told.status), str::to_owned);
    let message = told.error_message().unwrap_or("no reason is given");
    result.error = Some(short(&format!("{code}: {message}")));
}

/// Why an answer is none. An empty text is one: it is what the model said.
fn wordless(told: &Told) -> Option<&'static str> {
    let Some(choice) = told.body["choices"].as_array().and_then(|choices| choices.first()) else {
        return Some("the provider's answer has no choice (`choices` is empty)");
    };
    let message = &choice["message"];
    let has_more =
        ["tool_calls", "function_call", "refusal", "audio"].iter().any(|field| !message[*field].is_null());
    // A model that thinks until its tokens are used up has answered, badly.
    let is_cut = choice["finish_reason"] == "length";
    (message["content"].is_null() && !has_more && !is_cut)
        .then_some("the provider's answer has neither words nor a tool that is called (`content` is null)")
}

/// What is kept of the answer: its words, or its whole message where it calls tools without a word.
fn words(told: &Told) -> String {
    let message = &told.body["choices"][0]["message"];
    match told.text() {
        "" if message["tool_calls"].is_array() => message.to_string(),
        text => text.to_owned(),
    }
}

/// An answer that was given before, as if it came now, for nothing and at once. How it ended nobody knows.
fn recorded(output: &Value) -> Told {
    let message = match output {
        Value::String(text) => json!({"role": "assistant", "content": text}),
        Value::Object(fields) if fields.contains_key("content") || fields.contains_key("tool_calls") => {
            output.clone()
        }
        other => json!({"role": "assistant", "content": other.to_string()}),
    };
    Told {
        status: 200,
        body: json!({"choices": [{"index": 0, "message": message}]}),
        decision: "allow".into(),
        cache: "miss".into(),
        cost: NanoUsd::ZERO,
        ..Told::default()
    }
}

/// A score that is finite, and says whether it holds its threshold.
fn held(mut score: Score, spec: Option<&MetricSpec>, scorer: &dyn Scorer) -> Score {
    score.metric = scorer.metric().clone();
    if score.implementation.is_empty() {
        score.implementation = scorer.implementation().into();
    }
    if score.value.is_some_and(|value| !value.is_finite()) {
        score.value = None;
        score.reason.get_or_insert_with(|| "the formula has no value here".to_owned());
    }
    let threshold = spec.and_then(|spec| spec.threshold);
    if score.passed.is_none()
        && let (Some(value), Some(threshold)) = (score.value, threshold)
    {
        score.passed = Some(match scorer.direction() {
            gauntlet_ports::Direction::HigherIsBetter => value >= threshold,
            gauntlet_ports::Direction::LowerIsBetter => value <= threshold,
        });
    }
    score
}

/// All thresholds held. One that could not be looked at leaves it open, unless another is broken.
fn passed(scores: &[Score], metrics: &[MetricSpec]) -> Option<bool> {
    if scores.iter().any(|score| score.passed == Some(false)) {
        return Some(false);
    }
    let is_open = |score: &&Score| {
        score.passed.is_none()
            && metrics.iter().any(|spec| spec.name == score.metric && spec.threshold.is_some())
    };
    let is_looked_at = scores.iter().any(|score| score.passed.is_some());
    (is_looked_at && !scores.iter().any(|score| is_open(&score))).then_some(true)
}

fn short(text: &str) -> String {
    let mut letters = text.chars();
    let short: String = letters.by_ref().take(SHORT_LETTERS).collect();
    if letters.next().is_some() { short + "…" } else { short }
}

fn cut(mut text: String) -> String {
    if text.len() > OUTPUT_BYTES_MAX {
        let end = (0..=OUTPUT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_in_which_a_scorer_waits_for_its_turn_is_not_its_own() {
        const LIMIT: Duration = Duration::from_secs(10);
        let waits = Waits::default();
        let sleep = |times: f64| tokio::time::sleep(LIMIT.mul_f64(times));
        let check = async |waiting: f64, working: f64, is_in_time: bool| {
            let scoring = async {
                waits.during(sleep(waiting)).await;
                sleep(working).await;
            };
            let ended = within(LIMIT, &waits, scoring).await;
            assert_eq!(ended.is_some(), is_in_time, "{waiting} {working}");
            assert!(!waits.is_waiting());
        };
        check(0.0, 0.9, true).await;
        check(30.0, 0.9, true).await;
        check(0.0, 1.2, false).await;
        check(30.0, 1.2, false).await;
    }
}
