//! What a traced model's tokens cost, where its span does not say.

use std::collections::HashMap;

use gauntlet_policy::{config::Policy, price::Sheet};
use gauntlet_types::{Name, NanoUsd, SpanRecord, Target};

/// Providers as conventions call them, and the same as vendors of the price table.
const VENDORS: [(&str, &str); 11] = [
    ("aws.bedrock", "aws"),
    ("aws_bedrock", "aws"),
    ("azure.ai.openai", "azure"),
    ("azure.ai.inference", "azure"),
    ("gcp.gemini", "google"),
    ("gcp.vertex_ai", "google"),
    ("gcp.gen_ai", "google"),
    ("vertexai", "google"),
    ("mistral_ai", "mistral"),
    ("x_ai", "x-ai"),
    ("moonshot_ai", "moonshotai"),
];

/// Prices of one request: the same few models are asked for again and again.
pub(super) struct Prices<'a> {
    policy: &'a Policy,
    found: HashMap<(Option<Name>, Name), Option<Sheet>>,
}

impl<'a> Prices<'a> {
    pub(super) fn new(policy: &'a Policy) -> Prices<'a> {
        Prices { policy, found: HashMap::new() }
    }

    /// None where nobody knows the model's price, or no token was counted.
    pub(super) fn cost(&mut self, span: &SpanRecord) -> Option<NanoUsd> {
        let model = span.model.clone()?;
        if span.usage.total().0 == 0 {
            return None;
        }
        // A provider of the configuration by its own name, also where the model was asked for through this gateway.
        let named = span
            .provider
            .as_ref()
            .map(|provider| Target { provider: provider.clone(), model: model.clone() });
        let mut targets = named.into_iter().chain(Target::parse(&model));
        let price = targets.find_map(|target| self.policy.price(&target, span.started));
        if let Some(price) = price {
            return Some(price.cost(&span.usage));
        }
        let policy = self.policy;
        let sheet =
            self.found.entry((span.provider.clone(), model)).or_insert_with_key(|(provider, model)| {
                let own = policy.config().own_prices().find(|own| own.name == *model);
                own.map(|own| own.sheet.clone()).or_else(|| Sheet::find(&vendor(provider.as_deref()?), model))
            });
        Some(sheet.as_ref()?.at(span.started)?.cost(&span.usage))
    }
}

fn vendor(provider: &str) -> String {
    let name = provider.to_ascii_lowercase();
    match VENDORS.iter().find(|(word, _)| *word == name) {
        Some((_, vendor)) => (*vendor).to_owned(),
        // Vercel's `openai.chat`.
        None => name.split('.').next().unwrap_or_default().to_owned(),
    }
}
