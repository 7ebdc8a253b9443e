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

#[test]
fn a_bound_is_never_below_a_cost() {
    use proptest::prelude::*;
    let prices = ["gemini-2.5-pro", "gemini-2.5-flash"].map(|model| price("google", model));
    let prices =
        [price("anthropic", "claude-haiku-4-5"), price("openai", "gpt-4o")].into_iter().chain(prices);
    let prices: Vec<_> = prices.collect();
    proptest!(|(parts in prop::array::uniform4(0u32..300_000), output in 0u32..10_000, reasoning in 0u32..10_000)| {
        let [fresh, read, write, hour] = parts.map(TokenCount);
        let usage = Usage {
            input_fresh: fresh, cache_read: read, cache_write_5m: write, cache_write_1h: hour,
            output: TokenCount(output), reasoning: TokenCount(reasoning), estimated: false,
        };
        for price in &prices {
            let bound = price.bound(usage.input_total(), usage.output_total());
            prop_assert!(bound >= price.cost(&usage));
            // A longer bound covers every shorter call.
            prop_assert!(price.bound(TokenCount(1_300_000), TokenCount(20_000)) >= price.cost(&usage));
        }
    });
}

#[test]
fn prices_change_with_time() {
    let cheap = Arc::new(Price::flat(Rates::default()));
    let dear = Arc::new(Price::simulated());
    let at = |sheet: &Sheet, seconds: i64| sheet.at(Timestamp(seconds * 1_000_000)).unwrap().is_free();
    let from = Sheet {
        rows: vec![(When::Always, cheap.clone()), (When::From(Timestamp(100_000_000)), dear.clone())],
    };
    assert!(at(&from, 99) && !at(&from, 100));
    // From 23:00 to 01:00.
    let night = Sheet { rows: vec![(When::Always, dear), (When::TimeOfDay(82_800, 3600), cheap)] };
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
