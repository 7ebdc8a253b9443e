//! The suite, against each.

use std::sync::Arc;

use gauntlet_testkit::{PostgresServer, RedisServer};

use super::{empty_postgres, empty_redis, memory, run};
use crate::conformance::shared_state;

#[test]
fn the_memory_conforms() {
    run(shared_state(&|| Box::pin(async { memory() })));
}

#[test]
fn redis_conforms() {
    let Some(server) = RedisServer::start() else { return };
    let server = Arc::new(server);
    run(shared_state(&move || {
        let server = server.clone();
        Box::pin(async move { empty_redis(&server).await })
    }));
}

#[test]
fn postgres_conforms() {
    let Some(server) = PostgresServer::start() else { return };
    let server = Arc::new(server);
    run(shared_state(&move || {
        let server = server.clone();
        Box::pin(async move { empty_postgres(&server).await })
    }));
}
