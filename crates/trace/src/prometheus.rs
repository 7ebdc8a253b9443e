//! Prometheus' text exposition format, version 0.0.4.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
};

use gauntlet_types::NanoUsd;

use crate::{
    catalog::{self, Metric},
    metrics::Totals,
    series::{
        DURATION_US, FIRST_CHUNK_US, Histogram, OPERATION_US, PER_CHUNK_US, Series, TOKEN_TYPES, TOKENS,
    },
};

/// A figure that is read when asked for: connections, bytes waiting, a breaker's state.
#[derive(Clone, Copy, Debug)]
pub struct Gauge<'a> {
    /// As the catalog has it.
    pub name: &'static str,
    pub labels: &'a [(&'a str, &'a str)],
    pub value: f64,
}

pub(crate) fn render(totals: &Totals, gauges: &[Gauge<'_>]) -> String {
    let mut text = Text(String::with_capacity(16 << 10));
    requests(&mut text, totals);
    histograms(&mut text, totals);
    tallies(&mut text, totals);
    gen_ai(&mut text, totals);
    // Samples of one name must stand together.
    let mut gauges: Vec<&Gauge<'_>> = gauges.iter().collect();
    gauges.sort_by_key(|gauge| gauge.name);
    let mut last = "";
    for gauge in gauges {
        if gauge.name != last {
            text.family(gauge.name);
            last = gauge.name;
        }
        text.sample(gauge.name, gauge.labels, float(gauge.value));
    }
    text.0
}

fn requests(text: &mut Text, totals: &Totals) {
    const REQUESTS: &str = "gauntlet_requests_total";
    text.family(REQUESTS);
    // The operation is a label of the gen_ai metrics only.
    let requests = totals.group(|(route, model, provider, outcome, _)| [route, model, provider, outcome]);
    for ([route, model, provider, outcome], series) in &requests {
        let labels = [("route", *route), ("model", model), ("provider", provider), ("outcome", outcome)];
        text.sample(REQUESTS, &labels, series.requests);
    }
    let spent = totals.group(|(route, model, provider, _, _)| [route, model, provider]);
    const COST: &str = "gauntlet_cost_usd_total";
    text.family(COST);
    for ([route, model, provider], series) in &spent {
        text.sample(COST, &[("route", *route), ("model", model), ("provider", provider)], Usd(series.cost));
    }
    const CUT_SHORT: &str = "gauntlet_cut_short_total";
    text.family(CUT_SHORT);
    for ([route, model, provider], series) in &spent {
        let labels = [("route", *route), ("model", model), ("provider", provider)];
        text.sample(CUT_SHORT, &labels, series.cut_short);
    }
    const TOKENS_TOTAL: &str = "gauntlet_tokens_total";
    text.family(TOKENS_TOTAL);
    for ([route, model, provider], series) in &spent {
        for (kind, count) in TOKEN_TYPES.iter().zip(series.tokens) {
            let labels = [("route", *route), ("model", model), ("provider", provider), ("type", kind)];
            text.sample(TOKENS_TOTAL, &labels, count);
        }
    }
}

fn histograms(text: &mut Text, totals: &Totals) {
    let routes = totals.group(|(route, model, _, _, _)| [route, model]);
    const DURATION: &str = "gauntlet_request_duration_seconds";
    text.family(DURATION);
    for ([route, model], series) in &routes {
        text.histogram(
            DURATION,
            &[("route", *route), ("model", model)],
            &series.duration,
            &DURATION_US,
            MICRO,
        );
    }
    const FIRST: &str = "gauntlet_first_token_seconds";
    text.family(FIRST);
    for ([route, model], series) in routes.iter().filter(|(_, series)| series.first_token.count() > 0) {
        text.histogram(
            FIRST,
            &[("route", *route), ("model", model)],
            &series.first_token,
            &DURATION_US,
            MICRO,
        );
    }
}

fn tallies(text: &mut Text, totals: &Totals) {
    const GUARD: &str = "gauntlet_guardrail_decisions_total";
    text.family(GUARD);
    for ((direction, kind, action), count) in &totals.guard {
        text.sample(GUARD, &[("direction", *direction), ("kind", kind), ("action", action)], count);
    }
    const ERRORS: &str = "gauntlet_errors_total";
    text.family(ERRORS);
    for (code, count) in &totals.codes {
        text.sample(ERRORS, &[("code", *code)], count);
    }
    const CACHE: &str = "gauntlet_cache_total";
    text.family(CACHE);
    for (result, count) in &totals.cache {
        text.sample(CACHE, &[("result", *result)], count);
    }
    const LIMITED: &str = "gauntlet_rate_limited_total";
    text.family(LIMITED);
    text.sample(LIMITED, &[], totals.rate_limited);
    const REFUSED: &str = "gauntlet_budget_refused_total";
    text.family(REFUSED);
    text.sample(REFUSED, &[], totals.budget_refused);
    const ATTEMPTS: &str = "gauntlet_attempts_total";
    text.family(ATTEMPTS);
    for ((provider, end), count) in &totals.attempts {
        text.sample(ATTEMPTS, &[("provider", &**provider), ("end", end)], count);
    }
}

/// OpenTelemetry's GenAI client metrics in Prometheus' spelling, so that dashboards made for them work.
fn gen_ai(text: &mut Text, totals: &Totals) {
    let asked = totals.group(|(_, model, provider, _, operation)| [operation, provider, model]);
    let asked: Vec<_> = asked.iter().filter(|(_, series)| series.operation.count() > 0).collect();
    const USAGE: &str = "gen_ai_client_token_usage";
    text.family(USAGE);
    for (key, series) in &asked {
        let [operation, provider, model] = operation_labels(key);
        for (kind, histogram) in [("input", &series.tokens_in), ("output", &series.tokens_out)] {
            let labels = [operation, provider, model, ("gen_ai_token_type", kind)];
            if histogram.count() > 0 {
                text.histogram(USAGE, &labels, histogram, &TOKENS, 1.0);
            }
        }
    }
    const DURATION: &str = "gen_ai_client_operation_duration_seconds";
    text.family(DURATION);
    for (key, series) in &asked {
        text.histogram(DURATION, &operation_labels(key), &series.operation, &OPERATION_US, MICRO);
    }
    const FIRST: &str = "gen_ai_client_operation_time_to_first_chunk_seconds";
    text.family(FIRST);
    for (key, series) in asked.iter().filter(|(_, series)| series.first_chunk.count() > 0) {
        text.histogram(FIRST, &operation_labels(key), &series.first_chunk, &FIRST_CHUNK_US, MICRO);
    }
    const PER_CHUNK: &str = "gen_ai_client_operation_time_per_output_chunk_seconds";
    text.family(PER_CHUNK);
    for (key, series) in asked.iter().filter(|(_, series)| series.per_chunk.count() > 0) {
        text.histogram(PER_CHUNK, &operation_labels(key), &series.per_chunk, &PER_CHUNK_US, MICRO);
    }
}

fn operation_labels<'a>([operation, provider, model]: &[&'a str; 3]) -> [(&'static str, &'a str); 3] {
    [
        ("gen_ai_operation_name", operation),
        ("gen_ai_provider_name", provider),
        ("gen_ai_request_model", model),
    ]
}

type FullKey<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

impl Totals {
    /// Adds series up by some of their labels.
    fn group<'a, const N: usize>(
        &'a self,
        labels: impl Fn(FullKey<'a>) -> [&'a str; N],
    ) -> BTreeMap<[&'a str; N], Series> {
        let mut groups = BTreeMap::new();
        for ((route, model, provider, outcome, operation), series) in &self.series {
            let key = labels((route, model, provider, outcome, operation));
            groups.entry(key).or_insert(Series::EMPTY).add(series);
        }
        groups
    }
}

const MICRO: f64 = 1e-6;

struct Text(String);

impl Text {
    fn family(&mut self, name: &str) {
        let metric = catalog::find(name);
        debug_assert!(metric.is_some(), "{name} is not in the catalog");
        if let Some(Metric { help, kind, .. }) = metric {
            self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_str()));
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.series(name, "", labels, None, value);
    }

    /// `scale` turns a bound into the unit that is shown.
    fn histogram<const N: usize>(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        histogram: &Histogram<N>,
        bounds: &[u64; N],
        scale: f64,
    ) {
        let mut running = 0;
        for (bound, count) in bounds.iter().zip(histogram.counts) {
            running += count;
            // A division shows 0.01 as such, where a product may show 0.009999….
            let bound = float(*bound as f64 / (1.0 / scale).round());
            self.series(name, "_bucket", labels, Some(&bound), running);
        }
        self.series(name, "_bucket", labels, Some("+Inf"), histogram.count());
        self.series(name, "_sum", labels, None, float(histogram.sum as f64 / (1.0 / scale).round()));
        self.series(name, "_count", labels, None, histogram.count());
    }

    fn series(
        &mut self,
        name: &str,
        suffix: &str,
        labels: &[(&str, &str)],
        bound: Option<&str>,
        value: impl Display,
    ) {
        self.0.push_str(name);
        self.0.push_str(suffix);
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut opening = '{';
        for (label, text) in all {
            self.0.push(opening);
            opening = ',';
            self.0.push_str(label);
            self.0.push_str("=\"");
            for c in text.chars() {
                match c {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    c => self.0.push(c),
                }
            }
            self.0.push('"');
        }
        if opening == ',' {
            self.0.push('}');
        }
        self.push(format_args!(" {value}\n"));
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = self.0.write_fmt(text);
    }
}

/// Rust writes `inf`, Prometheus reads `+Inf`.
fn float(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

/// Exact, to the nano-dollar.
struct Usd(NanoUsd);

impl Display for Usd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Display::fmt(&self.0, f)
    }
}
