//! All prompts of a configuration, and which version a reference means.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use gauntlet_places::near;
use gauntlet_ports::StoredPrompt;
use gauntlet_types::{Code, Fault, Name};
use semver::Version;

use crate::{Prompt, PromptError};

/// The label that a bare name means.
pub const PRODUCTION: &str = "production";
/// The label that is always there and that nobody can set.
pub const LATEST: &str = "latest";

/// Where labels point, and who may move them.
#[derive(Clone, Default, Debug)]
pub struct Labels {
    /// (prompt, label, version) as somebody set them; they win over those that files propose.
    pub set: Vec<(Name, Name, Name)>,
    /// Labels that a promotion alone moves: what files propose for them does not count.
    pub guarded: BTreeSet<Name>,
}

/// Immutable; a label that moves makes a new one. Versions are shared, so that this costs little.
#[derive(Default, Debug)]
pub struct Registry {
    entries: HashMap<Name, Entry>,
    guarded: BTreeSet<Name>,
}

#[derive(Default, Debug)]
struct Entry {
    versions: BTreeMap<Version, Arc<Prompt>>,
    /// To versions as written: a label may outlive the file it points to, and then says so when it is asked for.
    labels: BTreeMap<Name, Name>,
}

impl Registry {
    /// Errors: one name and version with two contents; a label that two versions of one prompt propose.
    pub fn new(prompts: Vec<Prompt>, labels: Labels) -> Result<Registry, Vec<PromptError>> {
        Registry::of(prompts.into_iter().map(Arc::new).collect(), labels)
    }

    /// As [`Registry::new`], of versions that another registry has too.
    pub fn of(prompts: Vec<Arc<Prompt>>, labels: Labels) -> Result<Registry, Vec<PromptError>> {
        let Labels { set, guarded } = labels;
        let mut registry = Registry { guarded, ..Registry::default() };
        let mut mistakes = Vec::new();
        for (prompt, label, version) in set {
            if &*label != LATEST {
                registry.entries.entry(prompt).or_default().labels.insert(label, version);
            }
        }
        for prompt in &prompts {
            let versions = &mut registry.entries.entry(prompt.name.clone()).or_default().versions;
            match versions.get(&prompt.version) {
                Some(known) if known.hash != prompt.hash => mistakes.push(prompt.mistake(
                    format!(
                        "prompt `{}@{}` stands in `{}` too, with another text",
                        prompt.name, prompt.version, known.file
                    ),
                    "raise the version of the newer one: versions never change".to_owned(),
                )),
                Some(_) => {}
                None => {
                    versions.insert(prompt.version.clone(), Arc::clone(prompt));
                }
            }
        }
        let guarded = &registry.guarded;
        for entry in registry.entries.values_mut() {
            let mut proposed: BTreeMap<Name, &Arc<Prompt>> = BTreeMap::new();
            for prompt in entry.versions.values() {
                let is_open = |label: &&Name| !entry.labels.contains_key(*label) && !guarded.contains(*label);
                for label in prompt.labels.iter().filter(is_open) {
                    let Some(other) = proposed.insert(label.clone(), prompt) else { continue };
                    mistakes.push(prompt.mistake(
                        format!(
                            "label `{label}` of prompt `{}` is proposed by version {} too (`{}`)",
                            prompt.name, other.version, other.file
                        ),
                        format!("keep `{label}` in one of the two files"),
                    ));
                }
            }
            let proposed: Vec<(Name, Name)> = proposed
                .into_iter()
                .map(|(label, prompt)| (label, prompt.version.to_string().into()))
                .collect();
            entry.labels.extend(proposed);
        }
        // The order of a map must not show in what people read.
        mistakes.sort_by(|a, b| (&a.file, &a.message).cmp(&(&b.file, &b.message)));
        if mistakes.is_empty() { Ok(registry) } else { Err(mistakes) }
    }

    /// The versions of files, and those of the store whose files are gone or that were pushed: a label may point at them.
    ///
    /// Errors: as [`Registry::new`], and a stored form that this program cannot read.
    pub fn with_stored(
        mut prompts: Vec<Arc<Prompt>>,
        stored: &[StoredPrompt],
        labels: Labels,
    ) -> Result<Registry, Vec<PromptError>> {
        let known: HashSet<Name> = prompts.iter().map(|prompt| prompt.hash.clone()).collect();
        let mut mistakes = Vec::new();
        // One hash is one name, version and content.
        for stored in stored.iter().filter(|stored| !known.contains(&stored.hash)) {
            match Prompt::restored(stored) {
                Ok(prompt) => prompts.push(Arc::new(prompt)),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if mistakes.is_empty() { Registry::of(prompts, labels) } else { Err(mistakes) }
    }

    /// Finds the version that a reference means, and the label it went by.
    ///
    /// `name@1.2.0` is that version; `name@label` the one the label points to; `name@latest` the highest
    /// that is not a pre-release, or else the highest; a bare `name` its `production`, or, where
    /// nobody has set that, its latest, unless `production` is guarded: then nothing that was not promoted is meant.
    ///
    /// Errors: `prompt_invalid`, naming what there is.
    pub fn resolve(&self, reference: &str) -> Result<(Arc<Prompt>, Option<Name>), Fault> {
        let reference = reference.trim();
        let (name, wanted) = match reference.split_once('@') {
            Some((name, wanted)) => (name, Some(wanted)),
            None => (reference, None),
        };
        let Some(entry) = self.entries.get(name).filter(|entry| !entry.versions.is_empty()) else {
            if !is_named_well(name) {
                return Err(invalid(format!(
                    "`{}` cannot be the name of a prompt: {NAME_FORM}; write name, name@1.2.0 or name@label",
                    shown(name)
                )));
            }
            let known = self.prompts_names();
            let cure = near::cure(
                name,
                known.iter().map(Name::as_str),
                "`gauntlet prompt list` shows those there are",
            );
            return Err(invalid(format!("there is no prompt `{}`: {cure}", shown(name))));
        };
        let label = match wanted {
            Some(wanted) => match Version::parse(wanted) {
                Ok(version) => {
                    let prompt = entry.versions.get(&version).ok_or_else(|| entry.unknown(name, wanted))?;
                    return Ok((Arc::clone(prompt), None));
                }
                Err(_) => wanted,
            },
            None if entry.labels.contains_key(PRODUCTION) || self.guarded.contains(PRODUCTION) => PRODUCTION,
            None => LATEST,
        };
        if label == LATEST {
            let prompt = entry.latest().ok_or_else(|| entry.unknown(name, label))?;
            return Ok((Arc::clone(prompt), Some(LATEST.into())));
        }
        let (label, version) = entry.labels.get_key_value(label).ok_or_else(|| {
            if self.guarded.contains(label) {
                entry.unpromoted(name, label)
            } else {
                entry.unknown(name, label)
            }
        })?;
        let prompt = Version::parse(version).ok().and_then(|version| entry.versions.get(&version));
        match prompt {
            Some(prompt) => Ok((Arc::clone(prompt), Some(label.clone()))),
            None => Err(invalid(format!(
                "label `{label}` of prompt `{name}` points to version {version}, which there is not: \
                 add its file again or move the label ({})",
                entry.choice()
            ))),
        }
    }

    /// All versions, by name and then version.
    pub fn prompts(&self) -> impl Iterator<Item = &Arc<Prompt>> {
        let mut names: Vec<_> = self.entries.iter().collect();
        names.sort_by_key(|(name, _)| *name);
        names.into_iter().flat_map(|(_, entry)| entry.versions.values())
    }

    /// (prompt, label, version) of every label in force, proposed ones included, `latest` not; sorted.
    pub fn labels(&self) -> Vec<(Name, Name, Name)> {
        let of = |(prompt, entry): (&Name, &Entry)| {
            let prompt = prompt.clone();
            entry
                .labels
                .iter()
                .map(move |(label, version)| (prompt.clone(), label.clone(), version.clone()))
                .collect::<Vec<_>>()
        };
        let mut labels: Vec<_> = self.entries.iter().flat_map(of).collect();
        labels.sort();
        labels
    }

    /// Where a label points, proposed ones included; none for `latest`, and where it points nowhere.
    pub fn label(&self, name: &str, label: &str) -> Option<&Name> {
        self.entries.get(name)?.labels.get(label)
    }

    /// What files propose for labels that only a promotion moves: (version, label).
    pub fn passed_over(&self) -> impl Iterator<Item = (&Arc<Prompt>, &Name)> {
        let labels = |prompt| {
            let prompt: &Arc<Prompt> = prompt;
            prompt
                .labels
                .iter()
                .filter(|label| self.guarded.contains(*label))
                .map(move |label| (prompt, label))
        };
        self.prompts().flat_map(labels)
    }

    pub fn is_empty(&self) -> bool {
        self.entries.values().all(|entry| entry.versions.is_empty())
    }

    fn prompts_names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.versions.is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        names.sort();
        names
    }
}

impl Entry {
    fn latest(&self) -> Option<&Arc<Prompt>> {
        let versions = || self.versions.iter().rev();
        let released = versions().find(|(version, _)| version.pre.is_empty());
        released.or_else(|| versions().next()).map(|(_, prompt)| prompt)
    }

    fn unknown(&self, name: &str, wanted: &str) -> Fault {
        let labels = self.labels.keys().map(Name::as_str).chain([LATEST]);
        let near = match near::nearest(wanted, labels) {
            Some(near) => format!("did you mean `{name}@{near}`? "),
            None => String::new(),
        };
        invalid(format!(
            "prompt `{name}` has no version or label `{}`; {near}it has {}",
            shown(wanted),
            self.choice()
        ))
    }

    fn unpromoted(&self, name: &str, label: &str) -> Fault {
        invalid(format!(
            "no version of prompt `{name}` was promoted to `{label}` yet: \
             `gauntlet prompt promote {name}@VERSION --to {label}`, or name a version ({})",
            self.choice()
        ))
    }

    /// What there is to choose from, newest first and not too much of it.
    fn choice(&self) -> String {
        const VERSIONS_SHOWN: usize = 5;
        let mut versions: Vec<String> =
            self.versions.keys().rev().take(VERSIONS_SHOWN).map(Version::to_string).collect();
        if self.versions.len() > VERSIONS_SHOWN {
            versions.push(format!("and {} older", self.versions.len() - VERSIONS_SHOWN));
        }
        let labels: Vec<&str> = self.labels.keys().map(Name::as_str).chain([LATEST]).collect();
        format!("versions {}; labels {}", versions.join(", "), labels.join(", "))
    }
}

impl Prompt {
    fn mistake(&self, message: String, cure: String) -> PromptError {
        PromptError { file: self.file.clone(), line: 0, column: 0, message, cure }
    }
}

/// What names of prompts and labels are made of.
const NAME_FORM: &str = "a name has letters, digits, `-`, `_`, `.` and `/`, at most 128, and no `..`";

/// Whether a prompt may be called so. Two dots are a way up in somebody's path.
pub fn is_named_well(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    !name.is_empty()
        && name.len() <= LABEL_LETTERS_MAX
        && name.bytes().all(is_letter)
        && name.split('/').all(|part| !part.trim_matches('.').is_empty())
}

/// What a label must be to be set; none where it may.
pub fn label_mistake(label: &str) -> Option<String> {
    if Version::parse(label).is_ok() {
        return Some("it looks like a version; choose a word, such as `production`".to_owned());
    }
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let is_good = !label.is_empty() && label.len() <= LABEL_LETTERS_MAX && label.bytes().all(is_letter);
    (!is_good).then(|| format!("use letters, digits, `-`, `_`, `.` and `/`, at most {LABEL_LETTERS_MAX}"))
}

const LABEL_LETTERS_MAX: usize = 128;

fn invalid(message: String) -> Fault {
    Fault::caller(Code::PromptInvalid, message)
}

/// A caller's own words, cut short.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
