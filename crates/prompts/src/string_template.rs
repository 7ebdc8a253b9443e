//! Templates in the manner of Python's `string.Template.safe_substitute`, cut up once.
//!
//! `$name` and `${name}` stand for a variable, `$$` for a dollar; a name is ASCII letters, digits and `_`, not beginning
//! with a digit. A variable that nobody declared, and a dollar that begins nothing, stay as they stand.

use std::ops::Range;

#[derive(Debug)]
pub(crate) struct StringTemplate {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    /// `as_written` is put back when there is no value.
    Variable {
        name: String,
        as_written: String,
    },
}

/// A variable where it stands in a template, in bytes.
pub(crate) struct Use<'a> {
    pub(crate) name: &'a str,
    pub(crate) span: Range<usize>,
}

impl StringTemplate {
    /// Cuts a template up. Names for which `is_variable` says no are text.
    pub(crate) fn new(template: &str, is_variable: impl Fn(&str) -> bool) -> StringTemplate {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = 0;
        for found in find(template) {
            let (span, piece) = match found {
                Found::Dollar(at) => (at..at + 2, None),
                Found::Use(found) if is_variable(found.name) => {
                    let as_written = template[found.span.clone()].to_owned();
                    (found.span, Some(Piece::Variable { name: found.name.to_owned(), as_written }))
                }
                Found::Use(_) => continue,
            };
            text.push_str(&template[rest..span.start]);
            rest = span.end;
            match piece {
                None => text.push('$'),
                Some(piece) => {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(piece);
                }
            }
        }
        text.push_str(&template[rest..]);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        StringTemplate { pieces }
    }

    /// Fills the template in; none if it would be longer than `bytes_max`.
    pub(crate) fn render<'v>(
        &self,
        value: impl Fn(&str) -> Option<&'v str>,
        bytes_max: usize,
    ) -> Option<String> {
        let parts = || {
            self.pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Variable { name, as_written } => value(name).unwrap_or(as_written),
            })
        };
        let bytes = parts().map(str::len).sum();
        if bytes > bytes_max {
            return None;
        }
        let mut text = String::with_capacity(bytes);
        text.extend(parts());
        Some(text)
    }
}

/// All variables that a template names, declared or not, in order.
pub(crate) fn uses(template: &str) -> impl Iterator<Item = Use<'_>> {
    find(template).filter_map(|found| match found {
        Found::Use(found) => Some(found),
        Found::Dollar(_) => None,
    })
}

enum Found<'a> {
    /// `$$` at this place.
    Dollar(usize),
    Use(Use<'a>),
}

fn find(template: &str) -> impl Iterator<Item = Found<'_>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let at = from + template[from..].find('$')?;
            let after = &template[at + 1..];
            if after.starts_with('$') {
                from = at + 2;
                return Some(Found::Dollar(at));
            }
            let (braces, inner) = match after.strip_prefix('{') {
                Some(inner) => (2, inner),
                None => (0, after),
            };
            let name = &inner[..name_length(inner)];
            if name.is_empty() || (braces > 0 && inner.as_bytes().get(name.len()) != Some(&b'}')) {
                from = at + 1;
                continue;
            }
            from = at + 1 + name.len() + braces;
            return Some(Found::Use(Use { name, span: at..from }));
        }
    })
}

fn name_length(text: &str) -> usize {
    let is_name = |(i, byte): &(usize, u8)| {
        byte.is_ascii_alphabetic() || *byte == b'_' || (*i > 0 && byte.is_ascii_digit())
    };
    text.bytes().enumerate().take_while(is_name).count()
}

pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && name_length(text) == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right-hand sides are what Python 3's `safe_substitute(a="1", b_2="$a", e="")` gives.
    #[test]
    fn templates_fill_in_as_in_python() {
        let check = |template: &str, wanted: &str| {
            let value = |name: &str| match name {
                "a" => Some("1"),
                "b_2" => Some("$a"),
                "e" => Some(""),
                _ => None,
            };
            let cut = StringTemplate::new(template, |name| name != "undeclared");
            assert_eq!(cut.render(value, 1_000).as_deref(), Some(wanted), "{template}");
        };
        check("", "");
        check("plain", "plain");
        check("$a", "1");
        check("$a$a${a}a", "111a");
        check("${b_2} and $b_2.", "$a and $a.");
        check("$e|${e}", "|");
        check("$$a $$$a $$$$", "$a $1 $$");
        check(
            "$unknown ${unknown} $undeclared ${undeclared}",
            "$unknown ${unknown} $undeclared ${undeclared}",
        );
        check("$5 $ $-a ${a ${5} ${} ${a-b} $", "$5 $ $-a ${a ${5} ${} ${a-b} $");
        check("${$a}", "${1}");
        check("$é ${é} é$a€", "$é ${é} é1€");
        check("cost: US$$5", "cost: US$5");
    }

    #[test]
    fn what_is_too_long_is_not_built() {
        let cut = StringTemplate::new("$a$a", |_| true);
        assert_eq!(cut.render(|_| Some("12345"), 10).as_deref(), Some("1234512345"));
        assert_eq!(cut.render(|_| Some("123456"), 10), None);
    }

    proptest::proptest! {
        /// Whatever a text holds, doubled dollars bring it through, and a value comes through as it is.
        #[test]
        fn texts_and_values_come_through(text in "[$a{} é]{0,20}", value in "[$a{}]{0,9}") {
            let template = format!("{}${{a}}$", text.replace('$', "$$"));
            let rendered = StringTemplate::new(&template, |name| name == "a").render(|_| Some(&value), 1_000);
            proptest::prop_assert_eq!(rendered, Some(format!("{text}{value}$")));
            // Without a variable only doubled dollars change.
            let plain = StringTemplate::new(&text, |_| false).render(|_| None, 1_000);
            proptest::prop_assert_eq!(plain, Some(text.replace("$$", "$")));
        }
    }
}
