use std::sync::Arc;

use gauntlet_types::{Timestamp, TokenCount};

use super::*;

fn price(vendor: &str, model: &str) -> Arc<Price> {
    // 2026-11-21, the day of the table.
    Sheet::find(vendor, model).and_then(|sheet| sheet.at(Timestamp(1_795_219_200_000_000))).expect(model)
}

fn usage(fresh: u32, read: u32, output: u32) -> Usage {
    Usage {
        input_fresh: TokenCount(fresh),
        cache_read: TokenCount(read),
        output: TokenCount(output),
        ..Usage::default()
    }
}

#[test]
fn well_known_prices_are_known() {
    let check = |vendor: &str, model: &str, [input, read, write, output]: [f64; 4]| {
        let rates = price(vendor, model).rates;
        let shown = [rates.input, rates.cache_read, rates.cache_write_5m, rates.output];
        assert_eq!(shown.map(PicoUsdPerToken::as_usd_per_million), [input, read, write, output], "{model}");
    };
    check("openai", "gpt-4o-mini", [0.15, 0.075, 0.15, 0.60]);
    check("openai", "gpt-4o-mini-2024-07-18", [0.15, 0.075, 0.15, 0.60]);
    check("openai", "gpt-4o-mini-20240718", [0.15, 0.075, 0.15, 0.60]);
    check("openai", "GPT-4o", [2.50, 1.25, 2.50, 10.0]);
    check("azure", "gpt-4o", [2.50, 1.25, 2.50, 10.0]);
    check("anthropic", "claude-haiku-4-5", [1.0, 0.10, 1.25, 5.0]);
    check("anthropic", "claude-haiku-4-5-20251001", [1.0, 0.10, 1.25, 5.0]);
    assert_eq!(price("anthropic", "claude-haiku-4-5").rates.cache_write_1h.as_usd_per_million(), 2.0);
    assert_eq!(price("openai", "gpt-4o").context_window, Some(TokenCount(128_000)));
    for (vendor, model) in [("openai", "gpt-4o-huge"), ("openai", ""), ("nobody", "gpt-4o"), ("openai", "P")]
    {
        assert_eq!(Sheet::find(vendor, model), None, "{vendor}/{model}");
    }
}

#[test]
fn costs_are_exact_and_rounded_up_once() {
    let mini = price("openai", "gpt-4o-mini");
    // 1000 × 0.15 + 500 × 0.075 + 200 × 0.60, all a million.
    assert_eq!(mini.cost(&usage(1000, 500, 200)), NanoUsd(150_000 + 37_500 + 120_000));
    // Three cached tokens are 225 nano-dollars; each alone would round up to 75.
    assert_eq!(mini.cost(&usage(0, 3, 0)), NanoUsd(225));
    let odd = Price::flat(Rates { input: PicoUsdPerToken(1), ..Rates::default() });
    assert_eq!(odd.cost(&usage(1, 0, 0)), NanoUsd(1));
    assert_eq!(odd.cost(&usage(1001, 0, 0)), NanoUsd(2));
    assert_eq!(Price::free().cost(&usage(1000, 1000, 1000)), NanoUsd::ZERO);
    assert!(Price::free().is_free() && !Price::simulated().is_free());
}

#[test]
fn a_long_cached_call_costs_what_the_provider_bills() {
    // 200k fresh at 2.50, 100k cached at 1.25, 1k output at 10 USD a million.
    assert_eq!(price("openai", "gpt-4o").cost(&usage(200_000, 100_000, 1000)).to_string(), "0.635");
}

#[test]
fn long_input_costs_its_tier_for_every_token() {
    let pro = price("google", "gemini-2.5-pro");
    assert_eq!(pro.cost(&usage(200_000, 0, 1000)).to_string(), "0.26");
    // One token more, and all of them cost 2.50 and the output 15. Cached tokens count towards the length.
    assert_eq!(pro.cost(&usage(200_001, 0, 1000)).to_string(), "0.5150025");
    assert_eq!(pro.cost(&usage(100_001, 100_000, 0)).to_string(), "0.2750025");
    assert_eq!(pro.rates_at(TokenCount(200_000)), &pro.rates);
}

/// One of everything that is priced apart, in every tier.
fn any_usage() -> impl proptest::strategy::Strategy<Value = Usage> {
    use proptest::prelude::*;
    let counts = prop::array::uniform12(prop_oneof![Just(0u32), 0u32..300_000]);
    (counts, 0u32..9, prop::sample::select(ServiceTier::ALL.to_vec())).prop_map(
        |(counts, web_searches, tier)| {
            let [
                input_fresh,
                cache_read,
                cache_write_5m,
                cache_write_1h,
                output,
                reasoning,
                a,
                b,
                c,
                d,
                e,
                f,
            ] = counts.map(TokenCount);
            Usage {
                input_fresh,
                cache_read,
                cache_write_5m,
                cache_write_1h,
                output,
                reasoning,
                audio_input: a,
                audio_cache_read: b,
                audio_output: c,
                image_input: d,
                image_cache_read: e,
                image_output: f,
                web_searches,
                tier,
                estimated: false,
            }
        },
    )
}

#[test]
fn a_bound_is_never_below_a_cost() {
    use proptest::prelude::*;
    let prices = [
        ("google", "gemini-2.5-pro"),
        ("google", "gemini-3.1-flash-live-preview"),
        ("anthropic", "claude-haiku-4-5"),
        ("openai", "gpt-4o"),
        ("openai", "gpt-5.4"),
        ("openai", "gpt-realtime"),
        ("openai", "gpt-image-1"),
    ];
    let prices: Vec<_> = prices.into_iter().map(|(vendor, model)| price(vendor, model)).collect();
    proptest!(|(usage in any_usage())| {
        let is_audio = usage.audio_input.0 + usage.audio_cache_read.0 + usage.audio_output.0 > 0;
        let is_image = usage.image_input.0 + usage.image_cache_read.0 + usage.image_output.0 > 0;
        let most = Bound {
            input: usage.input_total(),
            output: usage.output_total(),
            may_audio: is_audio,
            may_image: is_image,
            web_searches: usage.web_searches,
            tier: Some(usage.tier),
        };
        for price in &prices {
            let cost = price.cost(&usage);
            prop_assert!(price.bound_of(&most) >= cost);
            // A longer bound covers every shorter call.
            let longer = Bound { input: TokenCount(2_500_000), output: TokenCount(1_300_000), ..most };
            prop_assert!(price.bound_of(&longer) >= cost);
            // The provider may answer in the standard tier.
            let standard = Usage { tier: ServiceTier::Standard, ..usage };
            prop_assert!(price.bound_of(&most) >= price.cost(&standard));
            let plain = Usage { web_searches: 0, tier: ServiceTier::Standard, ..usage };
            prop_assert!(price.bound(usage.input_total(), usage.output_total()) >= price.cost(&plain));
        }
    });
}

#[test]
fn with_all_rates_equal_the_split_does_not_matter() {
    use proptest::prelude::*;
    proptest!(|(usage in any_usage(), rate in 0u64..100_000_000)| {
        let mut said = [None; KINDS];
        (said[0], said[4]) = (Some(PicoUsdPerToken(rate)), Some(PicoUsdPerToken(rate)));
        let price = Price { per_search: NanoUsd(7), ..Price::flat(Rates::filled(&said)) };
        let tokens = round_pico(PicoUsdPerToken(rate).times(usage.total()));
        prop_assert_eq!(price.cost(&usage), tokens.plus(NanoUsd(7 * i64::from(usage.web_searches))));
    });
}

#[test]
fn every_kind_and_tier_has_its_own_price() {
    let realtime = price("openai", "gpt-realtime");
    let rates = [realtime.rates.audio_input, realtime.rates.audio_output, realtime.rates.audio_cache_read];
    assert_eq!(rates.map(PicoUsdPerToken::as_usd_per_million), [32.0, 64.0, 0.4]);
    let images = price("openai", "gpt-image-1.5");
    let rates = [images.rates.image_input, images.rates.image_output, images.rates.image_cache_read];
    assert_eq!(rates.map(PicoUsdPerToken::as_usd_per_million), [8.0, 32.0, 2.0]);

    let mini = price("openai", "gpt-4o-mini");
    let in_tier = |tier| mini.cost(&Usage { tier, ..usage(1000, 100, 100) });
    assert_eq!(in_tier(ServiceTier::Standard), NanoUsd(150_000 + 7_500 + 60_000));
    // Half the price, but for what was cached.
    assert_eq!(in_tier(ServiceTier::Batch), NanoUsd(75_000 + 7_500 + 30_000));
    assert_eq!(in_tier(ServiceTier::Priority), NanoUsd(250_000 + 12_500 + 100_000));
    // No such tier: as the standard one.
    assert_eq!((in_tier(ServiceTier::Flex), &mini.flex), (in_tier(ServiceTier::Standard), &None));

    let searches = Usage { web_searches: 3, ..Usage::default() };
    assert_eq!(price("anthropic", "claude-sonnet-4-5").cost(&searches), NanoUsd(30_000_000));
    // Long calls have their own prices in each tier; priority has none there.
    let gpt = price("openai", "gpt-5.4");
    let long = |tier| gpt.cost(&Usage { tier, ..usage(300_000, 0, 0) }).to_string();
    assert_eq!(ServiceTier::ALL.map(long), ["0.75", "0.75", "1.50", "1.50"]);
}

#[test]
fn service_tiers_begin_on_their_day() {
    let sheet = Sheet::find("mistral", "mistral-large-4").unwrap();
    let batch = |day: &str| {
        let price = sheet.at(gauntlet_types::Day::parse(day).unwrap().start()).unwrap();
        (price.rates.input.0, price.batch.as_ref().map(|batch| batch.rates.input.0))
    };
    assert_eq!(batch("2026-10-13"), (680_000, None));
    assert_eq!(batch("2026-10-14"), (680_000, Some(340_000)));
    assert_eq!(batch("2026-10-20"), (1_360_000, Some(680_000)));
}

#[test]
fn what_is_said_gives_the_rates_back() {
    use proptest::prelude::*;
    let rates = || {
        prop::array::uniform12(0u64..4)
            .prop_map(|each| Rates::filled(&each.map(|pico| Some(PicoUsdPerToken(pico)))))
    };
    proptest!(|(base in rates(), rates in rates())| {
        prop_assert_eq!(Rates::filled(&rates.said(None)), rates);
        prop_assert_eq!(base.with(&rates.said(Some(&base))), rates);
    });
}

#[test]
fn prices_change_with_time() {
    let cheap = Arc::new(Price::flat(Rates::default()));
    let dear = Arc::new(Price::simulated());
    let at = |sheet: &Sheet, seconds: i64| sheet.at(Timestamp(seconds * 1_000_000)).unwrap().is_free();
    let from =
        Sheet::new(vec![(When::Always, cheap.clone()), (When::From(Timestamp(100_000_000)), dear.clone())]);
    assert!(at(&from, 99) && !at(&from, 100));
    // From 23:00 to 01:00.
    let night = Sheet::new(vec![(When::Always, dear), (When::TimeOfDay(82_800, 3600), cheap)]);
    assert!(
        at(&night, 86_400 * 9 + 82_800) && at(&night, 86_400 * 9 + 3599) && !at(&night, 86_400 * 9 + 3600)
    );
}

#[test]
fn vendors_are_told_by_address_name_or_dialect() {
    let check = |name: &str, url: Option<&str>, dialect: &str, expected: Option<&str>| {
        assert_eq!(vendor(name, url, dialect), expected, "{name} {url:?}");
    };
    check("mine", None, "openai", Some("openai"));
    check("mine", None, "gemini", Some("google"));
    check("mine", Some("https://api.groq.com/openai/v1"), "openai", Some("groq"));
    check("mine", Some("https://x.openai.azure.com"), "openai", Some("azure"));
    check("mine", Some("https://notapi.openai.com.evil.example/v1"), "openai", None);
    check("mine", Some("http://127.0.0.1:8080/v1"), "openai", None);
    check("openai", Some("http://127.0.0.1:8080/v1"), "openai", Some("openai"));
    check("sim", None, "sim", None);
    for (_, vendor) in [("", "zhipuai"), ("", "x-ai"), ("", "aws")] {
        assert!(is_vendor(vendor), "{vendor}");
    }
}

/// Names that are in use at the vendors, in their many spellings.
#[test]
fn current_models_have_prices() {
    let vendors = [
        (
            "openai",
            "gpt-4o gpt-4o-2024-08-06 gpt-4o-mini gpt-4.1 gpt-4.1-mini gpt-4.1-nano-2025-04-14 gpt-5 gpt-5-2025-08-07 gpt-5-mini \
             gpt-5-nano gpt-5-codex gpt-5.1 gpt-5.2 gpt-5.4 gpt-6-sol o1 o3 o3-mini o3-pro o4-mini-2025-04-16 gpt-audio gpt-realtime \
             gpt-4o-audio-preview gpt-4o-transcribe gpt-image-1 text-embedding-3-small text-embedding-3-large \
             text-embedding-ada-002 ft:gpt-4o-mini-2024-07-18:acme::x1 ft:gpt-4.1-mini-2025-04-14:acme::x1 omni-moderation-latest",
        ),
        (
            "anthropic",
            "claude-opus-4-1-20250805 claude-opus-4-5 claude-opus-5 claude-sonnet-4-20250514 claude-sonnet-4-5 \
             claude-sonnet-4-5-20250929 claude-sonnet-4-6 claude-haiku-4-5-20251001 claude-3-5-haiku-latest",
        ),
        (
            "google",
            "gemini-2.5-pro models/gemini-2.5-pro publishers/google/models/gemini-2.5-flash google/gemini-2.5-flash \
             gemini-2.5-flash-lite gemini-2.0-flash-001 gemini-flash-latest gemini-3-pro-preview gemini-embedding-001 \
             models/gemini-embedding-001 gemini-2.5-flash-image claude-sonnet-4-5@20250929",
        ),
        (
            "mistral",
            "mistral-large-latest mistral-large-2512 mistral-medium-latest mistral-small-latest ministral-8b-latest \
             codestral-latest devstral-small-2507 magistral-medium-latest pixtral-large-latest mistral-embed open-mistral-nemo",
        ),
        ("deepseek", "deepseek-chat deepseek-reasoner deepseek-v3.2 deepseek-v4-pro"),
        ("x-ai", "grok-4 grok-4-0709 grok-4-fast-reasoning grok-4.3 grok-3 grok-3-mini grok-code-fast-1"),
        (
            "cohere",
            "command-a-03-2025 command-r-08-2024 command-r-plus-08-2024 command-r7b-12-2024 embed-v4.0 embed-english-v3.0",
        ),
        (
            "aws",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0 anthropic.claude-3-5-sonnet-20241022-v2:0 \
             eu.anthropic.claude-haiku-4-5-20251001-v1:0 global.anthropic.claude-opus-4-5-20251101-v1:0 \
             us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0 amazon.nova-pro-v1:0 us.amazon.nova-lite-v1:0 \
             amazon.titan-embed-text-v2:0 us.meta.llama4-maverick-17b-instruct-v1:0 openai.gpt-oss-120b-1:0 \
             cohere.embed-english-v3 cohere.command-r-plus-v1:0 mistral.mistral-large-2402-v1:0 us.deepseek.r1-v1:0 \
             arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "azure",
            "gpt-4o gpt-4o-2024-11-20 gpt-35-turbo gpt-4.1 gpt-5-mini o4-mini text-embedding-3-small gpt-4o-prod \
             support-gpt-4o-mini-eu claude-sonnet-4-5 deepseek-v3.2 grok-3",
        ),
        ("voyageai", "voyage-3.5 voyage-3-large voyage-code-3 voyage-4"),
    ];
    for (vendor, models) in vendors {
        for model in models.split_whitespace() {
            let sheet = Sheet::find(vendor, model).unwrap_or_else(|| panic!("{vendor}/{model} has no price"));
            assert!(!sheet.rows().is_empty(), "{vendor}/{model}");
        }
    }
}

#[test]
fn every_line_of_the_table_can_be_read() {
    let mut count = 0;
    for entry in entries() {
        let rows = entry.sheet().rows().len();
        assert!(rows > 0, "{}/{}", entry.vendor, entry.model);
        // A sheet has a price at any time.
        assert!(entry.sheet().at(Timestamp(0)).is_some(), "{}/{}", entry.vendor, entry.model);
        count += 1;
    }
    assert!(count > 2000, "{count}");
    assert_eq!(price("openai", "gpt-4o-2024-08-06").output_max, Some(TokenCount(16_384)));
    assert_eq!(price("anthropic", "claude-3-7-sonnet-20250219").output_max, Some(TokenCount(128_000)));
    assert_eq!(price("google", "models/gemini-2.5-pro").output_max, Some(TokenCount(65_536)));
}

#[test]
fn a_deployment_is_known_by_the_model_in_its_name() {
    let check = |name: &str, model: Option<&str>| {
        assert_eq!(Entry::find("azure", name).map(|entry| entry.model), model, "{name}");
    };
    check("gpt-4o-prod", Some("gpt-4o"));
    check("my_gpt-4o-mini_eu", Some("gpt-4o-mini"));
    // What tells models apart must not be lost, nor a word be taken for a model.
    check("gpt-4o-nano-eu", None);
    check("gpt-4o-huge-preview", None);
    check("gpt-4o-2", None);
    check("ada-lovelace", None);
    check("prod", None);
    assert_eq!(Entry::find("openai", "gpt-4o-prod").map(|entry| entry.model), None);
}
