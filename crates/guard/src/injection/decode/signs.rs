//! Letters under signs of their own: Braille, the spelling alphabet, uuencoded lines; bytes in characters that are not seen.

use super::{Edits, READABLE_MIN, Seen, readable};

/// Signs in a row that are meant to be read.
const SIGNS_MIN: usize = 6;

pub(super) fn find(text: &str, seen: &Seen, edits: &mut Edits) {
    if seen.others >= 3 * SIGNS_MIN {
        braille(text, edits);
    }
    // A spelled text has as many of these as any.
    if seen.longest >= 4 && seen.count(b"oO") >= 2 && seen.count(b"aA") >= 2 {
        spelled(text, edits);
    }
    if seen.count(b"\n") >= 1 && seen.longest >= 8 || text.starts_with("begin ") {
        uuencoded(text, edits);
    }
}

/// Letters of Braille by the dots of their cells (Unicode chart U+2800).
fn braille(text: &str, edits: &mut Edits) {
    const CELLS: &str = "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵";
    let (mut start, mut count, mut out) = (0, 0, String::new());
    let mut is_number = false;
    let mut close = |start: usize, end: usize, count: &mut usize, out: &mut String| {
        let decoded = std::mem::take(out);
        if *count >= SIGNS_MIN {
            edits.push((start..end, decoded));
        }
        *count = 0;
    };
    for (at, c) in text.char_indices() {
        match c {
            '\u{2800}'..='\u{283F}' => {
                if count == 0 {
                    start = at;
                }
                count += 1;
                let letter = CELLS.chars().position(|cell| cell == c);
                match (c, letter) {
                    ('\u{2800}', _) => out.push(' '),
                    ('⠼', _) => is_number = true,
                    ('⠲', _) => out.push('.'),
                    ('⠂', _) => out.push(','),
                    ('⠦', _) => out.push('?'),
                    (_, Some(place @ 0..=9)) if is_number => {
                        out.push(char::from(b'0' + (place as u8 + 1) % 10));
                    }
                    (_, Some(place)) => out.push(char::from(b'a' + place as u8)),
                    _ => {}
                }
                is_number &= matches!((c, letter), ('⠼', _) | (_, Some(0..=9)));
            }
            ' ' if count > 0 => out.push(' '),
            _ if count > 0 => close(start, at, &mut count, &mut out),
            _ => {}
        }
    }
    close(start, text.len(), &mut count, &mut out);
}

/// Words of the spelling alphabet (ICAO, with common spellings), for their letters.
fn spelled(text: &str, edits: &mut Edits) {
    #[rustfmt::skip]
    const ALPHABET: [&str; 26] = [
        "alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima", "mike", "november", "oscar",
        "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "x-ray", "yankee", "zulu",
    ];
    const OTHERS: [&str; 4] = ["alpha", "juliet", "whisky", "xray"];
    // One word for each first letter, so that prose costs one comparison a word.
    let letter = |word: &str| {
        let first = word.bytes().next()?.to_ascii_lowercase();
        let known = ALPHABET.get(usize::from(first.checked_sub(b'a')?))?;
        let is_known = known.eq_ignore_ascii_case(word)
            || b"ajwx".contains(&first) && OTHERS.iter().any(|other| other.eq_ignore_ascii_case(word));
        is_known.then_some(char::from(first))
    };
    let (mut start, mut end, mut count, mut out) = (0, 0, 0, String::new());
    let mut close = |start: usize, end: usize, count: &mut usize, out: &mut String| {
        let decoded = std::mem::take(out);
        if *count >= SIGNS_MIN {
            edits.push((start..end, decoded));
        }
        *count = 0;
    };
    let is_word = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'-';
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(from) = bytes[at..].iter().position(is_word).map(|n| at + n) {
        let to = bytes[from..].iter().position(|byte| !is_word(byte)).map_or(bytes.len(), |n| from + n);
        at = to;
        let word = text[from..to].trim_matches('-');
        let gap = &bytes[end.min(from)..from];
        match letter(word) {
            Some(letter) => {
                if count == 0 {
                    start = from;
                } else if gap.len() >= 3 || gap.iter().any(|byte| matches!(byte, b'/' | b'|' | b'\n' | b'.'))
                {
                    out.push(' ');
                }
                out.push(letter);
                (end, count) = (to, count + 1);
            }
            None if count > 0 && (word.eq_ignore_ascii_case("space") || word.is_empty()) => out.push(' '),
            None => close(start, end, &mut count, &mut out),
        }
    }
    close(start, end, &mut count, &mut out);
}

/// Lines of three bytes in four signs, the length first (POSIX `uuencode`).
fn uuencoded(text: &str, edits: &mut Edits) {
    let (mut start, mut end, mut out) = (None, 0, Vec::new());
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let from = at;
        at += line.len();
        let line = line.trim_end_matches(['\n', '\r']);
        let is_frame = line.starts_with("begin ") || line == "end" || line == "`";
        if is_frame {
            if line.starts_with("begin ") {
                start = Some(from);
            }
            end = if start.is_some() { at } else { end };
            continue;
        }
        match uuencoded_line(line.as_bytes()) {
            Some(bytes) => {
                start.get_or_insert(from);
                end = at;
                out.extend(bytes);
            }
            None if out.is_empty() => start = None,
            None => break,
        }
    }
    if let Some(start) = start {
        edits.extend(readable(out).map(|decoded| (start..end, decoded + "\n")));
    }
}

fn uuencoded_line(line: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = line.split_first()?;
    let length = usize::from(first.wrapping_sub(b' ') & 63);
    let signs = length.div_ceil(3) * 4;
    // Spaces at the end may have been lost.
    if length == 0 || rest.len() > signs || rest.len() + 4 <= signs {
        return None;
    }
    let mut out = Vec::with_capacity(length);
    for four in rest.chunks(4) {
        let mut value = 0u32;
        for i in 0..4 {
            let sign = four.get(i).copied().unwrap_or(b' ');
            if !(b' '..=b'`').contains(&sign) {
                return None;
            }
            value = value << 6 | u32::from(sign - b' ') & 63;
        }
        out.extend_from_slice(&value.to_be_bytes()[1..]);
    }
    out.truncate(length);
    out.iter().all(|byte| *byte >= b'\t').then_some(out)
}

/// Bytes that ride on characters without a shape: variation selectors, and two kinds of them as bits.
pub(super) fn hidden(text: &str, take: &mut impl FnMut(String)) {
    let selected: Vec<u8> = text
        .chars()
        .filter_map(|c| match c {
            '\u{FE00}'..='\u{FE0F}' => Some((u32::from(c) - 0xFE00) as u8),
            '\u{E0100}'..='\u{E01EF}' => Some((u32::from(c) - 0xE0100 + 16) as u8),
            _ => None,
        })
        .collect();
    if selected.len() >= READABLE_MIN {
        readable(selected).into_iter().for_each(&mut *take);
    }
    let unseen: Vec<char> = text
        .chars()
        .filter(|c| matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}'))
        .collect();
    if unseen.len() < 8 * READABLE_MIN {
        return;
    }
    // Which of the two is the one is not said.
    for one in unseen.iter().copied().take(8 * READABLE_MIN).collect::<std::collections::BTreeSet<_>>() {
        let bytes: Vec<u8> = unseen
            .chunks_exact(8)
            .map(|octet| octet.iter().fold(0, |value, c| value << 1 | u8::from(*c == one)))
            .collect();
        readable(bytes).into_iter().for_each(&mut *take);
    }
}
