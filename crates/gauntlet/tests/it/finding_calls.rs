//! A person looks for a call by what was said, by who said it, and by its id.

use gauntlet_testkit::{Step, http};
use serde_json::Value;

use crate::app::TestApp;

#[test]
fn a_call_is_found_by_words_filters_session_and_id() {
    let app = TestApp::start("");
    app.provider.script([
        Step::text("Your parcel left Köln"),
        Step::text("It was paid twice"),
        Step::text("Hello"),
    ]);
    let call = |user: &str, session: &str, text: &str| {
        let headers = [("x-gauntlet-user", user), ("x-gauntlet-session", session)];
        let reply = app.chat(&headers, &TestApp::body(text));
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    call("ann", "s1", "Where is my order?");
    call("ann", "s1", "The refund of my order was wrong");
    call("bob", "s2", "Hi");
    let check = |arguments: &[&str], wanted: usize| {
        let found = app.command_json(&[&["trace", "list"], arguments].concat());
        assert_eq!(found.as_array().map(Vec::len), Some(wanted), "{arguments:?}");
    };
    // As the index takes the calls in meanwhile, or before it has.
    for _ in 0..2 {
        check(&["--text", "order"], 2);
        check(&["--text", "ORDER koln"], 1);
        check(&["--text", "order -refund"], 1);
        check(&["--text", "\"paid twice\""], 1);
        check(&["--text", "paid*", "--user", "bob"], 0);
        check(&["--session", "s1", "--max-latency", "600000"], 2);
        check(&["--status", "404"], 0);
        check(&["--cache", "off", "--provider", "nobody"], 0);
        std::thread::sleep(std::time::Duration::from_millis(700));
    }
    let users = app.command_json(&["trace", "users"]);
    let names: Vec<(&Value, &Value)> =
        users["users"].as_array().unwrap().iter().map(|row| (&row["name"], &row["calls"])).collect();
    assert_eq!(names, [(&"bob".into(), &1.into()), (&"ann".into(), &2.into())]);
    let sessions = app.api("/api/v1/sessions?user=ann");
    assert_eq!(
        (&sessions["sessions"][0]["name"], &sessions["sessions"][0]["calls"]),
        (&"s1".into(), &2.into())
    );
    assert_eq!(sessions["next"], Value::Null);
    // Each on one page, that of the newest call, with all calls.
    call("ann", "s3", "Again");
    let page = |before: &str| app.api(&format!("/api/v1/users?limit=1{before}"));
    let first = page("");
    let second = page(&format!("&before={}", first["next"]));
    let shown = |page: &Value| (page["users"][0]["name"].clone(), page["users"][0]["calls"].clone());
    assert_eq!(
        [shown(&first), shown(&second)],
        [("ann".into(), 3.into()), ("bob".into(), 1.into())],
        "{first:#} {second:#}"
    );
    assert_eq!(second["next"], Value::Null, "{second:#}");

    let newest = app.api("/api/v1/traces?limit=1");
    let older = app.api(&format!("/api/v1/traces?limit=5&before={}", newest["next"]));
    assert_eq!(older["traces"].as_array().map(Vec::len), Some(3), "`next` is where the next page begins");
    let id = newest["traces"][0]["id"].as_str().unwrap();
    check(&["--id", id], 1);
    for path in ["/sessions".to_owned(), "/users?last=24h".to_owned(), format!("/traces?text={id}")] {
        let page = http::get(&app.url(&path), &[]).unwrap();
        let wanted = if path.contains("text=") { 303 } else { 200 };
        assert_eq!(page.status, wanted, "{path}");
    }
}
