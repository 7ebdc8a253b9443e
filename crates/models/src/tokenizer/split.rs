//! The second stage: words cut from the rewritten text.

use serde_json::Value;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use super::{DEPTH_MAX, Fault, Glyph, Word, kind};

/// The pattern of GPT-2, which byte-level tokenizers cut by; `cut_by_gpt2` is the same by hand, in linear time.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

pub(super) enum Step {
    /// Blanks go, punctuation stands alone.
    Bert,
    /// Blanks go, runs of letters and runs of others stand alone.
    Whitespace,
    WhitespaceSplit,
    Punctuation,
    Digits {
        alone: bool,
    },
    Metaspace {
        mark: char,
        prefix: Prefix,
        is_split: bool,
    },
    PrefixSpace,
    Gpt2,
    /// Each byte of UTF-8 becomes a visible character.
    Bytes,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Prefix {
    Always,
    First,
    Never,
}

pub(super) fn read(step: &Value) -> Result<Vec<Step>, Fault> {
    let mut steps = Vec::new();
    read_into(step, 0, &mut steps)?;
    Ok(steps)
}

fn read_into(step: &Value, depth: usize, steps: &mut Vec<Step>) -> Result<(), Fault> {
    let is = |name: &str, otherwise: bool| step[name].as_bool().unwrap_or(otherwise);
    match kind(step) {
        "" => {}
        "Sequence" if depth < DEPTH_MAX => {
            for step in step["pretokenizers"].as_array().into_iter().flatten() {
                read_into(step, depth + 1, steps)?;
            }
        }
        "BertPreTokenizer" => steps.push(Step::Bert),
        "Whitespace" => steps.push(Step::Whitespace),
        "WhitespaceSplit" => steps.push(Step::WhitespaceSplit),
        "Punctuation" => match step["behavior"].as_str().unwrap_or("Isolated") {
            "Isolated" => steps.push(Step::Punctuation),
            other => return Err(Fault::Unsupported(format!("punctuation cut as `{other}`"))),
        },
        "Digits" => steps.push(Step::Digits { alone: is("individual_digits", false) }),
        "Metaspace" => {
            let mark =
                step["replacement"].as_str().and_then(|text| text.chars().next()).unwrap_or('\u{2581}');
            let prefix = match step["prepend_scheme"].as_str() {
                Some("first") => Prefix::First,
                Some("never") => Prefix::Never,
                None if !is("add_prefix_space", true) => Prefix::Never,
                Some(_) | None => Prefix::Always,
            };
            steps.push(Step::Metaspace { mark, prefix, is_split: is("split", true) });
        }
        "ByteLevel" => {
            if is("add_prefix_space", true) {
                steps.push(Step::PrefixSpace);
            }
            if is("use_regex", true) {
                steps.push(Step::Gpt2);
            }
            steps.push(Step::Bytes);
        }
        "Split" if step["pattern"]["Regex"] == GPT2 && step["behavior"] == "Isolated" => {
            steps.push(Step::Gpt2)
        }
        "Split" => {
            let pattern = step["pattern"]["Regex"].as_str().unwrap_or("");
            return Err(Fault::Unsupported(format!("words cut by the pattern `{pattern}`")));
        }
        other => return Err(Fault::Unsupported(format!("the pre-tokenizer `{other}`"))),
    }
    Ok(())
}

impl Step {
    pub(super) fn apply(&self, words: Vec<Word>) -> Vec<Word> {
        let mut out = Vec::with_capacity(words.len());
        for (index, word) in words.into_iter().enumerate() {
            match self {
                Step::Bert => cut(&word, &mut out, |c| match c {
                    _ if c.is_whitespace() => Class::Gone,
                    _ if is_bert_punctuation(c) => Class::Alone,
                    _ => Class::Run(0),
                }),
                Step::Whitespace => cut(&word, &mut out, |c| match c {
                    _ if c.is_whitespace() => Class::Gone,
                    _ if is_word_character(c) => Class::Run(0),
                    _ => Class::Run(1),
                }),
                Step::WhitespaceSplit => {
                    cut(&word, &mut out, |c| if c.is_whitespace() { Class::Gone } else { Class::Run(0) });
                }
                Step::Punctuation => {
                    cut(
                        &word,
                        &mut out,
                        |c| if is_bert_punctuation(c) { Class::Alone } else { Class::Run(0) },
                    );
                }
                Step::Digits { alone } => cut(&word, &mut out, |c| match c.is_numeric() {
                    true if *alone => Class::Alone,
                    is_digit => Class::Run(u8::from(is_digit)),
                }),
                Step::Metaspace { mark, prefix, is_split } => {
                    let is_prefixed = *prefix == Prefix::Always || (*prefix == Prefix::First && index == 0);
                    metaspace(word, *mark, is_prefixed, *is_split, &mut out);
                }
                Step::PrefixSpace => out.push(prefixed(word, ' ')),
                Step::Gpt2 => cut_by_gpt2(&word, &mut out),
                Step::Bytes => out.push(bytes_of(&word)),
            }
        }
        out
    }
}

/// How a character takes part in words.
#[derive(PartialEq)]
enum Class {
    Gone,
    Alone,
    /// With its neighbours of the same number.
    Run(u8),
}

fn cut(word: &[Glyph], out: &mut Vec<Word>, class_of: impl Fn(char) -> Class) {
    let mut run = Class::Gone;
    for glyph in word {
        let class = class_of(glyph.c);
        match class {
            Class::Gone => {}
            Class::Run(_) if class == run => out.last_mut().expect("a run has begun").push(*glyph),
            Class::Alone | Class::Run(_) => out.push(vec![*glyph]),
        }
        run = class;
    }
}

fn metaspace(mut word: Word, mark: char, is_prefixed: bool, is_split: bool, out: &mut Vec<Word>) {
    for glyph in &mut word {
        if glyph.c == ' ' {
            glyph.c = mark;
        }
    }
    if is_prefixed {
        word = prefixed(word, mark);
    }
    if !is_split {
        out.push(word);
        return;
    }
    for (at, glyph) in word.into_iter().enumerate() {
        match out.last_mut() {
            Some(last) if glyph.c != mark && at > 0 => last.push(glyph),
            _ => out.push(vec![glyph]),
        }
    }
}

/// Puts a mark before a word, in the place of its first character.
fn prefixed(mut word: Word, mark: char) -> Word {
    let first = word.first().copied();
    if let Some(first) = first.filter(|first| first.c != mark) {
        word.insert(0, Glyph { c: mark, ..first });
    }
    word
}

/// Cuts as the pattern `GPT2` does: each alternative in its order, at every place.
fn cut_by_gpt2(word: &[Glyph], out: &mut Vec<Word>) {
    let mut rest = word;
    while let Some(first) = rest.first() {
        let run = |from: usize, is_in: fn(char) -> bool| {
            rest.iter().skip(from).take_while(|glyph| is_in(glyph.c)).count()
        };
        let from = usize::from(first.c == ' ');
        let contraction = ["s", "t", "re", "ve", "m", "ll", "d"].iter().find(|ending| {
            first.c == '\'' && rest.iter().skip(1).map(|glyph| glyph.c).take(ending.len()).eq(ending.chars())
        });
        let length = if let Some(ending) = contraction {
            1 + ending.len()
        } else if let Some(run) =
            [is_letter, is_number, is_other].map(|is_in| run(from, is_in)).into_iter().find(|run| *run > 0)
        {
            from + run
        } else {
            // Blanks before a word leave their last one to it.
            match run(0, char::is_whitespace) {
                blanks if blanks > 1 && blanks < rest.len() => blanks - 1,
                blanks => blanks.max(1),
            }
        };
        let (token, after) = rest.split_at(length);
        out.push(token.to_vec());
        rest = after;
    }
}

fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphabetic()
    } else {
        c.general_category_group() == GeneralCategoryGroup::Letter
    }
}

fn is_number(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_digit() } else { c.general_category_group() == GeneralCategoryGroup::Number }
}

fn is_other(c: char) -> bool {
    !c.is_whitespace() && !is_letter(c) && !is_number(c)
}

/// `\w` of Unicode TR 18.
fn is_word_character(c: char) -> bool {
    c.is_alphanumeric() && (c.is_alphabetic() || c.general_category() == GeneralCategory::DecimalNumber)
        || matches!(c.general_category_group(), GeneralCategoryGroup::Mark)
        || c.general_category() == GeneralCategory::ConnectorPunctuation
        || matches!(c, '\u{200c}' | '\u{200d}')
}

fn is_bert_punctuation(c: char) -> bool {
    c.is_ascii_punctuation()
        || (!c.is_ascii() && c.general_category_group() == GeneralCategoryGroup::Punctuation)
}

/// GPT-2's table from bytes to characters: visible Latin-1 stays, the others follow from U+0100 on in their order.
fn bytes_of(word: &[Glyph]) -> Word {
    let mut out = Vec::with_capacity(word.len());
    for glyph in word {
        for byte in glyph.c.encode_utf8(&mut [0; 4]).bytes() {
            out.push(Glyph { c: visible(byte), ..*glyph });
        }
    }
    out
}

pub(super) fn visible(byte: u8) -> char {
    let shifted = match byte {
        b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => return char::from(byte),
        0..=0x20 => u32::from(byte),
        0x7F..=0xA0 => 33 + u32::from(byte - 0x7F),
        0xAD => 67,
    };
    char::from_u32(0x100 + shifted).expect("the table ends at U+0143")
}
