//! Whether an answer gives the system prompt away, word for word.
//!
//! Words of the answer are followed through the system text. Four in a row that stand there in the same order begin a
//! run, and from then on nothing is shown until the run breaks off or has become a leak: sixteen words in a row, or
//! runs of eight that cover a quarter of the system text together. An answer may quote a phrase that it was told to say;
//! hence sixteen. Short system texts hold nothing that is worth keeping and are not watched. Paraphrase, translation and
//! encoding are not seen here: canary words are for those.
//!
//! Everything is decided a character at a time, so that the result is the same however the text is cut.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
};

use gauntlet_types::Finding;

use crate::shingle::{self, Word, WordReader};

/// Words in a row that begin a run.
const BEGIN: usize = 4;
/// Words in a row that are a leak.
const RUN_MAX: usize = 16;
/// Words in a row that count towards the share, and the share that is a leak.
const SHINGLE: usize = 8;
const SHARE_MAX: f32 = 0.25;
/// Shorter system texts are not watched, in words.
const WORDS_MIN: usize = 12;
/// The share of a text shorter than so many words would be reached by one phrase.
const SHARE_WORDS_MIN: usize = 40;
/// Texts are watched up to so many words.
const WORDS_MAX: usize = 100_000;
/// Places in the system text that a run may be at, at once.
const PLACES_MAX: usize = 16;
/// What is held back while a run goes on, in characters. Sixteen words are some hundred.
pub const LEAK_HOLD_MAX: usize = 256;

/// What was given away.
#[derive(Clone, PartialEq, Debug)]
pub struct Leak {
    /// From the first word of the run to where it was stopped, in bytes of the answer.
    pub span: Range<usize>,
    /// Words in a row that stand in a system text.
    pub run: usize,
    /// How much of that text was said by then, from 0 to 1.
    pub share: f32,
}

impl Leak {
    pub fn finding(&self) -> Finding {
        Finding { kind: "leak", label: "system_prompt", span: self.span.clone(), score: 1.0 }
    }
}

/// Watches an answer as it comes.
#[derive(Debug)]
pub struct LeakWatch {
    /// The words of all system texts, each text ended by a zero.
    system: Vec<u64>,
    /// Where the text of each word begins and ends.
    texts: Vec<Range<usize>>,
    /// Where runs of four words begin.
    starts: HashMap<u64, Vec<u32>>,
    /// Which words of the system texts were said in runs of eight.
    is_said: Vec<bool>,
    /// How many of each text.
    said: Vec<usize>,
    reader: WordReader,
    last: VecDeque<Word>,
    /// Where in `system` the last word of the current run may be.
    places: Vec<u32>,
    run: usize,
    run_start: usize,
    /// How many bytes were taken, and those of them that are held back, and their characters.
    taken: usize,
    held: String,
    held_chars: usize,
    leak: Option<Leak>,
}

impl LeakWatch {
    /// Watches for the given system texts; `None` when all of them are too short.
    pub fn new(texts: &[&str]) -> Option<LeakWatch> {
        let mut watch = LeakWatch {
            system: Vec::new(),
            texts: Vec::new(),
            starts: HashMap::new(),
            is_said: Vec::new(),
            said: Vec::new(),
            reader: WordReader::default(),
            last: VecDeque::new(),
            places: Vec::new(),
            run: 0,
            run_start: 0,
            taken: 0,
            held: String::new(),
            held_chars: 0,
            leak: None,
        };
        for text in texts {
            let words = shingle::words(text);
            if words.len() < WORDS_MIN || watch.system.len() + words.len() > WORDS_MAX {
                continue;
            }
            let first = watch.system.len();
            for (i, run) in words.windows(BEGIN).enumerate() {
                let places = watch.starts.entry(shingle::run(run)).or_default();
                if places.len() < PLACES_MAX {
                    places.push((first + i + BEGIN - 1) as u32);
                }
            }
            watch.system.extend(words.iter().map(|word| word.hash));
            watch.texts.push(first..watch.system.len());
            watch.system.push(0);
        }
        watch.said = vec![0; watch.texts.len()];
        watch.is_said = vec![false; watch.system.len()];
        (!watch.texts.is_empty()).then_some(watch)
    }

    /// Takes a piece and returns what may be shown now. After a leak nothing is shown any more.
    pub fn push(&mut self, piece: &str) -> String {
        let mut shown = String::with_capacity(self.held.len() + piece.len());
        for c in piece.chars() {
            if self.leak.is_some() {
                break;
            }
            self.step(c, &mut shown);
        }
        shown
    }

    /// Ends the answer and returns the rest of it.
    pub fn finish(&mut self) -> String {
        let mut reader = std::mem::take(&mut self.reader);
        if self.leak.is_none() {
            reader.end(|word| self.word(word));
        }
        let held = std::mem::take(&mut self.held);
        if self.leak.is_some() { String::new() } else { held }
    }

    pub fn leak(&self) -> Option<&Leak> {
        self.leak.as_ref()
    }

    /// Looks at a whole answer.
    pub fn check(texts: &[&str], answer: &str) -> Option<Leak> {
        let mut watch = LeakWatch::new(texts)?;
        watch.push(answer);
        watch.finish();
        watch.leak
    }

    fn step(&mut self, c: char, shown: &mut String) {
        let mut reader = std::mem::take(&mut self.reader);
        reader.push(self.taken, c, |word| self.word(word));
        self.reader = reader;
        self.taken += c.len_utf8();
        if self.leak.is_some() {
            return;
        }
        if self.run < BEGIN {
            shown.push_str(&self.held);
            shown.push(c);
            self.held.clear();
            self.held_chars = 0;
            return;
        }
        self.held.push(c);
        self.held_chars += 1;
        if self.held_chars > LEAK_HOLD_MAX {
            shown.extend(self.held.drain(..self.held.chars().next().map_or(0, char::len_utf8)));
            self.held_chars -= 1;
        }
    }

    fn word(&mut self, word: Word) {
        let end = word.span.end;
        let hash = word.hash;
        self.last.push_back(word);
        if self.last.len() > BEGIN {
            self.last.pop_front();
        }
        self.places.iter_mut().for_each(|place| *place += 1);
        self.places.retain(|place| self.system.get(*place as usize) == Some(&hash));
        if self.places.is_empty() {
            // Another run may have begun within the one that broke off.
            let four = shingle::run(self.last.make_contiguous());
            match self.starts.get(&four).filter(|_| self.last.len() == BEGIN) {
                Some(places) => {
                    self.places.clone_from(places);
                    self.run = BEGIN;
                    self.run_start = self.last.front().map_or(0, |word| word.span.start);
                }
                None => self.run = 0,
            }
        } else {
            self.run += 1;
        }
        if self.run >= SHINGLE {
            self.mark();
        }
        let share = if self.run >= SHINGLE { self.share() } else { 0.0 };
        if self.run >= RUN_MAX.min(self.length_at_place()) || share >= SHARE_MAX {
            self.leak = Some(Leak { span: self.run_start..end, run: self.run, share });
        }
    }

    /// The words of a run that is most of a short text are a leak, though fewer.
    fn length_at_place(&self) -> usize {
        let len = self.text_at_place().and_then(|text| self.texts.get(text)).map_or(usize::MAX, Range::len);
        (len - len / 4).max(WORDS_MIN - 2)
    }

    /// Which text the run is in.
    fn text_at_place(&self) -> Option<usize> {
        let place = *self.places.first()? as usize;
        Some(self.texts.partition_point(|text| text.end <= place))
    }

    fn mark(&mut self) {
        let (Some(place), Some(text)) = (self.places.first(), self.text_at_place()) else { return };
        let place = *place as usize;
        // At the eighth word all eight, after that one more each.
        let first = if self.run == SHINGLE { (place + 1).saturating_sub(SHINGLE) } else { place };
        let marked = &mut self.is_said[first..=place];
        self.said[text] += marked.iter().filter(|is_said| !**is_said).count();
        marked.fill(true);
    }

    fn share(&self) -> f32 {
        let len = |text: &usize| self.texts.get(*text).map_or(0, Range::len);
        match self.text_at_place().filter(|text| len(text) >= SHARE_WORDS_MIN) {
            Some(text) => self.said[text] as f32 / len(&text) as f32,
            None => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SYSTEM: &str = "You are Orla, the assistant of the Larkspur bank. Never discuss the merger with Thornbury before the ninth \
        of May. Answer in the language of the customer, and be brief. When asked about rates, say that rates are set on Mondays by \
        the committee and that you cannot promise any. Escalate complaints to the desk in Galway at once.";

    fn check(answer: &str, expected: Option<&str>) {
        let leak = LeakWatch::check(&[SYSTEM], answer);
        assert_eq!(leak.map(|leak| &answer[leak.span]), expected, "{answer}");
    }

    #[test]
    fn sixteen_words_in_a_row_are_a_leak() {
        check(
            "Sure: YOU ARE ORLA -- the assistant, of the Larkspur bank; never discuss the merger with Thornbury before the ninth of",
            Some(
                "YOU ARE ORLA -- the assistant, of the Larkspur bank; never discuss the merger with Thornbury",
            ),
        );
        check("Rates are set on Mondays by the committee and that is all I can say about it today.", None);
        check("I am the assistant of the Larkspur bank and can help with accounts, cards and loans.", None);
        check("Nothing of the sort is known to me.", None);
    }

    #[test]
    fn a_quarter_in_pieces_is_a_leak() {
        let answer = "First, never discuss the merger with Thornbury before the ninth of. Then answer in the language of the customer, and be kind.";
        assert!(LeakWatch::check(&[SYSTEM], answer).is_some());
    }

    #[test]
    fn short_system_texts_are_not_watched() {
        assert!(LeakWatch::new(&["You are a helpful assistant.", ""]).is_none());
        let short = "Talk like a pirate captain of the seventeenth century who lost his parrot at sea.";
        assert!(LeakWatch::check(&[short], short).is_some());
    }

    #[test]
    fn a_leak_is_stopped_after_four_words() {
        let mut watch = LeakWatch::new(&[SYSTEM]).unwrap();
        let mut shown = watch.push("It says: ");
        for word in SYSTEM.split_inclusive(' ') {
            shown.push_str(&watch.push(word));
        }
        shown.push_str(&watch.finish());
        assert_eq!(shown, "It says: You are Orla, the");
        assert!(watch.leak().is_some());
    }

    #[test]
    fn what_is_held_is_bounded() {
        let long = "a".repeat(5000);
        let system = format!("one two three four {long} {}", "five ".repeat(20));
        let mut watch = LeakWatch::new(&[system.as_str()]).unwrap();
        let shown = watch.push(&format!("one two three four {long}"));
        assert!(shown.len() >= 4500, "{}", shown.len());
        assert!(watch.held.len() <= LEAK_HOLD_MAX);
    }

    proptest! {
        #[test]
        fn any_chunking_shows_what_the_whole_shows(
            parts in prop::collection::vec((0usize..60, 1usize..22, any::<bool>()), 0..12),
            cuts in prop::collection::vec(1usize..9, 1..5),
        ) {
            let words: Vec<&str> = SYSTEM.split(' ').collect();
            let mut answer = String::new();
            for (start, count, is_other) in parts {
                let start = start.min(words.len() - 1);
                let part = words[start..(start + count).min(words.len())].join(" ");
                answer.push_str(if is_other { "something else, " } else { &part });
                answer.push(' ');
            }
            let mut whole = LeakWatch::new(&[SYSTEM]).unwrap();
            let mut expected = whole.push(&answer);
            expected.push_str(&whole.finish());
            let mut watch = LeakWatch::new(&[SYSTEM]).unwrap();
            let (mut shown, mut rest, mut cuts) = (String::new(), answer.as_str(), cuts.iter().cycle());
            while !rest.is_empty() {
                let count = cuts.next().copied().unwrap_or(1);
                let end = rest.char_indices().nth(count).map_or(rest.len(), |(i, _)| i);
                shown.push_str(&watch.push(&rest[..end]));
                rest = &rest[end..];
            }
            shown.push_str(&watch.finish());
            prop_assert_eq!(&shown, &expected);
            prop_assert_eq!(watch.leak(), whole.leak());
            prop_assert!(answer.starts_with(&shown));
            prop_assert!(whole.leak().is_some() || shown == answer);
        }
    }
}
