//! `gauntlet eval calibrate`

use std::path::PathBuf;

use clap::Args;

/// Compare a judge with people, on rows that hold an answer (`output`) and what people said of it (`human`).
///
/// What comes out is kept: a gate lets a judge decide only where its agreement with at least 50 ratings is proven. Judges are asked
/// anew each time, since an answer from the cache would hide that a judge has changed.
///
/// Exit codes: 0 the judge may gate, 1 it may not or not yet, 2 it could not be compared.
#[derive(Args)]
pub struct EvalCalibrate {
    /// A suite (evals/NAME.yaml, or its file), or a file of rows that ends in .jsonl
    #[arg(value_name = "SUITE|FILE")]
    pub what: String,
    /// The metric: its name in the suite, or a kind that needs no options
    #[arg(long, value_name = "METRIC")]
    pub metric: String,
    /// The model that judges [default: the suite's]
    #[arg(long, value_name = "MODEL")]
    pub judge: Option<String>,
    /// The model that makes embeddings, for answer_relevancy [default: the suite's]
    #[arg(long, value_name = "MODEL")]
    pub embedding_model: Option<String>,
    /// Rows rated by people, where they are not in the suite's own dataset
    #[arg(long, value_name = "FILE")]
    pub rows: Option<PathBuf>,
    /// The scale that people rated on, such as 1..5 [default: the lowest and highest rating]
    #[arg(long, value_name = "MIN..MAX", value_parser = scale)]
    pub scale: Option<Scale>,
    /// The lower bound of kappa or rho that is asked for [default: the suite's `min_agreement`, else 0.4]
    #[arg(long, value_name = "SHARE")]
    pub min_agreement: Option<f64>,
    /// The application's version, for the record
    #[arg(long, value_name = "SHA", env = "GAUNTLET_APP_SHA")]
    pub app_sha: Option<String>,
}

/// The ends of a scale.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale {
    pub min: f64,
    pub max: f64,
}

fn scale(text: &str) -> Result<Scale, String> {
    let ends = text
        .split_once("..")
        .and_then(|(min, max)| Some((min.trim().parse().ok()?, max.trim().parse().ok()?)));
    match ends {
        Some((min, max)) if f64::is_finite(min) && f64::is_finite(max) && min < max => Ok(Scale { min, max }),
        _ => Err(format!("`{text}` is no scale; write its ends, such as 1..5")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_two_ends() {
        assert_eq!(scale("1..5"), Ok(Scale { min: 1.0, max: 5.0 }));
        assert_eq!(scale("0 .. 0.5"), Ok(Scale { min: 0.0, max: 0.5 }));
        for bad in ["5..1", "1-5", "1..", "1..inf", "..", "nan..1"] {
            assert!(scale(bad).is_err(), "{bad}");
        }
    }
}
