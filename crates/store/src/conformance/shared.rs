//! Budgets over several replicas.

use std::time::Duration;

use gauntlet_ports::{BudgetAsk, SharedError, SharedState};

use super::{
    SharedPlace,
    replica::{LONG, Replica},
};

/// Time enough for the steps of a claim on a busy machine, and short enough to wait for.
pub(super) const SHORT: Duration = Duration::from_millis(700);

pub(super) async fn room_is_dealt_out_by_halves(store: &dyn SharedState) {
    let mut a = Replica::new("a");
    assert_eq!(a.draw(store, "x", 1000, 0, 100).await.slice, 100, "a modest wish is granted");
    assert_eq!(a.draw(store, "x", 1000, 0, 9000).await.slice, 500, "half of the room, to one");
    let mut b = Replica::new("b");
    let grant = b.draw(store, "x", 1000, 0, 9000).await;
    assert_eq!((grant.slice, grant.elsewhere_slices), (125, 500), "half of a share of what is left, to two");
    assert!(a.account("x").hold(400));
    a.account("x").settle(400, 300);
    let grant = a.draw(store, "x", 1000, 0, 50).await;
    assert_eq!((grant.slice, grant.elsewhere_spent, grant.elsewhere_slices), (50, 0, 125));
    let grant = b.draw(store, "x", 1000, 600, 600).await;
    assert_eq!((grant.slice, grant.elsewhere_spent), (125, 300), "300 spent, and 200 kept: 600 is too much");
    a.exchange(store).await;
    let grant = b.draw(store, "x", 1000, 600, 600).await;
    assert_eq!((grant.slice, grant.elsewhere_spent, grant.elsewhere_slices), (600, 300, 50), "a gave way");
}

pub(super) async fn the_last_of_a_cap_can_be_used_by_anybody(store: &dyn SharedState) {
    let mut replicas = [Replica::new("a"), Replica::new("b"), Replica::new("c")];
    for replica in &mut replicas {
        replica.draw(store, "x", 100, 0, 100).await;
    }
    // All idle replicas hold something ready; one of them has a call that needs all.
    for _ in 0..3 {
        replicas[2].draw(store, "x", 100, 100, 100).await;
        replicas[0].exchange(store).await;
        replicas[1].exchange(store).await;
    }
    assert_eq!(replicas[2].draw(store, "x", 100, 100, 100).await.slice, 100);
    assert_eq!(replicas[0].draw(store, "x", 100, 1, 100).await.slice, 0);
    // A need beyond what can ever be makes nobody give way.
    let mut d = Replica::new("d");
    replicas[2].draw(store, "x", 100, 0, 0).await;
    replicas[2].exchange(store).await;
    d.draw(store, "x", 100, 101, 0).await;
    assert!(replicas[0].draw(store, "x", 100, 0, 100).await.slice > 0);
}

pub(super) async fn what_a_replica_may_still_use_is_never_granted_to_others(store: &dyn SharedState) {
    let (mut a, mut b) = (Replica::new("a"), Replica::new("b"));
    a.draw(store, "x", 100, 100, 100).await;
    a.account("x").need = 0;
    // Within its limit, while its exchange is on the way.
    let ask = a.ask();
    assert!(a.account("x").hold(100));
    let answer = store.exchange(&ask).await.unwrap();
    a.heard(&ask, &answer);
    assert_eq!(answer.budgets[0].slice, 50, "it may keep half of it from now on");
    assert_eq!(b.draw(store, "x", 100, 1, 100).await.slice, 0, "but it has kept all meanwhile");
    assert_eq!(a.draw(store, "x", 100, 0, 0).await.slice, 100, "and its calls stay");
    a.account("x").settle(100, 40);
    a.exchange(store).await;
    a.exchange(store).await;
    let grant = b.draw(store, "x", 100, 60, 100).await;
    assert_eq!((grant.slice, grant.elsewhere_spent, grant.elsewhere_slices), (60, 40, 0));
}

pub(super) async fn a_repeat_changes_nothing_and_a_late_one_is_refused(store: &dyn SharedState) {
    let mut a = Replica::new("a");
    a.account("x").spent = 10;
    a.account("x").limit = 10;
    let first = a.draw(store, "x", 1000, 20, 30).await;
    let late = a.ask();
    // The reply was lost: said again, with the next number.
    let mut again = late.clone();
    again.seq += 1;
    a.seq += 1;
    assert_eq!(store.exchange(&again).await.unwrap().budgets[0], first);
    assert!(matches!(store.exchange(&late).await, Err(SharedError::Stale { seq: 2, .. })));
    assert!(matches!(store.exchange(&again).await, Err(SharedError::Stale { seq: 3, .. })));
    let mut b = Replica::new("b");
    let grant = b.draw(store, "x", 1000, 0, 0).await;
    assert_eq!((grant.elsewhere_spent, grant.elsewhere_slices), (10, 30));
}

pub(super) async fn a_replica_id_is_one_process_at_a_time(place: &SharedPlace) {
    let store = &*place.store;
    let mut a = Replica::new("a").with_lease(SHORT);
    a.draw(store, "x", 100, 40, 40).await;
    let mut copy = Replica { session: 77, ..Replica::new("a") };
    let Err(SharedError::InUse { replica, wait }) = copy.try_exchange(store).await else {
        panic!("a copy gets in");
    };
    assert!(replica == "a" && !wait.is_zero() && wait <= SHORT, "{wait:?}");
    (place.pass)(SHORT * 2).await;
    copy.draw(store, "x", 100, 0, 10).await;
    assert!(matches!(a.try_exchange(store).await, Err(SharedError::Superseded { .. })));
    let last = copy.ask();
    store.leave(&last).await.unwrap();
    assert!(matches!(copy.try_exchange(store).await, Err(SharedError::Superseded { .. })));
    // One that left lets the next one in at once.
    Replica { session: 78, ..Replica::new("a") }.exchange(store).await;
}

pub(super) async fn a_dead_replicas_slice_returns_with_it(place: &SharedPlace) {
    let store = &*place.store;
    let (mut a, mut b) = (Replica::new("a").with_lease(SHORT), Replica::new("b"));
    a.draw(store, "x", 100, 80, 80).await;
    assert!(a.account("x").hold(50));
    (place.pass)(SHORT * 2).await;
    let grant = b.draw(store, "x", 100, 30, 100).await;
    assert_eq!((grant.slice, grant.elsewhere_slices), (10, 80), "it may have been used up: half of 20");
    assert_eq!(b.exchange(store).await.replicas_alive, 1);
    let lines = store.replicas().await.unwrap();
    let a_line = lines.iter().find(|line| line.id == "a").unwrap();
    assert_eq!((a_line.is_alive, a_line.accounts, a_line.slices), (false, 1, 80));
    assert!(a_line.seen_ago >= SHORT);
    let mut a = a.restarted();
    let answer = a.exchange(store).await;
    assert_eq!((answer.replicas_alive, answer.is_settling), (2, false));
    let grant = b.draw(store, "x", 100, 30, 30).await;
    assert_eq!((grant.slice, grant.elsewhere_spent), (30, 50), "50 of 80 were used, and the rest is back");
}

pub(super) async fn an_operator_can_forget_a_replica(place: &SharedPlace) {
    let store = &*place.store;
    let (mut a, mut b) = (Replica::new("a").with_lease(SHORT), Replica::new("b"));
    a.draw(store, "x", 100, 10, 10).await;
    assert!(a.account("x").hold(10));
    a.account("x").settle(10, 10);
    a.draw(store, "x", 100, 90, 90).await;
    assert!(!store.forget("nobody").await.unwrap());
    a.exchange(store).await;
    assert!(matches!(store.forget("a").await, Err(SharedError::InUse { .. })), "it lives");
    (place.pass)(SHORT * 2).await;
    assert_eq!(b.draw(store, "x", 100, 50, 50).await.slice, 0);
    assert!(store.forget("a").await.unwrap());
    let grant = b.draw(store, "x", 100, 50, 50).await;
    assert_eq!((grant.slice, grant.elsewhere_spent, grant.elsewhere_slices), (50, 10, 0), "its spend stays");
    assert!(matches!(a.try_exchange(store).await, Err(SharedError::Superseded { .. })), "if it was not gone");
    let ids: Vec<String> = store.replicas().await.unwrap().into_iter().map(|line| line.id).collect();
    assert_eq!(ids, ["b"]);
}

pub(super) async fn leaving_gives_everything_back_but_the_spend(store: &dyn SharedState) {
    let (mut a, mut b) = (Replica::new("a"), Replica::new("b"));
    for account in ["x", "y"] {
        a.draw(store, account, 100, 100, 100).await;
    }
    assert!(a.account("x").hold(30));
    a.account("x").settle(30, 25);
    let mut last = a.ask();
    last.budgets.retain(|budget| budget.account == "x");
    store.leave(&last).await.unwrap();
    let grant = b.draw(store, "x", 100, 75, 75).await;
    assert_eq!((grant.slice, grant.elsewhere_spent, grant.elsewhere_slices), (75, 25, 0));
    assert_eq!(b.draw(store, "y", 100, 100, 100).await.slice, 100, "also where it was not named");
    let lines = store.replicas().await.unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (lines[0].id.as_str(), lines[0].is_alive, lines[0].accounts, lines[0].slices),
        ("b", true, 2, 175)
    );
}

pub(super) async fn a_lowered_cap_and_a_debt_let_nothing_grow(store: &dyn SharedState) {
    let (mut a, mut b) = (Replica::new("a"), Replica::new("b"));
    a.draw(store, "x", 100, 60, 60).await;
    b.draw(store, "x", 100, 40, 40).await;
    assert!(a.account("x").hold(50) && b.account("x").hold(10));
    // Lowered under what is held.
    for _ in 0..2 {
        assert_eq!(a.draw(store, "x", 30, 10, 60).await.slice, 50, "calls in flight stay");
        assert_eq!(b.draw(store, "x", 30, 10, 60).await.slice, 10);
    }
    // A provider billed more than the bound.
    a.account("x").settle(50, 120);
    assert_eq!(a.draw(store, "x", 100, 1, 60).await.slice, 0);
    let grant = b.draw(store, "x", 100, 1, 60).await;
    assert_eq!((grant.slice, grant.elsewhere_spent), (10, 120));
    b.account("x").settle(10, 10);
    assert_eq!(b.draw(store, "x", 200, 70, 70).await.slice, 70, "a raised cap frees what is left of it");
    assert_eq!(b.draw(store, "x", -5, 0, 70).await.slice, 0, "or takes back what nobody uses");
}

pub(super) async fn entries_are_dropped_when_their_time_is_over(place: &SharedPlace) {
    let store = &*place.store;
    let (mut a, mut b) = (Replica::new("a"), Replica::new("b"));
    let brief = |mut ask: gauntlet_ports::Exchange| {
        ask.budgets.iter_mut().for_each(|budget| budget.forget_after = SHORT);
        ask
    };
    let local = a.account("x");
    (local.cap, local.want, local.need, local.spent, local.limit) = (100, 80, 80, 20, 20);
    let ask = brief(a.ask());
    assert_eq!(store.exchange(&ask).await.unwrap().budgets[0].slice, 80);
    assert_eq!(b.draw(store, "x", 100, 10, 10).await.slice, 0);
    (place.pass)(SHORT * 2).await;
    let mut c = Replica::new("c");
    let grant = c.draw(store, "x", 100, 10, 10).await;
    assert_eq!((grant.slice, grant.elsewhere_slices), (10, 0));
    assert!(store.replicas().await.unwrap().iter().all(|line| line.id != "a" || line.accounts == 0));
}

pub(super) async fn a_store_that_was_set_back_settles(place: &SharedPlace) {
    let store = &*place.store;
    let (mut a, mut b) = (Replica::new("a").with_lease(SHORT), Replica::new("b").with_lease(LONG));
    let before = b.exchange(store).await;
    // It has seen an answer that the store knows nothing of.
    (a.seq, a.acked) = (7, 7);
    let local = a.account("x");
    (local.cap, local.want, local.need, local.limit) = (100, 100, 50, 60);
    let answer = a.exchange(store).await;
    assert!(answer.is_settling && answer.epoch != before.epoch);
    assert_eq!(answer.budgets[0].slice, 60, "what it has, and no more");
    let grant = b.draw(store, "x", 100, 1, 10).await;
    assert!(grant.is_settling && grant.slice == 0 && grant.elsewhere_slices == 60, "{grant:?}");
    (place.pass)(SHORT * 2).await;
    let answer = b.exchange(store).await;
    assert!(!answer.is_settling);
    assert_eq!(answer.budgets[0].slice, 10, "within what the other one does not hold");
}

pub(super) async fn an_account_that_was_lost_settles_alone(place: &SharedPlace) {
    let store = &*place.store;
    let (mut a, mut b) = (Replica::new("a").with_lease(SHORT), Replica::new("b"));
    a.exchange(store).await;
    let local = a.account("x");
    (local.cap, local.want, local.need, local.limit) = (100, 100, 50, 60);
    let answer = a.exchange(store).await;
    assert!(!answer.is_settling && answer.budgets[0].is_settling);
    assert_eq!(answer.budgets[0].slice, 60);
    assert_eq!(b.draw(store, "x", 100, 1, 10).await.slice, 0);
    assert_eq!(b.draw(store, "y", 100, 1, 10).await.slice, 10, "others are not concerned");
    (place.pass)(SHORT * 2).await;
    assert_eq!(b.draw(store, "x", 100, 1, 10).await.slice, 10);
}

pub(super) async fn what_others_have_spent_is_not_forgotten_with_them(store: &dyn SharedState) {
    let mut a = Replica::new("a");
    let local = a.account("x");
    (local.spent, local.limit, local.elsewhere_spent) = (20, 20, 50);
    let grant = a.draw(store, "x", 100, 0, 100).await;
    assert_eq!((grant.slice, grant.elsewhere_spent), (15, 50), "half of 30");
    let mut b = Replica::new("b");
    let grant = b.draw(store, "x", 100, 16, 100).await;
    assert_eq!((grant.slice, grant.elsewhere_spent), (3, 70), "only 15 are left");
    // The one who spent it is back.
    let mut c = Replica::new("c");
    (c.account("x").spent, c.account("x").limit) = (50, 50);
    assert_eq!(c.draw(store, "x", 100, 0, 0).await.elsewhere_spent, 20, "and is not counted twice");
}

pub(super) async fn names_are_only_names(store: &dyn SharedState) {
    let names = [
        "m",
        "r",
        "ra",
        "x y",
        "{gauntlet}:mark",
        "}:mark",
        "'; drop schema gauntlet_shared cascade; --",
        "\n",
        "\0",
        "東京",
        "%d %s",
        "\\",
        "\"",
        "*",
        "",
        "a:b:c",
    ];
    let long = "long ".repeat(100);
    let names: Vec<&str> = names.into_iter().chain([long.as_str()]).collect();
    for (at, id) in names.iter().filter(|name| !name.is_empty()).enumerate() {
        let mut replica = Replica::new(id);
        for name in &names {
            let local = replica.account(name);
            (local.cap, local.want, local.need) = (1_000_000, 3, 3);
        }
        let answer = replica.exchange(store).await;
        assert!(
            answer.budgets.iter().all(|grant| grant.slice == 3 && grant.elsewhere_slices == 3 * at as i64),
            "{id:?}"
        );
    }
    let mut ids: Vec<String> = store.replicas().await.unwrap().into_iter().map(|line| line.id).collect();
    ids.sort();
    let mut expected: Vec<&str> = names.iter().copied().filter(|name| !name.is_empty()).collect();
    expected.sort();
    assert_eq!(ids, expected);
}

pub(super) async fn great_and_odd_figures_do_no_harm(store: &dyn SharedState) {
    let mut a = Replica::new("a");
    let mut ask = a.ask();
    let most = i64::MAX;
    ask.budgets = vec![
        BudgetAsk {
            account: "x".to_owned(),
            cap: most,
            want: most,
            need: most,
            forget_after: Duration::MAX,
            ..BudgetAsk::default()
        },
        BudgetAsk {
            account: "y".to_owned(),
            cap: most,
            spent: most,
            held: most,
            keep: most,
            elsewhere_spent: most,
            forget_after: LONG,
            ..BudgetAsk::default()
        },
        BudgetAsk {
            account: "z".to_owned(),
            cap: i64::MIN,
            spent: -5,
            held: -5,
            keep: -5,
            need: -5,
            want: -5,
            ..BudgetAsk::default()
        },
    ];
    let answer = store.exchange(&ask).await.unwrap();
    assert!(answer.budgets[0].slice >= (1 << 53) - 1, "as much as the store can count");
    assert_eq!(answer.budgets[2].slice, 0);
    let mut b = Replica::new("b");
    assert_eq!(b.draw(store, "y", most, 1, 1).await.slice, 0, "all is spent");
    let mut twice = a.ask();
    twice.budgets = vec![ask.budgets[0].clone(), ask.budgets[0].clone()];
    assert!(matches!(store.exchange(&twice).await, Err(SharedError::Malformed { .. })));
}
