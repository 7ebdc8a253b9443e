//! Rows of a dataset without a suite, read by the same rules as a suite's.

use std::path::Path;

use anyhow::Result;
use gauntlet_evals::{Case, Mistake, dataset::DATASET_BYTES_MAX, suite};
use serde_json::json;

use crate::suites;

/// The cases of a file of JSON lines. Warnings are told on standard error. Errors: all mistakes, each with its line.
pub fn read(path: &Path) -> Result<Vec<Case>> {
    let file = path.display().to_string();
    // A suite of nothing but this dataset; JSON is YAML too.
    let text = json!({"suite": "rows", "dataset": file, "metrics": ["latency"]}).to_string();
    let mut load = |beside: &str| {
        if beside == file { suites::text(path, DATASET_BYTES_MAX) } else { Err("it is not there".to_owned()) }
    };
    let (suite, warnings) = suite::read("", &text, &mut load).good().map_err(|mistakes| {
        // The suite is made up here: what concerns it alone is about the file.
        let mistakes: Vec<_> = mistakes
            .into_iter()
            .map(|mistake| match mistake.file.is_empty() {
                true => Mistake { file: file.clone(), line: 0, column: 0, ..mistake },
                false => mistake,
            })
            .collect();
        suites::told(&mistakes)
    })?;
    suites::warn(&warnings);
    Ok(suite.cases)
}
