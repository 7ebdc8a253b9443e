//! Configurations as people write them, and what they are told.

use std::time::Duration;

use gauntlet_types::{Caller, Day, Environment, NanoUsd, Target, Timestamp};

use super::*;

mod exporters;
mod guards;
mod money;
mod prices;
mod promotion;
mod providers;
mod routing;

const FILE: &str = "gauntlet.yml";

fn env(name: &str) -> Option<String> {
    match name {
        "APP_KEY" => Some("an-app-key-of-good-length".to_owned()),
        "EMPTY" => Some(String::new()),
        "OPENAI_API_KEY" => Some("sk-openai".to_owned()),
        _ => None,
    }
}

fn source(file: &str, text: &str) -> Option<Source> {
    Some(Source { file: file.into(), text: text.into() })
}

fn gauntlet(text: &str) -> Sources {
    Sources { gauntlet: source(FILE, text), ..Sources::default() }
}

fn load_all(sources: &Sources) -> Result<Loaded, Vec<Mistake>> {
    load(sources, &env, &LoadOptions { loopback: true, find_provider_keys: false })
}

fn policy(sources: &Sources) -> Policy {
    match load_all(sources) {
        Ok(loaded) => loaded.policy,
        Err(mistakes) => panic!("{}", crate::check::render(&mistakes, sources)),
    }
}

/// Every mistake and warning, one a line, as shown.
fn told(sources: &Sources) -> Vec<String> {
    let mistakes = match load_all(sources) {
        Ok(loaded) => loaded.warnings,
        Err(mistakes) => mistakes,
    };
    mistakes.iter().map(|mistake| mistake.to_string()).collect()
}

/// The mistakes of a `gauntlet.yml`, each beginning as expected.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    compare(told(&gauntlet(text)), expected, text);
}

#[track_caller]
fn check_budgets(text: &str, expected: &[&str]) {
    let sources = Sources {
        gauntlet: source(FILE, "providers: {openai: {}}\nroutes: {support_bot: {}}"),
        budgets: source("budgets.yml", text),
        ..Sources::default()
    };
    compare(told(&sources), expected, text);
}

#[track_caller]
fn compare(told: Vec<String>, expected: &[&str], text: &str) {
    assert_eq!(told.len(), expected.len(), "{text}\n{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.contains(expected), "{text}\n told: {told}\n want: {expected}");
    }
}

const PROVIDER: &str =
    "providers: {openai: {dialect: openai}, local: {dialect: openai, url: \"http://l:1/v1\", price: free}}\n";

#[track_caller]
fn check_with_provider(text: &str, expected: &[&str]) {
    check(&format!("{PROVIDER}{text}"), expected);
}

#[test]
fn the_documented_shape_loads() {
    let text = r#"
store: sqlite
providers:
  openai:    {dialect: openai, key: "${OPENAI_API_KEY}"}
  anthropic: {dialect: anthropic, key: "${ANTHROPIC_API_KEY:-none}"}
  local:     {dialect: openai, url: "http://127.0.0.1:8080/v1"}
models:
  support: {targets: [openai/gpt-4o-mini, anthropic/claude-haiku-4-5, local/smollm2]}
routes:
  support_bot:
    model: support
    prompt: support-agent@production
    input:  {pii: redact, secrets: block, injection: flag}
    output: {pii: redact, schema: schemas/reply.json}
    fallback: Sorry, I cannot help with that right now.
keys:
  - {name: app, key: "${APP_KEY}", tenant: acme, routes: [support_bot]}
"#;
    let mut sources = gauntlet(text);
    sources.schemas.push(("schemas/reply.json".into(), "{\"type\": \"object\"}".into()));
    let loaded = load_all(&sources).unwrap();
    compare(
        loaded.warnings.iter().map(Mistake::to_string).collect(),
        &["8:71: `local/smollm2` has no price"],
        text,
    );
    let policy = loaded.policy;
    let route = policy.route("support_bot").unwrap();
    assert_eq!(route.model.as_deref(), Some("support"));
    assert_eq!(route.prompt, Some(PromptPin { name: "support-agent".into(), at: "production".into() }));
    assert_eq!(actions(route), "pii redact, secrets block, injection flag");
    assert_eq!(route.guards[0].rules.schema.as_ref().unwrap().path, "schemas/reply.json");
    assert_eq!(route.timeouts, Timeouts::default());
    let key = policy.keys().find("an-app-key-of-good-length").unwrap();
    assert_eq!((key.tenant.as_str(), key.name.as_str()), ("acme", "app"));
    assert!(!policy.is_open());
    assert_eq!(policy.provider("local").unwrap().url, "http://127.0.0.1:8080/v1");
    assert_eq!(policy.provider("anthropic").unwrap().url, "https://api.anthropic.com");
    assert!(!format!("{policy:?}").contains("sk-openai"), "a secret is shown");
}

#[test]
fn nothing_at_all_loads_and_finds_keys_in_the_environment() {
    let loaded = load(&Sources::default(), &env, &LoadOptions::default()).unwrap();
    let provider = loaded.policy.provider("openai").unwrap();
    assert!(provider.is_found && provider.key().unwrap().expose() == "sk-openai");
    assert!(loaded.policy.is_open());
    assert!(
        !load(&Sources::default(), &env, &LoadOptions { loopback: false, find_provider_keys: false })
            .unwrap()
            .policy
            .is_open()
    );
    assert_eq!(policy(&gauntlet("# only a comment\n")).config().providers.len(), 0);
}

#[test]
fn slips_are_told_with_place_and_cure() {
    check(
        "routes:\n  support_bot:\n    modell: x\n",
        &["gauntlet.yml:3:5: unknown field `modell` in route `support_bot`; did you mean `model`?"],
    );
    check("provider: {}\n", &["1:1: unknown field `provider`; did you mean `providers`?"]);
    check("wholly: 1\n", &["unknown field `wholly`; known here: store, listen,"]);
    check("default: {zzz: 1}", &["tools, fallback, cache, max_tokens,"]);
    check("default: {input: {pii: maybe}}", &["`pii: maybe` is not an action; write one of `allow`"]);
    check(
        "default: {input: {injection: redact}}",
        &["`injection: redact` is not an action that can be taken here"],
    );
    check("default: {timeouts: {total: 30}}", &["`total: 30` is not a duration; write for example `30s`"]);
    check("default: {timeouts: {total: 0s}}", &["`total` of `default` is zero"]);
    check("default: {max_tokens: -5}", &["`max_tokens: -5` is not a number of tokens"]);
    check("default: {limits: {rpm: 0}}", &["`rpm: 0` is not a whole number from 1 up"]);
    check(
        "default: {unpriced: free}",
        &["`unpriced: free` is not known; write one of `block`, `allow`, `cap_tokens`"],
    );
    check("default: {on_disconnect: abrt}", &["did you mean `abort`?"]);
    check("default: {retry: {attempts: 99}}", &["more than 10"]);
    check("default: {prompt: \"@production\"}", &["names no prompt and label"]);
    check("default: [a]\n", &["`default` must be a map of fields"]);
    check("default: {model: [a, b]}\n", &["`model` must be a single value"]);
    check("routes: {default: {}}", &["a route cannot be called `default`"]);
    check("store: mongo", &["`store: mongo` is not a store"]);
    check("listen: localhost", &["`listen: localhost` is not an address and port"]);
    check("max_body: 10 parsecs", &["is not a size"]);
    check("log: {json: off, text: on}", &["unknown field `text` in `log`"]);
    check("log: {json: stdout, rotate: 1MB}", &["only a log file is rotated"]);
    check("log: {json: a.log, rotate: 1MB, keep: 0}", &["`keep: 0`"]);
    check("sampling: {keep: 200%}", &["`keep: 200%` is not a percentage"]);
    check("retention: {messages: 10m}", &["`messages: 10m` is not an age of at least an hour"]);
    check("retention: {messages: 60d, records: 30d}", &["cannot be kept longer than the records"]);
    check("retention: {dev: {messages: 3d, bodies: 1d}}", &["unknown field `bodies` in `retention.dev`"]);
}

#[test]
fn all_mistakes_are_told_in_their_order() {
    check(
        "store: mongo\nroutes:\n  a: {model: nowhere, cache: soon}\n  b: {max_tokens: x}\nkeys: 1\n",
        &[
            "1:8: `store: mongo`",
            "3:14: route `a` names the unknown model `nowhere`",
            "3:30: `cache: soon` is not a duration",
            "4:19: `max_tokens: x`",
            "5:7: `keys` must be a list",
        ],
    );
}

#[test]
fn what_is_not_yaml_is_told_with_its_line() {
    check("a: [1\n", &["gauntlet.yml:1:4: not valid YAML: unclosed bracket"]);
    check("routes:\n  a: {}\n  a: {}\n", &["gauntlet.yml:3:3: `a` is given twice; keep one of them"]);
    check("- a\n- b\n", &["1:1: the file must be a map of fields"]);
}

#[test]
fn variables_are_told_where_they_are_missing() {
    check_with_provider(
        "keys:\n  - {name: app, key: \"${NO_KEY}\", tenant: a}\n",
        &["3:22: environment variable `NO_KEY` is not set; set it, or give a default: `${NO_KEY:-…}`"],
    );
    check("store: ${STORE:-sqlite}\n", &[]);
    check("store: \"${STORE\"\n", &["`${` without its `}`"]);
    // A secret that stands in the wrong place is not printed.
    check("listen: ${APP_KEY}", &["`listen: ${APP_KEY}` is not an address"]);
    let dollars = policy(&gauntlet("default: {fallback: \"costs $$5 or $${X}\"}"));
    assert_eq!(dollars.default_route().fallback.as_deref(), Some("costs $5 or ${X}"));
}

#[test]
fn providers_are_checked() {
    check("providers: {mine: {}}", &["1:13: provider `mine` has no `dialect`; write `dialect: openai`"]);
    check("providers: {mine: {dialect: opneai}}", &["did you mean `openai`?"]);
    check("providers: {a/b: {dialect: openai}}", &["`a/b` cannot name a provider"]);
    check("providers: {openai: {key: \"${EMPTY}\"}}", &["provider `openai` has an empty `key`"]);
    check(
        "providers: {openai: {latency: 5ms}}",
        &["`latency` in provider `openai` is only for the simulated model"],
    );
    check("providers: {openai: {prices_as: opnai}}", &["no provider `opnai`; did you mean `openai`?"]);
    check("providers: {openai: {price: cheap}}", &["`price: cheap` is not known"]);
    check("providers: {openai: {headers: {\"a b\": c}}}", &["`a b` cannot name a header"]);
    for url in ["ftp://x", "http://", "http://h:port", "https://u:p@h", "https://h/v1?x=1", "127.0.0.1:80"] {
        check(&format!("providers: {{openai: {{url: \"{url}\"}}}}"), &["is not an address"]);
    }
    let text = "providers: {sim: {dialect: sim, latency: 1s, fault_rate: 5%, seed: 7, answer: hello}}";
    let sim = policy(&gauntlet(text)).provider("sim").unwrap().sim.clone().unwrap();
    assert_eq!((sim.latency, sim.fault_rate, sim.seed), (Duration::from_secs(1), 0.05, 7));
    let text = "providers: {openai: {url: \"http://[::1]:80/v1/\", headers: {X-Org: o}}}";
    let provider = policy(&gauntlet(text)).provider("openai").unwrap().clone();
    assert_eq!(provider.url, "http://[::1]:80/v1");
    assert_eq!(provider.headers[0].0, "x-org");
}

#[test]
fn models_expand_and_their_mistakes_are_told() {
    check_with_provider("models: {a: {targets: []}}", &["2:10: model `a` has no targets"]);
    check_with_provider("models: {a: }", &["model `a` has no targets"]);
    check_with_provider(
        "models: {a: opnai/gpt-4o}",
        &["target `opnai/gpt-4o` of model `a` names the unknown provider `opnai`; did you mean `openai`?"],
    );
    check_with_provider("models: {support: local/x, a: suport}", &["did you mean `support`?"]);
    check_with_provider(
        "models: {a: b, b: [local/x, c], c: a}",
        &["models go round in a circle: `a` → `b` → `c` → `a`; name a `provider/model` instead"],
    );
    check_with_provider("models: {a: a}", &["models go round in a circle: `a` → `a`"]);
    let policy = policy(&gauntlet(&format!(
        "{PROVIDER}models: {{all: [fast, openai/gpt-4o, local/x], fast: {{targets: [openai/gpt-4o-mini, local/x]}}}}"
    )));
    let choices = &policy.config().models["all"].choices;
    let all: Vec<String> = choices.iter().map(|choice| choice.target.to_string()).collect();
    assert_eq!(all, ["openai/gpt-4o-mini", "local/x", "openai/gpt-4o"]);
}

/// What a route does about its input.
fn actions(route: &Route) -> String {
    let own = route.guards.last().unwrap();
    let shown = own.rules.input.iter().map(|rule| format!("{} {}", rule.kind, rule.action.as_str()));
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn routes_inherit_field_by_field() {
    let text = format!(
        "{PROVIDER}{}",
        r#"
default: {input: {pii: redact, secrets: block}, cache: 10m, timeouts: {total: 60s}, fallback: sorry, limits: {rpm: 60}}
routes:
  plain: {}
  own: {input: {pii: off}, cache: off, timeouts: {connect: 1s}, on_disconnect: {drain_tokens: 500}, record: {bodies: false}, limits: {rpm: 90, queue: 5}}
  also: {cache: {ttl: 1h}, retry: off, unpriced: cap_tokens, max_tokens: 500, model: openai/gpt-4o}
"#
    );
    let policy = policy(&gauntlet(&text));
    let route = |name| policy.route(name).unwrap().clone();
    let (plain, own, also, default) = (route("plain"), route("own"), route("also"), route("default"));
    assert_eq!(actions(&plain), "pii redact, secrets block, injection flag");
    assert_eq!(actions(&own), "pii allow, secrets block, injection flag");
    assert_eq!(plain.cache, Some(CachePolicy::exact(Duration::from_secs(600))));
    assert_eq!(own.cache, None);
    assert_eq!(also.cache, Some(CachePolicy::exact(Duration::from_secs(3600))));
    assert_eq!((own.timeouts.total, own.timeouts.connect), (Duration::from_secs(60), Duration::from_secs(1)));
    assert_eq!(
        (own.on_disconnect, plain.on_disconnect),
        (OnDisconnect::DrainTokens(gauntlet_types::TokenCount(500)), OnDisconnect::Abort)
    );
    assert!(!own.record_bodies && plain.record_bodies);
    assert_eq!((also.retry.attempts, plain.retry.attempts), (1, 3));
    assert_eq!((also.unpriced, plain.unpriced), (Unpriced::CapTokens, Unpriced::Block));
    assert_eq!(default.fallback.as_deref(), Some("sorry"));
    assert_eq!((plain.limits.rpm, own.limits.rpm, own.limits.queue), (Some(60), Some(90), 5));
    let text = "routes:\n  a: &a {cache: 10m, max_tokens: 5}\n  b: {<<: *a, max_tokens: 7}\n";
    let merged = super::tests::policy(&gauntlet(text)).route("b").unwrap().clone();
    assert_eq!((merged.cache.is_some(), merged.max_tokens), (true, Some(gauntlet_types::TokenCount(7))));
    assert_eq!(policy.route("nope").map(|route| route.name.clone()), None);
}

#[test]
fn schemas_must_be_there_and_be_json() {
    let with = |schema: &str| {
        let mut sources = gauntlet("default: {output: {schema: schemas/reply.json}}");
        sources.schemas.push(("schemas/reply.json".into(), schema.into()));
        told(&sources)
    };
    compare(with("{}"), &[], "");
    compare(with("{"), &["schema `schemas/reply.json` of `default` is not JSON"], "");
    compare(with("3"), &["is not a JSON object"], "");
    let mut sources = gauntlet("default: {output: {schema: schemas/repli.json}}");
    sources.schemas.push(("schemas/reply.json".into(), "{}".into()));
    compare(told(&sources), &["was not found; did you mean `schemas/reply.json`?"], "");
}

#[test]
fn keys_are_checked() {
    let check = |key: &str, expected: &[&str]| {
        let text = format!(
            "{PROVIDER}routes: {{support_bot: {{}}}}\nmodels: {{support: local/x}}\nkeys:\n  - {key}\n"
        );
        super::tests::check(&text, expected);
    };
    check(
        "{name: app, key: a-key-of-decent-length, tenant: acme, routes: [support_bot, default], models: [support, gpt-4o, x]}",
        &[],
    );
    check("{key: a-key-of-decent-length, tenant: acme}", &["a key has no `name`"]);
    check("{name: app, tenant: acme}", &["5:5: key `app` has no `key`"]);
    check("{name: app, key: , tenant: acme}", &["key `app` has no `key`"]);
    check("{name: app, key: \"${EMPTY}\", tenant: acme}", &["key `app` has an empty `key`"]);
    check("{name: app, key: short, tenant: acme}", &["is shorter than 16 characters"]);
    check("{name: app, key: a-key-of-decent-length}", &["key `app` belongs to nobody"]);
    check(
        "{name: app, key: a-key-of-decent-length, tenant: a, routes: suport_bot}",
        &["names the unknown route `suport_bot`; did you mean `support_bot`?"],
    );
    check(
        "{name: app, key: a-key-of-decent-length, tenant: a, models: [nope/x/y/z, support]}",
        &["unknown model `nope/x/y/z`"],
    );
    check(
        "{name: app, key: a-key-of-decent-length, tenant: a, env: qa}",
        &["`env: qa` is not an environment"],
    );
    check(
        "{name: app, key: a-key-of-decent-length, tenant: a, expires: soon}",
        &["is not a date or an instant"],
    );
    check(
        "{name: app, key: a-key-of-decent-length, tenant: a}\n  - {name: app, key: another-key-of-decent-length, tenant: a}",
        &["6:12: two keys are called `app`, the first on line 5"],
    );
    check(
        "{name: app, key: a-key-of-decent-length, tenant: a}\n  - {name: web, key: a-key-of-decent-length, tenant: a}",
        &["key `web` has the same value as key `app`"],
    );
}

#[test]
fn a_key_grants_what_is_written() {
    let text = format!(
        "{PROVIDER}keys:\n  - {{name: app, key: \"${{APP_KEY}}\", tenant: acme, team: web, user: ann, env: production, \
         expires: 2027-01-31, limits: {{rpm: 5}}}}\n"
    );
    let policy = policy(&gauntlet(&text));
    let key = policy.keys().find("an-app-key-of-good-length").unwrap();
    assert_eq!((key.team.as_deref(), key.user.as_deref()), (Some("web"), Some("ann")));
    assert_eq!(key.environment, Some(Environment::Prod));
    assert_eq!(key.expires, Some(Day::parse("2027-01-31").unwrap().start()));
    let caller = Caller { tenant: "acme".into(), key: Some("app".into()), ..Caller::default() };
    let mut limits = Vec::new();
    policy.limits(&caller, "default", "gpt-4o", None, &mut limits);
    assert_eq!(limits.len(), 1);
    assert_eq!((limits[0].scope.clone(), limits[0].limits.rpm), (LimitScope::Key("app".into()), Some(5)));
}

#[test]
fn limits_of_all_files_meet_and_the_strictest_counts() {
    let sources = Sources {
        gauntlet: source(
            FILE,
            "providers: {openai: {}}\nmodels: {fast: openai/gpt-4o}\nroutes: {support_bot: {limits: {max_concurrency: 300}}}\n\
             limits: {tenants: {acme: {rpm: 10}}, models: {gpt-4o: {rpm: 4000}}, environments: {eval: {rpm: 1}}}",
        ),
        budgets: source(
            "budgets.yml",
            "models: {gpt-4o: {rpm: 3000, tpm: 120000}}\nroutes: {support_bot: {max_concurrency: 200}}",
        ),
        ..Sources::default()
    };
    let policy = policy(&sources);
    assert_eq!(policy.route("support_bot").unwrap().limits.max_concurrency, Some(200));
    let caller = Caller { tenant: "acme".into(), ..Caller::default() };
    let found = |model: &str, target: Option<&str>| {
        let mut out = Vec::new();
        policy.limits(&caller, "support_bot", model, target.and_then(Target::parse).as_ref(), &mut out);
        out.iter().map(|rule| (rule.scope.clone(), rule.limits.rpm)).collect::<Vec<_>>()
    };
    let tenant = (LimitScope::Tenant("acme".into()), Some(10));
    let route = (LimitScope::Route("support_bot".into()), None);
    let model = (LimitScope::Model("gpt-4o".into()), Some(3000));
    assert_eq!(found("fast", None), [tenant.clone(), route.clone()]);
    assert_eq!(found("fast", Some("openai/gpt-4o")), [tenant.clone(), route.clone(), model.clone()]);
    assert_eq!(found("gpt-4o", Some("openai/gpt-4o")), [tenant, route, model]);
}

#[test]
fn limits_of_nobody_are_told() {
    check_with_provider(
        "routes: {support_bot: {}}\nlimits: {routes: {suport_bot: {rpm: 1}}, models: {nope/x/y: {rpm: 1}}, tenants: {any: {rpm: 1}}}",
        &[
            "limit for the unknown route `suport_bot`; did you mean `support_bot`?",
            "limit for the unknown model `nope/x/y`",
        ],
    );
    check(
        "limits: {environments: {qa: {rpm: 1}}, route: {}}",
        &["unknown environment `qa`", "unknown field `route`"],
    );
}

/// As the founding document prints it, line by line.
#[test]
fn prices_stand_above_the_table() {
    let sources = Sources {
        gauntlet: source(
            FILE,
            "providers: {openai: {}, azure: {dialect: openai, url: \"https://x.openai.azure.com\"}, local: {dialect: openai, url: \"http://l:1\"}, sim: {}}",
        ),
        prices: source(
            "prices.yml",
            "\
gpt-4o-mini: {input: 0.10, output: 0.40}
azure/gpt-4o-mini: {input: 1, output: 2, cache_read: 0.5, long: {over: 1000, input: 2}}
local/smollm2: {free: true}",
        ),
        ..Sources::default()
    };
    let policy = policy(&sources);
    let input = |target: &str| {
        policy
            .price(&Target::parse(target).unwrap(), Timestamp(0))
            .map(|price| price.rates.input.as_usd_per_million())
    };
    assert_eq!(input("openai/gpt-4o-mini"), Some(0.10));
    assert_eq!(input("azure/gpt-4o-mini"), Some(1.0));
    assert_eq!(input("openai/gpt-4o"), Some(2.5));
    assert_eq!(input("azure/gpt-4o"), Some(2.5));
    assert_eq!(input("local/smollm2"), Some(0.0));
    assert_eq!(input("local/other"), None);
    assert_eq!(input("sim/anything"), Some(1.0));
    assert_eq!(input("nowhere/gpt-4o"), None);
    assert!(policy.price_version().starts_with("genai-prices-0.2.1+own-1+prices.yml:"));

    let told = |text: &str| {
        super::tests::told(&Sources { prices: source("prices.yml", text), ..Sources::default() })
    };
    compare(told("a: {input: 1}"), &["prices.yml:1:4: price of `a` has no `output`; write `output: 0`"], "");
    compare(told("a: {free: true, input: 1}"), &["is `free: true` and has `input` too"], "");
    compare(told("a: {}"), &["has neither `input` nor `output`"], "");
    compare(told("a: {input: -1, output: 1}"), &["`input: -1` is not a price"], "");
    compare(
        told("a: {input: 1, output: 1, outptu: 2}"),
        &["unknown field `outptu` in price of `a`; did you mean `output`?"],
        "",
    );
}

#[test]
fn a_policy_is_rebuilt_without_reading_again() {
    let policy = policy(&gauntlet(PROVIDER));
    assert!(policy.is_open());
    let key = crate::keys::KeyGrant {
        name: "made".into(),
        hash: crate::keys::KeyHash::of("secret"),
        hint: String::new(),
        tenant: "acme".into(),
        team: None,
        user: None,
        environment: None,
        routes: Vec::new(),
        models: Vec::new(),
        expires: None,
        revoked: Some(Timestamp(1)),
        source: crate::keys::KeySource::Store,
    };
    let with_key = policy.with_keys(vec![key]);
    assert!(!with_key.is_open() && with_key.keys().find("secret").is_some());
    assert!(with_key.with_keys(Vec::new()).is_open());
    let kill = KillEntry {
        scope: KillScope::Tenant,
        name: "acme".into(),
        reason: "drill".into(),
        since: Timestamp(0),
    };
    let killed = with_key.with_kills(Kills::new([kill]));
    assert!(
        killed.kills().hit("acme", "r", "m", None, None).is_some() && killed.keys().find("secret").is_some()
    );
    assert_eq!(killed.version(), policy.version());
    assert_ne!(super::tests::policy(&gauntlet("store: sqlite")).version(), policy.version());
    assert_eq!(NanoUsd::ZERO, NanoUsd(0));
}
