//! `litellm_settings`, `router_settings`, `general_settings` and `environment_variables`.

use super::{groups::Whole, secret, variable};
use crate::import::{
    draft::Draft,
    emit::{Block, Value, Words},
    tables::{RECEIVERS, Receiver, SEMANTIC_CACHE, STRATEGIES},
    units,
    walk::{Fields, Item, Known},
};

const DEFAULT: &[&str] = &["default"];
/// How long answers are kept where LiteLLM says nothing: as its own memory keeps them.
const CACHE_SECONDS: f64 = 600.0;

const LITELLM: [Known; 20] = [
    ("set_verbose", LOGS, "set `GAUNTLET_LOG=debug` where it is needed"),
    ("json_logs", LOGS, "write `log: {json: stdout}` for a line a call"),
    (
        "drop_params",
        "what another dialect cannot say is always left out, and listed in the record",
        "nothing",
    ),
    (
        "modify_params",
        "calls are not rewritten to suit a provider",
        "let callers send what the provider takes",
    ),
    ("context_window_fallbacks", BY_FAULT, "put a model with a longer window behind it in `targets`"),
    ("content_policy_fallbacks", BY_FAULT, "put another provider behind it in `targets`"),
    ("allowed_fails", BREAKER, BREAKER_CURE),
    ("cooldown_time", BREAKER, BREAKER_CURE),
    ("telemetry", "Gauntlet sends nothing home", "nothing"),
    ("ssl_verify", "certificates are always checked", "name other authorities by `SSL_CERT_FILE`"),
    ("ssl_certificate", "certificates are always checked", "name other authorities by `SSL_CERT_FILE`"),
    ("force_ipv4", "addresses are chosen by the system", "nothing"),
    ("redact_user_api_key_info", "keys are never written", "nothing"),
    ("langfuse_*", "it is a setting of LiteLLM's own sender", "see docs/export.md"),
    ("default_team_settings", TEAMS, "see docs/export.md and `gauntlet key create --team`"),
    ("default_internal_user_params", TEAMS, "write `users: {\"*\": …}` in budgets.yml"),
    ("upperbound_key_generate_params", TEAMS, "write caps for `keys` in budgets.yml"),
    ("default_key_generate_params", TEAMS, "write caps for `keys` in budgets.yml"),
    ("enable_preview_features", "there are none to switch on", "nothing"),
    ("public_model_groups", "`/v1/models` lists what a key may use", "nothing"),
];
const LOGS: &str = "logs are set up otherwise here";
const BY_FAULT: &str = "the next target is asked after any failure that a retry may mend, not by its kind";
const BREAKER: &str = "circuit breakers are set up at providers";
const BREAKER_CURE: &str = "write `breaker: {failures: …, cooldown: …}` at a provider";
const TEAMS: &str = "keys, teams and users are not set up by defaults here";

const ROUTER: [Known; 12] = [
    ("context_window_fallbacks", BY_FAULT, "put a model with a longer window behind it in `targets`"),
    ("content_policy_fallbacks", BY_FAULT, "put another provider behind it in `targets`"),
    ("allowed_fails", BREAKER, BREAKER_CURE),
    ("allowed_fails_policy", BREAKER, BREAKER_CURE),
    ("cooldown_time", BREAKER, BREAKER_CURE),
    ("disable_cooldowns", BREAKER, BREAKER_CURE),
    (
        "retry_policy",
        "retries are not counted by kind of failure: what may pass is tried again",
        "write `retry: {attempts: …}`",
    ),
    ("model_group_retry_policy", "retries are a route's here", "write `retry` at a route"),
    ("enable_pre_call_checks", "what a model cannot hold is told by its provider", "nothing"),
    ("routing_strategy_args", "strategies take no such settings", "nothing"),
    ("enable_tag_filtering", "targets are not chosen by tags", "make a route for each"),
    ("optional_pre_call_checks", "such checks are built in or not there", "see docs/configuration.md"),
];

const GENERAL: [Known; 22] = [
    (
        "database_url",
        "keys, teams and their spend stay in LiteLLM's database",
        "make keys by `gauntlet key create`; `store: postgres://…` is where Gauntlet keeps its own",
    ),
    ("database_*", "it is a setting of LiteLLM's database", "nothing"),
    ("store_model_in_db", "models in LiteLLM's database are not in this file", "add them under `models`"),
    (
        "store_prompts_in_spend_logs",
        "redacted texts are kept unless `record: {bodies: false}` says otherwise",
        "nothing",
    ),
    (
        "disable_spend_logs",
        "every call is recorded: its cost is counted from that",
        "write `record: {bodies: false}` to keep no texts",
    ),
    ("proxy_batch_write_at", "records are written at once", "nothing"),
    ("proxy_budget_rescheduler_*", "budgets turn by themselves", "nothing"),
    ("alerting_threshold", "there is no alert of slow calls", "set one on `/metrics`"),
    ("alerting_args", "alerts are of budgets and spend", "nothing"),
    ("alert_types", "alerts are of budgets and spend", "nothing"),
    ("background_health_checks", "targets are judged by the calls they get", "nothing"),
    ("health_check_*", "targets are judged by the calls they get", "nothing"),
    (
        "pass_through_endpoints",
        "there are no open pass-through routes: every door is metered",
        "give the provider under `providers`",
    ),
    ("enable_jwt_auth", "callers show keys here, not tokens", "make keys by `gauntlet key create`"),
    ("litellm_jwtauth", "callers show keys here, not tokens", "make keys by `gauntlet key create`"),
    ("custom_auth", "no code of yours runs in the gateway", "make keys by `gauntlet key create`"),
    ("ui_access_mode", "the console asks for its own login", "nothing"),
    ("use_redis_transaction_buffer", "records do not go through Redis", "nothing"),
    (
        "maximum_spend_logs_retention_*",
        "how long things are kept is set by `retention`",
        "write `retention: {records: 30d}` (docs/retention.md)",
    ),
    ("key_management_*", "secrets are read from the environment", "let your system put them there"),
    ("max_parallel_requests", "it holds for each of LiteLLM's deployments", "write `limits.models`"),
    ("salt_key", "it is the key of LiteLLM's database", "nothing"),
];

/// `litellm_settings`.
pub fn litellm<'a>(item: Option<Item<'a>>, draft: &mut Draft) -> Whole<'a> {
    let mut whole = Whole::default();
    let Some(item) = item else { return whole };
    let mut fields = item.fields(&mut draft.notes);
    common(&mut fields, &mut whole, draft);
    if let Some(item) = fields.take("request_timeout") {
        timeout(&item, draft);
    }
    cache(&mut fields, draft);
    callbacks(&mut fields, draft);
    for name in ["turn_off_message_logging", "redact_messages_in_exceptions"] {
        if let Some(item) = fields.take(name).filter(Item::is_true) {
            draft.set(
                &["default", "record", "bodies"],
                Value::plain(false),
                &item.place,
                "texts are not kept either",
            );
        }
    }
    let caps = [
        ("max_budget", "budget_duration", &["everything"][..]),
        ("max_end_user_budget", "max_end_user_budget_duration", &["users", "*"][..]),
        ("max_internal_user_budget", "internal_user_budget_duration", &["users", "*"][..]),
    ];
    for (amount, period, subject) in caps {
        let (amount, period) = (fields.take(amount), fields.take(period));
        if let Some(amount) = amount {
            draft.cap(subject, &amount, period.as_ref());
        } else if let Some(period) = period {
            draft.notes.unmapped(&period.place, "it belongs to a cap that is not there", "nothing");
        }
    }
    fields.finish(&LITELLM, &mut draft.notes);
    whole
}

/// `router_settings`.
pub fn router<'a>(item: Option<Item<'a>>, draft: &mut Draft) -> Whole<'a> {
    let mut whole = Whole::default();
    let Some(item) = item else { return whole };
    let mut fields = item.fields(&mut draft.notes);
    common(&mut fields, &mut whole, draft);
    if let Some((name, item)) = fields.text("routing_strategy", &mut draft.notes) {
        match STRATEGIES.iter().find(|(known, _)| *known == name) {
            Some((_, pick)) => {
                let to = "gauntlet.yml: models";
                if pick.ours().is_some() {
                    draft.notes.mapped(&item.place, to, "");
                }
                whole.pick = Some((*pick, item.place));
            }
            None => draft.notes.unmapped(
                &item.place,
                "the importer does not know this strategy",
                "targets are tried in order",
            ),
        }
    }
    for (alias, item) in fields.take("model_group_alias").iter().flat_map(Item::entries) {
        let inner = item.entries().into_iter().find(|(key, _)| *key == "model");
        match item.text().or_else(|| inner?.1.text()) {
            Some(name) => whole.aliases.push((alias, name, item)),
            None => draft.notes.unmapped(&item.place, "it names no model", "write it under `models`"),
        }
    }
    if let Some(item) = fields.take("timeout") {
        timeout(&item, draft);
    }
    if let Some(item) = fields.take("stream_timeout") {
        let millis = item.number().map(|seconds| seconds * 1000.0);
        draft.timeout(DEFAULT, "first_token", millis, &item, "until the first token");
    }
    if let Some(item) = fields.take("retry_after") {
        match item.number().and_then(|seconds| units::duration(seconds * 1000.0)) {
            Some(base) => draft.set(
                &["default", "retry", "base"],
                Value::plain(base),
                &item.place,
                "doubles with each try; a provider's Retry-After counts too",
            ),
            None => draft.notes.mapped(
                &item.place,
                "gauntlet.yml: default.retry",
                "0 is no wait; the default of 250 ms is kept",
            ),
        }
    }
    for (provider, item) in fields.take("provider_budget_config").iter().flat_map(Item::entries) {
        let mut of = item.fields(&mut draft.notes);
        let (amount, period) =
            (of.any(&["budget_limit", "max_budget"]), of.any(&["time_period", "budget_duration"]));
        match amount {
            Some(amount) if draft.main.get(&["providers", provider]).is_some() => {
                draft.cap(&["providers", provider], &amount, period.as_ref());
            }
            _ => draft.notes.unmapped(
                &item.place,
                "no provider of that name was taken over",
                "write it under `providers` in budgets.yml",
            ),
        }
        of.finish(&[], &mut draft.notes);
    }
    redis(&mut fields, draft);
    fields.finish(&ROUTER, &mut draft.notes);
    whole
}

/// What may stand in both.
fn common<'a>(fields: &mut Fields<'a>, whole: &mut Whole<'a>, draft: &mut Draft) {
    if let Some(item) = fields.take("num_retries") {
        draft.retries(DEFAULT, &item);
    }
    for entry in fields.take("fallbacks").iter().flat_map(Item::items) {
        for (name, item) in entry.entries() {
            let texts = item.texts();
            if texts.len() < item.items().len() {
                draft.notes.unmapped(
                    &item.place,
                    "a fallback with settings of its own has no place here",
                    "make it a model under `models`, and name that",
                );
            }
            whole.fallbacks.push((name, texts));
        }
    }
    whole.default_fallbacks.extend(fields.take("default_fallbacks").iter().flat_map(Item::texts));
}

fn timeout(item: &Item<'_>, draft: &mut Draft) {
    let millis = item.number().map(|seconds| seconds * 1000.0);
    draft.timeout(DEFAULT, "attempt", millis, item, "of one attempt");
}

const CACHE: [Known; 8] = [
    ("host", IN_MEMORY, "nothing"),
    ("port", IN_MEMORY, "nothing"),
    ("password", IN_MEMORY, "nothing"),
    ("namespace", "every tenant has its own answers", "nothing"),
    (
        "supported_call_types",
        "which calls are kept is fixed",
        "write `cache: off` at routes that are not to be",
    ),
    ("s3_*", IN_MEMORY, "nothing"),
    ("redis_*", IN_MEMORY, "nothing"),
    ("qdrant_*", IN_MEMORY, "nothing"),
];
const IN_MEMORY: &str = "answers are kept in each gateway's own memory";

fn cache(fields: &mut Fields<'_>, draft: &mut Draft) {
    let (switch, params) = (fields.take("cache"), fields.take("cache_params"));
    let Some(switch) = switch else {
        if let Some(params) = params {
            draft.notes.unmapped(
                &params.place,
                "`cache` is not true, so there is no cache",
                "write `cache: 10m` at a route",
            );
        }
        return;
    };
    if !switch.is_true() {
        return draft.notes.mapped(&switch.place, "gauntlet.yml: default.cache", "off, as unless said");
    }
    draft.notes.mapped(&switch.place, "gauntlet.yml: default.cache", "");
    let mut of = params.as_ref().map(|params| params.fields(&mut draft.notes));
    let mut take = |name: &str| of.as_mut().and_then(|of| of.take(name));
    let (kind, ttl, similar) = (take("type"), take("ttl"), take("similarity_threshold"));
    if let Some(mode) = take("mode").filter(|mode| mode.text() == Some("default_off")) {
        let cure = "write `cache: 10m` at the routes whose calls are to be found again";
        draft.notes.unmapped(
            &mode.place,
            "only calls that asked for it were kept, and none can ask here",
            cure,
        );
    } else {
        let seconds = ttl.as_ref().map_or(Some(CACHE_SECONDS), Item::number);
        let place = ttl.as_ref().map_or(&switch.place, |ttl| &ttl.place);
        match seconds.and_then(|seconds| units::duration(seconds * 1000.0)) {
            Some(ttl) => {
                draft.set(&["default", "cache"], Value::plain(ttl), place, "of equal calls of a tenant")
            }
            None => draft.notes.unmapped(place, "it is not a time", "write `cache: 10m` under `default`"),
        }
    }
    if let Some(kind) = kind {
        if kind.text().is_some_and(|kind| kind.ends_with("semantic")) {
            draft.notes.unmapped(&kind.place, SEMANTIC_CACHE.0, SEMANTIC_CACHE.1);
        } else if kind.text() == Some("local") {
            draft.notes.mapped(&kind.place, "gauntlet.yml: default.cache", "");
        } else {
            draft.notes.unmapped(&kind.place, IN_MEMORY, "nothing");
        }
    }
    if let Some(similar) = similar {
        draft.notes.unmapped(&similar.place, SEMANTIC_CACHE.0, SEMANTIC_CACHE.1);
    }
    if let Some(of) = of {
        of.finish(&CACHE, &mut draft.notes);
    }
}

fn callbacks(fields: &mut Fields<'_>, draft: &mut Draft) {
    let mut all = Vec::new();
    for name in ["callbacks", "success_callback", "failure_callback", "service_callback"] {
        all.extend(fields.take(name).iter().flat_map(Item::texts));
    }
    for (name, item) in all {
        if name == "prometheus" || name == "prometheus_system" {
            draft.notes.mapped(
                &item.place,
                "built in: /metrics",
                "names are Gauntlet's own (`gauntlet metrics list`)",
            );
        } else if let Some(receiver) = RECEIVERS.iter().find(|receiver| receiver.theirs.contains(&name)) {
            export(receiver, &item, draft);
        } else {
            let cure = "if it takes OTLP, write it under `exporters` (docs/export.md); code of your own does not run here";
            draft.notes.unmapped(&item.place, "the importer knows no such receiver", cure);
        }
    }
}

fn export(receiver: &Receiver, item: &Item<'_>, draft: &mut Draft) {
    let mut words = |text: &str| match text.split_once('$') {
        None => Words::literal(text),
        Some((start, name)) => {
            let name = draft.variables.elsewhere(name, name, &item.place);
            Words::literal(start).then_variable(&name)
        }
    };
    let mut entry = Block::default();
    entry.set(&["otlp"], Value::Text(words(receiver.otlp)), "");
    for (header, value) in receiver.headers {
        entry.set(&["headers", header], Value::Text(words(value)), "");
    }
    if let Some(profile) = receiver.profile {
        entry.set(&["profile"], Value::plain(profile), "");
    }
    draft.set(&["exporters", receiver.ours], Value::Block(entry), &item.place, receiver.note);
}

/// Where LiteLLM's routers meet is where Gauntlet's replicas do.
fn redis(fields: &mut Fields<'_>, draft: &mut Draft) {
    let [url, host, port, password] =
        ["redis_url", "redis_host", "redis_port", "redis_password"].map(|name| fields.take(name));
    let note = "budgets, limits and rates are shared through it";
    if let Some(url) = url {
        if let Some(words) = secret(draft, &url, "REDIS_URL") {
            draft.set(&["shared"], Value::Text(words), &url.place, note);
        }
        return;
    }
    let Some(host) = host else {
        for item in port.iter().chain(&password) {
            draft.notes.unmapped(&item.place, "there is no `redis_host`", "write `shared: redis://…`");
        }
        return;
    };
    let mut words = Words::literal("redis://");
    if let Some(item) = &password
        && let Some(password) = secret(draft, item, "REDIS_PASSWORD")
    {
        words = Words::escaped(&format!("{}:{}@", words.as_str(), password.as_str()));
        draft.notes.mapped(
            &item.place,
            "gauntlet.yml: shared",
            "must be written as in an address (%40 for @)",
        );
    }
    for (item, before) in [Some(&host), port.as_ref()].into_iter().flatten().zip(["", ":"]) {
        let text = item.word().unwrap_or_default();
        let is_plain = !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        words = words.then(before);
        words = match variable(&text).and_then(|name| draft.variables.named(name, &item.place)) {
            Some(name) => words.then_variable(&name),
            None if is_plain => words.then(&text),
            None => {
                return draft.notes.unmapped(
                    &item.place,
                    "it is not a host or a port",
                    "write `shared: redis://HOST:6379`",
                );
            }
        };
    }
    draft.set(&["shared"], Value::Text(words), &host.place, note);
    if let Some(port) = &port {
        draft.notes.mapped(&port.place, "gauntlet.yml: shared", "");
    }
}

/// `general_settings`.
pub fn general(item: Option<Item<'_>>, draft: &mut Draft) {
    let Some(item) = item else { return };
    let mut fields = item.fields(&mut draft.notes);
    if let Some(item) = fields.take("master_key")
        && let Some(key) = secret(draft, &item, "LITELLM_MASTER_KEY")
    {
        let mut entry = Block::default();
        entry.set(&["name"], Value::plain("litellm-master"), "");
        entry.set(&["key"], Value::Text(key), "");
        entry.set(&["tenant"], Value::plain("default"), "");
        draft.main.push("keys", Value::Block(entry), &item.place.path);
        draft.notes.mapped(&item.place, "gauntlet.yml: keys", "callers may use it; it manages nothing here");
    }
    if let Some((model, item)) = fields.text("completion_model", &mut draft.notes) {
        let cure = "write `default: {model: …}`";
        draft.notes.unmapped(
            &item.place,
            format!("one model for all calls is not set unasked: `{model}`"),
            cure,
        );
    }
    if let Some(item) = fields.take("max_request_size_mb") {
        match item.whole().filter(|size| (1..=100_000).contains(size)) {
            Some(size) => draft.set(&["max_body"], Value::plain(format!("{size}mb")), &item.place, ""),
            None => draft.notes.unmapped(
                &item.place,
                "it is not a whole number of megabytes",
                "write `max_body: 10mb`",
            ),
        }
    }
    for (name, item) in fields.take("alerting").iter().flat_map(Item::texts) {
        if name == "slack" {
            let url = draft.variables.named("SLACK_WEBHOOK_URL", &item.place).expect("the name is good");
            let mut entry = Block::default();
            entry.set(&["slack_webhook"], Value::Text(Words::variable(&url)), "");
            draft.main.push("alerts", Value::Block(entry), &item.place.path);
            draft.notes.mapped(&item.place, "gauntlet.yml: alerts", "of budgets and spend");
        } else {
            draft.notes.unmapped(
                &item.place,
                "alerts go to Slack or to a webhook",
                "write `alerts: [{webhook: …}]`",
            );
        }
    }
    fields.finish(&GENERAL, &mut draft.notes);
}

/// `environment_variables`: their names are told, their values stay where they are.
pub fn environment(item: Option<Item<'_>>, draft: &mut Draft) {
    for (name, item) in item.iter().flat_map(Item::entries) {
        let cure = format!("set `{name}` in the environment of the gateway if it is still needed");
        draft.notes.unmapped(
            &item.place,
            "a configuration sets no variables here, and the value is not copied",
            cure,
        );
    }
}
