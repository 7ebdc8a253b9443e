//! countTokens: how many tokens a request would have.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    gemini::names::known,
    json::{Cursor, Fail, Malformed, Scan, ValueKind},
    reading::Seen,
    usage::{count, members},
};

/// Where the request that is to be counted stands: in `generateContentRequest`, or else it is the body itself.
///
/// Errors: the body is no JSON object, or has both, so that guards would look at one and Google at the other.
pub fn request(body: &Bytes) -> Result<Range<usize>, Malformed> {
    let scan = || -> Scan<Range<usize>> {
        let mut cursor = Cursor::new(body)?;
        let mut object = cursor.expect_object("the body")?;
        let mut found = None;
        let mut has_others = false;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            let is_wrapped = known(&key, &["generateContentRequest"], object.key)?.is_some();
            if is_wrapped {
                seen.once(0, object.key, "generateContentRequest")?;
            }
            let kind = cursor.kind()?;
            let span = cursor.span()?;
            match (is_wrapped, kind) {
                (_, ValueKind::Null) => {}
                (true, _) => found = Some(span),
                // Google's clients name the model of the path here too.
                (false, _) => has_others |= key != "model",
            }
        }
        cursor.finish()?;
        match found {
            Some(span) if has_others => {
                let message = "cannot stand beside other members: put them inside it";
                Err(Fail::field(span.start, "generateContentRequest", message))
            }
            Some(span) => Ok(span),
            None => Ok(0..body.len()),
        }
    };
    scan().map_err(|fail| fail.locate(body))
}

/// The answer to a caller.
pub fn count_answer(tokens: u32) -> Bytes {
    format!(r#"{{"totalTokens":{tokens}}}"#).into()
}

/// What a provider counted; none if it does not say.
pub fn read_count(body: &[u8]) -> Option<u32> {
    let scan = || -> Scan<Option<u32>> {
        let mut cursor = Cursor::new(body)?;
        let mut tokens = None;
        members(&mut cursor, |key, cursor| {
            match key {
                "totalTokens" => tokens = count(cursor)?,
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        cursor.finish()?;
        Ok(tokens)
    };
    scan().ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_found_bare_or_wrapped() {
        let check = |body: &'static str, expected: &str| {
            assert_eq!(&body[request(&Bytes::from(body)).unwrap()], expected);
        };
        check(r#"{"contents":[]}"#, r#"{"contents":[]}"#);
        check(r#"{"generate_content_request": {"contents":[]} }"#, r#"{"contents":[]}"#);
        check(
            r#"{"generateContentRequest":null,"contents":[]}"#,
            r#"{"generateContentRequest":null,"contents":[]}"#,
        );
        let refuse = |body: &'static str, param: &str| {
            assert_eq!(request(&Bytes::from(body)).unwrap_err().param.as_deref(), Some(param), "{body}");
        };
        refuse("[]", "the body");
        refuse(r#"{"generateContentRequest":{},"generate_content_request":{}}"#, "generateContentRequest");
        refuse(r#"{"generateContentRequest":{},"contents":[]}"#, "generateContentRequest");
        refuse(r#"{"GenerateContentRequest":{}}"#, "GenerateContentRequest");
    }

    #[test]
    fn a_count_is_written_and_read() {
        assert_eq!(read_count(&count_answer(31)), Some(31));
        assert_eq!(read_count(br#"{"promptTokensDetails":[{"tokenCount":3}],"totalTokens":3}"#), Some(3));
        assert_eq!(read_count(b"{}"), None);
        assert_eq!(read_count(b"<html>"), None);
    }
}
