//! Which guards hold for a call: rules of several levels, added up.
//!
//! Levels are asked one beside the other, and of what they ask the most severe is done. So a level can only tighten what
//! those above it say, and no order between them has to be remembered.

pub mod diff;
pub mod explain;

use std::{fmt, sync::Arc};

use gauntlet_guard::{Citations, Contract, Spotlight, ToolRules};
use gauntlet_types::{Direction, Name, Rule, Voice};

use crate::config::Schema;

/// Who says it, from the operator's floor to the call itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LevelKind {
    Floor,
    Tenant,
    Route,
    Key,
    Request,
}

impl LevelKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            LevelKind::Floor => "floor",
            LevelKind::Tenant => "tenant",
            LevelKind::Route => "route",
            LevelKind::Key => "key",
            LevelKind::Request => "request",
        }
    }
}

/// A policy of the folder `guardrails/`, as a version of it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyId {
    pub name: Name,
    pub version: semver::Version,
    /// The beginning of the BLAKE3 of its text.
    pub hash: Name,
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} ({})", self.name, self.version, self.hash)
    }
}

/// A versioned policy.
#[derive(Clone, Debug)]
pub struct GuardPolicy {
    pub id: PolicyId,
    pub file: Name,
    pub description: Option<Arc<str>>,
    pub rules: Arc<Ruleset>,
}

/// The rules of one level, with what they need to know.
#[derive(Clone, Default, Debug)]
pub struct Ruleset {
    pub input: Vec<Rule>,
    pub output: Vec<Rule>,
    /// Bytes of the request body; none leaves only the server's `max_body`.
    pub size_max: Option<usize>,
    /// What answers must fit, under the rule `schema`.
    pub schema: Option<Arc<Schema>>,
    /// Whom to ask, by direction, under the rule `judge`.
    pub judges: [Option<Arc<Judge>>; 2],
    /// The label that is feared, by direction, under the rule `classifier`.
    pub classes: [Option<Name>; 2],
    /// A call that is stopped on its way in gets the route's `fallback` in place of an error.
    pub answers_blocked: bool,
    /// How text from tools is dressed.
    pub spotlight: Option<Spotlight>,
    /// Where links may lead, under the rules `links` and `exfiltration`; none where no rule speaks of links.
    pub hosts: Option<Vec<String>>,
    pub contract: Option<Arc<Contract>>,
    pub citations: Option<Arc<Citations>>,
    pub tools: Option<Arc<ToolRules>>,
}

/// A model that is asked about texts.
#[derive(Clone, PartialEq, Debug)]
pub struct Judge {
    /// As a caller would name it.
    pub model: Name,
    /// What it is asked; none for attempts at injection in the input, and harm in the output.
    pub ask: Option<Arc<str>>,
    /// Asked while the model is at work, and heard before the answer goes out.
    pub is_alongside: bool,
}

impl Ruleset {
    pub fn judge(&self, direction: Direction) -> Option<&Arc<Judge>> {
        self.judges[direction as usize].as_ref()
    }

    pub fn rules(&self, direction: Direction) -> &[Rule] {
        match direction {
            Direction::Input => &self.input,
            Direction::Output => &self.output,
        }
    }
}

/// One level of a call's guards.
#[derive(Debug)]
pub struct Level {
    pub kind: LevelKind,
    /// Whose level: a tenant, a route, a key; empty for the others.
    pub of: Name,
    pub policy: Option<PolicyId>,
    pub rules: Arc<Ruleset>,
    label: Name,
    /// The rules that may do something, by direction.
    voices: [Arc<[Voice]>; 2],
}

impl Level {
    pub fn new(kind: LevelKind, of: Name, policy: Option<PolicyId>, rules: Arc<Ruleset>) -> Level {
        let mut label = kind.as_str().to_owned();
        if !of.is_empty() {
            label.push(' ');
            label.push_str(&of);
        }
        if let Some(policy) = &policy {
            label.push_str(&format!(", {policy}"));
        }
        let label = Name::from(label);
        let voices = [&rules.input, &rules.output].map(|rules| {
            let on = rules.iter().filter(|rule| rule.is_on());
            on.map(|rule| Voice { level: label.clone(), rule: rule.clone() }).collect()
        });
        Level { kind, of, policy, rules, label, voices }
    }

    /// The level of a policy.
    pub fn of_policy(kind: LevelKind, of: Name, policy: &GuardPolicy) -> Level {
        Level::new(kind, of, Some(policy.id.clone()), Arc::clone(&policy.rules))
    }

    /// `route support_bot`, `floor, strict@1.2.0 (5d1c0a7e)`
    pub fn label(&self) -> &Name {
        &self.label
    }

    pub fn voices(&self, direction: Direction) -> &Arc<[Voice]> {
        &self.voices[direction as usize]
    }
}

/// The levels that hold for a call, from the floor down.
#[derive(Clone, Default, Debug)]
pub struct Chain(Vec<Arc<Level>>);

impl Chain {
    pub fn push(&mut self, level: Arc<Level>) {
        self.0.push(level);
    }

    pub fn extend(&mut self, levels: impl IntoIterator<Item = Arc<Level>>) {
        self.0.extend(levels);
    }

    pub fn levels(&self) -> &[Arc<Level>] {
        &self.0
    }

    /// What the levels have to say about a direction.
    pub fn voices(&self, direction: Direction) -> Vec<Arc<[Voice]>> {
        let all = self.0.iter().map(|level| level.voices(direction));
        all.filter(|voices| !voices.is_empty()).cloned().collect()
    }

    /// The least of the bounds on a request's size.
    pub fn size_max(&self) -> Option<usize> {
        self.0.iter().filter_map(|level| level.rules.size_max).min()
    }
}
