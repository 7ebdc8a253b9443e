//! Models that run in this process, behind the ports that the pipeline knows.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use gauntlet_models::names;
use gauntlet_policy::{Policy, config::EmbedBy};
use gauntlet_ports::{Classifier, Embedder, Models, Tagger};
use gauntlet_types::{Direction, Finding, Name};

/// As policy names what they find.
const KIND: &str = "names";

/// Names by rules, without a model.
struct Rules;

impl Tagger for Rules {
    fn names(&self, text: &str) -> Result<Vec<Finding>, String> {
        Ok(names::find(text).into_iter().map(named).collect())
    }
}

struct NamesModel(gauntlet_models::Tagger);

impl Tagger for NamesModel {
    fn names(&self, text: &str) -> Result<Vec<Finding>, String> {
        let found = self.0.entities(text).map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(named).collect())
    }
}

fn named(finding: Finding) -> Finding {
    Finding { kind: KIND, ..finding }
}

struct ClassModel(gauntlet_models::Classifier);

impl Classifier for ClassModel {
    fn scores(&self, text: &str) -> Result<Vec<(Name, f32)>, String> {
        let scores = self.0.scores(text).map_err(|error| error.to_string())?;
        Ok(scores.into_iter().map(|(label, score)| (label.into(), score)).collect())
    }
}

struct EmbeddingModel(gauntlet_models::Embedder);

impl Embedder for EmbeddingModel {
    fn embed(&self, text: &str) -> Result<Vec<f32>, String> {
        self.0.embed(text).map_err(|error| error.to_string())
    }
}

/// Opens the models that a configuration names, where a rule asks for them. Paths are taken from the configuration folder.
///
/// Errors: a folder that holds no usable model, or a rule without one, or a label that the model has not.
pub fn open(policy: &Policy, dir: Option<&Path>) -> Result<Models> {
    let config = policy.config();
    let guards = &config.guards;
    let written: Vec<_> = guards
        .policies
        .iter()
        .map(|policy| &policy.rules)
        .chain(config.levels().map(|level| &level.rules))
        .collect();
    let asks = |kind: &str| {
        let has = |direction| {
            written
                .iter()
                .any(|rules| rules.rules(direction).iter().any(|rule| rule.kind == kind && rule.is_on()))
        };
        has(Direction::Input) || has(Direction::Output)
    };
    let folder = |path: &str| dir.map_or_else(|| path.into(), |dir| dir.join(path));
    let mut models = Models::default();
    if asks(KIND) {
        models.tagger = Some(match &guards.names {
            None => Arc::new(Rules),
            Some(path) => {
                let opened = gauntlet_models::Tagger::open(&folder(path));
                Arc::new(NamesModel(opened.with_context(|| format!("`guardrails: models: names: {path}`"))?))
            }
        });
    }
    if asks("classifier") {
        let Some(path) = &guards.classifier else {
            anyhow::bail!(
                "a rule asks for `classifier`; name its folder under `guardrails: models: classifier`"
            );
        };
        let opened = gauntlet_models::Classifier::open(&folder(path));
        let opened = opened.with_context(|| format!("`guardrails: models: classifier: {path}`"))?;
        for label in written.iter().flat_map(|rules| rules.classes.iter().flatten()) {
            anyhow::ensure!(
                opened.labels().iter().any(|known| *known == **label),
                "the classifier in {path} knows no label `{label}`; it has: {}",
                opened.labels().join(", ")
            );
        }
        models.classifier = Some(Arc::new(ClassModel(opened)));
    }
    for route in config.routes.values().chain([&config.default_route]) {
        let semantic = route.cache.as_ref().and_then(|cache| cache.semantic.as_deref());
        let Some(EmbedBy::Folder(path)) = semantic.map(|semantic| &semantic.embedder) else { continue };
        if !models.embedders.contains_key(path) {
            let opened = gauntlet_models::Embedder::open(&folder(path));
            let opened = opened.with_context(|| format!("`cache: semantic: embedder: {path}`"))?;
            models.embedders.insert(path.clone(), Arc::new(EmbeddingModel(opened)));
        }
    }
    Ok(models)
}
