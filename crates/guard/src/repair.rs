//! Repair of an answer that is nearly the JSON that was asked for.
//!
//! Repaired is the form and never the meaning: fences, prose around it, commas, quotes, comments, names without quotes,
//! the constants of Python, an end that was cut off; then, where the schema says so, numbers in quotes and the like, the
//! case of a listed value, members that are not allowed. A value that is missing stays missing, and one that may have been
//! cut short (a number or a word at the end of the text) is dropped. The result counts only if the schema accepts it.
//!
//! Time is linear: the text is read once from each of a few places at which JSON may begin, and what was read is walked
//! once with its schema.

mod coerce;
mod lenient;

use crate::schema::OutputSchema;
use lenient::Parser;

/// An answer with more faults is no slip of the pen.
pub const STEPS_MAX: usize = 256;

/// Places at which JSON may begin: a brace in prose, then the document.
const STARTS_MAX: usize = 8;

/// Something that was done to an answer. Each is named once, however often it was done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// A code fence around the JSON went.
    Fence,
    /// Text before or after the JSON went.
    Prose,
    Comment,
    /// A comma too many or too few.
    Comma,
    /// Other quotes than JSON has.
    Quotes,
    /// Line breaks or unknown escapes in a text, or quotes that were not escaped.
    Escape,
    /// A name without quotes.
    Name,
    /// `True`, `False`, `None`.
    Constant,
    /// `+1`, `.5`, `1.`
    Number,
    /// What was open at the end was closed.
    Closed,
    /// A member or item that the end of the text had cut was dropped.
    CutDropped,
    /// A value became the type that the schema asks for.
    Type,
    /// A value became the listed one that differs in case, spaces or dashes only.
    Listed,
    /// A member that the schema does not allow was dropped.
    MemberDropped,
}

impl Step {
    pub const fn as_str(self) -> &'static str {
        match self {
            Step::Fence => "fence",
            Step::Prose => "prose",
            Step::Comment => "comment",
            Step::Comma => "comma",
            Step::Quotes => "quotes",
            Step::Escape => "escape",
            Step::Name => "name",
            Step::Constant => "constant",
            Step::Number => "number",
            Step::Closed => "closed",
            Step::CutDropped => "cut_dropped",
            Step::Type => "type",
            Step::Listed => "listed",
            Step::MemberDropped => "member_dropped",
        }
    }
}

/// A repaired answer, which the schema accepts.
#[derive(Clone, PartialEq, Debug)]
pub struct Repaired {
    pub text: String,
    /// In the order of [`Step`]; none when the answer was right.
    pub steps: Vec<Step>,
}

/// What was done so far, and how often in all.
#[derive(Clone, Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
    count: usize,
}

impl Steps {
    fn add(&mut self, step: Step) {
        self.count += 1;
        if let Err(at) = self.done.binary_search(&step) {
            self.done.insert(at, step);
        }
    }

    fn is_too_many(&self) -> bool {
        self.count > STEPS_MAX
    }
}

impl OutputSchema {
    /// Makes of an answer what the schema asks for; `None` when that takes more than a repair of its form.
    pub fn repair(&self, text: &str) -> Option<Repaired> {
        let text = text.trim();
        if self.check(text).is_ok() {
            return Some(Repaired { text: text.to_owned(), steps: Vec::new() });
        }
        starts(text).into_iter().find_map(|start| self.repair_at(text, start))
    }

    fn repair_at(&self, text: &str, start: usize) -> Option<Repaired> {
        let mut parser = Parser::new(&text[start..]);
        let mut value = parser.document()?;
        let end = start + parser.at();
        let mut steps = parser.into_steps();
        let is_whole = steps.count == 0;
        for outside in [&text[..start], &text[end..]] {
            let (is_fenced, is_prose) = around(outside);
            if is_fenced {
                steps.add(Step::Fence);
            }
            if is_prose {
                steps.add(Step::Prose);
            }
        }
        if self.accepts(&value) {
            // As it was written, to the last digit, where nothing inside was touched.
            let text = if is_whole { text[start..end].to_owned() } else { value.to_string() };
            return (!steps.is_too_many()).then_some(Repaired { text, steps: steps.done });
        }
        coerce::coerce(&mut value, self.schema(), &mut steps);
        (!steps.is_too_many() && self.accepts(&value))
            .then(|| Repaired { text: value.to_string(), steps: steps.done })
    }
}

/// Whether an object in a JSON text has one name twice. Readers differ in which of the two they take.
pub(crate) fn has_double_names(text: &str) -> bool {
    let mut parser = Parser::new(text.trim());
    // What cannot be read is for others to refuse.
    parser.document().is_some() && parser.has_double_names()
}

/// Where a document may begin: at brackets, or at all of the text where a bare value was asked for.
fn starts(text: &str) -> Vec<usize> {
    let mut starts: Vec<usize> = Vec::new();
    if let Some(fence) = text.find("```") {
        let inside = fence + 3;
        let line = text[inside..].find('\n').map_or(text.len(), |len| inside + len);
        // A name of the language may follow, then the line ends; or the JSON follows at once.
        let bracket = text[inside..line].find(['{', '[']).map_or(line, |len| inside + len);
        starts.push(text.len() - text[bracket..].trim_start().len());
    }
    for (at, _) in text.match_indices(['{', '[']) {
        if starts.len() >= STARTS_MAX {
            break;
        }
        if !starts.contains(&at) {
            starts.push(at);
        }
    }
    if !starts.contains(&0) {
        starts.push(0);
    }
    starts
}

/// Whether the text around a document has a fence, and whether it says something.
fn around(text: &str) -> (bool, bool) {
    let is_fenced = text.contains("```");
    let rest = text.replace("```", " ");
    let mut words = rest.split_whitespace();
    let is_language =
        |word: &str| matches!(word, "json" | "JSON" | "json5" | "jsonc" | "javascript" | "js" | "python");
    let is_prose = match (words.next(), words.next()) {
        (None, _) => false,
        (Some(word), None) => !(is_fenced && is_language(word)),
        _ => true,
    };
    (is_fenced, is_prose)
}

#[cfg(test)]
mod tests;
