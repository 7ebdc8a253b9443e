//! Names of members: Google reads each in camel case and as its proto files spell it, in snake case.

use std::borrow::Cow;

use crate::json::{Fail, Scan};

/// `systemInstruction` for `system_instruction`; any other key as it is.
pub(super) fn camel(key: &str) -> Cow<'_, str> {
    let is_snake = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !key.contains('_') || !key.bytes().all(is_snake) {
        return Cow::Borrowed(key);
    }
    let mut name = String::with_capacity(key.len());
    let mut is_after = false;
    for letter in key.chars() {
        match letter {
            '_' => is_after = true,
            _ => {
                name.push(if std::mem::take(&mut is_after) { letter.to_ascii_uppercase() } else { letter });
            }
        }
    }
    Cow::Owned(name)
}

/// Which of the keys it is, in either spelling. Refuses one that a laxer reader would take for one of them.
pub(super) fn known(key: &str, keys: &[&str], at: usize) -> Scan<Option<usize>> {
    let name = camel(key);
    if let Some(found) = keys.iter().position(|known| *known == name) {
        return Ok(Some(found));
    }
    let bare = if key.contains('_') { Cow::Owned(key.replace('_', "")) } else { Cow::Borrowed(key) };
    match keys.iter().find(|known| known.eq_ignore_ascii_case(&bare)) {
        Some(known) => Err(Fail::field(at, key, format_args!("is spelt `{known}`"))),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_name_and_near_misses_are_refused() {
        let check = |key: &str, expected: Option<usize>| {
            assert_eq!(known(key, &["contents", "systemInstruction", "topP"], 0).unwrap(), expected, "{key}");
        };
        check("contents", Some(0));
        check("systemInstruction", Some(1));
        check("system_instruction", Some(1));
        check("top_p", Some(2));
        check("other_key", None);
        for key in ["Contents", "system_Instruction", "systeminstruction", "TOP_P", "_contents_"] {
            let found = known(key, &["contents", "systemInstruction", "topP"], 0);
            assert!(found.is_err() || key == "_contents_" && found.is_ok(), "{key}");
        }
    }
}
