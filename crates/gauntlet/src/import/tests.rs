//! Claims about the importers as a whole; golden folders are compared in `tests/it/import.rs`, by the binary itself.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const LITELLM: &str = include_str!("../../tests/golden/import/litellm/team.yaml");
const TENSORZERO: &str = include_str!("../../tests/golden/import/tensorzero/tensorzero.toml");
const PORTKEY: &str = include_str!("../../tests/golden/import/portkey/support.json");

fn no_files(_: &str) -> Result<String, String> {
    Err("there is none".to_owned())
}

fn import(gateway: Gateway, text: &str) -> Imported {
    convert(gateway, "source.x", text, &no_files).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn litellm(text: &str) -> Imported {
    import(Gateway::Litellm, text)
}

fn main_of(imported: &Imported) -> &str {
    &imported.files[0].1
}

fn why(imported: &Imported, path: &str) -> String {
    let found: Vec<_> = imported.unmapped.iter().filter(|one| one.from.path == path).collect();
    assert!(!found.is_empty(), "{path} is not told: {:#?}", imported.unmapped);
    found.iter().map(|one| format!("{}; {}", one.why, one.cure)).collect()
}

/// Every file and every note, as a user may come to see it.
fn everything(imported: &Imported) -> String {
    format!("{imported:?}")
}

#[test]
fn no_secret_of_a_source_is_copied_anywhere() {
    for (gateway, text) in
        [(Gateway::Litellm, LITELLM), (Gateway::Tensorzero, TENSORZERO), (Gateway::Portkey, PORTKEY)]
    {
        assert!(text.contains("stays-behind"));
        let imported = import(gateway, text);
        assert!(!everything(&imported).contains("stays-behind"), "{imported:#?}");
        assert!(imported.variables.iter().any(|variable| variable.reason.words().contains("clear text")));
    }
}

#[test]
fn every_field_of_a_source_is_told_as_mapped_or_not() {
    for (gateway, root) in [
        (Gateway::Litellm, source::yaml(LITELLM).unwrap()),
        (Gateway::Tensorzero, source::toml(TENSORZERO).unwrap()),
        (Gateway::Portkey, source::json(PORTKEY).unwrap()),
    ] {
        let text = match gateway {
            Gateway::Litellm => LITELLM,
            Gateway::Tensorzero => TENSORZERO,
            Gateway::Portkey => PORTKEY,
        };
        let imported = import(gateway, text);
        let told: HashSet<&str> = (imported.mapped.iter().map(|one| one.from.path.as_str()))
            .chain(imported.unmapped.iter().map(|one| one.from.path.as_str()))
            .collect();
        // A place that is told speaks for what is in it.
        let speaks = |known: &str, path: &str| {
            path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let (mut open, mut leaves) = (vec![walk::Item::root(&root)], 0);
        while let Some(item) = open.pop() {
            open.extend(item.entries().into_iter().map(|(_, item)| item));
            open.extend(item.items());
            if item.entries().is_empty() && item.items().is_empty() {
                leaves += 1;
                let path = item.place.path.as_str();
                assert!(
                    told.iter().any(|known| speaks(known, path)),
                    "{path} of {} is not told",
                    gateway.title()
                );
            }
        }
        assert!(leaves > 30, "{leaves}");
    }
}

#[test]
fn what_is_no_configuration_of_that_gateway_is_refused_with_its_place_and_a_cure() {
    let check = |gateway: Gateway, text: &str, line: usize, why: &str| {
        let error = convert(gateway, "x", text, &no_files).unwrap_err();
        assert!(error.line == line && error.why.contains(why) && !error.cure.is_empty(), "{error}");
    };
    for gateway in [Gateway::Litellm, Gateway::Tensorzero, Gateway::Portkey] {
        check(gateway, " \n", 0, "empty");
    }
    check(Gateway::Litellm, "- a\n", 1, "not a map");
    check(Gateway::Litellm, "hello: world\n", 1, "has none of `model_list`");
    check(Gateway::Litellm, "x: 1\nmodel_list: {a: 1}\n", 2, "`model_list` is not a list");
    check(Gateway::Litellm, "model_list: [\n", 1, "not valid YAML");
    check(Gateway::Litellm, "model_list: &a [*a]\n", 1, "not valid YAML");
    check(Gateway::Tensorzero, "model_list: []\n", 1, "not valid TOML");
    check(Gateway::Tensorzero, "[package]\nname = \"x\"\n", 1, "has none of `models`");
    check(Gateway::Portkey, "{\"a\": 1}", 1, "has none of `strategy`");
    check(Gateway::Portkey, "[1]", 1, "has none of");
    check(Gateway::Portkey, "{\n\"targets\": [,]}", 2, "not valid JSON");
}

#[test]
fn fallbacks_in_a_circle_become_a_list_for_each_model() {
    let imported = litellm(
        "model_list:\n- {model_name: a, litellm_params: {model: openai/a}}\n- {model_name: b, litellm_params: {model: openai/b}}\n\
         - {model_name: c, litellm_params: {model: openai/c}}\nlitellm_settings: {fallbacks: [{a: [b]}, {b: [c, a]}, {c: [x]}]}\n",
    );
    let main = main_of(&imported);
    assert!(main.contains("a: {targets: [openai/a, openai/b, openai/c]}"), "{main}");
    assert!(main.contains("b: {targets: [openai/b, openai/c, openai/a]}"), "{main}");
    assert!(why(&imported, "litellm_settings.fallbacks[2].c[0]").contains("no model of `model_list`"));
}

#[test]
fn a_model_that_is_named_as_its_target_needs_no_entry() {
    let text = "model_list: [{model_name: openai/gpt-4o, litellm_params: {model: openai/gpt-4o}}]\n";
    let imported = litellm(text);
    assert!(!main_of(&imported).contains("models:"), "{}", main_of(&imported));
    assert!(main_of(&imported).contains("openai: {dialect: openai, key: \"${OPENAI_API_KEY}\"}"));
}

#[test]
fn values_of_the_wrong_kind_are_told_and_the_rest_is_taken() {
    let imported = litellm(
        "model_list:\n- {model_name: a, litellm_params: {model: openai/a, rpm: many, timeout: soon, input_cost_per_token: cheap}}\n- 7\n\
         - {model_name: b}\n- {model_name: c, litellm_params: {model: nobody/c}}\n- {model_name: d, litellm_params: {model: d}}\n\
         - {model_name: e, litellm_params: {model: azure/e}}\n- {model_name: f, litellm_params: {model: openai/f, api_base: 'https://u:p@h/v1'}}\n\
         - {model_name: g, litellm_params: {model: openai/g, api_base: ftp://h, litellm_credential_name: none}}\n\
         router_settings: {num_retries: -1, timeout: 1e99, routing_strategy: dice}\nlitellm_settings: [1]\n",
    );
    for (path, expected) in [
        ("model_list[0].litellm_params.rpm", "not a whole number"),
        ("model_list[0].litellm_params.timeout", "not a number of that kind"),
        ("model_list[0].litellm_params.input_cost_per_token", "is not an amount"),
        ("model_list[1]", "not a map of fields"),
        ("model_list[2]", "no `litellm_params`"),
        ("model_list[3]", "no provider `nobody`"),
        ("model_list[4]", "whose model it is"),
        ("model_list[5]", "no address of a resource"),
        ("model_list[6]", "credentials in it"),
        ("model_list[7]", "not in `credential_list`"),
        ("router_settings.num_retries", "not a whole number"),
        ("router_settings.timeout", "not a time"),
        ("router_settings.routing_strategy", "does not know this strategy"),
        ("litellm_settings", "not a map of fields"),
    ] {
        assert!(why(&imported, path).contains(expected), "{path}: {}", why(&imported, path));
    }
    assert!(main_of(&imported).contains("a: {targets: [openai/a]}"), "{}", main_of(&imported));
    assert!(!everything(&imported).contains("u:p@h"));
}

#[test]
fn long_lists_of_deployments_are_taken_whole() {
    let entry = |at: usize| {
        format!("- {{model_name: m{}, litellm_params: {{model: openai/m{at}, rpm: 1}}}}\n", at / 2)
    };
    let text = format!("model_list:\n{}", (0..1000).map(entry).collect::<String>());
    let imported = litellm(&text);
    assert_eq!(main_of(&imported).matches("targets:").count(), 500);
    assert!(main_of(&imported).contains("m499: {rpm: 2}"));
}

#[test]
fn equal_accounts_are_one_provider_and_others_are_not() {
    let imported = litellm(
        "model_list:\n- {model_name: a, litellm_params: {model: openai/a, api_key: os.environ/A}}\n\
         - {model_name: b, litellm_params: {model: openai/b, api_key: os.environ/A}}\n\
         - {model_name: c, litellm_params: {model: openai/c, api_key: sk-clear-text-1}}\n\
         - {model_name: d, litellm_params: {model: openai/d, api_key: sk-clear-text-1}}\n\
         - {model_name: e, litellm_params: {model: openai/e, api_key: os.environ/OPENAI_API_KEY}}\n",
    );
    let main = main_of(&imported);
    for expected in [
        "openai: {dialect: openai, key: \"${A}\"}",
        // The source reads OPENAI_API_KEY itself, so the clear text gets another name.
        "openai-2: {dialect: openai, key: \"${OPENAI_API_KEY_2}\"}",
        "openai-3: {dialect: openai, key: \"${OPENAI_API_KEY}\"}",
        "d: {targets: [openai-2/d]}",
    ] {
        assert!(main.contains(expected), "{expected}\n{main}");
    }
}

#[test]
fn nested_strategies_of_portkey_become_one_order() {
    let leaf = |model: &str| {
        format!(
            "{{\"provider\": \"openai\", \"api_key\": \"k\", \"override_params\": {{\"model\": \"{model}\"}}}}"
        )
    };
    let balanced = format!(
        "{{\"strategy\": {{\"mode\": \"loadbalance\"}}, \"targets\": [{}, {{\"weight\": 3, \"strategy\": {{\"mode\": \"fallback\"}}, \"targets\": [{}, {}]}}]}}",
        leaf("light"),
        leaf("heavy"),
        leaf("behind-heavy")
    );
    let text = format!(
        "{{\"strategy\": {{\"mode\": \"fallback\"}}, \"targets\": [{}, {balanced}, {}]}}",
        leaf("first"),
        leaf("last")
    );
    let imported = import(Gateway::Portkey, &text);
    let expected = "targets: [openai/first, openai/heavy, openai/light, openai/behind-heavy, openai/last]";
    assert!(main_of(&imported).contains(expected), "{}", main_of(&imported));
    assert!(why(&imported, "targets[1].strategy.mode").contains("tried in order"));
}

#[test]
fn a_template_that_we_cannot_render_is_told_and_not_written() {
    let text = "[functions.f]\ntype = \"chat\"\n[functions.f.variants.v]\ntype = \"chat_completion\"\nmodel = \"openai::m\"\n\
                system_template = \"t\"\n";
    let read = |_: &str| Ok("{{ undeclared }}".to_owned());
    let imported = convert(Gateway::Tensorzero, "t.toml", text, &read).unwrap();
    assert_eq!(imported.files.len(), 1);
    assert!(why(&imported, "functions.f.variants.v.system_template").contains("undeclared"));
    assert!(main_of(&imported).contains("f: {model: openai/m}"), "{}", main_of(&imported));
}

/// Texts that are hard on names, quotes and comments.
fn odd() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z/*:]{0,6}",
        ".{0,8}",
        Just("os.environ/X Y".to_owned()),
        Just("openai/*".to_owned()),
        Just("a\nb: c".to_owned()),
        Just("$${X}${".to_owned()),
        Just("default".to_owned()),
        Just("-1".to_owned()),
        Just("1e400".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_names_and_values_are_the_result_passes_our_loader(
        texts in prop::collection::vec(odd(), 12),
        provider in prop::sample::select(vec!["openai", "azure", "anthropic", "hosted_vllm", "groq", "bedrock"]),
    ) {
        let quoted: Vec<String> = texts.iter().map(|text| serde_json::to_string(text).unwrap()).collect();
        let t = |at: usize| &quoted[at];
        let model = serde_json::to_string(&format!("{provider}/{}", texts[1])).unwrap();
        // JSON is read as YAML here, so letters that JSON leaves as they are must be YAML's too.
        let text = format!(
            "{{\"model_list\": [{{\"model_name\": {}, \"litellm_params\": {{\"model\": {model}, \"api_base\": \"https://h:1/v1\", \
             \"api_key\": {}, \"rpm\": {}, \"timeout\": {}, \"input_cost_per_token\": {}, \"max_budget\": {}, \"budget_duration\": {}, \
             \"extra_headers\": {{\"x-a\": {}}}}}}}], \"router_settings\": {{\"model_group_alias\": {{{}: {}}}, \"redis_host\": {}, \
             \"redis_password\": {}}}}}",
            t(0), t(2), t(3), t(4), t(5), t(6), t(7), t(8), t(9), t(0), t(10), t(11),
        );
        if let Ok(root) = source::yaml(&text) {
            prop_assert!(matches!(root.value, source::Value::Map(_)));
            if let Err(error) = convert(Gateway::Litellm, "x.yaml", &text, &no_files) {
                prop_assert!(false, "{}\n{}", error, text);
            }
        }
        let portkey = format!(
            "{{\"strategy\": {{\"mode\": \"loadbalance\"}}, \"request_timeout\": {}, \"cache\": {{\"mode\": {}, \"max_age\": {}}}, \"targets\": \
             [{{\"provider\": \"openai\", \"api_key\": {}, \"override_params\": {{\"model\": {}}}}}, {{\"virtual_key\": {}, \
             \"custom_host\": {}, \"override_params\": {{\"model\": {}}}}}]}}",
            t(0), t(1), t(2), t(3), t(4), t(5), t(6), t(7),
        );
        if let Err(error) = convert(Gateway::Portkey, &texts[8], &portkey, &no_files) {
            prop_assert!(false, "{}\n{}", error, portkey);
        }
        let toml = format!(
            "[models.{0}]\nrouting = [{1}]\n[models.{0}.providers.{1}]\ntype = \"openai\"\nmodel_name = {2}\napi_key_location = {3}\n\
             [functions.{4}]\ntype = \"chat\"\n[functions.{4}.variants.{5}]\ntype = \"chat_completion\"\nmodel = {0}\n\
             system_template = \"t\"\nmax_tokens = {6}\n",
            t(0), t(1), t(2), t(3), t(4), t(5), t(6),
        );
        if source::toml(&toml).is_ok()
            && let Err(error) = convert(Gateway::Tensorzero, "x.toml", &toml, &|_| Ok(texts[9].clone()))
        {
            prop_assert!(false, "{}\n{}", error, toml);
        }
    }
}
