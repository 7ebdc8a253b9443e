//! What is read aloud: `ann at example dot com`, `four one one one …`.
//!
//! Such runs have no byte that is rare in prose, so that they are found by words of their own in a pass of its own.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{Decoded, Spelling};
use crate::window::{LOOKBACK, Window, is_alnum};

/// Digits by their names; `oh` is how a zero is said and means nothing by itself.
const NUMBERS: [&str; 11] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "oh"];

/// How `@` is spelled. A bare word needs white space around it and more evidence.
const SIGNS: [&str; 8] = [" at ", "at]", "at)", "at}", "at>", "_at_", "arroba", "klammeraffe"];

/// Fewer spoken digits are a count or a year.
const DIGITS_MIN: usize = 7;
const DIGITS_MAX: usize = 24;

/// Words before a bare "at" that are no one's mailbox: "find us at example dot com".
const NOBODY: [&[u8]; 20] = [
    b"us",
    b"me",
    b"it",
    b"him",
    b"her",
    b"them",
    b"you",
    b"out",
    b"look",
    b"find",
    b"available",
    b"hosted",
    b"is",
    b"are",
    b"was",
    b"site",
    b"live",
    b"up",
    b"or",
    b"and",
];

pub(crate) struct Spelled {
    words: AhoCorasick,
}

impl Spelled {
    pub(crate) fn new() -> Spelled {
        let words = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostFirst)
            .kind(Some(AhoCorasickKind::DFA))
            .build(SIGNS.iter().chain(&NUMBERS[..10]))
            .expect("eighteen short words make a small automaton");
        Spelled { words }
    }

    /// Calls `found` with the place of each word at or after `from` that may begin or join a run.
    pub(crate) fn each(&self, window: &Window, from: usize, mut found: impl FnMut(usize, bool)) {
        let mut at = from;
        while let Some(hit) = self.words.find(window.slice(at, window.len())) {
            let start = at + hit.start();
            let is_number = hit.pattern().as_usize() >= SIGNS.len();
            // Words inside words are most of them: "someone", "data)".
            if !is_number || !is_alnum(window.before(start)) {
                found(start, is_number);
            }
            at = start + 1;
        }
    }
}

/// `i` is the first letter of a number's name. Reads digits from there if no digit is said before.
pub(crate) fn digits(window: &Window, i: usize) -> Option<Decoded> {
    let word_end = window.run_back(i, 3, |byte| matches!(byte, b' ' | b'-' | b','));
    let word = window.slice(window.run_back(word_end, 8, is_alnum), word_end);
    if word_end < i && (number(word).is_some() || word.len() == 1 && word[0].is_ascii_digit()) {
        return None;
    }
    let mut spelling = Spelling::default();
    let (mut at, mut end) = (i, i);
    let mut times = 1;
    while spelling.text.len() < DIGITS_MAX {
        let stop = window.run(at, 8, is_alnum);
        let word = window.slice(at, stop);
        let digit = match word {
            [digit @ b'0'..=b'9'] => Some(u32::from(digit - b'0')),
            _ => number(word),
        };
        match digit {
            Some(digit) => {
                (0..times).for_each(|_| spelling.push(char::from_digit(digit, 10).unwrap_or('0'), at));
                times = 1;
                end = stop;
            }
            None if word.eq_ignore_ascii_case(b"double") && !spelling.text.is_empty() => times = 2,
            None if word.eq_ignore_ascii_case(b"triple") && !spelling.text.is_empty() => times = 3,
            None => break,
        }
        let gap = window.run(stop, 3, |byte| matches!(byte, b' ' | b'-' | b','));
        if gap == stop {
            break;
        }
        at = gap;
    }
    (spelling.text.len() >= DIGITS_MIN).then(|| spelling.end(i..end, false))
}

fn number(word: &[u8]) -> Option<u32> {
    NUMBERS
        .iter()
        .position(|name| word.eq_ignore_ascii_case(name.as_bytes()))
        .map(|n| if n == 10 { 0 } else { n as u32 })
}

/// `i` is where a spelled `@` was found, or one with something around it: `ann @ example . com`. Reads the address around it.
pub(crate) fn address(window: &Window, i: usize) -> Option<Decoded> {
    // The sign's own borders: brackets, spaces, low lines.
    let is_border = |byte: u8| matches!(byte, b' ' | b'[' | b'(' | b'{' | b'<' | b'_' | b'-');
    let word = window.run(i, 1, is_border);
    let word_end = match window.at(word) {
        b'@' => word + 1,
        _ => window.run(word, 12, |byte| byte.is_ascii_alphabetic()),
    };
    let before = window.run_back(word, 3, is_border);
    let after =
        window.run(word_end, 3, |byte| matches!(byte, b' ' | b']' | b')' | b'}' | b'>' | b'_' | b'-'));
    if before == word || after == word_end {
        return None;
    }
    let is_bare = window.slice(before, word) == b" " && window.slice(word, word_end) == b"at";
    // The mailbox, read backwards over "dot": `ann dot smith`.
    let mut start = window.run_back(before, LOOKBACK, is_local);
    let mut parts = vec![(start, before)];
    while let Some((part, end)) = dot_before(window, start, i) {
        parts.push((part, end));
        start = part;
    }
    let mut spelling = Spelling::default();
    let has_spelled_dot_left = parts.len() > 1;
    for (n, (from, to)) in parts.into_iter().rev().enumerate() {
        if n > 0 {
            spelling.push('.', from - 1);
        }
        (from..to).for_each(|k| spelling.push(char::from(window.at(k)), k));
    }
    let local = spelling.text.clone();
    if local.is_empty() || NOBODY.iter().any(|word| local.as_bytes().eq_ignore_ascii_case(word)) {
        return None;
    }
    spelling.push('@', word);
    let (mut at, mut end, mut has_spelled_dot, mut labels) = (after, after, false, 0);
    loop {
        let stop = window.run(at, 63, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if stop == at || labels == 6 {
            break;
        }
        (at..stop).for_each(|k| spelling.push(char::from(window.at(k)), k));
        labels += 1;
        end = stop;
        let Some((next, is_spelled)) = dot_after(window, stop) else { break };
        spelling.push('.', stop);
        has_spelled_dot |= is_spelled;
        at = next;
    }
    if spelling.text.ends_with('.') {
        spelling.text.pop();
        spelling.starts.pop();
    }
    // "look at example.com" is no address; `ann.b at example.com` is.
    let is_telling = local.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_'));
    if labels < 2 || is_bare && !has_spelled_dot && !has_spelled_dot_left && !is_telling {
        return None;
    }
    Some(spelling.end(start..end, true))
}

/// `part dot ` before `at`: where the part starts and ends.
fn dot_before(window: &Window, at: usize, i: usize) -> Option<(usize, usize)> {
    let word_end = window.run_back(at, 3, |byte| matches!(byte, b' ' | b']' | b')' | b'}' | b'_'));
    let word = window.run_back(word_end, 4, |byte| byte.is_ascii_alphabetic());
    let end = window.run_back(word, 3, |byte| matches!(byte, b' ' | b'[' | b'(' | b'{' | b'_'));
    if word_end == at || end == word || !is_dot(window.slice(word, word_end)) {
        return None;
    }
    let floor = i.saturating_sub(LOOKBACK);
    let start = window.run_back(end, end.saturating_sub(floor), is_local);
    (start < end).then_some((start, end))
}

/// A dot or its name at `at`: where the next part starts, and whether it was a name.
fn dot_after(window: &Window, at: usize) -> Option<(usize, bool)> {
    if window.at(at) == b'.' && is_alnum(window.at(at + 1)) {
        return Some((at + 1, false));
    }
    let word = window.run(at, 3, |byte| matches!(byte, b' ' | b'[' | b'(' | b'{' | b'_' | b'-' | b'<'));
    let is_bracketed_dot = word > at && window.at(word) == b'.';
    let word_end =
        if is_bracketed_dot { word + 1 } else { window.run(word, 6, |byte| byte.is_ascii_alphabetic()) };
    let next = window.run(word_end, 3, |byte| matches!(byte, b' ' | b']' | b')' | b'}' | b'_' | b'-' | b'>'));
    let is_named = is_bracketed_dot || is_dot(window.slice(word, word_end));
    (word > at && next > word_end && is_named && is_alnum(window.at(next))).then_some((next, true))
}

fn is_dot(word: &[u8]) -> bool {
    [&b"dot"[..], b"punkt", b"point", b"punto", b"ponto"].iter().any(|name| word.eq_ignore_ascii_case(name))
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+')
}
