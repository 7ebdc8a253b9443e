//! A reader of JSON that forgives.

use serde_json::{Map, Number, Value};

use super::{Step, Steps};

/// Documents are nested less deep; recursion is bounded by it.
const DEPTH_MAX: usize = 64;
/// How far a quote looks for what would follow the end of a text, in bytes.
const QUOTE_AHEAD: usize = 64;

pub(super) struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    steps: Steps,
    has_double_names: bool,
}

/// What was read.
enum Read {
    Value(Value),
    /// The text ends before the value has, and what there is of it may be wrong.
    Cut,
}

/// Not to be read, however kindly.
struct Hopeless;

type Result<T> = std::result::Result<T, Hopeless>;

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str) -> Parser<'t> {
        Parser { text, at: 0, depth: 0, steps: Steps::default(), has_double_names: false }
    }

    /// Reads one value from the beginning.
    pub(super) fn document(&mut self) -> Option<Value> {
        match self.value() {
            Ok(Read::Value(value)) => Some(value),
            Ok(Read::Cut) | Err(Hopeless) => None,
        }
    }

    /// Up to where the text was read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn into_steps(self) -> Steps {
        self.steps
    }

    pub(super) fn has_double_names(&self) -> bool {
        self.has_double_names
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, c: char) -> bool {
        let is = self.peek() == Some(c);
        if is {
            self.at += c.len_utf8();
        }
        is
    }

    fn note(&mut self, step: Step) -> Result<()> {
        self.steps.add(step);
        if self.steps.is_too_many() { Err(Hopeless) } else { Ok(()) }
    }

    /// Skips white space and comments.
    fn space(&mut self) -> Result<()> {
        loop {
            let rest = self.rest();
            self.at +=
                rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}').len();
            let rest = self.rest();
            let len = if rest.starts_with("//") || rest.starts_with('#') {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |len| len + 2)
            } else {
                return Ok(());
            };
            self.at += len;
            self.note(Step::Comment)?;
        }
    }

    fn value(&mut self) -> Result<Read> {
        self.space()?;
        match self.peek() {
            None => Ok(Read::Cut),
            Some(open @ ('{' | '[')) => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(Hopeless);
                }
                self.at += 1;
                let value = if open == '{' { self.object() } else { self.array() };
                self.depth -= 1;
                value.map(Read::Value)
            }
            Some('"' | '\'' | '“' | '”' | '‘') => {
                self.string().map(|text| Read::Value(Value::String(text)))
            }
            Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.constant(),
            Some(_) => Err(Hopeless),
        }
    }

    /// Takes the commas after a member or item, or the bracket that ends it all. Returns whether it ended.
    fn next(&mut self, close: char, is_first: bool) -> Result<bool> {
        self.space()?;
        let mut commas = 0;
        while self.skip(',') {
            commas += 1;
            self.space()?;
        }
        let other = if close == '}' { ']' } else { '}' };
        match self.peek() {
            None => {
                self.note(Step::Closed)?;
                return Ok(true);
            }
            Some(c) if c == close => {
                if commas > 0 {
                    self.note(Step::Comma)?;
                }
                self.at += 1;
                return Ok(true);
            }
            // The bracket of what this stands in.
            Some(c) if c == other && self.depth > 1 => {
                self.note(Step::Closed)?;
                return Ok(true);
            }
            Some(_) => {}
        }
        if commas != usize::from(!is_first) {
            self.note(Step::Comma)?;
        }
        Ok(false)
    }

    fn object(&mut self) -> Result<Value> {
        let mut members = Map::new();
        let mut is_first = true;
        while !self.next('}', is_first)? {
            is_first = false;
            let name = self.name()?;
            self.space()?;
            let value = if self.skip(':') {
                self.value()?
            } else if self.peek().is_none() {
                Read::Cut
            } else {
                return Err(Hopeless);
            };
            match value {
                Read::Value(value) => self.has_double_names |= members.insert(name, value).is_some(),
                Read::Cut => self.note(Step::CutDropped)?,
            }
        }
        Ok(Value::Object(members))
    }

    fn array(&mut self) -> Result<Value> {
        let mut items = Vec::new();
        while !self.next(']', items.is_empty())? {
            match self.value()? {
                Read::Value(value) => items.push(value),
                Read::Cut => self.note(Step::CutDropped)?,
            }
        }
        Ok(Value::Array(items))
    }

    fn name(&mut self) -> Result<String> {
        match self.peek() {
            Some('"' | '\'' | '“' | '”' | '‘') => self.string(),
            Some(c) if c.is_alphabetic() || matches!(c, '_' | '$') => {
                self.note(Step::Name)?;
                let rest = self.rest();
                let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-');
                let len = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
                self.at += len;
                Ok(rest[..len].to_owned())
            }
            _ => Err(Hopeless),
        }
    }

    fn string(&mut self) -> Result<String> {
        let open = self.peek().ok_or(Hopeless)?;
        self.at += open.len_utf8();
        if open != '"' {
            self.note(Step::Quotes)?;
        }
        let closes = |c: char| match open {
            '“' | '”' => c == '”' || c == '“',
            '‘' => c == '’',
            open => c == open,
        };
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '\\' => self.escape(&mut text)?,
                c if closes(c) => {
                    if self.is_end_of_string() {
                        return Ok(text);
                    }
                    self.note(Step::Escape)?;
                    text.push(c);
                }
                c => {
                    if c < ' ' {
                        self.note(Step::Escape)?;
                    }
                    text.push(c);
                }
            }
        }
        self.note(Step::Closed)?;
        Ok(text)
    }

    /// Whether what follows a quote is what follows the end of a text; else the quote should have been escaped.
    fn is_end_of_string(&self) -> bool {
        let bytes = self.rest().as_bytes();
        let near = &bytes[..bytes.len().min(QUOTE_AHEAD)];
        match near.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) {
            Some(at) => matches!(near[at], b',' | b'}' | b']' | b':' | b'\n' | b'#' | b'/' | b'`'),
            None => true,
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<()> {
        let Some(c) = self.peek() else { return Ok(()) };
        self.at += c.len_utf8();
        let read = match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{C}',
            '"' | '\\' | '/' => c,
            'u' => {
                let first = self.hex(4);
                match first {
                    // Two halves make a character beyond the first plane.
                    Some(high @ 0xD800..=0xDBFF) if self.rest().starts_with("\\u") => {
                        self.at += 2;
                        let low =
                            self.hex(4).filter(|low| (0xDC00..=0xDFFF).contains(low)).ok_or(Hopeless)?;
                        char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)).ok_or(Hopeless)?
                    }
                    Some(code) => char::from_u32(code).ok_or(Hopeless)?,
                    // Cut in the middle, or no escape at all.
                    None if self.rest().len() < 4 => {
                        self.at = self.text.len();
                        return Ok(());
                    }
                    None => return Err(Hopeless),
                }
            }
            '\'' | '`' | '\n' => {
                self.note(Step::Escape)?;
                c
            }
            c => {
                self.note(Step::Escape)?;
                text.push('\\');
                c
            }
        };
        text.push(read);
        Ok(())
    }

    fn hex(&mut self, len: usize) -> Option<u32> {
        let digits =
            self.rest().get(..len).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.at += len;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Result<Read> {
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(rest.len());
        let written = &rest[..len];
        self.at += len;
        // `12` at the end may have been `129`.
        if len == rest.len() && self.depth > 0 {
            return Ok(Read::Cut);
        }
        if let Ok(number) = written.parse::<Number>() {
            return exact(written, number);
        }
        self.note(Step::Number)?;
        let (sign, bare) = match written.strip_prefix(['+', '-']) {
            Some(bare) => (if written.starts_with('-') { "-" } else { "" }, bare),
            None => ("", written),
        };
        let zero = if bare.starts_with('.') { "0" } else { "" };
        let written = format!("{sign}{zero}{}", bare.trim_end_matches('.'));
        let number = written.parse::<Number>().map_err(|_| Hopeless)?;
        exact(&written, number)
    }

    fn constant(&mut self) -> Result<Read> {
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let word = &rest[..len];
        let value = match word {
            "true" | "True" | "TRUE" => Value::Bool(true),
            "false" | "False" | "FALSE" => Value::Bool(false),
            "null" | "None" | "NULL" | "Null" => Value::Null,
            _ if len == rest.len() && self.depth > 0 => {
                self.at += len;
                return Ok(Read::Cut);
            }
            _ => return Err(Hopeless),
        };
        self.at += len;
        if !matches!(word, "true" | "false" | "null") {
            self.note(Step::Constant)?;
        }
        Ok(Read::Value(value))
    }
}

/// A number that keeps all its digits; an integer that does not fit would lose some.
fn exact(written: &str, number: Number) -> Result<Read> {
    let is_integer = !written.contains(['.', 'e', 'E']);
    if is_integer && number.is_f64() {
        return Err(Hopeless);
    }
    Ok(Read::Value(Value::Number(number)))
}
