use super::*;

const WIDE: CacheBounds = CacheBounds { bytes: 1 << 30, tenant_bytes: 1 << 30, tenant_entries: 1_000_000 };

fn kept(route: &str, question: &str, born: Mono) -> Kept {
    Kept {
        call: CallId(Default::default()),
        route: route.into(),
        body: Bytes::from_static(b"{}"),
        is_stream: false,
        has_usage: false,
        output: Bytes::new(),
        target: Target { provider: "p".into(), model: "m".into() },
        model_answered: None,
        usage: Usage::default(),
        finish: None,
        cost: NanoUsd(7),
        question: question.into(),
        born,
        until: born.plus(Duration::from_secs(60)),
    }
}

fn key(of: u64) -> Key {
    *blake3::hash(&of.to_le_bytes()).as_bytes()
}

fn at(seconds: u64) -> When {
    When { now: Mono(seconds * 1_000_000), age_max: None }
}

fn probe(of: u64) -> Probe {
    let number =
        |at: u8| f32::from(blake3::hash(&[of.to_le_bytes(), [at; 8]].concat()).as_bytes()[0]) - 127.5;
    Probe::new((0..64).map(number).collect()).unwrap()
}

#[test]
fn an_answer_lives_as_long_as_its_route_says_and_as_young_as_is_asked() {
    let cache = Cache::default();
    let tenant = Name::from("acme");
    cache.put(&tenant, key(1), None, kept("r", "", at(100).now), &WIDE);
    let found = |seconds, age_max: Option<u64>| {
        let when = When { age_max: age_max.map(Duration::from_secs), ..at(seconds) };
        cache.get(&tenant, &key(1), when).is_some()
    };
    assert!(found(100, None) && found(159, None) && !found(160, None));
    assert!(found(110, Some(10)) && !found(111, Some(10)) && !found(101, Some(0)) && found(100, Some(0)));
    cache.sweep(at(159).now);
    assert_eq!(cache.figures().entries, 1);
    cache.sweep(at(160).now);
    let figures = cache.figures();
    assert_eq!((figures.entries, figures.bytes, figures.expired), (0, 0, 1));
}

#[test]
fn tenants_never_share() {
    let cache = Cache::default();
    cache.put(&"acme".into(), key(1), Some((key(9), &probe(1))), kept("r", "q", at(0).now), &WIDE);
    assert!(cache.get(&"other".into(), &key(1), at(1)).is_none());
    let probe = probe(1);
    let asked = Asked { frame: key(9), probe: &probe, question: "q", threshold: 0.9, checks: true };
    assert!(cache.near(&"other".into(), &asked, at(1)).is_none());
    assert!(cache.near(&"acme".into(), &asked, at(1)).is_some());
    let elsewhere = Asked { frame: key(8), ..asked };
    assert!(cache.near(&"acme".into(), &elsewhere, at(1)).is_none(), "all else must be the same");
}

#[test]
fn a_near_question_that_differs_in_a_number_is_counted_and_not_answered() {
    let cache = Cache::default();
    let tenant = Name::from("acme");
    let vector = probe(1);
    cache.put(&tenant, key(1), Some((key(9), &vector)), kept("r", "rice for 2", at(0).now), &WIDE);
    let asked = |question, checks| Asked { frame: key(9), probe: &vector, question, threshold: 0.9, checks };
    assert!(cache.near(&tenant, &asked("rice for 4", true), at(1)).is_none());
    assert_eq!(cache.figures().near_misses, 1);
    let (found, similarity) = cache.near(&tenant, &asked("rice for two", true), at(1)).unwrap();
    assert!(similarity > 0.999 && &*found.question == "rice for 2");
    assert!(cache.near(&tenant, &asked("rice for 4", false), at(1)).is_some(), "unless nobody checks");
    assert!(cache.near(&tenant, &asked("rice for 2", true), at(60)).is_none(), "too old");
}

#[test]
fn a_tenant_keeps_no_more_than_its_bounds_and_lets_the_least_used_go() {
    let cache = Cache::default();
    let tenant = Name::from("acme");
    let bounds = CacheBounds { tenant_entries: 100, ..WIDE };
    for of in 0..1_000 {
        cache.put(
            &tenant,
            key(of),
            Some((key(of % 3), &probe(of))),
            kept("r", "q", at(of / 100).now),
            &bounds,
        );
        // One that is in use all the time.
        assert!(cache.get(&tenant, &key(0), at(of / 100 + 1)).is_some(), "{of}");
    }
    let figures = cache.figures();
    assert_eq!((figures.entries, figures.evicted), (100, 900));
    let young = (900..1_000).filter(|of| cache.get(&tenant, &key(*of), at(11)).is_some()).count();
    assert!(young > 60, "mostly the newest are left: {young}");
    let each = figures.bytes / 100;
    let bounds = CacheBounds { tenant_bytes: each * 10, ..WIDE };
    cache.put(&tenant, key(5_000), None, kept("r", "", at(12).now), &bounds);
    let figures = cache.figures();
    assert!(figures.bytes <= each * 10 && figures.entries <= 11, "{figures:?}");
    assert!(cache.get(&tenant, &key(5_000), at(12)).is_some(), "what was stored last is there");
}

#[test]
fn all_tenants_together_keep_no_more_than_is_allowed() {
    let cache = Cache::default();
    let bounds = CacheBounds { bytes: 64 << 10, tenant_bytes: 64 << 10, ..WIDE };
    for of in 0..2_000_u64 {
        // One tenant stores ten times as much as the nineteen others.
        let tenant =
            if of.is_multiple_of(20) { format!("small{}", of / 20 % 19) } else { "large".to_owned() };
        cache.put(&tenant.as_str().into(), key(of), None, kept("r", "", at(of / 100).now), &bounds);
        assert!(cache.figures().bytes <= bounds.bytes);
    }
    let lines = cache.lines(None, None);
    assert_eq!(lines.len(), 20, "the large one has pushed nobody out: {lines:?}");
    let whole: usize = lines.iter().map(|line| line.bytes).sum();
    assert_eq!(whole, cache.figures().bytes);
    let giant = Kept { body: vec![0; 65 << 10].into(), ..kept("r", "", at(30).now) };
    cache.put(&"large".into(), key(9_999), None, giant, &bounds);
    assert!(cache.get(&"large".into(), &key(9_999), at(30)).is_none(), "larger than all room");
}

/// The vectors, maps and sums must agree after any order of storing, replacing, evicting and clearing.
#[test]
fn after_any_order_of_changes_every_answer_is_found_by_its_key_and_by_its_vector() {
    let cache = Cache::default();
    let tenant = Name::from("acme");
    let bounds = CacheBounds { tenant_entries: 40, ..WIDE };
    let mut random = 1_u64;
    for step in 0..2_000_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let of = (random >> 33) % 80;
        let route = if of.is_multiple_of(2) { "even" } else { "odd" };
        let shelf = (!of.is_multiple_of(4)).then(|| (key(1_000 + of % 4), probe(of)));
        let framed = shelf.as_ref().map(|(frame, probe)| (*frame, probe));
        cache.put(
            &tenant,
            key(of),
            framed,
            kept(route, &format!("question {of}"), at(step / 100).now),
            &bounds,
        );
        if step % 500 == 499 {
            cache.clear(None, Some("odd"));
            assert!(cache.lines(None, None).iter().all(|line| line.entries == 0 || &*line.route == "even"));
        }
        if !step.is_multiple_of(100) {
            continue;
        }
        let when = at(step / 100);
        let there: Vec<u64> = (0..80).filter(|of| cache.get(&tenant, &key(*of), when).is_some()).collect();
        assert_eq!(there.len(), cache.figures().entries, "step {step}");
        for of in there.into_iter().filter(|of| !of.is_multiple_of(4)) {
            let (vector, question) = (probe(of), format!("question {of}"));
            let asked = Asked {
                frame: key(1_000 + of % 4),
                probe: &vector,
                question: &question,
                threshold: 0.99,
                checks: true,
            };
            let (found, _) = cache.near(&tenant, &asked, when).unwrap_or_else(|| panic!("step {step}: {of}"));
            assert_eq!(&*found.question, question, "step {step}");
        }
    }
    let cleared = cache.clear(None, None);
    assert!(cleared.entries > 0);
    assert_eq!((cache.figures().entries, cache.figures().bytes), (0, 0));
}

#[test]
fn clearing_takes_what_is_named_and_leaves_the_rest() {
    let cache = Cache::default();
    for (of, tenant, route) in [(1, "a", "x"), (2, "a", "y"), (3, "b", "x")] {
        cache.put(&tenant.into(), key(of), None, kept(route, "", at(0).now), &WIDE);
    }
    let left = || -> Vec<String> {
        let lines = cache.lines(None, None).into_iter().filter(|line| line.entries > 0);
        lines.map(|line| format!("{}/{}", line.tenant, line.route)).collect()
    };
    assert_eq!(cache.clear(Some("b"), Some("y")).entries, 0);
    assert_eq!(cache.clear(Some("a"), Some("y")).entries, 1);
    assert_eq!(left(), ["a/x", "b/x"]);
    assert_eq!(cache.clear(Some("a"), None).entries, 1);
    assert_eq!(left(), ["b/x"]);
    assert_eq!(cache.clear(None, None).entries, 1);
    assert!(left().is_empty());
}

#[test]
fn hits_and_what_they_saved_are_counted_by_tenant_and_route() {
    let cache = Cache::default();
    let tenant = Name::from("acme");
    cache.put(&tenant, key(1), None, kept("r", "", at(0).now), &WIDE);
    let found = cache.get(&tenant, &key(1), at(1)).unwrap();
    cache.note_hit(&tenant, &found, false);
    cache.note_hit(&tenant, &found, true);
    let lines = cache.lines(Some("acme"), None);
    assert_eq!((lines[0].exact_hits, lines[0].semantic_hits, lines[0].saved), (1, 1, NanoUsd(14)));
    assert_eq!(cache.figures().saved, NanoUsd(14));
    assert!(cache.lines(Some("other"), None).is_empty() && cache.lines(None, Some("other")).is_empty());
}
