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
    let page = http::get(&gateway.url("/"), &[]).expect("the page").text();
    assert!(page.contains("simulated provider"), "the page says that it is simulated");
    assert!(gateway.stop().stderr.lines().all(|line| !line.contains("panicked")));
}
