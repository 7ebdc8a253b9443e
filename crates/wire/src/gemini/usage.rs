//! Gemini's `usageMetadata`.
//!
//! `promptTokenCount` includes what was cached; `candidatesTokenCount` excludes thoughts; what tools read back stands
//! beside the prompt (Gemini API reference, "UsageMetadata"). Lists by modality tell audio, images and video apart; of
//! these, video is counted with images. A stream repeats the object as running totals, so its last one stands.

use gauntlet_types::{ServiceTier, Usage};

use crate::{
    json::{Cursor, Malformed, Scan, ValueKind},
    usage::{Input, Output, count, members, tier},
};

#[derive(Default)]
struct Counts {
    prompt: Option<u32>,
    candidates: Option<u32>,
    total: Option<u32>,
    thoughts: u32,
    tools: u32,
    cached: u32,
    prompt_kinds: Kinds,
    tool_kinds: Kinds,
    cached_kinds: Kinds,
    candidate_kinds: Kinds,
    tier: Option<ServiceTier>,
}

/// Tokens that are not text.
#[derive(Clone, Copy, Default)]
struct Kinds {
    audio: u32,
    image: u32,
}

/// The usage of an answer, or of a stream up to this frame: none for `null` and for an object without counts.
pub fn read(json: &[u8]) -> Result<Option<Usage>, Malformed> {
    let scan = || -> Scan<Option<Usage>> {
        let mut cursor = Cursor::new(json)?;
        let mut counts = Counts::default();
        members(&mut cursor, |key, cursor| counts.see(key, cursor))?;
        cursor.finish()?;
        Ok(counts.usage())
    };
    scan().map_err(|fail| fail.locate(json))
}

impl Counts {
    fn see(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Scan<()> {
        match key {
            "promptTokenCount" => self.prompt = count(cursor)?,
            // The live door's word is `response`.
            "candidatesTokenCount" | "responseTokenCount" => {
                self.candidates = count(cursor)?.or(self.candidates)
            }
            "totalTokenCount" => self.total = count(cursor)?,
            "thoughtsTokenCount" => self.thoughts = count(cursor)?.unwrap_or(0),
            "toolUsePromptTokenCount" => self.tools = count(cursor)?.unwrap_or(0),
            "cachedContentTokenCount" => self.cached = count(cursor)?.unwrap_or(0),
            "promptTokensDetails" => self.prompt_kinds = kinds(cursor)?,
            "toolUsePromptTokensDetails" => self.tool_kinds = kinds(cursor)?,
            "cacheTokensDetails" => self.cached_kinds = kinds(cursor)?,
            "candidatesTokensDetails" | "responseTokensDetails" => self.candidate_kinds = kinds(cursor)?,
            // The first is of the Gemini API, the second of Vertex.
            "serviceTier" | "trafficType" => self.tier = tier(cursor)?.or(self.tier),
            _ => cursor.skip()?,
        }
        Ok(())
    }

    fn usage(self) -> Option<Usage> {
        let (prompt, candidates) = match (self.prompt, self.candidates, self.total) {
            (None, None, None) => return None,
            // Some embeddings are told as a total alone.
            (None, None, Some(total)) => (total.saturating_sub(self.tools.saturating_add(self.thoughts)), 0),
            (prompt, candidates, _) => (prompt.unwrap_or(0), candidates.unwrap_or(0)),
        };
        let input = prompt.saturating_add(self.tools);
        let spoken = input.saturating_add(candidates).saturating_add(self.thoughts);
        // A stream that was cut may know of thoughts in its total only.
        let surplus = self.total.unwrap_or(0).saturating_sub(spoken);
        let thoughts = self.thoughts.saturating_add(surplus);
        let mut usage = Usage { tier: self.tier.unwrap_or_default(), ..Usage::default() };
        Input {
            total: input,
            cached: self.cached,
            cached_audio: self.cached_kinds.audio,
            cached_image: self.cached_kinds.image,
            audio: self.prompt_kinds.audio.saturating_add(self.tool_kinds.audio),
            image: self.prompt_kinds.image.saturating_add(self.tool_kinds.image),
            ..Input::default()
        }
        .split(&mut usage);
        Output {
            total: candidates.saturating_add(thoughts),
            reasoning: thoughts,
            audio: self.candidate_kinds.audio,
            image: self.candidate_kinds.image,
        }
        .split(&mut usage);
        Some(usage)
    }
}

/// `[{"modality": "AUDIO", "tokenCount": 7}, …]`
fn kinds(cursor: &mut Cursor<'_>) -> Scan<Kinds> {
    let mut found = Kinds::default();
    if cursor.kind()? != ValueKind::Array {
        cursor.skip()?;
        return Ok(found);
    }
    let mut array = cursor.enter()?;
    while cursor.item(&mut array)? {
        let (mut is_audio, mut is_image, mut tokens) = (false, false, 0);
        members(cursor, |key, cursor| {
            match (key, cursor.kind()?) {
                ("modality", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    let word = cursor.text(literal);
                    is_audio = word == "AUDIO";
                    is_image = matches!(&*word, "IMAGE" | "VIDEO");
                }
                ("tokenCount", _) => tokens = count(cursor)?.unwrap_or(0),
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        if is_audio {
            found.audio = found.audio.saturating_add(tokens);
        } else if is_image {
            found.image = found.image.saturating_add(tokens);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use gauntlet_types::TokenCount;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_token_is_counted_once() {
        let text = br#"{"promptTokenCount":100,"cachedContentTokenCount":30,"candidatesTokenCount":50,"thoughtsTokenCount":20,
            "toolUsePromptTokenCount":5,"totalTokenCount":175,"trafficType":"ON_DEMAND_PRIORITY",
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":50},{"modality":"AUDIO","tokenCount":40},
            {"modality":"VIDEO","tokenCount":10}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":10},{"modality":"TEXT",
            "tokenCount":20}],"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":45},{"tokenCount":5}]}"#;
        let usage = Usage {
            input_fresh: TokenCount(35),
            cache_read: TokenCount(20),
            audio_input: TokenCount(30),
            audio_cache_read: TokenCount(10),
            image_input: TokenCount(10),
            output: TokenCount(5),
            image_output: TokenCount(45),
            reasoning: TokenCount(20),
            tier: ServiceTier::Priority,
            ..Usage::default()
        };
        assert_eq!(read(text).unwrap(), Some(usage));
        assert_eq!(usage.total().0, 175);
        assert_eq!(read(b"{}").unwrap(), None);
        assert_eq!(read(b"null").unwrap(), None);
        assert_eq!(read(br#"{"totalTokenCount":8}"#).unwrap().unwrap().input_fresh.0, 8);
    }

    proptest! {
        #[test]
        fn the_parts_add_up(
            p in 0u32..1 << 28, c in 0u32..1 << 28, t in 0u32..1 << 28, u in 0u32..1 << 28, k in any::<u32>(), a in any::<u32>(),
            i in any::<u32>()
        ) {
            let total = p + c + t + u;
            let text = format!(
                r#"{{"promptTokenCount":{p},"candidatesTokenCount":{c},"thoughtsTokenCount":{t},"toolUsePromptTokenCount":{u},
                "cachedContentTokenCount":{k},"totalTokenCount":{total},"promptTokensDetails":[{{"modality":"AUDIO","tokenCount":{a}}}],
                "candidatesTokensDetails":[{{"modality":"IMAGE","tokenCount":{i}}}]}}"#
            );
            let usage = read(text.as_bytes()).unwrap().unwrap();
            prop_assert_eq!((usage.input_total().0, usage.output_total().0, usage.total().0), (p + u, c + t, total));
            prop_assert_eq!(usage.reasoning.0, t);
            prop_assert_eq!(usage.cache_read_total().0, k.min(p + u));
        }
    }
}
