//! Runs without spaces: base64 in both alphabets, base32, hexadecimal, base85.

use super::readable;

/// Shorter runs are words.
pub(super) const RUN_MIN: usize = 12;
/// Of runs that are no words, in one text.
const RUNS_MAX: usize = 256;

pub(super) fn decode(text: &str, take: &mut impl FnMut(Option<String>)) {
    let is_run = |byte: &u8| super::CLASS[usize::from(*byte)] == 1;
    let bytes = text.as_bytes();
    let mut i = 0;
    let mut seen = 0;
    while seen < RUNS_MAX {
        let Some(start) = bytes[i..].iter().position(is_run).map(|n| i + n) else { return };
        let mut end =
            start + bytes[start..].iter().position(|byte| !is_run(byte)).unwrap_or(bytes.len() - start);
        i = end;
        // Lines of one block belong together.
        while end - start >= 60 && bytes.get(end) == Some(&b'\n') && bytes.get(end + 1).is_some_and(is_run) {
            let more =
                bytes[end + 1..].iter().position(|byte| !is_run(byte)).unwrap_or(bytes.len() - end - 1);
            end += 1 + more;
            i = end;
            if more < 60 {
                break;
            }
        }
        if end - start < RUN_MIN {
            continue;
        }
        seen += 1;
        let run: Vec<u8> = bytes[start..end].iter().copied().filter(|byte| *byte != b'\n').collect();
        if let Some(text) = hex(&run).and_then(readable) {
            take(Some(text));
        } else if let Some(text) = base32(&run).and_then(readable) {
            take(Some(text));
        } else {
            take(base64(&run).and_then(readable));
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
        Some(match byte {
            b'A'..=b'Z' => u32::from(byte - b'A'),
            b'2'..=b'7' => u32::from(byte - b'2') + 26,
            _ => return None,
        })
    })
}
