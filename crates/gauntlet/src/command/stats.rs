//! `gauntlet stats …`: the statistics of the gates on two columns of anyone's, so that they can be checked against a reference.

mod columns;

use std::process::ExitCode;

use anyhow::{Context, Result};
use gauntlet_stats::{
    Alternative, Bootstrap, BootstrapMethod, Bound, Correlation, CorrelationMethod, Interval, McnemarMethod,
    Method, NonInferiority, Options, Outcome, Weights, Zeros, bootstrap, cases_needed, cohen_kappa,
    kappa_bootstrap, kendall, mcnemar, mean_difference, minimum_detectable_effect, non_inferiority,
    paired_sd, pearson, spearman, wilcoxon,
};
use serde_json::{Map, Value, json};

use self::columns::Labels;
use crate::{
    cli::{GateQuestion, KappaOptions, MdeQuestion, Place, Resampling, Stats, WilcoxonOptions},
    show::{self, Column},
};

/// Names and values, in the order they are shown.
type Answer = Vec<(&'static str, Value)>;

pub fn run(place: &Place, command: &Stats) -> Result<ExitCode> {
    let answer = match command {
        Stats::Wilcoxon(options) => signed_ranks(options)?,
        Stats::Mcnemar { input, method } => {
            let columns = columns::numbers(input)?;
            let method = if method == "exact" { McnemarMethod::Exact } else { McnemarMethod::ChiSquare };
            let found = mcnemar(&columns.first, &columns.second, method)?;
            vec![
                ("n", json!(found.n)),
                ("lost", json!(found.lost)),
                ("won", json!(found.won)),
                ("statistic", json!(found.statistic)),
                ("p_value", json!(found.p_value)),
                ("mean_difference", json!(columns.mean_difference())),
            ]
        }
        Stats::Bootstrap { input, clusters, method, resampling, confidence } => {
            let columns = columns::clustered(input, clusters)?;
            mean_interval(&columns, method, resampling, *confidence)?
        }
        Stats::Kappa(options) => kappa(options)?,
        Stats::Spearman { input, method, confidence } => {
            let columns = columns::numbers(input)?;
            let method = if method == "exact" { CorrelationMethod::Exact } else { CorrelationMethod::T };
            correlation("rho", &spearman(&columns.first, &columns.second, method, *confidence)?, "t")
        }
        Stats::Pearson { input, confidence } => {
            let columns = columns::numbers(input)?;
            correlation("r", &pearson(&columns.first, &columns.second, *confidence)?, "t")
        }
        Stats::Kendall { input, confidence } => {
            let columns = columns::numbers(input)?;
            correlation("tau", &kendall(&columns.first, &columns.second, *confidence)?, "approx")
        }
        Stats::Gate(question) => return gate(place, question),
        Stats::Mde(question) => detectable(question)?,
    };
    print(place, answer);
    Ok(ExitCode::SUCCESS)
}

fn print(place: &Place, answer: Answer) {
    if place.json {
        show::json(&Value::Object(
            answer.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
        ));
        return;
    }
    let rows = answer.iter().map(|(name, value)| vec![name.replace('_', " "), shown(value)]).collect();
    show::table(&[Column::Left("what"), Column::Right("value")], rows, "nothing");
}

fn shown(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() && number != 0.0 && number.abs() < 1e-4 => format!("{number:.2e}"),
        // 0.0 is added so that −0 is 0.
        Some(number) if value.is_f64() => format!("{:.4}", number + 0.0),
        _ => show::text(value),
    }
}

fn signed_ranks(options: &WilcoxonOptions) -> Result<Answer> {
    let columns = columns::numbers(&options.input)?;
    let asked = Options {
        zeros: match options.zeros.as_str() {
            "pratt" => Zeros::Pratt,
            "zsplit" => Zeros::Zsplit,
            _ => Zeros::Wilcox,
        },
        alternative: match options.alternative.as_str() {
            "less" => Alternative::Less,
            "greater" => Alternative::Greater,
            _ => Alternative::TwoSided,
        },
        method: match options.method.as_str() {
            "exact" => Method::Exact,
            "approx" => Method::Approx,
            _ => Method::Auto,
        },
        continuity: options.continuity,
    };
    let found = wilcoxon(&columns.first, &columns.second, asked)?;
    Ok(vec![
        ("n", json!(found.n)),
        ("n_nonzero", json!(found.n_nonzero)),
        ("statistic", json!(found.statistic)),
        ("p_value", json!(found.p_value)),
        ("method", json!(if found.exact { "exact" } else { "approx" })),
        ("alternative", json!(options.alternative)),
        ("mean_difference", json!(columns.mean_difference())),
    ])
}

fn mean_interval(
    columns: &columns::Numbers,
    method: &str,
    resampling: &Resampling,
    confidence: f64,
) -> Result<Answer> {
    let differences = columns.differences()?;
    let Resampling { resamples, seed } = *resampling;
    let drawn = |method| bootstrap(&differences, &Bootstrap { method, resamples, confidence, seed });
    let interval = match method {
        "percentile" => drawn(BootstrapMethod::Percentile)?,
        "t" => mean_difference(&differences, confidence)?.interval,
        _ => drawn(BootstrapMethod::Bca)?,
    };
    let mut answer = vec![
        ("n", json!(columns.first.len())),
        ("clusters", json!(columns.clusters())),
        ("mean_difference", json!(columns.mean_difference())),
    ];
    answer.extend(ends(Some(interval)));
    answer.extend([("sd", json!(paired_sd(&differences)?)), ("confidence", json!(confidence))]);
    answer.push(("method", json!(method)));
    if method != "t" {
        answer.extend([("resamples", json!(resamples)), ("seed", json!(seed))]);
    }
    Ok(answer)
}

fn ends(interval: Option<Interval>) -> [(&'static str, Value); 2] {
    [("ci_low", json!(interval.map(|ends| ends.low))), ("ci_high", json!(interval.map(|ends| ends.high)))]
}

fn kappa(options: &KappaOptions) -> Result<Answer> {
    let Labels { first, second } = columns::labels(&options.input)?;
    let weights = match options.weights.as_str() {
        "linear" => Weights::Linear,
        "quadratic" => Weights::Quadratic,
        _ => Weights::Unweighted,
    };
    let found = cohen_kappa(&first, &second, weights, options.confidence)?;
    let interval = if options.method == "bootstrap" {
        let Resampling { resamples, seed } = options.resampling;
        let drawn = Bootstrap { resamples, seed, confidence: options.confidence, ..Bootstrap::default() };
        Some(kappa_bootstrap(&first, &second, weights, &drawn)?)
    } else {
        found.interval
    };
    let mut answer =
        vec![("n", json!(found.n)), ("categories", json!(found.categories)), ("kappa", json!(found.kappa))];
    answer.extend(ends(interval));
    answer.extend([
        ("standard_error", json!(found.standard_error)),
        ("observed", json!(found.observed)),
        ("expected", json!(found.expected)),
        ("weights", json!(options.weights)),
        ("confidence", json!(options.confidence)),
    ]);
    if interval.is_none() {
        let why = "no interval: these cases agree or disagree without a spread, so add cases";
        answer.push(("note", json!(why)));
    }
    Ok(answer)
}

/// `else_by` is where the p-value comes from when it is not exact.
fn correlation(name: &'static str, found: &Correlation, else_by: &str) -> Answer {
    let mut answer = vec![
        ("n", json!(found.n)),
        (name, json!(found.coefficient)),
        ("statistic", json!(found.coefficient)),
        ("p_value", json!(found.p_value)),
        ("method", json!(if found.exact { "exact" } else { else_by })),
    ];
    answer.extend(ends(Some(found.interval)));
    answer
}

fn gate(place: &Place, question: &GateQuestion) -> Result<ExitCode> {
    let columns = columns::clustered(&question.input, &question.clusters)?;
    columns.are_shares()?;
    let asked = NonInferiority {
        alpha: question.alpha,
        bound: if question.bound == "student" { Bound::Student } else { Bound::Bounded },
        ..NonInferiority::with_margin(question.margin)
    };
    let found = non_inferiority(&columns.differences()?, &asked)?;
    let (verdict, code) = match found.outcome {
        Outcome::Pass => ("pass", 0),
        Outcome::Fail => ("fail", 1),
        Outcome::Inconclusive => ("inconclusive", 3),
    };
    print(
        place,
        vec![
            ("verdict", json!(verdict)),
            ("n", json!(found.n)),
            ("clusters", json!(found.clusters)),
            ("mean_difference", json!(found.mean)),
            ("lower", json!(found.lower)),
            ("upper", json!(found.upper)),
            ("margin", json!(question.margin)),
            ("alpha", json!(question.alpha)),
            ("p_inferior", json!(found.p_inferior)),
            ("p_worse", json!(found.p_worse)),
            ("mde", json!(found.mde)),
            ("more_cases", json!(found.more_cases)),
        ],
    );
    Ok(ExitCode::from(code))
}

fn detectable(question: &MdeQuestion) -> Result<Answer> {
    let MdeQuestion { n, effect, sd, alpha, power } = *question;
    let (n, effect) = match (n, effect) {
        (Some(n), _) => (n, minimum_detectable_effect(n, sd, alpha, power)?),
        (None, effect) => {
            let effect = effect.context("give --n or --effect")?;
            (cases_needed(effect, sd, alpha, power)?, effect)
        }
    };
    Ok(vec![
        ("n", json!(n)),
        ("mde", json!(effect)),
        ("sd", json!(sd)),
        ("alpha", json!(alpha)),
        ("power", json!(power)),
    ])
}
