use super::*;

#[test]
fn a_trend_of_scores_that_are_all_the_same_is_told() {
    let check = |means: &[f64], verdict: Verdict| {
        let sides = week(means, &made_alike);
        let report = sides.decide();
        assert_eq!(
            of(&report, CheckKind::Trend).verdict,
            verdict,
            "{}",
            of(&report, CheckKind::Trend).reason
        );
    };
    check(&[1.0, 1.0, 1.0], Verdict::Pass);
    check(&[0.0, 0.0, 1.0], Verdict::Pass);
    // 50 cases that were all right and are all wrong are no chance; of runs that jump about, no line is sure.
    check(&[1.0, 0.0], Verdict::Fail);
    check(&[1.0, 1.0, 0.0], Verdict::Inconclusive);
}

#[test]
fn a_trend_that_cannot_be_told_says_why_and_blocks_nothing() {
    let check = |change: &dyn Fn(&mut Sides), said: Option<&str>| {
        let mut sides = week(&[1.0, 1.0, 1.0], &made_alike);
        change(&mut sides);
        let report = sides.decide();
        assert_eq!(report.verdict, Verdict::Pass, "{}", report.summary);
        let found: Vec<&String> = report.notes.iter().filter(|note| note.starts_with("trend: ")).collect();
        assert_eq!(found.len(), usize::from(said.is_some()), "{found:?}");
        assert!(found.iter().all(|note| note.contains(said.unwrap_or_default())), "{found:?}");
    };
    check(&|_| (), None);
    check(&|sides| sides.suite.gate.trend = None, None);
    check(&|sides| sides.history.clear(), Some("no other run of the last 7 days has passed"));
    check(
        &|sides| sides.history.iter_mut().for_each(|run| run.dataset_hash = "d0".into()),
        Some("(2) are all over other cases"),
    );
    check(&|sides| sides.history[0].dataset_hash = "d0".into(), Some("1 of the 2 runs"));
    check(&|sides| sides.history[0].is_fast = true, Some("1 of the 2 runs"));
    check(
        &|sides| sides.history.iter_mut().for_each(|run| run.metrics[0].implementation = "old".into()),
        Some("not told of exact, which the runs before scored by another formula"),
    );
}

/// Runs a day apart, the last of them the one that is decided about.
fn week(means: &[f64], made: &dyn Fn(f64) -> MetricSummary) -> Sides {
    let last = *means.last().unwrap();
    let mut sides = Sides::alone(&[1.0; 50], 0.5);
    sides.suite.gate.trend = Some(TrendSpec { drop: 0.05, days: 7 });
    sides.run.metrics = vec![made(last)];
    let before = means.len() - 1;
    let run = |at: usize| EvalRun {
        started: Timestamp(sides.run.started.0 - (before - at) as i64 * made::DAY_US),
        metrics: vec![made(means[at])],
        ..made::run(&format!("r{at}"), &sides.now)
    };
    sides.history = (0..before).map(run).collect();
    sides
}

fn made_alike(mean: f64) -> MetricSummary {
    MetricSummary { ci_low: None, ci_high: None, ..made::summary("exact", mean, 0.0, 50) }
}

#[test]
fn a_fall_over_the_week_is_seen_though_each_step_was_small() {
    let day = made::DAY_US;
    let check = |means: &[f64], verdict: Option<Verdict>| {
        let mut sides = Sides::alone(&[0.9; 50], 0.5);
        sides.suite.gate.trend = Some(TrendSpec { drop: 0.05, days: 7 });
        sides.run.metrics = vec![made::summary("exact", 0.9, 0.02, 50)];
        sides.history = means
            .iter()
            .enumerate()
            .map(|(at, mean)| EvalRun {
                started: Timestamp(sides.run.started.0 - (means.len() - at) as i64 * day),
                metrics: vec![made::summary("exact", *mean, 0.02, 50)],
                ..made::run(&format!("r{at}"), &sides.now)
            })
            .collect();
        let report = sides.decide();
        let found = report.checks.iter().find(|check| check.kind == CheckKind::Trend);
        assert_eq!(found.map(|check| check.verdict), verdict, "{found:?}");
    };
    check(&[], None);
    check(&[0.91, 0.90, 0.90], Some(Verdict::Pass));
    check(&[0.97, 0.96, 0.94, 0.93, 0.92, 0.91], Some(Verdict::Fail));
    // What was long ago is not asked.
    check(&[0.99, 0.98, 0.97, 0.96, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], Some(Verdict::Pass));
}
