//! Prompts that stand in the configuration folder: what they may not do by themselves, and what looks wrong between them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use gauntlet_policy::config::{Mistake, Policy, Severity};
use gauntlet_prompts::{Prompt, shape};
use gauntlet_types::Name;

/// The labels that a promotion alone moves.
pub(super) fn guarded(policy: &Policy) -> BTreeSet<Name> {
    policy.config().promotion.keys().cloned().collect()
}

/// Labels that files propose and do not move, and versions that rose too little for what changed. Warnings, since a gateway
/// that runs on these files today must start tomorrow; `prompt push` refuses the latter.
pub(super) fn warnings(policy: &Policy, prompts: &[Arc<Prompt>]) -> Vec<Mistake> {
    let of = |prompt: &Prompt, message: String, cure: String| Mistake {
        file: prompt.file.clone(),
        line: 0,
        column: 0,
        message,
        cure,
        severity: Severity::Warning,
    };
    let guarded = guarded(policy);
    // By name, so that many prompts are not each compared with all.
    let mut families: HashMap<&Name, Vec<Arc<Prompt>>> = HashMap::new();
    for prompt in prompts {
        families.entry(&prompt.name).or_default().push(Arc::clone(prompt));
    }
    let mut warnings = Vec::new();
    for prompt in prompts {
        let (name, version) = (&prompt.name, &prompt.version);
        for label in prompt.labels.iter().filter(|label| guarded.contains(*label)) {
            let message =
                format!("label `{label}` has a rule under `promotion`, so that a file does not move it");
            let cure = format!("leave it out, and `gauntlet prompt promote {name}@{version} --to {label}`");
            warnings.push(of(prompt, message, cure));
        }
        let Some(old) = shape::predecessor(&families[name], prompt) else { continue };
        if let Some(change) = shape::too_heavy(old, prompt).first() {
            let message = format!(
                "version {version} of prompt `{name}` rises too little above {}: {}",
                old.version, change.what
            );
            let cure = format!(
                "that is a {} change: make it {}",
                change.bump.as_str(),
                change.bump.after(&old.version)
            );
            warnings.push(of(prompt, message, cure));
        }
    }
    warnings
}
