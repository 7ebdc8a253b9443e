//! Random interleavings of three replicas: no cap is passed at any step, and the real stores answer as the memory does.

use std::{sync::Arc, time::Duration};

use gauntlet_ports::{Clock, Exchange, SharedError, SharedState};
use gauntlet_testkit::{ManualClock, PostgresServer, RedisServer};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};

use super::{MemoryShared, empty_postgres, empty_redis, run};
use crate::conformance::replica::Replica;

const ACCOUNTS: [&str; 2] = ["x", "y"];
const CAP: i64 = 100;
const LEASE: Duration = Duration::from_secs(60);

/// What happens to one replica.
#[derive(Clone, Debug)]
enum Step {
    Hold {
        account: usize,
        amount: i64,
    },
    /// All that is held, for a part of it.
    Settle {
        account: usize,
        percent: i64,
    },
    /// What it needs and wishes for from now on.
    Wish {
        account: usize,
        need: i64,
        want: i64,
    },
    Exchange,
    /// Calls go on while the exchange is on its way.
    ExchangeWhileHolding {
        account: usize,
        amount: i64,
    },
    LoseReply,
    /// The request itself stays somewhere.
    Delay,
    DeliverDelayed,
    Leave,
    /// Killed; comes back when its lease is over.
    Crash,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let account = 0..ACCOUNTS.len();
    prop_oneof![
        4 => (account.clone(), 1..40i64).prop_map(|(account, amount)| Step::Hold { account, amount }),
        3 => (account.clone(), 0..=100i64).prop_map(|(account, percent)| Step::Settle { account, percent }),
        4 => (account.clone(), prop_oneof![Just(0), 1..120i64], 0..120i64)
            .prop_map(|(account, need, want)| Step::Wish { account, need, want }),
        6 => Just(Step::Exchange),
        3 => (account, 1..40i64).prop_map(|(account, amount)| Step::ExchangeWhileHolding { account, amount }),
        2 => Just(Step::LoseReply),
        1 => Just(Step::Delay),
        1 => Just(Step::DeliverDelayed),
        1 => Just(Step::Leave),
        1 => Just(Step::Crash),
        1 => Just(Step::Forget),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    vec((0..3usize, step()), 1..60)
}

struct Model {
    store: Arc<MemoryShared>,
    clock: Arc<ManualClock>,
    /// Answers the same as the memory, as long as no time needs to pass.
    other: Option<Arc<dyn SharedState>>,
    replicas: Vec<Replica>,
    delayed: Vec<Exchange>,
}

impl Model {
    fn new(other: Option<Arc<dyn SharedState>>) -> Model {
        let clock = Arc::new(ManualClock::new());
        let store = Arc::new(MemoryShared::new(clock.clone() as Arc<dyn Clock>));
        let replica = |id: &str| {
            let mut replica = Replica::new(id).with_lease(LEASE);
            for account in ACCOUNTS {
                replica.account(account).cap = CAP;
            }
            replica
        };
        Model { store, clock, other, replicas: ["a", "b", "c"].map(replica).into(), delayed: Vec::new() }
    }

    async fn send(&self, ask: &Exchange) -> Option<gauntlet_ports::Exchanged> {
        let answer = self.store.exchange(ask).await;
        if let Some(other) = &self.other {
            let same = other.exchange(ask).await;
            match (&answer, &same) {
                (Ok(one), Ok(two)) => assert_eq!(
                    (&one.budgets, one.replicas_alive, one.is_settling),
                    (&two.budgets, two.replicas_alive, two.is_settling)
                ),
                _ => assert_eq!(kind(&answer), kind(&same)),
            }
        }
        answer.ok()
    }

    async fn exchange(&mut self, at: usize, meanwhile: impl FnOnce(&mut Replica)) {
        let ask = self.replicas[at].ask();
        meanwhile(&mut self.replicas[at]);
        self.check();
        if let Some(answer) = self.send(&ask).await {
            self.check();
            self.replicas[at].heard(&ask, &answer);
        }
    }

    async fn take(&mut self, at: usize, step: Step) {
        match step {
            Step::Hold { account, amount } => {
                self.replicas[at].account(ACCOUNTS[account]).hold(amount);
            }
            Step::Settle { account, percent } => {
                let local = self.replicas[at].account(ACCOUNTS[account]);
                local.settle(local.held, local.held * percent / 100);
            }
            Step::Wish { account, need, want } => {
                let local = self.replicas[at].account(ACCOUNTS[account]);
                (local.need, local.want) = (need, want);
            }
            Step::Exchange => self.exchange(at, |_| ()).await,
            Step::ExchangeWhileHolding { account, amount } => {
                self.exchange(at, |replica| {
                    replica.account(ACCOUNTS[account]).hold(amount);
                })
                .await;
            }
            Step::LoseReply => {
                let ask = self.replicas[at].ask();
                self.send(&ask).await;
            }
            Step::Delay => {
                let ask = self.replicas[at].ask();
                self.delayed.push(ask);
            }
            Step::DeliverDelayed => {
                if let Some(ask) = self.delayed.pop() {
                    self.send(&ask).await;
                }
            }
            Step::Leave => self.leave(at).await,
            Step::Crash => {
                // The real clocks cannot be moved.
                if self.other.is_none() {
                    self.clock.advance(LEASE * 2);
                    self.replicas[at] = self.replicas[at].restarted();
                }
            }
            Step::Forget => {
                if self.other.is_none() {
                    // What it had spent unseen would be forgotten with it; that is the operator's word.
                    for local in self.replicas[at].accounts.values_mut() {
                        local.settle(local.held, local.held);
                    }
                    self.exchange(at, |_| ()).await;
                    let is_known = self.replicas[at].acked == self.replicas[at].seq;
                    self.clock.advance(LEASE * 2);
                    if is_known {
                        assert!(self.store.forget(&self.replicas[at].id).await.unwrap());
                    }
                    self.replicas[at] = self.replicas[at].restarted();
                }
            }
        }
        self.check();
    }

    async fn leave(&mut self, at: usize) {
        for local in self.replicas[at].accounts.values_mut() {
            local.settle(local.held, local.held);
        }
        let last = self.replicas[at].ask();
        let result = self.store.leave(&last).await;
        if let Some(other) = &self.other {
            assert_eq!(kind(&result), kind(&other.leave(&last).await));
        }
        self.replicas[at] = self.replicas[at].restarted();
    }

    /// All that every replica has spent, holds, and may yet hold without asking.
    fn check(&self) {
        for account in ACCOUNTS {
            let claims: i64 = self.replicas.iter().map(|replica| replica.accounts[account].claim()).sum();
            assert!(claims <= CAP, "{claims} of {CAP} in {account}: {:?}", self.replicas);
            let counted = self.store.counted(account);
            assert!(counted <= CAP, "{counted} of {CAP} counted in {account}");
        }
    }
}

fn kind<T>(result: &Result<T, SharedError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(SharedError::Stale { .. }) => "stale",
        Err(SharedError::Superseded { .. }) => "superseded",
        Err(SharedError::InUse { .. }) => "in use",
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_interleaving_passes_a_cap(steps in steps()) {
        run(async {
            let mut model = Model::new(None);
            for (at, step) in steps {
                model.take(at, step).await;
            }
        });
    }
}

fn answers_as_the_memory_does(make: impl Fn() -> Arc<dyn SharedState>) {
    let config = ProptestConfig {
        cases: 24,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let result = TestRunner::new(config).run(&steps(), |steps| {
        let other = make();
        run(async {
            let mut model = Model::new(Some(other));
            for (at, step) in steps {
                model.take(at, step).await;
            }
        });
        Ok(())
    });
    result.unwrap();
}

#[test]
fn redis_answers_as_the_memory_does() {
    let Some(server) = RedisServer::start() else { return };
    answers_as_the_memory_does(|| {
        run(empty_redis(&server));
        Arc::new(super::RedisShared::new(&server.url(), super::PATIENT).unwrap())
    });
}

#[test]
fn postgres_answers_as_the_memory_does() {
    let Some(server) = PostgresServer::start() else { return };
    answers_as_the_memory_does(|| {
        run(empty_postgres(&server));
        Arc::new(super::PostgresShared::new(&server.url(), super::PATIENT).unwrap())
    });
}
