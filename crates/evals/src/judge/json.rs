//! Reading what a judge answered: JSON as it was asked for, or JSON with something around it.

use serde_json::{Deserializer, Value};

/// Longer answers are cut: a judge that ran on says nothing more.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Places where an object may begin. A judge that thinks aloud in braces beyond this is not understood.
const STARTS_MAX: usize = 64;

/// Finds the object (or list) in an answer that `read` accepts: the whole of it, what stands in a fence, or what comes
/// after some prose. What a model thinks before `</think>` does not count.
///
/// Two that are accepted and differ are none: the one may be quoted from the text that is judged.
///
/// Errors: what is wrong with the answer, in words that the judge itself can follow.
pub(super) fn find<T>(answer: &str, read: &dyn Fn(&Value) -> Result<T, String>) -> Result<T, String> {
    let answer = match answer.rfind("</think>") {
        Some(at) => &answer[at + "</think>".len()..],
        None => answer,
    };
    let answer = cut(answer, ANSWER_BYTES_MAX);
    let mut wrong: Option<String> = None;
    let mut found: Option<(Value, T)> = None;
    let mut end = 0;
    let starts = answer.match_indices(['{', '[']).map(|(at, _)| at);
    for start in starts.take(STARTS_MAX) {
        // Within something that was read already.
        if start < end {
            continue;
        }
        let mut values = Deserializer::from_str(&answer[start..]).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else { continue };
        end = start + values.byte_offset();
        match (read(&value), &found) {
            (Ok(_), Some((known, _))) if *known == value => {}
            (Ok(_), Some(_)) => return Err("there is more than one JSON object in it".to_owned()),
            (Ok(read), None) => found = Some((value, read)),
            // The last is the likeliest to have been meant.
            (Err(what), _) => wrong = Some(what),
        }
    }
    match found {
        Some((_, read)) => Ok(read),
        None => Err(wrong.unwrap_or_else(|| "there is no JSON object in it".to_owned())),
    }
}

/// At most so many bytes, whole characters.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// A list under its name, or where the judge left the object around it out, the list itself.
pub(super) fn list<'v>(value: &'v Value, name: &str) -> Result<&'v [Value], String> {
    let found = value.as_array().or_else(|| value.get(name)?.as_array());
    found.map(Vec::as_slice).ok_or_else(|| format!("field \"{name}\" must be a list"))
}

/// A yes or no, however it is written: 1, "1", true, "yes".
pub(super) fn truth(value: &Value, name: &str) -> Result<bool, String> {
    let wrong = || format!("field \"{name}\" must be 0 or 1");
    match &value[name] {
        Value::Bool(yes) => Ok(*yes),
        Value::Number(number) => match number.as_f64() {
            Some(1.0) => Ok(true),
            Some(0.0) => Ok(false),
            _ => Err(wrong()),
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" => Ok(true),
            "0" | "false" | "no" => Ok(false),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

/// A number within a range, however it is written.
pub(super) fn number(value: &Value, name: &str, low: f64, high: f64) -> Result<f64, String> {
    let found = match &value[name] {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let is_in = |number: &f64| (low..=high).contains(number);
    found.filter(is_in).ok_or_else(|| format!("field \"{name}\" must be a number from {low} to {high}"))
}

pub(super) fn text(value: &Value, name: &str) -> Result<String, String> {
    match &value[name] {
        Value::String(text) => Ok(text.trim().to_owned()),
        _ => Err(format!("field \"{name}\" must be a text")),
    }
}

/// A text that stands alone in a list, or in an object around it as weaker judges write: `{"statement": "…"}`.
pub(super) fn phrase(value: &Value) -> Option<&str> {
    const NAMES: [&str; 6] = ["statement", "sentence", "step", "text", "description", "name"];
    let found = value.as_str().or_else(|| NAMES.iter().find_map(|name| value.get(*name)?.as_str()));
    found.map(str::trim).filter(|text| !text.is_empty())
}

/// A reason is welcome, not needed.
pub(super) fn reason(value: &Value) -> String {
    value["reason"].as_str().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(answer: &str) -> Result<bool, String> {
        find(answer, &|value| truth(value, "verdict"))
    }

    #[test]
    fn an_answer_is_understood_with_what_stands_around_it() {
        let check = |answer: &str, wanted: Result<bool, &str>| {
            assert_eq!(verdict(answer), wanted.map_err(str::to_owned), "{answer}");
        };
        check(r#"{"verdict": 1}"#, Ok(true));
        check(r#"{"reason": "a } in it", "verdict": "no"}"#, Ok(false));
        check("```json\n{\"verdict\": true}\n```", Ok(true));
        check("Sure! Here it is:\n{\"verdict\": 0}. Anything else?", Ok(false));
        check("{not json} then {\"verdict\": 1}", Ok(true));
        check("<think>{\"verdict\": 1}</think>{\"verdict\": 0}", Ok(false));
        check("{\"other\": {\"verdict\": 1}}", Err("field \"verdict\" must be 0 or 1"));
        check("{\"verdict\": 7}", Err("field \"verdict\" must be 0 or 1"));
        check("[1] says so: {\"verdict\": 1}", Ok(true));
        let quoted = "It says {\"verdict\": 1}, so: {\"verdict\": 0}";
        check(quoted, Err("there is more than one JSON object in it"));
        check("{\"verdict\": 1}\n{\"verdict\": 1}", Ok(true));
        check("The verdict is 1.", Err("there is no JSON object in it"));
        check("", Err("there is no JSON object in it"));
        check("{\"verdict\": 1", Err("there is no JSON object in it"));
    }

    #[test]
    fn a_flood_of_braces_ends() {
        let flood = "{".repeat(1 << 20);
        assert!(verdict(&flood).is_err());
        assert!(verdict(&"[".repeat(1 << 20)).is_err());
    }

    #[test]
    fn numbers_keep_their_range_and_lists_need_no_object() {
        let check = |value: Value, wanted: Option<f64>| {
            assert_eq!(number(&value, "score", 0.0, 1.0).ok(), wanted, "{value}");
        };
        check(json!({"score": 0.5}), Some(0.5));
        check(json!({"score": "1"}), Some(1.0));
        check(json!({"score": 7}), None);
        check(json!({"score": null}), None);
        assert_eq!(list(&json!([1]), "steps").map(<[Value]>::len), Ok(1));
        assert_eq!(list(&json!({"steps": [1, 2]}), "steps").map(<[Value]>::len), Ok(2));
        assert!(list(&json!({"stages": [1]}), "steps").is_err());
        let check = |value: Value, wanted: Option<&str>| assert_eq!(phrase(&value), wanted, "{value}");
        check(json!(" It is red. "), Some("It is red."));
        check(json!({"name": "first", "description": "Read it."}), Some("Read it."));
        check(json!({"verdict": 1}), None);
        check(json!(""), None);
    }
}
