//! OpenAI's usage object, in the spellings of its many speakers.
//!
//! `prompt_tokens` includes what was cached, `completion_tokens` includes reasoning (OpenAI API reference, "The chat
//! completion object"). Two groups of servers differ, and are told by their `total_tokens`: xAI counts reasoning beside
//! `completion_tokens`; Gemini's compatible endpoint counts it nowhere but in the total.

use gauntlet_types::{TokenCount, Usage};

use crate::json::{Cursor, Scan, ValueKind};

/// The numbers as they stand on the wire.
#[derive(Default)]
struct Counts {
    prompt: Option<u32>,
    completion: Option<u32>,
    total: Option<u32>,
    cached: u32,
    cache_written: u32,
    reasoning: u32,
}

/// Reads the value that follows. None for `null`, for anything but an object, and for one without counts.
pub(crate) fn read(cursor: &mut Cursor<'_>) -> Scan<Option<Usage>> {
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(None);
    }
    let mut counts = Counts::default();
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match &*key {
            "prompt_tokens" => counts.prompt = count(cursor)?,
            "completion_tokens" => counts.completion = count(cursor)?,
            "total_tokens" => counts.total = count(cursor)?,
            // DeepSeek, and Moonshot.
            "prompt_cache_hit_tokens" | "cached_tokens" => {
                counts.cached = counts.cached.max(count(cursor)?.unwrap_or(0))
            }
            "prompt_tokens_details" | "completion_tokens_details" => details(cursor, &mut counts)?,
            _ => cursor.skip()?,
        }
    }
    Ok(counts.usage())
}

fn details(cursor: &mut Cursor<'_>, counts: &mut Counts) -> Scan<()> {
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(());
    }
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match &*key {
            "cached_tokens" => counts.cached = counts.cached.max(count(cursor)?.unwrap_or(0)),
            // OpenRouter and LiteLLM, for Anthropic's models.
            "cache_write_tokens" | "cache_creation_tokens" => {
                counts.cache_written = count(cursor)?.unwrap_or(0)
            }
            "reasoning_tokens" => counts.reasoning = count(cursor)?.unwrap_or(0),
            // Audio, image, prediction tokens are parts of the two sums and have no field of their own.
            _ => cursor.skip()?,
        }
    }
    Ok(())
}

/// A count that stays within its range: negative is 0, too many is the most. None for anything but a number.
fn count(cursor: &mut Cursor<'_>) -> Scan<Option<u32>> {
    if cursor.kind()? != ValueKind::Number {
        cursor.skip()?;
        return Ok(None);
    }
    let digits = cursor.number()?;
    let text = cursor.slice(digits);
    // The cast saturates.
    Ok(text.parse::<u32>().ok().or_else(|| Some(text.parse::<f64>().ok()? as u32)))
}

impl Counts {
    fn usage(self) -> Option<Usage> {
        let (prompt, completion) = match (self.prompt, self.completion, self.total) {
            (None, None, None) => return None,
            (None, completion, Some(total)) => {
                let completion = completion.unwrap_or(0);
                (total.saturating_sub(completion), completion)
            }
            (prompt, completion, _) => (prompt.unwrap_or(0), completion.unwrap_or(0)),
        };
        // What the total has beyond the two sums is reasoning that was counted outside: billed as output.
        let surplus = self.total.unwrap_or(0).saturating_sub(prompt.saturating_add(completion));
        let (output, reasoning) = match surplus {
            0 => (completion - self.reasoning.min(completion), self.reasoning.min(completion)),
            surplus => (completion, surplus),
        };
        let cache_read = self.cached.min(prompt);
        let cache_write = self.cache_written.min(prompt - cache_read);
        Some(Usage {
            input_fresh: TokenCount(prompt - cache_read - cache_write),
            cache_read: TokenCount(cache_read),
            cache_write_5m: TokenCount(cache_write),
            cache_write_1h: TokenCount(0),
            output: TokenCount(output),
            reasoning: TokenCount(reasoning),
            estimated: false,
        })
    }
}

/// The usage object as OpenAI writes it.
pub fn json(usage: &Usage) -> String {
    let (input, output) = (usage.input_total().0, usage.output_total().0);
    format!(
        concat!(
            r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"#,
            r#""prompt_tokens_details":{{"cached_tokens":{}}},"#,
            r#""completion_tokens_details":{{"reasoning_tokens":{}}}}}"#
        ),
        input,
        output,
        usage.total().0,
        usage.cache_read.0,
        usage.reasoning.0
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_text(text: &str) -> Option<Usage> {
        read(&mut Cursor::new(text.as_bytes()).unwrap()).unwrap()
    }

    #[track_caller]
    fn check(text: &str, fields: [u32; 5]) {
        let usage = read_text(text).unwrap();
        let got = [usage.input_fresh, usage.cache_read, usage.cache_write_5m, usage.output, usage.reasoning];
        assert_eq!(got.map(|count| count.0), fields, "{text}");
    }

    #[test]
    fn each_token_is_counted_once() {
        check(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#, [10, 0, 0, 5, 0]);
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4,
            "audio_tokens":1},"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":1}}"#,
            [6, 4, 0, 2, 3],
        );
        check(r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":7}"#, [3, 7, 0, 5, 0]);
        check(
            r#"{"prompt_tokens":10,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":5}}"#,
            [3, 2, 5, 0, 0],
        );
        // Embeddings, and a server that gives the total alone.
        check(r#"{"prompt_tokens":8,"total_tokens":8}"#, [8, 0, 0, 0, 0]);
        check(r#"{"total_tokens":8}"#, [8, 0, 0, 0, 0]);
    }

    #[test]
    fn reasoning_outside_the_completion_is_still_output() {
        let xai = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,"completion_tokens_details":{"reasoning_tokens":20}}"#;
        check(xai, [10, 0, 0, 5, 20]);
        check(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35}"#, [10, 0, 0, 5, 20]);
    }

    #[test]
    fn odd_numbers_stay_in_range() {
        check(r#"{"prompt_tokens":-3,"completion_tokens":1e99}"#, [0, 0, 0, u32::MAX, 0]);
        check(
            r#"{"prompt_tokens":1,"completion_tokens":2.0,"prompt_tokens_details":{"cached_tokens":9},
            "completion_tokens_details":{"reasoning_tokens":9}}"#,
            [0, 1, 0, 0, 2],
        );
        for none in ["null", "{}", "7", "[]", r#"{"prompt_tokens":null}"#, r#"{"prompt_tokens":"9"}"#] {
            assert_eq!(read_text(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn the_parts_add_up(p in any::<u32>(), c in any::<u32>(), t in any::<u32>(), k in any::<u32>(), w in any::<u32>(), r in any::<u32>()) {
            let text = format!(
                r#"{{"prompt_tokens":{p},"completion_tokens":{c},"total_tokens":{t},"prompt_tokens_details":{{"cached_tokens":{k},
                "cache_write_tokens":{w}}},"completion_tokens_details":{{"reasoning_tokens":{r}}}}}"#
            );
            let usage = read_text(&text).unwrap();
            prop_assert_eq!(usage.input_total().0, p);
            prop_assert_eq!(usage.total().0, t.max(p.saturating_add(c)));
        }

        #[test]
        fn what_we_write_we_read(fresh in 0u32..1 << 28, read_ in 0u32..1 << 28, output in 0u32..1 << 28, reasoning in 0u32..1 << 28) {
            let usage = Usage {
                input_fresh: TokenCount(fresh), cache_read: TokenCount(read_),
                output: TokenCount(output), reasoning: TokenCount(reasoning), ..Usage::default()
            };
            prop_assert_eq!(read_text(&json(&usage)), Some(usage));
        }
    }
}
