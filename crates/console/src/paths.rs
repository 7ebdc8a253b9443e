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
