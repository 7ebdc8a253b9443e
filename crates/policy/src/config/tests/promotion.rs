//! `promotion:`, and the mistakes in it.

use super::*;
use crate::promotion::{ApprovalNeed, GateNeed, PromotionRule};

#[test]
fn a_label_says_what_it_asks_for() {
    let text = "promotion:\n  production: {gate: [core, safety], approval: always}\n  staging: {gate: core}\n  canary: {}\n  dev: {gate: false, approval: high_risk}\n";
    let policy = policy(&gauntlet(text));
    let rules = &policy.config().promotion;
    let rule = |label: &str| rules.get(label).unwrap_or_else(|| panic!("{label}"));
    let suites = |names: &[&str]| GateNeed::Suites(names.iter().map(|name| (*name).into()).collect());
    assert_eq!(
        *rule("production"),
        PromotionRule { gate: suites(&["core", "safety"]), approval: ApprovalNeed::Always }
    );
    assert_eq!(rule("staging").gate, suites(&["core"]));
    assert_eq!(*rule("canary"), PromotionRule { gate: GateNeed::Any, approval: ApprovalNeed::HighRisk });
    assert_eq!(rule("dev").gate, GateNeed::None);
}

#[test]
fn mistakes_in_promotion_are_told_with_their_cure() {
    check(
        "promotion:\n  production: {gates: true}",
        &["gauntlet.yml:2:16: unknown field `gates` in `promotion.production`; did you mean `gate`?"],
    );
    check(
        "promotion:\n  production: {approval: sometimes}",
        &["2:26: `approval: sometimes` is not known; write one of `never`, `high_risk`, `always`"],
    );
    check(
        "promotion:\n  latest: {}",
        &["2:3: `latest` is no label that is moved; name a label that is moved"],
    );
    check("promotion:\n  1.0.0: {}", &["`1.0.0` is no label that is moved"]);
    check(
        "promotion:\n  production: {gate: []}",
        &["`gate` names no suite; name one, or write `true` for any"],
    );
    check(
        "promotion:\n  production: {gate: {suite: a}}",
        &["`gate` is a map; write `true`, `false`, or suites"],
    );
    check("promotion: yes", &["`promotion` must be a map of fields"]);
    check(
        "promotion:\n  production: {gate: false, approval: never}",
        &["`promotion.production` asks for nothing; it only keeps files from moving the label"],
    );
}
