//! Names and places by a model that gives each token a label.

use std::path::Path;

use gauntlet_types::Finding;

use crate::{
    encoder::Head,
    error::ModelError,
    label::{Kind, Label},
    reader::{Opening, Options, Reader, softmax},
    tokenizer::Token,
};

/// Taggers are taught on sentences and lose names in long windows; shorter ones are also cheaper for each token.
const WINDOW_TOKENS_MAX: usize = 256;
/// A word is a name when the labels of one kind together are likelier than all others.
const SHARE_MIN: f32 = 0.5;

/// A token classifier whose labels name people, places, organisations or groups.
pub struct Tagger {
    reader: Reader,
    labels: Vec<Label>,
}

/// How likely a token or a word is of each kind, in the order of `Kind::ALL`.
#[derive(Clone, Default)]
struct Shares {
    of: [f32; Kind::ALL.len()],
    /// The part of it that says that a name begins here.
    begins: [f32; Kind::ALL.len()],
    /// The likeliest label.
    label: usize,
}

/// A name that may grow by the next word.
struct Name {
    kind: Kind,
    start: u32,
    end: u32,
    share: f32,
    words: usize,
    /// The labels' types so far: given name, then surname.
    types: Vec<usize>,
}

impl Tagger {
    /// Opens a model for token classification on one core. Errors say which file is at fault and what to do.
    pub fn open(folder: &Path) -> Result<Tagger, ModelError> {
        Tagger::open_with(folder, Options::default())
    }

    pub fn open_with(folder: &Path, options: Options) -> Result<Tagger, ModelError> {
        let opening = Opening::at(folder)?;
        let names = opening.labels()?;
        let labels: Vec<Label> = names.iter().map(|label| Label::read(label)).collect();
        if labels.iter().all(|label| label.kind.is_none()) {
            let first: Vec<&str> = names.iter().map(String::as_str).take(5).collect();
            return Err(ModelError::Unfit {
                path: opening.config_path,
                what: format!(
                    "none of its labels ({} …) names a person, place, organisation or group",
                    first.join(", ")
                ),
                cure:
                    "use a model for named entities, or name its labels in `id2label` as PER, LOC, ORG, NORP"
                        .to_owned(),
            });
        }
        let reader = opening.load(Head::Tokens { labels: labels.len() }, options, WINDOW_TOKENS_MAX)?;
        Ok(Tagger { reader, labels })
    }

    /// Finds names: kind `pii`, labels `PERSON`, `LOCATION`, `ORGANIZATION`, `NRP`, in order and without overlaps.
    ///
    /// The score is how sure the model is, averaged over the words of a name. Errors: `TextTooLong`,
    /// `TooManyTokens`, `Run`.
    pub fn entities(&self, text: &str) -> Result<Vec<Finding>, ModelError> {
        let tokens = self.reader.tokens(text)?;
        let mut shares = Vec::with_capacity(tokens.len());
        self.reader.run(&tokens, |window, output| {
            shares
                .extend(window.own.clone().map(|token| self.shares(self.reader.row(window, output, token))));
        })?;
        Ok(self.names(text, &tokens, &shares).into_iter().filter_map(|name| finding(text, &name)).collect())
    }

    fn shares(&self, row: &[f32]) -> Shares {
        let mut shares = Shares::default();
        let numbers = softmax(row);
        for (at, (share, label)) in numbers.iter().zip(&self.labels).enumerate() {
            if *share > numbers[shares.label] {
                shares.label = at;
            }
            let Some(kind) = label.kind else { continue };
            shares.of[kind as usize] += share;
            if label.begins {
                shares.begins[kind as usize] += share;
            }
        }
        shares
    }

    /// Puts tokens together to words, and words to names.
    fn names(&self, text: &str, tokens: &[Token], shares: &[Shares]) -> Vec<Name> {
        let mut names: Vec<Name> = Vec::new();
        // Whether the last name goes on up to the word before.
        let mut is_open = false;
        let mut at = 0;
        while at < tokens.len() {
            let count = pieces(text, &tokens[at..]);
            let word = &tokens[at..at + count];
            let of: [f32; Kind::ALL.len()] = std::array::from_fn(|kind| {
                shares[at..at + count].iter().map(|shares| shares.of[kind]).sum::<f32>() / count as f32
            });
            let first = &shares[at];
            at += count;
            let (start, end) = (word[0].start, word[count - 1].end);
            let (kind, share) = Kind::ALL
                .into_iter()
                .zip(of)
                .fold((Kind::Person, 0.0), |best, one| if one.1 > best.1 { one } else { best });
            if share < SHARE_MIN || start >= end {
                is_open &= start >= end;
                continue;
            }
            let begins = first.begins[kind as usize] > first.of[kind as usize] / 2.0;
            match names.last_mut() {
                Some(name)
                    if is_open
                        && name.kind == kind
                        && !has_line_end(text, name.end, start)
                        && (!begins || self.is_next_part(name, first.label)) =>
                {
                    name.end = end;
                    name.share += share;
                    name.words += 1;
                    name.types.push(first.label);
                }
                _ => names.push(Name { kind, start, end, share, words: 1, types: vec![first.label] }),
            }
            is_open = true;
        }
        names
    }

    /// A surname after a given name is the same person, though its label says that something begins; a second
    /// given name that begins is somebody else.
    fn is_next_part(&self, name: &Name, label: usize) -> bool {
        let of = |label: usize| &self.labels[label].of;
        name.types.iter().all(|known| of(*known) != of(label))
    }
}

/// How many of the first tokens are one word: those that the tokenizer cut from one, without a blank or punctuation between.
fn pieces(text: &str, tokens: &[Token]) -> usize {
    let is_text = |token: &Token| {
        let covered = text.get(token.start as usize..token.end as usize).unwrap_or("");
        covered.chars().any(char::is_alphanumeric)
    };
    let goes_on = |pair: &[Token]| {
        pair[0].word == pair[1].word && pair[1].start <= pair[0].end && is_text(&pair[0]) && is_text(&pair[1])
    };
    1 + tokens.windows(2).take_while(|pair| goes_on(pair)).count()
}

fn has_line_end(text: &str, from: u32, to: u32) -> bool {
    text.get(from as usize..to as usize).is_none_or(|between| between.contains(['\n', '\r']))
}

/// A name without the punctuation around it; none where nothing else is left.
fn finding(text: &str, name: &Name) -> Option<Finding> {
    let covered = text.get(name.start as usize..name.end as usize)?;
    let is_edge = |c: char| !c.is_alphanumeric() && c != '.';
    let end = covered.trim_end_matches(|c: char| is_edge(c) || c == '.').len();
    // `Jr.` and `St.` keep their point where something of the name follows; at the end it is the sentence's.
    let begin = end - covered[..end].trim_start_matches(|c: char| is_edge(c) || c == '.').len();
    let span = name.start as usize + begin..name.start as usize + end;
    let score = name.share / name.words as f32;
    // The number of a house is part of an address; alone it is any number.
    let has_letter = text[span.clone()].chars().any(char::is_alphabetic);
    has_letter.then(|| Finding { kind: "pii", label: name.kind.as_str(), span, score: score.min(1.0) })
}
