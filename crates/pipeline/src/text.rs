//! Texts of a request or an answer, scanned once: for what to do about the traffic, and for what the record may hold.

use bytes::Bytes;
use gauntlet_guard::Where;
use gauntlet_guard::{Kinds, Scanner, Trust};
use gauntlet_types::{Action, Finding};
use gauntlet_wire::{Edit, Kind, Place, Role, Segment};

/// Segments of one body with what was found in each.
#[derive(Default)]
pub(crate) struct Scanned {
    pub(crate) texts: Vec<(Segment, Vec<Finding>)>,
}

impl Scanned {
    /// Scans every text. Definitions are written by the application's author: personal data and secrets are looked for
    /// there too (the record holds them), orders to the model are what they are for.
    pub(crate) fn scan(
        scanner: &Scanner,
        segments: Vec<Segment>,
        body: &Bytes,
        with_injection: bool,
    ) -> Scanned {
        let texts = segments.into_iter().map(|segment| {
            let injection = with_injection && segment.kind == Kind::Words;
            let mut found = Vec::new();
            let kinds = Kinds { pii: true, secrets: true, injection };
            scanner.scan_from(segment.as_str(body), trust(segment.role), kinds, &mut found);
            (segment, found)
        });
        Scanned { texts: texts.collect() }
    }

    /// What was found, as the deciding wants it.
    pub(crate) fn found<'a>(&'a self, body: &'a Bytes) -> Vec<(Where, &'a str, Vec<Finding>)> {
        let found = self.texts.iter().filter(|(_, found)| !found.is_empty());
        found.map(|(segment, found)| (place(segment), segment.as_str(body), found.clone())).collect()
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.texts.iter().all(|(_, found)| found.iter().all(|finding| !is_private(finding)))
    }

    /// The edits that put placeholders for what `wants` picks.
    pub(crate) fn redactions(&self, body: &Bytes, wants: impl Fn(&Finding) -> bool) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (segment, found) in &self.texts {
            let picked: Vec<_> =
                found.iter().filter(|finding| is_private(finding) && wants(finding)).collect();
            if picked.is_empty() {
                continue;
            }
            let words: Vec<String> =
                picked.iter().map(|finding| gauntlet_guard::placeholder(finding)).collect();
            let replacements: Vec<_> = picked
                .iter()
                .zip(&words)
                .map(|(finding, words)| (finding.span.clone(), words.as_str()))
                .collect();
            edits.extend(segment.edits(body, &replacements));
        }
        edits
    }
}

/// Orders are what the author's messages are for; what a tool brings has no business giving any.
fn trust(role: Role) -> Trust {
    match role {
        Role::System | Role::Developer => Trust::Author,
        Role::User | Role::Assistant | Role::Other => Trust::User,
        Role::Tool => Trust::Untrusted,
    }
}

fn place(segment: &Segment) -> Where {
    match segment.place {
        Place::Content { message } => Where::Message(message as usize),
        Place::Part { message, part } | Place::PartOther { message, part } => {
            Where::Part(message as usize, part as usize)
        }
        Place::MessageRefusal { message } | Place::MessageReasoning { message } => {
            Where::Message(message as usize)
        }
        Place::Arguments { message, .. } | Place::FunctionCall { message } => {
            Where::ToolArguments(message as usize)
        }
        Place::Tool { .. } | Place::Function { .. } => Where::Other("tools"),
        Place::ResponseFormat => Where::Other("response_format"),
        Place::Prediction => Where::Other("prediction"),
        Place::Elsewhere => Where::Other("another field"),
        Place::Input { .. } => Where::Other("input"),
        Place::AnswerContent { choice }
        | Place::AnswerRefusal { choice }
        | Place::AnswerReasoning { choice }
        | Place::AnswerArguments { choice, .. } => Where::Output(choice as usize),
    }
}

/// What must not be kept: personal data and secrets. An attempt at injection is no secret.
pub(crate) fn is_private(finding: &Finding) -> bool {
    finding.kind != "injection"
}

/// What a route wants done about a finding.
pub(crate) fn action_for(finding: &Finding, pii: Action, secrets: Action) -> Action {
    match finding.kind {
        "pii" => pii,
        "secrets" => secrets,
        _ => Action::Flag,
    }
}
