//! A real small model behind llama.cpp's server of the OpenAI dialect.
//!
//! It sends no usage chunk in its streams, also when asked, and its JSON mode may write invalid JSON: both are the point.

use std::{
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{binary::Running, http, parts, port::free_port, process};

/// It is up in 1.5 s on a quiet machine; a loaded one with a cold disk takes its time.
const READY_LIMIT: Duration = Duration::from_secs(120);

pub struct LlamaServer {
    // Held for its `Drop`, which ends the process.
    _running: Running,
    port: u16,
}

impl LlamaServer {
    /// The name that the model is served under.
    pub const MODEL: &'static str = "smollm2";

    /// Starts with the parts that `cargo xtask test` has named; none if they are left out (said on standard error).
    pub fn start() -> Option<LlamaServer> {
        let model = parts::model()?;
        let python = parts::model_python()?;
        Some(LlamaServer::start_with(&python, &model))
    }

    pub fn start_with(python: &Path, model: &Path) -> LlamaServer {
        let port = free_port();
        let mut command = Command::new(python);
        command.args([
            "-m",
            "llama_cpp.server",
            "--host",
            "127.0.0.1",
            "--n_ctx",
            "2048",
            "--verbose",
            "false",
        ]);
        command
            .args(["--port", &port.to_string(), "--model_alias", LlamaServer::MODEL, "--model"])
            .arg(model);
        let mut running = Running::spawn(&mut command);
        let until = Instant::now() + READY_LIMIT;
        while !http::get(&format!("http://127.0.0.1:{port}/v1/models"), &[])
            .is_ok_and(|reply| reply.status == 200)
        {
            let has_ended = process::wait(&mut running.child, Duration::from_millis(50)).is_some();
            if has_ended || Instant::now() >= until {
                let _ = running.child.kill();
                panic!("llama.cpp's server does not serve: {}", running.ended());
            }
            thread::sleep(Duration::from_millis(50));
        }
        LlamaServer { _running: running, port }
    }

    /// The base address that an SDK takes.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }
}
