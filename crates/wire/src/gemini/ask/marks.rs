//! Cuts seals of other providers out of a request that is Gemini's own to answer.

use std::ops::Range;

use bytes::Bytes;
use gauntlet_types::{Dialect, Sealed};

use super::List;
use crate::{
    extension::member_cut,
    gemini::{NO_SIGNATURE, names::camel},
    json::{Cursor, Scan, ValueKind},
    seal,
    splice::Edit,
};

/// Edits that cut what Gemini would refuse: thoughts under a foreign or void seal go with their part, a call keeps its
/// part and gets the word that skips the check, a text keeps its words. Called only where `seal::is_in(body)`.
pub fn without_foreign(body: &Bytes) -> Vec<Edit> {
    // A body that was parsed is well-formed; of any other nothing is cut.
    contents(body).unwrap_or_default()
}

/// What becomes of a part.
enum Fate {
    Stays,
    Goes,
    Edited(Edit),
}

fn contents(body: &[u8]) -> Scan<Vec<Edit>> {
    let mut cursor = Cursor::new(body)?;
    let cursor = &mut cursor;
    let (mut edits, mut items) = (Vec::new(), Vec::new());
    if cursor.kind()? != ValueKind::Object {
        return Ok(edits);
    }
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        if key != "contents" {
            cursor.skip()?;
            continue;
        }
        List::walk(cursor, "contents", |cursor, _| {
            let start = cursor.at();
            let cut = content(cursor)?;
            items.push((start..cursor.at(), cut.is_none()));
            edits.extend(cut.into_iter().flatten());
            Ok(())
        })?;
    }
    // A request needs a content: where none would be left, the last stays, and Gemini says what is wrong with it.
    if items.iter().all(|(_, goes)| *goes)
        && let Some(last) = items.last_mut()
    {
        last.1 = false;
    }
    edits.extend(cuts(&items));
    Ok(edits)
}

/// The edits of a content; none where nothing of it would be left.
fn content(cursor: &mut Cursor<'_>) -> Scan<Option<Vec<Edit>>> {
    let (mut edits, mut items) = (Vec::new(), Vec::new());
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(Some(edits));
    }
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        if key != "parts" {
            cursor.skip()?;
            continue;
        }
        List::walk(cursor, "parts", |cursor, _| {
            cursor.kind()?;
            let start = cursor.at();
            let fate = part(cursor)?;
            items.push((start..cursor.at(), matches!(fate, Fate::Goes)));
            if let Fate::Edited(edit) = fate {
                edits.push(edit);
            }
            Ok(())
        })?;
    }
    if !items.is_empty() && items.iter().all(|(_, goes)| *goes) {
        return Ok(None);
    }
    edits.extend(cuts(&items));
    Ok(Some(edits))
}

fn part(cursor: &mut Cursor<'_>) -> Scan<Fate> {
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(Fate::Stays);
    }
    let mut object = cursor.enter()?;
    let (mut sealed, mut is_thought, mut is_call, mut has_words) = (None, false, false, false);
    while let Some(key) = cursor.member(&mut object)? {
        match (&*camel(&key), cursor.kind()?) {
            ("thoughtSignature", ValueKind::String) => {
                let literal = cursor.literal()?;
                if is_foreign(&cursor.text(literal)) {
                    sealed = Some((literal, member_cut(cursor, &object, cursor.at())));
                }
            }
            ("thought", kind) => {
                is_thought = kind == ValueKind::True;
                cursor.skip()?;
            }
            ("text", ValueKind::String) => has_words |= !cursor.literal()?.is_empty(),
            (key, _) => {
                is_call |= key == "functionCall";
                // Media, code, answers of tools: they stay without a seal.
                has_words = true;
                cursor.skip()?;
            }
        }
    }
    let Some((literal, member)) = sealed else { return Ok(Fate::Stays) };
    Ok(match (is_call, is_thought || !has_words) {
        (true, _) => Fate::Edited(Edit::new(literal.range(), NO_SIGNATURE)),
        (false, true) => Fate::Goes,
        (false, false) => Fate::Edited(Edit::new(member, Bytes::new())),
    })
}

fn is_foreign(data: &str) -> bool {
    seal::is_void(data) || seal::read(data, Dialect::Gemini, Sealed::Text).by != Dialect::Gemini
}

/// Cuts the items that go out of a list of which one stays, each with one comma.
fn cuts(items: &[(Range<usize>, bool)]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut kept_end = None;
    let mut at = 0;
    while at < items.len() {
        if !items[at].1 {
            kept_end = Some(items[at].0.end);
            at += 1;
            continue;
        }
        let run = items[at..].iter().take_while(|(_, goes)| *goes).count();
        let range = match (items.get(at + run), kept_end) {
            (Some((next, _)), _) => items[at].0.start..next.start,
            (None, Some(end)) => end..items[at + run - 1].0.end,
            (None, None) => return Vec::new(),
        };
        edits.push(Edit::new(range, Bytes::new()));
        at += run;
    }
    edits
}
