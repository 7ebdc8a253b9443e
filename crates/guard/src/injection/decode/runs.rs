//! Runs without spaces: hexadecimal, base32, base64, base58, base85 in three alphabets, base91; base45, which has spaces.

use super::{Edits, readable, wordy};

/// Shorter runs are words.
pub(super) const RUN_MIN: usize = 12;
/// Of runs that are no words, in one text.
const RUNS_MAX: usize = 256;
/// Numbers of one digit for each letter are read with a cost that grows with the square of their length: only so many, and so
/// long ones, are.
const BIG_MAX: usize = 8;
const BIG_LENGTHS: std::ops::RangeInclusive<usize> = 16..=400;
/// Denser encodings are told from words only if there is some of it.
const DENSE_MIN: usize = 16;
/// The same where the digits of the encoding are those of capital letters and a space.
pub(super) const SPACED_MIN: usize = 24;

pub(super) fn find(text: &str, edits: &mut Edits) {
    let bytes = text.as_bytes();
    let (mut at, mut seen, mut big) = (0, 0, 0);
    while seen < RUNS_MAX {
        let Some((start, mut end)) = next(bytes, at, |byte| byte > b' ' && byte < 0x7F) else { return };
        at = end;
        if end - start < RUN_MIN {
            continue;
        }
        // Lines of one block belong together.
        while end - start >= 60 && bytes.get(end) == Some(&b'\n') {
            match next(bytes, end + 1, |byte| byte > b' ' && byte < 0x7F) {
                Some((from, to)) if from == end + 1 => end = to,
                _ => break,
            }
        }
        at = end;
        seen += 1;
        let found = edits.len();
        inside(text, start, end, edits);
        if edits.len() == found && end - start >= DENSE_MIN {
            edits.extend(dense(text, start, end, &mut big));
        }
    }
}

/// The next stretch of bytes of a kind.
fn next(bytes: &[u8], from: usize, is: impl Fn(u8) -> bool) -> Option<(usize, usize)> {
    let start = from + bytes.get(from..)?.iter().position(|byte| is(*byte))?;
    let length = bytes[start..].iter().position(|byte| !is(*byte)).unwrap_or(bytes.len() - start);
    Some((start, start + length))
}

/// Runs of letters and digits between marks.
fn inside(text: &str, start: usize, end: usize, edits: &mut Edits) {
    let bytes = &text.as_bytes()[..end];
    let is_run =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-' | b'=' | b'\n');
    let mut at = start;
    while let Some((from, to)) = next(bytes, at, is_run) {
        at = to;
        if to - from < RUN_MIN {
            continue;
        }
        let run: Vec<u8> = bytes[from..to].iter().copied().filter(|byte| *byte != b'\n').collect();
        let decoded = hex(&run)
            .and_then(readable)
            .or_else(|| base32(&run).and_then(readable))
            .or_else(|| base64(&run).and_then(readable));
        edits.extend(decoded.map(|decoded| (from..to, decoded)));
    }
}

/// What uses all marks as digits.
fn dense(text: &str, start: usize, end: usize, big: &mut usize) -> Option<(std::ops::Range<usize>, String)> {
    let whole: Vec<u8> = text.as_bytes()[start..end].iter().copied().filter(|byte| *byte != b'\n').collect();
    let framed = whole.strip_prefix(b"<~").map(|rest| rest.strip_suffix(b"~>").unwrap_or(rest));
    let ways = |run: &[u8], big: &mut usize| {
        base85(run, ascii85)
            .and_then(wordy)
            .or_else(|| base85(run, rfc1924).and_then(wordy))
            .or_else(|| base85(run, z85).and_then(wordy))
            .or_else(|| base91(run).and_then(wordy))
            .or_else(|| {
                *big += usize::from(may_be_big(run));
                let is_tried = may_be_big(run) && *big <= BIG_MAX;
                is_tried.then(|| number(run, 58, base58).or_else(|| number(run, 62, base62))).flatten()
            })
    };
    ways(framed.unwrap_or(&whole), big).map(|decoded| (start..end, decoded))
}

/// base45, which has a space among its digits, and no small letters.
pub(super) fn spaced(text: &str, edits: &mut Edits) {
    let bytes = text.as_bytes();
    let is_digit =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || BASE45_MARKS.contains(&byte);
    let mut at = 0;
    while let Some((from, to)) = next(bytes, at, is_digit) {
        at = to;
        // `data: …`: what stands before the encoded text may be digits too.
        for frame in [&b" "[..], b" :"] {
            let start = from + bytes[from..to].iter().take_while(|byte| frame.contains(byte)).count();
            if to - start >= SPACED_MIN {
                edits.extend(base45(&bytes[start..to]).and_then(wordy).map(|decoded| (start..to, decoded)));
            }
        }
    }
}

fn hex(run: &[u8]) -> Option<Vec<u8>> {
    let run = run.strip_prefix(b"0x").unwrap_or(run);
    if !run.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    run.as_chunks::<2>().0.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn bits(run: &[u8], width: u32, value: impl Fn(u8) -> Option<u32>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(run.len() * width as usize / 8);
    let (mut held, mut count) = (0u32, 0);
    for byte in run {
        held = held << width | value(*byte)?;
        count += width;
        if count >= 8 {
            count -= 8;
            out.push((held >> count) as u8);
            held &= (1 << count) - 1;
        }
    }
    Some(out)
}

fn without_padding(run: &[u8]) -> &[u8] {
    let end = run.iter().rposition(|byte| *byte != b'=').map_or(0, |i| i + 1);
    &run[..end]
}

fn base64(run: &[u8]) -> Option<Vec<u8>> {
    bits(without_padding(run), 6, |byte| {
        Some(match byte {
            b'A'..=b'Z' => u32::from(byte - b'A'),
            b'a'..=b'z' => u32::from(byte - b'a') + 26,
            b'0'..=b'9' => u32::from(byte - b'0') + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        })
    })
}

fn base32(run: &[u8]) -> Option<Vec<u8>> {
    bits(without_padding(run), 5, |byte| {
        Some(match byte.to_ascii_uppercase() {
            upper @ b'A'..=b'Z' => u32::from(upper - b'A'),
            b'2'..=b'7' => u32::from(byte - b'2') + 26,
            _ => return None,
        })
    })
}

fn ascii85(byte: u8) -> Option<u32> {
    (b'!'..=b'u').contains(&byte).then(|| u32::from(byte - b'!'))
}

fn place(byte: u8, marks: &[u8], groups: [u8; 3]) -> Option<u32> {
    let letter = match byte {
        b'0'..=b'9' => byte - b'0' + groups[0],
        b'A'..=b'Z' => byte - b'A' + groups[1],
        b'a'..=b'z' => byte - b'a' + groups[2],
        _ => return marks.iter().position(|mark| *mark == byte).map(|at| at as u32 + 62),
    };
    Some(u32::from(letter))
}

/// RFC 1924, as Python's `b85encode` and git have it.
fn rfc1924(byte: u8) -> Option<u32> {
    place(byte, b"!#$%&()*+-;<=>?@^_`{|}~", [0, 10, 36])
}

/// ZeroMQ RFC 32.
fn z85(byte: u8) -> Option<u32> {
    place(byte, b".-:+=^!/*?&<>()[]{}@%$#", [0, 36, 10])
}

/// Five digits of base 85 are four bytes; a last group of n digits is n − 1 bytes.
fn base85(run: &[u8], value: impl Fn(u8) -> Option<u32>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(run.len() * 4 / 5);
    for five in run.chunks(5) {
        let mut sum = 0u64;
        for i in 0..5 {
            sum = sum * 85 + u64::from(five.get(i).map_or(Some(84), |byte| value(*byte))?);
        }
        let four = u32::try_from(sum).ok()?.to_be_bytes();
        let bytes = four.get(..five.len() - 1)?;
        // Text decodes to text from the first group on.
        if bytes.iter().any(|byte| *byte < b'\t') {
            return None;
        }
        out.extend_from_slice(bytes);
    }
    Some(out)
}

/// Two digits are thirteen bits, or fourteen (Henke's basE91).
fn base91(run: &[u8]) -> Option<Vec<u8>> {
    let value = |byte: u8| place(byte, b"!#$%&()*+,./:;<=>?@[]^_`{|}~\"", [52, 0, 26]);
    let mut out = Vec::with_capacity(run.len() * 7 / 8);
    let (mut held, mut count) = (0u32, 0);
    for two in run.as_chunks::<2>().0 {
        let pair = value(two[0])? + 91 * value(two[1])?;
        held |= pair << count;
        count += if pair & 8191 > 88 { 13 } else { 14 };
        while count > 7 {
            let byte = held as u8;
            if byte < b'\t' {
                return None;
            }
            out.push(byte);
            held >>= 8;
            count -= 8;
        }
    }
    if let [.., last] = run
        && run.len() % 2 == 1
    {
        out.push((held | value(*last)? << count) as u8);
    }
    Some(out)
}

const BASE45_MARKS: &[u8] = b" $%*+-./:";

/// Three digits are two bytes, the lowest digit first (RFC 9285).
fn base45(run: &[u8]) -> Option<Vec<u8>> {
    let value = |byte: u8| {
        Some(match byte {
            b'0'..=b'9' => u32::from(byte - b'0'),
            b'A'..=b'Z' => u32::from(byte - b'A') + 10,
            _ => BASE45_MARKS.iter().position(|mark| *mark == byte)? as u32 + 36,
        })
    };
    let mut out = Vec::with_capacity(run.len() * 2 / 3);
    for three in run.chunks(3) {
        let mut sum = 0;
        for byte in three.iter().rev() {
            sum = sum * 45 + value(*byte)?;
        }
        match three.len() {
            3 => out.extend_from_slice(&u16::try_from(sum).ok()?.to_be_bytes()),
            2 => out.push(u8::try_from(sum).ok()?),
            _ => return None,
        }
        if out.last().is_some_and(|byte| *byte < b'\t') {
            return None;
        }
    }
    Some(out)
}

/// All of one alphabet, with capitals, small letters and a digit among them, as an encoded sentence has.
fn may_be_big(run: &[u8]) -> bool {
    BIG_LENGTHS.contains(&run.len())
        && run.iter().all(u8::is_ascii_alphanumeric)
        && [u8::is_ascii_uppercase, u8::is_ascii_lowercase, u8::is_ascii_digit]
            .iter()
            .all(|is| run.iter().any(is))
}

fn base58(byte: u8) -> Option<u32> {
    let digit = match byte {
        b'1'..=b'9' => byte - b'1',
        b'A'..=b'H' => byte - b'A' + 9,
        b'J'..=b'N' => byte - b'J' + 17,
        b'P'..=b'Z' => byte - b'P' + 22,
        b'a'..=b'k' => byte - b'a' + 33,
        b'm'..=b'z' => byte - b'm' + 44,
        _ => return None,
    };
    Some(u32::from(digit))
}

fn base62(byte: u8) -> Option<u32> {
    place(byte, b"", [0, 10, 36])
}

/// The whole run as one number, whose bytes are the text.
fn number(run: &[u8], base: u32, value: impl Fn(u8) -> Option<u32>) -> Option<String> {
    // The lowest byte first.
    let mut bytes: Vec<u8> = Vec::with_capacity(run.len());
    for digit in run {
        let mut carry = value(*digit)?;
        for byte in &mut bytes {
            carry += u32::from(*byte) * base;
            *byte = carry as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(carry as u8);
            carry >>= 8;
        }
    }
    bytes.reverse();
    wordy(bytes)
}
