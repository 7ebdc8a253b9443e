use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// 2026-04-25T18:42:11Z
const NOW: Timestamp = Timestamp(1_777_142_531_000_000);

#[test]
fn every_form_of_retry_after_is_read() {
    let check = |headers: &[(&str, &'static str)], wanted: Option<Duration>| {
        let find = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        assert_eq!(retry_after(&find, NOW), wanted, "{headers:?}");
    };
    let ms = |ms| Some(Duration::from_millis(ms));
    check(&[], None);
    check(&[("retry-after", "2")], ms(2_000));
    check(&[("retry-after", " 0.25 ")], ms(250));
    check(&[("retry-after", "0")], ms(0));
    check(&[("retry-after", "-1")], None);
    check(&[("retry-after", "soon")], None);
    check(&[("retry-after", "")], None);
    check(&[("retry-after", "NaN")], None);
    check(&[("retry-after", "inf")], None);
    check(&[("retry-after", "1e300")], None);
    check(&[("retry-after", "Sat, 25 Apr 2026 18:42:41 GMT")], ms(30_000));
    check(&[("retry-after", "Saturday, 25-Apr-26 18:42:41 GMT")], ms(30_000));
    check(&[("retry-after", "Sat, 25 Apr 2026 18:00:00 GMT")], ms(0));
    check(&[("retry-after", "1777142541")], ms(10_000));
    check(&[("retry-after-ms", "1500"), ("retry-after", "2")], ms(1_500));
    check(&[("retry-after-ms", "nonsense"), ("retry-after", "2")], ms(2_000));
    check(&[("x-ratelimit-reset-requests", "6m0s")], ms(360_000));
    check(&[("x-ratelimit-reset-requests", "1s")], ms(1_000));
    check(&[("x-ratelimit-reset-tokens", "12ms")], ms(12));
    check(&[("x-ratelimit-reset-tokens", "1h2m3.5s")], ms(3_723_500));
    check(&[("x-ratelimit-reset-tokens", "1777142541")], ms(10_000));
    check(&[("x-ratelimit-reset-tokens", "1777142541000")], ms(10_000));
    check(&[("x-ratelimit-reset-tokens", "1777142500")], ms(0));
    check(&[("x-ratelimit-reset-tokens", "7")], ms(7_000));
    check(&[("x-ratelimit-reset-tokens", "6parsecs")], None);
    check(&[("x-ratelimit-reset-tokens", "6m5")], None);
    check(&[("x-ratelimit-reset", "1777142541")], ms(10_000));
    check(&[("x-ratelimit-reset-requests", "9s"), ("x-ratelimit-reset-tokens", "1s")], ms(9_000));
    let both = [("x-ratelimit-reset-requests", "9s"), ("x-ratelimit-reset-tokens", "1s")];
    check(&[both[0], both[1], ("x-ratelimit-remaining-tokens", "0")], ms(1_000));
    check(&[both[0], both[1], ("x-ratelimit-remaining-requests", "0")], ms(9_000));
}

#[test]
fn the_pause_doubles_is_jittered_and_bounded() {
    let policy = RetryPolicy { attempts: 9, base: Duration::from_secs(1), max: Duration::from_secs(5) };
    let check = |attempt, chance, seconds: f64| {
        let pause = policy.delay(attempt, chance, None, MINUTE);
        assert_eq!(pause, Some(Duration::from_secs_f64(seconds)), "{attempt} {chance}");
    };
    check(1, 0.0, 0.0);
    check(1, 0.5, 0.5);
    check(2, 0.5, 1.0);
    check(3, 0.5, 2.0);
    check(4, 0.5, 2.5);
    check(8, 1.0, 5.0);
    check(1, f64::NAN, 0.5);
    assert_eq!(
        RetryPolicy { attempts: u32::MAX, ..policy }.delay(4_000, 1.0, None, MINUTE),
        Some(policy.max)
    );
}

#[test]
fn retry_after_is_a_floor_and_too_long_a_wait_means_the_next_target() {
    let policy = RetryPolicy { attempts: 3, base: Duration::from_secs(1), max: Duration::from_secs(5) };
    let seconds = Duration::from_secs_f64;
    let check = |attempt, chance, after: f64, remaining: f64, wanted: Option<f64>| {
        let pause = policy.delay(attempt, chance, Some(seconds(after)), seconds(remaining));
        assert_eq!(pause, wanted.map(seconds), "{attempt} {chance} {after} {remaining}");
    };
    check(1, 0.0, 3.0, 60.0, Some(3.0));
    check(1, 0.5, 3.0, 60.0, Some(3.5));
    check(1, 0.5, 5.0, 60.0, Some(5.0));
    check(1, 0.5, 5.1, 60.0, None);
    check(1, 0.5, 3.0, 3.5, None);
    check(1, 0.5, 3.0, 3.6, Some(3.5));
    check(3, 0.5, 0.0, 60.0, None);
    assert_eq!(RetryPolicy { attempts: 0, ..policy }.delay(1, 0.0, None, MINUTE), None);
}

#[test]
fn every_failure_has_its_verdict() {
    use AttemptEnd as End;
    use Verdict::{GiveUp, NextTarget, Retry};
    let check = |status: u16, code: &str, wanted| {
        let code = (!code.is_empty()).then_some(code);
        assert_eq!(judge(Some(status), End::Status, code), wanted, "{status} {code:?}");
    };
    for status in [408, 409, 425, 429, 500, 502, 503, 504, 520, 524, 529, 599, 200] {
        check(status, "", Retry);
    }
    for status in [301, 307, 401, 402, 403, 404, 405, 410, 501, 505, 511] {
        check(status, "", NextTarget);
    }
    for status in [400, 406, 411, 413, 415, 418, 422, 431, 451, 499] {
        check(status, "", GiveUp);
    }
    check(429, "rate_limit_exceeded", Retry);
    check(429, "insufficient_quota", NextTarget);
    check(429, "something_new", Retry);
    check(400, "API_KEY_INVALID", NextTarget);
    check(400, "model_not_found", NextTarget);
    check(400, "invalid_request_error", GiveUp);
    check(400, "context_length_exceeded", GiveUp);
    // OpenAI puts this type beside a wrong key too: the status knows better.
    check(401, "invalid_request_error", NextTarget);
    check(404, "invalid_request_error", NextTarget);
    check(500, "invalid_request_error", Retry);
    // llama-cpp-python answers so to a field that it does not know.
    check(500, "request_validation_error", GiveUp);
    check(529, "overloaded_error", Retry);

    let passing = [
        End::Connect,
        End::FirstTokenTimeout,
        End::IdleTimeout,
        End::TotalTimeout,
        End::Malformed,
        End::Cut,
        End::StreamError,
    ];
    for end in passing {
        assert_eq!(judge(None, end, None), Retry, "{end:?}");
        assert_eq!(judge(Some(200), end, None), Retry, "{end:?}");
    }
    assert_eq!(judge(Some(200), End::StreamError, Some("overloaded_error")), Retry);
    assert_eq!(judge(Some(200), End::StreamError, Some("insufficient_quota")), NextTarget);
    assert_eq!(judge(Some(200), End::StreamError, Some("invalid_request_error")), GiveUp);
    assert_eq!(judge(None, End::Abandoned, None), GiveUp);
    assert_eq!(judge(Some(200), End::Ok, None), GiveUp);
}

#[test]
fn faults_of_the_key_the_rate_and_the_server_are_told_apart() {
    use KeyTrouble::{Refused, Unpaid};
    let wait = Some(Duration::from_secs(30));
    let check = |status: u16, code: Option<&str>, retry_after, expected| {
        let found = against(Some(status), AttemptEnd::Status, code, retry_after);
        assert_eq!(found, expected, "{status} {code:?}");
    };
    check(401, None, None, Against::Key(Refused));
    check(401, Some("invalid_api_key"), None, Against::Key(Refused));
    check(402, None, None, Against::Key(Unpaid));
    check(403, None, None, Against::Key(Refused));
    check(403, Some("model_not_found"), None, Against::Nobody);
    check(404, None, None, Against::Nobody);
    check(400, Some("API_KEY_INVALID"), None, Against::Key(Refused));
    check(429, Some("insufficient_quota"), wait, Against::Key(Unpaid));
    check(429, Some("rate_limit_exceeded"), wait, Against::Rate(Duration::from_secs(30)));
    check(429, None, None, Against::Target);
    check(429, None, Some(Duration::ZERO), Against::Target);
    check(503, None, wait, Against::Target);
    check(529, Some("overloaded_error"), None, Against::Target);
    check(400, None, None, Against::Nobody);
    check(301, None, None, Against::Nobody);
    let ends = |end| against(None, end, None, None);
    for end in [
        AttemptEnd::Connect,
        AttemptEnd::Cut,
        AttemptEnd::Malformed,
        AttemptEnd::FirstTokenTimeout,
        AttemptEnd::IdleTimeout,
        AttemptEnd::TotalTimeout,
        AttemptEnd::StreamError,
    ] {
        assert_eq!(ends(end), Against::Target, "{end:?}");
    }
    assert_eq!(ends(AttemptEnd::Abandoned), Against::Nobody);
    let in_stream = against(None, AttemptEnd::StreamError, Some("insufficient_quota"), None);
    assert_eq!(in_stream, Against::Key(Unpaid), "a code counts wherever it stands");
}
