use std::time::Duration;

use gauntlet_testkit::{Launch, free_port, http};

const PATH: &str = env!("CARGO_BIN_EXE_pretend_gauntlet");
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_binary_is_started_read_along_and_stopped() {
    let mut binary = Launch::new(PATH).args(["up"]).env("GREETING", "hello").serve();
    assert!(binary.is_running());
    assert_eq!(http::get(&binary.url("/v1/models"), &[]).unwrap().text(), "ok");
    assert_eq!(binary.wait_for_stdout("/v1/models", LIMIT).as_deref(), Some("GET /v1/models HTTP/1.1"));
    assert!(binary.wait_for_stderr("listening", LIMIT).is_some());
    assert!(binary.wait_for_stderr("never said", Duration::from_millis(10)).is_none());
    assert!(binary.stdout()[0].starts_with("args: up --listen 127.0.0.1:"), "{:?}", binary.stdout());
    let ended = binary.stop();
    assert!(ended.stdout.contains("GREETING: Some(\"hello\")"), "{ended}");
}

#[test]
fn the_environment_of_the_developer_stays_outside() {
    let ended = Launch::new(PATH).run().expect_ok();
    assert!(ended.stdout.contains("HOME: None"), "{ended}");
}

#[test]
fn a_killed_binary_is_gone_and_its_port_free_again() {
    let address = format!("127.0.0.1:{}", free_port());
    let launch = Launch::new(PATH).args(["up", "--listen", &address]);
    let binary = launch.serve();
    let url = binary.url("/readyz");
    let ended = binary.kill9();
    assert_eq!(ended.code, None);
    assert!(http::get(&url, &[]).is_err());
    assert_eq!(launch.serve().url("/readyz"), url);
}

#[test]
fn a_binary_that_does_not_start_says_why() {
    let Err(ended) = Launch::new(PATH).args(["--fail"]).try_serve() else { panic!("it started") };
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), "the configuration is wrong"));
    assert_eq!(Launch::new(PATH).args(["--fail"]).run().code, Some(2));
}
