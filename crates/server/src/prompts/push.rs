//! Versions from files, as a pipeline pushes them: all of them or none, as often as one likes.

use std::{collections::BTreeSet, sync::Arc};

use gauntlet_ports::{ControlError, StoredPrompt};
use gauntlet_prompts::{Change, Prompt, shape};
use gauntlet_types::{Code, Fault, Name};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Catalog;
use crate::admin::{Admin, control_fault};

/// Files of one push: more is probably another folder than was meant.
const FILES_MAX: usize = 1_000;
/// How often a push is judged anew because others pushed at the same time. Pipelines push now and then, not all the time.
const JUDGED_MAX: usize = 5;
/// Letters of a commit's name; its hash has 40 or 64.
const SHA_LETTERS_MAX: usize = 128;
/// Warnings of a file that are passed on.
const WARNINGS_MAX: usize = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushAsk {
    pub files: Vec<PushFile>,
    /// Who brings them; the author of those that are new.
    pub by: Option<String>,
    pub app_sha: Option<String>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushFile {
    /// For messages.
    pub file: String,
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PushState {
    New,
    /// With exactly this content.
    Known,
    Refused,
}

/// What becomes of one file.
#[derive(Clone, Debug, Serialize)]
pub struct PushLine {
    pub file: String,
    /// None where the file cannot be read.
    pub name: Option<Name>,
    pub version: Option<Name>,
    pub hash: Option<Name>,
    pub state: PushState,
    /// Why it is refused, with the cure.
    pub why: Option<String>,
    /// The released version before it, and what changed since.
    pub since: Option<Name>,
    pub changes: Vec<Change>,
    pub warnings: Vec<String>,
}

#[derive(Serialize)]
pub struct Pushed {
    pub dry_run: bool,
    pub new: usize,
    pub known: usize,
    pub prompts: Vec<PushLine>,
}

impl Admin {
    /// Keeps the versions of these files. No label moves: what files propose for labels counts in a configuration folder
    /// alone.
    ///
    /// Errors: `prompt_invalid` where a file has mistakes, a version would change, or rises too little for what changed;
    /// then nothing is kept, and `prompts` of the error says it file by file.
    pub fn prompt_push(&self, asked: &PushAsk, by: Option<Name>) -> Result<Pushed, Fault> {
        let bad =
            |message: String, param: &str| Err(Fault::caller(Code::InvalidRequest, message).param(param));
        if asked.files.is_empty() {
            return bad("there is no file to push".to_owned(), "files");
        }
        if asked.files.len() > FILES_MAX {
            return bad(format!("a push has {FILES_MAX} files at most; push them in parts"), "files");
        }
        let app_sha = asked.app_sha.as_deref().map(str::trim).filter(|sha| !sha.is_empty());
        if app_sha.is_some_and(|sha| {
            sha.len() > SHA_LETTERS_MAX || !sha.bytes().all(|byte| byte.is_ascii_graphic())
        }) {
            return bad(
                format!("a commit's name has {SHA_LETTERS_MAX} letters at most and no spaces"),
                "app_sha",
            );
        }
        let mut lines = Vec::new();
        for _ in 0..JUDGED_MAX {
            let catalog = self.prompt_catalog()?;
            let (judged, prompts) = judge(&catalog, &asked.files);
            if judged.iter().any(|line| line.state == PushState::Refused) {
                return Err(refused(judged));
            }
            if !asked.dry_run {
                let stored = prompts.iter().map(|prompt| StoredPrompt {
                    author: by.clone(),
                    app_sha: app_sha.map(Name::from),
                    ..prompt.stored(self.now())
                });
                match self.control.prompt_put_all(&stored.collect::<Vec<_>>(), Some(catalog.kept)) {
                    Ok(_) => self.refresh(false)?,
                    // Another gateway took versions meanwhile: what holds beside them is judged anew.
                    Err(ControlError::PromptsCame) => continue,
                    Err(error @ ControlError::PromptChanged { .. }) => {
                        return Err(Fault::caller(Code::PromptInvalid, error.to_string()));
                    }
                    Err(other) => return Err(control_fault(other)),
                }
            }
            lines = judged;
            break;
        }
        if lines.is_empty() {
            let message = "nothing was pushed: others pushed each time that it was tried; push again";
            return Err(Fault::us(Code::Unavailable, message));
        }
        // One content in two files is one version.
        let count = |state: PushState| {
            let of_state = lines.iter().filter(|line| line.state == state);
            of_state.filter_map(|line| line.hash.as_ref()).collect::<BTreeSet<_>>().len()
        };
        let (new, known) = (count(PushState::New), count(PushState::Known));
        Ok(Pushed { dry_run: asked.dry_run, new, known, prompts: lines })
    }
}

fn refused(lines: Vec<PushLine>) -> Fault {
    let whys: Vec<&str> = lines.iter().filter_map(|line| line.why.as_deref()).collect();
    let message = format!("nothing was pushed: {}", whys.join("\n"));
    Fault::caller(Code::PromptInvalid, message).detail(json!({"prompts": lines}))
}

/// Every file by itself and against all versions before it, those of the same push included.
fn judge(catalog: &Catalog, files: &[PushFile]) -> (Vec<PushLine>, Vec<Arc<Prompt>>) {
    let mut read: Vec<Result<Arc<Prompt>, String>> = Vec::new();
    for PushFile { file, text } in files {
        let prompt = gauntlet_prompts::parse(file, text);
        read.push(prompt.map(Arc::new).map_err(|mistake| mistake.to_string()));
    }
    let pushed: Vec<Arc<Prompt>> = read.iter().flatten().cloned().collect();
    let mut lines = Vec::new();
    for (PushFile { file, .. }, prompt) in files.iter().zip(&read) {
        lines.push(match prompt {
            Ok(prompt) => line(catalog, &pushed, file, prompt),
            Err(why) => PushLine {
                file: file.clone(),
                name: None,
                version: None,
                hash: None,
                state: PushState::Refused,
                why: Some(why.clone()),
                since: None,
                changes: Vec::new(),
                warnings: Vec::new(),
            },
        });
    }
    (lines, pushed)
}

fn line(catalog: &Catalog, pushed: &[Arc<Prompt>], file: &str, prompt: &Arc<Prompt>) -> PushLine {
    let (name, version) = (&prompt.name, &prompt.version);
    let family: Vec<Arc<Prompt>> =
        catalog.registry.prompts().chain(pushed).filter(|other| other.name == *name).cloned().collect();
    let is_twin = |other: &&Arc<Prompt>| other.version == *version && other.hash != prompt.hash;
    let known_twin = catalog.registry.prompts().filter(|other| other.name == *name).find(is_twin);
    // Where one of two is known already, that one is not at fault.
    let in_push = || pushed.iter().filter(|other| other.name == *name).find(is_twin);
    let is_known = catalog.stored.contains_key(&prompt.hash);
    let old = shape::predecessor(&family, prompt);
    let heavy = old.map(|old| shape::too_heavy(old, prompt)).unwrap_or_default();
    let pushed_twin = if is_known { None } else { in_push() };
    let why = match (known_twin, pushed_twin, old) {
        (Some(twin), _, _) => Some(format!(
            "{file}: prompt `{name}@{version}` is already known with another content (hash {}, now {}); versions never \
             change: raise the version",
            twin.hash, prompt.hash
        )),
        (None, Some(twin), _) => Some(format!(
            "{file}: prompt `{name}@{version}` stands in {} too, with another text; versions never change: raise the \
             version of the newer one",
            twin.file
        )),
        // What is kept already is kept; the rule is for what is new.
        (None, None, Some(old)) if !heavy.is_empty() && !is_known => {
            Some(too_little(file, old, prompt, &heavy))
        }
        (None, None, _) => None,
    };
    let mut warnings: Vec<String> = prompt.warnings.iter().map(ToString::to_string).collect();
    if !prompt.labels.is_empty() {
        warnings.push(format!(
            "{file}: a push moves no label; `gauntlet prompt promote {name}@{version} --to {}`",
            prompt.labels[0]
        ));
    }
    let same = pushed.iter().find(|other| other.hash == prompt.hash);
    if let Some(first) = same.filter(|first| first.file != *file) {
        warnings.push(format!("{file}: the same version as {}; it counts once", first.file));
    }
    warnings.truncate(WARNINGS_MAX);
    PushLine {
        file: file.to_owned(),
        name: Some(name.clone()),
        version: Some(version.to_string().into()),
        hash: Some(prompt.hash.clone()),
        state: match (&why, is_known) {
            (Some(_), _) => PushState::Refused,
            (None, true) => PushState::Known,
            (None, false) => PushState::New,
        },
        why,
        since: old.map(|old| old.version.to_string().into()),
        changes: old.map(|old| shape::changes(old, prompt)).unwrap_or_default(),
        warnings,
    }
}

fn too_little(file: &str, old: &Prompt, new: &Prompt, heavy: &[Change]) -> String {
    let whats: Vec<&str> = heavy.iter().map(|change| change.what.as_str()).collect();
    let bump = heavy.iter().map(|change| change.bump).max().unwrap_or(shape::Bump::Patch);
    format!(
        "{file}: version {} of prompt `{}` rises too little above {}: {}; that is a {} change: make it {}",
        new.version,
        new.name,
        old.version,
        whats.join("; "),
        bump.as_str(),
        bump.after(&old.version)
    )
}
