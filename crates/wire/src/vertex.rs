//! Anthropic's bodies as Vertex AI wants them: the model stands in the address and not in the body, and the version of
//! the interface in the body and not in a header.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    json::{Cursor, Malformed, Scan, ValueKind},
    splice::{Edit, splice},
};

const VERSION: &str = r#""anthropic_version":"vertex-2023-10-16""#;

/// Takes `model` out of a request and puts `anthropic_version` in, unless it has one; all other bytes stay.
pub fn messages(body: &Bytes) -> Result<Bytes, Malformed> {
    edits(body).map(|edits| splice(body, edits)).map_err(|fail| fail.locate(body))
}

/// A field of the request: from its key to the end of its value, and the comma before it.
struct Member {
    range: Range<usize>,
    comma: Option<usize>,
    is_model: bool,
}

fn edits(body: &Bytes) -> Scan<Vec<Edit>> {
    let mut cursor = Cursor::new(body)?;
    let mut members = Vec::new();
    let mut has_version = false;
    if cursor.kind()? != ValueKind::Object {
        return Err(crate::json::Fail::new(cursor.at(), "the body must be an object"));
    }
    let mut object = cursor.enter()?;
    let open = cursor.at();
    while let Some(key) = cursor.member(&mut object)? {
        has_version |= key == "anthropic_version";
        let start = object.key;
        cursor.skip()?;
        let comma = object.comma.filter(|_| !members.is_empty());
        members.push(Member { range: start..cursor.at(), comma, is_model: key == "model" });
    }
    cursor.finish()?;

    let mut edits = Vec::new();
    // The first field that stays has no comma before it, so the removal of those before it ends where it begins.
    let first_kept = members.iter().position(|member| !member.is_model);
    let head = first_kept.unwrap_or(members.len());
    if let Some(first) = members.first().filter(|_| head > 0) {
        let end = match first_kept {
            Some(kept) => members[kept].range.start,
            None => members[head - 1].range.end,
        };
        edits.push(Edit::new(first.range.start..end, ""));
    }
    for member in members.iter().skip(head).filter(|member| member.is_model) {
        edits.push(Edit::new(member.comma.unwrap_or(member.range.start)..member.range.end, ""));
    }
    if !has_version {
        let comma = if first_kept.is_some() { "," } else { "" };
        edits.push(Edit::insert(open, format!("{VERSION}{comma}")));
    }
    Ok(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(body: &str) -> String {
        let made = messages(&Bytes::copy_from_slice(body.as_bytes())).unwrap();
        String::from_utf8(made.to_vec()).unwrap()
    }

    #[test]
    fn the_model_goes_and_the_version_comes_and_all_else_stays() {
        let check = |body: &str, expected: &str| {
            let expected = expected.replace("VERSION", VERSION);
            assert_eq!(made(body), expected, "{body}");
            assert!(serde_json::from_str::<serde_json::Value>(&expected).is_ok(), "{expected}");
        };
        check(r#"{"model":"m","max_tokens":1}"#, r#"{VERSION,"max_tokens":1}"#);
        check(
            r#"{ "max_tokens" : 1e3 , "model" : "m" , "x" : [ {"model":1} ] }"#,
            r#"{VERSION, "max_tokens" : 1e3  , "x" : [ {"model":1} ] }"#,
        );
        check(r#"{"a":1,"model":"m"}"#, r#"{VERSION,"a":1}"#);
        check(r#"{"model":"m"}"#, "{VERSION}");
        check("{}", "{VERSION}");
        check(r#"{"a":1}"#, r#"{VERSION,"a":1}"#);
        // Every one of a field that is written twice.
        check(r#"{"model":"m","model":"n","a":1,"model":"o"}"#, r#"{VERSION,"a":1}"#);
        check(r#"{"model":"m","model":"n"}"#, "{VERSION}");
        check(r#"{"m\u006fdel":"m","a":1}"#, r#"{VERSION,"a":1}"#);
    }

    #[test]
    fn a_version_that_is_there_stays() {
        let body = r#"{"anthropic_version":"vertex-2099-01-01","model":"m","a":1}"#;
        assert_eq!(made(body), r#"{"anthropic_version":"vertex-2099-01-01","a":1}"#);
    }

    #[test]
    fn what_is_no_object_is_told_with_its_place() {
        for body in ["[]", "{\"model\":", "", "{} {}"] {
            let malformed = messages(&Bytes::from_static(body.as_bytes())).unwrap_err();
            assert_eq!(malformed.at.map(|(line, _)| line), Some(1), "{body}: {malformed}");
        }
    }
}
