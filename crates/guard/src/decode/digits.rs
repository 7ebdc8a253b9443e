//! Numbers that are written apart: digit by digit, in groups that no register prints, with letters for digits, as codes.
//!
//! Each reading starts at the first digit of its run and reads on from there, so that a stream waits for the rest.

use super::{Decoded, Reading, Spelling};
use crate::window::{LOOKBACK, Window, is_alnum};

/// Single characters with a gap after each, as few as the shortest number has digits.
const SPACED_MIN: usize = 7;
const SPACED_MAX: usize = 80;
/// A printed number has no more groups than an IBAN.
const GROUPS_MAX: usize = 10;
/// Of the numbers that are known, all but a few have so many digits.
const DIGITS_MIN: usize = 8;
const DIGITS_MAX: usize = 22;
/// A group and what may stand between two: `" + "`.
const GROUP_MAX: usize = 20;
const GAP_MAX: usize = 5;
/// So many character codes say something.
const CODES_MIN: usize = 7;
const CODES_MAX: usize = 64;

/// `4 1 1 1 …`, `a.n.n.@…`, `(4)(1)(1)…`: single characters with the same gap after each.
pub(super) fn spaced(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    let gap = window.at(i + 1);
    if !is_gap(gap) || is_gap(window.at(i)) {
        return;
    }
    // In lists and tables, single digits stand between such marks; a label must tell.
    let reading = if matches!(gap, b' ' | b'.' | b'-' | b'_') { Reading::Likely } else { Reading::Listed };
    let mut start = i;
    // A stream holds single characters between spaces; of a character with something else at it, only digits.
    let is_apart = |at: usize| gap != b' ' || matches!(window.before(at), b' ' | b'\n' | 0);
    while start >= 2
        && i - start < LOOKBACK
        && window.before(start) == gap
        && reading == Reading::Likely
        && is_single(window, start - 2, gap)
        && (is_apart(start - 2) || window.at(start - 2).is_ascii_digit())
    {
        start -= 2;
        // The run was found from that character.
        if matches!(window.at(start), b'0'..=b'9' | b'A' | b'J' | b'@') {
            return;
        }
    }
    if start == i && is_alnum(window.before(i)) || reading == Reading::Listed && goes_on(window, i, gap) {
        return;
    }
    let mut spelling = Spelling::default();
    let mut at = start;
    let mut end = start;
    while spelling.text.len() < SPACED_MAX && is_single(window, at, gap) {
        spelling.push(char::from(window.at(at)), at);
        end = at + 1;
        at = end;
        while at < end + 3 && is_same_gap(window.at(at), gap) {
            at += 1;
        }
        if at == end {
            break;
        }
    }
    if spelling.text.len() < SPACED_MIN {
        return;
    }
    // A number may be followed by a word of one letter.
    let digits = spelling.text.bytes().take_while(u8::is_ascii_digit).count();
    if digits >= SPACED_MIN && digits < spelling.text.len() {
        let part =
            Spelling { text: spelling.text[..digits].to_owned(), starts: spelling.starts[..digits].to_vec() };
        let end = part.starts.last().map_or(start, |last| last + 1);
        out.push(part.end(start..end, reading));
    }
    out.push(spelling.end(start..end, reading));
}

fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b'.' | b'-' | b'_' | b',' | b'/' | b'*' | b'|' | b'~' | b')' | b'\n' | b'+')
}

/// Whether `byte` is part of the gap that begins with `gap`: a comma may have a space after it, `)` is followed by `(`.
fn is_same_gap(byte: u8, gap: u8) -> bool {
    byte == gap || matches!((gap, byte), (b',', b' ' | b'\n') | (b')', b'(') | (b'\n', b' '))
}

/// Whether a single digit with the same gap stands before the one at `i`, from which the run was read.
fn goes_on(window: &Window, i: usize, gap: u8) -> bool {
    let at = window.run_back(i, 3, |byte| is_gap(byte) || byte == b'(');
    at < i && window.before(at).is_ascii_digit() && window.at(at) == gap
}

/// A character that stands alone at `at`.
fn is_single(window: &Window, at: usize, gap: u8) -> bool {
    let byte = window.at(at);
    byte.is_ascii_graphic()
        && byte != gap
        && !is_alnum(window.at(at + 1))
        && (at == 0 || !is_alnum(window.before(at)))
}

/// `4111_1111_1111_1111`, `123 . 45 . 6789`, `535709\n302`: groups of digits with gaps that no identifier is printed with.
pub(super) fn groups(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    if is_alnum(window.before(i)) || is_continued(window, i) {
        return;
    }
    let mut parts = [(0, 0); GROUPS_MAX];
    let (mut at, mut count, mut digits, mut is_odd, mut end) = (i, 0, 0, false, i);
    let mut first_gap = None;
    while count < GROUPS_MAX && digits < DIGITS_MAX {
        let stop = window.run(at, GROUP_MAX, |byte| byte.is_ascii_digit());
        if stop == at {
            break;
        }
        parts[count] = (at, stop);
        count += 1;
        digits += stop - at;
        end = stop;
        let next = window.run(stop, GAP_MAX, is_group_mark);
        let gap = window.slice(stop, next);
        if gap.is_empty() || !window.at(next).is_ascii_digit() || is_list(gap) {
            break;
        }
        is_odd |= !matches!(gap, b" " | b"-" | b".") || *first_gap.get_or_insert(gap) != gap || gap == b".";
        at = next;
    }
    if count < 2 || !(DIGITS_MIN..=DIGITS_MAX).contains(&digits) || is_alnum(window.at(end)) {
        return;
    }
    let parts = &parts[..count];
    let read = |gap: Option<char>| {
        let mut spelling = Spelling::default();
        for (n, (start, stop)) in parts.iter().enumerate() {
            if let Some(gap) = gap.filter(|_| n > 0) {
                spelling.push(gap, parts[n - 1].1);
            }
            (*start..*stop).for_each(|k| spelling.push(char::from(window.at(k)), k));
        }
        spelling
    };
    // Prices are grouped as well, and tables; so without the gaps a label must tell.
    if digits > DIGITS_MIN && !is_timestamp(window, parts) {
        out.push(read(None).end(i..end, Reading::Listed));
    }
    if is_odd && digits <= 19 {
        out.push(read(Some(' ')).end(i..end, Reading::Likely));
    }
}

/// `2025-02-14 13`: the start of most lines of most logs.
fn is_timestamp(window: &Window, parts: &[(usize, usize)]) -> bool {
    let len = |n: usize| parts.get(n).map_or(0, |(start, stop)| stop - start);
    len(0) == 4
        && len(1) == 2
        && len(2) == 2
        && matches!(window.slice(parts[0].0, parts[0].0 + 2), b"19" | b"20")
}

/// Whether a group with a mark stands before the one at `i`, from which the run was read.
fn is_continued(window: &Window, i: usize) -> bool {
    let gap = window.run_back(i, GAP_MAX, is_group_mark);
    gap < i && window.before(gap).is_ascii_digit() && !is_list(window.slice(gap, i)) && {
        let start = window.run_back(gap, GROUP_MAX, |byte| byte.is_ascii_digit());
        !is_alnum(window.before(start))
    }
}

fn is_group_mark(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'_' | b'/' | b'*' | b'|' | b',' | b'~' | b'\n' | b'\t' | b'"' | b'+')
}

/// Numbers in a list have a comma and a space between them, sums a plus, times a sign before their zone.
fn is_list(gap: &[u8]) -> bool {
    gap.contains(&b'+') && !gap.contains(&b'"')
        || matches!(gap, b" -" | b", " | b". " | b"," | b",\n" | b"\",\"" | b"\", \"")
}

/// `4l11 1111 O123 …`: letters that pass for digits, among digits.
pub(super) fn look_alikes(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    let start = window.run_back(i, 3, |byte| digit_of(byte).is_some());
    if is_alnum(window.before(start)) {
        return;
    }
    // Plain digits say themselves.
    let stop = window.run(start, DIGITS_MAX, |byte| digit_of(byte).is_some() || matches!(byte, b' ' | b'-'));
    if window.slice(start, stop).iter().all(|byte| !byte.is_ascii_alphabetic()) {
        return;
    }
    let mut spelling = Spelling::default();
    let (mut at, mut letters, mut end) = (start, 0, start);
    while spelling.text.len() < GROUP_MAX + DIGITS_MAX {
        match digit_of(window.at(at)) {
            Some(digit) => {
                letters += usize::from(!window.at(at).is_ascii_digit());
                spelling.push(digit, at);
                end = at + 1;
            }
            None if matches!(window.at(at), b' ' | b'-')
                && digit_of(window.at(at + 1)).is_some()
                && at == end =>
            {
                spelling.push(char::from(window.at(at)), at);
            }
            None => break,
        }
        at += 1;
    }
    let digits = spelling.text.bytes().filter(u8::is_ascii_digit).count();
    if letters > 0
        && letters * 2 <= digits
        && (DIGITS_MIN..=DIGITS_MAX).contains(&digits)
        && !is_alnum(window.at(end))
    {
        spelling.text.truncate(end - start);
        spelling.starts.truncate(end - start);
        let mut bare = Spelling::default();
        for (c, place) in spelling.text.chars().zip(&spelling.starts).filter(|(c, _)| c.is_ascii_digit()) {
            bare.push(c, *place);
        }
        out.push(bare.end(start..end, Reading::Listed));
        out.push(spelling.end(start..end, Reading::Listed));
    }
}

fn digit_of(byte: u8) -> Option<char> {
    match byte {
        b'0'..=b'9' => Some(char::from(byte)),
        b'O' | b'o' => Some('0'),
        b'l' | b'I' => Some('1'),
        _ => None,
    }
}

/// `185[.]76[.]139[.]142`, `185 dot 76 dot 139 dot 142`, `756 dot 9217 dot 0769 dot 85`.
pub(super) fn address(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    let mark = window.run(i, 6, |byte| byte.is_ascii_digit());
    let is_marked = match window.at(mark) {
        b'[' | b'(' | b'{' => true,
        b' ' => matches!(window.at(mark + 1), b'd' | b'D' | b'.'),
        _ => false,
    };
    if is_alnum(window.before(i)) || !is_marked {
        return;
    }
    let mut spelling = Spelling::default();
    let mut at = i;
    let mut end;
    let mut parts = 0;
    loop {
        end = window.run(at, 6, |byte| byte.is_ascii_digit());
        if end == at || end - at > 5 {
            return;
        }
        (at..end).for_each(|k| spelling.push(char::from(window.at(k)), k));
        parts += 1;
        const DOTS: [&[u8]; 9] =
            [b"[.]", b"(.)", b"{.}", b"[dot]", b"(dot)", b"{dot}", b" dot ", b" DOT ", b" . "];
        let dot = DOTS.iter().find(|dot| window.starts_with(end, dot));
        let Some(dot) = dot.filter(|dot| parts < 5 && window.at(end + dot.len()).is_ascii_digit()) else {
            break;
        };
        spelling.push('.', end);
        at = end + dot.len();
    }
    if parts >= 3 && !is_alnum(window.at(end)) {
        out.push(spelling.end(i..end, Reading::Sure));
    }
}

/// `97 110 110 64 …`, `97, 110, …` and `01100001 01101110 …`: codes of readable characters.
pub(super) fn codes(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    let code = |at: usize| {
        let end = window.run(at, 9, |byte| byte.is_ascii_digit());
        let digits = window.slice(at, end);
        let value = match digits.len() {
            2 | 3 => digits.iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0')),
            8 if digits.iter().all(|digit| matches!(digit, b'0' | b'1')) => {
                digits.iter().fold(0u32, |sum, digit| sum << 1 | u32::from(digit - b'0'))
            }
            _ => 0,
        };
        char::from_u32(value).filter(|c| matches!(c, ' '..='~')).map(|c| (c, end, digits.len() == 8))
    };
    let before = window.run_back(i, 2, |byte| matches!(byte, b' ' | b','));
    if is_alnum(window.before(i)) || before < i && window.before(before).is_ascii_digit() {
        return;
    }
    // Most numbers have no such number after them.
    let Some((_, stop, _)) = code(i) else { return };
    let next = window.run(stop, 2, |byte| matches!(byte, b' ' | b','));
    if next == stop || code(next).is_none() {
        return;
    }
    let mut spelling = Spelling::default();
    let (mut at, mut end) = (i, i);
    let mut width = None;
    while spelling.text.len() < CODES_MAX {
        let Some((c, stop, is_binary)) = code(at) else { break };
        if *width.get_or_insert(is_binary) != is_binary {
            break;
        }
        spelling.push(c, at);
        end = stop;
        let next = window.run(stop, 2, |byte| matches!(byte, b' ' | b','));
        if next == stop {
            break;
        }
        at = next;
    }
    if spelling.text.len() >= CODES_MIN && !is_alnum(window.at(end)) {
        out.push(spelling.end(i..end, Reading::Likely));
    }
}
