//! Whether a version may go under a label: a green gate for exactly its content, and somebody else's word where that is
//! asked for.
//!
//! Plain values in, what is missing out. Who looks the facts up, and moves the label, is elsewhere.

use std::fmt;

use gauntlet_types::Name;

/// Which gates must be green.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GateNeed {
    None,
    /// Every suite that has judged this content, and at least one has.
    Any,
    /// These suites.
    Suites(Vec<Name>),
}

/// When a second person must agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApprovalNeed {
    Never,
    /// Where the version, or the one that it replaces, says `risk: high`: lowering the risk is itself a risk.
    HighRisk,
    Always,
}

impl ApprovalNeed {
    pub const fn as_str(self) -> &'static str {
        match self {
            ApprovalNeed::Never => "never",
            ApprovalNeed::HighRisk => "high_risk",
            ApprovalNeed::Always => "always",
        }
    }
}

/// What a label asks for before it moves. A rollback asks for nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PromotionRule {
    pub gate: GateNeed,
    pub approval: ApprovalNeed,
}

/// What a gate said of the content: `pass`, `fail` or `inconclusive`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GateFact {
    pub suite: Name,
    pub is_pass: bool,
    pub verdict: &'static str,
    /// Why no label may rest on it, whatever it says: it judged a part of the cases, or another model.
    pub unfit: Option<&'static str>,
}

/// What is known of the version that shall go under the label.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// Of exactly this content, that of the newest run first.
    pub gates: Vec<GateFact>,
    /// Whoever approved exactly this content for this label.
    pub approved_by: Vec<&'a str>,
    pub author: Option<&'a str>,
    /// It, or the version that it replaces.
    pub is_high_risk: bool,
}

/// Something that stands between a version and a label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lack {
    /// No suite has judged this content; why a gate that there is does not count.
    NoGate(Option<&'static str>),
    /// This suite has not judged this content.
    NotJudged(Name, Option<&'static str>),
    /// The newest word of this suite is not `pass`.
    NotGreen {
        suite: Name,
        verdict: &'static str,
    },
    /// Nobody knows who wrote it, so nobody can be somebody else.
    NoAuthor,
    NoApproval {
        author: Name,
    },
}

impl fmt::Display for Lack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::NoGate(unfit) => {
                out.write_str("no gate has judged exactly this content")?;
                but(out, *unfit)
            }
            Lack::NotJudged(suite, unfit) => {
                write!(out, "the gate of suite `{suite}` has not judged exactly this content")?;
                but(out, *unfit)
            }
            Lack::NotGreen { suite, verdict } => {
                write!(out, "the newest gate of suite `{suite}` says `{verdict}`")
            }
            Lack::NoAuthor => out.write_str("nobody knows who wrote it, so nobody else can approve it"),
            Lack::NoApproval { author } => {
                write!(
                    out,
                    "nobody but its author `{author}` has approved exactly this content for this label"
                )
            }
        }
    }
}

fn but(out: &mut fmt::Formatter<'_>, unfit: Option<&'static str>) -> fmt::Result {
    unfit.map_or(Ok(()), |unfit| write!(out, "; the newest judged {unfit}, which opens no label"))
}

impl PromotionRule {
    /// What is missing; nothing for a version that may go.
    pub fn lacks(&self, facts: &Facts<'_>) -> Vec<Lack> {
        let mut lacks = self.gates_lacking(&facts.gates);
        let needs_approval = match self.approval {
            ApprovalNeed::Never => false,
            ApprovalNeed::HighRisk => facts.is_high_risk,
            ApprovalNeed::Always => true,
        };
        if needs_approval {
            lacks.extend(approval_lacking(facts));
        }
        lacks
    }

    fn gates_lacking(&self, gates: &[GateFact]) -> Vec<Lack> {
        let fit: Vec<&GateFact> = gates.iter().filter(|gate| gate.unfit.is_none()).collect();
        let newest = |suite: &Name| fit.iter().find(|gate| gate.suite == *suite);
        let unfit = |suite: Option<&Name>| {
            gates
                .iter()
                .find(|gate| suite.is_none_or(|suite| gate.suite == *suite))
                .and_then(|gate| gate.unfit)
        };
        let red = |gate: &GateFact| {
            let lack = Lack::NotGreen { suite: gate.suite.clone(), verdict: gate.verdict };
            (!gate.is_pass).then_some(lack)
        };
        match &self.gate {
            GateNeed::None => Vec::new(),
            GateNeed::Any if fit.is_empty() => vec![Lack::NoGate(unfit(None))],
            GateNeed::Any => {
                let is_first = |at: usize| !fit[..at].iter().any(|gate| gate.suite == fit[at].suite);
                (0..fit.len()).filter(|at| is_first(*at)).filter_map(|at| red(fit[at])).collect()
            }
            GateNeed::Suites(suites) => suites
                .iter()
                .filter_map(|suite| match newest(suite) {
                    Some(gate) => red(gate),
                    None => Some(Lack::NotJudged(suite.clone(), unfit(Some(suite)))),
                })
                .collect(),
        }
    }
}

fn approval_lacking(facts: &Facts<'_>) -> Option<Lack> {
    let Some(author) = facts.author else { return Some(Lack::NoAuthor) };
    let has_other = facts.approved_by.iter().any(|by| !is_same_person(by, author));
    (!has_other).then(|| Lack::NoApproval { author: author.into() })
}

/// Names are asserted, so that a capital letter or a space must not make a second person of one.
pub fn is_same_person(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(suite: &str, verdict: &'static str) -> GateFact {
        GateFact { suite: suite.into(), is_pass: verdict == "pass", verdict, unfit: None }
    }

    fn words(rule: &PromotionRule, facts: &Facts<'_>) -> Vec<String> {
        rule.lacks(facts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_newest_word_of_each_suite_counts() {
        let check = |need: GateNeed, gates: &[GateFact], wanted: &[&str]| {
            let rule = PromotionRule { gate: need, approval: ApprovalNeed::Never };
            let facts = Facts { gates: gates.to_vec(), ..Facts::default() };
            assert_eq!(words(&rule, &facts), wanted, "{gates:?}");
        };
        let named = || GateNeed::Suites(vec!["core".into(), "safety".into()]);
        check(GateNeed::None, &[], &[]);
        check(GateNeed::Any, &[], &["no gate has judged exactly this content"]);
        check(GateNeed::Any, &[gate("core", "pass"), gate("core", "fail")], &[]);
        check(
            GateNeed::Any,
            &[gate("core", "fail"), gate("core", "pass")],
            &["the newest gate of suite `core` says `fail`"],
        );
        check(
            GateNeed::Any,
            &[gate("core", "pass"), gate("safety", "inconclusive")],
            &["the newest gate of suite `safety` says `inconclusive`"],
        );
        check(
            named(),
            &[gate("core", "pass"), gate("other", "fail")],
            &["the gate of suite `safety` has not judged exactly this content"],
        );
        check(named(), &[gate("core", "pass"), gate("safety", "pass")], &[]);
        let part = |suite| GateFact { unfit: Some("a part of the cases"), ..gate(suite, "pass") };
        let unfit = "; the newest judged a part of the cases, which opens no label";
        check(GateNeed::Any, &[part("core")], &[&format!("no gate has judged exactly this content{unfit}")]);
        check(GateNeed::Any, &[part("core"), gate("core", "pass")], &[]);
        check(
            GateNeed::Any,
            &[part("core"), gate("core", "fail")],
            &["the newest gate of suite `core` says `fail`"],
        );
        check(
            named(),
            &[gate("core", "pass"), part("safety")],
            &[&format!("the gate of suite `safety` has not judged exactly this content{unfit}")],
        );
    }

    #[test]
    fn an_approval_is_somebody_elses() {
        let check = |need: ApprovalNeed, facts: Facts<'_>, wanted: &[&str]| {
            let rule = PromotionRule { gate: GateNeed::None, approval: need };
            assert_eq!(words(&rule, &facts), wanted, "{facts:?}");
        };
        let of = |approved_by: &[&'static str], is_high_risk| Facts {
            approved_by: approved_by.to_vec(),
            author: Some("Ann"),
            is_high_risk,
            ..Facts::default()
        };
        let missing = "nobody but its author `Ann` has approved exactly this content for this label";
        check(ApprovalNeed::Never, of(&[], true), &[]);
        check(ApprovalNeed::HighRisk, of(&[], false), &[]);
        check(ApprovalNeed::HighRisk, of(&[], true), &[missing]);
        check(ApprovalNeed::Always, of(&["ann ", "ANN"], false), &[missing]);
        check(ApprovalNeed::Always, of(&["ann", "bo"], false), &[]);
        let nobody = Facts { approved_by: vec!["bo"], is_high_risk: true, ..Facts::default() };
        check(ApprovalNeed::HighRisk, nobody, &["nobody knows who wrote it, so nobody else can approve it"]);
    }
}
