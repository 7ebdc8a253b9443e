//! Arize Phoenix: a real product that shows spans, asked by its own API what it has understood of them.

use std::{
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{binary::Running, http, parts, port::free_port, process};

/// It imports for 18 s on a quiet machine.
const READY_LIMIT: Duration = Duration::from_secs(180);

pub struct PhoenixServer {
    // Held for its `Drop`, which ends the process.
    _running: Running,
    folder: TempDir,
    port: u16,
    grpc: u16,
}

impl PhoenixServer {
    /// Starts an empty one; none if the part is left out (said on standard error).
    pub fn start() -> Option<PhoenixServer> {
        Some(PhoenixServer::start_with(&parts::phoenix()?))
    }

    pub fn start_with(python: &Path) -> PhoenixServer {
        let (port, grpc) = (free_port(), free_port());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(python);
        command.args(["-m", "phoenix.server.main", "serve"]).current_dir(folder.path());
        command
            .env("PHOENIX_WORKING_DIR", folder.path())
            .env("PHOENIX_HOST", "127.0.0.1")
            .env("PHOENIX_PORT", port.to_string())
            .env("PHOENIX_GRPC_PORT", grpc.to_string())
            .env("PHOENIX_TELEMETRY_ENABLED", "false");
        let mut running = Running::spawn(&mut command);
        let until = Instant::now() + READY_LIMIT;
        let health = format!("http://127.0.0.1:{port}/healthz");
        while !http::get(&health, &[]).is_ok_and(|reply| reply.status == 200) {
            let has_ended = process::wait(&mut running.child, Duration::from_millis(50)).is_some();
            if has_ended || Instant::now() >= until {
                let _ = running.child.kill();
                panic!("Phoenix does not serve: {}", running.ended());
            }
            thread::sleep(Duration::from_millis(100));
        }
        PhoenixServer { _running: running, folder, port, grpc }
    }

    /// Where it takes traces over HTTP.
    pub fn traces_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/traces", self.port)
    }

    /// The SQLite file that it keeps.
    pub fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("phoenix.db")
    }

    /// Where it takes them over gRPC.
    pub fn grpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// The spans of a project as its REST API shows them.
    pub fn spans(&self, project: &str) -> Vec<Value> {
        let url = format!("http://127.0.0.1:{}/v1/projects/{project}/spans?limit=1000", self.port);
        let reply = http::get(&url, &[]).expect("Phoenix answers");
        // A project comes to be with its first span.
        if reply.status == 404 {
            return Vec::new();
        }
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["data"].as_array().expect("a list").clone()
    }

    /// Waits until so many spans are shown.
    pub fn wait_for_spans(&self, project: &str, count: usize, limit: Duration) -> Vec<Value> {
        let until = Instant::now() + limit;
        loop {
            let spans = self.spans(project);
            if spans.len() >= count {
                return spans;
            }
            assert!(Instant::now() < until, "Phoenix shows {} of {count} spans: {spans:#?}", spans.len());
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// What its pages are made of.
    pub fn graphql(&self, query: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/graphql", self.port);
        let reply = http::post_json(&url, &[], &json!({ "query": query })).expect("Phoenix answers");
        let answer = reply.json();
        assert!(answer["errors"].is_null(), "{answer:#}");
        answer["data"].clone()
    }
}
