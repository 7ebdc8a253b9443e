//! Rates and concurrency, as configured; counting them is `limit`'s work.

use std::time::Duration;

use gauntlet_types::{Environment, Name};

use crate::limit;

use super::{
    node::Node,
    read::{Fields, Report},
    scalar,
};

/// What one subject may use. Where several files name a limit of the same subject, the strictest counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute, input and output.
    pub tpm: Option<u64>,
    /// Calls at the same time.
    pub max_concurrency: Option<u32>,
    /// Calls that may wait for a free place. Default 100.
    pub queue: u32,
    /// How long one waits at most. Default 5 s.
    pub queue_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { rpm: None, tpm: None, max_concurrency: None, queue: 100, queue_wait: Duration::from_secs(5) }
    }
}

impl Limits {
    pub const fn is_unlimited(&self) -> bool {
        self.rpm.is_none() && self.tpm.is_none() && self.max_concurrency.is_none()
    }
}

/// Whom a limit holds for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LimitScope {
    Tenant(Name),
    Team(Name),
    Key(Name),
    User(Name),
    Environment(Environment),
    Route(Name),
    Model(Name),
}

/// A limit and whom it holds for; `scope` is the identity under which `limit` counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitRule {
    pub scope: LimitScope,
    pub limits: Limits,
}

impl LimitRule {
    /// The limit as the limiter takes it: whom it is on, and how much.
    pub fn wanted(&self) -> (limit::LimitScope, Name, limit::Limits) {
        let (scope, name) = match &self.scope {
            LimitScope::Tenant(name) => (limit::LimitScope::Tenant, name.clone()),
            LimitScope::Team(name) => (limit::LimitScope::Team, name.clone()),
            LimitScope::Key(name) => (limit::LimitScope::Key, name.clone()),
            LimitScope::User(name) => (limit::LimitScope::User, name.clone()),
            LimitScope::Environment(environment) => {
                (limit::LimitScope::Environment, environment.as_str().into())
            }
            LimitScope::Route(name) => (limit::LimitScope::Route, name.clone()),
            LimitScope::Model(name) => (limit::LimitScope::Model, name.clone()),
        };
        // A rate beyond four thousand million a minute limits nothing.
        let rate = |rate: u64| u32::try_from(rate).unwrap_or(u32::MAX);
        let limits = limit::Limits {
            rpm: self.limits.rpm.map(rate),
            tpm: self.limits.tpm.map(rate),
            max_concurrency: self.limits.max_concurrency,
            queue: self.limits.queue,
            queue_wait: self.limits.queue_wait,
        };
        (scope, name, limits)
    }
}

/// Limits as typed: what is unset comes from elsewhere.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct LimitsShape {
    pub(super) rpm: Option<u64>,
    pub(super) tpm: Option<u64>,
    pub(super) max_concurrency: Option<u32>,
    pub(super) queue: Option<u32>,
    pub(super) queue_wait: Option<Duration>,
}

impl LimitsShape {
    /// Reads the limit fields of a map that may have others too.
    pub(super) fn fields(fields: &mut Fields<'_>, report: &mut Report) -> LimitsShape {
        LimitsShape {
            rpm: fields.read("rpm", report, scalar::POSITIVE),
            tpm: fields.read("tpm", report, scalar::POSITIVE),
            max_concurrency: fields.read("max_concurrency", report, scalar::POSITIVE_SMALL),
            queue: fields.read("queue", report, scalar::COUNT),
            queue_wait: fields.read("queue_wait", report, scalar::DURATION),
        }
    }

    pub(super) fn read(node: &Node, what: &str, report: &mut Report) -> LimitsShape {
        let Some(mut fields) = Fields::of(node, what, report) else { return LimitsShape::default() };
        let shape = LimitsShape::fields(&mut fields, report);
        fields.finish(report);
        shape
    }

    pub(super) fn or(self, other: LimitsShape) -> LimitsShape {
        LimitsShape {
            rpm: self.rpm.or(other.rpm),
            tpm: self.tpm.or(other.tpm),
            max_concurrency: self.max_concurrency.or(other.max_concurrency),
            queue: self.queue.or(other.queue),
            queue_wait: self.queue_wait.or(other.queue_wait),
        }
    }

    /// The strictest of both.
    pub(super) fn and(self, other: LimitsShape) -> LimitsShape {
        fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        LimitsShape {
            rpm: least(self.rpm, other.rpm),
            tpm: least(self.tpm, other.tpm),
            max_concurrency: least(self.max_concurrency, other.max_concurrency),
            queue: least(self.queue, other.queue),
            queue_wait: least(self.queue_wait, other.queue_wait),
        }
    }

    pub(super) fn resolve(self) -> Limits {
        let default = Limits::default();
        Limits {
            rpm: self.rpm,
            tpm: self.tpm,
            max_concurrency: self.max_concurrency,
            queue: self.queue.unwrap_or(default.queue),
            queue_wait: self.queue_wait.unwrap_or(default.queue_wait),
        }
    }
}
