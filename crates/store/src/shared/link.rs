//! One connection that comes back: made when first needed, dropped at the first failure, left alone for a while after it.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use gauntlet_ports::SharedError;
use tokio::{sync::Mutex, time::timeout};

use super::Limits;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a question brought no answer.
pub(super) enum Failure {
    /// The connection is of no more use.
    Broken(Source),
    /// The store answered, with an error.
    Refused(Source),
}

pub(super) struct Link<C> {
    /// For messages: without user and password.
    place: String,
    limits: Limits,
    state: Mutex<State<C>>,
}

struct State<C> {
    connection: Option<C>,
    /// Tells a connection from the one that took its place.
    number: u64,
    not_before: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
#[error("the last attempt failed less than {} ms ago", .0.as_millis())]
struct Pausing(Duration);

#[derive(Debug, thiserror::Error)]
#[error("no connection within {} ms", .0.as_millis())]
struct ConnectTimeout(Duration);

impl<C: Clone> Link<C> {
    pub(super) fn new(place: String, limits: Limits) -> Link<C> {
        let state = State { connection: None, number: 0, not_before: None };
        Link { place, limits, state: Mutex::new(state) }
    }

    /// Asks over the connection, making one if there is none. `ask` has the limit of an exchange.
    pub(super) async fn ask<T, Connecting, Asking>(
        &self,
        connect: impl FnOnce() -> Connecting,
        ask: impl FnOnce(C) -> Asking,
    ) -> Result<T, SharedError>
    where
        Connecting: Future<Output = Result<C, Source>>,
        Asking: Future<Output = Result<T, Failure>>,
    {
        let (connection, number) = self.connection(connect).await?;
        let place = self.place.clone();
        match timeout(self.limits.exchange, ask(connection)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Failure::Refused(source))) => Err(SharedError::Refused { place, source }),
            Ok(Err(Failure::Broken(source))) => {
                self.give_up(number).await;
                Err(SharedError::Unavailable { place, source })
            }
            // What stands unanswered in the connection goes with it, or a store that stopped would fill our memory.
            Err(_) => {
                self.give_up(number).await;
                Err(SharedError::TimedOut { place, limit: self.limits.exchange })
            }
        }
    }

    async fn connection<Connecting>(
        &self,
        connect: impl FnOnce() -> Connecting,
    ) -> Result<(C, u64), SharedError>
    where
        Connecting: Future<Output = Result<C, Source>>,
    {
        // Held while connecting: whoever else asks meanwhile wants the same connection.
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.number));
        }
        let unavailable = |source: Source| SharedError::Unavailable { place: self.place.clone(), source };
        if state.not_before.is_some_and(|at| Instant::now() < at) {
            return Err(unavailable(Pausing(self.limits.pause).into()));
        }
        // Also when this future is dropped half way: the next one begins anew, after the pause.
        state.not_before = Some(Instant::now() + self.limits.pause);
        let connected = match timeout(self.limits.connect, connect()).await {
            Ok(connected) => connected,
            Err(_) => Err(ConnectTimeout(self.limits.connect).into()),
        };
        match connected {
            Ok(connection) => {
                state.not_before = None;
                state.number += 1;
                state.connection = Some(connection.clone());
                Ok((connection, state.number))
            }
            Err(source) => {
                state.not_before = Some(Instant::now() + self.limits.pause);
                Err(unavailable(source))
            }
        }
    }

    async fn give_up(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.number == number {
            state.connection = None;
            state.not_before = Some(Instant::now() + self.limits.pause);
        }
    }
}
