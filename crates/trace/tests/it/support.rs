//! Records as a busy route writes them. Shared with the benches, so it unwraps nothing.

use bytes::Bytes;
use gauntlet_ports::{StoredSpan, Texts};
use gauntlet_types::{
    Action, Attempt, AttemptEnd, CacheUse, CallId, CallRecord, Caller, Charge, Code, Decision, Direction,
    Door, Environment, Finish, GuardNote, NanoUsd, Outcome, PromptRef, ServiceTier, SpanId, SpanKind,
    SpanRecord, Stage, StageTime, Target, Timestamp, TokenCount, TraceId, Usage,
};
use uuid::Uuid;

pub const NOW: Timestamp = Timestamp(1_777_142_531_482_000);

pub fn id(number: u64) -> CallId {
    CallId(Uuid::from_u128(0x0196_6e5a_0000_7000_8000_0000_0000_0000 + u128::from(number)))
}

pub fn record(number: u64) -> CallRecord {
    let stage = |(at, stage)| StageTime { stage, start_us: at as u32 * 11, took_us: 10 };
    let stages = [
        Stage::Admit,
        Stage::Limit,
        Stage::GuardInput,
        Stage::Render,
        Stage::Plan,
        Stage::Reserve,
        Stage::Cache,
        Stage::Attempt,
        Stage::GuardOutput,
        Stage::Settle,
    ];
    let target = Target { provider: "openai".into(), model: "gpt-4o-mini".into() };
    let charge = |scope: &str, key: &str, period| Charge::usd(scope, key, period);
    CallRecord {
        id: id(number),
        trace_id: TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        span_id: SpanId(0x00f0_67aa_0ba9_02b7),
        parent_span_id: None,
        started: NOW,
        latency_us: 812_345,
        first_token_us: Some(312_000),
        stream: None,
        stages: stages.into_iter().enumerate().map(stage).collect(),
        door: Door::ChatCompletions,
        is_streaming: true,
        caller: Caller {
            tenant: "acme".into(),
            team: Some("support".into()),
            user: Some("ann".into()),
            session: Some("conversation-81".into()),
            key: Some("app".into()),
            environment: Environment::Prod,
            app_sha: Some("8a24305".into()),
            eval_id: None,
            tags: vec![],
        },
        route: "support_bot".into(),
        model_asked: "support".into(),
        target: Some(target.clone()),
        model_answered: Some("gpt-4o-mini-2024-07-18".into()),
        prompt: Some(PromptRef {
            name: "support-agent".into(),
            version: "3.2.0".into(),
            label: Some("production".into()),
            hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
        }),
        sdk: Some("openai-python/1.99.0".into()),
        outcome: Outcome::Ok,
        status: 200,
        error: None,
        error_message: None,
        finish: Some(Finish::Stop),
        decision: Decision::Redact,
        guard: vec![GuardNote {
            direction: Direction::Input,
            kind: "pii".into(),
            label: "EMAIL_ADDRESS".into(),
            action: Action::Redact,
            count: 1,
            score: 1.0,
            reason: "e-mail address in message 6".into(),
            value_hash: None,
            rule: None,
            shadow: false,
        }],
        cache: CacheUse::Miss,
        cache_hit: None,
        attempts: vec![Attempt {
            target,
            start_us: 100,
            took_us: 812_000,
            end: AttemptEnd::Ok,
            status: Some(200),
            error: None,
            billed: None,
        }],
        tool_results: vec![],
        tool_calls: vec![],
        documents: Vec::new(),
        usage: Usage {
            input_fresh: TokenCount(300),
            audio_input: TokenCount(23),
            cache_read: TokenCount(3800),
            output: TokenCount(487),
            tier: ServiceTier::Flex,
            ..Usage::default()
        },
        cost: NanoUsd(8_400_000),
        held: NanoUsd(20_000_000),
        charges: vec![
            charge("model_daily", "gpt-4o-mini", Some(NOW.day())),
            charge("route_user_daily", "support_bot/ann", Some(NOW.day())),
            charge("route_conversation", "support_bot/conversation-81", None),
        ],
        guard_runs: Vec::new(),
        guard_policy: Vec::new(),
        held_tokens: 0,
        budget: None,
        wasted: NanoUsd::ZERO,
        price_version: "2026-04-01".into(),
        config_version: "c0ffee12".into(),
        routing: None,
        dropped: vec![],
        injected: vec!["stream_options".into()],
        texts_gone: None,
        judge_score: None,
    }
}

/// A step of an application, of some 1.3 kB.
pub fn span(number: u64) -> StoredSpan {
    StoredSpan {
        record: SpanRecord {
            trace_id: TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
            span_id: SpanId(number),
            parent_span_id: Some(SpanId(number / 2)),
            name: "retrieve".into(),
            kind: SpanKind::Retriever,
            started: NOW,
            took_us: 40_000,
            is_error: false,
            error_message: None,
            service: "shop".into(),
            scope: Some("openinference".into()),
            caller: Caller { tenant: "acme".into(), ..Caller::default() },
            provider: None,
            model: None,
            tool: None,
            documents: vec![],
            usage: Usage::default(),
            cost: None,
            texts_gone: None,
        },
        input: Bytes::from(format!("where is order {number}? {}", "lorem ".repeat(80))),
        output: Bytes::from("dolor sit amet ".repeat(30)),
        rest: Bytes::from(format!(r#"{{"attributes":{{"number":{number}}}}}"#)),
    }
}

/// As `record` stands when a call is about to ask a model.
pub fn opening(number: u64) -> CallRecord {
    let record = record(number);
    CallRecord {
        outcome: Outcome::Interrupted,
        error: Some(Code::Interrupted),
        cost: record.held,
        usage: Usage::default(),
        attempts: vec![],
        finish: None,
        latency_us: 0,
        first_token_us: None,
        ..record
    }
}

/// 2.1 KB in, 1.4 KB out: the shape of the load that the goals are measured with.
pub fn texts() -> Texts {
    let input = format!(
        r#"{{"model":"support","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "lorem ipsum ".repeat(170)
    );
    let output = format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, "dolor sit amet ".repeat(90));
    Texts { input: Bytes::from(input), output: Bytes::from(output) }
}
