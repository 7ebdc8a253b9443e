//! Paths in arguments: whether one stays below an allowed folder.
//!
//! The decision is lexical. Whether a folder on the way is a symbolic link is known to the tool alone, and a tool that
//! follows links has to look for itself.

use unicode_normalization::UnicodeNormalization;

use crate::host::unescape;

/// Paths may be escaped once too often; more than this is a disguise.
const ESCAPES_MAX: usize = 3;

/// The path without `.`, `..`, doubled slashes and escapes; `None` where it cannot be told what a tool would open.
pub(crate) fn normal(path: &str) -> Option<String> {
    let mut path = path.to_owned();
    for _ in 0..=ESCAPES_MAX {
        let read = unescape(&path)?;
        if read == path {
            return tidy(&path);
        }
        path = read;
    }
    None
}

fn tidy(path: &str) -> Option<String> {
    // Full-width slashes and dots become plain ones; some file systems do the same.
    let path: String = path.nfkc().map(|c| if c == '\\' { '/' } else { c }).collect();
    let path = match path.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("file://") => {
            path[7..].strip_prefix("localhost").unwrap_or(&path[7..])
        }
        _ => path.as_str(),
    };
    // Home folders and variables are what the shell makes of them; `//host` and schemes lead to another machine.
    let is_expanded = path.starts_with('~') || path.contains('$') || path.contains('`');
    if path.is_empty()
        || is_expanded
        || path.starts_with("//")
        || path.contains("://")
        || path.chars().any(char::is_control)
    {
        return None;
    }
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()?),
            // Systems that ignore dots and spaces at the end would read these as one of the above.
            step if step.chars().all(|c| matches!(c, '.' | ' ')) => return None,
            step => steps.push(step),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    Some(format!("{root}{}", steps.join("/")))
}

/// Whether `path` is one of `folders` or below it.
pub(crate) fn is_under(path: &str, folders: &[String]) -> bool {
    folders.iter().any(|folder| match path.strip_prefix(folder.as_str()) {
        Some(rest) => {
            rest.is_empty()
                || rest.starts_with('/')
                || folder == "/"
                || folder.is_empty() && !path.starts_with('/')
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_a_tool_would() {
        let check =
            |path: &str, expected: Option<&str>| assert_eq!(normal(path).as_deref(), expected, "{path}");
        check("/data/a.txt", Some("/data/a.txt"));
        check("/data//./b/../a.txt", Some("/data/a.txt"));
        check("data\\a.txt", Some("data/a.txt"));
        check("/data/%2e%2e/etc", Some("/etc"));
        check("/data/%252e%252e/etc", Some("/etc"));
        check("/data/．．／etc", Some("/etc"));
        check("file:///data/a", Some("/data/a"));
        check("/../etc", None);
        check("../etc", None);
        check("~/a", None);
        check("$HOME/a", None);
        check("//host/share", None);
        check("\\\\host\\share", None);
        check("https://a/b", None);
        check("/data/a\0.txt", None);
        check("/data/... /etc", None);
        check("", None);
    }

    #[test]
    fn a_folder_allows_what_is_below_it_and_not_beside() {
        let folders = ["/data".to_owned(), "out".to_owned()];
        for (path, expected) in [
            ("/data", true),
            ("/data/a", true),
            ("/database", false),
            ("/", false),
            ("out/a", true),
            ("/out/a", false),
        ] {
            assert_eq!(is_under(path, &folders), expected, "{path}");
        }
        assert!(is_under("/a", &["/".to_owned()]));
    }
}
