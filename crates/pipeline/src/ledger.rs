//! The book behind its lock: what is held and spent, shared by all workers.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gauntlet_policy::{
    budget::{Book, Crossed, Draw, Hold, Line, Refused, Short},
    config::rolling_of,
};
use gauntlet_types::{CallId, Charge, Day, Drawn, Mono, Timestamp};
use tokio::sync::Notify;

use crate::share::Sharing;

/// No lock is held over IO: reserving and settling are sums in memory. What makes them durable is the spool's entry
/// that follows each.
pub struct Ledger {
    book: Mutex<Book>,
    /// How slices are asked for; none while the gateway has its budgets to itself.
    sharing: Option<Sharing>,
    /// Calls that wait for room, and what wakes them.
    waiting: AtomicUsize,
    freed: Notify,
}

/// The books at a moment, for `doctor`, the console and the tests' final balance.
pub struct LedgerState {
    pub lines: Vec<Line>,
    pub open_holds: usize,
}

impl Ledger {
    /// With what the store knows to be spent: nano-dollars, tokens or requests.
    pub fn new(spent: impl IntoIterator<Item = (Charge, i64)>) -> Ledger {
        let mut book = Book::new();
        for (charge, amount) in spent {
            book.load(&charge, rolling_of(&charge.scope), amount);
        }
        Ledger { book: Mutex::new(book), sharing: None, waiting: AtomicUsize::new(0), freed: Notify::new() }
    }

    /// The same over slices of budgets that several replicas share.
    #[must_use]
    pub fn shared(mut self, sharing: Sharing) -> Ledger {
        self.book().share();
        self.sharing = Some(sharing);
        self
    }

    pub fn sharing(&self) -> Option<&Sharing> {
        self.sharing.as_ref()
    }

    /// Holds the amount in all budgets or in none. Where caps are shared and a slice is too small, more is asked for,
    /// which is the only case that waits.
    pub(crate) async fn reserve(
        &self,
        id: CallId,
        amount: Drawn,
        draws: &[Draw],
        deadline: Mono,
    ) -> Result<Hold, Box<Refused>> {
        let mut refused = match self.book().reserve(id, amount, draws, deadline) {
            Ok(hold) => return Ok(hold),
            Err(refused) => refused,
        };
        let mut asked = 0;
        while let (Short::Slice, Some(sharing)) = (refused.short, &self.sharing) {
            if !sharing.refill(asked).await {
                break;
            }
            asked += 1;
            match self.book().reserve(id, amount, draws, deadline) {
                Ok(hold) => return Ok(hold),
                Err(again) => refused = again,
            }
        }
        Err(refused)
    }

    /// Changes what a call holds, all or none; where that has no room, the hold comes back as it was.
    pub(crate) async fn amend(&self, hold: Hold, amount: Drawn, draws: &[Draw]) -> Result<Hold, Hold> {
        let mut asked = 0;
        let (mut hold, mut refused) = match self.book().amend(hold, amount, draws) {
            Ok(hold) => return Ok(hold),
            Err(refused) => refused,
        };
        while let (Some(Short::Slice), Some(sharing)) =
            (refused.as_ref().map(|refused| refused.short), &self.sharing)
        {
            if !sharing.refill(asked).await {
                break;
            }
            asked += 1;
            match self.book().amend(hold, amount, draws) {
                Ok(hold) => return Ok(hold),
                Err(again) => (hold, refused) = again,
            }
        }
        Err(hold)
    }

    /// Lets a part of a hold go.
    pub(crate) fn let_go(&self, hold: Hold, amount: Drawn, draws: &[Draw]) -> Hold {
        let amended = self.book().amend(hold, amount, draws);
        self.tell_freed();
        amended.unwrap_or_else(|(hold, _)| hold)
    }

    pub(crate) fn settle(&self, hold: Hold, actual: Drawn) -> Vec<Crossed> {
        let crossed = self.book().settle(hold, actual);
        self.tell_freed();
        crossed
    }

    /// Notes that a call was turned away.
    pub(crate) fn turned_away(&self, refused: &Refused) -> Option<Crossed> {
        self.book().turned_away(refused)
    }

    /// Waits until some hold was settled, or for so long.
    pub(crate) async fn freed(&self, at_most: Duration) {
        let _waiting = Waiting::new(&self.waiting);
        let freed = self.freed.notified();
        // A timeout is no failure here: the caller looks again either way.
        let _ = tokio::time::timeout(at_most, freed).await;
    }

    /// There may be room now.
    pub(crate) fn tell_freed(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.freed.notify_waiters();
        }
    }

    /// Charges holds whose deadline is over, and names their calls.
    pub(crate) fn reap(&self, now: Mono) -> Vec<CallId> {
        self.book().reap(now).into_iter().map(|reaped| reaped.id).collect()
    }

    /// Lets go of the days before `day`; called as a day turns.
    pub fn forget_before(&self, day: Day) {
        self.book().forget_before(day);
    }

    pub fn state(&self, now: Timestamp) -> LedgerState {
        let mut book = self.book();
        LedgerState { lines: book.state(now), open_holds: book.open_holds() }
    }

    /// One budget, idle ones included, which [`Ledger::state`] leaves out.
    pub fn line(&self, charge: &Charge) -> Option<Line> {
        self.book().line(charge)
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        // A panic elsewhere cannot leave the book half-changed: its methods check first and change after.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a waiting call for as long as it waits, however that ends.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Waiting<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
