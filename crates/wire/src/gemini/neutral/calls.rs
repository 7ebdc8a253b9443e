//! Ids of calls: Gemini's may have none, and its results name the function alone.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::Value;

use super::list;
use crate::gemini::names::camel;

/// Gives calls without an id one that is theirs alone, and finds the call that a result is of.
#[derive(Default)]
pub(super) struct Calls {
    /// Ids that callers gave: ours keep clear of them.
    given: HashSet<String>,
    made: usize,
    /// Calls without a result yet, by the name of the function, in order.
    open: HashMap<String, VecDeque<String>>,
}

impl Calls {
    /// Notes all ids of a conversation. Made-up ones are counted from its beginning, so that they are the same when it
    /// comes again with more at its end.
    pub(super) fn of(contents: &[Value]) -> Calls {
        let mut calls = Calls::default();
        for content in contents {
            for part in list(content.get("parts").cloned()) {
                let Value::Object(part) = part else { continue };
                let given = part
                    .iter()
                    .filter(|(key, _)| matches!(&*camel(key), "functionCall" | "functionResponse"));
                calls.given.extend(given.filter_map(|(_, call)| Some(call.get("id")?.as_str()?.to_owned())));
            }
        }
        calls
    }

    fn make(&mut self) -> String {
        loop {
            let id = format!("call_{}", self.made);
            self.made += 1;
            if !self.given.contains(&id) {
                return id;
            }
        }
    }

    pub(super) fn call(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| self.make());
        self.open.entry(name.to_owned()).or_default().push_back(id.clone());
        id
    }

    /// The call that a result is of: the one of its id, or else the first open one of its name.
    pub(super) fn result(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty());
        let open = self.open.get_mut(name);
        match (id, open) {
            (Some(id), Some(open)) => {
                open.retain(|known| *known != id);
                id
            }
            (Some(id), None) => id,
            (None, Some(open)) => match open.pop_front() {
                Some(id) => id,
                None => self.make(),
            },
            (None, None) => self.make(),
        }
    }
}
