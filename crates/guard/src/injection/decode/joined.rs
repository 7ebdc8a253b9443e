//! Words run together, and texts cut into strings that a program is to put together.

use std::{collections::HashSet, sync::LazyLock};

use super::{COMMON, Edits, Seen};
use crate::injection::lexicon;

/// Shorter runs of letters are words.
const RUN_MIN: usize = 16;
/// Longer ones are no sentence.
const RUN_MAX: usize = 400;
/// Runs in a text that are taken apart.
const RUNS_MAX: usize = 64;
const WORD_MAX: usize = 14;

/// Words that sentences are made of, from the concepts and from the common words of English.
static KNOWN: LazyLock<HashSet<&'static [u8]>> = LazyLock::new(|| {
    let concepts = lexicon::WORDS.iter().flat_map(|(_, words)| words.split_ascii_whitespace());
    concepts
        .filter(|word| word.len() > 2 && word.is_ascii() && !word.ends_with('*'))
        .chain(COMMON.iter().copied())
        .chain([
            "a",
            "i",
            "instructions",
            "instruction",
            "password",
            "hidden",
            "me",
            "to",
            "of",
            "in",
            "is",
            "it",
            "do",
            "say",
            "my",
        ])
        .map(str::as_bytes)
        .collect()
});

pub(super) fn find(text: &str, seen: &Seen, edits: &mut Edits) {
    if seen.longest >= RUN_MIN {
        apart(text, edits);
    }
    if seen.counts[usize::from(b'+')] >= 2 && seen.count(b"\"'") >= 4 {
        concatenated(text, edits);
    }
}

/// `ignoreallpreviousinstructions` as four words.
fn apart(text: &str, edits: &mut Edits) {
    let bytes = text.as_bytes();
    let (mut at, mut seen) = (0, 0);
    while let Some(start) = bytes[at..].iter().position(u8::is_ascii_alphabetic).map(|n| at + n) {
        let end = bytes[start..]
            .iter()
            .position(|byte| !byte.is_ascii_alphabetic())
            .map_or(bytes.len(), |n| start + n);
        at = end;
        if (RUN_MIN..=RUN_MAX).contains(&(end - start)) {
            edits.extend(words(&bytes[start..end]).map(|words| (start..end, words)));
            seen += 1;
            if seen == RUNS_MAX {
                return;
            }
        }
    }
}

/// The fewest known words that the run is made of, if it is made of such alone.
fn words(run: &[u8]) -> Option<String> {
    let lower = run.to_ascii_lowercase();
    // For each place, where the last word before it starts and how much it costs to come here.
    let mut best: Vec<Option<(usize, usize)>> = vec![None; lower.len() + 1];
    best[0] = Some((0, 0));
    for end in 1..=lower.len() {
        for start in end.saturating_sub(WORD_MAX)..end {
            let Some((_, cost)) = best[start] else { continue };
            if KNOWN.contains(&lower[start..end]) {
                // Short words join anything: they are dear.
                let cost = cost + if end - start < 3 { 3 } else { 1 };
                if best[end].is_none_or(|(_, other)| cost < other) {
                    best[end] = Some((start, cost));
                }
            }
        }
    }
    let mut parts = Vec::new();
    let mut end = lower.len();
    while end > 0 {
        let (start, _) = best[end]?;
        parts.push(String::from_utf8_lossy(&lower[start..end]).into_owned());
        end = start;
    }
    parts.reverse();
    (parts.len() >= 3).then(|| parts.join(" "))
}

/// `"ig" + "nore"`: the quotes and the sign between them go.
fn concatenated(text: &str, edits: &mut Edits) {
    let bytes = text.as_bytes();
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'');
    for (plus, _) in text.match_indices('+') {
        let back = bytes[..plus].iter().rev().take(3).position(|byte| *byte != b' ').map(|n| plus - 1 - n);
        let on = bytes[plus + 1..].iter().take(3).position(|byte| *byte != b' ').map(|n| plus + 1 + n);
        if let (Some(left), Some(right)) = (back, on)
            && is_quote(&bytes[left])
            && is_quote(&bytes[right])
        {
            edits.push((left..right + 1, String::new()));
        }
    }
}
