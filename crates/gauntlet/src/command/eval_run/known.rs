//! The prompts that the gateway knows, labels included: what candidates and variables are checked against.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use gauntlet_evals::{Suite, run::candidate::Wanted};
use gauntlet_ports::StoredPrompt;
use gauntlet_prompts::{FILE_BYTES_MAX, Labels, Prompt, Registry};
use gauntlet_types::Name;
use serde::Deserialize;

use crate::{cli::Place, config_dir, reach::Reach, suites};

pub(super) struct Known {
    registry: Registry,
}

#[derive(Deserialize)]
struct Listed {
    versions: Vec<StoredPrompt>,
    labels: Vec<Label>,
}

#[derive(Deserialize)]
struct Label {
    name: Name,
    label: Name,
    version: Name,
}

impl Known {
    pub(super) fn ask(place: &Place) -> Result<Known> {
        let listed = Reach::new(place)?.get("/api/v1/prompts")?;
        let listed: Listed =
            serde_json::from_value(listed).context("the gateway's list of prompts does not fit")?;
        // Files first: they propose labels, which the canonical form that is kept does not have.
        let files = config_dir::read(config_dir::find(place.config.as_deref())?.as_deref())?.prompts;
        let mut prompts: Vec<Prompt> =
            files.iter().filter_map(|(file, text)| gauntlet_prompts::parse(file, text).ok()).collect();
        for stored in listed.versions {
            let is_there = |prompt: &Prompt| {
                prompt.name == stored.name && *prompt.version.to_string() == *stored.version
            };
            if prompts.iter().any(is_there) {
                continue;
            }
            // The canonical form is itself a prompt file. One that a newer version wrote is not for this one to check.
            prompts.extend(gauntlet_prompts::parse(&stored.name, &stored.source).ok());
        }
        let labels = listed.labels.into_iter().map(|label| (label.name, label.label, label.version));
        let registry = Registry::new(prompts, Labels { set: labels.collect(), ..Labels::default() })
            .map_err(|errors| {
                anyhow::anyhow!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            })?;
        Ok(Known { registry })
    }

    pub(super) fn find(&self, reference: &str) -> Option<Arc<Prompt>> {
        self.registry.resolve(reference).ok().map(|(prompt, _)| prompt)
    }

    pub(super) fn finder(&self) -> impl Fn(&str) -> Option<Arc<Prompt>> + Sync + '_ {
        |reference| self.find(reference)
    }

    /// What is meant by a candidate, or by a baseline that is one.
    pub(super) fn wanted(&self, said: Option<&str>, model: Option<&str>, suite: &Suite) -> Result<Wanted> {
        let of_file = said
            .filter(|said| said.ends_with(".yaml") || said.ends_with(".yml"))
            .map(|said| self.of_file(said));
        let said = of_file.transpose()?.or_else(|| said.map(str::to_owned));
        let is_prompt = |name: &str| self.registry.prompts().any(|prompt| *prompt.name == *name);
        let wanted = Wanted::parse(said.as_deref(), model, suite, &is_prompt).map_err(anyhow::Error::msg)?;
        // Told before the first call, with what there is instead.
        if let Some(reference) = &wanted.prompt
            && let Err(fault) = self.registry.resolve(reference)
        {
            bail!("{}", fault.message);
        }
        Ok(wanted)
    }

    /// A prompt's file stands for its version, which the gateway must have, word for word.
    fn of_file(&self, file: &str) -> Result<String> {
        let text =
            suites::text(Path::new(file), FILE_BYTES_MAX).map_err(|why| anyhow::anyhow!("{file}: {why}"))?;
        let prompt = gauntlet_prompts::parse(file, &text).map_err(|mistake| anyhow::anyhow!("{mistake}"))?;
        let reference = format!("{}@{}", prompt.name, prompt.version);
        match self.find(&reference) {
            Some(known) if known.hash == prompt.hash => Ok(reference),
            Some(_) => bail!(
                "{file}: the gateway knows another text as {reference}; give this one a version of its own"
            ),
            None => bail!(
                "{file}: the gateway does not know {reference} yet; put it into prompts/ of its configuration"
            ),
        }
    }
}
