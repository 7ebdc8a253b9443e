use std::fmt;

/// Which of two columns a message means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    First,
    Second,
    /// Second minus first.
    Differences,
    Values,
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Column::First => "the first column",
            Column::Second => "the second column",
            Column::Differences => "the differences",
            Column::Values => "the values",
        })
    }
}

/// Why there is no answer, and what would give one.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum StatsError {
    #[error(
        "the first column has {first} values and the second {second}: each value needs its partner, so leave out cases that only one side has"
    )]
    Lengths { first: usize, second: usize },
    #[error("{what} needs at least {needed} {of}, and there are {found}: add cases")]
    TooFew { what: &'static str, of: &'static str, needed: usize, found: usize },
    #[error("{what} takes at most {limit} {of}, and there are {found}: {cure}")]
    TooMany { what: &'static str, of: &'static str, limit: usize, found: usize, cure: &'static str },
    /// `position` counts from 1.
    #[error(
        "value {position} of {column} is {value}: give a finite number, or leave the case out as unscored"
    )]
    NotFinite { column: Column, position: usize, value: f64 },
    #[error("value {position} of {column} is {value}, outside {low} to {high}: {cure}")]
    OutOfSupport { column: Column, position: usize, value: f64, low: f64, high: f64, cure: &'static str },
    #[error("{what} is not defined: {column} are all the same; {cure}")]
    Constant { what: &'static str, column: Column, cure: &'static str },
    #[error("{name} is {value}: give a number {range}")]
    Parameter { name: &'static str, value: f64, range: &'static str },
}
