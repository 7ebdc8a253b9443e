//! Calls leave a gateway as lines of JSON and come into another one, each once.

use std::{collections::BTreeSet, fs, process::Command};

use gauntlet_testkit::{http, parts};
use serde_json::{Value, json};

use crate::app::TestApp;

const ROUTES: &str = "routes:\n  support_bot: {model: prov/test-model}\n  search: {model: prov/test-model}\n";
const BUDGETS: (&str, &str) = ("budgets.yml", "tenants: {default: {daily_usd: 50}}\n");

fn call(app: &TestApp, number: usize) {
    let route = ["support_bot", "search"][number % 2];
    let user = format!("user-{}", number % 3);
    let headers = [("x-gauntlet-route", route), ("x-gauntlet-user", &*user), ("x-gauntlet-tags", "gold")];
    let reply = app.chat(&headers, &TestApp::body(&format!("Where is\norder {number}? \u{0}\u{1F600}")));
    assert_eq!(reply.status, 200, "{}", reply.text());
    app.trace_of(&reply);
}

fn exported(app: &TestApp, args: &[&str]) -> BTreeSet<String> {
    let out = app.folder().join("out.jsonl").display().to_string();
    let args = [&["trace", "export", "--out", &out], args].concat();
    let told = app.command_json(&args);
    let text = fs::read_to_string(&out).unwrap();
    assert_eq!(told["lines"], text.lines().count(), "{told}");
    assert!(!app.folder().join("out.jsonl.part").exists());
    text.lines().map(str::to_owned).collect()
}

fn written(app: &TestApp, name: &str, lines: &[&str]) -> String {
    app.write(name, &(lines.join("\n") + "\n"));
    app.config_dir().join(name).display().to_string()
}

fn sums(app: &TestApp) -> Vec<Value> {
    ["route,model", "user", "tag", "day"]
        .map(|by| app.command_json(&["spend", "--by", by, "--last", "7d"])["rows"].clone())
        .into()
}

fn spent(app: &TestApp) -> i64 {
    let budgets = app.command_json(&["budget"]);
    let lines = budgets["lines"].as_array().unwrap();
    lines
        .iter()
        .filter(|line| line["scope"] == "tenant_daily")
        .map(|line| line["spent"].as_i64().unwrap())
        .sum()
}

#[test]
fn what_goes_out_comes_in_again_and_out_the_same() {
    let mut from = TestApp::with_files(ROUTES, &[BUDGETS]);
    (0..20).for_each(|number| call(&from, number));
    let lines = exported(&from, &[]);
    assert_eq!(lines.len(), 20);
    for line in &lines {
        let line: Value = serde_json::from_str(line).unwrap();
        let question = line["input"]["messages"][0]["content"].as_str().unwrap();
        assert!(question.starts_with("Where is\norder ") && question.ends_with("\u{0}\u{1F600}"), "{line}");
        assert!(line["record"]["cost"].as_i64().unwrap() > 0 && line["output"].is_object(), "{line}");
    }
    // Filters are those of lists, whichever way the store finds what fits.
    assert_eq!(exported(&from, &["--route", "search"]).len(), 10);
    assert_eq!(exported(&from, &["--user", "user-0", "--route", "search"]).len(), 3);
    assert_eq!(exported(&from, &["--text", "order 7?"]).len(), 1);
    assert_eq!(exported(&from, &["--until", "2020-01-01"]).len(), 0);
    let bad = from.command(&["trace", "export", "--out", "-", "--outcome", "fine"]);
    assert!(bad.code == Some(2) && bad.stderr.contains("outcome cannot be fine"), "{bad}");

    // Into the data folder of a gateway that does not run, and into one that does.
    let mut to = TestApp::with_files(ROUTES, &[BUDGETS]).without_balance();
    to.stop();
    let all: Vec<&str> = lines.iter().map(String::as_str).collect();
    let file = written(&to, "calls.jsonl", &all);
    let told = to.command(&["trace", "import", &file]).expect_ok().stdout;
    assert!(told.contains("20 calls and 0 spans added; 0 were there already; 0 bad lines."), "{told}");
    assert_eq!(exported(&to, &[]), lines);
    assert_eq!(sums(&to), sums(&from));
    to.restart();
    let again = to.command_json(&["trace", "import", &file]);
    assert_eq!((&again["added"]["calls"], &again["known"]), (&json!(0), &json!(20)), "{again}");
    assert_eq!(exported(&to, &[]), lines);
    assert_eq!((spent(&to), sums(&to)), (0, sums(&from)));
    assert!(spent(&from) > 0);

    let running = to.command(&["trace", "import", "--charge", &file]);
    assert!(running.code == Some(2) && running.stderr.contains("only while no gateway runs"), "{running}");
    from.stop();
    let mut charged = TestApp::with_files(ROUTES, &[BUDGETS]).without_balance();
    charged.stop();
    charged.command(&["trace", "import", "--charge", &file]).expect_ok();
    assert_eq!(spent(&charged), spent(&from));
    from.restart();
}

#[test]
fn bad_lines_are_named_and_stop_an_import_or_are_left_out() {
    let from = TestApp::with_files(ROUTES, &[]);
    (0..3).for_each(|number| call(&from, number));
    let lines = exported(&from, &[]);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let to = TestApp::with_files(ROUTES, &[]).without_balance();
    let cut = &lines[1][..lines[1].len() / 2];
    let file = written(
        &to,
        "bad.jsonl",
        &[
            lines[0],
            "",
            cut,
            "{\"record\":{}}",
            "[1]",
            "{}",
            lines[2],
            "{\"input\":\"secret words\",\"x\":1}",
        ],
    );
    let stopped = to.command(&["trace", "import", &file]);
    assert_eq!(stopped.code, Some(2), "{stopped}");
    assert!(stopped.stderr.contains("bad.jsonl:3: the line is cut short"), "{stopped}");
    assert!(exported(&to, &[]).is_empty());
    let skipped = to.command(&["trace", "import", "--skip-bad", &file]);
    assert_eq!(skipped.code, Some(1), "{skipped}");
    for line in [3, 4, 5, 6, 8] {
        assert!(skipped.stderr.contains(&format!("bad.jsonl:{line}: ")), "{skipped}");
    }
    assert!(
        skipped.stdout.contains("2 calls and 0 spans added; 0 were there already; 5 bad lines."),
        "{skipped}"
    );
    assert!(!skipped.stderr.contains("secret words"), "{skipped}");
    assert_eq!(exported(&to, &[]).len(), 2);
    let missing = to.command(&["trace", "import", "nowhere.jsonl"]);
    assert!(missing.stderr.contains("cannot read nowhere.jsonl"), "{missing}");
    let many = "\n".repeat(1_002);
    let reply = http::post(&to.url("/api/v1/traces/import"), &[], many.as_bytes()).unwrap();
    assert!(reply.status == 400 && reply.text().contains("1000 lines at once"), "{}", reply.text());
}

/// What a reader of Parquet says of a file: types, rows, sums, nulls and a text.
const LOOK: &str = "
import json, sys
import pyarrow.compute as pc, pyarrow.parquet as pq
file = pq.ParquetFile(sys.argv[1])
table = file.read()
table.validate(full=True)
print(json.dumps({
    'types': {field.name: str(field.type) for field in table.schema},
    'needed': [field.name for field in table.schema if not field.nullable],
    'rows': table.num_rows, 'groups': file.metadata.num_row_groups,
    'compression': file.metadata.row_group(0).column(0).compression if table.num_rows else None,
    'cost': str(pc.sum(table['cost_usd']).as_py()), 'tokens': pc.sum(table['tokens_in']).as_py(),
    'nulls': {name: table[name].null_count for name in table.column_names},
    'streamed': pc.sum(table['is_streaming']).as_py(),
    'first': str(pc.min(table['started']).as_py()),
    'texts': sorted(json.loads(text)['messages'][0]['content'] for text in table['input'].to_pylist()),
    'ids': sorted(json.loads(text)['id'] for text in table['record'].to_pylist()),
}))
";

#[test]
fn a_parquet_file_is_what_its_readers_take_it_for() {
    let Some(python) = parts::phoenix() else { return };
    let app = TestApp::with_files(ROUTES, &[]);
    (0..7).for_each(|number| call(&app, number));
    let mut body = TestApp::body("streamed");
    body["stream"] = true.into();
    let reply = app.chat(&[("x-gauntlet-session", "s1")], &body);
    app.trace_of(&reply);
    let look = |file: &str| -> Value {
        let output = Command::new(&python).args(["-c", LOOK, file]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let out = app.folder().join("calls.parquet").display().to_string();
    app.command(&["trace", "export", "--out", &out]).expect_ok();
    let seen = look(&out);
    let lines: Vec<Value> =
        exported(&app, &[]).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sum = |field: fn(&Value) -> i64| -> i64 { lines.iter().map(field).sum() };
    let nanos = sum(|line| line["record"]["cost"].as_i64().unwrap());
    assert_eq!(seen["cost"], format!("0.{nanos:09}"), "{seen}");
    assert_eq!((&seen["rows"], &seen["groups"], &seen["streamed"]), (&json!(8), &json!(1), &json!(1)));
    for (name, kind) in [
        ("started", "timestamp[us, tz=UTC]"),
        ("cost_usd", "decimal128(18, 9)"),
        ("tokens_in", "int64"),
        ("is_streaming", "bool"),
        ("user", "string"),
    ] {
        assert_eq!(seen["types"][name], kind, "{seen}");
    }
    assert_eq!(seen["compression"], "ZSTD");
    let nulls = |name: &str| seen["nulls"][name].as_u64().unwrap();
    assert_eq!([nulls("session"), nulls("user"), nulls("team"), nulls("id")], [7, 1, 8, 0]);
    assert!(seen["needed"].as_array().unwrap().contains(&json!("cost_usd")), "{seen}");
    assert!(seen["texts"][0].as_str().unwrap().ends_with("order 0? \u{0}\u{1F600}"), "{seen}");
    let mut ids: Vec<&Value> = lines.iter().map(|line| &line["record"]["id"]).collect();
    ids.sort_by_key(|id| id.to_string());
    assert_eq!(seen["ids"].as_array().unwrap().iter().collect::<Vec<_>>(), ids);

    // A file of no calls is one, too.
    let none = app.folder().join("none").display().to_string();
    app.command(&["trace", "export", "--format", "parquet", "--until", "2020-01-01", "--out", &none])
        .expect_ok();
    let empty = look(&none);
    assert_eq!((&empty["rows"], &empty["types"]), (&json!(0), &seen["types"]));
    let spans = app.command(&["trace", "export", "--format", "parquet", "--spans", "--out", &none]);
    assert!(spans.code == Some(2) && spans.stderr.contains("lines of JSON alone"), "{spans}");
}
