//! The Grafana dashboard, made from the list of metrics: a panel is a question, and every name in a question is checked
//! against the catalog.

use serde_json::{Value, json};

/// One line of a panel: a PromQL expression and how its series are named.
pub struct Query {
    pub expr: &'static str,
    pub legend: &'static str,
}

struct Panel {
    title: &'static str,
    /// Grafana's name of a unit.
    unit: &'static str,
    form: Form,
    queries: &'static [Query],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A number, with its course behind it.
    Stat,
    Lines,
    Stacked,
}

const fn one(expr: &'static str, legend: &'static str) -> Query {
    Query { expr, legend }
}

const fn stat(title: &'static str, unit: &'static str, queries: &'static [Query]) -> Panel {
    Panel { title, unit, form: Form::Stat, queries }
}

const fn lines(title: &'static str, unit: &'static str, queries: &'static [Query]) -> Panel {
    Panel { title, unit, form: Form::Lines, queries }
}

const fn stacked(title: &'static str, unit: &'static str, queries: &'static [Query]) -> Panel {
    Panel { title, unit, form: Form::Stacked, queries }
}

// `$route` narrows what is counted by route; `$__rate_interval` fits the rate to how often Prometheus looks.
#[rustfmt::skip] // a table reads best a line each
const ROWS: &[(&str, &[Panel])] = &[
    ("At a glance", &[
        stat("Calls a second", "reqps", &[one("sum(rate(gauntlet_requests_total{route=~\"$route\"}[$__rate_interval]))", "calls")]),
        stat("Failed", "percentunit", &[one("(sum(rate(gauntlet_requests_total{route=~\"$route\",outcome=~\"failed|interrupted|canned\"}[$__rate_interval])) or vector(0)) / sum(rate(gauntlet_requests_total{route=~\"$route\"}[$__rate_interval]))", "failed")]),
        stat("p95", "s", &[one("histogram_quantile(0.95, sum by (le) (rate(gauntlet_request_duration_seconds_bucket{route=~\"$route\"}[$__rate_interval])))", "p95")]),
        stat("USD an hour", "currencyUSD", &[one("sum(rate(gauntlet_cost_usd_total{route=~\"$route\"}[$__rate_interval])) * 3600", "USD an hour")]),
        stat("Under way", "short", &[one("sum(gauntlet_calls_running)", "calls")]),
        stat("Fullest budget", "percentunit", &[one("max(gauntlet_budget_used / gauntlet_budget_cap)", "used")]),
    ]),
    ("Traffic and latency", &[
        stacked("Calls by outcome", "reqps", &[one("sum by (outcome) (rate(gauntlet_requests_total{route=~\"$route\"}[$__rate_interval]))", "{{outcome}}")]),
        stacked("Errors by code", "reqps", &[one("sum by (code) (rate(gauntlet_errors_total[$__rate_interval])) > 0", "{{code}}")]),
        lines("Latency", "s", &[
            one("histogram_quantile(0.5, sum by (le) (rate(gauntlet_request_duration_seconds_bucket{route=~\"$route\"}[$__rate_interval])))", "p50"),
            one("histogram_quantile(0.95, sum by (le) (rate(gauntlet_request_duration_seconds_bucket{route=~\"$route\"}[$__rate_interval])))", "p95"),
            one("histogram_quantile(0.99, sum by (le) (rate(gauntlet_request_duration_seconds_bucket{route=~\"$route\"}[$__rate_interval])))", "p99"),
        ]),
        lines("p95 by route", "s", &[one("histogram_quantile(0.95, sum by (le, route) (rate(gauntlet_request_duration_seconds_bucket{route=~\"$route\"}[$__rate_interval])))", "{{route}}")]),
        lines("Time to first token, p95", "s", &[one("histogram_quantile(0.95, sum by (le, route) (rate(gauntlet_first_token_seconds_bucket{route=~\"$route\"}[$__rate_interval])))", "{{route}}")]),
    ]),
    ("Cost, tokens, budgets", &[
        stacked("USD an hour by model", "currencyUSD", &[one("sum by (model) (rate(gauntlet_cost_usd_total{route=~\"$route\"}[$__rate_interval])) * 3600", "{{model}}")]),
        stacked("USD an hour by route", "currencyUSD", &[one("sum by (route) (rate(gauntlet_cost_usd_total{route=~\"$route\"}[$__rate_interval])) * 3600", "{{route}}")]),
        stacked("Tokens a second", "short", &[one("sum by (type) (rate(gauntlet_tokens_total{route=~\"$route\"}[$__rate_interval]))", "{{type}}")]),
        lines("Budgets in use", "percentunit", &[one("topk(10, gauntlet_budget_used / gauntlet_budget_cap)", "{{scope}} {{key}} ({{measure}})")]),
        lines("Held by calls under way", "currencyUSD", &[one("sum(gauntlet_held_usd)", "USD"), one("sum(gauntlet_holds_open)", "holds")]),
        lines("Refused", "reqps", &[
            one("sum(rate(gauntlet_budget_refused_total[$__rate_interval]))", "by a budget"),
            one("sum(rate(gauntlet_rate_limited_total[$__rate_interval]))", "by a limit"),
        ]),
        lines("Answers cut short at their token limit", "reqps", &[one("sum by (route, model) (rate(gauntlet_cut_short_total{route=~\"$route\"}[$__rate_interval])) > 0", "{{route}} {{model}}")]),
        lines("Answered from the cache", "percentunit", &[one("sum(rate(gauntlet_cache_total{result=~\"exact|semantic\"}[$__rate_interval])) / sum(rate(gauntlet_cache_total{result!=\"off\"}[$__rate_interval]))", "hits")]),
        lines("Saved by the cache, USD an hour", "currencyUSD", &[one("sum(rate(gauntlet_cache_saved_usd_total[$__rate_interval])) * 3600", "saved")]),
        lines("Kept answers", "short", &[one("sum(gauntlet_cache_entries)", "answers"), one("sum(rate(gauntlet_cache_evicted_total[$__rate_interval]))", "let go a second"), one("sum(rate(gauntlet_cache_expired_total[$__rate_interval]))", "too old a second")]),
        lines("Memory of kept answers", "bytes", &[one("sum(gauntlet_cache_bytes)", "bytes")]),
        lines("Near questions not answered from the cache", "reqps", &[one("sum(rate(gauntlet_cache_near_misses_total[$__rate_interval]))", "their words differ"), one("sum(rate(gauntlet_cache_embed_failures_total[$__rate_interval]))", "not embedded")]),
    ]),
    ("Providers and models", &[
        stacked("Attempts by how they ended", "reqps", &[one("sum by (provider, end) (rate(gauntlet_attempts_total[$__rate_interval]))", "{{provider}} {{end}}")]),
        lines("Duration of an operation, p95", "s", &[one("histogram_quantile(0.95, sum by (le, gen_ai_provider_name, gen_ai_request_model) (rate(gen_ai_client_operation_duration_seconds_bucket[$__rate_interval])))", "{{gen_ai_provider_name}}/{{gen_ai_request_model}}")]),
        lines("First piece of a stream, p95", "s", &[one("histogram_quantile(0.95, sum by (le, gen_ai_request_model) (rate(gen_ai_client_operation_time_to_first_chunk_seconds_bucket[$__rate_interval])))", "{{gen_ai_request_model}}")]),
        lines("Between two pieces, mean", "s", &[one("sum by (gen_ai_request_model) (rate(gen_ai_client_operation_time_per_output_chunk_seconds_sum[$__rate_interval])) / sum by (gen_ai_request_model) (rate(gen_ai_client_operation_time_per_output_chunk_seconds_count[$__rate_interval]))", "{{gen_ai_request_model}}")]),
        lines("Tokens of an operation, median", "short", &[one("histogram_quantile(0.5, sum by (le, gen_ai_request_model, gen_ai_token_type) (rate(gen_ai_client_token_usage_bucket[$__rate_interval])))", "{{gen_ai_request_model}} {{gen_ai_token_type}}")]),
    ]),
    ("Targets", &[
        lines("Breakers (0 closed, 1 half open, 2 open)", "short", &[one("max by (provider, model) (gauntlet_breaker_state)", "{{provider}}/{{model}}")]),
        lines("Left alone for", "s", &[one("max by (provider, model) (gauntlet_target_left_alone_seconds)", "{{provider}}/{{model}}")]),
        lines("Attempts under way", "short", &[one("sum by (provider, model) (gauntlet_target_calls_running)", "{{provider}}/{{model}}")]),
        lines("Latency as routing sees it", "s", &[one("avg by (provider, model) (gauntlet_target_latency_seconds)", "{{provider}}/{{model}}")]),
    ]),
    ("Guards", &[
        stacked("Findings", "reqps", &[one("sum by (direction, kind, action) (rate(gauntlet_guardrail_decisions_total[$__rate_interval]))", "{{direction}} {{kind}}: {{action}}")]),
    ]),
    ("Evals", &[
        lines("Means of the newest runs", "short", &[one("max by (suite, metric) (gauntlet_eval_mean)", "{{suite}}: {{metric}}")]),
        stacked("Gates in a day", "short", &[one("sum by (suite, verdict) (increase(gauntlet_eval_gates_total[1d]))", "{{suite}}: {{verdict}}")]),
        stacked("Runs in a day", "short", &[one("sum by (suite, state) (increase(gauntlet_eval_runs_total[1d]))", "{{suite}}: {{state}}")]),
        stacked("Cases in a day", "short", &[
            one("sum by (suite, result) (increase(gauntlet_eval_cases_total[1d]))", "{{suite}}: {{result}}"),
            one("sum by (suite) (increase(gauntlet_eval_unscored_total[1d]))", "{{suite}}: scores not given"),
        ]),
        stacked("Judges' answers in a day", "short", &[one("sum by (suite, source) (increase(gauntlet_eval_judge_calls_total[1d]))", "{{suite}}: {{source}}")]),
    ]),
    ("The gateway itself", &[
        lines("Records", "reqps", &[
            one("sum(rate(gauntlet_records_stored[$__rate_interval]))", "stored"),
            one("sum(increase(gauntlet_store_failures[$__rate_interval]))", "batches refused by the store"),
            one("sum(increase(gauntlet_records_lost[$__rate_interval]))", "lost"),
            one("sum(rate(gauntlet_tail_records_dropped[$__rate_interval]))", "missed by slow tails"),
        ]),
        lines("Spans of applications", "cps", &[
            one("sum(rate(gauntlet_spans_received_total[$__rate_interval]))", "kept"),
            one("sum(rate(gauntlet_spans_rejected_total[$__rate_interval]))", "rejected"),
        ]),
        lines("Waiting for the store", "bytes", &[
            one("sum(gauntlet_spool_bytes_waiting)", "in the spool"),
            one("sum(gauntlet_spool_bytes_in_memory)", "in memory"),
            one("sum(gauntlet_spool_damaged_bytes)", "damaged"),
        ]),
        lines("Trouble", "short", &[
            one("max(gauntlet_store_failing)", "the store refuses"),
            one("1 - min(gauntlet_shared_store_up)", "the shared store is gone"),
        ]),
        lines("Spool segments, replicas", "short", &[one("sum(gauntlet_spool_segments)", "segments"), one("max(gauntlet_replicas)", "replicas")]),
        lines("Export: waiting", "bytes", &[one("sum by (exporter) (gauntlet_export_queue_bytes)", "{{exporter}}")]),
        lines("Export: spans", "short", &[
            one("sum by (exporter) (gauntlet_export_queue_spans)", "{{exporter}} waiting"),
            one("sum by (exporter) (rate(gauntlet_export_sent_total[$__rate_interval]))", "{{exporter}} sent"),
            one("sum by (exporter) (rate(gauntlet_export_failed_total[$__rate_interval]))", "{{exporter}} failed requests"),
            one("sum by (exporter) (rate(gauntlet_export_refused_total[$__rate_interval]))", "{{exporter}} refused"),
            one("sum by (exporter) (rate(gauntlet_export_dropped_total[$__rate_interval]))", "{{exporter}} dropped"),
        ]),
    ]),
];

/// Every question that the dashboard asks.
pub fn queries() -> impl Iterator<Item = &'static Query> {
    ROWS.iter().flat_map(|(_, panels)| panels.iter()).flat_map(|panel| panel.queries)
}

const WIDTH: usize = 24;
const ROW_HEIGHT: usize = 8;
const STAT_HEIGHT: usize = 4;
const LINES_WIDTH: usize = 12;

/// The dashboard as Grafana 10 and later import it.
pub fn dashboard() -> Value {
    let mut panels = Vec::new();
    let mut top = 0;
    for (title, row) in ROWS {
        panels.push(json!({
            "type": "row", "title": title, "collapsed": false, "panels": [], "id": panels.len() + 1,
            "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
        }));
        top += 1;
        let (width, height) = match row.first().map(|panel| panel.form) {
            Some(Form::Stat) => (WIDTH / row.len(), STAT_HEIGHT),
            _ => (LINES_WIDTH, ROW_HEIGHT),
        };
        for (at, panel) in row.iter().enumerate() {
            let beside = WIDTH / width;
            let place = json!({
                "x": at % beside * width, "y": top + at / beside * height, "w": width, "h": height,
            });
            panels.push(panel_json(panel, panels.len() + 1, place));
        }
        top += row.len().div_ceil(WIDTH / width) * height;
    }
    json!({
        "title": "Gauntlet", "uid": "gauntlet", "tags": ["gauntlet", "llm"], "schemaVersion": 39, "version": 1,
        "editable": true, "timezone": "", "refresh": "30s", "time": {"from": "now-6h", "to": "now"},
        "annotations": {"list": []}, "links": [],
        "templating": {"list": [
            {
                "name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus",
                "hide": 0, "refresh": 1, "current": {}, "options": [],
            },
            {
                "name": "route", "type": "query", "label": "Route", "datasource": source(),
                "query": {"query": "label_values(gauntlet_requests_total, route)", "refId": "routes"},
                "includeAll": true, "multi": true, "allValue": ".*", "refresh": 2, "sort": 1,
                "current": {"selected": true, "text": ["All"], "value": ["$__all"]}, "options": [],
            },
        ]},
        "panels": panels,
    })
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn panel_json(panel: &Panel, id: usize, place: Value) -> Value {
    let targets: Vec<Value> = panel
        .queries
        .iter()
        .zip('A'..)
        .map(|(query, letter)| {
            json!({
                "refId": letter, "datasource": source(), "expr": query.expr, "legendFormat": query.legend,
                "range": true, "instant": false,
            })
        })
        .collect();
    let mut custom = json!({"lineWidth": 1, "fillOpacity": 8, "showPoints": "never"});
    if panel.form == Form::Stacked {
        custom["stacking"] = json!({"mode": "normal", "group": "A"});
        custom["fillOpacity"] = json!(40);
    }
    let (kind, options) = match panel.form {
        Form::Stat => ("stat", json!({"graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}})),
        Form::Lines | Form::Stacked => (
            "timeseries",
            json!({
                "legend": {"displayMode": "list", "placement": "bottom"},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
        ),
    };
    json!({
        "id": id, "type": kind, "title": panel.title, "datasource": source(), "gridPos": place, "targets": targets,
        "options": options,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": []},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Kind, METRICS};

    /// The names in an expression that begin as ours do.
    fn names(expr: &str) -> Vec<&str> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        expr.split(|c: char| !is_name(c))
            .filter(|word| word.starts_with("gauntlet_") || word.starts_with("gen_ai_client_"))
            .collect()
    }

    #[test]
    fn every_question_is_about_known_metrics_and_every_metric_is_asked_for() {
        let series: Vec<(&str, String)> = METRICS
            .iter()
            .flat_map(|metric| {
                let suffixes: &[&str] =
                    if metric.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
                suffixes.iter().map(|suffix| (metric.name, format!("{}{suffix}", metric.name)))
            })
            .collect();
        let mut asked = Vec::new();
        for query in queries() {
            for name in names(query.expr) {
                let known = series.iter().find(|(_, series)| series == name);
                asked.push(known.unwrap_or_else(|| panic!("`{name}` is no metric: {}", query.expr)).0);
            }
        }
        for metric in METRICS {
            assert!(asked.contains(&metric.name), "no panel shows {}", metric.name);
        }
    }

    #[test]
    fn panels_lie_side_by_side_and_never_over_one_another() {
        let dashboard = dashboard();
        let panels = dashboard["panels"].as_array().expect("a list");
        let place =
            |panel: &Value| ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap_or(0));
        for (at, panel) in panels.iter().enumerate() {
            let [x, y, w, h] = place(panel);
            assert!(w > 0 && h > 0 && x + w <= WIDTH as u64, "{panel}");
            for other in &panels[..at] {
                let [ox, oy, ow, oh] = place(other);
                assert!(x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y, "{panel}\n{other}");
                assert_ne!(panel["id"], other["id"]);
            }
        }
    }
}
