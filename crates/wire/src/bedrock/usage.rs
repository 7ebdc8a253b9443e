//! Converse's `TokenUsage`: what was read from a cache and written to one stands beside `inputTokens`, not inside it.

use gauntlet_types::{TokenCount, Usage};

use crate::{
    json::{Cursor, Scan, ValueKind},
    usage::{count, members},
};

/// Reads the object that follows; none where it has no counts.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Scan<Option<Usage>> {
    let (mut input, mut output, mut cached, mut written, mut hour) = (None, None, 0, 0, 0);
    members(cursor, |key, cursor| {
        match key {
            "inputTokens" => input = count(cursor)?,
            "outputTokens" => output = count(cursor)?,
            "cacheReadInputTokens" | "cacheReadInputTokenCount" => {
                crate::usage::raise(&mut cached, cursor)?;
            }
            "cacheWriteInputTokens" | "cacheWriteInputTokenCount" => {
                crate::usage::raise(&mut written, cursor)?;
            }
            "cacheDetails" => hour = written_for_an_hour(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    if input.is_none() && output.is_none() {
        return Ok(None);
    }
    let hour = hour.min(written);
    Ok(Some(Usage {
        input_fresh: TokenCount(input.unwrap_or(0)),
        cache_read: TokenCount(cached),
        cache_write_5m: TokenCount(written - hour),
        cache_write_1h: TokenCount(hour),
        output: TokenCount(output.unwrap_or(0)),
        ..Usage::default()
    }))
}

/// `[{"ttl": "1h", "inputTokens": 12}, …]`
fn written_for_an_hour(cursor: &mut Cursor<'_>) -> Scan<u32> {
    let mut sum = 0u32;
    if cursor.kind()? != ValueKind::Array {
        cursor.skip()?;
        return Ok(sum);
    }
    let mut array = cursor.enter()?;
    while cursor.item(&mut array)? {
        let (mut is_hour, mut tokens) = (false, 0);
        members(cursor, |key, cursor| {
            match (key, cursor.kind()?) {
                ("ttl", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    is_hour = cursor.text(literal) == "1h";
                }
                ("inputTokens", _) => tokens = count(cursor)?.unwrap_or(0),
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        sum = sum.saturating_add(if is_hour { tokens } else { 0 });
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_counted_once() {
        let check = |text: &str, fields: Option<[u32; 5]>| {
            let usage = read(&mut Cursor::new(text.as_bytes()).unwrap()).unwrap();
            let got = usage.map(|usage| {
                let parts = [usage.input_fresh, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h];
                [parts[0].0, parts[1].0, parts[2].0, parts[3].0, usage.output.0]
            });
            assert_eq!(got, fields, "{text}");
        };
        check(r#"{"inputTokens":10,"outputTokens":5,"totalTokens":15}"#, Some([10, 0, 0, 0, 5]));
        check(
            r#"{"inputTokens":10,"outputTokens":5,"totalTokens":45,"cacheReadInputTokens":20,"cacheWriteInputTokens":10,
            "cacheReadInputTokenCount":20,"cacheDetails":[{"ttl":"1h","inputTokens":4},{"ttl":"5m","inputTokens":6}]}"#,
            Some([10, 20, 6, 4, 5]),
        );
        check("{}", None);
        check("null", None);
    }
}
