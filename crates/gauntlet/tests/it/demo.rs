//! The demonstration has something to show.

use std::time::{Duration, Instant};

use gauntlet_testkit::{Launch, http};

#[test]
fn the_demonstration_shows_calls_of_several_tenants_and_says_that_it_is_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let gateway = Launch::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(["demo", "--data", &data.display().to_string()])
        .folder(folder.path())
        .serve();
    assert!(gateway.wait_for_stdout("demonstration", Duration::from_secs(5)).is_some());
    let begun = Instant::now();
    loop {
        let reply =
            http::get(&gateway.url("/api/v1/traces?outcome=ok&limit=200"), &[]).expect("the gateway answers");
        let rows = reply.json()["traces"].as_array().expect("a list").clone();
        let tenants: std::collections::BTreeSet<_> =
            rows.iter().filter_map(|row| row["tenant"].as_str()).collect();
        if rows.len() >= 8 && tenants.len() >= 2 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{} calls of {tenants:?}", rows.len());
        std::thread::sleep(Duration::from_millis(100));
    }
    // Its suite runs once beside the traffic, and gates look at it.
    let begun = Instant::now();
    let trend = loop {
        let reply = http::get(&gateway.url("/api/v1/evals/suites"), &[]).expect("the gateway answers").json();
        let runs = reply["suites"][0]["runs"].as_array().cloned().unwrap_or_default();
        if runs.len() == 4 && runs.iter().filter(|one| !one["verdict"].is_null()).count() == 3 {
            break runs;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{reply}");
        std::thread::sleep(Duration::from_millis(100));
    };
    for one in &trend {
        assert_eq!((&one["run"]["state"], &one["run"]["cases"]), (&"done".into(), &24.into()), "{one}");
    }
    assert_eq!((&trend[0]["verdict"], &trend[2]["verdict"]), (&"fail".into(), &"pass".into()), "{trend:?}");
    let page = http::get(&gateway.url("/"), &[]).expect("the page").text();
    assert!(page.contains("Newest means") && page.contains("support-agent@1.1.0"), "the overview shows them");
    assert!(page.contains("simulated provider"), "the page says that it is simulated");
    assert!(gateway.stop().stderr.lines().all(|line| !line.contains("panicked")));
}
