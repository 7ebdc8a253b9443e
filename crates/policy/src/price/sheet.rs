//! A model's prices over time.

use std::sync::Arc;

use gauntlet_types::Timestamp;

use super::{Entry, Price};

/// When a row of a sheet holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    Always,
    From(Timestamp),
    /// Seconds after midnight UTC, the end not included; it may lie past midnight.
    TimeOfDay(u32, u32),
}

impl When {
    fn holds(self, at: Timestamp) -> bool {
        let second = (at.0.div_euclid(1_000_000).rem_euclid(86_400)) as u32;
        match self {
            When::Always => true,
            When::From(start) => at >= start,
            When::TimeOfDay(start, end) if end < start => second >= start || second < end,
            When::TimeOfDay(start, end) => second >= start && second < end,
        }
    }
}

/// A model's prices over time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sheet {
    pub(super) rows: Vec<(When, Arc<Price>)>,
}

impl Sheet {
    /// Of the rows that hold, the last is the price.
    pub fn new(rows: Vec<(When, Arc<Price>)>) -> Sheet {
        Sheet { rows }
    }

    pub fn flat(price: Price) -> Sheet {
        Sheet { rows: vec![(When::Always, Arc::new(price))] }
    }

    /// The built-in prices of a vendor's model; none when it is not in the table.
    pub fn find(vendor: &str, model: &str) -> Option<Sheet> {
        Some(Entry::find(vendor, model)?.sheet())
    }

    /// The price at a time: of the rows that hold, the last. None before the first row holds.
    pub fn at(&self, at: Timestamp) -> Option<Arc<Price>> {
        self.rows.iter().rev().find(|(when, _)| when.holds(at)).map(|(_, price)| price.clone())
    }

    /// The same prices, with the model's limits as another sheet knows them where this one does not.
    #[must_use]
    pub fn with_limits_of(&self, other: &Sheet) -> Sheet {
        let Some((_, known)) = other.rows.last() else { return self.clone() };
        let row = |(when, price): &(When, Arc<Price>)| {
            let context_window = price.context_window.or(known.context_window);
            let output_max = price.output_max.or(known.output_max);
            (*when, Arc::new(Price { context_window, output_max, ..Price::clone(price) }))
        };
        Sheet { rows: self.rows.iter().map(row).collect() }
    }

    pub fn rows(&self) -> &[(When, Arc<Price>)] {
        &self.rows
    }
}
