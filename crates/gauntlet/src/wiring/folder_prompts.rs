//! Prompts that stand in the configuration folder: what they may not do by themselves, and what looks wrong between them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use gauntlet_policy::config::{Mistake, Policy, Severity};
use gauntlet_ports::StoredPrompt;
use gauntlet_prompts::{Prompt, shape};
use gauntlet_types::Name;

/// The labels that a promotion alone moves.
pub(super) fn guarded(policy: &Policy) -> BTreeSet<Name> {
    policy.config().promotion.keys().cloned().collect()
}

/// Files that change a version which is kept already: a gateway neither starts with them nor takes them over.
///
/// `kept` is (name, version, hash).
pub fn changed<'a>(
    prompts: &[Arc<Prompt>],
    kept: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
) -> Vec<Mistake> {
    let kept: HashMap<(&str, &str), &str> =
        kept.map(|(name, version, hash)| ((name, version), hash)).collect();
    let changed = prompts.iter().filter_map(|prompt| {
        let version = prompt.version.to_string();
        let known = *kept.get(&(&*prompt.name, &*version))?;
        (*known != *prompt.hash).then(|| Mistake {
            file: prompt.file.clone(),
            line: 0,
            column: 0,
            message: format!(
                "prompt `{}@{version}` is already known with another content (hash {}, now {})",
                prompt.name,
                short(known),
                short(&prompt.hash)
            ),
            cure: "versions never change: raise the version, or put its old text back".to_owned(),
            severity: Severity::Error,
        })
    });
    changed.collect()
}

/// As [`changed`] takes them.
pub fn kept(stored: &[StoredPrompt]) -> impl Iterator<Item = (&str, &str, &str)> {
    stored.iter().map(|prompt| (&*prompt.name, &*prompt.version, &*prompt.hash))
}

/// Enough of a hash to tell two apart.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// What a reload brought, a line for each: versions that are new, those whose file is gone, and labels and words about them
/// that changed. For the log; at most [`NEWS_MAX`].
pub(super) fn news(before: &[Arc<Prompt>], after: &[Arc<Prompt>]) -> Vec<String> {
    let by_hash = |prompts: &[Arc<Prompt>]| -> HashMap<Name, Arc<Prompt>> {
        prompts.iter().map(|prompt| (prompt.hash.clone(), Arc::clone(prompt))).collect()
    };
    let (was, is) = (by_hash(before), by_hash(after));
    let mut news = Vec::new();
    for prompt in after {
        let named = format!("prompt `{}@{}` of {}", prompt.name, prompt.version, prompt.file);
        match was.get(&prompt.hash) {
            None => news.push(format!("{named} is in force")),
            Some(known) if known.labels != prompt.labels => {
                let labels: Vec<&str> = prompt.labels.iter().map(Name::as_str).collect();
                let labels = if labels.is_empty() { "no label".to_owned() } else { labels.join(", ") };
                news.push(format!("{named} proposes {labels} now"));
            }
            Some(_) => {}
        }
    }
    for prompt in before.iter().filter(|prompt| !is.contains_key(&prompt.hash)) {
        let (name, version) = (&prompt.name, &prompt.version);
        news.push(format!("prompt `{name}@{version}` has no file any more; its version stays known"));
    }
    if let Some(more) = news.len().checked_sub(NEWS_MAX).filter(|more| *more > 0) {
        news.truncate(NEWS_MAX);
        news.push(format!("and {more} more changes of prompts"));
    }
    news
}

/// Lines about prompts that one reload logs; whoever changes more has a list of their own.
const NEWS_MAX: usize = 20;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(file: &str, version: &str, text: &str) -> Arc<Prompt> {
        let text = format!("name: desk\nversion: {version}\n{text}\n");
        Arc::new(gauntlet_prompts::parse(file, &text).unwrap())
    }

    #[test]
    fn a_file_that_changes_a_kept_version_is_named_with_its_cure() {
        let (old, new) = (prompt("a.yaml", "1.0.0", "template: x"), prompt("b.yaml", "1.0.0", "template: y"));
        let stored = [old.stored(gauntlet_types::Timestamp(0))];
        let check = |prompts: &[Arc<Prompt>], wanted: &[&str]| {
            let found = changed(prompts, kept(&stored));
            let files: Vec<&str> = found.iter().map(|mistake| mistake.file.as_str()).collect();
            assert_eq!(files, wanted, "{found:?}");
            for mistake in found {
                assert!(mistake.to_string().contains("raise the version"), "{mistake}");
            }
        };
        check(std::slice::from_ref(&old), &[]);
        check(&[new.clone(), old], &["b.yaml"]);
        check(&[prompt("c.yaml", "1.1.0", "template: y")], &[]);
    }

    #[test]
    fn a_reload_tells_what_became_of_prompts() {
        let old = prompt("a.yaml", "1.0.0", "template: x");
        let moved = prompt("a.yaml", "1.0.0", "template: x\nlabels: [staging]");
        let next = prompt("b.yaml", "1.1.0", "template: y");
        let check = |before: &[&Arc<Prompt>], after: &[&Arc<Prompt>], wanted: &[&str]| {
            let all = |prompts: &[&Arc<Prompt>]| {
                prompts.iter().map(|prompt| Arc::clone(prompt)).collect::<Vec<_>>()
            };
            let found = news(&all(before), &all(after));
            assert_eq!(found.len(), wanted.len(), "{found:?}");
            for (line, wanted) in found.iter().zip(wanted) {
                assert!(line.contains(wanted), "{line}");
            }
        };
        check(&[&old], &[&old], &[]);
        check(&[&old], &[&old, &next], &["`desk@1.1.0` of b.yaml is in force"]);
        check(&[&old], &[&moved], &["proposes staging now"]);
        check(&[&old, &next], &[&old], &["`desk@1.1.0` has no file any more"]);
        let many: Vec<Arc<Prompt>> =
            (0..30).map(|at| prompt("m.yaml", &format!("2.0.{at}"), "template: z")).collect();
        assert_eq!(news(&[], &many).len(), NEWS_MAX + 1);
    }
}
