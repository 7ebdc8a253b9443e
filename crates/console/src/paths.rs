//! Where the pages and their forms live. The server mounts these; pages link to nothing else.

use gauntlet_types::CallId;

pub const OVERVIEW: &str = "/";
pub const TRACES: &str = "/traces";
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
