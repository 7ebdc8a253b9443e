//! Counting tokens once: what the usage readers of all dialects share.
//!
//! Providers count parts inside sums, and some send parts that are greater than their sum. Whatever they send, the parts
//! that come out of here add up to the sum that went in.

use gauntlet_types::{ServiceTier, TokenCount, Usage};

use crate::json::{Cursor, Scan, ValueKind};

/// The input as one sum and the parts inside it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Input {
    pub total: u32,
    /// Of every kind.
    pub cached: u32,
    pub cached_audio: u32,
    pub cached_image: u32,
    pub written_5m: u32,
    pub written_1h: u32,
    /// Cached audio included.
    pub audio: u32,
    /// Cached images included.
    pub image: u32,
}

/// The output as one sum and the parts inside it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Output {
    pub total: u32,
    pub reasoning: u32,
    pub audio: u32,
    pub image: u32,
}

/// Takes at most `wanted` from what is left of a sum.
fn take(left: &mut u32, wanted: u32) -> u32 {
    let taken = wanted.min(*left);
    *left -= taken;
    taken
}

impl Input {
    pub(crate) fn split(self, usage: &mut Usage) {
        let mut text = self.total;
        let mut audio = take(&mut text, self.audio);
        let mut image = take(&mut text, self.image);
        let mut cached = self.cached.max(self.cached_audio.saturating_add(self.cached_image)).min(self.total);

        let mut cached_of = |kind: &mut u32, wanted: u32| {
            let taken = wanted.min(*kind).min(cached);
            *kind -= taken;
            cached -= taken;
            taken
        };
        let mut cached_audio = cached_of(&mut audio, self.cached_audio);
        let mut cached_image = cached_of(&mut image, self.cached_image);
        // Without a word on its kind, what is cached is text before it is anything else: caches hold prefixes, and
        // instructions stand first.
        let cached_text = cached_of(&mut text, u32::MAX);
        cached_audio += cached_of(&mut audio, u32::MAX);
        cached_image += cached_of(&mut image, u32::MAX);

        let written_1h = take(&mut text, self.written_1h);
        let written_5m = take(&mut text, self.written_5m);
        usage.input_fresh = TokenCount(text);
        usage.cache_read = TokenCount(cached_text);
        usage.cache_write_5m = TokenCount(written_5m);
        usage.cache_write_1h = TokenCount(written_1h);
        usage.audio_input = TokenCount(audio);
        usage.audio_cache_read = TokenCount(cached_audio);
        usage.image_input = TokenCount(image);
        usage.image_cache_read = TokenCount(cached_image);
    }
}

impl Output {
    pub(crate) fn split(self, usage: &mut Usage) {
        let mut text = self.total;
        usage.reasoning = TokenCount(take(&mut text, self.reasoning));
        usage.audio_output = TokenCount(take(&mut text, self.audio));
        usage.image_output = TokenCount(take(&mut text, self.image));
        usage.output = TokenCount(text);
    }
}

/// A count that stays within its range: negative is 0, too many is the most. None for anything but a number.
pub(crate) fn count(cursor: &mut Cursor<'_>) -> Scan<Option<u32>> {
    if cursor.kind()? != ValueKind::Number {
        cursor.skip()?;
        return Ok(None);
    }
    let digits = cursor.number()?;
    let text = cursor.slice(digits);
    // The cast saturates.
    Ok(text.parse::<u32>().ok().or_else(|| Some(text.parse::<f64>().ok()? as u32)))
}

/// Raises a count to the one that follows: spellings of one thing may stand side by side.
pub(crate) fn raise(to: &mut u32, cursor: &mut Cursor<'_>) -> Scan<()> {
    *to = (*to).max(count(cursor)?.unwrap_or(0));
    Ok(())
}

/// A word for a tier; none for anything but a word that is known.
pub(crate) fn tier(cursor: &mut Cursor<'_>) -> Scan<Option<ServiceTier>> {
    if cursor.kind()? != ValueKind::String {
        cursor.skip()?;
        return Ok(None);
    }
    let literal = cursor.literal()?;
    Ok(ServiceTier::of_word(&cursor.text(literal)))
}

/// Calls `see` for each member of an object; skips anything else.
pub(crate) fn members(
    cursor: &mut Cursor<'_>,
    mut see: impl FnMut(&str, &mut Cursor<'_>) -> Scan<()>,
) -> Scan<bool> {
    if cursor.kind()? != ValueKind::Object {
        cursor.skip()?;
        return Ok(false);
    }
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        see(&key, cursor)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_add_up_to_the_sum_whatever_was_sent(
            total in any::<u32>(), input in any::<[u32; 7]>(), output in any::<[u32; 3]>(), small in any::<bool>()
        ) {
            // Half of the cases are of sizes that may fit.
            let scale = |count: u32| if small { count % 1000 } else { count };
            let [cached, cached_audio, cached_image, written_5m, written_1h, audio, image] = input.map(scale);
            let [reasoning, spoken, drawn] = output.map(scale);
            let total = scale(total);
            let mut usage = Usage::default();
            Input { total, cached, cached_audio, cached_image, written_5m, written_1h, audio, image }.split(&mut usage);
            prop_assert_eq!(usage.input_total().0, total);
            // What is said to be cached is cached, and nothing more.
            let said = cached.max(cached_audio.saturating_add(cached_image)).min(total);
            prop_assert_eq!(usage.cache_read_total().0, said);
            Output { total, reasoning, audio: spoken, image: drawn }.split(&mut usage);
            prop_assert_eq!(usage.output_total().0, total);
        }
    }

    #[test]
    fn cached_tokens_are_of_their_kind() {
        let mut usage = Usage::default();
        Input { total: 100, cached: 30, cached_audio: 10, audio: 40, ..Input::default() }.split(&mut usage);
        let parts = [usage.input_fresh, usage.cache_read, usage.audio_input, usage.audio_cache_read];
        assert_eq!(parts.map(|part| part.0), [40, 20, 30, 10]);
    }
}
