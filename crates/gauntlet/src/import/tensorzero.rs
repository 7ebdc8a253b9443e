//! A `tensorzero.toml`: models and their providers, functions and their variants.
//!
//! A function becomes a route, its system template a prompt, its schema a file under `schemas/`. What TensorZero learns
//! from (metrics, feedback, evaluations) has no place in a gateway's configuration, and is told.

mod function;
mod models;

use super::{
    draft::Draft,
    emit::{Block, Value, Words},
    source::{Node, Unreadable, Value as Source},
    walk::{Item, Known},
};
use models::Models;

/// Reads a file that the source names; the error says why not.
pub type Read<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Sections by which the file is told from any other.
const SECTIONS: [&str; 8] = [
    "models",
    "functions",
    "embedding_models",
    "gateway",
    "metrics",
    "evaluations",
    "rate_limiting",
    "provider_types",
];

pub fn read(root: &Node, file: Read<'_>) -> Result<Draft, Unreadable> {
    let Source::Map(entries) = &root.value else {
        return Err(Unreadable::new(
            root.line,
            "it is not a configuration of TensorZero",
            "name its tensorzero.toml",
        ));
    };
    if !entries.iter().any(|(key, _)| SECTIONS.contains(&key.as_str())) {
        let why =
            format!("it is not a configuration of TensorZero: it has none of `{}`", SECTIONS.join("`, `"));
        return Err(Unreadable::new(root.line, why, "name its tensorzero.toml"));
    }
    let mut draft = Draft::new(root, &variable);
    let mut fields = Item::root(root).fields(&mut draft.notes);
    let (own, embedding) = (fields.take("models"), fields.take("embedding_models"));
    let slashed = own.iter().chain(&embedding).flat_map(Item::entries);
    draft.reserved = slashed.filter_map(|(name, _)| Some(name.split_once('/')?.0.to_owned())).collect();
    let mut models = Models::default();
    for (name, item) in own.iter().chain(&embedding).flat_map(Item::entries) {
        models.read(name, &item, &mut draft);
    }
    for (name, item) in fields.take("functions").iter().flat_map(Item::entries) {
        function::read(name, &item, file, &mut models, &mut draft);
    }
    if let Some(gateway) = fields.take("gateway") {
        self::gateway(&gateway, &mut draft);
    }
    fields.finish(&TOP, &mut draft.notes);
    Ok(draft)
}

const TOP: [Known; 11] = [
    ("metrics", "feedback is not a setting of the gateway", "write evaluations for what you measure"),
    ("evaluations", "evaluations are not read", "write datasets under evals/"),
    (
        "tools",
        "tools are declared by callers, call by call",
        "let callers send them; `tools` at a route says which may be called",
    ),
    (
        "rate_limiting",
        "rules by tags are not read",
        "write `limits` (rates) and budgets.yml (`daily_requests`, `daily_tokens`) for tenants, keys or users",
    ),
    ("clickhouse", "records rest in SQLite or Postgres here", "write `store: postgres://…`"),
    ("postgres", "records rest in SQLite or Postgres here", "write `store: postgres://…`"),
    ("object_storage", "files of calls are not put elsewhere", "nothing"),
    ("provider_types", "defaults of a kind of provider are not read", "write the key at each provider"),
    ("optimizers", "nothing is trained here", "nothing"),
    ("experimentation", "this version runs no experiments", "nothing"),
    ("autopilot", "nothing is changed here unasked", "nothing"),
];

const GATEWAY: [Known; 11] = [
    ("observability", "every call is recorded, redacted, before its caller has the last byte", "nothing"),
    ("base_path", "doors are at `/v1/…`", "let callers use that address"),
    ("debug", "logs are set up by `GAUNTLET_LOG`", "nothing"),
    ("template_filesystem_access", "a prompt is one file here", "put what it includes into it"),
    (
        "auth",
        "callers show keys here once one exists, or the listener is not on loopback",
        "make keys by `gauntlet key create`",
    ),
    ("fetch_and_encode_input_files_before_inference", "addresses of files are passed on", "nothing"),
    ("unstable_*", "it is not settled there either", "nothing"),
    ("disable_pseudonymous_usage_analytics", "Gauntlet sends nothing home", "nothing"),
    (
        "global_outbound_http_timeout_ms",
        "time limits are a route's here",
        "write `default: {timeouts: {attempt: …}}`",
    ),
    ("cache", "it is a setting of TensorZero's cache", "write `cache: 10m` at a route"),
    ("relay", "calls are not passed to another gateway", "add that one as a provider with OpenAI's dialect"),
];

fn gateway(item: &Item<'_>, draft: &mut Draft) {
    let mut fields = item.fields(&mut draft.notes);
    if let Some((address, item)) = fields.text("bind_address", &mut draft.notes) {
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        if port.is_some_and(|port| port.parse::<u16>().is_ok()) {
            draft.set(
                &["listen"],
                Value::text(address),
                &item.place,
                "any address but loopback asks for keys",
            );
        } else {
            draft.notes.unmapped(
                &item.place,
                "it is not an address and port",
                "write `listen: 127.0.0.1:8787`",
            );
        }
    }
    if let Some(item) = fields.take("export") {
        export(&item, draft);
    }
    fields.finish(&GATEWAY, &mut draft.notes);
}

/// `export.otlp.traces.enabled`: the receiver stands in the environment.
fn export(item: &Item<'_>, draft: &mut Draft) {
    let mut export = item.fields(&mut draft.notes);
    let otlp = export.take("otlp");
    export.finish(&[], &mut draft.notes);
    let Some(otlp) = otlp else { return };
    let mut otlp = otlp.fields(&mut draft.notes);
    let traces = otlp.take("traces");
    otlp.finish(&[], &mut draft.notes);
    let Some(traces) = traces else { return };
    let mut traces = traces.fields(&mut draft.notes);
    let _ = traces.take("format");
    if let Some(item) = traces.take("enabled").filter(Item::is_true) {
        let name = draft
            .variables
            .named("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &item.place)
            .expect("the name is good");
        let mut entry = Block::default();
        entry.set(&["otlp"], Value::Text(Words::variable(&name)), "");
        entry.set(&["protocol"], Value::plain("grpc"), "");
        draft.set(&["exporters", "otel"], Value::Block(entry), &item.place, "over gRPC, as there");
    }
    traces.finish(
        &[("extra_headers", "headers of an exporter may be secrets", "write `headers` at the exporter")],
        &mut draft.notes,
    );
}

/// The variable that a text of the source stands for.
fn variable(text: &str) -> Option<&str> {
    text.strip_prefix("env::")
}
