//! A pull scanner over one JSON document.

use std::{borrow::Cow, fmt, ops::Range};

use super::{DEPTH_MAX, Fail, Scan, unescape};

/// Stands in a document that is known to be UTF-8. Every step validates what it passes over, so a document that was
/// walked to `finish` is well-formed. A clone looks ahead.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

/// A string literal: where its content stands (without quotes), and whether it holds escapes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Literal {
    pub start: usize,
    pub end: usize,
    pub escaped: bool,
}

impl Literal {
    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.end
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The literal with its quotes.
    pub(crate) fn quoted(self) -> Range<usize> {
        self.start - 1..self.end + 1
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ValueKind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

impl ValueKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            ValueKind::Object => "an object",
            ValueKind::Array => "an array",
            ValueKind::String => "a string",
            ValueKind::Number => "a number",
            ValueKind::True | ValueKind::False => "a boolean",
            ValueKind::Null => "null",
        }
    }
}

/// How far the walk through one object or array has come.
pub(crate) struct Inside {
    is_first: bool,
    /// Where the comma before the present member stands.
    pub comma: Option<usize>,
    /// Where the present member's key begins, its quote included.
    pub key: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Scan<Cursor<'a>> {
        // The whole body at once: the standard library runs over ASCII many bytes a step.
        match std::str::from_utf8(body) {
            Ok(text) => Ok(Cursor { text, at: 0, depth: 0 }),
            Err(error) => Err(Fail::new(error.valid_up_to(), "the body is not valid UTF-8")),
        }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn slice(&self, range: Range<usize>) -> &'a str {
        &self.text[range]
    }

    /// The text that a literal stands for.
    pub(crate) fn text(&self, literal: Literal) -> Cow<'a, str> {
        let raw = self.slice(literal.range());
        if literal.escaped { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[cold]
    fn unexpected(&self, wanted: &'static str) -> Box<Fail> {
        if self.at >= self.text.len() {
            return Fail::new(self.at, "the JSON ends too early");
        }
        Fail::new(self.at, wanted)
    }

    /// Passes white space and tells what value follows.
    #[inline]
    pub(crate) fn kind(&mut self) -> Scan<ValueKind> {
        self.space();
        match self.peek() {
            Some(b'"') => Ok(ValueKind::String),
            Some(b'{') => Ok(ValueKind::Object),
            Some(b'[') => Ok(ValueKind::Array),
            Some(b'-' | b'0'..=b'9') => Ok(ValueKind::Number),
            Some(b't') => Ok(ValueKind::True),
            Some(b'f') => Ok(ValueKind::False),
            Some(b'n') => Ok(ValueKind::Null),
            _ => Err(self.unexpected("expected a JSON value")),
        }
    }

    /// Goes into the object or array that `kind` has seen.
    pub(crate) fn enter(&mut self) -> Scan<Inside> {
        if self.depth == DEPTH_MAX {
            return Err(Fail::new(self.at, format!("the JSON is nested more than {DEPTH_MAX} levels deep")));
        }
        self.depth += 1;
        self.at += 1;
        Ok(Inside { is_first: true, comma: None, key: self.at })
    }

    #[inline]
    fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    /// Steps to the next member of an object and over its colon; none at the object's end.
    #[inline]
    pub(crate) fn member_literal(&mut self, object: &mut Inside) -> Scan<Option<Literal>> {
        self.space();
        match self.peek() {
            Some(b'}') => {
                self.leave();
                return Ok(None);
            }
            Some(b',') if !object.is_first => {
                object.comma = Some(self.at);
                self.at += 1;
                self.space();
            }
            Some(_) if object.is_first => object.is_first = false,
            _ => return Err(self.unexpected("expected `,` or `}`")),
        }
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("expected a key in quotes"));
        }
        object.key = self.at;
        let key = self.literal()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("expected `:`"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    #[inline]
    pub(crate) fn member(&mut self, object: &mut Inside) -> Scan<Option<Cow<'a, str>>> {
        Ok(self.member_literal(object)?.map(|key| self.text(key)))
    }

    /// Steps to the next item of an array; false at its end.
    #[inline]
    pub(crate) fn item(&mut self, array: &mut Inside) -> Scan<bool> {
        self.space();
        match self.peek() {
            Some(b']') => {
                self.leave();
                return Ok(false);
            }
            Some(b',') if !array.is_first => {
                self.at += 1;
                self.space();
                if self.peek() == Some(b']') {
                    return Err(self.unexpected("trailing comma"));
                }
            }
            Some(_) if array.is_first => array.is_first = false,
            _ => return Err(self.unexpected("expected `,` or `]`")),
        }
        Ok(true)
    }

    /// Passes the string that `kind` has seen.
    #[inline]
    pub(crate) fn literal(&mut self) -> Scan<Literal> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            at = plain_end(bytes, at);
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Literal { start, end: at, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                Some(_) => return Err(Fail::new(at, "control character in a string; write it as an escape")),
                None => return Err(Fail::new(at, "the JSON ends within a string")),
            }
        }
    }

    #[inline]
    fn escape(&self, at: usize) -> Scan<usize> {
        let bytes = self.text.as_bytes();
        match bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u')
                if bytes.get(at + 2..at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) =>
            {
                Ok(at + 6)
            }
            _ => Err(Fail::new(at, "invalid escape in a string")),
        }
    }

    /// Passes the number that `kind` has seen.
    pub(crate) fn number(&mut self) -> Scan<Range<usize>> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.unexpected("invalid number")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        // `01` and `1x` need no look here: whatever follows must be a comma, a bracket or the end.
        Ok(start..self.at)
    }

    #[inline]
    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Scan<()> {
        let start = self.at;
        self.digits();
        if self.at == start { Err(self.unexpected("invalid number")) } else { Ok(()) }
    }

    pub(crate) fn word(&mut self, word: &'static str) -> Scan<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Fail::new(self.at, "expected a JSON value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Passes one value of any kind and gives its span.
    pub(crate) fn span(&mut self) -> Scan<Range<usize>> {
        self.kind()?;
        let start = self.at;
        self.skip()?;
        Ok(start..self.at)
    }

    /// Passes one value of any kind.
    pub(crate) fn skip(&mut self) -> Scan<()> {
        match self.kind()? {
            ValueKind::String => {
                self.literal()?;
            }
            ValueKind::Number => {
                self.number()?;
            }
            ValueKind::True => self.word("true")?,
            ValueKind::False => self.word("false")?,
            ValueKind::Null => self.word("null")?,
            ValueKind::Object => {
                let mut object = self.enter()?;
                while self.member_literal(&mut object)?.is_some() {
                    self.skip()?;
                }
            }
            ValueKind::Array => {
                let mut array = self.enter()?;
                while self.item(&mut array)? {
                    self.skip()?;
                }
            }
        }
        Ok(())
    }

    /// Passes the white space after the document; anything else is an error.
    pub(crate) fn finish(&mut self) -> Scan<()> {
        self.space();
        if self.at < self.text.len() {
            return Err(Fail::new(self.at, "unexpected data after the JSON document"));
        }
        Ok(())
    }
}

/// Typed reads. `param` names the field for the error and is formatted only then.
impl<'a> Cursor<'a> {
    #[cold]
    fn mismatch(&self, param: impl fmt::Display, wanted: &str, kind: ValueKind) -> Box<Fail> {
        Fail::field(self.at, param, format_args!("must be {wanted}, not {}", kind.name()))
    }

    /// Passes a `null` if one follows.
    pub(crate) fn null(&mut self) -> Scan<bool> {
        let is_null = self.kind()? == ValueKind::Null;
        if is_null {
            self.word("null")?;
        }
        Ok(is_null)
    }

    pub(crate) fn expect_string(&mut self, param: impl fmt::Display) -> Scan<Literal> {
        match self.kind()? {
            ValueKind::String => self.literal(),
            kind => Err(self.mismatch(param, "a string", kind)),
        }
    }

    pub(crate) fn expect_object(&mut self, param: impl fmt::Display) -> Scan<Inside> {
        match self.kind()? {
            ValueKind::Object => self.enter(),
            kind => Err(self.mismatch(param, "an object", kind)),
        }
    }

    pub(crate) fn expect_array(&mut self, param: impl fmt::Display) -> Scan<Inside> {
        match self.kind()? {
            ValueKind::Array => self.enter(),
            kind => Err(self.mismatch(param, "an array", kind)),
        }
    }

    pub(crate) fn expect_bool(&mut self, param: impl fmt::Display) -> Scan<bool> {
        match self.kind()? {
            ValueKind::True => self.word("true").map(|()| true),
            ValueKind::False => self.word("false").map(|()| false),
            kind => Err(self.mismatch(param, "a boolean", kind)),
        }
    }

    /// A whole number without fraction or exponent.
    pub(crate) fn expect_whole<T: std::str::FromStr>(
        &mut self,
        param: impl fmt::Display,
        range: &str,
    ) -> Scan<T> {
        match self.kind()? {
            ValueKind::Number => {
                let span = self.number()?;
                let start = span.start;
                let wrong = || Fail::field(start, &param, format_args!("must be a whole number {range}"));
                self.slice(span).parse().map_err(|_| wrong())
            }
            kind => Err(self.mismatch(param, "a whole number", kind)),
        }
    }

    pub(crate) fn expect_float(&mut self, param: impl fmt::Display) -> Scan<f64> {
        match self.kind()? {
            ValueKind::Number => {
                let span = self.number()?;
                let start = span.start;
                let value: f64 = self.slice(span).parse().map_err(|_| Fail::new(start, "invalid number"))?;
                if value.is_finite() { Ok(value) } else { Err(Fail::field(start, param, "is out of range")) }
            }
            kind => Err(self.mismatch(param, "a number", kind)),
        }
    }
}

const fn every(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The first byte from `at` on that ends a plain run in a string: a quote, a backslash or a control character.
///
/// Eight bytes a step. In `(x - 0x01…) & !x & 0x80…` the lowest set bit marks the first zero byte exactly; only bytes
/// above it may be marked wrongly, and we look at the lowest alone.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|slice| <[u8; 8]>::try_from(slice).ok()) {
        let x = u64::from_le_bytes(chunk);
        let quote = x ^ every(b'"');
        let backslash = x ^ every(b'\\');
        let hits = (quote.wrapping_sub(every(1)) & !quote)
            | (backslash.wrapping_sub(every(1)) & !backslash)
            | (x.wrapping_sub(every(0x20)) & !x);
        let hits = hits & every(0x80);
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            break;
        }
        at += 1;
    }
    at
}
