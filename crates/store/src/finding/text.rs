//! What people type to search texts: words that all must occur, `"a phrase"`, `begin*`, `-without`.
//!
//! Nothing typed is a mistake. Every character that is no letter or digit only separates words, so that what reaches a
//! database's own search language is letters and digits in quotes.

use super::words;

/// Conditions taken from one question; an address holds less.
const PHRASES_MAX: usize = 128;
/// A beginning of fewer letters is looked for as a word: it would match most of what was ever said.
const BEGINNING_MIN: usize = 3;

/// Words that stand beside each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Phrase {
    pub words: Vec<String>,
    /// The last word need only begin like this.
    pub is_beginning: bool,
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct TextQuery {
    pub wanted: Vec<Phrase>,
    pub unwanted: Vec<Phrase>,
}

impl TextQuery {
    pub(crate) fn parse(text: &str) -> TextQuery {
        let mut query = TextQuery::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() && query.wanted.len() + query.unwanted.len() < PHRASES_MAX {
            let without = rest.strip_prefix('-').filter(|rest| !rest.starts_with(char::is_whitespace));
            let item = without.unwrap_or(rest);
            let (said, after) = match item.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => item.split_at(item.find(char::is_whitespace).unwrap_or(item.len())),
            };
            let starred = said.strip_suffix('*').filter(|_| !item.starts_with('"'));
            let (after, is_starred) = match after.strip_prefix('*') {
                Some(after) => (after, true),
                None => (after, starred.is_some()),
            };
            let words = words::of_text(said);
            if let Some(last) = words.last() {
                let is_beginning = is_starred && last.chars().count() >= BEGINNING_MIN;
                let phrase = Phrase { words, is_beginning };
                if without.is_some() { query.unwanted.push(phrase) } else { query.wanted.push(phrase) }
            }
            rest = after.trim_start();
        }
        query
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.unwanted.is_empty()
    }

    /// Whether it matters where words stand.
    pub(crate) fn has_phrases(&self) -> bool {
        self.wanted.iter().chain(&self.unwanted).any(|phrase| phrase.words.len() > 1)
    }

    /// Whether a call with these words, as [`words::of_call`] gives them, is meant.
    pub(crate) fn fits(&self, words: &str) -> bool {
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        self.wanted.iter().all(|phrase| phrase.is_in(&words))
            && !self.unwanted.iter().any(|phrase| phrase.is_in(&words))
    }
}

impl Phrase {
    fn is_in(&self, words: &[&str]) -> bool {
        let Some((last, others)) = self.words.split_last() else { return false };
        words.windows(self.words.len()).any(|window| {
            let Some((end, begin)) = window.split_last() else { return false };
            let ends = if self.is_beginning { end.starts_with(&**last) } else { **end == **last };
            ends && begin.iter().zip(others).all(|(have, want)| *have == *want)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_phrases() {
        let check = |text: &str, shown: &str| {
            let query = TextQuery::parse(text);
            let show = |sign: &str, phrases: &[Phrase]| -> Vec<String> {
                let star = |phrase: &Phrase| if phrase.is_beginning { "*" } else { "" };
                phrases
                    .iter()
                    .map(|phrase| format!("{sign}{}{}", phrase.words.join("+"), star(phrase)))
                    .collect()
            };
            let all = [show("", &query.wanted), show("-", &query.unwanted)].concat();
            assert_eq!(all.join(" "), shown, "{text:?}");
        };
        check("Refund ORDER", "refund order");
        check("\"where is\" my", "where+is my");
        check("-spam ham -\"green eggs\"", "ham -spam -green+eggs");
        check("conf* a* -pre*", "conf* a -pre*");
        check("\"where is conf\"*", "where+is+conf*");
        check("mail@host.example", "mail+host+example");
        check("\"open end", "open+end");
        check("\"\" - -- * \"*\" ' ) OR", "or");
        check("names:x NEAR(a b) {words}: a^b", "names+x near+a b words a+b");
        check("東京", "東+京");
        check("", "");
    }

    #[test]
    fn words_of_a_call_decide() {
        let check = |text: &str, words: &str, fits: bool| {
            assert_eq!(TextQuery::parse(text).fits(words), fits, "{text:?} in {words:?}");
        };
        check("b a", "a b c ", true);
        check("\"b a\"", "a b c ", false);
        check("\"b c\"", "a b c ", true);
        check("a -d", "a b c ", true);
        check("a -b", "a b c ", false);
        check("-d", "a b c ", true);
        check("confi*", "the configuration ", true);
        check("confi", "the configuration ", false);
        check("", "a ", true);
        check("a", "", false);
    }
}
