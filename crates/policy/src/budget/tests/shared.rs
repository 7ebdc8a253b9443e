//! Several books over one cap, with a store that keeps to the rule of slices.

use std::collections::HashMap as Map;

use super::{share::Ask, *};

const NOW: Timestamp = TODAY.start();

/// The shared store in its plainest form: for each replica what it has spent and its slice.
#[derive(Default)]
struct Store(Map<(usize, String), (i64, i64)>);

/// An ask with its answer: the slice, and what is spent elsewhere.
type Answer = (Ask, i64, i64);

impl Store {
    fn exchange(&mut self, replica: usize, book: &mut Book) -> Vec<Ask> {
        let asks = book.asks(NOW, 100);
        let answers = self.answer(replica, &asks);
        for (ask, slice, elsewhere) in answers {
            book.grant(&ask, slice, elsewhere);
        }
        asks
    }

    fn answer(&mut self, replica: usize, asks: &[Ask]) -> Vec<Answer> {
        let mut answers = Vec::new();
        for ask in asks {
            let account = ask.account();
            let others: Vec<(i64, i64)> = self
                .0
                .iter()
                .filter(|((other, name), _)| *other != replica && *name == account)
                .map(|(_, figures)| *figures)
                .collect();
            let elsewhere: i64 = others.iter().map(|(spent, _)| spent).sum();
            let taken: i64 = others.iter().map(|(spent, slice)| spent + slice).sum();
            let room = ask.cap - taken - ask.spent;
            let slice = if room <= ask.held || room < ask.held + ask.need {
                ask.held
            } else {
                let least = ask.held + ask.need;
                ask.want.clamp(least, least + (room - least) / 4)
            };
            // Until the answer is there, the replica goes by what it has.
            self.0.insert((replica, account), (ask.spent, slice.max(ask.keep)));
            answers.push((ask.clone(), slice, elsewhere));
        }
        answers
    }
}

fn books(count: usize) -> Vec<Book> {
    let mut books: Vec<Book> = (0..count).map(|_| Book::new()).collect();
    books.iter_mut().for_each(Book::share);
    books
}

#[test]
fn a_replica_spends_from_its_slice_alone_and_gives_back_what_it_does_not_use() {
    let mut books = books(2);
    let mut store = Store::default();
    let refused = reserve(&mut books[0], 10, &[("user", 100)]).unwrap_err();
    assert_eq!(refused.short, Short::Slice, "nothing was granted yet");
    store.exchange(0, &mut books[0]);
    let hold = reserve(&mut books[0], 10, &[("user", 100)]).unwrap();
    let _ = books[0].settle(hold, usd(10));
    store.exchange(0, &mut books[0]);
    assert_eq!(reserve(&mut books[1], 95, &[("user", 100)]).unwrap_err().short, Short::Slice);
    store.exchange(1, &mut books[1]);
    let refused = reserve(&mut books[1], 95, &[("user", 100)]).unwrap_err();
    assert_eq!((refused.short, refused.spent), (Short::Cap, 10), "now the other's spend is known");
    assert_eq!(books[1].turned_away(&refused).unwrap().percent, 100);
    for _ in 0..8 {
        store.exchange(0, &mut books[0]);
    }
    assert!(reserve(&mut books[1], 90, &[("user", 100)]).is_err());
    store.exchange(1, &mut books[1]);
    let hold = reserve(&mut books[1], 90, &[("user", 100)]).unwrap();
    assert!(books[1].settle(hold, usd(90)).is_empty(), "that it is full was told already");
    let exchanges = (0..20).take_while(|_| !store.exchange(1, &mut books[1]).is_empty()).count();
    assert!((1..10).contains(&exchanges), "nothing is left to tell after {exchanges}");
    assert!(store.0.values().all(|(_, slice)| *slice == 0), "all slices are back");
}

#[test]
fn a_replica_that_is_cut_off_stops_or_goes_on_alone() {
    let mut books = books(1);
    let mut store = Store::default();
    let _ = reserve(&mut books[0], 10, &[("user", 100)]);
    store.exchange(0, &mut books[0]);
    let hold = reserve(&mut books[0], 10, &[("user", 100)]).unwrap();
    books[0].cut_off(false);
    assert_eq!(reserve(&mut books[0], 1, &[("user", 100)]).unwrap_err().short, Short::Slice);
    let _ = books[0].settle(hold, usd(10));
    books[0].cut_off(true);
    assert!(reserve(&mut books[0], 91, &[("user", 100)]).is_err());
    let hold = reserve(&mut books[0], 90, &[("user", 100)]).unwrap();
    let _ = books[0].settle(hold, usd(1));
}

#[derive(Clone, Debug)]
enum Move {
    Reserve {
        replica: usize,
        key: usize,
        amount: i64,
    },
    Settle {
        replica: usize,
        nth: usize,
        share: i64,
    },
    Exchange {
        replica: usize,
    },
    /// The answer is lost on its way.
    Lose {
        replica: usize,
    },
    /// The replica dies and comes back with what its own store knows: its calls in flight are charged their hold.
    Crash {
        replica: usize,
    },
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn replicas_together_never_pass_a_cap(moves in prop::collection::vec(prop_oneof![
        6 => (0..3_usize, 0..2_usize, 0..50_i64).prop_map(|(replica, key, amount)| Move::Reserve { replica, key, amount }),
        5 => (0..3_usize, any::<usize>(), 0..=100_i64).prop_map(|(replica, nth, share)| Move::Settle { replica, nth, share }),
        6 => (0..3_usize).prop_map(|replica| Move::Exchange { replica }),
        1 => (0..3_usize).prop_map(|replica| Move::Lose { replica }),
        1 => (0..3_usize).prop_map(|replica| Move::Crash { replica }),
    ], 1..200)) {
        const CAPS: [(&str, i64); 2] = [("user", 200), ("tenant", 300)];
        let (mut books, mut store) = (books(3), Store::default());
        let mut holds: [Vec<Hold>; 3] = Default::default();
        let mut answers: [Vec<Answer>; 3] = Default::default();
        for step in moves {
            match step {
                Move::Reserve { replica, key, amount } => {
                    if let Ok(hold) = reserve(&mut books[replica], amount, &[CAPS[key], CAPS[1]]) {
                        holds[replica].push(hold);
                    }
                }
                Move::Settle { replica, nth, share } if !holds[replica].is_empty() => {
                    let nth = nth % holds[replica].len();
                    let hold = holds[replica].swap_remove(nth);
                    let actual = usd(hold.amount.usd.0 * share / 100);
                    let _ = books[replica].settle(hold, actual);
                }
                Move::Settle { .. } => {}
                Move::Exchange { replica } => {
                    for (ask, slice, elsewhere) in std::mem::take(&mut answers[replica]) {
                        books[replica].grant(&ask, slice, elsewhere);
                    }
                    let asks = books[replica].asks(NOW, 100);
                    answers[replica] = store.answer(replica, &asks);
                }
                Move::Lose { replica } => {
                    answers[replica].clear();
                    books[replica].ask_for_all();
                }
                Move::Crash { replica } => {
                    let kept = books[replica].state(NOW);
                    holds[replica].clear();
                    answers[replica].clear();
                    books[replica] = Book::new();
                    for line in kept {
                        books[replica].load(&line.charge, None, line.spent + line.held);
                    }
                    books[replica].share();
                }
            }
            for (key, cap) in CAPS {
                let used: i64 = books.iter().filter_map(|book| book.line(&charge(key))).map(|line| line.spent + line.held).sum();
                prop_assert!(used <= cap, "{} of {} in {}", used, cap, key);
            }
        }
    }
}
