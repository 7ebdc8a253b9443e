//! A calibration, as people read it.

use gauntlet_evals::calibrate::{Agreed, Calibration};
use serde_json::{Value, json};

use crate::{
    cli::Place,
    show::{self, Column},
};

pub(super) fn show(place: &Place, found: &Calibration) {
    if place.json {
        let mut report = serde_json::to_value(found).unwrap_or_default();
        report["verdict"] = found.verdict().as_str().into();
        report["summary"] = found.summary().into();
        show::json(&report);
        return;
    }
    println!("{}\n", found.summary());
    let agreed = |name: &str, agreed: Option<Agreed>| {
        agreed.map(|agreed| {
            vec![name.to_owned(), format!("{:.3}", agreed.value), format!("≥ {:.3}", agreed.low)]
        })
    };
    let mut lines: Vec<Vec<String>> =
        [agreed("kappa", found.kappa), agreed("Spearman's rho", found.rho)].into_iter().flatten().collect();
    if let Some((share, low, high)) = found.accuracy {
        lines.push(vec!["same verdict".to_owned(), format!("{share:.3}"), format!("{low:.3} to {high:.3}")]);
    }
    if let Some(mildness) = found.bias.mildness {
        lines.push(vec!["judge minus people".to_owned(), format!("{mildness:+.3}"), String::new()]);
    }
    if let Some(length) = found.bias.length {
        let ends = format!("{:+.3} to {:+.3}", length.ci_low, length.ci_high);
        lines.push(vec!["leaning by length (rho)".to_owned(), format!("{:+.3}", length.rho), ends]);
    }
    if let Some(position) = found.bias.position {
        let ends = format!(
            "{:.3} to {:.3}; {} turned with the order",
            position.ci_low, position.ci_high, position.turned
        );
        lines.push(vec!["first of two wins".to_owned(), format!("{:.3}", position.first_share), ends]);
    }
    if let Some(own) = &found.bias.own {
        let of = format!("{} of `{}`, {} of others: a hint, no proof", own.own, own.kind, own.others);
        lines.push(vec!["milder with its own kind".to_owned(), format!("{:+.3}", own.difference), of]);
    }
    show::table(
        &[Column::Left(""), Column::Right("value"), Column::Left("95 %")],
        lines,
        "Nothing could be compared.",
    );
    confusion(found);
    if found.unscored > 0 {
        println!("\n{} rows were left without a score by the judge; they are in no figure.", found.unscored);
    }
    drift(found);
    let far = found.disagreements.iter().map(|one| {
        let reason = one.reason.as_deref().unwrap_or("–");
        vec![one.case.to_string(), show::text(&one.human), format!("{:.2}", one.judge), reason.to_owned()]
    });
    let far: Vec<Vec<String>> = far.collect();
    if !far.is_empty() {
        println!("\nFurthest apart:");
        let columns = [
            Column::Left("case"),
            Column::Right("people"),
            Column::Right("judge"),
            Column::Left("the judge's reason"),
        ];
        show::table(&columns, far, "");
    }
    for note in &found.notes {
        println!("\nNote: {note}");
    }
}

fn confusion(found: &Calibration) {
    let labels = &found.confusion.labels;
    // Wider tables are read as JSON.
    const LABELS_MAX: usize = 12;
    if labels.is_empty() || labels.len() > LABELS_MAX {
        return;
    }
    println!("\nPeople (rows) and judge (columns):");
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(1).max(4) + 2;
    let line = |first: &str, rest: Vec<String>| {
        let rest: String = rest.iter().map(|text| format!("{text:>width$}")).collect();
        println!("{first:>width$}{rest}");
    };
    line("", labels.iter().map(|label| show::printable(label)).collect());
    for (label, counts) in labels.iter().zip(&found.confusion.counts) {
        line(&show::printable(label), counts.iter().map(u32::to_string).collect());
    }
}

fn drift(found: &Calibration) {
    let Some(drift) = &found.drift else { return };
    let number = |value: Option<f64>| value.map_or(Value::Null, |value| json!((value * 1e3).round() / 1e3));
    let who = if drift.same_judge { "the same judge" } else { "a judge of other texts or parameters" };
    let moved = if drift.has_drifted { "it has moved" } else { "it has not moved further than chance" };
    println!(
        "\nSince the last time ({who}, {} rows in common): {moved}; mean change {} (95 % {} to {}), same score {}, agreement {} then and {} now.",
        drift.rows,
        show::text(&number(drift.mean)),
        show::text(&number(drift.ci_low)),
        show::text(&number(drift.ci_high)),
        show::text(&number(drift.unchanged)),
        show::text(&number(drift.agreement_was)),
        show::text(&number(drift.agreement_is)),
    );
}
