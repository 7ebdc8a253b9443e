//! One content block, in a whole answer or at its beginning in a stream.

use gauntlet_types::Citation;

use crate::{
    json::{Cursor, Literal, Scan, ValueKind},
    text::all_strings,
};

/// What stands in a block. Its `type` may come last, so that all of it is noted before any of it is understood.
#[derive(Default, Debug)]
pub(super) struct Block {
    pub kind: String,
    pub text: Option<Literal>,
    pub thinking: Option<Literal>,
    pub signature: Option<Literal>,
    /// Of redacted thinking.
    pub data: Option<String>,
    pub id: Option<String>,
    pub name: Option<String>,
    /// What a tool is called with, as it is written.
    pub input: Option<String>,
    /// The strings in it.
    pub input_texts: Vec<Literal>,
    /// The summary of a conversation that was too long.
    pub content: Option<Literal>,
    pub citations: Vec<Citation>,
}

impl Block {
    /// A call of a tool, whoever runs it.
    pub(super) fn is_call(&self) -> bool {
        matches!(&*self.kind, "tool_use" | "server_tool_use" | "mcp_tool_use")
    }
}

/// Reads the block that follows; none where it is no object.
pub(super) fn block(cursor: &mut Cursor<'_>) -> Scan<Option<Block>> {
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(None);
    }
    let mut block = Block::default();
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("type", ValueKind::String) => block.kind = string(cursor)?,
            ("text", ValueKind::String) => block.text = Some(cursor.literal()?),
            ("thinking", ValueKind::String) => block.thinking = Some(cursor.literal()?),
            ("signature", ValueKind::String) => block.signature = Some(cursor.literal()?),
            ("content", ValueKind::String) => block.content = Some(cursor.literal()?),
            ("data", ValueKind::String) => block.data = Some(string(cursor)?),
            ("id", ValueKind::String) => block.id = Some(string(cursor)?),
            ("name", ValueKind::String) => block.name = Some(string(cursor)?),
            ("input", ValueKind::Object) => {
                let start = cursor.at();
                block.input_texts.clear();
                all_strings(cursor, &mut |literal| {
                    if !literal.is_empty() {
                        block.input_texts.push(literal);
                    }
                })?;
                block.input = Some(cursor.slice(start..cursor.at()).to_owned());
            }
            ("citations", ValueKind::Array) => {
                let mut array = cursor.enter()?;
                while cursor.item(&mut array)? {
                    block.citations.extend(citation(cursor)?);
                }
            }
            _ => cursor.skip()?,
        }
    }
    Ok(Some(block))
}

/// A source that an answer names; none where the value is no object.
pub(super) fn citation(cursor: &mut Cursor<'_>) -> Scan<Option<Citation>> {
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(None);
    }
    let (mut citation, mut source) = (Citation::default(), None);
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("url", ValueKind::String) => citation.url = Some(string(cursor)?),
            // A search result's source, which is an address more often than not.
            ("source", ValueKind::String) => source = Some(string(cursor)?),
            ("title" | "document_title", ValueKind::String) => citation.title = Some(string(cursor)?),
            ("cited_text", ValueKind::String) => citation.cited = Some(string(cursor)?),
            _ => cursor.skip()?,
        }
    }
    citation.url = citation.url.or(source);
    Ok(Some(citation))
}

pub(super) fn string(cursor: &mut Cursor<'_>) -> Scan<String> {
    let literal = cursor.literal()?;
    Ok(cursor.text(literal).into_owned())
}

pub(super) fn characters(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}
