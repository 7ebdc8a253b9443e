//! A gateway of its own for each test: the built binary in a temporary folder, a scripted provider behind it. At the
//! end of every journey the books must balance.

use std::{fs, path::PathBuf, time::Duration};

use gauntlet_testkit::{
    Binary, Ended, Launch, Provider,
    http::{self, Reply, Stream},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The environment of a test's gateway: nothing of the developer's reaches it.
const PROVIDER: &str = "prov";

pub struct TestApp {
    gateway: Option<Binary>,
    pub provider: Provider,
    folder: TempDir,
    env: Vec<(String, String)>,
    /// Calls that broke off on purpose leave sums that cannot be compared; such a test says so.
    balances: bool,
}

impl TestApp {
    /// A gateway whose provider `prov` is the scripted one, free of charge unless `config` says more. `config` is
    /// gauntlet.yml without its `providers`.
    pub fn start(config: &str) -> TestApp {
        TestApp::with_files(config, &[])
    }

    /// The same with further files of the configuration folder: (path, text).
    pub fn with_files(config: &str, files: &[(&str, &str)]) -> TestApp {
        TestApp::with_env(config, files, &[])
    }

    /// The same with variables of the environment, for `${NAME}`; commands get them too.
    pub fn with_env(config: &str, files: &[(&str, &str)], env: &[(&str, &str)]) -> TestApp {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let provider = Provider::start();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut app = TestApp { gateway: None, provider, folder, env, balances: true };
        app.write("gauntlet.yml", &app.config(config));
        for (path, text) in files {
            app.write(path, text);
        }
        app.gateway = Some(app.launch(&["up"]).serve());
        app
    }

    /// gauntlet.yml with the scripted provider, and models priced at 1 and 2 USD a million tokens: `test-model`, and
    /// through it anything that prices.yml names.
    fn config(&self, rest: &str) -> String {
        let url = self.provider.url();
        format!(
            "providers:\n  {PROVIDER}: {{dialect: openai, url: \"{url}\", key: upstream-secret}}\n{rest}\n"
        )
    }

    /// Replaces gauntlet.yml; the gateway takes it over by itself, or by `reload`.
    pub fn reconfigure(&self, config: &str) {
        self.write("gauntlet.yml", &self.config(config));
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.config_dir().join(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Where the gateway runs: its relative paths begin here.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn config_dir(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The program with this test's folders, neither started nor run yet.
    pub fn launch(&self, args: &[&str]) -> Launch {
        let prices = self.config_dir().join("prices.yml");
        if !prices.exists() {
            self.write("prices.yml", "test-model: {input: 1, output: 2}\n");
        }
        let launch = Launch::new(env!("CARGO_BIN_EXE_gauntlet"));
        let launch = self.env.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        launch
            .args(args)
            .args(["--config", &self.config_dir().display().to_string()])
            .args(["--data", &self.data_dir().display().to_string()])
            .folder(self.folder.path())
    }

    /// Runs a command of the program beside the gateway, to its end.
    pub fn command(&self, args: &[&str]) -> Ended {
        self.launch(args).run()
    }

    /// A command's `--json`.
    pub fn command_json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        self.command(&args).expect_ok().json()
    }

    pub fn gateway(&self) -> &Binary {
        self.gateway.as_ref().expect("the gateway runs")
    }

    pub fn url(&self, path: &str) -> String {
        self.gateway().url(path)
    }

    /// Stops the gateway, and starts it again with a port for spans over gRPC; the port.
    pub fn restart_with_grpc(&mut self) -> u16 {
        self.stop();
        let port = gauntlet_testkit::free_port();
        self.gateway = Some(self.launch(&["up"]).otlp_port(port).serve());
        port
    }

    /// SIGKILL, as a machine's memory killer would.
    pub fn kill9(&mut self) {
        self.gateway.take().expect("the gateway runs").kill9();
    }

    /// SIGTERM and a graceful end.
    pub fn stop(&mut self) -> Ended {
        self.gateway.take().expect("the gateway runs").stop()
    }

    /// Starts the gateway again on the same folders.
    pub fn restart(&mut self) {
        assert!(self.gateway.is_none(), "it runs already");
        self.gateway = Some(self.launch(&["up"]).serve());
    }

    /// The same with other variables of the environment than before.
    pub fn restart_with(&mut self, env: &[(&str, &str)]) {
        self.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.restart();
    }

    /// Whether a start with these variables ends by itself; else the gateway runs.
    pub fn dies_at_start(&mut self, env: &[(&str, &str)]) -> bool {
        let launch = env.iter().fold(self.launch(&["up"]), |launch, (name, value)| launch.env(name, value));
        self.gateway = launch.try_serve().ok();
        self.gateway.is_none()
    }

    /// Whether the gateway is still there; one that has ended by itself is let go.
    pub fn is_running(&mut self) -> bool {
        let is_running = self.gateway.as_mut().is_some_and(Binary::is_running);
        if !is_running {
            self.gateway = None;
        }
        is_running
    }

    /// A body for one user message to `test-model`.
    pub fn body(text: &str) -> Value {
        json!({"model": "prov/test-model", "messages": [{"role": "user", "content": text}]})
    }

    pub fn chat(&self, headers: &[(&str, &str)], body: &Value) -> Reply {
        http::post_json(&self.url("/v1/chat/completions"), headers, body).expect("the gateway answers")
    }

    /// Posts bytes as they are.
    pub fn chat_bytes(&self, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        http::post(&self.url("/v1/chat/completions"), headers, body).expect("the gateway answers")
    }

    pub fn stream(&self, headers: &[(&str, &str)], body: &Value) -> Stream {
        let mut body = body.clone();
        body["stream"] = true.into();
        http::post_stream(&self.url("/v1/chat/completions"), headers, &body).expect("the gateway answers")
    }

    /// A question to the management API.
    pub fn api(&self, path: &str) -> Value {
        let reply = http::get(&self.url(path), &[]).expect("the gateway answers");
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// The record of a call, once it is in the store; `id` as the answer's header gives it.
    pub fn trace(&self, id: &str) -> Value {
        for _ in 0..100 {
            let reply =
                http::get(&self.url(&format!("/api/v1/traces/{id}")), &[]).expect("the gateway answers");
            if reply.status == 200 {
                return reply.json();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("there is no trace {id}");
    }

    /// The record of an answer.
    pub fn trace_of(&self, reply: &Reply) -> Value {
        self.trace(reply.header("x-gauntlet-request-id").expect("every answer names its request"))
    }

    /// The record of the newest call.
    pub fn last_trace(&self) -> Value {
        let found = self.api("/api/v1/traces?limit=1");
        let id = found["traces"][0]["id"].as_str().expect("a call was recorded").to_owned();
        self.trace(&id)
    }

    /// This test ends with calls under way, so there is nothing to balance.
    pub fn without_balance(mut self) -> TestApp {
        self.balances = false;
        self
    }

    /// No hold is open, no call runs, and what the ledger says was spent is the sum of the records.
    pub fn balance(&self) {
        let mut books = self.api("/api/v1/budgets");
        // A call that its caller left may take a moment to end.
        for _ in 0..250 {
            if books["open_holds"] == 0 && books["running_calls"] == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
            books = self.api("/api/v1/budgets");
        }
        assert_eq!((&books["open_holds"], &books["running_calls"]), (&0.into(), &0.into()), "{books:#}");
        let mut spent: std::collections::BTreeMap<(String, String, String), i64> = Default::default();
        let mut before = String::new();
        loop {
            let page = self.api(&format!("/api/v1/traces?limit=200{before}"));
            let rows = page["traces"].as_array().expect("a list").clone();
            for row in &rows {
                let id = row["id"].as_str().expect("an id");
                let record = &self.trace(id)["record"];
                for charge in record["charges"].as_array().into_iter().flatten() {
                    let text =
                        |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let key = (text(&charge["scope"]), text(&charge["key"]), text(&charge["period"]));
                    let whole = |value: &Value| value.as_i64().expect("a number");
                    *spent.entry(key).or_default() += match charge["measure"].as_str() {
                        None | Some("usd") => whole(&record["cost"]),
                        Some("requests") => 1,
                        Some(_) if record["outcome"] == "interrupted" => whole(&record["held_tokens"]),
                        Some(_) if record["cache"] == "exact" || record["cache"] == "semantic" => 0,
                        Some(_) => {
                            let usage = record["usage"].as_object().expect("usage");
                            usage.values().filter_map(Value::as_i64).sum::<i64>()
                        }
                    };
                }
            }
            match rows.last() {
                Some(last) if rows.len() == 200 => {
                    before = format!("&before={}", last["id"].as_str().expect("an id"));
                }
                _ => break,
            }
        }
        for line in books["lines"].as_array().expect("a list") {
            let of = |(scope, key, _): &&(String, String, String)| {
                line["scope"] == **scope && line["key"] == **key
            };
            let records: i64 = spent.iter().filter(|(key, _)| of(key)).map(|(_, cost)| cost).sum();
            let ledger = line["spent"].as_i64().expect("a number");
            assert_eq!(ledger, records, "the ledger and the records differ: {line:#}");
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if self.balances && self.gateway.is_some() && !std::thread::panicking() {
            self.balance();
        }
    }
}
