//! `gauntlet stats`, held against SciPy and scikit-learn, and told what it cannot read.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use gauntlet_testkit::parts;
use serde::Deserialize;
use serde_json::Value;

fn stats(args: &[&str], lines: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gauntlet"))
        .arg("stats")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    child.wait_with_output().unwrap()
}

fn answer(args: &[&str], lines: &str) -> Value {
    let output = stats(&[args, &["--json"]].concat(), lines);
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?} {problem}\n{lines}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[derive(Deserialize)]
struct Case {
    args: Vec<String>,
    lines: String,
    /// What the reference says, and how far off the answer may be.
    expected: std::collections::BTreeMap<String, (f64, f64)>,
}

#[test]
fn the_answers_are_those_of_scipy_and_scikit_learn() {
    let Some(python) = parts::statistics() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/stats_reference.py");
    let output = Command::new(python).args(["-W", "ignore", script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cases: Vec<Case> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(cases.len() > 250, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let args: Vec<&str> = case.args.iter().map(String::as_str).collect();
        let found = answer(&args, &case.lines);
        for (key, (expected, off)) in &case.expected {
            let value = found[key].as_f64().unwrap_or(f64::NAN);
            // No number is near nothing.
            let is_near = (value - expected).abs() <= *off;
            if !is_near {
                let n = case.lines.lines().count();
                wrong.push(format!("{args:?} of {n}: {key} is {value}, expected {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_difference_is_second_minus_first() {
    let found = answer(&["bootstrap"], "0.5 0.7\n0.4 0.5\n0.6 0.9\n0.2 0.4\n");
    assert!((found["mean_difference"].as_f64().unwrap() - 0.2).abs() < 1e-12, "{found}");
    assert!(found["ci_low"].as_f64().unwrap() > 0.0, "{found}");
    let greater = answer(&["wilcoxon", "--alternative", "greater"], "0 1\n0 2\n0 3\n0 4\n0 5\n");
    assert_eq!((&greater["n"], &greater["statistic"]), (&Value::from(5), &Value::from(15.0)), "{greater}");
    assert!((greater["p_value"].as_f64().unwrap() - 1.0 / 32.0).abs() < 1e-15, "{greater}");
}

#[test]
fn a_seed_gives_the_same_interval_again() {
    let lines = "0.11 0.42\n0.33 0.24\n0.57 0.98\n0.81 0.73\n0.25 0.66\n0.47 0.41\n0.19 0.35\n0.62 0.88\n";
    let with = |seed: &str| answer(&["bootstrap", "--seed", seed, "--resamples", "500"], lines);
    assert_eq!(with("1"), with("1"));
    assert_ne!(with("1")["ci_low"], with("2")["ci_low"]);
}

#[test]
fn repeats_of_a_case_are_one_observation() {
    let lines = "0.1 0.4 a\n0.1 0.4 a\n0.3 0.2 b\n0.3 0.2 b\n0.5 0.9 c\n0.5 0.9 c\n";
    let found = answer(&["bootstrap", "--method", "t", "--clusters"], lines);
    assert_eq!((&found["n"], &found["clusters"]), (&Value::from(6), &Value::from(3)));
    let once = answer(&["bootstrap", "--method", "t"], "0.1 0.4\n0.3 0.2\n0.5 0.9\n");
    let low = |found: &Value| found["ci_low"].as_f64().unwrap();
    assert!((low(&found) - low(&once)).abs() < 1e-12, "{found} {once}");
}

#[test]
fn the_gate_answers_by_its_exit_code() {
    let check = |line: &str, n: usize, code: i32, verdict: &str| {
        let output = stats(&["gate", "--margin", "0.05", "--json"], &line.repeat(n));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &found["verdict"]), (Some(code), &Value::from(verdict)), "{found}");
    };
    check("1 1\n", 3, 3, "inconclusive");
    check("1 1\n", 60, 0, "pass");
    check("1 0.5\n1 0.7\n", 30, 1, "fail");
}

#[test]
fn kappa_of_cases_without_a_spread_says_why_it_has_no_interval() {
    let found = answer(&["kappa"], "a a\na b\n");
    assert_eq!((&found["ci_low"], &found["ci_high"]), (&Value::Null, &Value::Null), "{found}");
    assert!(found["note"].as_str().unwrap().contains("add cases"), "{found}");
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_no_crash() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "0 1\n0 2\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(["stats", "wilcoxon", "--json"])
        .arg(file.path())
        .stdout(full)
        .output()
        .unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{problem}");
    assert!(
        problem.starts_with("error: cannot write to standard output: ") && problem.lines().count() == 1,
        "{problem}"
    );
}

#[test]
fn people_get_a_table() {
    let output = stats(&["wilcoxon"], "old new\n0.1 0.4\n0.3 0.2\n0.5 0.9\n");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && shown.contains("p value") && shown.contains("exact"), "{shown}");
    let planned = stats(&["mde", "--n", "30", "--sd", "0.18"], "");
    assert!(String::from_utf8(planned.stdout).unwrap().contains("0.0839"));
}

#[test]
fn what_cannot_be_read_is_named_with_line_and_cure() {
    let check = |args: &[&str], lines: &str, wanted: &[&str]| {
        let output = stats(args, lines);
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{problem}");
        for wanted in wanted {
            assert!(problem.contains(wanted), "{args:?}: {problem}");
        }
    };
    check(&["wilcoxon"], "", &["no cases"]);
    check(&["wilcoxon"], "1 2\n3\n", &["line 2 has 1 fields"]);
    check(&["wilcoxon"], "1 2\n3 four\n", &["line 2: `four` is not a number"]);
    check(&["spearman"], "1 2\n2 nan\n3 4\n", &["line 2", "leave the case out"]);
    check(&["spearman"], "1 2\n1 3\n1 4\n", &["the first column are all the same"]);
    check(&["mcnemar"], "1 0\n0.5 1\n", &["value 2 of the first column is 0.5", "`wilcoxon`"]);
    check(&["kappa"], "a a\na a\n", &["one category"]);
    check(&["bootstrap"], "1 1\n2 2\n", &["all the same", "percentile"]);
    check(&["bootstrap", "--confidence", "95"], "1 2\n2 2\n", &["the confidence is 95"]);
    check(&["gate"], "1 9\n", &["line 1: `9` is outside 0 to 1", "scale the scores"]);
    check(&["gate", "--margin", "2"], "1 1\n", &["the margin is 2", "below the greatest possible drop"]);
    check(
        &["bootstrap", "--resamples", "0"],
        "1 2\n2 2\n",
        &["the number of resamples is 0", "at least 100"],
    );
    check(&["wilcoxon"], "0,5;0,6\n", &["line 1: `0,5`", "with a point"]);
    check(&["kappa"], "1 1\n2 nan\n", &["line 2: `nan` is no label", "leave the case out"]);
    check(&["mde", "--sd", "0.2"], "", &["--n"]);
    check(&["wilcoxon", "missing.txt"], "", &["cannot open `missing.txt`"]);
}

#[test]
fn the_commands_of_the_documents_run() {
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_gauntlet")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut ran = 0;
    for document in ["docs/stats.md", "docs/gates.md"] {
        let text =
            std::fs::read_to_string(format!("{}/../../{document}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for command in text.lines().filter_map(|line| line.strip_prefix("$ ")) {
            let output = Command::new("sh").args(["-c", command]).env("PATH", &path).output().unwrap();
            // 3 is a gate that cannot tell.
            let code = output.status.code();
            assert!(matches!(code, Some(0 | 3)), "{command}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(!output.stdout.is_empty(), "{command}");
            ran += 1;
        }
    }
    assert_eq!(ran, 5);
}
