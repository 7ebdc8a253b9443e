//! Characters written as numbers: escapes, entities, lists of codes, Morse.

use super::readable;

/// Numbers in a row that make a list of codes.
const CODES_MIN: usize = 5;

/// The text with its escapes undone: `\x69`, `\u0069`, `%69`, `&#105;`, `&#x69;`, `&lt;`.
pub(super) fn unescape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let (mut i, mut undone) = (0, 0);
    while i < bytes.len() {
        let rest = &bytes[i..];
        let found = match rest {
            [b'\\', b'x', ..] => code(&rest[2..], 16, 2).map(|(c, n)| (c, n + 2)),
            [b'\\', b'u', b'{', ..] => code(&rest[3..], 16, 6).map(|(c, n)| (c, n + 4)),
            [b'\\', b'u', ..] => code(&rest[2..], 16, 4).filter(|(_, n)| *n == 4).map(|(c, n)| (c, n + 2)),
            [b'\\', b'U', ..] => code(&rest[2..], 16, 8).filter(|(_, n)| *n == 8).map(|(c, n)| (c, n + 2)),
            [b'\\', b'0'..=b'7', ..] => {
                code(&rest[1..], 8, 3).filter(|(_, n)| *n >= 2).map(|(c, n)| (c, n + 1))
            }
            [b'%', ..] => code(&rest[1..], 16, 2).filter(|(_, n)| *n == 2).map(|(c, n)| (c, n + 1)),
            [b'&', b'#', b'x' | b'X', ..] => {
                code(&rest[3..], 16, 6).map(|(c, n)| (c, n + 3 + end(rest, n + 3)))
            }
            [b'&', b'#', ..] => code(&rest[2..], 10, 7).map(|(c, n)| (c, n + 2 + end(rest, n + 2))),
            _ => None,
        };
        match found {
            // Percent and `\x` give bytes of UTF-8, the rest characters.
            Some((code, n)) if code < 256 && matches!(rest[0], b'%' | b'\\') && rest[1] != b'u' => {
                out.push(code as u8);
                (i, undone) = (i + n, undone + 1);
            }
            Some((code, n)) => {
                let mut utf8 = [0; 4];
                let c = char::from_u32(code).unwrap_or(' ');
                out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
                (i, undone) = (i + n, undone + 1);
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    (undone >= 4).then(|| String::from_utf8_lossy(&out).into_owned())
}

/// A number of at most `most` digits, and how many there were.
fn code(bytes: &[u8], base: u32, most: usize) -> Option<(u32, usize)> {
    let digits: Vec<u32> =
        bytes.iter().take(most).map_while(|byte| char::from(*byte).to_digit(base)).collect();
    let value = digits.iter().try_fold(0u32, |value, digit| value.checked_mul(base)?.checked_add(*digit))?;
    (!digits.is_empty()).then_some((value, digits.len()))
}

fn end(rest: &[u8], at: usize) -> usize {
    usize::from(rest.get(at) == Some(&b';'))
}

/// Lists of character codes: binary, octal, decimal or hexadecimal, between spaces or commas.
pub(super) fn decode(text: &str, take: &mut impl FnMut(Option<String>)) {
    let words = || {
        text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '[' | ']'))
            .filter(|word| !word.is_empty())
    };
    for (base, digits) in [(2, 7..=8), (16, 2..=2), (8, 2..=3), (10, 2..=3)] {
        let mut list = Vec::new();
        let mut best: Vec<u8> = Vec::new();
        for word in words() {
            let word = word.strip_prefix("0x").or_else(|| word.strip_prefix("0b")).unwrap_or(word);
            let code = if digits.contains(&word.len()) { u8::from_str_radix(word, base).ok() } else { None };
            match code.filter(|code| matches!(code, b'\t' | b'\n' | b' '..=b'~')) {
                Some(code) => list.push(code),
                None => {
                    if list.len() > best.len() {
                        std::mem::swap(&mut list, &mut best);
                    }
                    list.clear();
                }
            }
        }
        if list.len() > best.len() {
            best = list;
        }
        // Numbers that happen to be codes spell no words.
        let letters = best.iter().filter(|byte| byte.is_ascii_alphabetic() || **byte == b' ').count();
        if best.len() >= CODES_MIN && letters * 4 >= best.len() * 3 {
            take(readable(best));
        }
    }
    // Bits without gaps.
    for run in
        text.split(|c: char| !matches!(c, '0' | '1')).filter(|run| run.len() >= 40 && run.len() % 8 == 0)
    {
        let octets = run.as_bytes().as_chunks::<8>().0.iter();
        take(readable(
            octets.map(|octet| octet.iter().fold(0, |value, bit| value << 1 | (bit - b'0'))).collect(),
        ));
    }
}

#[rustfmt::skip]
const MORSE: [(&str, char); 36] = [
    (".-", 'a'), ("-...", 'b'), ("-.-.", 'c'), ("-..", 'd'), (".", 'e'), ("..-.", 'f'), ("--.", 'g'), ("....", 'h'), ("..", 'i'),
    (".---", 'j'), ("-.-", 'k'), (".-..", 'l'), ("--", 'm'), ("-.", 'n'), ("---", 'o'), (".--.", 'p'), ("--.-", 'q'), (".-.", 'r'),
    ("...", 's'), ("-", 't'), ("..-", 'u'), ("...-", 'v'), (".--", 'w'), ("-..-", 'x'), ("-.--", 'y'), ("--..", 'z'),
    ("-----", '0'), (".----", '1'), ("..---", '2'), ("...--", '3'), ("....-", '4'), (".....", '5'), ("-....", '6'), ("--...", '7'),
    ("---..", '8'), ("----.", '9'),
];

/// Morse between spaces, words apart by a slash or a wider gap.
pub(super) fn morse(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut letters = 0;
    for word in text.split([' ', '\n', '|']) {
        let sign = word.trim_matches(|c: char| !matches!(c, '.' | '-' | '/'));
        if sign == "/" || word.is_empty() {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else if let Some((_, letter)) = MORSE.iter().find(|(code, _)| *code == sign) {
            out.push(*letter);
            letters += 1;
        }
    }
    (letters >= 8 && out.len() >= letters).then_some(out)
}
