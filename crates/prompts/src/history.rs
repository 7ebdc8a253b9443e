//! Where a label was before, and so where a rollback leads.

use gauntlet_ports::{LabelMove, MoveKind};
use gauntlet_types::Name;

/// The version that a rollback goes to; none where there is nothing before.
///
/// `moves` are those of one label, newest first, `now` is where it points. The moves are read as a stack: a promotion
/// puts a version on top, a rollback takes the version that it leaves away wherever it stands. So a second rollback goes further
/// back and never forth again, and a version that was rolled back is passed over until it is promoted anew.
pub fn before(moves: &[LabelMove], now: &str) -> Option<Name> {
    let mut stack: Vec<&Name> = Vec::new();
    for step in moves.iter().rev() {
        // A label may have been in force before its first move: a file proposed it.
        if let Some(from) = step.from.as_ref().filter(|from| stack.last() != Some(from)) {
            stack.push(from);
        }
        match step.kind {
            MoveKind::Promote | MoveKind::Force => {}
            MoveKind::Rollback => {
                stack.retain(|version| step.from.as_ref() != Some(version));
                while stack.last().is_some_and(|top| **top != step.to) {
                    stack.pop();
                }
            }
        }
        if stack.last() != Some(&&step.to) {
            stack.push(&step.to);
        }
    }
    while stack.last().is_some_and(|top| ***top == *now) {
        stack.pop();
    }
    stack.pop().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_types::Timestamp;

    /// `+1.1` promotes, `-1.0` rolls back; in the order of time.
    fn moves(steps: &[&str]) -> Vec<LabelMove> {
        let mut from: Option<Name> = None;
        let mut moves = Vec::new();
        for step in steps {
            let (kind, to) = match step.split_at(1) {
                ("+", to) => (MoveKind::Promote, to),
                (_, to) => (MoveKind::Rollback, to),
            };
            let to: Name = to.into();
            moves.push(LabelMove {
                seq: moves.len() as i64,
                name: "p".into(),
                label: "production".into(),
                from: from.replace(to.clone()),
                to,
                kind,
                by: "ann".into(),
                why: None,
                at: Timestamp(0),
            });
        }
        moves.reverse();
        moves
    }

    #[test]
    fn a_second_rollback_goes_further_back_and_not_forth() {
        let check = |steps: &[&str], wanted: Option<&str>| {
            let moves = moves(steps);
            let now = moves.first().map_or("1.0", |step| step.to.as_str());
            assert_eq!(before(&moves, now).as_deref(), wanted, "{steps:?}");
        };
        check(&[], None);
        check(&["+1.0"], None);
        check(&["+1.0", "+1.1"], Some("1.0"));
        check(&["+1.0", "+1.1", "+1.2"], Some("1.1"));
        check(&["+1.0", "+1.1", "+1.2", "-1.1"], Some("1.0"));
        check(&["+1.0", "+1.1", "+1.2", "-1.1", "-1.0"], None);
        check(&["+1.0", "+1.1", "+1.2", "-1.1", "+1.3"], Some("1.1"));
        check(&["+1.0", "+1.1", "-1.0", "+1.1"], Some("1.0"));
        check(&["+1.0", "+1.1", "+1.0"], Some("1.1"));
        check(&["+1.0", "+1.1", "+1.0", "+1.1", "-1.0"], None);
        check(&["+0.9", "+1.0", "+1.1", "+1.0", "+1.1", "-1.0"], Some("0.9"));
        check(&["+1.0", "+1.1", "-1.0", "+1.1", "+1.2"], Some("1.1"));
    }

    #[test]
    fn what_a_file_proposed_can_be_gone_back_to() {
        let mut moves = moves(&["+1.1"]);
        moves[0].from = Some("1.0".into());
        assert_eq!(before(&moves, "1.1").as_deref(), Some("1.0"));
    }
}
