//! `application/vnd.amazon.eventstream`: the binary frames in which Bedrock streams.
//!
//! A message is `total length · headers' length · CRC of both · headers · payload · CRC of all`, lengths and CRC-32 as
//! big-endian `u32` (AWS, "Amazon Event Stream Specification"). Here a message becomes a server-sent event, so that the
//! rest of the gateway reads one kind of stream; what the payload says is the dialect's affair.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::sse;

/// The bytes that one message may have: as a server-sent event, which is a little longer for its field names, it must
/// still pass `sse::FRAME_MAX`. AWS itself allows 16 MiB, and sends a few hundred bytes.
pub const MESSAGE_MAX: usize = sse::FRAME_MAX - (64 << 10);
/// Lengths and their CRC.
const PRELUDE: usize = 12;
const CRC: usize = 4;
/// A prelude, no headers, no payload, the last CRC.
const MESSAGE_MIN: usize = PRELUDE + CRC;

/// Bytes that are no event stream. After one the rest of the stream is lost: nothing tells where a message begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BadMessage {
    #[error(
        "an event stream's message is said to have {0} bytes; from {MESSAGE_MIN} to {MESSAGE_MAX} are read"
    )]
    Length(usize),
    #[error("an event stream's headers are said to be longer than their message")]
    HeadersLength,
    #[error("the checksum of an event stream's {0} does not fit: bytes were changed on the way")]
    Checksum(&'static str),
    #[error("an event stream's header cannot be read: {0}")]
    Header(&'static str),
    #[error("the event stream ends within a message")]
    Cut,
}

/// What a message says of itself in `:message-type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageKind {
    Event,
    /// A failure that the service's model names, such as `throttlingException`.
    Exception,
    /// Any other failure; it has a code and a text in headers, and no payload.
    Error,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub kind: MessageKind,
    /// The type of the event or exception, or the code of the error.
    pub name: String,
    pub payload: Bytes,
}

impl Message {
    /// The same as a server-sent event: `event: <name>`, and the payload as its data.
    pub fn to_sse(&self) -> Bytes {
        let mut frame = BytesMut::with_capacity(self.payload.len() + self.name.len() + 24);
        frame.extend_from_slice(b"event: ");
        // A name with a line break in it would begin a field of its own.
        frame.extend(self.name.bytes().filter(|byte| !byte.is_ascii_control()));
        frame.extend_from_slice(b"\n");
        // JSON may hold line breaks between its values, never within; each line is a field.
        let mut lines = self.payload.split(|byte| matches!(byte, b'\n' | b'\r'));
        let first = lines.next().unwrap_or_default();
        for line in std::iter::once(first).chain(lines.filter(|line| !line.is_empty())) {
            frame.extend_from_slice(b"data: ");
            frame.extend_from_slice(line);
            frame.extend_from_slice(b"\n");
        }
        frame.extend_from_slice(b"\n");
        frame.freeze()
    }
}

/// Collects bytes until they make a message. Holds at most one message and the piece that ended it.
#[derive(Default)]
pub struct Decoder {
    waiting: BytesMut,
    failed: Option<BadMessage>,
}

impl Decoder {
    pub fn push(&mut self, piece: &[u8]) {
        if self.failed.is_none() {
            self.waiting.extend_from_slice(piece);
        }
    }

    /// The next whole message; none until more bytes come. Call it until it gives none before the next `push`.
    pub fn message(&mut self) -> Result<Option<Message>, BadMessage> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let read = self.read();
        if let Err(bad) = read {
            self.failed = Some(bad);
            self.waiting = BytesMut::new();
        }
        read
    }

    /// Whether the stream may end here. Errors: a message has begun and is not whole.
    pub fn finish(&self) -> Result<(), BadMessage> {
        if self.waiting.is_empty() { Ok(()) } else { Err(BadMessage::Cut) }
    }

    fn read(&mut self) -> Result<Option<Message>, BadMessage> {
        let Some(prelude) = self.waiting.first_chunk::<PRELUDE>() else { return Ok(None) };
        let mut fields = &prelude[..];
        let (total, headers) = (fields.get_u32() as usize, fields.get_u32() as usize);
        // Checked before the message is waited for: a changed length would have us wait for the wrong number of bytes.
        if crc32fast::hash(&prelude[..PRELUDE - CRC]) != fields.get_u32() {
            return Err(BadMessage::Checksum("lengths"));
        }
        if !(MESSAGE_MIN..=MESSAGE_MAX).contains(&total) {
            return Err(BadMessage::Length(total));
        }
        if headers > total - MESSAGE_MIN {
            return Err(BadMessage::HeadersLength);
        }
        if self.waiting.len() < total {
            return Ok(None);
        }
        let message = self.waiting.split_to(total).freeze();
        let (content, mut crc) = message.split_at(total - CRC);
        if crc32fast::hash(content) != crc.get_u32() {
            return Err(BadMessage::Checksum("message"));
        }
        let payload = message.slice(PRELUDE + headers..total - CRC);
        message_of(Headers::read(&content[PRELUDE..PRELUDE + headers])?, payload).map(Some)
    }
}

fn message_of(headers: Headers, payload: Bytes) -> Result<Message, BadMessage> {
    let (kind, name, payload) = match headers.message_type.as_deref() {
        Some("event") => (MessageKind::Event, headers.event_type, payload),
        Some("exception") => (MessageKind::Exception, headers.exception_type, payload),
        Some("error") => {
            // Its text stands in a header; as JSON it reads like an exception's.
            let text = headers.error_message.unwrap_or_default();
            let payload = serde_json::json!({"message": text}).to_string();
            (MessageKind::Error, headers.error_code, payload.into())
        }
        Some(_) => return Err(BadMessage::Header("`:message-type` is unknown")),
        None => return Err(BadMessage::Header("there is no `:message-type`")),
    };
    let name = name.ok_or(BadMessage::Header("the message has no name"))?;
    Ok(Message { kind, name, payload })
}

/// The headers that say what a message is; others are passed over.
#[derive(Default)]
struct Headers {
    message_type: Option<String>,
    event_type: Option<String>,
    exception_type: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl Headers {
    fn read(mut bytes: &[u8]) -> Result<Headers, BadMessage> {
        let mut headers = Headers::default();
        while !bytes.is_empty() {
            let length = take(&mut bytes, 1)?[0] as usize;
            let name = take(&mut bytes, length)?;
            let value = value(&mut bytes)?;
            let place = match name {
                b":message-type" => &mut headers.message_type,
                b":event-type" => &mut headers.event_type,
                b":exception-type" => &mut headers.exception_type,
                b":error-code" => &mut headers.error_code,
                b":error-message" => &mut headers.error_message,
                _ => continue,
            };
            let text = value.ok_or(BadMessage::Header("a name or type is no text"))?;
            let text = std::str::from_utf8(text).map_err(|_| BadMessage::Header("a text is not UTF-8"))?;
            *place = Some(text.to_owned());
        }
        Ok(headers)
    }
}

/// Passes a value; gives its bytes if it is a text.
fn value<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BadMessage> {
    let fixed = match take(bytes, 1)?[0] {
        // True and false, which have no bytes of their own.
        0 | 1 => 0,
        // Numbers of one, two, four and eight bytes; a time; a UUID.
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        kind @ (6 | 7) => {
            let length = take(bytes, 2)?;
            let text = take(bytes, usize::from(u16::from_be_bytes([length[0], length[1]])))?;
            return Ok((kind == 7).then_some(text));
        }
        _ => return Err(BadMessage::Header("its type is unknown")),
    };
    take(bytes, fixed)?;
    Ok(None)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], BadMessage> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(BadMessage::Header("it ends too early"))?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests;
