//! Servers that are killed, stand still, and come back with or without what they knew.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use gauntlet_ports::{SharedError, SharedState};
use gauntlet_testkit::{PostgresServer, RedisServer};

use super::{Limits, PATIENT, run};
use crate::{
    conformance::replica::Replica,
    shared::{open, open_with},
};

/// What a fault test does to either server.
trait Server {
    fn url(&self) -> String;
    fn password(&self) -> &str;
    fn kill_9(&mut self);
    fn start_again(&mut self);
    fn pause(&self);
    fn resume(&self);
}

macro_rules! server {
    ($kind:ty) => {
        impl Server for $kind {
            fn url(&self) -> String {
                self.url()
            }
            fn password(&self) -> &str {
                self.password()
            }
            fn kill_9(&mut self) {
                self.kill_9();
            }
            fn start_again(&mut self) {
                self.start_again();
            }
            fn pause(&self) {
                self.pause();
            }
            fn resume(&self) {
                self.resume();
            }
        }
    };
}
server!(RedisServer);
server!(PostgresServer);

/// Until it works: a server that came back, a pause that is over, a mark that has settled.
async fn until_it_answers(store: &dyn SharedState, replica: &mut Replica) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match replica.try_exchange(store).await {
            Ok(answer) if !answer.is_settling => return,
            result => assert!(Instant::now() < until, "{result:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn replica(id: &str) -> Replica {
    Replica::new(id).with_lease(Duration::from_millis(1500))
}

async fn killed_and_started_again_it_knows_what_it_granted(server: &mut dyn Server) {
    let store = open_with(&server.url(), PATIENT).unwrap();
    let (mut a, mut b) = (replica("a"), replica("b"));
    until_it_answers(&*store, &mut a).await;
    a.draw(&*store, "x", 100, 90, 90).await;
    a.exchange(&*store).await;
    server.kill_9();
    let error = a.try_exchange(&*store).await.unwrap_err();
    assert!(matches!(error, SharedError::Unavailable { .. }), "{error:?}");
    server.start_again();
    until_it_answers(&*store, &mut b).await;
    let grant = b.draw(&*store, "x", 100, 20, 20).await;
    assert_eq!(
        (grant.slice, grant.elsewhere_slices, grant.is_settling),
        (2, 90, false),
        "a part of the 10 left"
    );
    until_it_answers(&*store, &mut a).await;
    assert!(a.account("x").hold(90));
    assert_eq!(a.draw(&*store, "x", 100, 0, 0).await.slice, 90);
}

#[test]
fn a_durable_redis_outlives_a_kill() {
    let Some(mut server) = RedisServer::start_durable() else { return };
    run(killed_and_started_again_it_knows_what_it_granted(&mut server));
}

#[test]
fn postgres_outlives_a_kill() {
    let Some(mut server) = PostgresServer::start() else { return };
    run(killed_and_started_again_it_knows_what_it_granted(&mut server));
}

#[test]
fn a_redis_that_forgot_everything_settles_before_anything_grows() {
    let Some(mut server) = RedisServer::start() else { return };
    run(async {
        let store = open_with(&server.url(), PATIENT).unwrap();
        let (mut a, mut b) = (replica("a"), replica("b"));
        until_it_answers(&*store, &mut a).await;
        a.draw(&*store, "x", 100, 80, 80).await;
        until_it_answers(&*store, &mut b).await;
        b.draw(&*store, "x", 100, 5, 5).await;
        assert!(a.account("x").hold(30));
        a.account("x").settle(30, 30);
        a.draw(&*store, "x", 100, 50, 50).await;
        b.exchange(&*store).await;
        server.kill_9();
        server.start_again();
        // The one that holds little comes first, and would like to have it all.
        let _ = b.try_exchange(&*store).await;
        tokio::time::sleep(PATIENT.pause * 2).await;
        let local = b.account("x");
        (local.need, local.want) = (20, 100);
        let answer = b.exchange(&*store).await;
        assert!(answer.is_settling && answer.budgets[0].is_settling);
        assert_eq!(answer.budgets[0].slice, 5, "what it has");
        assert_eq!(answer.budgets[0].elsewhere_spent, 30, "and what it has heard");
        a.exchange(&*store).await;
        until_it_answers(&*store, &mut b).await;
        let answer = b.exchange(&*store).await;
        assert_eq!(
            (answer.budgets[0].slice, answer.budgets[0].elsewhere_slices),
            (20, 50),
            "a said it in time"
        );
    });
}

async fn a_store_that_stands_still_costs_its_limit_and_no_more(server: &dyn Server) {
    let limits =
        Limits { connect: Duration::from_millis(400), exchange: Duration::from_millis(500), ..PATIENT };
    let store = open_with(&server.url(), PATIENT).unwrap();
    let hasty = open_with(&server.url(), limits).unwrap();
    let (mut a, mut b) = (replica("a"), replica("b"));
    until_it_answers(&*store, &mut a).await;
    until_it_answers(&*hasty, &mut b).await;
    b.draw(&*hasty, "x", 100, 40, 40).await;
    server.pause();
    let started = Instant::now();
    let error = b.try_exchange(&*hasty).await.unwrap_err();
    assert!(matches!(error, SharedError::TimedOut { .. }), "{error:?}");
    assert!(started.elapsed() >= limits.exchange && started.elapsed() < limits.exchange * 3);
    let open_before = connections_to(&server.url());
    for _ in 0..6 {
        let started = Instant::now();
        assert!(b.try_exchange(&*hasty).await.is_err());
        assert!(started.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(PATIENT.pause * 2).await;
    }
    assert!(connections_to(&server.url()) <= open_before + 2, "no connection is left behind");
    server.resume();
    // What was sent before arrives now, and later than what comes after it.
    until_it_answers(&*hasty, &mut b).await;
    let local = b.account("x");
    assert!(local.hold(40));
    assert_eq!(b.draw(&*hasty, "x", 100, 0, 0).await.slice, 40);
    let grant = a.draw(&*store, "x", 100, 60, 100).await;
    assert_eq!((grant.slice, grant.elsewhere_slices), (60, 40));
}

/// This machine's open connections to the server's port, half-made ones included; other tests have servers of their own.
fn connections_to(url: &str) -> usize {
    let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()?.parse::<u16>().ok());
    let port = format!(":{:04X}", port.expect("the address has a port"));
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table of connections");
    let is_open = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Established, or begun.
        fields.get(2).is_some_and(|remote| remote.ends_with(&port))
            && matches!(fields.get(3), Some(&("01" | "02")))
    };
    table.lines().filter(is_open).count()
}

#[test]
fn a_redis_that_stands_still_costs_its_limit_and_no_more() {
    let Some(server) = RedisServer::start() else { return };
    run(a_store_that_stands_still_costs_its_limit_and_no_more(&server));
}

#[test]
fn a_postgres_that_stands_still_costs_its_limit_and_no_more() {
    let Some(server) = PostgresServer::start() else { return };
    run(a_store_that_stands_still_costs_its_limit_and_no_more(&server));
}

/// Many at once over the same accounts, each in an order of its own: nobody waits for ever, and the cap holds.
async fn many_contend(url: &str, replicas: usize, rounds: usize) {
    const CAP: i64 = 1000;
    let all = (0..replicas).map(|number| async move {
        let store = open_with(url, PATIENT).unwrap();
        let mut replica = Replica::new(&format!("replica {number}"));
        let mut refused = 0;
        for round in 0..rounds {
            let ask = {
                for account in 0..20 {
                    let local = replica.account(&format!("account {account}"));
                    (local.cap, local.need, local.want) = (CAP, 7, 50);
                }
                let mut ask = replica.ask();
                ask.budgets.rotate_left((number + round) % 20);
                ask
            };
            let answer = store.exchange(&ask).await.unwrap();
            replica.heard(&ask, &answer);
            for local in replica.accounts.values_mut() {
                if local.hold(7) {
                    local.settle(7, 5);
                } else {
                    refused += 1;
                }
            }
        }
        (replica, refused)
    });
    let done = join_all(all).await;
    let mut spent_total = 0;
    for account in 0..20 {
        let name = format!("account {account}");
        let spent: i64 = done.iter().map(|(replica, _)| replica.accounts[&name].spent).sum();
        let claims: i64 = done.iter().map(|(replica, _)| replica.accounts[&name].claim()).sum();
        assert!(claims <= CAP, "{claims} in {name}");
        spent_total += spent;
    }
    let refused: usize = done.iter().map(|(_, refused)| refused).sum();
    assert!(
        refused > 0 && spent_total > 20 * CAP / 2,
        "{refused} refused, {spent_total} spent: there was contention"
    );
}

#[test]
fn sixteen_connections_to_postgres_never_lock_each_other_out() {
    let Some(server) = PostgresServer::start() else { return };
    // All make the schema at once, too.
    run(many_contend(&server.url(), 16, 25));
    let deadlocks = server.query("select sum(deadlocks) from pg_stat_database");
    assert_eq!(deadlocks, "0");
}

#[test]
fn sixteen_connections_to_redis_keep_the_cap() {
    let Some(server) = RedisServer::start() else { return };
    run(async {
        let store = open_with(&server.url(), PATIENT).unwrap();
        until_it_answers(&*store, &mut Replica::new("first").with_lease(Duration::from_millis(50))).await;
        many_contend(&server.url(), 16, 25).await;
    });
}

#[test]
fn redis_is_asked_again_with_the_script_when_it_has_lost_it() {
    let Some(server) = RedisServer::start() else { return };
    run(async {
        let store = open_with(&server.url(), PATIENT).unwrap();
        let mut a = replica("a");
        a.exchange(&*store).await;
        server.command("SCRIPT FLUSH");
        a.exchange(&*store).await;
        let keys = server.command("KEYS *");
        assert!(keys.contains("{gauntlet}:mark") && keys.matches("{gauntlet}:").count() == 2, "{keys}");
    });
}

#[test]
fn what_redis_keeps_of_an_account_has_an_end() {
    let Some(server) = RedisServer::start() else { return };
    run(async {
        let store = open_with(&server.url(), PATIENT).unwrap();
        let mut a = replica("a");
        a.draw(&*store, "x", 100, 0, 10).await;
        for key in ["{gauntlet}:b:x", "{gauntlet}:i:a"] {
            let answer = server.command(&format!("TTL {key}"));
            let seconds = answer.lines().find_map(|line| line.strip_prefix(':')?.trim().parse::<i64>().ok());
            assert!(seconds.is_some_and(|seconds| seconds > 0), "{key}: {answer}");
        }
    });
}

/// The whole chain of an error, as a log would show it.
fn shown(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(" {error} {error:?}"));
        cause = error.source();
    }
    text
}

#[test]
fn passwords_stay_out_of_errors() {
    let word = "sesame4711";
    let refused = |url: &str| {
        let Err(error) = open(url) else { panic!("{url} was taken") };
        assert!(!shown(&error).contains(word), "{error:?}");
    };
    refused(&format!("redis://user:{word}@host:not-a-port/0"));
    refused(&format!("postgres://user:{word}@host:not-a-port/db"));
    refused(&format!("postgres://user:{word}@host/db?what={word}"));
    refused(&format!("mysql://user:{word}@host/db"));
    refused(word);
    run(async {
        for url in [format!("redis://:{word}@127.0.0.1:1/0"), format!("postgres://me:{word}@127.0.0.1:1/db")]
        {
            let store = open(&url).unwrap();
            let error = replica("a").try_exchange(&*store).await.unwrap_err();
            let text = shown(&error);
            assert!(text.contains("127.0.0.1") && !text.contains(word), "{text}");
        }
    });
}

#[test]
fn a_wrong_password_is_told_without_it() {
    let servers: Vec<Box<dyn Server>> = [
        RedisServer::start().map(|server| Box::new(server) as Box<dyn Server>),
        PostgresServer::start().map(|server| Box::new(server) as Box<dyn Server>),
    ]
    .into_iter()
    .flatten()
    .collect();
    run(async {
        for server in &servers {
            let store = open_with(&server.url().replace(server.password(), "wrong4711"), PATIENT).unwrap();
            let error = replica("a").try_exchange(&*store).await.unwrap_err();
            let text = shown(&error);
            assert!(text.to_lowercase().contains("password") && !text.contains("wrong4711"), "{text}");
        }
    });
}

#[test]
fn a_schema_of_a_newer_program_is_left_alone() {
    let Some(server) = PostgresServer::start() else { return };
    run(async {
        let store = open_with(&server.url(), PATIENT).unwrap();
        replica("a").exchange(&*store).await;
        server.query("update gauntlet_shared.version set version = 99");
        let store: Arc<dyn SharedState> = open_with(&server.url(), PATIENT).unwrap();
        let error = replica("b").try_exchange(&*store).await.unwrap_err();
        assert!(shown(&error).contains("version 99"), "{error:?}");
    });
}
