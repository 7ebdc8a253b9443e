//! A small blocking HTTP/1.1 client for tests. It hides nothing: one connection a request, no redirects, no retries, no
//! decoding; it says whether an answer came whole, and when each frame of a stream arrived.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use socket2::SockRef;

/// The longest silence before a test is taken to be stuck.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A head is a few kilobytes; a megabyte of it is a fault.
const HEAD_BYTES_MAX: u64 = 1 << 20;

type Headers<'a> = &'a [(&'a str, &'a str)];

/// An answer that was read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the body ended as its framing said it would; false when the connection broke before.
    pub is_whole: bool,
    pub took: Duration,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Panics with the body when it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("status {}, no JSON ({error}): {}", self.status, self.text()))
    }
}

/// One server-sent event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub event: Option<String>,
    /// The `data` lines, joined by newlines.
    pub data: String,
    /// When its last byte was read, after the request was sent.
    pub at: Duration,
}

impl Frame {
    /// Panics with the frame when it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.data))
    }
}

/// All frames of a stream.
#[derive(Clone, Debug)]
pub struct Streamed {
    pub status: u16,
    pub headers: HeaderMap,
    pub frames: Vec<Frame>,
    /// As of `Reply`: the transport's end, whatever the frames say.
    pub is_whole: bool,
}

impl Streamed {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn has_done(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.data == "[DONE]")
    }

    /// The frames that are JSON objects.
    pub fn chunks(&self) -> Vec<Value> {
        self.frames.iter().filter_map(|frame| serde_json::from_str(&frame.data).ok()).collect()
    }

    /// The text of the first choice of a chat completion.
    pub fn text(&self) -> String {
        let chunks = self.chunks();
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
    }
}

pub fn get(url: &str, headers: Headers<'_>) -> io::Result<Reply> {
    send("GET", url, headers, &[])
}

pub fn post_json(url: &str, headers: Headers<'_>, body: &Value) -> io::Result<Reply> {
    post(url, headers, body.to_string().as_bytes())
}

/// Posts bytes as they are, with the content type of JSON unless `headers` has another.
pub fn post(url: &str, headers: Headers<'_>, body: &[u8]) -> io::Result<Reply> {
    send("POST", url, headers, body)
}

pub fn send(method: &str, url: &str, headers: Headers<'_>, body: &[u8]) -> io::Result<Reply> {
    let mut answer = open(method, url, headers, body)?;
    let mut bytes = Vec::new();
    let is_whole = answer.body.read_to_end(&mut bytes).is_ok() && answer.body.is_whole();
    let Stream { status, headers, sent, .. } = answer;
    Ok(Reply { status, headers, body: bytes.into(), is_whole, took: sent.elapsed() })
}

/// Posts and returns as soon as the head of the answer is there.
pub fn post_stream(url: &str, headers: Headers<'_>, body: &Value) -> io::Result<Stream> {
    open("POST", url, headers, body.to_string().as_bytes())
}

/// Writes bytes to a socket and reads until the other side closes: for requests that are no HTTP.
pub fn send_raw(address: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut socket = connect(address)?;
    socket.write_all(bytes)?;
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        // A reset after the answer still leaves the answer.
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

/// An answer whose body is still coming. Dropping it hangs up.
pub struct Stream {
    pub status: u16,
    pub headers: HeaderMap,
    body: Body,
    sent: Instant,
}

impl Stream {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next frame; none at the end, also when the connection broke.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let (mut event, mut data) = (None, Vec::new());
        loop {
            let line = self.body.line()?;
            match line.split_once(':') {
                _ if line.is_empty() && data.is_empty() => event = None,
                _ if line.is_empty() => {
                    return Some(Frame { event, data: data.join("\n"), at: self.sent.elapsed() });
                }
                Some(("data", value)) => data.push(value.strip_prefix(' ').unwrap_or(value).to_owned()),
                Some(("event", value)) => event = Some(value.strip_prefix(' ').unwrap_or(value).to_owned()),
                // Comments and fields that no dialect uses.
                _ => {}
            }
        }
    }

    pub fn collect(mut self) -> Streamed {
        let mut frames = Vec::new();
        while let Some(frame) = self.next_frame() {
            frames.push(frame);
        }
        let is_whole = self.body.is_whole();
        Streamed { status: self.status, headers: self.headers, frames, is_whole }
    }

    /// Goes away as a killed program does: with a reset instead of a goodbye.
    pub fn reset(self) {
        let socket = self.body.reader.into_inner();
        // Without linger the close sends FIN; what the test then sees is a polite client, not a lost one.
        SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("a connected socket can linger");
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    socket.set_write_timeout(Some(SILENCE_MAX))?;
    Ok(socket)
}

fn open(method: &str, url: &str, headers: Headers<'_>, body: &[u8]) -> io::Result<Stream> {
    let rest = url.strip_prefix("http://").ok_or_else(|| bad(format!("`{url}` is no http:// address")))?;
    let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    let has = |name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    if method != "GET" {
        if !has("content-type") {
            head.push_str("content-type: application/json\r\n");
        }
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");

    let mut socket = connect(address)?;
    let sent = Instant::now();
    let wrote = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body));
    let mut reader = BufReader::new(socket);
    // A server may refuse a large body before it has read all of it: its answer counts, not our broken pipe.
    match (read_head(&mut reader), wrote) {
        (Ok((status, headers)), _) => {
            let framing = if method == "HEAD" { Framing::Length(0) } else { Framing::of(status, &headers)? };
            Ok(Stream { status, headers, body: Body { reader, framing }, sent })
        }
        (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
    }
}

fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<(u16, HeaderMap)> {
    loop {
        let mut head = reader.by_ref().take(HEAD_BYTES_MAX);
        let first = head_line(&mut head)?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.ok_or_else(|| bad(format!("no status in `{first}`")))?;
        let mut headers = HeaderMap::new();
        loop {
            let line = head_line(&mut head)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad(format!("no header: `{line}`")))?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| bad(error.to_string()))?;
            headers.append(
                name,
                HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|error| bad(error.to_string()))?,
            );
        }
        if status >= 200 {
            return Ok((status, headers));
        }
    }
}

fn head_line(head: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    head.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended within the head"));
    }
    Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
}

fn bad(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[derive(PartialEq, Eq, Debug)]
enum Framing {
    /// Bytes left.
    Length(u64),
    /// Bytes left of the current chunk.
    Chunked(u64),
    UntilClose,
    Ended,
}

impl Framing {
    fn of(status: u16, headers: &HeaderMap) -> io::Result<Framing> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if matches!(status, 204 | 304) {
            return Ok(Framing::Ended);
        }
        if text("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return Ok(Framing::Chunked(0));
        }
        match text("content-length") {
            None => Ok(Framing::UntilClose),
            Some(length) => match length.parse() {
                Ok(0) => Ok(Framing::Ended),
                Ok(length) => Ok(Framing::Length(length)),
                Err(_) => Err(bad(format!("content-length `{length}`"))),
            },
        }
    }
}

struct Body {
    reader: BufReader<TcpStream>,
    framing: Framing,
}

impl Body {
    fn is_whole(&self) -> bool {
        self.framing == Framing::Ended
    }

    /// A line without its end; none at the end of the body and when the connection broke. What stands before a broken
    /// end without a newline is no line.
    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let mut byte = [0u8];
        loop {
            // Byte by byte from a buffer: the frame's time is that of its own last byte.
            match self.read(&mut byte) {
                Ok(1) if byte[0] == b'\n' => break,
                Ok(1) => line.push(byte[0]),
                _ => return None,
            }
        }
        Some(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
    }

    fn next_chunk(&mut self) -> io::Result<u64> {
        let line = head_line(&mut self.reader)?;
        let size = line.split(';').next().unwrap_or("").trim();
        u64::from_str_radix(size, 16).map_err(|_| bad(format!("chunk size `{line}`")))
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Framing::Chunked(0) = self.framing {
            match self.next_chunk()? {
                0 => {
                    while !head_line(&mut self.reader)?.is_empty() {}
                    self.framing = Framing::Ended;
                }
                size => self.framing = Framing::Chunked(size),
            }
        }
        let left = match self.framing {
            Framing::Ended => return Ok(0),
            Framing::UntilClose => u64::MAX,
            Framing::Length(left) | Framing::Chunked(left) => left,
        };
        let room = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.reader.read(&mut into[..room])?;
        let rest = left.saturating_sub(count as u64);
        self.framing = match (&self.framing, count) {
            (Framing::UntilClose, 0) => Framing::Ended,
            (Framing::UntilClose, _) => Framing::UntilClose,
            (_, 0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body is cut")),
            (Framing::Length(_), _) if rest == 0 => Framing::Ended,
            (Framing::Length(_), _) => Framing::Length(rest),
            (Framing::Chunked(_), _) => {
                if rest == 0 {
                    head_line(&mut self.reader)?;
                }
                Framing::Chunked(rest)
            }
            (Framing::Ended, _) => Framing::Ended,
        };
        Ok(count)
    }
}
