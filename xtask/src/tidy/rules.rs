//! The rules about files: size, unfinished work, machine paths, ambient time and threads, SQL.

use super::{Violation, source::Source};

/// Near this size, look for the second noun inside (STYLE, "Shape").
const LINES_MAX: usize = 600;

/// Files over the limit with the lines they may have. An entry may only shrink, and goes when the file fits.
const RATCHET: &[(&str, usize)] = &[];

/// What reaches for the world instead of being handed it (STYLE, "Time, chance, globals").
const AMBIENT: [&str; 13] = [
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "Uuid::new_v4",
    "Uuid::now_v7",
    "env::var(",
    "env::var_os(",
    "env::vars(",
    "tokio::spawn",
    "task::spawn(",
    "thread::spawn",
    "thread::Builder",
];

/// Where the ambient calls belong: wiring, tools, and everything that is a test.
const AMBIENT_HOMES: [&str; 3] = ["crates/gauntlet/", "crates/testkit/", "xtask/"];

/// Further places, each with what it may use and why.
const AMBIENT_ALLOWED: &[(&str, &[&str], &str)] = &[
    (
        "crates/evals/src/score/command/child.rs",
        &["env::var_os("],
        "the variables that a suite names for its own scorer's program, which gets no others but PATH",
    ),
    (
        "crates/pipeline/src/judge.rs",
        &["Instant::now", "tokio::spawn"],
        "a judge's call beside the one it is asked for, counted by the call that it is; its time as tokio's timers count",
    ),
    (
        // And the files below it.
        "crates/pipeline/src/stage/attempt",
        &["Instant::now"],
        "deadlines of tokio's own timers take tokio's instants, which its paused clock drives in tests",
    ),
    (
        "crates/pipeline/src/stage/limit.rs",
        &["Instant::now"],
        "the deadline of the wait for a slot, as tokio's timers take it",
    ),
    (
        "crates/pipeline/src/reader.rs",
        &["Instant::now"],
        "idle and total deadlines of a stream, as tokio's timers take them",
    ),
    (
        "crates/server/src/serve.rs",
        &["tokio::spawn"],
        "a connection's task, which the graceful shutdown watches and waits for",
    ),
    (
        "crates/store/src/control/mod.rs",
        &["SystemTime::now"],
        "the time of an audit row, since not every change of the port carries its own",
    ),
    (
        "crates/store/src/finding/walk.rs",
        &["Instant::now"],
        "how long a question may look, which decides where a page ends and never what is on it",
    ),
    (
        "crates/store/src/postgres/database.rs",
        &["Instant::now", "thread::Builder", "tokio::spawn"],
        "limits on answers, which no record shows; one thread and its tasks move the bytes of all connections, and end with the store",
    ),
    (
        "crates/store/src/shared/link.rs",
        &["Instant::now"],
        "how long a store that failed is left alone, as tokio's timers count",
    ),
    (
        "crates/store/src/shared/postgres.rs",
        &["tokio::spawn"],
        "the task that moves a connection's bytes, ended with its connection",
    ),
    (
        "crates/trace/src/drain.rs",
        &["thread::Builder"],
        "the drainer's own thread, joined when its handle stops",
    ),
    (
        "crates/trace/src/export.rs",
        &["thread::Builder"],
        "a thread for each receiver of spans, ended by `Exporters::stop`",
    ),
    (
        "crates/trace/src/sink.rs",
        &["thread::Builder"],
        "the log line's own thread, joined when its sink closes",
    ),
];

pub fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    machine_paths(path, text, &mut found);
    if path.ends_with("Cargo.toml") && path != "Cargo.toml" {
        workspace_lints(path, text, &mut found);
    }
    if path.ends_with(".rs") {
        let source = Source::read(text);
        unfinished(path, &source, &mut found);
        ambient(path, &source, &mut found);
        one_way_to_a_model(path, &source, &mut found);
        sql(path, &source, &mut found);
    }
    found
}

/// `sizes` holds every Rust file with its number of lines.
pub fn check_sizes(sizes: &[(String, usize)]) -> Vec<Violation> {
    check_sizes_against(sizes, RATCHET)
}

fn check_sizes_against(sizes: &[(String, usize)], ratchet: &[(&str, usize)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, lines) in sizes {
        let listed = ratchet.iter().find(|(listed, _)| listed == path).map(|(_, size)| *size);
        let message = match listed {
            None if *lines > LINES_MAX => {
                format!("{lines} lines, over the limit of {LINES_MAX}: look for the second noun inside")
            }
            Some(size) if *lines > size => {
                format!("{lines} lines, but the ratchet allows {size} and may only shrink")
            }
            Some(size) if *lines <= LINES_MAX => {
                format!("{lines} lines fit the limit: take the entry ({size}) off the ratchet")
            }
            Some(size) if *lines < size => {
                format!("shrank to {lines} lines: lower its ratchet entry from {size}")
            }
            _ => continue,
        };
        found.push(Violation { path: path.clone(), line: 0, message });
    }
    for (path, _) in ratchet {
        if !sizes.iter().any(|(known, _)| known == path) {
            found.push(Violation {
                path: (*path).to_owned(),
                line: 0,
                message: "is gone: take its entry off the ratchet".to_owned(),
            });
        }
    }
    found
}

/// Tests, benches and examples bring their own clock and threads.
fn is_test_path(path: &str) -> bool {
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    folders.split('/').any(|folder| matches!(folder, "tests" | "benches" | "examples"))
        || file == "tests.rs"
        || file.ends_with("_tests.rs")
}

fn machine_paths(path: &str, text: &str, found: &mut Vec<Violation>) {
    // Put together here, so that this file does not break its own rule.
    let tops = ["root", "work", "home"].map(|top| format!("/{top}/"));
    for (index, line) in text.lines().enumerate() {
        for top in &tops {
            let is_absolute = line.match_indices(top.as_str()).any(|(at, _)| {
                // `{dir}/x/`, `a.b/x/` and `~/x/` go on from something; an absolute path starts here.
                !line[..at].ends_with(|before: char| before.is_alphanumeric() || ".-_~})>*".contains(before))
            });
            if is_absolute {
                found.push(Violation {
                    path: path.to_owned(),
                    line: index + 1,
                    message: format!(
                        "an absolute path of one machine (`{top}…`): use a relative path or a setting"
                    ),
                });
            }
        }
    }
}

fn workspace_lints(path: &str, text: &str, found: &mut Vec<Violation>) {
    // Stands beside the workspace, since it wants a compiler of its own.
    if path == "fuzz/Cargo.toml" {
        return;
    }
    let lines: Vec<String> =
        text.lines().map(|line| line.split('#').next().unwrap_or("").split_whitespace().collect()).collect();
    let has = lines.iter().any(|line| line == "lints.workspace=true")
        || lines.iter().position(|line| line == "[lints]").is_some_and(|start| {
            lines[start + 1..]
                .iter()
                .take_while(|line| !line.starts_with('['))
                .any(|line| line == "workspace=true")
        });
    if !has {
        found.push(Violation {
            path: path.to_owned(),
            line: 0,
            message: "has no `[lints] workspace = true`: every crate keeps the workspace's lints".to_owned(),
        });
    }
}

fn unfinished(path: &str, source: &Source, found: &mut Vec<Violation>) {
    let mut report = |line: usize, what: &str, cure: &str| {
        found.push(Violation { path: path.to_owned(), line, message: format!("`{what}`: {cure}") });
    };
    for (index, line) in source.code.lines().enumerate() {
        for mark in ["todo!", "unimplemented!", "dbg!"] {
            if contains_word(line, mark) {
                report(index + 1, mark, "finish it or leave it out");
            }
        }
        if line.contains("#[ignore") {
            report(index + 1, "#[ignore]", "assert the wrong behaviour we live with, with a comment");
        }
    }
    for (line, comment) in &source.comments {
        for mark in ["FIXME", "XXX"] {
            if comment.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').any(|word| word == mark)
            {
                report(*line, mark, "mend it, or open an issue and say what the code does instead");
            }
        }
    }
}

fn ambient(path: &str, source: &Source, found: &mut Vec<Violation>) {
    if is_test_path(path) || AMBIENT_HOMES.iter().any(|home| path.starts_with(home)) {
        return;
    }
    for (index, line) in source.code.lines().enumerate() {
        if source.is_test(index + 1) {
            continue;
        }
        for call in AMBIENT.iter().filter(|call| contains_word(line, call)) {
            let is_allowed = AMBIENT_ALLOWED.iter().any(|(place, calls, _)| {
                path.starts_with(place) && calls.iter().any(|allowed| call.starts_with(allowed))
            });
            if !is_allowed {
                found.push(Violation {
                    path: path.to_owned(),
                    line: index + 1,
                    message: format!(
                        "`{}` outside the wiring: have it handed in (`Clock`, settings, tasks), \
                         or list the place with its reason in xtask/src/tidy/rules.rs",
                        call.trim_end_matches('(')
                    ),
                });
            }
        }
    }
}

/// The only stage that may ask a model (ARCHITECTURE, invariant 1).
const ASKS_A_MODEL: &str = "crates/pipeline/src/stage/attempt/asking.rs";

/// The upstream port is called in one place: whatever else asked a model would be neither limited, guarded nor paid for.
fn one_way_to_a_model(path: &str, source: &Source, found: &mut Vec<Violation>) {
    // Elsewhere a port's adapter passes the call on, which is its work.
    if path == ASKS_A_MODEL || path.starts_with("crates/upstream/") || is_test_path(path) {
        return;
    }
    for (index, line) in source.code.lines().enumerate() {
        if line.contains("upstream.send(") && !source.is_test(index + 1) {
            let message = format!("only {ASKS_A_MODEL} may ask a model");
            found.push(Violation { path: path.to_owned(), line: index + 1, message });
        }
    }
}

fn sql(path: &str, source: &Source, found: &mut Vec<Violation>) {
    // A journey may ask the database what a user would ask it.
    if path.starts_with("crates/store/") || path.starts_with("xtask/") || is_test_path(path) {
        return;
    }
    for (line, text) in source.texts.iter().filter(|(line, text)| !source.is_test(*line) && is_sql(text)) {
        let start: String = text.trim().chars().take(30).collect();
        found.push(Violation {
            path: path.to_owned(),
            line: *line,
            message: format!("SQL (`{start}…`) outside crates/store: ask through a port"),
        });
    }
}

/// A statement by the order of its keywords. In small letters prose looks much the same ("select a model from the
/// list"), so there it must also have what only SQL has.
fn is_sql(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let words: Vec<&str> = upper.split_whitespace().collect();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let is_statement = match words.as_slice() {
        // The word alone is somebody's vocabulary.
        ["SELECT", _, ..] => has(&["FROM"]) || words.len() <= 3,
        ["INSERT", "INTO" | "OR", ..] | ["DELETE", "FROM", ..] | ["REPLACE", "INTO", ..] => true,
        ["UPDATE", _, "SET", ..] => true,
        ["CREATE" | "DROP" | "ALTER", "TABLE" | "INDEX" | "UNIQUE" | "VIEW" | "TRIGGER" | "VIRTUAL", ..] => {
            true
        }
        ["WITH", _, "AS", ..] => has(&["SELECT"]),
        ["PRAGMA", _, ..] => true,
        _ => false,
    };
    let is_in_capitals =
        text.split_whitespace().next().is_some_and(|word| word.chars().all(char::is_uppercase));
    let is_unmistakable = text.contains(['?', '*', '=', '(', ';'])
        || has(&["WHERE", "VALUES", "JOIN", "LIMIT", "GROUP", "ORDER"])
        || matches!(words.as_slice(), ["DELETE", "FROM", _] | ["DROP", _, _]);
    is_statement && (is_in_capitals || is_unmistakable)
}

/// `word` with no letter before it, so that `my_todo!` is no `todo!`.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|before: char| before == '_' || before.is_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(path, text).into_iter().map(|violation| violation.to_string()).collect()
    }

    fn passes(path: &str, text: &str) {
        let found = messages(path, text);
        assert!(found.is_empty(), "{path}: {text}: {found:?}");
    }

    fn fails(path: &str, text: &str, part: &str) {
        let found = messages(path, text);
        assert!(found.iter().any(|message| message.contains(part)), "{path}: {text}: {found:?}");
    }

    #[test]
    fn only_one_stage_asks_a_model() {
        let text = "fn f() { call.gate.upstream.send(request) }";
        assert_eq!(check("crates/pipeline/src/stage/cache.rs", text).len(), 1);
        assert_eq!(check(ASKS_A_MODEL, text).len(), 0);
    }

    #[test]
    fn unfinished_work_is_found_in_code_and_comments_only() {
        let path = "crates/guard/src/lib.rs";
        fails(path, "fn a() {\n    todo!()\n}", "lib.rs:2: `todo!`");
        fails(path, "fn a() { unimplemented!() }", "unimplemented!");
        fails(path, "fn a() { dbg!(1); }", "dbg!");
        fails(path, "// FIXME: later", "FIXME");
        fails(path, "/// XXX", "XXX");
        fails(path, "#[ignore = \"slow\"]\n#[test]\nfn a() {}", "#[ignore]");
        passes(path, "let a = \"todo!() FIXME\";");
        passes(path, "// A masked number looks like XXX-XX-1234.");
        passes(path, "my_todo!();");
    }

    #[test]
    fn ambient_time_and_threads_belong_to_the_wiring() {
        let code = "fn a() { let t = std::time::Instant::now(); }";
        fails("crates/policy/src/budget.rs", code, "`Instant::now` outside the wiring");
        fails("crates/wire/src/lib.rs", "fn a() { tokio::spawn(async {}); }", "`tokio::spawn`");
        fails("crates/wire/src/lib.rs", "fn a() { std::env::var(\"X\"); }", "`env::var` outside");
        for path in [
            "crates/gauntlet/src/main.rs",
            "crates/testkit/src/lib.rs",
            "crates/guard/benches/scan.rs",
            "crates/store/tests/it.rs",
            "crates/policy/src/budget/tests.rs",
        ] {
            passes(path, code);
        }
        passes("crates/policy/src/budget.rs", &format!("#[cfg(test)]\nmod tests {{\n{code}\n}}"));
        passes(
            "crates/policy/src/budget.rs",
            "fn a(clock: &dyn Clock) { clock.now(); } // Instant::now is not used",
        );
    }

    #[test]
    fn every_exception_says_why() {
        for (place, calls, reason) in AMBIENT_ALLOWED {
            assert!(
                place.starts_with("crates/") && !calls.is_empty() && reason.len() > 20,
                "{place}: {reason}"
            );
        }
    }

    #[test]
    fn sql_stays_in_the_store() {
        let path = "crates/console/src/page.rs";
        fails(path, "let q = \"SELECT id FROM llm_traces\";", "SQL");
        fails(path, "let q = \"\n  INSERT INTO budgets VALUES (?)\";", "SQL");
        fails(path, "let q = r#\"UPDATE budgets SET a = 1\"#;", "SQL");
        fails(path, "let q = \"insert into audit (ts) values (?1)\";", "SQL");
        fails(path, "let q = \"select id from llm_traces where id = ?1\";", "SQL");
        fails(path, "let q = \"delete from audit\";", "SQL");
        passes(path, "let label = \"select a model from the list\";");
        passes("crates/store/src/sqlite.rs", "let q = \"SELECT id FROM llm_traces\";");
        passes("crates/gauntlet/tests/it/plain_sql.rs", "let q = \"SELECT id FROM llm_traces\";");
        passes(path, "let label = \"Select a model from the list\";");
        passes(path, "let label = \"SELECT the cheapest of the models that fit\";");
    }

    #[test]
    fn paths_of_one_machine_are_refused() {
        let [root, work, home] = ["root", "work", "home"].map(|top| format!("/{top}/"));
        fails("docs/a.md", &format!("see {work}main"), "absolute path");
        fails("tests-env/x.sh", &format!("cd {home}me"), "absolute path");
        fails("crates/a/src/b.rs", &format!("let a = \"{root}.cache\";"), "absolute path");
        passes("crates/a/src/b.rs", &format!("format!(\"{{dir}}{work}x\"); \"./a{home}b\""));
    }

    #[test]
    fn a_crate_keeps_the_lints_of_the_workspace() {
        let path = "crates/a/Cargo.toml";
        passes(path, "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n");
        passes(path, "[package]\nlints.workspace = true\n");
        fails(path, "[package]\nname = \"a\"\n", "[lints]");
        fails(path, "[lints]\n\n[dependencies]\nworkspace = true\n", "[lints]");
    }

    #[test]
    fn long_files_are_on_the_ratchet_and_only_shrink() {
        let check = |lines: usize, ratchet: &[(&str, usize)]| -> Vec<String> {
            let found = check_sizes_against(&[("a.rs".to_owned(), lines)], ratchet);
            found.into_iter().map(|violation| violation.message).collect()
        };
        assert!(check(600, &[]).is_empty());
        assert!(check(601, &[])[0].contains("over the limit"));
        assert!(check(700, &[("a.rs", 700)]).is_empty());
        assert!(check(701, &[("a.rs", 700)])[0].contains("may only shrink"));
        assert!(check(650, &[("a.rs", 700)])[0].contains("lower its ratchet entry"));
        assert!(check(500, &[("a.rs", 700)])[0].contains("off the ratchet"));
        assert!(check(10, &[("b.rs", 700)])[0].contains("is gone"));
    }
}
