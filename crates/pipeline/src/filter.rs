//! What happens to one text of a stream on its way to the caller: what is found is replaced, tokens become values again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use gauntlet_guard::{Kinds, Restorer, Rulebook, StreamRedactor, Vault, replacement};
use gauntlet_types::{Action, Direction, Scope};
use gauntlet_wire::openai::answer::Channel;

use crate::call::Call;

pub(crate) struct Filter {
    redactor: Option<StreamRedactor>,
    restorer: Restorer,
    as_written: fn(&str) -> String,
}

impl Filter {
    /// For one channel of one choice; `stop` is set once something is found that must not go on.
    pub(crate) fn new(call: &Call, channel: Channel, stop: &Arc<AtomicBool>) -> Filter {
        let is_arguments = matches!(channel, Channel::Arguments(_) | Channel::FunctionCall);
        let scope = if is_arguments { Scope::ToolArguments } else { Scope::Assistant };
        let redactor = kinds(&call.rules[Direction::Output as usize]).map(|kinds| {
            let rules = call.rules[Direction::Output as usize].clone();
            let stop = Arc::clone(stop);
            let redactor = StreamRedactor::new(Arc::clone(&call.shared().scanner), kinds);
            redactor.with(Box::new(move |finding, value| {
                let action = rules.rule(finding, value, scope).action;
                if action.stops() {
                    stop.store(true, Ordering::Relaxed);
                    return Some(String::new());
                }
                action.replaces().then(|| replacement(finding, value, action, &rules, None))
            }))
        });
        Filter { redactor, restorer: Restorer::new(), as_written: if is_arguments { in_json } else { as_is } }
    }

    pub(crate) fn push(&mut self, text: &str, vault: &Vault) -> String {
        match &mut self.redactor {
            Some(redactor) => self.restorer.push(&redactor.push(text), vault, self.as_written),
            None => self.restorer.push(text, vault, self.as_written),
        }
    }

    pub(crate) fn finish(&mut self, vault: &Vault) -> String {
        let rest = self.redactor.as_mut().map(StreamRedactor::finish).unwrap_or_default();
        let mut shown = self.restorer.push(&rest, vault, self.as_written);
        shown.push_str(&self.restorer.finish());
        shown
    }
}

/// What a stream must be held back for: the kinds that are changed or stopped. None when it may pass untouched.
pub(crate) fn kinds(rules: &Rulebook) -> Option<Kinds> {
    let acts = |kind: &str| rules.most(kind) >= Action::Tokenize;
    let kinds = Kinds { pii: acts("pii"), secrets: acts("secrets"), injection: false };
    (kinds.pii || kinds.secrets).then_some(kinds)
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
