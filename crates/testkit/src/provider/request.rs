//! Reading a request from a socket.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::format::Format;

/// More than any client under test should send; what is over it is a fault of the test.
const HEAD_BYTES_MAX: u64 = 1 << 20;
const BODY_BYTES_MAX: u64 = 256 << 20;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    /// With its query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// When its last byte had been read.
    pub at: Instant,
}

impl Seen {
    /// Panics with the body when it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// In whose words it is asked.
    pub fn format(&self) -> Format {
        Format::of_path(&self.path)
    }

    /// The model asked for: in the body, or in the path.
    pub fn model(&self) -> String {
        let in_path = || match self.format() {
            Format::Gemini => {
                let (_, rest) = self.path.split_once("/models/")?;
                Some(rest.split(':').next().unwrap_or(rest).to_owned())
            }
            Format::Converse => {
                let (_, rest) = self.path.split_once("/model/")?;
                Some(rest.split('/').next().unwrap_or(rest).to_owned())
            }
            _ => None,
        };
        let in_body = || self.field("model").and_then(|model| model.as_str().map(str::to_owned));
        in_path().or_else(in_body).unwrap_or_else(|| "test-model".to_owned())
    }

    pub fn asks_stream(&self) -> bool {
        match self.format() {
            Format::Gemini => self.path.contains(":streamGenerateContent"),
            Format::Converse => self.path.ends_with("/converse-stream"),
            _ => self.field("stream").is_some_and(|stream| stream == true),
        }
    }

    /// The body's field if it is JSON and has one: for answers that follow what was asked.
    pub(crate) fn field(&self, name: &str) -> Option<Value> {
        serde_json::from_slice::<Value>(&self.body).ok()?.get(name).cloned()
    }
}

/// The next request on a connection; none when the client has closed it.
pub(super) fn read(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Seen>> {
    let mut head = reader.by_ref().take(HEAD_BYTES_MAX);
    let mut first = Vec::new();
    if head.read_until(b'\n', &mut first)? == 0 {
        return Ok(None);
    }
    let first = String::from_utf8_lossy(&first).trim_end().to_owned();
    let mut words = first.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Err(bad(&first)) };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| bad(&first))?;
    let path = path.to_owned();

    let mut headers = HeaderMap::new();
    loop {
        let mut line = Vec::new();
        head.read_until(b'\n', &mut line)?;
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        let colon =
            line.iter().position(|byte| *byte == b':').ok_or_else(|| bad("a header without a colon"))?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| bad("a header with a bad name"))?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii())
            .map_err(|_| bad("a header with a bad value"))?;
        headers.append(name, value);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    if text("expect").eq_ignore_ascii_case("100-continue") {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let body = if text("transfer-encoding").eq_ignore_ascii_case("chunked") {
        read_chunks(reader)?
    } else {
        let length: u64 = match text("content-length") {
            "" => 0,
            length => length.parse().map_err(|_| bad("a bad content-length"))?,
        };
        read_exactly(reader, length)?
    };
    Ok(Some(Seen { method, path, headers, body: body.into(), at: Instant::now() }))
}

fn read_exactly(reader: &mut BufReader<&TcpStream>, length: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let read = reader.by_ref().take(length.min(BODY_BYTES_MAX)).read_to_end(&mut body)?;
    if read as u64 == length { Ok(body) } else { Err(bad("the body is cut or too large")) }
}

fn read_chunks(reader: &mut BufReader<&TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.by_ref().take(HEAD_BYTES_MAX).read_line(&mut line)?;
        let size = line.split(';').next().unwrap_or("").trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| bad("a bad chunk size"))?;
        if body.len() as u64 + size > BODY_BYTES_MAX {
            return Err(bad("the body is too large"));
        }
        body.extend(read_exactly(reader, size)?);
        // The newline after a chunk; after the last one, trailers and the empty line that ends them.
        loop {
            let mut end = String::new();
            reader.by_ref().take(HEAD_BYTES_MAX).read_line(&mut end)?;
            if size > 0 || end.trim_end().is_empty() {
                break;
            }
        }
        if size == 0 {
            return Ok(body);
        }
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
