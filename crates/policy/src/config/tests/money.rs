//! `budgets.yml`: its forms, its mistakes, and what a call is charged.

use super::*;
use crate::budget::Draw;

const LOST: &str = "models:\ngpt-4o:\ndaily_usd 75\ntpm 120000\nrpm 3000\nroutes:\nsupport_bot:\nper_user_daily_usd 0.30\n\
                    per_conv_cap_usd 0.06\nmax_concurrency 200\nalerts:\nslack_channel llm-spend notify_over 80%\n";

const PROPER: &str = "models:\n  gpt-4o:\n    daily_usd: 75\n    tpm: 120000\n    rpm: 3000\nroutes:\n  support_bot:\n    \
                      per_user_daily_usd: 0.30\n    per_conv_cap_usd: 0.06\n    max_concurrency: 200\n";

#[test]
fn the_founding_budgets_load_in_every_form() {
    let map = format!("{PROPER}alerts:\n  slack_channel: \"#llm-spend\"\n  notify_over: 80%\n");
    let list = format!("{PROPER}alerts:\n  - slack_channel: llm-spend\n    notify_over: 0.8\n");
    let named = format!("budgets.yml:\n{LOST}");
    for text in [LOST, &map, &list, &named] {
        let sources = Sources {
            gauntlet: source(FILE, "providers: {openai: {}}\nroutes: {support_bot: {}}"),
            budgets: source("budgets.yml", text),
            ..Sources::default()
        };
        let loaded = load_all(&sources)
            .unwrap_or_else(|mistakes| panic!("{}", crate::check::render(&mistakes, &sources)));
        assert_eq!(loaded.warnings, [], "{text}");
        let rules: Vec<_> =
            loaded.policy.budget_rules().iter().map(|rule| (rule.name.to_string(), rule.cap)).collect();
        let expected = [
            ("models.gpt-4o.daily_usd", 75_000_000_000),
            ("routes.support_bot.per_user_daily_usd", 300_000_000),
            ("routes.support_bot.per_conv_cap_usd", 60_000_000),
        ];
        assert_eq!(rules, expected.map(|(name, cap)| (name.to_owned(), cap)), "{text}");
        assert_eq!(loaded.policy.route("support_bot").unwrap().limits.max_concurrency, Some(200));
        let alert = &loaded.policy.alerts()[0];
        assert_eq!((alert.slack_channel.as_deref(), alert.notify_over_percent), (Some("llm-spend"), 80));
    }
    check_budgets(LOST, &[]);
    check_budgets(
        "models:\ngpt-4o:\ndaily_usd much\n",
        &["budgets.yml:3:11: `daily_usd: much` is not an amount"],
    );
    check_budgets(
        "models:\ngpt-4o:\ndaily_usd 5\ndayly_usd 5\n",
        &["budgets.yml:4:1: unknown field `dayly_usd`"],
    );
    check_budgets(
        "models:\n  gpt-4o:\n    daily_usd 5\n    rpm: 7 # a comment\nalerts:\n  - notify_over 5%\n",
        &[],
    );
    check_budgets(
        "models: {gpt-4o: {rpm: 7}}\nroutes:\n  support_bot:\n    daily_usd 5\n",
        &["budgets.yml:4:5: budget `routes.support_bot` must be a map of fields"],
    );
    check_budgets("daily_usd 5\n", &["budgets.yml:1:1: unknown field `daily_usd`"]);
}

#[test]
fn budgets_are_checked() {
    check_budgets(
        "models: {gpt-4o: {daily_usd: -1}}",
        &["`daily_usd: -1` is not an amount in USD from 0 up"],
    );
    check_budgets(
        "users: {ann: {per_user_daily_usd: 1}}",
        &["unknown field `per_user_daily_usd` in budget `users.ann`"],
    );
    check_budgets("modles: {}", &["did you mean `models`?"]);
    check_budgets(
        "models: {gpt-40: {daily_usd: 1}, gpt-4o: {daily_usd: 1}}\nroutes: {suport_bot: {daily_usd: 1}}",
        &[
            "budgets.yml:1:10: budget for the unknown model `gpt-40`; it takes effect once",
            "budget for the unknown route `suport_bot`; did you mean `support_bot`?",
        ],
    );
    check_budgets(
        "environments: {qa: {daily_usd: 1}, eval: {monthly_usd: 100}}",
        &["unknown environment `qa`"],
    );
    check_budgets("alerts: {slack_chanel: x}", &["did you mean `slack_channel`?"]);
    check_budgets(
        "models:\n  gpt-4o: {daily_usd: 1}\n  gpt-4o: {daily_usd: 2}",
        &["budgets.yml:3:3: `gpt-4o` is given twice"],
    );
}

#[test]
fn caps_that_cannot_be_meant_are_refused() {
    check_budgets(
        "tenants: {acme: {daily_usd: 5, caps: [{usd: 6, window: daily}]}}",
        &[
            "budgets.yml:1:39: `tenants.acme.caps[0]` caps the same as `tenants.acme.daily_usd` in line 1; keep one",
        ],
    );
    check_budgets(
        "routes: {support_bot: {per_conv_cap_usd: 1, per_conversation_usd: 2}}",
        &["caps the same as `routes.support_bot.per_conv_cap_usd`"],
    );
    check_budgets(
        "tenants: {acme: {caps: [{usd: 5}, {window: daily}, {usd: 1, tokens: 2, window: daily}, {usd: 1, window: hourly}]}}",
        &[
            "`tenants.acme.caps[0]` has no `window`; write for example",
            "`tenants.acme.caps[1]` caps not exactly one thing",
            "`tenants.acme.caps[2]` caps not exactly one thing",
            "`window: hourly` is not a window; write `daily`",
        ],
    );
    check_budgets(
        "tenants: {acme: {caps: [{tokens: -5, window: daily}]}}",
        &["`tokens: -5` is not a whole number"],
    );
    check_budgets("tenants: {acme: {caps: 5}}", &["`caps` of budget `tenants.acme` must be a list"]);
    check_budgets(
        "tenants: {acme: {caps: [{usd: 1, per: call, window: daily}, {requests: 1, per: call}]}}",
        &["a cap per call has no window", "caps the requests of one request"],
    );
    check_budgets(
        "routes: {support_bot: {per_user_daily_usd: {ann: 2}}}",
        &["says nothing of users that it does not name; write `\"*\": 0.30` beside"],
    );
    check_budgets("tenants: {acme: {daily_usd: {ann: 2}}}", &["`daily_usd` must be a single value"]);
    check_budgets("tenants: {acme: {timezone: Mars/Olympus}}", &["`timezone: Mars/Olympus` is not known"]);
    check_budgets("defaults: {alert_at: [10, 20, 30, 40, 50]}", &["`alert_at` has 5 steps; name at most 4"]);
    check_budgets(
        "tenants: {acme: {daily_usd: 1, at_limit: {downgrade: gpt-4p}}, b: {at_limit: {answer: a, queue: 1s}}, c: {at_limit: stop}}",
        &[
            "`downgrade` names the unknown model `gpt-4p`; write a name of `models`",
            "`at_limit` says not exactly one thing",
            "`at_limit: stop` is not known; write one of `block`",
        ],
    );
    check_budgets("tenants: {acme: {at_limit: {queue: 2h}}}", &["longer than an hour"]);
    check_budgets(
        "models: {gpt-4o: {daily_usd: 1, at_limit: {downgrade: gpt-4o}}}",
        &["turns to `gpt-4o` itself"],
    );
    check_budgets(
        "models:\n  gpt-4o: {daily_usd: 1, at_limit: {downgrade: gpt-4o-mini}}\n  gpt-4o-mini: {daily_usd: 1, at_limit: {downgrade: gpt-4o}}",
        &["full budgets turn in a circle: `gpt-4o` → `gpt-4o-mini` → `gpt-4o`; let the last of them block"],
    );
    check_budgets(
        "providers: {opnai: {daily_usd: 1}}\nvariants: {x/a: {daily_usd: 1}}",
        &[
            "budget for the unknown provider `opnai`; did you mean `openai`?",
            "this version runs no experiments",
        ],
    );
    check_budgets("environments: {eval: {modles: {}}}", &["did you mean `models`?"]);
    check_budgets("tenants: {\"*\": {rpm: 5}}", &["unknown field `rpm` in budget `tenants.*`"]);
}

/// What a call draws: `scope key period cap`.
fn drawn(
    policy: &Policy,
    caller: &Caller,
    route: &str,
    model: &str,
    target: &str,
    prompt: Option<&str>,
) -> Vec<String> {
    let at = Timestamp(Day::parse("2026-02-10").unwrap().start().0 + 23 * 3_600_000_000 + 1_800_000_000);
    let target = Target::parse(target).unwrap();
    let facts = CallFacts { caller, route, model, target: &target, prompt, variant: None, at };
    let (mut out, mut per_call) = (Vec::new(), Vec::new());
    policy.draws(&facts, &mut out, &mut per_call);
    let show = |draw: &Draw, is_call: bool| {
        let charge = &draw.charge;
        let period = charge.period.map(|day| day.to_string()).unwrap_or_default();
        let part = if charge.part > 0 { format!("#{}", charge.part) } else { String::new() };
        let cap = crate::budget::show(charge.measure, draw.cap.amount);
        assert_eq!(draw.cap.rolling, rolling_of(&charge.scope), "{}", charge.scope);
        if !is_call {
            assert_eq!(policy.cap_of(charge), Some(draw.cap.amount), "{} {}", charge.scope, charge.key);
        }
        format!("{} {} {period}{part} {cap}", charge.scope, charge.key)
    };
    out.iter().map(|draw| show(draw, false)).chain(per_call.iter().map(|draw| show(draw, true))).collect()
}

#[test]
fn a_call_is_charged_by_every_rule_that_matches_once() {
    let sources = Sources {
        gauntlet: source(
            FILE,
            "providers: {openai: {}, azure: {dialect: openai}}\nmodels: {gpt-4o: openai/gpt-4o, fast: openai/gpt-4o}\nroutes: {support_bot: {}}",
        ),
        budgets: source(
            "budgets.yml",
            "\
models: {gpt-4o: {daily_usd: 75}, openai/gpt-4o: {total_usd: 1000}, fast: {daily_usd: 5}}
routes: {support_bot: {daily_usd: 50, per_user_daily_usd: {\"*\": 0.30, bob: 2}, per_conv_cap_usd: 0.06}}
tenants: {acme: {monthly_usd: 500}}
environments: {eval: {daily_usd: 9, routes: {support_bot: {daily_usd: 1}}}}",
        ),
        ..Sources::default()
    };
    let policy = policy(&sources);
    let charged = |caller: &Caller, route: &str, model: &str, target: &str| {
        drawn(&policy, caller, route, model, target, None)
    };
    let ann = Caller {
        tenant: "default".into(),
        user: Some("ann".into()),
        session: Some("s/1".into()),
        ..Caller::default()
    };
    assert_eq!(
        charged(&ann, "support_bot", "fast", "openai/gpt-4o"),
        [
            "model_daily gpt-4o 2026-02-10 75.00 USD",
            "model_daily fast 2026-02-10 5.00 USD",
            "model_total openai/gpt-4o  1000.00 USD",
            "route_daily support_bot 2026-02-10 50.00 USD",
            "route_user_daily support_bot/ann 2026-02-10 0.30 USD",
            "route_conversation support_bot/s%2F1  0.06 USD",
        ]
    );
    assert_eq!(
        charged(&ann, "default", "gpt-4o", "azure/gpt-4o"),
        ["model_daily gpt-4o 2026-02-10 75.00 USD"]
    );
    let bob = Caller { user: Some("bob".into()), ..ann.clone() };
    assert_eq!(
        charged(&bob, "support_bot", "x", "azure/x")[1],
        "route_user_daily support_bot/bob 2026-02-10 2.00 USD"
    );
    let nobody = Caller { tenant: "acme".into(), environment: Environment::Eval, ..Caller::default() };
    assert_eq!(
        charged(&nobody, "support_bot", "o1", "openai/o1"),
        [
            "route_user_daily:eval support_bot/acme/anonymous 2026-02-10 0.30 USD",
            "route_conversation:eval support_bot/acme/anonymous:no-session 2026-02-10 0.06 USD",
            "route_daily:eval support_bot 2026-02-10 1.00 USD",
            "tenant_monthly:eval acme 2026-02-28 500.00 USD",
            "environment_daily eval 2026-02-10 9.00 USD",
        ]
    );
}

#[test]
fn every_scope_window_and_measure_has_its_budget() {
    let sources = Sources {
        gauntlet: source(FILE, "providers: {openai: {}}\nroutes: {support_bot: {}}"),
        budgets: source(
            "budgets.yml",
            "\
defaults: {alert_at: [50, 90%], timezone: Europe/Berlin}
models: {\"*\": {daily_tokens: 1_000_000}}
providers: {openai: {yearly_usd: 10000}}
tenants:
  \"*\": {daily_usd: 20, weekly_requests: 500}
  acme: {daily_usd: 100, caps: [{usd: 5, window: rolling 24h, at_limit: {queue: 10s}, timezone: UTC}]}
teams: {red: {quarterly_usd: 7}}
keys: {app: {total_requests: 9}}
users: {\"*\": {daily_usd: 1}, ann: {daily_usd: 3}}
sessions: {\"*\": {total_tokens: 5000}}
tags: {vip: {monthly_usd: 2}, \"*\": {monthly_usd: 1}}
prompts: {support-agent: {daily_usd: 8}}
routes: {support_bot: {per_call_usd: 0.05, per_call_tokens: 9000}}
everything: {monthly_usd: 999}",
        ),
        ..Sources::default()
    };
    let policy = policy(&sources);
    let ann = Caller {
        tenant: "acme".into(),
        team: Some("red".into()),
        key: Some("app".into()),
        user: Some("ann".into()),
        session: Some("s1".into()),
        tags: vec!["vip".into(), "a/b".into(), "vip".into()],
        ..Caller::default()
    };
    assert_eq!(
        drawn(&policy, &ann, "support_bot", "gpt-4o", "openai/gpt-4o", Some("support-agent")),
        [
            "model_daily_tokens gpt-4o 2026-02-11 1000000 tokens",
            "provider_yearly openai 2026-12-31 10000.00 USD",
            "tenant_weekly_requests acme 2026-02-15 500 requests",
            "tenant_daily acme 2026-02-11 100.00 USD",
            "tenant_rolling_1d acme 2026-02-10#23 5.00 USD",
            "team_quarterly red 2026-03-31 7.00 USD",
            "key_total_requests app  9 requests",
            "user_daily ann 2026-02-11 3.00 USD",
            "session_total_tokens acme/s1  5000 tokens",
            "tag_monthly vip 2026-02-28 2.00 USD",
            "tag_monthly a/b 2026-02-28 1.00 USD",
            "prompt_daily support-agent 2026-02-11 8.00 USD",
            "everything_monthly all 2026-02-28 999.00 USD",
            "route_call support_bot  0.05 USD",
            "route_call_tokens support_bot  9000 tokens",
        ]
    );
    let bob = Caller { tenant: "globex".into(), user: Some("bob".into()), ..Caller::default() };
    assert_eq!(
        drawn(&policy, &bob, "default", "gpt-4o", "openai/gpt-4o", None)[2..5],
        [
            "tenant_daily globex 2026-02-11 20.00 USD",
            "tenant_weekly_requests globex 2026-02-15 500 requests",
            "user_daily globex/bob 2026-02-11 1.00 USD",
        ]
    );
    let rolling = policy.budget_rules().iter().find(|rule| rule.name == "tenants.acme.caps[0]").unwrap();
    assert_eq!(
        (&rolling.at_limit, rolling.steps),
        (&AtLimit::Queue(Duration::from_secs(10)), [50, 90, 0, 0])
    );
}

#[test]
fn replicas_meet_at_a_shared_store() {
    let shared = |text: &str| {
        let sources = Sources { gauntlet: source(FILE, text), ..Sources::default() };
        load_all(&sources).map(|loaded| loaded.policy.config().server.shared.clone().unwrap())
    };
    let short = shared("shared: redis://cache:6379/1").unwrap();
    assert_eq!(
        (short.url.expose(), short.lease, short.on_store_down),
        ("redis://cache:6379/1", Duration::from_secs(5), OnStoreDown::Block)
    );
    let long = shared("shared: {url: \"postgres://u:p@db/g\", lease: 8s, on_store_down: local}").unwrap();
    assert_eq!((long.lease, long.on_store_down), (Duration::from_secs(8), OnStoreDown::Local));
    for (text, mistake) in [
        ("shared: memcached://x", "is not an address of a shared store"),
        ("shared: {lease: 5s}", "`shared` has no `url`"),
        ("shared: {url: redis://x, lease: 1s}", "is not from 2s to 10m"),
    ] {
        let mistakes = shared(text).unwrap_err();
        assert!(mistakes.iter().any(|one| one.to_string().contains(mistake)), "{mistakes:?}");
    }
}
