//! Reaching a Postgres: connections that are made when needed, given up at the first failure, and asked without async.
//!
//! The ports are synchronous and called from any thread, those of an async runtime included. So a thread of our own
//! moves the bytes of all connections, and whoever asks sleeps until the answer is there: a question costs a change of
//! threads more than an async one, which is nothing beside its round trip.

use std::{
    future::Future,
    pin::pin,
    str::FromStr,
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio::{runtime::Handle, sync::oneshot, task::AbortHandle};
use tokio_postgres::{
    Client, Config, NoTls, Row,
    config::{Host, SslMode},
    types::{ToSql, Type},
};

use super::migrate;
use crate::{error::OpenError, tls::Tls};

/// Longer than any connection over the world takes.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// After a connection that could not be made, questions fail at once for so long: pages shall not queue up.
const PAUSE: Duration = Duration::from_millis(300);
/// The server gives a statement up after this. A batch takes some 20 ms, and may wait for those of other gateways.
const STATEMENT_MAX: Duration = Duration::from_secs(30);
/// We give a statement up some time later: then the server does not answer at all.
const ANSWER_MAX: Duration = Duration::from_secs(35);
/// Questions at once; more wait for their turn.
const READERS_MAX: usize = 4;

/// What the server's list of sessions calls ours, unless the address says otherwise. The shared state has a name of its own.
pub(super) const SESSIONS: &str = "gauntlet store";

pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// Why a question brought no answer.
#[derive(Debug, Error)]
pub(crate) enum Trouble {
    #[error("{place} refuses")]
    Refused { place: String, source: tokio_postgres::Error },
    #[error("{place} cannot be reached")]
    Unreachable { place: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{place} gives no answer within {} s", .limit.as_secs())]
    TimedOut { place: String, limit: Duration },
    #[error("{place} could not be reached a moment ago")]
    Pausing { place: String },
    #[error("column {0} holds what this program did not write")]
    Unreadable(usize),
    #[error(transparent)]
    Unanswerable(#[from] gauntlet_ports::Unanswerable),
}

pub(super) type Result<T> = std::result::Result<T, Trouble>;

/// A Postgres database that holds a gateway's tables, in their schema `gauntlet`.
pub struct Database {
    config: Config,
    tls: Option<Tls>,
    /// For messages: no user, no password.
    place: String,
    runtime: Handle,
    /// Dropped, it ends the thread of the runtime.
    _stop: oneshot::Sender<()>,
    readers: Readers,
    not_before: Mutex<Option<Instant>>,
}

impl Database {
    /// Connects, and brings the tables up to date.
    ///
    /// `sslmode=require` is TLS with the certificate and its name checked (as `verify-full`); without it there is no TLS.
    pub fn open(url: &str) -> std::result::Result<Arc<Database>, OpenError> {
        Database::open_with(url, |_| ())
    }

    /// The same for another program than a gateway, which the server's list of sessions shall tell from one.
    pub(crate) fn open_as(url: &str, program: &str) -> std::result::Result<Arc<Database>, OpenError> {
        Database::open_with(url, |config| {
            config.application_name(program);
        })
    }

    fn open_with(
        url: &str,
        change: impl FnOnce(&mut Config),
    ) -> std::result::Result<Arc<Database>, OpenError> {
        let (mut config, tls) = read_url(url)?;
        change(&mut config);
        let place = place(&config);
        let failed = |source: std::io::Error| OpenError::Thread { source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let handle = runtime.handle().clone();
        let work = move || {
            // Dropped is as good as told.
            let _ = runtime.block_on(stopped);
        };
        std::thread::Builder::new().name("postgres".to_owned()).spawn(work).map_err(failed)?;
        let database = Database {
            config,
            tls,
            place,
            runtime: handle,
            _stop: stop,
            readers: Readers::default(),
            not_before: Mutex::new(None),
        };
        let opened = database.connect().and_then(|connection| migrate::migrate(&connection));
        match opened {
            Ok(migrate::Schema::Known) => Ok(Arc::new(database)),
            Ok(migrate::Schema::Newer { found, known }) => {
                Err(OpenError::PostgresNewer { place: database.place.clone(), found, known })
            }
            Err(source) => Err(OpenError::of_postgres(source)),
        }
    }

    /// For messages: host, port and database, without user and password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// A new connection with our settings.
    pub(super) fn connect(&self) -> Result<Connection> {
        let place = || self.place.clone();
        {
            let not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
            if not_before.is_some_and(|at| Instant::now() < at) {
                return Err(Trouble::Pausing { place: place() });
            }
        }
        let connected = self.connect_now();
        let failed_at = connected.is_err().then(|| Instant::now() + PAUSE);
        *self.not_before.lock().unwrap_or_else(PoisonError::into_inner) = failed_at;
        connected
    }

    fn connect_now(&self) -> Result<Connection> {
        let (tx, rx) = mpsc::channel();
        let (config, tls) = (self.config.clone(), self.tls.clone());
        // Made on the runtime's thread, where its bytes will be moved.
        self.runtime.spawn(async move {
            let connecting = async {
                match tls {
                    Some(tls) => {
                        let (client, connection) = config.connect(tls).await?;
                        Ok((client, tokio::spawn(connection).abort_handle()))
                    }
                    None => {
                        let (client, connection) = config.connect(NoTls).await?;
                        Ok((client, tokio::spawn(connection).abort_handle()))
                    }
                }
            };
            // Nobody waits any more: the connection ends with what is dropped here.
            let connected: std::result::Result<_, tokio_postgres::Error> = connecting.await;
            let _ = tx.send(connected.map(|(client, task)| Ended { client, task }));
        });
        let place = || self.place.clone();
        match rx.recv_timeout(CONNECT_MAX) {
            Ok(Ok(ended)) => {
                let connection = Connection { ended, place: place() };
                connection.batch(&settings())?;
                Ok(connection)
            }
            Ok(Err(source)) => Err(trouble(place(), source)),
            Err(_) => Err(Trouble::TimedOut { place: place(), limit: CONNECT_MAX }),
        }
    }

    /// Runs `read` in one read transaction, so that several statements see the same state.
    pub(super) fn read<T>(&self, read: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        let _place = self.readers.enter();
        let once = |connection: &Connection| -> Result<T> {
            connection.batch("begin isolation level repeatable read read only")?;
            let answer = read(connection)?;
            connection.batch("commit")?;
            Ok(answer)
        };
        if let Some(connection) = self.readers.take() {
            match once(&connection) {
                Ok(answer) => {
                    self.readers.keep(connection);
                    return Ok(answer);
                }
                // The server went away and came back while it stood idle.
                Err(Trouble::Unreachable { .. }) => {}
                // A connection whose question failed is not kept: it may be what is broken.
                Err(error) => return Err(error),
            }
        }
        let connection = self.connect()?;
        let answer = once(&connection)?;
        self.readers.keep(connection);
        Ok(answer)
    }
}

fn settings() -> String {
    format!(
        "set search_path = gauntlet, pg_catalog; set timezone = 'UTC'; \
         set default_transaction_isolation = 'read committed'; set client_min_messages = 'warning'; set jit = off; \
         set statement_timeout = {}; set idle_in_transaction_session_timeout = {}",
        STATEMENT_MAX.as_millis(),
        // A gateway that stands still with a batch half done must not hold the others up for long.
        10_000,
    )
}

fn read_url(url: &str) -> std::result::Result<(Config, Option<Tls>), OpenError> {
    // We always check as much as these ask for, and the driver does not know their names.
    let url =
        url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    // The cause would repeat parts of the address, and with it the password.
    let mut config = Config::from_str(&url).map_err(|_| OpenError::Address)?;
    if config.get_application_name().is_none() {
        config.application_name(SESSIONS);
    }
    config.connect_timeout(CONNECT_MAX);
    config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(ANSWER_MAX);
    let tls = match config.get_ssl_mode() {
        SslMode::Require => Some(Tls::new().map_err(|source| OpenError::Tls { source })?),
        _ => None,
    };
    Ok((config, tls))
}

/// For messages: no user, no password.
pub(crate) fn place(config: &Config) -> String {
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    };
    let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!(
        "postgres at {}:{port}, database {}",
        hosts.join(","),
        config.get_dbname().unwrap_or("of the user")
    )
}

fn trouble(place: String, source: tokio_postgres::Error) -> Trouble {
    // Classes of SQLSTATE: 08 connection, 57P shutting down or starting.
    let is_answer = source.code().is_some_and(|code| {
        let code = code.code();
        !(code.starts_with("08") || code.starts_with("57P"))
    });
    if is_answer {
        Trouble::Refused { place, source }
    } else {
        Trouble::Unreachable { place, source: source.into() }
    }
}

/// A client and the task that moves its bytes, which ends with it: left alone, it would wait for a store that stopped.
struct Ended {
    client: Client,
    task: AbortHandle,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) struct Connection {
    ended: Ended,
    place: String,
}

impl Connection {
    /// Statements without values or answers, in one round trip.
    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        self.wait(self.ended.client.batch_execute(sql))
    }

    pub(super) fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        self.wait(self.ended.client.query_typed(sql, params))
    }

    pub(super) fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        self.wait(self.ended.client.execute_typed(sql, params))
    }

    /// Several statements under way at once; the server takes them in this order.
    pub(super) fn execute_all(&self, statements: &[(&str, Vec<Param<'_>>)]) -> Result<()> {
        // Few enough that they are begun in their order, and that their answers need no order.
        debug_assert!(statements.len() <= 30, "`try_join_all` keeps to the order of a few");
        let all = statements.iter().map(|(sql, params)| self.ended.client.execute_typed(sql, params));
        self.wait(futures_util::future::try_join_all(all)).map(drop)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.ended.client.is_closed()
    }

    fn wait<T>(
        &self,
        asked: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        match wait(asked, ANSWER_MAX) {
            Some(answer) => answer.map_err(|source| trouble(self.place.clone(), source)),
            None => Err(Trouble::TimedOut { place: self.place.clone(), limit: ANSWER_MAX }),
        }
    }
}

/// A connection that waits for whoever writes, and comes back after it was lost.
#[derive(Default)]
pub(super) struct Held(Option<Connection>);

impl Held {
    /// Taken out for the work, and put back with [`keep`](Held::keep) if that went well: what failed half way ends with
    /// its connection, on the server too.
    pub(super) fn take(&mut self, database: &Database) -> Result<Connection> {
        match self.0.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => Ok(connection),
            None => database.connect(),
        }
    }

    pub(super) fn keep(&mut self, connection: Connection) {
        self.0 = Some(connection);
    }
}

/// Connections for questions, and how many are in use.
#[derive(Default)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    busy: Mutex<usize>,
    left: Condvar,
}

struct Place<'a>(&'a Readers);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.left.notify_one();
    }
}

impl Readers {
    fn enter(&self) -> Place<'_> {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy =
            self.left.wait_while(busy, |busy| *busy >= READERS_MAX).unwrap_or_else(PoisonError::into_inner);
        *busy += 1;
        Place(self)
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| !connection.is_closed());
        idle.pop()
    }

    fn keep(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// Wakes a thread that waits. Not by `park`: some callers use that for themselves.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_one();
    }
}

/// Waits for an answer, for so long at most. Works on any thread, as `block_on` of a runtime does not.
fn wait<F: Future>(asked: F, limit: Duration) -> Option<F::Output> {
    let until = Instant::now() + limit;
    let mut asked = pin!(asked);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    loop {
        if let Poll::Ready(answer) = asked.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(answer);
        }
        let mut rung = bell.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            let left = until.checked_duration_since(Instant::now())?;
            rung = bell.heard.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *rung = false;
    }
}
