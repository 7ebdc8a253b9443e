//! Which of several rules decides about a finding.

use std::sync::Arc;

use gauntlet_types::{Action, ExceptedValue, Exception, Finding, Name, Scope, Voice};

use crate::{
    candidate::{INJECTION, PII, SECRETS},
    injection::Trust,
    scanner::Scanner,
};

/// Hexadecimal digits of a value's hash: enough to join equal values, too few to be one of record.
const HASH_DIGITS: usize = 16;

/// The rules of one direction that hold for one call, with all that is needed to apply them.
///
/// Of what several rules ask for, the most severe is done; rules on trial are heard and not obeyed.
#[derive(Clone, Debug)]
pub struct Rulebook {
    voices: Vec<Arc<[Voice]>>,
    exceptions: Arc<[Exception]>,
    hash_key: [u8; 32],
    draw: f64,
    /// Scores from which the detector itself speaks of injection: in a user's words, and in text from elsewhere.
    usual: [f32; 2],
}

impl Default for Rulebook {
    fn default() -> Rulebook {
        Rulebook::new(Vec::new(), Arc::new([]), [0; 32], 0.0)
    }
}

/// What is to be done about a finding, and by whose word.
#[derive(Clone, Debug)]
pub struct Ruling<'a> {
    pub action: Action,
    pub voice: Option<&'a Voice>,
    /// The most severe of what rules on trial would do, where that is more.
    pub trial: Option<(Action, &'a Voice)>,
    pub is_excepted: bool,
}

impl Rulebook {
    /// `exceptions` are those that hold for this call; `hash_key` is its tenant's; `draw`, from 0 to below 1, decides which
    /// sampled rules run.
    pub fn new(
        voices: Vec<Arc<[Voice]>>,
        exceptions: Arc<[Exception]>,
        hash_key: [u8; 32],
        draw: f64,
    ) -> Rulebook {
        Rulebook { voices, exceptions, hash_key, draw, usual: [0.0; 2] }
    }

    /// The same for what this scanner finds.
    #[must_use]
    pub fn with_scanner(self, scanner: &Scanner) -> Rulebook {
        let usual = [Trust::User, Trust::Untrusted].map(|trust| scanner.injection_threshold(trust));
        Rulebook { usual, ..self }
    }

    fn all(&self) -> impl Iterator<Item = &Voice> {
        self.voices.iter().flat_map(|voices| voices.iter())
    }

    /// The rules about a kind that run on this call.
    pub fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Voice> {
        self.all().filter(move |voice| voice.rule.kind == kind && self.draw < voice.rule.sample)
    }

    /// The kinds that any rule asks for, each once.
    pub fn kinds(&self) -> Vec<&'static str> {
        let mut kinds: Vec<_> = self.all().map(|voice| voice.rule.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    pub fn has(&self, kind: &str) -> bool {
        self.of(kind).next().is_some()
    }

    /// The most severe thing that may be done about a kind.
    pub fn most(&self, kind: &str) -> Action {
        let bound = self.of(kind).filter(|voice| !voice.rule.shadow).map(|voice| voice.rule.most());
        bound.max().unwrap_or(Action::Allow)
    }

    /// The lowest threshold that a rule sets for a kind; none where all leave it to the detector.
    pub fn threshold(&self, kind: &str) -> Option<f32> {
        self.of(kind).filter_map(|voice| voice.rule.threshold).min_by(f32::total_cmp)
    }

    /// Whether a failure of this guard stops the call.
    pub fn is_closed(&self, kind: &str) -> bool {
        self.of(kind).any(|voice| voice.rule.is_closed())
    }

    /// What to do about a finding in `text`.
    pub fn rule<'a>(&'a self, finding: &'a Finding, text: &str, scope: Scope) -> Ruling<'a> {
        let usual = match (finding.kind, scope) {
            (INJECTION, Scope::ToolResult | Scope::Document) => self.usual[1],
            (INJECTION, _) => self.usual[0],
            _ => 0.0,
        };
        let mut ruling = Ruling { action: Action::Allow, voice: None, trial: None, is_excepted: false };
        for voice in self.of(finding.kind) {
            let action = voice.rule.action(finding.label, finding.score, scope, usual);
            if voice.rule.shadow {
                if ruling.trial.is_none_or(|(most, _)| action > most) {
                    ruling.trial = Some((action, voice));
                }
            } else if action > ruling.action || ruling.voice.is_none() {
                (ruling.action, ruling.voice) = (action, Some(voice));
            }
        }
        ruling.trial = ruling.trial.filter(|(action, _)| *action > ruling.action);
        let is_idle = ruling.action == Action::Allow && ruling.trial.is_none();
        if !is_idle && self.is_excepted(finding, text, scope) {
            return Ruling { action: Action::Allow, voice: None, trial: None, is_excepted: true };
        }
        ruling
    }

    /// Whether a person lets this finding pass.
    pub fn is_excepted(&self, finding: &Finding, text: &str, scope: Scope) -> bool {
        self.exceptions.iter().any(|exception| {
            *exception.kind == *finding.kind
                && exception.label.as_ref().is_none_or(|label| **label == *finding.label)
                && exception.scope.is_none_or(|only| only == scope)
                && match &exception.value {
                    ExceptedValue::Any => true,
                    ExceptedValue::Text(value) => **value == *value_of(finding, text),
                    ExceptedValue::Hash(hash) => **hash == *self.hash(value_of(finding, text)),
                }
        })
    }

    /// The keyed hash of a value, as records note it: equal values of a tenant join, and nobody without the key can tell
    /// which they are.
    pub fn hash(&self, value: &str) -> String {
        let mut hex = blake3::keyed_hash(&self.hash_key, value.as_bytes()).to_hex().to_string();
        hex.truncate(HASH_DIGITS);
        hex
    }
}

/// What of a text a finding is about: its span, or all of the text where the finding is its meaning.
pub(crate) fn value_of<'t>(finding: &Finding, text: &'t str) -> &'t str {
    match finding.kind {
        PII | SECRETS => text.get(finding.span.clone()).unwrap_or(""),
        _ => text,
    }
}

/// The key of a tenant's hashes: those of two tenants do not join.
pub fn tenant_key(key: &[u8; 32], tenant: &Name) -> [u8; 32] {
    *blake3::keyed_hash(key, tenant.as_bytes()).as_bytes()
}
