//! A private Prometheus that looks at one gateway every second, asked by its own API.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{binary::Running, http, parts, port::free_port, process};

const READY_LIMIT: Duration = Duration::from_secs(60);

pub struct PrometheusServer {
    // Held for its `Drop`, which ends the process.
    _running: Running,
    _folder: TempDir,
    port: u16,
}

impl PrometheusServer {
    /// Looks at `http://127.0.0.1:<port>/metrics`. None if the part is left out (said on standard error).
    pub fn start(target: u16) -> Option<PrometheusServer> {
        let program = parts::prometheus()?;
        let folder = TempDir::new().expect("a folder for Prometheus");
        let port = free_port();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             scrape_configs:\n  - {{job_name: gauntlet, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}\n"
        );
        fs::write(&config, text).expect("a configuration");
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let mut running = Running::spawn(&mut command);
        let server = format!("http://127.0.0.1:{port}/-/ready");
        let until = Instant::now() + READY_LIMIT;
        while !http::get(&server, &[]).is_ok_and(|reply| reply.status == 200) {
            let has_ended = process::wait(&mut running.child, Duration::from_millis(20)).is_some();
            if has_ended || Instant::now() >= until {
                let _ = running.child.kill();
                panic!("Prometheus does not serve: {}", running.ended());
            }
        }
        Some(PrometheusServer { _running: running, _folder: folder, port })
    }

    /// The series that an expression gives now, or why it cannot be evaluated.
    pub fn query(&self, expr: &str) -> Result<Vec<Value>, String> {
        let escaped: String = expr.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let url = format!("http://127.0.0.1:{}/api/v1/query?query={escaped}", self.port);
        let answer = http::get(&url, &[]).expect("Prometheus answers").json();
        match answer["data"]["result"].as_array() {
            Some(series) if answer["status"] == "success" => Ok(series.clone()),
            _ => Err(answer["error"].as_str().unwrap_or("no series").to_owned()),
        }
    }

    /// Waits until an expression gives something.
    pub fn wait_for(&self, expr: &str, limit: Duration) -> Vec<Value> {
        let until = Instant::now() + limit;
        loop {
            let series = self.query(expr).unwrap_or_else(|why| panic!("{expr}: {why}"));
            if !series.is_empty() {
                return series;
            }
            assert!(Instant::now() < until, "nothing within {limit:?} for {expr}");
            thread::sleep(Duration::from_millis(200));
        }
    }
}
