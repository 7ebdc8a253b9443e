//! Prices kind by kind, as price lists give them, put together into prices over time.

use gauntlet_types::{Day, NanoUsd, PicoUsdPerToken, ServiceTier, Timestamp, TokenCount};

use super::{KINDS, Price, Rates, Schedule, Tier, When};

/// The letters of the kinds, in the order of [`Rates::NAMES`].
const LETTERS: &str = "irwhotaycmnp";

/// Puts standard prices and those of service tiers together.
///
/// `standard` is in ascending order of its days. A service tier that begins later begins a row of its own, of the standard
/// prices of that day.
pub(super) fn assemble(standard: &[(When, Kinds)], services: &[Service]) -> Vec<(When, Price)> {
    let start = |when: &When| match *when {
        When::From(start) => start,
        When::Always | When::TimeOfDay(..) => Timestamp(i64::MIN),
    };
    let mut rows: Vec<(When, &Kinds)> = Vec::new();
    for (at, (when, kinds)) in standard.iter().enumerate() {
        rows.push((*when, kinds));
        let end = standard.get(at + 1).map_or(Timestamp(i64::MAX), |(next, _)| start(next));
        let starts = services.iter().filter_map(|service| service.from);
        let mut days: Vec<Timestamp> = starts.filter(|day| *day > start(when) && *day < end).collect();
        days.sort_unstable();
        days.dedup();
        rows.extend(days.into_iter().map(|day| (When::From(day), kinds)));
    }
    let price = |(when, kinds): (When, &Kinds)| {
        let at = start(&when);
        let service = |tier: ServiceTier| {
            let holding =
                services.iter().filter(|one| one.tier == tier && one.from.is_none_or(|day| at >= day));
            let overlaid = holding.map(|one| kinds.overlaid(&one.kinds));
            overlaid.reduce(|first, next| first.or(next)).map(|kinds| kinds.schedule())
        };
        let Schedule { rates, tiers } = kinds.schedule();
        let price = Price {
            rates,
            tiers,
            batch: service(ServiceTier::Batch),
            flex: service(ServiceTier::Flex),
            priority: service(ServiceTier::Priority),
            per_request: kinds.per_request,
            per_search: kinds.per_search,
            context_window: None,
            output_max: None,
        };
        (when, price)
    };
    rows.into_iter().map(price).collect()
}

/// What a service tier changes, and from when.
pub(super) struct Service {
    pub tier: ServiceTier,
    pub from: Option<Timestamp>,
    pub kinds: Kinds,
}

impl Service {
    pub(super) fn parse(text: &str) -> Option<Service> {
        let (head, prices) = text.split_once(' ')?;
        let (word, day) = head.split_once('@').map_or((head, None), |(word, day)| (word, Some(day)));
        let from = match day {
            Some(day) => Some(Day::parse(day)?.start()),
            None => None,
        };
        Some(Service { tier: ServiceTier::of_word(word)?, from, kinds: Kinds::parse(prices)? })
    }
}

/// One kind of tokens: its price, and its prices of longer input.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Kind(pub u64, pub Vec<(u32, u64)>);

impl Kind {
    fn parse(text: &str) -> Option<Kind> {
        let mut parts = text.split('>');
        let base = parts.next()?.parse().ok()?;
        let tiers = parts.map(|tier| {
            let (over, price) = tier.split_once(':')?;
            Some((over.parse().ok()?, price.parse().ok()?))
        });
        Some(Kind(base, tiers.collect::<Option<_>>()?))
    }

    /// The price when the input is longer than `over`; the plain price for none.
    fn at(&self, over: Option<u32>) -> u64 {
        let tier = self.1.iter().rev().find(|(start, _)| over.is_some_and(|over| over >= *start));
        tier.map_or(self.0, |(_, price)| *price)
    }
}

/// The kinds that a column names.
#[derive(Clone, Default)]
pub(super) struct Kinds {
    /// In the order of [`Rates::NAMES`].
    pub kinds: [Option<Kind>; KINDS],
    /// Those that a service tier gave a price of its own.
    is_own: [bool; KINDS],
    pub per_request: NanoUsd,
    pub per_search: NanoUsd,
}

impl Kinds {
    pub(super) fn parse(text: &str) -> Option<Kinds> {
        let mut found = Kinds::default();
        for part in text.split_whitespace() {
            let (name, value) = part.split_at_checked(1)?;
            match name {
                "q" => found.per_request = NanoUsd(value.parse().ok()?),
                "s" => found.per_search = NanoUsd(value.parse().ok()?),
                _ => found.kinds[LETTERS.find(name)?] = Some(Kind::parse(value)?),
            }
        }
        Some(found)
    }

    /// These with what a service tier changes.
    fn overlaid(&self, service: &Kinds) -> Kinds {
        let mut all = self.clone();
        for (at, kind) in service.kinds.iter().enumerate() {
            if kind.is_some() {
                (all.kinds[at], all.is_own[at]) = (kind.clone(), true);
            }
        }
        all
    }

    /// Of two sets for one service tier: what the first has of its own, then the second.
    fn or(mut self, second: Kinds) -> Kinds {
        for at in 0..KINDS {
            if !self.is_own[at] && second.is_own[at] {
                (self.kinds[at], self.is_own[at]) = (second.kinds[at].clone(), true);
            }
        }
        self
    }

    fn schedule(&self) -> Schedule {
        let rates = |over: Option<u32>| {
            let said = |kind: &Option<Kind>| kind.as_ref().map(|kind| PicoUsdPerToken(kind.at(over)));
            Rates::filled(&self.kinds.each_ref().map(said))
        };
        let mut starts: Vec<u32> =
            self.kinds.iter().flatten().flat_map(|kind| kind.1.iter().map(|(start, _)| *start)).collect();
        starts.sort_unstable();
        starts.dedup();
        let tiers = starts.into_iter().map(|over| Tier { over: TokenCount(over), rates: rates(Some(over)) });
        Schedule { rates: rates(None), tiers: tiers.collect() }
    }
}
