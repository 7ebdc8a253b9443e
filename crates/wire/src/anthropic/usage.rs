//! Anthropic's usage object.
//!
//! `input_tokens` excludes what was read from a cache and what was written to one; thinking is inside `output_tokens` and
//! not told apart (Anthropic API reference, "Messages" and "Prompt caching").

use gauntlet_types::{ServiceTier, TokenCount, Usage};

use crate::{
    json::{Cursor, Malformed, Scan},
    usage::{count, members, tier},
};

/// The counts of one answer. A stream tells them twice, at `message_start` and, as running totals, at `message_delta`,
/// where some may be missing: what comes later stands, what does not come again stays.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    input: Option<u32>,
    output: Option<u32>,
    cache_read: Option<u32>,
    /// Written for any time; it includes the two below.
    cache_write: Option<u32>,
    cache_write_5m: Option<u32>,
    cache_write_1h: Option<u32>,
    web_searches: Option<u32>,
    tier: Option<ServiceTier>,
}

impl Counts {
    /// Reads a usage object, or `null`.
    pub fn read(&mut self, json: &[u8]) -> Result<(), Malformed> {
        let mut scan = || -> Scan<()> {
            let mut cursor = Cursor::new(json)?;
            self.scan(&mut cursor)?;
            cursor.finish()
        };
        scan().map_err(|fail| fail.locate(json))
    }

    fn scan(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        // `null` stands for a count that is not told.
        let later = |slot: &mut Option<u32>, cursor: &mut Cursor<'_>| -> Scan<()> {
            *slot = count(cursor)?.or(*slot);
            Ok(())
        };
        members(cursor, |key, cursor| match key {
            "input_tokens" => later(&mut self.input, cursor),
            "output_tokens" => later(&mut self.output, cursor),
            "cache_read_input_tokens" => later(&mut self.cache_read, cursor),
            "cache_creation_input_tokens" => later(&mut self.cache_write, cursor),
            "cache_creation" => members(cursor, |key, cursor| match key {
                "ephemeral_5m_input_tokens" => later(&mut self.cache_write_5m, cursor),
                "ephemeral_1h_input_tokens" => later(&mut self.cache_write_1h, cursor),
                _ => cursor.skip(),
            })
            .map(drop),
            "server_tool_use" => members(cursor, |key, cursor| match key {
                "web_search_requests" => later(&mut self.web_searches, cursor),
                _ => cursor.skip(),
            })
            .map(drop),
            "service_tier" => {
                self.tier = tier(cursor)?.or(self.tier);
                Ok(())
            }
            _ => cursor.skip(),
        })
        .map(drop)
    }

    /// None as long as nothing was counted.
    pub fn usage(&self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() {
            return None;
        }
        let told = |count: Option<u32>| count.unwrap_or(0);
        let (short, hour) = (told(self.cache_write_5m), told(self.cache_write_1h));
        let written = self.cache_write.unwrap_or(short.saturating_add(hour));
        let hour = hour.min(written);
        Some(Usage {
            input_fresh: TokenCount(told(self.input)),
            cache_read: TokenCount(told(self.cache_read)),
            cache_write_5m: TokenCount(written - hour),
            cache_write_1h: TokenCount(hour),
            output: TokenCount(told(self.output)),
            web_searches: told(self.web_searches),
            tier: self.tier.unwrap_or_default(),
            ..Usage::default()
        })
    }
}

/// The usage of a whole answer: none for `null` and for an object without counts.
pub fn read(json: &[u8]) -> Result<Option<Usage>, Malformed> {
    let mut counts = Counts::default();
    counts.read(json)?;
    Ok(counts.usage())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cached_call_is_counted_once() {
        let text = br#"{"input_tokens":21,"cache_creation_input_tokens":1188,"cache_read_input_tokens":188086,
            "cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":188},"output_tokens":393,
            "server_tool_use":{"web_search_requests":2},"service_tier":"priority"}"#;
        let usage = read(text).unwrap().unwrap();
        let parts =
            [usage.input_fresh, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.output];
        assert_eq!(parts.map(|part| part.0), [21, 188_086, 1000, 188, 393]);
        assert_eq!((usage.web_searches, usage.tier), (2, ServiceTier::Priority));
        assert_eq!(read(b"null").unwrap(), None);
        assert_eq!(read(b"{\"service_tier\":\"batch\"}").unwrap(), None);
        assert!(read(b"{\"input_tokens\":1").is_err());
    }

    #[test]
    fn a_stream_tells_its_counts_twice() {
        let mut counts = Counts::default();
        counts.read(br#"{"input_tokens":25,"cache_read_input_tokens":7,"output_tokens":1}"#).unwrap();
        counts.read(br#"{"output_tokens":15,"cache_read_input_tokens":null}"#).unwrap();
        let usage = counts.usage().unwrap();
        assert_eq!((usage.input_fresh.0, usage.cache_read.0, usage.output.0), (25, 7, 15));
    }

    proptest! {
        #[test]
        fn the_parts_add_up(
            input in 0u32..1 << 28, read_ in 0u32..1 << 28, written in 0u32..1 << 28, hour in any::<u32>(), output in 0u32..1 << 28
        ) {
            let text = format!(
                r#"{{"input_tokens":{input},"cache_read_input_tokens":{read_},"cache_creation_input_tokens":{written},
                "cache_creation":{{"ephemeral_1h_input_tokens":{hour}}},"output_tokens":{output}}}"#
            );
            let usage = read(text.as_bytes()).unwrap().unwrap();
            prop_assert_eq!(usage.total().0, input + read_ + written + output);
            prop_assert_eq!(usage.cache_write_1h.0, hour.min(written));
        }
    }
}
