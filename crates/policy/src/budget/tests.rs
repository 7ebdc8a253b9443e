use gauntlet_types::{Blame, Code, Measure};
use proptest::prelude::*;

use super::*;

const LATER: Mono = Mono(1_000);
const TODAY: Day = Day(20_000);

fn id(number: u128) -> CallId {
    format!("{number:032x}").parse().unwrap()
}

fn charge(key: &str) -> Charge {
    Charge::usd("route_user_daily", key, Some(TODAY))
}

fn usd(amount: i64) -> Drawn {
    Drawn::usd(NanoUsd(amount))
}

fn draw(charge: Charge, cap: Cap) -> Draw {
    Draw { charge, cap, rule: 0 }
}

fn capped(caps: &[(&str, i64)]) -> Vec<Draw> {
    caps.iter().map(|(key, cap)| draw(charge(key), Cap::of(*cap))).collect()
}

fn reserve(book: &mut Book, amount: i64, caps: &[(&str, i64)]) -> Result<Hold, Box<Refused>> {
    book.reserve(id(1), usd(amount), &capped(caps), LATER)
}

/// (spent, held) of a key.
fn state(book: &Book, key: &str) -> (i64, i64) {
    book.line(&charge(key)).map_or((0, 0), |line| (line.spent, line.held))
}

fn steps(crossed: &[Crossed]) -> Vec<(&str, u8)> {
    crossed.iter().map(|crossed| (&*crossed.charge.key, crossed.percent)).collect()
}

#[test]
fn a_call_is_held_in_all_its_budgets_or_in_none() {
    let mut book = Book::new();
    let hold = reserve(&mut book, 60, &[("model", 100), ("user", 80)]).unwrap();
    assert_eq!((state(&book, "model"), state(&book, "user")), ((0, 60), (0, 60)));
    let refused = reserve(&mut book, 30, &[("model", 100), ("user", 80), ("new", 100)]).unwrap_err();
    let found = (&*refused.charge.key, refused.cap.amount, refused.spent, refused.held, refused.wanted);
    assert_eq!(found, ("user", 80, 0, 60, 30));
    assert_eq!((state(&book, "model"), state(&book, "user")), ((0, 60), (0, 60)));
    assert_eq!(book.line(&charge("new")), None, "a refused call opens no account");
    let other = reserve(&mut book, 20, &[("model", 100), ("user", 80)]).unwrap();
    assert_eq!((book.open_holds(), book.held_total()), (2, NanoUsd(80)));
    assert!(book.settle(hold, usd(10)).is_empty());
    assert!(book.settle(other, usd(0)).is_empty());
    assert_eq!((state(&book, "model"), state(&book, "user"), book.open_holds()), ((10, 0), (10, 0), 0));
}

#[test]
fn a_debt_blocks_even_a_free_call() {
    let mut book = Book::new();
    let hold = reserve(&mut book, 100, &[("user", 100)]).unwrap();
    assert_eq!(steps(&book.settle(hold, usd(130))), [("user", 100)]);
    assert_eq!(state(&book, "user"), (130, 0));
    assert!(reserve(&mut book, 0, &[("user", 100)]).is_err());
    let free = reserve(&mut book, 0, &[("user", 130)]).unwrap();
    assert!(book.settle(free, usd(0)).is_empty());
    assert!(reserve(&mut book, 1, &[("user", 130)]).is_err());
}

#[test]
fn a_budget_named_twice_is_held_once_and_both_caps_count() {
    let mut book = Book::new();
    assert!(reserve(&mut book, 60, &[("user", 100), ("user", 50)]).is_err());
    let hold = reserve(&mut book, 40, &[("user", 100), ("user", 50)]).unwrap();
    assert_eq!((state(&book, "user"), hold.charges.len()), ((0, 40), 1));
    assert_eq!(steps(&book.settle(hold, usd(45))), [("user", 80)]);
    assert_eq!(state(&book, "user"), (45, 0));
}

#[test]
fn amounts_at_the_ends_of_the_range_make_no_room() {
    let mut book = Book::new();
    let most = i64::MAX;
    let hold = reserve(&mut book, most, &[("user", most)]).unwrap();
    assert!(reserve(&mut book, 1, &[("user", most)]).is_err());
    let _ = book.settle(hold, usd(most));
    assert!(reserve(&mut book, most, &[("user", most)]).is_err());
    let nothing = reserve(&mut book, -50, &[("other", 10)]).unwrap();
    assert_eq!(state(&book, "other"), (0, 0));
    let _ = book.settle(nothing, usd(-50));
    assert_eq!(state(&book, "other"), (0, 0), "a negative cost hands out nothing");
    assert!(reserve(&mut book, 0, &[("other", -1)]).is_err());
}

#[test]
fn steps_are_told_once_and_again_when_the_cap_was_raised() {
    let mut book = Book::new();
    let mut spend = |amount: i64, cap: i64| {
        let hold = reserve(&mut book, amount, &[("user", cap)]).unwrap();
        book.settle(hold, usd(amount)).first().map(|crossed| crossed.percent)
    };
    assert_eq!(spend(79, 100), None);
    assert_eq!(spend(1, 100), Some(80));
    assert_eq!(spend(19, 100), None);
    assert_eq!(spend(1, 100), Some(100));
    assert_eq!(spend(0, 100), None);
    assert_eq!(spend(20, 200), None, "60 %");
    assert_eq!(spend(40, 200), Some(80));
    assert_eq!(spend(0, 160), Some(100), "the cap was lowered to what is spent");
    let halves = Cap { steps: [25, 50, 0, 0], ..Cap::of(100) };
    let hold = book.reserve(id(1), usd(50), &[draw(charge("other"), halves)], LATER).unwrap();
    assert_eq!(steps(&book.settle(hold, usd(50))), [("other", 50)]);
}

#[test]
fn a_budget_too_full_for_a_call_counts_as_full_but_not_because_of_holds_or_giants() {
    let mut book = Book::new();
    let turned_away = |book: &mut Book, amount| {
        let refused = reserve(book, amount, &[("user", 100)]).unwrap_err();
        book.turned_away(&refused).map(|crossed| (crossed.percent, crossed.spent, crossed.cap))
    };
    let first = reserve(&mut book, 90, &[("user", 100)]).unwrap();
    assert_eq!(turned_away(&mut book, 20), None, "held, not spent");
    assert_eq!(steps(&book.settle(first, usd(90))), [("user", 80)]);
    assert_eq!(turned_away(&mut book, 101), None, "no budget would hold it");
    assert!(reserve(&mut book, 20, &[("user", 100)]).is_err(), "asking alone tells nobody");
    assert_eq!(turned_away(&mut book, 20), Some((100, 90, 100)));
    assert_eq!(turned_away(&mut book, 20), None, "told once");
}

#[test]
fn a_restart_repeats_no_alert_and_keeps_the_spend() {
    let mut book = Book::new();
    book.load(&charge("user"), None, 85);
    let hold = reserve(&mut book, 5, &[("user", 100)]).unwrap();
    assert!(book.settle(hold, usd(5)).is_empty());
    assert_eq!(book.charge(&charge("user"), None, 20).map(|crossed| crossed.percent), Some(100));
    assert!(reserve(&mut book, 0, &[("user", 100)]).is_err());
    assert_eq!(book.charge(&charge("never seen"), None, 20), None, "no cap, no step");
}

#[test]
fn overdue_holds_are_charged_in_full_and_put_right_if_their_call_reports() {
    let mut book = Book::new();
    let caps = capped(&[("user", 100)]);
    let dead = book.reserve(id(7), usd(30), &caps, Mono(10)).unwrap();
    let alive = book.reserve(id(8), usd(30), &caps, Mono(20)).unwrap();
    assert_eq!((book.overdue(Mono(9)), book.overdue(Mono(10))), (vec![], vec![id(7)]));
    assert_eq!(book.overdue(Mono(20)), [id(7), id(8)]);
    assert_eq!(book.reap(Mono(10)), [Reaped { id: id(7), amount: usd(30), crossed: vec![] }]);
    assert_eq!((state(&book, "user"), book.open_holds()), ((30, 30), 1));
    // Its place goes to another call, which it must not disturb.
    let next = book.reserve(id(9), usd(40), &caps, LATER).unwrap();
    assert_eq!(next.slot, dead.slot);
    let _ = book.settle(dead, usd(12));
    assert_eq!(state(&book, "user"), (12, 70));
    let _ = book.settle(next, usd(1));
    let _ = book.settle(alive, usd(1));
    assert_eq!((state(&book, "user"), book.held_total()), ((14, 0), NanoUsd::ZERO));
}

#[test]
fn old_days_leave_but_for_calls_in_flight() {
    let mut book = Book::new();
    let of = |day: Option<i32>| Charge::usd("s", "k", day.map(Day));
    let cap = |day| [draw(of(day), Cap::of(100))];
    let open = book.reserve(id(1), usd(10), &cap(Some(1)), LATER).unwrap();
    for day in [Some(2), Some(3), None] {
        book.load(&of(day), None, 5);
    }
    book.forget_before(Day(3));
    let mut days: Vec<_> = book.state(Timestamp(0)).into_iter().map(|line| line.charge.period).collect();
    days.sort();
    assert_eq!(days, [None, Some(Day(1)), Some(Day(3))]);
    let _ = book.settle(open, usd(10));
    book.forget_before(Day(3));
    assert_eq!(book.state(Timestamp(0)).len(), 2);
    // The place is used again without mixing anything up.
    book.load(&of(Some(4)), None, 1);
    assert_eq!(book.line(&of(Some(4))).unwrap().spent, 1);
    assert_eq!((book.line(&of(Some(1))), book.accounts.len()), (None, 4));
    // A call that was reaped and whose day is forgotten reports to nobody.
    let late = book.reserve(id(2), usd(10), &cap(Some(3)), Mono(5)).unwrap();
    assert_eq!(book.reap(Mono(5)).len(), 1);
    book.forget_before(Day(4));
    assert!(book.settle(late, usd(3)).is_empty());
    assert_eq!(book.line(&of(Some(3))), None);
}

#[test]
fn a_refusal_tells_the_caller_which_budget_and_how_much() {
    let mut book = Book::new();
    book.load(&charge("support_bot/ann"), None, 250_000_000);
    let refused = reserve(&mut book, 60_000_000, &[("support_bot/ann", 300_000_000)]).unwrap_err();
    let fault = refused.fault(None, Some(TODAY.next().start()));
    assert_eq!((fault.code, fault.blame), (Code::BudgetExceeded, Blame::Policy));
    assert_eq!(
        fault.message,
        "budget `route_user_daily` of `support_bot/ann` has 0.05 USD of 0.30 USD left and this call may take 0.06 USD; \
         it turns at 2024-10-05T00:00:00.000Z"
    );
    assert_eq!(fault.detail.unwrap()["spent_usd"], 0.25);
}

#[test]
fn each_budget_counts_in_its_own_measure() {
    let mut book = Book::new();
    let of = |measure, cap| draw(Charge { measure, ..charge(measure_name(measure)) }, Cap::of(cap));
    let draws = [of(Measure::Usd, 100), of(Measure::Tokens, 1_000), of(Measure::Requests, 2)];
    let wanted = Drawn { usd: NanoUsd(40), tokens: 600, requests: 1 };
    let hold = book.reserve(id(1), wanted, &draws, LATER).unwrap();
    let refused = book.reserve(id(2), wanted, &draws, LATER).unwrap_err();
    assert_eq!((refused.index, refused.charge.measure, refused.wanted), (1, Measure::Tokens, 600));
    assert!(refused.fault(Some("come back tomorrow"), None).message.starts_with(
        "come back tomorrow (budget `route_user_daily` of `tokens` has 400 tokens of 1000 tokens left"
    ));
    let _ = book.settle(hold, Drawn { usd: NanoUsd(10), tokens: 100, requests: 1 });
    let spent = draws.each_ref().map(|draw| book.line(&draw.charge).unwrap().spent);
    assert_eq!(spent, [10, 100, 1]);
}

fn measure_name(measure: Measure) -> &'static str {
    measure.as_str()
}

/// Twenty-four hours in hours.
const LAST_DAY: Rolling = Rolling { parts: 24, parts_per_day: 24 };

fn hour(number: i64) -> Charge {
    let (day, part) = (number.div_euclid(24), number.rem_euclid(24));
    Charge { part: part as u16, ..Charge::usd("tenant_rolling_24h", "acme", Some(Day(day as i32))) }
}

#[test]
fn a_rolling_budget_counts_what_lies_within_its_window() {
    let mut book = Book::new();
    let cap = Cap { rolling: Some(LAST_DAY), ..Cap::of(100) };
    let mut spend = |at: i64, amount: i64| {
        let hold = book.reserve(id(1), usd(amount), &[draw(hour(at), cap)], LATER)?;
        let _ = book.settle(hold, usd(amount));
        Ok::<_, Box<Refused>>(book.line(&hour(at)).unwrap().spent)
    };
    assert_eq!(spend(100, 60).unwrap(), 60);
    assert_eq!(spend(110, 40).unwrap(), 100);
    let refused = spend(124, 1).unwrap_err();
    let until = Timestamp(125 * 3_600_000_000);
    assert_eq!((refused.spent, refused.until), (100, Some(until)), "hour 100 may still lie within the day");
    assert_eq!(spend(125, 1).unwrap(), 41, "its last minute is a day ago");
    assert_eq!(spend(134, 1).unwrap(), 42);
    assert_eq!(spend(135, 1).unwrap(), 3);
    // What the store tells after a restart falls into the same window.
    let mut book = Book::new();
    for (at, spent) in [(100, 60), (110, 40), (125, 1)] {
        book.load(&hour(at), Some(LAST_DAY), spent);
    }
    assert_eq!(book.line(&hour(125)).unwrap().spent, 41);
    assert_eq!(book.state(Timestamp(149 * 3_600_000_000))[0].spent, 1);
    book.forget_before(Day(5));
    assert_eq!(book.state(Timestamp(0)).len(), 1, "hour 125 is within the day before day 5 and an hour");
    book.forget_before(Day(7));
    assert_eq!(book.state(Timestamp(0)), []);
}

#[test]
fn a_hold_moves_to_other_budgets_or_stays_whole() {
    let mut book = Book::new();
    let hold = reserve(&mut book, 60, &[("dear", 100), ("tenant", 100)]).unwrap();
    let other = reserve(&mut book, 30, &[("cheap", 50)]).unwrap();
    let (hold, refused) = book.amend(hold, usd(60), &capped(&[("cheap", 50), ("tenant", 100)])).unwrap_err();
    assert_eq!(refused.unwrap().index, 0);
    assert_eq!(
        (state(&book, "dear"), state(&book, "tenant"), state(&book, "cheap")),
        ((0, 60), (0, 60), (0, 30))
    );
    let hold = book.amend(hold, usd(20), &capped(&[("cheap", 50), ("tenant", 100)])).unwrap();
    assert_eq!(
        (state(&book, "dear"), state(&book, "tenant"), state(&book, "cheap")),
        ((0, 0), (0, 20), (0, 50))
    );
    // Its own amount does not stand in its way when it grows.
    let hold = book.amend(hold, usd(100), &capped(&[("tenant", 100)])).unwrap();
    let (hold, _) = book.amend(hold, usd(101), &capped(&[("tenant", 100)])).unwrap_err();
    assert_eq!((state(&book, "tenant"), state(&book, "cheap")), ((0, 100), (0, 30)));
    assert_eq!(book.reap(LATER).len(), 2);
    let (hold, refused) = book.amend(hold, usd(1), &capped(&[("tenant", 100)])).unwrap_err();
    assert_eq!(refused, None, "its call was taken for dead");
    let _ = (book.settle(hold, usd(7)), book.settle(other, usd(3)));
    assert_eq!((state(&book, "tenant"), state(&book, "cheap"), book.open_holds()), ((7, 0), (3, 0), 0));
}

#[test]
fn idle_conversations_are_bare_figures_and_count_as_before() {
    let mut book = Book::new();
    let of = |name: &str| Charge::usd("route_conversation", name, None);
    let cap = |name: &str| [draw(of(name), Cap::of(100))];
    for name in ["a", "b", "c"] {
        let hold = book.reserve(id(1), usd(40), &cap(name), LATER).unwrap();
        let _ = book.settle(hold, usd(40));
    }
    let reaped = book.reserve(id(2), usd(30), &cap("c"), Mono(5)).unwrap();
    assert_eq!(book.reap(Mono(5)).len(), 1);
    book.forget_before(TODAY);
    assert_eq!(book.idle(), 0, "all were used since the last day");
    let open = book.reserve(id(3), usd(10), &cap("b"), LATER).unwrap();
    book.forget_before(TODAY.next());
    assert_eq!((book.idle(), book.state(Timestamp(0)).len()), (2, 1));
    let known = ["a", "b", "c"].map(|name| book.line(&of(name)).map(|line| (line.spent, line.held)));
    assert_eq!(known, [Some((40, 0)), Some((40, 10)), Some((70, 0))]);
    assert!(book.reserve(id(4), usd(61), &cap("a"), LATER).is_err(), "what was spent counts");
    let _ = book.settle(reaped, usd(5));
    let _ = book.settle(open, usd(10));
    let known = ["a", "b", "c"].map(|name| book.line(&of(name)).map(|line| (line.spent, line.held)));
    assert_eq!(known, [Some((40, 0)), Some((50, 0)), Some((45, 0))]);
    // After a restart the first is listed and the others are idle until somebody asks.
    let mut book = Book::new();
    let _ = ["a", "b", "c"].map(|name| book.load(&of(name), None, 90));
    assert_eq!((book.idle(), book.state(Timestamp(0)).len()), (2, 1));
    assert!(book.reserve(id(5), usd(11), &cap("c"), LATER).is_err());
    assert_eq!(book.charge(&of("b"), None, 5), None);
    assert_eq!((book.idle(), book.line(&of("b")).unwrap().spent), (0, 95));
}

mod model;
mod shared;
