//! One cap, and which charge a call makes to it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use gauntlet_types::{Caller, Charge, Environment, Measure, Name, Target, Timestamp};

use super::calendar::{Calendar, Window};
use crate::budget::{Cap, Draw, STEPS_MAX};

/// What sort of thing a budget is on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BudgetScope {
    /// An alias, a bare model at any provider, or `provider/model`.
    Model,
    Provider,
    Route,
    Tenant,
    Team,
    Key,
    User,
    /// Session or conversation.
    Session,
    Tag,
    Prompt,
    /// `experiment/arm`.
    Variant,
    Environment,
    /// All calls of all environments together.
    Everything,
}

impl BudgetScope {
    pub(super) const ALL: [BudgetScope; 13] = [
        BudgetScope::Model,
        BudgetScope::Provider,
        BudgetScope::Route,
        BudgetScope::Tenant,
        BudgetScope::Team,
        BudgetScope::Key,
        BudgetScope::User,
        BudgetScope::Session,
        BudgetScope::Tag,
        BudgetScope::Prompt,
        BudgetScope::Variant,
        BudgetScope::Environment,
        BudgetScope::Everything,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            BudgetScope::Model => "model",
            BudgetScope::Provider => "provider",
            BudgetScope::Route => "route",
            BudgetScope::Tenant => "tenant",
            BudgetScope::Team => "team",
            BudgetScope::Key => "key",
            BudgetScope::User => "user",
            BudgetScope::Session => "session",
            BudgetScope::Tag => "tag",
            BudgetScope::Prompt => "prompt",
            BudgetScope::Variant => "variant",
            BudgetScope::Environment => "environment",
            BudgetScope::Everything => "everything",
        }
    }
}

/// Whether the subject's calls share the cap, or each user, conversation or call has it for himself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Per {
    Subject,
    User,
    Conversation,
    /// Looked at before the call and never added up.
    Call,
}

/// What becomes of a call that a budget has no room for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AtLimit {
    /// 429 `budget_exceeded` (default).
    Block,
    /// The first of these models whose worst case fits; else blocked.
    Downgrade(Vec<Name>),
    /// The operator's own words, as an answer.
    Answer(Arc<str>),
    /// Waits so long for room, then is blocked.
    Queue(Duration),
}

/// One cap.
#[derive(Debug)]
pub struct BudgetRule {
    /// As typed: `models.gpt-4o.daily_usd`.
    pub name: Name,
    pub scope: BudgetScope,
    /// None: each subject without a cap of the same sort of its own.
    pub subject: Option<Name>,
    pub per: Per,
    pub measure: Measure,
    /// Nano-dollars, tokens or requests.
    pub cap: i64,
    /// Of users that have a cap of their own within this rule.
    pub own_caps: HashMap<Name, i64>,
    pub calendar: Calendar,
    pub at_limit: AtLimit,
    /// Said before the facts when a call is refused.
    pub message: Option<Arc<str>>,
    pub steps: [u8; STEPS_MAX],
    /// Only calls of this environment draw on it.
    pub environment: Option<Environment>,
    /// In `budgets.yml`, from 1.
    pub line: usize,
    /// `scope` of its charges for each environment, whose spends are kept apart: `model_daily`, `model_daily:eval` …
    charge_scopes: [Name; Environment::ALL.len()],
}

/// Of one subject two such caps would be the same cap twice.
pub(super) type Sort = (Per, Window, Measure);

/// What the budgets of a call depend on.
#[derive(Clone, Copy, Debug)]
pub struct CallFacts<'a> {
    pub caller: &'a Caller,
    pub route: &'a str,
    /// The name that was asked for.
    pub model: &'a str,
    pub target: &'a Target,
    pub prompt: Option<&'a str>,
    /// `experiment/arm`.
    pub variant: Option<&'a str>,
    pub at: Timestamp,
}

/// Stands for the user of a call that names none, so that leaving the name out does not go round a cap per user.
const ANONYMOUS: &str = "anonymous";

/// What a rule is made of but for the names of its charges.
pub(super) struct RuleShape {
    pub(super) name: Name,
    pub(super) scope: BudgetScope,
    pub(super) subject: Option<Name>,
    pub(super) per: Per,
    pub(super) measure: Measure,
    pub(super) cap: i64,
    pub(super) own_caps: HashMap<Name, i64>,
    pub(super) calendar: Calendar,
    pub(super) at_limit: AtLimit,
    pub(super) message: Option<Arc<str>>,
    pub(super) steps: [u8; STEPS_MAX],
    pub(super) environment: Option<Environment>,
    pub(super) line: usize,
}

impl BudgetRule {
    pub(super) fn new(shape: RuleShape) -> BudgetRule {
        let RuleShape { scope, per, measure, .. } = shape;
        let window = shape.calendar.window;
        let mut name = scope.as_str().to_owned();
        match per {
            Per::Subject => {}
            Per::User => name.push_str("_user"),
            Per::Conversation => name.push_str("_conversation"),
            Per::Call => name.push_str("_call"),
        }
        if per != Per::Call && (per, window) != (Per::Conversation, Window::Never) {
            name.push('_');
            name.push_str(&window.label());
        }
        if !measure.is_usd() {
            name.push('_');
            name.push_str(measure.as_str());
        }
        let is_one_for_all = matches!(scope, BudgetScope::Environment | BudgetScope::Everything);
        let charge_scopes = Environment::ALL.map(|environment| match environment {
            Environment::Prod => Name::from(name.as_str()),
            _ if is_one_for_all => Name::from(name.as_str()),
            other => format!("{name}:{}", other.as_str()).into(),
        });
        BudgetRule {
            name: shape.name,
            scope,
            subject: shape.subject,
            per,
            measure,
            cap: shape.cap,
            own_caps: shape.own_caps,
            calendar: shape.calendar,
            at_limit: shape.at_limit,
            message: shape.message,
            steps: shape.steps,
            environment: shape.environment,
            line: shape.line,
            charge_scopes,
        }
    }

    pub(super) fn sort(&self) -> Sort {
        (self.per, self.calendar.window, self.measure)
    }

    fn charge_scope(&self, environment: Environment) -> &Name {
        &self.charge_scopes[environment as usize]
    }

    fn cap(&self, amount: i64) -> Cap {
        Cap { amount, rolling: self.calendar.window.rolling(), steps: self.steps }
    }

    /// What a call draws from this rule's budget. `subject` is the name under which the call met it.
    pub(super) fn draw(&self, rule: u32, subject: &str, facts: &CallFacts<'_>) -> Draw {
        let caller = facts.caller;
        let user = || caller.user.as_deref().unwrap_or(ANONYMOUS);
        let (mut period, part) = self.calendar.period(facts.at);
        let mut amount = self.cap;
        let key: Name = match (self.per, &caller.session) {
            (Per::User, _) => {
                amount = self.own_caps.get(user()).copied().unwrap_or(amount);
                person(subject, caller, user())
            }
            (Per::Conversation, Some(session)) => person(subject, caller, session),
            // A call without a session belongs to its user's nameless conversation of the day: leaving the session
            // out must not go round the cap, and a conversation that nobody can end must not lock a user out for good.
            (Per::Conversation, None) => {
                period = period.or(Some(facts.at.day()));
                person(subject, caller, &format!("{}:no-session", user()))
            }
            (Per::Subject | Per::Call, _) => match (&self.subject, self.scope) {
                (Some(name), _) => name.clone(),
                // Two tenants may each have an ann.
                (None, BudgetScope::User | BudgetScope::Session) => owned(caller, subject),
                (None, _) => subject.into(),
            },
        };
        let scope = self.charge_scope(caller.environment).clone();
        Draw {
            charge: Charge { scope, key, period, measure: self.measure, part },
            cap: self.cap(amount),
            rule,
        }
    }

    /// The charge of a budget that all its calls share, at `at` in production (or in its own environment); none where
    /// each user, conversation or subject has its own.
    pub fn shared_charge(&self, at: Timestamp) -> Option<Charge> {
        if self.per != Per::Subject {
            return None;
        }
        let (period, part) = self.calendar.period(at);
        let scope = self.charge_scope(self.environment.unwrap_or_default()).clone();
        Some(Charge { scope, key: self.subject.clone()?, period, measure: self.measure, part })
    }

    /// The cap of one of its charges.
    pub fn cap_of(&self, charge: &Charge) -> i64 {
        let own = self.own_caps.iter().find(|(user, _)| charge.key.rsplit('/').next() == Some(&plain(user)));
        own.map_or(self.cap, |(_, cap)| *cap)
    }

    /// Whether a charge, made today or read back from a store, is one of this rule's.
    pub fn covers(&self, charge: &Charge) -> bool {
        let is_of_scope = Environment::ALL
            .into_iter()
            .filter(|environment| self.environment.is_none_or(|only| only == *environment))
            .any(|environment| charge.scope == *self.charge_scope(environment));
        if !is_of_scope || charge.measure != self.measure {
            return false;
        }
        match (&self.subject, self.per) {
            (Some(subject), Per::User | Per::Conversation) => {
                charge.key.strip_prefix(subject.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
            (Some(subject), _) => charge.key == *subject,
            (None, _) => true,
        }
    }
}

fn plain(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

/// `support_bot/ann`; of another tenant than `default`, `support_bot/acme/ann`: two tenants may each have an ann.
/// Slashes in callers' names are written `%2F`, so that nobody can name himself into another's budget.
fn person(subject: &str, caller: &Caller, who: &str) -> Name {
    if caller.tenant == "default" {
        format!("{subject}/{}", plain(who)).into()
    } else {
        format!("{subject}/{}/{}", plain(&caller.tenant), plain(who)).into()
    }
}

fn owned(caller: &Caller, who: &str) -> Name {
    if caller.tenant == "default" {
        plain(who).into()
    } else {
        format!("{}/{}", plain(&caller.tenant), plain(who)).into()
    }
}

/// The users that a subject's name in a rule may stand for.
pub(super) fn user_of<'a>(facts: &CallFacts<'a>) -> &'a str {
    facts.caller.user.as_deref().unwrap_or(ANONYMOUS)
}
