//! What of runs and gates is asked for, as the API's list takes it behind its path.

use gauntlet_ports::{EvalCursor, GateFilter, RunFilter, RunState};
use gauntlet_types::Name;

use crate::reach::escape;

/// `runs?suite=support&limit=1`.
pub fn runs(filter: &RunFilter) -> String {
    let asked = query(&[
        ("suite", text(&filter.suite)),
        ("app_sha", text(&filter.app_sha)),
        ("prompt_name", text(&filter.prompt_name)),
        ("prompt_hash", text(&filter.prompt_hash)),
        ("state", filter.state.map(RunState::as_str).map(str::to_owned)),
        ("since", filter.since.map(|at| at.0.to_string())),
        ("before", filter.before.as_ref().map(EvalCursor::to_string)),
        ("limit", filter.limit.map(|limit| limit.to_string())),
    ]);
    format!("runs{asked}")
}

/// `gates?suite=support`.
pub fn gates(filter: &GateFilter) -> String {
    let asked = query(&[
        ("suite", text(&filter.suite)),
        ("run", text(&filter.run)),
        ("prompt_name", text(&filter.prompt_name)),
        ("prompt_hash", text(&filter.prompt_hash)),
        ("before", filter.before.as_ref().map(EvalCursor::to_string)),
        ("limit", filter.limit.map(|limit| limit.to_string())),
    ]);
    format!("gates{asked}")
}

fn text(name: &Option<Name>) -> Option<String> {
    name.as_deref().map(str::to_owned)
}

fn query(pairs: &[(&str, Option<String>)]) -> String {
    let set = pairs.iter().filter_map(|(name, value)| Some(format!("{name}={}", escape(value.as_deref()?))));
    let set: Vec<String> = set.collect();
    if set.is_empty() { String::new() } else { format!("?{}", set.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_is_not_said_and_what_is_cannot_end_its_place() {
        assert_eq!(runs(&RunFilter::default()), "runs");
        let of = RunFilter { suite: Some("a&b=c".into()), limit: Some(1), ..RunFilter::default() };
        assert_eq!(runs(&of), "runs?suite=a%26b%3Dc&limit=1");
        let of = GateFilter { run: Some("r 1".into()), ..GateFilter::default() };
        assert_eq!(gates(&of), "gates?run=r%201");
    }
}
