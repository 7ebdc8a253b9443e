//! People and places by rules alone: titles, phrases that introduce somebody, fields of records, lists of common names.
//!
//! No model and no directory: for whoever wants some of the names without either. The rules look for evidence around a
//! capitalised word, so a name without any ("Ask Kowalczyk") is missed, and so is everything in small letters or in scripts
//! without capitals. One pass over the words, a bounded number of words looked at for each.

mod table;
mod word;

use std::ops::Range;

use gauntlet_types::Finding;

use table::{Strength, Tables};
use word::{Word, words};

/// Longer chains of capitalised words are headings.
const PARTS_MAX: usize = 4;
/// No particle is longer; others need not be looked up.
const PARTICLE_BYTES_MAX: usize = 4;
/// The longest phrase before a name, in words.
const PHRASE_WORDS_MAX: usize = 4;

const PERSON: &str = "PERSON";
const LOCATION: &str = "LOCATION";

/// Finds people and places: kind `pii`, labels `PERSON` and `LOCATION`, in order and without overlaps.
///
/// Scores say how good the evidence is: 0.85 for a title, 0.8 for a field or a phrase, 0.75 for a known given name with a
/// surname, 0.6 for what only the sentence makes likely. A title itself is not part of the finding.
pub fn find(text: &str) -> Vec<Finding> {
    let tables = Tables::get();
    let words = words(text);
    let mut found: Vec<Finding> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let rules = [titled, introduced, in_field, known_person, placed, known_place, speaking];
        let context = Context { text, words: &words, tables, at };
        match rules.iter().find_map(|rule| rule(&context)) {
            Some(Match { label, words: range, score }) => {
                let last = &words[range.end - 1];
                let span = words[range.start].span.start..last.span.end - last.possessive();
                found.push(Finding { kind: "pii", label, span, score });
                at = range.end;
            }
            None => at += 1,
        }
    }
    found
}

struct Context<'a> {
    text: &'a str,
    words: &'a [Word<'a>],
    tables: &'static Tables,
    at: usize,
}

struct Match {
    label: &'static str,
    words: Range<usize>,
    score: f32,
}

fn person(words: Range<usize>, score: f32) -> Option<Match> {
    Some(Match { label: PERSON, words, score })
}

/// `Dr. Ann Smith`, `Herr Müller`, `Mme Dupont`.
fn titled(context: &Context<'_>) -> Option<Match> {
    let mut at = context.at;
    // Titles are heaped up: Prof. Dr. Dr.
    while at < context.at + 3
        && context.words.get(at).is_some_and(|word| context.tables.titles.contains(word.text))
    {
        at += 1;
    }
    if at == context.at || !context.is_near(at - 1) {
        return None;
    }
    // Frau von der Leyen: behind a title, small words begin a name.
    let small = (at..at + 2).take_while(|at| context.is_particle(*at)).count();
    let name = context.chain(at + small)?;
    person(at..name.end, 0.85)
}

/// `my name is Ann`, `Hi, this is Ann Smith`, `Regards, Ann Smith`.
fn introduced(context: &Context<'_>) -> Option<Match> {
    let (strength, label) = context.phrase_before()?;
    let name = context.chain(context.at)?;
    let is_enough = match strength {
        Strength::Alone => true,
        Strength::Pair => context.parts(&name) >= 2,
    };
    is_enough.then_some(Match { label, words: name, score: 0.8 })
}

/// `name: Ann Smith`, `"city":"Paris"`.
fn in_field(context: &Context<'_>) -> Option<Match> {
    let key = context.words.get(context.at.checked_sub(1)?)?;
    let first = context.words.get(context.at)?;
    let between = &context.text[key.span.end..first.span.start];
    let is_assigned = between.contains([':', '='])
        && between.chars().all(|c| matches!(c, ':' | '=' | '"' | '\'' | ' ' | '\t'));
    if !is_assigned {
        return None;
    }
    let (label, parts_min) = context.tables.field(key.text)?;
    let name =
        if label == LOCATION { context.chain_of_place(context.at) } else { context.chain(context.at) }?;
    (context.parts(&name) >= parts_min).then_some(Match { label, words: name, score: 0.8 })
}

/// A given name of the list, and a surname behind it.
fn known_person(context: &Context<'_>) -> Option<Match> {
    context.words.get(context.at).filter(|word| context.tables.given.contains(word.text))?;
    let name = context.chain(context.at)?;
    (context.parts(&name) >= 2).then_some(())?;
    person(name, 0.75)
}

/// `lives in Duhameldan`: the phrase makes a place of any name.
fn placed(context: &Context<'_>) -> Option<Match> {
    let before = |count: usize| context.before(count);
    let is_placed = (2..=3)
        .any(|count| before(count).is_some_and(|phrase| context.tables.living.contains(phrase.as_str())));
    is_placed.then_some(())?;
    let name = context.chain_of_place(context.at)?;
    Some(Match { label: LOCATION, words: name, score: 0.75 })
}

/// A country or a city of the list; one that is also a word or a given name only behind a preposition.
fn known_place(context: &Context<'_>) -> Option<Match> {
    let Context { words, tables, at, .. } = *context;
    let first = words.get(at).filter(|word| word.is_capitalised)?;
    // Two and three words before one: New York, Rio de Janeiro.
    for count in (2..=3).rev() {
        let Some(place) = words.get(at..at + count) else { continue };
        if (at..at + count - 1).all(|at| context.is_near(at)) {
            let joined = place.iter().map(|word| word.text).collect::<Vec<_>>().join(" ");
            if tables.places.contains(joined.as_str()) {
                return Some(Match { label: LOCATION, words: at..at + count, score: 0.7 });
            }
        }
    }
    // Part of a longer name: London Bridge Capital, Berlin Müller.
    let is_alone = !(context.is_near(at) && words.get(at + 1).is_some_and(|next| next.is_capitalised));
    let is_placed = at > 0 && context.is_near(at - 1) && tables.prepositions.contains(words[at - 1].text);
    let is_known =
        tables.places.contains(first.text) || (is_placed && tables.places_doubtful.contains(first.text));
    (is_known && is_alone).then_some(Match { label: LOCATION, words: at..at + 1, score: 0.7 })
}

/// `Christopher Moore wrote`: two capitalised words that do what people do.
fn speaking(context: &Context<'_>) -> Option<Match> {
    let name = context.chain(context.at)?;
    let verb = context.words.get(name.end)?;
    let is_free =
        context.at == 0 || !context.is_near(context.at - 1) || !context.words[context.at - 1].is_capitalised;
    let speaks = is_free && context.is_near(name.end - 1) && context.tables.speaking.contains(verb.text);
    (speaks && matches!(context.parts(&name), 2 | 3)).then_some(())?;
    person(name, 0.6)
}

impl Context<'_> {
    /// Whether only a blank (or a point of an abbreviation and a blank) stands between a word and the next.
    fn is_near(&self, at: usize) -> bool {
        let (Some(word), Some(next)) = (self.words.get(at), self.words.get(at + 1)) else { return false };
        match &self.text[word.span.end..next.span.start] {
            " " | "\u{a0}" => true,
            ". " | "." => word.is_short() || self.tables.titles.contains(word.text),
            _ => false,
        }
    }

    /// A chain of capitalised words from `at` on that may be a name, with small words such as `von` inside.
    fn chain(&self, at: usize) -> Option<Range<usize>> {
        self.chain_of(at, |word| !self.tables.never.contains(word.text))
    }

    /// The same for places, which may begin with words that otherwise stand beside names: North, Lake.
    fn chain_of_place(&self, at: usize) -> Option<Range<usize>> {
        self.chain_of(at, |word| {
            self.tables.place_beginnings.contains(word.text) || !self.tables.never.contains(word.text)
        })
    }

    fn chain_of(&self, at: usize, is_allowed: impl Fn(&Word<'_>) -> bool) -> Option<Range<usize>> {
        let is_part =
            |at: usize| self.words.get(at).is_some_and(|word| word.is_capitalised && is_allowed(word));
        if !is_part(at) {
            return None;
        }
        let (mut end, mut parts) = (at + 1, 1);
        while parts < PARTS_MAX && self.is_near(end - 1) {
            // One or two small words: de la, van der.
            let small = (end..end + 2).take_while(|at| self.is_particle(*at)).count();
            if !is_part(end + small) {
                break;
            }
            end += small + 1;
            parts += 1;
        }
        let is_longer = self.is_near(end - 1) && is_part(end);
        let last = &self.words[end - 1];
        // A single letter is no name, and whoever is called Inc is no person.
        let is_initial = parts == 1 && last.is_short();
        let is_name = !(is_longer || is_initial || self.tables.firms.contains(last.text));
        is_name.then_some(at..end)
    }

    /// A small word of a name. Inside of one it may have a capital: Le Goff, Van Dyke.
    fn is_particle(&self, at: usize) -> bool {
        let Some(word) = self.words.get(at).filter(|word| word.text.len() <= PARTICLE_BYTES_MAX) else {
            return false;
        };
        self.tables.particles.contains(word.text.to_lowercase().as_str()) && self.is_near(at)
    }

    fn parts(&self, name: &Range<usize>) -> usize {
        self.words[name.clone()].iter().filter(|word| word.is_capitalised).count()
    }

    /// The words before, in small letters.
    fn before(&self, count: usize) -> Option<String> {
        let words = self.words.get(self.at.checked_sub(count)?..self.at)?;
        Some(words.iter().map(|word| word.text.to_lowercase()).collect::<Vec<_>>().join(" "))
    }

    /// A phrase that introduces somebody and ends right before, without the end of a sentence in between.
    fn phrase_before(&self) -> Option<(Strength, &'static str)> {
        let last = self.words.get(self.at.checked_sub(1)?)?;
        let first = self.words.get(self.at).filter(|word| word.is_capitalised)?;
        let between = &self.text[last.span.end..first.span.start];
        let strength = (1..=PHRASE_WORDS_MAX).rev().find_map(|count| {
            let phrase = self.before(count)?;
            self.tables.phrases.get(phrase.as_str()).copied()
        })?;
        let is_joined = match between {
            " " | "\u{a0}" => true,
            // What closes a letter stands on a line of its own.
            _ => {
                self.tables.closings.contains(last.text)
                    && between.chars().all(|c| matches!(c, ',' | '\n' | '\r' | ' '))
                    && between.len() <= 4
            }
        };
        is_joined.then_some((strength, PERSON))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = find(text);
        let found: Vec<(&str, &str)> =
            found.iter().map(|found| (found.label, &text[found.span.clone()])).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn a_title_makes_a_person_of_the_name_behind_it() {
        check("Dr. Ann Smith called.", &[(PERSON, "Ann Smith")]);
        check("Dr. Merkel's office", &[(PERSON, "Merkel")]);
        check("Herr Müller und Frau von der Leyen", &[(PERSON, "Müller"), (PERSON, "von der Leyen")]);
        check("Mme Dupont, M. Lefèvre", &[(PERSON, "Dupont"), (PERSON, "Lefèvre")]);
        check("Prof. Dr. Ludwig van Beethoven", &[(PERSON, "Ludwig van Beethoven")]);
        check("Sra. María de la Cruz", &[(PERSON, "María de la Cruz")]);
        check("Mrs Yannick Le Goff", &[(PERSON, "Yannick Le Goff")]);
        check("Ms. J. O'Neill-Smith", &[(PERSON, "J. O'Neill-Smith")]);
    }

    #[test]
    fn a_title_alone_or_before_a_small_word_is_nobody() {
        check("the Dr. said so", &[]);
        check("Mr. President", &[]);
        check("Sir, I object", &[]);
    }

    #[test]
    fn a_phrase_or_a_field_introduces_somebody() {
        check("my name is Zebulon.", &[(PERSON, "Zebulon")]);
        check("Ich heiße Änne Jacobi Jäckel", &[(PERSON, "Änne Jacobi Jäckel")]);
        check("Je m'appelle Hyacinthe", &[(PERSON, "Hyacinthe")]);
        check("Best regards,\nXanthe Quill", &[(PERSON, "Xanthe Quill")]);
        check(
            "{\"name\":\"Mato Wohlgemut\",\"city\":\"Sarafort\"}",
            &[(PERSON, "Mato Wohlgemut"), (LOCATION, "Sarafort")],
        );
        check("name: Build\nfile name: Main", &[]);
        check("Dear Customer, this is Great", &[]);
    }

    #[test]
    fn lists_know_common_names_and_places() {
        check("ask Laura Zywicki", &[(PERSON, "Laura Zywicki")]);
        check(
            "offices in Paris, New York and Rio de Janeiro",
            &[(LOCATION, "Paris"), (LOCATION, "New York"), (LOCATION, "Rio de Janeiro")],
        );
        check("She lives in Lower Dunmore.", &[(LOCATION, "Lower Dunmore")]);
        check("city: North Adriansberg", &[(LOCATION, "North Adriansberg")]);
        check("we flew from Nice to Reading", &[(LOCATION, "Nice"), (LOCATION, "Reading")]);
        check("Nice work. Reading is fun. Turkey sandwich", &[]);
    }

    #[test]
    fn headings_firms_and_days_are_not_people() {
        check("Christopher Street Station Opens On Monday Morning", &[]);
        check("Acme Widgets Inc said", &[]);
        check("The Committee wrote", &[]);
        check("On Monday Morning wrote", &[]);
    }

    proptest! {
        #[test]
        fn findings_lie_in_order_on_characters(text in "(Dr\\. |Ann |von |my name is |name: |in |Paris|\\n|[.,'\"-]|\\PC){0,40}") {
            let mut end = 0;
            for found in find(&text) {
                prop_assert!(text.get(found.span.clone()).is_some_and(|covered| !covered.is_empty()));
                prop_assert!(found.span.start >= end);
                end = found.span.end;
            }
        }
    }
}
