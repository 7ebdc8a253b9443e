//! A candidate as it stands, read whole before it is understood: its number may stand behind its words, and whether a
//! text is a thought behind the text.

use std::ops::Range;

use gauntlet_types::Finish;

use super::{
    finish,
    grounding::{self, Source, Sources},
    partial::Piece,
};
use crate::{
    json::{Cursor, Literal, Scan, ValueKind},
    text::all_strings,
};

/// A part as it stands.
#[derive(Default)]
pub(super) struct Part {
    pub text: Option<Literal>,
    pub is_thought: bool,
    pub signature: Option<Literal>,
    pub call: Option<Call>,
    pub media: Option<(Option<Literal>, Literal)>,
    /// Code and its output.
    pub code: Vec<Literal>,
    /// The strings of what we do not know.
    pub unknown: Vec<Literal>,
}

#[derive(Default)]
pub(super) struct Call {
    pub id: Option<String>,
    pub name: Option<String>,
    pub args: Option<Range<usize>>,
    pub strings: Vec<Literal>,
    pub pieces: Vec<Piece>,
    /// A further piece of the call follows.
    pub continues: bool,
}

#[derive(Default)]
pub(super) struct Candidate {
    pub number: u32,
    pub parts: Vec<Part>,
    pub why: Option<Finish>,
    /// Of the ending: it may quote what the model wrote.
    pub message: Option<Literal>,
    pub grounding: Sources,
    pub citations: Vec<Source>,
}

/// Reads a candidate; `position` is its number until it tells one.
pub(super) fn read(cursor: &mut Cursor<'_>, position: u32) -> Scan<Candidate> {
    let mut read = Candidate { number: position, ..Candidate::default() };
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(read);
    }
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("index", ValueKind::Number) => {
                let span = cursor.number()?;
                read.number = cursor.slice(span).parse().unwrap_or(position);
            }
            ("content", ValueKind::Object) => {
                let mut content = cursor.enter()?;
                while let Some(key) = cursor.member(&mut content)? {
                    match (&*key, cursor.kind()?) {
                        ("parts", ValueKind::Array) => {
                            let mut array = cursor.enter()?;
                            while cursor.item(&mut array)? {
                                read.parts.push(part(cursor)?);
                            }
                        }
                        _ => cursor.skip()?,
                    }
                }
            }
            ("finishReason", ValueKind::String) => {
                read.why = word(cursor)?.map(|word| finish(&word));
            }
            ("finishMessage", ValueKind::String) => read.message = Some(cursor.literal()?),
            ("groundingMetadata", ValueKind::Object) => read.grounding = grounding::grounding(cursor)?,
            ("citationMetadata", ValueKind::Object) => read.citations = grounding::citations(cursor)?,
            _ => cursor.skip()?,
        }
    }
    Ok(read)
}

fn part(cursor: &mut Cursor<'_>) -> Scan<Part> {
    let mut part = Part::default();
    if cursor.kind()? != ValueKind::Object {
        all_strings(cursor, &mut |literal| part.unknown.push(literal))?;
        return Ok(part);
    }
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("text", ValueKind::String) => part.text = Some(cursor.literal()?),
            ("thought", kind) => {
                part.is_thought = kind == ValueKind::True;
                cursor.skip()?;
            }
            ("thoughtSignature" | "thought_signature", ValueKind::String) => {
                part.signature = Some(cursor.literal()?);
            }
            ("functionCall", ValueKind::Object) => part.call = Some(call(cursor)?),
            ("inlineData", ValueKind::Object) => part.media = media(cursor)?,
            ("fileData" | "videoMetadata" | "partMetadata" | "mediaResolution", _) => cursor.skip()?,
            // Of code its words, not the name of its language nor the word for how it ended.
            ("executableCode" | "codeExecutionResult", ValueKind::Object) => {
                let mut code = cursor.enter()?;
                while let Some(key) = cursor.member(&mut code)? {
                    match (&*key, cursor.kind()?) {
                        ("code" | "output", ValueKind::String) => part.code.push(cursor.literal()?),
                        _ => cursor.skip()?,
                    }
                }
            }
            _ => all_strings(cursor, &mut |literal| part.unknown.push(literal))?,
        }
    }
    Ok(part)
}

fn call(cursor: &mut Cursor<'_>) -> Scan<Call> {
    let mut call = Call::default();
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("id", ValueKind::String) => call.id = word(cursor)?,
            ("name", ValueKind::String) => call.name = word(cursor)?,
            ("args", ValueKind::Object) => {
                let start = cursor.at();
                all_strings(cursor, &mut |literal| call.strings.push(literal))?;
                call.args = Some(start..cursor.at());
            }
            // Vertex may stream arguments in pieces, which only a caller who asked for them gets.
            ("partialArgs", ValueKind::Array) => {
                let mut array = cursor.enter()?;
                while cursor.item(&mut array)? {
                    call.pieces.extend(Piece::read(cursor)?);
                }
                call.strings.extend(call.pieces.iter().filter_map(|piece| piece.text));
            }
            ("willContinue", kind) => {
                call.continues = kind == ValueKind::True;
                cursor.skip()?;
            }
            _ => cursor.skip()?,
        }
    }
    Ok(call)
}

fn media(cursor: &mut Cursor<'_>) -> Scan<Option<(Option<Literal>, Literal)>> {
    let (mut mime, mut data) = (None, None);
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("mimeType", ValueKind::String) => mime = Some(cursor.literal()?),
            ("data", ValueKind::String) => data = Some(cursor.literal()?),
            _ => cursor.skip()?,
        }
    }
    Ok(data.map(|data| (mime, data)))
}

pub(super) fn word(cursor: &mut Cursor<'_>) -> Scan<Option<String>> {
    let literal = cursor.literal()?;
    Ok((!literal.is_empty()).then(|| cursor.text(literal).into_owned()))
}
