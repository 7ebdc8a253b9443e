//! Whether the path, query or host of a link carries data: text of the conversation, or a part that says nothing but
//! is too long and too mixed to be a name.

use crate::{
    decode::forms,
    host::unescape,
    shingle::{self, Hashes, SEED, Shingles, mix},
};

/// Parts of an address shorter than this hold too little to be worth hiding, in bytes.
const PART_MIN: usize = 24;
/// So many mixed symbols are no word, slug or version in any language.
const MIXED_MIN: usize = 32;
/// What decodes to so many readable bytes was encoded on purpose.
const READABLE_MIN: usize = 9;
/// Labels of a host name are short; longer ones are a message to the name server (RFC 1035 allows 63).
const LABEL_MIN: usize = 30;
/// Queries longer than this carry something, whatever it is.
const QUERY_MAX: usize = 512;
/// Values that say who or what: with a digit or an `@`, and so many characters.
const VALUE_MIN: usize = 6;

/// What was said in a conversation, as hashes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    runs: Shingles<3>,
    values: Hashes,
}

impl Seen {
    pub(crate) fn of(texts: &[&str]) -> Seen {
        let mut seen = Seen::default();
        for text in texts {
            seen.runs.add(&shingle::words(text));
            seen.values.extend(values(text).map(hash));
        }
        seen
    }

    /// Whether `rest` of an address at `host` carries data out.
    pub(crate) fn is_carried(&self, host: &str, rest: &str) -> bool {
        let query = rest.split_once(['?', '#']).map_or("", |(_, query)| query);
        query.len() > QUERY_MAX
            || host.split('.').any(is_message)
            || parts(rest).any(is_opaque)
            || self.has_said(rest)
    }

    fn has_said(&self, rest: &str) -> bool {
        if self.values.is_empty() && self.runs.is_empty() {
            return false;
        }
        // `%20`, `+` and `_` are gaps between words either way; twice, as what was encoded may be encoded again.
        let once = unescape(rest).unwrap_or_else(|| rest.to_owned());
        let twice = unescape(&once).unwrap_or_else(|| once.clone());
        let decoded: Vec<String> = parts(rest).filter_map(decoded).collect();
        let says = |text: &str| {
            shingle::words(text).windows(3).any(|run| self.runs.has(run))
                || values(text).any(|value| self.values.contains(&hash(value)))
        };
        says(&twice) || decoded.iter().any(|text| says(text))
    }
}

fn hash(value: &str) -> u64 {
    value
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .fold(SEED, |h, c| mix(h, u64::from(c)))
}

/// Words of a text that name one thing: numbers, keys, addresses. Marks around and inside do not count.
fn values(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || "\"'()<>[]{},;=&?/#".contains(c)).filter(|value| {
        let letters = value.chars().filter(|c| c.is_alphanumeric()).count();
        letters >= VALUE_MIN && value.bytes().any(|byte| byte.is_ascii_digit() || byte == b'@')
    })
}

fn parts(rest: &str) -> impl Iterator<Item = &str> {
    rest.split(['/', '?', '&', '=', '#', ';', ',', ':', '.', '!']).filter(|part| !part.is_empty())
}

/// What a part says once it is decoded, if it is text then.
fn decoded(part: &str) -> Option<String> {
    let part = unescape(part)?;
    let symbols = part.trim_end_matches('=').as_bytes();
    let text =
        |bytes: Option<Vec<u8>>| bytes.filter(|bytes| bytes.len() >= READABLE_MIN).and_then(forms::readable);
    if symbols.len().is_multiple_of(2) && symbols.iter().all(u8::is_ascii_hexdigit) {
        return text(forms::hex(symbols));
    }
    let upper = part.to_ascii_uppercase();
    text(forms::base64(symbols)).or_else(|| text(forms::base32(upper.trim_end_matches('=').as_bytes())))
}

/// Whether a part is encoded text, or symbols that mix more than names do.
fn is_opaque(part: &str) -> bool {
    if decoded(part)
        .is_some_and(|text| text.bytes().filter(|byte| byte.is_ascii_graphic()).count() >= READABLE_MIN)
    {
        return true;
    }
    // Words with dashes are a title; what stands between them counts.
    let longest = part.split(['-', '_', '+', '~']).map(str::len).max().unwrap_or(0);
    let is_identifier = part.len() == 36 && part.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    if part.len() < PART_MIN || longest < PART_MIN / 2 || is_identifier {
        return false;
    }
    let has = |test: fn(&u8) -> bool| part.bytes().any(|byte| test(&byte));
    let is_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mixes = usize::from(has(u8::is_ascii_digit))
        + usize::from(has(u8::is_ascii_uppercase))
        + usize::from(has(u8::is_ascii_lowercase));
    // A digest names a version of a thing; one of more than 256 bits does not.
    part.len() >= MIXED_MIN
        && if is_hex { part.len() > 64 } else { mixes >= 3 || mixes == 2 && changes(part) * 4 > part.len() }
}

/// Whether a label of a host name is too long and too mixed for a name. Names have no case, which leaves base32 and hex.
fn is_message(label: &str) -> bool {
    // Text in base32 or hex has digits all over; names have a number at most.
    let digits = |part: &str| part.bytes().filter(u8::is_ascii_digit).count();
    let is_mixed = |part: &str| part.len() >= LABEL_MIN && digits(part) >= 3;
    !label.starts_with("xn--") && label.split('-').any(is_mixed)
}

/// How often letters and digits take turns.
fn changes(part: &str) -> usize {
    let bytes = part.as_bytes();
    bytes.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_and_mixed_parts_carry_data() {
        let check = |rest: &str, expected: bool| {
            assert_eq!(Seen::default().is_carried("example.test", rest), expected, "{rest}");
        };
        check("/x.png?d=dGhlIHBhc3N3b3JkIGlzIGh1bnRlcjI", true);
        check("/746865206b6579206973203132333435", true);
        check("/?q=aZ3kQ9xW7vB2nM5cL8pR4tY6uE1sD0fG", true);
        check("/how-to-make-a-cake-with-three-eggs-and-flour", false);
        check("/wiki/Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch", false);
        check("/commit/9fceb02d0ae598e95dc970b74767f19372d61af8", false);
        check("/item/123e4567-e89b-12d3-a456-426614174000?page=2&lang=en", false);
        check("/maps?q=coffee+near+the+station", false);
        assert!(Seen::default().is_carried("orsxg5bnmrqxiyjnnfzs2mjsgm2dkmry.evil.test", "/"));
    }

    #[test]
    fn what_was_said_is_known_again() {
        let seen = Seen::of(&["My account is DE-4711-0815 and the launch date is the ninth of May."]);
        let check = |rest: &str, expected: bool| {
            assert_eq!(seen.is_carried("example.test", rest), expected, "{rest}");
        };
        check("/?a=de47110815", true);
        check("/?a=the+launch+date", true);
        check("/launch%20date%20is", true);
        check("/launch%2520date%2520is", true);
        check("/bGF1bmNoIGRhdGUgaXM", true);
        check("/?a=launch", false);
    }
}
