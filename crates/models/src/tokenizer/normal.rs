//! The first stage: characters rewritten before words are cut.

use serde_json::Value;
use unicode_normalization::char::{
    canonical_combining_class, compose, decompose_canonical, decompose_compatible, is_combining_mark,
};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::{DEPTH_MAX, Fault, Glyph, charsmap::Charsmap, kind};

/// A step of a file may put this much text in place of one character or before the text; real ones put one.
const PUT_CHARS_MAX: usize = 16;

pub(super) enum Step {
    Decompose {
        compatible: bool,
    },
    Compose,
    Lowercase,
    /// Drops combining marks.
    Unaccent,
    /// Drops what has no width of its own, as BERT's own rule counts it.
    UnaccentNonSpacing,
    /// Drops control characters and makes every blank a space.
    Clean,
    /// Puts spaces around Chinese characters, so that each is a word.
    SpaceChinese,
    Strip {
        left: bool,
        right: bool,
    },
    Replace {
        from: Vec<char>,
        to: Vec<char>,
    },
    /// Two spaces or more become `to`: the one pattern that exports of SentencePiece use.
    Squash {
        to: Vec<char>,
    },
    Prepend(Vec<char>),
    Map(Charsmap),
}

pub(super) fn read(step: &Value) -> Result<Vec<Step>, Fault> {
    let mut steps = Vec::new();
    read_into(step, 0, &mut steps)?;
    Ok(steps)
}

fn read_into(step: &Value, depth: usize, steps: &mut Vec<Step>) -> Result<(), Fault> {
    match kind(step) {
        "" => {}
        "Sequence" if depth < DEPTH_MAX => {
            for step in step["normalizers"].as_array().into_iter().flatten() {
                read_into(step, depth + 1, steps)?;
            }
        }
        "NFD" => steps.push(Step::Decompose { compatible: false }),
        "NFKD" => steps.push(Step::Decompose { compatible: true }),
        "NFC" => steps.extend([Step::Decompose { compatible: false }, Step::Compose]),
        "NFKC" => steps.extend([Step::Decompose { compatible: true }, Step::Compose]),
        "Lowercase" => steps.push(Step::Lowercase),
        "StripAccents" => steps.push(Step::Unaccent),
        "Strip" => steps.push(Step::Strip {
            left: step["strip_left"].as_bool().unwrap_or(true),
            right: step["strip_right"].as_bool().unwrap_or(true),
        }),
        "Prepend" => steps.push(Step::Prepend(chars(&step["prepend"])?)),
        "Replace" => steps.push(read_replace(step)?),
        "Precompiled" => steps.push(Step::Map(Charsmap::read(&step["precompiled_charsmap"])?)),
        "BertNormalizer" => {
            let is = |name: &str| step[name].as_bool();
            let lowercase = is("lowercase").unwrap_or(true);
            if is("clean_text").unwrap_or(true) {
                steps.push(Step::Clean);
            }
            if is("handle_chinese_chars").unwrap_or(true) {
                steps.push(Step::SpaceChinese);
            }
            // Not said means: as lower case does, which is how BERT was published.
            if is("strip_accents").unwrap_or(lowercase) {
                steps.extend([Step::Decompose { compatible: false }, Step::UnaccentNonSpacing]);
            }
            if lowercase {
                steps.push(Step::Lowercase);
            }
        }
        other => return Err(Fault::Unsupported(format!("the normalizer `{other}`"))),
    }
    Ok(())
}

fn read_replace(step: &Value) -> Result<Step, Fault> {
    let to = chars(&step["content"])?;
    if let Some(pattern) = step["pattern"]["Regex"].as_str() {
        return match pattern {
            " {2,}" => Ok(Step::Squash { to }),
            other => Err(Fault::Unsupported(format!("the pattern `{other}` in a replacement"))),
        };
    }
    let from = chars(&step["pattern"]["String"])?;
    if from.is_empty() {
        return Err(Fault::Broken("a replacement of nothing".to_owned()));
    }
    Ok(Step::Replace { from, to })
}

fn chars(value: &Value) -> Result<Vec<char>, Fault> {
    let text = value.as_str().ok_or_else(|| Fault::Broken("a normalizer lacks its text".to_owned()))?;
    let chars: Vec<char> = text.chars().collect();
    if chars.len() > PUT_CHARS_MAX {
        return Err(Fault::Broken("a normalizer's text is too long".to_owned()));
    }
    Ok(chars)
}

impl Step {
    pub(super) fn apply(&self, mut glyphs: Vec<Glyph>) -> Vec<Glyph> {
        match self {
            Step::Decompose { compatible } => decompose(&glyphs, *compatible),
            Step::Compose => composed(&glyphs),
            Step::Lowercase => {
                let lower = |glyph: &Glyph| {
                    let glyph = *glyph;
                    glyph.c.to_lowercase().map(move |c| Glyph { c, ..glyph })
                };
                glyphs.iter().flat_map(lower).collect()
            }
            Step::Unaccent => keep(glyphs, |c| !is_combining_mark(c)),
            Step::UnaccentNonSpacing => {
                keep(glyphs, |c| c.general_category() != GeneralCategory::NonspacingMark)
            }
            Step::Clean => {
                for glyph in &mut glyphs {
                    if glyph.c.is_whitespace() {
                        glyph.c = ' ';
                    }
                }
                keep(glyphs, |c| !is_control(c) && c != '\u{fffd}')
            }
            Step::SpaceChinese => {
                let mut out = Vec::with_capacity(glyphs.len());
                for glyph in glyphs {
                    if is_chinese(glyph.c) {
                        out.extend([Glyph { c: ' ', ..glyph }, glyph, Glyph { c: ' ', ..glyph }]);
                    } else {
                        out.push(glyph);
                    }
                }
                out
            }
            Step::Strip { left, right } => {
                let is_text = |glyph: &Glyph| !glyph.c.is_whitespace();
                let from = if *left { glyphs.iter().position(is_text).unwrap_or(glyphs.len()) } else { 0 };
                let to = glyphs.iter().rposition(is_text).map_or(0, |at| at + 1);
                if *right {
                    glyphs.truncate(to.max(from));
                }
                glyphs.split_off(from)
            }
            Step::Replace { from, to } => replace(&glyphs, to, |rest| {
                let found = rest.len() >= from.len() && rest.iter().zip(from).all(|(glyph, c)| glyph.c == *c);
                if found { from.len() } else { 0 }
            }),
            Step::Squash { to } => {
                replace(&glyphs, to, |rest| match rest.iter().take_while(|glyph| glyph.c == ' ').count() {
                    1 => 0,
                    spaces => spaces,
                })
            }
            Step::Prepend(text) => match glyphs.first().copied() {
                Some(first) => text.iter().map(|c| Glyph { c: *c, ..first }).chain(glyphs).collect(),
                None => glyphs,
            },
            Step::Map(map) => map.apply(&glyphs),
        }
    }
}

fn keep(mut glyphs: Vec<Glyph>, is_kept: impl Fn(char) -> bool) -> Vec<Glyph> {
    glyphs.retain(|glyph| is_kept(glyph.c));
    glyphs
}

/// Puts `to` where `length_of` finds something to replace. A run of spaces is asked for once, so this stays linear.
fn replace(glyphs: &[Glyph], to: &[char], length_of: impl Fn(&[Glyph]) -> usize) -> Vec<Glyph> {
    let mut out = Vec::with_capacity(glyphs.len());
    let mut at = 0;
    while at < glyphs.len() {
        let length = length_of(&glyphs[at..]);
        if length == 0 {
            out.push(glyphs[at]);
            at += 1;
            continue;
        }
        let (start, end) = (glyphs[at].start, glyphs[at + length - 1].end);
        out.extend(to.iter().map(|c| Glyph { c: *c, start, end }));
        at += length;
    }
    out
}

/// Unicode's decomposition, with marks put in their canonical order.
fn decompose(glyphs: &[Glyph], compatible: bool) -> Vec<Glyph> {
    let mut out = Vec::with_capacity(glyphs.len());
    for glyph in glyphs {
        let push = |c| out.push(Glyph { c, ..*glyph });
        if compatible { decompose_compatible(glyph.c, push) } else { decompose_canonical(glyph.c, push) }
    }
    let class = |glyph: &Glyph| canonical_combining_class(glyph.c);
    let mut at = 0;
    while at < out.len() {
        let marks = out[at..].iter().take_while(|glyph| class(glyph) != 0).count();
        if marks > 1 {
            out[at..at + marks].sort_by_key(class);
        }
        at += marks.max(1);
    }
    out
}

/// Unicode's composition of what was decomposed before.
fn composed(glyphs: &[Glyph]) -> Vec<Glyph> {
    let mut out: Vec<Glyph> = Vec::with_capacity(glyphs.len());
    let (mut starter, mut class_last) = (None, 0);
    for glyph in glyphs {
        let class = canonical_combining_class(glyph.c);
        if let Some(starter) = starter {
            // A mark of the same class or a letter in between keeps the two apart.
            let is_free = out.len() - 1 == starter || class_last < class;
            let base: &mut Glyph = &mut out[starter];
            if let Some(c) = compose(base.c, glyph.c).filter(|_| is_free) {
                *base = Glyph { c, start: base.start.min(glyph.start), end: base.end.max(glyph.end) };
                continue;
            }
        }
        if class == 0 {
            starter = Some(out.len());
        }
        class_last = class;
        out.push(*glyph);
    }
    out
}

fn is_control(c: char) -> bool {
    c != ' '
        && (c.is_control()
            || matches!(c.general_category(), GeneralCategory::Format | GeneralCategory::PrivateUse))
}

/// The blocks that BERT's tokenizer calls Chinese (its `_is_chinese_char`): Han without kana and Hangul.
fn is_chinese(c: char) -> bool {
    matches!(c as u32,
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F | 0x2B740..=0x2B81F
        | 0x2B920..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}
