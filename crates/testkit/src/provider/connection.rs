//! One connection: reads requests, plays plans, notices when the client leaves.

use std::{
    io::{self, BufReader, Write},
    net::TcpStream,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::json;
use socket2::SockRef;

use super::{
    Played, PlayedEnd, Shared,
    plan::{Answer, Plan, plan},
    request,
    step::{CutBy, Step},
};

/// A write that takes so long means a client that has stopped reading; the test is over by then.
const WRITE_LIMIT: Duration = Duration::from_secs(120);
/// A socket's timeouts count in the system's ticks, up to 10 ms: shorter pauses sleep, and the next write finds out
/// whether the client has gone.
const SHORT: Duration = Duration::from_millis(20);

pub(super) fn serve(socket: Arc<TcpStream>, shared: &Shared) {
    // A frame must leave when it is written, not when the next one follows.
    let is_set = socket.set_nodelay(true).and_then(|()| socket.set_write_timeout(Some(WRITE_LIMIT)));
    if is_set.is_err() {
        return;
    }
    let mut reader = BufReader::new(&*socket);
    while let Ok(Some(seen)) = request::read(&mut reader) {
        let is_list = seen.method == http::Method::GET
            && seen.path.split('?').next().is_some_and(|path| path.ends_with("/models"));
        let (step, index) = if is_list {
            (models(shared), None)
        } else {
            let (step, index) = shared.change(|state| {
                state.played.push(Played { frames: 0, bytes: 0, end: PlayedEnd::Running });
                state.seen.push(seen.clone());
                let step = state.steps.pop_front().ok_or_else(|| Arc::clone(&state.default));
                (step, state.played.len() - 1)
            });
            // The default may look at the request for a while; nobody waits for the lock meanwhile.
            (step.unwrap_or_else(|default| default(&seen)), Some(index))
        };
        let mut player = Player { socket: &socket, shared, index };
        let goes_on = match player.play(plan(&step, &seen)) {
            Ok(goes_on) => goes_on,
            Err(_) => {
                player.end(PlayedEnd::ClientGone);
                false
            }
        };
        let closes = seen.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !goes_on || closes {
            break;
        }
    }
}

fn models(shared: &Shared) -> Step {
    let models = shared.lock().models.clone();
    let data: Vec<_> = models
        .iter()
        .map(|name| json!({"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "testkit"}))
        .collect();
    Step::plain(json!({"object": "list", "data": data}))
}

struct Player<'a> {
    socket: &'a TcpStream,
    shared: &'a Shared,
    /// Of the request in `played`; none when it took no step.
    index: Option<usize>,
}

impl Player<'_> {
    /// Says whether the connection may carry another request. An error means that the client is gone.
    fn play(&mut self, plan: Plan) -> io::Result<bool> {
        match plan {
            Plan::Answer(answer) => self.answer(answer),
            Plan::Endless { before_headers, head, frame, every } => {
                self.wait(before_headers)?;
                self.write(head.as_bytes())?;
                loop {
                    self.piece(&frame, true)?;
                    self.wait(every)?;
                }
            }
            Plan::Hang => loop {
                self.wait(WRITE_LIMIT)?;
            },
            Plan::Drop { before } => {
                self.wait(before)?;
                self.break_off(CutBy::Reset)
            }
            Plan::Raw { before, bytes } => {
                self.wait(before)?;
                self.write(&bytes)?;
                self.count(bytes.len());
                self.end(PlayedEnd::Whole);
                Ok(false)
            }
        }
    }

    fn answer(&mut self, answer: Answer) -> io::Result<bool> {
        let Answer { before_headers, head, is_chunked, pieces, cut } = answer;
        self.wait(before_headers)?;
        self.write(head.as_bytes())?;
        for (pause, piece) in pieces {
            self.wait(pause)?;
            self.piece(&piece, is_chunked)?;
        }
        if let Some(how) = cut {
            return self.break_off(how);
        }
        if is_chunked {
            self.write(b"0\r\n\r\n")?;
        }
        self.end(PlayedEnd::Whole);
        Ok(true)
    }

    fn piece(&mut self, piece: &Bytes, is_chunked: bool) -> io::Result<()> {
        if is_chunked {
            // One write, or the chunk's size would travel as a packet of its own.
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(piece);
            chunk.extend_from_slice(b"\r\n");
            self.write(&chunk)?;
        } else {
            self.write(piece)?;
        }
        self.count(piece.len());
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    fn break_off(&mut self, how: CutBy) -> io::Result<bool> {
        if how == CutBy::Reset {
            // Without linger a close sends RST, and drops what the client has not been sent yet: give that a moment.
            thread::sleep(Duration::from_millis(5));
            SockRef::from(self.socket).set_linger(Some(Duration::ZERO))?;
        }
        self.end(PlayedEnd::CutByScript);
        Ok(false)
    }

    /// Waits, and fails at once when the client closes meanwhile.
    fn wait(&mut self, wait: Duration) -> io::Result<()> {
        if wait < SHORT {
            thread::sleep(wait);
            return Ok(());
        }
        let until = Instant::now() + wait;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.socket.set_read_timeout(Some(left))?;
            let peeked = self.socket.peek(&mut [0]);
            self.socket.set_read_timeout(None)?;
            match peeked {
                Ok(0) => return Err(io::ErrorKind::ConnectionAborted.into()),
                // The next request is here already; it says nothing about this one.
                Ok(_) => thread::sleep(left),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Played)) {
        if let Some(index) = self.index {
            self.shared.change(|state| change(&mut state.played[index]));
        }
    }

    fn count(&self, bytes: usize) {
        self.change(|played| {
            played.frames += 1;
            played.bytes += bytes;
        });
    }

    fn end(&self, end: PlayedEnd) {
        self.change(|played| played.end = end);
    }
}
