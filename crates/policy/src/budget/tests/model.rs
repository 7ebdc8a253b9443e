//! The book against the plainest ledger there can be: a list of holds and a list of spends, summed anew each time.

use std::collections::HashMap as Map;

use super::*;

/// One step of a history.
#[derive(Clone, Debug)]
enum Move {
    Reserve {
        amount: (i64, i64),
        keys: Vec<usize>,
        deadline: u64,
    },
    /// Moves the nth hold to another amount and other budgets.
    Amend {
        nth: usize,
        amount: (i64, i64),
        keys: Vec<usize>,
    },
    /// Settles the nth hold; more than was held makes a debt.
    Settle {
        nth: usize,
        actual: (i64, i64),
    },
    Reap {
        now: u64,
    },
    /// A day turns: what never turns and was not used since the last time becomes idle.
    Rest,
    /// So many hours pass.
    Pass(i64),
    /// The process dies: the book is made anew from what was spent, and calls in flight are charged their hold.
    Crash,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let keys = || prop::collection::vec(0..BUDGETS.len(), 0..5);
    let amount = || (0_i64..60, 0_i64..400);
    let one = prop_oneof![
        6 => (amount(), keys(), 1_u64..100).prop_map(|(amount, keys, deadline)| Move::Reserve { amount, keys, deadline }),
        2 => (any::<usize>(), amount(), keys()).prop_map(|(nth, amount, keys)| Move::Amend { nth, amount, keys }),
        5 => (any::<usize>(), amount()).prop_map(|(nth, actual)| Move::Settle { nth, actual }),
        1 => (1_u64..100).prop_map(|now| Move::Reap { now }),
        2 => Just(Move::Rest),
        1 => (1_i64..9).prop_map(Move::Pass),
        1 => Just(Move::Crash),
    ];
    prop::collection::vec(one, 1..120)
}

/// (name, measure, cap, whether it rolls over a day). Those named like conversations never turn.
const BUDGETS: [(&str, Measure, i64, bool); 9] = [
    ("a", Measure::Usd, 100, false),
    ("b", Measure::Usd, 150, false),
    ("c", Measure::Tokens, 700, false),
    ("d", Measure::Requests, 4, false),
    ("e", Measure::Usd, 120, true),
    ("f", Measure::Tokens, 900, true),
    ("conversation-1", Measure::Usd, 130, false),
    ("conversation-2", Measure::Usd, 90, false),
    ("conversation-3", Measure::Tokens, 700, false),
];

/// Days have six hours here, and the rolling window four: so that they turn often.
const ROLLING: Rolling = Rolling { parts: 4, parts_per_day: 6 };

fn budget(key: usize, hour: i64) -> Draw {
    let (name, measure, cap, rolls) = BUDGETS[key];
    let period = match rolls {
        true => Some(Day(hour.div_euclid(6) as i32)),
        false if name.starts_with("conversation") => None,
        false => Some(TODAY),
    };
    let part = if rolls { hour.rem_euclid(6) as u16 } else { 0 };
    let charge = Charge { measure, part, ..Charge::usd("s", name, period) };
    draw(charge, Cap { rolling: rolls.then_some(ROLLING), ..Cap::of(cap) })
}

fn drawn((usd, tokens): (i64, i64)) -> Drawn {
    Drawn { usd: NanoUsd(usd), tokens, requests: 1 }
}

#[derive(Clone)]
struct Held {
    amount: Drawn,
    /// (budget, hour in which it was held)
    keys: Vec<(usize, i64)>,
    deadline: u64,
    is_reaped: bool,
}

#[derive(Default)]
struct Model {
    /// Spent per budget and hour.
    spent: Map<(usize, i64), i64>,
    holds: Vec<Held>,
    hour: i64,
    /// The last hour in which each budget was used: windows turn only then.
    seen: Map<usize, i64>,
}

impl Model {
    fn held(&self, key: usize) -> i64 {
        let holds = self.holds.iter().filter(|hold| !hold.is_reaped);
        let of = |hold: &Held| {
            let is_on = hold.keys.iter().any(|(known, _)| *known == key);
            if is_on { hold.amount.of(BUDGETS[key].1) } else { 0 }
        };
        holds.map(of).sum()
    }

    fn spent(&self, key: usize) -> i64 {
        let now = self.seen.get(&key).copied().unwrap_or(i64::MIN);
        let counts = |hour: i64| !BUDGETS[key].3 || hour >= now.saturating_sub(4);
        self.spent
            .iter()
            .filter(|((known, hour), _)| *known == key && counts(*hour))
            .map(|(_, spent)| spent)
            .sum()
    }

    fn see(&mut self, key: usize, hour: i64) {
        let seen = self.seen.entry(key).or_insert(hour);
        *seen = hour.max(*seen);
    }

    /// Whether all fit; as far as budgets are looked at, their windows turn.
    fn fits(&mut self, amount: Drawn, keys: &[usize], opened: &[usize]) -> bool {
        keys.iter().all(|key| {
            if opened.contains(key) {
                self.see(*key, self.hour);
            }
            self.spent(*key) + self.held(*key) + amount.of(BUDGETS[*key].1) <= BUDGETS[*key].2
        })
    }

    fn spend(&mut self, keys: &[(usize, i64)], sign: i64, amount: Drawn) {
        for (key, hour) in keys {
            self.see(*key, *hour);
            *self.spent.entry((*key, *hour)).or_default() += sign * amount.of(BUDGETS[*key].1);
        }
    }

    fn reap(&mut self, now: u64) {
        for at in 0..self.holds.len() {
            let hold = self.holds[at].clone();
            if !hold.is_reaped && hold.deadline <= now {
                self.holds[at].is_reaped = true;
                self.spend(&hold.keys, 1, hold.amount);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]
    #[test]
    fn the_book_agrees_with_the_plainest_ledger(moves in moves()) {
        let (mut book, mut model) = (Book::new(), Model { hour: 1_000, ..Model::default() });
        let mut holds: Vec<Hold> = Vec::new();
        for (number, step) in moves.into_iter().enumerate() {
            let draws = |keys: &[usize], hour: i64| keys.iter().map(|key| budget(*key, hour)).collect::<Vec<_>>();
            let opened = |book: &Book| -> Vec<usize> {
                (0..BUDGETS.len()).filter(|key| book.line(&budget(*key, 0).charge).is_some()).collect()
            };
            let distinct = |mut keys: Vec<usize>, hour: i64| {
                keys.sort_unstable();
                keys.dedup();
                keys.into_iter().map(|key| (key, hour)).collect::<Vec<_>>()
            };
            match step {
                Move::Reserve { amount, keys, deadline } => {
                    let known = opened(&book);
                    let result =
                        book.reserve(id(number as u128), drawn(amount), &draws(&keys, model.hour), Mono(deadline));
                    prop_assert_eq!(result.is_ok(), model.fits(drawn(amount), &keys, &known));
                    if let Ok(hold) = result {
                        holds.push(hold);
                        let keys = distinct(keys, model.hour);
                        model.holds.push(Held { amount: drawn(amount), keys: keys.clone(), deadline, is_reaped: false });
                        for (key, _) in keys {
                            model.see(key, model.hour);
                            let line = book.line(&budget(key, model.hour).charge).unwrap();
                            prop_assert!(line.spent + line.held <= BUDGETS[key].2, "over the cap of {}", BUDGETS[key].0);
                        }
                    }
                }
                Move::Amend { nth, amount, keys } if !holds.is_empty() => {
                    let nth = nth % holds.len();
                    let was_reaped = model.holds[nth].is_reaped;
                    let before = std::mem::take(&mut model.holds[nth].keys);
                    let known = opened(&book);
                    let fits = !was_reaped && model.fits(drawn(amount), &keys, &known);
                    let last = holds.len() - 1;
                    let hold = holds.swap_remove(nth);
                    let result = book.amend(hold, drawn(amount), &draws(&keys, model.hour));
                    prop_assert_eq!(result.is_ok(), fits);
                    if fits {
                        keys.iter().for_each(|key| model.see(*key, model.hour));
                        model.holds[nth].keys = distinct(keys, model.hour);
                        model.holds[nth].amount = drawn(amount);
                    } else {
                        model.holds[nth].keys = before;
                    }
                    holds.push(result.unwrap_or_else(|(hold, _)| hold));
                    holds.swap(nth, last);
                }
                Move::Settle { nth, actual } if !holds.is_empty() => {
                    let nth = nth % holds.len();
                    let _ = book.settle(holds.swap_remove(nth), drawn(actual));
                    let hold = model.holds.swap_remove(nth);
                    if hold.is_reaped {
                        model.spend(&hold.keys, -1, hold.amount);
                    }
                    model.spend(&hold.keys, 1, drawn(actual));
                }
                Move::Amend { .. } | Move::Settle { .. } => {}
                Move::Reap { now } => {
                    let overdue = book.overdue(Mono(now));
                    let mut reaped: Vec<CallId> = book.reap(Mono(now)).iter().map(|reaped| reaped.id).collect();
                    reaped.sort();
                    prop_assert_eq!(overdue, reaped);
                    model.reap(now);
                }
                // Before any day of this test, so that nothing is forgotten but what is empty.
                Move::Rest => book.forget_before(Day(0)),
                Move::Pass(hours) => model.hour += hours,
                Move::Crash => {
                    model.reap(u64::MAX);
                    model.holds.clear();
                    holds.clear();
                    book = Book::new();
                    model.seen.clear();
                    let spent = model.spent.clone();
                    for ((key, hour), spent) in spent {
                        let known = budget(key, hour);
                        let before = book.line(&known.charge).map_or(0, |line| line.spent);
                        // Of a calendar budget the store keeps one sum.
                        let sum = if BUDGETS[key].3 { spent } else { before + spent };
                        book.load(&known.charge, known.cap.rolling, sum);
                        model.see(key, hour);
                    }
                }
            }
            for (key, (name, ..)) in BUDGETS.iter().enumerate() {
                let found = book.line(&budget(key, 0).charge).map_or((0, 0), |line| (line.spent, line.held));
                prop_assert_eq!(found, (model.spent(key), model.held(key)), "{} after step {}", name, number);
            }
            let open: Vec<i64> =
                model.holds.iter().filter(|hold| !hold.is_reaped).map(|hold| hold.amount.usd.0).collect();
            prop_assert_eq!(book.open_holds(), open.len());
            prop_assert_eq!(book.held_total().0, open.iter().sum::<i64>());
        }
    }
}
