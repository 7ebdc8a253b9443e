//! Tokens that live for an hour: fetched once for all workers, renewed ahead of their end, dropped when refused.

mod grant;

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gauntlet_ports::{Clock, TokenGrant};
use gauntlet_types::Mono;
use http::HeaderValue;

#[cfg(test)]
pub(crate) use grant::tests::service_account;
pub(crate) use grant::{Ask, ask, read};

/// Grants kept at a time: more than any configuration names. The oldest goes first, for it is likely of a former one.
const GRANTS_MAX: usize = 256;
/// How long before its end a token is renewed, unless it is a short-lived one.
const AHEAD: Duration = Duration::from_secs(300);
/// A token is not sent in its last seconds: it would end on the way.
const LAST: Duration = Duration::from_secs(10);
/// What is waited for a token without which a call cannot go on.
const WAIT: Duration = Duration::from_secs(10);
/// What one call waits at most for the renewal of a token that is good still.
const WAIT_AHEAD: Duration = Duration::from_secs(3);
/// How long a failure is told to all who ask, so that they do not storm a server in trouble one after another.
const FAILED_FOR: Duration = Duration::from_secs(1);
/// How long a failed renewal is let be while the old token is good.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// A token that a provider refuses is only given up when it is this old: a fresh one is refused for other reasons.
const REFUSED_AFTER: Duration = Duration::from_secs(60);

/// A token as it came.
pub(crate) struct Fetched {
    /// `Bearer …`, marked sensitive.
    pub header: HeaderValue,
    pub lifetime: Duration,
}

/// The oldest first.
type Grants = Vec<(TokenGrant, Arc<Held>)>;

/// One for all workers: a token serves every connection.
#[derive(Clone)]
pub struct Tokens {
    clock: Arc<dyn Clock>,
    held: Arc<Mutex<Grants>>,
}

/// Shows no token.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

#[derive(Default)]
struct Held {
    state: Mutex<State>,
    /// Whoever holds it fetches; the others wait for it, or go on with the old token.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    failed: Option<(Mono, String)>,
}

struct Token {
    header: HeaderValue,
    since: Mono,
    renew: Mono,
    end: Mono,
}

enum Look {
    Fresh(HeaderValue),
    /// Good still, and to be renewed.
    Ageing(HeaderValue),
    Failed(String),
    None,
}

impl Tokens {
    pub fn new(clock: Arc<dyn Clock>) -> Tokens {
        Tokens { clock, held: Arc::default() }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The header for a grant. `fetch` is called at most once at a time for a grant, whatever the number of calls.
    ///
    /// Errors: why there is no token; it holds no secret if those of `fetch` hold none.
    pub(crate) async fn header<F>(
        &self,
        grant: &TokenGrant,
        fetch: impl FnOnce() -> F,
    ) -> Result<HeaderValue, String>
    where
        F: Future<Output = Result<Fetched, String>>,
    {
        let held = self.held(grant);
        match held.look(self.clock.mono()) {
            Look::Fresh(header) => Ok(header),
            Look::Ageing(header) => {
                let Ok(_fetching) = held.fetching.try_lock() else { return Ok(header) };
                // Another may have renewed it between the look and the lock.
                if let Look::Fresh(header) = held.look(self.clock.mono()) {
                    return Ok(header);
                }
                let renewed = held.fetch(&*self.clock, fetch(), WAIT_AHEAD).await;
                Ok(renewed.unwrap_or(header))
            }
            Look::Failed(why) => Err(why),
            Look::None => {
                let _fetching = held.fetching.lock().await;
                match held.look(self.clock.mono()) {
                    Look::Fresh(header) | Look::Ageing(header) => Ok(header),
                    Look::Failed(why) => Err(why),
                    Look::None => held.fetch(&*self.clock, fetch(), WAIT).await,
                }
            }
        }
    }

    /// The provider did not take this token: the next call fetches another, unless this one is fresh.
    pub(crate) fn refused(&self, grant: &TokenGrant, header: &HeaderValue) {
        let held = self.held(grant);
        let mut state = lock(&held.state);
        let now = self.clock.mono();
        let is_old = |token: &Token| token.header == *header && now.since(token.since) >= REFUSED_AFTER;
        if state.token.as_ref().is_some_and(is_old) {
            state.token = None;
        }
    }

    fn held(&self, grant: &TokenGrant) -> Arc<Held> {
        let mut all = lock(&self.held);
        if let Some((_, held)) = all.iter().find(|(known, _)| known == grant) {
            return held.clone();
        }
        if all.len() == GRANTS_MAX {
            all.remove(0);
        }
        let held = Arc::new(Held::default());
        all.push((grant.clone(), held.clone()));
        held
    }
}

impl Held {
    fn look(&self, now: Mono) -> Look {
        let state = lock(&self.state);
        let failed = |wait: Duration| {
            let failed = state.failed.as_ref().filter(|(at, _)| now.since(*at) < wait);
            failed.map(|(_, why)| why.clone())
        };
        match &state.token {
            Some(token) if now < token.renew => Look::Fresh(token.header.clone()),
            Some(token) if now < token.end => match failed(AGAIN_AFTER) {
                Some(_) => Look::Fresh(token.header.clone()),
                None => Look::Ageing(token.header.clone()),
            },
            _ => failed(FAILED_FOR).map_or(Look::None, Look::Failed),
        }
    }

    async fn fetch(
        &self,
        clock: &dyn Clock,
        fetch: impl Future<Output = Result<Fetched, String>>,
        wait: Duration,
    ) -> Result<HeaderValue, String> {
        let fetched = match tokio::time::timeout(wait, fetch).await {
            Ok(fetched) => fetched,
            Err(_) => Err(format!("no token came within {} s", wait.as_secs())),
        };
        let now = clock.mono();
        let mut state = lock(&self.state);
        match fetched {
            Ok(Fetched { header, lifetime }) => {
                let renew = now.plus(lifetime.saturating_sub(AHEAD.min(lifetime / 5)));
                let end = now.plus(lifetime.saturating_sub(LAST.min(lifetime / 10)));
                *state = State {
                    token: Some(Token { header: header.clone(), since: now, renew, end }),
                    failed: None,
                };
                Ok(header)
            }
            Err(why) => {
                state.failed = Some((now, why.clone()));
                Err(why)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
