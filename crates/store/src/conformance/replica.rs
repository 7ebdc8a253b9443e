//! A replica as the port asks it to behave, with the figures of its journal: for the suites and for models.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_ports::{BudgetAsk, BudgetGrant, Exchange, Exchanged, SharedError, SharedState};

/// Longer than any suite takes or pretends to take, so that only what shall lapse does.
pub const LONG: Duration = Duration::from_secs(100 * 86_400);

#[derive(Clone, Debug)]
pub struct Replica {
    pub id: String,
    pub session: u64,
    pub seq: u64,
    pub acked: u64,
    pub lease: Duration,
    pub accounts: BTreeMap<String, Local>,
}

/// What a replica knows of an account.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local {
    pub cap: i64,
    pub spent: i64,
    pub held: i64,
    /// What `spent + held` may reach.
    pub limit: i64,
    pub need: i64,
    pub want: i64,
    pub elsewhere_spent: i64,
}

impl Local {
    /// All that this replica may yet make of it without asking.
    pub fn claim(&self) -> i64 {
        self.limit.max(self.spent + self.held)
    }

    /// Takes room for a call if it fits.
    pub fn hold(&mut self, amount: i64) -> bool {
        let fits = self.spent + self.held + amount <= self.limit;
        if fits {
            self.held += amount;
        }
        fits
    }

    pub fn settle(&mut self, held: i64, cost: i64) {
        self.held -= held;
        self.spent += cost;
    }
}

impl Replica {
    pub fn new(id: &str) -> Replica {
        Replica { id: id.to_owned(), session: 1, seq: 0, acked: 0, lease: LONG, accounts: BTreeMap::new() }
    }

    pub fn with_lease(self, lease: Duration) -> Replica {
        Replica { lease, ..self }
    }

    /// A new process under the same id: what was in flight is charged, what was not used is unknown.
    pub fn restarted(&self) -> Replica {
        let mut again = Replica { session: self.session + 1, seq: 0, acked: 0, ..self.clone() };
        for local in again.accounts.values_mut() {
            let spent = local.spent + local.held;
            *local = Local { cap: local.cap, want: local.want, spent, limit: spent, ..Local::default() };
        }
        again
    }

    pub fn account(&mut self, name: &str) -> &mut Local {
        self.accounts.entry(name.to_owned()).or_default()
    }

    /// The next exchange, with all accounts.
    pub fn ask(&mut self) -> Exchange {
        self.seq += 1;
        let budget = |(name, local): (&String, &Local)| BudgetAsk {
            account: name.clone(),
            cap: local.cap,
            spent: local.spent,
            held: local.held,
            keep: (local.limit - local.spent).max(local.held),
            need: local.need,
            want: local.want,
            elsewhere_spent: local.elsewhere_spent,
            forget_after: LONG,
        };
        Exchange {
            replica: self.id.clone(),
            session: self.session,
            seq: self.seq,
            acked: self.acked,
            lease: self.lease,
            budgets: self.accounts.iter().map(budget).collect(),
            ..Exchange::default()
        }
    }

    pub fn heard(&mut self, ask: &Exchange, answer: &Exchanged) {
        self.acked = ask.seq;
        for (budget, grant) in ask.budgets.iter().zip(&answer.budgets) {
            let local = self.account(&budget.account);
            local.limit = budget.spent + grant.slice;
            local.elsewhere_spent = grant.elsewhere_spent;
        }
    }

    pub async fn try_exchange(&mut self, store: &dyn SharedState) -> Result<Exchanged, SharedError> {
        let ask = self.ask();
        let answer = store.exchange(&ask).await?;
        self.heard(&ask, &answer);
        Ok(answer)
    }

    pub async fn exchange(&mut self, store: &dyn SharedState) -> Exchanged {
        self.try_exchange(store).await.expect("the store answers")
    }

    /// Asks for room in one account; the answer for it.
    pub async fn draw(
        &mut self,
        store: &dyn SharedState,
        name: &str,
        cap: i64,
        need: i64,
        want: i64,
    ) -> BudgetGrant {
        let local = self.account(name);
        (local.cap, local.need, local.want) = (cap, need, want);
        let answer = self.exchange(store).await;
        let at = self.accounts.keys().position(|known| known == name).expect("the account was named");
        answer.budgets[at]
    }
}
