//! What is written in a text under another alphabet: base64 and its kin, escapes, character codes, Morse, shifted letters and such.
//!
//! What can be undone in place is: the rest of the text stays around it, and the encoded signs, which say nothing in
//! themselves, are not read. Where it is only likely that letters stand for others, the text is read both ways. A decoding
//! counts only if it reads as text, so that keys, hashes and pictures give nothing. What is decoded may be decoded again, up
//! to two levels, and everything decoded together is bounded by the length of the text.

mod escapes;
mod joined;
mod letters;
mod numbers;
mod runs;
mod signs;

use std::{borrow::Cow, ops::Range};

pub(super) use letters::COMMON;

/// Levels of encoding that are undone.
const DEPTH: usize = 2;
/// Other ways to read one text. Attacks hide one payload; a long document with many would cost without end.
const READINGS_MAX: usize = 12;
/// Texts shorter than this say nothing when decoded.
const READABLE_MIN: usize = 6;

/// A text as it is to be read.
pub(crate) struct Decoded<'t> {
    /// With all undone that can be undone in place.
    pub(crate) main: Cow<'t, str>,
    /// Blocks of it under the alphabets that they are likely written in.
    pub(crate) others: Vec<String>,
}

/// What is to be put in place of parts of a text.
type Edits = Vec<(Range<usize>, String)>;

pub(crate) fn decode(text: &str) -> Decoded<'_> {
    let mut main = Cow::Borrowed(text);
    let mut others = Vec::new();
    let mut seen = Seen::of(text.as_bytes());
    // What was hidden beside the visible text.
    let mut budget = 2 * text.len();
    let mut take = |found: String, others: &mut Vec<String>| {
        if others.len() < READINGS_MAX && found.len() <= budget && !others.contains(&found) {
            budget -= found.len();
            others.push(found);
        }
    };
    if !text.is_ascii() {
        signs::hidden(text, &mut |found| take(found, &mut others));
    }
    for _ in 0..DEPTH {
        let Some(undone) = undo(&main, &seen) else { break };
        seen = Seen::of(undone.as_bytes());
        main = Cow::Owned(undone);
    }
    if let Some(undone) = letters::rotated(&main, &seen) {
        main = Cow::Owned(undone);
    }
    letters::decode(&main, &seen, &mut |found| take(found, &mut others));
    // Under shifted or mirrored letters there may be one more encoding.
    for other in &mut others {
        if let Some(undone) = undo(other, &Seen::of(other.as_bytes())) {
            *other = undone;
        }
    }
    Decoded { main, others }
}

/// The text with one level of encoding undone, if there is any.
fn undo(text: &str, seen: &Seen) -> Option<String> {
    let escaped = if seen.escapes() >= escapes::MIN { escapes::undo(text) } else { None };
    let text = escaped.as_deref().unwrap_or(text);
    let mut edits = Edits::new();
    if seen.longest >= runs::RUN_MIN {
        runs::find(text, &mut edits);
    }
    if seen.capitals() >= runs::SPACED_MIN && seen.digits() >= 6 {
        runs::spaced(text, &mut edits);
    }
    if seen.digits() >= 12 {
        numbers::lists(text, &mut edits);
    }
    if seen.count(b".-_") >= 12 && numbers::has_signs(text) || seen.others >= 24 {
        numbers::morse(text, &mut edits);
    }
    signs::find(text, seen, &mut edits);
    joined::find(text, seen, &mut edits);
    if edits.is_empty() { escaped } else { Some(apply(text, edits)) }
}

/// Of overlapping edits the one that starts first is made, of those the longest.
fn apply(text: &str, mut edits: Edits) -> String {
    edits.sort_by_key(|(range, _)| (range.start, usize::MAX - range.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, decoded) in edits {
        if range.start >= at {
            out.push_str(&text[at..range.start]);
            out.push_str(&decoded);
            at = range.end;
        }
    }
    out.push_str(&text[at..]);
    out
}

/// How often each byte stands in a text, and how long its longest stretch without white space is: enough to know which
/// encodings it cannot hold.
struct Seen {
    counts: [u32; 128],
    others: usize,
    longest: usize,
}

impl Seen {
    fn of(bytes: &[u8]) -> Seen {
        let mut seen = Seen { counts: [0; 128], others: 0, longest: 0 };
        let mut run = 0;
        for byte in bytes {
            match seen.counts.get_mut(usize::from(*byte)) {
                Some(count) => *count += 1,
                None => seen.others += 1,
            }
            if *byte > b' ' {
                run += 1;
            } else {
                seen.longest = seen.longest.max(run);
                run = 0;
            }
        }
        seen.longest = seen.longest.max(run);
        seen
    }

    fn count(&self, bytes: &[u8]) -> usize {
        bytes.iter().map(|byte| self.counts[usize::from(*byte)] as usize).sum()
    }

    fn escapes(&self) -> usize {
        self.count(b"\\%&=") + self.counts[usize::from(b'+')].min(self.counts[usize::from(b'U')]) as usize
    }

    fn capitals(&self) -> usize {
        (b'0'..=b'Z').map(|byte| self.counts[usize::from(byte)] as usize).sum()
    }

    fn digits(&self) -> usize {
        // Lists of hexadecimal codes of letters have a digit in each.
        self.count(b"0123456789")
    }
}

/// The bytes as text, if they are one: UTF-8, mostly letters and spaces, hardly any control characters.
fn readable(bytes: Vec<u8>) -> Option<String> {
    let bytes = narrow(bytes);
    let text = String::from_utf8(bytes).ok()?;
    if text.trim().len() < READABLE_MIN {
        return None;
    }
    let (mut letters, mut others, mut all) = (0, 0, 0);
    for c in text.chars() {
        all += 1;
        letters += usize::from(c.is_alphabetic() || c == ' ');
        others += usize::from(c.is_control() && !c.is_whitespace());
    }
    // Text that is encoded once more has few letters and no spaces, but is plain ASCII throughout.
    let is_inner =
        all >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    (others == 0 && (letters * 4 >= all * 3 || is_inner)).then_some(text)
}

/// Two bytes for each character, of which one is nought, as one.
fn narrow(bytes: Vec<u8>) -> Vec<u8> {
    for zero in [0, 1] {
        let is_wide = bytes.len() >= 8 && bytes.iter().skip(zero).step_by(2).all(|byte| *byte == 0);
        if is_wide {
            return bytes.into_iter().skip(1 - zero).step_by(2).collect();
        }
    }
    bytes
}

/// The same for encodings by which half of all noise decodes to something: it must read as words.
fn wordy(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let letters = text.bytes().filter(|byte| byte.is_ascii_alphabetic() || *byte == b' ').count();
    let others = text.bytes().filter(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()).count();
    (text.len() >= 8 && others == 0 && letters * 6 >= text.len() * 5 && text.contains(' ')).then_some(text)
}

#[cfg(test)]
mod tests;
