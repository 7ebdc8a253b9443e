//! Characters written as escapes of programming languages, pages and mails.

/// Fewer escapes are punctuation.
pub(super) const MIN: usize = 4;

/// The text with its escapes undone: `\x69`, `\u0069`, `%69`, `=69`, `&#105;`, `&#x69;`, `U+0069`.
pub(super) fn undo(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let (mut i, mut undone) = (0, 0);
    while i < bytes.len() {
        let rest = &bytes[i..];
        match escape(rest) {
            // Percent and `\x` give bytes of UTF-8, the rest characters.
            Some((code, n)) if code < 256 && matches!(rest[0], b'%' | b'\\' | b'=') && rest[1] != b'u' => {
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
    (undone >= MIN).then(|| String::from_utf8_lossy(&out).into_owned())
}

/// The character that is escaped here, and how long the escape is.
fn escape(rest: &[u8]) -> Option<(u32, usize)> {
    match rest {
        [b'\\', b'x', ..] => code(&rest[2..], 16, 2).map(|(c, n)| (c, n + 2)),
        [b'\\', b'u', b'{', ..] => {
            code(&rest[3..], 16, 6).filter(|(_, n)| rest.get(n + 3) == Some(&b'}')).map(|(c, n)| (c, n + 4))
        }
        [b'\\', b'u', ..] => code(&rest[2..], 16, 4).filter(|(_, n)| *n == 4).map(|(c, n)| (c, n + 2)),
        [b'\\', b'U', ..] => code(&rest[2..], 16, 8).filter(|(_, n)| *n == 8).map(|(c, n)| (c, n + 2)),
        [b'\\', b'0'..=b'7', ..] => code(&rest[1..], 8, 3).filter(|(_, n)| *n >= 2).map(|(c, n)| (c, n + 1)),
        [b'%', ..] => code(&rest[1..], 16, 2).filter(|(_, n)| *n == 2).map(|(c, n)| (c, n + 1)),
        // Quoted-printable has capitals (RFC 2045, 6.7); a line that ends in `=` goes on.
        [b'=', a, b, ..] if is_capital_hex(*a) && is_capital_hex(*b) => {
            code(&rest[1..], 16, 2).map(|(c, n)| (c, n + 1))
        }
        [b'U', b'+', ..] => code(&rest[2..], 16, 5)
            .filter(|(_, n)| *n >= 4)
            .map(|(c, n)| (c, n + 2 + usize::from(rest.get(n + 2) == Some(&b' ')))),
        [b'&', b'#', b'x' | b'X', ..] => {
            code(&rest[3..], 16, 6).map(|(c, n)| (c, n + 3 + semicolon(rest, n + 3)))
        }
        [b'&', b'#', ..] => code(&rest[2..], 10, 7).map(|(c, n)| (c, n + 2 + semicolon(rest, n + 2))),
        _ => None,
    }
}

fn is_capital_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'F')
}

/// A number of at most `most` digits, and how many there were.
fn code(bytes: &[u8], base: u32, most: usize) -> Option<(u32, usize)> {
    let (mut value, mut count) = (0u32, 0);
    for digit in bytes.iter().take(most).map_while(|byte| char::from(*byte).to_digit(base)) {
        value = value.checked_mul(base)?.checked_add(digit)?;
        count += 1;
    }
    (count > 0).then_some((value, count))
}

fn semicolon(rest: &[u8], at: usize) -> usize {
    usize::from(rest.get(at) == Some(&b';'))
}
