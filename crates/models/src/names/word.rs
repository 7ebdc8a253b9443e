//! Words with their places.

use std::ops::Range;

pub(super) struct Word<'a> {
    pub text: &'a str,
    pub span: Range<usize>,
    /// Begins with a capital and goes on in small letters, or in capitals with a small one among them (`McDonald`); or is
    /// one capital alone.
    pub is_capitalised: bool,
}

impl Word<'_> {
    /// An initial, or what is cut to one or two letters.
    pub(super) fn is_short(&self) -> bool {
        self.text.chars().take(2).count() < 2
    }

    /// How many bytes of an English genitive it ends with.
    pub(super) fn possessive(&self) -> usize {
        ["'s", "\u{2019}s"].into_iter().find(|ending| self.text.ends_with(ending)).map_or(0, str::len)
    }
}

/// Longer runs of letters are no words of a language.
const WORD_BYTES_MAX: usize = 64;

/// Runs of letters, with apostrophes and hyphens between letters.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut letters_end = 0;
    let mut push = |start: usize, end: usize| {
        let word = &text[start..end];
        let is_capitalised = word.len() <= WORD_BYTES_MAX && is_capitalised(word);
        words.push(Word { text: word, span: start..end, is_capitalised });
    };
    for (at, c) in text.char_indices() {
        let is_inside = matches!(c, '\'' | '\u{2019}' | '-') && start.is_some() && letters_end == at;
        // Marks belong to the letter before; digits and underscores make identifiers, which are not names.
        if c.is_alphanumeric() || c == '_' || unicode_normalization::char::is_combining_mark(c) {
            start.get_or_insert(at);
            letters_end = at + c.len_utf8();
        } else if !is_inside && let Some(start) = start.take() {
            push(start, letters_end);
        }
    }
    if let Some(start) = start {
        push(start, letters_end);
    }
    words
}

fn is_capitalised(word: &str) -> bool {
    let mut chars = word.chars();
    let Some(first) = chars.next().filter(|first| first.is_uppercase()) else { return false };
    let is_letter = |c: char| {
        c.is_alphabetic()
            || matches!(c, '\'' | '\u{2019}' | '-')
            || unicode_normalization::char::is_combining_mark(c)
    };
    let mut rest = chars.clone();
    chars.all(is_letter) && (word.len() == first.len_utf8() || rest.any(char::is_lowercase))
}
