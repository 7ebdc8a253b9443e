use super::*;

const POLICY: BreakerPolicy =
    BreakerPolicy { failures: 2, cooldown: Duration::from_secs(10), key_cooldown: Duration::from_secs(60) };
const NOW: Mono = Mono(100_000_000);

fn later(seconds: u64) -> Mono {
    NOW.plus(Duration::from_secs(seconds))
}

fn target(text: &str) -> Target {
    Target::parse(text).unwrap()
}

fn why(health: &Health, name: &str, at: Mono) -> Option<Why> {
    health.standing(&target(name), at).why()
}

#[test]
fn a_refused_key_rests_all_targets_of_its_provider_and_no_other() {
    let mut health = Health::default();
    health.failed(&target("one/a"), Against::Key(KeyTrouble::Unpaid), NOW, &POLICY);
    assert_eq!(why(&health, "one/a", later(59)), Some(Why::Unpaid));
    assert_eq!(why(&health, "one/b", later(59)), Some(Why::Unpaid));
    assert_eq!(why(&health, "two/a", NOW), None);
    assert_eq!(why(&health, "one/a", later(60)), None);
    // One answer shows that the key is good again.
    health.answered(&target("one/b"), Measured::Whole, Duration::from_millis(5), later(1));
    assert_eq!(why(&health, "one/a", later(2)), None);
    health.failed(&target("one/a"), Against::Key(KeyTrouble::Refused), later(3), &POLICY);
    assert_eq!(why(&health, "one/b", later(4)), Some(Why::KeyRefused));
    health.forget_keys();
    assert_eq!(why(&health, "one/b", later(4)), None);
}

#[test]
fn a_target_that_was_outrun_takes_at_least_so_long_and_is_otherwise_as_it_was() {
    let mut health = Health::default();
    let a = target("one/a");
    let ms = |health: &Health| health.view(&a, Measured::FirstToken, NOW).latency_us.map(|us| us / 1e3);
    health.outrun(&a, Measured::FirstToken, Duration::from_millis(300), NOW, &POLICY);
    assert_eq!(ms(&health), Some(300.0));
    health.answered(&a, Measured::Whole, Duration::from_millis(5), NOW);
    // It says nothing against a target that is known to take longer.
    health.outrun(&a, Measured::FirstToken, Duration::from_millis(20), NOW, &POLICY);
    assert_eq!(ms(&health), Some(300.0));
    for _ in 0..POLICY.failures {
        health.failed(&a, Against::Nobody, NOW, &POLICY);
    }
    assert_eq!(why(&health, "one/a", NOW), None);
}

#[test]
fn a_target_that_is_outrun_again_and_again_is_asked_last_until_it_answers() {
    let mut health = Health::default();
    let a = target("one/a");
    let outrun = |health: &mut Health, at: Mono| {
        health.outrun(&a, Measured::FirstToken, Duration::from_secs(1), at, &POLICY);
    };
    outrun(&mut health, NOW);
    assert_eq!(why(&health, "one/a", NOW), None);
    outrun(&mut health, NOW);
    assert_eq!(why(&health, "one/a", later(9)), Some(Why::Outrun));
    assert!(!health.admit(&a, later(9), &POLICY, true));
    assert!(health.admit(&a, later(9), &POLICY, false), "it is slow, not gone");
    // After the cooldown one call tries it; outrun once more, it waits again.
    assert!(health.admit(&a, later(10), &POLICY, true));
    outrun(&mut health, later(10));
    assert_eq!(why(&health, "one/a", later(11)), Some(Why::Outrun));
    health.answered(&a, Measured::FirstToken, Duration::from_millis(5), later(12));
    outrun(&mut health, later(12));
    assert_eq!(why(&health, "one/a", later(12)), None);
    let never = BreakerPolicy { failures: 0, ..POLICY };
    for _ in 0..100 {
        health.outrun(&a, Measured::FirstToken, Duration::from_secs(1), later(12), &never);
    }
    assert_eq!(why(&health, "one/a", later(12)), None, "without a breaker it is asked for ever");
}

#[test]
fn a_target_that_asked_for_a_pause_gets_it_while_there_is_another() {
    let mut health = Health::default();
    let a = target("one/a");
    health.failed(&a, Against::Rate(Duration::from_secs(30)), NOW, &POLICY);
    assert_eq!(why(&health, "one/a", later(29)), Some(Why::RateLimited));
    assert_eq!(why(&health, "one/b", later(29)), None, "the rate of one model says nothing of another's");
    assert!(!health.admit(&a, later(1), &POLICY, true));
    assert!(health.admit(&a, later(1), &POLICY, false), "without another it is asked all the same");
    assert!(health.admit(&a, later(30), &POLICY, true));
    health.failed(&a, Against::Rate(Duration::from_secs(86_400)), NOW, &POLICY);
    assert_eq!(why(&health, "one/a", later(3600)), None, "and no pause is longer than an hour");
}

#[test]
fn failures_open_the_breaker_and_one_probe_closes_it() {
    let mut health = Health::default();
    let a = target("one/a");
    for _ in 0..2 {
        health.failed(&a, Against::Target, NOW, &POLICY);
    }
    assert_eq!(why(&health, "one/a", NOW), Some(Why::Breaker));
    assert!(!health.admit(&a, later(9), &POLICY, false), "an open breaker holds for everybody");
    assert!(health.admit(&a, later(10), &POLICY, true));
    assert_eq!(why(&health, "one/a", later(10)), Some(Why::Probe));
    assert!(!health.admit(&a, later(10), &POLICY, false));
    health.report(&a, BreakerEvent::Ok, later(11), &POLICY);
    assert!(health.standing(&a, later(11)).is_free());
}

#[test]
fn calls_under_way_are_counted_down_to_nothing_and_never_below() {
    let mut health = Health::default();
    let a = target("one/a");
    health.ended(&a);
    health.began(&a, NOW);
    health.began(&a, NOW);
    health.ended(&a);
    assert_eq!(health.view(&a, Measured::Whole, NOW).in_flight, 1);
    health.ended(&a);
    health.ended(&a);
    assert_eq!(health.view(&a, Measured::Whole, NOW).in_flight, 0);
}

#[test]
fn streams_and_whole_answers_are_measured_apart() {
    let mut health = Health::default();
    let a = target("one/a");
    health.answered(&a, Measured::Whole, Duration::from_secs(9), NOW);
    assert_eq!(health.view(&a, Measured::FirstToken, NOW).latency_us, None);
    assert_eq!(health.view(&a, Measured::Whole, NOW).latency_us, Some(9e6));
}

#[test]
fn made_up_names_do_not_fill_memory() {
    let mut health = Health::default();
    let busy = target("one/busy");
    health.began(&busy, NOW);
    for number in 0..3 * TARGETS_MAX {
        let made_up = target(&format!("one/{number}"));
        health.failed(&made_up, Against::Target, NOW, &POLICY);
    }
    assert!(health.lines(NOW).len() <= TARGETS_MAX);
    assert_eq!(health.view(&busy, Measured::Whole, NOW).in_flight, 1);
}
