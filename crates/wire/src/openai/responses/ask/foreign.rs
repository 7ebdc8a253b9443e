//! Reasoning in a request whose seal no speaker of this dialect made.

use std::ops::Range;

use bytes::Bytes;
use gauntlet_types::{Dialect, Sealed};

use crate::{
    json::{Cursor, Scan, ValueKind},
    seal,
    splice::Edit,
};

/// Edits that cut the items of `input` whose `encrypted_content` is another provider's, or void: OpenAI refuses a request
/// with a seal that it did not make. To be called where `seal::is_in` the body; none where it cannot be read.
pub fn without_foreign(body: &Bytes) -> Vec<Edit> {
    let items = items(body).unwrap_or_default();
    let mut edits = Vec::new();
    let mut kept_before = false;
    for (at, (span, is_foreign)) in items.iter().enumerate() {
        if !is_foreign {
            kept_before = true;
        } else if kept_before {
            // With the comma before it.
            edits.push(Edit::new(items[at - 1].0.end..span.end, Bytes::new()));
        } else {
            // With the comma behind it, where there is one.
            let end = items.get(at + 1).map_or(span.end, |(next, _)| next.start);
            edits.push(Edit::new(span.start..end, Bytes::new()));
        }
    }
    edits
}

/// Where each item stands, and whether it goes.
fn items(body: &[u8]) -> Scan<Vec<(Range<usize>, bool)>> {
    let mut cursor = Cursor::new(body)?;
    let mut items = Vec::new();
    if cursor.kind()? != ValueKind::Object {
        return Ok(items);
    }
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        if key != "input" || cursor.kind()? != ValueKind::Array {
            cursor.skip()?;
            continue;
        }
        let mut array = cursor.enter()?;
        while cursor.item(&mut array)? {
            cursor.kind()?;
            let start = cursor.at();
            let is_foreign = is_foreign(&mut cursor)?;
            items.push((start..cursor.at(), is_foreign));
        }
    }
    Ok(items)
}

fn is_foreign(cursor: &mut Cursor<'_>) -> Scan<bool> {
    let mut is_foreign = false;
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(false);
    }
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        if key == "encrypted_content" && cursor.kind()? == ValueKind::String {
            let literal = cursor.literal()?;
            let data = cursor.text(literal);
            let by = seal::read(&data, Dialect::Responses, Sealed::Reasoning).by;
            is_foreign |= by != Dialect::Responses || data.starts_with(seal::VOID);
        } else {
            cursor.skip()?;
        }
    }
    Ok(is_foreign)
}
