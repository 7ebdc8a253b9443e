//! Texts of a request or an answer, scanned once: for what to do about the traffic, and for what the record may hold.

use bytes::Bytes;
use gauntlet_guard::{Decided, Extras, Found, Kinds, Rulebook, Scanner, Trust, Vault, Where, replacement};
use gauntlet_types::{Action, Direction, Finding, Name, Scope};
use gauntlet_wire::{Edit, Kind, Place, Role, Segment};

/// One text of a body, what was found in it, and what is to be done about that.
pub(crate) struct Looked {
    pub(crate) segment: Segment,
    pub(crate) findings: Vec<Finding>,
    /// For each finding; none where a person lets it pass. Empty until decided.
    actions: Vec<Option<Action>>,
}

/// Segments of one body with what was found in each.
#[derive(Default)]
pub(crate) struct Scanned {
    pub(crate) texts: Vec<Looked>,
}

/// The guards ran out of time.
pub(crate) struct OutOfTime {
    pub(crate) looked: usize,
    pub(crate) of: usize,
}

impl Scanned {
    /// Texts that nobody has looked at yet.
    pub(crate) fn of(segments: Vec<Segment>) -> Scanned {
        let looked = |segment| Looked { segment, findings: Vec::new(), actions: Vec::new() };
        Scanned { texts: segments.into_iter().map(looked).collect() }
    }

    /// Scans every text. Definitions are written by the application's author: personal data and secrets are looked for
    /// there too (the record holds them), orders to the model are what they are for.
    ///
    /// Errors: `is_late` said so between two texts.
    pub(crate) fn scan(
        scanner: &Scanner,
        segments: Vec<Segment>,
        body: &Bytes,
        injection: Option<&Rulebook>,
        extras: &Extras,
        is_late: impl Fn() -> bool,
    ) -> Result<Scanned, OutOfTime> {
        let of = segments.len();
        let mut texts = Vec::with_capacity(of);
        for segment in segments {
            if !texts.is_empty() && is_late() {
                return Err(OutOfTime { looked: texts.len(), of });
            }
            let mut findings = Vec::new();
            let kinds = Kinds { pii: true, secrets: true, injection: false };
            let text = segment.as_str(body);
            let trust = trust(segment.role);
            match injection.filter(|_| segment.kind == Kind::Words) {
                None => scanner.scan_with(text, trust, kinds, extras, &mut findings),
                Some(rules) => match rules.threshold(INJECTION) {
                    None => scanner.scan_with(text, trust, Kinds::ALL, extras, &mut findings),
                    Some(threshold) => {
                        scanner.scan_with(text, trust, kinds, extras, &mut findings);
                        scanner.scan_injection_at(text, trust, threshold, &mut findings);
                    }
                },
            }
            texts.push(Looked { segment, findings, actions: Vec::new() });
        }
        Ok(Scanned { texts })
    }

    /// Adds what models found, by the number of the text.
    pub(crate) fn add(&mut self, found: Vec<(usize, Finding)>) {
        for (i, finding) in found {
            if let Some(looked) = self.texts.get_mut(i) {
                looked.findings.push(finding);
                looked.findings.sort_by_key(|finding| finding.span.start);
            }
        }
    }

    /// Decides about what was found, and keeps for each finding what to do.
    pub(crate) fn decide(&mut self, body: &Bytes, direction: Direction, rules: &Rulebook) -> Decided {
        let found: Vec<Found<'_>> = self
            .texts
            .iter()
            .filter(|looked| !looked.findings.is_empty())
            .map(|looked| Found {
                place: place(&looked.segment),
                scope: looked.segment.scope(),
                text: looked.segment.as_str(body),
                findings: looked.findings.clone(),
            })
            .collect();
        let mut decided = gauntlet_guard::decide(direction, rules, &found);
        let actions = std::mem::take(&mut decided.actions);
        let with_findings = self.texts.iter_mut().filter(|looked| !looked.findings.is_empty());
        for (looked, actions) in with_findings.zip(actions) {
            looked.actions = actions;
        }
        decided
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.texts.iter().all(|looked| looked.findings.is_empty())
    }

    /// Nothing private was found.
    pub(crate) fn is_clean(&self) -> bool {
        self.texts.iter().all(|looked| !looked.findings.iter().any(is_private))
    }

    /// The edits that put placeholders for all that a record may not hold.
    pub(crate) fn for_record(&self, body: &Bytes) -> Vec<Edit> {
        self.edits(body, |finding, action, _| {
            let passes = action == Some(&None);
            (is_private(finding) && !passes).then(|| gauntlet_guard::placeholder(finding))
        })
    }

    /// The edits that do what was decided.
    pub(crate) fn for_traffic(
        &self,
        body: &Bytes,
        rules: &Rulebook,
        mut vault: Option<&mut Vault>,
    ) -> Vec<Edit> {
        self.edits(body, |finding, action, value| {
            let action = action.copied().flatten().filter(|action| action.replaces())?;
            Some(replacement(finding, value, action, rules, vault.as_deref_mut()))
        })
    }

    fn edits(
        &self,
        body: &Bytes,
        mut words: impl FnMut(&Finding, Option<&Option<Action>>, &str) -> Option<String>,
    ) -> Vec<Edit> {
        let mut edits = Vec::new();
        for looked in &self.texts {
            let text = looked.segment.as_str(body);
            let picked: Vec<_> = looked
                .findings
                .iter()
                .enumerate()
                .filter_map(|(i, finding)| {
                    let value = text.get(finding.span.clone())?;
                    Some((finding.span.clone(), words(finding, looked.actions.get(i), value)?))
                })
                .collect();
            if picked.is_empty() {
                continue;
            }
            let replacements: Vec<_> =
                picked.iter().map(|(span, words)| (span.clone(), words.as_str())).collect();
            edits.extend(looked.segment.edits(body, &replacements));
        }
        edits
    }

    /// All words of the conversation.
    pub(crate) fn words(&self, body: &Bytes) -> Vec<String> {
        let words = self.texts.iter().filter(|looked| looked.segment.kind == Kind::Words);
        words.map(|looked| looked.segment.as_str(body).to_owned()).collect()
    }

    /// What of a scope was said since the last answer (or in it), less what is private.
    pub(crate) fn latest(&self, body: &Bytes, of: Scope) -> String {
        let is_answer =
            |looked: &Looked| looked.segment.scope() == Scope::Assistant && of != Scope::Assistant;
        let answered = self.texts.iter().rposition(is_answer);
        let fresh = &self.texts[answered.map_or(0, |at| at + 1)..];
        let words =
            fresh.iter().filter(|looked| looked.segment.scope() == of && looked.segment.kind == Kind::Words);
        let redacted =
            words.map(|looked| gauntlet_guard::redact(looked.segment.as_str(body), &looked.findings));
        redacted.collect::<Vec<_>>().join("\n")
    }

    /// How many texts of each scope there are: `system 1, user 3`.
    pub(crate) fn scopes(&self) -> Option<Name> {
        let mut shown = String::new();
        for of in Scope::ALL {
            let count = self.texts.iter().filter(|looked| looked.segment.scope() == of).count();
            if count > 0 {
                shown.push_str(if shown.is_empty() { "" } else { ", " });
                shown.push_str(&format!("{} {count}", of.as_str()));
            }
        }
        (!shown.is_empty()).then(|| shown.into())
    }
}

pub(crate) const INJECTION: &str = "injection";

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
        Place::Path { list: "tools", .. } | Place::Tool { .. } | Place::Function { .. } => {
            Where::Other("tools")
        }
        Place::Path { list: "system", .. } => Where::Other("system"),
        Place::Field(field) => Where::Other(field),
        Place::Path { item, .. } => Where::Message(item as usize),
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

/// What must not be kept: personal data and secrets. Links, rude words and attempts at injection are no secrets.
pub(crate) fn is_private(finding: &Finding) -> bool {
    matches!(finding.kind, "pii" | "secrets" | "names")
}
