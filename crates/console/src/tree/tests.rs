use proptest::prelude::*;

use super::*;

/// Number, parent, start and duration in milliseconds.
type Line = (u64, Option<u64>, i64, u64);

fn span((id, parent, start_ms, took_ms): Line) -> SpanRow {
    let record = serde_json::json!({
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": SpanId(id), "parent_span_id": parent.map(SpanId),
        "name": format!("s{id}"), "kind": "chain", "started": start_ms * 1000, "took_us": took_ms * 1000,
        "is_error": false, "service": "shop", "caller": {"tenant": "acme"}, "usage": gauntlet_types::Usage::default(),
    });
    SpanRow {
        seq: id as i64,
        record: serde_json::from_value(record).expect("a record"),
        input_preview: String::new(),
        output_preview: String::new(),
    }
}

fn spans(lines: &[Line]) -> Vec<SpanRow> {
    lines.iter().copied().map(span).collect()
}

/// `name@start+took` of each step, indented by its depth, with what is said of it.
fn shown(tree: &Tree<'_>) -> Vec<String> {
    let line = |step: &Step<'_>| {
        let notes: Vec<_> = step.notes.words().collect();
        let indent = "  ".repeat(step.depth as usize);
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
        format!("{indent}{}@{}+{}{notes}", step.what.name(), step.start_us / 1000, step.took_us / 1000)
    };
    tree.steps.iter().map(line).collect()
}

fn check(lines: &[Line], expected: &[&str]) {
    let rows = spans(lines);
    assert_eq!(shown(&Tree::of(&rows, &[])), expected);
}

#[test]
fn children_stand_below_their_parent_by_start() {
    check(
        &[(3, Some(1), 50, 10), (2, Some(1), 20, 20), (1, None, 10, 100), (4, Some(2), 25, 5)],
        &["s1@0+100", "  s2@10+20", "    s4@15+5", "  s3@40+10"],
    );
    check(&[], &[]);
}

#[test]
fn a_step_whose_parent_did_not_come_is_a_root_and_says_so() {
    check(
        &[(1, None, 0, 100), (2, Some(9), 10, 20), (3, Some(2), 12, 2)],
        &["s1@0+100", "s2@10+20 (parent not received)", "  s3@12+2"],
    );
    let rows = spans(&[(2, Some(9), 0, 20), (1, None, 10, 5)]);
    let tree = Tree::of(&rows, &[]);
    assert_eq!(
        tree.root().map(|step| step.what.name()).as_deref(),
        Some("s1"),
        "a real root names the trace"
    );
}

#[test]
fn cycles_are_cut_at_their_earliest_step() {
    check(&[(1, Some(1), 0, 10)], &["s1@0+10 (is its own ancestor)"]);
    check(
        &[(1, Some(3), 5, 10), (2, Some(1), 6, 4), (3, Some(2), 7, 2), (4, Some(3), 7, 1)],
        &["s1@0+10 (is its own ancestor)", "  s2@1+4", "    s3@2+2", "      s4@2+1"],
    );
}

#[test]
fn clocks_that_disagree_are_told_and_believed() {
    check(
        &[(1, None, 100, 50), (2, Some(1), 90, 20), (3, Some(1), 140, 30)],
        &["s1@10+50", "  s2@0+20 (starts before its parent)", "  s3@50+30 (ends after its parent)"],
    );
    // A millisecond is what clocks round to.
    check(&[(1, None, 100, 50), (2, Some(1), 100, 51)], &["s1@0+50", "  s2@0+51"]);
    let mut rows = spans(&[(1, None, 0, 0), (2, Some(1), 0, 0)]);
    rows[0].record.started = Timestamp(i64::MIN);
    rows[1].record.started = Timestamp(i64::MAX);
    rows[1].record.took_us = u64::MAX;
    let tree = Tree::of(&rows, &[]);
    assert_eq!((tree.took_us, tree.steps[1].start_us), (u64::MAX, u64::MAX));
}

#[test]
fn of_ids_used_twice_the_first_to_come_is_the_parent() {
    let mut rows = spans(&[(1, None, 0, 10), (1, None, 20, 10), (2, Some(1), 1, 1)]);
    rows[0].seq = 7;
    rows[1].seq = 3;
    let tree = Tree::of(&rows, &[]);
    assert_eq!(shown(&tree), ["s1@0+10", "s1@20+10", "  s2@1+1 (starts before its parent)"]);
}

#[test]
fn a_long_trace_shows_its_beginning_and_its_trouble() {
    let mut rows: Vec<SpanRow> =
        (0..100_000).map(|id| span((id + 1, (id > 0).then_some(1 + id / 10), id as i64, 1))).collect();
    rows[90_000].record.is_error = true;
    rows[80_000].record.kind = SpanKind::Llm;
    let tree = Tree::of(&rows, &[]);
    assert_eq!((tree.steps.len(), tree.steps[0].below), (100_000, 99_999));
    let selected = tree.position(SpanId(77_777));
    let overview = tree.overview(100, selected);
    let is_shown = |id: u64| {
        let place = tree.position(SpanId(id)).expect("in the tree");
        overview.contains(&Shown::Step(place))
    };
    assert!(is_shown(1) && is_shown(90_001) && is_shown(80_001) && is_shown(77_777));
    covers(&tree, &overview);
    assert_eq!(overview.iter().filter(|shown| matches!(shown, Shown::Step(_))).count(), 100);
    let window = tree.window(500, 100);
    assert_eq!((window[0], window[1]), (Shown::Gap { from: 0, count: 500 }, Shown::Step(500)));
    covers(&tree, &window);
    covers(&tree, &tree.window(usize::MAX, 100));
}

/// Every step is shown or counted, once.
fn covers(tree: &Tree<'_>, shown: &[Shown]) {
    let mut next = 0;
    for one in shown {
        let (from, count) = match *one {
            Shown::Step(at) => (at, 1),
            Shown::Gap { from, count } => (from, count),
        };
        assert_eq!(from, next);
        next = from + count;
    }
    assert_eq!(next, tree.steps.len());
}

#[test]
fn a_chain_as_deep_as_it_is_long_needs_no_stack() {
    let rows: Vec<SpanRow> =
        (0..50_000).map(|id| span((id + 1, (id > 0).then_some(id), id as i64, 1))).collect();
    let tree = Tree::of(&rows, &[]);
    assert_eq!(tree.steps.last().map(|step| (step.depth, step.below)), Some((49_999, 0)));
}

proptest! {
    #[test]
    fn any_parents_make_a_tree_of_every_step_once(
        lines in prop::collection::vec((0u64..40, prop::option::of(0u64..50), -50i64..50, 0u64..90), 0..60),
        max in 0usize..70,
    ) {
        let mut rows = spans(&lines);
        for (at, row) in rows.iter_mut().enumerate() {
            row.seq = at as i64;
        }
        let tree = Tree::of(&rows, &[]);
        let mut seqs: Vec<i64> = tree.steps.iter().filter_map(|step| match step.what {
            What::Span(row) => Some(row.seq),
            _ => None,
        }).collect();
        seqs.sort_unstable();
        prop_assert_eq!(seqs, (0..rows.len() as i64).collect::<Vec<_>>());
        let mut depth = 0;
        for step in &tree.steps {
            prop_assert!(step.depth <= depth, "a step is one deeper than the one before it at most");
            depth = step.depth + 1;
            prop_assert!(step.start_us <= tree.took_us);
        }
        let roots: u32 = tree.steps.iter().filter(|step| step.depth == 0).map(|step| step.below + 1).sum();
        prop_assert_eq!(roots as usize, rows.len());
        covers(&tree, &tree.overview(max, None));
        covers(&tree, &tree.window(max, 7));
    }
}
