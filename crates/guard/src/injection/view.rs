//! The text as a model reads it: compatibility forms folded, invisible characters gone, look-alikes made Latin.

use unicode_normalization::UnicodeNormalization;

use crate::view::{is_hidden, look_alike};

/// Folded text with the way back to the original.
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    /// For each byte of `bytes`, where its character starts in the original; then the length of the original.
    starts: Vec<u32>,
}

impl View {
    /// The folded view, if the text has anything to fold; plain ASCII and accented letters are read as they are.
    pub(super) fn of(text: &str) -> Option<View> {
        if text.is_ascii() || u32::try_from(text.len()).is_err() || !text.chars().any(is_suspicious) {
            return None;
        }
        let mut view =
            View { bytes: Vec::with_capacity(text.len()), starts: Vec::with_capacity(text.len() + 1) };
        let words = Words::of(text);
        for (start, c) in text.char_indices() {
            if c.is_ascii() {
                view.push(start, c);
            } else if is_tag(c) {
                // Tag characters spell ASCII that no one sees.
                view.push(start, char::from_u32(u32::from(c) - 0xE0000).unwrap_or(' '));
            } else if !is_hidden(c) {
                for folded in std::iter::once(c).nfkc() {
                    view.push(
                        start,
                        if is_foreign(folded) && !words.is_mixed(start) { folded } else { latin(folded) },
                    );
                }
            }
        }
        view.starts.push(text.len() as u32);
        Some(view)
    }

    fn push(&mut self, start: usize, c: char) {
        let mut utf8 = [0; 4];
        for byte in c.encode_utf8(&mut utf8).bytes() {
            self.bytes.push(byte);
            self.starts.push(start as u32);
        }
    }

    /// A span of the view in bytes of the original.
    pub(super) fn original(&self, start: usize, end: usize) -> (usize, usize) {
        let at = |i: usize| self.starts.get(i).or(self.starts.last()).map_or(0, |start| *start as usize);
        // The end is the start of the first character after the span.
        let last = at(end.saturating_sub(1));
        let after = (end..self.starts.len()).map(at).find(|start| *start > last);
        (at(start), after.unwrap_or_else(|| at(usize::MAX)))
    }
}

/// Where words lie in which letters of two alphabets stand side by side: a Cyrillic word in Cyrillic is no disguise.
struct Words {
    /// Ends of words, and whether Latin letters stand in each.
    mixed: Vec<(usize, bool)>,
}

impl Words {
    fn of(text: &str) -> Words {
        let mut mixed = Vec::new();
        let (mut is_latin, mut is_word) = (false, false);
        let (mut latin_words, mut foreign_words) = (0u32, 0u32);
        let mut all_alike = true;
        let mut close = |end: usize, is_latin: &mut bool, all_alike: &mut bool| {
            if *is_latin {
                latin_words += 1;
            } else if !*all_alike {
                foreign_words += 1;
            }
            mixed.push((end, *is_latin || *all_alike));
            (*is_latin, *all_alike) = (false, true);
        };
        for (start, c) in text.char_indices() {
            if c.is_alphanumeric() || is_hidden(c) {
                is_word = true;
                is_latin |= c.is_ascii_alphabetic();
                all_alike &= !is_foreign(c) || latin(c) != c;
            } else if is_word {
                close(start, &mut is_latin, &mut all_alike);
                is_word = false;
            }
        }
        close(text.len(), &mut is_latin, &mut all_alike);
        // A word of look-alikes alone is a disguise only among Latin words.
        if foreign_words >= latin_words {
            let mut at = 0;
            for (end, is_mixed) in &mut mixed {
                *is_mixed &= text[at..*end].bytes().any(|byte| byte.is_ascii_alphabetic());
                at = *end;
            }
        }
        Words { mixed }
    }

    fn is_mixed(&self, at: usize) -> bool {
        let i = self.mixed.partition_point(|(end, _)| *end <= at);
        self.mixed.get(i).is_some_and(|(_, is_mixed)| *is_mixed)
    }
}

/// Letters of alphabets that whole texts are written in.
fn is_foreign(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{58F}')
}

fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0020}'..='\u{E007E}')
}

/// Characters that are a reason to fold: invisible, compatibility forms of Latin letters, and look-alikes.
fn is_suspicious(c: char) -> bool {
    match c {
        '\0'..='\u{AC}' => false,
        '\u{250}'..='\u{2AF}'
        | '\u{1D00}'..='\u{1DBF}'
        | '\u{2100}'..='\u{214F}'
        | '\u{2460}'..='\u{24FF}' => true,
        '\u{FF01}'..='\u{FF5E}' | '\u{1D400}'..='\u{1D7FF}' | '\u{1F100}'..='\u{1F1FF}' => true,
        c => is_hidden(c) || is_tag(c) || latin(c) != c,
    }
}

/// The Latin letter that a letter of another alphabet passes for, or that a sign frames.
fn latin(c: char) -> char {
    // Forms without a compatibility decomposition: flags' letters, white letters in black circles and squares.
    for (first, last) in [('\u{1F1E6}', '\u{1F1FF}'), ('\u{1F150}', '\u{1F169}'), ('\u{1F170}', '\u{1F189}')]
    {
        if (first..=last).contains(&c) {
            return char::from(b'a' + (u32::from(c) - u32::from(first)) as u8);
        }
    }
    match c {
        'γ' | 'ʎ' => 'y',
        'ǫ' => 'q',
        'ᴢ' | 'Ζ' => 'z',
        c => look_alike(c).unwrap_or(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_text_becomes_plain_and_maps_back() {
        let check = |text: &str, expected: &str| {
            let view = View::of(text).unwrap();
            assert_eq!(String::from_utf8(view.bytes.clone()).unwrap(), expected);
            assert_eq!(
                view.original(0, view.bytes.len()),
                (text.find(|c| !is_hidden(c) || is_tag(c)).unwrap(), text.len())
            );
        };
        check("i\u{200b}g\u{200b}n", "ign");
        check("ｉｇｎ", "ign");
        check("іgnоrе", "ignore");
        check("\u{E0069}\u{E0067}", "ig");
        check("𝐢𝐠𝐧", "ign");
        assert!(View::of("déjà vu: naïve").is_none());
    }
}
