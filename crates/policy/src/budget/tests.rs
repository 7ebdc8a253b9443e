use std::collections::HashMap as Map;

use gauntlet_types::Blame;
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

fn capped(caps: &[(&str, i64)]) -> Vec<(Charge, NanoUsd)> {
    caps.iter().map(|(key, cap)| (charge(key), NanoUsd(*cap))).collect()
}

fn reserve(book: &mut Book, amount: i64, caps: &[(&str, i64)]) -> Result<Hold, Refused> {
    book.reserve(id(1), NanoUsd(amount), &capped(caps), LATER)
}

/// (spent, held) of a key.
fn state(book: &Book, key: &str) -> (i64, i64) {
    book.line(&charge(key)).map_or((0, 0), |line| (line.spent.0, line.held.0))
}

fn steps(crossed: &[Crossed]) -> Vec<(&str, Step, u8)> {
    crossed.iter().map(|crossed| (&*crossed.charge.key, crossed.step, crossed.percent)).collect()
}

#[test]
fn a_call_is_held_in_all_its_budgets_or_in_none() {
    let mut book = Book::new();
    let hold = reserve(&mut book, 60, &[("model", 100), ("user", 80)]).unwrap();
    assert_eq!((state(&book, "model"), state(&book, "user")), ((0, 60), (0, 60)));
    let refused = reserve(&mut book, 30, &[("model", 100), ("user", 80), ("new", 100)]).unwrap_err();
    let found = (&*refused.charge.key, refused.cap.0, refused.spent.0, refused.held.0, refused.wanted.0);
    assert_eq!(found, ("user", 80, 0, 60, 30));
    assert_eq!((state(&book, "model"), state(&book, "user")), ((0, 60), (0, 60)));
    assert_eq!(book.line(&charge("new")), None, "a refused call opens no account");
    assert_eq!(book.room(&capped(&[("model", 100), ("user", 80), ("new", 1_000)])), Some(NanoUsd(20)));
    assert_eq!(book.room(&[]), None);
    let other = reserve(&mut book, 20, &[("model", 100), ("user", 80)]).unwrap();
    assert_eq!((book.open_holds(), book.held_total()), (2, NanoUsd(80)));
    assert!(book.settle(hold, NanoUsd(10)).is_empty());
    assert!(book.settle(other, NanoUsd::ZERO).is_empty());
    assert_eq!((state(&book, "model"), state(&book, "user"), book.open_holds()), ((10, 0), (10, 0), 0));
}

#[test]
fn a_debt_blocks_even_a_free_call() {
    let mut book = Book::new();
    let hold = reserve(&mut book, 100, &[("user", 100)]).unwrap();
    assert_eq!(steps(&book.settle(hold, NanoUsd(130))), [("user", Step::Full, 100)]);
    assert_eq!(state(&book, "user"), (130, 0));
    assert!(reserve(&mut book, 0, &[("user", 100)]).is_err());
    assert_eq!(book.room(&capped(&[("user", 100)])), Some(NanoUsd(-30)));
    let free = reserve(&mut book, 0, &[("user", 130)]).unwrap();
    assert!(book.settle(free, NanoUsd::ZERO).is_empty());
    assert!(reserve(&mut book, 1, &[("user", 130)]).is_err());
}

#[test]
fn a_budget_named_twice_is_held_once_and_both_caps_count() {
    let mut book = Book::new();
    assert!(reserve(&mut book, 60, &[("user", 100), ("user", 50)]).is_err());
    let hold = reserve(&mut book, 40, &[("user", 100), ("user", 50)]).unwrap();
    assert_eq!((state(&book, "user"), hold.charges.len()), ((0, 40), 1));
    assert_eq!(steps(&book.settle(hold, NanoUsd(45))), [("user", Step::Warned, 80)]);
    assert_eq!(state(&book, "user"), (45, 0));
}

#[test]
fn amounts_at_the_ends_of_the_range_make_no_room() {
    let mut book = Book::new();
    let most = i64::MAX;
    let hold = reserve(&mut book, most, &[("user", most)]).unwrap();
    assert!(reserve(&mut book, 1, &[("user", most)]).is_err());
    let _ = book.settle(hold, NanoUsd(most));
    assert!(reserve(&mut book, most, &[("user", most)]).is_err());
    let nothing = reserve(&mut book, -50, &[("other", 10)]).unwrap();
    assert_eq!(state(&book, "other"), (0, 0));
    let _ = book.settle(nothing, NanoUsd(-50));
    assert_eq!(state(&book, "other"), (0, 0), "a negative cost hands out nothing");
    assert!(reserve(&mut book, 0, &[("other", -1)]).is_err());
}

#[test]
fn steps_are_told_once_and_again_when_the_cap_was_raised() {
    let mut book = Book::new();
    let mut spend = |amount: i64, cap: i64| {
        let hold = reserve(&mut book, amount, &[("user", cap)]).unwrap();
        book.settle(hold, NanoUsd(amount)).first().map(|crossed| crossed.percent)
    };
    assert_eq!(spend(79, 100), None);
    assert_eq!(spend(1, 100), Some(80));
    assert_eq!(spend(19, 100), None);
    assert_eq!(spend(1, 100), Some(100));
    assert_eq!(spend(0, 100), None);
    assert_eq!(spend(20, 200), None, "60 %");
    assert_eq!(spend(40, 200), Some(80));
    assert_eq!(spend(0, 160), Some(100), "the cap was lowered to what is spent");
    book.set_warning(50);
    let hold = reserve(&mut book, 50, &[("other", 100)]).unwrap();
    assert_eq!(steps(&book.settle(hold, NanoUsd(50))), [("other", Step::Warned, 50)]);
}

#[test]
fn a_budget_too_full_for_a_call_counts_as_full_but_not_because_of_holds_or_giants() {
    let mut book = Book::new();
    let first = reserve(&mut book, 90, &[("user", 100)]).unwrap();
    assert_eq!(reserve(&mut book, 20, &[("user", 100)]).unwrap_err().crossed, None, "held, not spent");
    assert_eq!(steps(&book.settle(first, NanoUsd(90))), [("user", Step::Warned, 80)]);
    assert_eq!(
        reserve(&mut book, 101, &[("user", 100)]).unwrap_err().crossed,
        None,
        "no budget would hold it"
    );
    let crossed = reserve(&mut book, 20, &[("user", 100)]).unwrap_err().crossed.unwrap();
    assert_eq!((crossed.step, crossed.percent, crossed.spent.0, crossed.cap.0), (Step::Full, 100, 90, 100));
    assert_eq!(reserve(&mut book, 20, &[("user", 100)]).unwrap_err().crossed, None, "told once");
}

#[test]
fn a_restart_repeats_no_alert_and_keeps_the_spend() {
    let mut book = Book::new();
    book.load(charge("user"), NanoUsd(85));
    let hold = reserve(&mut book, 5, &[("user", 100)]).unwrap();
    assert!(book.settle(hold, NanoUsd(5)).is_empty());
    assert_eq!(book.charge(&charge("user"), NanoUsd(20)).map(|crossed| crossed.step), Some(Step::Full));
    assert!(reserve(&mut book, 0, &[("user", 100)]).is_err());
    assert_eq!(book.charge(&charge("never seen"), NanoUsd(20)), None, "no cap, no step");
}

#[test]
fn overdue_holds_are_charged_in_full_and_put_right_if_their_call_reports() {
    let mut book = Book::new();
    let caps = capped(&[("user", 100)]);
    let dead = book.reserve(id(7), NanoUsd(30), &caps, Mono(10)).unwrap();
    let alive = book.reserve(id(8), NanoUsd(30), &caps, Mono(20)).unwrap();
    assert_eq!((book.overdue(Mono(9)), book.overdue(Mono(10))), (vec![], vec![id(7)]));
    assert_eq!(book.overdue(Mono(20)), [id(7), id(8)]);
    assert_eq!(book.reap(Mono(10)), [Reaped { id: id(7), amount: NanoUsd(30), crossed: vec![] }]);
    assert_eq!((state(&book, "user"), book.open_holds()), ((30, 30), 1));
    // Its place goes to another call, which it must not disturb.
    let next = book.reserve(id(9), NanoUsd(40), &caps, LATER).unwrap();
    assert_eq!(next.slot, dead.slot);
    let _ = book.settle(dead, NanoUsd(12));
    assert_eq!(state(&book, "user"), (12, 70));
    let _ = book.settle(next, NanoUsd(1));
    let _ = book.settle(alive, NanoUsd(1));
    assert_eq!((state(&book, "user"), book.held_total()), ((14, 0), NanoUsd::ZERO));
}

#[test]
fn old_days_leave_but_for_calls_in_flight() {
    let mut book = Book::new();
    let of = |day: Option<i32>| Charge::usd("s", "k", day.map(Day));
    let cap = |day| [(of(day), NanoUsd(100))];
    let open = book.reserve(id(1), NanoUsd(10), &cap(Some(1)), LATER).unwrap();
    for day in [Some(2), Some(3), None] {
        book.load(of(day), NanoUsd(5));
    }
    book.forget_before(Day(3));
    let mut days: Vec<_> = book.state().into_iter().map(|line| line.charge.period).collect();
    days.sort();
    assert_eq!(days, [None, Some(Day(1)), Some(Day(3))]);
    let _ = book.settle(open, NanoUsd(10));
    book.forget_before(Day(3));
    assert_eq!(book.state().len(), 2);
    // The place is used again without mixing anything up.
    book.load(of(Some(4)), NanoUsd(1));
    assert_eq!(book.line(&of(Some(4))).unwrap().spent, NanoUsd(1));
    assert_eq!((book.line(&of(Some(1))), book.accounts.len()), (None, 4));
    // A call that was reaped and whose day is forgotten reports to nobody.
    let late = book.reserve(id(2), NanoUsd(10), &cap(Some(3)), Mono(5)).unwrap();
    assert_eq!(book.reap(Mono(5)).len(), 1);
    book.forget_before(Day(4));
    assert!(book.settle(late, NanoUsd(3)).is_empty());
    assert_eq!(book.line(&of(Some(3))), None);
}

#[test]
fn a_refusal_tells_the_caller_which_budget_and_how_much() {
    let mut book = Book::new();
    book.load(charge("support_bot/ann"), NanoUsd(250_000_000));
    let refused = reserve(&mut book, 60_000_000, &[("support_bot/ann", 300_000_000)]).unwrap_err();
    let fault = refused.fault();
    assert_eq!((fault.code, fault.blame), (Code::BudgetExceeded, Blame::Policy));
    assert_eq!(
        fault.message,
        "budget `route_user_daily` of `support_bot/ann` has 0.05 USD of 0.30 USD left and this call may cost 0.06 USD; \
         it turns after 2024-10-04 (UTC)"
    );
    assert_eq!(fault.detail.unwrap()["spent_usd"], 0.25);
}

/// One step of the history that the model below runs in step with the book.
#[derive(Clone, Debug)]
enum Move {
    Reserve {
        amount: i64,
        keys: Vec<usize>,
        deadline: u64,
    },
    /// Settles the nth open hold; more than was held makes a debt.
    Settle {
        nth: usize,
        actual: i64,
    },
    Reap {
        now: u64,
    },
    /// The process dies: the book is made anew, calls in flight are charged their hold.
    Crash,
    /// The store's figure comes in, equal to ours.
    Reload {
        key: usize,
    },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let keys = prop::collection::vec(0..CAPS.len(), 0..5);
    let one = prop_oneof![
        6 => (0_i64..60, keys, 1_u64..100).prop_map(|(amount, keys, deadline)| Move::Reserve { amount, keys, deadline }),
        5 => (any::<usize>(), 0_i64..70).prop_map(|(nth, actual)| Move::Settle { nth, actual }),
        1 => (1_u64..100).prop_map(|now| Move::Reap { now }),
        1 => Just(Move::Crash),
        1 => (0..CAPS.len()).prop_map(|key| Move::Reload { key }),
    ];
    prop::collection::vec(one, 1..120)
}

const CAPS: [(&str, i64); 4] = [("a", 100), ("b", 150), ("c", 70), ("d", 1_000)];

/// The same rules in the plainest way: a list of holds, sums taken anew each time.
#[derive(Default)]
struct Model {
    spent: Map<usize, i64>,
    /// (amount, keys, deadline, was reaped).
    holds: Vec<(i64, Vec<usize>, u64, bool)>,
}

impl Model {
    fn held(&self, key: usize) -> i64 {
        self.holds
            .iter()
            .filter(|(_, keys, _, reaped)| !reaped && keys.contains(&key))
            .map(|hold| hold.0)
            .sum()
    }

    fn fits(&self, amount: i64, keys: &[usize]) -> bool {
        keys.iter().all(|key| self.spent.get(key).unwrap_or(&0) + self.held(*key) + amount <= CAPS[*key].1)
    }

    fn spend(&mut self, keys: &[usize], amount: i64) {
        for key in keys {
            *self.spent.entry(*key).or_default() += amount;
        }
    }

    fn reap(&mut self, now: u64) {
        for at in 0..self.holds.len() {
            let (amount, keys, deadline, reaped) = self.holds[at].clone();
            if !reaped && deadline <= now {
                self.holds[at].3 = true;
                self.spend(&keys, amount);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_book_agrees_with_the_plainest_ledger(moves in moves()) {
        let (mut book, mut model) = (Book::new(), Model::default());
        let mut holds: Vec<Hold> = Vec::new();
        for (number, step) in moves.into_iter().enumerate() {
            match step {
                Move::Reserve { amount, mut keys, deadline } => {
                    let caps: Vec<_> = keys.iter().map(|key| CAPS[*key]).collect();
                    let result = book.reserve(id(number as u128), NanoUsd(amount), &capped(&caps), Mono(deadline));
                    prop_assert_eq!(result.is_ok(), model.fits(amount, &keys));
                    if let Ok(hold) = result {
                        keys.sort_unstable();
                        keys.dedup();
                        holds.push(hold);
                        model.holds.push((amount, keys.clone(), deadline, false));
                        for key in keys {
                            let (spent, held) = state(&book, CAPS[key].0);
                            prop_assert!(spent + held <= CAPS[key].1, "over the cap of {}", CAPS[key].0);
                        }
                    }
                }
                Move::Settle { nth, actual } if !holds.is_empty() => {
                    let nth = nth % holds.len();
                    let _ = book.settle(holds.swap_remove(nth), NanoUsd(actual));
                    let (amount, keys, _, reaped) = model.holds.swap_remove(nth);
                    model.spend(&keys, if reaped { actual - amount } else { actual });
                }
                Move::Settle { .. } => {}
                Move::Reap { now } => {
                    let overdue = book.overdue(Mono(now));
                    let mut reaped: Vec<CallId> = book.reap(Mono(now)).iter().map(|reaped| reaped.id).collect();
                    reaped.sort();
                    prop_assert_eq!(overdue, reaped);
                    model.reap(now);
                }
                Move::Crash => {
                    model.reap(u64::MAX);
                    model.holds.clear();
                    holds.clear();
                    book = Book::new();
                    for (key, spent) in &model.spent {
                        book.load(charge(CAPS[*key].0), NanoUsd(*spent));
                    }
                }
                Move::Reload { key } => {
                    let (spent, _) = state(&book, CAPS[key].0);
                    book.load(charge(CAPS[key].0), NanoUsd(spent));
                }
            }
            for (key, (name, _)) in CAPS.iter().enumerate() {
                let wanted = (model.spent.get(&key).copied().unwrap_or(0), model.held(key));
                prop_assert_eq!(state(&book, name), wanted, "{} after step {}", name, number);
            }
            let open: Vec<i64> = model.holds.iter().filter(|hold| !hold.3).map(|hold| hold.0).collect();
            prop_assert_eq!(book.open_holds(), open.len());
            prop_assert_eq!(book.held_total().0, open.iter().sum::<i64>());
        }
    }
}
