use std::collections::{BTreeMap, VecDeque};

use gauntlet_types::Blame;
use proptest::prelude::*;

use super::*;

const NOW: Mono = Mono(1_000_000);

fn id(number: u128) -> CallId {
    format!("{number:032x}").parse().unwrap()
}

fn slots(max: u32, queue: u32) -> Limits {
    let queue_wait = Duration::from_secs(2);
    Limits { max_concurrency: Some(max), queue, queue_wait, ..Limits::default() }
}

fn rates(rpm: Option<u32>, tpm: Option<u32>) -> Limits {
    Limits { rpm, tpm, ..Limits::default() }
}

type Wanted = Vec<(LimitScope, Name, Limits)>;

fn on(scope: LimitScope, name: &str, limits: Limits) -> (LimitScope, Name, Limits) {
    (scope, name.into(), limits)
}

fn go(limiter: &mut Limiter, ticket: Ticket) -> Permit {
    match limiter.collect(NOW, ticket) {
        Collected::Go(permit) => permit,
        other => panic!("not let through: {other:?}"),
    }
}

fn still_waits(limiter: &mut Limiter, ticket: Ticket) -> Ticket {
    match limiter.collect(NOW, ticket) {
        Collected::Wait(ticket) => ticket,
        other => panic!("not waiting: {other:?}"),
    }
}

#[test]
fn requests_and_tokens_are_limited_together_or_not_at_all() {
    let mut limiter = Limiter::new();
    let wanted = vec![
        on(LimitScope::Model, "m", rates(Some(10), Some(1_000))),
        on(LimitScope::Key, "k", rates(Some(2), None)),
        on(LimitScope::Tenant, "t", Limits::default()),
    ];
    for _ in 0..2 {
        let permit = limiter.admit(NOW, &wanted, 400).unwrap();
        assert!(limiter.release(permit, 400, NOW).is_empty());
    }
    // Both refuse; the longer wait (30 s for a request of two a minute, 12 s for the tokens) is the one to heed.
    let refused = limiter.admit(NOW, &wanted, 400).unwrap_err();
    let retry_after = Duration::from_secs(30);
    let rate = |scope, name: &str, what, limit, retry_after| Limited::Rate {
        scope,
        name: name.into(),
        what,
        limit,
        retry_after,
    };
    assert_eq!(refused, rate(LimitScope::Key, "k", Rate::Rpm, 2, retry_after));
    assert_eq!(limiter.state().len(), 2, "what has no limits is not counted");
    // The refused call took nothing: 8 requests and 200 tokens are left at the model.
    let alone = &wanted[..1];
    let refused = limiter.admit(NOW, alone, 201).unwrap_err();
    assert_eq!(refused, rate(LimitScope::Model, "m", Rate::Tpm, 1_000, Duration::from_millis(60)));
    let mut passed = 0;
    while let Ok(permit) = limiter.admit(NOW, alone, 25) {
        assert!(limiter.release(permit, 25, NOW).is_empty());
        passed += 1;
    }
    assert_eq!(passed, 8);
    let fault = limiter.admit(NOW, &wanted, 400).unwrap_err().fault();
    assert_eq!(
        (fault.code, fault.blame, fault.retry_after),
        (Code::RateLimited, Blame::Policy, Some(retry_after))
    );
    assert_eq!(fault.message, "key `k` is limited to 2 requests a minute");
}

#[test]
fn tokens_are_put_right_when_the_call_is_over() {
    let mut limiter = Limiter::new();
    let wanted = vec![on(LimitScope::Key, "k", rates(None, Some(1_000)))];
    let permit = limiter.admit(NOW, &wanted, 900).unwrap();
    assert!(limiter.admit(NOW, &wanted, 200).is_err());
    assert!(limiter.release(permit, 100, NOW).is_empty());
    let permit = limiter.admit(NOW, &wanted, 200).unwrap();
    assert!(limiter.release(permit, 1_900, NOW).is_empty());
    let Err(Limited::Rate { retry_after, .. }) = limiter.admit(NOW, &wanted, 1) else {
        panic!("a debt lets nobody through")
    };
    assert_eq!(retry_after, Duration::from_micros(60_060_000), "1000 of debt and one");
}

#[test]
fn who_came_first_goes_first_and_nobody_slips_in() {
    let mut limiter = Limiter::new();
    let wanted = vec![on(LimitScope::Route, "r", slots(1, 2))];
    let first = limiter.admit(NOW, &wanted, 0).unwrap();
    let busy = limiter.admit(NOW, &wanted, 0).unwrap_err();
    let told = |waiting| Limited::Busy {
        scope: LimitScope::Route,
        name: "r".into(),
        limit: 1,
        waiting,
        queue_allowed: 2,
    };
    assert_eq!(busy, told(0));
    let second = limiter.enqueue(NOW, id(2), &wanted, 0).unwrap();
    let third = limiter.enqueue(NOW, id(3), &wanted, 0).unwrap();
    assert_eq!(second.wait, Duration::from_secs(2));
    assert_eq!(limiter.enqueue(NOW, id(4), &wanted, 0).unwrap_err(), told(2));
    let second = still_waits(&mut limiter, second);
    assert_eq!(limiter.release(first, 0, NOW), [id(2)]);
    // The slot is the woken call's already, though it has not run yet.
    assert_eq!(limiter.admit(NOW, &wanted, 0).unwrap_err(), told(1));
    let second = go(&mut limiter, second);
    assert_eq!(limiter.release(second, 0, NOW), [id(3)]);
    let third = go(&mut limiter, third);
    assert!(limiter.release(third, 0, NOW).is_empty());
    assert!(limiter.admit(NOW, &wanted, 0).is_ok());
}

#[test]
fn a_call_that_gives_up_passes_on_what_it_had() {
    let mut limiter = Limiter::new();
    let limits = Limits { rpm: Some(3), tpm: Some(100), ..slots(1, 5) };
    let wanted = vec![on(LimitScope::Key, "k", limits)];
    let first = limiter.admit(NOW, &wanted, 10).unwrap();
    let second = limiter.enqueue(NOW, id(2), &wanted, 40).unwrap();
    let third = limiter.enqueue(NOW, id(3), &wanted, 40).unwrap();
    assert!(matches!(
        limiter.enqueue(NOW, id(4), &wanted, 1).unwrap_err(),
        Limited::Rate { what: Rate::Rpm, .. }
    ));
    // It leaves the queue, and its request and tokens are there for another.
    assert!(limiter.cancel(NOW, second).is_empty());
    let fourth = limiter.enqueue(NOW, id(4), &wanted, 50).unwrap();
    assert_eq!(limiter.release(first, 10, NOW), [id(3)]);
    // Woken, but its task is dead: the next one gets the slot.
    assert_eq!(limiter.cancel(NOW, third), [id(4)]);
    let fourth = go(&mut limiter, fourth);
    assert!(limiter.release(fourth, 50, NOW).is_empty());
    assert_eq!((limiter.in_flight(LimitScope::Key, "k"), limiter.waiting(LimitScope::Key, "k")), (0, 0));
}

#[test]
fn a_ticket_is_good_at_once_when_a_slot_came_free_meanwhile() {
    let mut limiter = Limiter::new();
    let wanted = vec![on(LimitScope::Key, "k", slots(1, 5))];
    let first = limiter.admit(NOW, &wanted, 0).unwrap();
    assert!(limiter.admit(NOW, &wanted, 0).is_err());
    assert!(limiter.release(first, 0, NOW).is_empty());
    let ticket = limiter.enqueue(NOW, id(2), &wanted, 0).unwrap();
    assert_eq!(ticket.wait, Duration::ZERO);
    let permit = go(&mut limiter, ticket);
    assert!(limiter.release(permit, 0, NOW).is_empty());
}

#[test]
fn one_tenants_queue_takes_no_slot_of_the_model() {
    let mut limiter = Limiter::new();
    let of = |tenant: &str| {
        vec![on(LimitScope::Model, "m", slots(3, 5)), on(LimitScope::Tenant, tenant, slots(1, 5))]
    };
    let loud = limiter.admit(NOW, &of("loud"), 0).unwrap();
    let waiting: Vec<Ticket> = (0..5).map(|n| limiter.enqueue(NOW, id(n), &of("loud"), 0).unwrap()).collect();
    assert_eq!(limiter.waiting(LimitScope::Model, "m"), 0);
    let quiet = limiter.admit(NOW, &of("quiet"), 0).unwrap();
    let calm = limiter.admit(NOW, &of("calm"), 0).unwrap();
    // Now the model is full; the next loud one gets its tenant's slot and waits on for the model.
    assert_eq!(limiter.enqueue(NOW, id(9), &of("other"), 0).map(|ticket| ticket.id).unwrap(), id(9));
    assert_eq!(limiter.release(loud, 0, NOW), [id(9)], "it asked the model first");
    assert!(limiter.waiting(LimitScope::Model, "m") == 1 && limiter.waiting(LimitScope::Tenant, "loud") == 4);
    assert_eq!(limiter.release(quiet, 0, NOW), [id(0)]);
    assert!(limiter.release(calm, 0, NOW).is_empty());
    for ticket in waiting {
        let _ = limiter.cancel(NOW, ticket);
    }
    assert_eq!(limiter.in_flight(LimitScope::Tenant, "loud"), 0);
}

#[test]
fn a_full_queue_further_on_refuses_and_gives_back() {
    let mut limiter = Limiter::new();
    let of = |key: &str| vec![on(LimitScope::Key, key, slots(1, 5)), on(LimitScope::Model, "m", slots(1, 0))];
    let first = limiter.admit(NOW, &of("a")[..1], 0).unwrap();
    let ticket = limiter.enqueue(NOW, id(1), &of("a"), 0).unwrap();
    let next = limiter.enqueue(NOW, id(2), &of("a"), 0).unwrap();
    let other = limiter.admit(NOW, &of("b"), 0).unwrap();
    assert_eq!(limiter.release(first, 0, NOW), [id(1)]);
    let Collected::Refused { limited, wake } = limiter.collect(NOW, ticket) else {
        panic!("the model has no queue")
    };
    assert!(matches!(limited, Limited::Busy { scope: LimitScope::Model, queue_allowed: 0, .. }));
    assert_eq!(wake, [id(2)], "the next one learns the same");
    let Collected::Refused { wake, .. } = limiter.collect(NOW, next) else {
        panic!("the model has no queue")
    };
    assert!(wake.is_empty() && limiter.in_flight(LimitScope::Key, "a") == 0);
    assert!(limiter.release(other, 0, NOW).is_empty());
}

#[test]
fn limits_may_change_under_way() {
    let mut limiter = Limiter::new();
    let of = |max| vec![on(LimitScope::Key, "k", slots(max, 9))];
    let first = limiter.admit(NOW, &of(1), 0).unwrap();
    let waiting: Vec<Ticket> = (0..4).map(|n| limiter.enqueue(NOW, id(n), &of(1), 0).unwrap()).collect();
    // Raised to 3: who waits goes first, at the next release.
    assert!(limiter.admit(NOW, &of(3), 0).is_err());
    assert_eq!(limiter.release(first, 0, NOW), [id(0), id(1), id(2)]);
    let permits: Vec<Permit> = waiting.into_iter().take(3).map(|ticket| go(&mut limiter, ticket)).collect();
    // Lowered to 2: no slot passes on until fewer are in flight.
    assert!(limiter.admit(NOW, &of(2), 0).is_err());
    let woken: Vec<_> = permits.into_iter().map(|permit| limiter.release(permit, 0, NOW)).collect();
    assert_eq!(woken, [vec![], vec![id(3)], vec![]]);
}

#[test]
fn only_what_is_as_if_new_is_forgotten() {
    let mut limiter = Limiter::new();
    let wanted = vec![on(LimitScope::Key, "k", Limits { rpm: Some(60), ..slots(1, 1) })];
    let permit = limiter.admit(NOW, &wanted, 0).unwrap();
    limiter.forget_idle(NOW.plus(Duration::from_secs(600)));
    assert_eq!(limiter.state().len(), 1, "a call is in flight");
    assert!(limiter.release(permit, 0, NOW).is_empty());
    let other = limiter.admit(NOW, &wanted, 0).unwrap();
    let then = NOW.plus(Duration::from_secs(1));
    assert!(limiter.release(other, 0, then).is_empty());
    limiter.forget_idle(then);
    assert_eq!(limiter.state().len(), 1, "the bucket is not full");
    limiter.forget_idle(then.plus(Duration::from_secs(700)));
    assert!(limiter.state().is_empty());
    let _ = limiter.admit(then, &wanted, 0).unwrap();
}

/// Steps of many calls over the same few limits.
#[derive(Clone, Debug)]
enum Move {
    Arrive { scopes: Vec<usize> },
    Release { nth: usize },
    Cancel { nth: usize },
    Collect { nth: usize },
    Forget,
}

/// (scope, name, slots, queue): small, so that everything fills up.
const GATES: [(LimitScope, &str, u32, u32); 5] = [
    (LimitScope::Key, "k", 2, 2),
    (LimitScope::Tenant, "t", 2, 3),
    (LimitScope::Route, "r", 1, 2),
    (LimitScope::Model, "m", 3, 1),
    (LimitScope::Model, "n", 1, 4),
];

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        5 => prop::collection::vec(0..GATES.len(), 0..4).prop_map(|scopes| Move::Arrive { scopes }),
        4 => any::<usize>().prop_map(|nth| Move::Release { nth }),
        1 => any::<usize>().prop_map(|nth| Move::Cancel { nth }),
        2 => any::<usize>().prop_map(|nth| Move::Collect { nth }),
        1 => Just(Move::Forget),
    ];
    prop::collection::vec(one, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Never more in flight than allowed, no slot lost, no wake-up lost; and once nobody arrives any more, everybody
    /// who waits gets through.
    #[test]
    fn no_slot_is_lost_and_nobody_starves(moves in moves()) {
        let mut limiter = Limiter::new();
        let (mut running, mut waiting) = (Vec::<Permit>::new(), VecDeque::<Ticket>::new());
        let mut woken: Vec<CallId> = Vec::new();
        for (number, step) in moves.into_iter().enumerate() {
            match step {
                Move::Arrive { scopes } => {
                    let gate = |at: &usize| on(GATES[*at].0, GATES[*at].1, slots(GATES[*at].2, GATES[*at].3));
                    let wanted: Wanted = scopes.iter().map(gate).collect();
                    match limiter.admit(NOW, &wanted, 0) {
                        Ok(permit) => running.push(permit),
                        Err(Limited::Busy { waiting: told, queue_allowed, .. }) => {
                            let ticket = limiter.enqueue(NOW, id(number as u128), &wanted, 0);
                            prop_assert_eq!(ticket.is_ok(), told < queue_allowed);
                            waiting.extend(ticket.ok());
                        }
                        Err(Limited::Rate { .. }) => prop_assert!(false, "no rates here"),
                    }
                }
                Move::Release { nth } if !running.is_empty() => {
                    let permit = running.swap_remove(nth % running.len());
                    woken.extend(limiter.release(permit, 0, NOW));
                }
                Move::Cancel { nth } if !waiting.is_empty() => {
                    let ticket = waiting.remove(nth % waiting.len()).unwrap();
                    woken.retain(|id| *id != ticket.id);
                    woken.extend(limiter.cancel(NOW, ticket));
                }
                Move::Collect { nth } if !waiting.is_empty() => {
                    let ticket = waiting.remove(nth % waiting.len()).unwrap();
                    let was_woken = woken.contains(&ticket.id);
                    woken.retain(|id| *id != ticket.id);
                    match limiter.collect(NOW, ticket) {
                        Collected::Go(permit) => {
                            prop_assert!(was_woken, "went without being woken");
                            running.push(permit);
                        }
                        Collected::Wait(ticket) => {
                            prop_assert!(!was_woken, "woken for nothing");
                            waiting.push_back(ticket);
                        }
                        Collected::Refused { wake, .. } => {
                            prop_assert!(was_woken, "refused without being woken");
                            woken.extend(wake);
                        }
                    }
                }
                Move::Forget => limiter.forget_idle(NOW),
                Move::Release { .. } | Move::Cancel { .. } | Move::Collect { .. } => {}
            }
            for (scope, name, max, queue) in GATES {
                prop_assert!(limiter.in_flight(scope, name) <= max, "too many at {name}");
                prop_assert!(limiter.waiting(scope, name) <= queue, "too many wait at {name}");
                let is_idle_with_queue = limiter.in_flight(scope, name) < max && limiter.waiting(scope, name) > 0;
                prop_assert!(!is_idle_with_queue, "a slot of {name} lies idle while others wait");
            }
        }
        // Everybody finishes. Whoever was woken collects; nobody else may need to.
        for _ in 0..1_000 {
            if let Some(permit) = running.pop() {
                woken.extend(limiter.release(permit, 0, NOW));
            } else if let Some(id) = woken.pop() {
                let at = waiting.iter().position(|ticket| ticket.id == id).expect("who was woken waits");
                let ticket = waiting.remove(at).unwrap();
                match limiter.collect(NOW, ticket) {
                    Collected::Go(permit) => running.push(permit),
                    Collected::Refused { wake, .. } => woken.extend(wake),
                    Collected::Wait(_) => prop_assert!(false, "woken for nothing"),
                }
            }
        }
        prop_assert!(waiting.is_empty() && running.is_empty() && woken.is_empty(), "{} starve", waiting.len());
        prop_assert_eq!(limiter.state().iter().map(|gate| gate.in_flight + gate.waiting).sum::<u32>(), 0);
        limiter.forget_idle(NOW);
        prop_assert!(limiter.state().is_empty() && limiter.waiters.is_empty());
    }

    /// At one limit, calls go in the order in which they came.
    #[test]
    fn first_come_first_served(steps in prop::collection::vec(prop::bool::ANY, 1..200), max in 1_u32..4) {
        let mut limiter = Limiter::new();
        let wanted = vec![on(LimitScope::Key, "k", slots(max, 50))];
        let (mut running, mut tickets) = (VecDeque::new(), BTreeMap::new());
        let mut last = None;
        for (number, arrives) in steps.into_iter().enumerate() {
            if arrives {
                match limiter.admit(NOW, &wanted, 0) {
                    Ok(permit) => {
                        prop_assert!(tickets.is_empty(), "a newcomer overtook the queue");
                        running.push_back(permit);
                    }
                    Err(_) => {
                        if let Ok(ticket) = limiter.enqueue(NOW, id(number as u128), &wanted, 0) {
                            tickets.insert(ticket.id, ticket);
                        }
                    }
                }
            } else if let Some(permit) = running.pop_front() {
                for id in limiter.release(permit, 0, NOW) {
                    prop_assert!(last < Some(id), "out of order");
                    last = Some(id);
                    running.push_back(go(&mut limiter, tickets.remove(&id).unwrap()));
                }
            }
        }
    }

    /// Over any span of time no more goes through than the bucket held and what flowed in.
    #[test]
    fn a_bucket_never_gives_more_than_it_got(limit in 1_u32..200, takes in prop::collection::vec((0_u64..5_000, 0_u32..60), 1..200)) {
        let mut bucket = Bucket::new(Mono(0), limit);
        let (mut now, mut taken) = (0_u64, 0_u64);
        for (pause_ms, amount) in takes {
            now += pause_ms * 1_000;
            // What is larger than the bucket goes into debt, and is checked beside the code.
            let amount = amount.min(limit);
            match bucket.take(Mono(now), amount) {
                Ok(()) => taken += u64::from(amount),
                Err(wait) => {
                    let fits_then = bucket.clone().take(Mono(now).plus(wait), amount);
                    prop_assert_eq!(fits_then, Ok(()));
                }
            }
            let most = u64::from(limit) + now * u64::from(limit) / 60_000_000;
            prop_assert!(taken <= most, "{taken} of {most}");
        }
    }
}

/// A shared store in its plainest form, for one name: a bucket and places.
struct Store {
    tokens: i64,
    places: std::collections::HashMap<usize, u32>,
}

impl Store {
    fn exchange(&mut self, replica: usize, limiter: &mut Limiter, now: Mono) -> usize {
        let mut woken = 0;
        for ask in limiter.asks(10) {
            let mut rate = |draught: Draught| {
                let taken =
                    if self.tokens < i64::from(draught.need) { 0 } else { draught.take.min(self.tokens) };
                let taken = taken.max(draught.take.min(0));
                self.tokens -= taken;
                (taken, Duration::from_secs(1))
            };
            let requests = ask.requests.map(|(_, draught)| rate(draught));
            let slots = ask.slots.map(|wanted| {
                let others: u32 =
                    self.places.iter().filter(|(other, _)| **other != replica).map(|(_, n)| n).sum();
                let slots = wanted.want.min(wanted.max.saturating_sub(others)).max(wanted.used);
                self.places.insert(replica, slots.max(wanted.keep));
                slots
            });
            let granted = Granted { requests, tokens: None, slots };
            woken += limiter.grant(now, ask.scope, &ask.name, &granted).len();
        }
        woken
    }
}

#[test]
fn replicas_draw_rates_and_places_from_one_store_and_give_back_what_they_do_not_use() {
    let now = Mono(1_000_000);
    let wanted = [(
        LimitScope::Tenant,
        Name::from("acme"),
        Limits {
            rpm: Some(10),
            max_concurrency: Some(3),
            queue: 5,
            queue_wait: Duration::from_secs(1),
            ..Limits::default()
        },
    )];
    let mut store = Store { tokens: 10, places: Default::default() };
    let mut replicas = [Limiter::new(), Limiter::new()];
    replicas.iter_mut().for_each(|limiter| limiter.lease(now));
    let refused = replicas[0].admit(now, &wanted, 0).unwrap_err();
    assert!(matches!(refused, Limited::Rate { .. }), "nothing was granted yet: {refused:?}");
    store.exchange(0, &mut replicas[0], now);
    // The rate is there now, the place was not asked for before somebody needed one.
    let _ = replicas[0].admit(now, &wanted, 0).map(|permit| replicas[0].release(permit, 0, now));
    let mut permits = Vec::new();
    for _ in 0..40 {
        for (at, limiter) in replicas.iter_mut().enumerate() {
            store.exchange(at, limiter, now);
            if let Ok(permit) = limiter.admit(now, &wanted, 0) {
                permits.push((at, permit));
            }
        }
        let in_flight: u32 =
            replicas.iter().map(|limiter| limiter.in_flight(LimitScope::Tenant, "acme")).sum();
        assert!(in_flight <= 3, "{in_flight} at once under a limit of 3");
    }
    assert_eq!(permits.len(), 3, "all places can be used");
    let ticket = replicas[0].enqueue(now, id(1), &wanted, 0);
    assert!(store.tokens >= 0);
    let (at, permit) = permits.pop().unwrap();
    let _ = replicas[at].release(permit, 0, now);
    let woken: usize = (0..6).map(|round| store.exchange(round % 2, &mut replicas[round % 2], now)).sum();
    if let Ok(ticket) = ticket {
        assert!(
            woken >= 1 || matches!(replicas[0].collect(now, ticket), Collected::Go(_)),
            "a place came free elsewhere"
        );
    }
    for (at, permit) in permits {
        let _ = replicas[at].release(permit, 0, now);
    }
    for round in 0..20 {
        store.exchange(round % 2, &mut replicas[round % 2], now);
    }
    let spent = 10 - store.tokens;
    assert!((3..=6).contains(&spent), "{spent} requests went through, and the rest of the bucket is back");
}

#[test]
fn a_replica_cut_off_keeps_to_its_part() {
    let now = Mono(1_000_000);
    let wanted = [(LimitScope::Key, Name::from("app"), Limits { rpm: Some(9), ..Limits::default() })];
    let mut limiter = Limiter::new();
    limiter.lease(now);
    assert!(limiter.admit(now, &wanted, 0).is_err());
    limiter.part(now, 3);
    let through = (0..9)
        .filter(|_| limiter.admit(now, &wanted, 0).map(|permit| limiter.release(permit, 0, now)).is_ok())
        .count();
    assert_eq!(through, 3);
}
