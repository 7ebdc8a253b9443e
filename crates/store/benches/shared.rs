//! What one exchange of fifty accounts costs, over loopback: `cargo bench -p gauntlet-store --bench shared`.
//!
//! One replica of three whose figures change every time, so that nothing is saved by standing still.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gauntlet_ports::{BudgetAsk, Exchange, RateAsk, SharedState, SlotAsk};
use gauntlet_store::shared::open;
use gauntlet_testkit::{PostgresServer, RedisServer};

const ACCOUNTS: usize = 50;
const ROUNDS: u64 = 400;

fn ask(replica: &str, seq: u64, accounts: usize) -> Exchange {
    let spent = i64::try_from(seq).expect("a small number") * 1000;
    let budget = |number| BudgetAsk {
        account: format!("tenant_daily/acme/team {number}/2026-04-25"),
        cap: 1_000_000_000_000,
        spent,
        held: 500,
        keep: 10_000,
        want: 20_000,
        forget_after: Duration::from_secs(86_400),
        ..BudgetAsk::default()
    };
    Exchange {
        replica: replica.to_owned(),
        session: 1,
        seq,
        acked: seq - 1,
        lease: Duration::from_secs(5),
        budgets: (0..accounts).map(budget).collect(),
        rates: vec![RateAsk { key: "r".to_owned(), per_minute: 60_000, burst: 1000, take: 10, need: 0 }],
        slots: vec![SlotAsk { key: "s".to_owned(), max: 100, used: 5, keep: 10, want: 10 }],
    }
}

async fn measure(name: &str, store: Arc<dyn SharedState>, accounts: usize) {
    for replica in ["b", "c"] {
        store.exchange(&ask(replica, 1, accounts)).await.expect("the store answers");
    }
    let mut times = Vec::new();
    for seq in 1..=ROUNDS {
        let ask = ask("a", seq, accounts);
        let started = Instant::now();
        store.exchange(&ask).await.expect("the store answers");
        times.push(started.elapsed());
    }
    store.leave(&ask("a", ROUNDS + 1, accounts)).await.expect("the store answers");
    for replica in ["b", "c"] {
        store.leave(&ask(replica, 2, accounts)).await.expect("the store answers");
    }
    times.sort();
    let at = |share: usize| times[times.len() * share / 100];
    println!("{name:<28} {accounts:>3} accounts: median {:>8.1?}  p99 {:>8.1?}", at(50), at(99));
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let redis = RedisServer::start();
    let durable = RedisServer::start_durable();
    let postgres = PostgresServer::start();
    let synced = PostgresServer::start_with(&[]);
    let urls = [
        ("redis", redis.as_ref().map(RedisServer::url)),
        ("redis, append-only", durable.as_ref().map(RedisServer::url)),
        ("postgres, without fsync", postgres.as_ref().map(PostgresServer::url)),
        ("postgres", synced.as_ref().map(PostgresServer::url)),
    ];
    for (name, url) in urls {
        let Some(url) = url else { continue };
        for (session, accounts) in [(1, 1), (2, ACCOUNTS)] {
            let store = open(&url).expect("a good address");
            let store: Arc<dyn SharedState> = Arc::new(Session { store, session });
            runtime.block_on(measure(name, store, accounts));
        }
    }
}

/// Each measurement is a new start of the same replicas.
struct Session {
    store: Arc<dyn SharedState>,
    session: u64,
}

type Answer<'a, T> = futures_util::future::BoxFuture<'a, Result<T, gauntlet_ports::SharedError>>;

impl SharedState for Session {
    fn exchange<'a>(&'a self, ask: &'a Exchange) -> Answer<'a, gauntlet_ports::Exchanged> {
        Box::pin(async move { self.store.exchange(&Exchange { session: self.session, ..ask.clone() }).await })
    }

    fn leave<'a>(&'a self, last: &'a Exchange) -> Answer<'a, ()> {
        Box::pin(async move { self.store.leave(&Exchange { session: self.session, ..last.clone() }).await })
    }

    fn forget<'a>(&'a self, replica: &'a str) -> Answer<'a, bool> {
        self.store.forget(replica)
    }

    fn replicas(&self) -> Answer<'_, Vec<gauntlet_ports::ReplicaLine>> {
        self.store.replicas()
    }
}
