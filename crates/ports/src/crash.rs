//! Named places where dying matters, and a way for tests to die there.
//!
//! `crash_point!("reserve.held")` is nothing in a release build. In a debug build the place that was armed (once, by the
//! binary's wiring: `GAUNTLET_CRASH_AT=reserve.held:3`) ends the process at its nth pass as SIGKILL would: nothing is
//! flushed, no destructor runs. It is the one thing here that keeps state, since a place deep in a store has nobody who
//! could hand it a switch that only tests throw.

#[cfg(debug_assertions)]
use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// Every crash point in the order in which a call, then the drainer, then a start passes them. A test fails when the
/// source has one that this list lacks, or the other way round.
pub const POINTS: [&str; 27] = [
    // A call.
    "reserve.held",
    "reserve.opened",
    "amend.held",
    "amend.opened",
    "attempt.head",
    "attempt.first_token",
    "attempt.answered",
    "attempt.billed",
    "hedge.held",
    "stream.begun",
    "stream.frame",
    "stream.last",
    "settle.begun",
    "settle.done",
    "open.torn",
    "close.torn",
    "record.closed",
    "record.released",
    // The drainer, and what it shares with recovery.
    "drain.read",
    "store.uncommitted",
    "drain.stored",
    // A change of the configuration.
    "reload.read",
    "reload.put",
    // A start after a crash.
    "recover.replayed",
    "recover.interrupted",
    "recover.removing",
    "recover.positions",
];

/// Those that a copy of a store passes, which no gateway does.
pub const MOVE_POINTS: [&str; 4] = ["move.appended", "move.row", "move.uncommitted", "move.committed"];

/// Dies here if a test armed this place; see the module. With a second argument, that is done just before.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::crash_point!($name, ())
    };
    ($name:literal, $last:expr) => {
        if cfg!(debug_assertions) && $crate::crash::is_reached($name) {
            let _ = $last;
            $crate::crash::die()
        }
    };
}

#[cfg(debug_assertions)]
struct Armed {
    name: String,
    passes_left: AtomicU64,
}

#[cfg(debug_assertions)]
static ARMED: OnceLock<Armed> = OnceLock::new();

/// Arms one place: `NAME` or `NAME:nth`, from 1. Errors: what is wrong with it, a release build included.
pub fn arm(text: &str) -> Result<(), String> {
    let (name, nth) = text.split_once(':').unwrap_or((text, "1"));
    let nth = nth.parse::<u64>().ok().filter(|nth| *nth > 0);
    match nth {
        Some(_) if !POINTS.iter().chain(&MOVE_POINTS).any(|point| *point == name) => {
            Err(format!("there is no crash point `{name}`"))
        }
        Some(nth) => armed(name, nth),
        None => Err(format!("`{text}` is no crash point and the number of a pass, such as `{name}:3`")),
    }
}

#[cfg(debug_assertions)]
fn armed(name: &str, nth: u64) -> Result<(), String> {
    let armed = Armed { name: name.to_owned(), passes_left: AtomicU64::new(nth) };
    ARMED.set(armed).map_err(|_| "a crash point is armed already".to_owned())
}

#[cfg(not(debug_assertions))]
fn armed(_: &str, _: u64) -> Result<(), String> {
    Err("a release build has no crash points".to_owned())
}

/// Whether this pass is the one to die at.
#[cfg(debug_assertions)]
pub fn is_reached(name: &str) -> bool {
    let Some(armed) = ARMED.get().filter(|armed| armed.name == name) else { return false };
    // Down to zero once; later passes of other threads wrap around and are far from it.
    armed.passes_left.fetch_sub(1, Ordering::Relaxed) == 1
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn is_reached(_: &str) -> bool {
    false
}

/// Ends the process at once.
pub fn die() -> ! {
    std::process::abort()
}
