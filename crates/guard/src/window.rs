//! The part of a text that a scan sees, and the local questions that detectors ask about it.
//!
//! Every detector decides from a bounded neighbourhood of the place that woke it, and reads to the right only through
//! [`Window::at`]. A window that is not the end of its text notes each attempt to read beyond it, so that a stream
//! knows which decisions have to wait for more text. This is what makes streamed and whole-text results equal.

use std::cell::{Cell, RefCell};

use crate::decode::spelled::is_number;

/// How far to the left of a trigger the value it belongs to may begin, in bytes. The longest such value is an e-mail
/// address, whose local part is at most 64 bytes (RFC 5321, 4.5.3.1.1).
pub(crate) const LOOKBACK: usize = 64;

/// How far to the left of a value its label may stand, in bytes: "the customer's social security number changed to".
pub(crate) const LABEL_LEFT: usize = 72;

/// How far to the right of a value its label may stand, in bytes: "… as the PAN card".
pub(crate) const LABEL_RIGHT: usize = 48;

/// Of two labels as near, the one to the left is meant.
const RIGHT_PENALTY: usize = 8;

/// Groups of four in a row that may lack a digit, with the first: an account number has at most 31 symbols.
const IBAN_GROUPS: usize = 8;

/// Labels of so many bytes (four Cyrillic letters) are taken for abbreviations.
const ABBREVIATION_MAX: usize = 8;

/// White space and quotes around a value that is all of a text.
const FRAME_MAX: usize = 8;

/// How much text to the left of undecided text a stream keeps: no detector looks further back than this.
pub(crate) const LEFT_MAX: usize = 256;

pub(crate) struct Window<'a> {
    bytes: &'a [u8],
    /// No text precedes.
    is_first: bool,
    /// No text follows.
    is_last: bool,
    touched: Cell<bool>,
    /// What labels were last looked for in, on either side.
    left: RefCell<Near>,
    right: RefCell<Near>,
}

impl<'a> Window<'a> {
    pub(crate) fn new(text: &'a str, is_first: bool, is_last: bool) -> Window<'a> {
        Window { is_first, is_last, ..Window::inner(text.as_bytes()) }
    }

    /// What was decoded, with the text to the left of the run before it. Nothing follows it.
    pub(crate) fn inner(bytes: &'a [u8]) -> Window<'a> {
        let (left, right) = (RefCell::new(Near::new()), RefCell::new(Near::new()));
        Window { bytes, is_first: false, is_last: true, touched: Cell::new(false), left, right }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_last(&self) -> bool {
        self.is_last
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The byte at `i`, 0 after the end. A NUL in the text ends a match as well as the end does.
    #[inline]
    pub(crate) fn at(&self, i: usize) -> u8 {
        match self.bytes.get(i) {
            Some(byte) => *byte,
            None => {
                if !self.is_last {
                    self.touched.set(true);
                }
                0
            }
        }
    }

    /// The byte before `i`, 0 at the start.
    #[inline]
    pub(crate) fn before(&self, i: usize) -> u8 {
        if i == 0 { 0 } else { self.bytes.get(i - 1).copied().unwrap_or(0) }
    }

    /// Whether something was asked about text that has not come yet, since the last call of this.
    pub(crate) fn take_touched(&self) -> bool {
        self.touched.replace(false)
    }

    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end).unwrap_or(&[])
    }

    pub(crate) fn starts_with(&self, i: usize, literal: &[u8]) -> bool {
        literal.iter().enumerate().all(|(k, byte)| self.at(i + k) == *byte)
    }

    /// The end of the run of bytes in `set` that starts at `i`, at most `max` bytes on.
    #[inline]
    pub(crate) fn run(&self, i: usize, max: usize, set: fn(u8) -> bool) -> usize {
        let mut end = i;
        while end < i + max && set(self.at(end)) {
            end += 1;
        }
        end
    }

    /// The start of the run of bytes in `set` that ends before `i`, at most `max` bytes back.
    #[inline]
    pub(crate) fn run_back(&self, i: usize, max: usize, set: fn(u8) -> bool) -> usize {
        let floor = i.saturating_sub(max);
        let mut start = i;
        while start > floor && set(self.bytes[start - 1]) {
            start -= 1;
        }
        start
    }

    /// Whether there is a separator inside a number at `i`: space, dash or dot (the view has no other spaces).
    ///
    /// White space counts only at a joint (see [`Window::is_joint`]).
    #[inline]
    pub(crate) fn is_separator(&self, i: usize) -> bool {
        match self.at(i) {
            b'-' | b'.' => true,
            b' ' => self.is_joint(i),
            _ => false,
        }
    }

    /// Whether `start..end` is all the text there is, but for white space and quotes around it: a field of a form or
    /// an argument of a tool, beside which no label can be expected.
    pub(crate) fn is_lone(&self, start: usize, end: usize) -> bool {
        let is_frame = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'');
        if !self.is_first || start > FRAME_MAX || !self.slice(0, start).iter().all(|byte| is_frame(*byte)) {
            return false;
        }
        let after = self.run(end, FRAME_MAX, is_frame);
        self.at(after) == 0 && after >= self.len()
    }

    /// Whether a value may go on across the space at `i`: a digit follows, or the token before it has one.
    ///
    /// In prose no space is a joint, and so a stream need hold back the current word only.
    pub(crate) fn is_joint(&self, i: usize) -> bool {
        if self.at(i + 1).is_ascii_digit() {
            return true;
        }
        let floor = i.saturating_sub(8);
        self.bytes[floor..i.min(self.bytes.len())]
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_alphanumeric())
            .any(|byte| byte.is_ascii_digit())
            || self.is_group_joint(i)
    }

    /// Whether groups of four capitals or digits, one of them with a digit, stand before the space at `i`: a printed
    /// IBAN, whose account number may have groups of letters alone.
    fn is_group_joint(&self, i: usize) -> bool {
        let mut end = i;
        for _ in 0..IBAN_GROUPS {
            let Some(group) = end.checked_sub(4).and_then(|start| self.bytes.get(start..end)) else {
                return false;
            };
            if !group.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
                return false;
            }
            if group.iter().any(u8::is_ascii_digit) {
                return true;
            }
            if self.before(end - 4) != b' ' {
                return false;
            }
            end -= 5;
        }
        false
    }

    /// Whether a spelled-out value may go on across the space at `i`: single characters with spaces between them, or
    /// the words for `@` and `.` in an address. A word that the text ends in counts for what it may become.
    fn is_spelled_joint(&self, i: usize) -> bool {
        let left = self.run_back(i, 8, |byte| !matches!(byte, b' ' | b'\n'));
        let mut right = i + 1;
        while right < self.len() && right <= i + 8 && self.bytes[right] != b' ' {
            right += 1;
        }
        let said = self.slice(self.run_back(i, 8, |byte| is_alnum(byte) || byte >= 0x80), i);
        let (left, right, is_open) = (&self.bytes[left..i], &self.bytes[i + 1..right], right == self.len());
        (left.len() == 1 || said.len() == 1) && right.len() <= 1
            || (said.len() == 1 || is_number(said, false)) && is_number(right, is_open)
            || is_mark(left, false)
            || is_mark(right, is_open)
    }

    /// The first position at or after `i - LOOKBACK` from which a value that reaches `i` may start.
    pub(crate) fn value_start(&self, i: usize) -> usize {
        let floor = i.saturating_sub(LOOKBACK);
        let mut start = i.min(self.bytes.len());
        while start > floor {
            let byte = self.bytes[start - 1];
            let goes_on = match byte {
                b' ' => self.is_joint(start - 1) || self.is_spelled_joint(start - 1),
                // Accented letters, as in mailboxes; two bytes each.
                0x80..=0xBF => start >= 2 && is_accented(self.bytes[start - 2]),
                _ => is_value_byte(byte) || is_accented(byte),
            };
            if !goes_on {
                break;
            }
            start -= 1;
        }
        start
    }

    /// How far from the value `start..end` the nearest of `labels` stands, in bytes, if one is near: to its left, or close
    /// on its right. Those to the right count as farther: text names a thing first.
    ///
    /// A label must begin at the start of a word.
    pub(crate) fn label_distance(&self, start: usize, end: usize, labels: &Labels) -> Option<usize> {
        let left = self.label_left(start, LABEL_LEFT, labels);
        // Nothing on the right is nearer than that.
        if left.is_some_and(|distance| distance <= RIGHT_PENALTY) {
            return left;
        }
        let right = self.label_right(end, labels).map(|distance| distance + RIGHT_PENALTY);
        left.into_iter().chain(right).min()
    }

    pub(crate) fn has_label_left(&self, start: usize, reach: usize, labels: &Labels) -> bool {
        self.label_left(start, reach, labels).is_some()
    }

    /// How far to the left of `start` the nearest of `labels` ends, at most `reach` bytes.
    pub(crate) fn label_left(&self, start: usize, reach: usize, labels: &Labels) -> Option<usize> {
        let floor = start.saturating_sub(reach.min(LABEL_LEFT));
        let mut near = self.left.borrow_mut();
        near.read(self, floor, start);
        let mut last = None;
        labels.each_end(&near, |end| last = last.max(Some(end)));
        last.map(|end| near.len - end)
    }

    fn label_right(&self, end: usize, labels: &Labels) -> Option<usize> {
        // Ask for the last byte of the reach first: a stream has to wait for all of it in any case.
        self.at(end + LABEL_RIGHT);
        let stop = (end + LABEL_RIGHT).min(self.len());
        let mut near = self.right.borrow_mut();
        near.read(self, end, stop.max(end));
        // `iban: 123, phone: 456`: a label with a colon belongs to what follows it.
        let mut first = None;
        labels.each_end(&near, |to| {
            if first.is_none() && !matches!(self.at(end + to), b':' | b'=' | b'"') {
                first = Some(to);
            }
        });
        first
    }
}

/// The text beside a value, folded once for all the labels that are looked for in it.
struct Near {
    /// What of the window it is; `None` before the first reading.
    range: Option<(usize, usize)>,
    text: [u8; LABEL_LEFT],
    len: usize,
    /// Where words begin: a label begins there only.
    starts: [u8; LABEL_LEFT],
    count: usize,
    /// Which pair of letters begins each word, as the number of a bit (see [`pair`]), and all of them.
    bits: [u8; LABEL_LEFT],
    pairs: u64,
}

impl Near {
    const fn new() -> Near {
        Near {
            range: None,
            text: [0; LABEL_LEFT],
            len: 0,
            starts: [0; LABEL_LEFT],
            count: 0,
            bits: [0; LABEL_LEFT],
            pairs: 0,
        }
    }

    fn read(&mut self, window: &Window, from: usize, to: usize) {
        if self.range == Some((from, to)) {
            return;
        }
        self.range = Some((from, to));
        let text = window.slice(from, to);
        self.len = fold(text, &mut self.text).len();
        self.count = 0;
        self.pairs = 0;
        let mut in_word = is_word_byte(window.before(from), window.before(from.saturating_sub(1)));
        let mut before = window.before(from);
        for (i, byte) in self.text[..self.len].iter().enumerate() {
            if !in_word && !matches!(byte, 0x80..=0xBF) {
                self.starts[self.count] = i as u8;
                let bit = pair(*byte, if i + 1 < self.len { self.text[i + 1] } else { 0 });
                self.bits[self.count] = bit;
                self.count += 1;
                self.pairs |= 1 << bit;
            }
            in_word = is_word_byte(*byte, before);
            before = *byte;
        }
    }
}

/// Bytes of which a value may consist to the left of its trigger; at any other byte a new value starts.
pub(crate) fn is_value_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'%' | b'/' | b':' | b'(' | b')' | b'@')
        || matches!(byte, b'!' | b'#' | b'$' | b'&' | b'*' | b'=' | b'?' | b'^' | b'~')
        || matches!(byte, b';' | b'\\' | b'[' | b']' | b'{' | b'}' | b'<' | b'>')
}

/// The first byte of a Latin letter with an accent (U+00C0 to U+024F).
pub(crate) fn is_accented(byte: u8) -> bool {
    matches!(byte, 0xC3..=0xC9)
}

/// A word for `@` or `.`, with or without brackets; `is_open` when more of it may come.
fn is_mark(word: &[u8], is_open: bool) -> bool {
    const MARKS: [&[u8]; 10] =
        [b"@", b"at", b"dot", b"arroba", b"arobase", b"punkt", b"point", b"punto", b"ponto", b"klammeraffe"];
    let word = match word {
        [b'[' | b'(' | b'{' | b'<', rest @ ..] => rest,
        _ => word,
    };
    let word = match word {
        [rest @ .., b']' | b')' | b'}' | b'>'] => rest,
        _ => word,
    };
    MARKS.iter().any(|mark| match mark.get(..word.len()) {
        Some(head) => (is_open || head.len() == mark.len()) && head.eq_ignore_ascii_case(word),
        None => false,
    })
}

pub(crate) fn is_alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

pub(crate) fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

pub(crate) fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// Whether `byte`, with the one before it, ends a letter of a script that parts words with spaces (Latin, Greek,
/// Cyrillic, Armenian). Labels in other scripts may stand glued to what is before them.
fn is_word_byte(byte: u8, before: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!((before, byte), (0xC3..=0xD5, 0x80..=0xBF))
}

/// Lower case, and `_` as a space, so that `phone_number` reads as `phone number`.
///
/// Of letters of two bytes those are folded whose small form has two bytes as well, which is all of Latin, Greek and
/// Cyrillic that labels are written with.
fn fold<'b>(from: &[u8], into: &'b mut [u8]) -> &'b [u8] {
    let mut lead = 0;
    for i in 0..from.len() {
        let byte = from[i];
        into[i] = match byte {
            b'_' => b' ',
            0x80..=0xBF => {
                let (first, second) = small(lead, byte);
                if i > 0 && first != lead {
                    into[i - 1] = first;
                }
                second
            }
            _ => byte.to_ascii_lowercase(),
        };
        lead = byte;
    }
    &into[..from.len()]
}

/// The small form of the letter with the UTF-8 bytes `lead` and `byte`.
fn small(lead: u8, byte: u8) -> (u8, u8) {
    match (lead, byte) {
        (0xC3, 0x80..=0x9E) => (0xC3, byte + 0x20),
        (0xC4, 0x80..=0xB7) | (0xC5, 0x8A..=0xB7) if byte.is_multiple_of(2) => (lead, byte + 1),
        (0xC4, 0xB9 | 0xBB | 0xBD) | (0xC5, 0x81 | 0x83 | 0x85 | 0x87 | 0xB9 | 0xBB | 0xBD) => {
            (lead, byte + 1)
        }
        (0xCE, 0x91..=0x9F) => (0xCE, byte + 0x20),
        (0xCE, 0xA0..=0xA9) => (0xCF, byte - 0x20),
        (0xD0, 0x80..=0x8F) => (0xD1, byte + 0x10),
        (0xD0, 0x90..=0x9F) => (0xD0, byte + 0x20),
        (0xD0, 0xA0..=0xAF) => (0xD1, byte - 0x20),
        _ => (lead, byte),
    }
}

/// One of 64 bits for the first two bytes of a word.
const fn pair(first: u8, second: u8) -> u8 {
    first.wrapping_mul(5).wrapping_add(second) & 63
}

/// Words that name what a number is; lower case, `_` written as a space.
pub(crate) struct Labels {
    words: &'static [&'static str],
    /// Which pairs of first bytes occur: most words nearby are dismissed by this.
    pairs: u64,
}

impl Labels {
    pub(crate) const fn new(words: &'static [&'static str]) -> Labels {
        let mut pairs = 0;
        let mut i = 0;
        while i < words.len() {
            let word = words[i].as_bytes();
            pairs |= if word.len() > 1 { 1 << pair(word[0], word[1]) } else { u64::MAX };
            i += 1;
        }
        Labels { words, pairs }
    }

    /// Calls `found` with the end of each label that stands in the text as a word (a plural `s` or a number may follow).
    ///
    /// Asks at the starts of words only: there are a dozen in reach, while labels and places are many.
    fn each_end(&self, near: &Near, mut found: impl FnMut(usize)) {
        if self.pairs & near.pairs == 0 {
            return;
        }
        let text = &near.text[..near.len];
        let is_end = |i: usize, label: &str| match text.get(i) {
            // Greek and Cyrillic words end by case and number; abbreviations do not.
            Some(0xCE..=0xD5) => label.len() > ABBREVIATION_MAX,
            Some(right) => !right.is_ascii_alphabetic() || *right == b's',
            None => true,
        };
        for (start, bit) in near.starts[..near.count].iter().zip(&near.bits) {
            if self.pairs >> bit & 1 == 0 {
                continue;
            }
            let rest = &text[usize::from(*start)..];
            for word in self.words {
                // One byte dismisses most words, and costs less than a call to compare them all.
                if word.as_bytes()[0] == rest[0] && rest.starts_with(word.as_bytes()) {
                    let end = usize::from(*start) + word.len();
                    if is_end(end, word) {
                        found(end);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_as_words_on_either_side() {
        let check = |text: &str, expected: bool| {
            let start = text.find('9').unwrap();
            let window = Window::new(text, true, true);
            assert_eq!(
                window.label_distance(start, start + 1, &Labels::new(&["tax id", "tfn"])).is_some(),
                expected,
                "{text}"
            );
        };
        check("my TFN is 9", true);
        check("tax_id=9", true);
        check("the form lists 9 as the TFN.", true);
        check("id 9, tfn: 8", false);
        check("outfn 9", false);
        check("my Tfn: 9", true);
    }

    #[test]
    fn labels_in_capitals_of_other_scripts_are_found() {
        let check = |text: &str, label: &'static [&'static str], expected: bool| {
            let start = text.find('9').unwrap();
            let window = Window::new(text, true, true);
            assert_eq!(
                window.label_distance(start, start + 1, &Labels::new(label)).is_some(),
                expected,
                "{text}"
            );
        };
        check("ИНН 9", &["инн"], true);
        check("СНИЛС: 9", &["снилс"], true);
        check("ΑΦΜ 9", &["αφμ"], true);
        check("RČ 9", &["rč"], true);
        check("EMŠO=9", &["emšo"], true);
        check("NUMÉRO 9", &["numéro"], true);
        check("старинн 9", &["инн"], false);
        check("инновация 9", &["инн"], false);
        check("паспорта 9", &["паспорт"], true);
        check("我的手机9", &["手机"], true);
    }

    #[test]
    fn a_space_joins_only_beside_digits() {
        let check = |text: &str, expected: bool| {
            let window = Window::new(text, true, true);
            assert_eq!(window.is_joint(text.find(' ').unwrap()), expected, "{text}");
        };
        check("the cat", false);
        check("JS 70", true);
        check("71 B", true);
        check("ab1, c", false);
        check("PK59GZHM APNY", true);
        let printed = "QA33 BLEE BPUA UUK6";
        let window = Window::new(printed, true, true);
        assert!(window.is_joint(9) && window.is_joint(14));
    }
}
