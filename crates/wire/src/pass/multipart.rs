//! Forms of several parts, split by place: what is inside a part stays where it is.

use std::ops::Range;

use memchr::memmem;

use crate::json::Malformed;

/// More fields than any of these endpoints has.
const PARTS_MAX: usize = 128;
/// A boundary has at most 70 characters (RFC 2046).
const BOUNDARY_MAX: usize = 70;

#[derive(Debug)]
pub(super) struct Part {
    pub name: String,
    /// The name of its file, where it is one.
    pub file: Option<String>,
    pub value: Range<usize>,
}

/// The boundary that a content type names; none for any other content type.
pub fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    (!value.is_empty() && value.len() <= BOUNDARY_MAX).then(|| value.to_owned())
}

/// The parts of a form. Errors: it does not begin, go on or end as its boundary says.
pub(super) fn parts(boundary: &str, body: &[u8]) -> Result<Vec<Part>, Malformed> {
    let wrong = |what: &str| Malformed::new(format!("the form {what}"));
    let mark = format!("--{boundary}");
    if !body.starts_with(mark.as_bytes()) {
        return Err(wrong("does not begin with its boundary"));
    }
    let finder = memmem::Finder::new(mark.as_bytes());
    let mut parts = Vec::new();
    let mut at = mark.len();
    loop {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if !rest.starts_with(b"\r\n") {
            return Err(wrong("has a boundary without a line end"));
        }
        if parts.len() == PARTS_MAX {
            return Err(wrong(&format!("has more than {PARTS_MAX} parts")));
        }
        let head = at + 2;
        let Some(length) = memmem::find(&body[head..], b"\r\n\r\n") else {
            // A part without headers begins with the blank line at once.
            return Err(wrong(if rest.starts_with(b"\r\n\r\n") {
                "has a part without a name"
            } else {
                "has no end"
            }));
        };
        let value = head + length + 4;
        // The mark counts at the beginning of a line alone.
        let mut from = value;
        let end = loop {
            let Some(found) = finder.find(&body[from..]) else { return Err(wrong("has no end")) };
            let found = from + found;
            if found >= value + 2 && body[found - 2..found] == *b"\r\n" {
                break found;
            }
            if found == value {
                break found;
            }
            from = found + 1;
        };
        let (name, file) = disposition(&body[head..head + length]);
        let Some(name) = name else { return Err(wrong("has a part without a name")) };
        parts.push(Part { name, file, value: value..end.saturating_sub(2).max(value) });
        at = end + mark.len();
    }
}

/// Name and file name of a part's head.
fn disposition(head: &[u8]) -> (Option<String>, Option<String>) {
    let head = String::from_utf8_lossy(head);
    let line = head.split("\r\n").find(|line| {
        line.split_once(':').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))
    });
    let parameter = |wanted: &str| {
        line?.split(';').skip(1).find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    (parameter("name"), parameter("filename").or_else(|| parameter("filename*")))
}
