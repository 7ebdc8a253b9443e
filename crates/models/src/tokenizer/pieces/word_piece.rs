//! WordPiece: the longest beginning that the vocabulary knows, then the longest of what is left.

use serde_json::Value;

use super::{Fault, Glyph, Vocabulary, read_unknown, read_vocabulary};

/// Longer words are unknown, whatever a file says: trying every length of every rest is quadratic.
const WORD_CHARS_MAX: u64 = 200;

pub(in crate::tokenizer) struct WordPiece {
    vocabulary: Vocabulary,
    unknown: i32,
    /// What pieces inside of a word begin with.
    inside: Box<str>,
    word_chars_max: usize,
    /// Words are looked up whole only.
    is_whole: bool,
}

impl WordPiece {
    pub(super) fn read(model: &Value, is_whole: bool) -> Result<WordPiece, Fault> {
        let vocabulary = read_vocabulary(model)?;
        let unknown = read_unknown(model, &vocabulary)?
            .ok_or_else(|| Fault::Broken("no token for unknown words is named".to_owned()))?;
        let chars_max = model["max_input_chars_per_word"].as_u64().unwrap_or(100).min(WORD_CHARS_MAX);
        Ok(WordPiece {
            vocabulary,
            unknown,
            inside: model["continuing_subword_prefix"].as_str().unwrap_or("##").into(),
            word_chars_max: chars_max as usize,
            is_whole,
        })
    }

    pub(super) fn of(&self, word: &[Glyph], give: &mut impl FnMut(i32, &[Glyph])) {
        if word.len() > self.word_chars_max {
            return give(self.unknown, word);
        }
        let mut found = Vec::new();
        let mut from = 0;
        let mut piece = String::new();
        while from < word.len() {
            let inside = if from > 0 { &*self.inside } else { "" };
            piece.clear();
            piece.push_str(inside);
            piece.extend(word[from..].iter().map(|glyph| glyph.c));
            let mut to = word.len();
            let id = loop {
                if let Some(id) = self.vocabulary.get(piece.as_str()) {
                    break Some(*id);
                }
                to -= 1;
                if to == from || self.is_whole {
                    break None;
                }
                piece.pop();
            };
            match id {
                Some(id) => found.push((id, from..to)),
                // One part that nobody knows makes the whole word unknown.
                None => return give(self.unknown, word),
            }
            from = to;
        }
        for (id, range) in found {
            give(id, &word[range]);
        }
    }

    pub(super) fn id_max(&self) -> i32 {
        self.vocabulary.values().copied().max().unwrap_or(0)
    }
}
