//! What guards found and what was done about it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{id::Name, time::Timestamp};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Input,
    Output,
}

/// What a policy asks to be done about a finding. Ordered from mild to severe: of several that apply the last one wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Traffic is left alone and the finding is not noted. The record is redacted all the same.
    Allow,
    /// Traffic is left alone, the answer says nothing, and the record notes it.
    Log,
    /// Traffic is left alone and the finding is noted, in the record and in the answer's headers.
    #[default]
    Flag,
    /// A token takes its place on the way to the model, and the token is replaced by the value in the answer.
    Tokenize,
    /// All but the last characters are starred.
    Mask,
    /// A keyed hash takes its place: equal values stay equal.
    Hash,
    Redact,
    /// The answer is mended where that can be done without inventing anything.
    Repair,
    /// The model is asked once more, and told what was wrong.
    Reask,
    /// Another model is asked.
    Reroute,
    /// Stopped until a person lets it pass.
    Review,
    Block,
}

impl Action {
    pub const ALL: [Action; 12] = [
        Action::Allow,
        Action::Log,
        Action::Flag,
        Action::Tokenize,
        Action::Mask,
        Action::Hash,
        Action::Redact,
        Action::Repair,
        Action::Reask,
        Action::Reroute,
        Action::Review,
        Action::Block,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Log => "log",
            Action::Flag => "flag",
            Action::Tokenize => "tokenize",
            Action::Mask => "mask",
            Action::Hash => "hash",
            Action::Redact => "redact",
            Action::Repair => "repair",
            Action::Reask => "reask",
            Action::Reroute => "reroute",
            Action::Review => "review",
            Action::Block => "block",
        }
    }

    /// Whether the text that was found is replaced by something else.
    pub const fn replaces(self) -> bool {
        matches!(self, Action::Tokenize | Action::Mask | Action::Hash | Action::Redact)
    }

    /// Whether the text may not go on at all.
    pub const fn stops(self) -> bool {
        matches!(self, Action::Review | Action::Block)
    }
}

/// The sum of what the guards decided on a call. Ordered from mild to severe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    #[default]
    Allow,
    Flag,
    Redact,
    Block,
}

impl Decision {
    pub const fn as_str(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Flag => "flag",
            Decision::Redact => "redact",
            Decision::Block => "block",
        }
    }
}

impl From<Action> for Decision {
    fn from(action: Action) -> Decision {
        match action {
            Action::Allow | Action::Log => Decision::Allow,
            // What became of the answer stands in its note; the words that went out were the model's.
            Action::Flag | Action::Repair | Action::Reask | Action::Reroute => Decision::Flag,
            Action::Tokenize | Action::Mask | Action::Hash | Action::Redact => Decision::Redact,
            Action::Review | Action::Block => Decision::Block,
        }
    }
}

/// What a text is to a conversation: who wrote it, and what it is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// System and developer messages, and definitions of tools.
    System,
    User,
    /// What the model said.
    Assistant,
    /// What the model wants a tool to be called with.
    ToolArguments,
    ToolResult,
    /// Retrieved for the call.
    Document,
}

impl Scope {
    pub const ALL: [Scope; 6] = [
        Scope::System,
        Scope::User,
        Scope::Assistant,
        Scope::ToolArguments,
        Scope::ToolResult,
        Scope::Document,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::System => "system",
            Scope::User => "user",
            Scope::Assistant => "assistant",
            Scope::ToolArguments => "tool_arguments",
            Scope::ToolResult => "tool_result",
            Scope::Document => "document",
        }
    }
}

/// Several scopes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scopes(u8);

impl Scopes {
    pub const ALL: Scopes = Scopes(u8::MAX);
    pub const NONE: Scopes = Scopes(0);

    pub const fn with(self, scope: Scope) -> Scopes {
        Scopes(self.0 | 1 << scope as u8)
    }

    pub const fn has(self, scope: Scope) -> bool {
        self.0 >> scope as u8 & 1 == 1
    }
}

/// What becomes of a call when a guard cannot run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum OnError {
    /// It is stopped: what nobody has looked at does not pass.
    #[default]
    Closed,
    /// It passes, and the record says that nobody has looked.
    Open,
}

/// What one level of policy says about one kind of finding.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// `pii`, `secrets`, `injection`, `links`, `leak` …
    pub kind: &'static str,
    pub action: Action,
    /// Types that are treated in another way.
    pub types: Vec<(Name, Action)>,
    /// Findings of a lower score are passed over; 0 takes all that the detector gives, and none leaves it to the detector.
    pub threshold: Option<f32>,
    pub scopes: Scopes,
    pub on_error: OnError,
    /// Noted as what it would do, and not done.
    pub shadow: bool,
    /// The share of calls it runs on, from 0 to 1.
    pub sample: f64,
    /// Which model `reroute` asks; none for the next target.
    pub to: Option<Name>,
    /// What follows when an answer could not be mended, or the model gave no better one.
    pub or_else: Action,
}

impl Rule {
    pub const fn of(kind: &'static str, action: Action) -> Rule {
        Rule {
            kind,
            action,
            types: Vec::new(),
            threshold: None,
            scopes: Scopes::ALL,
            on_error: OnError::Closed,
            shadow: false,
            sample: 1.0,
            to: None,
            or_else: Action::Block,
        }
    }

    /// What is to be done about a finding: nothing where it is out of the rule's scope or below its threshold, which is
    /// `usual` where it sets none.
    pub fn action(&self, label: &str, score: f32, scope: Scope, usual: f32) -> Action {
        if !self.scopes.has(scope) || score < self.threshold.unwrap_or(usual) {
            return Action::Allow;
        }
        let own = self.types.iter().find(|(name, _)| name.as_str() == label);
        own.map_or(self.action, |(_, action)| *action)
    }

    /// Whether there is anything that it would do something about.
    pub fn is_on(&self) -> bool {
        self.sample > 0.0
            && (self.action != Action::Allow || self.types.iter().any(|(_, action)| *action != Action::Allow))
    }

    /// Whether what it could not look at must not pass: it changes or stops what it finds, and fails closed.
    pub fn is_closed(&self) -> bool {
        let most = self.most();
        self.on_error == OnError::Closed && !self.shadow && (most.replaces() || most.stops())
    }

    /// The most severe thing that it may do.
    pub fn most(&self) -> Action {
        let types = self.types.iter().map(|(_, action)| *action);
        types.fold(self.action, Action::max)
    }
}

/// Something a detector saw in a text. `span` is in bytes of that text, on character borders.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// `pii`, `secrets`, `injection`, `size`, `schema` …: the names that a policy sets actions for.
    pub kind: &'static str,
    /// `EMAIL_ADDRESS`, `US_SSN`, `github_token`, `ignore_instructions` …
    pub label: &'static str,
    pub span: Range<usize>,
    /// From 0 to 1: 1 where a checksum or an unmistakable structure proves it.
    pub score: f32,
}

/// A rule and who says it.
#[derive(Clone, PartialEq, Debug)]
pub struct Voice {
    /// `route support_bot`, `floor, strict@1.2.0 (5d1c0a7e)`
    pub level: Name,
    pub rule: Rule,
}

/// A finding that a person has looked at and lets pass, for a time.
#[derive(Clone, PartialEq, Debug)]
pub struct Exception {
    pub kind: Name,
    /// None for all types of the kind.
    pub label: Option<Name>,
    pub value: ExceptedValue,
    pub tenant: Option<Name>,
    pub route: Option<Name>,
    pub scope: Option<Scope>,
    pub until: Timestamp,
    pub why: Option<Name>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExceptedValue {
    /// As records note it: the beginning of the keyed hash of the value.
    Hash(Name),
    /// The value itself, where it is no secret: a telephone number of the house.
    Text(Name),
    Any,
}

/// A finding as the record keeps it: without the text that was found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GuardNote {
    pub direction: Direction,
    pub kind: Name,
    pub label: Name,
    pub action: Action,
    pub count: u32,
    /// The highest score among them.
    pub score: f32,
    /// Says where and why, for a person; holds no text of the caller's.
    pub reason: String,
    /// Keyed hash of the value, so that equal values can be found without keeping any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_hash: Option<String>,
    /// The level and policy whose rule it was: `route support_bot`, `floor, strict@1.2.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Name>,
    /// What would have been done: the rule is being tried out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

/// How far a guard came. Only `Passed` and `Found` mean that it has looked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    Passed,
    /// It found something; a note says what.
    Found,
    NotRun,
    /// It began and could not finish.
    Failed,
}

impl RunOutcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            RunOutcome::Passed => "passed",
            RunOutcome::Found => "found",
            RunOutcome::NotRun => "not_run",
            RunOutcome::Failed => "failed",
        }
    }
}

/// Proof that a guard ran on a call, or that it did not.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GuardRun {
    pub direction: Direction,
    pub kind: Name,
    pub outcome: RunOutcome,
    /// On how many texts of which scope: `system 1, user 3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Name>,
    /// Microseconds; guards that share a scan share its time, and each says all of it.
    #[serde(default)]
    pub took_us: u32,
    /// Why it did not run, or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Findings let pass by an entry of the list of exceptions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub excepted: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
