//! The text as a reader takes it in, with the way back to the original bytes.
//!
//! Full-width and other compatibility forms become plain, invisible characters and stacked marks go, digits of any
//! script become ASCII digits, dashes, quotes and spaces their ASCII forms, and letters that only look Latin become
//! Latin where Latin letters stand beside them. A character becomes one character or none, so that a stream may be cut
//! anywhere between two. Nothing is composed: `é` stays `é`, and `e` with a mark over it becomes `e`.
//!
//! What a character becomes depends on its neighbourhood only (16 characters), so that the view of a part is a part of
//! the view. Plain text, ASCII above all, is its own view and costs no allocation.

mod alike;

use std::{borrow::Cow, ops::Range};

use unicode_normalization::char::decompose_compatible;

/// How near a Latin letter makes a look-alike Latin, in characters.
const MIXED_REACH: usize = 16;

/// More invisible characters in a row than this are a gap, as otherwise no bound on bytes would bound what is read.
const INVISIBLE_MAX: usize = 8;

/// Folded text. Positions in it are bytes.
pub(crate) struct View<'a> {
    text: Cow<'a, str>,
    /// For each byte of `text`, where its character starts in the original; empty when the two are the same.
    starts: Vec<u32>,
    /// How much of the original the view covers.
    covered: usize,
}

/// What becomes of a character.
enum Reading {
    Keep,
    As(char),
    /// The Latin letter that it passes for.
    Alike(u8),
    Hidden,
}

impl<'a> View<'a> {
    /// The view of a whole text.
    pub(crate) fn of(text: &'a str) -> View<'a> {
        View::of_part(text, true)
    }

    /// The view of a text that goes on, unless `is_last`: up to the first character whose reading what follows decides.
    pub(crate) fn of_part(text: &'a str, is_last: bool) -> View<'a> {
        // Positions are kept in 32 bits; no body is as long.
        if text.is_ascii() || u32::try_from(text.len()).is_err() {
            return View { text: Cow::Borrowed(text), starts: Vec::new(), covered: text.len() };
        }
        let mut folded: Option<Folded> = None;
        let mut covered = text.len();
        // Characters since the last Latin letter of the word; hidden ones in a row.
        let (mut since_latin, mut hidden) = (MIXED_REACH, 0);
        let mut before = '\0';
        let mut ahead = Ahead::default();
        for (n, (start, c)) in text.char_indices().enumerate() {
            let reading = if c.is_ascii() { Reading::Keep } else { read(c) };
            if !matches!(reading, Reading::Hidden) {
                hidden = 0;
            }
            let last = std::mem::replace(&mut before, c);
            let becomes = match reading {
                Reading::Keep => {
                    since_latin = match c {
                        _ if c.is_ascii_alphabetic() => 0,
                        _ if is_of_word(c) => (since_latin + 1).min(MIXED_REACH),
                        _ => MIXED_REACH,
                    };
                    if let Some(folded) = &mut folded {
                        folded.push(start, c);
                    }
                    continue;
                }
                Reading::As(c) => {
                    since_latin =
                        if c.is_ascii_alphabetic() { 0 } else { (since_latin + 1).min(MIXED_REACH) };
                    Some(c)
                }
                Reading::Alike(letter) => {
                    let is_mixed = match ahead.is_latin(text, start + c.len_utf8(), n) {
                        _ if since_latin < MIXED_REACH || last.is_ascii_digit() => true,
                        Some(is_latin) => is_latin,
                        None if is_last => false,
                        None => {
                            covered = start;
                            folded.get_or_insert_with(|| Folded::copy(text, start));
                            break;
                        }
                    };
                    since_latin = (since_latin + 1).min(MIXED_REACH);
                    Some(if is_mixed { char::from(letter) } else { c })
                }
                Reading::Hidden => {
                    hidden += 1;
                    (hidden > INVISIBLE_MAX).then_some(' ')
                }
            };
            if becomes == Some(c) && folded.is_none() {
                continue;
            }
            let folded = folded.get_or_insert_with(|| Folded::copy(text, start));
            if let Some(c) = becomes {
                folded.push(start, c);
            }
        }
        match folded {
            None => View { text: Cow::Borrowed(text), starts: Vec::new(), covered },
            Some(folded) => View { text: Cow::Owned(folded.text), starts: folded.starts, covered },
        }
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.starts.is_empty() && self.text.is_ascii()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where in the original the character at `at` starts; the end of what is covered for the end of the view.
    pub(crate) fn original_start(&self, at: usize) -> usize {
        if at >= self.text.len() {
            return self.covered;
        }
        if self.starts.is_empty() {
            at
        } else {
            self.starts.get(at).map_or(self.covered, |start| *start as usize)
        }
    }

    /// A span of the view in bytes of the original: up to the end of its last character, not to the start of the next.
    pub(crate) fn original(&self, span: Range<usize>, text: &str) -> Range<usize> {
        if self.starts.is_empty() {
            return span;
        }
        let start = self.original_start(span.start);
        let last = self.original_start(span.end.saturating_sub(1).max(span.start));
        let width = text.get(last..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        start..(last + width).max(start)
    }

    /// The first position of the view that stands for the original at or after `original`.
    pub(crate) fn position(&self, original: usize) -> usize {
        if self.starts.is_empty() {
            return original.min(self.text.len());
        }
        self.starts.partition_point(|start| (*start as usize) < original)
    }
}

struct Folded {
    text: String,
    starts: Vec<u32>,
}

impl Folded {
    /// Begins with the first `len` bytes of `text` as they are.
    fn copy(text: &str, len: usize) -> Folded {
        let mut starts = Vec::with_capacity(text.len());
        for (start, c) in text[..len].char_indices() {
            starts.resize(starts.len() + c.len_utf8(), start as u32);
        }
        let mut folded = Folded { text: String::with_capacity(text.len()), starts };
        folded.text.push_str(&text[..len]);
        folded
    }

    fn push(&mut self, start: usize, c: char) {
        self.text.push(c);
        self.starts.resize(self.text.len(), start as u32);
    }
}

/// Characters that do not end a word in which scripts may be mixed.
fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | ':')
}

/// Looks ahead for the next Latin letter. It moves on only, so that it passes each character once.
#[derive(Default)]
struct Ahead {
    /// Where it has come to, in bytes and in characters.
    at: usize,
    count: usize,
    /// Which character was the last Latin letter or word's end that it met.
    latin: usize,
    end: usize,
}

impl Ahead {
    /// Whether a Latin letter follows in the word of the character number `n` that ends at `from`; `None` when the text
    /// ends before that is decided.
    fn is_latin(&mut self, text: &str, from: usize, n: usize) -> Option<bool> {
        if text.as_bytes().get(from).is_some_and(u8::is_ascii_digit) {
            return Some(true);
        }
        if self.count <= n {
            (self.at, self.count) = (from, n + 1);
        }
        loop {
            let has_latin = self.latin > n;
            if has_latin || self.end > n {
                return Some(has_latin && self.latin - n <= MIXED_REACH);
            }
            if self.count > n + MIXED_REACH {
                return Some(false);
            }
            let c = text.get(self.at..)?.chars().next()?;
            let is_latin = |c: char| c.is_ascii_alphabetic();
            match c {
                c if is_latin(c) => self.latin = self.count,
                c if is_of_word(c) => {}
                c if c.is_ascii() => self.end = self.count,
                c => match read(c) {
                    Reading::As(c) if is_latin(c) => self.latin = self.count,
                    Reading::As(_) | Reading::Alike(_) | Reading::Hidden => {}
                    Reading::Keep => self.end = self.count,
                },
            }
            self.at += c.len_utf8();
            self.count += 1;
        }
    }
}

fn read(c: char) -> Reading {
    let read_plain = |c: char| match alike::latin(c) {
        Some(letter) => Reading::Alike(letter),
        None => Reading::Keep,
    };
    match c {
        '\u{A0}' => Reading::As(' '),
        // Between groups of digits and parts of addresses.
        '·' | '‧' | '•' => Reading::As('.'),
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | '⁃' => Reading::As('-'),
        '‘' | '’' | '‚' => Reading::As('\''),
        '“' | '”' | '„' => Reading::As('"'),
        '\u{2028}' | '\u{2029}' => Reading::As('\n'),
        // Tag characters spell ASCII that no one sees.
        '\u{E0020}'..='\u{E007E}' => Reading::As(char::from_u32(u32::from(c) - 0xE0000).unwrap_or(' ')),
        '❶'..='❾' => Reading::As(digit(u32::from(c) - u32::from('❶') + 1)),
        // Greek and Cyrillic: letters, with look-alikes among them.
        '\u{370}'..='\u{52F}' => read_plain(c),
        _ if is_hidden(c) => Reading::Hidden,
        // Latin with accents, and the scripts without compatibility forms of Latin: nothing to do.
        '\u{C0}'..='\u{130}' | '\u{132}'..='\u{17E}' | '\u{3041}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' => {
            Reading::Keep
        }
        '\u{1F300}'..='\u{1FAFF}' => Reading::Keep,
        c => {
            if let Some(value) = alike::digit_of_script(c) {
                return Reading::As(digit(value));
            }
            let (mut plain, mut count) = (c, 0);
            decompose_compatible(c, |part| {
                plain = part;
                count += 1;
            });
            match plain {
                _ if count != 1 || plain == c => read_plain(c),
                plain if plain.is_ascii() => Reading::As(plain),
                plain => match alike::digit_of_script(plain) {
                    Some(value) => Reading::As(digit(value)),
                    None => match alike::latin(plain) {
                        Some(letter) => Reading::Alike(letter),
                        None => Reading::As(plain),
                    },
                },
            }
        }
    }
}

/// The Latin letter that a letter passes for.
pub(crate) fn look_alike(c: char) -> Option<char> {
    alike::latin(c).map(char::from)
}

fn digit(value: u32) -> char {
    char::from_digit(value, 10).unwrap_or('0')
}

/// Characters without a shape of their own: format controls, variation selectors, blank letters, marks over others.
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{300}'..='\u{36F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{20D0}'..='\u{20FF}' | '\u{2800}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FE20}'..='\u{FE2F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_its_own_view() {
        for text in ["", "plain 123", "déjà vu: naïve, Größe", "привет, мир", "世界 안녕", "Ελλάδα", "👍"]
        {
            let view = View::of(text);
            assert!(matches!(view.text, Cow::Borrowed(_)), "{text}");
            assert_eq!(view.original(0..text.len(), text), 0..text.len());
        }
    }

    #[test]
    fn disguised_text_becomes_plain_and_maps_back() {
        let check = |text: &str, expected: &str| {
            let view = View::of(text);
            assert_eq!(view.text(), expected, "{text:?}");
            let whole = view.original(0..expected.len(), text);
            assert_eq!(text[whole].trim_matches(is_hidden), text.trim_matches(is_hidden));
        };
        check("a\u{200b}n\u{200d}n", "ann");
        check("４１１１－１１１１", "4111-1111");
        check("аnn@ехаmрlе.соm", "ann@example.com");
        check("𝐚𝐧𝐧 𝟒𝟏", "ann 41");
        check("٤١١١ ४१", "4111 41");
        check("①②③", "123");
        check("4111\u{a0}1111 – 1", "4111 1111 - 1");
        check("\u{E0061}\u{E0040}", "a@");
        check("e\u{301}x\u{338}", "ex");
        check("кот, cоt", "кот, cot");
    }

    #[test]
    fn the_view_of_a_part_is_a_part_of_the_view() {
        let text = "ab рау-раl хх сор. сорs ٤１\u{200b}\u{200b}9 e\u{301} кот";
        let whole = View::of(text);
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let part = View::of_part(&text[..end], false);
            assert!(whole.text().starts_with(part.text()), "{:?} of {:?}", part.text(), &text[..end]);
            assert!(part.covered + 4 * MIXED_REACH >= end);
        }
    }

    #[test]
    fn endless_invisible_characters_are_a_gap() {
        let view = View::of_part(
            "1\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}2",
            true,
        );
        assert_eq!(view.text(), "1  2");
    }
}
