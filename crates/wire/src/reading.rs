//! What the readers of requests share, whatever the dialect.

use crate::{
    conversation::METADATA_MAX,
    json::{Cursor, Fail, Scan, ValueKind},
    text::{Found, other, others},
};

/// The keys of an object that a reader knows, as an enum.
macro_rules! fields {
    ($($variant:ident = $key:literal),* $(,)?) => {
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Field { $($variant),* }

        impl Field {
            const KEYS: &[&str] = &[$($key),*];

            fn of(key: &str) -> Option<Field> {
                match key { $($key => Some(Field::$variant),)* _ => None }
            }
        }
    };
}
pub(crate) use fields;

/// Keys of one object that were seen, as bits.
#[derive(Default)]
pub(crate) struct Seen(u32);

impl Seen {
    /// Refuses a second key of the same kind. `param` names it.
    pub(crate) fn once(&mut self, bit: u32, at: usize, param: impl std::fmt::Display) -> Scan<()> {
        if self.0 & (1 << bit) != 0 {
            return Err(Fail::field(at, param, "is given twice"));
        }
        self.0 |= 1 << bit;
        Ok(())
    }
}

/// Refuses a key that a server with case-blind keys would take for one of ours.
pub(crate) fn refuse_case_variant(key: &str, known: &[&str], at: usize) -> Scan<()> {
    match known.iter().find(|known| known.eq_ignore_ascii_case(key)) {
        Some(known) => Err(Fail::field(at, key, format_args!("is spelt `{known}`"))),
        None => Ok(()),
    }
}

pub(crate) fn string(cursor: &mut Cursor<'_>, param: &str) -> Scan<String> {
    let literal = cursor.expect_string(param)?;
    Ok(cursor.text(literal).into_owned())
}

/// A string that we read and no model does.
pub(crate) fn kept_string(cursor: &mut Cursor<'_>, param: &str, texts: &mut Vec<Found>) -> Scan<String> {
    let literal = cursor.expect_string(param)?;
    other(literal, texts);
    Ok(cursor.text(literal).into_owned())
}

pub(crate) fn metadata(cursor: &mut Cursor<'_>, texts: &mut Vec<Found>) -> Scan<Vec<(String, String)>> {
    let mut object = cursor.expect_object("metadata")?;
    let mut pairs = Vec::new();
    while let Some(key) = cursor.member_literal(&mut object)? {
        other(key, texts);
        let key = cursor.text(key);
        let value = match cursor.kind()? {
            ValueKind::String => {
                let literal = cursor.literal()?;
                other(literal, texts);
                Some(cursor.text(literal))
            }
            ValueKind::Number | ValueKind::True | ValueKind::False => {
                let span = cursor.span()?;
                Some(cursor.slice(span).into())
            }
            ValueKind::Object | ValueKind::Array | ValueKind::Null => {
                others(cursor, texts)?;
                None
            }
        };
        if let Some(value) = value
            && pairs.len() < METADATA_MAX
        {
            pairs.push((key.into_owned(), value.into_owned()));
        }
    }
    Ok(pairs)
}
