//! The bytes that wake a detector.
//!
//! Every pattern is found from a byte that is rare in prose, so that the scan is one loop over a table of 256 entries
//! that stops at about one byte in fifty. Digits wake the number detectors; `@` addresses; `:` and `=` assignments,
//! URLs and IPv6; `-`, `_` and `.` prefixes of tokens; `A` and `J` those prefixes that have nothing rarer (`AKIA`, `eyJ`);
//! `%`, `&` and `\` encoded characters.

const TRIGGERS: [bool; 256] = {
    let mut table = [false; 256];
    let bytes = b"0123456789@:=-_.AJ%&\\";
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] = true;
        i += 1;
    }
    table
};

#[inline]
pub(crate) fn is_trigger(byte: u8) -> bool {
    TRIGGERS[usize::from(byte)]
}

/// The first trigger at or after `from`.
#[inline]
pub(crate) fn next(bytes: &[u8], from: usize) -> Option<usize> {
    let mut i = from;
    let rest = bytes.get(from..)?;
    let (chunks, _) = rest.as_chunks::<8>();
    for chunk in chunks {
        // Eight lookups and one branch.
        if chunk.iter().fold(false, |any, byte| any | is_trigger(*byte)) {
            break;
        }
        i += 8;
    }
    bytes[i..].iter().position(|byte| is_trigger(*byte)).map(|at| i + at)
}
