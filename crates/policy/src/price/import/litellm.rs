//! LiteLLM's `model_prices_and_context_window.json`: USD for a token, a field for each kind, length and service tier.
//!
//! Field names are of the form `input_cost_per_token[_above_200k_tokens][_batches|_flex|_priority]`. What a service tier or a
//! length does not say costs what it does without it (LiteLLM, `litellm_core_utils/llm_cost_calc/utils.py`).

use std::collections::BTreeSet;

use gauntlet_types::{NanoUsd, ServiceTier, TokenCount};

use super::{ImportError, List, complete, decimal::scaled, tree::Tree};
use crate::price::{
    KINDS, When,
    kinds::{Kind, Kinds, Service, assemble},
};

/// Names of kinds, and their places in `Rates::NAMES`.
const FIELDS: [(&str, usize); 15] = [
    ("input_cost_per_token", 0),
    ("cache_read_input_token_cost", 1),
    // An older word, where the newer one is missing.
    ("input_cost_per_token_cache_hit", 1),
    ("cache_creation_input_token_cost", 2),
    ("cache_creation_input_token_cost_above_1hr", 3),
    ("output_cost_per_token", 4),
    ("output_cost_per_reasoning_token", 5),
    ("input_cost_per_audio_token", 6),
    ("cache_read_input_audio_token_cost", 7),
    ("cache_read_input_token_cost_per_audio_token", 7),
    ("output_cost_per_audio_token", 8),
    ("input_cost_per_image_token", 9),
    ("cache_read_input_image_token_cost", 10),
    ("cache_read_input_token_cost_per_image_token", 10),
    ("output_cost_per_image_token", 11),
];

const SERVICES: [(&str, ServiceTier); 4] = [
    ("_batches", ServiceTier::Batch),
    ("_batch", ServiceTier::Batch),
    ("_flex", ServiceTier::Flex),
    ("_priority", ServiceTier::Priority),
];

/// Fields that say nothing of prices; so do all that begin with `supports_` or `supported_`.
const OTHER: [&str; 16] = [
    "litellm_provider",
    "mode",
    "source",
    "metadata",
    "comment",
    "deprecation_date",
    "max_tokens",
    "max_input_tokens",
    "max_output_tokens",
    "output_vector_size",
    "tool_use_system_prompt_tokens",
    "rpm",
    "tpm",
    "max_images_per_prompt",
    "max_pdf_size_mb",
    "tiered_pricing",
];

pub(super) fn read(file: &Tree) -> Result<List, ImportError> {
    let is_model = |(_, model): &&(String, Tree)| model.get("litellm_provider").is_some();
    if !file.entries().iter().any(|entry| is_model(&entry)) {
        return Err(ImportError::OtherFormat("LiteLLM's: no entry has a `litellm_provider`"));
    }
    let mut list = List::default();
    for (name, model) in file.entries().iter().filter(is_model).filter(|(name, _)| name != "sample_spec") {
        let said = model.get("litellm_provider").and_then(Tree::text).unwrap_or_default();
        // `bedrock_converse`, `vertex_ai-language-models` and their like are ways to one provider.
        let provider = said.split_once('-').map_or(said, |(head, _)| head);
        let provider = if provider.starts_with("bedrock") { "bedrock" } else { provider };
        let prefixes = [format!("{said}/"), format!("{provider}/")];
        let bare = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix.as_str())).unwrap_or(name);
        let rows = one(model, &mut list);
        list.add(provider, bare, rows);
    }
    Ok(list)
}

/// What a field prices: the kind, the length over which, the service tier.
fn field(name: &str) -> Option<(usize, Option<u32>, ServiceTier)> {
    let (name, tier) = SERVICES
        .iter()
        .find_map(|(end, tier)| Some((name.strip_suffix(end)?, *tier)))
        .unwrap_or((name, ServiceTier::Standard));
    let (name, over) = match name.strip_suffix("k_tokens").and_then(|head| head.rsplit_once("_above_")) {
        Some((head, thousands)) => (head, Some(thousands.parse::<u32>().ok()?.checked_mul(1000)?)),
        None => (name, None),
    };
    let (_, kind) = FIELDS.iter().find(|(field, _)| *field == name)?;
    Some((*kind, over, tier))
}

/// Prices of one service tier as they are collected, by kind.
#[derive(Default)]
struct Said([Collected; KINDS]);

#[derive(Default)]
struct Collected {
    plain: Option<u64>,
    /// Length over which, and price.
    long: Vec<(u32, u64)>,
}

impl Said {
    fn set(&mut self, kind: usize, over: Option<u32>, price: u64) {
        let said = &mut self.0[kind];
        match over {
            None | Some(0) => said.plain = said.plain.or(Some(price)),
            Some(over) => said.long.push((over, price)),
        }
    }

    /// A price over a length alone stands on the plain price of `under`.
    fn kinds(self, under: Option<&Kinds>) -> Kinds {
        let mut kinds = Kinds::default();
        for (kind, Collected { plain, mut long }) in self.0.into_iter().enumerate() {
            let below = under.and_then(|under| under.kinds[kind].as_ref()).map(|kind| kind.0);
            long.sort_unstable();
            kinds.kinds[kind] = plain.or(below.filter(|_| !long.is_empty())).map(|plain| Kind(plain, long));
        }
        kinds
    }
}

fn one(model: &Tree, list: &mut List) -> Result<Vec<(When, crate::price::Price)>, String> {
    let mut said: [Said; 4] = Default::default();
    let (mut per_request, mut per_search) = (NanoUsd::ZERO, NanoUsd::ZERO);
    let mut elsewise = BTreeSet::new();
    for (name, value) in model.entries().iter().filter(|(_, value)| *value != Tree::Null) {
        let amount = |text: &str, places| {
            scaled(text, places).ok_or_else(|| format!("its `{name}: {text}` is not an amount from 0 up"))
        };
        if let Some((kind, over, tier)) = field(name) {
            let text = value.text().unwrap_or("…");
            said[tier as usize].set(kind, over, amount(text, 12)?);
        } else if let Some(text) = value.text().filter(|_| name == "input_cost_per_request") {
            per_request = nano(amount(text, 9)?);
        } else if name == "search_context_cost_per_query" {
            // By the size of the context; the dearest, since no usage tells it.
            for (_, value) in value.entries() {
                let text = value.text().unwrap_or("…");
                per_search = per_search.max(nano(amount(text, 9)?));
            }
        } else if name == "tiered_pricing" {
            tiered(value, &mut said[ServiceTier::Standard as usize], list)?;
        } else if !OTHER.contains(&name.as_str()) && !name.starts_with("support") {
            list.unknown(name);
            if name.contains("cost") && value.text().and_then(|text| scaled(text, 12)) != Some(0) {
                elsewise.insert(name.as_str());
            }
        }
    }
    let [batch, flex, standard, priority] = said;
    let mut standard = standard.kinds(None);
    (standard.per_request, standard.per_search) = (per_request, per_search);
    let is_one_way = matches!(
        model.get("mode").and_then(Tree::text),
        Some("embedding" | "rerank" | "moderation" | "moderations")
    );
    let sold = || elsewise.iter().copied().collect::<Vec<_>>().join(", ");
    complete(&standard, is_one_way)
        .map_err(|why| if elsewise.is_empty() { why } else { format!("{why}, only {}", sold()) })?;
    let costs = |kind: &Option<Kind>| kind.as_ref().is_some_and(|kind| kind.0 > 0 || !kind.1.is_empty());
    if !elsewise.is_empty() && !standard.kinds.iter().any(costs) {
        return Err(format!("its tokens cost nothing, but it has {}", sold()));
    }
    let services =
        [(ServiceTier::Batch, batch), (ServiceTier::Flex, flex), (ServiceTier::Priority, priority)]
            .map(|(tier, said)| Service { tier, from: None, kinds: said.kinds(Some(&standard)) });
    let services: Vec<Service> =
        services.into_iter().filter(|service| service.kinds.kinds.iter().any(Option::is_some)).collect();
    let output_max = ["max_output_tokens", "max_tokens"].into_iter().find_map(|name| model.get(name)?.text());
    let output_max = output_max.and_then(|text| u32::try_from(scaled(text, 0)?).ok());
    let mut rows = assemble(&[(When::Always, standard)], &services);
    for (_, price) in &mut rows {
        price.output_max = output_max.filter(|most| *most > 0).map(TokenCount);
    }
    Ok(rows)
}

/// `tiered_pricing: [{range: [0, 32000], input_cost_per_token: …}, …]`
fn tiered(value: &Tree, said: &mut Said, list: &mut List) -> Result<(), String> {
    for tier in value.items() {
        let range = tier.get("range").and_then(|range| range.items().first()?.text());
        let Some(over) = range.and_then(|text| u32::try_from(scaled(text, 0)?).ok()) else {
            return Err("its `tiered_pricing` has no range of tokens".to_owned());
        };
        for (name, value) in tier.entries().iter().filter(|(name, _)| name != "range") {
            match (field(name), value.text().and_then(|text| scaled(text, 12))) {
                (Some((kind, None, ServiceTier::Standard)), Some(price)) => said.set(kind, Some(over), price),
                _ => list.unknown(&format!("tiered_pricing.{name}")),
            }
        }
    }
    Ok(())
}

fn nano(amount: u64) -> NanoUsd {
    NanoUsd(i64::try_from(amount).unwrap_or(i64::MAX))
}
