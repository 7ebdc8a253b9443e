use proptest::prelude::*;

use super::*;
use crate::{conversation::LimitField, splice::splice};

fn read(body: &str) -> (Bytes, Conversation) {
    let body = Bytes::from(body.to_owned());
    let asked = parse(&body).unwrap_or_else(|error| panic!("{body:?}: {error}"));
    (body, asked)
}

#[test]
fn every_prompt_is_found_and_ours_goes_before_each() {
    let check = |body: &str, prompts: usize, expected: &str| {
        let (bytes, asked) = read(body);
        assert_eq!(asked.message_count, prompts, "{body}");
        assert_eq!(splice(&bytes, asked.with_prompt(&bytes, &[("system", "be \"kind\"")])), expected);
    };
    check(r#"{"model":"m","prompt":"a"}"#, 1, r#"{"model":"m","prompt":"be \"kind\"\n\na"}"#);
    check(
        r#"{"model":"m","prompt":["a" ,""]}"#,
        2,
        r#"{"model":"m","prompt":["be \"kind\"\n\na" ,"be \"kind\"\n\n"]}"#,
    );
    check(r#"{"model":"m","prompt":[1,2]}"#, 1, r#"{"model":"m","prompt":[1,2]}"#);
    check(r#"{"model":"m","prompt":[[1],[2]]}"#, 2, r#"{"model":"m","prompt":[[1],[2]]}"#);
    check(r#"{"gauntlet":{},"model":"m"}"#, 0, r#"{"prompt":"be \"kind\"","gauntlet":{},"model":"m"}"#);
}

#[test]
fn answers_are_counted_as_they_are_billed() {
    let check = |members: &str, made: u32| {
        let (_, asked) = read(&format!(r#"{{"model":"m",{members}}}"#));
        assert_eq!(asked.n, made, "{members}");
    };
    check(r#""prompt":"a""#, 1);
    check(r#""prompt":"a","n":2,"best_of":5"#, 5);
    check(r#""prompt":["a","b"],"n":3"#, 6);
}

#[test]
fn usage_is_asked_for_and_the_limit_replaced() {
    let (body, asked) = read(r#"{"model":"m","prompt":"a","stream":true,"max_tokens":9}"#);
    let mut edits: Vec<Edit> = asked.with_usage().into_iter().collect();
    edits.push(asked.with_max_tokens(3, LimitField::MaxCompletionTokens));
    assert_eq!(
        splice(&body, edits),
        r#"{"stream_options":{"include_usage":true},"model":"m","prompt":"a","stream":true,"max_tokens":3}"#
    );
    let (_, asked) = read(r#"{"model":"m","prompt":"a"}"#);
    assert_eq!((asked.with_usage(), asked.max_tokens), (None, None));
}

#[test]
fn bad_requests_say_what_is_wrong_and_where() {
    let check = |body: &str, message: &str| {
        let error = parse(&Bytes::from(body.to_owned())).map(drop).expect_err(body);
        assert_eq!(error.to_string(), message);
    };
    check(r#"{"model":"m"}"#, "`prompt` is missing at line 1 column 14");
    check(r#"{"model":"m","prompt":[]}"#, "`prompt` is empty at line 1 column 26");
    check(r#"{"model":"m","prompt":7}"#, "`prompt` must be a string or an array at line 1 column 23");
    check(
        r#"{"model":"m","prompt":["a",1]}"#,
        "`prompt` mixes tokens with whole prompts at line 1 column 30",
    );
    check(
        r#"{"model":"m","prompt":[{}]}"#,
        "`prompt` must hold strings, tokens, or lists of tokens at line 1 column 24",
    );
    check(r#"{"model":"m","prompt":"a","prompt":"b"}"#, "`prompt` is given twice at line 1 column 27");
    check(r#"{"model":"m","Prompt":"a"}"#, "`Prompt` is spelt `prompt` at line 1 column 14");
}

proptest! {
    #[test]
    fn any_mutation_is_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = br#"{"model":"m","prompt":["a","b"],"suffix":"c","stream_options":{"x":1},"n":2}"#.to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = read_ask(&body);
        let body = Bytes::from(body);
        if let Ok(asked) = parse(&body) {
            let mut edits = asked.with_prompt(&body, &[("system", "s")]);
            edits.push(asked.with_max_tokens(1, LimitField::MaxTokens));
            edits.extend(asked.with_model("n"));
            let result = crate::splice::splice_checked(&body, edits).unwrap();
            prop_assert!(parse(&result).is_ok());
        }
    }
}
