//! When a failed attempt is tried again, where, and after how long.
//!
//! Pure: chance and time are handed in. It does not count attempts or sleep; `attempt` in the pipeline does.

use std::time::Duration;

use gauntlet_types::{AttemptEnd, Timestamp};

/// Full-jitter exponential backoff, as in "Exponential Backoff And Jitter" (AWS Architecture Blog).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// Attempts at one target, the first included; 0 is taken as 1.
    pub attempts: u32,
    /// Upper end of the pause after the first failure; doubles with each further one.
    pub base: Duration,
    /// No pause is longer. A provider that asks for more is left for the next target.
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { attempts: 3, base: Duration::from_millis(250), max: Duration::from_secs(8) }
    }
}

impl RetryPolicy {
    /// Says how long to pause before asking the same target again; none means: go to the next target.
    ///
    /// `attempt` counts the attempts made at this target, from 1. `chance` is uniform in `0.0..1.0`. `retry_after` is
    /// what the provider asked for ([`retry_after`]) and a floor: the pause is never shorter, and never so much
    /// longer that it passes `max`. None when the attempts are used up, when the provider asks for more than `max`,
    /// or when the pause would use up `remaining`, the time that the call has left.
    pub fn delay(
        &self,
        attempt: u32,
        chance: f64,
        retry_after: Option<Duration>,
        remaining: Duration,
    ) -> Option<Duration> {
        if attempt >= self.attempts.max(1) {
            return None;
        }
        let floor = retry_after.unwrap_or(Duration::ZERO);
        if floor > self.max {
            return None;
        }
        let chance = if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 0.5 };
        let doubled = self.base.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
        let jittered = doubled.min(self.max).mul_f64(chance);
        // Calls that were told the same time must not come back all at once.
        let spread = match retry_after {
            Some(_) => self.base.mul_f64(chance),
            None => Duration::ZERO,
        };
        let pause = floor.saturating_add(spread).max(jittered).min(self.max);
        (pause < remaining).then_some(pause)
    }
}

/// What to do about a failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Ask the same target again, after [`RetryPolicy::delay`].
    Retry,
    /// Asking this target again cannot help; another one may.
    NextTarget,
    /// The request is at fault: no target will take it.
    GiveUp,
}

/// Judges a failed attempt. The first line that fits decides:
///
/// | what came | verdict | why |
/// |---|---|---|
/// | caller went away; another target was quicker | give up | nobody waits for the answer |
/// | code: quota used up, bad key, no such model, billing | next target | waiting does not fill an account |
/// | code: rate limit, overloaded, server error, timeout | retry | passing trouble, also inside a stream |
/// | code: invalid request, content filter, context length | give up | true of the request, wherever it goes |
/// | no connection, silence, cut, malformed, error in a stream | retry | passing trouble |
/// | 408 409 425 429, 500 502 503 504 520–527 529, other 5xx | retry | passing trouble |
/// | 401 402 403 404 405 410, 3xx, 501 505 511 | next target | our key, account or configuration at this provider |
/// | 400 413 422, other 4xx | give up | true of the request |
/// | 2xx with an end of `Status` | retry | contradicts itself: taken as malformed |
///
/// `error_code` is the provider's own code or type in its error body, as it stands there.
pub fn judge(status: Option<u16>, end: AttemptEnd, error_code: Option<&str>) -> Verdict {
    match end {
        AttemptEnd::Ok | AttemptEnd::Abandoned | AttemptEnd::Outrun => return Verdict::GiveUp,
        AttemptEnd::Status
        | AttemptEnd::Connect
        | AttemptEnd::FirstTokenTimeout
        | AttemptEnd::IdleTimeout
        | AttemptEnd::TotalTimeout
        | AttemptEnd::Malformed
        | AttemptEnd::Cut
        | AttemptEnd::StreamError => {}
    }
    if let Some(verdict) = error_code.and_then(|code| judge_code(code, status)) {
        return verdict;
    }
    match end {
        AttemptEnd::Status => status.map_or(Verdict::Retry, judge_status),
        _ => Verdict::Retry,
    }
}

/// Codes that say more than the status does; none leaves it to the status.
fn judge_code(code: &str, status: Option<u16>) -> Option<Verdict> {
    let is_status = |wanted| status.is_none_or(|status| status == wanted || status == 200);
    Some(match code {
        // OpenAI answers 429 both for haste and for an empty account; only the code tells them apart.
        "insufficient_quota"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "access_terminated"
        | "account_deactivated"
        | "billing_error"
        | "insufficient_balance" => Verdict::NextTarget,
        "model_not_found" | "DeploymentNotFound" | "not_found_error" | "model_not_available" => {
            Verdict::NextTarget
        }
        // Gemini answers 400 for a wrong key.
        "invalid_api_key"
        | "API_KEY_INVALID"
        | "authentication_error"
        | "permission_error"
        | "PERMISSION_DENIED"
        | "UNAUTHENTICATED" => Verdict::NextTarget,
        "rate_limit_exceeded"
        | "rate_limit_error"
        | "overloaded_error"
        | "RESOURCE_EXHAUSTED"
        | "UNAVAILABLE"
        | "server_error"
        | "api_error"
        | "timeout_error"
        | "engine_overloaded" => Verdict::Retry,
        "context_length_exceeded"
        | "content_filter"
        | "content_policy_violation"
        | "string_above_max_length"
        | "request_too_large"
        | "request_validation_error" => Verdict::GiveUp,
        // Used loosely by providers beside other statuses, so it counts only where the status agrees or is absent.
        "invalid_request_error" | "INVALID_ARGUMENT" if is_status(400) => Verdict::GiveUp,
        _ => return None,
    })
}

/// Whom a failed attempt speaks against, which decides what is left alone for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Against {
    /// The request, the caller, or a model name: no other call need fare worse for it.
    Nobody,
    /// The target: its breaker counts it.
    Target,
    /// The target has enough for now, and says until when.
    Rate(Duration),
    /// Our key at this provider, and so all its targets.
    Key(KeyTrouble),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyTrouble {
    Refused,
    /// The account behind the key is empty or closed.
    Unpaid,
}

/// Says whom a failed attempt speaks against; takes what [`judge`] does, and how long the provider asks to wait.
pub fn against(
    status: Option<u16>,
    end: AttemptEnd,
    error_code: Option<&str>,
    retry_after: Option<Duration>,
) -> Against {
    let is_status = end == AttemptEnd::Status;
    match error_code {
        Some(
            "insufficient_quota"
            | "billing_hard_limit_reached"
            | "billing_not_active"
            | "access_terminated"
            | "account_deactivated"
            | "billing_error"
            | "insufficient_balance",
        ) => {
            return Against::Key(KeyTrouble::Unpaid);
        }
        Some(
            "invalid_api_key"
            | "API_KEY_INVALID"
            | "authentication_error"
            | "permission_error"
            | "PERMISSION_DENIED"
            | "UNAUTHENTICATED",
        ) => return Against::Key(KeyTrouble::Refused),
        // 403 may also mean that a key has no access to one model.
        Some("model_not_found" | "DeploymentNotFound" | "not_found_error" | "model_not_available") => {
            return Against::Nobody;
        }
        _ => {}
    }
    match status.filter(|_| is_status) {
        Some(401 | 403) => return Against::Key(KeyTrouble::Refused),
        Some(402) => return Against::Key(KeyTrouble::Unpaid),
        Some(429) => {
            if let Some(wait) = retry_after.filter(|wait| !wait.is_zero()) {
                return Against::Rate(wait);
            }
        }
        _ => {}
    }
    match judge(status, end, error_code) {
        Verdict::Retry => Against::Target,
        Verdict::NextTarget | Verdict::GiveUp => Against::Nobody,
    }
}

fn judge_status(status: u16) -> Verdict {
    match status {
        408 | 409 | 425 | 429 => Verdict::Retry,
        401..=405 | 410 => Verdict::NextTarget,
        400..=499 => Verdict::GiveUp,
        501 | 505 | 511 => Verdict::NextTarget,
        300..=399 => Verdict::NextTarget,
        _ => Verdict::Retry,
    }
}

/// Reads how long a provider asks to wait, from whichever header it says so in; none if it does not say.
///
/// In this order: `retry-after-ms`; `retry-after` in seconds (fractions allowed) or as an HTTP date; then
/// `x-ratelimit-reset-requests` and `-tokens` (`6m0s`, `1s`, `12ms`, seconds, or seconds since 1970) and
/// `x-ratelimit-reset`. Of the two resets the one whose `x-ratelimit-remaining-…` is 0 counts; if neither or both
/// say so, the later. A time in the past is no wait. `header` gives a header's value by its lower-case name.
pub fn retry_after<'a>(header: &dyn Fn(&str) -> Option<&'a str>, now: Timestamp) -> Option<Duration> {
    let milliseconds = || seconds(header("retry-after-ms")?).map(|wait| wait / 1000);
    let plain = || wait(header("retry-after")?, now);
    milliseconds().or_else(plain).or_else(|| reset(header, now))
}

fn reset<'a>(header: &dyn Fn(&str) -> Option<&'a str>, now: Timestamp) -> Option<Duration> {
    let one = |reset: &str, remaining: &str| {
        let wait = wait(header(reset)?, now)?;
        Some((wait, header(remaining).is_some_and(|left| left.trim() == "0")))
    };
    let requests = one("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests");
    let tokens = one("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens");
    match (requests, tokens) {
        (Some((wait, true)), Some((_, false))) | (Some((_, false)), Some((wait, true))) => Some(wait),
        (Some((a, _)), Some((b, _))) => Some(a.max(b)),
        (Some((wait, _)), None) | (None, Some((wait, _))) => Some(wait),
        (None, None) => wait(header("x-ratelimit-reset")?, now),
    }
}

/// A number from here on is a point in time, not a wait: 2001 in seconds, and no wait lasts thirty years.
const EPOCH_SECONDS_MIN: f64 = 1e9;
/// A number from here on is in milliseconds: as seconds it would be the year 33658.
const EPOCH_MILLISECONDS_MIN: f64 = 1e12;

fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        if !number.is_finite() {
            return None;
        }
        if number < EPOCH_SECONDS_MIN {
            return seconds(text);
        }
        let instant = if number < EPOCH_MILLISECONDS_MIN { number } else { number / 1000.0 };
        return Duration::try_from_secs_f64((instant - now.0 as f64 / 1e6).max(0.0)).ok();
    }
    units(text).or_else(|| {
        let instant = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        let now = Duration::from_micros(u64::try_from(now.0).ok()?);
        Some(instant.saturating_sub(now))
    })
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

/// Reads `6m0s`, `1h2m3.5s`, `12ms`: numbers, each with its unit.
fn units(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * scale).ok()?;
        total = total.checked_add(part)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests;
