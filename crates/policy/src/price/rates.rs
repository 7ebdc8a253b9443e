//! The kinds of tokens, and what each costs.

use gauntlet_types::{PicoUsdPerToken, TokenCount, Usage};

/// Prices of the kinds of tokens, for one length of input and one service tier.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Rates {
    pub input: PicoUsdPerToken,
    pub cache_read: PicoUsdPerToken,
    pub cache_write_5m: PicoUsdPerToken,
    pub cache_write_1h: PicoUsdPerToken,
    pub output: PicoUsdPerToken,
    pub reasoning: PicoUsdPerToken,
    pub audio_input: PicoUsdPerToken,
    pub audio_cache_read: PicoUsdPerToken,
    pub audio_output: PicoUsdPerToken,
    pub image_input: PicoUsdPerToken,
    pub image_cache_read: PicoUsdPerToken,
    pub image_output: PicoUsdPerToken,
}

/// How many kinds there are.
pub const KINDS: usize = 12;

/// Some of the kinds' prices, in the order of [`Rates::NAMES`]: what a price list says, the rest being derived.
pub type Said = [Option<PicoUsdPerToken>; KINDS];

/// What a kind is a part of, nearest first, as places in [`Rates::NAMES`]: what has no price of its own costs as much.
/// What is cached of audio that has a price is taken for audio without a discount, until somebody says otherwise.
const PART_OF: [&[usize]; KINDS] =
    [&[], &[0], &[0], &[2, 0], &[], &[4], &[0], &[6, 1, 0], &[4], &[0], &[9, 1, 0], &[4]];

impl Rates {
    /// As `prices.yml` calls the kinds.
    pub const NAMES: [&'static str; KINDS] = [
        "input",
        "cache_read",
        "cache_write_5m",
        "cache_write_1h",
        "output",
        "reasoning",
        "audio_input",
        "audio_cache_read",
        "audio_output",
        "image_input",
        "image_cache_read",
        "image_output",
    ];

    /// The prices in the order of [`Rates::NAMES`].
    pub const fn each(&self) -> [PicoUsdPerToken; KINDS] {
        [
            self.input,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.output,
            self.reasoning,
            self.audio_input,
            self.audio_cache_read,
            self.audio_output,
            self.image_input,
            self.image_cache_read,
            self.image_output,
        ]
    }

    const fn of(each: [PicoUsdPerToken; KINDS]) -> Rates {
        let [
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            output,
            reasoning,
            audio_input,
            audio_cache_read,
            audio_output,
            image_input,
            image_cache_read,
            image_output,
        ] = each;
        Rates {
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            output,
            reasoning,
            audio_input,
            audio_cache_read,
            audio_output,
            image_input,
            image_cache_read,
            image_output,
        }
    }

    /// What was said, and for the rest the price of what it is a part of.
    pub fn filled(said: &Said) -> Rates {
        let price = |kind: usize| {
            let parents = PART_OF[kind].iter().find_map(|parent| said[*parent]);
            said[kind].or(parents).unwrap_or_default()
        };
        Rates::of(std::array::from_fn(price))
    }

    /// What was said, over these rates. A kind that was not said keeps its price, unless what it is a part of got a new
    /// one: then it costs that, or what it cost if it has always been dearer than what it is a part of.
    #[must_use]
    pub fn with(&self, said: &Said) -> Rates {
        let base = self.each();
        let price = |kind: usize| {
            let parent = PART_OF[kind].iter().find_map(|parent| Some((*parent, said[*parent]?)));
            match (said[kind], parent) {
                (Some(price), _) => price,
                (None, None) => base[kind],
                (None, Some((parent, price))) if base[kind] == base[parent] => price,
                (None, Some((_, price))) => price.max(base[kind]),
            }
        };
        Rates::of(std::array::from_fn(price))
    }

    /// What must be said so that `filled` (without a base) or `with` (over it) gives these rates.
    pub fn said(&self, base: Option<&Rates>) -> Said {
        let mut said = [None; KINDS];
        for (kind, price) in self.each().into_iter().enumerate() {
            let derived = base.map_or_else(|| Rates::filled(&said), |base| base.with(&said));
            // Input and output are the two that nobody should have to guess.
            if derived.each()[kind] != price || (base.is_none() && matches!(kind, 0 | 4)) {
                said[kind] = Some(price);
            }
        }
        said
    }

    /// These rates times `billionths` / 1 000 000 000, each rounded up.
    #[must_use]
    pub fn scaled(&self, billionths: u64) -> Rates {
        let scale = |price: PicoUsdPerToken| {
            let pico = (u128::from(price.0) * u128::from(billionths)).div_ceil(1_000_000_000);
            PicoUsdPerToken(u64::try_from(pico).unwrap_or(u64::MAX))
        };
        Rates::of(self.each().map(scale))
    }

    /// Pico-dollars.
    pub(super) fn cost(&self, usage: &Usage) -> u128 {
        let text = self.input.times(usage.input_fresh)
            + self.cache_read.times(usage.cache_read)
            + self.cache_write_5m.times(usage.cache_write_5m)
            + self.cache_write_1h.times(usage.cache_write_1h)
            + self.output.times(usage.output)
            + self.reasoning.times(usage.reasoning);
        text + self.audio_input.times(usage.audio_input)
            + self.audio_cache_read.times(usage.audio_cache_read)
            + self.audio_output.times(usage.audio_output)
            + self.image_input.times(usage.image_input)
            + self.image_cache_read.times(usage.image_cache_read)
            + self.image_output.times(usage.image_output)
    }

    /// The dearest price of a token of input. The provider decides what it caches, so a write to a cache that lives an
    /// hour counts, at twice the plain price with some vendors.
    pub(super) fn dearest_input(&self, may_audio: bool, may_image: bool) -> PicoUsdPerToken {
        let mut dearest = self.input.max(self.cache_read).max(self.cache_write_5m).max(self.cache_write_1h);
        if may_audio {
            dearest = dearest.max(self.audio_input).max(self.audio_cache_read);
        }
        if may_image {
            dearest = dearest.max(self.image_input).max(self.image_cache_read);
        }
        dearest
    }

    pub(super) fn dearest_output(&self, may_audio: bool, may_image: bool) -> PicoUsdPerToken {
        let mut dearest = self.output.max(self.reasoning);
        if may_audio {
            dearest = dearest.max(self.audio_output);
        }
        if may_image {
            dearest = dearest.max(self.image_output);
        }
        dearest
    }
}

/// Prices of long calls: all tokens of a call with more than `over` input tokens cost `rates`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tier {
    pub over: TokenCount,
    pub rates: Rates,
}

/// The prices of one service tier.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Schedule {
    pub rates: Rates,
    /// In ascending order of `over`.
    pub tiers: Vec<Tier>,
}

impl Schedule {
    /// These prices times `billionths` / 1 000 000 000.
    #[must_use]
    pub fn scaled(&self, billionths: u64) -> Schedule {
        let tiers = self.tiers.iter().map(|tier| Tier { rates: tier.rates.scaled(billionths), ..*tier });
        Schedule { rates: self.rates.scaled(billionths), tiers: tiers.collect() }
    }
}
