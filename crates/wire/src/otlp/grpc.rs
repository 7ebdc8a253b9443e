//! gRPC as far as one unary method needs it: what stands before a message, statuses, and how their words and details
//! travel (`grpc/doc/PROTOCOL-HTTP2.md`, `grpc/doc/statuscodes.md`). Connections are for others.

use std::{fmt, time::Duration};

use bytes::Bytes;
use prost::Message;

use super::{
    binary,
    proto::{self, RetryInfo, RpcStatus},
};

/// The one method of OTLP's traces.
pub const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Before each message: a byte that says whether it is packed, four of its length.
pub const PREFIX_BYTES: usize = 5;
const RETRY_INFO: &str = "google.rpc.RetryInfo";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

/// Whether a sender of spans may send the same once more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    Yes,
    /// If the receiver says after how long.
    IfTold,
    No,
}

impl Status {
    /// By number.
    pub const ALL: [Status; 17] = [
        Status::Ok,
        Status::Cancelled,
        Status::Unknown,
        Status::InvalidArgument,
        Status::DeadlineExceeded,
        Status::NotFound,
        Status::AlreadyExists,
        Status::PermissionDenied,
        Status::ResourceExhausted,
        Status::FailedPrecondition,
        Status::Aborted,
        Status::OutOfRange,
        Status::Unimplemented,
        Status::Internal,
        Status::Unavailable,
        Status::DataLoss,
        Status::Unauthenticated,
    ];

    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Of `grpc-status`; what is no known number is `Unknown`.
    pub fn of_text(text: &str) -> Status {
        let number = text.trim().parse().ok();
        number.and_then(|number: usize| Status::ALL.get(number).copied()).unwrap_or(Status::Unknown)
    }

    /// Of an answer that has none, as a proxy in between gives (`grpc/doc/http-grpc-status-mapping.md`).
    pub const fn of_http(status: u16) -> Status {
        match status {
            400 => Status::Internal,
            401 => Status::Unauthenticated,
            403 => Status::PermissionDenied,
            404 => Status::Unimplemented,
            429 | 502 | 503 | 504 => Status::Unavailable,
            _ => Status::Unknown,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::Cancelled => "CANCELLED",
            Status::Unknown => "UNKNOWN",
            Status::InvalidArgument => "INVALID_ARGUMENT",
            Status::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Status::NotFound => "NOT_FOUND",
            Status::AlreadyExists => "ALREADY_EXISTS",
            Status::PermissionDenied => "PERMISSION_DENIED",
            Status::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Status::FailedPrecondition => "FAILED_PRECONDITION",
            Status::Aborted => "ABORTED",
            Status::OutOfRange => "OUT_OF_RANGE",
            Status::Unimplemented => "UNIMPLEMENTED",
            Status::Internal => "INTERNAL",
            Status::Unavailable => "UNAVAILABLE",
            Status::DataLoss => "DATA_LOSS",
            Status::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// The table of the OTLP specification, "OTLP/gRPC Response", "Failures".
    pub const fn again(self) -> Again {
        match self {
            Status::Cancelled
            | Status::DeadlineExceeded
            | Status::Aborted
            | Status::OutOfRange
            | Status::Unavailable
            | Status::DataLoss => Again::Yes,
            Status::ResourceExhausted => Again::IfTold,
            Status::Ok
            | Status::Unknown
            | Status::InvalidArgument
            | Status::NotFound
            | Status::AlreadyExists
            | Status::PermissionDenied
            | Status::FailedPrecondition
            | Status::Unimplemented
            | Status::Internal
            | Status::Unauthenticated => Again::No,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message with its prefix.
pub fn framed(message: &[u8], is_packed: bool) -> Bytes {
    let mut framed = Vec::with_capacity(PREFIX_BYTES + message.len());
    framed.push(u8::from(is_packed));
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}

/// The one message of a body, and whether it is packed; else what is wrong with the body.
pub fn unframed(mut body: Bytes) -> Result<(Bytes, bool), &'static str> {
    let Some(prefix) = body.first_chunk::<PREFIX_BYTES>().copied() else {
        return Err("it is shorter than a message's prefix");
    };
    let message = body.split_off(PREFIX_BYTES);
    let [flag, a, b, c, d] = prefix;
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() || flag > 1 {
        return Err("its prefix does not fit what follows");
    }
    Ok((message, flag == 1))
}

/// Words as `grpc-message` has them: printable ASCII but the percent sign.
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The words of a `grpc-message`, whatever it holds: a percent sign that stands for nothing stands for itself.
pub fn percent_decoded(encoded: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The pause that `grpc-status-details-bin` asks for by its `RetryInfo`; none without such, zero for one without a delay.
pub fn retry_delay(details: &str) -> Option<Duration> {
    let status = RpcStatus::decode(&binary::from_base64(details.trim())?[..]).ok()?;
    let names = |url: &str| url.rsplit('/').next() == Some(RETRY_INFO);
    let info = status.details.iter().find(|detail| names(&detail.type_url))?;
    let delay = RetryInfo::decode(&info.value[..]).ok()?.retry_delay.unwrap_or_default();
    let seconds = u64::try_from(delay.seconds).unwrap_or(0);
    Some(Duration::new(seconds, u32::try_from(delay.nanos).unwrap_or(0).min(999_999_999)))
}

/// `grpc-status-details-bin` of a status after which the same may be sent again.
pub fn retry_details(status: Status, delay: Duration) -> String {
    let retry_delay = proto::Duration {
        seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
        nanos: delay.subsec_nanos() as i32,
    };
    let info = RetryInfo { retry_delay: Some(retry_delay) };
    let detail =
        proto::Any { type_url: format!("type.googleapis.com/{RETRY_INFO}"), value: info.encode_to_vec() };
    let status = RpcStatus { code: status.number().into(), message: String::new(), details: vec![detail] };
    binary::to_base64(&status.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_whole_message() {
        let check = |body: &'static [u8], expected: Option<(&'static [u8], bool)>| {
            let read = unframed(Bytes::from_static(body)).ok();
            assert_eq!(read, expected.map(|(bytes, packed)| (Bytes::from_static(bytes), packed)), "{body:?}");
            if let Some((message, is_packed)) = expected {
                assert_eq!(framed(message, is_packed), body);
            }
        };
        check(b"\0\0\0\0\x02hi", Some((b"hi", false)));
        check(b"\x01\0\0\0\0", Some((b"", true)));
        check(b"\0\0\0\0\x03hi", None);
        check(b"\0\0\0\0\x01hi", None);
        check(b"\x02\0\0\0\x02hi", None);
        check(b"\0\0", None);
    }

    #[test]
    fn messages_travel_in_a_header() {
        assert_eq!(percent_encoded("50 % of\n\u{fc}"), "50 %25 of%0A%C3%BC");
        assert_eq!(percent_decoded(b"50 %25 of%0A%C3%BC"), "50 % of\n\u{fc}");
        assert_eq!(percent_decoded(b"100%, %z1, %4"), "100%, %z1, %4");
        assert_eq!(percent_decoded(b"%FF"), "\u{fffd}");
    }

    #[test]
    fn statuses_have_the_numbers_of_grpc() {
        for (number, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(status.number()), number);
            assert_eq!(Status::of_text(&number.to_string()), status);
        }
        for odd in ["", "17", "-1", "OK"] {
            assert_eq!(Status::of_text(odd), Status::Unknown, "{odd}");
        }
    }

    #[test]
    fn what_may_be_sent_again_is_what_otlp_says() {
        let again: Vec<u8> = (0..17).filter(|at| Status::ALL[*at as usize].again() == Again::Yes).collect();
        assert_eq!(again, [1, 4, 10, 11, 14, 15]);
        let told: Vec<u8> = (0..17).filter(|at| Status::ALL[*at as usize].again() == Again::IfTold).collect();
        assert_eq!(told, [8]);
    }

    #[test]
    fn a_pause_is_read_from_the_details() {
        let check = |details: &str, expected: Option<Duration>| {
            assert_eq!(retry_delay(details), expected, "{details}");
        };
        // By Google's own library for Python: Status(code=8, details=[RetryInfo of 2.5 s]), padded and not.
        let real = "CAgaNgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIKCggIAhCAyrXuAQ==";
        check(real, Some(Duration::from_millis(2_500)));
        check(real.trim_end_matches('='), Some(Duration::from_millis(2_500)));
        let own = retry_details(Status::Unavailable, Duration::from_millis(40));
        check(&own, Some(Duration::from_millis(40)));
        for none in ["", "CAg=", "not base64!", "AAAA"] {
            check(none, None);
        }
    }
}
