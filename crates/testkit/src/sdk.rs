//! Conversations by the vendors' own SDKs, run as scripts in their own languages.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use crate::{
    binary::{Ended, Running},
    parts, process,
};

/// A small real model answers in seconds; a stuck SDK must not hold up a test run.
const LIMIT: Duration = Duration::from_secs(180);

/// What an SDK is told. The cases and what each prints are listed at the head of the scripts.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub base_url: String,
    pub api_key: String,
    pub model: String,
    /// Further settings of the scripts: `PROMPT`, `MAX_TOKENS`, `EXTRA_HEADERS`, `EXTRA_BODY`.
    pub settings: Vec<(String, String)>,
}

impl Conversation {
    pub fn new(base_url: &str, api_key: &str, model: &str) -> Conversation {
        Conversation {
            base_url: base_url.to_owned(),
            api_key: api_key.to_owned(),
            model: model.to_owned(),
            settings: Vec::new(),
        }
    }

    pub fn setting(mut self, name: &str, value: &str) -> Conversation {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Speaks through the Python SDK: what was seen, by case. None if the part is left out.
    pub fn python(&self, cases: &[&str]) -> Option<BTreeMap<String, Value>> {
        let mut command = Command::new(parts::python()?);
        command.arg("-I").arg(script("conversation.py"));
        Some(self.run(command, cases))
    }

    /// Speaks through the Node SDK.
    pub fn node(&self, cases: &[&str]) -> Option<BTreeMap<String, Value>> {
        let modules = parts::node_modules()?;
        let mut command = Command::new("node");
        command.arg(script("conversation.mjs")).env("GAUNTLET_TEST_NODE_MODULES", modules);
        Some(self.run(command, cases))
    }

    /// Runs a traced agent (`traced_agent.py`), whose settings say where its spans go; what it printed. None if the part is
    /// left out.
    pub fn traced_agent(&self, instrumentor: &str, protocol: &str) -> Option<Value> {
        let mut command = Command::new(parts::otel()?);
        command.arg("-I").arg(script("traced_agent.py")).args([instrumentor, protocol]);
        Some(self.ended(command).json())
    }

    /// Runs `grpc_export.py` against the setting `TARGET`: what each of its cases was answered. None if the part is left out.
    pub fn grpc_export(&self) -> Option<Value> {
        let mut command = Command::new(parts::otel()?);
        command.arg("-I").arg(script("grpc_export.py"));
        Some(self.ended(command).json())
    }

    /// Runs `grpc_receiver.py` with the settings `PORT` and `SCRIPT` to the end of its script: the calls that it has seen. None
    /// if the part is left out.
    pub fn grpc_receiver(&self) -> Option<Value> {
        let mut command = Command::new(parts::otel()?);
        command.arg("-I").arg(script("grpc_receiver.py"));
        Some(self.ended(command).json())
    }

    /// The bytes that Google's library for protobuf makes of a request in OTLP/JSON, by `otlp_json.py`, which refuses what is
    /// against the format. None if the part is left out.
    pub fn otlp_json(json: &Path) -> Option<Vec<u8>> {
        let mut command = Command::new(parts::otel()?);
        command.arg("-I").arg(script("otlp_json.py")).arg(json);
        let text = Conversation::new("", "", "").ended(command).stdout;
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        text.trim().as_bytes().chunks(2).map(byte).collect()
    }

    fn ended(&self, mut command: Command) -> Ended {
        command.env("BASE_URL", &self.base_url).env("API_KEY", &self.api_key).env("MODEL", &self.model);
        command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        let mut running = Running::spawn(&mut command);
        if process::wait(&mut running.child, LIMIT).is_none() {
            let _ = running.child.kill();
            panic!("the SDK did not end within {LIMIT:?}: {}", running.ended());
        }
        running.ended().expect_ok()
    }

    fn run(&self, mut command: Command, cases: &[&str]) -> BTreeMap<String, Value> {
        command.args(cases);
        lines_of(&self.ended(command), "case", cases)
    }
}

/// A client library of the world outside, driven by one of the scripts in `tests/sdk/clients`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client {
    /// The script: `.py` runs in Python, `.mjs` in Node.
    pub driver: &'static str,
}

impl Client {
    /// Runs cases against a gateway in one process, in their order: what was seen, by the case's `id`. None if the part is
    /// left out.
    pub fn run(&self, base_url: &str, api_key: &str, cases: &[Value]) -> Option<BTreeMap<String, Value>> {
        let mut command = if self.driver.ends_with(".py") {
            let mut command = Command::new(parts::clients()?);
            // Isolated, and without leaving compiled files beside the scripts.
            command.args(["-I", "-B"]);
            command
        } else {
            let mut command = Command::new("node");
            command.env("GAUNTLET_TEST_NODE_CLIENTS", parts::node_clients()?);
            command
        };
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), Value::from(cases.to_vec()).to_string()).expect("it can be written");
        command.arg(script("clients").join(self.driver)).arg(file.path());
        let ids: Vec<&str> =
            cases.iter().map(|case| case["id"].as_str().expect("a case has an id")).collect();
        Some(lines_of(&Conversation::new(base_url, api_key, "").ended(command), "id", &ids))
    }
}

/// The lines that a script printed, by the field that names each; every one that was wanted must be there.
fn lines_of(ended: &Ended, name: &str, wanted: &[&str]) -> BTreeMap<String, Value> {
    let seen: BTreeMap<String, Value> = ended
        .stdout
        .lines()
        .map(|line| {
            let seen: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("`{line}`: {error}"));
            (seen[name].as_str().expect("a line names its case").to_owned(), seen)
        })
        .collect();
    let missing: Vec<_> = wanted.iter().filter(|case| !seen.contains_key(**case)).collect();
    assert!(missing.is_empty(), "no line for {missing:?}: {ended}");
    seen
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gauntlet/tests/sdk").join(name)
}
