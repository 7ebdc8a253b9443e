//! Whether a judge has shown that it may gate.

use gauntlet_ports::Verdict;
use gauntlet_types::Name;

use super::{
    GateInput,
    report::{Check, CheckKind},
};
use crate::{
    MetricSpec, Suite,
    calibrate::{AGREEMENT_MIN, RATINGS_MIN},
    judge, metrics, retrieval,
};

/// What is known of the judge of a metric.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Standing {
    /// Of the suite, or of a part of a `weighted` one.
    pub metric: Name,
    /// The model that judges.
    pub judge: Option<Name>,
    /// Human ratings that it was compared with.
    pub ratings: usize,
    /// Lower bound of kappa, or of rho where that fits the scores better; none where it could not be computed.
    pub low: Option<f64>,
    /// The judge was compared again and scored otherwise than before.
    pub has_drifted: bool,
}

/// Whether a model scores it: a formula needs nobody's trust.
pub fn is_judged(spec: &MetricSpec) -> bool {
    judge::KINDS.contains(&spec.kind.as_str()) && !retrieval::KINDS.contains(&spec.kind.as_str())
}

/// The metrics that a model scores among one and its parts.
pub(super) fn judged(spec: &MetricSpec, suite: &Suite) -> Vec<MetricSpec> {
    let mut all = metrics::with_parts(spec, suite);
    all.retain(is_judged);
    all
}

/// Why the judge of a metric may not gate; none where it may, or where no model judges. Of several judges each must be allowed to.
fn objection(metric: &Name, input: &GateInput<'_>) -> Option<String> {
    let spec = input.suite.metrics.iter().find(|spec| spec.name == *metric)?;
    judged(spec, input.suite).iter().find_map(|spec| objection_to(&spec.name, input))
}

fn objection_to(metric: &Name, input: &GateInput<'_>) -> Option<String> {
    let minimum = input.suite.judge.as_ref().and_then(|judge| judge.min_agreement).unwrap_or(AGREEMENT_MIN);
    let cure =
        format!("`gauntlet eval calibrate {} --metric {metric}` compares it with people", input.suite.name);
    let standing = input.standings.iter().find(|standing| standing.metric == *metric);
    match standing {
        None => Some(format!("its judge was never compared with people; {cure}")),
        Some(found) if found.ratings < RATINGS_MIN => Some(format!(
            "its judge was compared with {} ratings by people, and {RATINGS_MIN} are needed; {cure}",
            found.ratings
        )),
        Some(found) if found.has_drifted => {
            Some(format!("its judge has drifted since people were compared with it; {cure} again"))
        }
        Some(found) => match found.low {
            Some(low) if low >= minimum => None,
            low => Some(format!(
                "its judge's agreement with people is not proven: the lower bound is {}, and {minimum:.2} is needed",
                low.map_or("unknown".to_owned(), |low| format!("{low:.2}"))
            )),
        },
    }
}

/// Leaves what a judge without standing says undecided, in both directions: it may be wrong either way.
pub(crate) fn hold_back(checks: &mut [Check], input: &GateInput<'_>) {
    for check in checks {
        let is_of_score = matches!(check.kind, CheckKind::Floor | CheckKind::Regression | CheckKind::Trend);
        let Some(objection) =
            check.metric.as_ref().filter(|_| is_of_score).and_then(|metric| objection(metric, input))
        else {
            continue;
        };
        let would = match check.verdict {
            Verdict::Pass => "would pass",
            Verdict::Fail => "would fail",
            Verdict::Inconclusive => "would be undecided as well",
        };
        check.reason = format!("{objection}; it {would}: {}", check.reason);
        check.verdict = Verdict::Inconclusive;
        // More cases do not make a judge trustworthy.
        check.more_cases = None;
        check.more_repeats = None;
    }
}
