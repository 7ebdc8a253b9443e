//! Values on their way to Postgres and back: instants, days, ids, and texts with what Postgres takes in no text.

use std::borrow::Cow;

use bytes::BytesMut;
use gauntlet_types::{Day, Name, NanoUsd, Timestamp};
use tokio_postgres::{
    Row,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};
use uuid::Uuid;

use super::database::{Result, Trouble};
use crate::time;

type Source = Box<dyn std::error::Error + Sync + Send>;

/// Postgres counts from the year 2000.
const EPOCH_DAY: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// `0001-01-01`, the period of a budget that never turns.
const NEVER_TURNS: i32 = -719_162;

/// `timestamptz`. Instants outside the years 1970 to 9999 are taken as the nearest within.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(pub Timestamp);

/// `date`; days that no calendar here knows are taken as the nearest that it does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct On(i32);

#[derive(Clone, Copy, Debug)]
pub(super) struct Id(pub Uuid);

impl On {
    pub(super) fn day(day: Day) -> On {
        On(time::within(day).0)
    }

    /// Of a budget that never turns with none.
    pub(super) fn period(period: Option<Day>) -> On {
        period.map_or(On(NEVER_TURNS), On::day)
    }

    /// As another store's row says it, the period of a budget that never turns included.
    pub(super) fn of(day: Day) -> On {
        if day.0 == NEVER_TURNS { On(NEVER_TURNS) } else { On::day(day) }
    }

    pub(super) fn as_period(self) -> Option<Day> {
        (self.0 != NEVER_TURNS).then_some(Day(self.0))
    }

    pub(super) fn as_day(self) -> Day {
        Day(self.0)
    }
}

impl ToSql for At {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, Source> {
        out.extend_from_slice(&(time::within_calendar(self.0).0 - EPOCH_MICROS).to_be_bytes());
        Ok(IsNull::No)
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
    to_sql_checked!();
}

impl<'a> FromSql<'a> for At {
    fn from_sql(_: &Type, raw: &'a [u8]) -> std::result::Result<At, Source> {
        Ok(At(Timestamp(i64::from_be_bytes(raw.try_into()?).saturating_add(EPOCH_MICROS))))
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

impl ToSql for On {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, Source> {
        out.extend_from_slice(&(self.0 - EPOCH_DAY).to_be_bytes());
        Ok(IsNull::No)
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::DATE
    }
    to_sql_checked!();
}

impl<'a> FromSql<'a> for On {
    fn from_sql(_: &Type, raw: &'a [u8]) -> std::result::Result<On, Source> {
        Ok(On(i32::from_be_bytes(raw.try_into()?).saturating_add(EPOCH_DAY)))
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::DATE
    }
}

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, Source> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::UUID
    }
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Id {
    fn from_sql(_: &Type, raw: &'a [u8]) -> std::result::Result<Id, Source> {
        Ok(Id(Uuid::from_slice(raw)?))
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::UUID
    }
}

/// Stands for NUL, which Postgres takes in no text, when `0` follows, and for itself when it follows itself. A character
/// for private use that nobody uses: texts without either are stored as they are.
const MARK: char = '\u{f4fff}';

/// A text as it is stored.
pub(super) fn stored(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', MARK]) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        match char {
            '\0' => out.extend([MARK, '0']),
            MARK => out.extend([MARK, MARK]),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// A stored text as it was.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(MARK) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            MARK if chars.next() == Some('0') => out.push('\0'),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// Reads columns of a row.
pub(super) struct Columns<'a>(pub &'a Row);

impl<'a> Columns<'a> {
    pub(super) fn get<T: FromSql<'a>>(&self, column: usize) -> Result<T> {
        self.0.try_get(column).map_err(|_| Trouble::Unreadable(column))
    }

    pub(super) fn text(&self, column: usize) -> Result<String> {
        self.get::<&str>(column).map(|text| shown(text).into_owned())
    }

    pub(super) fn text_or_none(&self, column: usize) -> Result<Option<String>> {
        Ok(self.get::<Option<&str>>(column)?.map(|text| shown(text).into_owned()))
    }

    pub(super) fn name(&self, column: usize) -> Result<Name> {
        self.get::<&str>(column).map(|text| Name::from(&*shown(text)))
    }

    pub(super) fn name_or_none(&self, column: usize) -> Result<Option<Name>> {
        Ok(self.get::<Option<&str>>(column)?.map(|text| Name::from(&*shown(text))))
    }

    pub(super) fn whole(&self, column: usize) -> Result<u64> {
        self.get::<i64>(column).map(|number| number.max(0).unsigned_abs())
    }

    pub(super) fn usd(&self, column: usize) -> Result<NanoUsd> {
        self.get::<i64>(column).map(NanoUsd)
    }

    pub(super) fn at(&self, column: usize) -> Result<Timestamp> {
        self.get::<At>(column).map(|at| at.0)
    }

    pub(super) fn day(&self, column: usize) -> Result<Day> {
        self.get::<On>(column).map(On::as_day)
    }

    /// What `parse` makes of a text.
    pub(super) fn read<T>(&self, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        parse(&shown(self.get(column)?)).ok_or(Trouble::Unreadable(column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_read_as_it_was_stored() {
        let check = |text: &str| {
            let kept = stored(text);
            assert!(!kept.contains('\0'));
            assert_eq!(shown(&kept), text);
        };
        ["", "plain", "nul\0inside", "\0\0", "\u{f4fff}", "\u{f4fff}0", "\0\u{f4fff}\u{f4fff}0\0"]
            .into_iter()
            .for_each(check);
        assert!(matches!(stored("as it is 東"), Cow::Borrowed(_)));
    }
}
