//! What tokens cost.
//!
//! A price comes from `prices.yml`, else from the provider's own word (`price: free`, the simulated model), else from
//! the built-in table. A model that none of them knows has no price, which is never the same as free.
//!
//! Not priced, since no usage tells them apart from text tokens: audio, images, and searches done by the provider.

mod table;

use std::sync::Arc;

use gauntlet_types::{NanoUsd, PicoUsdPerToken, Timestamp, TokenCount, Usage, money::round_pico};

pub use self::table::{TABLE_VERSION, is_vendor, vendor, vendors};

/// Prices of the kinds of tokens, for one length of input.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Rates {
    pub input: PicoUsdPerToken,
    pub cache_read: PicoUsdPerToken,
    pub cache_write_5m: PicoUsdPerToken,
    pub cache_write_1h: PicoUsdPerToken,
    pub output: PicoUsdPerToken,
    pub reasoning: PicoUsdPerToken,
}

/// Prices of long calls: all tokens of a call with more than `over` input tokens cost `rates`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tier {
    pub over: TokenCount,
    pub rates: Rates,
}

/// What a model costs at some time.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Price {
    pub rates: Rates,
    /// In ascending order of `over`.
    pub tiers: Vec<Tier>,
    pub per_request: NanoUsd,
    /// Input and output together, if known.
    pub context_window: Option<TokenCount>,
}

impl Price {
    /// Costs nothing, because somebody said so.
    pub fn free() -> Price {
        Price::default()
    }

    pub fn flat(rates: Rates) -> Price {
        Price { rates, ..Price::default() }
    }

    /// The simulated model's price: 1 USD a million input tokens, 2 USD a million output tokens, cache reads at half.
    pub fn simulated() -> Price {
        let usd = |micro: u64| PicoUsdPerToken(micro * 1_000_000);
        Price::flat(Rates {
            input: usd(1),
            cache_read: PicoUsdPerToken(500_000),
            cache_write_5m: usd(1),
            cache_write_1h: usd(1),
            output: usd(2),
            reasoning: usd(2),
        })
    }

    pub fn is_free(&self) -> bool {
        self.per_request == NanoUsd::ZERO
            && std::iter::once(&self.rates)
                .chain(self.tiers.iter().map(|tier| &tier.rates))
                .all(|r| *r == Rates::default())
    }

    /// The rates of a call with so many input tokens, cached ones included.
    pub fn rates_at(&self, input: TokenCount) -> &Rates {
        self.tiers.iter().rev().find(|tier| input > tier.over).map_or(&self.rates, |tier| &tier.rates)
    }

    /// What a call cost: exact sums in pico-dollars, rounded once, up to the next nano-dollar.
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        let rates = self.rates_at(usage.input_total());
        let pico = rates.input.times(usage.input_fresh)
            + rates.cache_read.times(usage.cache_read)
            + rates.cache_write_5m.times(usage.cache_write_5m)
            + rates.cache_write_1h.times(usage.cache_write_1h)
            + rates.output.times(usage.output)
            + rates.reasoning.times(usage.reasoning);
        self.per_request.plus(round_pico(pico))
    }

    /// The most that a call with at most so many tokens can cost, whatever kinds of tokens they turn out to be.
    ///
    /// Input is taken at its dearest, which for some vendors is a write to the hour-long cache at twice the plain
    /// price: the provider decides what it caches. Fewer tokens may fall into another tier, so every tier within reach
    /// counts.
    pub fn bound(&self, input: TokenCount, output: TokenCount) -> NanoUsd {
        let within = self.tiers.iter().filter(|tier| input > tier.over).map(|tier| &tier.rates);
        let pico = std::iter::once(&self.rates).chain(within).map(|rates| {
            let dearest_input =
                rates.input.max(rates.cache_read).max(rates.cache_write_5m).max(rates.cache_write_1h);
            dearest_input.times(input) + rates.output.max(rates.reasoning).times(output)
        });
        self.per_request.plus(round_pico(pico.max().unwrap_or(0)))
    }
}

/// When a row of a sheet holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    Always,
    From(Timestamp),
    /// Seconds after midnight UTC, the end not included; it may lie past midnight.
    TimeOfDay(u32, u32),
}

/// A model's prices over time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sheet {
    rows: Vec<(When, Arc<Price>)>,
}

impl Sheet {
    /// The built-in prices of a vendor's model; none when it is not in the table.
    pub fn find(vendor: &str, model: &str) -> Option<Sheet> {
        table::find(vendor, model)
    }

    /// The price at a time: of the rows that hold, the last.
    pub fn at(&self, at: Timestamp) -> Option<Arc<Price>> {
        let second = (at.0.div_euclid(1_000_000).rem_euclid(86_400)) as u32;
        let holds = |when: &When| match *when {
            When::Always => true,
            When::From(start) => at >= start,
            When::TimeOfDay(start, end) if end < start => second >= start || second < end,
            When::TimeOfDay(start, end) => second >= start && second < end,
        };
        self.rows
            .iter()
            .rev()
            .find(|(when, _)| holds(when))
            .or(self.rows.first())
            .map(|(_, price)| price.clone())
    }
}

#[cfg(test)]
mod tests;
