use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn scan(body: &[u8]) -> Result<std::ops::Range<usize>, Malformed> {
    let walk = || {
        let mut cursor = Cursor::new(body)?;
        let span = cursor.span()?;
        cursor.finish()?;
        Ok(span)
    };
    walk().map_err(|fail: Box<Fail>| fail.locate(body))
}

#[track_caller]
fn agree(body: &[u8]) {
    let ours = scan(body);
    let theirs = std::str::from_utf8(body).ok().and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    match (&ours, theirs) {
        (Ok(span), Some(raw)) => assert_eq!(&body[span.clone()], raw.get().as_bytes()),
        (Err(_), None) => {}
        (ours, theirs) => panic!("{:?}: ours {ours:?}, theirs {theirs:?}", String::from_utf8_lossy(body)),
    }
}

#[test]
fn accepts_what_serde_json_accepts() {
    for body in [
        "{}",
        "[]",
        " null ",
        "true",
        "false",
        "tru",
        "nul",
        "truex",
        "\"\"",
        "\"a",
        "0",
        "-0",
        "-",
        "01",
        "1.",
        ".1",
        "1.5e",
        "1.5e+",
        "1.5e+3",
        "1E9999",
        "+1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1 \"b\":2}",
        "[1]]",
        "[[1]",
        "{}x",
        "",
        " ",
        "\u{feff}{}",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\x\"",
        "\"\\",
        "\"\t\"",
        "\"\u{7f}é😀\"",
        "{\"a\":{\"b\":[1,2,{\"c\":null}]}}\n",
        "\"\\\"",
        "[\"\\\\\"]",
        "{\"a\" : 1}",
        "\"1234567\u{1}\"",
        "\"12345678\n\"",
        "\"é1234567\\n8\"",
        "[}",
        "{]",
        "// c\n1",
        "NaN",
        "1 2",
        "[1,\n]",
    ] {
        agree(body.as_bytes());
    }
    agree(b"\"\xff\"");
    agree(b"\"\xed\xa0\x80\"");
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(scan(nested(128).as_bytes()).is_ok());
    let error = scan(nested(129).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the JSON is nested more than 128 levels deep at line 1 column 129");
    assert!(scan("{\"a\":".repeat(200_000).as_bytes()).is_err());
}

#[test]
fn errors_name_line_and_column_in_characters() {
    let check = |body: &str, shown: &str| assert_eq!(scan(body.as_bytes()).unwrap_err().to_string(), shown);
    check("{\n  \"é\": x}", "expected a JSON value at line 2 column 8");
    check("{\"a\":1", "the JSON ends too early at line 1 column 7");
    check("{\"a\":1}}", "unexpected data after the JSON document at line 1 column 8");
}

#[test]
fn quoting_escapes_what_it_must() {
    assert_eq!(
        quote("a\"\\\n\u{1}é"),
        br#""a\"\\\n\u0001"#.iter().copied().chain("é\"".bytes()).collect::<Vec<_>>()
    );
    assert_eq!(escape("\""), b"\\\"");
    assert_eq!(escape(""), b"");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_serde_json_on_json_like_text(parts in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"key\":", "\\", "\\n", "\\u00", "e9", "1", "0", "-", ".", "e5",
        "true", "false", "null", " ", "\n", "é", "\u{1}", "abcdefgh", "😀",
    ]), 0..24)) {
        agree(parts.concat().as_bytes());
    }

    #[test]
    fn agrees_with_serde_json_on_mutated_documents(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut body = br#"{"model":"gpt-4o","n":[1,-2.5e3,true,null,{"x":"a\"b\\ \u00e9 \n end of text"}],"s":{"":""}}"#.to_vec();
        let at = at.index(body.len());
        if cut { body.truncate(at) } else { body[at] = byte }
        agree(&body);
    }

    #[test]
    fn agrees_with_serde_json_on_any_bytes(body in prop::collection::vec(any::<u8>(), 0..64)) {
        agree(&body);
    }
}
