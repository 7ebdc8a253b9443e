//! OpenAI's usage object, in the spellings of its many speakers.
//!
//! `prompt_tokens` includes what was cached, `completion_tokens` includes reasoning (OpenAI API reference, "The chat
//! completion object"). Some servers differ, and are told by their `total_tokens`: xAI counts reasoning beside
//! `completion_tokens`; Gemini's compatible endpoint counts it nowhere but in the total; and some that stand before
//! Anthropic's models count cached tokens beside `prompt_tokens`.

use gauntlet_types::{ServiceTier, Usage};

use crate::{
    json::{Cursor, Scan},
    usage::{Input, Output, count, members, raise, tier},
};

/// The numbers as they stand on the wire.
#[derive(Default)]
struct Counts {
    prompt: Option<u32>,
    completion: Option<u32>,
    total: Option<u32>,
    /// DeepSeek's count of what was not cached, where it gives no sum.
    missed: Option<u32>,
    input: Input,
    output: Output,
    web_searches: u32,
    tier: Option<ServiceTier>,
}

/// Reads the value that follows. None for `null`, for anything but an object, and for one without counts.
pub(crate) fn read(cursor: &mut Cursor<'_>) -> Scan<Option<Usage>> {
    let mut counts = Counts::default();
    let is_object = members(cursor, |key, cursor| {
        match key {
            "prompt_tokens" => counts.prompt = count(cursor)?,
            "completion_tokens" => counts.completion = count(cursor)?,
            // The words of OpenAI's newer doors, which some servers use at this one.
            "input_tokens" => counts.prompt = counts.prompt.or(count(cursor)?),
            "output_tokens" => counts.completion = counts.completion.or(count(cursor)?),
            "total_tokens" => counts.total = count(cursor)?,
            // DeepSeek; Moonshot and others; LiteLLM.
            "prompt_cache_hit_tokens" | "cached_tokens" | "cache_read_input_tokens" => {
                raise(&mut counts.input.cached, cursor)?
            }
            "prompt_cache_miss_tokens" => counts.missed = count(cursor)?,
            "cache_creation_input_tokens" => raise(&mut counts.input.written_5m, cursor)?,
            "prompt_tokens_details" | "input_tokens_details" => input_details(cursor, &mut counts.input)?,
            "completion_tokens_details" | "output_tokens_details" => {
                output_details(cursor, &mut counts.output)?
            }
            // Perplexity; xAI, whose live search is paid by the source.
            "num_search_queries" | "num_sources_used" | "web_search_requests" => {
                raise(&mut counts.web_searches, cursor)?
            }
            "server_tool_use" | "server_tool_use_details" => {
                members(cursor, |key, cursor| match key {
                    "web_search_requests" => raise(&mut counts.web_searches, cursor),
                    _ => cursor.skip(),
                })?;
            }
            "service_tier" => counts.tier = tier(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok(if is_object { counts.usage() } else { None })
}

fn input_details(cursor: &mut Cursor<'_>, input: &mut Input) -> Scan<()> {
    members(cursor, |key, cursor| match key {
        "cached_tokens" => raise(&mut input.cached, cursor),
        // OpenRouter and LiteLLM, for Anthropic's models; OpenAI, for those that it asks money for.
        "cache_write_tokens" | "cache_creation_tokens" => raise(&mut input.written_5m, cursor),
        "audio_tokens" => raise(&mut input.audio, cursor),
        "image_tokens" => raise(&mut input.image, cursor),
        "cached_tokens_details" => members(cursor, |key, cursor| match key {
            "audio_tokens" => raise(&mut input.cached_audio, cursor),
            "image_tokens" => raise(&mut input.cached_image, cursor),
            _ => cursor.skip(),
        })
        .map(drop),
        _ => cursor.skip(),
    })
    .map(drop)
}

fn output_details(cursor: &mut Cursor<'_>, output: &mut Output) -> Scan<()> {
    members(cursor, |key, cursor| match key {
        "reasoning_tokens" => raise(&mut output.reasoning, cursor),
        "audio_tokens" => raise(&mut output.audio, cursor),
        "image_tokens" => raise(&mut output.image, cursor),
        // Predictions, taken or rejected, are paid as any output.
        _ => cursor.skip(),
    })
    .map(drop)
}

impl Counts {
    fn usage(mut self) -> Option<Usage> {
        let prompt = self.prompt.or_else(|| Some(self.missed?.saturating_add(self.input.cached)));
        let (mut prompt, completion) = match (prompt, self.completion, self.total) {
            (None, None, None) => return None,
            (None, completion, Some(total)) => {
                let completion = completion.unwrap_or(0);
                (total.saturating_sub(completion), completion)
            }
            (prompt, completion, _) => (prompt.unwrap_or(0), completion.unwrap_or(0)),
        };
        // What the total has beyond the two sums was counted outside them: what was cached, if that is how much it is,
        // else reasoning, which is billed as output.
        let mut surplus = self.total.unwrap_or(0).saturating_sub(prompt.saturating_add(completion));
        let cached = self.input.cached.saturating_add(self.input.written_5m);
        if surplus > 0 && surplus == cached && surplus != self.output.reasoning {
            prompt += surplus;
            surplus = 0;
        }
        if surplus > 0 {
            self.output.reasoning = surplus;
        }
        let mut usage = Usage {
            web_searches: self.web_searches,
            tier: self.tier.unwrap_or_default(),
            ..Usage::default()
        };
        Input { total: prompt, ..self.input }.split(&mut usage);
        Output { total: completion.saturating_add(surplus), ..self.output }.split(&mut usage);
        Some(usage)
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
        usage.cache_read_total().0,
        usage.reasoning.0
    )
}

/// The same in the words of Responses.
pub(crate) fn responses_json(usage: &Usage) -> serde_json::Value {
    serde_json::json!({
        "input_tokens": usage.input_total().0,
        "input_tokens_details": {"cached_tokens": usage.cache_read_total().0},
        "output_tokens": usage.output_total().0,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning.0},
        "total_tokens": usage.total().0,
    })
}

#[cfg(test)]
mod tests {
    use gauntlet_types::TokenCount;
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
            [5, 4, 0, 1, 3],
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
    fn audio_images_searches_and_tiers_are_told_apart() {
        let text = r#"{"prompt_tokens":100,"completion_tokens":60,"total_tokens":160,"service_tier":"flex","prompt_tokens_details":
            {"cached_tokens":30,"audio_tokens":40,"image_tokens":9,"text_tokens":51,"cached_tokens_details":{"audio_tokens":12,
            "text_tokens":18}},"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":50},"num_search_queries":2}"#;
        let usage = Usage {
            input_fresh: TokenCount(33),
            cache_read: TokenCount(18),
            audio_input: TokenCount(28),
            audio_cache_read: TokenCount(12),
            image_input: TokenCount(9),
            output: TokenCount(7),
            reasoning: TokenCount(3),
            audio_output: TokenCount(50),
            web_searches: 2,
            tier: ServiceTier::Flex,
            ..Usage::default()
        };
        assert_eq!(read_text(text), Some(usage));
        assert_eq!((usage.input_total().0, usage.output_total().0), (100, 60));
    }

    #[test]
    fn cached_tokens_are_found_wherever_they_stand() {
        check(
            r#"{"prompt_cache_hit_tokens":7,"prompt_cache_miss_tokens":3,"completion_tokens":5}"#,
            [3, 7, 0, 5, 0],
        );
        check(
            r#"{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":4}}"#,
            [6, 4, 0, 5, 0],
        );
        // Beside the prompt, as the total tells.
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":1015,"cache_read_input_tokens":900,"cache_creation_input_tokens":100}"#,
            [10, 900, 100, 5, 0],
        );
        // Inside it, said twice.
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cache_read_input_tokens":4,"prompt_tokens_details":{"cached_tokens":4}}"#,
            [6, 4, 0, 5, 0],
        );
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
            // Random numbers never have a surplus that is just what was cached.
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
