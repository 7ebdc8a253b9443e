//! Phrases, and rules over neighbouring words, that say what an attempt was: features of the model, and the reason given.
//!
//! Text that merely speaks about such attempts is mostly let pass: a rule wants the verb, its object and whose orders they
//! are, close together and not denied.
//!
//! Every anchor is found by a pair of letters that is rare in English, so that clean prose costs one table lookup a byte.

use gauntlet_types::Finding;

use super::table::{ANCHORS, Anchor, Rule};
use super::view::View;
use super::words::{self, ALL, EARLIER, EVERYTHING, INNER, MODEL, NOT, ORDERS, SAID, SHOW, Words, YOU, YOUR};
use crate::candidate::INJECTION;

/// Words that a rule looks ahead or back.
const REACH_WORDS: usize = 9;
/// And bytes, so that long runs of one word cost nothing.
const REACH_BYTES: usize = 120;
/// Findings of one text; more say nothing new, and hostile text may hold thousands.
const FINDINGS_MAX: usize = 64;

/// What concepts that stand together are called, in the order of `Together`.
pub(super) const LABELS: &[&str] = &["ignore_instructions", "extract_prompt", "unrestricted_model"];

const CLASSES: usize = 32;

pub(super) struct Rules {
    /// Which pairs of classes begin an anchor's search.
    pairs: Box<[bool; CLASSES * CLASSES]>,
    /// Anchors of each pair, with the place of the pair in the anchor.
    anchors: Vec<Vec<(u16, u8)>>,
    words: Words,
}

/// Letters without case, the marks that template tokens begin with, and 0 for the rest.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 26 {
        table[b'a' as usize + i] = i as u8 + 1;
        table[b'A' as usize + i] = i as u8 + 1;
        i += 1;
    }
    table[b'<' as usize] = 27;
    table[b'|' as usize] = 28;
    table[b'[' as usize] = 29;
    table[b'#' as usize] = 30;
    table[b'/' as usize] = 31;
    table
};

fn pair(first: u8, second: u8) -> usize {
    usize::from(CLASS[usize::from(first)]) * CLASSES + usize::from(CLASS[usize::from(second)])
}

/// How often a pair of letters stands in a million pairs of English, roughly; good enough to choose among an anchor's.
fn frequency(first: u8, second: u8) -> u32 {
    const COMMON: &[u8] = b"thheinerananreonatndenesstofteedisitortialarthngseaslehavecomedehirironeearacelichllbemasiomurntiotousnoecuteiwiwhloutnsctadmo";
    const LETTERS: [u32; 26] =
        [82, 15, 28, 43, 127, 22, 20, 61, 70, 2, 8, 40, 24, 67, 75, 19, 1, 60, 63, 91, 28, 10, 24, 2, 20, 1];
    if COMMON.as_chunks::<2>().0.contains(&[first, second]) {
        return 20_000;
    }
    let of =
        |byte: u8| byte.checked_sub(b'a').and_then(|i| LETTERS.get(usize::from(i))).copied().unwrap_or(1);
    of(first) * of(second)
}

impl Rules {
    pub(crate) fn new() -> Rules {
        let mut pairs = Box::new([false; CLASSES * CLASSES]);
        let mut anchors = vec![Vec::new(); CLASSES * CLASSES];
        for (index, anchor) in ANCHORS.iter().enumerate() {
            // The pair lies in the first word, since after a space of any width its place is not fixed. Short first
            // words have no rare pair; then a single space is asked for.
            let text = anchor.text.as_bytes();
            let first = text.split(|byte| *byte == b' ').next().unwrap_or_default();
            let word = if first.len() > 4 || text[0] == b'<' || text[0] == b'[' { first } else { text };
            let rarest = word
                .windows(2)
                .enumerate()
                .filter(|(_, two)| two.iter().all(|byte| CLASS[usize::from(*byte)] != 0))
                .min_by_key(|(_, two)| frequency(two[0], two[1]));
            if let Some((at, two)) = rarest {
                let pair = pair(two[0], two[1]);
                pairs[pair] = true;
                anchors[pair].push((index as u16, at as u8));
            }
        }
        Rules { pairs, anchors, words: Words::new() }
    }

    pub(crate) fn scan(&self, text: &str, out: &mut Vec<Finding>) {
        match View::of(text) {
            None => self.scan_bytes(text.as_bytes(), |start, end| (start, end), out),
            Some(view) => self.scan_bytes(&view.bytes, |start, end| view.original(start, end), out),
        }
    }

    fn scan_bytes(
        &self,
        bytes: &[u8],
        original: impl Fn(usize, usize) -> (usize, usize),
        out: &mut Vec<Finding>,
    ) {
        let first = out.len();
        let mut from = 0;
        while let Some((i, class)) = self.next_pair(bytes, from) {
            from = i;
            for &(index, at) in &self.anchors[class] {
                let anchor = &ANCHORS[usize::from(index)];
                let Some(start) = (i - 1).checked_sub(usize::from(at)) else { continue };
                let Some(end) = match_anchor(bytes, start, anchor.text.as_bytes()) else { continue };
                let Some((start, end, score)) = self.apply(bytes, start, end, anchor) else { continue };
                let (start, end) = original(start, end);
                if out[first..].iter().any(|other| other.label == anchor.label && other.span.end > start) {
                    continue;
                }
                out.push(Finding { kind: INJECTION, label: anchor.label, span: start..end, score });
                if out.len() - first >= FINDINGS_MAX {
                    return;
                }
            }
        }
        out[first..].sort_by_key(|finding| finding.span.start);
    }

    /// The next place at which a pair of an anchor ends, after `from`.
    #[inline]
    fn next_pair(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        const STEP: usize = 8;
        let mut at = from;
        // Eight pairs and one branch.
        while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<{ STEP + 1 }>()) {
            let classes = block.map(|byte| CLASS[usize::from(byte)]);
            let mut any = false;
            for i in 0..STEP {
                any |= self.pairs[usize::from(classes[i]) * CLASSES + usize::from(classes[i + 1])];
            }
            if any {
                break;
            }
            at += STEP;
        }
        bytes.get(at..)?.windows(2).enumerate().find_map(|(i, two)| {
            let pair = pair(two[0], two[1]);
            self.pairs[pair].then_some((at + i + 1, pair))
        })
    }

    /// What the rule makes of the anchor at `start..end`: the whole span and its score.
    fn apply(&self, bytes: &[u8], start: usize, end: usize, anchor: &Anchor) -> Option<(usize, usize, f32)> {
        match anchor.rule {
            Rule::Phrase => Some((start, end, anchor.score)),
            Rule::SetAside => self.set_aside(bytes, start, end, anchor.score),
            Rule::Shown => self.shown(bytes, start, end, anchor.score),
            Rule::Unbound => {
                let (_, near_end) = self.ahead(bytes, end, 3).find(|(meaning, _)| meaning.has(MODEL))?;
                (!self.is_denied(bytes, start)).then_some((start, near_end, anchor.score))
            }
            Rule::DeveloperMode => {
                let folded = bytes[end..(end + 60).min(bytes.len())].to_ascii_lowercase();
                let has = |part: &[u8]| folded.windows(part.len()).any(|window| window == part);
                let before = bytes[start.saturating_sub(30)..start].to_ascii_lowercase();
                let is_entered = [&b"enable"[..], b"enter", b"activate", b"you are", b"in "]
                    .iter()
                    .any(|verb| before.windows(verb.len()).any(|w| w == *verb));
                let is_on =
                    [&b"enabled"[..], b"output", b"activated", b"policy", b"no rest", b"ignore", b"response"]
                        .iter()
                        .any(|part| has(part));
                is_on
                    .then_some((start, end, anchor.score))
                    .filter(|_| is_entered || has(b"output") || has(b"enabled"))
            }
            Rule::Dan => (bytes[start..end] == *b"DAN")
                .then_some((start, end, anchor.score))
                .filter(|_| self.is_persona(bytes, start, end)),
            Rule::Role => {
                let is_line_start = bytes[..start]
                    .iter()
                    .rev()
                    .take_while(|byte| **byte != b'\n')
                    .all(|byte| b" \t\"*#".contains(byte));
                let commands = self.ahead(bytes, end, 12).any(|(meaning, _)| meaning.has(ORDERS | YOUR));
                (is_line_start && start > 0 && commands).then_some((start, end, anchor.score))
            }
        }
    }

    /// `ignore … previous instructions`, `forget everything you were told`.
    fn set_aside(&self, bytes: &[u8], start: usize, end: usize, score: f32) -> Option<(usize, usize, f32)> {
        if self.is_denied(bytes, start) {
            return None;
        }
        let mut seen = 0;
        for (meaning, word_end) in self.ahead(bytes, end, REACH_WORDS) {
            if seen & EVERYTHING != 0 && meaning.has(EARLIER | SAID) {
                return Some((start, word_end, score));
            }
            if meaning.has(ORDERS) {
                let score = match seen {
                    seen if seen & EARLIER != 0 => score,
                    seen if seen & (ALL | YOUR) != 0 && seen & (ALL | YOUR | INNER) != ALL => score - 0.1,
                    seen if seen & (ALL | INNER) != 0 => score - 0.15,
                    _ => {
                        // `ignore the instructions above`
                        let (_, after) =
                            self.ahead(bytes, word_end, 3).find(|(meaning, _)| meaning.has(EARLIER))?;
                        return Some((start, after, score));
                    }
                };
                return Some((start, word_end, score));
            }
            seen |= meaning.0;
        }
        None
    }

    /// `reveal your system prompt`, `what are your initial instructions`.
    fn shown(&self, bytes: &[u8], start: usize, end: usize, score: f32) -> Option<(usize, usize, f32)> {
        let mut seen = 0;
        for (meaning, word_start) in self.back(bytes, start, REACH_WORDS) {
            if meaning.has(SHOW) {
                let is_inner = seen & INNER != 0;
                let is_wanted = match bytes[start..end].to_ascii_lowercase().as_slice() {
                    b"prompt" | b"prompts" => is_inner && seen & ORDERS == 0,
                    _ => seen & YOUR != 0 && seen & ORDERS == 0,
                };
                if is_wanted {
                    let is_certain = is_inner && seen & YOUR != 0;
                    return (!self.is_denied(bytes, word_start)).then_some((
                        word_start,
                        end,
                        if is_certain { score } else { score - 0.1 },
                    ));
                }
            }
            seen |= meaning.0;
        }
        None
    }

    /// `DAN` near talk of a model, so that it is not a person's name.
    fn is_persona(&self, bytes: &[u8], start: usize, end: usize) -> bool {
        self.back(bytes, start, 5).any(|(meaning, _)| meaning.has(YOU | MODEL))
            || self.ahead(bytes, end, 5).any(|(meaning, _)| meaning.has(MODEL))
    }

    /// `do not ignore …`, `never reveal …`.
    fn is_denied(&self, bytes: &[u8], start: usize) -> bool {
        self.back(bytes, start, 2).any(|(meaning, _)| meaning.has(NOT))
    }

    /// The meanings of the next words of the sentence, each with its end.
    fn ahead<'b>(
        &'b self,
        bytes: &'b [u8],
        from: usize,
        count: usize,
    ) -> impl Iterator<Item = (words::Meaning, usize)> + 'b {
        let limit = (from + REACH_BYTES).min(bytes.len());
        let mut at = from;
        (0..count).map_while(move |_| {
            while at < limit && !is_word(bytes[at]) {
                // A sentence ends at a full stop before white space.
                if matches!(bytes[at], b'.' | b'!' | b'?')
                    && bytes.get(at + 1).is_none_or(u8::is_ascii_whitespace)
                {
                    return None;
                }
                at += 1;
            }
            let start = at;
            while at < limit && is_word(bytes[at]) {
                at += 1;
            }
            (at > start).then(|| (self.words.meaning(&bytes[start..at]), at))
        })
    }

    /// The meanings of the words before, nearest first, each with its start.
    fn back<'b>(
        &'b self,
        bytes: &'b [u8],
        from: usize,
        count: usize,
    ) -> impl Iterator<Item = (words::Meaning, usize)> + 'b {
        let limit = from.saturating_sub(REACH_BYTES);
        let mut at = from;
        (0..count).map_while(move |_| {
            while at > limit && !is_word(bytes[at - 1]) {
                if matches!(bytes[at - 1], b'.' | b'!' | b'?')
                    && bytes.get(at).is_none_or(u8::is_ascii_whitespace)
                {
                    return None;
                }
                at -= 1;
            }
            let end = at;
            while at > limit && is_word(bytes[at - 1]) {
                at -= 1;
            }
            (at < end).then(|| (self.words.meaning(&bytes[at..end]), at))
        })
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'\''
}

/// The end of the anchor at `start`, if it stands there as words of its own.
fn match_anchor(bytes: &[u8], start: usize, anchor: &[u8]) -> Option<usize> {
    let mut at = start;
    for expected in anchor {
        if *expected == b' ' {
            let from = at;
            while at < from + 4
                && bytes
                    .get(at)
                    .is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'-' | b'_'))
            {
                at += 1;
            }
            if at == from {
                return None;
            }
        } else {
            if !bytes.get(at)?.eq_ignore_ascii_case(expected) {
                return None;
            }
            at += 1;
        }
    }
    let is_word_at =
        |i: Option<usize>| i.and_then(|i| bytes.get(i)).is_some_and(|byte| byte.is_ascii_alphanumeric());
    let starts_in_word =
        anchor.first().is_some_and(u8::is_ascii_alphanumeric) && is_word_at(start.checked_sub(1));
    let ends_in_word = anchor.last().is_some_and(u8::is_ascii_alphanumeric)
        && is_word_at(Some(at))
        && !anchor.ends_with(b"polic");
    (!starts_in_word && !ends_in_word).then_some(at)
}
