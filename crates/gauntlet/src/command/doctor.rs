//! `gauntlet doctor`: looks at everything a gateway needs, from the outside.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use gauntlet_pipeline::endpoints;
use gauntlet_policy::config::Secret;
use gauntlet_ports::{Endpoint, EndpointKind, Operation, Upstream, UpstreamRequest};
use gauntlet_trace::export::Noted;
use gauntlet_upstream::{Tokens, Upstreams};
use serde_json::json;

use crate::{
    cli::Place,
    clock::SystemClock,
    config_dir, export,
    runfile::RunFile,
    show::{self, Column},
    stores::{Stores, Use},
    wiring,
};

/// A provider that does not answer within this is as good as down.
const PROVIDER_MAX: Duration = Duration::from_secs(5);

struct Finding {
    what: String,
    is_good: bool,
    says: String,
}

pub fn run(place: &Place) -> Result<ExitCode> {
    let mut findings = Vec::new();
    let mut add = |what: &str, result: Result<String, String>| {
        let (is_good, says) = match result {
            Ok(says) => (true, says),
            Err(says) => (false, says),
        };
        findings.push(Finding { what: what.to_owned(), is_good, says });
    };
    let running = RunFile::find(&place.data);
    add(
        "gateway",
        match &running {
            Some(run) => {
                ask(&format!("{}/readyz", run.url)).map(|says| format!("{} at {}", says.trim(), run.url))
            }
            None => Ok("not running on this data folder".to_owned()),
        },
    );
    let folder = config_dir::find(place.config.as_deref())?;
    let read = config_dir::read(folder.as_deref())?;
    let loaded = wiring::load(&read, true);
    add(
        "configuration",
        match (&folder, &loaded) {
            (None, _) => Ok("none: built-in defaults".to_owned()),
            (Some(folder), Ok(loaded)) => {
                Ok(format!("{} (version {})", folder.display(), loaded.policy.version()))
            }
            (Some(folder), Err(mistakes)) => Err(format!(
                "{} in {}: gauntlet check {}",
                if mistakes.len() == 1 {
                    "1 mistake".to_owned()
                } else {
                    format!("{} mistakes", mistakes.len())
                },
                folder.display(),
                folder.display()
            )),
        },
    );
    let store = match &loaded {
        Ok(loaded) => loaded.policy.config().server.store.clone(),
        Err(_) => Secret::new("sqlite"),
    };
    let is_sqlite = store.expose() == "sqlite";
    add(
        if is_sqlite { "data folder" } else { "store" },
        match Stores::open(&place.data, &store, Use::Pages) {
            Ok(stores) => match stores.traces.ping() {
                Ok(()) => Ok(format!("{} can be read and written", stores.place)),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(format!("{error:#}")),
        },
    );
    if let Ok(loaded) = &loaded {
        match endpoints(&loaded.policy) {
            Err(error) => add("providers", Err(error.to_string())),
            Ok(endpoints) => {
                let mut endpoints: Vec<_> = endpoints.into_values().collect();
                endpoints.sort_by(|a, b| a.provider.cmp(&b.provider));
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let upstreams = Upstreams::new(Tokens::new(Arc::new(SystemClock::new())));
                for endpoint in endpoints {
                    let found = runtime.block_on(look_at(&endpoint, &upstreams));
                    add(&format!("provider {}", endpoint.provider), found);
                }
            }
        }
        for target in wiring::unpriced(&loaded.policy) {
            let cure = "add it to prices.yml, or say `price: free` at its provider";
            add("price", Err(format!("nobody knows what {target} costs; {cure}")));
        }
    }
    for (name, noted) in gauntlet_trace::export::look(&place.data.join(export::FOLDER)) {
        let is_known = loaded.as_ref().is_ok_and(|loaded| {
            loaded.policy.config().exporters.iter().any(|exporter| exporter.name == name.as_str())
        });
        add(&format!("exporter {name}"), fares(&noted, is_known));
    }
    let all_good = findings.iter().all(|finding| finding.is_good);
    if place.json {
        let rows: Vec<_> = findings
            .iter()
            .map(|finding| json!({"what": finding.what, "ok": finding.is_good, "says": finding.says}))
            .collect();
        show::json(&json!({"ok": all_good, "findings": rows}));
    } else {
        let rows = findings.iter().map(|finding| {
            vec![
                if finding.is_good { "ok" } else { "PROBLEM" }.to_owned(),
                finding.what.clone(),
                finding.says.clone(),
            ]
        });
        show::table(&[Column::Left(""), Column::Left("what"), Column::Left("says")], rows.collect(), "");
    }
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// How a receiver of spans fares, as the gateway has noted it.
fn fares(noted: &Noted, is_known: bool) -> Result<String, String> {
    let mut says = match noted.waiting_bytes {
        0 => "nothing waits".to_owned(),
        bytes => format!("{bytes} bytes of spans wait"),
    };
    if !is_known {
        return Ok(format!("{says}; it is not in the configuration, so its folder may be removed"));
    }
    if noted.dropped > 0 {
        says.push_str(&format!("; {} spans were dropped: its queue was full", noted.dropped));
    }
    if noted.refused > 0 {
        says.push_str(&format!("; it refused {} spans", noted.refused));
    }
    if let Some(error) = &noted.error {
        says.push_str(&format!("; last: {error}"));
    }
    if noted.dropped > 0 || noted.refused > 0 || noted.error.is_some() { Err(says) } else { Ok(says) }
}

/// Asks a provider for its models, as calls would ask it: with its credentials, signature or token. A wrong key is a
/// problem, a list that is not there is none (the host answers).
async fn look_at(endpoint: &Arc<Endpoint>, upstreams: &Upstreams) -> Result<String, String> {
    let EndpointKind::Http(http) = &endpoint.kind else {
        return Ok("simulated, inside this program".to_owned());
    };
    let base = &http.base;
    let request = UpstreamRequest {
        endpoint: endpoint.clone(),
        model: "".into(),
        operation: Operation::Models,
        is_streaming: false,
        content_type: None,
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::new(),
    };
    let Ok(answer) = tokio::time::timeout(PROVIDER_MAX, upstreams.send(request)).await else {
        return Err(format!("{base}: no answer within {} s", PROVIDER_MAX.as_secs()));
    };
    let answer = answer.map_err(|error| format!("{base}: {:#}", anyhow::Error::new(error)))?;
    match answer.status.as_u16() {
        200..=299 | 404 | 405 => Ok(format!("answers at {base}")),
        status @ (401 | 403) => Err(format!("{base} does not take the key (status {status})")),
        other => Err(format!("{base} answers with status {other}")),
    }
}

/// Asks the gateway's own URL.
fn ask(url: &str) -> Result<String, String> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PROVIDER_MAX));
    let agent: ureq::Agent = config.build().into();
    let mut answer = agent.get(url).call().map_err(|error| format!("{url}: {error}"))?;
    let status = answer.status().as_u16();
    let text = answer.body_mut().with_config().limit(1 << 20).read_to_string().unwrap_or_default();
    match status {
        200..=299 => Ok(text),
        503 => Err(text.trim().to_owned()),
        other => Err(format!("{url} answers with status {other}")),
    }
}
