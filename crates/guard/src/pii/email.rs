//! E-mail addresses.

use crate::{
    candidate::{Candidate, PII, Proof},
    window::{LOOKBACK, Window},
};

/// RFC 1035 allows 255; real domains are far below, and a stream has to wait this long.
const DOMAIN_MAX: usize = 96;

/// `i` is the place of the `@`.
pub(super) fn at(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let mut start = window.run_back(i, LOOKBACK, is_local);
    // A longer run is no address; and punctuation before one is not part of it.
    if i - start == LOOKBACK && is_local(window.before(start)) {
        return;
    }
    while start < i && !window.at(start).is_ascii_alphanumeric() && window.at(start) != b'_' {
        start += 1;
    }
    if start == i || window.before(i) == b'.' {
        return;
    }
    if window.slice(start, i).windows(2).any(|pair| pair == b"..") {
        return;
    }
    let Some(end) = domain_end(window, i + 1) else { return };
    // `postgres://user:word@host` is a credential and not an address.
    if window.before(start) == b':'
        && window.slice(start.saturating_sub(LOOKBACK), start).windows(3).any(|w| w == b"://")
    {
        return;
    }
    out.push(Candidate { start, end, kind: PII, label: "EMAIL_ADDRESS", score: 1.0, proof: Proof::Checked });
}

/// The end of a domain with at least two parts, the last of letters.
fn domain_end(window: &Window, start: usize) -> Option<usize> {
    let run =
        window.run(start, DOMAIN_MAX, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if run - start == DOMAIN_MAX {
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
    let is_top = top.len() >= 2 && (top.iter().all(u8::is_ascii_alphabetic) || top.starts_with(b"xn--"));
    (is_sound && is_top && !is_file_ending(top)).then_some(end)
}

/// `icon@2x.png` and `pkg@1.0.tar` name files.
fn is_file_ending(top: &[u8]) -> bool {
    const ENDINGS: &[&[u8]] = &[
        b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"js", b"ts", b"css", b"html", b"json", b"tgz",
        b"tar", b"gz",
    ];
    ENDINGS.iter().any(|ending| top.eq_ignore_ascii_case(ending))
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&*+/=?^_~-".contains(&byte)
}
