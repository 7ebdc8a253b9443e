//! A tenant's usual day, and whether today is far above it: nearly always a loop that runs away, or misuse.
//!
//! The baseline is the mean of the days of the window since the tenant was first seen in it; a day without spend is a day
//! of zero. Today is compared as it stands, against whole days: it is told the sooner the worse it is, and never before
//! it has really spent a multiple of a usual day.

use gauntlet_types::{Day, NanoUsd};
use serde::Serialize;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// 300: three times the mean.
    pub factor_percent: u32,
    /// Days before today that make the mean.
    pub window_days: u32,
    /// A tenant known for fewer days than this has no usual day yet.
    pub history_days_min: u32,
    /// A day below this is never told: three times a penny is three pennies.
    pub floor: NanoUsd,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { factor_percent: 300, window_days: 28, history_days_min: 7, floor: NanoUsd(1_000_000_000) }
    }
}

impl Rules {
    /// The first day that counts.
    pub fn window_start(&self, day: Day) -> Day {
        Day(day.0.saturating_sub_unsigned(self.window_days))
    }
}

/// A day above its baseline.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Spike {
    pub cost: NanoUsd,
    /// Of a usual day.
    pub mean: NanoUsd,
    /// Days that the mean is made of.
    pub days: u32,
    /// How many times the mean; none where the mean is nothing.
    pub times: Option<f64>,
}

/// Says whether `day` is a spike. `spent` is what one tenant spent on which day, in any order; days left out are zero.
pub fn spike(spent: &[(Day, NanoUsd)], day: Day, rules: &Rules) -> Option<Spike> {
    let start = rules.window_start(day);
    let within = || spent.iter().filter(|(at, _)| *at >= start && *at < day);
    let first = within().map(|(at, _)| *at).min()?;
    let days = u32::try_from(day.0 - first.0).ok().filter(|days| *days >= rules.history_days_min.max(1))?;
    let sum: NanoUsd = within().map(|(_, cost)| *cost).sum();
    let cost: NanoUsd = spent.iter().filter(|(at, _)| *at == day).map(|(_, cost)| *cost).sum();
    // cost ≥ factor × sum ÷ days, in whole numbers.
    let is_above =
        i128::from(cost.0) * i128::from(days) * 100 >= i128::from(sum.0) * i128::from(rules.factor_percent);
    let mean = NanoUsd(sum.0 / i64::from(days));
    let times = (mean.0 > 0).then(|| cost.0 as f64 / mean.0 as f64);
    (cost >= rules.floor && cost > NanoUsd::ZERO && is_above).then_some(Spike { cost, mean, days, times })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Day = Day(20_000);

    /// `before` are dollars of the days before today, yesterday last; none for a day without a call.
    fn check(what: &str, before: &[Option<i64>], today_usd: i64, expected: Option<(i64, u32)>) {
        let usd = |dollars: i64| NanoUsd(dollars * 1_000_000_000);
        let first = TODAY.0 - before.len() as i32;
        let mut spent: Vec<_> = before
            .iter()
            .enumerate()
            .filter_map(|(at, dollars)| dollars.map(|dollars| (Day(first + at as i32), usd(dollars))))
            .collect();
        spent.push((TODAY, usd(today_usd)));
        let found = spike(&spent, TODAY, &Rules::default());
        let expected = expected.map(|(mean, days)| (usd(mean), days));
        assert_eq!(found.map(|spike| (spike.mean, spike.days)), expected, "{what}");
    }

    #[test]
    fn a_spike_is_three_times_a_usual_day() {
        check("steady", &[Some(4); 28], 4, None);
        check("just below", &[Some(4); 28], 11, None);
        check("three times", &[Some(4); 28], 12, Some((4, 28)));
        check("far above", &[Some(4); 28], 400, Some((4, 28)));
        check("a quiet today", &[Some(4); 28], 0, None);
    }

    #[test]
    fn a_new_tenant_has_no_usual_day() {
        check("never seen before", &[], 500, None);
        check("six days", &[Some(1); 6], 500, None);
        check("seven days", &[Some(1); 7], 500, Some((1, 7)));
    }

    #[test]
    fn gaps_are_days_of_zero() {
        let mut gaps = [None; 28];
        (gaps[0], gaps[14]) = (Some(28), Some(28));
        check("56 dollars in 28 days", &gaps, 6, Some((2, 28)));
        check(
            "known for eight days, of which one with calls",
            &[Some(16), None, None, None, None, None, None, None],
            6,
            Some((2, 8)),
        );
        check("free until today", &[Some(0); 10], 1, Some((0, 10)));
        check(
            "what lies before the window does not count",
            &[&[Some(1000)][..], &[None; 28]].concat(),
            500,
            None,
        );
    }

    #[test]
    fn pennies_and_amounts_beyond_reason_are_handled() {
        let rules = Rules::default();
        let days = |cost: i64| (1..=28).map(move |back| (Day(TODAY.0 - back), NanoUsd(cost)));
        let spent: Vec<_> = days(1_000_000).chain([(TODAY, NanoUsd(999_999_999))]).collect();
        assert_eq!(spike(&spent, TODAY, &rules), None, "a thousand times a penny, and still below the floor");
        let spent: Vec<_> = days(i64::MAX / 20).chain([(TODAY, NanoUsd(i64::MAX))]).collect();
        assert!(spike(&spent, TODAY, &rules).is_some_and(|spike| spike.times.is_some()));
        let none = Rules { floor: NanoUsd::ZERO, ..rules };
        let spent: Vec<_> = days(0).chain([(TODAY, NanoUsd::ZERO)]).collect();
        assert_eq!(spike(&spent, TODAY, &none), None, "nothing is never a multiple of nothing");
    }
}
