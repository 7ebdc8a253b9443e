//! What the running program lends to its management.

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
        let gauge = |name, help, value: f64| gauntlet_trace::Gauge { name, help, labels: &[], value };
        let state = self.shared.ledger.state(self.shared.clock.now());
        let mut gauges = self.drainer.stats().gauges();
        gauges.push(gauge("gauntlet_calls_running", "Calls under way.", self.shared.tasks.running() as f64));
        let spans = &self.shared.spans;
        gauges.push(gauge(
            "gauntlet_spans_received_total",
            "Spans of applications that were kept.",
            spans.accepted() as f64,
        ));
        gauges.push(gauge(
            "gauntlet_spans_rejected_total",
            "Spans of applications that were not kept: malformed, too large, or of a tenant that is switched off.",
            spans.rejected() as f64,
        ));
        gauges.push(gauge(
            "gauntlet_holds_open",
            "Budget holds of calls under way.",
            state.open_holds as f64,
        ));
        let held: i64 =
            state.lines.iter().filter(|line| line.charge.measure.is_usd()).map(|line| line.held).sum();
        gauges.push(gauge(
            "gauntlet_held_usd",
            "USD held by calls under way, summed over budgets.",
            held as f64 / 1e9,
        ));
        if let Some(sharing) = self.shared.ledger.sharing() {
            let is_up = f64::from(u8::from(!sharing.is_down()));
            gauges.push(gauge(
                "gauntlet_shared_store_up",
                "Whether the store where replicas meet answers.",
                is_up,
            ));
            gauges.push(gauge(
                "gauntlet_replicas",
                "Gateways alive at the shared store.",
                sharing.replicas().into(),
            ));
        }
        let (mut waiting, mut lost) = (0, 0);
        for spool in self.spools.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            waiting += spool.waiting_bytes();
            lost += spool.records_lost();
        }
        gauges.push(gauge(
            "gauntlet_spool_bytes_in_memory",
            "Bytes of records that the disk does not take.",
            waiting as f64,
        ));
        gauges.push(gauge(
            "gauntlet_records_lost",
            "Records that neither disk nor memory had room for.",
            lost as f64,
        ));
        let exported = self.exporters.stats();
        let labels: Vec<_> = exported.iter().map(|(name, _)| [("exporter", name.as_str())]).collect();
        gauges.extend(gauntlet_trace::export::gauges(&exported, &labels));
        self.metrics.render(&gauges)
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
