//! `budgets.yml`: its forms, its mistakes, and what a call is charged.

use super::*;

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
            loaded.policy.budget_rules().iter().map(|rule| (rule.name.to_string(), rule.cap.0)).collect();
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
        "models: {gpt-4o: {per_user_daily_usd: 1}}",
        &["unknown field `per_user_daily_usd` in budget `models.gpt-4o`"],
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
routes: {support_bot: {daily_usd: 50, per_user_daily_usd: 0.30, per_conv_cap_usd: 0.06}}
tenants: {acme: {monthly_usd: 500}}
environments: {eval: {daily_usd: 9}}",
        ),
        ..Sources::default()
    };
    let policy = policy(&sources);
    let day = Day::parse("2026-02-10").unwrap();
    let charged = |caller: &Caller, route: &str, model: &str, target: &str| {
        let mut out = Vec::new();
        policy.charges(caller, route, model, &Target::parse(target).unwrap(), day, &mut out);
        out.into_iter()
            .map(|(charge, cap)| {
                let period = charge.period.map(|day| day.to_string()).unwrap_or_default();
                format!("{} {} {period} {cap}", charge.scope, charge.key)
            })
            .collect::<Vec<_>>()
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
            "model_daily gpt-4o 2026-02-10 75.00",
            "model_daily fast 2026-02-10 5.00",
            "model_total openai/gpt-4o  1000.00",
            "route_daily support_bot 2026-02-10 50.00",
            "route_user_daily support_bot/ann 2026-02-10 0.30",
            "route_conversation support_bot/s%2F1  0.06",
        ]
    );
    assert_eq!(charged(&ann, "default", "gpt-4o", "azure/gpt-4o"), ["model_daily gpt-4o 2026-02-10 75.00"]);
    let nobody = Caller { tenant: "acme".into(), environment: Environment::Eval, ..Caller::default() };
    assert_eq!(
        charged(&nobody, "support_bot", "o1", "openai/o1"),
        [
            "route_daily support_bot 2026-02-10 50.00",
            "route_user_daily support_bot/acme/anonymous 2026-02-10 0.30",
            "route_conversation support_bot/acme/anonymous:no-session 2026-02-10 0.06",
            "tenant_monthly acme 2026-02-28 500.00",
            "environment_daily eval 2026-02-10 9.00",
        ]
    );
}
