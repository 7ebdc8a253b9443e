//! Unigram, as SentencePiece teaches it: of all ways to write a word in pieces, the likeliest (Viterbi's search).

use std::ops::Range;

use serde_json::Value;

use super::{Fault, Glyph, Vocabulary, byte_pieces, check_size};

/// Longer pieces are not looked for. SentencePiece makes pieces of 16 characters at most unless told otherwise.
const PIECE_CHARS_MAX: usize = 64;
/// How much less likely than the rarest piece an unknown character is (SentencePiece's `kUnkPenalty`).
const UNKNOWN_PENALTY: f64 = 10.0;

pub(in crate::tokenizer) struct Unigram {
    /// Position in the file is the number.
    vocabulary: Vocabulary,
    scores: Vec<f64>,
    unknown: i32,
    unknown_score: f64,
    piece_chars_max: usize,
    bytes: Option<Box<[i32]>>,
}

impl Unigram {
    pub(super) fn read(model: &Value) -> Result<Unigram, Fault> {
        let pieces =
            model["vocab"].as_array().ok_or_else(|| Fault::Broken("there is no vocabulary".to_owned()))?;
        check_size(pieces.len())?;
        let (mut vocabulary, mut scores) =
            (Vocabulary::with_capacity(pieces.len()), Vec::with_capacity(pieces.len()));
        let mut piece_chars_max = 1;
        for (id, piece) in pieces.iter().enumerate() {
            let (Some(text), Some(score)) = (piece[0].as_str(), piece[1].as_f64()) else {
                return Err(Fault::Broken(format!("piece {id} of the vocabulary has no text and score")));
            };
            let chars = text.chars().count();
            if chars <= PIECE_CHARS_MAX {
                piece_chars_max = piece_chars_max.max(chars);
                vocabulary.insert(text.into(), id as i32);
            }
            scores.push(score);
        }
        let unknown = model["unk_id"].as_u64().filter(|id| *id < scores.len() as u64);
        let unknown =
            unknown.ok_or_else(|| Fault::Broken("`unk_id` names no piece of the vocabulary".to_owned()))?;
        let bytes = match model["byte_fallback"].as_bool() {
            Some(true) => byte_pieces(|piece| vocabulary.get(piece).copied()),
            Some(false) | None => None,
        };
        let lowest = scores.iter().copied().fold(f64::INFINITY, f64::min);
        Ok(Unigram {
            vocabulary,
            unknown: unknown as i32,
            unknown_score: lowest - UNKNOWN_PENALTY,
            piece_chars_max,
            bytes,
            scores,
        })
    }

    pub(super) fn of(&self, word: &[Glyph], give: &mut impl FnMut(i32, &[Glyph])) {
        // The likeliest way to each place: its score, the number of its last piece, where that piece began.
        let mut best: Vec<Option<(f64, i32, usize)>> = vec![None; word.len() + 1];
        best[0] = Some((0.0, self.unknown, 0));
        let mut piece = String::new();
        for from in 0..word.len() {
            let Some((score, _, _)) = best[from] else { continue };
            let mut better = |to: usize, score: f64, id: i32| {
                if best[to].is_none_or(|(known, _, _)| score > known) {
                    best[to] = Some((score, id, from));
                }
            };
            piece.clear();
            let mut has_one = false;
            for (to, glyph) in word.iter().enumerate().skip(from).take(self.piece_chars_max) {
                piece.push(glyph.c);
                if let Some(id) = self.vocabulary.get(piece.as_str()) {
                    better(to + 1, score + self.scores[*id as usize], *id);
                    has_one |= to == from;
                }
            }
            if !has_one {
                better(from + 1, score + self.unknown_score, self.unknown);
            }
        }
        let mut path: Vec<(i32, Range<usize>)> = Vec::new();
        let mut to = word.len();
        while let Some((_, id, from)) = best[to].filter(|_| to > 0) {
            // Unknown characters in a row are one unknown token.
            match path.last_mut() {
                Some((last, range)) if id == self.unknown && *last == id => *range = from..range.end,
                _ => path.push((id, from..to)),
            }
            to = from;
        }
        for (id, range) in path.into_iter().rev() {
            let glyphs = &word[range];
            match &self.bytes {
                Some(bytes) if id == self.unknown => {
                    for glyph in glyphs {
                        for byte in glyph.c.encode_utf8(&mut [0; 4]).bytes() {
                            give(bytes[usize::from(byte)], std::slice::from_ref(glyph));
                        }
                    }
                }
                _ => give(id, glyphs),
            }
        }
    }

    pub(super) fn id_max(&self) -> i32 {
        self.scores.len() as i32 - 1
    }
}
