//! Templates with `{{ }}` and `{% %}`, by minijinja, on a short lead.
//!
//! No files, includes or macros; fuel bounds the steps of a render, a writer bounds its length, and what could make
//! much out of little in one step is missing or bounded. Whoever may write prompts may still write a bad one; this keeps
//! it from taking the gateway along.

use std::io;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, syntax::SyntaxConfig};

use crate::RENDERED_BYTES_MAX;

/// Steps of one render: a hundred variables in a loop over a hundred entries take some thousands.
const FUEL: u64 = 100_000;

/// The templates of one prompt, compiled, by their place in its list of messages.
#[derive(Debug)]
pub(crate) struct Templates {
    environment: Environment<'static>,
    count: usize,
}

/// What is wrong, in which line of which message.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) message_at: usize,
    /// From 1; 0 if not known.
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl Templates {
    pub(crate) fn new<'t>(texts: impl Iterator<Item = &'t str>) -> Result<Templates, Mistake> {
        let mut environment = environment();
        let mut count = 0;
        for text in texts {
            let bad = |error: Error| Mistake {
                message_at: count,
                line: error.line().unwrap_or(0),
                // Of the template alone, since no variable has a value yet.
                what: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
            };
            if let Some(line) = multiplication(text) {
                let what =
                    "`*` is not available in prompts, since it repeats texts: pass the product as a variable"
                        .to_owned();
                return Err(Mistake { message_at: count, line, what });
            }
            environment.add_template_owned(count.to_string(), text.to_owned()).map_err(bad)?;
            count += 1;
        }
        Ok(Templates { environment, count })
    }

    /// Variables that the templates take from outside, with the message where each is first used, sorted.
    pub(crate) fn variables(&self) -> Vec<(String, usize)> {
        let is_global = |name: &str| self.environment.globals().any(|(global, _)| global == name);
        let mut names: Vec<(String, usize)> = Vec::new();
        for at in 0..self.count {
            let Ok(template) = self.environment.get_template(&at.to_string()) else { continue };
            let mut here: Vec<String> = template.undeclared_variables(false).into_iter().collect();
            here.sort();
            for name in here {
                if !is_global(&name) && !names.iter().any(|(known, _)| *known == name) {
                    names.push((name, at));
                }
            }
        }
        names
    }

    /// Whether the templates, with these values, stop at one that is not there.
    pub(crate) fn lack_a_value(&self, values: &Value) -> bool {
        let mut page = Page { bytes: Vec::new(), left: RENDERED_BYTES_MAX, is_full: false };
        let mut lacks = |at: usize| {
            let rendered = self
                .environment
                .get_template(&at.to_string())
                .and_then(|template| template.render_captured_to(values.clone(), &mut page).map(drop));
            rendered.is_err_and(|error| error.kind() == ErrorKind::UndefinedError)
        };
        (0..self.count).any(&mut lacks)
    }

    /// Renders every message; all together are at most [`RENDERED_BYTES_MAX`] long.
    pub(crate) fn render(&self, values: &Value) -> Result<Vec<String>, Mistake> {
        let mut left = RENDERED_BYTES_MAX;
        let mut texts = Vec::with_capacity(self.count);
        for message_at in 0..self.count {
            let mut page = Page { bytes: Vec::new(), left, is_full: false };
            let rendered = self
                .environment
                .get_template(&message_at.to_string())
                .and_then(|template| template.render_captured_to(values.clone(), &mut page).map(drop));
            if page.is_full {
                let what = format!("more than {RENDERED_BYTES_MAX} bytes");
                return Err(Mistake { message_at, line: 0, what });
            }
            if let Err(error) = rendered {
                // The kind alone: details may quote the values, which belong in no message.
                let what = match error.kind() {
                    ErrorKind::OutOfFuel => format!("takes more than {FUEL} steps"),
                    kind => kind.to_string(),
                };
                return Err(Mistake { message_at, line: error.line().unwrap_or(0), what });
            }
            left = page.left;
            // Templates and values are strings and the page is never cut in the middle of one.
            texts.push(String::from_utf8_lossy(&page.bytes).into_owned());
        }
        Ok(texts)
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    // Strict but for `{% if optional %}`, which is how a template asks whether a value was given.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    // A prompt is plain text.
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_syntax(whole_text());
    // These make long texts out of a number.
    for filter in ["indent", "format", "batch", "slice", "pprint"] {
        environment.remove_filter(filter);
    }
    environment.add_filter("replace", replace);
    environment.add_filter("join", join);
    environment.add_filter("tojson", to_json);
    environment.remove_global("namespace");
    environment
}

/// Keeps the last line end, as the other engine does.
fn whole_text() -> SyntaxConfig {
    // Fails on clashing delimiters only, and these are the usual ones.
    SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default()
}

fn replace(text: &str, from: &str, to: &str) -> Result<String, Error> {
    let bytes = text.matches(from).count().saturating_mul(to.len()).saturating_add(text.len());
    if bytes > RENDERED_BYTES_MAX { Err(too_long()) } else { Ok(text.replace(from, to)) }
}

fn join(entries: &Value, between: Option<&str>) -> Result<String, Error> {
    let between = between.unwrap_or_default();
    let mut text = String::new();
    for (i, entry) in entries.try_iter()?.enumerate() {
        if i > 0 {
            text.push_str(between);
        }
        match entry.as_str() {
            Some(entry) => text.push_str(entry),
            None => text.push_str(&entry.to_string()),
        }
        if text.len() > RENDERED_BYTES_MAX {
            return Err(too_long());
        }
    }
    Ok(text)
}

/// JSON as models read it: on one line, and without the escapes that HTML would need.
fn to_json(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, "not JSON").with_source(error))
}

fn too_long() -> Error {
    Error::new(ErrorKind::InvalidOperation, "the text gets too long")
}

/// Finds the line of the first `*` inside a tag and outside a quoted text.
fn multiplication(template: &str) -> Option<usize> {
    let mut rest = template;
    loop {
        let tag = rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min()?;
        let close = match rest.as_bytes()[tag + 1] {
            b'{' => "}}",
            b'%' => "%}",
            _ => {
                // A comment has no quotes and no stars.
                rest = &rest[tag + 2 + rest[tag + 2..].find("#}")?..];
                continue;
            }
        };
        let mut inside = &rest[tag + 2..];
        if close == "%}" && inside.trim_start_matches(['-', '+']).trim_start().starts_with("raw") {
            // What stands between is text, quotes and all.
            rest = &inside[inside.find("endraw")?..];
            continue;
        }
        let mut quote = None;
        loop {
            if quote.is_none() && inside.starts_with(close) {
                break;
            }
            let letter = inside.chars().next()?;
            match (quote, letter) {
                (None, '*') => {
                    let before = template.len() - inside.len();
                    return Some(template[..before].matches('\n').count() + 1);
                }
                (None, '"' | '\'') => quote = Some(letter),
                (Some(_), '\\') => inside = &inside[1..],
                (Some(open), _) if open == letter => quote = None,
                (None | Some(_), _) => {}
            }
            inside = inside.get(inside.chars().next().map_or(0, char::len_utf8)..)?;
        }
        rest = &inside[2..];
    }
}

/// Takes so many bytes and no more.
struct Page {
    bytes: Vec<u8>,
    left: usize,
    is_full: bool,
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len()) {
            Some(left) => {
                self.left = left;
                self.bytes.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            None => {
                self.is_full = true;
                Err(io::Error::from(io::ErrorKind::FileTooLarge))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
