//! Texts found in a JSON body, and the way back from a place in a text to the bytes it stands in.

use std::{fmt, ops::Range};

use gauntlet_types::Scope;

use crate::{
    json::{Cursor, Literal, Piece, Scan, ValueKind, escape, pieces},
    splice::Edit,
};

/// Who speaks a text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
    /// A role we do not know, or no speaker at all (tool definitions, embedding input is `User`).
    Other,
}

impl Role {
    pub(crate) fn parse(text: &str) -> Role {
        match text {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" | "function" => Role::Tool,
            _ => Role::Other,
        }
    }
}

/// What sort of text it is, so that a guard can pass over some.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Words of a message or an answer.
    Words,
    Refusal,
    Reasoning,
    /// Arguments of a tool call: usually JSON in a string, so a replacement should keep that JSON whole.
    Arguments,
    /// Descriptions within tool definitions and answer schemas: written by the application's author.
    Definition,
    /// What no model reads (`user`, `metadata`, names, fields that we do not know): kept in the record all the same.
    Other,
}

/// Where a text stands, shown as a path (`messages[3].content[0].text`) only when displayed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    Content {
        message: u32,
    },
    Part {
        message: u32,
        part: u32,
    },
    /// In a content part, but not in its `text`.
    PartOther {
        message: u32,
        part: u32,
    },
    MessageRefusal {
        message: u32,
    },
    MessageReasoning {
        message: u32,
    },
    Arguments {
        message: u32,
        call: u32,
    },
    FunctionCall {
        message: u32,
    },
    Tool {
        tool: u32,
    },
    Function {
        function: u32,
    },
    ResponseFormat,
    Prediction,
    /// Anywhere else in a request.
    Elsewhere,
    /// In a member of the request itself (`instructions`).
    Field(&'static str),
    /// In a dialect whose paths are its own: `contents[0].parts[2].text`, `system[1].text`, `input[3].output`.
    Path {
        list: &'static str,
        item: u32,
        /// The list within the item, and the place in it.
        inner: Option<(&'static str, u32)>,
        /// The member; empty where the item itself is the text.
        leaf: &'static str,
    },
    /// `input` of an embeddings request; `item` when it is a list.
    Input {
        item: Option<u32>,
    },
    AnswerContent {
        choice: u32,
    },
    AnswerRefusal {
        choice: u32,
    },
    AnswerReasoning {
        choice: u32,
    },
    AnswerArguments {
        choice: u32,
        call: u32,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Content { message } => write!(f, "messages[{message}].content"),
            Place::Part { message, part } => write!(f, "messages[{message}].content[{part}].text"),
            Place::PartOther { message, part } => write!(f, "messages[{message}].content[{part}]"),
            Place::MessageRefusal { message } => write!(f, "messages[{message}].refusal"),
            Place::MessageReasoning { message } => write!(f, "messages[{message}].reasoning_content"),
            Place::Arguments { message, call } => {
                write!(f, "messages[{message}].tool_calls[{call}].function.arguments")
            }
            Place::FunctionCall { message } => write!(f, "messages[{message}].function_call.arguments"),
            Place::Tool { tool } => write!(f, "tools[{tool}]"),
            Place::Function { function } => write!(f, "functions[{function}]"),
            Place::ResponseFormat => f.write_str("response_format"),
            Place::Prediction => f.write_str("prediction.content"),
            Place::Elsewhere => f.write_str("another field"),
            Place::Field(name) => f.write_str(name),
            Place::Path { list, item, inner, leaf } => {
                write!(f, "{list}[{item}]")?;
                if let Some((inner, part)) = inner {
                    write!(f, ".{inner}[{part}]")?;
                }
                if leaf.is_empty() { Ok(()) } else { write!(f, ".{leaf}") }
            }
            Place::Input { item: None } => f.write_str("input"),
            Place::Input { item: Some(item) } => write!(f, "input[{item}]"),
            Place::AnswerContent { choice } => write!(f, "choices[{choice}].message.content"),
            Place::AnswerRefusal { choice } => write!(f, "choices[{choice}].message.refusal"),
            Place::AnswerReasoning { choice } => write!(f, "choices[{choice}].message.reasoning_content"),
            Place::AnswerArguments { choice, call } => {
                write!(f, "choices[{choice}].message.tool_calls[{call}].function.arguments")
            }
        }
    }
}

/// A text found in a JSON body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    pub place: Place,
    pub role: Role,
    pub kind: Kind,
    /// Where the content of the string literal stands in the body, without its quotes.
    pub raw: Range<usize>,
    pub text: SegmentText,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SegmentText {
    /// The literal has no escapes: the text is `body[raw]`.
    InBody,
    Decoded(String),
}

/// A text seen by the scanner and not decoded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub place: Place,
    pub role: Role,
    pub kind: Kind,
    pub literal: Literal,
}

impl Found {
    pub(crate) fn segment(&self, body: &[u8]) -> Segment {
        let raw = self.literal.range();
        let text = if self.literal.escaped {
            SegmentText::Decoded(crate::json::unescape(in_body(body, &raw)))
        } else {
            SegmentText::InBody
        };
        Segment { place: self.place, role: self.role, kind: self.kind, raw, text }
    }
}

/// A segment only means something with the body it was found in; with another one, stopping is safer than guarding the
/// wrong words.
fn in_body<'a>(body: &'a [u8], raw: &Range<usize>) -> &'a str {
    let bytes = body.get(raw.clone()).expect("a segment is used with the body it was found in");
    std::str::from_utf8(bytes).expect("a segment is used with the body it was found in")
}

impl Segment {
    /// What the text is to its conversation.
    pub fn scope(&self) -> Scope {
        match (self.place, self.kind, self.role) {
            (Place::AnswerArguments { .. }, ..) | (_, Kind::Arguments, _) => Scope::ToolArguments,
            (
                Place::AnswerContent { .. } | Place::AnswerRefusal { .. } | Place::AnswerReasoning { .. },
                ..,
            ) => Scope::Assistant,
            (_, Kind::Definition, _) | (_, _, Role::System | Role::Developer) => Scope::System,
            (_, _, Role::Assistant) => Scope::Assistant,
            (_, _, Role::Tool) => Scope::ToolResult,
            (_, _, Role::User | Role::Other) => Scope::User,
        }
    }

    /// The text; `body` is the one that the segment was found in.
    pub fn as_str<'a>(&'a self, body: &'a [u8]) -> &'a str {
        match &self.text {
            SegmentText::InBody => in_body(body, &self.raw),
            SegmentText::Decoded(text) => text,
        }
    }

    /// Maps a byte range of the text to the range in the body that spells it. A border within a character moves
    /// outwards, so that an escape is taken whole.
    pub fn raw_range(&self, body: &[u8], decoded: Range<usize>) -> Range<usize> {
        let literal = in_body(body, &self.raw);
        let mapped = map_ranges(literal, matches!(self.text, SegmentText::InBody), &[decoded]);
        let range = mapped.into_iter().next().unwrap_or(0..0);
        self.raw.start + range.start..self.raw.start + range.end
    }

    /// Edits that put other words for ranges of the text. The ranges may come in any order; where two overlap, their
    /// union is replaced by the first one's words. One walk over the text, however many there are.
    pub fn edits(&self, body: &[u8], replacements: &[(Range<usize>, &str)]) -> Vec<Edit> {
        let mut sorted: Vec<_> = replacements.to_vec();
        sorted.sort_by_key(|(range, _)| range.start);
        let mut joined: Vec<(Range<usize>, &str)> = Vec::with_capacity(sorted.len());
        for (range, words) in sorted {
            match joined.last_mut() {
                Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
                _ => joined.push((range, words)),
            }
        }
        let ranges: Vec<_> = joined.iter().map(|(range, _)| range.clone()).collect();
        let literal = in_body(body, &self.raw);
        let mapped = map_ranges(literal, matches!(self.text, SegmentText::InBody), &ranges);
        let mut done = 0;
        let mut edits = Vec::with_capacity(mapped.len());
        for (range, (_, words)) in mapped.into_iter().zip(joined) {
            // Two ranges that meet within one character both grow over it.
            let start = range.start.max(done);
            done = range.end.max(start);
            edits.push(Edit::new(self.raw.start + start..self.raw.start + done, escape(words)));
        }
        edits
    }

    /// The edit that puts other words for the whole text.
    pub fn replaced(&self, words: &str) -> Edit {
        Edit::new(self.raw.clone(), escape(words))
    }
}

/// The text that a literal's content spells; for stream chunks, whose spans come without a `Segment`.
pub fn decode(data: &[u8], raw: Range<usize>) -> String {
    crate::json::unescape(in_body(data, &raw))
}

/// Maps ascending ranges of the decoded text to ranges of the literal.
fn map_ranges(literal: &str, is_plain: bool, decoded: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut walk = Walk { literal, is_plain, raw: 0, decoded: 0 };
    let mut mapped: Vec<Range<usize>> = Vec::with_capacity(decoded.len());
    for range in decoded {
        // The walk never goes back: ranges ascend, and a start before the last end falls on that end.
        let start = walk.forward(range.start, Side::Before);
        let end = walk.forward(range.end.max(range.start), Side::After);
        mapped.push(start..end.max(start));
    }
    mapped
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Before,
    After,
}

/// A place in a literal, counted both ways.
struct Walk<'a> {
    literal: &'a str,
    is_plain: bool,
    raw: usize,
    decoded: usize,
}

impl Walk<'_> {
    /// Goes on to the character border at `target` (in decoded bytes), or to the border before or after it.
    fn forward(&mut self, target: usize, side: Side) -> usize {
        if self.is_plain {
            return border(self.literal, target, side);
        }
        for piece in pieces(&self.literal[self.raw..]) {
            if self.decoded >= target {
                break;
            }
            match piece {
                Piece::Plain(run) if self.decoded + run.len() <= target => {
                    self.raw += run.len();
                    self.decoded += run.len();
                }
                Piece::Plain(run) => {
                    let within = border(run, target - self.decoded, side);
                    self.raw += within;
                    self.decoded += within;
                    break;
                }
                Piece::Escape { raw, decoded } => {
                    if self.decoded + decoded.len_utf8() > target && side == Side::Before {
                        break;
                    }
                    self.raw += raw;
                    self.decoded += decoded.len_utf8();
                }
            }
        }
        self.raw
    }
}

fn border(text: &str, at: usize, side: Side) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        match side {
            Side::Before => at -= 1,
            Side::After => at += 1,
        }
    }
    at
}

/// Collects every string within the value that follows, whatever its shape.
pub(crate) fn all_strings(cursor: &mut Cursor<'_>, see: &mut dyn FnMut(Literal)) -> Scan<()> {
    match cursor.kind()? {
        ValueKind::String => see(cursor.literal()?),
        ValueKind::Object => {
            let mut object = cursor.enter()?;
            while cursor.member_literal(&mut object)?.is_some() {
                all_strings(cursor, see)?;
            }
        }
        ValueKind::Array => {
            let mut array = cursor.enter()?;
            while cursor.item(&mut array)? {
                all_strings(cursor, see)?;
            }
        }
        ValueKind::Number | ValueKind::True | ValueKind::False | ValueKind::Null => cursor.skip()?,
    }
    Ok(())
}

/// No personal data and no secret is shorter.
const OTHER_MIN: usize = 6;

/// Takes every string of the value that follows, keys too, for the record alone.
pub(crate) fn others(cursor: &mut Cursor<'_>, texts: &mut Vec<Found>) -> Scan<()> {
    match cursor.kind()? {
        ValueKind::String => other(cursor.literal()?, texts),
        ValueKind::Object => {
            let mut object = cursor.enter()?;
            while let Some(key) = cursor.member_literal(&mut object)? {
                other(key, texts);
                others(cursor, texts)?;
            }
        }
        ValueKind::Array => {
            let mut array = cursor.enter()?;
            while cursor.item(&mut array)? {
                others(cursor, texts)?;
            }
        }
        ValueKind::Number | ValueKind::True | ValueKind::False | ValueKind::Null => cursor.skip()?,
    }
    Ok(())
}

/// One string for the record alone.
pub(crate) fn other(literal: Literal, texts: &mut Vec<Found>) {
    if literal.range().len() >= OTHER_MIN {
        texts.push(Found { place: Place::Elsewhere, role: Role::Other, kind: Kind::Other, literal });
    }
}

/// Collects the strings of the value that follows, at any depth, and says of each whether it stands under `key`.
pub(crate) fn strings_named(
    cursor: &mut Cursor<'_>,
    key: &str,
    see: &mut dyn FnMut(Literal, bool),
) -> Scan<()> {
    match cursor.kind()? {
        ValueKind::Object => {
            let mut object = cursor.enter()?;
            while let Some(name) = cursor.member(&mut object)? {
                if name == key && cursor.kind()? == ValueKind::String {
                    see(cursor.literal()?, true);
                } else {
                    strings_named(cursor, key, see)?;
                }
            }
        }
        ValueKind::Array => {
            let mut array = cursor.enter()?;
            while cursor.item(&mut array)? {
                strings_named(cursor, key, see)?;
            }
        }
        ValueKind::String => see(cursor.literal()?, false),
        ValueKind::Number | ValueKind::True | ValueKind::False | ValueKind::Null => cursor.skip()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests;
