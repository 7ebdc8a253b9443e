//! Text to tokens and back to bytes, from a `tokenizer.json`.
//!
//! The three stages of that file are three files here: [`normal`] rewrites characters, [`split`] cuts words, and
//! [`pieces`] looks words up in a vocabulary. Each character carries the bytes that it came from, so that a token's
//! place in the original is never guessed. A file that names a stage unknown here is refused: a tokenizer that is nearly
//! right gives a model nearly the wrong words.
//!
//! One difference from the reference is meant: tokens such as `[SEP]` or `</s>` are not recognised in the text, since
//! who writes the text must not be able to write the frame around it.

mod charsmap;
mod normal;
mod pieces;
mod split;

use std::path::Path;

use serde_json::Value;

use crate::error::ModelError;

/// A character of the rewritten text, and the bytes of the original that it stands for.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Glyph {
    c: char,
    start: u32,
    end: u32,
}

/// A word, or what else a pre-tokenizer cuts.
type Word = Vec<Glyph>;

/// One token: its number, its bytes in the original (without the space before it), and which word it is of.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Token {
    pub id: i32,
    pub start: u32,
    pub end: u32,
    pub word: u32,
}

pub(crate) struct Tokenizer {
    normal: Vec<normal::Step>,
    split: Vec<split::Step>,
    pieces: pieces::Pieces,
    /// What stands before and after every sequence, such as `[CLS]` and `[SEP]`.
    pub before: Vec<i32>,
    pub after: Vec<i32>,
}

/// What is wrong with a part of the file; [`Tokenizer::parse`] adds the path.
enum Fault {
    Broken(String),
    Unsupported(String),
}

/// What stands before and after a sequence.
type Frame = (Vec<i32>, Vec<i32>);

/// Steps may hold steps; real files go two deep.
const DEPTH_MAX: usize = 4;

impl Tokenizer {
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Tokenizer, ModelError> {
        let file: Value =
            serde_json::from_slice(bytes).map_err(|error| ModelError::broken(path, error.to_string()))?;
        Tokenizer::read(&file).map_err(|fault| match fault {
            Fault::Broken(what) => ModelError::broken(path, what),
            Fault::Unsupported(what) => ModelError::unsupported(
                path,
                what,
                "use a model with a WordPiece, Unigram or BPE tokenizer without custom patterns",
            ),
        })
    }

    fn read(file: &Value) -> Result<Tokenizer, Fault> {
        let (before, after) = read_frame(&file["post_processor"], 0)?.unwrap_or_default();
        Ok(Tokenizer {
            normal: normal::read(&file["normalizer"])?,
            split: split::read(&file["pre_tokenizer"])?,
            pieces: pieces::Pieces::read(&file["model"])?,
            before,
            after,
        })
    }

    /// The tokens of a text, without the frame. Texts are below 4 GiB (the reader refuses longer ones long before).
    pub(crate) fn tokens(&self, text: &str) -> Vec<Token> {
        let mut glyphs: Vec<Glyph> = text
            .char_indices()
            .map(|(start, c)| Glyph { c, start: start as u32, end: (start + c.len_utf8()) as u32 })
            .collect();
        for step in &self.normal {
            glyphs = step.apply(glyphs);
        }
        let mut words = vec![glyphs];
        for step in &self.split {
            words = step.apply(words);
        }
        let mut tokens = Vec::new();
        for (index, word) in words.iter().enumerate() {
            self.pieces.of(word, |id, glyphs| {
                let (start, end) = place(text, glyphs);
                tokens.push(Token { id, start, end, word: index as u32 });
            });
        }
        tokens
    }

    /// The highest number that a token can have.
    pub(crate) fn id_max(&self) -> i32 {
        self.before.iter().chain(&self.after).copied().chain([self.pieces.id_max()]).max().unwrap_or(0)
    }
}

/// The bytes that some characters came from, without blanks at either end.
fn place(text: &str, glyphs: &[Glyph]) -> (u32, u32) {
    let start = glyphs.iter().map(|glyph| glyph.start).min().unwrap_or(0);
    let end = glyphs.iter().map(|glyph| glyph.end).max().unwrap_or(start);
    // A space that became the mark of a word has bytes, and is not part of it.
    let covered = text.get(start as usize..end as usize).unwrap_or("");
    let blank = covered.len() - covered.trim_start().len();
    let covered = covered.trim();
    (start + blank as u32, start + (blank + covered.len()) as u32)
}

/// Reads what the post-processor puts around one sequence; `None` where it puts nothing.
fn read_frame(step: &Value, depth: usize) -> Result<Option<Frame>, Fault> {
    let one = |token: &Value| -> Result<Vec<i32>, Fault> {
        Ok(vec![
            read_id(&token[1]).ok_or_else(|| Fault::Broken("a token of the frame has no id".to_owned()))?,
        ])
    };
    match kind(step) {
        "" | "ByteLevel" => Ok(None),
        "BertProcessing" | "RobertaProcessing" => Ok(Some((one(&step["cls"])?, one(&step["sep"])?))),
        "TemplateProcessing" => {
            let (mut before, mut after, mut is_before) = (Vec::new(), Vec::new(), true);
            for item in step["single"].as_array().into_iter().flatten() {
                if item.get("Sequence").is_some() {
                    is_before = false;
                    continue;
                }
                let name = item["SpecialToken"]["id"].as_str().unwrap_or("");
                let ids = step["special_tokens"][name]["ids"].as_array();
                let ids = ids.and_then(|ids| ids.iter().map(read_id).collect::<Option<Vec<i32>>>());
                let ids =
                    ids.ok_or_else(|| Fault::Broken(format!("the frame's token `{name}` has no ids")))?;
                if is_before { &mut before } else { &mut after }.extend(ids);
            }
            // More would leave no room for text.
            if before.len() + after.len() > 16 {
                return Err(Fault::Broken("the frame around a sequence has more than 16 tokens".to_owned()));
            }
            Ok(Some((before, after)))
        }
        "Sequence" if depth < DEPTH_MAX => {
            for step in step["processors"].as_array().into_iter().flatten() {
                if let Some(frame) = read_frame(step, depth + 1)? {
                    return Ok(Some(frame));
                }
            }
            Ok(None)
        }
        other => Err(Fault::Unsupported(format!("the post-processor `{other}`"))),
    }
}

/// The `type` of a step; empty where the step is absent or null.
fn kind(step: &Value) -> &str {
    if step.is_null() { "" } else { step["type"].as_str().unwrap_or("without a type") }
}

fn read_id(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|id| i32::try_from(id).ok()).filter(|id| *id >= 0)
}
