//! The client against the real API, and against servers that misbehave.

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use gauntlet_ports::{Ask, AskKind, EvalStore, Runner, RunnerError, Told};
use gauntlet_store::conformance;
use hyper_util::rt::TokioIo;
use tower::ServiceExt;

use super::{GatewayRunner, GatewayStore};
use crate::{cli::Place, runfile::RunFile, wiring};

fn run_file(address: SocketAddr) -> RunFile {
    RunFile { pid: 0, url: format!("http://{address}"), token: "t".to_owned() }
}

/// Serves the API of an empty data folder on a thread, for as long as the test lasts.
fn serve_api(folder: &std::path::Path) -> SocketAddr {
    let place = Place { config: None, data: folder.to_owned(), json: false };
    let router = gauntlet_server::router(wiring::alone(&place).expect("an empty folder"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("a listener of a runtime");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((socket, _)) = listener.accept().await {
                let router = router.clone();
                let service = hyper::service::service_fn(move |request| {
                    let router = router.clone();
                    async move {
                        Ok::<_, Infallible>(
                            router.oneshot(request).await.unwrap_or_else(|never| match never {}),
                        )
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service),
                );
            }
        });
    });
    address
}

#[test]
fn the_api_keeps_evals_as_a_store_does() {
    let folders = Mutex::new(Vec::new());
    conformance::eval_store(&|| -> Arc<dyn EvalStore> {
        let folder = tempfile::tempdir().unwrap();
        let address = serve_api(folder.path());
        folders.lock().unwrap().push(folder);
        Arc::new(GatewayStore::new(&run_file(address)))
    });
}

fn ask() -> Ask {
    Ask {
        kind: AskKind::Chat,
        body: serde_json::Map::new(),
        route: None,
        eval_id: "nightly".into(),
        app_sha: None,
        prompt: None,
        is_judge: false,
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn without_a_gateway_a_call_is_refused_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let runner = GatewayRunner::new(&run_file(serve_api(folder.path())), ".".into()).unwrap();
    let RunnerError(why) = block_on(runner.ask(ask())).unwrap_err();
    assert!(why.contains("`gauntlet up`"), "{why}");
}

/// Answers each request of each connection by `answer`, which is given how many came before; none closes the connection.
fn serve_raw(answer: fn(usize) -> Option<String>) -> (SocketAddr, Arc<[AtomicUsize; 2]>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Connections and requests.
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = counts.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, counted) = (socket.unwrap(), counted.clone());
            counted[0].fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
                while let Ok(length) = socket.read(&mut piece) {
                    if length == 0 {
                        break;
                    }
                    seen.extend_from_slice(&piece[..length]);
                    let text = String::from_utf8_lossy(&seen).into_owned();
                    let Some(head) = text.find("\r\n\r\n") else { continue };
                    let length = text
                        .to_lowercase()
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
                    if seen.len() < head + 4 + length.unwrap_or(0) {
                        continue;
                    }
                    seen.clear();
                    match answer(counted[1].fetch_add(1, Ordering::SeqCst)) {
                        Some(answer) => socket.write_all(answer.as_bytes()).unwrap(),
                        None => break,
                    }
                }
            });
        }
    });
    (address, counts)
}

fn counted(counts: &[AtomicUsize; 2]) -> [usize; 2] {
    [counts[0].load(Ordering::SeqCst), counts[1].load(Ordering::SeqCst)]
}

fn answered(status: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

#[test]
fn calls_one_after_the_other_share_a_connection() {
    let (address, counts) =
        serve_raw(|_| answered("200 OK", &serde_json::to_string(&Told::default()).unwrap()));
    let runner = GatewayRunner::new(&run_file(address), ".".into()).unwrap();
    block_on(async {
        for _ in 0..20 {
            assert_eq!(runner.ask(ask()).await.unwrap().status, 0);
        }
    });
    assert_eq!(counted(&counts), [1, 20]);
}

#[test]
fn a_call_whose_answer_was_lost_is_not_made_twice() {
    let (address, counts) = serve_raw(|before| match before {
        0 => answered("200 OK", &serde_json::to_string(&Told::default()).unwrap()),
        _ => None,
    });
    let runner = GatewayRunner::new(&run_file(address), ".".into()).unwrap();
    block_on(async {
        runner.ask(ask()).await.unwrap();
        let RunnerError(why) = runner.ask(ask()).await.unwrap_err();
        assert!(!why.is_empty());
    });
    assert_eq!(counted(&counts)[1], 2, "the one that was answered, and the one that was not");
}

#[test]
fn what_is_no_answer_is_told() {
    let check = |answer: fn(usize) -> Option<String>, part: &str| {
        let (address, _) = serve_raw(answer);
        let RunnerError(why) =
            block_on(GatewayRunner::new(&run_file(address), ".".into()).unwrap().ask(ask())).unwrap_err();
        assert!(why.contains(part), "{why}");
    };
    check(|_| answered("200 OK", "<html>"), "does not fit");
    check(|_| answered("503 Gone", "{\"error\": {\"message\": \"come back later\"}}"), "come back later");
    check(|_| answered("500 Oh", "nonsense"), "status 500");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let RunnerError(why) =
        block_on(GatewayRunner::new(&run_file(free), ".".into()).unwrap().ask(ask())).unwrap_err();
    assert!(why.contains("onnect"), "{why}");
}
