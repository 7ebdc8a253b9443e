//! Credentials after a word that names them, without an assignment between: `acme SECRET 4f…`, `--token 4f…`,
//! `X-Auth-Key '4f…'`, `new Client('apikey', '4f…')`.
//!
//! Prose has such words as well, so that the value has to look random: digits among letters in plenty, no words, not the
//! form of a digest of something public, and nothing in the name that says what else it is.

use super::{assigned, formats, is_placeholder};
use crate::{
    candidate::{Candidate, Proof, SECRETS},
    trigger::is_trigger,
    window::{LOOKBACK, Window, is_value_byte},
};

const VALUE_MIN: usize = 20;
const VALUE_MAX: usize = 128;
/// The words before the value, with what stands between.
const NAME_LEFT: usize = 40;

/// Words that name a credential where a random value follows.
const NAMES: [&[u8]; 13] = [
    b"secret",
    b"token",
    b"apikey",
    b"api key",
    b"api_key",
    b"access key",
    b"private key",
    b"auth",
    b"password",
    b"key",
    b"_PAT",
    b" ACCESS",
    b"PRIVATE",
];

/// Words that say that it is something else.
const OTHERS: [&[u8]; 32] = [
    b"public",
    b"commit",
    b"sha",
    b"md5",
    b"hash",
    b"digest",
    b"checksum",
    b"request",
    b"trace",
    b"session id",
    b"uuid",
    b"guid",
    b"etag",
    b"revision",
    b"primary",
    b"foreign",
    b"cache",
    b"idempotency",
    b"correlation",
    b"fingerprint",
    b"tokens",
    b"tokenizer",
    b"keyboard",
    b"keys of",
    b"version",
    b"integrity",
    b"page token",
    b"page_token",
    b"pagetoken",
    b"next_token",
    b"nexttoken",
    b"cursor",
];

/// `i` may be the first trigger of a value.
pub(super) fn at(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let start = window.run_back(i, LOOKBACK, is_symbol);
    if is_symbol(window.before(start)) || window.slice(start, i).iter().any(|byte| is_trigger(*byte)) {
        return;
    }
    // A bare word before a dash is a name that is glued to its value: `acme-secret-4f…`.
    let (name_end, start) = match split(window, start, i) {
        Some(split) => split,
        None => (start, start),
    };
    let between = window.run_back(name_end, 4, |byte| b" \t\n'\"`,(->=:.".contains(&byte));
    if between == start && name_end == start {
        formats::netrc(window, i, out);
        return;
    }
    formats::netrc(window, i, out);
    // "my api key is …"
    let between = match window.slice(0, between) {
        [.., b' ', b'i', b's'] => between - 3,
        _ => between,
    };
    let named = window.slice(0, between);
    if named.ends_with(b"assword") || named.ends_with(b"_PASSWORD") {
        spoken(window, i, out);
    }
    let left = window.slice(between.saturating_sub(NAME_LEFT), between);
    // What stands in the same sentence, next to the value.
    let tail = left.iter().rposition(|byte| matches!(byte, b'\n' | b';' | b'.')).map_or(0, |at| at + 1);
    let left = &left[tail..];
    if !is_named(left) {
        return;
    }
    let near = left.to_ascii_lowercase();
    let has = |part: &[u8]| near.windows(part.len()).any(|window| window == part);
    if OTHERS.iter().any(|other| has(other)) {
        return;
    }
    let end = window.run(start, VALUE_MAX + 1, is_symbol);
    let end = end
        - window.slice(start, end).iter().rev().take_while(|byte| matches!(byte, b'.' | b'-' | b'=')).count();
    let value = window.slice(start, end);
    if (VALUE_MIN..=VALUE_MAX).contains(&value.len()) && is_random(value) && !is_placeholder(value) {
        out.push(Candidate {
            start,
            end,
            kind: SECRETS,
            label: "generic_api_key",
            score: 0.6,
            proof: Proof::Shape,
        });
    }
}

/// `i` is in the word after `password is`. Of what one says about passwords, little has digits among letters and signs.
fn spoken(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let start = window.run_back(i, LOOKBACK, is_value_byte);
    let end = window.run(start, LOOKBACK, is_value_byte);
    let end = end - window.slice(start, end).iter().rev().take_while(|byte| b".,;:?)".contains(byte)).count();
    let word = window.slice(start, end);
    let has = |test: fn(&u8) -> bool| word.iter().any(test);
    if word.len() >= 8
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_lowercase)
        && (has(u8::is_ascii_uppercase) || has(|byte| b"$!@#%^&*".contains(byte)))
        && assigned::is_password(word)
    {
        out.push(Candidate { start, end, kind: SECRETS, label: "password", score: 0.6, proof: Proof::Shape });
    }
}

/// Where a name ends and its value starts in one run of symbols: at the last dash or low line before the first digit.
fn split(window: &Window, start: usize, i: usize) -> Option<(usize, usize)> {
    let at = if matches!(window.at(i), b'-' | b'_') { i } else { return None };
    let mut last = at;
    let mut k = at + 1;
    while k < at + NAME_LEFT && (window.at(k).is_ascii_alphabetic() || matches!(window.at(k), b'-' | b'_')) {
        if matches!(window.at(k), b'-' | b'_') {
            last = k;
        }
        k += 1;
    }
    let name = window.slice(start, last);
    (window.at(k).is_ascii_digit() && is_named(name)).then_some((last, last + 1))
}

/// Whether `text` ends with a word that names a credential. Short ones are parts of other words: `monkey`, `acmeKEY`.
fn is_named(text: &[u8]) -> bool {
    // The last letters of the names.
    if !matches!(
        text.last().map(u8::to_ascii_lowercase),
        Some(b't' | b'n' | b'y' | b'h' | b'd' | b's' | b'e')
    ) {
        return false;
    }
    NAMES.iter().any(|name| {
        let Some(at) = text.len().checked_sub(name.len()) else { return false };
        let (before, word) = text.split_at(at);
        // Names that bring their own border.
        let has_border = !name[0].is_ascii_alphanumeric();
        let glued = !has_border && before.last().is_some_and(u8::is_ascii_alphabetic);
        let is_cased = word[0].is_ascii_uppercase() && before.last().is_some_and(u8::is_ascii_lowercase);
        let stands = match name.iter().any(u8::is_ascii_uppercase) {
            true => word == *name,
            false => word.eq_ignore_ascii_case(name),
        };
        stands && (!glued || is_cased || name.len() > 4)
    })
}

fn is_symbol(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/' | b'.')
}

/// Digits and letters by turns, as in random text; slugs and paths have words.
fn is_random(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = value.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let turns = value.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
    let is_word = |part: &[u8]| part.len() > 16 && !assigned::is_scrambled(part);
    (digits * 8 >= value.len() && turns >= 5 || digits > 0 && assigned::is_scrambled(value))
        && letters * 6 >= value.len()
        && !value.split(|byte| !byte.is_ascii_alphabetic()).any(is_word)
        && !(value.contains(&b'/') && value.iter().any(|byte| matches!(byte, b'.' | b'_' | b'-')))
        && !is_fingerprint(value)
        && assigned::entropy(value) >= 3.0
}

/// The hexadecimal form in capitals in which keys are pointed to, and not given away.
fn is_fingerprint(value: &[u8]) -> bool {
    value.len() == 40 && value.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'A'..=b'F'))
}
