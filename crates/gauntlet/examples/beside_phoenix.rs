//! Spans a second into Gauntlet and into Arize Phoenix, one after the other in the same run, by the same requests.
//!
//! ```console
//! cargo build --release -p gauntlet --bin gauntlet --example beside_phoenix
//! target/release/examples/beside_phoenix --seconds 20
//! ```
//!
//! Each gets OTLP over HTTP (protobuf) from four senders for so long, and then the time until its database holds every span
//! that it accepted, two minutes at most: what is only promised does not count. Both keep SQLite files on the same disk.

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use gauntlet_testkit::{PhoenixServer, binary::Launch, http};
use gauntlet_wire::otlp::proto::{
    ExportTraceServiceRequest, KeyValue, Resource, ResourceSpans, ScopeSpans, Span,
};
use prost::Message;

/// As an OpenTelemetry batch processor sends, eight spans to a trace.
const SPANS: u64 = 512;
const SPANS_OF_TRACE: u64 = 8;
const SENDERS: u64 = 4;
/// Until a database holds what was accepted; after that its rate is that of what it holds.
const STORED_LIMIT: Duration = Duration::from_secs(120);

#[derive(Parser)]
struct Args {
    /// Of sending, for each
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    #[arg(long, default_value_t = 2)]
    rounds: u32,
}

fn main() {
    let args = Args::parse();
    let own = std::env::current_exe().expect("a program has a path");
    let gateway = own.parent().and_then(Path::parent).expect("a folder").join("gauntlet");
    let Some(phoenix) = PhoenixServer::start() else {
        eprintln!("Phoenix is not installed: cargo xtask test --only phoenix installs it");
        std::process::exit(2);
    };
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    std::fs::create_dir(&config).expect("a folder");
    std::fs::write(config.join("gauntlet.yml"), "providers: {}\n").expect("a file");
    let (config, data) = (config.display().to_string(), folder.path().join("data"));
    let data_shown = data.display().to_string();
    let served = Launch::new(gateway).args(["up", "--config", &config, "--data", &data_shown]).serve();
    let seconds = Duration::from_secs(args.seconds);
    println!("{SPANS} spans a request, {} bytes a span, {SENDERS} senders, {seconds:?} each", bytes_a_span());
    let mut id = 0;
    for round in 1..=args.rounds {
        let url = served.url("/v1/traces");
        let ours = run("gauntlet", &url, &data.join("gauntlet.db"), seconds, &mut id);
        let theirs = run("phoenix", &phoenix.traces_url(), &phoenix.database(), seconds, &mut id);
        println!("round {round}: {:.1} times", ours / theirs);
    }
}

/// Spans a second, from the first request to the last row.
fn run(name: &str, url: &str, database: &Path, seconds: Duration, id: &mut u64) -> f64 {
    let next = AtomicU64::new(*id);
    let accepted = AtomicU64::new(0);
    let before = rows(database);
    let began = Instant::now();
    let (mut slowest, mut requests) = (Duration::ZERO, 0);
    thread::scope(|scope| {
        let sender = || {
            let (mut slowest, mut requests) = (Duration::ZERO, 0u64);
            while began.elapsed() < seconds {
                let body = request(next.fetch_add(SPANS, Ordering::Relaxed));
                let sent = Instant::now();
                let reply = http::post(url, &[("content-type", "application/x-protobuf")], &body);
                match reply.map(|reply| reply.status) {
                    Ok(200) => drop(accepted.fetch_add(SPANS, Ordering::Relaxed)),
                    // Told to come back later: what a sender would do.
                    Ok(429 | 503) => thread::sleep(Duration::from_millis(50)),
                    other => panic!("{name} answered {other:?}"),
                }
                slowest = slowest.max(sent.elapsed());
                requests += 1;
            }
            (slowest, requests)
        };
        let threads: Vec<_> = (0..SENDERS).map(|_| scope.spawn(sender)).collect();
        for thread in threads {
            let (own_slowest, own) = thread.join().expect("a sender");
            slowest = slowest.max(own_slowest);
            requests += own;
        }
    });
    let accepted = accepted.into_inner();
    let sent = began.elapsed();
    let mut held = rows(database) - before;
    while held < accepted && began.elapsed() < STORED_LIMIT {
        thread::sleep(Duration::from_millis(100));
        held = rows(database) - before;
    }
    let stored = began.elapsed();
    *id = next.into_inner();
    let rate = held as f64 / stored.as_secs_f64();
    println!(
        "{name:9} {accepted} spans accepted in {sent:.1?} ({requests} requests, the slowest {slowest:.1?}), {held} stored after \
         {stored:.1?}: {rate:.0} spans/s"
    );
    rate
}

/// Counted from outside, by a reader that takes no part.
fn rows(database: &Path) -> u64 {
    let script = "import sqlite3, sys\n\
                  db = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True, timeout=60)\n\
                  print(db.execute('select coalesce(max(rowid), 0) from spans').fetchone()[0])";
    let output = Command::new("python3").args(["-c", script]).arg(database).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}

fn bytes_a_span() -> usize {
    request(0).len() / SPANS as usize
}

/// Model calls of an agent: a dozen attributes, a short conversation, no two alike.
fn request(first: u64) -> Vec<u8> {
    let span = |number: u64| {
        let prose = format!(
            "Hello, I bought touring bike number {number} from you last summer and I am very happy with it. Since last week, \
             however, the rear brake makes a scraping noise whenever it rains. Can I repair this myself? "
        );
        let input = format!(r#"[{{"role":"user","parts":[{{"type":"text","content":"{prose}{prose}"}}]}}]"#);
        let output = format!(
            r#"[{{"role":"assistant","parts":[{{"type":"text","content":"{prose}"}}],"finish_reason":"stop"}}]"#
        );
        let trace = number / SPANS_OF_TRACE + 1;
        let started = 1_763_700_000_000_000_000 + number * 1_000_000;
        Span {
            trace_id: (u128::from(trace) | 1 << 100).to_be_bytes().to_vec(),
            span_id: (number + 1).to_be_bytes().to_vec(),
            parent_span_id: match number % SPANS_OF_TRACE {
                0 => Vec::new(),
                _ => (number / SPANS_OF_TRACE * SPANS_OF_TRACE + 1).to_be_bytes().to_vec(),
            },
            name: "chat gpt-4o-mini".to_owned(),
            start_time_unix_nano: started,
            end_time_unix_nano: started + 900_000_000,
            attributes: vec![
                KeyValue::new("gen_ai.operation.name", "chat"),
                KeyValue::new("openinference.span.kind", "LLM"),
                KeyValue::new("gen_ai.provider.name", "openai"),
                KeyValue::new("gen_ai.request.model", "gpt-4o-mini"),
                KeyValue::new("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
                KeyValue::new("gen_ai.usage.input_tokens", 120_i64),
                KeyValue::new("gen_ai.usage.output_tokens", 40_i64),
                KeyValue::new("gen_ai.request.temperature", 0.2),
                KeyValue::new("gen_ai.conversation.id", format!("conv-{}", trace % 1000)),
                KeyValue::new("user.id", format!("u-{}", trace % 200)),
                KeyValue::new("gen_ai.input.messages", input),
                KeyValue::new("gen_ai.output.messages", output),
            ],
            ..Span::default()
        }
    };
    let resource =
        Some(Resource { attributes: vec![KeyValue::new("service.name", "shop")], ..Resource::default() });
    let scope_spans = vec![ScopeSpans { scope: None, spans: (first..first + SPANS).map(span).collect() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] }
        .encode_to_vec()
}
