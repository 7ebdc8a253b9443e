//! What a record still tells of the texts of its call: the kept words, and placeholders where something private stood.

use bytes::Bytes;
use gauntlet_guard::{Kinds, Scanner, Trust};
use gauntlet_ports::StoredCall;
use gauntlet_types::{Dialect, Direction, Door, Finding, Scope};
use gauntlet_wire::{
    Kind, Role, Segment,
    answer::read_plain,
    conversation::{self, PathAsk},
    openai::embeddings,
};

/// What stands before the type in the place of a value, as `gauntlet_guard::placeholder` writes it.
const BEFORE: &str = "[REDACTED:";
/// Longer than any type; what is longer was written by somebody else.
const LABEL_MAX: usize = 64;

/// One kept text.
pub(super) struct Text {
    pub(super) direction: Direction,
    pub(super) scope: Scope,
    pub(super) text: String,
    /// Words, in which injection is looked for, and not arguments or definitions.
    is_words: bool,
    trust: Trust,
}

/// The kept texts of a call; none where they were not kept, or nobody can read them.
pub(super) fn texts(call: &StoredCall) -> Option<Vec<Text>> {
    let input = &call.input;
    let segments = match call.record.door {
        Door::Embeddings => embeddings::segments(&embeddings::parse(input).ok()?, input),
        door => conversation::parse(door.dialect()?, input, &PathAsk::default()).ok()?.segments(input),
    };
    let mut texts: Vec<Text> = segments.iter().map(|one| text(Direction::Input, one, input)).collect();
    // A call that was stopped has no answer, and one of another shape has no words that a guard has seen.
    let dialect = call.record.door.dialect().unwrap_or(Dialect::Chat);
    // What was put together from a stream is in chat's words.
    let own = read_plain(dialect, &call.output).ok().filter(|read| !read.texts.is_empty());
    if let Some(read) = own.or_else(|| read_plain(Dialect::Chat, &call.output).ok()) {
        texts.extend(read.texts.iter().map(|one| text(Direction::Output, &one.segment, &call.output)));
    }
    Some(texts)
}

fn text(direction: Direction, segment: &Segment, body: &Bytes) -> Text {
    Text {
        direction,
        scope: segment.scope(),
        text: segment.as_str(body).to_owned(),
        is_words: segment.kind == Kind::Words,
        trust: match segment.role {
            Role::System | Role::Developer => Trust::Author,
            Role::User | Role::Assistant | Role::Other => Trust::User,
            Role::Tool => Trust::Untrusted,
        },
    }
}

/// The types of the placeholders in a text, in order.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split(BEFORE).skip(1).filter_map(|rest| {
        let label = rest.split(']').next().filter(|label| label.len() < rest.len())?;
        let is_label = !label.is_empty()
            && label.len() <= LABEL_MAX
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_label.then_some(label)
    })
}

/// Types of persons are written in capitals, names of credentials are not.
pub(super) fn kind_of(label: &str) -> &'static str {
    if label.bytes().any(|byte| byte.is_ascii_lowercase()) { "secrets" } else { "pii" }
}

impl Text {
    /// What today's detectors find in what was kept: injection, and what the detectors of the time let stand.
    /// `threshold` is the lowest score of injection that any rule asks for, where one does.
    pub(super) fn scan(&self, scanner: &Scanner, kinds: Kinds, threshold: Option<f32>) -> Vec<Finding> {
        let mut found = Vec::new();
        let private = Kinds { injection: false, ..kinds };
        if private != Kinds::NONE {
            scanner.scan_from(&self.text, self.trust, private, &mut found);
            // The words around a placeholder may look like a value together with it.
            found.retain(|finding| {
                self.text.get(finding.span.clone()).is_some_and(|value| !value.contains(BEFORE))
            });
        }
        if kinds.injection && self.is_words {
            let usual = scanner.injection_threshold(self.trust);
            let threshold = threshold.map_or(usual, |threshold| threshold.min(usual));
            scanner.scan_injection_at(&self.text, self.trust, threshold, &mut found);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_read_as_they_are_written_and_nothing_else_is() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(placeholders(text).collect::<Vec<_>>(), expected, "{text}");
        };
        check("mail [REDACTED:EMAIL_ADDRESS] or [REDACTED:github_pat].", &["EMAIL_ADDRESS", "github_pat"]);
        check("[REDACTED:] [REDACTED:a b] [REDACTED:X", &[]);
        check("[REDACTED:[REDACTED:US_SSN]]", &["US_SSN"]);
        let made = Finding { kind: "pii", label: "US_SSN", span: 0..1, score: 1.0 };
        check(&gauntlet_guard::placeholder(&made), &["US_SSN"]);
        assert_eq!((kind_of("US_SSN"), kind_of("jwt")), ("pii", "secrets"));
    }
}
