//! What a caller says about kept answers, in the words of RFC 9111: `cache-control` of a request.

use std::time::Duration;

use http::{HeaderMap, header};

/// How a call may use the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Control {
    /// A kept answer will do.
    pub(crate) looks: bool,
    /// Its own answer may be kept.
    pub(crate) keeps: bool,
    /// Nothing but a kept answer will do.
    pub(crate) is_only: bool,
    /// The oldest answer that will do.
    pub(crate) age_max: Option<Duration>,
}

impl Control {
    pub(crate) fn of(headers: &HeaderMap) -> Control {
        let mut control = Control { looks: true, keeps: true, is_only: false, age_max: None };
        for value in headers.get_all(header::CACHE_CONTROL) {
            // What cannot be read asks for nothing.
            for directive in value.to_str().unwrap_or("").split(',') {
                control.read(directive.trim());
            }
        }
        control
    }

    fn read(&mut self, directive: &str) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-cache" => self.looks = false,
            "no-store" => self.keeps = false,
            "only-if-cached" => self.is_only = true,
            "max-age" => {
                // An age that nobody can read is none that any answer has.
                let seconds = value.trim().trim_matches('"').parse().unwrap_or(0);
                let asked = Duration::from_secs(seconds);
                self.age_max = Some(self.age_max.map_or(asked, |known| known.min(asked)));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_in_any_case_and_company() {
        let check = |value: &str, looks: bool, keeps: bool, is_only: bool, age_max: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, value.parse().unwrap());
            let age_max = age_max.map(Duration::from_secs);
            assert_eq!(Control::of(&headers), Control { looks, keeps, is_only, age_max }, "{value}");
        };
        check("", true, true, false, None);
        check("no-cache", false, true, false, None);
        check("No-Store", true, false, false, None);
        check("no-cache, no-store", false, false, false, None);
        check("only-if-cached", true, true, true, None);
        check("max-age=60", true, true, false, Some(60));
        check("max-age=\"60\", MAX-AGE = 5 ,x", true, true, false, Some(5));
        check("max-age=soon", true, true, false, Some(0));
        check("max-stale=5, private", true, true, false, None);
        assert_eq!(Control::of(&HeaderMap::new()).age_max, None);
    }
}
