use super::*;
use crate::parse;

fn prompt(name: &str, version: &str, more: &str) -> Prompt {
    let file = format!("{name}.{version}.yaml");
    parse(&file, &format!("{{name: {name}, version: {version}, template: text, {more}}}")).unwrap()
}

fn label(prompt: &str, label: &str, version: &str) -> (Name, Name, Name) {
    (prompt.into(), label.into(), version.into())
}

fn set(set: Vec<(Name, Name, Name)>) -> Labels {
    Labels { set, ..Labels::default() }
}

fn check(registry: &Registry, reference: &str, wanted: Result<(&str, Option<&str>), &str>) {
    match (registry.resolve(reference), wanted) {
        (Ok((prompt, label)), Ok((version, wanted))) => {
            assert_eq!(
                (prompt.version.to_string().as_str(), label.as_deref()),
                (version, wanted),
                "{reference}"
            );
        }
        (Err(fault), Err(wanted)) => {
            assert_eq!((fault.code, fault.message.as_str()), (Code::PromptInvalid, wanted), "{reference}");
        }
        (got, _) => panic!("{reference}: {got:?}"),
    }
}

#[test]
fn references_find_versions_labels_and_the_latest() {
    let prompts = vec![
        prompt("refund", "1.0.0", "labels: [production]"),
        prompt("refund", "1.10.0", "labels: [staging]"),
        prompt("refund", "1.9.0", ""),
        prompt("refund", "2.0.0-rc.1", ""),
        prompt("triage", "0.1.0", ""),
        prompt("draft", "1.0.0-a", ""),
        prompt("draft", "1.0.0-b", ""),
    ];
    let labels = vec![
        label("refund", "staging", "1.9.0"),
        label("refund", "canary", "9.9.9"),
        label("gone", "production", "1.0.0"),
    ];
    let registry = Registry::new(prompts, set(labels)).unwrap();
    check(&registry, "refund@1.9.0", Ok(("1.9.0", None)));
    check(&registry, "refund@2.0.0-rc.1", Ok(("2.0.0-rc.1", None)));
    check(&registry, "refund@production", Ok(("1.0.0", Some("production"))));
    check(&registry, "refund", Ok(("1.0.0", Some("production"))));
    check(&registry, " refund@staging ", Ok(("1.9.0", Some("staging"))));
    check(&registry, "refund@latest", Ok(("1.10.0", Some("latest"))));
    check(&registry, "triage", Ok(("0.1.0", Some("latest"))));
    check(&registry, "draft", Ok(("1.0.0-b", Some("latest"))));
    let choice = "versions 2.0.0-rc.1, 1.10.0, 1.9.0, 1.0.0; labels canary, production, staging, latest";
    check(
        &registry,
        "refund@canary",
        Err(&format!(
            "label `canary` of prompt `refund` points to version 9.9.9, which there is not: add its file again or move the label ({choice})"
        )),
    );
    check(
        &registry,
        "refund@3.0.0",
        Err(&format!("prompt `refund` has no version or label `3.0.0`; it has {choice}")),
    );
    check(
        &registry,
        "refund@prodution",
        Err(&format!(
            "prompt `refund` has no version or label `prodution`; did you mean `refund@production`? it has {choice}"
        )),
    );
    check(&registry, "refnud@production", Err("there is no prompt `refnud`: did you mean `refund`?"));
    check(&registry, "gone", Err("there is no prompt `gone`: `gauntlet prompt list` shows those there are"));
    check(
        &registry,
        "",
        Err(
            "`` cannot be the name of a prompt: a name has letters, digits, `-`, `_`, `.` and `/`, at most 128, and no `..`; write name, name@1.2.0 or name@label",
        ),
    );
    let all: Vec<String> =
        registry.prompts().map(|prompt| format!("{}@{}", prompt.name, prompt.version)).collect();
    assert_eq!(all[..3], ["draft@1.0.0-a", "draft@1.0.0-b", "refund@1.0.0"]);
    assert!(registry.labels().contains(&label("refund", "production", "1.0.0")));
}

#[test]
fn a_set_label_wins_over_those_that_files_propose() {
    let prompts =
        || vec![prompt("p", "1.0.0", "labels: [production]"), prompt("p", "2.0.0", "labels: [production]")];
    let mistakes = Registry::new(prompts(), Labels::default()).unwrap_err();
    assert_eq!(
        mistakes[0].to_string(),
        "p.2.0.0.yaml: label `production` of prompt `p` is proposed by version 1.0.0 too (`p.1.0.0.yaml`); \
         keep `production` in one of the two files"
    );
    let registry =
        Registry::new(prompts(), set(vec![label("p", "production", "1.0.0"), label("p", "latest", "1.0.0")]))
            .unwrap();
    check(&registry, "p", Ok(("1.0.0", Some("production"))));
    check(&registry, "p@latest", Ok(("2.0.0", Some("latest"))));
}

#[test]
fn a_version_has_one_text() {
    assert!(
        Registry::new(vec![prompt("p", "1.0.0", ""), prompt("p", "1.0.0", "owner: me")], Labels::default())
            .is_ok()
    );
    let other = parse("other.yaml", "{name: p, version: 1.0.0, template: another}").unwrap();
    let mistakes = Registry::new(vec![prompt("p", "1.0.0", ""), other], Labels::default()).unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert_eq!(mistakes[0].file, "other.yaml");
    assert_eq!(mistakes[0].message, "prompt `p@1.0.0` stands in `p.1.0.0.yaml` too, with another text");
}

#[test]
fn a_file_moves_no_label_that_is_guarded() {
    let prompts = || vec![prompt("p", "1.0.0", "labels: [production, staging]"), prompt("p", "1.1.0", "")];
    let guarded = || BTreeSet::from(["production".into()]);
    let registry = Registry::new(prompts(), Labels { guarded: guarded(), ..Labels::default() }).unwrap();
    let wanted = "no version of prompt `p` was promoted to `production` yet: `gauntlet prompt promote \
                  p@VERSION --to production`, or name a version (versions 1.1.0, 1.0.0; labels staging, latest)";
    check(&registry, "p@production", Err(wanted));
    check(&registry, "p", Err(wanted));
    check(&registry, "p@staging", Ok(("1.0.0", Some("staging"))));
    check(&registry, "p@latest", Ok(("1.1.0", Some("latest"))));
    let passed: Vec<_> =
        registry.passed_over().map(|(prompt, label)| (prompt.version.to_string(), &**label)).collect();
    assert_eq!(passed, [("1.0.0".to_owned(), "production")]);
    let promoted = Labels { set: vec![label("p", "production", "1.1.0")], guarded: guarded() };
    let registry = Registry::new(prompts(), promoted).unwrap();
    check(&registry, "p", Ok(("1.1.0", Some("production"))));
}
