//! Metrics of evals, counted as runs and gates' words are kept.
//!
//! What a run's row says is counted once: of a row that is kept again (a run puts it many times while it goes on) only what
//! is new.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use gauntlet_ports::{EvalGate, EvalRun, RunState};
use gauntlet_types::{Name, Timestamp};

use crate::prometheus::Gauge;

/// Suites with series of their own. Suites are files in a repository, some dozens; but their names come over the API, where
/// anything can be written. Beyond it the label reads `other`, and sums stay exact.
pub const SUITES_MAX: usize = 100;
/// Metrics of a suite with series of their own: twice as many as anybody reads.
pub const METRICS_MAX: usize = 20;
const OTHER: &str = "other";

type Labels = Vec<(&'static str, Name)>;

/// A figure with labels of its own.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    pub name: &'static str,
    pub labels: Labels,
    pub value: f64,
}

/// Counts what runs and gates come to.
#[derive(Default)]
pub struct EvalFigures(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    suites: BTreeSet<Name>,
    counters: BTreeMap<(&'static str, Labels), f64>,
    /// By suite: when the newest run began, and its means.
    means: BTreeMap<Name, (Timestamp, Vec<(Name, f64)>)>,
}

impl EvalFigures {
    /// A run as it is kept now; `before` is what was known of it, by whichever gateway kept that.
    pub fn observe_run(&self, before: Option<&EvalRun>, run: &EvalRun) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).run(before, run);
    }

    pub fn observe_gate(&self, gate: &EvalGate) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let suite = counts.suite(&gate.suite);
        counts.add(
            "gauntlet_eval_gates_total",
            vec![("suite", suite), ("verdict", gate.verdict.as_str().into())],
            1.0,
        );
    }

    /// What was there before this program started: its means, so that a start leaves no gap. Counters begin anew.
    pub fn remember<'a>(&self, runs: impl IntoIterator<Item = &'a EvalRun>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for run in runs {
            counts.keep_means(run);
        }
    }

    pub fn figures(&self) -> Vec<Figure> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = counts.counters.iter().map(|((name, labels), value)| Figure {
            name,
            labels: labels.clone(),
            value: *value,
        });
        let means = counts.means.iter().flat_map(|(suite, (_, means))| {
            means.iter().map(|(metric, value)| Figure {
                name: "gauntlet_eval_mean",
                labels: vec![("suite", suite.clone()), ("metric", metric.clone())],
                value: *value,
            })
        });
        counters.chain(means).collect()
    }
}

/// A run that goes on no more.
fn is_over(run: &EvalRun) -> bool {
    run.state != RunState::Running
}

impl Counts {
    fn run(&mut self, before: Option<&EvalRun>, run: &EvalRun) {
        let suite = self.suite(&run.suite);
        let grown = |of: fn(&EvalRun) -> u32| of(run).saturating_sub(before.map_or(0, of));
        for (result, count) in [
            ("passed", grown(|run| run.passed)),
            ("failed", grown(|run| run.failed)),
            ("error", grown(|run| run.errors)),
        ] {
            let labels = vec![("suite", suite.clone()), ("result", result.into())];
            self.add("gauntlet_eval_cases_total", labels, count.into());
        }
        for (source, count) in
            [("made", grown(|run| run.judge_calls)), ("known", grown(|run| run.judge_cached))]
        {
            let labels = vec![("suite", suite.clone()), ("source", source.into())];
            self.add("gauntlet_eval_judge_calls_total", labels, count.into());
        }
        let was_over = before.is_some_and(|before| before.state == run.state);
        if !is_over(run) || was_over {
            return;
        }
        let labels = vec![("suite", suite.clone()), ("state", run.state.as_str().into())];
        self.add("gauntlet_eval_runs_total", labels, 1.0);
        let unscored: u32 = run.metrics.iter().map(|metric| metric.unscored).sum();
        self.add("gauntlet_eval_unscored_total", vec![("suite", suite)], unscored.into());
        self.keep_means(run);
    }

    /// Of the newest run that is over; one that is kept late does not take its place.
    fn keep_means(&mut self, run: &EvalRun) {
        let suite = self.suite(&run.suite);
        // A mean of several suites would mean nothing.
        if !is_over(run) || *suite == *OTHER {
            return;
        }
        if self.means.get(&suite).is_some_and(|(started, _)| *started > run.started) {
            return;
        }
        let means = run.metrics.iter().filter_map(|metric| Some((metric.metric.clone(), metric.mean?)));
        self.means.insert(suite, (run.started, means.take(METRICS_MAX).collect()));
    }

    fn suite(&mut self, name: &Name) -> Name {
        if self.suites.contains(name) {
            return name.clone();
        }
        if self.suites.len() >= SUITES_MAX {
            return OTHER.into();
        }
        self.suites.insert(name.clone());
        name.clone()
    }

    fn add(&mut self, name: &'static str, labels: Labels, count: f64) {
        *self.counters.entry((name, labels)).or_default() += count;
    }
}

impl Figure {
    /// As the renderer takes it; `labels` are this figure's own.
    pub fn gauge<'a>(&self, labels: &'a [(&'a str, &'a str)]) -> Gauge<'a> {
        Gauge { name: self.name, labels, value: self.value }
    }

    pub fn labels(&self) -> Vec<(&str, &str)> {
        self.labels.iter().map(|(name, value)| (*name, &**value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_ports::{MetricSummary, Verdict};

    use super::*;

    fn run(suite: &str, state: RunState) -> EvalRun {
        let metric = |name: &str, mean: Option<f64>, unscored: u32| MetricSummary {
            metric: name.into(),
            mean,
            unscored,
            ..MetricSummary::default()
        };
        EvalRun {
            id: "r".into(),
            suite: suite.into(),
            state,
            started: Timestamp(10),
            passed: 8,
            failed: 1,
            errors: 1,
            judge_calls: 5,
            judge_cached: 20,
            metrics: vec![metric("exact", Some(0.75), 1), metric("faithful", None, 10)],
            ..EvalRun::default()
        }
    }

    fn shown(figures: &EvalFigures) -> BTreeMap<String, f64> {
        let line = |figure: Figure| {
            let labels: Vec<String> = figure.labels.iter().map(|(_, value)| value.to_string()).collect();
            (
                format!("{} {}", figure.name.trim_start_matches("gauntlet_eval_"), labels.join(" ")),
                figure.value,
            )
        };
        figures.figures().into_iter().map(line).filter(|(_, value)| *value != 0.0).collect()
    }

    #[test]
    fn a_run_that_is_kept_again_and_again_counts_once() {
        let figures = EvalFigures::default();
        let half = EvalRun {
            passed: 3,
            judge_calls: 1,
            failed: 0,
            errors: 0,
            judge_cached: 0,
            ..run("s", RunState::Running)
        };
        let done = run("s", RunState::Done);
        figures.observe_run(None, &half);
        assert_eq!(
            shown(&figures),
            BTreeMap::from([("cases_total s passed".into(), 3.0), ("judge_calls_total s made".into(), 1.0)])
        );
        figures.observe_run(Some(&half), &done);
        figures.observe_run(Some(&done), &done);
        let gate = |verdict: Verdict| EvalGate {
            id: "g".into(),
            suite: "s".into(),
            run: "r".into(),
            baseline: None,
            app_sha: None,
            prompt: None,
            verdict,
            summary: String::new(),
            report: serde_json::Value::Null,
            at: Timestamp(0),
        };
        for verdict in [Verdict::Fail, Verdict::Pass, Verdict::Fail] {
            figures.observe_gate(&gate(verdict));
        }
        let wanted = [
            ("cases_total s passed", 8.0),
            ("cases_total s failed", 1.0),
            ("cases_total s error", 1.0),
            ("judge_calls_total s made", 5.0),
            ("judge_calls_total s known", 20.0),
            ("runs_total s done", 1.0),
            ("unscored_total s", 11.0),
            ("mean s exact", 0.75),
            ("gates_total s fail", 2.0),
            ("gates_total s pass", 1.0),
        ];
        assert_eq!(
            shown(&figures),
            wanted.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        );
    }

    #[test]
    fn the_mean_is_of_the_newest_run_that_is_over() {
        let figures = EvalFigures::default();
        let with = |started: i64, mean: f64, state: RunState| {
            let mut run = EvalRun { started: Timestamp(started), ..run("s", state) };
            run.metrics[0].mean = Some(mean);
            run
        };
        figures.remember([&with(5, 0.1, RunState::Done)]);
        assert_eq!(
            shown(&figures),
            BTreeMap::from([("mean s exact".into(), 0.1)]),
            "what was before is no count"
        );
        figures.observe_run(None, &with(20, 0.9, RunState::Done));
        figures.observe_run(None, &with(30, 0.3, RunState::Running));
        figures.observe_run(None, &with(10, 0.2, RunState::Stopped));
        assert_eq!(shown(&figures)["mean s exact"], 0.9);
    }

    #[test]
    fn suites_that_a_stranger_makes_up_share_one_series() {
        let figures = EvalFigures::default();
        for number in 0..SUITES_MAX * 3 {
            figures.observe_run(None, &run(&format!("s{number}"), RunState::Done));
        }
        let shown = shown(&figures);
        assert_eq!(shown.keys().filter(|name| name.starts_with("runs_total")).count(), SUITES_MAX + 1);
        assert_eq!(shown["runs_total other done"], 2.0 * SUITES_MAX as f64);
        assert_eq!(shown.keys().filter(|name| name.starts_with("mean")).count(), SUITES_MAX);
    }
}
