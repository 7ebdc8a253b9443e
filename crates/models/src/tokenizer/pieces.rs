//! The third stage: words to numbers of a vocabulary, by the three ways that encoders are taught with.
//!
//! All are linear in the text: what is quadratic in the length of a word works on words of bounded length.

mod bpe;
mod unigram;
mod word_piece;

use std::collections::HashMap;

use serde_json::Value;

use super::{Fault, Glyph, read_id};

/// The largest vocabularies of encoders have 262,144 pieces.
pub(super) const VOCABULARY_MAX: usize = 1 << 20;

type Vocabulary = HashMap<Box<str>, i32>;

pub(super) enum Pieces {
    Word(word_piece::WordPiece),
    Unigram(unigram::Unigram),
    Bpe(bpe::Bpe),
}

impl Pieces {
    pub(super) fn read(model: &Value) -> Result<Pieces, Fault> {
        // Files of before 2021 do not name the kind.
        let kind = match model["type"].as_str() {
            Some(kind) => kind,
            None if model.get("merges").is_some() => "BPE",
            None if model["vocab"].is_array() => "Unigram",
            None => "WordPiece",
        };
        match kind {
            "WordPiece" | "WordLevel" => {
                Ok(Pieces::Word(word_piece::WordPiece::read(model, kind == "WordLevel")?))
            }
            "Unigram" => Ok(Pieces::Unigram(unigram::Unigram::read(model)?)),
            "BPE" => Ok(Pieces::Bpe(bpe::Bpe::read(model)?)),
            other => Err(Fault::Unsupported(format!("a vocabulary of the kind `{other}`"))),
        }
    }

    /// Gives each token of a word with the characters that it covers.
    pub(super) fn of(&self, word: &[Glyph], mut give: impl FnMut(i32, &[Glyph])) {
        match self {
            Pieces::Word(pieces) => pieces.of(word, &mut give),
            Pieces::Unigram(pieces) => pieces.of(word, &mut give),
            Pieces::Bpe(pieces) => pieces.of(word, &mut give),
        }
    }

    pub(super) fn id_max(&self) -> i32 {
        match self {
            Pieces::Word(pieces) => pieces.id_max(),
            Pieces::Unigram(pieces) => pieces.id_max(),
            Pieces::Bpe(pieces) => pieces.id_max(),
        }
    }
}

fn read_vocabulary(model: &Value) -> Result<Vocabulary, Fault> {
    let vocabulary =
        model["vocab"].as_object().ok_or_else(|| Fault::Broken("there is no vocabulary".to_owned()))?;
    check_size(vocabulary.len())?;
    let read = |(piece, id): (&String, &Value)| {
        let id =
            read_id(id).ok_or_else(|| Fault::Broken("a piece of the vocabulary has no number".to_owned()))?;
        Ok((piece.as_str().into(), id))
    };
    vocabulary.iter().map(read).collect()
}

fn check_size(pieces: usize) -> Result<(), Fault> {
    match pieces {
        0 => Err(Fault::Broken("the vocabulary is empty".to_owned())),
        _ if pieces > VOCABULARY_MAX => {
            Err(Fault::Unsupported(format!("a vocabulary of {pieces} pieces, more than {VOCABULARY_MAX}")))
        }
        _ => Ok(()),
    }
}

/// What a word without pieces becomes.
fn read_unknown(model: &Value, vocabulary: &Vocabulary) -> Result<Option<i32>, Fault> {
    match model["unk_token"].as_str() {
        None => Ok(None),
        Some(token) => match vocabulary.get(token) {
            Some(id) => Ok(Some(*id)),
            None => {
                Err(Fault::Broken(format!("the vocabulary lacks `{token}`, its token for unknown words")))
            }
        },
    }
}

/// `<0x00>` to `<0xFF>`, where the vocabulary has them all.
fn byte_pieces(id_of: impl Fn(&str) -> Option<i32>) -> Option<Box<[i32]>> {
    (0..=255u8).map(|byte| id_of(&format!("<0x{byte:02X}>"))).collect()
}
