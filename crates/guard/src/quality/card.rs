//! The quality card: every figure of the detectors on a folder of sets, weak slices too, and what of it got worse.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Flagged, Row, disguise::Disguised, ranked::Ranked, spans::Spans};
use crate::{Kinds, Scanner};

/// Sets by their names, which are those of their files.
pub type Sets = BTreeMap<String, Vec<Row>>;

const PII: Kinds = Kinds { pii: true, ..Kinds::NONE };
const SECRETS: Kinds = Kinds { secrets: true, ..Kinds::NONE };
const BOTH: Kinds = Kinds { injection: false, ..Kinds::ALL };
const INJECTION: Kinds = Kinds { injection: true, ..Kinds::NONE };

/// Of a figure of fewer rows one row is more than any margin.
const ROWS_MIN: u64 = 50;
/// Rows that a slice must have to be listed as weak.
const WEAK_ROWS_MIN: u64 = 5;
const WEAK_MAX: usize = 15;
/// Types beyond which a set speaks in another project's names, rule by rule: the sums say enough.
const TYPES_MAX: usize = 150;

/// What a set is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The weights were taught with it, so it says nothing about them.
    Taught,
    Pii,
    Secrets,
    /// Without anything to find, and not written to look like it.
    Clean,
    /// Attacks, or harmless texts that look like some.
    Injection,
    Toxicity,
}

impl Role {
    /// By the set's name, else by what its rows have.
    pub fn of(name: &str, rows: &[Row]) -> Role {
        let is = |part: &str| name.contains(part);
        match () {
            () if is("train") => Role::Taught,
            () if is("clean") => Role::Clean,
            () if is("toxic") => Role::Toxicity,
            () if is("pii") => Role::Pii,
            () if is("secret") => Role::Secrets,
            () if is("injection") || is("benign") || is("attack") || is("defense") => Role::Injection,
            () if rows.iter().any(|row| !row.gold.is_empty()) => {
                // Types of persons are written in capitals, names of credentials are not.
                let all = rows.iter().flat_map(|row| &row.gold);
                let capitals =
                    all.clone().filter(|gold| gold.label.bytes().any(|byte| byte.is_ascii_uppercase()));
                if 2 * capitals.count() >= all.count() { Role::Pii } else { Role::Secrets }
            }
            () => Role::Injection,
        }
    }
}

/// Every figure but the speeds.
pub fn card(scanner: &Scanner, sets: &Sets) -> Value {
    let (mut pii, mut secrets, mut left_out) = (Map::new(), Map::new(), Map::new());
    let (mut attacks, mut benign, mut clean) = (Vec::new(), Vec::new(), Vec::new());
    for (name, rows) in sets {
        match Role::of(name, rows) {
            Role::Pii => drop(pii.insert(name.clone(), spans(scanner, rows, PII))),
            Role::Secrets => drop(secrets.insert(name.clone(), spans(scanner, rows, SECRETS))),
            Role::Clean => clean.extend_from_slice(rows),
            Role::Injection => {
                for row in rows {
                    if row.is_positive { &mut attacks } else { &mut benign }.push(row.clone());
                }
            }
            Role::Taught => drop(left_out.insert(name.clone(), "the weights were taught with it".into())),
            Role::Toxicity => {
                drop(left_out.insert(name.clone(), "this version has no lexicon to measure".into()));
            }
        }
    }
    // What is plain in one set is disguised for another; sets of other projects' test cases have no text around.
    if let Some(rows) = sets.get("pii") {
        let disguised = Disguised::score(scanner, rows, PII, |_, _| {});
        pii["pii"]["disguised"] = disguised.json();
    }
    let mut card = json!({"pii": pii, "secrets": secrets, "left_out": left_out});
    if !clean.is_empty() {
        let flagged = |kinds| Flagged::count(scanner, &clean, kinds).json();
        card["clean_text"] = json!({
            "pii": flagged(PII), "secrets": flagged(SECRETS), "pii_or_secrets": flagged(BOTH),
            "injection": flagged(INJECTION),
        });
    }
    if !attacks.is_empty() || !benign.is_empty() {
        card["injection"] = Ranked::score(scanner, &attacks, &benign, &clean).json();
    }
    card["weakest"] = weakest(&card);
    card
}

fn spans(scanner: &Scanner, rows: &[Row], kinds: Kinds) -> Value {
    let mut shown = Spans::score(scanner, rows, kinds, |_, _| {}).json();
    if shown["by_type"].as_object().is_some_and(|types| types.len() > TYPES_MAX) {
        for name in ["by_type", "by_slice", "typed_recall"] {
            shown.as_object_mut().and_then(|shown| shown.remove(name));
        }
    }
    let negative: Vec<Row> = rows.iter().filter(|row| row.gold.is_empty()).cloned().collect();
    if !negative.is_empty() {
        shown["negatives"] = Flagged::count(scanner, &negative, kinds).json();
    }
    shown
}

/// Which way a figure is good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    High,
    Low,
}

fn better(path: &str, name: &str) -> Option<Better> {
    match name {
        "precision" | "f1" | "typed_recall" | "auc" | "recall" | "recall_at_1" | "recall_at_5" => {
            Some(Better::High)
        }
        "at_1" | "at_5" if path.ends_with("/recall") => Some(Better::High),
        "user" | "untrusted" if path.ends_with("/recall") => Some(Better::High),
        "flagged" | "flagged_untrusted" => Some(Better::Low),
        _ => None,
    }
}

struct Figure {
    path: String,
    value: f64,
    better: Better,
    /// Of how many rows or spans, where it says so.
    rows: Option<u64>,
}

fn figures(card: &Value) -> Vec<Figure> {
    fn walk(value: &Value, path: &str, rows: Option<u64>, out: &mut Vec<Figure>) {
        let Value::Object(fields) = value else { return };
        let own = fields.get("spans").or_else(|| fields.get("rows")).and_then(Value::as_u64);
        let rows = own.or(rows);
        for (name, field) in fields {
            match (field.as_f64(), better(path, name)) {
                (Some(value), Some(better)) => {
                    out.push(Figure { path: format!("{path}/{name}"), value, better, rows });
                }
                _ if name == "weakest" || name == "speed" => {}
                _ => walk(field, &format!("{path}/{name}"), rows, out),
            }
        }
    }
    let mut out = Vec::new();
    walk(card, "", None, &mut out);
    out
}

/// The figures that are worse by more than `margin`, of those that enough rows make, and those that are missing.
pub fn drops(committed: &Value, now: &Value, margin: f64) -> Vec<String> {
    let counted =
        figures(committed).into_iter().filter(|figure| figure.rows.is_none_or(|rows| rows >= ROWS_MIN));
    counted
        .filter_map(|was| {
            let Some(is) = now.pointer(&was.path).and_then(Value::as_f64) else {
                return Some(format!("{} was {} and is not measured any more", was.path, was.value));
            };
            let worse = match was.better {
                Better::High => was.value - is,
                Better::Low => is - was.value,
            };
            // Four places are kept: what differs by rounding alone is no drop.
            (worse > margin + 1e-9).then(|| format!("{} from {} to {is}", was.path, was.value))
        })
        .collect()
}

/// Where it is worst: lowest recall, and harmless rows that are flagged most.
fn weakest(card: &Value) -> Value {
    let all = figures(card);
    let is_slice = |figure: &&Figure| {
        let in_table = ["/by_type/", "/by_slice/", "/by/", "/injection/attacks/", "/injection/benign/"];
        in_table.iter().any(|part| figure.path.contains(part))
            && figure.rows.is_some_and(|rows| rows >= WEAK_ROWS_MIN)
    };
    let ends = |figure: &Figure, names: &[&str]| {
        names.iter().any(|name| figure.path.rsplit('/').next() == Some(name))
    };
    let pick = |names: &[&str], sign: f64| -> Vec<Value> {
        // Where the right type counts, being found at all says nothing more.
        let is_shown = |figure: &&Figure| {
            ends(figure, names)
                || (sign > 0.0 && ends(figure, &["recall"]) && figure.path.contains("/disguised/"))
        };
        let slices = all.iter().filter(is_slice).filter(is_shown);
        let mut picked: Vec<&Figure> = slices.filter(|figure| figure.value != (1.0 + sign) / 2.0).collect();
        picked.sort_by(|a, b| (sign * a.value).total_cmp(&(sign * b.value)).then(a.path.cmp(&b.path)));
        let shown = picked
            .iter()
            .take(WEAK_MAX)
            .map(|figure| json!({"figure": figure.path, "value": figure.value, "rows": figure.rows}));
        shown.collect()
    };
    json!({
        "recall": pick(&["typed_recall", "recall_at_1"], 1.0),
        "flagged": pick(&["flagged"], -1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str, label: Option<&str>, is_positive: bool) -> Row {
        let spans = label.map(|label| json!([{"start": 0, "end": text.len(), "type": label, "value": text}]));
        Row::of(&json!({"text": text, "label": i32::from(is_positive), "spans": spans}))
    }

    #[test]
    fn a_set_is_taken_for_what_its_name_or_its_rows_say() {
        let check = |name: &str, rows: &[Row], role: Role| assert_eq!(Role::of(name, rows), role, "{name}");
        check("injection_train_pool", &[], Role::Taught);
        check("injection_attacks", &[], Role::Injection);
        check("overdefense_benign", &[], Role::Injection);
        check("pii_presidio_unit_conformance", &[], Role::Pii);
        check("secrets_kingfisher_examples", &[], Role::Secrets);
        check("clean_text", &[], Role::Clean);
        check("more", &[row("a", Some("US_SSN"), true)], Role::Pii);
        check("more", &[row("a", Some("github_pat"), true)], Role::Secrets);
        check("more", &[row("a", None, true)], Role::Injection);
    }

    #[test]
    fn a_figure_that_is_worse_or_gone_is_a_drop() {
        let card = |recall: f64, flagged: f64, rows: u64| json!({"pii": {"pii": {"spans": rows, "recall": recall}}, "clean_text": {"pii": {"rows": 660, "flagged": flagged}}});
        let check = |was: Value, is: Value, count: usize| {
            assert_eq!(drops(&was, &is, 0.005).len(), count, "{was} {is}");
        };
        check(card(0.97, 0.002, 900), card(0.97, 0.002, 900), 0);
        check(card(0.97, 0.002, 900), card(0.966, 0.006, 900), 0);
        check(card(0.97, 0.002, 900), card(0.96, 0.002, 900), 1);
        check(card(0.97, 0.002, 900), card(0.98, 0.01, 900), 1);
        check(card(0.97, 0.002, 20), card(0.90, 0.002, 20), 0);
        check(card(0.97, 0.002, 900), json!({}), 2);
    }

    #[test]
    fn weak_slices_are_listed_worst_first() {
        let by_type = json!({
            "A": {"spans": 9, "recall": 0.5, "typed_recall": 0.5}, "B": {"spans": 9, "recall": 0.2, "typed_recall": 0.1},
            "C": {"spans": 2, "recall": 0.0, "typed_recall": 0.0}, "D": {"spans": 9, "recall": 1.0, "typed_recall": 1.0},
        });
        let weak = weakest(&json!({"pii": {"pii": {"by_type": by_type}}}));
        let shown: Vec<_> =
            weak["recall"].as_array().unwrap().iter().map(|one| one["value"].as_f64().unwrap()).collect();
        assert_eq!(shown, [0.1, 0.5]);
    }
}
