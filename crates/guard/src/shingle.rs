//! Words as two texts have them in common, whatever their case, accents, marks and spacing; and short runs of them.
//!
//! A character is folded by itself, without its neighbours, so that text may come in pieces of any length. Words are
//! kept as hashes: comparing texts is linear in their length, and nothing that is kept can be read back.

use std::{collections::HashSet, ops::Range};

use unicode_normalization::char::{decompose_canonical, decompose_compatible};

use crate::view::is_hidden;

/// What a character counts for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// Of a word, folded.
    Letter(char),
    /// A word of its own: a character of a script that is written without spaces.
    Word(char),
    /// Between words.
    Gap,
    /// Of no shape: it neither joins nor parts.
    Nothing,
}

pub(crate) fn part(c: char) -> Part {
    if c.is_ascii() {
        return match c.is_ascii_alphanumeric() {
            true => Part::Letter(c.to_ascii_lowercase()),
            false => Part::Gap,
        };
    }
    if is_hidden(c) {
        return Part::Nothing;
    }
    if is_unspaced(c) {
        return Part::Word(c);
    }
    if !c.is_alphanumeric() {
        return Part::Gap;
    }
    let mut base = None;
    decompose_compatible(c, |part| {
        base.get_or_insert(part);
    });
    let base = base.unwrap_or(c);
    let lower = base.to_lowercase().next().unwrap_or(base);
    // Lower case may bring an accent back, as that of the Turkish capital does.
    let mut plain = None;
    decompose_canonical(lower, |part| {
        plain.get_or_insert(part);
    });
    Part::Letter(plain.unwrap_or(lower))
}

/// Han, kana, Thai, Lao, Khmer, Burmese.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3041}'..='\u{30FF}'
        | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
        && c.is_alphanumeric()
}

pub(crate) const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// One step of FNV-1a, a character at a time. Whoever makes two words of one hash gains a false alarm.
pub(crate) fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Word {
    pub(crate) hash: u64,
    /// In bytes of the text.
    pub(crate) span: Range<usize>,
}

/// Takes characters and gives words.
#[derive(Clone, Debug, Default)]
pub(crate) struct WordReader {
    under_way: Option<Word>,
}

impl WordReader {
    /// Takes the character at `at` and hands out the words that it ends or is.
    pub(crate) fn push(&mut self, at: usize, c: char, mut out: impl FnMut(Word)) {
        match part(c) {
            Part::Nothing => {}
            Part::Gap => self.end(out),
            Part::Letter(letter) => {
                let word = self.under_way.get_or_insert(Word { hash: SEED, span: at..at });
                word.hash = mix(word.hash, u64::from(letter));
                word.span.end = at + c.len_utf8();
            }
            Part::Word(c) => {
                self.end(&mut out);
                out(Word { hash: mix(SEED, u64::from(c)), span: at..at + c.len_utf8() });
            }
        }
    }

    pub(crate) fn end(&mut self, out: impl FnOnce(Word)) {
        if let Some(word) = self.under_way.take() {
            out(word);
        }
    }
}

pub(crate) fn words(text: &str) -> Vec<Word> {
    let mut all = Vec::with_capacity(text.len() / 5);
    let mut words = WordReader::default();
    for (at, c) in text.char_indices() {
        words.push(at, c, |word| all.push(word));
    }
    words.end(|word| all.push(word));
    all
}

/// The hash of a run of words.
pub(crate) fn run(words: &[Word]) -> u64 {
    words.iter().fold(SEED, |hash, word| mix(hash, word.hash))
}

/// Hashes of what texts hold. The hasher has a random seed: hashes that are alike on purpose must not make it slow.
pub(crate) type Hashes = HashSet<u64, foldhash::fast::RandomState>;

/// All runs of `N` words of some texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shingles<const N: usize> {
    runs: Hashes,
}

impl<const N: usize> Shingles<N> {
    pub(crate) fn add(&mut self, words: &[Word]) {
        self.runs.extend(words.windows(N).map(run));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn has(&self, words: &[Word]) -> bool {
        words.len() == N && self.runs.contains(&run(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_whatever_their_dress() {
        let hashes = |text: &str| words(text).into_iter().map(|word| word.hash).collect::<Vec<_>>();
        let check = |a: &str, b: &str| assert_eq!(hashes(a), hashes(b), "{a:?} {b:?}");
        check("The Cat, the HAT", "the\ncat -- the hat");
        check("déjà vu", "de\u{301}ja\u{300} vu");
        check("ｆｕｌｌ width", "full width");
        check("in\u{200b}vis\u{ad}ible", "invisible");
        check("İstanbul", "istanbul");
        check("世界 hi", "世 界 hi");
        assert_ne!(hashes("a bc"), hashes("ab c"));
    }

    #[test]
    fn spans_are_those_of_the_text() {
        let text = "é, b世";
        let spans: Vec<_> = words(text).into_iter().map(|word| &text[word.span]).collect();
        assert_eq!(spans, ["é", "b", "世"]);
    }
}
