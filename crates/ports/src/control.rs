//! Control data: virtual keys, kill switches, prompt versions and labels. Few rows, full durability.

use gauntlet_types::{Environment, Name, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::events::{Event, EventFilter};

/// A virtual key as stored: the secret itself is shown once at its creation and only its hash is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredKey {
    /// Unique among keys, revoked ones included.
    pub name: Name,
    /// BLAKE3 of the whole secret, in hexadecimal. The secret has 256 random bits, so no salt is needed.
    pub hash: String,
    /// The last characters of the secret, to tell keys apart.
    pub hint: String,
    pub tenant: Name,
    pub team: Option<Name>,
    pub user: Option<Name>,
    pub environment: Option<Environment>,
    /// Routes the key may use; empty for all.
    pub routes: Vec<Name>,
    /// Models the key may use; empty for all.
    pub models: Vec<Name>,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KillKind {
    Tenant,
    Route,
    Model,
    Key,
}

impl KillKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            KillKind::Tenant => "tenant",
            KillKind::Route => "route",
            KillKind::Model => "model",
            KillKind::Key => "key",
        }
    }

    pub fn parse(text: &str) -> Option<KillKind> {
        [KillKind::Tenant, KillKind::Route, KillKind::Model, KillKind::Key]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// A thrown kill switch. A model may be named as callers do, or as `provider/model`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    pub kind: KillKind,
    pub name: Name,
    pub reason: String,
    pub since: Timestamp,
}

/// A prompt version as first seen. `source` is its canonical form; a version never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPrompt {
    pub name: Name,
    pub version: Name,
    pub hash: Name,
    pub source: String,
    pub created: Timestamp,
    /// Who pushed it; none for one that a folder brought along, until somebody pushes it by name.
    pub author: Option<Name>,
    /// The commit of the application that it came with.
    pub app_sha: Option<Name>,
    /// What is said about it and is no part of it: description, owner. JSON, or nothing.
    pub about: Option<String>,
}

/// Why a label moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MoveKind {
    /// With everything that the label's policy asks for.
    Promote,
    /// To the version that it pointed to before.
    Rollback,
    /// Against its policy, with a reason.
    Force,
}

impl MoveKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            MoveKind::Promote => "promote",
            MoveKind::Rollback => "rollback",
            MoveKind::Force => "force",
        }
    }

    pub fn parse(text: &str) -> Option<MoveKind> {
        [MoveKind::Promote, MoveKind::Rollback, MoveKind::Force]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// A move of a label, made or to be made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LabelMove {
    /// Given by the store; 0 before.
    pub seq: i64,
    pub name: Name,
    pub label: Name,
    /// Where it pointed; a move that thinks otherwise than the store is refused.
    pub from: Option<Name>,
    pub to: Name,
    pub kind: MoveKind,
    pub by: Name,
    pub why: Option<String>,
    pub at: Timestamp,
}

/// Somebody's word that a version may go under a label.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// Given by the store; 0 before.
    pub seq: i64,
    pub name: Name,
    pub version: Name,
    /// Of the version: an approval is of one text.
    pub hash: Name,
    pub label: Name,
    pub by: Name,
    pub note: Option<String>,
    pub at: Timestamp,
}

/// The newest moves of a prompt's labels, and approvals of it, that are looked at: years of daily promotions.
pub const HISTORY_MAX: usize = 1_000;

/// Something that a provider keeps for one tenant: a file, a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub provider: Name,
    pub id: Name,
    pub kind: Name,
    pub tenant: Name,
    pub created: Timestamp,
}

/// The things of one tenant that a list shows, the newest: more than providers list in one answer.
pub const OWNED_MAX: usize = 100_000;

#[derive(Debug, Error)]
pub enum ControlError {
    #[error(
        "a key named `{0}` exists already; choose another name, or `gauntlet key revoke {0}` and a new name"
    )]
    KeyExists(Name),
    #[error("there is no key named `{0}`")]
    UnknownKey(Name),
    #[error(
        "prompt `{name}@{version}` is already known with another content (hash {known}, now {now}); \
         versions never change: raise the version"
    )]
    PromptChanged { name: Name, version: Name, known: Name, now: Name },
    #[error("somebody else pushed prompts meanwhile; look again")]
    PromptsCame,
    #[error("there is no prompt `{name}@{version}`")]
    UnknownPrompt { name: Name, version: Name },
    #[error(
        "label `{label}` of prompt `{name}` was moved by somebody else meanwhile and points to {now}; look again"
    )]
    LabelMoved { name: Name, label: Name, now: Name },
    #[error("the control store failed at {what}")]
    Store { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

/// Synchronous: called from blocking threads and from the command line.
pub trait ControlStore: Send + Sync {
    fn key_insert(&self, key: &StoredKey) -> Result<(), ControlError>;
    /// All keys, revoked ones included, by name.
    fn key_list(&self) -> Result<Vec<StoredKey>, ControlError>;
    fn key_revoke(&self, name: &str, at: Timestamp) -> Result<(), ControlError>;

    /// Throws a switch; throwing it again renews the reason.
    fn kill_set(&self, kill: &Kill) -> Result<(), ControlError>;
    /// Says whether there was one to undo.
    fn kill_undo(&self, kind: KillKind, name: &str) -> Result<bool, ControlError>;
    fn kill_list(&self) -> Result<Vec<Kill>, ControlError>;

    /// Notes whose something is. Who has it already keeps it.
    fn owned_put(&self, owned: &Owned) -> Result<(), ControlError>;
    fn owner_of(&self, provider: &str, id: &str) -> Result<Option<Name>, ControlError>;
    /// The newest of a tenant's things at a provider, at most [`OWNED_MAX`].
    fn owned_ids(&self, provider: &str, tenant: &str) -> Result<Vec<Name>, ControlError>;

    /// Keeps a version; the same content again is fine, keeps its author, if it has one, and takes over what is newly said
    /// about it; another content under the same version is `PromptChanged`. Says whether its content was new.
    fn prompt_put(&self, prompt: &StoredPrompt) -> Result<bool, ControlError> {
        self.prompt_put_all(std::slice::from_ref(prompt), None).map(|new| new > 0)
    }
    /// Keeps all of these versions as [`ControlStore::prompt_put`] does, or none of them, also where the process dies in the
    /// middle of it. Says how many were new.
    ///
    /// `known` is how many versions there were when the caller judged them: versions are never taken away, so that the
    /// number tells whether others came since. None where nobody judged.
    ///
    /// Errors: `PromptChanged`; `PromptsCame` where there are more by now than `known`.
    fn prompt_put_all(&self, prompts: &[StoredPrompt], known: Option<usize>) -> Result<usize, ControlError>;
    fn prompt_list(&self) -> Result<Vec<StoredPrompt>, ControlError>;
    /// Points a label at a version and keeps the move; one to where it points already is none, and false.
    ///
    /// Errors: `LabelMoved` where the label is set and does not point to `from`.
    fn label_set(&self, moved: &LabelMove) -> Result<bool, ControlError>;
    /// (prompt, label, version) of every label.
    fn label_list(&self) -> Result<Vec<(Name, Name, Name)>, ControlError>;
    /// Moves of a prompt's labels, newest first, at most [`HISTORY_MAX`].
    fn label_history(&self, name: &str) -> Result<Vec<LabelMove>, ControlError>;
    /// Once for each person, label and content: a second word of the same person is none, and false.
    fn approval_add(&self, approval: &Approval) -> Result<bool, ControlError>;
    /// Of a prompt, newest first, at most [`HISTORY_MAX`].
    fn approval_list(&self, name: &str) -> Result<Vec<Approval>, ControlError>;

    /// A value kept under a name, made by `make` if there is none yet (hash keys, the admin token's hash).
    fn setting(&self, name: &str, make: &mut dyn FnMut() -> String) -> Result<String, ControlError>;
    fn setting_put(&self, name: &str, value: &str) -> Result<(), ControlError>;

    /// Notes an event, unless one with its key is noted already; says whether it was new. `seq` is given here.
    fn event_add(&self, event: &Event) -> Result<bool, ControlError>;
    /// Newest first.
    fn event_list(&self, filter: &EventFilter) -> Result<Vec<Event>, ControlError>;
}
