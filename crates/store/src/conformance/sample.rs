//! Records for tests: plain ones, and a spread of them in which every field takes several values.

use bytes::Bytes;
use gauntlet_ports::{StoredCall, StoredSpan};
use gauntlet_types::{
    CacheUse, CallId, CallRecord, Caller, Charge, Code, Decision, Document, Door, Environment, Finish,
    Measure, Name, NanoUsd, Outcome, PromptRef, SpanId, SpanKind, SpanRecord, Stage, StageTime, Target,
    Timestamp, TokenCount, TraceId, Usage,
};
use uuid::Uuid;

/// 2026-04-25 18:42:11 UTC.
pub const START: Timestamp = Timestamp(1_777_142_531_482_123);

/// A plain call, `seconds` after [`START`]; the number makes it unique.
pub fn call(number: u32, seconds: i64) -> StoredCall {
    let started = Timestamp(START.0 + seconds * 1_000_000);
    StoredCall {
        record: record(number, started),
        input: Bytes::from(format!(
            r#"{{"model":"support","messages":[{{"role":"user","content":"question {number}"}}]}}"#
        )),
        output: Bytes::from(format!(
            r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"answer {number}"}}}}]}}"#
        )),
    }
}

/// `count` calls over three days in which names, outcomes, costs and latencies vary by coprime steps, so that every
/// combination of a few of them occurs. They come in the order of the wire, not of their times.
pub fn spread(count: u32) -> Vec<StoredCall> {
    (0..count).map(spread_call).collect()
}

fn spread_call(number: u32) -> StoredCall {
    let place = number as usize;
    let seconds = i64::from(number.wrapping_mul(7919) % 250_000);
    let mut call = call(number, seconds);
    let record = &mut call.record;
    let pick = |names: &[&str], step: usize| Name::from(names[place / step % names.len()]);
    record.caller.tenant = pick(&["acme", "globex", "initech"], 1);
    record.caller.team = (!place.is_multiple_of(4)).then(|| pick(&["red", "blue"], 3));
    record.caller.user = (!place.is_multiple_of(5)).then(|| Name::from(format!("user-{}", place % 17)));
    record.caller.session = Some(Name::from(format!("session-{}", place / 6)));
    record.caller.key = Some(pick(&["app", "batch"], 2));
    record.caller.tags = vec![pick(&["beta", "gold"], 5), pick(&["beta", "trial"], 4)];
    record.finish = Some([Finish::Stop, Finish::Length, Finish::ToolCalls][place / 2 % 3]);
    record.caller.environment = Environment::ALL[place % 4];
    record.caller.app_sha = Some(pick(&["aaa111", "bbb222"], 7));
    record.caller.eval_id = place.is_multiple_of(9).then(|| pick(&["nightly", "fast"], 9));
    record.route = pick(&["support_bot", "search", "summary"], 2);
    record.target = (!place.is_multiple_of(11)).then(|| Target {
        provider: pick(&["openai", "anthropic"], 1),
        model: pick(&["gpt-4o", "haiku"], 1),
    });
    record.model_asked = pick(&["support", "gpt-4o"], 5);
    record.prompt = (!place.is_multiple_of(3)).then(|| PromptRef {
        name: "support-agent".into(),
        version: pick(&["1.0.0", "1.1.0", "2.0.0"], 2),
        label: Some("production".into()),
        hash: "abc".into(),
    });
    record.outcome = Outcome::ALL[place % Outcome::ALL.len()];
    record.error = (record.outcome == Outcome::Refused).then_some(Code::BudgetExceeded);
    record.decision = [Decision::Allow, Decision::Flag, Decision::Redact, Decision::Block][place / 3 % 4];
    record.cache = CacheUse::ALL[place / 2 % 4];
    record.is_streaming = place.is_multiple_of(2);
    record.usage.input_fresh = TokenCount(100 + number % 37);
    record.usage.cache_read = TokenCount(number % 5);
    record.usage.reasoning = TokenCount(number % 3);
    record.usage.cache_write_5m = TokenCount(number % 4);
    record.usage.estimated = number.is_multiple_of(8);
    record.cost = NanoUsd(i64::from(number % 13) * 1_000_003);
    record.wasted = NanoUsd(i64::from(number % 3) * 1_001);
    record.latency_us = 1000 + u64::from(number) * 977 % 3_000_000;
    record.charges = vec![
        charge("model_daily", record.model_asked.clone(), Some(record.started)),
        charge(
            "route_user_daily",
            Name::from(format!("{}/u{}", record.route, place % 7)),
            Some(record.started),
        ),
        charge("route_conversation", record.caller.session.clone().unwrap_or_default(), None),
        Charge {
            measure: Measure::Tokens,
            part: (place % 3) as u16,
            ..charge("tenant_rolling_24h_tokens", record.caller.tenant.clone(), Some(record.started))
        },
        Charge {
            measure: Measure::Requests,
            ..charge("team_daily_requests", "red".into(), Some(record.started))
        },
    ];
    record.held_tokens = 4096;
    call
}

/// A plain span without a parent, `seconds` after [`START`]; the number makes it unique.
pub fn span(number: u32, seconds: i64) -> StoredSpan {
    StoredSpan {
        record: SpanRecord {
            trace_id: TraceId(0x9d1e_0000_0000_0000_0000_0000_0000_0000 + u128::from(number)),
            span_id: SpanId(0xa000_0000_0000_0000 + u64::from(number)),
            parent_span_id: None,
            name: "answer".into(),
            kind: SpanKind::Chain,
            started: Timestamp(START.0 + seconds * 1_000_000),
            took_us: 120_000,
            is_error: false,
            error_message: None,
            service: "shop".into(),
            scope: None,
            caller: Caller { tenant: "acme".into(), ..Caller::default() },
            provider: None,
            model: None,
            tool: None,
            documents: Vec::new(),
            usage: Usage::default(),
            cost: None,
            texts_gone: None,
        },
        input: Bytes::from(format!(r#"[{{"role":"user","content":"question {number}"}}]"#)),
        output: Bytes::from(format!(r#"[{{"role":"assistant","content":"answer {number}"}}]"#)),
        rest: Bytes::from(format!(r#"{{"attributes":{{"number":{number}}}}}"#)),
    }
}

/// `count` spans in traces of ten, in which kinds, names and the like vary by coprime steps. They come in no order of time.
pub fn spread_spans(count: u32) -> Vec<StoredSpan> {
    (0..count).map(spread_span).collect()
}

fn spread_span(number: u32) -> StoredSpan {
    let place = number as usize;
    let mut span = span(number, i64::from(number.wrapping_mul(7919) % 250_000));
    let record = &mut span.record;
    let pick = |names: &[&str], step: usize| Name::from(names[place / step % names.len()]);
    record.trace_id = TraceId(0x9d1e_0000_0000_0000_0000_0000_0000_0000 + u128::from(number / 10));
    record.parent_span_id =
        (!place.is_multiple_of(10)).then(|| SpanId(0xa000_0000_0000_0000 + u64::from(number / 2)));
    record.name = pick(&["answer", "retrieve", "rerank", "get_order"], 1);
    record.kind = SpanKind::ALL[place % SpanKind::ALL.len()];
    record.took_us = u64::from(number) * 977 % 3_000_000;
    record.is_error = place.is_multiple_of(7);
    record.error_message = record.is_error.then(|| format!("error {number}"));
    record.service = pick(&["shop", "search"], 3);
    record.scope = Some("openinference".into());
    record.caller.tenant = pick(&["acme", "globex", "initech"], 1);
    record.caller.user = (!place.is_multiple_of(5)).then(|| Name::from(format!("user-{}", place % 17)));
    record.caller.session = (!place.is_multiple_of(4)).then(|| Name::from(format!("session-{}", place / 20)));
    record.caller.environment = Environment::ALL[place % 4];
    record.caller.tags = vec![pick(&["beta", "gold"], 5)];
    record.provider = place.is_multiple_of(3).then(|| "openai".into());
    record.model = place.is_multiple_of(3).then(|| pick(&["gpt-4o", "haiku"], 3));
    record.tool = place.is_multiple_of(4).then(|| "get_order".into());
    record.documents = vec![
        Document { id: "doc-1".into(), score: Some(0.25) },
        Document { id: Name::from(format!("doc-{number}")), score: None },
    ];
    record.usage.input_fresh = TokenCount(number % 101);
    record.usage.output = TokenCount(number % 13);
    record.cost = place.is_multiple_of(2).then(|| NanoUsd(i64::from(number) * 1_003));
    span
}

pub fn charge(scope: &str, key: Name, at: Option<Timestamp>) -> Charge {
    Charge::usd(scope, key, at.map(Timestamp::day))
}

fn record(number: u32, started: Timestamp) -> CallRecord {
    // Version 7 by hand: the time in milliseconds, then the number.
    let millis = (started.0 / 1000) as u64;
    let id = (u128::from(millis) << 80) | (0x7 << 76) | (0x8 << 60) | u128::from(number);
    CallRecord {
        id: CallId(Uuid::from_u128(id)),
        trace_id: TraceId(0x4bf9_2f35_77b3_4da6_a3ce_0000_0000_0000 + u128::from(number)),
        span_id: SpanId(u64::from(number) + 1),
        parent_span_id: None,
        started,
        latency_us: 840_000,
        first_token_us: Some(210_000),
        stream: None,
        stages: vec![StageTime { stage: Stage::Admit, start_us: 3, took_us: 9 }],
        door: Door::ChatCompletions,
        is_streaming: false,
        caller: Caller { tenant: "acme".into(), ..Caller::default() },
        route: "support_bot".into(),
        model_asked: "support".into(),
        target: Some(Target { provider: "openai".into(), model: "gpt-4o".into() }),
        model_answered: None,
        prompt: None,
        sdk: None,
        outcome: Outcome::Ok,
        status: 200,
        error: None,
        error_message: None,
        finish: None,
        decision: Decision::Allow,
        guard: Vec::new(),
        guard_runs: Vec::new(),
        guard_policy: Vec::new(),
        cache: CacheUse::Off,
        cache_hit: None,
        attempts: Vec::new(),
        tool_calls: Vec::new(),
        tool_results: Vec::new(),
        documents: Vec::new(),
        usage: Usage { input_fresh: TokenCount(100), output: TokenCount(40), ..Usage::default() },
        cost: NanoUsd(1_500_000),
        held: NanoUsd(2_000_000),
        charges: Vec::new(),
        held_tokens: 0,
        budget: None,
        wasted: NanoUsd::ZERO,
        price_version: "2026-04-01".into(),
        config_version: "c1".into(),
        routing: None,
        dropped: Vec::new(),
        injected: Vec::new(),
        texts_gone: None,
        judge_score: None,
    }
}
