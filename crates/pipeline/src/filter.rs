//! What happens to one text of a stream on its way to the caller: what is found is replaced, tokens become values again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use gauntlet_guard::{Kinds, LeakWatch, Restorer, Rulebook, StreamRedactor, Vault, replacement};
use gauntlet_types::{Action, Direction, Scope};
use gauntlet_wire::answer::Channel;

use crate::{
    call::Call,
    checks::{self, LEAK},
};

pub(crate) struct Filter {
    redactor: Option<StreamRedactor>,
    /// Holds back what begins to repeat the prompt.
    leak: Option<LeakWatch>,
    stop: Arc<AtomicBool>,
    restorer: Restorer,
    as_written: fn(&str) -> String,
}

impl Filter {
    /// For one channel of one choice; `stop` is set once something is found that must not go on.
    pub(crate) fn new(call: &Call, channel: Channel, stop: &Arc<AtomicBool>) -> Filter {
        let is_arguments = matches!(channel, Channel::Arguments(_) | Channel::FunctionCall);
        let scope = if is_arguments { Scope::ToolArguments } else { Scope::Assistant };
        let extras = call.extras(Direction::Output);
        let leak = (rules_of(call).most(LEAK) >= Action::Review && !is_arguments)
            .then(|| {
                let prompts = checks::system_texts(call);
                LeakWatch::new(&prompts.iter().map(String::as_str).collect::<Vec<_>>())
            })
            .flatten();
        let redactor = kinds(rules_of(call)).map(|kinds| {
            let rules = rules_of(call).clone();
            let stop = Arc::clone(stop);
            let scanner = Arc::clone(&call.shared().scanner);
            StreamRedactor::with(scanner, kinds, extras).replacing(Box::new(move |finding, value| {
                let action = rules.rule(finding, value, scope).action;
                if action.stops() {
                    stop.store(true, Ordering::Relaxed);
                    return Some(String::new());
                }
                action.replaces().then(|| replacement(finding, value, action, &rules, None))
            }))
        });
        let as_written = if is_arguments { in_json } else { as_is };
        Filter { redactor, leak, stop: Arc::clone(stop), restorer: Restorer::new(), as_written }
    }

    pub(crate) fn push(&mut self, text: &str, vault: &Vault) -> String {
        let shown = match &mut self.redactor {
            Some(redactor) => redactor.push(text),
            None => text.to_owned(),
        };
        let shown = self.watch(shown, false);
        self.restorer.push(&shown, vault, self.as_written)
    }

    pub(crate) fn finish(&mut self, vault: &Vault) -> String {
        let rest = self.redactor.as_mut().map(StreamRedactor::finish).unwrap_or_default();
        let rest = self.watch(rest, true);
        let mut shown = self.restorer.push(&rest, vault, self.as_written);
        shown.push_str(&self.restorer.finish());
        shown
    }

    fn watch(&mut self, text: String, is_last: bool) -> String {
        let Some(leak) = &mut self.leak else { return text };
        let mut shown = leak.push(&text);
        if is_last {
            shown.push_str(&leak.finish());
        }
        if leak.leak().is_some() {
            self.stop.store(true, Ordering::Relaxed);
            return String::new();
        }
        shown
    }
}

fn rules_of(call: &Call) -> &Rulebook {
    &call.rules[Direction::Output as usize]
}

/// Whether a stream has to go through filters at all.
pub(crate) fn is_needed(call: &Call) -> bool {
    let rules = rules_of(call);
    kinds(rules).is_some() || rules.most(LEAK) >= Action::Review || !call.vault.is_empty()
}

/// What a stream must be held back for: the kinds that are changed or stopped. None when it may pass untouched.
fn kinds(rules: &Rulebook) -> Option<Kinds> {
    let acts = |kind: &str| rules.most(kind) >= Action::Tokenize;
    let kinds = Kinds { pii: acts("pii"), secrets: acts("secrets"), injection: false };
    let has_extras = ["links", "exfiltration", "canary", "toxicity"].into_iter().any(acts);
    (kinds.pii || kinds.secrets || has_extras).then_some(kinds)
}

/// How a value is written where a token stood: in words as it is, in the JSON of arguments with its escapes.
pub(crate) fn as_written(scope: Scope) -> fn(&str) -> String {
    if scope == Scope::ToolArguments { in_json } else { as_is }
}

fn as_is(value: &str) -> String {
    value.to_owned()
}

fn in_json(value: &str) -> String {
    String::from_utf8_lossy(&gauntlet_wire::json::escape(value)).into_owned()
}
