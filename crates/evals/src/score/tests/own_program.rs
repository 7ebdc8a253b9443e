//! Programs that score: good ones, and those that end, hang or answer nonsense.

use std::time::Duration;

use super::*;

/// Scores some answers in turn by one scorer.
async fn ask(options: Value, texts: &[&str]) -> Vec<Score> {
    let scorer = scorer("command", options);
    let case = case(json!("right"));
    let mut scores = Vec::new();
    for text in texts {
        let told = said(text);
        let seen = Seen { case: &case, text, told: &told, output_hash: "h" };
        scores.push(scorer.score(&seen, &asker()).await.score);
    }
    scores
}

fn shell(script: &str) -> Value {
    json!({"run": script, "shell": true, "timeout": "20s"})
}

#[tokio::test]
async fn a_program_is_started_once_and_asked_line_by_line() {
    let script = r#"n=0; while read -r line; do n=$((n+1)); case "$line" in *'"output":"good"'*) s=1;; *) s=0.25;; esac
        echo "{\"id\": \"c1\", \"score\": $s, \"reason\": \"line $n\", \"evidence\": {\"n\": $n}}"; done"#;
    let scores = ask(shell(script), &["good", "bad", "good"]).await;
    let values: Vec<_> = scores.iter().map(|score| score.value).collect();
    assert_eq!(values, [Some(1.0), Some(0.25), Some(1.0)], "{scores:?}");
    assert_eq!(scores[2].reason.as_deref(), Some("line 3"));
    assert_eq!(scores[2].evidence, json!({"n": 3}));
    assert_eq!(&*scores[0].implementation, "command/1:sh");
}

#[tokio::test]
async fn a_program_sees_the_case_and_no_variable_that_is_not_named() {
    let script = r#"while read -r line; do case "$line" in *'"expected":"right"'*) s=1;; *) s=0;; esac
        echo "{\"score\": $s, \"reason\": \"home=${HOME:-none} path=${PATH:+some}\"}"; done"#;
    let scores = ask(shell(script), &["x"]).await;
    assert_eq!((scores[0].value, scores[0].reason.as_deref()), (Some(1.0), Some("home=none path=some")));
    let mut named = shell(script);
    named["env"] = json!(["HOME"]);
    let reason = ask(named, &["x"]).await[0].reason.clone().unwrap();
    assert!(!reason.contains("home=none"), "{reason}");
}

#[tokio::test]
async fn what_a_program_answers_wrongly_leaves_the_answer_unscored_and_says_why() {
    for (answer, why) in [
        ("nonsense", "not JSON"),
        ("[1]", "not an object"),
        (r#"{"id": "c2", "score": 1}"#, "the id of another case"),
        (r#"{"scores": 1}"#, "no `score`"),
        (r#"{"score": "1"}"#, "neither a number nor null"),
        (r#"{"score": 1, "passed": 1}"#, "neither true nor false"),
    ] {
        let scores = ask(shell(&format!("while read -r line; do echo '{answer}'; done")), &["x"]).await;
        let reason = scores[0].reason.clone().unwrap();
        assert!(scores[0].value.is_none() && reason.contains(why), "{answer}: {reason}");
        assert!(!reason.contains("nonsense"), "what it wrote may be anything: {reason}");
    }
    let own =
        ask(shell(r#"while read -r l; do echo '{"score": null, "reason": "no idea"}'; done"#), &["x"]).await;
    assert_eq!((own[0].value, own[0].reason.as_deref()), (None, Some("no idea")));
    let own = ask(shell(r#"while read -r l; do echo '{"score": 0.1, "passed": true}'; done"#), &["x"]).await;
    assert_eq!((own[0].value, own[0].passed), (Some(0.1), Some(true)));
}

#[tokio::test]
async fn a_program_that_ends_is_started_again_a_bounded_number_of_times() {
    // Answers once and ends: every question but the first finds its program gone.
    let once = ask(shell(r#"read -r l; echo '{"score": 1}'"#), &["x"; 12]).await;
    assert!(once.iter().all(|score| score.value == Some(1.0)), "{once:?}");
    let never = ask(shell("exit 3"), &["x"; 7]).await;
    assert!(never.iter().all(|score| score.value.is_none()));
    assert!(never[0].reason.as_deref().unwrap().contains("ended"), "{never:?}");
    assert!(
        never[6].reason.as_deref().unwrap().contains("failed 5 times and is not started again"),
        "{never:?}"
    );
    let missing = ask(json!({"run": ["no-such-program-here"]}), &["x"]).await;
    assert!(missing[0].reason.as_deref().unwrap().contains("`no-such-program-here` cannot be started"));
}

#[tokio::test]
async fn a_program_that_hangs_is_cut_and_the_next_answer_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("hung");
    // Hangs the first time it is started, answers the second.
    let script = format!(
        r#"if [ ! -e {0} ]; then touch {0}; exec sleep 600; fi; while read -r l; do echo '{{"score": 1}}'; done"#,
        mark.display()
    );
    let mut options = shell(&script);
    options["timeout"] = json!("1s");
    let scores = ask(options, &["x", "y"]).await;
    assert!(scores[0].reason.as_deref().unwrap().contains("did not answer within 1s"), "{scores:?}");
    assert_eq!(scores[1].value, Some(1.0), "{scores:?}");
}

#[tokio::test]
async fn a_program_runs_in_the_folder_of_its_suite() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"while read -r l; do echo '{"score": 0.5}'; done"#;
    std::fs::write(folder.path().join("own.sh"), script).unwrap();
    let file = folder.path().join("s.yaml").display().to_string();
    let suite = Suite { file, ..suite() };
    let scorer = make(&spec("command", json!({"run": ["sh", "own.sh"]})), &suite).unwrap().unwrap();
    let (case, told) = (case(json!(1)), said("x"));
    let seen = Seen { case: &case, text: "x", told: &told, output_hash: "h" };
    assert_eq!(scorer.score(&seen, &asker()).await.score.value, Some(0.5));
}

#[tokio::test]
async fn a_line_that_nobody_asked_for_is_not_the_answer_to_the_next_question() {
    // The second line of the first answer would fit each question that follows.
    let noisy = r#"while read -r l; do printf '{"score": 0.1}\n{"score": 1}\n'; done"#;
    let scores = ask(shell(noisy), &["x"; 3]).await;
    let values: Vec<_> = scores.iter().map(|score| score.value).collect();
    assert_eq!(values, [Some(0.1), Some(0.1), Some(0.1)], "each by a program of its own");
    let scores = ask(shell(noisy), &["x"; 8]).await;
    let last = scores[7].reason.clone().unwrap();
    assert!(last.contains("failed 5 times") && last.contains("more than one line"), "{last}");
    // Who names cases once must name them always.
    let nameless = r#"while read -r l; do n=$((n+1)); if [ $n = 2 ]; then echo '{"score": 1}'; else echo '{"id": "c1", "score": 0.5}'; fi; done"#;
    let scores = ask(shell(nameless), &["x"; 3]).await;
    let values: Vec<_> = scores.iter().map(|score| score.value).collect();
    assert_eq!(values, [Some(0.5), None, Some(0.5)]);
    assert!(scores[1].reason.as_deref().unwrap().contains("without `id`"), "{scores:?}");
}

#[test]
fn a_program_that_was_kept_by_a_run_that_is_over_costs_the_next_one_no_score() {
    let scorer = scorer("command", shell(r#"while read -r l; do echo '{"score": 1}'; done"#));
    for run in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (case, told) = (case(json!("right")), said("x"));
        let seen = Seen { case: &case, text: "x", told: &told, output_hash: "h" };
        let score = runtime.block_on(scorer.score(&seen, &asker())).score;
        assert_eq!(score.value, Some(1.0), "run {run}: {score:?}");
    }
}

#[tokio::test]
async fn a_value_that_is_no_share_wants_its_range_said() {
    let mut options = shell(r#"while read -r l; do echo '{"score": 7, "passed": true}'; done"#);
    let score = ask(options.clone(), &["x"]).await.remove(0);
    assert_eq!((score.value, score.passed), (None, None));
    assert!(score.reason.as_deref().unwrap().contains("write `range: any`"), "{score:?}");
    options["range"] = json!("any");
    assert_eq!(ask(options, &["x"]).await[0].value, Some(7.0));
}

#[tokio::test]
async fn what_a_program_has_started_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("child");
    let script = format!("sleep 600 & echo $! > {}; wait", mark.display());
    let mut options = shell(&script);
    options["timeout"] = json!("500ms");
    let score = ask(options, &["x"]).await.remove(0);
    assert!(score.reason.as_deref().unwrap().contains("did not answer"), "{score:?}");
    let child = std::fs::read_to_string(&mark).unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    for _ in 0..100 {
        if state().is_empty() || state().contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it still runs: {}", state());
}
