//! Whether what an answer cites is there: ids among the given sources, addresses in them or on a list of hosts, quoted
//! text in one of them.
//!
//! A quotation fits a source when its words stand there in a row, with one word in eight wrong, missing or too many;
//! below eight words all of them must fit. One changed word can turn a short sentence round (`is safe`, `is not safe`),
//! which is why the allowance is small. Sources are indexed once, and a quotation is compared at the few places where
//! most pairs of its words stand in a row with the right distance, so that time is linear in sources and answer.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use regex::Regex;

use crate::{
    host::{Address, Hosts},
    misfit::Misfit,
    output::{contract::ContractError, links::LinkRules},
    pattern,
    shingle::{self, Word},
};

const CITATIONS: &str = "citations";

/// What stands between the brackets of a citation is no longer, in bytes.
const BRACKETS_MAX: usize = 80;
/// The letters and digits of an id: `doc-3`, `Source 4`, `5`.
const ID_LETTERS_MAX: usize = 16;
const ID_DIGITS_MAX: usize = 6;

/// Fewer words between quotation marks are a term.
const QUOTE_WORDS_MIN: usize = 5;
/// Longer quotations are compared up to here, in bytes.
const QUOTE_MAX: usize = 4096;
/// Of so many words one may be wrong.
const WORDS_PER_EDIT: usize = 8;
/// Places at which a quotation is compared, and how many occurrences of a pair of words are kept.
const PLACES_MAX: usize = 4;
const OCCURRENCES_MAX: usize = 32;
/// More misfits help no one.
const MISFITS_MAX: usize = 32;

/// What to ask of citations.
#[derive(Clone, Debug, Default)]
pub struct CitationRules {
    /// Ids must be those of sources.
    pub has_ids: bool,
    /// The pattern of a citation; its first group is the id, or ids with commas. `None` for `[1]`, `[doc-3]` and kin.
    pub pattern: Option<String>,
    /// Addresses must stand in a source, or be on one of the hosts.
    pub has_urls: bool,
    pub hosts: Vec<String>,
    /// Five words and more between quotation marks must stand in a source.
    pub has_quotes: bool,
}

/// A text that the model was given to answer from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub id: &'a str,
    pub text: &'a str,
}

/// Compiled rules for citations.
#[derive(Clone, Debug)]
pub struct Citations {
    rules: CitationRules,
    pattern: Option<Regex>,
    hosts: Hosts,
}

impl Citations {
    pub fn compile(rules: &CitationRules) -> Result<Citations, ContractError> {
        let compile = |text: &String| {
            let failed = |reason| ContractError::Pattern { pattern: text.clone(), reason };
            pattern::compile(text).map_err(failed)
        };
        let pattern = rules.pattern.as_ref().map(compile).transpose()?;
        Ok(Citations { pattern, hosts: Hosts::new(&rules.hosts), rules: rules.clone() })
    }

    /// What in the answer cites nothing; at most 32, in order.
    pub fn check(&self, answer: &str, sources: &[Source]) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        if self.rules.has_ids {
            self.check_ids(answer, sources, &mut misfits);
        }
        if self.rules.has_urls {
            self.check_urls(answer, sources, &mut misfits);
        }
        if self.rules.has_quotes {
            check_quotes(answer, sources, &mut misfits);
        }
        misfits.sort_by_key(|misfit| misfit.span.as_ref().map_or(0, |span| span.start));
        misfits.truncate(MISFITS_MAX);
        misfits
    }

    fn check_ids(&self, answer: &str, sources: &[Source], misfits: &mut Vec<Misfit>) {
        let known: HashSet<String> = sources.iter().map(|source| folded(source.id)).collect();
        let cited: Vec<Range<usize>> = match &self.pattern {
            Some(pattern) => {
                let groups = pattern.captures_iter(answer).filter_map(|found| found.get(1).or(found.get(0)));
                groups.map(|ids| ids.range()).collect()
            }
            None => bracketed(answer),
        };
        for span in cited {
            let ids = answer.get(span.clone()).unwrap_or_default();
            let unknown = ids.split([',', ';']).filter(|id| !known.contains(&folded(id))).count();
            if unknown > 0 {
                let reason = format!("{unknown} of the cited ids name no source that was given");
                misfits.push(Misfit::new(CITATIONS, "unknown_source", reason).at(span));
            }
        }
    }

    fn check_urls(&self, answer: &str, sources: &[Source], misfits: &mut Vec<Misfit>) {
        let nowhere = LinkRules::default();
        let mut texts: Vec<&str> = sources.iter().map(|source| source.text).collect();
        texts.extend(sources.iter().map(|source| source.id));
        let given = nowhere.for_call(&texts, &[]);
        let mut links = Vec::new();
        given.find(answer, &mut links);
        for link in links {
            let address = answer.get(link.span.clone()).and_then(|text| match text.get(..4) {
                Some(www) if www.eq_ignore_ascii_case("www.") => Address::parse(&format!("//{text}")),
                _ => Address::parse(text),
            });
            if !address.is_some_and(|address| self.hosts.allow(&address.host)) {
                let reason = "the address stands in no source, and its host is on no list";
                misfits.push(Misfit::new(CITATIONS, "unknown_url", reason).at(link.span));
            }
        }
    }
}

/// What stands in the brackets of `[1]`, `[^2]`, `[doc-3]`, `[1, Source 4]`, `【5】`; not of `a[0]`, `[x]`, `[1](link)` or
/// the definition `[1]: address`.
fn bracketed(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, open) in text.match_indices(['[', '【']) {
        let start = at + open.len();
        let is_index =
            text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ')');
        let inside = text[start..].char_indices().take_while(|(len, c)| *len < BRACKETS_MAX && *c != '[');
        let close = inside.into_iter().find(|(_, c)| matches!(c, ']' | '】'));
        let Some((len, close)) = close else { continue };
        let after = text[start + len + close.len_utf8()..].chars().next();
        let ids = text[start..start + len].trim_start_matches('^');
        // A word may end in its citation: `so[1]`. An index follows a name, which no prose tells apart from it; digits of
        // ids begin at 1, and `a[0]` is the index that is met most.
        let is_citation = ids.split([',', ';']).all(is_id) && !matches!(after, Some('(' | ':'));
        if is_citation && (!is_index || is_prose(text, start + len + close.len_utf8())) {
            found.push(start + len - ids.len()..start + len);
        }
    }
    found
}

/// Whether what follows a bracket is how a sentence goes on, and not a formula or program.
fn is_prose(text: &str, at: usize) -> bool {
    let rest = &text[at..];
    let mark = rest.trim_start().chars().next();
    let is_program =
        matches!(mark, Some('=' | '+' | '*' | '/' | '<' | '>' | '%' | '&' | '|' | '{' | '}' | ')' | '`'));
    !is_program && (rest.is_empty() || rest.starts_with(['.', ',', ' ', '\n', '[', ';', '!', '?']))
}

fn is_id(text: &str) -> bool {
    let text = text.trim();
    let letters = text.chars().take_while(|c| c.is_alphabetic()).count();
    let rest = text.trim_start_matches(char::is_alphabetic);
    let digits = if letters > 0 { rest.trim_start_matches(['-', '_', ' ', ':', '#']) } else { rest };
    letters <= ID_LETTERS_MAX
        && rest.len() - digits.len() <= 1
        && (1..=ID_DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn folded(id: &str) -> String {
    id.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn check_quotes(answer: &str, sources: &[Source], misfits: &mut Vec<Misfit>) {
    let quotes = quotes(answer);
    if quotes.is_empty() {
        return;
    }
    let index = Index::of(sources);
    for span in quotes {
        let quote = &answer[span.clone()];
        // What was left out parts the quotation.
        let parts = quote.split("[...]").flat_map(|part| part.split("[…]")).flat_map(|part| part.split('…'));
        let parts = parts.flat_map(|part| part.split("..."));
        let is_there =
            parts.map(shingle::words).filter(|words| words.len() >= 3).all(|words| index.has(&words));
        if !is_there && shingle::words(quote).len() >= QUOTE_WORDS_MIN {
            let reason = "the quoted words stand in no source";
            misfits.push(Misfit::new(CITATIONS, "unknown_quote", reason).at(span));
        }
    }
}

/// Text between quotation marks. Straight ones are paired within a paragraph, as an inch mark would turn all after it
/// inside out otherwise.
fn quotes(text: &str) -> Vec<Range<usize>> {
    let mut quotes = Vec::new();
    let mut open: Option<(usize, char)> = None;
    for (at, c) in text.char_indices() {
        if let Some((start, close)) = open {
            let is_german = close == '“' && c == '”';
            if c == close || is_german {
                if at - start <= QUOTE_MAX {
                    quotes.push(start..at);
                }
                open = None;
                continue;
            }
            if c == '\n' && text[at + 1..].starts_with('\n') || at - start > QUOTE_MAX {
                open = None;
            } else {
                continue;
            }
        }
        let close = match c {
            '"' => '"',
            '“' => '”',
            '„' => '“',
            '«' => '»',
            '»' => '«',
            '「' => '」',
            '『' => '』',
            _ => continue,
        };
        open = Some((at + c.len_utf8(), close));
    }
    quotes
}

/// The words of all sources, one after the other, and where pairs of them stand.
struct Index {
    words: Vec<u64>,
    pairs: HashMap<u64, Vec<u32>>,
}

impl Index {
    fn of(sources: &[Source]) -> Index {
        let mut index = Index { words: Vec::new(), pairs: HashMap::new() };
        for source in sources {
            let words = shingle::words(source.text);
            for (i, pair) in words.windows(2).enumerate() {
                let places = index.pairs.entry(shingle::run(pair)).or_default();
                if places.len() < OCCURRENCES_MAX {
                    places.push((index.words.len() + i) as u32);
                }
            }
            index.words.extend(words.iter().map(|word| word.hash));
            // So that no quotation goes from one source to the next.
            index.words.push(0);
        }
        index
    }

    fn has(&self, quote: &[Word]) -> bool {
        let allowed = quote.len() / WORDS_PER_EDIT;
        let mut votes: HashMap<i64, usize> = HashMap::new();
        for (i, pair) in quote.windows(2).enumerate() {
            for place in self.pairs.get(&shingle::run(pair)).into_iter().flatten() {
                // Places that differ by no more than what may be wrong are one.
                *votes.entry((i64::from(*place) - i as i64) / (allowed as i64 + 1)).or_default() += 1;
            }
        }
        let mut places: Vec<(usize, i64)> = votes.into_iter().map(|(place, count)| (count, place)).collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        let width = allowed as i64 + 1;
        places.iter().take(PLACES_MAX).any(|(_, place)| self.fits(quote, place * width, allowed))
    }

    /// Whether the quotation stands near `at` with no more than `allowed` words wrong: an edit distance in a band around
    /// the diagonal, with a free end.
    fn fits(&self, quote: &[Word], at: i64, allowed: usize) -> bool {
        let band = 2 * allowed as i64 + 1;
        let first = (at - band).max(0) as usize;
        let last = ((at + quote.len() as i64 + 2 * band).max(0) as usize).min(self.words.len());
        let Some(source) = self.words.get(first..last) else { return false };
        let width = source.len() + 1;
        let far = usize::MAX / 2;
        // Starts anywhere for free.
        let mut above = vec![0; width];
        for (i, word) in quote.iter().enumerate() {
            let mut row = vec![far; width];
            row[0] = i + 1;
            let middle = i as i64 + at - first as i64;
            let from = (middle - band).max(0) as usize + 1;
            let to = ((middle + 2 * band).max(0) as usize).min(source.len());
            for j in from.min(width)..=to {
                let changed = above[j - 1] + usize::from(source[j - 1] != word.hash);
                row[j] = changed.min(above[j] + 1).min(row[j - 1] + 1);
            }
            above = row;
        }
        above.iter().any(|distance| *distance <= allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: [Source; 2] = [
        Source {
            id: "1",
            text: "The warranty covers parts and labour for two years from the date of purchase, see https://shop.test/warranty for the terms.",
        },
        Source {
            id: "doc-2",
            text: "Returns are accepted within thirty days. The buyer pays for the parcel.",
        },
    ];

    fn labels(answer: &str) -> Vec<&'static str> {
        let rules = CitationRules {
            has_ids: true,
            has_urls: true,
            hosts: vec!["docs.test".into()],
            has_quotes: true,
            pattern: None,
        };
        let misfits = Citations::compile(&rules).unwrap().check(answer, &SOURCES);
        misfits.into_iter().map(|misfit| misfit.label).collect()
    }

    #[test]
    fn ids_must_be_those_of_sources() {
        let check = |answer: &str, expected: &[&str]| assert_eq!(labels(answer), expected, "{answer}");
        check("Two years [1], thirty days [Doc-2].", &[]);
        check("Both [1, doc-2][1] and [^1].", &[]);
        check("Five years [3].", &["unknown_source"]);
        check("All words[1] and others[7].", &["unknown_source"]);
        check("All [1][7][8]", &["unknown_source", "unknown_source"]);
        check("Both [1; 4]", &["unknown_source"]);
        check("The code is a[0] = b[12] + 1, - [x] done, [9](https://docs.test/a)", &[]);
    }

    #[test]
    fn addresses_must_stand_in_a_source_or_be_on_a_list() {
        let check = |answer: &str, expected: &[&str]| assert_eq!(labels(answer), expected, "{answer}");
        check("See https://shop.test/warranty and https://docs.test/a/b.", &[]);
        check("See https://SHOP.test/warranty/.", &[]);
        check("See https://shop.test/other", &["unknown_url"]);
        check("See [here](https://docs.test@evil.test/)", &["unknown_url"]);
    }

    #[test]
    fn quotations_must_stand_in_a_source() {
        let check = |answer: &str, expected: &[&str]| assert_eq!(labels(answer), expected, "{answer}");
        check("It says \"The warranty covers parts and labour for two years\".", &[]);
        check("It says “covers PARTS, and labour – for two years from”.", &[]);
        // One word of ten is wrong.
        check("It says \"the warranty covers all parts and labour for two years from\".", &[]);
        check("It says \"the warranty [...] for two years from the date\".", &[]);
        check("It says \"the warranty covers parts for five years\".", &["unknown_quote"]);
        check("It says „Returns are never accepted after thirty days“.", &["unknown_quote"]);
        check("It says \"returns are accepted within thirty days the warranty covers\".", &["unknown_quote"]);
        check("The so-called \"best of breed\" offer", &[]);
        // A mark for inches, and a quotation after it.
        check("A 5\" pipe.\n\nIt says \"Returns are accepted within thirty days\".", &[]);
    }

    #[test]
    fn long_texts_stay_linear() {
        let text = "the same words again and again ".repeat(20_000);
        let answer = format!("\"{}\"", "the same words again and other ".repeat(100)).repeat(20);
        let rules = CitationRules { has_quotes: true, ..CitationRules::default() };
        let begun = std::time::Instant::now();
        let misfits = Citations::compile(&rules).unwrap().check(&answer, &[Source { id: "1", text: &text }]);
        assert_eq!(misfits.len(), 20);
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }
}
