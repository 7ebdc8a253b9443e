//! Book, spool, drainer and store together, killed thousands of times, against a ledger that knows each call's end.
//!
//! A kill is what the operating system makes of one: what was written stays, what was not is gone, the store dies before
//! its transaction or right after it. The order of a call is the pipeline's: hold, open entry, (other hold, open entry)…,
//! close entry, settle. A move of a hold and its entry are one step of one worker here.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use gauntlet_policy::budget::{Book, Cap, Draw, Hold, Rolling};
use gauntlet_ports::{
    Arrived, BudgetSpent, Cut, Grain, Overview, SpanFilter, SpanRow, SpendQuery, SpendRow, Spool,
    SpoolPosition, StoreError, StoredCall, StoredSpan, Texts, TraceFilter, TracePage, TraceStore,
};
use gauntlet_trace::{Drainer, DrainerConfig, DrainerHandle, FileSpool, SpoolLimits, recover, segment};
use gauntlet_types::{
    CallId, CallRecord, Charge, Day, Drawn, Measure, Mono, NanoUsd, Outcome, SpanId, Timestamp, TokenCount,
    TraceId, Usage,
};

use crate::support;

/// A few calls a segment, so that they come and go, and not in the order of their calls.
const SMALL: SpoolLimits = SpoolLimits { segment_bytes: 4_000, entry_bytes: 1 << 20, backlog_bytes: 1 << 20 };
const ROLLING: Rolling = Rolling { parts: 4, parts_per_day: 24 };
/// (scope, measure, cap, whether it rolls)
const BUDGETS: [(&str, Measure, i64, bool); 6] = [
    ("model_daily", Measure::Usd, 4_000, false),
    ("tenant_daily_tokens", Measure::Tokens, 60_000, false),
    ("user_daily_requests", Measure::Requests, 40, false),
    ("tenant_rolling_4h", Measure::Usd, 5_000, true),
    ("route_conversation", Measure::Usd, 3_000, false),
    ("everything_total", Measure::Usd, 9_000, false),
];

/// When the store dies.
#[derive(Clone, Copy, PartialEq)]
enum Mortal {
    Alive,
    /// Takes so many batches and no more.
    After(usize),
    /// Takes the next batch, and the process never hears of it.
    Unheard,
    Dead,
}

#[derive(Default)]
struct Kept {
    records: HashMap<CallId, CallRecord>,
    positions: HashMap<String, (u64, u64)>,
    spent: HashMap<Charge, i64>,
}

/// What is on disk, and the life of the process that uses it.
struct Store {
    kept: Arc<Mutex<Kept>>,
    mortal: Mutex<Mortal>,
}

impl Store {
    fn of(kept: &Arc<Mutex<Kept>>, mortal: Mortal) -> Arc<Store> {
        Arc::new(Store { kept: Arc::clone(kept), mortal: Mutex::new(mortal) })
    }
}

fn died<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed { what: "append", source: "the process died".into() })
}

impl TraceStore for Store {
    fn import(&self, batch: Arrived<'_>) -> Result<usize, StoreError> {
        self.append(batch, &[])
    }
    fn append(&self, batch: Arrived<'_>, positions: &[SpoolPosition]) -> Result<usize, StoreError> {
        let mut mortal = self.mortal.lock().unwrap();
        let is_heard = match *mortal {
            Mortal::Dead | Mortal::After(0) => return died(),
            Mortal::After(left) => {
                *mortal = Mortal::After(left - 1);
                true
            }
            Mortal::Unheard => {
                *mortal = Mortal::Dead;
                false
            }
            Mortal::Alive => true,
        };
        let mut kept = self.kept.lock().unwrap();
        let mut new = 0;
        for call in batch.calls {
            // As the port asks: what is known stays as it is.
            if kept.records.contains_key(&call.record.id) {
                continue;
            }
            kept.records.insert(call.record.id, call.record.clone());
            new += 1;
            for charge in &call.record.charges {
                *kept.spent.entry(charge.clone()).or_default() += charge.amount(&call.record.drawn());
            }
        }
        for place in positions {
            kept.positions.insert(place.worker.clone(), (place.segment, place.offset));
        }
        if is_heard { Ok(new) } else { died() }
    }

    fn span_find(&self, _filter: &SpanFilter) -> Result<Vec<SpanRow>, StoreError> {
        Ok(Vec::new())
    }

    fn span_get(&self, _trace: TraceId, _span: SpanId) -> Result<Option<StoredSpan>, StoreError> {
        Ok(None)
    }

    fn record_newest(&self) -> Result<i64, StoreError> {
        Ok(0)
    }

    fn span_page(&self, _after: i64, _limit: u32) -> Result<Vec<SpanRow>, StoreError> {
        Ok(Vec::new())
    }

    fn cut(&self, _calls: &[(CallId, Cut)]) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn span_cut(&self, _spans: &[(i64, Cut)]) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn shrink(&self, _thoroughly: bool) -> Result<(), StoreError> {
        Ok(())
    }

    fn progress(&self, _job: &str) -> Result<i64, StoreError> {
        Ok(0)
    }

    fn progress_set(&self, _job: &str, _at: i64) -> Result<(), StoreError> {
        Ok(())
    }

    fn spool_positions(&self) -> Result<Vec<SpoolPosition>, StoreError> {
        let kept = self.kept.lock().unwrap();
        let place = |(worker, (segment, offset)): (&String, &(u64, u64))| SpoolPosition {
            worker: worker.clone(),
            segment: *segment,
            offset: *offset,
        };
        Ok(kept.positions.iter().map(place).collect())
    }

    fn trace_find(&self, _: &TraceFilter) -> Result<TracePage, StoreError> {
        Ok(TracePage::default())
    }

    fn index_step(&self, _: u32) -> Result<usize, StoreError> {
        Ok(0)
    }

    fn trace_get(&self, _: CallId) -> Result<Option<StoredCall>, StoreError> {
        Ok(None)
    }

    fn spend(&self, _: &SpendQuery) -> Result<Vec<SpendRow>, StoreError> {
        Ok(vec![])
    }

    fn overview(&self, _: Timestamp, _: Timestamp, _: Grain) -> Result<Overview, StoreError> {
        Ok(Overview::default())
    }

    crate::memory_store::keeps_no_bills!();

    fn budget_spent(&self, _: Day) -> Result<Vec<BudgetSpent>, StoreError> {
        Ok(vec![])
    }

    fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A call between its open entry and its close.
struct Live {
    number: u64,
    worker: usize,
    hold: Hold,
    record: CallRecord,
}

/// What a step comes to.
enum Fate {
    Lives,
    Dies,
    /// Within an entry that begins here.
    Torn(PathBuf, u64),
}

/// One process.
struct Process {
    dir: PathBuf,
    book: Book,
    spools: Vec<FileSpool>,
    drainer: DrainerHandle,
    store: Arc<Store>,
    live: Vec<Live>,
}

/// What must come of each call whose open entry was written: its charges, and how it ended.
#[derive(Default)]
struct Oracle {
    ended: HashMap<CallId, (Outcome, Drawn)>,
    spent: HashMap<Charge, i64>,
    /// Turns with every few calls, so that budgets fill up and start anew.
    epoch: u64,
}

impl Oracle {
    fn end(&mut self, record: &CallRecord) {
        let drawn = record.drawn();
        assert!(self.ended.insert(record.id, (record.outcome, drawn)).is_none(), "two ends of one call");
        for charge in &record.charges {
            *self.spent.entry(charge.clone()).or_default() += charge.amount(&drawn);
        }
    }
}

fn draw(budget: usize, epoch: u64) -> Draw {
    let (scope, measure, cap, rolls) = BUDGETS[budget];
    let period = (scope != "route_conversation").then(|| Day(20_000 + epoch as i32));
    let key = if period.is_none() { format!("conversation-{epoch}") } else { "acme".to_owned() };
    let charge = Charge { scope: scope.into(), key: key.as_str().into(), period, measure, part: 0 };
    Draw { charge, cap: Cap { rolling: rolls.then_some(ROLLING), ..Cap::of(cap) }, rule: 0 }
}

fn some_draws(random: &mut fastrand::Rng, epoch: u64) -> Vec<Draw> {
    let wanted = random.usize(1..1 << BUDGETS.len());
    (0..BUDGETS.len()).filter(|budget| wanted & 1 << budget != 0).map(|budget| draw(budget, epoch)).collect()
}

fn some_amount(random: &mut fastrand::Rng, most: Drawn) -> Drawn {
    Drawn { usd: NanoUsd(random.i64(0..=most.usd.0)), tokens: random.i64(0..=most.tokens), requests: 1 }
}

const MOST: Drawn = Drawn { usd: NanoUsd(600), tokens: 9_000, requests: 1 };

fn start(dir: &Path, kept: &Arc<Mutex<Kept>>) -> Process {
    let store = Store::of(kept, Mortal::Alive);
    let mut book = Book::new();
    for (charge, spent) in &kept.lock().unwrap().spent {
        let rolling = charge.scope.contains("rolling").then_some(ROLLING);
        book.load(charge, rolling, *spent);
    }
    let ms = Duration::from_millis;
    let config = DrainerConfig {
        batch_records: 7,
        linger: ms(1),
        poll: ms(1),
        backoff_min: ms(1),
        backoff_max: ms(2),
        ..DrainerConfig::default()
    };
    let drainer = Drainer::start(dir, Arc::clone(&store) as _, config).unwrap();
    let spools = ["w0", "w1"].map(|worker| FileSpool::open(dir, worker, SMALL).unwrap());
    spools.iter().for_each(|spool| drainer.follow(spool));
    Process { dir: dir.to_owned(), book, spools: spools.into(), drainer, store, live: Vec::new() }
}

impl Process {
    /// One step of one call.
    fn step(&mut self, random: &mut fastrand::Rng, next: &mut u64, oracle: &mut Oracle) -> Fate {
        let dies = |random: &mut fastrand::Rng| random.u8(0..40) == 0;
        match random.u8(0..10) {
            0..4 => {
                let amount = some_amount(random, MOST);
                let draws = some_draws(random, oracle.epoch);
                *next += 1;
                let Ok(hold) = self.book.reserve(support::id(*next), amount, &draws, Mono(1)) else {
                    return Fate::Lives;
                };
                if dies(random) {
                    return Fate::Dies;
                }
                let live =
                    Live { number: *next, worker: random.usize(0..2), record: opening(*next, &hold), hold };
                self.spools[live.worker].open(&live.record).unwrap();
                self.live.push(live);
            }
            4..6 if !self.live.is_empty() => {
                let at = random.usize(0..self.live.len());
                let mut live = self.live.swap_remove(at);
                let wanted = live.hold.amount.plus(some_amount(random, MOST));
                let wanted = Drawn { requests: 1, ..wanted };
                match self.book.amend(live.hold, wanted, &some_draws(random, oracle.epoch)) {
                    Ok(hold) => {
                        if dies(random) {
                            self.live.push(Live { hold, ..live });
                            return Fate::Dies;
                        }
                        live.record = opening(live.number, &hold);
                        self.spools[live.worker].open(&live.record).unwrap();
                        self.live.push(Live { hold, ..live });
                    }
                    Err((hold, _)) => self.live.push(Live { hold, ..live }),
                }
            }
            6..9 if !self.live.is_empty() => {
                let at = random.usize(0..self.live.len());
                let actual = some_amount(random, self.live[at].hold.amount);
                let record = closing(&self.live[at], actual);
                if dies(random) {
                    // In the middle of its close entry, which nobody reads from then on.
                    *self.store.mortal.lock().unwrap() = Mortal::Dead;
                    let worker = self.live[at].worker;
                    let (before, end) = self.newest(worker);
                    self.spools[worker].close(&record, &Texts::default()).unwrap();
                    let (path, _) = self.newest(worker);
                    let from = if before == path { end } else { 0 };
                    return Fate::Torn(path, from);
                }
                let live = self.live.swap_remove(at);
                self.spools[live.worker].close(&record, &Texts::default()).unwrap();
                oracle.end(&record);
                if dies(random) {
                    return Fate::Dies;
                }
                let _ = self.book.settle(live.hold, actual);
            }
            9 if random.u8(0..20) == 0 => drop(self.drainer.flush(Duration::from_secs(5))),
            _ => {}
        }
        if dies(random) { Fate::Dies } else { Fate::Lives }
    }

    /// A worker's newest segment and how long it is.
    fn newest(&self, worker: usize) -> (PathBuf, u64) {
        let mut names = segment::list(&self.dir).unwrap().into_iter();
        let newest = names.rfind(|name| name.worker == format!("w{worker}"));
        let path = newest.map_or_else(PathBuf::new, |name| name.path(&self.dir));
        let length = fs::metadata(&path).map_or(0, |data| data.len());
        (path, length)
    }

    /// No budget is above its cap, and holds are those of the calls under way.
    fn check(&self, oracle: &Oracle) {
        for budget in 0..BUDGETS.len() {
            let draw = draw(budget, oracle.epoch);
            let Some(line) = self.book.line(&draw.charge) else { continue };
            assert!(line.spent + line.held <= draw.cap.amount, "{line:?}");
            let holds = self.live.iter().filter(|live| live.hold.charges.contains(&draw.charge));
            assert_eq!(line.held, holds.map(|live| draw.charge.amount(&live.hold.amount)).sum::<i64>());
        }
        assert_eq!(self.book.open_holds(), self.live.len());
    }

    /// Calls under way are charged what their last open entry says.
    fn kill(self, random: &mut fastrand::Rng, fate: Fate, oracle: &mut Oracle) {
        let is_torn = matches!(fate, Fate::Torn(..));
        *self.store.mortal.lock().unwrap() =
            if is_torn || random.bool() { Mortal::Dead } else { Mortal::Unheard };
        // Only to be sure that its thread does nothing more: a dead store takes nothing from it.
        let _ = self.drainer.stop();
        drop(self.spools);
        if let Fate::Torn(path, from) = fate {
            let kept = random.u64(from..fs::metadata(&path).unwrap().len());
            OpenOptions::new().write(true).open(path).unwrap().set_len(kept).unwrap();
        }
        self.live.iter().for_each(|live| oracle.end(&live.record));
    }
}

fn opening(number: u64, hold: &Hold) -> CallRecord {
    CallRecord {
        cost: hold.amount.usd,
        held: hold.amount.usd,
        held_tokens: hold.amount.tokens as u64,
        charges: hold.charges.clone(),
        ..support::opening(number)
    }
}

fn closing(live: &Live, actual: Drawn) -> CallRecord {
    CallRecord {
        cost: actual.usd,
        usage: Usage { output: TokenCount(actual.tokens as u32), ..Usage::default() },
        held: live.record.held,
        held_tokens: live.record.held_tokens,
        charges: live.hold.charges.clone(),
        ..support::record(live.number)
    }
}

/// Recovery, itself killed now and then.
fn take_over(random: &mut fastrand::Rng, dir: &Path, kept: &Arc<Mutex<Kept>>) {
    for _ in 0..random.usize(0..3) {
        let mortal = if random.bool() { Mortal::Unheard } else { Mortal::After(random.usize(0..3)) };
        let _ = recover(dir, &*Store::of(kept, mortal), LATER);
    }
    let store = Store::of(kept, Mortal::Alive);
    let found = recover(dir, &*store, LATER).unwrap();
    assert_eq!(found.damaged_bytes, 0);
    assert!(segment::list(dir).unwrap().is_empty());
}

const LATER: Timestamp = Timestamp(support::NOW.0 + 5_000_000);

/// `GAUNTLET_TEST_KILLS` asks for more of them.
fn kills() -> usize {
    std::env::var("GAUNTLET_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(2_000)
}

#[test]
fn after_thousands_of_kills_every_call_is_charged_once_and_no_cap_was_passed() {
    let seed = std::env::var("GAUNTLET_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("GAUNTLET_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let kept = Arc::new(Mutex::new(Kept::default()));
    let (mut next, mut oracle, mut torn, mut refused) = (0, Oracle::default(), 0, 0);
    for kill in 0..kills() {
        oracle.epoch = kill as u64 / 10;
        let mut process = start(dir.path(), &kept);
        let fate = loop {
            let before = (next, process.live.len());
            match process.step(&mut random, &mut next, &mut oracle) {
                Fate::Lives => process.check(&oracle),
                fate => break fate,
            }
            refused += usize::from(next > before.0 && process.live.len() == before.1);
        };
        torn += usize::from(matches!(fate, Fate::Torn(..)));
        process.kill(&mut random, fate, &mut oracle);
        take_over(&mut random, dir.path(), &kept);
        let kept = kept.lock().unwrap();
        assert_eq!(kept.records.len(), oracle.ended.len(), "kill {kill}");
        for budget in 0..BUDGETS.len() {
            let draw = draw(budget, oracle.epoch);
            let of = |sums: &HashMap<Charge, i64>| sums.get(&draw.charge).copied().unwrap_or(0);
            let spent = of(&kept.spent);
            assert_eq!(spent, of(&oracle.spent), "kill {kill}: {:?}", draw.charge);
            assert!(spent <= draw.cap.amount, "kill {kill}: {spent} of {:?}", draw.charge);
        }
    }
    let kept = kept.lock().unwrap();
    assert_eq!(kept.spent, oracle.spent);
    for (id, record) in &kept.records {
        assert_eq!((record.outcome, record.drawn()), oracle.ended[id], "{id}");
    }
    let interrupted = kept.records.values().filter(|record| record.outcome == Outcome::Interrupted).count();
    eprintln!(
        "{} kills, {torn} of them within an entry: {} records, {interrupted} interrupted, {refused} refused",
        kills(),
        kept.records.len()
    );
    assert!(interrupted > kills() / 4 && torn > kills() / 50 && refused > kills() / 50);
}
