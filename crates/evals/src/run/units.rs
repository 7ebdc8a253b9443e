//! Which cases go first.

use crate::Case;

/// A case by its position among the chosen, and which of its answers.
pub(super) type Unit = (usize, u32);

/// Cases that are asked before the estimate. Three show whether the costs differ much.
pub(super) const PROBE: usize = 3;
/// Fewer are done before anybody has read an estimate of them.
const PROBED_FROM: usize = 12;

/// Positions in `units` to do first: of a short, a middling and a long case, since cost goes with length.
pub(super) fn probe(units: &[Unit], cases: &[&Case]) -> Vec<usize> {
    if units.len() < PROBED_FROM {
        return (0..units.len()).collect();
    }
    // First answers only: a second one of a case tells nothing of the others.
    let first = units[0].1;
    let firsts = units.iter().enumerate().filter(|(_, (_, repeat))| *repeat == first);
    let mut by_length: Vec<(usize, usize)> =
        firsts.map(|(at, (case, _))| (length(cases[*case]), at)).collect();
    by_length.sort_unstable();
    let mut probe: Vec<usize> =
        (0..PROBE).map(|part| by_length[by_length.len() * (2 * part + 1) / (2 * PROBE)].1).collect();
    // Of few first answers one may be short, middling and long at once.
    probe.dedup();
    probe
}

/// Letters of what is asked, near enough.
pub(super) fn length(case: &Case) -> usize {
    let size = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.len(),
        other => other.to_string().len(),
    };
    case.messages.iter().map(|message| size(&message["content"])).sum::<usize>()
        + case.vars.values().map(size).sum::<usize>()
}

/// The units at these positions, and the others in their order.
pub(super) fn parted(units: &[Unit], probe: &[usize]) -> (Vec<Unit>, Vec<Unit>) {
    let first = probe.iter().map(|at| units[*at]).collect();
    let rest = units.iter().enumerate().filter(|(at, _)| !probe.contains(at)).map(|(_, unit)| *unit);
    (first, if probe.len() == units.len() { Vec::new() } else { rest.collect() })
}
