//! Replacing what was found.

use std::ops::Range;

use gauntlet_types::{Action, Finding};

use crate::{
    candidate::{CANARY, EXFILTRATION, LINKS, PII, SECRETS, TOXICITY},
    extras::joined,
    rulebook::Rulebook,
    vault::Vault,
};

/// What stands in the place of a value: `[REDACTED:EMAIL_ADDRESS]`.
pub fn placeholder(finding: &Finding) -> String {
    let name = match finding.kind {
        // How bad the link was is for the record, not for the reader.
        LINKS | EXFILTRATION => "LINK",
        CANARY => "CANARY",
        TOXICITY => "WORD",
        _ => finding.label,
    };
    format!("[REDACTED:{name}]")
}

/// Characters of a masked value that stay: enough for its owner to know it again.
const SHOWN: usize = 4;

/// What stands in the place of a value in traffic. `Tokenize` without a vault is a placeholder.
pub fn replacement(
    finding: &Finding,
    value: &str,
    action: Action,
    rules: &Rulebook,
    vault: Option<&mut Vault>,
) -> String {
    match (action, vault) {
        (Action::Tokenize, Some(vault)) => vault.token(finding.label, value),
        (Action::Mask, _) => mask(value),
        (Action::Hash, _) => format!("[{}:{}]", finding.label, rules.hash(value)),
        _ => placeholder(finding),
    }
}

/// `************1111`: letters and digits become stars but for the last four, and for the last quarter of what is short.
pub fn mask(value: &str) -> String {
    let count = value.chars().filter(|c| c.is_alphanumeric()).count();
    let stars = count - SHOWN.min(count / 4);
    let mut seen = 0;
    let masked = value.chars().map(|c| {
        seen += usize::from(c.is_alphanumeric());
        if c.is_alphanumeric() && seen <= stars { '*' } else { c }
    });
    masked.collect()
}

/// `text` with each span that is replaced by its placeholder; of overlapping spans the first names what stood there.
///
/// Findings come in order, as `Scanner::scan` gives them; kinds that replace nothing are passed over. A span that does
/// not fit the text is passed over too.
pub fn redact(text: &str, findings: &[Finding]) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut done = 0;
    for (finding, span) in joined(findings.iter().filter(|finding| is_replaced(finding))) {
        let Some(before) = text.get(done..span.start) else { continue };
        redacted.push_str(before);
        redacted.push_str(&placeholder(finding));
        done = span.end;
    }
    redacted.push_str(text.get(done..).unwrap_or_default());
    redacted
}

pub(crate) fn is_replaced(finding: &Finding) -> bool {
    matches!(finding.kind, PII | SECRETS | LINKS | EXFILTRATION | CANARY | TOXICITY)
}

/// A span of bytes as a span of Unicode code points. Bytes inside a character count as its start.
pub fn code_points(text: &str, span: Range<usize>) -> Range<usize> {
    let starts = |bytes: &[u8]| bytes.iter().filter(|byte| (**byte as i8) >= -0x40).count();
    let bytes = text.as_bytes();
    let start = span.start.min(bytes.len());
    let end = span.end.clamp(start, bytes.len());
    let before = starts(&bytes[..start]);
    before..before + starts(&bytes[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_replaced_and_counted_in_code_points() {
        let text = "né a@b.de!";
        let finding = Finding { kind: PII, label: "EMAIL_ADDRESS", span: 4..10, score: 1.0 };
        assert_eq!(redact(text, std::slice::from_ref(&finding)), "né [REDACTED:EMAIL_ADDRESS]!");
        assert_eq!(code_points(text, finding.span), 3..9);
        assert_eq!(code_points("é", 0..99), 0..1);
    }

    #[test]
    fn a_mask_shows_the_end_of_what_is_long() {
        let check = |value: &str, expected: &str| assert_eq!(mask(value), expected);
        check("4111 1111 1111 1111", "**** **** **** 1111");
        check("ann@example.org", "***@*******.org");
        check("123-45-6789", "***-**-**89");
        check("abc", "***");
        check("", "");
    }
}
