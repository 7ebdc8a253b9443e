//! Text inside text: what a run of symbols says once it is decoded or read aloud.
//!
//! [`forms`] has the codecs as functions of plain bytes; this module finds runs at the bytes that wake detectors, and
//! `spelled.rs` those without such a byte. The scanner looks at what comes out with the text to the left before it, and
//! what it finds there stands for the run: for all of it where symbols mix the bytes of several characters (base64,
//! hex), else for the part that says it. Runs are followed for [`ENCODED_MAX`] bytes; of a longer one the first so many
//! are decoded. A stream holds an encoded run back until it ends, as it does an open-ended secret, and no longer than
//! that bound.

mod digits;
pub(crate) mod forms;
pub(crate) mod spelled;

use std::ops::Range;

use crate::{
    candidate::Proof,
    trigger::is_trigger,
    window::{LOOKBACK, Window, is_alnum, is_hex},
};

/// The longest run that is decoded, in bytes: three thousand bytes of base64, of which a stream has to hold all.
pub(crate) const ENCODED_MAX: usize = 4096;

/// How often what was decoded is decoded again.
pub(crate) const DEPTH_MAX: u8 = 2;

/// Shorter runs hide nothing: nine bytes in base64, eight in hex.
const BASE64_MIN: usize = 12;
const HEX_MIN: usize = 16;
/// So many symbols show whether a run is encoded text.
const HEAD: usize = 16;

/// A run and what it says.
pub(crate) struct Decoded {
    pub(crate) span: Range<usize>,
    pub(crate) text: String,
    /// For each byte of `text`, where what says it starts, and at last the end; empty where the whole run says all.
    starts: Vec<usize>,
    pub(crate) reading: Reading,
}

/// How likely a run was written to say something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reading {
    /// Nobody writes it so by chance.
    Sure,
    /// Tables and lists look so as well: what it says must have a check, or a label.
    Likely,
    /// Tables and lists look so more often than not: there must be a label.
    Listed,
}

impl Reading {
    /// Whether what is so well proven counts when it was read so.
    pub(crate) fn admits(self, proof: Proof) -> bool {
        match self {
            Reading::Sure => true,
            Reading::Likely => proof >= Proof::Labelled,
            Reading::Listed => matches!(proof, Proof::Labelled | Proof::CheckedAndLabelled),
        }
    }
}

impl Decoded {
    /// The part of the run that says the bytes `part` of the text.
    pub(crate) fn said_by(&self, part: Range<usize>) -> Range<usize> {
        match (self.starts.get(part.start), self.starts.get(part.end)) {
            (Some(start), Some(end)) => *start..*end,
            _ => self.span.clone(),
        }
    }
}

/// Text under way, with what says each byte.
#[derive(Default)]
struct Spelling {
    text: String,
    starts: Vec<usize>,
}

impl Spelling {
    fn push(&mut self, c: char, start: usize) {
        self.text.push(c);
        self.starts.resize(self.text.len(), start);
    }

    fn end(mut self, span: Range<usize>, reading: Reading) -> Decoded {
        self.starts.push(span.end);
        Decoded { span, text: self.text, starts: self.starts, reading }
    }
}

/// Appends the runs whose first trigger is the byte at `i`.
pub(crate) fn at(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    match window.bytes()[i] {
        b'%' => out.extend(percent(window, i)),
        b'&' => out.extend(entities(window, i)),
        b'\\' => out.extend(escapes(window, i)),
        // All runs begin with the first of several digits.
        b'0'..=b'9' if window.before(i).is_ascii_digit() => {}
        b'0'..=b'9' => {
            symbols(window, i, out);
            hex_pairs(window, i, out);
            digits::spaced(window, i, out);
            digits::groups(window, i, out);
            digits::look_alikes(window, i, out);
            digits::address(window, i, out);
            digits::codes(window, i, out);
        }
        b'=' => {
            symbols(window, i, out);
            out.extend(quoted_printable(window, i));
        }
        b'A' | b'J' | b'-' | b'_' => {
            symbols(window, i, out);
            digits::spaced(window, i, out);
        }
        b'@' => {
            digits::spaced(window, i, out);
            out.extend(spelled::address(window, i));
        }
        _ => {}
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_~+@".contains(&byte)
}

/// `ann%40example.com`, `%34%31…`
fn percent(window: &Window, i: usize) -> Option<Decoded> {
    let is_escape =
        |at: usize| window.at(at) == b'%' && is_hex(window.at(at + 1)) && is_hex(window.at(at + 2));
    let start = window.run_back(i, LOOKBACK, is_plain);
    // The run began before, at another escape.
    if !is_escape(i) || window.before(start) == b'%' {
        return None;
    }
    let mut bytes = Vec::new();
    let mut starts = Vec::new();
    let mut at = start;
    while at < start + ENCODED_MAX {
        if is_escape(at) {
            bytes.extend(forms::hex(&[window.at(at + 1), window.at(at + 2)]).unwrap_or_default());
        } else if is_plain(window.at(at)) {
            bytes.push(window.at(at));
        } else {
            break;
        }
        starts.push(at);
        at += if window.at(at) == b'%' { 3 } else { 1 };
    }
    starts.push(at);
    Some(Decoded { span: start..at, text: String::from_utf8(bytes).ok()?, starts, reading: Reading::Sure })
}

/// `ann&#64;example&period;com`
fn entities(window: &Window, i: usize) -> Option<Decoded> {
    forms::entity(|k| window.at(i + k))?;
    let start = window.run_back(i, LOOKBACK, is_plain);
    if window.before(start) == b';' && window.slice(start.saturating_sub(10), start).contains(&b'&') {
        return None;
    }
    let mut spelling = Spelling::default();
    let mut at = start;
    while at < start + ENCODED_MAX {
        if let Some((c, len)) = forms::entity(|k| window.at(at + k)) {
            spelling.push(c, at);
            at += len;
        } else if is_plain(window.at(at)) {
            spelling.push(char::from(window.at(at)), at);
            at += 1;
        } else {
            break;
        }
    }
    Some(spelling.end(start..at, Reading::Sure))
}

/// `=61=6E=6E=40`: quoted-printable where it has no need to be.
fn quoted_printable(window: &Window, i: usize) -> Option<Decoded> {
    let is_escape =
        |at: usize| window.at(at) == b'=' && is_hex(window.at(at + 1)) && is_hex(window.at(at + 2));
    if !is_escape(i) || i >= 3 && is_escape(i - 3) {
        return None;
    }
    let mut bytes = Vec::new();
    let mut starts = Vec::new();
    let mut at = i;
    while is_escape(at) && at < i + ENCODED_MAX {
        bytes.extend(forms::hex(&[window.at(at + 1), window.at(at + 2)]).unwrap_or_default());
        starts.push(at);
        at += 3;
    }
    starts.push(at);
    let text = if bytes.len() < HEX_MIN / 2 { None } else { forms::readable(bytes) };
    Some(Decoded { span: i..at, text: text?, starts, reading: Reading::Sure })
}

/// `\u0061\u006e\x6e`
fn escapes(window: &Window, i: usize) -> Option<Decoded> {
    forms::escape(|k| window.at(i + k))?;
    let start = window.run_back(i, LOOKBACK, is_plain);
    if window.before(start) == b'\\' && matches!(window.at(start), b'u' | b'x' | b'U' | b'0' | b'1') {
        return None;
    }
    // `\n` before an escape is no part of the word.
    let start = if window.before(start) == b'\\' { start + 1 } else { start };
    let mut spelling = Spelling::default();
    let mut at = start;
    while at < start + ENCODED_MAX {
        if let Some((c, len)) = forms::escape(|k| window.at(at + k)) {
            spelling.push(c, at);
            at += len;
        } else if is_plain(window.at(at)) || window.at(at) == b' ' && window.at(at + 1) == b'\\' {
            spelling.push(char::from(window.at(at)), at);
            at += 1;
        } else {
            break;
        }
    }
    Some(spelling.end(start.min(i)..at, Reading::Sure))
}

/// Base64 in both alphabets, base32 and hex: a word that says nothing itself.
fn symbols(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    let is_url = matches!(window.at(i), b'-' | b'_');
    let set: fn(u8) -> bool = if is_url { is_url_symbol } else { is_symbol };
    let mut start = window.run_back(i, LOOKBACK, set);
    let head = window.slice(start, i);
    if set(window.before(start)) || head.iter().any(|byte| is_trigger(*byte)) {
        return;
    }
    // `path/symbols`: the last part may be what is encoded.
    for _ in 0..2 {
        // Most words that are not encoded give themselves away at once, and need not be followed.
        let head = window.run(start, HEAD, set);
        if head - start >= BASE64_MIN && is_encoded(window.slice(start, head)) {
            let whole = window.run(start, ENCODED_MAX, set);
            let end = window.run(whole, 6, |byte| byte == b'=');
            let text = decode_symbols(window.slice(start, whole)).and_then(forms::readable);
            out.extend(text.map(|text| Decoded {
                span: start..end,
                text,
                starts: Vec::new(),
                reading: Reading::Sure,
            }));
            return;
        }
        let Some(slash) = window.slice(start, i).iter().rposition(|byte| *byte == b'/') else { return };
        start += slash + 1;
    }
}

/// Whether symbols that begin so may be text in one of the encodings.
fn is_encoded(head: &[u8]) -> bool {
    let is_text = |bytes: Option<Vec<u8>>| bytes.is_some_and(|bytes| forms::begins_readable(&bytes));
    let bare = head.strip_prefix(b"0x").unwrap_or(head);
    is_text(forms::base64(&head[..8]))
        || is_text(forms::hex(&bare[..bare.len() / 2 * 2]))
        || is_text(forms::base32(&head[..8]))
}

fn decode_symbols(run: &[u8]) -> Option<Vec<u8>> {
    let bare = run.strip_prefix(b"0x").unwrap_or(run);
    if bare.len() >= HEX_MIN && bare.len().is_multiple_of(2) && bare.iter().all(u8::is_ascii_hexdigit) {
        return forms::hex(bare);
    }
    let run = if run.len() >= ENCODED_MAX { &run[..run.len() / 4 * 4] } else { run };
    let is_base32 = run.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
    let text = |bytes: Option<Vec<u8>>| bytes.filter(|bytes| forms::begins_readable(bytes));
    text(forms::base64(run)).or_else(|| if is_base32 { text(forms::base32(run)) } else { None })
}

fn is_symbol(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn is_url_symbol(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// `61 6e 6e 40`: the code of a readable character begins with a digit, so that each pair wakes this.
fn hex_pairs(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    let mark = window.at(i + 2);
    let is_pair = |at: usize| {
        matches!(window.at(at), b'2'..=b'7') && is_hex(window.at(at + 1)) && !is_alnum(window.at(at + 2))
    };
    if !matches!(mark, b' ' | b':' | b'-' | b',') || is_alnum(window.before(i)) || !is_pair(i) {
        return;
    }
    if window.before(i) == mark && i >= 3 && is_hex(window.before(i - 1)) && is_pair(i - 3) {
        return;
    }
    let mut bytes = Vec::new();
    let mut at = i;
    while is_pair(at) && bytes.len() < ENCODED_MAX / 3 {
        bytes.extend(forms::hex(&[window.at(at), window.at(at + 1)]).unwrap_or_default());
        at += 3;
        if window.at(at - 1) != mark {
            break;
        }
    }
    let says_more = bytes.iter().any(|byte| !byte.is_ascii_digit() || *byte < b'4');
    if bytes.len() >= HEX_MIN / 2
        && says_more
        && let Some(text) = forms::readable(bytes)
    {
        out.push(Decoded { span: i..at - 1, text, starts: Vec::new(), reading: Reading::Likely });
    }
}
