//! The GitHub Action's own script as a runner calls it, with nothing running: the real program, simulated models, and the files
//! that GitHub reads afterwards. What it does with a pull request's comments is in the action's `test.sh`, which runs here as well.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use gauntlet_testkit::parts;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.github/actions/gauntlet-gate/gate.sh");
const SELF_TEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.github/actions/gauntlet-gate/test.sh");

fn suite(folder: &Path) {
    let gauntlet = "providers:\n  good: {dialect: sim, answer: Refunds take 14 days.}\n  worse: {dialect: sim, answer: Ask somebody else.}\n";
    fs::write(folder.join("gauntlet.yml"), gauntlet).expect("written");
    fs::create_dir(folder.join("evals")).expect("a folder");
    let suite = "suite: support\ndataset: support.jsonl\nmodel: good/model\nmetrics: [contains: {value: \"{{ expected }}\", threshold: 1, floor: 0.9}]\n";
    fs::write(folder.join("evals/support.yaml"), suite).expect("written");
    let rows = (0..40).fold(String::new(), |mut rows, at| {
        let _ = writeln!(
            rows,
            r#"{{"id": "c{at}", "input": "How long does refund {at} take?", "expected": "14 days"}}"#
        );
        rows
    });
    fs::write(folder.join("evals/support.jsonl"), rows).expect("written");
}

#[test]
fn the_action_says_red_and_green_by_the_real_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    suite(folder);
    let check = |suite: &str, candidate: &str, baseline: &str, code: &str, verdict: &str, comment: &str| {
        let (outputs, summary) = (folder.join("outputs"), folder.join("summary.md"));
        fs::write(&outputs, "").expect("written");
        fs::write(&summary, "").expect("written");
        let mut script = Command::new("bash");
        script.arg(SCRIPT).current_dir(folder).env("RUNNER_TEMP", folder);
        script.env("GITHUB_OUTPUT", &outputs).env("GITHUB_STEP_SUMMARY", &summary);
        script.env("GATE_BINARY", env!("CARGO_BIN_EXE_gauntlet")).env("GATE_FAST", "false");
        script.env("GATE_SUITE", suite).env("GATE_CANDIDATE", candidate).env("GATE_BASELINE", baseline);
        let ended = script.output().expect("bash runs");
        // The code comes through as an output, so that the comment is written whatever it is.
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
        let told = fs::read_to_string(&outputs).expect("outputs");
        let output = |name: &str| {
            told.lines()
                .find_map(|line| line.strip_prefix(&format!("{name}=")))
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!((output("code").as_str(), output("verdict").as_str()), (code, verdict), "{told}");
        let markdown = fs::read_to_string(output("markdown")).expect("a comment");
        assert!(
            markdown.starts_with(&format!("<!-- gauntlet-gate:{suite} -->")) && markdown.contains(comment),
            "{markdown}"
        );
        assert_eq!(fs::read_to_string(&summary).expect("a summary"), markdown);
        if code != "2" {
            let junit = fs::read_to_string(output("junit")).expect("a report");
            assert!(junit.contains("<testsuites name=\"gauntlet\" tests=\""), "{junit}");
        }
    };
    check("support", "good/model", "none", "0", "pass", "40");
    check("support", "worse/model", "last", "1", "fail", "contains");
    // A baseline by its name, as a run takes it: one that has a run, and one that is run first.
    check("support", "worse/model", "good/model", "1", "fail", "regression");
    check("support", "good/model", "good/other", "3", "inconclusive", "regression");
    check("support", "good/model", "prodution", "2", "error", "prodution");
    // A run that ended at its first call decides nothing, and no older one passes in its place.
    check("support", "nobody/model", "last", "2", "error", "could not decide");
    check("nosuch", "good/model", "none", "2", "error", "could not decide");
}

#[test]
fn one_comment_is_kept_up_to_date_and_a_strangers_is_left_alone() {
    if parts::gate().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut script = Command::new("bash");
    // Whatever the machine's own proxy is, the GitHub of this test is here.
    script.arg(SELF_TEST).env("TMPDIR", folder.path()).env("no_proxy", "127.0.0.1");
    let ended = script.output().expect("bash runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && said.contains("The action's scripts work."), "{said}");
}
