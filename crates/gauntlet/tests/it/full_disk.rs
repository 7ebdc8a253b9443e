//! The disk is full: what was begun ends well, nothing new is begun, and with room again it goes on and nothing is lost.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use gauntlet_testkit::{Step, http};

use crate::{app::TestApp, load};

/// How the gateway's data are kept from growing.
trait Room {
    fn fill(&mut self, app: &TestApp);
    fn give(&mut self, app: &TestApp);
}

/// A file system of its own, of a few megabytes. Only root may mount one.
struct Small {
    at: PathBuf,
}

impl Small {
    fn mount(at: &Path) -> Option<Small> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs"]).arg(at).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Small { at: at.to_owned() })
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Room for Small {
    fn fill(&mut self, _: &TestApp) {
        let filler = File::options().create(true).append(true).open(self.filler());
        let mut filler = filler.expect("a file");
        for size in [1 << 16, 1 << 10, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn give(&mut self, _: &TestApp) {
        fs::remove_file(self.filler()).expect("the filler can go");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a gateway may still run on it.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// No file of the gateway's may grow any more. Works for every user, and tries the process's signal besides.
struct Limit;

impl Limit {
    fn set(app: &TestApp, bytes: &str) {
        let mut command = Command::new("prlimit");
        command.arg(format!("--pid={}", app.gateway().pid())).arg(format!("--fsize={bytes}:"));
        assert!(command.status().expect("there is prlimit").success(), "{command:?}");
    }
}

impl Room for Limit {
    fn fill(&mut self, app: &TestApp) {
        Limit::set(app, "1");
    }

    fn give(&mut self, app: &TestApp) {
        Limit::set(app, "unlimited");
    }
}

fn start() -> TestApp {
    TestApp::with_files(load::CONFIG, &[("budgets.yml", load::BUDGETS)])
}

/// The first refusal on a full disk. What is left of the last block, or what the store gives back (a log that it cuts
/// off, a segment that it has taken over), may still take a few entries.
fn refused(app: &TestApp, room: &mut dyn Room, answered: &mut Vec<http::Reply>) -> http::Reply {
    for _ in 0..64 {
        room.fill(app);
        let reply = app.chat(&[], &TestApp::body("hi"));
        match reply.status {
            200 => answered.push(reply),
            _ => return reply,
        }
    }
    panic!("a gateway that cannot write takes no calls");
}

fn a_full_disk_is_survived(app: &TestApp, room: &mut dyn Room) {
    let words = ["word "; 15];
    app.provider
        .script([Step::text("before"), Step::stream(&words).delay_between(Duration::from_millis(100))]);
    let before = app.chat(&[], &TestApp::body("hi"));
    app.trace_of(&before);
    let mut answered = vec![before];
    let mut stream = app.stream(&[], &TestApp::body("a story"));
    let streamed = stream.header("x-gauntlet-request-id").expect("every answer names its request").to_owned();
    stream.next_frame().expect("the stream has begun");

    let refused = refused(app, room, &mut answered);
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (503, &"unavailable".into()),
        "{}",
        refused.text()
    );
    let wait: u64 =
        refused.header("retry-after").expect("it says when to come back").parse().expect("seconds");
    assert!((1..=60).contains(&wait));
    let readiness = || http::get(&app.url("/readyz"), &[]).expect("the gateway answers");
    let ready = readiness();
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("records wait for the disk"), "{}", ready.text());
    assert_eq!(
        http::get(&app.url("/healthz"), &[]).expect("the gateway answers").status,
        200,
        "it is alive all the same"
    );

    let story = stream.collect();
    assert!(story.is_whole && story.has_done(), "what was begun ends well: {story:?}");
    assert_eq!(self::refused(app, room, &mut answered).status, 503, "the disk is full");
    // The story was asked for as well.
    assert_eq!(
        app.provider.requests().len(),
        answered.len() + 1,
        "nothing is asked that could not be recorded"
    );

    room.give(app);
    let until = Instant::now() + Duration::from_secs(10);
    while readiness().status != 200 {
        assert!(Instant::now() < until, "it does not recover: {}", readiness().text());
        thread::sleep(Duration::from_millis(50));
    }
    answered.push(app.chat(&[], &TestApp::body("and after")));
    for reply in &answered {
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(app.trace_of(reply)["record"]["outcome"], "ok");
    }
    assert_eq!(app.trace(&streamed)["record"]["outcome"], "ok");
    let refusal = &app.trace_of(&refused)["record"];
    assert_eq!((&refusal["error"], &refusal["cost"]), (&"unavailable".into(), &0.into()), "{refusal:#}");
}

#[test]
fn a_full_file_system_refuses_new_calls_and_loses_no_record() {
    let mut app = start();
    app.stop().expect_ok();
    // Where nobody may mount, the limit stands in: a write fails there too.
    let mut small = Small::mount(&app.data_dir());
    app.restart();
    match &mut small {
        Some(small) => a_full_disk_is_survived(&app, small),
        None => a_full_disk_is_survived(&app, &mut Limit),
    }
    app.balance();
    app.stop().expect_ok();
}

#[test]
fn a_limit_on_file_sizes_is_a_full_disk_and_no_death() {
    let app = start();
    a_full_disk_is_survived(&app, &mut Limit);
}

/// What only memory holds dies with the process. The call is not lost: its first entry was written before the disk was
/// full, so that it is found, at its hold instead of its cost.
#[test]
fn an_answer_that_ended_on_a_full_disk_is_found_interrupted_after_a_kill() {
    let mut app = start();
    app.provider.script([Step::stream(&["word "; 10]).delay_between(Duration::from_millis(50))]);
    let mut stream = app.stream(&[], &TestApp::body("a story"));
    let id = stream.header("x-gauntlet-request-id").expect("every answer names its request").to_owned();
    stream.next_frame().expect("the stream has begun");
    Limit.fill(&app);
    let story = stream.collect();
    assert!(story.is_whole && story.has_done(), "{story:?}");
    app.kill9();
    // The limit was the dead process's own.
    app.restart();
    let record = &app.trace(&id)["record"];
    assert_eq!((&record["outcome"], &record["cost"]), (&"interrupted".into(), &record["held"]), "{record:#}");
    assert!(load::nano(&record["held"]) > 0);
}
