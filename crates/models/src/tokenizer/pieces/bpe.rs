//! Byte-pair encoding: neighbours merged in the order in which they were learnt.

use std::collections::HashMap;

use serde_json::Value;

use super::{Fault, Glyph, VOCABULARY_MAX, Vocabulary, byte_pieces, read_unknown, read_vocabulary};

/// Longer words are cut, as each merge looks at the whole word. No word of a language comes near it; where a file cuts no words
/// at all, its text is cut before the mark of a blank.
const WORD_CHARS_MAX: usize = 256;
/// What SentencePiece writes for a blank.
const BLANK_MARK: char = '\u{2581}';

pub(in crate::tokenizer) struct Bpe {
    vocabulary: Vocabulary,
    /// Two neighbours to the order of their merge and what they become.
    merges: HashMap<(i32, i32), (u32, i32)>,
    unknown: Option<i32>,
    is_unknown_fused: bool,
    bytes: Option<Box<[i32]>>,
    /// A word that is a piece is not put together from smaller ones.
    ignores_merges: bool,
}

impl Bpe {
    pub(super) fn read(model: &Value) -> Result<Bpe, Fault> {
        for affix in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if model[affix].as_str().is_some_and(|affix| !affix.is_empty()) {
                return Err(Fault::Unsupported(format!("BPE with a `{affix}`")));
            }
        }
        let vocabulary = read_vocabulary(model)?;
        let list =
            model["merges"].as_array().ok_or_else(|| Fault::Broken("there are no merges".to_owned()))?;
        if list.len() > VOCABULARY_MAX {
            return Err(Fault::Unsupported(format!("{} merges, more than {VOCABULARY_MAX}", list.len())));
        }
        let mut merges = HashMap::with_capacity(list.len());
        for (order, merge) in list.iter().enumerate() {
            let pair = match merge {
                Value::String(text) => text.split_once(' '),
                _ => merge[0].as_str().zip(merge[1].as_str()),
            };
            let ids = pair.and_then(|(left, right)| {
                let id = |piece: &str| vocabulary.get(piece).copied();
                Some(((id(left)?, id(right)?), id(&format!("{left}{right}"))?))
            });
            let (pair, both) = ids
                .ok_or_else(|| Fault::Broken(format!("merge {order} is not of pieces of the vocabulary")))?;
            merges.entry(pair).or_insert((order as u32, both));
        }
        let is = |name: &str| model[name].as_bool().unwrap_or(false);
        Ok(Bpe {
            unknown: read_unknown(model, &vocabulary)?,
            is_unknown_fused: is("fuse_unk"),
            bytes: is("byte_fallback").then(|| byte_pieces(|piece| vocabulary.get(piece).copied())).flatten(),
            ignores_merges: is("ignore_merges"),
            merges,
            vocabulary,
        })
    }

    pub(super) fn of(&self, word: &[Glyph], give: &mut impl FnMut(i32, &[Glyph])) {
        let mut rest = word;
        while !rest.is_empty() {
            let longest = rest.len().min(WORD_CHARS_MAX);
            let is_mark = |glyph: &Glyph| glyph.c == BLANK_MARK;
            let at = match rest.get(1..longest).and_then(|inside| inside.iter().rposition(is_mark)) {
                Some(mark) if longest < rest.len() => mark + 1,
                _ => longest,
            };
            self.part(&rest[..at], give);
            rest = &rest[at..];
        }
    }

    fn part(&self, word: &[Glyph], give: &mut impl FnMut(i32, &[Glyph])) {
        if self.ignores_merges {
            let whole: String = word.iter().map(|glyph| glyph.c).collect();
            if let Some(id) = self.vocabulary.get(whole.as_str()) {
                return give(*id, word);
            }
        }
        let mut pieces = self.singles(word);
        loop {
            let merge = |pair: &[(i32, usize, usize)]| self.merges.get(&(pair[0].0, pair[1].0)).copied();
            let next = pieces
                .windows(2)
                .enumerate()
                .filter_map(|(at, pair)| merge(pair).map(|(order, id)| (order, at, id)));
            let Some((_, at, id)) = next.min() else { break };
            let (_, _, end) = pieces.remove(at + 1);
            pieces[at] = (id, pieces[at].1, end);
        }
        for (id, start, end) in pieces {
            give(id, &word[start..end]);
        }
    }

    /// Each character as a piece: its number, and which characters it covers.
    fn singles(&self, word: &[Glyph]) -> Vec<(i32, usize, usize)> {
        let mut pieces: Vec<(i32, usize, usize)> = Vec::with_capacity(word.len());
        let mut was_unknown = false;
        for (at, glyph) in word.iter().enumerate() {
            let mut buffer = [0; 4];
            let text: &str = glyph.c.encode_utf8(&mut buffer);
            let known = self.vocabulary.get(text);
            match (known, &self.bytes, self.unknown) {
                (Some(id), _, _) => pieces.push((*id, at, at + 1)),
                (None, Some(bytes), _) => {
                    pieces.extend(text.bytes().map(|byte| (bytes[usize::from(byte)], at, at + 1)));
                }
                (None, None, Some(_)) if was_unknown && self.is_unknown_fused => {
                    if let Some((_, _, end)) = pieces.last_mut() {
                        *end = at + 1;
                    }
                }
                (None, None, Some(id)) => pieces.push((id, at, at + 1)),
                // Without a token for it, the reference leaves an unknown character out as well.
                (None, None, None) => {}
            }
            was_unknown = known.is_none() && self.bytes.is_none();
        }
        pieces
    }

    pub(super) fn id_max(&self) -> i32 {
        self.vocabulary.values().copied().max().unwrap_or(0)
    }
}
