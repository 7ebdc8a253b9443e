//! Swear words and slurs, as whole words in a dozen languages, read through accents, look-alikes, digits for letters,
//! starred letters and drawn-out vowels.
//!
//! A lexicon knows words and not what is meant: it finds coarse language reliably and hatred, threats and innuendo in
//! clean words not at all. Those take a model (a judge or the provider's moderation). Words that are harmless in
//! another reading or in another listed language (`cock`, `prick`, `con`, `bite`) are left out for that reason, and so
//! are medical ones.

use std::collections::HashMap;

use gauntlet_types::Finding;

use crate::{
    candidate::TOXICITY,
    shingle::{Part, part},
    view::View,
};

#[rustfmt::skip]
mod lexicon;

/// No word is longer, in bytes; a stream holds back no more than this.
const WORD_MAX: usize = 48;
/// In shorter words a digit is a digit: `A55` is a road.
const LEET_MIN: usize = 4;

/// The lexicon, ready for use.
#[derive(Clone, Debug)]
pub struct Profanity {
    whole: HashMap<String, Grade>,
    /// Beginnings of words, by their first three letters.
    heads: HashMap<String, Vec<(String, Grade)>>,
    /// All of them by their first letter, with whether any ending may follow.
    by_letter: HashMap<char, Vec<(Vec<char>, bool, Grade)>>,
    /// Which first three bytes occur among plain words: nearly all words of a text are dismissed by this.
    begins: Box<[u64; BEGINS / 64]>,
}

const BEGINS: usize = 1 << 15;

/// The place of three plain letters in the table of beginnings, whatever their case.
fn begin_place(letters: &[u8]) -> usize {
    letters.iter().fold(0, |place, byte| place << 5 | usize::from(byte & 31))
}

/// Ordered from mild to grave: of several words that stars may hide the gravest is meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Grade {
    Obscenity,
    Profanity,
    Slur,
}

impl Grade {
    fn label(self) -> &'static str {
        match self {
            Grade::Profanity => "profanity",
            Grade::Slur => "slur",
            Grade::Obscenity => "obscenity",
        }
    }
}

impl Default for Profanity {
    fn default() -> Profanity {
        Profanity::new()
    }
}

impl Profanity {
    pub fn new() -> Profanity {
        let mut new = Profanity {
            whole: HashMap::new(),
            heads: HashMap::new(),
            by_letter: HashMap::new(),
            begins: Box::new([0; BEGINS / 64]),
        };
        let rows = [
            (lexicon::PROFANITY, Grade::Profanity),
            (lexicon::SLURS, Grade::Slur),
            (lexicon::OBSCENITY, Grade::Obscenity),
        ];
        for (words, grade) in rows {
            for word in words.split_whitespace() {
                let begin = plain(word.trim_end_matches('*'));
                let letters: Vec<char> = begin.chars().collect();
                if let Some(first) = letters.first() {
                    new.by_letter.entry(*first).or_default().push((letters, word.ends_with('*'), grade));
                }
                if let Some(letters) = begin.as_bytes().get(..3) {
                    let place = begin_place(letters);
                    new.begins[place / 64] |= 1 << (place % 64);
                }
                match word.strip_suffix('*') {
                    Some(head) => {
                        let head = plain(head);
                        let key = head.chars().take(3).collect();
                        new.heads.entry(key).or_default().push((head, grade));
                    }
                    None => drop(new.whole.insert(plain(word), grade)),
                }
            }
        }
        new
    }

    /// Appends the words of a text that are in the lexicon, in order. Their kind is `toxicity`.
    pub fn find(&self, text: &str, out: &mut Vec<Finding>) {
        self.collect(&View::of(text), text, true, 0, out);
    }

    /// Appends what begins at or after `from`, and returns up to where the text is settled.
    pub(crate) fn collect(
        &self,
        view: &View,
        text: &str,
        is_last: bool,
        from: usize,
        out: &mut Vec<Finding>,
    ) -> usize {
        let shown = view.text();
        let first = view.position(from).min(shown.len());
        // Inside a word that was too long to be one: its rest is no word either.
        let mut is_inside = shown[..first].chars().next_back().is_some_and(is_of_word);
        let mut start = first;
        for (at, c) in shown[first..].char_indices().map(|(at, c)| (first + at, c)) {
            if is_of_word(c) {
                continue;
            }
            if !is_inside {
                self.word(view, text, start, at, out);
            }
            (is_inside, start) = (false, at + c.len_utf8());
        }
        if is_last {
            if !is_inside {
                self.word(view, text, start, shown.len(), out);
            }
            return text.len();
        }
        let is_long = is_inside || shown.len() - start > WORD_MAX;
        view.original_start(if is_long { shown.len() } else { start }).max(from)
    }

    fn word(&self, view: &View, text: &str, start: usize, end: usize, out: &mut Vec<Finding>) {
        if !(3..=WORD_MAX).contains(&(end - start)) {
            return;
        }
        let word = &view.text()[start..end];
        if self.is_harmless(word.as_bytes()) {
            return;
        }
        let trimmed = word.trim_matches(is_mark);
        let head = start + (word.len() - word.trim_start_matches(is_mark).len());
        for (word, start) in [(trimmed, head), (word, start)] {
            if let Some(grade) = self.grade(word) {
                let span = view.original(start..start + word.len(), text);
                out.push(Finding { kind: TOXICITY, label: grade.label(), span, score: 0.9 });
                return;
            }
        }
    }

    /// Whether a word of plain letters, none of them drawn out, begins as no listed one does.
    fn is_harmless(&self, word: &[u8]) -> bool {
        if word.iter().all(u8::is_ascii_digit) {
            return true;
        }
        let is_plain = word.iter().all(u8::is_ascii_alphabetic);
        let place = begin_place(&word[..3]);
        is_plain
            && self.begins[place / 64] >> (place % 64) & 1 == 0
            && !word.windows(3).any(|run| run[0] | 32 == run[1] | 32 && run[1] | 32 == run[2] | 32)
    }

    fn grade(&self, word: &str) -> Option<Grade> {
        let plain = plain(word);
        let is_plain = plain.chars().all(char::is_alphabetic);
        if is_plain {
            return self.known(&plain).or_else(|| self.known(&drawn_in(&plain)?));
        }
        if plain.chars().count() < LEET_MIN || !plain.starts_with(|c: char| c.is_alphabetic() || c == '$') {
            return None;
        }
        let letters: String = plain.chars().map(letter).collect();
        if letters.contains('*') {
            return self.starred(&letters);
        }
        self.known(&letters).or_else(|| self.known(&drawn_in(&letters)?))
    }

    fn known(&self, word: &str) -> Option<Grade> {
        if let Some(grade) = self.whole.get(word) {
            return Some(*grade);
        }
        let third = word.char_indices().nth(3).map_or(word.len(), |(at, _)| at);
        let heads = self.heads.get(&word[..third])?;
        heads.iter().find(|(head, _)| word.starts_with(head.as_str())).map(|(_, grade)| *grade)
    }

    /// `f**k`: the stars stand for a letter each, and two letters at least are left.
    fn starred(&self, word: &str) -> Option<Grade> {
        let word: Vec<char> = word.chars().collect();
        let shown = word.iter().filter(|c| **c != '*').count();
        // What is starred must be inside what is known, or any word would do.
        let stars_end = word.iter().rposition(|c| *c == '*').map_or(0, |last| last + 1);
        let known = self.by_letter.get(word.first()?).filter(|_| shown >= 2)?;
        let fits = |known: &[char], is_head: bool| {
            (known.len() == word.len() || is_head && (stars_end..word.len()).contains(&known.len()))
                && known.iter().zip(&word).all(|(known, shown)| known == shown || *shown == '*')
        };
        known.iter().filter(|(known, is_head, _)| fits(known, *is_head)).map(|(.., grade)| *grade).max()
    }
}

/// The word without case and accents.
fn plain(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    for c in word.chars() {
        match part(c) {
            Part::Letter('ß') => plain.push_str("ss"),
            Part::Letter(c) | Part::Word(c) => plain.push(c),
            Part::Gap => plain.push(c),
            Part::Nothing => {}
        }
    }
    plain
}

fn is_mark(c: char) -> bool {
    matches!(c, '@' | '$' | '!' | '*' | '+' | '|')
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || is_mark(c)
}

/// The letter that a digit or mark stands in for.
fn letter(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        c => c,
    }
}

/// `fuuuuck` as `fuck`: letters three times and more are one. `None` when there are none such.
fn drawn_in(word: &str) -> Option<String> {
    let mut runs: Vec<(char, usize)> = Vec::new();
    for c in word.chars() {
        match runs.last_mut() {
            Some((last, count)) if *last == c => *count += 1,
            _ => runs.push((c, 1)),
        }
    }
    let is_drawn = |count: usize| count >= 3;
    runs.iter().any(|(_, count)| is_drawn(*count)).then(|| {
        let letters =
            runs.iter().map(|(c, count)| c.to_string().repeat(if is_drawn(*count) { 1 } else { *count }));
        letters.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        Profanity::new().find(text, &mut found);
        found.iter().map(|finding| &text[finding.span.clone()]).collect()
    }

    #[test]
    fn coarse_words_are_found_in_their_disguises() {
        let check = |text: &str, expected: &[&str]| assert_eq!(found(text), expected, "{text}");
        check("What the fuck, SHIT!", &["fuck", "SHIT"]);
        check("sh1t f*ck f**king fuuuuck", &["sh1t", "f*ck", "f**king", "fuuuuck"]);
        check("f****t", &["f****t"]);
        check("b!tch, a$$hole", &["b!tch", "a$$hole"]);
        check("ｆｕｃｋ shі\u{200b}t", &["ｆｕｃｋ", "shі\u{200b}t"]);
        check(
            "Scheiße, putain, mierda, cazzo, kurwa, блядь",
            &["Scheiße", "putain", "mierda", "cazzo", "kurwa", "блядь"],
        );
    }

    #[test]
    fn other_words_with_the_same_letters_are_left_alone() {
        for text in [
            "Scunthorpe, Essex, assess the class, cocktail, Dick Cheney",
            "take the A55 to Penistone, see section 5.17 and f* in C++",
            "a** b 2** n, **bold**, *shy*, s**t",
            "Con la bite de données, der Dampf, shiitake, Hancock, analysis",
        ] {
            let expected: &[&str] = if text.contains("s**t") { &["s**t"] } else { &[] };
            assert_eq!(found(text), expected, "{text}");
        }
    }
}
