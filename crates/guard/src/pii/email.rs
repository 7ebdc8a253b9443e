//! E-mail addresses.

use super::top_level;
use crate::{
    candidate::{Candidate, PII, Proof},
    decode::forms::rot13,
    window::{LOOKBACK, Window, is_accented},
};

/// RFC 1035 allows 255; real domains are far below, and a stream has to wait this long.
const DOMAIN_MAX: usize = 96;

/// `i` is the place of the `@`.
pub(super) fn at(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let mut start = local_start(window, i);
    // A longer run is no address; and punctuation before one is not part of it.
    if i - start >= LOOKBACK && is_local(window.before(start)) {
        return;
    }
    while start < i
        && window.at(start).is_ascii()
        && !window.at(start).is_ascii_alphanumeric()
        && window.at(start) != b'_'
    {
        start += 1;
    }
    if start == i || window.before(i) == b'.' {
        return;
    }
    if window.slice(start, i).windows(2).any(|pair| pair == b"..") {
        return;
    }
    let Some(end) = domain_end(window, i + 1) else {
        if let Some(end) = reversed(window, start, i) {
            push(start, end, out);
        }
        return;
    };
    // `postgres://user:word@host` is a credential and not an address.
    if window.before(start) == b':'
        && window.slice(start.saturating_sub(LOOKBACK), start).windows(3).any(|w| w == b"://")
    {
        return;
    }
    push(start, end, out);
}

fn push(start: usize, end: usize, out: &mut Vec<Candidate>) {
    out.push(Candidate { start, end, kind: PII, label: "EMAIL_ADDRESS", score: 1.0, proof: Proof::Checked });
}

/// Where the local part starts: letters with accents belong to it (RFC 6531).
fn local_start(window: &Window, i: usize) -> usize {
    let floor = i.saturating_sub(LOOKBACK);
    let mut start = i;
    while start > floor {
        let byte = window.before(start);
        if is_local(byte) {
            start -= 1;
        } else if matches!(byte, 0x80..=0xBF) && start >= floor + 2 && is_accented(window.before(start - 1)) {
            start -= 2;
        } else {
            break;
        }
    }
    start
}

/// The end of a domain with at least two parts, the last of them known.
fn domain_end(window: &Window, start: usize) -> Option<usize> {
    let mut run = start;
    while run < start + DOMAIN_MAX {
        match window.at(run) {
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') => run += 1,
            byte if is_accented(byte) && matches!(window.at(run + 1), 0x80..=0xBF) => run += 2,
            _ => break,
        }
    }
    if run - start >= DOMAIN_MAX {
        return None;
    }
    let mut end = run;
    // A full stop or dash after an address ends the sentence.
    while end > start && matches!(window.at(end - 1), b'.' | b'-') {
        end -= 1;
    }
    let domain = window.slice(start, end);
    let last = domain.iter().rposition(|byte| *byte == b'.')?;
    let top = &domain[last + 1..];
    let is_sound = domain.split(|byte| *byte == b'.').all(|part| {
        !part.is_empty() && part.len() <= 63 && part.first() != Some(&b'-') && part.last() != Some(&b'-')
    });
    if !is_sound {
        return None;
    }
    if top_level::is_known(top) {
        return Some(end);
    }
    // "mail ann@example.com.Then": the sentence goes on without a space.
    if top.first().is_some_and(u8::is_ascii_uppercase) {
        let shorter = &domain[..last];
        let before = shorter.iter().rposition(|byte| *byte == b'.')?;
        return top_level::is_known(&shorter[before + 1..]).then_some(start + last);
    }
    // Letters thirteen places on, domain and all.
    let turned: Vec<u8> = top.iter().map(|byte| rot13(*byte)).collect();
    top_level::is_common(&turned).then_some(end)
}

/// `moc.elpmaxe@nna`: the end of an address written backwards.
fn reversed(window: &Window, start: usize, i: usize) -> Option<usize> {
    let domain = window.slice(start, i);
    let dot = domain.iter().position(|byte| *byte == b'.')?;
    let top: Vec<u8> = domain[..dot].iter().rev().copied().collect();
    let end = window.run(i + 1, LOOKBACK, is_local);
    let mut end = end;
    while end > i + 1 && !window.at(end - 1).is_ascii_alphanumeric() {
        end -= 1;
    }
    (top_level::is_common(&top) && end >= i + 3).then_some(end)
}

/// RFC 5322 allows more, but `email=`, `?to=` and `path/` before an address are none of it far more often.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".%+_~-".contains(&byte)
}
