//! A provider that answers by script, over real HTTP, in the words of the vendor that the path of a request is of.
//!
//! It writes its own HTTP/1.1 on plain sockets, a thread a connection, because half of what it is for lies below what an
//! HTTP library lets one do: a reset in the middle of a chunk, two bytes at a time, an answer that is no HTTP at all.

mod connection;
mod embeddings;
mod format;
mod gzip;
mod heard;
pub mod model;
mod plan;
mod request;
mod say;
mod step;

use std::{
    collections::VecDeque,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

pub use format::Format;
pub use heard::{Heard, HeardCall, HeardResult};
pub use request::Seen;
pub use step::Step;

/// How a step ended on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlayedEnd {
    /// Everything was written.
    Whole,
    /// Broken off as the step said.
    CutByScript,
    /// The client closed or reset the connection first.
    ClientGone,
    /// Still being written, or waiting.
    Running,
}

/// What came of a request that took a step.
#[derive(Clone, Copy, Debug)]
pub struct Played {
    /// Frames (of a stream) or pieces (of a plain body) handed to the system.
    pub frames: usize,
    /// Body bytes, without HTTP's own framing.
    pub bytes: usize,
    pub end: PlayedEnd,
}

type Answer = Arc<dyn Fn(&Seen) -> Step + Send + Sync>;

struct State {
    steps: VecDeque<Step>,
    default: Answer,
    seen: Vec<Seen>,
    played: Vec<Played>,
    models: Vec<String>,
    sockets: Vec<Weak<TcpStream>>,
    connections: usize,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    is_stopping: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of the provider panics while it holds its state")
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }
}

/// Listens on a port of 127.0.0.1 until it is dropped.
///
/// `GET …/models` is answered by itself and takes no step; every other request takes the next step of the script, and
/// the default step when the script is at its end. Unless told otherwise the default is a short friendly answer, streamed
/// or not as asked, or embeddings at their path.
pub struct Provider {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: Option<JoinHandle<()>>,
}

impl Provider {
    pub fn start() -> Provider {
        Provider::start_at(0)
    }

    /// Starts at a given port: to come back where an earlier provider has gone.
    pub fn start_at(port: u16) -> Provider {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the provider's port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = State {
            steps: VecDeque::new(),
            default: Arc::new(friendly),
            seen: Vec::new(),
            played: Vec::new(),
            models: vec!["test-model".to_owned()],
            sockets: Vec::new(),
            connections: 0,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            is_stopping: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let listening = thread::spawn(move || accept(&listener, &accepting));
        Provider { shared, address, listening: Some(listening) }
    }

    /// The base address that OpenAI's SDK takes: `http://127.0.0.1:port/v1`.
    pub fn url(&self) -> String {
        format!("{}/v1", self.origin())
    }

    /// The base address that the other vendors' SDKs take: `http://127.0.0.1:port`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Adds steps, taken one a request in order.
    pub fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.shared.change(|state| state.steps.extend(steps));
    }

    /// What is answered when the script is at its end.
    pub fn default(&self, step: Step) {
        self.respond(move |_| step.clone());
    }

    /// As `default`, decided by the request.
    pub fn respond(&self, answer: impl Fn(&Seen) -> Step + Send + Sync + 'static) {
        self.shared.change(|state| state.default = Arc::new(answer));
    }

    /// What `GET …/models` lists; `test-model` unless set.
    pub fn models(&self, names: &[&str]) {
        self.shared.change(|state| state.models = names.iter().map(|name| (*name).to_owned()).collect());
    }

    /// Every request that took a step, in the order of their arrival.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.lock().seen.clone()
    }

    /// As `requests`, and forgets them.
    pub fn take_requests(&self) -> Vec<Seen> {
        self.shared.change(|state| std::mem::take(&mut state.seen))
    }

    /// The last request; panics when there was none.
    pub fn last_request(&self) -> Seen {
        self.shared.lock().seen.last().cloned().expect("the provider was asked at least once")
    }

    /// What came of each request so far, in the same order (never forgotten).
    pub fn played(&self) -> Vec<Played> {
        self.shared.lock().played.clone()
    }

    /// Steps of the script that nobody has asked for.
    pub fn steps_left(&self) -> usize {
        self.shared.lock().steps.len()
    }

    /// Connections accepted so far: to see whether they are reused.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Waits until `count` requests have arrived; says whether they did within `limit`.
    pub fn wait_for_requests(&self, count: usize, limit: Duration) -> bool {
        self.wait(limit, |state| state.played.len() >= count)
    }

    /// Waits until request `index` (from 0) has ended; none if it has not within `limit`.
    pub fn wait_for_end(&self, index: usize, limit: Duration) -> Option<Played> {
        let ended =
            |state: &State| state.played.get(index).is_some_and(|played| played.end != PlayedEnd::Running);
        self.wait(limit, ended).then(|| self.shared.lock().played[index])
    }

    /// Waits until request `index` (from 0) has been sent `count` frames.
    pub fn wait_for_frames(&self, index: usize, count: usize, limit: Duration) -> bool {
        self.wait(limit, |state| state.played.get(index).is_some_and(|played| played.frames >= count))
    }

    fn wait(&self, limit: Duration, is_met: impl Fn(&State) -> bool) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.shared.lock();
        while !is_met(&state) {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .expect("no thread panics while it holds the state")
                .0;
        }
        true
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees the flag.
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
        for socket in self.shared.lock().sockets.iter().filter_map(Weak::upgrade) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for socket in listener.incoming() {
        if shared.is_stopping.load(Ordering::SeqCst) {
            break;
        }
        let Ok(socket) = socket else { continue };
        let socket = Arc::new(socket);
        shared.change(|state| {
            state.connections += 1;
            state.sockets.retain(|known| known.strong_count() > 0);
            state.sockets.push(Arc::downgrade(&socket));
        });
        let shared = Arc::clone(shared);
        thread::spawn(move || connection::serve(socket, &shared));
    }
}

fn friendly(seen: &Seen) -> Step {
    let path = seen.path.split('?').next().unwrap_or_default();
    let ends = |ends: [&str; 3]| ends.iter().any(|end| path.ends_with(end));
    if ends(["/embeddings", ":embedContent", ":batchEmbedContents"]) {
        Step::embeddings(8)
    } else if ends(["/count_tokens", ":countTokens", "/input_tokens"]) {
        Step::count(9)
    } else {
        Step::answer(&["Hello", " there"])
    }
}
