//! Guardrails: levels, policies as versioned files, rules in full, exceptions.

use gauntlet_types::{Action, Caller, Direction, ExceptedValue, Scope};

use super::*;
use crate::guard::Chain;

fn sources(main: &str, policies: &[&str], exceptions: Option<&str>) -> Sources {
    let file =
        |(i, text): (usize, &&str)| Source { file: format!("guardrails/{i}.yaml"), text: (*text).into() };
    Sources {
        guardrails: policies.iter().enumerate().map(file).collect(),
        exceptions: exceptions.and_then(|text| source("exceptions.yml", text)),
        ..gauntlet(main)
    }
}

fn shown(chain: &Chain) -> Vec<String> {
    let voices = chain.voices(Direction::Input);
    let all = voices.iter().flat_map(|voices| voices.iter());
    all.map(|voice| format!("{}: {} {}", voice.level, voice.rule.kind, voice.rule.action.as_str())).collect()
}

const STRICT: &str = "name: strict\nversion: 1.2.0\ninput: {secrets: block}\n";

#[test]
fn levels_add_up_from_the_floor_to_the_request() {
    let main = "guardrails:
  floor: strict
  tenants: {acme: {input: {pii: redact}}}
  keys: {app: {guard: strict@1.0.0, input: {injection: block}}}
routes: {bot: {input: {pii: off, secrets: off, injection: off}, guard: strict}}
";
    let old = "name: strict\nversion: 1.0.0\ninput: {pii: mask}\n";
    let policy = policy(&sources(main, &[STRICT, old], None));
    let caller = Caller { tenant: "acme".into(), key: Some("app".into()), ..Caller::default() };
    let route = policy.route("bot").unwrap();
    let chain = policy.guards(&caller, route, ["strict"].into_iter()).unwrap();
    let hash = |text: &str| blake3::hash(text.as_bytes()).to_hex()[..8].to_owned();
    let (new, old) = (format!("strict@1.2.0 ({})", hash(STRICT)), format!("strict@1.0.0 ({})", hash(old)));
    assert_eq!(
        shown(&chain),
        [
            format!("floor, {new}: secrets block"),
            "tenant acme: pii redact".to_owned(),
            format!("route bot, {new}: secrets block"),
            format!("key app, {old}: pii mask"),
            "key app: injection block".to_owned(),
            format!("request, {new}: secrets block"),
        ]
    );
    assert_eq!(policy.guards(&caller, route, ["lax"].into_iter()).unwrap_err(), "lax");
}

#[test]
fn a_rule_in_full_reads_as_written() {
    let main = "default: {input: {pii: {action: redact, types: {EMAIL_ADDRESS: tokenize}, threshold: 0.6, \
                scope: [user, tool_result], on_error: open, shadow: yes, sample: 10%}}}";
    let policy = policy(&gauntlet(main));
    let rule = &policy.default_route().guards[0].rules.input[0];
    let acts = |label, score, scope| rule.action(label, score, scope, 0.0);
    assert_eq!(acts("US_SSN", 0.9, Scope::User), Action::Redact);
    assert_eq!(acts("EMAIL_ADDRESS", 0.9, Scope::ToolResult), Action::Tokenize);
    assert_eq!(acts("US_SSN", 0.5, Scope::User), Action::Allow);
    assert_eq!(acts("US_SSN", 0.9, Scope::System), Action::Allow);
    assert_eq!((rule.shadow, rule.sample, rule.on_error), (true, 0.1, gauntlet_types::OnError::Open));
}

#[test]
fn slips_in_rules_are_told() {
    check(
        "default: {input: {pii: {acton: redact}}}",
        &["1:24: `pii` of `input` of `default` has no `action`", "unknown field `acton`"],
    );
    check("default: {output: {pii: tokenize}}", &["`pii: tokenize` is not an action that can be taken here"]);
    check(
        "default: {input: {injection: {action: block, scope: [usr]}}}",
        &["`scope: usr` is not known; did you mean `user`?"],
    );
    check(
        "default: {output: {pii: {action: redact, to: x}}}",
        &["`to` of `pii` of `output` of `default` is for"],
    );
    check("default: {output: {pii: {action: flag, else: block}}}", &["`else` of `pii`"]);
    check(
        "default: {input: {judge: {action: reroute, model: m, alongside: yes}}}",
        &["`judge` of `input` of `default` cannot reroute alongside"],
    );
    check("default: {guard: strict}", &["1:18: route `default` names the unknown policy `strict`"]);
    check("guardrails: {floor: strict}", &["`floor` names the unknown policy `strict`"]);
}

#[test]
fn slips_in_policies_and_exceptions_are_told() {
    let check = |policies: &[&str], exceptions, expected: &[&str]| {
        compare(told(&sources("", policies, exceptions)), expected, &format!("{policies:?} {exceptions:?}"));
    };
    check(&["version: 1.0.0"], None, &["guardrails/0.yaml:1:1: the policy has no `name`"]);
    check(&["name: a\nversion: 1"], None, &["guardrails/0.yaml:2:10: `version: 1` is not a version"]);
    check(
        &[STRICT, STRICT],
        None,
        &["guardrails/1.yaml:1:1: strict@1.2.0 stands in guardrails/0.yaml already"],
    );
    check(&[], Some("kind: pii"), &["exceptions.yml:1:1: the file must be a list"]);
    check(&[], Some("- {kind: pii, type: X}"), &["an exception has no `until`"]);
    check(
        &[],
        Some("- {kind: pii, until: 2027-01-01}"),
        &["an exception without a bound lets everything of its kind pass"],
    );
    check(&[], Some("- {kind: pi, type: X, until: 2027-01-01}"), &["`kind: pi` is not known"]);
    check(
        &[],
        Some("- {kind: pii, value: xyz, until: 2027-01-01}"),
        &["`value: xyz` is not the hash of a value"],
    );
}

#[test]
fn exceptions_read_as_written() {
    let text = "- {kind: pii, type: PHONE_NUMBER, value: 0123456789ABCDEF, tenant: acme, until: 2027-01-01}\n\
                - {kind: pii, text: \"0800 111\", route: bot, until: 2027-01-02, why: our own}\n";
    let policy = policy(&sources("", &[], Some(text)));
    let read = &policy.config().guards.exceptions;
    assert_eq!(read[0].value, ExceptedValue::Hash("0123456789abcdef".into()));
    assert_eq!((read[0].tenant.as_deref(), read[0].label.as_deref()), (Some("acme"), Some("PHONE_NUMBER")));
    assert_eq!(read[1].value, ExceptedValue::Text("0800 111".into()));
    assert!(read[0].until < read[1].until);
}
