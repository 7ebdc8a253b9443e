//! Claims about whole texts and streams. Values are made up or printed in the standards as examples.

mod disguised;
mod extras;
mod injection;
mod pii;
mod secrets;
mod stream;

use gauntlet_types::Finding;

use crate::{Kinds, Scanner};

const PII: Kinds = Kinds { pii: true, ..Kinds::NONE };
const SECRETS: Kinds = Kinds { secrets: true, ..Kinds::NONE };
const INJECTION: Kinds = Kinds { injection: true, ..Kinds::NONE };

fn scan(text: &str, kinds: Kinds) -> Vec<Finding> {
    let mut found = Vec::new();
    Scanner::new().scan(text, kinds, &mut found);
    found
}

/// Checks labels and values, written `LABEL=value`.
fn check(kinds: Kinds, text: &str, expected: &[&str]) {
    let found: Vec<String> =
        scan(text, kinds).iter().map(|f| format!("{}={}", f.label, &text[f.span.clone()])).collect();
    assert_eq!(found, expected, "in `{text}`");
}
