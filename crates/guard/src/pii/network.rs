//! IP and MAC addresses.

use super::shape::ends_at;
use crate::{
    candidate::{Candidate, PII, Proof},
    window::{Labels, Window, is_digit, is_hex},
};

/// Words beside which four numbers with dots are a version and not an address.
static VERSIONS: Labels =
    Labels::new(&["version", "v", "release", "build", "rev", "section", "chapter", "clause", "rule"]);
static ADDRESSES: Labels =
    Labels::new(&["ip", "ipv4", "address", "host", "server", "client", "addr", "gateway", "dns"]);

/// Longer than any group of an address.
const LABEL_MAX: usize = 8;

pub(super) fn ipv4(window: &Window, start: usize, digits: usize, out: &mut Vec<Candidate>) {
    if digits > 3 || window.at(start + digits) != b'.' {
        return;
    }
    let mut i = start;
    let mut octets = [0u32; 4];
    for (n, octet) in octets.iter_mut().enumerate() {
        let end = window.run(i, 4, is_digit);
        let part = window.slice(i, end);
        *octet = part.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        if part.is_empty() || part.len() > 3 || *octet > 255 || (part.len() > 1 && part[0] == b'0') {
            return;
        }
        i = end;
        if n < 3 {
            if window.at(i) != b'.' {
                return;
            }
            i += 1;
        }
    }
    // A port or a prefix length may follow; more numbers with dots may not.
    let is_end = match window.at(i) {
        b':' | b'/' | b'-' => true,
        _ => ends_at(window, i),
    };
    // 127.0.0.1, 0.0.0.0 and 255.… name no one.
    let is_nobody = octets[0] == 127 || octets == [0; 4] || octets[0] == 255;
    if !is_end || is_nobody {
        return;
    }
    // A prefix length makes it a network.
    let is_network = window.at(i) == b'/' && window.at(i + 1).is_ascii_digit();
    let is_version = window.has_label_left(start, 12, &VERSIONS)
        || !is_network
            && octets.iter().all(|octet| *octet < 20)
            && !window.has_label_left(start, 24, &ADDRESSES);
    if !is_version {
        push(start, i, "IP_ADDRESS", 0.95, out);
    }
}

/// `i` is the first colon of the address.
pub(super) fn ipv6(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let start = window.run_back(i, 5, is_hex);
    let before = window.before(start);
    if i - start > 4
        || before == b':' && (start == i || is_glued(window, start))
        || before.is_ascii_alphanumeric()
        || matches!(before, b'_' | b'.' | b'-')
    {
        return;
    }
    let mut groups = 0;
    let mut has_gap = false;
    let mut at = start;
    let mut end = start;
    loop {
        let stop = window.run(at, 5, is_hex);
        if stop - at > 4 {
            return;
        }
        if stop > at {
            groups += 1;
            end = stop;
        }
        if window.at(stop) != b':' || groups > 8 {
            break;
        }
        if window.at(stop + 1) == b':' {
            if has_gap {
                return;
            }
            has_gap = true;
            end = stop + 2;
            at = stop + 2;
        } else if is_hex(window.at(stop + 1)) {
            at = stop + 1;
        } else {
            break;
        }
    }
    // The last two groups may be written as IPv4; what only begins so is no address at all.
    if window.at(end) == b'.' && window.at(end + 1).is_ascii_digit() {
        let Some(stop) = embedded(window, end) else { return };
        groups += 1;
        end = stop;
    }
    let text = window.slice(start, end);
    // `std::fmt` and `a::b` are paths: an address with a gap has a digit and two groups at least; `::1` names no one.
    let is_whole = if has_gap { (2..8).contains(&groups) } else { groups == 8 };
    let has_digit = text.iter().any(u8::is_ascii_digit);
    let next = window.at(end);
    if is_whole
        && has_digit
        && !next.is_ascii_alphanumeric()
        && !matches!(next, b'_' | b':')
        && text.len() >= 6
    {
        push(start, end, "IP_ADDRESS", 0.95, out);
    }
}

/// The end of the IPv4 address whose first octet ends at `dot`.
fn embedded(window: &Window, dot: usize) -> Option<usize> {
    let start = window.run_back(dot, 4, is_digit);
    let end = window.run(start, 16, |byte| is_digit(byte) || byte == b'.');
    let text = window.slice(start, end);
    let text = text.strip_suffix(b".").unwrap_or(text);
    let mut octets = 0;
    for part in text.split(|byte| *byte == b'.') {
        let value = part.iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        if part.is_empty() || part.len() > 3 || value > 255 {
            return None;
        }
        octets += 1;
    }
    (octets == 4).then_some(start + text.len())
}

/// Whether what ends with the mark before `start` is more of the same: `MAC:58:…` has a label there.
fn is_glued(window: &Window, start: usize) -> bool {
    let before = window.before(start - 1);
    is_hex(before) && !is_word(window, start - 1) || before == window.before(start)
}

/// Whether the word that ends before `end` has letters that no hexadecimal number has.
fn is_word(window: &Window, end: usize) -> bool {
    let start = window.run_back(end, LABEL_MAX, |byte| byte.is_ascii_alphabetic());
    !window.slice(start, end).iter().all(|byte| is_hex(*byte))
}

/// `i` is the first colon or dash.
pub(super) fn mac(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let mark = window.at(i);
    let start = window.run_back(i, 3, is_hex);
    let before = window.before(start);
    let goes_on = before == mark && is_glued(window, start);
    if i - start != 2 || before.is_ascii_alphanumeric() || goes_on || before == b'_' {
        return;
    }
    let mut at = start;
    for n in 0..6 {
        if !is_hex(window.at(at)) || !is_hex(window.at(at + 1)) || (n < 5 && window.at(at + 2) != mark) {
            return;
        }
        at += if n < 5 { 3 } else { 2 };
    }
    let next = window.at(at);
    // The address of everyone and that of no one.
    let digits = window.slice(start, at);
    let is_nobody = digits.iter().all(|byte| matches!(byte, b'0') || *byte == mark)
        || digits.iter().all(|byte| matches!(byte, b'f' | b'F') || *byte == mark);
    if !is_nobody && !next.is_ascii_alphanumeric() && next != mark && next != b'_' {
        push(start, at, "MAC_ADDRESS", 0.95, out);
    }
}

fn push(start: usize, end: usize, label: &'static str, score: f32, out: &mut Vec<Candidate>) {
    out.push(Candidate { start, end, kind: PII, label, score, proof: Proof::Checked });
}

/// `i` is the first dot of `0012.3456.789a`, as Cisco writes MAC addresses.
pub(super) fn mac_dotted(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let start = window.run_back(i, 5, is_hex);
    let before = window.before(start);
    if i - start != 4 || before.is_ascii_alphanumeric() || matches!(before, b'.' | b'_' | b'-') {
        return;
    }
    let middle = window.run(i + 1, 5, is_hex);
    let end = window.run(middle + 1, 5, is_hex);
    if middle - i - 1 != 4 || window.at(middle) != b'.' || end - middle - 1 != 4 || !ends_at(window, end) {
        return;
    }
    // Groups of decimal digits alone are as often prices and versions.
    let text = window.slice(start, end);
    let has_letter = text.iter().any(u8::is_ascii_alphabetic);
    if has_letter || window.has_label_left(start, 24, &MAC_LABELS) {
        push(start, end, "MAC_ADDRESS", 0.95, out);
    }
}

static MAC_LABELS: Labels = Labels::new(&["mac", "hardware address", "physical address", "ethernet"]);
