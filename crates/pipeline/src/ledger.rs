//! The book behind its lock: what is held and spent, shared by all workers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gauntlet_policy::budget::{Book, Crossed, Hold, Refused};
use gauntlet_types::{CallId, Charge, Day, Mono, NanoUsd};

/// No lock is held over IO: reserving and settling are sums in memory. What makes them durable is the spool's entry
/// that follows each.
pub struct Ledger(Mutex<Book>);

/// The books at a moment, for `doctor`, the console and the tests' final balance.
pub struct LedgerState {
    /// (budget, spent, held)
    pub lines: Vec<(Charge, NanoUsd, NanoUsd)>,
    pub open_holds: usize,
}

impl Ledger {
    pub fn new(spent: impl IntoIterator<Item = (Charge, NanoUsd)>) -> Ledger {
        let mut book = Book::new();
        for (charge, amount) in spent {
            book.load(charge, amount);
        }
        Ledger(Mutex::new(book))
    }

    pub(crate) fn reserve(
        &self,
        id: CallId,
        amount: NanoUsd,
        charges: &[(Charge, NanoUsd)],
        deadline: Mono,
    ) -> Result<Hold, Refused> {
        self.book().reserve(id, amount, charges, deadline)
    }

    pub(crate) fn settle(&self, hold: Hold, actual: NanoUsd) -> Vec<Crossed> {
        self.book().settle(hold, actual)
    }

    /// Charges holds whose deadline is over, and names their calls.
    pub(crate) fn reap(&self, now: Mono) -> Vec<CallId> {
        self.book().reap(now).into_iter().map(|reaped| reaped.id).collect()
    }

    /// Lets go of the days before `day`; called as a day turns.
    pub fn forget_before(&self, day: Day) {
        self.book().forget_before(day);
    }

    pub fn state(&self) -> LedgerState {
        let book = self.book();
        let lines = book.state().into_iter().map(|line| (line.charge, line.spent, line.held)).collect();
        LedgerState { lines, open_holds: book.open_holds() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic elsewhere cannot leave the book half-changed: its methods check first and change after.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
