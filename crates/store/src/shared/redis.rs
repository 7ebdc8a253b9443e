//! The shared state in Redis 6 or later, or Valkey: one script a round trip.
//!
//! The database should be one that forgets nothing by itself: `maxmemory-policy noeviction`, and an append-only file if the
//! spend of replicas that are gone is to outlive a restart. Where it forgets nevertheless, the store settles (see the port).

use std::sync::LazyLock;

use futures_util::future::BoxFuture;
use gauntlet_ports::{
    BudgetGrant, Exchange, Exchanged, RateGrant, ReplicaLine, SharedError, SharedState, SlotGrant,
};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, RedisError, Script, ScriptInvocation,
    ServerErrorKind, Value, aio::MultiplexedConnection,
};

use super::{
    Figures, Limits, check,
    link::{Failure, Link},
    millis, wait_of,
};

/// One hash tag, so that a cluster keeps all of it on one node and a script may touch it.
const MARK: &str = "{gauntlet}:mark";
/// The greatest figure that a script's numbers count exactly.
const FIGURE_MAX: i64 = (1 << 53) - 1;

static EXCHANGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("exchange.lua")));
static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget.lua")));
static REPLICAS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("replicas.lua")));

pub struct RedisShared {
    client: Client,
    limits: Limits,
    place: String,
    link: Link<MultiplexedConnection>,
}

impl RedisShared {
    /// Reads the address; connects at the first exchange.
    pub fn new(url: &str, limits: Limits) -> Result<RedisShared, SharedError> {
        // The cause would repeat the address, and with it the password.
        let malformed =
            |_| SharedError::Malformed { what: "its address is no valid redis:// address".to_owned() };
        let client = Client::open(url).map_err(malformed)?;
        let info = client.get_connection_info();
        let place = format!("redis at {}, database {}", info.addr(), info.redis_settings().db());
        Ok(RedisShared { client, limits, link: Link::new(place.clone(), limits), place })
    }

    async fn run(&self, call: ScriptInvocation<'_>) -> Result<Reply<'_>, SharedError> {
        let connect = || async {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(self.limits.connect))
                .set_response_timeout(None);
            Ok(self.client.get_multiplexed_async_connection_with_config(&config).await?)
        };
        let call = &call;
        let ask = |mut connection| async move {
            // EVALSHA; with the text where the server does not know the script yet.
            call.invoke_async::<Vec<Value>>(&mut connection).await.map_err(failure)
        };
        let values = self.link.ask(connect, ask).await?;
        Ok(Reply { values: values.into_iter(), place: &self.place })
    }

    async fn exchanged(&self, ask: &Exchange, mode: &str) -> Result<Exchanged, SharedError> {
        check(ask)?;
        let mut reply = self.run(invocation(ask, mode)).await?;
        let replica = || ask.replica.clone();
        match reply.text()?.as_str() {
            "ok" => {}
            "in_use" => return Err(SharedError::InUse { replica: replica(), wait: wait_of(reply.int()?) }),
            "superseded" => return Err(SharedError::Superseded { replica: replica() }),
            _ => return Err(SharedError::Stale { replica: replica(), seq: ask.seq }),
        }
        let mut answer = Exchanged {
            epoch: reply.text()?,
            is_settling: reply.int()? != 0,
            replicas_alive: reply.int()? as u32,
            ..Exchanged::default()
        };
        for _ in &ask.budgets {
            answer.budgets.push(BudgetGrant {
                slice: reply.int()?,
                elsewhere_spent: reply.int()?,
                elsewhere_slices: reply.int()?,
                is_settling: reply.int()? != 0,
            });
        }
        for _ in &ask.rates {
            answer.rates.push(RateGrant { taken: reply.int()?, wait: wait_of(reply.int()?) });
        }
        for _ in &ask.slots {
            answer.slots.push(SlotGrant { slots: reply.int()? as u32 });
        }
        Ok(answer)
    }
}

impl SharedState for RedisShared {
    fn exchange<'a>(&'a self, ask: &'a Exchange) -> BoxFuture<'a, Result<Exchanged, SharedError>> {
        Box::pin(self.exchanged(ask, "exchange"))
    }

    fn leave<'a>(&'a self, last: &'a Exchange) -> BoxFuture<'a, Result<(), SharedError>> {
        Box::pin(async move { self.exchanged(last, "leave").await.map(|_| ()) })
    }

    fn forget<'a>(&'a self, replica: &'a str) -> BoxFuture<'a, Result<bool, SharedError>> {
        Box::pin(async move {
            let mut call = FORGET.key(MARK);
            call.arg(replica);
            let mut reply = self.run(call).await?;
            match reply.text()?.as_str() {
                "ok" => Ok(true),
                "in_use" => {
                    Err(SharedError::InUse { replica: replica.to_owned(), wait: wait_of(reply.int()?) })
                }
                _ => Ok(false),
            }
        })
    }

    fn replicas(&self) -> BoxFuture<'_, Result<Vec<ReplicaLine>, SharedError>> {
        Box::pin(async move {
            let mut reply = self.run(REPLICAS.key(MARK)).await?;
            let mut lines = Vec::new();
            while !reply.values.as_slice().is_empty() {
                lines.push(ReplicaLine {
                    id: reply.text()?,
                    seen_ago: wait_of(reply.int()?),
                    is_alive: reply.int()? != 0,
                    accounts: reply.int()? as u32,
                    slices: reply.int()?,
                });
            }
            lines.sort_by(|a, b| a.id.cmp(&b.id));
            Ok(lines)
        })
    }
}

/// The arguments in the order in which `exchange.lua` reads them.
fn invocation(ask: &Exchange, mode: &str) -> ScriptInvocation<'static> {
    let figure = |value: i64| value.clamp(-FIGURE_MAX, FIGURE_MAX);
    let unsigned = |value: u64| value.min(FIGURE_MAX as u64);
    let mut call = EXCHANGE.key(MARK);
    call.arg(mode).arg(&ask.replica).arg(ask.session).arg(unsigned(ask.seq)).arg(unsigned(ask.acked));
    call.arg(millis(ask.lease)).arg(ask.budgets.len());
    for budget in &ask.budgets {
        let asked = Figures::of(budget);
        call.arg(&budget.account).arg(figure(budget.cap));
        for value in [asked.spent, asked.held, asked.keep, asked.need, asked.want, asked.elsewhere] {
            call.arg(figure(value));
        }
        call.arg(millis(budget.forget_after));
    }
    call.arg(ask.rates.len());
    for rate in &ask.rates {
        call.arg(&rate.key).arg(unsigned(rate.per_minute)).arg(unsigned(rate.burst)).arg(figure(rate.take));
        call.arg(figure(rate.need.max(0)));
    }
    call.arg(ask.slots.len());
    for slot in &ask.slots {
        call.arg(&slot.key).arg(slot.max).arg(slot.used).arg(slot.keep.max(slot.used)).arg(slot.want);
    }
    call
}

fn failure(error: RedisError) -> Failure {
    // Starting, stopping, turned read-only by a fail-over: another connection may find another server.
    let passes = matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::TryAgain
        )
    );
    let is_answer = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) && !passes;
    if is_answer { Failure::Refused(error.into()) } else { Failure::Broken(error.into()) }
}

/// A script's answer, read off in order.
struct Reply<'a> {
    values: std::vec::IntoIter<Value>,
    place: &'a str,
}

#[derive(Debug, thiserror::Error)]
#[error("the script's answer is too short")]
struct TooShort;

impl Reply<'_> {
    fn next<T: FromRedisValue>(&mut self) -> Result<T, SharedError> {
        let refused = |source| SharedError::Refused { place: self.place.to_owned(), source };
        let value = self.values.next().ok_or_else(|| refused(TooShort.into()))?;
        T::from_redis_value(value).map_err(|error| refused(error.into()))
    }

    fn text(&mut self) -> Result<String, SharedError> {
        self.next()
    }

    fn int(&mut self) -> Result<i64, SharedError> {
        self.next()
    }
}
