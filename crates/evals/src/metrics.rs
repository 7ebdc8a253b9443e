//! Makes the scorers that a suite names. Each family knows its own kinds and options.

use crate::{Mistake, Scorer, Suite, suite::MetricSpec};

/// None where the kind is not the family's. Errors: an option that it does not know or cannot take.
type Make = fn(&MetricSpec, &Suite) -> Result<Option<Box<dyn Scorer>>, Mistake>;

struct Family {
    kinds: &'static [&'static str],
    make: Make,
}

const FAMILIES: &[Family] = &[
    Family { kinds: crate::score::KINDS, make: crate::score::make },
    Family { kinds: crate::judge::KINDS, make: crate::judge::make },
    #[cfg(test)]
    Family { kinds: crate::run::tests::fakes::KINDS, make: crate::run::tests::fakes::make },
];

/// Every kind of metric that there is.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|family| family.kinds.iter().copied())
}

pub fn is_known(kind: &str) -> bool {
    kinds().any(|known| known == kind)
}

/// The scorers in the order of the suite. Errors: every metric that cannot be made.
pub fn make(suite: &Suite) -> Result<Vec<Box<dyn Scorer>>, Vec<Mistake>> {
    let (mut scorers, mut mistakes) = (Vec::new(), Vec::new());
    for spec in &suite.metrics {
        match one(spec, suite) {
            Ok(Some(scorer)) => scorers.push(scorer),
            Err(mistake) => mistakes.push(mistake),
            Ok(None) => mistakes.push(Mistake {
                file: suite.file.clone(),
                line: spec.line,
                column: 0,
                message: format!("unknown metric `{}`", spec.kind),
                cure: format!("there are {}", kinds().collect::<Vec<_>>().join(", ")),
                is_warning: false,
            }),
        }
    }
    if mistakes.is_empty() { Ok(scorers) } else { Err(mistakes) }
}

/// The scorer of one metric; none where nobody knows its kind.
pub fn one(spec: &MetricSpec, suite: &Suite) -> Result<Option<Box<dyn Scorer>>, Mistake> {
    FAMILIES.iter().find_map(|family| (family.make)(spec, suite).transpose()).transpose()
}

/// A metric and all that it is made of.
pub fn with_parts(spec: &MetricSpec, suite: &Suite) -> Vec<MetricSpec> {
    let parts = crate::score::parts(spec, suite);
    std::iter::once(spec.clone()).chain(parts).collect()
}

/// Cases that a message about one metric names.
const NAMED_MAX: usize = 5;

/// What cases lack for the metrics of their suite, told before anything is asked. Where no case can be scored by a metric it
/// is a mistake; where some cannot, they stay unscored by it, which is said.
pub fn lacking(suite: &Suite, scorers: &[Box<dyn Scorer>]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for scorer in scorers {
        let asked: Vec<&crate::Case> = suite.cases.iter().filter(|case| scorer.applies(case)).collect();
        let lacks: Vec<(&crate::Case, String)> =
            asked.iter().filter_map(|case| Some((*case, scorer.lacks(case)?))).collect();
        let is_warning = lacks.len() < asked.len();
        for (case, what) in lacks.iter().take(NAMED_MAX) {
            mistakes.push(Mistake {
                file: case.file.clone(),
                line: case.line,
                column: 0,
                message: format!("case `{}` cannot be scored by `{}`: {what}", case.id, scorer.metric()),
                cure: if is_warning {
                    "add it, or leave the case unscored by this metric".to_owned()
                } else {
                    format!("add it, or leave `{}` out of the suite: no case has it", scorer.metric())
                },
                is_warning,
            });
        }
        if lacks.len() > NAMED_MAX {
            let more = lacks.len() - NAMED_MAX;
            mistakes.push(Mistake {
                file: suite.file.clone(),
                line: 0,
                column: 0,
                message: format!("{more} more cases cannot be scored by `{}`", scorer.metric()),
                cure: "they lack the same or similar".to_owned(),
                is_warning,
            });
        }
    }
    mistakes
}
