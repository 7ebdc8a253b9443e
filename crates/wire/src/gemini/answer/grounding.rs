//! What an answer says of its sources: `groundingMetadata` and `citationMetadata`.

use crate::{
    json::{Cursor, Literal, Scan, ValueKind},
    usage::{count, members},
};

/// Sources of one answer that are told; real ones have some dozens.
pub(super) const SOURCES_MAX: usize = 200;

/// A source, before the place it stands for is known in characters.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Source {
    pub url: Option<String>,
    pub title: Option<String>,
    pub cited: Option<String>,
    /// The part of the content that `bytes` counts from.
    pub part: u32,
    pub bytes: Option<(u32, u32)>,
}

#[derive(Default)]
pub(super) struct Sources {
    pub list: Vec<Source>,
    /// Words of the model beside its answer: what it searched for, and what of the answer leans on a source.
    pub beside: Vec<Literal>,
}

#[derive(Default)]
struct Support {
    part: u32,
    start: u32,
    end: u32,
    chunks: Vec<u32>,
}

/// Chunks are the sources, supports the places that lean on them. A source without a place is told without one.
pub(super) fn grounding(cursor: &mut Cursor<'_>) -> Scan<Sources> {
    let (mut chunks, mut supports, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    members(cursor, |key, cursor| match key {
        "groundingChunks" => items(cursor, |cursor| {
            let chunk = chunk(cursor)?;
            if chunks.len() < SOURCES_MAX {
                chunks.push(chunk);
            }
            Ok(())
        }),
        "groundingSupports" => items(cursor, |cursor| {
            let support = support(cursor, &mut beside)?;
            if supports.len() < SOURCES_MAX {
                supports.push(support);
            }
            Ok(())
        }),
        "webSearchQueries" | "retrievalQueries" => items(cursor, |cursor| match cursor.kind()? {
            ValueKind::String => {
                beside.push(cursor.literal()?);
                Ok(())
            }
            _ => cursor.skip(),
        }),
        _ => cursor.skip(),
    })?;
    let mut list = Vec::new();
    let mut is_used = vec![false; chunks.len()];
    for support in &supports {
        for at in support.chunks.iter().map(|at| *at as usize).filter(|at| *at < chunks.len()) {
            is_used[at] = true;
            let bytes = (support.end > support.start).then_some((support.start, support.end));
            if list.len() < SOURCES_MAX {
                list.push(Source { part: support.part, bytes, ..chunks[at].clone() });
            }
        }
    }
    let unused = chunks.into_iter().zip(is_used).filter(|(_, is_used)| !is_used);
    list.extend(unused.map(|(chunk, _)| chunk));
    Ok(Sources { list, beside })
}

/// `citationSources` of the Gemini API, `citations` of Vertex.
pub(super) fn citations(cursor: &mut Cursor<'_>) -> Scan<Vec<Source>> {
    let mut list = Vec::new();
    members(cursor, |key, cursor| match key {
        "citationSources" | "citations" => items(cursor, |cursor| {
            let (mut source, mut start, mut end) = (Source::default(), 0, 0);
            members(cursor, |key, cursor| {
                match key {
                    "startIndex" => start = count(cursor)?.unwrap_or(0),
                    "endIndex" => end = count(cursor)?.unwrap_or(0),
                    "uri" => source.url = word(cursor)?,
                    "title" => source.title = word(cursor)?,
                    _ => cursor.skip()?,
                }
                Ok(())
            })?;
            source.bytes = (end > start).then_some((start, end));
            if list.len() < SOURCES_MAX {
                list.push(source);
            }
            Ok(())
        }),
        _ => cursor.skip(),
    })?;
    Ok(list)
}

/// `{"web": {"uri", "title"}}`, `{"retrievedContext": {"uri", "title", "text"}}`, `{"maps": {…}}`
fn chunk(cursor: &mut Cursor<'_>) -> Scan<Source> {
    let mut source = Source::default();
    members(cursor, |_, cursor| {
        members(cursor, |key, cursor| {
            match key {
                "uri" => source.url = word(cursor)?,
                "title" => source.title = word(cursor)?,
                "text" => source.cited = word(cursor)?,
                _ => cursor.skip()?,
            }
            Ok(())
        })
        .map(drop)
    })?;
    Ok(source)
}

fn support(cursor: &mut Cursor<'_>, beside: &mut Vec<Literal>) -> Scan<Support> {
    let mut support = Support::default();
    members(cursor, |key, cursor| {
        match key {
            "segment" => {
                members(cursor, |key, cursor| {
                    match (key, cursor.kind()?) {
                        ("partIndex", _) => support.part = count(cursor)?.unwrap_or(0),
                        ("startIndex", _) => support.start = count(cursor)?.unwrap_or(0),
                        ("endIndex", _) => support.end = count(cursor)?.unwrap_or(0),
                        ("text", ValueKind::String) => beside.push(cursor.literal()?),
                        _ => cursor.skip()?,
                    }
                    Ok(())
                })?;
            }
            "groundingChunkIndices" => items(cursor, |cursor| {
                let index = count(cursor)?;
                support.chunks.extend(index.filter(|_| support.chunks.len() < SOURCES_MAX));
                Ok(())
            })?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok(support)
}

fn items(cursor: &mut Cursor<'_>, mut see: impl FnMut(&mut Cursor<'_>) -> Scan<()>) -> Scan<()> {
    if cursor.kind()? != ValueKind::Array {
        return cursor.skip();
    }
    let mut array = cursor.enter()?;
    while cursor.item(&mut array)? {
        see(cursor)?;
    }
    Ok(())
}

fn word(cursor: &mut Cursor<'_>) -> Scan<Option<String>> {
    if cursor.kind()? != ValueKind::String {
        cursor.skip()?;
        return Ok(None);
    }
    let literal = cursor.literal()?;
    Ok((!literal.is_empty()).then(|| cursor.text(literal).into_owned()))
}
