//! Parts of a conversation that another provider sealed, cut out of a body that goes to this one: it would refuse the
//! whole request for a signature that it did not make.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    json::{Cursor, Scan, ValueKind},
    seal,
    splice::Edit,
};

/// Edits that cut thinking blocks with a foreign or void signature, and citations of sources that another provider
/// named. A message that has nothing else goes with them. What cannot be read is left as it is.
///
/// To be called where `seal::is_in(body)`; it costs another pass.
pub fn without_foreign(body: &Bytes) -> Vec<Edit> {
    read(body).unwrap_or_default()
}

/// An item of an array: where it stands, and whether it goes.
type Item = (Range<usize>, bool);

fn read(body: &[u8]) -> Scan<Vec<Edit>> {
    let mut cursor = Cursor::new(body)?;
    let cursor = &mut cursor;
    let mut edits = Vec::new();
    cursor.kind()?;
    let mut object = cursor.expect_object("the body")?;
    while let Some(key) = cursor.member(&mut object)? {
        if key != "messages" || cursor.kind()? != ValueKind::Array {
            cursor.skip()?;
            continue;
        }
        let mut items: Vec<Item> = Vec::new();
        let mut array = cursor.enter()?;
        while cursor.item(&mut array)? {
            cursor.kind()?;
            let start = cursor.at();
            let is_spent = message(cursor, &mut edits)?;
            items.push((start..cursor.at(), is_spent));
        }
        cut(&items, &mut edits);
    }
    cursor.finish()?;
    Ok(edits)
}

/// True where nothing of the message is left.
fn message(cursor: &mut Cursor<'_>, edits: &mut Vec<Edit>) -> Scan<bool> {
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(false);
    }
    let mut is_spent = false;
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        if key != "content" || cursor.kind()? != ValueKind::Array {
            cursor.skip()?;
            continue;
        }
        let first = edits.len();
        let mut items: Vec<Item> = Vec::new();
        let mut array = cursor.enter()?;
        while cursor.item(&mut array)? {
            cursor.kind()?;
            let (start, before) = (cursor.at(), edits.len());
            let is_foreign = block(cursor, edits)?;
            if is_foreign {
                edits.truncate(before);
            }
            items.push((start..cursor.at(), is_foreign));
        }
        is_spent = !items.is_empty() && items.iter().all(|(_, is_foreign)| *is_foreign);
        if is_spent {
            edits.truncate(first);
        } else {
            cut(&items, edits);
        }
    }
    Ok(is_spent)
}

/// True where the block is sealed by another.
fn block(cursor: &mut Cursor<'_>, edits: &mut Vec<Edit>) -> Scan<bool> {
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(false);
    }
    let mut is_foreign = false;
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("signature" | "data", ValueKind::String) => is_foreign |= is_marked(cursor)?,
            ("citations", ValueKind::Array) => {
                let mut items: Vec<Item> = Vec::new();
                let mut array = cursor.enter()?;
                while cursor.item(&mut array)? {
                    cursor.kind()?;
                    let start = cursor.at();
                    let is_foreign = citation(cursor)?;
                    items.push((start..cursor.at(), is_foreign));
                }
                cut(&items, edits);
            }
            _ => cursor.skip()?,
        }
    }
    Ok(is_foreign)
}

fn citation(cursor: &mut Cursor<'_>) -> Scan<bool> {
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(false);
    }
    let mut is_foreign = false;
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("encrypted_index", ValueKind::String) => is_foreign |= is_marked(cursor)?,
            _ => cursor.skip()?,
        }
    }
    Ok(is_foreign)
}

/// Whether the string that follows begins as our seals do.
fn is_marked(cursor: &mut Cursor<'_>) -> Scan<bool> {
    let literal = cursor.literal()?;
    Ok(seal::is_marked(&cursor.text(literal)))
}

/// Cuts items out of an array, each with one comma.
fn cut(items: &[Item], edits: &mut Vec<Edit>) {
    let kept_first = items.iter().position(|(_, goes)| !goes);
    for (index, (span, _)) in items.iter().enumerate().filter(|(_, (_, goes))| *goes) {
        let range = match kept_first {
            // Behind something that stays: with the comma before it.
            Some(kept) if kept < index => items[index - 1].0.end..span.end,
            _ => match items.get(index + 1) {
                Some((next, _)) => span.start..next.start,
                None => span.clone(),
            },
        };
        edits.push(Edit::new(range, Bytes::new()));
    }
}
