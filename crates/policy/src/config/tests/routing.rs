//! How targets are chosen, and where calls may go.

use super::*;

#[test]
fn models_say_how_a_target_is_chosen() {
    check_with_provider(
        "models: {a: {targets: [local/x], strategy: fastest}}",
        &["`strategy: fastest` is not known; write one of `fallback`, `weighted`"],
    );
    check_with_provider(
        "models: {a: {targets: [local/x], sticky: prefix}}",
        &["`sticky` of model `a` has nothing to choose among; add `strategy: weighted`"],
    );
    check_with_provider(
        "models: {a: {targets: [{target: local/x, weight: 0}], strategy: weighted}}",
        &["every target of model `a` has weight 0"],
    );
    check_with_provider(
        "models: {a: {targets: [{weight: 2}]}}",
        &["model `a` has no targets", "a target of model `a` has no `target`"],
    );
    check_with_provider(
        "models: {a: {targets: [{target: b, region: eu}, local/y]}, b: [local/x]}",
        &["are said of `b`, which is a name of several targets"],
    );
    check_with_provider(
        "models: {a: {targets: [{target: local/x, region: Europe West}]}}",
        &["`Europe West` of a target of model `a` does not name a region"],
    );
    check_with_provider(
        "models: {a: {pin: local/x-2024-08-06, targets: [local/y]}}",
        &["model `a` has both `pin` and `targets`"],
    );
    check_with_provider(
        "models: {a: {targets: [{target: local/x, weight: 3}, local/y]}}",
        &["`weight` in model `a` has no effect with `strategy: fallback`"],
    );
    for (hedge, told) in [
        ("800ms", "`hedge` of model `a` must be a map; write `hedge: {after: 800ms}`"),
        ("{}", "`hedge` of model `a` has no `after`; write `hedge: {after: 800ms}`"),
        ("{after: soon}", "`after: soon` is not a duration"),
        ("{after: 9ms}", "`after` of `hedge` of model `a` is not from 10ms to 10m"),
    ] {
        let text = format!("models: {{a: {{targets: [local/x, local/y], hedge: {hedge}}}}}");
        check_with_provider(&text, &[told]);
    }
    check_with_provider(
        "models: {a: {targets: [local/x, local/y], hedge: {afer: 1s}}}",
        &[
            "`hedge` of model `a` has no `after`",
            "unknown field `afer` in `hedge` of model `a`; did you mean `after`?",
        ],
    );
    check_with_provider(
        "models: {a: {targets: [b], hedge: {after: 1s}}, b: [local/x]}",
        &["`hedge` of model `a` has no second target to ask; name another one in `targets`"],
    );
    check_with_provider("models: {a: {targets: [local/x], retires: 2026-01-01}}", &["said of no pin"]);
    check("providers: {l: {dialect: openai, breaker: {cooldown: 2d}}}", &["not from 100ms to 1h"]);
    let text = "providers: {l: {dialect: openai, url: \"http://l:1\", price: free, region: eu, breaker: {failures: 2, cooldown: 5s}}}\n\
        models: {latest: l/gpt-4o, frozen: {pin: l/gpt-4o}, good: {pin: l/gpt-4o-2024-08-06}, \
        spread: {targets: [l/a, {target: l/b, weight: 0, max_context: 128000}], strategy: weighted, sticky: session, \
        hedge: {after: 0.8s}}}\n";
    let loaded = load_all(&gauntlet(text)).unwrap();
    let said: Vec<&str> = loaded.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(said, ["pin `frozen` names `l/gpt-4o`, which has no date or version"]);
    let config = loaded.policy.config();
    let spread = &config.models["spread"];
    assert_eq!((spread.strategy, spread.sticky), (Strategy::Weighted, Sticky::Session));
    assert_eq!((spread.hedge, config.models["good"].hedge), (Some(Duration::from_millis(800)), None));
    assert_eq!(spread.choices.iter().map(|choice| choice.weight).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(config.region_of(&spread.choices[1]).unwrap(), "eu");
    let breaker = config.providers["l"].breaker;
    assert_eq!(
        (breaker.failures, breaker.cooldown, breaker.key_cooldown.as_secs()),
        (2, Duration::from_secs(5), 60)
    );
}

#[test]
fn rules_tasks_and_residency_are_read_and_their_mistakes_told() {
    check_with_provider("routes: {r: {rules: {model: local/x}}}", &["`rules` of route `r` must be a list"]);
    check_with_provider(
        "routes: {r: {rules: [{model: local/x}, {if: {}, model: local/x}, {if: {stream: true}}]}}",
        &[
            "rule 1 of route `r` has no `if`",
            "`if` of rule 2 of route `r` is empty",
            "rule 3 of route `r` has no `model`",
        ],
    );
    check_with_provider(
        "routes: {r: {rules: [{if: {hour: \"9-9\"}, model: local/x}, {if: {token_over: 5}, model: local/x}]}}",
        &["`hour: 9-9` is not a part of the day", "unknown field `token_over` in `if` of rule 2"],
    );
    check_with_provider(
        "routes: {r: {rules: [{if: {stream: true}, model: chaep}]}}\nmodels: {cheap: local/x}",
        &["rule 1 of route `r` names the unknown model `chaep`; did you mean `cheap`?"],
    );
    check_with_provider(
        "tasks: {a: nothing/x, b: }",
        &["task `a` names the unknown model", "task `b` names no model"],
    );
    check_with_provider(
        "routes: {r: {task: clas}}\ntasks: {class: local/x}",
        &["the unknown task `clas`; did you mean `class`?"],
    );
    check_with_provider(
        "routes: {r: {task: a, model: local/x}}\ntasks: {a: local/x}",
        &["both `model` and `task: a`"],
    );
    let text = format!(
        "{PROVIDER}models: {{m: local/x, n: local/y}}\ntasks: {{t: n}}\ntenants: {{acme: {{residency: [eu, uk]}}}}\n\
         default: {{model: m, rules: [{{if: {{tools: true}}, model: n}}], residency: eu}}\n\
         routes: {{plain: {{}}, own: {{model: n}}, work: {{task: t}}}}\n"
    );
    let loaded = load_all(&gauntlet(&text)).unwrap();
    let route = |name| loaded.policy.route(name).unwrap().clone();
    let (plain, own, work) = (route("plain"), route("own"), route("work"));
    assert_eq!((plain.model.as_deref(), plain.rules.len()), (Some("m"), 1));
    assert_eq!((own.model.as_deref(), own.rules.len()), (Some("n"), 0));
    assert_eq!((work.model.as_deref(), work.task.as_deref(), work.rules.len()), (None, Some("t"), 0));
    assert_eq!(plain.residency, ["eu"]);
    let said: Vec<&str> = loaded.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert!(said.contains(&"no provider or target is in region `uk`, which calls are bound to"), "{said:?}");
}
