//! Listeners and workers: one single-threaded runtime a core, each with its own listener and upstream connections.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use futures_util::FutureExt;
use gauntlet_pipeline::Gate;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tower::ServiceExt;

use crate::{door, otlp};

/// Connections waiting to be accepted; the kernel may cap it lower.
const BACKLOG: i32 = 4096;
/// A caller that does not finish its headers within this time holds a socket for nothing.
const HEADER_READ_MAX: Duration = Duration::from_secs(30);
/// Beyond the doors' own limit, so that a flood gets an error it can read rather than a bare 431.
const HEADERS_READ_MAX: usize = 256;
/// Open connections of one worker: enough for streams, and below the usual limit of open files for two sockets each.
const CONNECTIONS_MAX: usize = 10_000;
/// After running out of file descriptors, accepting again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds `count` listeners to one address, between which the kernel spreads connections.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(count);
    // Listeners that share a port would share it with another instance too: without this probe, each of two gateways
    // would get half of the calls. It fails where the port is taken, shared or not.
    let mut address = TcpListener::bind(address)?.local_addr()?;
    for _ in 0..count.max(1) {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener: TcpListener = socket.into();
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Serves one listener until `stop` turns true, then finishes the requests under way. Run it on a current-thread runtime.
pub async fn worker(
    listener: TcpListener,
    gate: Arc<Gate>,
    router: Router,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_MAX).max_headers(HEADERS_READ_MAX);
    let serve = |socket, slot| {
        let (gate, router) = (gate.clone(), router.clone());
        let service = service_fn(move |request| respond(gate.clone(), router.clone(), request));
        hold(graceful.watch(http.serve_connection(TokioIo::new(socket), service)), slot);
    };
    accept(listener, stop, serve).await?;
    graceful.shutdown().await;
    gate.shared.tasks.idle().await;
    Ok(())
}

/// Serves a connection to its end.
pub(crate) fn hold(connection: impl Future + 'static + Send, slot: OwnedSemaphorePermit) {
    tokio::spawn(async move {
        // A broken connection is the caller's affair; what was under way settles by itself.
        let _ = connection.await;
        drop(slot);
    });
}

/// Takes connections, as many as there are slots for, until `stop` turns true.
pub(crate) async fn accept(
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
    mut serve: impl FnMut(TcpStream, OwnedSemaphorePermit),
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot.expect("the semaphore is never closed"),
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // A token must not wait for the acknowledgement of the one before.
        let _ = socket.set_nodelay(true);
        serve(socket, slot);
    }
}

async fn respond(
    gate: Arc<Gate>,
    router: Router,
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<door::DoorBody>, Infallible> {
    let path = request.uri().path();
    if let Some(found) = door::find(path) {
        let manners = found.door.manners();
        // One call must not take the process with it. The call's own safety net settles it at its hold.
        let call = std::panic::AssertUnwindSafe(door::call(gate, found, request));
        return Ok(call.catch_unwind().await.unwrap_or_else(|_| door::broken(manners)));
    }
    if path == otlp::PATH {
        let call = std::panic::AssertUnwindSafe(otlp::call(gate, request));
        return Ok(call.catch_unwind().await.unwrap_or_else(|_| door::broken(gauntlet_types::Dialect::Chat)));
    }
    if request.method() == http::Method::GET
        && ["/v1/models", "/v1beta/models"]
            .iter()
            .any(|list| path.strip_prefix(list).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    {
        return Ok(door::models(&gate, &request));
    }
    let mut request = request.map(axum::body::Body::new);
    // Management can make calls too.
    request.extensions_mut().insert(gate);
    let Ok(response) = router.oneshot(request).await;
    Ok(door::from_router(response))
}
