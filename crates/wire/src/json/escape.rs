//! What stands inside a string literal: plain runs and escapes.

/// A part of a literal's content.
pub(crate) enum Piece<'a> {
    Plain(&'a str),
    /// An escape of `raw` bytes that stands for one character.
    Escape {
        raw: usize,
        decoded: char,
    },
}

/// Splits the content of a literal that the cursor has validated. A surrogate without its partner stands for U+FFFD:
/// programs that cut UTF-16 text in the middle write such, and providers take it.
pub(crate) fn pieces(mut raw: &str) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        let (piece, used) = match memchr::memchr(b'\\', raw.as_bytes()) {
            None if raw.is_empty() => return None,
            None => (Piece::Plain(raw), raw.len()),
            Some(0) => {
                let (used, decoded) = escape_at(raw.as_bytes());
                (Piece::Escape { raw: used, decoded }, used)
            }
            Some(run) => (Piece::Plain(&raw[..run]), run),
        };
        raw = &raw[used..];
        Some(piece)
    })
}

pub(crate) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    for piece in pieces(raw) {
        match piece {
            Piece::Plain(run) => text.push_str(run),
            Piece::Escape { decoded, .. } => text.push(decoded),
        }
    }
    text
}

/// The length of the escape that `raw` begins with and its character.
fn escape_at(raw: &[u8]) -> (usize, char) {
    let simple = match raw.get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unicode_at(raw),
        Some(other) => char::from(*other),
        None => return (raw.len(), char::REPLACEMENT_CHARACTER),
    };
    (2, simple)
}

fn unicode_at(raw: &[u8]) -> (usize, char) {
    let Some(first) = hex_at(raw) else { return (2, char::REPLACEMENT_CHARACTER) };
    if let 0xD800..0xDC00 = first
        && let Some(second @ 0xDC00..0xE000) =
            raw.get(6..).filter(|rest| rest.starts_with(b"\\u")).and_then(hex_at)
    {
        let joined = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (12, char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    (6, char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// The four digits after `\u`.
fn hex_at(escape: &[u8]) -> Option<u32> {
    escape.get(2..6)?.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
}
