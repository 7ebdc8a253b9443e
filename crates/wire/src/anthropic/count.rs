//! The answer of `count_tokens`. Its request is a conversation like any other, without a limit of the output.

use bytes::Bytes;

use crate::json::{Cursor, Fail, Malformed, Scan};

pub fn count_answer(input_tokens: u32) -> Bytes {
    format!(r#"{{"input_tokens":{input_tokens}}}"#).into()
}

/// Reads the number of tokens. Errors: not JSON, or no such number (an error of the provider's, for instance).
pub fn read_count(body: &[u8]) -> Result<u32, Malformed> {
    read(body).map_err(|fail| fail.locate(body))
}

fn read(body: &[u8]) -> Scan<u32> {
    let mut cursor = Cursor::new(body)?;
    cursor.kind()?;
    let mut object = cursor.expect_object("the answer")?;
    let mut count = None;
    while let Some(key) = cursor.member(&mut object)? {
        match &*key {
            "input_tokens" => count = Some(cursor.expect_whole("input_tokens", "from 0 to 4294967295")?),
            _ => cursor.skip()?,
        }
    }
    cursor.finish()?;
    count.ok_or_else(|| Fail::field(body.len(), "input_tokens", "is missing from the answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_as_it_was_written_and_anything_else_is_refused() {
        assert_eq!(read_count(&count_answer(2095)).unwrap(), 2095);
        let more = br#"{"context_management":{"original_input_tokens":9},"input_tokens": 7 }"#;
        assert_eq!(read_count(more).unwrap(), 7);
        for body in
            ["", "[]", "{}", r#"{"input_tokens":-1}"#, r#"{"input_tokens":"7"}"#, r#"{"input_tokens":7"#]
        {
            assert!(read_count(body.as_bytes()).is_err(), "{body}");
        }
    }
}
