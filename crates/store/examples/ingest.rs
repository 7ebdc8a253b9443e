//! Measures the trace store: rate and CPU of appends, size on disk, time of the usual questions.
//!
//! `cargo run --release -p gauntlet-store --example ingest -- [calls] [batch] [days]`, 200,000 and 500 unless told, 200 a
//! second; `--spans` measures spans of applications instead (1.3 KB, eight a trace); `--find` indexes calls afterwards and asks
//! what people look for; `--short` makes texts a twentieth as long. `--store postgres://…` measures a Postgres instead, an
//! empty one. With days the calls are spread over so many, for bills of months. The texts are
//! varied English-like chat bodies (2.1 KB in, 1.4 KB out), made before the clock starts; CPU time is this thread's, from
//! `/proc/thread-self/schedstat`, so it leaves out what the kernel does elsewhere (write-back), and checkpoints are run
//! and counted on this thread as well.

#[path = "parts/find.rs"]
mod find;

use std::{
    fmt::Write,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use gauntlet_ports::{
    Arrived, Correction, Grain, RecordQuery, Repricing, SpanFilter, SpendBy, SpendQuery, SpoolPosition,
    StoredCall, StoredSpan, TraceCursor, TraceFilter, TraceStore,
};
use gauntlet_store::{Database, PostgresTraces, SpentBy, SqliteTraces};
use gauntlet_types::{
    Attempt, AttemptEnd, CacheUse, CallId, CallRecord, Caller, Charge, Decision, Door, Environment, Finish,
    Name, NanoUsd, Outcome, PromptRef, SpanId, SpanKind, SpanRecord, Stage, StageTime, Target, Timestamp,
    TokenCount, TraceId, Usage,
};
use serde_json::json;

const START: i64 = 1_777_142_531_000_000;
/// Between two calls: a gateway at 200 calls a second.
const APART_US: i64 = 5_000;
const SYLLABLES: [&str; 20] = [
    "an", "ber", "co", "de", "el", "fin", "ga", "hi", "in", "ka", "lo", "mar", "ne", "or", "pre", "qui",
    "re", "st", "ti", "un",
];

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let is_spans = words.iter().position(|word| word == "--spans").map(|at| words.remove(at)).is_some();
    let url = words.iter().position(|word| word == "--store").map(|at| words.drain(at..at + 2).nth(1));
    let mut flag = |name: &str| {
        let at = words.iter().position(|word| word == name);
        at.map(|at| words.remove(at)).is_some()
    };
    let (asks, is_short) = (flag("--find"), flag("--short"));
    let mut arguments = words.into_iter().map(|text| text.parse().expect("a number"));
    let calls: usize = arguments.next().unwrap_or(200_000);
    let batch: usize = arguments.next().unwrap_or(500);
    let days: Option<usize> = arguments.next();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gauntlet.db");
    let (store, sqlite) = open(&path, url.flatten());
    let apart_us = days.map_or(APART_US, |days| (days * 86_400_000_000 / calls.max(1)) as i64);
    let mut maker = Maker::new(apart_us, if is_short { 20 } else { 1 });
    if is_spans {
        return spans(&*store, sqlite.as_deref(), &mut maker, calls, batch, &path);
    }
    let (mut wall, mut cpu, mut slowest, mut raw) = (Duration::ZERO, 0, Duration::ZERO, 0usize);
    let (mut checkpoint_cpu, mut done) = (0, 0);
    while done < calls {
        let records: Vec<StoredCall> = (0..batch.min(calls - done)).map(|n| maker.call(done + n)).collect();
        raw += records.iter().map(|call| call.input.len() + call.output.len()).sum::<usize>();
        done += records.len();
        let positions = [SpoolPosition { worker: "0".to_owned(), segment: 1, offset: done as u64 }];
        let (began, cpu_began) = (Instant::now(), cpu_ns());
        store.append(Arrived::calls(&records), &positions).expect("appended");
        let took = began.elapsed();
        (wall, cpu, slowest) = (wall + took, cpu + cpu_ns() - cpu_began, slowest.max(took));
        if (done / batch).is_multiple_of(20) {
            let cpu_began = cpu_ns();
            sqlite.iter().for_each(|store| store.checkpoint().expect("checkpoint"));
            checkpoint_cpu += cpu_ns() - cpu_began;
        }
    }
    let size = fs::metadata(&path).map_or(0, |meta| meta.len());
    println!("{calls} calls in batches of {batch}, {} bytes of texts each", raw / calls);
    println!("  {:.0} calls/s, slowest batch {:.1} ms", calls as f64 / wall.as_secs_f64(), ms(slowest));
    println!(
        "  {:.2} µs CPU a call, and {:.2} µs for checkpoints",
        us(cpu, calls),
        us(checkpoint_cpu, calls)
    );
    println!("  {} bytes a call on disk; resident {} KiB", size as usize / calls, resident_kib());
    if asks {
        find::index(&*store, sqlite.as_deref(), &path, calls);
        find::questions(&*store, &maker);
        return;
    }
    questions(&*store, &maker);
    println!("  resident after questions {} KiB", resident_kib());
}

fn spans(
    store: &dyn TraceStore,
    sqlite: Option<&SqliteTraces>,
    maker: &mut Maker,
    count: usize,
    batch: usize,
    path: &Path,
) {
    let (mut wall, mut cpu, mut raw, mut done) = (Duration::ZERO, 0, 0, 0);
    while done < count {
        let spans: Vec<StoredSpan> = (0..batch.min(count - done)).map(|n| maker.span(done + n)).collect();
        raw += spans.iter().map(|span| span.input.len() + span.output.len() + span.rest.len()).sum::<usize>();
        done += spans.len();
        let positions = [SpoolPosition { worker: "0".to_owned(), segment: 1, offset: done as u64 }];
        let (began, cpu_began) = (Instant::now(), cpu_ns());
        store.append(Arrived { calls: &[], spans: &spans }, &positions).expect("appended");
        (wall, cpu) = (wall + began.elapsed(), cpu + cpu_ns() - cpu_began);
        if (done / batch).is_multiple_of(20) {
            sqlite.iter().for_each(|store| store.checkpoint().expect("checkpoint"));
        }
    }
    println!("{count} spans in batches of {batch}, {} bytes of texts each", raw / count);
    println!("  {:.0} spans/s, {:.2} µs CPU a span", count as f64 / wall.as_secs_f64(), us(cpu, count));
    println!("  {} bytes a span on disk", fs::metadata(path).map_or(0, |meta| meta.len()) as usize / count);
    let trace = TraceId(maker.a_trace.0);
    let find = |what: &str, filter: SpanFilter| {
        time(what, || store.span_find(&filter).expect("found").len());
    };
    let none = SpanFilter::default;
    find("newest 50 spans", none());
    find("newest 50 roots", SpanFilter { roots: true, ..none() });
    find("spans of a trace", SpanFilter { trace_id: Some(trace), limit: 1000, ..none() });
    find("spans of a session", SpanFilter { session: Some("session-900".into()), ..none() });
    find("spans of a name that is nowhere", SpanFilter { name: Some("xyzzy".into()), ..none() });
    let span = SpanId(maker.a_trace.0 as u64);
    time("one whole span", || usize::from(store.span_get(trace, span).expect("read").is_some()));
}

/// The store that is measured; an SQLite one a second time, for its checkpoints.
fn open(path: &Path, url: Option<String>) -> (Arc<dyn TraceStore>, Option<Arc<SqliteTraces>>) {
    match url {
        Some(url) => {
            let database = Database::open(&url).expect("a database");
            println!("{}", database.place());
            (Arc::new(PostgresTraces::new(database, "ingest", SpentBy::All)), None)
        }
        None => {
            let store = Arc::new(SqliteTraces::open(path).expect("a store"));
            (store.clone(), Some(store))
        }
    }
}

fn questions(store: &dyn TraceStore, maker: &Maker) {
    let find = |what: &str, filter: TraceFilter| {
        time(what, || store.trace_find(&filter).expect("found").rows.len());
    };
    let none = TraceFilter::default;
    find("newest 50", none());
    find("newest 50 of a route", TraceFilter { route: Some("route-3".into()), ..none() });
    find("a user", TraceFilter { user: Some("user-77".into()), ..none() });
    find("a session", TraceFilter { session: Some("session-900".into()), ..none() });
    find("a trace id", TraceFilter { trace_id: Some(maker.a_trace), ..none() });
    find("failed", TraceFilter { outcome: Some(Outcome::Failed), ..none() });
    find("dearer than any", TraceFilter { cost_min: Some(NanoUsd(i64::MAX)), ..none() });
    find("a text that is nowhere", TraceFilter { text: Some("xyzzy plugh".into()), ..none() });
    find("before a call", TraceFilter { before: Some(TraceCursor::Call(maker.a_call)), ..none() });
    find("after a call", TraceFilter { after: Some(TraceCursor::Call(maker.a_call)), ..none() });
    time("one whole call", || usize::from(store.trace_get(maker.a_call).expect("read").is_some()));
    let (from, to) = (Timestamp(START), Timestamp(maker.latest));
    let query = |by: &[SpendBy]| SpendQuery {
        by: by.to_vec(),
        from: from.day(),
        to: to.day(),
        ..SpendQuery::default()
    };
    time("spend by route and model", || {
        store.spend(&query(&[SpendBy::Route, SpendBy::Model])).expect("sum").len()
    });
    bills(store, from, to, &query);
    time("spend by day", || store.spend(&query(&[SpendBy::Day])).expect("sum").len());
    let hour_ago = to.minus(std::time::Duration::from_secs(3600));
    time("overview, last hour by the minute", || {
        store.overview(hour_ago, to, Grain::Minute).expect("figures").series.len()
    });
    time("overview, hours", || store.overview(from, to, Grain::Hour).expect("figures").series.len());
    time("overview, days", || store.overview(from, to, Grain::Day).expect("figures").series.len());
    time("budgets of a day", || store.budget_spent(to.day()).expect("budgets").len());
}

/// What bills ask: a month by tenant and feature, at the tail as well, and whole records to price anew.
fn bills(store: &dyn TraceStore, from: Timestamp, to: Timestamp, query: &dyn Fn(&[SpendBy]) -> SpendQuery) {
    let month = SpendQuery {
        from: to.day().0.checked_sub(30).map_or(from.day(), gauntlet_types::Day),
        ..query(&[SpendBy::Tenant, SpendBy::Route])
    };
    let mut took: Vec<Duration> = (0..200)
        .map(|_| {
            let began = Instant::now();
            store.spend(&month).expect("sum");
            began.elapsed()
        })
        .collect();
    took.sort();
    println!("  a month by tenant and route: p50 {:.2} ms, p95 {:.2} ms", ms(took[100]), ms(took[190]));
    for by in [SpendBy::User, SpendBy::Key] {
        time(&format!("a month by {}", by.as_str()), || {
            store.spend(&SpendQuery { by: vec![by], ..month.clone() }).expect("sum").len()
        });
    }
    let all = RecordQuery { from, to: Timestamp(to.0 + 1), newest: 20_000, without_texts: false };
    let page =
        store.record_page(&RecordQuery { newest: 10_000, ..all }, None, 10_000).expect("records").calls;
    let corrections: Vec<_> = page
        .iter()
        .map(|call| Correction { record: &call.record, cost: NanoUsd(call.record.cost.0 + 1_000) })
        .collect();
    let run = Repricing {
        at: to,
        price_version: "now".into(),
        from: from.day(),
        to: to.day(),
        model: None,
        calls: 0,
        before: NanoUsd::ZERO,
        after: NanoUsd::ZERO,
    };
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    for some in corrections.chunks(500) {
        let began = Instant::now();
        store.reprice(&run, some).expect("corrected");
        longest = longest.max(began.elapsed());
    }
    println!(
        "  10,000 corrections in {:.0} ms, longest hold of the writer {:.1} ms",
        ms(began.elapsed()),
        ms(longest)
    );
    time("20,000 whole records", || {
        let (mut count, mut cursor) = (0, None);
        loop {
            let page = store.record_page(&all, cursor, 1000).expect("records");
            count += page.calls.len();
            cursor = page.next;
            if cursor.is_none() {
                return count;
            }
        }
    });
}

fn time(what: &str, question: impl Fn() -> usize) {
    let mut best = Duration::MAX;
    let mut rows = 0;
    for _ in 0..3 {
        let began = Instant::now();
        rows = question();
        best = best.min(began.elapsed());
    }
    println!("  {what:<26} {:>8.2} ms  {rows} rows", ms(best));
}

struct Maker {
    rng: fastrand::Rng,
    words: Vec<String>,
    a_call: CallId,
    a_trace: TraceId,
    latest: i64,
    apart_us: i64,
    /// Texts are so many times shorter.
    shorter: usize,
}

impl Maker {
    fn new(apart_us: i64, shorter: usize) -> Maker {
        let mut rng = fastrand::Rng::with_seed(7);
        let syllable = |rng: &mut fastrand::Rng| SYLLABLES[rng.usize(..SYLLABLES.len())];
        let words = (0..3000).map(|_| (0..rng.usize(1..5)).map(|_| syllable(&mut rng)).collect()).collect();
        Maker {
            rng,
            words,
            a_call: CallId(uuid::Uuid::nil()),
            a_trace: TraceId(0),
            latest: 0,
            apart_us,
            shorter,
        }
    }

    /// Some far more often than others, as users and models are.
    fn skewed(&mut self, count: usize) -> usize {
        let share = self.rng.f64();
        (share * share * count as f64) as usize
    }

    fn prose(&mut self, bytes: usize) -> String {
        let bytes = bytes / self.shorter;
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            // Frequent words first, as in any language; a number now and then, which does not repeat.
            let word = self.skewed(self.words.len());
            if self.rng.u8(..) < 8 {
                let _ = write!(text, "{} ", self.rng.u32(..));
            }
            text.push_str(&self.words[word]);
            text.push_str(if self.rng.u8(..) < 20 { ". " } else { " " });
        }
        text
    }

    /// One of eight in its trace; some 1.3 KB of texts.
    fn span(&mut self, number: usize) -> StoredSpan {
        let trace = TraceId((number as u128 / 8 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let id = |number: usize| SpanId((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if number == 4_000 {
            // Found again by its own trace: the span's id stands in the trace's lower half.
            self.a_trace = trace;
        }
        let is_a_trace = self.a_trace == trace && number.is_multiple_of(8);
        let kinds = [SpanKind::Agent, SpanKind::Chain, SpanKind::Retriever, SpanKind::Llm, SpanKind::Tool];
        let attributes = json!({
            "openinference.span.kind": "CHAIN", "llm.invocation_parameters": "{\"temperature\":0.2}",
            "metadata.thread": self.rng.u64(..), "tag.tags": ["beta"],
        });
        let rest = json!({
            "attributes": attributes,
            "resource": {"service.name": "shop", "telemetry.sdk.language": "python", "telemetry.sdk.version": "1.38.0"},
            "events": [], "links": [],
        });
        StoredSpan {
            record: SpanRecord {
                trace_id: trace,
                span_id: if is_a_trace { SpanId(trace.0 as u64) } else { id(number) },
                parent_span_id: (!number.is_multiple_of(8)).then(|| id(number / 8 * 8)),
                name: format!("step-{}", number % 23).into(),
                kind: kinds[number % kinds.len()],
                started: Timestamp(START + number as i64 * self.apart_us + self.rng.i64(0..2000)),
                took_us: self.rng.u64(1_000..4_000_000),
                is_error: self.rng.u8(..) < 5,
                error_message: None,
                service: "shop".into(),
                scope: Some("openinference.instrumentation.langchain".into()),
                caller: Caller {
                    tenant: "acme".into(),
                    user: Some(format!("user-{}", number / 8 % 5_000).into()),
                    session: Some(format!("session-{}", number / 80).into()),
                    ..Caller::default()
                },
                provider: None,
                model: None,
                tool: None,
                documents: Vec::new(),
                usage: Usage::default(),
                cost: None,
                texts_gone: None,
            },
            input: json!([{"role": "user", "content": self.prose(520)}]).to_string().into(),
            output: json!([{"role": "assistant", "content": self.prose(380)}]).to_string().into(),
            rest: rest.to_string().into(),
        }
    }

    fn call(&mut self, number: usize) -> StoredCall {
        let started = Timestamp(START + number as i64 * self.apart_us + self.rng.i64(0..2000));
        self.latest = self.latest.max(started.0);
        let models = ["gpt-4o-mini", "claude-haiku-4-5", "gpt-4o", "gemini-2.5-flash", "gpt-4.1"];
        let model = models[self.skewed(models.len())];
        let number_of_user = self.skewed(20_000);
        // Users belong to a tenant and keep to two routes each.
        let route = format!("route-{}", number_of_user % 5 + self.rng.usize(..2));
        let user = format!("user-{number_of_user}");
        let (system, question, answer) = (self.prose(700), self.prose(1200), self.prose(1150));
        let input = json!({
            "model": model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": question}],
            "temperature": 0.2, "max_tokens": 500, "user": user,
        });
        let output = json!({
            "id": format!("chatcmpl-{:x}", self.rng.u128(..)), "object": "chat.completion", "created": started.0 / 1_000_000,
            "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 480, "completion_tokens": 260, "total_tokens": 740},
        });
        let record = self.record(number, started, model, &route, &user);
        if number % 50_000 == 777 {
            (self.a_call, self.a_trace) = (record.id, record.trace_id);
        }
        StoredCall { record, input: input.to_string().into(), output: output.to_string().into() }
    }

    fn record(
        &mut self,
        number: usize,
        started: Timestamp,
        model: &str,
        route: &str,
        user: &str,
    ) -> CallRecord {
        let latency_us = 400_000 + self.rng.u64(..3_000_000);
        let has_failed = self.rng.u8(..) == 0;
        let millis = (started.0 / 1000) as u64;
        let mut random = [0; 10];
        self.rng.fill(&mut random);
        let stages =
            [Stage::Admit, Stage::Limit, Stage::GuardInput, Stage::Render, Stage::Plan, Stage::Reserve];
        let name = |text: String| Name::from(text);
        let charge = |scope: &str, key: String| Charge::usd(scope, key, Some(started.day()));
        CallRecord {
            id: CallId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()),
            trace_id: TraceId(self.rng.u128(..)),
            span_id: SpanId(self.rng.u64(..)),
            parent_span_id: None,
            started,
            latency_us,
            first_token_us: Some(latency_us / 3),
            stream: None,
            stages: stages
                .into_iter()
                .map(|stage| StageTime { stage, start_us: self.rng.u32(..500), took_us: self.rng.u32(..90) })
                .collect(),
            door: Door::ChatCompletions,
            is_streaming: number.is_multiple_of(2),
            caller: Caller {
                tenant: name(format!("tenant-{}", user.bytes().map(usize::from).sum::<usize>() % 20)),
                team: Some(name(format!("team-{}", route.len() % 2))),
                user: Some(user.into()),
                session: Some(name(format!("session-{}", number / 5))),
                key: Some("app".into()),
                environment: Environment::Prod,
                app_sha: Some("9f8c1d2".into()),
                eval_id: None,
                tags: Vec::new(),
            },
            route: route.into(),
            model_asked: "support".into(),
            target: Some(Target { provider: "openai".into(), model: model.into() }),
            model_answered: Some(model.into()),
            prompt: Some(PromptRef {
                name: "support-agent".into(),
                version: "2.1.0".into(),
                label: Some("production".into()),
                hash: "5f2ab8c1d2e3f40516273849a0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3".into(),
            }),
            sdk: Some("openai-python/1.99".into()),
            outcome: if has_failed { Outcome::Failed } else { Outcome::Ok },
            status: 200,
            error: None,
            error_message: None,
            finish: Some(Finish::Stop),
            decision: Decision::Allow,
            guard: Vec::new(),
            guard_runs: Vec::new(),
            guard_policy: Vec::new(),
            cache: CacheUse::Miss,
            cache_hit: None,
            attempts: vec![Attempt {
                target: Target { provider: "openai".into(), model: model.into() },
                start_us: 310,
                took_us: latency_us as u32 - 400,
                end: AttemptEnd::Ok,
                status: Some(200),
                error: None,
                billed: None,
            }],
            tool_results: vec![],
            tool_calls: Vec::new(),
            documents: Vec::new(),
            usage: Usage {
                input_fresh: TokenCount(self.rng.u32(300..700)),
                output: TokenCount(self.rng.u32(100..400)),
                ..Usage::default()
            },
            cost: NanoUsd(self.rng.i64(50_000..900_000)),
            held: NanoUsd(1_200_000),
            charges: vec![
                charge("model_daily", model.to_owned()),
                charge("route_daily", route.to_owned()),
                charge("route_user_daily", format!("{route}/{user}")),
            ],
            held_tokens: 0,
            budget: None,
            wasted: NanoUsd::ZERO,
            price_version: "2026-11-01".into(),
            config_version: "c0ffee12".into(),
            routing: None,
            dropped: Vec::new(),
            injected: Vec::new(),
            texts_gone: None,
            judge_score: None,
        }
    }
}

fn cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn resident_kib() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    pages.map_or(0, |pages| pages * 4)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn us(nanos: u64, calls: usize) -> f64 {
    nanos as f64 / 1e3 / calls as f64
}
