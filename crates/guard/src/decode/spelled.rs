//! What is read aloud: `ann at example dot com`, `four one one one …`.
//!
//! Such runs have no byte that is rare in prose, so that they are found by words of their own in a pass of its own.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{Decoded, Reading, Spelling};
use crate::window::{LOOKBACK, Labels, Window, is_alnum};

/// Digits by their names, in the languages that telephone numbers are read out in; `oh` is how a zero is said. Names
/// of fewer than [`WAKING_MIN`] letters are too common to wake this, and join a run that others begin or follow.
const NUMBERS: [(&str, u8); 63] = [
    ("zero", 0),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("oh", 0),
    // German.
    ("null", 0),
    ("eins", 1),
    ("zwei", 2),
    ("zwo", 2),
    ("drei", 3),
    ("vier", 4),
    ("fünf", 5),
    ("sechs", 6),
    ("sieben", 7),
    ("acht", 8),
    ("neun", 9),
    // French.
    ("zéro", 0),
    ("un", 1),
    ("deux", 2),
    ("trois", 3),
    ("quatre", 4),
    ("cinq", 5),
    ("sept", 7),
    ("huit", 8),
    ("neuf", 9),
    // Spanish.
    ("cero", 0),
    ("uno", 1),
    ("dos", 2),
    ("tres", 3),
    ("cuatro", 4),
    ("cinco", 5),
    ("seis", 6),
    ("siete", 7),
    ("ocho", 8),
    ("nueve", 9),
    // Italian.
    ("due", 2),
    ("tre", 3),
    ("quattro", 4),
    ("cinque", 5),
    ("sei", 6),
    ("sette", 7),
    ("otto", 8),
    ("nove", 9),
    // Portuguese.
    ("um", 1),
    ("dois", 2),
    ("três", 3),
    ("quatro", 4),
    ("sete", 7),
    ("oito", 8),
    // Dutch.
    ("nul", 0),
    ("een", 1),
    ("twee", 2),
    ("drie", 3),
    ("vijf", 5),
    ("zes", 6),
    ("zeven", 7),
    ("negen", 9),
];

/// Names that wake the reading, by their letters in ASCII.
const WAKING_MIN: usize = 4;

/// How `@` is spelled. A bare word needs white space around it and more evidence.
const SIGNS: [&str; 9] = [" at ", "at]", "at)", "at}", "at>", "_at_", "arroba", "arobase", "klammeraffe"];

/// Fewer spoken digits are a count or a year.
const DIGITS_MIN: usize = 7;
const DIGITS_MAX: usize = 24;
/// The longest names have seven letters.
const WORD_MAX: usize = 8;

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

/// Words shortly before a mailbox, beside which a bare "at" is enough.
static MAIL: Labels = Labels::new(&[
    "mail",
    "e-mail",
    "email",
    "mails",
    "correo",
    "courriel",
    "reach me",
    "write to",
    "contact me",
]);
const MAIL_LEFT: usize = 32;

pub(crate) struct Spelled {
    words: AhoCorasick,
}

impl Spelled {
    pub(crate) fn new() -> Spelled {
        let words = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostFirst)
            .kind(Some(AhoCorasickKind::DFA))
            .build(SIGNS.iter().copied().chain(waking()))
            .expect("some fifty short words make a small automaton");
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

/// The three-letter names of English, and all longer ones.
fn waking() -> impl Iterator<Item = &'static str> {
    let is_waking = |(n, (name, _)): &(usize, &(&'static str, u8))| *n < 10 || name.len() >= WAKING_MIN;
    NUMBERS.iter().enumerate().filter(is_waking).map(|(_, (name, _))| *name)
}

/// `i` is the first letter of a number's name. Reads digits from there, or from the names before it that did not wake this.
pub(crate) fn digits(window: &Window, i: usize) -> Option<Decoded> {
    let mut first = i;
    while let Some((start, is_waking)) = said_before(window, first).filter(|(start, _)| i - start < LOOKBACK)
    {
        if is_waking {
            return None;
        }
        first = start;
    }
    let mut spelling = Spelling::default();
    let (mut at, mut end) = (first, first);
    let (mut times, mut said) = (1, 0);
    while spelling.text.len() < DIGITS_MAX {
        let stop = window.run(at, WORD_MAX, is_word);
        let word = window.slice(at, stop);
        match (word, number(word)) {
            (_, Some(digit)) => {
                said += 1;
                (0..times).for_each(|_| spelling.push(char::from(b'0' + digit), at));
                times = 1;
                end = stop;
            }
            // Letters of an account number are said as they are.
            ([symbol], None) if symbol.is_ascii_alphanumeric() => {
                spelling.push(char::from(*symbol), at);
                times = 1;
                end = stop;
            }
            // An address of a network, or a number printed with dots.
            _ if is_dot(word) && end > first && spelling.text.as_bytes().last() != Some(&b'.') => {
                spelling.push('.', at);
            }
            _ if word.eq_ignore_ascii_case(b"double") && !spelling.text.is_empty() => times = 2,
            _ if word.eq_ignore_ascii_case(b"triple") && !spelling.text.is_empty() => times = 3,
            _ => break,
        }
        let gap = window.run(stop, 3, |byte| matches!(byte, b' ' | b'-' | b','));
        if gap == stop {
            break;
        }
        at = gap;
    }
    if spelling.text.ends_with('.') {
        spelling.text.pop();
        spelling.starts.pop();
    }
    // "one I": what was said ends with a number, unless it is letters in plenty.
    (spelling.text.len() >= DIGITS_MIN && said * 3 >= spelling.text.len())
        .then(|| spelling.end(first..end, Reading::Likely))
}

/// Where the word before `at` starts, if it is a number or a single symbol, and whether it wakes the reading itself.
fn said_before(window: &Window, at: usize) -> Option<(usize, bool)> {
    // `Window::is_spelled_joint` holds these back for a stream.
    let end = window.run_back(at, 1, |byte| matches!(byte, b' ' | b'-'));
    let start = window.run_back(end, WORD_MAX, is_word);
    let word = window.slice(start, end);
    if end == at || start > 0 && is_word(window.before(start)) {
        return None;
    }
    match (word, number(word)) {
        (_, Some(_)) => Some((start, waking().any(|name| word.eq_ignore_ascii_case(name.as_bytes())))),
        ([symbol], None) if symbol.is_ascii_alphanumeric() => Some((start, false)),
        _ => None,
    }
}

/// Whether `word` names a digit, or may become such a name when `is_open`.
pub(crate) fn is_number(word: &[u8], is_open: bool) -> bool {
    if !is_open {
        return number(word).is_some();
    }
    NUMBERS.iter().any(|(name, _)| {
        name.as_bytes().get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn number(word: &[u8]) -> Option<u8> {
    // No name is as short or as long.
    if !(2..=WORD_MAX).contains(&word.len()) {
        return None;
    }
    NUMBERS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())).map(|(_, digit)| *digit)
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
    let is_said = || window.has_label_left(start, MAIL_LEFT, &MAIL);
    if labels < 2 || is_bare && !has_spelled_dot && !has_spelled_dot_left && !is_telling && !is_said() {
        return None;
    }
    Some(spelling.end(start..end, Reading::Sure))
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
