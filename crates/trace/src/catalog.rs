//! Every metric there is: the one list that `/metrics`, `gauntlet metrics list` and the dashboard are made from.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// A metric by its name. A name that is not listed is a mistake of ours, found by every test that renders it.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels, help }
}

const CALL: &[&str] = &["route", "model", "provider"];
const OPERATION: &[&str] = &["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"];
const BUDGET: &[&str] = &["scope", "key", "measure"];
const TARGET: &[&str] = &["provider", "model"];
const EXPORTER: &[&str] = &["exporter"];

#[rustfmt::skip] // a table reads best a line each
pub const METRICS: &[Metric] = &[
    counter("gauntlet_requests_total", &["route", "model", "provider", "outcome"], "Calls, by how they ended."),
    counter("gauntlet_cost_usd_total", CALL, "What calls cost, in US dollars."),
    counter("gauntlet_cut_short_total", CALL, "Answers that ended at their token limit (finish_reason length)."),
    counter("gauntlet_tokens_total", &["route", "model", "provider", "type"], "Tokens, each counted under one type."),
    histogram("gauntlet_request_duration_seconds", &["route", "model"], "From the first byte of a request to the last byte of its answer."),
    histogram("gauntlet_first_token_seconds", &["route", "model"], "From the first byte of a request to the first token of its answer."),
    counter("gauntlet_guardrail_decisions_total", &["direction", "kind", "action"], "Findings of the guards and what was done about them."),
    counter("gauntlet_errors_total", &["code"], "Calls that ended with an error, by its code."),
    counter("gauntlet_cache_total", &["result"], "Calls, by what the cache did."),
    gauge("gauntlet_cache_entries", &[], "Answers that are kept."),
    gauge("gauntlet_cache_bytes", &[], "Bytes of kept answers and their vectors."),
    counter("gauntlet_cache_evicted_total", &[], "Kept answers that were let go for want of room."),
    counter("gauntlet_cache_expired_total", &[], "Kept answers that became too old."),
    counter("gauntlet_cache_near_misses_total", &[], "Near questions whose numbers, names or negations differ, so that a model was asked."),
    counter("gauntlet_cache_embed_failures_total", &[], "Questions that could not be embedded, so that a model was asked."),
    counter("gauntlet_cache_saved_usd_total", &[], "What answers that were given again had cost, in US dollars."),
    counter("gauntlet_rate_limited_total", &[], "Calls refused by a rate or concurrency limit."),
    counter("gauntlet_budget_refused_total", &[], "Calls refused by a budget."),
    counter("gauntlet_attempts_total", &["provider", "end"], "Attempts at a provider, by how they ended."),
    histogram("gen_ai_client_token_usage", &["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"], "Tokens of an operation, input and output."),
    histogram("gen_ai_client_operation_duration_seconds", OPERATION, "Duration of an operation, retries included."),
    histogram("gen_ai_client_operation_time_to_first_chunk_seconds", OPERATION, "Of streams, from the request to the provider to the first piece."),
    histogram("gen_ai_client_operation_time_per_output_chunk_seconds", OPERATION, "Of streams, between two pieces; those of a call count at their mean."),
    counter("gauntlet_spans_received_total", &[], "Spans of applications that were kept."),
    counter("gauntlet_spans_rejected_total", &[], "Spans of applications that were not kept: malformed, too large, or of a tenant that is switched off."),
    gauge("gauntlet_calls_running", &[], "Calls under way."),
    gauge("gauntlet_holds_open", &[], "Budget holds of calls under way."),
    gauge("gauntlet_held_usd", &[], "USD held by calls under way, summed over budgets."),
    gauge("gauntlet_budget_used", BUDGET, "Spent and held of a budget that has a cap, in USD, tokens or requests. The fullest 200."),
    gauge("gauntlet_budget_cap", BUDGET, "The cap of the same budgets."),
    gauge("gauntlet_breaker_state", TARGET, "The breaker of a target that was asked: 0 closed, 1 half open, 2 open. At most 200 targets, those in trouble first."),
    gauge("gauntlet_target_left_alone_seconds", TARGET, "For how long the same targets are still asked last or not at all: breaker, wait that was asked for, refused key."),
    gauge("gauntlet_target_calls_running", TARGET, "Attempts under way at the same targets."),
    gauge("gauntlet_target_latency_seconds", TARGET, "What routing takes for the latency of the same targets: to the first token of streams, else to the end of plain answers; decays while nobody asks."),
    gauge("gauntlet_shared_store_up", &[], "Whether the store where replicas meet answers."),
    gauge("gauntlet_replicas", &[], "Gateways alive at the shared store."),
    gauge("gauntlet_spool_bytes_waiting", &[], "Bytes in the spool that are not in the trace store yet."),
    gauge("gauntlet_spool_segments", &[], "Spool segments on disk."),
    gauge("gauntlet_spool_bytes_in_memory", &[], "Bytes of records that the disk does not take."),
    gauge("gauntlet_spool_damaged_bytes", &[], "Bytes of the spool that could not be read."),
    gauge("gauntlet_store_failing", &[], "1 while the trace store refuses records."),
    counter("gauntlet_store_failures", &[], "Batches that the trace store refused since the start."),
    counter("gauntlet_records_stored", &[], "Records stored since the start."),
    counter("gauntlet_records_lost", &[], "Records that neither disk nor memory had room for."),
    counter("gauntlet_tail_records_dropped", &[], "Records that a slow live tail missed since the start."),
    gauge("gauntlet_export_queue_bytes", EXPORTER, "Bytes of spans that wait for a receiver."),
    gauge("gauntlet_export_queue_spans", EXPORTER, "Spans that wait for a receiver."),
    counter("gauntlet_export_sent_total", EXPORTER, "Spans that a receiver has taken."),
    counter("gauntlet_export_failed_total", EXPORTER, "Requests to a receiver that came to nothing."),
    counter("gauntlet_export_refused_total", EXPORTER, "Spans that a receiver refused for good."),
    counter("gauntlet_export_dropped_total", EXPORTER, "Spans that a full queue had no room for."),
    counter("gauntlet_eval_runs_total", &["suite", "state"], "Runs of evals that are over: done or stopped."),
    counter("gauntlet_eval_gates_total", &["suite", "verdict"], "What gates said of runs."),
    counter("gauntlet_eval_cases_total", &["suite", "result"], "Cases that runs asked: passed, failed, or without an answer (error)."),
    counter("gauntlet_eval_unscored_total", &["suite"], "Scores of runs that are over which a metric could not give."),
    counter("gauntlet_eval_judge_calls_total", &["suite", "source"], "Calls of judges and embeddings that runs made, and answers that were known already."),
    gauge("gauntlet_eval_mean", &["suite", "metric"], "The mean of a metric in the newest run of a suite that is over. At most 100 suites of 20 metrics."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_prometheus_and_stand_once() {
        for (at, metric) in METRICS.iter().enumerate() {
            let is_plain =
                |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            assert!(is_plain(metric.name) && metric.labels.iter().all(|label| is_plain(label)), "{metric:?}");
            assert!(metric.name.starts_with("gauntlet_") || metric.name.starts_with("gen_ai_"), "{metric:?}");
            assert!(metric.help.ends_with('.'), "{metric:?}");
            assert!(METRICS[..at].iter().all(|other| other.name != metric.name), "{metric:?}");
        }
    }
}
