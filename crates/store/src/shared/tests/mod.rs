//! The three adapters against the suite, the model, and servers that fail.

mod conformance;
mod faults;
mod model;

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use gauntlet_ports::{Clock, Exchange, SharedState};
use gauntlet_testkit::{ManualClock, PostgresServer, RedisServer};

use super::{Limits, MemoryShared, PostgresShared, RedisShared};
use crate::conformance::SharedPlace;

/// Patient: a loaded machine must not fail what is not about time limits.
const PATIENT: Limits = Limits {
    connect: Duration::from_secs(30),
    exchange: Duration::from_secs(30),
    pause: Duration::from_millis(10),
};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn memory() -> SharedPlace {
    let clock = Arc::new(ManualClock::new());
    let store = Arc::new(MemoryShared::new(clock.clone() as Arc<dyn Clock>));
    let pass = move |time| -> BoxFuture<'static, ()> {
        clock.advance(time);
        Box::pin(async {})
    };
    SharedPlace { store, pass: Box::new(pass) }
}

fn real(store: Arc<dyn SharedState>) -> SharedPlace {
    SharedPlace { store, pass: Box::new(|time| Box::pin(tokio::time::sleep(time))) }
}

/// An empty database, with its mark and settled.
async fn empty_redis(server: &RedisServer) -> SharedPlace {
    server.command("FLUSHALL");
    let store: Arc<dyn SharedState> = Arc::new(RedisShared::new(&server.url(), PATIENT).unwrap());
    let first = Exchange {
        replica: "who comes first".to_owned(),
        session: 1,
        seq: 1,
        lease: Duration::from_millis(1),
        ..Exchange::default()
    };
    assert!(store.exchange(&first).await.unwrap().is_settling, "an empty Redis cannot know that it is new");
    store.leave(&Exchange { seq: 2, ..first }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    real(store)
}

async fn empty_postgres(server: &PostgresServer) -> SharedPlace {
    server.query("drop schema if exists gauntlet_shared cascade");
    real(Arc::new(PostgresShared::new(&server.url(), PATIENT).unwrap()))
}
