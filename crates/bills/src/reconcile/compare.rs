//! Ours beside theirs.

use std::collections::BTreeMap;

use gauntlet_ports::SpendRow;
use gauntlet_types::{Day, NanoUsd};
use serde::Serialize;

use super::read::{ALL_MODELS, Export};

/// Rows of a report, which is kept and read: a month of sixty models.
const ROWS_MAX: usize = 2_000;

/// What a provider may say of a day and model; none where it does not.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Figures {
    /// All input, cached included.
    pub tokens_in: Option<u64>,
    pub tokens_cached: Option<u64>,
    pub tokens_out: Option<u64>,
    pub requests: Option<u64>,
    pub cost: Option<NanoUsd>,
}

impl Figures {
    pub fn add(&mut self, more: &Figures) {
        fn plus<T>(sum: &mut Option<T>, more: Option<T>, plus: impl Fn(T, T) -> T)
        where
            T: Copy,
        {
            *sum = match (*sum, more) {
                (Some(sum), Some(more)) => Some(plus(sum, more)),
                (sum, more) => sum.or(more),
            };
        }
        plus(&mut self.tokens_in, more.tokens_in, u64::saturating_add);
        plus(&mut self.tokens_cached, more.tokens_cached, u64::saturating_add);
        plus(&mut self.tokens_out, more.tokens_out, u64::saturating_add);
        plus(&mut self.requests, more.requests, u64::saturating_add);
        plus(&mut self.cost, more.cost, NanoUsd::plus);
    }

    /// What a provider saw of our calls: those that our own cache answered are not among them.
    fn of(row: &SpendRow) -> Figures {
        let requests = row.calls.saturating_sub(row.cache_hits).saturating_sub(row.refused);
        Figures {
            tokens_in: Some(row.tokens_in.saturating_sub(row.spared_in)),
            tokens_cached: Some(row.tokens_cached.saturating_sub(row.spared_cached)),
            tokens_out: Some(row.tokens_out.saturating_sub(row.spared_out)),
            requests: Some(requests),
            cost: Some(row.corrected),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rules {
    /// Beyond this a figure drifts.
    pub threshold_percent: f64,
    /// Amounts nearer than this agree: providers round to cents.
    pub cost_slack: NanoUsd,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { threshold_percent: 0.5, cost_slack: NanoUsd(5_000_000) }
    }
}

/// One figure of both.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Pair {
    pub name: &'static str,
    /// Tokens, requests, or nano-dollars.
    pub ours: i64,
    pub theirs: i64,
    /// Of theirs; none where theirs is nothing and ours is not.
    pub drift_percent: Option<f64>,
    pub is_drift: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// None in the sum of all days.
    pub day: Option<String>,
    pub model: String,
    pub figures: Vec<Pair>,
    pub is_drift: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    pub from: String,
    pub to: String,
    pub threshold_percent: f64,
    /// Whether any row drifts.
    pub is_drift: bool,
    /// By day and model.
    pub rows: Vec<Row>,
    /// By model over all days.
    pub totals: Vec<Row>,
    pub notes: Vec<String>,
}

/// Compares what the export says with our sums of the same days; figures that it leaves out are not compared.
///
/// `ours` are rows of spend by day and model at this provider. Models are one when they differ in the date of their
/// snapshot alone (`gpt-4o-2024-08-06` is billed for `gpt-4o`).
pub fn compare(export: &Export, ours: &[SpendRow], rules: &Rules) -> Report {
    let mut sides: BTreeMap<(Day, String), (Figures, Figures)> = BTreeMap::new();
    for ((day, model), figures) in &export.rows {
        sides.entry((*day, base(model).to_owned())).or_default().1.add(figures);
    }
    // What the export never says of anything is no figure of zero.
    let (mut said, mut said_of_all) = (Figures::default(), Figures::default());
    for ((_, model), figures) in &export.rows {
        if model == ALL_MODELS { said_of_all.add(figures) } else { said.add(figures) }
    }
    let names_models = export.rows.keys().any(|(_, model)| model != ALL_MODELS);
    let names_none = export.rows.keys().any(|(_, model)| model == ALL_MODELS);
    for row in ours {
        let [day, model] = &row.keys[..] else { continue };
        let Some(day) = Day::parse(day).filter(|day| *day >= export.from && *day <= export.to) else {
            continue;
        };
        let figures = Figures::of(row);
        // Refusals and hits of our cache alone are nothing that a provider could know.
        if figures.requests == Some(0) && figures.cost == Some(NanoUsd::ZERO) && figures.tokens_in == Some(0)
        {
            continue;
        }
        if names_models || !names_none {
            sides.entry((day, base(model).to_owned())).or_default().0.add(&figures);
        }
        if names_none {
            sides.entry((day, ALL_MODELS.to_owned())).or_default().0.add(&figures);
        }
    }
    let mut totals: BTreeMap<String, (Figures, Figures)> = BTreeMap::new();
    for ((_, model), (our, their)) in &sides {
        let total = totals.entry(model.clone()).or_default();
        total.0.add(our);
        total.1.add(their);
    }
    let row = |day: Option<Day>, model: String, (our, their): (Figures, Figures)| {
        let figures = pairs(&our, &their, if model == ALL_MODELS { &said_of_all } else { &said }, rules);
        let is_drift = figures.iter().any(|pair| pair.is_drift);
        Row { day: day.map(|day| day.to_string()), model, figures, is_drift }
    };
    let rows: Vec<Row> = sides.into_iter().map(|((day, model), both)| row(Some(day), model, both)).collect();
    let totals: Vec<Row> = totals.into_iter().map(|(model, both)| row(None, model, both)).collect();
    let mut report = Report {
        from: export.from.to_string(),
        to: export.to.to_string(),
        threshold_percent: rules.threshold_percent,
        is_drift: rows.iter().any(|row| row.is_drift),
        rows,
        totals,
        notes: export.notes.clone(),
    };
    let left_out = bound(&mut report.rows) + bound(&mut report.totals);
    if left_out > 0 {
        report.notes.push(format!("{left_out} rows are left out here; those that drift stand first"));
    }
    report
}

/// Cuts a list that nobody would read through to its drifting rows, and says how many rows went.
fn bound(rows: &mut Vec<Row>) -> usize {
    let left_out = rows.len().saturating_sub(ROWS_MAX);
    if left_out > 0 {
        rows.sort_by_key(|row| !row.is_drift);
        rows.truncate(ROWS_MAX);
    }
    left_out
}

fn pairs(our: &Figures, their: &Figures, said: &Figures, rules: &Rules) -> Vec<Pair> {
    let whole = |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    let money = |amount: Option<NanoUsd>| amount.map(|amount| amount.0);
    let all = [
        ("tokens_in", whole(our.tokens_in), whole(their.tokens_in), said.tokens_in.is_some(), 0),
        (
            "tokens_cached",
            whole(our.tokens_cached),
            whole(their.tokens_cached),
            said.tokens_cached.is_some(),
            0,
        ),
        ("tokens_out", whole(our.tokens_out), whole(their.tokens_out), said.tokens_out.is_some(), 0),
        ("requests", whole(our.requests), whole(their.requests), said.requests.is_some(), 0),
        ("cost", money(our.cost), money(their.cost), said.cost.is_some(), rules.cost_slack.0),
    ];
    all.into_iter()
        .filter(|(.., is_said, _)| *is_said)
        .map(|(name, ours, theirs, _, slack)| {
            let (ours, theirs) = (ours.unwrap_or(0), theirs.unwrap_or(0));
            let apart = ours.saturating_sub(theirs);
            let drift_percent = match theirs {
                0 if ours == 0 => Some(0.0),
                0 => None,
                theirs => Some(apart as f64 * 100.0 / theirs as f64),
            };
            let is_beyond = drift_percent.is_none_or(|drift| drift.abs() > rules.threshold_percent);
            Pair { name, ours, theirs, drift_percent, is_drift: is_beyond && apart.abs() > slack }
        })
        .collect()
}

/// A model's name without the date of its snapshot: `gpt-4o` of `gpt-4o-2024-08-06`, `claude-haiku-4-5` of
/// `claude-haiku-4-5-20251001` and of `claude-haiku-4-5-latest`.
pub(crate) fn base(model: &str) -> &str {
    let digits = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text
                .bytes()
                .zip(shape.bytes())
                .all(|(c, s)| if s == b'0' { c.is_ascii_digit() } else { c == s })
    };
    if let Some(base) = model.strip_suffix("-latest").filter(|base| !base.is_empty()) {
        return base;
    }
    for shape in ["-0000-00-00", "-00000000", "@00000000"] {
        let Some(at) = model.len().checked_sub(shape.len()).filter(|at| *at > 0) else { continue };
        if model.is_char_boundary(at) && digits(&model[at..], shape) {
            return &model[..at];
        }
    }
    model
}

#[cfg(test)]
mod tests {
    use super::{super::read, *};

    fn ours(day: &str, model: &str, calls: u64, tokens_in: u64, cost: i64) -> SpendRow {
        SpendRow {
            keys: vec![day.into(), model.into()],
            calls,
            tokens_in,
            tokens_out: 40,
            cost: NanoUsd(cost),
            corrected: NanoUsd(cost),
            ..SpendRow::default()
        }
    }

    fn export(text: &str) -> Export {
        read::read(text.as_bytes(), read::Format::Auto).unwrap()
    }

    fn drift(report: &Report, name: &str) -> Vec<(String, Option<f64>, bool)> {
        let pair = |row: &Row| row.figures.iter().find(|pair| pair.name == name).copied();
        let rows = report.rows.iter().filter_map(|row| Some((row.model.clone(), pair(row)?)));
        rows.map(|(model, pair)| (model, pair.drift_percent, pair.is_drift)).collect()
    }

    #[test]
    fn snapshots_are_their_model() {
        let check = |model: &str, expected: &str| assert_eq!(base(model), expected);
        check("gpt-4o-2024-08-06", "gpt-4o");
        check("gpt-4o", "gpt-4o");
        check("gpt-4o-mini", "gpt-4o-mini");
        check("claude-haiku-4-5-20251001", "claude-haiku-4-5");
        check("claude-3-5-sonnet-latest", "claude-3-5-sonnet");
        check("claude-sonnet-4@20250514", "claude-sonnet-4");
        check("-20251001", "-20251001");
        check("東-20251001", "東");
        check("", "");
    }

    #[test]
    fn drift_is_told_beyond_its_threshold() {
        let export = export("day,model,input_tokens,cost_usd\n2026-04-25,gpt-4o-2024-08-06,1000,1\n");
        let check = |tokens: u64, cost: i64, expected: bool| {
            let rows = [ours("2026-04-25", "gpt-4o", 3, tokens, cost)];
            let report = compare(&export, &rows, &Rules::default());
            assert_eq!(report.is_drift, expected, "{tokens} {cost}: {report:#?}");
            assert_eq!(report.totals[0].is_drift, expected);
        };
        check(1000, 1_000_000_000, false);
        check(1005, 1_000_000_000, false);
        check(1006, 1_000_000_000, true);
        check(994, 1_000_000_000, true);
        check(1000, 1_004_000_000, false);
        check(1000, 1_006_000_000, true);
        let report =
            compare(&export, &[ours("2026-04-25", "gpt-4o", 3, 990, 1_000_000_000)], &Rules::default());
        assert_eq!(drift(&report, "tokens_in"), [("gpt-4o".to_owned(), Some(-1.0), true)]);
        assert!(drift(&report, "tokens_out").is_empty(), "what the export does not say is not compared");
        let loose = Rules { threshold_percent: 2.0, ..Rules::default() };
        assert!(!compare(&export, &[ours("2026-04-25", "gpt-4o", 3, 990, 1_000_000_000)], &loose).is_drift);
    }

    #[test]
    fn what_only_one_side_knows_drifts() {
        let export = export("day,model,cost_usd\n2026-04-25,gpt-4o,1\n2026-04-26,gpt-4o,2\n");
        let rows = [
            ours("2026-04-25", "gpt-4o", 3, 9, 1_000_000_000),
            ours("2026-04-25", "o3", 1, 9, 500_000_000),
            ours("2026-04-24", "gpt-4o", 3, 9, 9_000_000_000),
        ];
        let report = compare(&export, &rows, &Rules::default());
        let expected = [
            ("gpt-4o".to_owned(), Some(0.0), false),
            ("o3".to_owned(), None, true),
            ("gpt-4o".to_owned(), Some(-100.0), true),
        ];
        assert_eq!(drift(&report, "cost"), expected, "days that the export does not cover are left out");
    }

    #[test]
    fn hits_of_our_cache_were_never_billed() {
        let export = export("day,model,input_tokens,requests\n2026-04-25,gpt-4o,100,1\n");
        let row =
            SpendRow { cache_hits: 2, refused: 4, spared_in: 200, ..ours("2026-04-25", "gpt-4o", 7, 300, 5) };
        let report = compare(&export, &[row], &Rules::default());
        assert!(!report.is_drift, "{report:#?}");
    }

    #[test]
    fn an_export_without_models_is_compared_as_a_whole() {
        let text = r#"{"data": [{"start_time": 1777075200, "end_time": 1777161600, "results": [
            {"amount": {"value": 3.0, "currency": "usd"}, "line_item": null}]}]}"#;
        let rows = [
            ours("2026-04-25", "gpt-4o", 3, 9, 1_000_000_000),
            ours("2026-04-25", "o3", 1, 9, 2_000_000_000),
        ];
        let report = compare(&export(text), &rows, &Rules::default());
        assert_eq!(drift(&report, "cost"), [(ALL_MODELS.to_owned(), Some(0.0), false)]);
        // Tokens by model and money as a whole: each is compared as it is said.
        let usage = r#"{"data": [{"start_time": 1777075200, "end_time": 1777161600, "results": [
            {"input_tokens": 9, "model": "gpt-4o"}, {"input_tokens": 9, "model": "o3"}]}]}"#;
        let report = compare(
            &super::super::read::read(format!("{usage}{text}").as_bytes(), read::Format::Auto).unwrap(),
            &rows,
            &Rules::default(),
        );
        assert!(!report.is_drift, "{report:#?}");
        assert_eq!(report.rows.len(), 3);
    }
}
