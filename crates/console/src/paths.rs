//! Where the pages and their forms live. The server mounts these; pages link to nothing else.

use gauntlet_types::{CallId, SpanId, TraceId};

pub const OVERVIEW: &str = "/";
pub const TRACES: &str = "/traces";
/// Spans that applications sent.
pub const SPANS: &str = "/spans";
pub const SESSIONS: &str = "/sessions";
pub const USERS: &str = "/users";
/// `?month=2026-11`.
pub const SPEND: &str = "/spend";
/// The API that answers CSV.
pub const SPEND_CSV: &str = "/api/v1/spend";
pub const ADVICE: &str = "/advice";
pub const EVENTS: &str = "/events";
/// `?suite=NAME`
pub const EVALS: &str = "/evals";
/// `?a=RUN&b=RUN`
pub const EVAL_COMPARE: &str = "/evals/compare";
pub const PROMPTS: &str = "/prompts";
/// `GET` with `name`, and `version`, `from`, `to`, `plan` and `label` for what it shows besides.
pub const PROMPT: &str = "/prompts/show";
/// `POST` with `name`, `version`, `label`, `reason` and `csrf`.
pub const PROMPT_PROMOTE: &str = "/prompts/promote";
/// `POST` with `name`, `version`, `label`, `by`, `note` and `csrf`.
pub const PROMPT_APPROVE: &str = "/prompts/approve";
/// `POST` with `name`, `label`, `reason` and `csrf`.
pub const PROMPT_ROLLBACK: &str = "/prompts/rollback";
/// `GET` shows the form; `POST` takes `token`, `next` and `csrf`.
pub const LOGIN: &str = "/login";
/// `POST` with `csrf`.
pub const LOGOUT: &str = "/logout";
/// `POST` with `kind`, `name` and `csrf`.
pub const KILL_UNDO: &str = "/kills/undo";

/// The page of one call.
pub fn trace(id: CallId) -> String {
    format!("{TRACES}/{id}")
}

/// The page of a whole trace.
pub fn whole_trace(id: TraceId) -> String {
    format!("{TRACES}/{id}")
}

/// The same with one of its steps open.
pub fn step(trace: TraceId, span: SpanId) -> String {
    format!("{TRACES}/{trace}?span={span}#step")
}

/// The same from one of its steps on.
pub fn trace_from(trace: TraceId, place: usize) -> String {
    format!("{TRACES}/{trace}?from={place}#steps")
}

/// The runs of one suite.
pub fn evals_of(suite: &str) -> String {
    format!("{EVALS}?suite={}", escaped(suite))
}

pub fn eval_run(id: &str) -> String {
    format!("{EVALS}/runs/{}", escaped(id))
}

/// The page of a run with its failing cases, at one of them.
pub fn eval_case(run: &str, case: &str, repeat: u32) -> String {
    format!("{}?failed=1#{}", eval_run(run), case_anchor(case, repeat))
}

/// The `id` of a case on the page of its run. Cases are named by others: what may not stand in an id is written as its bytes.
pub fn case_anchor(case: &str, repeat: u32) -> String {
    let mut anchor = String::from("case-");
    for byte in case.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => anchor.push(char::from(byte)),
            other => anchor.push_str(&format!("_{other:02x}")),
        }
    }
    if repeat > 0 { format!("{anchor}_{repeat}") } else { anchor }
}

pub fn eval_compare(first: &str, second: &str) -> String {
    format!("{EVAL_COMPARE}?a={}&b={}", escaped(first), escaped(second))
}

pub fn traces_of_eval(id: &str) -> String {
    format!("{TRACES}?eval_id={}", escaped(id))
}

pub fn prompt(name: &str) -> String {
    format!("{PROMPT}?name={}", escaped(name))
}

pub fn prompt_version(name: &str, version: &str) -> String {
    format!("{}&version={}#text", prompt(name), escaped(version))
}

pub fn prompt_diff(name: &str, from: &str, to: &str) -> String {
    format!("{}&from={}&to={}#diff", prompt(name), escaped(from), escaped(to))
}

pub fn traces_of_prompt(name: &str) -> String {
    format!("{TRACES}?prompt_name={}", escaped(name))
}

/// As a value of a query, or a part of a path.
fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Where to go after signing in: `next` if it is a path of this server, else the overview.
///
/// Browsers read `//host` and `/\host` as another server, and drop tabs and line ends before they look.
pub fn local(next: &str) -> &str {
    let rest = next.strip_prefix('/');
    let is_local =
        rest.is_some_and(|rest| !rest.starts_with(['/', '\\'])) && !next.contains(char::is_control);
    if is_local { next } else { OVERVIEW }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_followed() {
        let check = |next: &str, expected: &str| assert_eq!(local(next), expected, "{next:?}");
        check("/traces?route=a", "/traces?route=a");
        check("/", "/");
        for bad in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "x"]
        {
            check(bad, OVERVIEW);
        }
    }
}
