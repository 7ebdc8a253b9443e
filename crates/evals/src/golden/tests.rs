use super::*;

fn suite(cases: &[(&str, &str, bool)]) -> Suite {
    let case = |(id, hash, is_golden): &(&str, &str, bool)| Case {
        id: (*id).into(),
        hash: (*hash).into(),
        is_golden: *is_golden,
        ..Case::default()
    };
    Suite {
        name: "s".into(),
        file: "evals/s.yaml".into(),
        cases: cases.iter().map(case).collect(),
        ..Suite::default()
    }
}

#[test]
fn a_changed_golden_case_is_named_and_another_case_may_change() {
    let frozen = suite(&[("a", "1", true), ("b", "2", true), ("c", "3", false)]);
    let lock = lock(&frozen.cases);
    let hash = hash_of(&frozen).unwrap();
    let check = |cases: &[(&str, &str, bool)], lock: Option<&str>, wanted: Option<&str>| {
        let now = Suite { golden: Some(hash.clone()), ..suite(cases) };
        let said = mistake(&now, lock).map(|mistake| mistake.message);
        assert_eq!(said.as_deref(), wanted, "{cases:?}");
    };
    check(&[("b", "2", true), ("a", "1", true), ("c", "9", false)], Some(&lock), None);
    check(
        &[("a", "7", true), ("b", "2", true)],
        Some(&lock),
        Some("the golden cases are not the frozen ones: changed `a`"),
    );
    check(
        &[("a", "1", true), ("d", "2", true)],
        Some(&lock),
        Some("the golden cases are not the frozen ones: added `d`; removed `b`"),
    );
    check(&[("a", "7", true)], None, Some("the golden cases are not the frozen ones"));
    check(&[("a", "7", true)], Some("x a\n"), Some("the golden cases are not the frozen ones"));
    check(
        &[("c", "3", false)],
        Some(&lock),
        Some("the golden cases are not the frozen ones: removed `a`, `b`"),
    );
}

#[test]
fn golden_cases_that_nobody_froze_are_a_warning() {
    let said = mistake(&suite(&[("a", "1", true)]), None).unwrap();
    assert!(said.is_warning && said.cure.contains("gauntlet eval freeze s"), "{said}");
    assert_eq!(mistake(&suite(&[("a", "1", false)]), None), None);
}

#[test]
fn freezing_writes_one_line_and_keeps_every_other_byte() {
    let check = |text: &str, wanted: &str| assert_eq!(declare(text, "ab").unwrap(), wanted);
    check(
        "suite: s\ndataset:\n  - a.jsonl # first\n\n# metrics\nmetrics: [exact]\n",
        "suite: s\ndataset:\n  - a.jsonl # first\n\n# metrics\ngolden: sha256:ab\nmetrics: [exact]\n",
    );
    check("golden: sha256:00  # since May\nsuite: s\n", "golden: sha256:ab # since May\nsuite: s\n");
    check("suite: s\r\ndataset: a.jsonl\r\n", "suite: s\r\ndataset: a.jsonl\r\ngolden: sha256:ab\r\n");
    check("dataset: a", "dataset: a\ngolden: sha256:ab\n");
    assert!(declare("{suite: s}", "ab").unwrap_err().contains("golden: sha256:ab"));
}
