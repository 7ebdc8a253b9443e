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
}

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
    #[error("there is no prompt `{name}@{version}`")]
    UnknownPrompt { name: Name, version: Name },
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

    /// Keeps a version; the same content again is fine, another content under the same version is `PromptChanged`.
    fn prompt_put(&self, prompt: &StoredPrompt) -> Result<(), ControlError>;
    fn prompt_list(&self) -> Result<Vec<StoredPrompt>, ControlError>;
    /// Points a label at a version and keeps the history of moves.
    fn label_set(&self, name: &str, label: &str, version: &str, at: Timestamp) -> Result<(), ControlError>;
    /// (prompt, label, version) of every label.
    fn label_list(&self) -> Result<Vec<(Name, Name, Name)>, ControlError>;

    /// A value kept under a name, made by `make` if there is none yet (hash keys, the admin token's hash).
    fn setting(&self, name: &str, make: &mut dyn FnMut() -> String) -> Result<String, ControlError>;
    fn setting_put(&self, name: &str, value: &str) -> Result<(), ControlError>;

    /// Notes an event, unless one with its key is noted already; says whether it was new. `seq` is given here.
    fn event_add(&self, event: &Event) -> Result<bool, ControlError>;
    /// Newest first.
    fn event_list(&self, filter: &EventFilter) -> Result<Vec<Event>, ControlError>;
}
