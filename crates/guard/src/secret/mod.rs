//! Credentials: those with a prefix of their own (`table.rs`), those with a structure (tokens, keys, URLs), and those
//! that only their name gives away (`assigned.rs`).

mod assigned;
mod formats;
mod named;
mod structured;
mod table;

use crate::{
    candidate::{Candidate, Proof, SECRETS},
    trigger::is_trigger,
    window::{LOOKBACK, Window, is_alnum},
};
use table::{ROWS, Row, Set};

/// No credential is followed further than this, in bytes; what is longer is taken up to here. The longest real ones
/// are RSA keys of 16384 bits in PEM (12.5 KB).
pub const SECRET_MAX: usize = 16 * 1024;

pub(crate) struct Detectors {
    /// Rows by the byte before the first trigger of their prefix.
    by_byte: Vec<Vec<u16>>,
    /// Rows whose prefix begins with a trigger, by the byte after it.
    leading: Vec<Vec<u16>>,
    /// Rows whose prefix has no trigger; looked for at the first digit of a word.
    bare: Vec<u16>,
}

impl Detectors {
    pub(crate) fn new() -> Detectors {
        let mut new =
            Detectors { by_byte: vec![Vec::new(); 256], leading: vec![Vec::new(); 256], bare: Vec::new() };
        for (index, row) in ROWS.iter().enumerate() {
            let (index, prefix) = (index as u16, row.prefix.as_bytes());
            match prefix.iter().position(|byte| is_trigger(*byte)) {
                None => new.bare.push(index),
                Some(0) => new.leading[usize::from(prefix.get(1).copied().unwrap_or(0))].push(index),
                Some(at) => new.by_byte[usize::from(prefix[at - 1])].push(index),
            }
        }
        new
    }

    /// Looks at the trigger byte at `i`.
    pub(crate) fn at(&self, window: &Window, i: usize, out: &mut Vec<Candidate>) {
        let byte = window.bytes()[i];
        let before = window.before(i);
        let first = out.len();
        for &index in &self.by_byte[usize::from(before)] {
            let row = &ROWS[usize::from(index)];
            let offset = row.prefix.bytes().position(is_trigger).unwrap_or(0);
            if i >= offset && window.starts_with(i - offset, row.prefix.as_bytes()) {
                prefixed(window, i - offset, row, first, out);
            }
        }
        match byte {
            b'A' | b'0'..=b'9' => {
                let after = window.at(i + 1);
                for &index in &self.leading[usize::from(after)] {
                    let row = &ROWS[usize::from(index)];
                    if window.starts_with(i, row.prefix.as_bytes()) {
                        prefixed(window, i, row, first, out);
                    }
                }
                if byte != b'A' {
                    self.at_digit(window, i, first, out);
                }
                if matches!(before, b'$' | b'H' | b'r' | b'n') {
                    formats::password_hash(window, i, out);
                }
            }
            b'J' => structured::jwt(window, i, out),
            b'-' => {
                structured::pem(window, i, out);
                structured::mail_keys(window, i, out);
            }
            b'.' => structured::dotted(window, i, out),
            b':' => {
                structured::telegram(window, i, out);
                if window.starts_with(i + 1, b"//") {
                    structured::url(window, i, out);
                    formats::webhook(window, i, out);
                } else {
                    assigned::at(window, i, out);
                }
            }
            b'=' => {
                formats::signature(window, i, out);
                assigned::at(window, i, out);
            }
            _ => {}
        }
        if matches!(byte, b'0'..=b'9' | b'-' | b'_' | b'A' | b'J') && !window.before(i).is_ascii_digit() {
            named::at(window, i, out);
        }
    }

    fn at_digit(&self, window: &Window, i: usize, first: usize, out: &mut Vec<Candidate>) {
        if window.at(i + 1) == b'Q' && window.at(i + 2) == b'~' {
            structured::azure_client_secret(window, i, out);
        }
        let start = window.run_back(i, LOOKBACK, |byte| byte.is_ascii_alphabetic());
        if is_alnum(window.before(start)) {
            return;
        }
        formats::marked_at_end(window, start, out);
        if start == i {
            return;
        }
        for &index in &self.bare {
            let row = &ROWS[usize::from(index)];
            if window.starts_with(start, row.prefix.as_bytes()) {
                prefixed(window, start, row, first, out);
            }
        }
    }
}

/// A credential whose prefix stands at `start`. Of several rows for one place the longest prefix is kept.
fn prefixed(window: &Window, start: usize, row: &Row, first: usize, out: &mut Vec<Candidate>) {
    let before = window.before(start);
    if before.is_ascii_alphanumeric() || matches!(before, b'_' | b'-') {
        return;
    }
    let body = start + row.prefix.len();
    let set = row.set.contains();
    let mut end = window.run(body, row.max + 1, set);
    if end - body > row.max {
        return;
    }
    // A full stop ends the sentence, not the token.
    while end > body && window.at(end - 1) == b'.' {
        end -= 1;
    }
    let text = window.slice(body, end);
    if text.len() < row.min
        || window.at(end).is_ascii_alphanumeric()
        || !(row.is_valid)(text)
        || is_placeholder(text)
    {
        return;
    }
    // A short prefix may begin a slug; random text of such a length has a digit.
    if row.prefix.len() <= 5
        && row.set == Set::Url
        && !text.iter().any(u8::is_ascii_digit)
        && !assigned::is_scrambled(text)
    {
        return;
    }
    let score = if is_github_sum(row.prefix, text) { 1.0 } else { 0.95 };
    let candidate =
        Candidate { start, end, kind: SECRETS, label: row.label, score, proof: Proof::CheckedAndLabelled };
    if !out[first..].iter().any(|other| other.start == start && other.kind == SECRETS) {
        out.push(candidate);
    }
}

/// GitHub and npm end their tokens with the CRC-32 of the rest in base 62.
fn is_github_sum(prefix: &str, body: &[u8]) -> bool {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if !matches!(prefix, "ghp_" | "gho_" | "ghu_" | "ghs_" | "ghr_" | "npm_") || body.len() != 36 {
        return false;
    }
    let (random, check) = body.split_at(30);
    let mut sum = crc32fast::hash(random);
    check.iter().rev().all(|byte| {
        let expected = ALPHABET[(sum % 62) as usize];
        sum /= 62;
        *byte == expected
    })
}

/// Text that stands where a credential would: `your-key-here`, `xxxx`, `EXAMPLE`, one symbol over and over.
fn is_placeholder(text: &[u8]) -> bool {
    const WORDS: &[&[u8]] = &[
        b"example",
        b"your-",
        b"your_",
        b"yourkey",
        b"xxxx",
        b"....",
        b"****",
        b"placeholder",
        b"redacted",
        b"changeme",
        b"dummy",
        b"insert",
        b"replace",
        b"todo",
        b"secret-key-here",
        b"123456789abcdef",
        b"abcdefghij",
        b"0123456789",
        b"key-here",
        b"key_here",
        b"<",
        b"${",
        b"{{",
    ];
    // First letters of the words, so that most places cost one lookup.
    const FIRST: [bool; 256] = {
        let mut first = [false; 256];
        let mut i = 0;
        while i < WORDS.len() {
            first[WORDS[i][0] as usize] = true;
            first[WORDS[i][0].to_ascii_uppercase() as usize] = true;
            i += 1;
        }
        first
    };
    let mut seen = [false; 256];
    text.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let distinct = seen.iter().filter(|is| **is).count();
    let has_word = |i: usize| {
        WORDS
            .iter()
            .any(|word| text.get(i..i + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word)))
    };
    distinct < (text.len() / 4).clamp(3, 7)
        || (0..text.len()).any(|i| FIRST[usize::from(text[i])] && has_word(i))
}
