//! Calls as records keep them, for the golden views.

use gauntlet_types::{
    Action, Attempt, AttemptEnd, Billed, BudgetAction, BudgetNote, CacheUse, CallId, CallRecord, Caller,
    Code, Decision, Direction, Door, Environment, Finish, GuardNote, NanoUsd, Outcome, PromptRef, SpanId,
    Stage, StageTime, Target, Timestamp, TokenCount, ToolCall, TraceId, Usage,
};
use gauntlet_wire::otlp::Servers;

pub struct Case {
    pub name: &'static str,
    pub record: CallRecord,
    pub input: String,
    pub output: String,
}

pub fn servers() -> Servers {
    [("openai".into(), ("api.openai.com".to_owned(), 443))].into()
}

fn target(model: &str) -> Target {
    Target { provider: "openai".into(), model: model.into() }
}

fn attempt(model: &str, start_us: u32, took_us: u32, end: AttemptEnd, status: Option<u16>) -> Attempt {
    Attempt { target: target(model), start_us, took_us, end, status, error: None, billed: None }
}

fn plain(number: u64) -> CallRecord {
    let stage = |stage, start_us, took_us| StageTime { stage, start_us, took_us };
    CallRecord {
        id: CallId(uuid::Uuid::from_u128(0x0196_6e5a_0000_7000_8000_0000_0000_0000 + u128::from(number))),
        trace_id: TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        span_id: SpanId(0x00f0_67aa_0ba9_02b7 + number),
        parent_span_id: Some(SpanId(0x0102_0304_0506_0708)),
        started: Timestamp(1_777_142_531_482_000),
        latency_us: 812_345,
        first_token_us: None,
        stream: None,
        stages: vec![
            stage(Stage::GuardInput, 20, 30),
            stage(Stage::Reserve, 60, 10),
            stage(Stage::Cache, 80, 5),
            stage(Stage::GuardOutput, 812_100, 40),
        ],
        door: Door::ChatCompletions,
        is_streaming: false,
        caller: Caller {
            tenant: "acme".into(),
            team: Some("support".into()),
            user: Some("ann".into()),
            session: Some("conversation-81".into()),
            key: Some("app".into()),
            environment: Environment::Prod,
            app_sha: Some("8a24305".into()),
            eval_id: None,
            tags: vec!["beta".into(), "eu".into()],
        },
        route: "support_bot".into(),
        model_asked: "support".into(),
        target: Some(target("gpt-4o-mini")),
        model_answered: Some("gpt-4o-mini-2024-07-18".into()),
        prompt: Some(PromptRef {
            name: "support-agent".into(),
            version: "3.2.0".into(),
            label: Some("production".into()),
            hash: "9f86d081884c7d65".into(),
        }),
        sdk: Some("openai-python/1.99.0".into()),
        outcome: Outcome::Ok,
        status: 200,
        error: None,
        error_message: None,
        finish: Some(Finish::Stop),
        decision: Decision::Allow,
        guard: vec![],
        guard_runs: Vec::new(),
        guard_policy: Vec::new(),
        cache: CacheUse::Off,
        cache_hit: None,
        attempts: vec![attempt("gpt-4o-mini", 100, 812_000, AttemptEnd::Ok, Some(200))],
        tool_results: vec![],
        tool_calls: vec![],
        documents: Vec::new(),
        usage: Usage {
            input_fresh: TokenCount(300),
            cache_read: TokenCount(200),
            cache_write_5m: TokenCount(50),
            output: TokenCount(40),
            reasoning: TokenCount(10),
            ..Usage::default()
        },
        cost: NanoUsd(12_300_000),
        held: NanoUsd(20_000_000),
        held_tokens: 4_000,
        charges: vec![],
        budget: None,
        wasted: NanoUsd::ZERO,
        price_version: "2026-04-01".into(),
        config_version: "c0ffee12".into(),
        routing: None,
        dropped: vec![],
        injected: vec![],
        texts_gone: None,
        judge_score: None,
    }
}

const ASKED: &str = r#"{"model":"support","temperature":0.2,"max_tokens":200,"stop":["END"],"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Where is my order, <EMAIL_ADDRESS>?"}]}"#;
const ANSWERED: &str = r#"{"id":"chatcmpl-7","object":"chat.completion","model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"On its way."},"finish_reason":"stop"}],"usage":{"prompt_tokens":550}}"#;

/// A plain answer, a stream, tools, retry and fallback, a refusal, a canned answer, an embedding.
pub fn cases() -> Vec<Case> {
    let case = |name, record, input: &str, output: &str| Case {
        name,
        record,
        input: input.to_owned(),
        output: output.to_owned(),
    };
    let nothing = Usage::default();
    let note = |direction, kind: &str, label: &str, action| GuardNote {
        direction,
        kind: kind.into(),
        label: label.into(),
        action,
        count: 1,
        score: 0.85,
        reason: "e-mail address in message 2".into(),
        value_hash: None,
        rule: None,
        shadow: false,
    };
    vec![
        case("plain", plain(0), ASKED, ANSWERED),
        case(
            "stream_redacted_cache_miss",
            CallRecord {
                is_streaming: true,
                first_token_us: Some(312_000),
                cache: CacheUse::Miss,
                decision: Decision::Redact,
                guard: vec![note(Direction::Input, "pii", "EMAIL_ADDRESS", Action::Redact)],
                guard_runs: Vec::new(),
                guard_policy: Vec::new(),
                ..plain(1)
            },
            ASKED,
            ANSWERED,
        ),
        case(
            "tools",
            CallRecord {
                finish: Some(Finish::ToolCalls),
                tool_calls: vec![ToolCall {
                    id: "call_1".into(),
                    name: "find_order".into(),
                    arguments: r#"{"id": 81}"#.into(),
                }],
                prompt: Some(PromptRef {
                    name: "support-agent".into(),
                    version: "7".into(),
                    label: None,
                    hash: "ab".into(),
                }),
                ..plain(2)
            },
            r#"{"model":"support","tools":[{"type":"function","function":{"name":"find_order","parameters":{"type":"object"}}}],"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"image_url","image_url":{"url":"https://h/i.png"}}]},{"role":"assistant","content":null,"tool_calls":[{"id":"call_0","type":"function","function":{"name":"look","arguments":"not json"}}]},{"role":"tool","tool_call_id":"call_0","content":"a receipt"}]}"#,
            r#"{"id":"chatcmpl-8","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"find_order","arguments":"{\"id\": 81}"}}]},"finish_reason":"tool_calls"}]}"#,
        ),
        case(
            "failed_after_retry_and_fallback",
            CallRecord {
                outcome: Outcome::Failed,
                status: 502,
                error: Some(Code::UpstreamFailed),
                error_message: Some("every target failed".into()),
                finish: None,
                target: Some(target("gpt-4o")),
                model_answered: None,
                attempts: vec![
                    attempt("gpt-4o-mini", 100, 5_000, AttemptEnd::Status, Some(503)),
                    Attempt {
                        error: Some("the stream ended early".into()),
                        billed: Some(Billed {
                            usage: Usage { input_fresh: TokenCount(300), output: TokenCount(7), ..nothing },
                            cost: NanoUsd(49_200),
                        }),
                        ..attempt("gpt-4o-mini", 300_000, 90_000, AttemptEnd::Cut, Some(200))
                    },
                    attempt("gpt-4o", 700_000, 100_000, AttemptEnd::FirstTokenTimeout, None),
                ],
                usage: Usage {
                    input_fresh: TokenCount(300),
                    output: TokenCount(7),
                    estimated: true,
                    ..nothing
                },
                cost: NanoUsd(49_200),
                ..plain(3)
            },
            ASKED,
            "",
        ),
        case(
            "refused_by_budget",
            CallRecord {
                outcome: Outcome::Refused,
                status: 429,
                error: Some(Code::BudgetExceeded),
                error_message: Some("budget tenant_daily of acme is full".into()),
                finish: None,
                target: None,
                model_answered: None,
                attempts: vec![],
                usage: nothing,
                cost: NanoUsd::ZERO,
                parent_span_id: None,
                caller: Caller { tenant: "acme".into(), ..Caller::default() },
                prompt: None,
                ..plain(4)
            },
            ASKED,
            "",
        ),
        case(
            "canned_at_a_full_budget",
            CallRecord {
                outcome: Outcome::Canned,
                target: None,
                model_answered: None,
                attempts: vec![],
                usage: nothing,
                cost: NanoUsd::ZERO,
                budget: Some(BudgetNote {
                    action: BudgetAction::Answer,
                    scope: "tenant_daily".into(),
                    key: "acme".into(),
                    instead_of: Some("gpt-4o-mini".into()),
                }),
                guard: vec![note(Direction::Output, "secrets", "github_token", Action::Flag)],
                guard_runs: Vec::new(),
                guard_policy: Vec::new(),
                decision: Decision::Flag,
                ..plain(5)
            },
            ASKED,
            r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Come back tomorrow."},"finish_reason":"stop"}]}"#,
        ),
        case(
            "embedding",
            CallRecord {
                door: Door::Embeddings,
                finish: None,
                usage: Usage { input_fresh: TokenCount(8), ..nothing },
                cost: NanoUsd(160),
                target: Some(target("text-embedding-3-small")),
                model_answered: None,
                attempts: vec![attempt("text-embedding-3-small", 100, 9_000, AttemptEnd::Ok, Some(200))],
                ..plain(6)
            },
            r#"{"model":"text-embedding-3-small","input":["first","second"]}"#,
            r#"{"object":"list","data":[]}"#,
        ),
    ]
}
