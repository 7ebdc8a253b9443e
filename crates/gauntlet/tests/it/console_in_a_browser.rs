//! The console as a person sees it: in a real browser, with its scripts and its content policy at work.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use gauntlet_testkit::{Step, http, parts};
use serde_json::json;

use crate::app::TestApp;

const HOSTILE: &str = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";

/// The one that the environment names, else the system's; missing, it is as loud as any other part.
fn chromium() -> Option<PathBuf> {
    let is_named = env::var_os("GAUNTLET_TEST_CHROMIUM").is_some_and(|path| !path.is_empty());
    let is_left_out =
        env::var("GAUNTLET_TEST_WITHOUT").is_ok_and(|parts| parts.split(',').any(|part| part == "browser"));
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("chromium")).find(|file| file.is_file());
    match found {
        Some(found) if !is_named && !is_left_out => Some(found),
        _ => parts::chromium(),
    }
}

struct Seen {
    dom: String,
    picture: Vec<u8>,
}

/// Opens a page in a window of that size; fails on anything that the page's own console reports.
fn open(browser: &Path, folder: &Path, url: &str, (width, height): (u32, u32)) -> Seen {
    let shot = folder.join("page.png");
    let ended = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--no-proxy-server", "--hide-scrollbars"])
        .arg(format!("--window-size={width},{height}"))
        .args(["--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--screenshot={}", shot.display()))
        .arg(url)
        .env("HOME", folder)
        .output()
        .expect("the browser starts");
    let (dom, log) = (
        String::from_utf8_lossy(&ended.stdout).into_owned(),
        String::from_utf8_lossy(&ended.stderr).into_owned(),
    );
    assert!(ended.status.success(), "{url}: {log}");
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{url}: {complaints:#?}");
    let picture = std::fs::read(&shot).unwrap_or_else(|error| panic!("{url}: no picture ({error}): {log}"));
    std::fs::remove_file(&shot).expect("the picture can be removed");
    Seen { dom, picture }
}

/// Width and height of a PNG, from its header.
fn size(png: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(&png[1..4], b"PNG");
    (number(16), number(20))
}

#[test]
fn every_page_of_the_console_works_in_a_browser() {
    let Some(browser) = chromium() else { return };
    let app = TestApp::with_files(
        "routes:\n  support_bot: {}",
        &[("budgets.yml", "tenants:\n  acme:\n    daily_usd: 5\n")],
    );
    app.provider.default(Step::answer(&["an answer of the model, ", HOSTILE]).usage(1000, 2000));
    let headers = [("x-gauntlet-route", "support_bot"), ("x-gauntlet-tenant", "acme")];
    let reply = app.chat(&headers, &TestApp::body(HOSTILE));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let id = reply.header("x-gauntlet-request-id").unwrap().to_owned();
    app.trace(&id);
    evaluate(&app, &id);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let failing = format!("href=\"/traces/{id}\">trace");
    for (path, facts) in [
        (
            "/".to_owned(),
            vec![
                "support_bot",
                "$0.005",
                "tenant_daily",
                "Budgets",
                "by the minute, last hour: 1 in all",
                "dot bad",
                "/evals/runs/nightly%2D1?failed=1#case-c1",
                "0.250 – 0.750",
                "/prompts/show?name=support%2Dagent&amp;version=1%2E2%2E0",
                failing.as_str(),
            ],
        ),
        ("/evals/runs/nightly%2D1?failed=1#case-c1".to_owned(), vec!["id=\"case-c1\"", "&lt;script&gt;"]),
        ("/traces".to_owned(), vec!["support_bot", "test-model", id.as_str()]),
        ("/spend".to_owned(), vec!["acme", "support_bot", "$0.005", "By day", "tenant_daily"]),
        ("/events".to_owned(), vec!["Events", "Nothing needed attention"]),
        ("/advice".to_owned(), vec!["What would be saved", "all 1 calls"]),
        (
            format!("/traces/{id}"),
            vec![
                "support_bot",
                "prov/test-model",
                "0.005",
                "an answer of the model",
                "&lt;script&gt;",
                id.as_str(),
            ],
        ),
    ] {
        let seen = open(&browser, folder.path(), &app.url(&path), (1280, 900));
        for fact in facts {
            assert!(seen.dom.contains(fact), "{path}: no {fact} in\n{}", seen.dom);
        }
        assert!(
            !seen.dom.contains("<title>owned") && !seen.dom.contains("<img src=\"x\""),
            "{path}: hostile text ran"
        );
        assert_eq!(size(&seen.picture), (1280, 900));
        // A blank page compresses to almost nothing.
        assert!(seen.picture.len() > 15_000, "{path}: the picture is empty ({} bytes)", seen.picture.len());
    }
}

/// A run of evals with a case that failed, a gate that said no, and words of a model that would be markup.
fn evaluate(app: &TestApp, call: &str) {
    let run = json!({
        "id": "nightly-1", "suite": "nightly", "suite_hash": "", "dataset_hash": "", "app_sha": null, "route": null,
        "candidate": {"name": HOSTILE, "model": null, "prompt": {"name": "support-agent", "version": "1.2.0", "label": null,
            "hash": "ab"}},
        "is_fast": false, "cases": 2, "repeats": 1, "state": "done", "why": null, "started": 1_777_142_531_482_123_i64,
        "ended": null, "cost": 0, "judge_cost": 0, "judge_calls": 0, "judge_cached": 0, "passed": 1, "failed": 1, "errors": 0,
        "metrics": [{"metric": "exact", "implementation": "gauntlet/1:exact", "direction": "higher_is_better", "mean": 0.5,
            "ci_low": 0.25, "ci_high": 0.75, "scored": 2, "unscored": 0}],
    });
    let result = json!({
        "run": "nightly-1", "case": "c1", "repeat": 0, "cluster": null, "app_sha": null, "route": null, "call": call,
        "model": null, "input": HOSTILE, "expected": null, "output": HOSTILE, "output_hash": null, "error": null,
        "decision": null, "cost": 0, "judge_cost": 0, "latency_us": 0, "tokens_in": 0, "tokens_out": 0, "passed": false,
        "at": 5, "scores": [{"metric": "exact", "implementation": "gauntlet/1:exact", "value": 0.0, "passed": false,
            "reason": HOSTILE}],
    });
    let gate = json!({
        "id": "g", "suite": "nightly", "run": "nightly-1", "baseline": null, "app_sha": null, "prompt": null,
        "verdict": "fail", "summary": "fell", "at": 5, "report": {"checks": [{"metric": "exact"}]},
    });
    for (path, body) in [("runs", run), ("runs/nightly-1/results", json!([result])), ("gates", gate)] {
        let reply = http::post_json(&app.url(&format!("/api/v1/evals/{path}")), &[], &body).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}
