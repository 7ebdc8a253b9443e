//! `gauntlet up`: starts everything, says what to try next, and stops without losing anything.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use gauntlet_bills::baseline;
use gauntlet_pipeline::Gate;
use gauntlet_policy::check;
use gauntlet_ports::Event;
use gauntlet_server::{Admin, otlp::grpc, serve};
use gauntlet_trace::FileSpool;
use gauntlet_types::{Day, Fault};
use gauntlet_upstream::{Tokens, Upstreams};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    cli::{self, OtlpListen, Place},
    config_dir,
    reload::Watch,
    runfile::{Guest, Lock, RunFile},
    sharing::Sharing,
    wiring::{self, Live, Started},
};

const LISTEN: &str = "127.0.0.1:8787";
/// Records reach the disk itself at least this often; a crash of the machine (not of the process) loses no more.
const SYNC_EVERY: Duration = Duration::from_millis(200);
/// Every two seconds: often enough that the store's log stays small, seldom enough to cost nothing.
const CHECKPOINT_TICKS: u32 = 10;
/// Every 400 ms: a switch that another gateway threw, a key that it revoked, a label that it moved holds here well within a
/// second. It costs one short question to the store each time.
const FOLLOW_TICKS: u32 = 2;
/// Tenants far above their usual spend are looked for soon after the start, and then every hour.
const WATCH_FIRST: u32 = 5 * 10;
const WATCH_TICKS: u32 = 5 * 3600;
/// Calls under way may take this long to end after a stop was asked for; what is left then is found at the next start.
const STOP_MAX: Duration = Duration::from_secs(30);
/// Spans that a receiver has not taken by then are sent after the next start.
const EXPORT_MAX: Duration = Duration::from_secs(2);
/// The same number on Linux, the BSDs and macOS.
const SIGXFSZ: i32 = 25;

/// The port that OpenTelemetry's exporters send to over gRPC.
const OTLP_PORT: u16 = 4317;

/// Where to listen, and with how many threads; what is not said is in the configuration, or as usual.
#[derive(Clone, Copy, Default)]
pub struct Listen {
    pub address: Option<SocketAddr>,
    pub otlp: Option<OtlpListen>,
    pub workers: Option<usize>,
    /// A private gateway: it ends with whoever started it, who holds the other end of its standard input.
    pub until_stdin_closes: bool,
}

pub fn run(place: &Place, listen: Listen) -> Result<()> {
    let begun = Instant::now();
    let folder = config_dir::find(place.config.as_deref())?;
    let changes = folder.as_deref().map(Watch::begin).transpose()?;
    let dir = config_dir::read(folder.as_deref())?;
    // The address decides whether keys are needed, and may stand in the configuration itself.
    let first = loaded(&dir, true)?;
    let address = match listen.address {
        Some(address) => address,
        None => {
            let text = first.policy.config().server.listen.as_ref().map_or(LISTEN, |listen| listen.as_str());
            text.parse()
                .with_context(|| format!("`{text}` is not an address to listen on, such as {LISTEN}"))?
        }
    };
    let otlp_wanted = otlp_wanted(&listen, &first)?;
    // A door that strangers reach asks for keys at all of them.
    let is_far = |otlp: OtlpListen| matches!(otlp, OtlpListen::At(address) if !address.ip().is_loopback());
    let loopback = address.ip().is_loopback() && !otlp_wanted.is_some_and(is_far);
    let loaded = if loopback { first } else { loaded(&dir, false)? };
    wiring::make_data_dir(&place.data)?;
    let lock = Lock::take(&place.data)?;
    let count = listen
        .workers
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
        .clamp(1, 64);
    let listeners = serve::bind(address, count).with_context(|| format!("cannot listen on {address}"))?;
    let address = listeners[0].local_addr()?;
    let mut otlp = otlp_listeners(otlp_wanted, address, count)?;
    let otlp_address = otlp.first().map(std::net::TcpListener::local_addr).transpose()?;
    let started = wiring::start(place, dir, loaded, loopback)?;
    if !loopback && started.live.shared.snapshot.load().policy.keys().is_empty() {
        eprintln!(
            "no key exists yet, so every call is refused: gauntlet key create NAME --data {}",
            place.data.display()
        );
    }
    // Before the first call is served: whoever sees the gateway serve may stop it, and use the command line on it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    if listen.until_stdin_closes {
        stop_with_stdin(place.data.clone())?;
    }
    let url = format!("http://{address}");
    lock.publish(&RunFile {
        pid: std::process::id(),
        url: url.clone(),
        token: started.local_token.as_str().to_owned(),
    })?;
    let sharing = Sharing::begin(&started.live.shared, started.sharing.as_ref(), &started.replica)?;
    let (stop, stopped) = watch::channel(false);
    let router = gauntlet_server::router(started.admin.clone());
    let tokens = Tokens::new(started.live.shared.clock.clone());
    let mut threads = Vec::new();
    for (number, listener) in listeners.into_iter().enumerate() {
        let spool =
            Arc::new(FileSpool::open(&place.data.join("spool"), &format!("w{number}"), Default::default())?);
        started.live.drainer.follow(&spool);
        started.live.spools.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(spool.clone());
        let gate = Arc::new(Gate {
            shared: started.live.shared.clone(),
            upstream: Arc::new(Upstreams::new(tokens.clone())),
            spool,
        });
        let (router, stopped) = (router.clone(), stopped.clone());
        let otlp = otlp.pop();
        let work = move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let spans = async {
                match otlp {
                    Some(listener) => grpc::worker(listener, gate.clone(), stopped.clone()).await,
                    None => Ok(()),
                }
            };
            let calls = serve::worker(listener, gate.clone(), router, stopped.clone());
            runtime.block_on(async { tokio::try_join!(calls, spans) })?;
            Ok(())
        };
        threads.push(std::thread::Builder::new().name(format!("worker-{number}")).spawn(work)?);
    }
    if let Some(changes) = changes {
        changes.follow(started.live.clone())?;
    }
    banner(place, &url, otlp_address, &started, begun.elapsed(), folder.is_some());
    runtime.block_on(slow_loop(&started.live, &started.admin, &mut signals));
    eprintln!("stopping: calls under way are finished first (again to stop at once)");
    stop.send_replace(true);
    let impatient = runtime.block_on(drain(&threads, &mut signals));
    if let Some(sharing) = sharing {
        sharing.end();
    }
    finish(&threads, &started, begun, impatient);
    Ok(())
}

fn loaded(dir: &config_dir::ConfigDir, loopback: bool) -> Result<wiring::Loaded> {
    wiring::load(dir, loopback).or_else(|mistakes| {
        bail!("the configuration has mistakes\n{}", check::render(&mistakes, &dir.sources))
    })
}

fn otlp_wanted(listen: &Listen, loaded: &wiring::Loaded) -> Result<Option<OtlpListen>> {
    let written = loaded.policy.config().server.otlp_listen.as_ref();
    let written = written.map(|text| text.parse().map_err(anyhow::Error::msg)).transpose()?;
    Ok(listen.otlp.or(written))
}

/// Binds what spans come to over gRPC: as asked for, else the usual port if nobody has it.
fn otlp_listeners(
    wanted: Option<OtlpListen>,
    beside: SocketAddr,
    count: usize,
) -> Result<Vec<std::net::TcpListener>> {
    match wanted {
        Some(OtlpListen::Off) => Ok(Vec::new()),
        Some(OtlpListen::At(address)) => {
            serve::bind(address, count).with_context(|| format!("cannot listen for spans on {address}"))
        }
        None => {
            let address = SocketAddr::new(beside.ip(), OTLP_PORT);
            Ok(serve::bind(address, count).unwrap_or_else(|error| {
                eprintln!(
                    "no spans are taken over gRPC: {address} cannot be had ({error}); see --otlp-listen"
                );
                Vec::new()
            }))
        }
    }
}

/// Caught from the beginning, so that none ends the process unsettled.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Held, not heard: unless it is caught, a file that reaches its limit ends the process instead of failing a write.
    _file_too_large: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _file_too_large: signal(SignalKind::from_raw(SIGXFSZ))?,
        })
    }

    /// Waits until somebody wants the process to end.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The operating system closes the pipe with the process at its other end, however that ended; it is taken for a SIGTERM, once
/// no other command uses this gateway.
fn stop_with_stdin(data: PathBuf) -> Result<()> {
    let work = move || {
        // What is read, if anything is, says nothing; an error is an end too.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        // Held until the process has ended: a command that comes meanwhile starts a gateway of its own.
        match Guest::none_left(&data) {
            Ok(held) => std::mem::forget(held),
            Err(error) => tracing::warn!(%error, "cannot tell whether other commands use this gateway"),
        }
        if let Err(error) = signal_hook::low_level::raise(signal_hook::consts::SIGTERM) {
            tracing::error!(%error, "cannot stop with the parent process");
        }
    };
    std::thread::Builder::new().name("stdin".into()).spawn(work)?;
    Ok(())
}

/// Waits for a signal to stop; meanwhile syncs the spool, lets old budget days go, and reloads on SIGHUP.
async fn slow_loop(live: &Arc<Live>, admin: &Admin, signals: &mut Signals) {
    let mut tick = tokio::time::interval(SYNC_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut day = live.shared.clock.now().day();
    let mut ticks: u32 = 0;
    let mut following: Option<tokio::task::JoinHandle<()>> = None;
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.hangup.recv() => {
                if let Some(line) = &live.line {
                    line.reopen();
                }
                let _ = live.reload("SIGHUP");
            }
            _ = tick.tick() => {
                live.sync();
                live.shared.sweep();
                ticks += 1;
                if ticks.is_multiple_of(CHECKPOINT_TICKS) {
                    live.checkpoint();
                }
                let is_free = following.as_ref().is_none_or(tokio::task::JoinHandle::is_finished);
                if live.stores.has_others() && ticks.is_multiple_of(FOLLOW_TICKS) && is_free {
                    let live = live.clone();
                    // One at a time: the store may be slow, or gone.
                    following = Some(tokio::task::spawn_blocking(move || live.follow_changes()));
                }
                if ticks % WATCH_TICKS == WATCH_FIRST {
                    let admin = admin.clone();
                    // Not waited for: the store may be busy, and the loop has signals to hear.
                    tokio::task::spawn_blocking(move || watch_spend(&admin));
                }
                let today = live.shared.clock.now().day();
                if today != day {
                    day = today;
                    // Somewhere on earth yesterday is still today.
                    live.shared.ledger.forget_before(Day(day.0 - 1));
                }
            }
        }
    }
}

/// Notes tenants that spend a multiple of their usual day and models without a price, and says so.
fn watch_spend(admin: &Admin) {
    let look = || -> Result<Vec<Event>, Fault> {
        let mut events = admin.watch_spend(&baseline::Rules::default())?;
        events.extend(admin.watch_prices()?);
        Ok(events)
    };
    match look() {
        Ok(events) => events.iter().for_each(|event| tracing::warn!("{}", event.message)),
        Err(fault) => tracing::warn!(message = %fault.message, "cannot compare spend with its baseline"),
    }
}

type Worker = std::thread::JoinHandle<Result<()>>;

/// Lets calls under way end; true when somebody cannot wait for that.
async fn drain(threads: &[Worker], signals: &mut Signals) -> bool {
    let deadline = Instant::now() + STOP_MAX;
    let done = async {
        while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = done => false,
        () = signals.stop() => true,
    }
}

/// Brings every record into the store, and says if something had to be left.
fn finish(threads: &[Worker], started: &Started, begun: Instant, impatient: bool) {
    let left = threads.iter().filter(|thread| !thread.is_finished()).count();
    started.live.sync();
    let flushed = started.live.drainer.flush(Duration::from_secs(10));
    let running = started.live.shared.tasks.running();
    if (left > 0 || impatient) && running > 0 {
        eprintln!("{running} calls were cut off; they are found and charged at the next start");
    }
    if flushed.is_err() {
        eprintln!("some records are still in the spool; they are taken over at the next start");
    }
    started.live.exporters.stop(EXPORT_MAX);
    if let Some(line) = &started.live.line {
        let _ = line.flush(Duration::from_secs(2));
    }
    tracing::info!(uptime = ?begun.elapsed(), "stopped");
}

fn banner(
    place: &Place,
    url: &str,
    otlp: Option<SocketAddr>,
    started: &Started,
    took: Duration,
    has_config: bool,
) {
    let snapshot = started.live.shared.snapshot.load();
    if place.json {
        println!(
            "{}",
            serde_json::json!({"url": url, "otlp_grpc": otlp, "version": wiring::VERSION, "pid": std::process::id()})
        );
        return;
    }
    println!("Gauntlet {} is up at {url}  ({} ms)", wiring::VERSION, took.as_millis());
    println!("  console   {url}/");
    println!("  SDK base  {url}/v1");
    let grpc = otlp.map(|address| format!(" and gRPC on {address}")).unwrap_or_default();
    println!("  OTLP      {url}/v1/traces{grpc}");
    println!("  data      {}", place.data.display());
    if started.live.stores.has_others() {
        println!("  store     {}", started.live.stores.place);
    }
    for warning in &started.warnings {
        println!("  warning   {warning}");
    }
    let recovered = &started.recovered;
    if recovered.interrupted > 0 || recovered.replayed > 0 {
        println!(
            "  recovered {} records of the last run; {} calls were interrupted and charged their hold",
            recovered.replayed, recovered.interrupted
        );
    }
    if let Some(notice) = snapshot.notice() {
        println!("  note      {notice}");
    }
    if let Some(token) = &started.new_token {
        println!("  login     operator's token, shown this once: {}", token.as_str());
    }
    let model = snapshot.example_model();
    println!("\nTry:");
    println!("  curl -s {url}/v1/chat/completions -H 'content-type: application/json' \\");
    println!(
        "    -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
    );
    // As this process was called: after `cargo run` there is no `gauntlet` on the path.
    let program = std::env::args().next().unwrap_or_else(|| "gauntlet".to_owned());
    let data = match place.data.to_str() {
        Some(cli::DATA) | None => String::new(),
        Some(data) => format!(" --data {data}"),
    };
    println!("  {program} trace list{data}");
    if !has_config {
        println!(
            "\nNo configuration found, so built-in defaults hold. Set OPENAI_API_KEY, or write gauntlet.yml: see docs/configuration.md"
        );
    }
}
