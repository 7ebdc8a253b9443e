//! Whether two questions that are near in meaning may have the same answer: their numbers, dates, quotations, names and
//! negations must agree, and neither may say the opposite of the other.
//!
//! Encoders place "in 2023" beside "in 2024" and "enable" beside "disable": what decides about the answer is a small part of
//! the words. These rules are deliberately strict, since a hit that is missed costs a call and a false one gives a wrong
//! answer. They are made for English, and know a little of some other languages of Europe. What they do not see: a name or a
//! thing in small letters that no list has.

mod words;

use words::{BETWEEN, DAYS, EXCLUSIVE, LANGUAGES, NEGATIONS, NUMBERS, OPPOSITES, QUESTIONS};

/// In what two questions differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Difference {
    Language,
    Number,
    Date,
    Quotation,
    Name,
    Negation,
    Opposite,
    /// Two of a kind that exclude each other: units, colours, systems.
    Kind,
    /// One asks why, the other how.
    Question,
    /// From here to there, from there to here.
    Direction,
}

impl Difference {
    pub const fn as_str(self) -> &'static str {
        match self {
            Difference::Language => "language",
            Difference::Number => "number",
            Difference::Date => "date",
            Difference::Quotation => "quotation",
            Difference::Name => "name",
            Difference::Negation => "negation",
            Difference::Opposite => "opposite",
            Difference::Kind => "kind",
            Difference::Question => "question",
            Difference::Direction => "direction",
        }
    }
}

/// The first thing in which they differ; none where both may have the same answer.
pub fn difference(a: &str, b: &str) -> Option<Difference> {
    let (a, b) = (Read::of(a), Read::of(b));
    let differ = [
        (Difference::Language, a.other_language(&b)),
        (Difference::Quotation, a.quoted != b.quoted),
        (Difference::Number, a.numbers != b.numbers),
        (Difference::Date, a.dates() != b.dates()),
        (Difference::Negation, a.negates() != b.negates()),
        (Difference::Name, a.other_names(&b)),
        (Difference::Opposite, a.opposes(&b)),
        (Difference::Kind, EXCLUSIVE.iter().any(|kind| conflict(&a.of_kind(kind), &b.of_kind(kind)))),
        (Difference::Question, a.asks_otherwise(&b)),
        (Difference::Direction, a.turns(&b)),
    ];
    differ.into_iter().find_map(|(difference, differs)| differs.then_some(difference))
}

/// Both say something, and not the same.
fn conflict(a: &[&str], b: &[&str]) -> bool {
    !a.is_empty() && !b.is_empty() && a != b
}

struct Word {
    /// In small letters.
    text: String,
    /// What is left of it without its ending.
    stem: String,
    /// Written with capitals where a common word is not.
    is_name: bool,
}

/// What of a question decides about its answer.
struct Read {
    words: Vec<Word>,
    /// In order: `5 km in miles` is another question than `5 miles in km`.
    numbers: Vec<String>,
    quoted: Vec<String>,
    script: Script,
}

/// The writing most of the letters are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Script {
    None,
    Latin,
    Greek,
    Cyrillic,
    Arabic,
    Hebrew,
    Chinese,
    Japanese,
    Korean,
    Other,
}

impl Read {
    fn of(text: &str) -> Read {
        let text = text.replace(['\u{2019}', '\u{2018}'], "'");
        let (mut words, mut numbers) = (Vec::new(), Vec::new());
        // The first word of a sentence has a capital whatever it is.
        let mut begins = true;
        let mut rest = text.as_str();
        let mut before = ' ';
        while let Some(first) = rest.chars().next() {
            if !first.is_alphanumeric() {
                if let Some(unit) = sign(first) {
                    words.push(Word { text: unit.to_owned(), stem: unit.to_owned(), is_name: false });
                }
                begins |= matches!(first, '.' | '!' | '?' | ':' | '\n');
                before = first;
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let (token, after) = rest.split_at(token_end(rest));
            read_token(token, begins, before, &mut words, &mut numbers);
            (begins, rest) = (false, after);
            before = token.chars().next_back().unwrap_or(' ');
        }
        Read { words, numbers, quoted: quoted(&text), script: script(&text) }
    }

    fn has(&self, text: &str) -> bool {
        self.words.iter().any(|word| word.text == text)
    }

    fn negates(&self) -> bool {
        self.words.iter().any(|word| NEGATIONS.contains(&word.text.as_str()) || word.text.ends_with("n't"))
    }

    /// Months where they are written as names, days, and days told from today.
    fn dates(&self) -> Vec<&str> {
        let date = |word: &Word| {
            DAYS.iter().find(|(name, may_be_small)| {
                // `may` and `march` are words of their own.
                *name == word.text && (*may_be_small || word.is_name)
            })
        };
        self.words.iter().filter_map(|word| date(word).map(|(name, _)| *name)).collect()
    }

    /// The names of either, in the order in which they stand here.
    fn names_of<'a>(&'a self, other: &'a Read) -> Vec<&'a str> {
        let is_named = |word: &&Word| {
            word.is_name || other.words.iter().any(|theirs| theirs.is_name && theirs.text == word.text)
        };
        self.words.iter().filter(is_named).map(|word| word.text.as_str()).collect()
    }

    fn other_names(&self, other: &Read) -> bool {
        self.names_of(other) != other.names_of(self)
    }

    fn opposes(&self, other: &Read) -> bool {
        let stems = |read: &Read, word: &str| read.words.iter().any(|known| known.stem == stem(word));
        let is_turned = |one: &str, two: &str| {
            let (a, b) = ((stems(self, one), stems(self, two)), (stems(other, one), stems(other, two)));
            a != b && (a.0 != a.1) && (b.0 != b.1)
        };
        OPPOSITES.iter().any(|(one, two)| is_turned(one, two))
            || self.is_denied_by(other)
            || other.is_denied_by(self)
    }

    /// `install` here, `uninstall` there.
    fn is_denied_by(&self, other: &Read) -> bool {
        const PREFIXES: [&str; 8] = ["un", "dis", "in", "im", "il", "ir", "non", "de"];
        let is_denied = |word: &Word| {
            word.stem.len() > 3
                && !other.words.iter().any(|theirs| theirs.stem == word.stem)
                && PREFIXES.iter().any(|prefix| {
                    let is_opposite = |theirs: &Word| {
                        theirs
                            .stem
                            .strip_prefix(prefix)
                            .is_some_and(|rest| rest.trim_start_matches('-') == word.stem)
                    };
                    other.words.iter().any(is_opposite) && !self.words.iter().any(is_opposite)
                })
        };
        self.words.iter().any(is_denied)
    }

    /// What is said of a kind, in the word that stands for all of one meaning.
    fn of_kind(&self, kind: &[&'static [&'static str]]) -> Vec<&'static str> {
        let meaning = |word: &Word| {
            let same = kind
                .iter()
                .find(|same| same.iter().any(|known| *known == word.text || stem(known) == word.stem));
            same.map(|same| same[0])
        };
        self.words.iter().filter_map(meaning).collect()
    }

    /// When and who are asked in other words, too (`at what time`, `which author`); why and where hardly are.
    fn asks_otherwise(&self, other: &Read) -> bool {
        let asks =
            |read: &Read| -> Vec<&str> { QUESTIONS.iter().filter(|word| read.has(word)).copied().collect() };
        conflict(&asks(self), &asks(other))
            || ["why", "where"].iter().any(|word| self.has(word) != other.has(word))
    }

    /// Both sides of a word that leads from one to the other; of a row of small words only the last.
    fn ways(&self) -> Vec<(&str, &str)> {
        let is_small =
            |word: &Word| word.text.len() < 3 || matches!(word.text.as_str(), "the" | "and" | "for");
        let ways = self.words.iter().enumerate().filter(|(_, word)| BETWEEN.contains(&word.text.as_str()));
        let sides = ways.filter_map(|(at, _)| {
            let before = self.words[..at].iter().rev().find(|word| !is_small(word))?;
            let after = self.words[at + 1..].iter().find(|word| !is_small(word))?;
            Some((before.stem.as_str(), after.stem.as_str()))
        });
        sides.collect()
    }

    fn turns(&self, other: &Read) -> bool {
        let theirs = other.ways();
        self.has("from") != other.has("from")
            || self.ways().iter().any(|(before, after)| before != after && theirs.contains(&(after, before)))
    }

    /// The language that most of the common words are of; none where that is not plain.
    fn language(&self) -> Option<&'static str> {
        let count =
            |common: &[&str]| self.words.iter().filter(|word| common.contains(&word.text.as_str())).count();
        let mut counts: Vec<(usize, &str)> =
            LANGUAGES.iter().map(|(name, common)| (count(common), *name)).collect();
        counts.sort_unstable();
        let (most, second) = (counts[counts.len() - 1], counts[counts.len() - 2]);
        (most.0 >= 2 && most.0 > second.0).then_some(most.1)
    }

    fn other_language(&self, other: &Read) -> bool {
        let is_other_script =
            self.script != other.script && self.script != Script::None && other.script != Script::None;
        let languages = self.language().zip(other.language());
        is_other_script || languages.is_some_and(|(own, theirs)| own != theirs)
    }
}

/// Letters and digits with what may stand within: `don't`, `3.5`, `1,000`, `snake_case`, `non-fiction`.
fn token_end(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        if char.is_alphanumeric() {
            continue;
        }
        let after = chars.peek().map_or(' ', |(_, next)| *next);
        let joins = match char {
            '.' | ',' => after.is_ascii_digit() && text[..at].ends_with(|last: char| last.is_ascii_digit()),
            '\'' | '_' | '-' => {
                after.is_alphanumeric() && !text[..at].ends_with(|last: char| last.is_ascii_digit())
            }
            // `c++`, `c#`
            '+' | '#' => at == 1,
            _ => false,
        };
        if !joins {
            return at;
        }
    }
    text.len()
}

fn read_token(token: &str, begins: bool, before: char, words: &mut Vec<Word>, numbers: &mut Vec<String>) {
    let lower = token.to_lowercase();
    let text = lower.strip_suffix("'s").unwrap_or(&lower);
    if let Some((_, digits)) = NUMBERS.iter().find(|(name, _)| *name == text) {
        numbers.push((*digits).to_owned());
        return;
    }
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        let end = text
            .find(|char: char| !(char.is_ascii_digit() || matches!(char, '.' | ',')))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let sign = if before == '-' { "-" } else { "" };
        let number = number.replace(',', "");
        let plain =
            if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
        numbers.push(format!("{sign}{plain}"));
        if !unit.is_empty() && !matches!(unit, "st" | "nd" | "rd" | "th") {
            words.push(Word { text: unit.to_owned(), stem: stem(unit), is_name: false });
        }
        return;
    }
    // `v2`, `iPhone15`: the digits count as a number, the whole as a name.
    let digits: String = token.chars().filter(char::is_ascii_digit).collect();
    if !digits.is_empty() {
        numbers.push(digits);
    }
    let has_inner =
        token.chars().skip(1).any(|char| char.is_uppercase() || char == '_' || char.is_ascii_digit());
    let is_first_person = matches!(text, "i" | "i'm" | "i've" | "i'd" | "i'll");
    let is_capital = token.starts_with(char::is_uppercase) && !begins && !is_first_person;
    words.push(Word {
        text: text.to_owned(),
        stem: stem(text),
        is_name: is_capital || (has_inner && !is_first_person),
    });
}

/// A sign that is read as a unit.
fn sign(char: char) -> Option<&'static str> {
    match char {
        '%' => Some("percent"),
        '$' => Some("usd"),
        '€' => Some("eur"),
        '£' => Some("gbp"),
        '¥' => Some("jpy"),
        _ => None,
    }
}

/// A word without its ending, crudely: only so that forms of one word meet.
fn stem(word: &str) -> String {
    let mut stem = word;
    for ending in ["ing", "est", "er", "ed", "s"] {
        if let Some(rest) = stem.strip_suffix(ending)
            && rest.chars().count() > 2
            && !(ending == "s" && rest.ends_with('s'))
        {
            stem = rest;
            break;
        }
    }
    let stem = stem.strip_suffix('e').filter(|rest| rest.len() > 2).unwrap_or(stem);
    let mut letters: Vec<char> = stem.chars().collect();
    // `stopp` of `stopped`
    if letters.len() > 3 && letters[letters.len() - 1] == letters[letters.len() - 2] {
        letters.pop();
    }
    letters.into_iter().collect()
}

/// What stands in quotation marks or as code.
fn quoted(text: &str) -> Vec<String> {
    const PAIRS: [(char, char); 6] =
        [('"', '"'), ('`', '`'), ('“', '”'), ('«', '»'), ('„', '“'), ('\'', '\'')];
    let mut quoted = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let inside = &rest[first.len_utf8()..];
        let close = PAIRS.iter().find(|(open, _)| *open == first).map(|(_, close)| *close);
        // An apostrophe stands behind a letter, a quotation does not begin there.
        let close = close.filter(|_| first != '\'' || !before.is_alphanumeric());
        let end = close.and_then(|close| {
            inside.char_indices().find(|(at, char)| {
                let after = inside[at + char.len_utf8()..].chars().next().unwrap_or(' ');
                *char == close && (*char != '\'' || !after.is_alphanumeric())
            })
        });
        match end {
            Some((at, close)) if at > 0 => {
                quoted.push(inside[..at].to_lowercase());
                rest = &inside[at + close.len_utf8()..];
                before = close;
            }
            _ => (rest, before) = (inside, first),
        }
    }
    quoted
}

fn script(text: &str) -> Script {
    let of = |char: char| match u32::from(char) {
        0x41..=0x24F | 0x1E00..=0x1EFF => Script::Latin,
        0x370..=0x3FF => Script::Greek,
        0x400..=0x52F => Script::Cyrillic,
        0x590..=0x5FF => Script::Hebrew,
        0x600..=0x6FF => Script::Arabic,
        0x3040..=0x30FF => Script::Japanese,
        0x4E00..=0x9FFF => Script::Chinese,
        0xAC00..=0xD7AF => Script::Korean,
        _ => Script::Other,
    };
    let mut counts = [0_usize; 10];
    for char in text.chars().filter(|char| char.is_alphabetic()) {
        counts[of(char) as usize] += 1;
    }
    // Japanese is written with Chinese signs between its own.
    if counts[Script::Japanese as usize] > 0 {
        counts[Script::Japanese as usize] += counts[Script::Chinese as usize];
    }
    const ALL: [Script; 10] = [
        Script::None,
        Script::Latin,
        Script::Greek,
        Script::Cyrillic,
        Script::Arabic,
        Script::Hebrew,
        Script::Chinese,
        Script::Japanese,
        Script::Korean,
        Script::Other,
    ];
    let most = ALL.into_iter().max_by_key(|script| counts[*script as usize]).unwrap_or(Script::None);
    if counts[most as usize] == 0 { Script::None } else { most }
}

#[cfg(test)]
mod tests;
