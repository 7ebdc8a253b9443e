//! What tokens cost.
//!
//! A price comes from `prices.yml`, else from the provider's own word (`price: free`, the simulated model), else from
//! the built-in table. A model that none of them knows has no price, which is never the same as free.
//!
//! Not priced, since no usage tells them apart: video (counted as images), citations, and searches of files. A tier
//! whose prices nobody knows costs what the standard one does.

mod find;
pub mod import;
mod kinds;
mod rates;
mod sheet;
mod table;

use gauntlet_types::{NanoUsd, PicoUsdPerToken, ServiceTier, TokenCount, Usage, money::round_pico};

pub use self::{
    find::{is_vendor, vendor},
    rates::{KINDS, Rates, Said, Schedule, Tier},
    sheet::{Sheet, When},
    table::{Entry, TABLE_DAY, TABLE_VERSION, entries, vendors},
};

/// What a model costs at some time.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Price {
    /// Of the standard service tier.
    pub rates: Rates,
    /// Of long calls in the standard service tier, in ascending order of `over`.
    pub tiers: Vec<Tier>,
    /// Of the other service tiers, where they are known.
    pub batch: Option<Schedule>,
    pub flex: Option<Schedule>,
    pub priority: Option<Schedule>,
    pub per_request: NanoUsd,
    /// For a search of the web that the provider does.
    pub per_search: NanoUsd,
    /// Input and output together, if known.
    pub context_window: Option<TokenCount>,
    /// The most output that the model gives, if known.
    pub output_max: Option<TokenCount>,
}

/// The most that a call can use, before it is made.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Bound {
    pub input: TokenCount,
    pub output: TokenCount,
    /// Audio may be among the input or the output.
    pub may_audio: bool,
    /// Images or video may be among the input or the output.
    pub may_image: bool,
    /// Searches of the web that the provider may do.
    pub web_searches: u32,
    /// The service tier that was asked for; none is the standard one. A provider may answer in the standard tier instead,
    /// so that one counts too.
    pub tier: Option<ServiceTier>,
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
        let usd = |micro: u64| Some(PicoUsdPerToken(micro * 1_000_000));
        let mut said = [None; KINDS];
        (said[0], said[1], said[4]) = (usd(1), Some(PicoUsdPerToken(500_000)), usd(2));
        Price::flat(Rates::filled(&said))
    }

    pub fn is_free(&self) -> bool {
        let services = [&self.batch, &self.flex, &self.priority].into_iter().flatten();
        let nothing = |rates: &Rates, tiers: &[Tier]| {
            *rates == Rates::default() && tiers.iter().all(|tier| tier.rates == Rates::default())
        };
        self.per_request == NanoUsd::ZERO
            && self.per_search == NanoUsd::ZERO
            && nothing(&self.rates, &self.tiers)
            && services.into_iter().all(|service| nothing(&service.rates, &service.tiers))
    }

    /// The own prices of a service tier; none when nobody knows them, and then the standard ones are taken.
    pub fn service(&self, tier: ServiceTier) -> Option<&Schedule> {
        match tier {
            ServiceTier::Standard => None,
            ServiceTier::Batch => self.batch.as_ref(),
            ServiceTier::Flex => self.flex.as_ref(),
            ServiceTier::Priority => self.priority.as_ref(),
        }
    }

    fn schedule(&self, tier: ServiceTier) -> (&Rates, &[Tier]) {
        self.service(tier).map_or((&self.rates, &self.tiers), |service| (&service.rates, &service.tiers))
    }

    /// The standard rates of a call with so many input tokens, cached ones included.
    pub fn rates_at(&self, input: TokenCount) -> &Rates {
        self.rates_of(ServiceTier::Standard, input)
    }

    /// The rates of a call in a service tier with so many input tokens, cached ones included.
    pub fn rates_of(&self, tier: ServiceTier, input: TokenCount) -> &Rates {
        let (rates, tiers) = self.schedule(tier);
        tiers.iter().rev().find(|tier| input > tier.over).map_or(rates, |tier| &tier.rates)
    }

    /// What a call cost: exact sums in pico-dollars, rounded once, up to the next nano-dollar.
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        let pico = self.rates_of(usage.tier, usage.input_total()).cost(usage);
        self.per_request.plus(self.searches(usage.web_searches)).plus(round_pico(pico))
    }

    fn searches(&self, count: u32) -> NanoUsd {
        NanoUsd(self.per_search.0.saturating_mul(i64::from(count)))
    }

    /// The most that a call with at most so many tokens can cost, whatever kinds of tokens they turn out to be, audio and
    /// images among them. [`Price::bound_of`] is lower where more is known of the call.
    pub fn bound(&self, input: TokenCount, output: TokenCount) -> NanoUsd {
        self.bound_of(&Bound { input, output, may_audio: true, may_image: true, ..Bound::default() })
    }

    /// The most that such a call can cost.
    ///
    /// Input is taken at its dearest, since the provider decides what it caches. Fewer tokens may fall into another tier
    /// of length, so every tier within reach counts; likewise the standard service tier beside the one asked for.
    pub fn bound_of(&self, most: &Bound) -> NanoUsd {
        let (may_audio, may_image) = (most.may_audio, most.may_image);
        let worst = |service: ServiceTier| {
            let (rates, tiers) = self.schedule(service);
            let within = tiers.iter().filter(|tier| most.input > tier.over).map(|tier| &tier.rates);
            let pico = std::iter::once(rates).chain(within).map(|rates| {
                rates.dearest_input(may_audio, may_image).times(most.input)
                    + rates.dearest_output(may_audio, may_image).times(most.output)
            });
            pico.max().unwrap_or(0)
        };
        let standard = worst(ServiceTier::Standard);
        let pico = match most.tier {
            None | Some(ServiceTier::Standard) => standard,
            Some(asked) => standard.max(worst(asked)),
        };
        self.per_request.plus(self.searches(most.web_searches)).plus(round_pico(pico))
    }
}

#[cfg(test)]
mod tests;
