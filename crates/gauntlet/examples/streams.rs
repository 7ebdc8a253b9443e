//! Many slow streams at once: how long a frame stays in the gateway, and what memory does meanwhile. See
//! docs/benchmarks.md.
//!
//! ```console
//! cargo build --release -p gauntlet --bin gauntlet --example streams
//! taskset -c 1 target/release/examples/streams --streams 1000 --seconds 60
//! taskset -c 1 target/release/examples/streams --streams 300 --frames 20 --seconds 1500 --gateway-only --usage
//! ```
//!
//! Each frame carries the time at which it was sent, so its delay is that of its own way. The same load goes straight to
//! the provider first: what the sender and the reader cost, who share a thread here, is in both. The gateway is kept to
//! processor 0. Each stream has a connection of its own that is closed at its end, so connections come and go throughout.
//! Prints one line of JSON for each way; times are in microseconds, memory is in MiB. Exit code 1 if a stream was cut.

use std::{
    cell::RefCell,
    error::Error,
    fs,
    io::{self, ErrorKind},
    path::PathBuf,
    process::ExitCode,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Parser;
use gauntlet_testkit::{Binary, Launch};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local},
    time,
};

/// Delays are counted to the microsecond up to this one; what takes longer counts as this.
const DELAY_MAX: usize = 5_000_000;
/// Longer than any pause between two frames.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const STAMP: &[u8] = b"\"created\":";

#[derive(Parser, Clone)]
struct Args {
    /// Streams at once.
    #[arg(long, default_value_t = 1_000)]
    streams: u64,
    /// Milliseconds between two frames of a stream.
    #[arg(long, default_value_t = 100)]
    gap_ms: u64,
    /// Frames of a stream.
    #[arg(long, default_value_t = 100)]
    frames: u64,
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Without guards, and without the words in the records.
    #[arg(long)]
    bare: bool,
    /// The provider says how many tokens it used, as most do; else they are counted by the gateway.
    #[arg(long)]
    usage: bool,
    /// Not straight to the provider first: where memory is what counts.
    #[arg(long)]
    gateway_only: bool,
    /// The gateway's binary [default: beside this program]
    #[arg(long)]
    gateway: Option<PathBuf>,
}

/// What the readers saw.
struct Seen {
    began: Instant,
    until: Instant,
    /// Frames by their delay.
    delays: Vec<u64>,
    whole: u64,
    wrongs: Vec<String>,
}

/// A process at one moment.
#[derive(Clone, Copy, Default)]
struct Usage {
    cpu: Duration,
    memory_mib: f64,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(args))
}

async fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let began = Instant::now();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let provider = listener.local_addr()?.to_string();
    spawn_local(serve(listener, began, args.clone()));

    let folder = tempfile::tempdir()?;
    let off = "{pii: off, secrets: off, injection: off}";
    let plain = match args.bare {
        true => format!("default: {{input: {off}, output: {off}, record: {{bodies: false}}}}\n"),
        false => String::new(),
    };
    fs::write(
        folder.path().join("gauntlet.yml"),
        format!(
            "providers:\n  mock: {{dialect: openai, url: \"http://{provider}/v1\", key: k, price: free}}\n{plain}"
        ),
    )?;
    let beside = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("gauntlet"));
    let binary = args.gateway.clone().or_else(beside).ok_or("a program has a path")?;
    let gateway = Launch::new("taskset")
        .args(["-c", "0", &binary.display().to_string(), "up", "--workers", "1"])
        .args(["--config", &folder.path().display().to_string()])
        .args(["--data", &folder.path().join("data").display().to_string()])
        .serve();
    let through = gateway.base_url().trim_start_matches("http://").to_owned();

    let mut is_good = true;
    let ways = [("direct", provider), ("gateway", through)];
    for (way, address) in ways.into_iter().skip(usize::from(args.gateway_only)) {
        let report = measure(&args, began, &address, (way == "gateway").then_some(&gateway)).await?;
        is_good &= report["cut"] == 0;
        println!("{}", json!({"way": way, "figures": report}));
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

async fn measure(
    args: &Args,
    began: Instant,
    address: &str,
    gateway: Option<&Binary>,
) -> Result<Value, Box<dyn Error>> {
    let until = Instant::now() + Duration::from_secs(args.seconds);
    let seen = Rc::new(RefCell::new(Seen {
        began,
        until,
        delays: vec![0; DELAY_MAX + 1],
        whole: 0,
        wrongs: vec![],
    }));
    let before = gateway.map(usage).transpose()?.unwrap_or_default();
    let readers: Vec<_> = (0..args.streams)
        .map(|number| {
            // Spread over the time between two frames, as callers are.
            let wait = Duration::from_millis(args.gap_ms * args.frames * number / args.streams.max(1));
            spawn_local(read_streams(address.to_owned(), seen.clone(), wait.min(Duration::from_secs(5))))
        })
        .collect();
    let mut memory = Vec::new();
    while Instant::now() < until {
        time::sleep(Duration::from_secs(1)).await;
        if let Some(gateway) = gateway {
            memory.push(usage(gateway)?.memory_mib);
        }
    }
    for reader in readers {
        reader.await?;
    }
    let after = gateway.map(usage).transpose()?.unwrap_or_default();
    let seen = seen.borrow();
    let frames: u64 = seen.delays.iter().sum();
    let at = |share: f64| {
        let wanted = (frames as f64 * share).ceil() as u64;
        let mut count = 0;
        seen.delays.iter().position(|these| {
            count += these;
            count >= wanted
        })
    };
    let busy = (after.cpu - before.cpu).as_secs_f64();
    // Ten moments, and the most of all.
    let tenths: Vec<f64> =
        (1..=10).filter_map(|tenth| memory.get(memory.len() * tenth / 10 - 1).copied()).collect();
    Ok(json!({
        "streams": seen.whole, "cut": seen.wrongs.len(), "first_cut": seen.wrongs.first(), "frames": frames,
        "delay_us": {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "most": at(1.0)},
        "cpu_us_per_frame": busy * 1e6 / frames.max(1) as f64,
        "cpu_share": busy / args.seconds as f64,
        "memory_mib": {"before": before.memory_mib, "tenths": tenths, "most": memory.iter().copied().fold(0.0, f64::max)},
    }))
}

async fn read_streams(address: String, seen: Rc<RefCell<Seen>>, wait: Duration) {
    time::sleep(wait).await;
    loop {
        if seen.borrow().until <= Instant::now() {
            return;
        }
        let read = read_one(&address, &seen).await;
        let mut seen = seen.borrow_mut();
        match read {
            Ok(()) => seen.whole += 1,
            Err(wrong) => seen.wrongs.push(wrong.to_string()),
        }
    }
}

async fn read_one(address: &str, seen: &RefCell<Seen>) -> io::Result<()> {
    let body = json!({"model": "mock/slow", "stream": true, "messages": [{"role": "user", "content": "Say it slowly."}]});
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    let mut buffer = Vec::new();
    loop {
        let read = time::timeout(SILENCE_MAX, stream.read_buf(&mut buffer)).await?;
        if read? == 0 {
            let said = String::from_utf8_lossy(&buffer).into_owned();
            return Err(io::Error::new(ErrorKind::UnexpectedEof, said));
        }
        let mut seen = seen.borrow_mut();
        let now = seen.began.elapsed().as_micros() as u64;
        // Whole frames only.
        while let Some(end) = buffer.windows(2).position(|two| two == b"\n\n") {
            let frame: Vec<u8> = buffer.drain(..end + 2).collect();
            if let Some(at) = frame.windows(STAMP.len()).position(|these| these == STAMP) {
                let digits = frame[at + STAMP.len()..].iter().take_while(|byte| byte.is_ascii_digit());
                let sent = digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
                seen.delays[(now.saturating_sub(sent) as usize).min(DELAY_MAX)] += 1;
            }
            if frame.windows(6).any(|six| six == b"[DONE]") {
                return Ok(());
            }
        }
    }
}

async fn serve(listener: TcpListener, began: Instant, args: Args) {
    while let Ok((stream, _)) = listener.accept().await {
        let args = args.clone();
        // A gateway that goes away ends it; the reader tells.
        spawn_local(async move { answer_all(stream, began, &args).await.ok() });
    }
}

/// Answers one request after the other on a connection.
async fn answer_all(mut stream: TcpStream, began: Instant, args: &Args) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        while !is_whole(&buffer) {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        buffer.clear();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        let mut ticks = time::interval(Duration::from_millis(args.gap_ms));
        for nth in 0..=args.frames {
            ticks.tick().await;
            let (delta, finish) = match nth == args.frames {
                true => (json!({}), json!("stop")),
                false => (json!({"content": " and so it goes"}), Value::Null),
            };
            let frame = json!({"id": "c", "object": "chat.completion.chunk", "model": "slow",
                "created": began.elapsed().as_micros() as u64,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
            write_chunk(&mut stream, &format!("data: {frame}\n\n")).await?;
        }
        if args.usage {
            let used = json!({"prompt_tokens": 9, "completion_tokens": args.frames, "total_tokens": args.frames + 9});
            let frame = json!({"id": "c", "object": "chat.completion.chunk", "model": "slow", "choices": [], "usage": used});
            write_chunk(&mut stream, &format!("data: {frame}\n\n")).await?;
        }
        write_chunk(&mut stream, "data: [DONE]\n\n").await?;
        stream.write_all(b"0\r\n\r\n").await?;
    }
}

async fn write_chunk(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    request.len() >= end + 4 + length.unwrap_or(0)
}

/// From `/proc`, whose clock ticks a hundred times a second and whose sizes are in KiB.
fn usage(gateway: &Binary) -> Result<Usage, Box<dyn Error>> {
    let read = |name| fs::read_to_string(format!("/proc/{}/{name}", gateway.pid()));
    let (stat, status) = (read("stat")?, read("status")?);
    // Behind the program's name, in brackets: state, then the 12th and the 13th are user and system time.
    let fields = stat.rsplit_once(") ").ok_or("no name in stat")?.1;
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(Usage { cpu: Duration::from_millis(ticks * 10), memory_mib: kib / 1024.0 })
}
