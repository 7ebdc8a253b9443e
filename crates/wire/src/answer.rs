//! An answer in any dialect, whole or streamed: what is read of it.

mod assemble;

use std::ops::Range;

use bytes::Bytes;
use gauntlet_types::{Dialect, Event};

pub use assemble::{ASSEMBLED_MAX, Assembled, Assembler};

use crate::{
    anthropic, bedrock, gemini,
    json::Malformed,
    openai::{self, completions, error::ProviderError, responses},
    text::{Place, Segment},
};

/// A text of an answer: the choice it belongs to, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnswerText {
    pub choice: u32,
    pub segment: Segment,
}

/// What a whole answer says.
#[derive(Clone, PartialEq, Debug)]
pub struct PlainAnswer {
    pub events: Vec<Event>,
    /// The texts in the order of the body, tool arguments among them (`Kind::Arguments`).
    pub texts: Vec<AnswerText>,
    pub seals: Vec<SealAt>,
    /// The body tells of an error, whatever its status said.
    pub error: Option<ProviderError>,
}

/// A seal and the text that it holds for: where that text is changed, the seal must be voided (`seal::VOID`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealAt {
    /// The content of the text's literal in a whole answer.
    pub text: Range<usize>,
    /// The text in a stream.
    pub key: Key,
    /// The content of the seal's own literal.
    pub raw: Range<usize>,
}

/// What part of an answer a piece of text belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Channel {
    Content,
    Refusal,
    Reasoning,
    /// The arguments of a tool call, by its index.
    Arguments(u32),
    /// The arguments of the one call of the old form.
    FunctionCall,
}

/// Which text of an answer a piece of a stream belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    pub choice: u32,
    /// The block, item or part of the answer, where the dialect numbers them; 0 where it does not.
    pub part: u32,
    pub channel: Channel,
}

/// How much of its text a piece is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Extent {
    /// The next piece of a text.
    #[default]
    Piece,
    /// A text that is there whole, in this piece alone.
    Whole,
    /// All of a text once more, after its pieces: it must read as they did.
    Repeat,
}

/// A piece of text in a stream chunk. Pieces that are empty are not listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextDelta {
    pub key: Key,
    pub extent: Extent,
    /// Where the content of the string literal stands in the chunk's data, without its quotes. An edit here takes
    /// `json::escape`d text.
    pub raw: Range<usize>,
}

/// Texts that get no further piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Choice(u32),
    Part { choice: u32, part: u32 },
}

/// The number of a frame in its stream, in a dialect that counts them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Number {
    /// Where its digits stand in the frame's data.
    pub raw: Range<usize>,
    pub value: u64,
}

/// What one frame of a stream says.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Chunk {
    pub events: Vec<Event>,
    pub texts: Vec<TextDelta>,
    /// Texts that end with this frame, or ended before it: what is held back of them goes out before it does.
    pub ends: Vec<End>,
    pub seals: Vec<SealAt>,
    pub number: Option<Number>,
    /// It holds usage and nothing that a caller who asked for none would miss.
    pub is_usage_only: bool,
    /// It is the end mark.
    pub is_done: bool,
}

/// Reads a whole answer. Malformed when it is not JSON (HTML, half a document, nothing), or is neither an answer of the
/// dialect nor an error.
pub fn read_plain(dialect: Dialect, body: &Bytes) -> Result<PlainAnswer, Malformed> {
    match dialect {
        Dialect::Chat => openai::answer::read_plain(body),
        Dialect::Completions => completions::read_plain(body),
        Dialect::Responses => responses::answer::read_plain(body),
        Dialect::Messages => anthropic::answer::read_plain(body),
        Dialect::Gemini => gemini::answer::read_plain(body),
        Dialect::Converse => bedrock::read_plain(body),
    }
}

pub(crate) fn choice_of(place: Place) -> u32 {
    match place {
        Place::AnswerContent { choice }
        | Place::AnswerRefusal { choice }
        | Place::AnswerReasoning { choice }
        | Place::AnswerArguments { choice, .. } => choice,
        _ => 0,
    }
}
