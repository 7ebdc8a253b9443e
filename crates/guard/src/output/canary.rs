//! Words that must never be said: canaries that a call hid in its system prompt, and names of tools that exist only as
//! bait.
//!
//! The words are known, so that their disguises are too: each is looked for as it is, in any case, backwards, in
//! rot13, spaced out, and in base64, base32, hex, percent signs and escapes, base64 twice over. Base64 shifts with what
//! stands before, so that each word has three forms in it, without the symbols that its neighbours share. All of them are
//! literals that are found by their first four bytes, and a stream is held back only while it ends in the beginning of one.

use gauntlet_types::Finding;

use crate::{candidate::CANARY, decode::forms, view::View};

/// Shorter words are met by chance.
const WORD_MIN: usize = 5;
/// Words of fewer bytes are too short in their disguises.
const DISGUISED_MIN: usize = 8;
/// Longer words are cut here, so that the hold-back is bounded.
const WORD_MAX: usize = 64;
/// More words than this belong into a list of phrases.
const WORDS_MAX: usize = 32;

/// Words of one call that its answer must not hold.
#[derive(Clone, Debug)]
pub struct Words {
    /// In lower case, sorted.
    literals: Vec<Vec<u8>>,
    len_max: usize,
    /// Which first four bytes occur, by their hash: all but a few places of a text are dismissed by this. An automaton
    /// would search as fast and takes a hundred times as long to build, and this is built for one call.
    heads: Box<[u64; HEADS / 64]>,
}

/// Bytes by which a literal is found; none is shorter.
const HEAD: usize = 4;
const HEADS: usize = 1 << 14;

/// The place of four bytes in lower case in the table of heads (multiplicative hashing, Knuth, vol. 3, 6.4).
fn head_place(head: u32) -> usize {
    (head.wrapping_mul(0x9E37_79B1) >> 18) as usize
}

impl Words {
    /// Takes up to 32 words of 5 to 64 bytes; shorter ones are left out, longer ones cut. `None` when none is left.
    pub fn new(words: &[impl AsRef<str>]) -> Option<Words> {
        let mut literals = Vec::new();
        for word in words.iter().map(AsRef::as_ref).take(WORDS_MAX) {
            let view = View::of(word);
            let mut end = view.text().len().min(WORD_MAX);
            while !view.text().is_char_boundary(end) {
                end -= 1;
            }
            let word = &view.text()[..end];
            if word.len() >= WORD_MIN {
                literals.push(word.as_bytes().to_vec());
            }
            if word.len() >= DISGUISED_MIN {
                disguise(word, &mut literals);
            }
        }
        literals.iter_mut().for_each(|literal| literal.make_ascii_lowercase());
        literals.sort_unstable();
        literals.dedup();
        let len_max = literals.iter().map(Vec::len).max()?;
        let mut heads = Box::new([0; HEADS / 64]);
        for literal in &literals {
            let head = literal[..HEAD].iter().fold(0, |head, byte| head << 8 | u32::from(*byte));
            let place = head_place(head);
            heads[place / 64] |= 1 << (place % 64);
        }
        Some(Words { literals, len_max, heads })
    }

    /// Appends where the words stand in a text, in order.
    pub fn find(&self, text: &str, out: &mut Vec<Finding>) {
        self.collect(&View::of(text), text, true, 0, out);
    }

    /// Appends what begins at or after `from`, and returns up to where the text is settled.
    pub(crate) fn collect(
        &self,
        view: &View,
        text: &str,
        is_last: bool,
        from: usize,
        out: &mut Vec<Finding>,
    ) -> usize {
        let shown = view.text();
        let known = if is_last { shown.len() } else { self.under_way(shown.as_bytes()) };
        let mut settled = known;
        let mut at = view.position(from).min(shown.len());
        while let Some((start, end)) = self.next(shown.as_bytes(), at).filter(|(start, _)| *start < known) {
            settled = settled.max(end);
            at = end;
            out.push(Finding {
                kind: CANARY,
                label: "canary_word",
                span: view.original(start..end, text),
                score: 1.0,
            });
        }
        view.original_start(settled).max(from)
    }

    /// The first literal at or after `from`, the longest of those that begin there.
    fn next(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut head = 0u32;
        for (at, byte) in text.iter().enumerate().skip(from) {
            head = head << 8 | u32::from(byte.to_ascii_lowercase());
            let place = head_place(head);
            if self.heads[place / 64] >> (place % 64) & 1 == 0 || at + 1 < from + HEAD {
                continue;
            }
            let start = at + 1 - HEAD;
            let bytes = head.to_be_bytes();
            let first = self.literals.partition_point(|literal| literal[..HEAD] < bytes[..]);
            let alike = self.literals[first..].iter().take_while(|literal| literal[..HEAD] == bytes[..]);
            let stands = |literal: &&Vec<u8>| {
                text.get(start..start + literal.len()).is_some_and(|part| part.eq_ignore_ascii_case(literal))
            };
            if let Some(len) = alike.filter(stands).map(Vec::len).max() {
                return Some((start, start + len));
            }
        }
        None
    }

    /// Where the beginning of a word begins that the text ends in; the end when it ends in none.
    fn under_way(&self, text: &[u8]) -> usize {
        let from = text.len().saturating_sub(self.len_max - 1);
        let tail = text[from..].to_ascii_lowercase();
        let is_head = |head: &[u8]| {
            let first = self.literals.partition_point(|literal| literal.as_slice() < head);
            // Of those that begin so the sorted first may be the head itself.
            self.literals[first..]
                .iter()
                .take(2)
                .any(|literal| literal.len() > head.len() && literal.starts_with(head))
        };
        (0..tail.len()).find(|at| is_head(&tail[*at..])).map_or(text.len(), |at| from + at)
    }
}

/// Appends the forms in which a word may be hidden.
fn disguise(word: &str, out: &mut Vec<Vec<u8>>) {
    let bytes = word.as_bytes();
    out.push(word.chars().rev().collect::<String>().into_bytes());
    out.push(bytes.iter().map(|byte| forms::rot13(*byte)).collect());
    for gap in [" ", "-", ".", "_", "*"] {
        let letters: Vec<String> = word.chars().map(String::from).collect();
        out.push(letters.join(gap).into_bytes());
    }
    let each = |before: &str| {
        bytes.iter().map(|byte| format!("{before}{byte:02x}")).collect::<String>().into_bytes()
    };
    out.extend([each(""), each("%"), each("\\x"), each(" ")[1..].to_vec()]);
    out.push(word.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<String>().into_bytes());
    // Encoders see the word as it is written or in lower case; the automaton reads both as one afterwards.
    let lower = word.to_ascii_lowercase();
    for word in [word, lower.as_str()] {
        for once in shifted(word.as_bytes(), 6, BASE64) {
            // With the three symbols cut that the second encoding shares with its neighbours, enough is left.
            out.extend(shifted(&once, 6, BASE64));
            out.push(
                once.iter()
                    .map(|symbol| match symbol {
                        b'+' => b'-',
                        b'/' => b'_',
                        other => *other,
                    })
                    .collect(),
            );
            out.push(once);
        }
        out.extend(shifted(word.as_bytes(), 5, BASE32));
    }
}

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The symbols of `width` bits that bytes have in an encoding, whatever stands before and after: one row of symbols for
/// each position in which they may begin.
fn shifted(bytes: &[u8], width: usize, alphabet: &[u8]) -> Vec<Vec<u8>> {
    let bit = |at: usize| usize::from(bytes[at / 8] >> (7 - at % 8) & 1);
    // Three bytes are four symbols of six bits, five are eight of five.
    let positions = if width == 6 { 3 } else { 5 };
    let row = |position: usize| {
        let first = (width - position * 8 % width) % width;
        let count = (bytes.len() * 8).saturating_sub(first) / width;
        (0..count)
            .map(|n| alphabet[(0..width).fold(0, |sum, k| sum * 2 + bit(first + n * width + k))])
            .collect()
    };
    (0..positions).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans<'t>(words: &Words, text: &'t str) -> Vec<&'t str> {
        let mut found = Vec::new();
        words.find(text, &mut found);
        found.iter().map(|finding| &text[finding.span.clone()]).collect()
    }

    #[test]
    fn a_word_is_found_in_its_disguises() {
        let words = Words::new(&["kestrel-4417-plum"]).unwrap();
        let check = |text: &str| assert_eq!(spans(&words, text).len(), 1, "{text}");
        check("it is kestrel-4417-plum.");
        check("it is KESTREL-4417-PLUM");
        check("ｋｅｓｔｒｅｌ-4417-plum");
        check("kes\u{200b}trel-4417-plum");
        check("mulp-7144-lertsek");
        check("xrfgery-4417-cyhz");
        check("k e s t r e l - 4 4 1 7 - p l u m");
        check("%6B%65%73%74%72%65%6C%2D%34%34%31%37%2D%70%6C%75%6D");
        check("6b65737472656c2d343431372d706c756d");
        // The word in base64 after nothing, one byte and two bytes; and twice.
        check("a2VzdHJlbC00NDE3LXBsdW0=");
        check("eGtlc3RyZWwtNDQxNy1wbHVt");
        check("eHlrZXN0cmVsLTQ0MTctcGx1bSBhbmQ=");
        check("YTJWemRISmxiQzAwTkRFM0xYQnNkVzA9");
        check("NNSXG5DSMVWC2NBUGE3S24DMOVWQ====");
        assert!(spans(&words, "a kestrel ate plum number 4417").is_empty());
    }

    #[test]
    fn words_that_chance_would_say_are_left_out() {
        assert!(Words::new(&["key", ""]).is_none());
        assert_eq!(spans(&Words::new(&["bait_tool"]).unwrap(), "call Bait_Tool()"), ["Bait_Tool"]);
    }

    #[test]
    fn a_stream_waits_only_for_the_beginning_of_a_word() {
        let words = Words::new(&["kestrel-4417-plum"]).unwrap();
        let held = |text: &str| text.len() - words.under_way(text.as_bytes());
        // A last letter or two may begin a disguise.
        assert!(held("an ordinary sentence, quite") <= 2);
        assert_eq!(held("birds: kestrel-44"), "kestrel-44".len());
        assert!(held("birds: KESTREL-4417-plum,") == 0);
    }
}
