//! Two commands that need a gateway at the same time, where none runs: one starts it, both use it, and it ends with the last.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// Two suites over a simulated model, asked one case at a time: of `short` a second's worth, of `long` four.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join("config").join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write("gauntlet.yml", "providers: {good: {dialect: sim, latency: 100ms, answer: yes}}\n");
    for (suite, cases) in [("short", 10), ("long", 40)] {
        let rows: String = (0..cases)
            .map(|case| format!("{{\"id\": \"c{case}\", \"input\": \"q {case}\", \"expected\": \"yes\"}}\n"))
            .collect();
        write(&format!("evals/{suite}.jsonl"), &rows);
        write(
            &format!("evals/{suite}.yaml"),
            &format!(
                "suite: {suite}\ndataset: {suite}.jsonl\nmodel: good/model\nconcurrency: 1\nmetrics: [{{exact: {{threshold: 1}}}}]\n"
            ),
        );
    }
    folder
}

fn start(folder: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(args)
        .args(["--json", "--config"])
        .arg(folder.join("config"))
        .arg("--data")
        .arg(folder.join("data"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ended(child: Child) -> (Output, Value) {
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output, told)
}

/// Every case was answered and held.
fn is_whole(told: &Value, cases: u32) {
    let run = &told["run"];
    assert_eq!(
        (&run["state"], &run["passed"], &run["errors"]),
        (&json!("done"), &json!(cases), &json!(0)),
        "{told}"
    );
}

#[test]
fn a_command_that_ends_first_leaves_its_gateway_to_the_other() {
    let folder = folder();
    let run = folder.path().join("data/run.json");
    let short = start(folder.path(), &["eval", "run", "short"]);
    wait_until("a gateway starts", || run.exists());
    let long = start(folder.path(), &["eval", "run", "long"]);
    let (short, told) = ended(short);
    is_whole(&told, 10);
    let said = String::from_utf8_lossy(&short.stderr).into_owned();
    assert!(said.contains("another command uses the gateway of this one"), "{said}");
    let (_, told) = ended(long);
    is_whole(&told, 40);
    assert!(!run.exists(), "and the first has waited for its end");
    let (_, listed) = ended(start(folder.path(), &["eval", "list"]));
    assert_eq!(listed["runs"].as_array().map(Vec::len), Some(2), "{listed}");
}

#[test]
fn a_command_that_is_killed_takes_its_gateway_from_nobody() {
    let folder = folder();
    let run = folder.path().join("data/run.json");
    let mut first = start(folder.path(), &["eval", "run", "short"]);
    wait_until("a gateway starts", || run.exists());
    let long = start(folder.path(), &["eval", "run", "long"]);
    let results = |suite: &str| {
        let file = rusqlite::Connection::open(folder.path().join("data/gauntlet.db")).ok()?;
        let sql = "select count(*) from eval_runs where suite = ?1";
        file.query_row(sql, [suite], |row| row.get::<_, i64>(0)).ok()
    };
    wait_until("the second command is under way", || results("long") == Some(1));
    first.kill().expect("it can be killed");
    first.wait().expect("it ends");
    let (_, told) = ended(long);
    is_whole(&told, 40);
    wait_until("the gateway ends with the last command", || !run.exists());
}

#[test]
fn commands_that_start_at_once_all_come_to_their_end() {
    let folder = folder();
    let all: Vec<Child> = (0..4).map(|_| start(folder.path(), &["eval", "run", "short"])).collect();
    for child in all {
        is_whole(&ended(child).1, 10);
    }
    wait_until("no gateway is left", || !folder.path().join("data/run.json").exists());
}
