//! The shared state of several gateways: adapters for Redis (and what speaks its protocol) and Postgres.
//!
//! The rules are those of `gauntlet_ports::shared`. They are written three times: plainly in [`MemoryShared`], as a script
//! that Redis runs (`exchange.lua`), and as a function in Postgres (`shared_001.sql`). The conformance suite holds the three
//! to the same answers, and a property test holds the two real ones to [`MemoryShared`] over random interleavings.

mod link;
mod memory;
mod postgres;
mod redis;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc, time::Duration};

use gauntlet_ports::{Exchange, SharedError, SharedState};

pub use memory::MemoryShared;
pub use postgres::PostgresShared;
pub use redis::RedisShared;

/// How long to wait for the store, and how long to leave it alone after a failure.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connect: Duration,
    pub exchange: Duration,
    /// After a failure, exchanges fail at once for so long.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect: Duration::from_secs(2),
            exchange: Duration::from_millis(500),
            pause: Duration::from_millis(100),
        }
    }
}

/// Chooses by the scheme: `redis://`, `rediss://` (TLS), `redis+unix://`, `valkey://`, `valkeys://`, `postgres://`, `postgresql://`.
///
/// Nothing is connected yet: the first exchange does that, on the runtime that it runs on and that must outlive it.
pub fn open(url: &str) -> Result<Arc<dyn SharedState>, SharedError> {
    open_with(url, Limits::default())
}

pub fn open_with(url: &str, limits: Limits) -> Result<Arc<dyn SharedState>, SharedError> {
    let malformed = |what: String| SharedError::Malformed { what };
    let Some((scheme, _)) = url.split_once("://") else {
        return Err(malformed(
            "its address has no scheme; it begins with redis:// or postgres://".to_owned(),
        ));
    };
    match scheme {
        "redis" | "rediss" | "redis+unix" | "valkey" | "valkeys" => {
            Ok(Arc::new(RedisShared::new(url, limits)?))
        }
        "postgres" | "postgresql" => Ok(Arc::new(PostgresShared::new(url, limits)?)),
        _ => Err(malformed(format!("no store for `{scheme}://`; there are redis, rediss and postgres"))),
    }
}

/// Whatever an adapter would have to guess about, refused before anything is sent.
fn check(ask: &Exchange) -> Result<(), SharedError> {
    let malformed = |what: String| Err(SharedError::Malformed { what });
    if ask.replica.is_empty() || ask.seq == 0 || ask.lease.is_zero() {
        return malformed("an exchange needs a replica id, a number from 1 and a lease".to_owned());
    }
    if ask.session == 0 || ask.session >= 1 << 53 {
        return malformed("a session is a number from 1 and below 2^53".to_owned());
    }
    if ask.seq > i64::MAX as u64 || ask.acked >= ask.seq {
        return malformed(format!("exchange {} cannot follow an answer to {}", ask.seq, ask.acked));
    }
    let twice = named_twice(ask.budgets.iter().map(|one| one.account.as_str()))
        .or_else(|| named_twice(ask.rates.iter().map(|one| one.key.as_str())))
        .or_else(|| named_twice(ask.slots.iter().map(|one| one.key.as_str())));
    match twice {
        Some(name) => malformed(format!("`{name}` is named twice in one exchange")),
        None => Ok(()),
    }
}

fn named_twice<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(*name))
}

/// The figures of a budget after the rules of the port: nothing below zero, `held <= keep`, `held + need <= want`.
struct Figures {
    spent: i64,
    held: i64,
    keep: i64,
    need: i64,
    want: i64,
    elsewhere: i64,
}

impl Figures {
    fn of(ask: &gauntlet_ports::BudgetAsk) -> Figures {
        let held = ask.held.max(0);
        let need = ask.need.max(0);
        Figures {
            spent: ask.spent.max(0),
            held,
            keep: ask.keep.max(held),
            need,
            want: ask.want.max(held.saturating_add(need)),
            elsewhere: ask.elsewhere_spent.max(0),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    // A thousand years is as good as ever, and leaves room for adding.
    const MAX: u128 = 1000 * 365 * 86_400_000;
    duration.as_millis().clamp(1, MAX) as i64
}

/// -1 stands for never.
fn wait_of(millis: i64) -> Duration {
    u64::try_from(millis).map_or(Duration::MAX, Duration::from_millis)
}
