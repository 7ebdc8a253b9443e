//! Regular expressions that users write: linear in the text, and bounded in what they cost to build.

use regex::{Regex, RegexBuilder};

/// Bytes of a compiled pattern. `\w{1,200}` in Unicode takes some 3 MB; more is a mistake or an attack.
const PATTERN_BYTES_MAX: usize = 4 << 20;

/// Compiles a pattern; the reason it cannot be is in words and in short.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).nest_limit(64).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        // The message repeats the pattern over several lines and ends with what is wrong.
        error => {
            error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    })
}
