//! What the running program lends to its management.

use std::collections::{BTreeMap, HashSet};

use gauntlet_policy::{budget::Line, health};
use gauntlet_server::erase::Passed;
use gauntlet_trace::Gauge;

use super::*;

impl Runtime for Live {
    fn refresh(&self, reload: bool) -> Result<(), String> {
        if reload {
            return self.reload("asked for by the API");
        }
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        self.put(&loaded)
    }

    fn flush(&self) {
        // A store that is behind is shown as it is.
        let _ = self.drainer.flush(FLUSH_MAX);
    }

    fn metrics(&self) -> String {
        let gauge = |name, value: f64| Gauge { name, labels: &[], value };
        let state = self.shared.ledger.state(self.shared.clock.now());
        let mut gauges = self.drainer.stats().gauges();
        gauges.push(gauge("gauntlet_calls_running", self.shared.tasks.running() as f64));
        gauges.push(gauge("gauntlet_holds_open", state.open_holds as f64));
        let cache = self.shared.cache.figures();
        gauges.push(gauge("gauntlet_cache_entries", cache.entries as f64));
        gauges.push(gauge("gauntlet_cache_bytes", cache.bytes as f64));
        gauges.push(gauge("gauntlet_cache_evicted_total", cache.evicted as f64));
        gauges.push(gauge("gauntlet_cache_expired_total", cache.expired as f64));
        gauges.push(gauge("gauntlet_cache_near_misses_total", cache.near_misses as f64));
        gauges.push(gauge("gauntlet_cache_embed_failures_total", cache.embed_failures as f64));
        gauges.push(gauge("gauntlet_cache_saved_usd_total", cache.saved.0 as f64 / NANO));
        let spans = &self.shared.spans;
        gauges.push(gauge("gauntlet_spans_received_total", spans.accepted() as f64));
        gauges.push(gauge("gauntlet_spans_rejected_total", spans.rejected() as f64));
        let held: i64 =
            state.lines.iter().filter(|line| line.charge.measure.is_usd()).map(|line| line.held).sum();
        gauges.push(gauge("gauntlet_held_usd", held as f64 / NANO));
        if let Some(sharing) = self.shared.ledger.sharing() {
            gauges.push(gauge("gauntlet_shared_store_up", f64::from(u8::from(!sharing.is_down()))));
            gauges.push(gauge("gauntlet_replicas", sharing.replicas().into()));
        }
        let (mut waiting, mut lost) = (0, 0);
        for spool in self.spools.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            waiting += spool.waiting_bytes();
            lost += spool.records_lost();
        }
        gauges.push(gauge("gauntlet_spool_bytes_in_memory", waiting as f64));
        gauges.push(gauge("gauntlet_records_lost", lost as f64));
        let exported = self.exporters.stats();
        let labels: Vec<_> = exported.iter().map(|(name, _)| [("exporter", name.as_str())]).collect();
        gauges.extend(gauntlet_trace::export::gauges(&exported, &labels));
        let snapshot = self.shared.snapshot.load();
        let configured: HashSet<_> = snapshot.policy.config().targets().collect();
        let asked = asked(self.shared.targets(), |line| line.has_answered || configured.contains(&line.of));
        let labels: Vec<_> = asked.iter().map(|line| target_labels(&line.of)).collect();
        for (line, labels) in asked.iter().zip(&labels) {
            let mut add = |name, value| gauges.push(Gauge { name, labels, value });
            add("gauntlet_breaker_state", breaker_state(line.breaker));
            add("gauntlet_target_left_alone_seconds", line.left_alone_s);
            add("gauntlet_target_calls_running", line.in_flight.into());
            if let Some(ms) = line.first_token_ms.or(line.whole_ms) {
                add("gauntlet_target_latency_seconds", ms / 1e3);
            }
        }
        let fullest = fullest(&state.lines);
        let labels: Vec<_> = fullest.iter().map(|line| budget_labels(line)).collect();
        for (line, labels) in fullest.iter().zip(&labels) {
            let unit = if line.charge.measure.is_usd() { NANO } else { 1.0 };
            let used = line.spent.saturating_add(line.held).saturating_add(line.elsewhere);
            gauges.push(Gauge { name: "gauntlet_budget_used", labels, value: used as f64 / unit });
            let cap = line.cap.unwrap_or(0) as f64 / unit;
            gauges.push(Gauge { name: "gauntlet_budget_cap", labels, value: cap });
        }
        let evals = self.eval_figures.figures();
        let labels: Vec<_> = evals.iter().map(gauntlet_trace::eval_figures::Figure::labels).collect();
        gauges.extend(evals.iter().zip(&labels).map(|(figure, labels)| figure.gauge(labels)));
        self.metrics.render(&gauges)
    }

    fn eval_figures(&self) -> &gauntlet_trace::EvalFigures {
        &self.eval_figures
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for spool in self.spools.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if spool.waiting_bytes() > 0 {
                problems.push(format!(
                    "records wait for the disk: {} bytes are held in memory",
                    spool.waiting_bytes()
                ));
            }
        }
        if let Some(sharing) = self.shared.ledger.sharing() {
            if sharing.is_down() {
                problems.push("the store where replicas meet cannot be reached: calls under budgets go by `on_store_down`".to_owned());
            } else if sharing.is_settling() {
                problems.push("the store where replicas meet has just begun anew: budgets are granted once all have reported".to_owned());
            }
        }
        if let Err(error) = self.stores.traces.ping() {
            let error = chain(&error);
            problems.push(format!("{error}; calls go on, their records wait in the spool"));
        }
        problems
    }

    fn replicas(&self) -> Result<Option<Vec<ReplicaLine>>, String> {
        self.sharing
            .as_ref()
            .map(|settings| sharing::ask(settings, async |store| store.replicas().await))
            .transpose()
    }

    fn replica_forget(&self, id: &str) -> Result<bool, String> {
        let Some(settings) = &self.sharing else {
            return Err("no `shared:` store is configured, so there are no replicas".to_owned());
        };
        sharing::ask(settings, async |store| store.forget(id).await)
    }

    fn keep(&self) -> Result<Passed, String> {
        let done = keeping::pass(self).map_err(|error| chain(&error))?;
        Ok(Passed { cut: done.cut, removed: done.removed, is_more: done.is_more })
    }

    fn tail(&self) -> Option<tokio::sync::mpsc::Receiver<Arc<CallRecord>>> {
        let records = self.drainer.subscribe()?;
        let (tx, rx) = tokio::sync::mpsc::channel(64);
        // A thread for each follower: few people look at once, and the drainer's channel is not async.
        let forward = move || {
            while let Ok(record) = records.recv() {
                if tx.blocking_send(record).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("tail".into()).spawn(forward).ok()?;
        Some(rx)
    }
}

const NANO: f64 = 1e9;
/// Budgets shown as metrics: each is two series, and users and sessions have budgets without number.
const BUDGETS_MAX: usize = 200;

/// The budgets with a cap, fullest first; of one whose window has just turned, the new window.
fn fullest(lines: &[Line]) -> Vec<&Line> {
    let mut newest = BTreeMap::new();
    for line in lines.iter().filter(|line| line.cap.is_some_and(|cap| cap > 0)) {
        let kept = newest.entry(budget_labels(line)).or_insert(line);
        if line.charge.period > kept.charge.period {
            *kept = line;
        }
    }
    let mut fullest: Vec<&Line> = newest.into_values().collect();
    let share = |line: &Line| {
        (line.spent.saturating_add(line.held).saturating_add(line.elsewhere)) as f64
            / line.cap.unwrap_or(1) as f64
    };
    fullest.sort_by(|a, b| share(b).total_cmp(&share(a)).then_with(|| a.charge.key.cmp(&b.charge.key)));
    fullest.truncate(BUDGETS_MAX);
    fullest
}

/// Targets shown as metrics: four series each, and callers may make names up.
const TARGETS_MAX: usize = 200;

/// Those that something is known against first. A name that a caller made up never becomes a label.
fn asked(mut lines: Vec<health::Line>, is_known: impl Fn(&health::Line) -> bool) -> Vec<health::Line> {
    lines.retain(|line| is_known(line));
    lines.sort_by_key(|line| (line.left_alone.is_none(), std::cmp::Reverse(line.in_flight)));
    lines.truncate(TARGETS_MAX);
    lines
}

fn breaker_state(name: &str) -> f64 {
    match name {
        "open" => 2.0,
        "half_open" => 1.0,
        _ => 0.0,
    }
}

fn target_labels(target: &gauntlet_types::Target) -> [(&'static str, &str); 2] {
    [("provider", &target.provider), ("model", &target.model)]
}

fn budget_labels(line: &Line) -> [(&'static str, &str); 3] {
    let charge = &line.charge;
    [("scope", &charge.scope), ("key", &charge.key), ("measure", charge.measure.as_str())]
}
