//! The management API from the command line: of the running gateway if there is one, else in this process, on the same
//! data folder. Either way the same requests are made and the same handlers answer.

use std::{fmt, io::Read, time::Duration};

use anyhow::{Context, Result, bail};
use axum::Router;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::{
    cli::Place,
    runfile::{Lock, RunFile},
    wiring,
};

/// Longer than any answer takes; a gateway that hangs must not hang its operator.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Bytes read at once of a long answer.
const PIECE: usize = 64 << 10;

/// The gateway's no, with the members of its error.
#[derive(Debug)]
pub struct Refused(pub Value);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0["message"].as_str().unwrap_or("the gateway says no"))
    }
}

impl std::error::Error for Refused {}

pub enum Reach {
    Running {
        agent: ureq::Agent,
        run: RunFile,
    },
    /// The lock keeps a gateway from starting on the folder meanwhile.
    Alone {
        router: Router,
        runtime: tokio::runtime::Runtime,
        _lock: Lock,
    },
}

impl Reach {
    pub fn new(place: &Place) -> Result<Reach> {
        if let Some(run) = RunFile::find(&place.data) {
            let config =
                ureq::Agent::config_builder().http_status_as_error(false).timeout_connect(Some(ANSWER_MAX));
            return Ok(Reach::Running { agent: config.build().into(), run });
        }
        wiring::make_data_dir(&place.data)?;
        let lock = Lock::take(&place.data)?;
        let router = gauntlet_server::router(wiring::alone(place)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Reach::Alone { router, runtime, _lock: lock })
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask("POST", path, Some(body))
    }

    /// The answer, or the error's members where the gateway says no: what is wrong may be more than a message.
    pub fn post_or_refused(&self, path: &str, body: &Value) -> Result<Result<Value, Value>> {
        let (status, text) = self.exchange("POST", path, body.to_string())?;
        let read: Option<Value> = serde_json::from_str(&text).ok();
        match read {
            Some(answer) if (200..300).contains(&status) => Ok(Ok(answer)),
            Some(mut answer) if (400..500).contains(&status) && answer["error"].is_object() => {
                Ok(Err(answer["error"].take()))
            }
            _ => Err(refused(&text, status)),
        }
    }

    pub fn delete(&self, path: &str) -> Result<Value> {
        self.ask("DELETE", path, None)
    }

    /// Lines of a stream that ends when the gateway does or the reader stops.
    pub fn follow(&self, path: &str) -> Result<Box<dyn Read>> {
        let Reach::Running { agent, run } = self else {
            bail!(
                "no gateway runs on this data folder, so there is nothing to follow; start it with `gauntlet up`"
            );
        };
        let url = format!("{}{path}", run.url);
        let mut answer = agent.get(&url).header("authorization", &format!("Bearer {}", run.token)).call()?;
        if !answer.status().is_success() {
            let text = answer.body_mut().read_to_string().unwrap_or_default();
            bail!(message(&text, answer.status().as_u16()));
        }
        Ok(Box::new(answer.into_body().into_reader()))
    }

    /// An answer that is not JSON, as it is: CSV.
    pub fn get_text(&self, path: &str) -> Result<String> {
        self.ask_text("GET", path, String::new())
    }

    /// Posts lines of JSON.
    pub fn post_lines(&self, path: &str, lines: String) -> Result<Value> {
        let text = self.ask_text("POST", path, lines)?;
        serde_json::from_str(&text).with_context(|| format!("the answer to POST {path} is not JSON"))
    }

    /// An answer of any length, by the piece. Errors: also one that ends before its end.
    pub fn download(&self, path: &str, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        const BROKEN: &str = "the answer broke off; the gateway's log says more";
        match self {
            Reach::Running { .. } => {
                let mut answer = self.follow(path)?;
                let mut piece = vec![0; PIECE];
                loop {
                    match answer.read(&mut piece).context(BROKEN)? {
                        0 => return Ok(()),
                        length => each(&piece[..length])?,
                    }
                }
            }
            Reach::Alone { router, runtime, .. } => {
                let request = http::Request::builder()
                    .uri(path)
                    .header("host", "localhost")
                    .body(axum::body::Body::empty())?;
                runtime.block_on(async {
                    let Ok(answer) = router.clone().oneshot(request).await;
                    let status = answer.status();
                    let mut body = answer.into_body();
                    if !status.is_success() {
                        let bytes = body.collect().await?.to_bytes();
                        bail!(message(&String::from_utf8_lossy(&bytes), status.as_u16()));
                    }
                    while let Some(frame) = body.frame().await {
                        if let Ok(piece) = frame.context(BROKEN)?.into_data() {
                            each(&piece)?;
                        }
                    }
                    Ok(())
                })
            }
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let text = self.ask_text(method, path, body.map(Value::to_string).unwrap_or_default())?;
        serde_json::from_str(&text).with_context(|| format!("the answer to {method} {path} is not JSON"))
    }

    fn ask_text(&self, method: &str, path: &str, body: String) -> Result<String> {
        let (status, text) = self.exchange(method, path, body)?;
        if !(200..300).contains(&status) {
            return Err(refused(&text, status));
        }
        Ok(text)
    }

    /// Status and text of an answer, whatever it says.
    fn exchange(&self, method: &str, path: &str, body: String) -> Result<(u16, String)> {
        Ok(match self {
            Reach::Running { agent, run } => {
                let request = http::Request::builder()
                    .method(method)
                    .uri(format!("{}{path}", run.url))
                    .header("authorization", format!("Bearer {}", run.token))
                    .header("content-type", "application/json")
                    .body(body)?;
                let mut answer =
                    agent.run(request).with_context(|| format!("cannot reach the gateway at {}", run.url))?;
                let text = answer.body_mut().with_config().limit(256 << 20).read_to_string()?;
                (answer.status().as_u16(), text)
            }
            Reach::Alone { router, runtime, .. } => {
                let request = http::Request::builder()
                    .method(method)
                    .uri(path)
                    .header("host", "localhost")
                    .header("content-type", "application/json")
                    .body(axum::body::Body::from(body))?;
                runtime.block_on(async {
                    let Ok(answer) = router.clone().oneshot(request).await;
                    let status = answer.status().as_u16();
                    let bytes = answer.into_body().collect().await?.to_bytes();
                    anyhow::Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
                })?
            }
        })
    }
}

fn refused(text: &str, status: u16) -> anyhow::Error {
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    match parsed.map(|mut value| value["error"].take()).filter(|error| error["message"].is_string()) {
        Some(error) => Refused(error).into(),
        None => anyhow::anyhow!(message(text, status)),
    }
}

fn message(text: &str, status: u16) -> String {
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    match parsed.as_ref().and_then(|value| value["error"]["message"].as_str()) {
        Some(message) => message.to_owned(),
        None => format!("the gateway answered with status {status}"),
    }
}

/// Encodes a value for a path or query.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
