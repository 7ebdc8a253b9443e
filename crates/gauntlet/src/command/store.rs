//! `gauntlet store migrate`: everything of one store into another, while a gateway still writes to the first.

use std::{
    fs,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use gauntlet_policy::config::Secret;
use gauntlet_ports::ControlStore;
use gauntlet_store::{
    SqliteControl,
    moving::{self, MoveError, Progress, Report, Sort, Which},
};
use serde_json::{Value, json};

use crate::{
    cli::{self, Store},
    runfile::{Lock, RunFile},
    show::{self, Column},
    stores, wiring,
};

/// Lines of days that are shown on a terminal; `--json` has all.
const DAYS_SHOWN: usize = 20;

pub fn run(place: &cli::Place, command: Store) -> Result<ExitCode> {
    let Store::Migrate { to, from } = command;
    migrate(place, &Secret::new(&to), from.as_deref().map(Secret::new))
}

/// A store as a command names it.
enum Named {
    Postgres(Secret),
    Folder(PathBuf),
}

impl Named {
    fn of(text: &Secret, data: &Path) -> Named {
        match text.expose() {
            "sqlite" => Named::Folder(data.to_owned()),
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Named::Postgres(text.clone())
            }
            path => Named::Folder(path.into()),
        }
    }

    fn folder(&self) -> Option<&Path> {
        if let Named::Folder(folder) = self { Some(folder) } else { None }
    }

    fn open(&self, replica: &str, which: Which) -> Result<moving::Place, MoveError> {
        match self {
            Named::Folder(folder) => moving::Place::sqlite(folder, which),
            Named::Postgres(url) => moving::Place::postgres(url.expose(), replica, which),
        }
    }
}

fn migrate(place: &cli::Place, to: &Secret, from: Option<Secret>) -> Result<ExitCode> {
    let to = Named::of(to, &place.data);
    let mut locks = Locks::default();
    // Before a folder is locked here: whoever looks afterwards takes us for a gateway.
    let runs_here = runs(&place.data);
    let (from, is_running) = match from {
        Some(from) => {
            let from = Named::of(&from, &place.data);
            let is_running = from.folder().is_some_and(runs);
            (from, is_running)
        }
        None => (meant(place, runs_here, &mut locks)?, runs_here),
    };
    if let (Some(one), Some(other)) = (from.folder(), to.folder())
        && is_same(one, other)
    {
        let place = other.display().to_string();
        return Err(MoveError::Same { place }.into());
    }
    if let Some(folder) = to.folder() {
        wiring::make_data_dir(folder)?;
        locks.take(folder)?;
    }
    let replica = replica(place, &from, &to)?;
    let source = from.open(&replica, Which::Source)?;
    let target = to.open(&replica, Which::Target)?;
    let is_running = is_running || source.is_in_use;
    let progress = std::io::stderr().is_terminal();
    let report = moving::copy(&source, &target, &replica, &mut |at| {
        if progress {
            tell(at);
        }
    })?;
    if progress {
        eprintln!();
    }
    if place.json {
        show::json(&as_json(&source.place, &target.place, is_running, &report));
    } else {
        shown(&source.place, &target.place, is_running, &report);
    }
    Ok(if report.is_same() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The configuration's store. What a gateway that was killed left in its spool is taken over first.
fn meant(place: &cli::Place, is_running: bool, locks: &mut Locks) -> Result<Named> {
    let (_, store) = wiring::store_meant(place)?;
    let named = Named::of(&store, &place.data);
    let is_there = named.folder().is_none_or(|folder| folder.join("gauntlet.db").exists());
    if is_there && !is_running {
        wiring::make_data_dir(&place.data)?;
        locks.take(&place.data)?;
        wiring::alone(place)?;
    }
    Ok(named)
}

fn runs(folder: &Path) -> bool {
    RunFile::find(folder).is_some()
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// Folders that no gateway shall use meanwhile.
#[derive(Default)]
struct Locks(Vec<(PathBuf, Lock)>);

impl Locks {
    fn take(&mut self, folder: &Path) -> Result<()> {
        if !self.0.iter().any(|(taken, _)| is_same(taken, folder)) {
            self.0.push((folder.to_owned(), Lock::take(folder)?));
        }
        Ok(())
    }
}

/// The gateway that moves: the one whose data folder takes part, else that of `--data`.
fn replica(place: &cli::Place, from: &Named, to: &Named) -> Result<String> {
    match (from.folder(), to.folder()) {
        (Some(folder), _) if folder.join("control.db").exists() => {
            let control = SqliteControl::open(folder.join("control.db"))?;
            Ok(control.setting(stores::REPLICA, &mut stores::fresh_replica)?)
        }
        // Refused when it is opened.
        (Some(_), _) => Ok(String::new()),
        (None, Some(folder)) => {
            let kept = fs::read_to_string(folder.join(stores::REPLICA)).unwrap_or_default();
            match kept.trim() {
                "" => {
                    let named = moving::replica_of(folder);
                    Ok(named
                        .with_context(|| format!("cannot read {}", folder.display()))?
                        .unwrap_or_default())
                }
                kept => Ok(kept.to_owned()),
            }
        }
        (None, None) => {
            wiring::make_data_dir(&place.data)?;
            stores::replica_of(&place.data)
        }
    }
}

fn tell(at: Progress) {
    let line = match at {
        Progress::Copying { sort, done, of } => format!("{} {done} of {of}", sort.as_str()),
        Progress::Sums => "sums, keys and prompts".to_owned(),
        Progress::Comparing => "comparing both sides".to_owned(),
    };
    eprint!("\r\u{1b}[K{line} … ");
    // A terminal that cannot be written to shows nothing, which is no reason to stop.
    let _ = std::io::stderr().flush();
}

fn as_json(from: &str, to: &str, is_running: bool, report: &Report) -> Value {
    let copied = |wanted: Sort| -> u64 {
        report.copied.iter().filter(|(sort, _)| *sort == wanted).map(|(_, count)| *count).sum()
    };
    let checks: Vec<Value> = report
        .checks
        .iter()
        .map(|check| {
            let side =
                |(rows, checksum): (u64, u64)| json!({"rows": rows, "checksum": format!("{checksum:016x}")});
            json!({
                "table": check.what, "same": check.is_same(), "source": side(check.source),
                "target": side(check.target),
            })
        })
        .collect();
    let days: Vec<Value> = report
        .days
        .iter()
        .map(|(day, sides)| {
            let side = |sums: &moving::DaySums| {
                json!({
                    "calls": sums.calls, "tokens_in": sums.tokens_in, "tokens_out": sums.tokens_out,
                    "cost": sums.cost, "checksum": format!("{:016x}", sums.checksum),
                })
            };
            let [source, target] = sides;
            json!({
                "day": day.to_string(), "same": source == target, "source": side(source), "target": side(target),
            })
        })
        .collect();
    json!({
        "from": from, "to": to, "same": report.is_same(), "source_runs": is_running,
        "copied": {"calls": copied(Sort::Calls), "spans": copied(Sort::Spans)},
        "tables": checks, "days": days,
        "sampled": report.sampled, "sampled_differing": report.sampled_differing,
    })
}

fn shown(from: &str, to: &str, is_running: bool, report: &Report) {
    let copied: Vec<String> =
        report.copied.iter().map(|(sort, count)| format!("{count} {}", sort.as_str())).collect();
    println!("{from} → {to}: {} copied\n", copied.join(" and "));
    let columns = [
        Column::Left("what"),
        Column::Right("source"),
        Column::Right("target"),
        Column::Left("checksum"),
        Column::Left(""),
    ];
    let state = |is_same: bool| if is_same { "same" } else { "DIFFERS" }.to_owned();
    let rows = report.checks.iter().map(|check| {
        let ((here, sum), (there, _)) = (check.source, check.target);
        vec![
            check.what.to_owned(),
            here.to_string(),
            there.to_string(),
            format!("{sum:016x}"),
            state(check.is_same()),
        ]
    });
    show::table(&columns, rows.collect(), "");
    println!();
    let columns = [
        Column::Left("day"),
        Column::Right("calls"),
        Column::Right("tokens in"),
        Column::Right("tokens out"),
        Column::Right("cost"),
        Column::Left(""),
    ];
    // Days that differ first; then the newest.
    let mut days: Vec<_> = report.days.iter().rev().collect();
    days.sort_by_key(|(_, [source, target])| source == target);
    let hidden = days.len().saturating_sub(DAYS_SHOWN);
    let rows = days.into_iter().take(DAYS_SHOWN).map(|(day, [source, target])| {
        let pair = |one: String, other: String| if one == other { one } else { format!("{one} ≠ {other}") };
        vec![
            day.to_string(),
            pair(source.calls.to_string(), target.calls.to_string()),
            pair(source.tokens_in.to_string(), target.tokens_in.to_string()),
            pair(source.tokens_out.to_string(), target.tokens_out.to_string()),
            pair(show::usd(source.cost.as_usd()), show::usd(target.cost.as_usd())),
            state(source == target),
        ]
    });
    show::table(&columns, rows.collect(), "No calls.");
    if hidden > 0 {
        println!("… and {hidden} days more, which are the same or in `--json`");
    }
    let differing = report.sampled_differing.len();
    println!("\n{} calls were read whole from both sides; {differing} differ.", report.sampled);
    for id in &report.sampled_differing {
        println!("  {id}");
    }
    match (report.is_same(), is_running) {
        (true, false) => {
            println!("Both sides are the same. Name the target as `store` and start the gateway.")
        }
        (true, true) => println!(
            "Both sides were the same when the last round began. A gateway still runs: stop it and run this again \
             for the rest, then name the target as `store`."
        ),
        (false, _) => println!("The sides differ. Do not use the target."),
    }
}
