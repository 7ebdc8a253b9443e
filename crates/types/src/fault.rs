//! What a caller is told when a call cannot be answered.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Stable error codes; programs rely on them, so they are never renamed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    InvalidRequest,
    RequestTooLarge,
    Unauthorized,
    Forbidden,
    Killed,
    UnknownRoute,
    UnknownModel,
    UnpricedModel,
    PromptInvalid,
    RateLimited,
    BudgetExceeded,
    GuardrailBlocked,
    OutputInvalid,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamRefused,
    Overloaded,
    Unavailable,
    Interrupted,
    NotFound,
    MethodNotAllowed,
    Internal,
    /// Only a kept answer was wanted, and there is none.
    NotCached,
}

impl Code {
    pub const ALL: [Code; 23] = [
        Code::InvalidRequest,
        Code::RequestTooLarge,
        Code::Unauthorized,
        Code::Forbidden,
        Code::Killed,
        Code::UnknownRoute,
        Code::UnknownModel,
        Code::UnpricedModel,
        Code::PromptInvalid,
        Code::RateLimited,
        Code::BudgetExceeded,
        Code::GuardrailBlocked,
        Code::OutputInvalid,
        Code::UpstreamFailed,
        Code::UpstreamTimeout,
        Code::UpstreamRefused,
        Code::Overloaded,
        Code::Unavailable,
        Code::Interrupted,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::Internal,
        Code::NotCached,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Code::InvalidRequest => "invalid_request",
            Code::RequestTooLarge => "request_too_large",
            Code::Unauthorized => "unauthorized",
            Code::Forbidden => "forbidden",
            Code::Killed => "killed",
            Code::UnknownRoute => "unknown_route",
            Code::UnknownModel => "unknown_model",
            Code::UnpricedModel => "unpriced_model",
            Code::PromptInvalid => "prompt_invalid",
            Code::RateLimited => "rate_limited",
            Code::BudgetExceeded => "budget_exceeded",
            Code::GuardrailBlocked => "guardrail_blocked",
            Code::OutputInvalid => "output_invalid",
            Code::UpstreamFailed => "upstream_failed",
            Code::UpstreamTimeout => "upstream_timeout",
            Code::UpstreamRefused => "upstream_refused",
            Code::Overloaded => "overloaded",
            Code::Unavailable => "unavailable",
            Code::Interrupted => "interrupted",
            Code::NotFound => "not_found",
            Code::MethodNotAllowed => "method_not_allowed",
            Code::Internal => "internal",
            Code::NotCached => "not_cached",
        }
    }
}

/// Whose fault it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    Caller,
    Policy,
    Provider,
    Us,
}

/// A refusal or failure as the caller may see it: no secret, no prompt text, no raw provider answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    pub code: Code,
    pub blame: Blame,
    /// Says what is wrong, where, and the cure.
    pub message: String,
    /// The request field at fault, as OpenAI's `param`.
    pub param: Option<String>,
    /// When a retry may help.
    pub retry_after: Option<Duration>,
    /// What a guard or a budget adds for programs (budget name, limit, reset).
    pub detail: Option<Box<serde_json::Value>>,
}

impl Fault {
    pub fn new(code: Code, blame: Blame, message: impl Into<String>) -> Fault {
        Fault { code, blame, message: message.into(), param: None, retry_after: None, detail: None }
    }

    pub fn caller(code: Code, message: impl Into<String>) -> Fault {
        Fault::new(code, Blame::Caller, message)
    }

    pub fn policy(code: Code, message: impl Into<String>) -> Fault {
        Fault::new(code, Blame::Policy, message)
    }

    pub fn provider(code: Code, message: impl Into<String>) -> Fault {
        Fault::new(code, Blame::Provider, message)
    }

    pub fn us(code: Code, message: impl Into<String>) -> Fault {
        Fault::new(code, Blame::Us, message)
    }

    pub fn param(mut self, param: impl Into<String>) -> Fault {
        self.param = Some(param.into());
        self
    }

    pub fn retry_after(mut self, wait: Duration) -> Fault {
        self.retry_after = Some(wait);
        self
    }

    pub fn detail(mut self, detail: serde_json::Value) -> Fault {
        self.detail = Some(Box::new(detail));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Fault {}
