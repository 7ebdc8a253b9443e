//! Rates and places for calls in flight over several replicas.

use std::time::Duration;

use gauntlet_ports::{Exchange, RateAsk, RateGrant, SharedState, SlotAsk};

use super::{SharedPlace, replica::Replica, shared::SHORT};

async fn draw(
    store: &dyn SharedState,
    replica: &mut Replica,
    per_minute: u64,
    burst: u64,
    take: i64,
    need: i64,
) -> RateGrant {
    let rate = RateAsk { key: "k".to_owned(), per_minute, burst, take, need };
    let ask = Exchange { rates: vec![rate], ..replica.ask() };
    store.exchange(&ask).await.unwrap().rates[0]
}

fn granted(taken: i64) -> RateGrant {
    RateGrant { taken, wait: Duration::ZERO }
}

pub(super) async fn replicas_draw_from_one_bucket(store: &dyn SharedState) {
    let (mut a, mut b) = (Replica::new("a"), Replica::new("b"));
    assert_eq!(slow(store, &mut a, 60, 1).await, granted(60));
    assert_eq!(slow(store, &mut b, 60, 1).await, granted(40), "what is there");
    let refused = slow(store, &mut b, 10, 1).await;
    assert!(
        refused.taken == 0
            && refused.wait > Duration::from_secs(8 * 60)
            && refused.wait <= Duration::from_secs(600),
        "{refused:?}"
    );
    assert_eq!(slow(store, &mut b, 10, 0).await, granted(0), "nothing is needed, so nothing is waited for");
    assert_eq!(slow(store, &mut a, -30, 0).await, granted(-30));
    assert_eq!(slow(store, &mut b, 20, 31).await.taken, 0, "not enough is no use");
    assert_eq!(slow(store, &mut b, 20, 30).await, granted(30), "a need is a wish too");
    assert_eq!(slow(store, &mut a, -500, 0).await, granted(-500));
    assert_eq!(slow(store, &mut b, 500, 1).await, granted(100), "a bucket holds no more than its burst");
    assert_eq!(slow(store, &mut b, 101, 101).await.wait, Duration::MAX, "and never will");
    assert_eq!(draw(store, &mut b, 0, 100, 1, 1).await.wait, Duration::MAX, "nothing flows in");
}

/// In units of ten tokens, of which one grows in a minute: the bucket holds a hundred units.
async fn slow(store: &dyn SharedState, replica: &mut Replica, take: i64, need: i64) -> RateGrant {
    let grant = draw(store, replica, 1, 1000, take * 10, need * 10).await;
    RateGrant { taken: grant.taken / 10, ..grant }
}

pub(super) async fn a_bucket_fills_by_the_stores_clock(place: &SharedPlace) {
    let store = &*place.store;
    let mut a = Replica::new("a");
    let rate = 60_000;
    assert_eq!(draw(store, &mut a, rate, 100, 100, 100).await, granted(100));
    (place.pass)(Duration::from_millis(50)).await;
    let some = draw(store, &mut a, rate, 100, 100, 1).await.taken;
    assert!((50..=100).contains(&some), "50 tokens in 50 ms and no fewer: {some}");
    (place.pass)(Duration::from_millis(200)).await;
    assert_eq!(draw(store, &mut a, rate, 100, 500, 1).await, granted(100), "up to the burst");
    let wait = draw(store, &mut a, 60, 100, 100, 100).await.wait;
    assert!(wait > Duration::from_secs(90) && wait <= Duration::from_secs(100), "{wait:?}");
}

async fn place_calls(store: &dyn SharedState, replica: &mut Replica, used: u32, keep: u32, want: u32) -> u32 {
    let slot = SlotAsk { key: "k".to_owned(), max: 10, used, keep, want };
    let ask = Exchange { slots: vec![slot], ..replica.ask() };
    store.exchange(&ask).await.unwrap().slots[0].slots
}

pub(super) async fn places_are_shared(place: &SharedPlace) {
    let store = &*place.store;
    let (mut a, mut b) = (Replica::new("a").with_lease(SHORT), Replica::new("b"));
    assert_eq!(place_calls(store, &mut a, 0, 0, 7).await, 7);
    assert_eq!(place_calls(store, &mut b, 0, 0, 7).await, 3);
    assert_eq!(place_calls(store, &mut a, 2, 7, 2).await, 2, "to be kept from now on");
    assert_eq!(place_calls(store, &mut b, 3, 3, 9).await, 3, "but kept whole meanwhile");
    assert_eq!(place_calls(store, &mut a, 2, 2, 2).await, 2);
    assert_eq!(place_calls(store, &mut b, 3, 3, 9).await, 8);
    assert_eq!(place_calls(store, &mut a, 2, 2, 5).await, 2, "none are left");
    (place.pass)(SHORT * 2).await;
    assert_eq!(place_calls(store, &mut b, 8, 8, 10).await, 10, "who is not alive has none");
    assert_eq!(
        place_calls(store, &mut a, 2, 2, 5).await,
        2,
        "who comes back keeps his calls, and that is all"
    );
    let slot = SlotAsk { key: "k".to_owned(), max: 10, used: 0, keep: 0, want: 0 };
    store.leave(&Exchange { slots: vec![slot], ..b.ask() }).await.unwrap();
    assert_eq!(place_calls(store, &mut a, 2, 2, 10).await, 10);
}
