//! Characters written as numbers, each between spaces or commas: codes in four bases, places in the alphabet, Morse.

use std::ops::Range;

use super::{Edits, readable};

/// Numbers in a row that make a list of codes.
const CODES_MIN: usize = 5;
/// And letters in a row that make a line of Morse, or of places in the alphabet.
const LETTERS_MIN: usize = 8;

/// Lists of character codes: binary, octal, decimal or hexadecimal.
pub(super) fn lists(text: &str, edits: &mut Edits) {
    let is_gap =
        |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '[' | ']' | ':' | '-' | '|' | '/' | '"');
    let words = || words(text, is_gap);
    for (base, digits) in [(2, 7..=8), (16, 2..=2), (16, 4..=4), (8, 2..=3), (10, 2..=3)] {
        let mut list = List::default();
        let mut best = List::default();
        for (start, word) in words() {
            let plain = ["0x", "0b", "0o", "\\x", "u+", "U+"].iter().find_map(|mark| word.strip_prefix(mark));
            let plain = plain.unwrap_or(word);
            let code =
                if digits.contains(&plain.len()) { u32::from_str_radix(plain, base).ok() } else { None };
            match code.and_then(|code| u8::try_from(code).ok()) {
                Some(code @ (b'\t' | b'\n' | b' '..=b'~')) => list.push(start..start + word.len(), code),
                _ => {
                    if list.codes.len() > best.codes.len() {
                        std::mem::swap(&mut list, &mut best);
                    }
                    list = List::default();
                }
            }
        }
        if list.codes.len() > best.codes.len() {
            best = list;
        }
        // Numbers that happen to be codes spell no words.
        let letters = best.codes.iter().filter(|byte| byte.is_ascii_alphabetic() || **byte == b' ').count();
        if best.codes.len() >= CODES_MIN && letters * 4 >= best.codes.len() * 3 {
            edits.extend(readable(best.codes).map(|decoded| (best.range, decoded)));
        }
    }
    bits(text, edits);
    places(text, edits);
}

#[derive(Default)]
struct List {
    codes: Vec<u8>,
    range: Range<usize>,
}

impl List {
    fn push(&mut self, range: Range<usize>, code: u8) {
        if self.codes.is_empty() {
            self.range.start = range.start;
        }
        self.range.end = range.end;
        self.codes.push(code);
    }
}

/// Words between gaps, each with its start.
fn words(text: &str, is_gap: impl Fn(char) -> bool) -> impl Iterator<Item = (usize, &str)> {
    text.split(is_gap)
        .map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
        .filter(|(_, word)| !word.is_empty())
}

/// Bits without gaps.
fn bits(text: &str, edits: &mut Edits) {
    for (start, run) in words(text, |c| !matches!(c, '0' | '1')) {
        if run.len() >= 40 && run.len().is_multiple_of(8) {
            let octets = run.as_bytes().as_chunks::<8>().0.iter();
            let bytes =
                octets.map(|octet| octet.iter().fold(0, |value, bit| value << 1 | (bit - b'0'))).collect();
            edits.extend(readable(bytes).map(|decoded| (start..start + run.len(), decoded)));
        }
    }
}

/// `9-7-14-15-18-5 1-12-12`: letters by their place in the alphabet.
fn places(text: &str, edits: &mut Edits) {
    let (mut start, mut end, mut letters, mut out) = (0, 0, 0, String::new());
    let mut close = |start: usize, end: usize, letters: &mut usize, out: &mut String| {
        let decoded = std::mem::take(out);
        if *letters >= LETTERS_MIN && decoded.split(' ').filter(|word| word.len() >= 3).count() >= 2 {
            edits.push((start..end, decoded));
        }
        *letters = 0;
    };
    for (at, word) in words(text, |c| c.is_whitespace() || matches!(c, '/' | ',')) {
        let word_letters: Option<String> = word
            .split(['-', '.'])
            .map(|number| {
                let place = number.parse::<u8>().ok().filter(|place| (1..=26).contains(place))?;
                Some((b'a' + place - 1) as char)
            })
            .collect();
        match word_letters {
            Some(word_letters) => {
                if letters == 0 {
                    start = at;
                } else {
                    out.push(' ');
                }
                (end, letters) = (at + word.len(), letters + word_letters.len());
                out.push_str(&word_letters);
            }
            None => close(start, end, &mut letters, &mut out),
        }
    }
    close(start, end, &mut letters, &mut out);
}

#[rustfmt::skip]
const MORSE: [(&str, char); 40] = [
    (".-", 'a'), ("-...", 'b'), ("-.-.", 'c'), ("-..", 'd'), (".", 'e'), ("..-.", 'f'), ("--.", 'g'), ("....", 'h'), ("..", 'i'),
    (".---", 'j'), ("-.-", 'k'), (".-..", 'l'), ("--", 'm'), ("-.", 'n'), ("---", 'o'), (".--.", 'p'), ("--.-", 'q'), (".-.", 'r'),
    ("...", 's'), ("-", 't'), ("..-", 'u'), ("...-", 'v'), (".--", 'w'), ("-..-", 'x'), ("-.--", 'y'), ("--..", 'z'),
    ("-----", '0'), (".----", '1'), ("..---", '2'), ("...--", '3'), ("....-", '4'), (".....", '5'), ("-....", '6'), ("--...", '7'),
    ("---..", '8'), ("----.", '9'), (".-.-.-", '.'), ("--..--", ','), ("..--..", '?'), ("-.-.--", '!'),
];

/// Whether dots and dashes stand side by side as often as in a few letters of Morse; prose has full stops and a few dots in a row.
pub(super) fn has_signs(text: &str) -> bool {
    let is_sign = |byte: u8| matches!(byte, b'.' | b'-' | b'_');
    let pairs =
        text.as_bytes().windows(2).filter(|two| is_sign(two[0]) && is_sign(two[1]) && two[0] != two[1]);
    pairs.take(4).count() == 4
}

/// Morse between spaces, words apart by a slash or a wider gap.
pub(super) fn morse(text: &str, edits: &mut Edits) {
    let (mut start, mut end, mut letters, mut out) = (0, 0, 0, String::new());
    let mut close = |start: usize, end: usize, letters: &mut usize, out: &mut String| {
        let decoded = std::mem::take(out);
        if *letters >= LETTERS_MIN {
            edits.push((start..end, decoded));
        }
        *letters = 0;
    };
    let mut last = 0;
    for (at, word) in words(text, |c| matches!(c, ' ' | '\n' | '\t')) {
        if letters > 0 && at > last + 1 && !out.ends_with(' ') {
            out.push(' ');
        }
        last = at + word.len();
        // Letters of one word may stand between slashes or bars as well.
        let mut is_morse = true;
        let mut said = String::new();
        for sign in word.split_inclusive(['/', '|']) {
            let (sign, is_end) = sign.strip_suffix(['/', '|']).map_or((sign, false), |sign| (sign, true));
            let known = (!sign.is_empty()).then(|| letter(sign));
            is_morse &= known != Some(None);
            said.extend(known.flatten());
            if is_end {
                said.push(' ');
            }
        }
        if !is_morse {
            close(start, end, &mut letters, &mut out);
            continue;
        }
        if letters == 0 && !said.trim().is_empty() {
            start = at;
        }
        let count = said.bytes().filter(|byte| *byte != b' ').count();
        if letters + count > 0 {
            (end, letters) = (last, letters + count);
            out.push_str(&said);
        }
    }
    close(start, end, &mut letters, &mut out);
}

fn letter(sign: &str) -> Option<char> {
    let mut plain = [0u8; 6];
    let mut length = 0;
    for c in sign.chars() {
        *plain.get_mut(length)? = match c {
            '.' | '·' | '•' | '∙' | '⋅' => b'.',
            '-' | '–' | '—' | '−' | '_' | '‐' | '‑' => b'-',
            _ => return None,
        };
        length += 1;
    }
    MORSE.iter().find(|(code, _)| code.as_bytes() == &plain[..length]).map(|(_, letter)| *letter)
}
