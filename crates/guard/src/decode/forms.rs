//! Codecs, as functions of plain bytes. None of them fails loudly: what does not decode is not encoded.

/// Base64 in either alphabet, without its padding.
pub(crate) fn base64(symbols: &[u8]) -> Option<Vec<u8>> {
    if symbols.len() % 4 == 1 {
        return None;
    }
    unpack(symbols, 6, |symbol| match symbol {
        b'A'..=b'Z' => Some(symbol - b'A'),
        b'a'..=b'z' => Some(symbol - b'a' + 26),
        b'0'..=b'9' => Some(symbol - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    })
}

/// Base32 of RFC 4648, without its padding.
pub(crate) fn base32(symbols: &[u8]) -> Option<Vec<u8>> {
    unpack(symbols, 5, |symbol| match symbol {
        b'A'..=b'Z' => Some(symbol - b'A'),
        b'2'..=b'7' => Some(symbol - b'2' + 26),
        _ => None,
    })
}

pub(crate) fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    unpack(digits, 4, |digit| char::from(digit).to_digit(16).map(|value| value as u8))
}

/// Symbols of `width` bits each to bytes; bits left over are padding.
fn unpack(symbols: &[u8], width: u32, value: fn(u8) -> Option<u8>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(symbols.len() * width as usize / 8);
    let (mut bits, mut count) = (0u32, 0);
    for symbol in symbols {
        bits = bits << width | u32::from(value(*symbol)?);
        count += width;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

/// Whether the first bytes may be text: for random bytes the odds are one in a few hundred.
pub(crate) fn begins_readable(bytes: &[u8]) -> bool {
    bytes.iter().take(6).all(|byte| {
        byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | 0xC2..=0xF0 | 0x80..=0xBF)
    }) && bytes.first().is_some_and(|byte| !matches!(byte, 0x80..=0xBF))
}

/// The bytes as text, if they are text.
pub(crate) fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let is_odd = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    (!text.chars().any(|c| is_odd(&c))).then_some(text)
}

/// Names of the characters that stand in addresses and numbers (HTML, named character references).
const ENTITIES: [(&[u8], char); 16] = [
    (b"commat", '@'),
    (b"period", '.'),
    (b"colon", ':'),
    (b"lowbar", '_'),
    (b"hyphen", '-'),
    (b"dash", '-'),
    (b"nbsp", ' '),
    (b"plus", '+'),
    (b"sol", '/'),
    (b"lpar", '('),
    (b"rpar", ')'),
    (b"num", '#'),
    (b"equals", '='),
    (b"quot", '"'),
    (b"amp", '&'),
    (b"excl", '!'),
];

/// The character reference that `byte(0)`, `byte(1)`, … spell, and its length.
pub(crate) fn entity(byte: impl Fn(usize) -> u8) -> Option<(char, usize)> {
    if byte(0) != b'&' {
        return None;
    }
    if byte(1) != b'#' {
        let (name, c) =
            ENTITIES.iter().find(|(name, _)| name.iter().enumerate().all(|(k, b)| byte(k + 1) == *b))?;
        return (byte(name.len() + 1) == b';').then_some((*c, name.len() + 2));
    }
    let (first, radix) = if matches!(byte(2), b'x' | b'X') { (3, 16) } else { (2, 10) };
    let (mut code, mut at) = (0u32, first);
    while at < first + 7 {
        let Some(digit) = char::from(byte(at)).to_digit(radix) else { break };
        code = code * radix + digit;
        at += 1;
    }
    let c = char::from_u32(code).filter(|c| !c.is_control())?;
    (at > first).then_some((c, at + usize::from(byte(at) == b';')))
}

/// The escape that `byte(0)`, … spell (`\x41`, `\u0041`, `\u{41}`, `\U00000041`, `\101`), and its length.
pub(crate) fn escape(byte: impl Fn(usize) -> u8) -> Option<(char, usize)> {
    if byte(0) != b'\\' {
        return None;
    }
    if matches!((byte(1), byte(2), byte(3)), (b'0' | b'1', b'0'..=b'7', b'0'..=b'7')) {
        let code = (1..4).fold(0u32, |code, k| code << 3 | u32::from(byte(k) - b'0'));
        return char::from_u32(code).filter(|c| !c.is_control()).map(|c| (c, 4));
    }
    let (first, digits) = match (byte(1), byte(2)) {
        (b'u', b'{') => (3, 6),
        (b'x', _) => (2, 2),
        (b'u', _) => (2, 4),
        (b'U', _) => (2, 8),
        _ => return None,
    };
    let (mut code, mut at) = (0u32, first);
    while at < first + digits {
        let Some(digit) = char::from(byte(at)).to_digit(16) else { break };
        code = code << 4 | digit;
        at += 1;
    }
    let is_whole = if first == 3 { byte(at) == b'}' && at > 3 } else { at == first + digits };
    let c = char::from_u32(code).filter(|c| !c.is_control())?;
    is_whole.then_some((c, at + usize::from(first == 3)))
}

/// A letter thirteen places on.
pub(crate) fn rot13(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
        b'A'..=b'Z' => (byte - b'A' + 13) % 26 + b'A',
        _ => byte,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_read_what_the_standards_print() {
        assert_eq!(base64(b"Zm9vYmE").as_deref(), Some(&b"fooba"[..]));
        assert_eq!(base64(b"-_-_").as_deref(), Some(&[0xFB, 0xFF, 0xBF][..]));
        assert_eq!(base64(b"Zm9v!"), None);
        assert_eq!(base32(b"MZXW6YTB").as_deref(), Some(&b"fooba"[..]));
        assert_eq!(hex(b"666f6F").as_deref(), Some(&b"foo"[..]));
        assert_eq!(hex(b"6g"), None);
        let of = |text: &'static str| move |k: usize| text.as_bytes().get(k).copied().unwrap_or(0);
        assert_eq!(entity(of("&#64;x")), Some(('@', 5)));
        assert_eq!(entity(of("&#x40;x")), Some(('@', 6)));
        assert_eq!(entity(of("&commat;")), Some(('@', 8)));
        assert_eq!(entity(of("& b")), None);
        assert_eq!(escape(of("\\u0040")), Some(('@', 6)));
        assert_eq!(escape(of("\\x40")), Some(('@', 4)));
        assert_eq!(escape(of("\\u{40}")), Some(('@', 6)));
        assert_eq!(escape(of("\\101")), Some(('A', 4)));
        assert_eq!(escape(of("\\n")), None);
        assert_eq!(rot13(b'n'), b'a');
    }
}
