//! Picks the adapters and puts the rooms together: the only place that reads the environment.

pub mod folder_prompts;
mod runtime;

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use gauntlet_guard::Scanner;
use gauntlet_pipeline::{Shared, SharedParts, Snapshot};
use gauntlet_policy::{
    check,
    config::{self, KillEntry, KillScope, LoadOptions, LogSink, Mistake, Policy, Severity, SharedStore},
    keys::{KeyGrant, KeyHash, KeySource},
};
use gauntlet_ports::{Clock, ControlStore, KillKind, Models, Observer, ReplicaLine, StoredKey, StoredPrompt};
use gauntlet_prompts::{Labels, Prompt, Registry};
use gauntlet_server::{
    Access, Admin, AdminParts, Token,
    admin::{Runtime, spent_so_far},
    error,
};
use gauntlet_trace::{DrainerHandle, Exporters, LineSink, LineTarget, Metrics, Recovered, Rotation};
use gauntlet_types::{CallRecord, Name, Timestamp};

use crate::{
    alerts,
    cli::Place,
    clock::SystemClock,
    config_dir::{self, ConfigDir},
    export, indexing, keeping, sharing,
    stores::{Stores, Use},
    tagging,
};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A page that asks for records just finished waits this long for the drainer at most.
const FLUSH_MAX: Duration = Duration::from_millis(500);

pub fn now() -> Timestamp {
    SystemClock::new().now()
}

/// Makes the data folder, for its owner alone: it holds users' words.
pub fn make_data_dir(data: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(data);
    made.with_context(|| format!("cannot make the data folder {}", data.display()))
}

/// A configuration that was read and found good, before the control store's keys, switches and labels join it.
pub struct Loaded {
    pub policy: Policy,
    pub prompts: Vec<Arc<Prompt>>,
    /// Models that run in this process.
    pub models: Models,
    pub warnings: Vec<Mistake>,
}

/// Reads and checks a folder. Errors: all mistakes, prompts' included.
pub fn load(dir: &ConfigDir, loopback: bool) -> Result<Loaded, Vec<Mistake>> {
    let env = |name: &str| std::env::var(name).ok();
    let options = LoadOptions { loopback, find_provider_keys: true };
    let mut mistakes = Vec::new();
    let loaded = config::load(&dir.sources, &env, &options).map_err(|found| mistakes.extend(found)).ok();
    let mut prompts = Vec::new();
    for (file, text) in &dir.prompts {
        match gauntlet_prompts::parse(file, text) {
            Ok(prompt) => prompts.push(Arc::new(prompt)),
            Err(error) => mistakes.push(prompt_mistake(error)),
        }
    }
    if let Err(errors) = Registry::of(prompts.clone(), Labels::default()) {
        mistakes.extend(errors.into_iter().map(prompt_mistake));
    }
    let models = loaded.as_ref().map(|loaded| tagging::open(&loaded.policy, dir.dir.as_deref()));
    let models = match models.transpose() {
        Ok(models) => models.unwrap_or_default(),
        Err(error) => {
            mistakes.push(Mistake { severity: Severity::Error, ..warning(format!("{error:#}"), "") });
            Models::default()
        }
    };
    match loaded {
        Some(loaded) if mistakes.is_empty() => {
            let mut warnings = loaded.warnings;
            warnings.extend(not_yet(&loaded.policy));
            warnings.extend(retiring(&loaded.policy));
            warnings.extend(folder_prompts::warnings(&loaded.policy, &prompts));
            Ok(Loaded { policy: loaded.policy, prompts, models, warnings })
        }
        _ => Err(mistakes),
    }
}

fn warning(message: String, cure: &str) -> Mistake {
    Mistake {
        file: "gauntlet.yml".into(),
        line: 0,
        column: 0,
        message,
        cure: cure.into(),
        severity: Severity::Warning,
    }
}

/// Models that end soon, or have.
fn retiring(policy: &Policy) -> Vec<Mistake> {
    let all = gauntlet_policy::retire::all_retiring(policy.config(), now().day());
    let say = |(target, retiring): (gauntlet_types::Target, gauntlet_policy::retire::Retiring)| {
        let cure = "turn to its successor, or say better beside the target: `retires: DAY`";
        warning(format!("`{target}` {}", retiring.words()), cure)
    };
    all.into_iter().map(say).collect()
}

/// What the configuration may say already and this version does not do.
fn not_yet(policy: &Policy) -> Vec<Mistake> {
    let config = policy.config();
    let say = warning;
    let mut warnings = Vec::new();
    for alert in config.alerts.iter().filter(|alert| alert.slack_webhook.is_none() && alert.webhook.is_none())
    {
        let who =
            alert.slack_channel.as_ref().map_or("a receiver".to_owned(), |name| format!("channel `{name}`"));
        let message = format!("`alerts` name {who}, and no address to send to");
        let cure = "add `slack_webhook: https://hooks.slack.com/…` or `webhook: https://…`; until then see `gauntlet events`";
        warnings.push(say(message, cure));
    }
    warnings
}

fn prompt_mistake(error: gauntlet_prompts::PromptError) -> Mistake {
    Mistake {
        file: error.file,
        line: error.line,
        column: error.column,
        message: error.message,
        cure: error.cure,
        severity: config::Severity::Error,
    }
}

/// Joins a configuration with what the control store knows.
pub fn snapshot(loaded: &Loaded, control: &dyn ControlStore, now: Timestamp) -> Result<Snapshot> {
    let mut stored = control.prompt_list()?;
    let known: HashSet<Name> = stored.iter().map(|prompt| prompt.hash.clone()).collect();
    let changed = folder_prompts::changed(&loaded.prompts, folder_prompts::kept(&stored));
    if !changed.is_empty() {
        anyhow::bail!("{}", changed.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
    // One hash is one name, version and content; only what is new costs a write. All or none: what is refused with one file
    // leaves nothing of the others behind.
    let new = loaded.prompts.iter().filter(|prompt| !known.contains(&prompt.hash));
    let new: Vec<StoredPrompt> = new.map(|prompt| prompt.stored(now)).collect();
    control.prompt_put_all(&new, None)?;
    if !new.is_empty() {
        stored = control.prompt_list()?;
    }
    let grants = control.key_list()?.into_iter().filter_map(grant);
    let kills = control.kill_list()?.into_iter().map(|kill| KillEntry {
        scope: match kill.kind {
            KillKind::Tenant => KillScope::Tenant,
            KillKind::Route => KillScope::Route,
            KillKind::Model => KillScope::Model,
            KillKind::Key => KillScope::Key,
        },
        name: kill.name,
        reason: kill.reason,
        since: kill.since,
    });
    let policy = loaded.policy.with_keys(grants.collect()).with_kills(config::Kills::new(kills));
    let labels = Labels { set: control.label_list()?, guarded: folder_prompts::guarded(&policy) };
    // Versions whose file is gone, and those that were pushed, stay usable.
    let registry = Registry::with_stored(loaded.prompts.clone(), &stored, labels).map_err(|errors| {
        anyhow!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    Ok(Snapshot::new(policy, Arc::new(registry))?.with_models(loaded.models.clone()))
}

/// None where the stored hash cannot be read: such a key opens nothing.
fn grant(key: StoredKey) -> Option<KeyGrant> {
    Some(KeyGrant {
        name: key.name,
        hash: KeyHash::parse(&key.hash)?,
        hint: key.hint,
        tenant: key.tenant,
        team: key.team,
        user: key.user,
        environment: key.environment,
        routes: key.routes,
        models: key.models,
        expires: key.expires,
        revoked: key.revoked,
        source: KeySource::Store,
    })
}

/// Management on a data folder that no gateway runs on.
pub fn alone(place: &Place) -> Result<Admin> {
    let (loaded, store) = store_meant(place)?;
    let stores = Stores::open(&place.data, &store, Use::Pages)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    // Budgets are shown with their caps if the configuration can be read; if not, `check` says why.
    // A stopped gateway may have left records in the spool: they belong to every answer given here.
    let spool = place.data.join("spool");
    if spool.is_dir() {
        let exporters = Exporters::new(&place.data.join(export::FOLDER));
        exporters.gather(loaded.iter().flat_map(|loaded| export::exporters(&loaded.policy)).collect())?;
        gauntlet_trace::recover_with(&spool, &*stores.traces, clock.now(), Some(&exporters))?;
    }
    let snapshot = loaded.ok().and_then(|loaded| snapshot(&loaded, &*stores.control, clock.now()).ok());
    Ok(Admin::new(AdminParts {
        traces: stores.traces,
        control: stores.control,
        evals: stores.evals,
        clock,
        access: Access::new(true, String::new(), String::new()),
        shared: None,
        snapshot: snapshot.map(Arc::new),
        runtime: None,
        version: VERSION,
    }))
}

/// What the configuration says, and the store that it names.
pub fn store_meant(place: &Place) -> Result<(Result<Loaded, Vec<Mistake>>, config::Secret)> {
    let dir = config_dir::read(config_dir::find(place.config.as_deref())?.as_deref())?;
    let loaded = load(&dir, true);
    let store = match &loaded {
        Ok(loaded) => loaded.policy.config().server.store.clone(),
        // Whoever works on another store than is meant is worse off than who mends the file first.
        Err(mistakes) if names_a_store(&dir) => anyhow::bail!(
            "the configuration has mistakes, so nobody knows which store is meant\n{}",
            check::render(mistakes, &dir.sources)
        ),
        Err(_) => config::Secret::new("sqlite"),
    };
    Ok((loaded, store))
}

fn names_a_store(dir: &ConfigDir) -> bool {
    dir.sources.gauntlet.as_ref().is_some_and(|source| {
        source.text.lines().any(|line| line.starts_with("store:") && !line.contains("sqlite"))
    })
}

/// A gateway under way: what reloading, metrics and health need.
pub struct Live {
    pub shared: Arc<Shared>,
    pub stores: Stores,
    pub drainer: DrainerHandle,
    pub exporters: Arc<Exporters>,
    pub metrics: Arc<Metrics>,
    pub eval_figures: gauntlet_trace::EvalFigures,
    pub spools: Mutex<Vec<Arc<gauntlet_trace::FileSpool>>>,
    pub dir: Option<PathBuf>,
    pub loopback: bool,
    /// The configuration in force, for when only keys or switches change.
    loaded: Mutex<Loaded>,
    pub line: Option<Arc<LineSink>>,
    /// Where replicas meet.
    sharing: Option<SharedStore>,
    /// Up to which change of keys, switches and labels the snapshot knows; they may be another gateway's.
    changes_seen: Mutex<Option<i64>>,
}

/// What start-up found out, for the banner.
pub struct Started {
    pub live: Arc<Live>,
    pub admin: Admin,
    pub recovered: Recovered,
    pub warnings: Vec<Mistake>,
    /// Shown once, at the first start on an address that asks for a login.
    pub new_token: Option<Token>,
    /// Opens the API to the command line.
    pub local_token: Token,
    /// Where replicas meet, and the name of this one there.
    pub sharing: Option<SharedStore>,
    pub replica: String,
}

/// Opens stores, takes over what the last process left, and builds what workers share.
pub fn start(place: &Place, dir: ConfigDir, loaded: Loaded, loopback: bool) -> Result<Started> {
    let server = &loaded.policy.config().server;
    let sharing = server.shared.clone();
    let used = if sharing.is_some() { Use::SharedBudgets } else { Use::OwnBudgets };
    let stores = Stores::open(&place.data, &server.store, used)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let spool_dir = place.data.join("spool");
    fs::create_dir_all(&spool_dir)?;
    let exporters = Arc::new(Exporters::new(&place.data.join(export::FOLDER)));
    exporters.start(export::exporters(&loaded.policy))?;
    let recovered = gauntlet_trace::recover_with(&spool_dir, &*stores.traces, clock.now(), Some(&exporters))?;
    let mut ledger = spent_so_far(&*stores.traces, clock.now())?;
    if sharing.is_some() {
        ledger = ledger.shared(gauntlet_pipeline::Sharing::default());
    }
    let replica = stores.replica.clone();
    // Taken before the keys and prompts are read: whatever changes from here on is noticed.
    let changes_seen = stores.change_count()?;
    let snapshot = snapshot(&loaded, &*stores.control, clock.now())?;
    let drainer = gauntlet_trace::Drainer::start_with(
        &spool_dir,
        stores.traces.clone(),
        Default::default(),
        Some(exporters.clone()),
    )?;
    let metrics = Arc::new(Metrics::new());
    let line = match &loaded.policy.config().server.log {
        LogSink::Off => None,
        LogSink::Stdout => Some(LineTarget::Stdout),
        LogSink::Stderr => Some(LineTarget::Stderr),
        LogSink::File { path, rotate, keep } => Some(LineTarget::File {
            path: PathBuf::from(path.as_str()),
            rotation: Rotation { bytes: *rotate, keep: *keep },
        }),
    };
    let line = line.map(LineSink::start).transpose()?.map(Arc::new);
    let mut observers: Vec<Arc<dyn Observer>> = Vec::new();
    let seen = metrics.clone();
    observers.push(Arc::new(move |record: &CallRecord| seen.observe(record)));
    if let Some(line) = line.clone() {
        observers.push(Arc::new(move |record: &CallRecord| line.write(record)));
    }
    let mut warnings = loaded.warnings.clone();
    warnings.extend(stores.warnings()?.into_iter().map(|(message, cure)| warning(message, cure)));
    let (on_crossed, crossed) = alerts::channel();
    let shared = Arc::new(Shared::new(SharedParts {
        snapshot: Arc::new(snapshot),
        clock: clock.clone(),
        ledger,
        scanner: Arc::new(Scanner::new()),
        observers,
        owners: Arc::new(crate::owners::ControlOwners(stores.control.clone())),
        hash_key: hash_key(&*stores.control)?,
        status_of: error::status_code,
        on_crossed,
    }));
    let (access, new_token, local_token) = access(&*stores.control, loopback)?;
    let live = Arc::new(Live {
        shared: shared.clone(),
        drainer,
        exporters,
        metrics,
        eval_figures: gauntlet_trace::EvalFigures::default(),
        spools: Mutex::default(),
        dir: dir.dir,
        loopback,
        loaded: Mutex::new(loaded),
        line,
        stores,
        sharing: sharing.clone(),
        changes_seen: Mutex::new(changes_seen),
    });
    let admin = Admin::new(AdminParts {
        traces: live.stores.traces.clone(),
        control: live.stores.control.clone(),
        evals: live.stores.evals.clone(),
        clock,
        access,
        shared: Some(shared),
        snapshot: None,
        runtime: Some(live.clone()),
        version: VERSION,
    });
    alerts::send_in_background(live.clone(), crossed)?;
    keeping::in_background(&live)?;
    indexing::begin(&live)?;
    Ok(Started { live, admin, recovered, warnings, new_token, local_token, sharing, replica })
}

/// The key under which found values are hashed; made once, kept in the control store.
fn hash_key(control: &dyn ControlStore) -> Result<[u8; 32]> {
    let mut failed = None;
    let kept = control.setting("value_hash_key", &mut || match Token::random() {
        Ok(token) => token.as_str().to_owned(),
        Err(error) => {
            failed = Some(error);
            String::new()
        }
    })?;
    if let Some(error) = failed {
        return Err(anyhow!("the operating system gives no random numbers: {error}"));
    }
    Ok(*blake3::hash(kept.as_bytes()).as_bytes())
}

fn access(control: &dyn ControlStore, loopback: bool) -> Result<(Access, Option<Token>, Token)> {
    let local = Token::random().map_err(|error| anyhow!("no random numbers: {error}"))?;
    let local_hash = Token::hash(local.as_str());
    if let Ok(given) = std::env::var("GAUNTLET_ADMIN_TOKEN")
        && !given.is_empty()
    {
        return Ok((Access::new(loopback, Token::hash(&given), local_hash), None, local));
    }
    if loopback {
        return Ok((Access::new(true, String::new(), local_hash), None, local));
    }
    let fresh = Token::random().map_err(|error| anyhow!("no random numbers: {error}"))?;
    let fresh_hash = Token::hash(fresh.as_str());
    let kept = control.setting("admin_token_hash", &mut || fresh_hash.clone())?;
    let is_new = kept == fresh_hash;
    Ok((Access::new(false, kept, local_hash), is_new.then_some(fresh), local))
}

impl Live {
    /// Reads the folder anew. A bad configuration is refused, and the one in force stays.
    pub fn reload(&self, why: &str) -> Result<(), String> {
        let refused = |text: String| {
            eprintln!("the new configuration is refused, the one in force stays ({why}):\n{text}");
            text
        };
        let read = config_dir::read(self.dir.as_deref()).map_err(|error| refused(format!("{error:#}")))?;
        let loaded = load(&read, self.loopback).map_err(|mistakes| {
            refused(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?;
        let before = self.shared.snapshot.load().policy.version().clone();
        gauntlet_ports::crash_point!("reload.read");
        self.put(&loaded).map_err(refused)?;
        self.shared.forget_refused_keys();
        gauntlet_ports::crash_point!("reload.put");
        let exporters = self.exporters.start(export::exporters(&loaded.policy));
        let mut known = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let news = folder_prompts::news(&known.prompts, &loaded.prompts);
        *known = loaded;
        drop(known);
        let after = self.shared.snapshot.load().policy.version().clone();
        if before != after {
            eprintln!("configuration {after} is in force ({why})");
        }
        for line in news {
            eprintln!("{line} ({why})");
        }
        exporters.map_err(|error| format!("{:#}", anyhow!(error)))
    }

    fn put(&self, loaded: &Loaded) -> Result<(), String> {
        let snapshot =
            snapshot(loaded, &*self.stores.control, now()).map_err(|error| format!("{error:#}"))?;
        self.shared.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Moves the store's log into its file, off the drainer's thread.
    pub fn checkpoint(&self) {
        if let Err(error) = self.stores.checkpoint() {
            tracing::warn!(error = &error as &dyn std::error::Error, "checkpoint");
        }
    }

    /// Takes over what other gateways on the same store have changed: keys, switches, labels.
    pub fn follow_changes(&self) {
        let mut seen = self.changes_seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A store that is down is told of elsewhere; what is known stays in force.
        let Ok(found) = self.stores.change_count() else { return };
        if found == *seen {
            return;
        }
        match self.refresh(false) {
            Ok(()) => *seen = found,
            Err(error) => tracing::warn!(error, "cannot take over what another gateway changed"),
        }
    }

    /// Writes what no call may wait for to the disk itself; called now and then.
    pub fn sync(&self) {
        for spool in self.spools.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Err(error) = spool.flush_backlog().and_then(|()| spool.sync()) {
                tracing::warn!(error = &error as &dyn std::error::Error, "spool");
            }
        }
    }
}

/// An error and its causes, in a line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What only shows when everything is put together: schemas and URLs.
pub fn late_mistakes(loaded: &Loaded) -> Vec<Mistake> {
    // Two prompts that cannot stand beside each other were told of when they were read.
    let Ok(registry) = Registry::of(loaded.prompts.clone(), Labels::default()) else { return Vec::new() };
    let error = Snapshot::new(loaded.policy.clone(), Arc::new(registry)).err();
    let mistake = |error: gauntlet_pipeline::SnapshotError| Mistake {
        severity: Severity::Error,
        ..warning(error.to_string(), "")
    };
    error.map(mistake).into_iter().collect()
}

/// Targets that routes and aliases name and that nobody knows the price of.
pub fn unpriced(policy: &Policy) -> Vec<String> {
    let at = now();
    let targets = policy.config().targets();
    targets.filter(|target| policy.price(target, at).is_none()).map(ToString::to_string).collect()
}
