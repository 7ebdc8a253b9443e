//! The book of every budget: what is spent, what is held for calls in flight, and so what is left.
//!
//! Pure and in memory: the caller hands in times, keeps the book under one lock, and writes what was charged to the
//! record, from which the store adds up the same figures. The book knows no prices and no rules; it is given the caps
//! that apply to a call, and answers yes or no.
//!
//! The life of a hold:
//! ```text
//! (none) ─reserve, room in every scope→ open │ ─reserve, no room in one→ (none), and nothing is held anywhere
//! open   ─settle(actual)→ closed: the hold is released, the actual cost is spent
//! open   ─reap, deadline over→ reaped: the hold is released, its whole amount is spent
//! reaped ─settle(actual)→ closed: the amount that was spent for it is corrected to the actual cost
//! ```
//! `settle` takes the [`Hold`] itself and a `Hold` cannot be cloned, so that nothing is settled twice.

use std::collections::HashMap;

use gauntlet_types::{CallId, Charge, Code, Day, Fault, Mono, NanoUsd};

/// Spent and held per (scope, key, period), in integer nano-dollars.
///
/// Every account that was charged stays until its day is forgotten; a budget that never turns (`period: None`) stays
/// for good, about 200 bytes each, since its spend decides over calls years later.
pub struct Book {
    /// Finds an account without allocating. Keyed with a random seed, since callers choose users and sessions.
    index: HashMap<Charge, u32>,
    accounts: Vec<Option<Account>>,
    free_accounts: Vec<u32>,
    holds: Vec<Slot>,
    free_holds: Vec<u32>,
    warn_percent: u8,
}

struct Account {
    charge: Charge,
    spent: NanoUsd,
    held: NanoUsd,
    /// Open holds on it. While there are any, the account keeps its place.
    holds: u32,
    /// As last seen; none until a call asks.
    cap: Option<NanoUsd>,
    step: Step,
}

/// A place for an open hold. Its number goes up with each use, so that a hold that was reaped is told from the one
/// that has its place now. `accounts` keeps its memory from use to use.
struct Slot {
    turn: u64,
    open: Option<Open>,
    accounts: Vec<u32>,
}

struct Open {
    id: CallId,
    amount: NanoUsd,
    deadline: Mono,
}

/// The worst case of one call, held in every budget it draws on. Settle it, whatever became of the call.
#[derive(Debug)]
#[must_use = "a hold that is not settled blocks its budgets until it is reaped"]
pub struct Hold {
    pub id: CallId,
    pub amount: NanoUsd,
    pub charges: Vec<Charge>,
    pub deadline: Mono,
    slot: u32,
    turn: u64,
}

/// The budget that stood in the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    pub charge: Charge,
    pub cap: NanoUsd,
    pub spent: NanoUsd,
    pub held: NanoUsd,
    pub wanted: NanoUsd,
    /// Set once per budget and period, when it is used up: the spend alone leaves no room for a call that a fresh
    /// budget would hold, though it may not have reached the cap to the last cent.
    pub crossed: Option<Box<Crossed>>,
}

/// How far a budget is used up, by what is spent (holds are upper bounds, and would cry wolf).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    Below,
    /// At or above the warning share (80 % unless set otherwise).
    Warned,
    /// At or above the cap, or so near that a call was refused for it.
    Full,
}

/// A budget took a step up: somebody should be told. Reported once per budget and period, by whichever call did it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crossed {
    pub charge: Charge,
    pub cap: NanoUsd,
    pub spent: NanoUsd,
    pub step: Step,
    /// 100, or the warning share.
    pub percent: u8,
}

/// One account, for pages and metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub charge: Charge,
    pub spent: NanoUsd,
    pub held: NanoUsd,
    /// The cap that calls last came with; none if none came since the start.
    pub cap: Option<NanoUsd>,
}

/// A hold whose deadline passed: its call is taken for dead, and its whole amount was spent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reaped {
    pub id: CallId,
    pub amount: NanoUsd,
    pub crossed: Vec<Crossed>,
}

impl Default for Book {
    fn default() -> Book {
        Book::new()
    }
}

impl Book {
    /// An empty book that warns at 80 %.
    pub fn new() -> Book {
        Book {
            index: HashMap::new(),
            accounts: Vec::new(),
            free_accounts: Vec::new(),
            holds: Vec::new(),
            free_holds: Vec::new(),
            warn_percent: 80,
        }
    }

    /// Sets the share of a cap, in percent, from which [`Step::Warned`] is reported. Budgets are measured against
    /// it at their next charge.
    pub fn set_warning(&mut self, percent: u8) {
        self.warn_percent = percent;
    }

    /// Takes over what the store knows to be spent; replaces the figure there was and leaves holds alone.
    pub fn load(&mut self, charge: Charge, spent: NanoUsd) {
        let at = self.account(&charge);
        if let Some(account) = &mut self.accounts[at as usize] {
            account.spent = spent;
        }
    }

    /// Adds a spend for which nothing was held: a call found interrupted at start, a correction by hand.
    pub fn charge(&mut self, charge: &Charge, actual: NanoUsd) -> Option<Crossed> {
        let warn_percent = self.warn_percent;
        let at = self.account(charge);
        let account = self.accounts[at as usize].as_mut()?;
        account.spent = account.spent.plus(actual);
        account.step_up(warn_percent)
    }

    /// Holds `amount` in all budgets or in none: in each, spent + held + amount must not pass the cap. A debt (spent
    /// above the cap) therefore refuses even a call that costs nothing. A budget that is named twice is held once, and
    /// both caps count.
    ///
    /// `deadline` is when the call is taken for dead; after it [`Book::reap`] charges the whole amount.
    pub fn reserve(
        &mut self,
        id: CallId,
        amount: NanoUsd,
        charges: &[(Charge, NanoUsd)],
        deadline: Mono,
    ) -> Result<Hold, Refused> {
        // A negative amount would make room instead of taking it.
        let amount = amount.max(NanoUsd::ZERO);
        let slot = self.free_holds.pop().unwrap_or_else(|| {
            self.holds.push(Slot { turn: 0, open: None, accounts: Vec::new() });
            (self.holds.len() - 1) as u32
        });
        let mut places = std::mem::take(&mut self.holds[slot as usize].accounts);
        places.clear();
        let refused = charges.iter().find_map(|(charge, cap)| {
            let place = self.index.get(charge).copied();
            // An unknown account is opened only once the call is let in, so that refused calls leave nothing behind.
            places.push(place.unwrap_or(UNKNOWN));
            self.refusal(place, charge, *cap, amount)
        });
        if let Some(refused) = refused {
            self.holds[slot as usize].accounts = places;
            self.free_holds.push(slot);
            return Err(refused);
        }
        let mut named = Vec::with_capacity(charges.len());
        let mut kept = 0;
        for (i, (charge, cap)) in charges.iter().enumerate() {
            let place = if places[i] == UNKNOWN { self.account(charge) } else { places[i] };
            let is_repeat = places[..kept].contains(&place);
            if let Some(account) = &mut self.accounts[place as usize] {
                account.see_cap(*cap, is_repeat, self.warn_percent);
                if !is_repeat {
                    account.held = account.held.plus(amount);
                    account.holds += 1;
                }
            }
            if !is_repeat {
                places[kept] = place;
                kept += 1;
                named.push(charge.clone());
            }
        }
        places.truncate(kept);
        let place = &mut self.holds[slot as usize];
        place.turn += 1;
        place.open = Some(Open { id, amount, deadline });
        place.accounts = places;
        Ok(Hold { id, amount, charges: named, deadline, slot, turn: place.turn })
    }

    /// Releases the hold and charges what the call really cost, which may be more than was held: the cap is then
    /// passed, the debt is shown and blocks. A hold that was reaped meanwhile has its charge corrected.
    ///
    /// Gives the budgets that took a step up.
    pub fn settle(&mut self, hold: Hold, actual: NanoUsd) -> Vec<Crossed> {
        // A negative cost would hand out money.
        let actual = actual.max(NanoUsd::ZERO);
        let is_open = self
            .holds
            .get(hold.slot as usize)
            .is_some_and(|slot| slot.turn == hold.turn && slot.open.is_some());
        if is_open {
            return self.close(hold.slot, actual);
        }
        let mut crossed = Vec::new();
        for charge in &hold.charges {
            // An account that was forgotten since belongs to a day that nobody asks about any more.
            let Some(place) = self.index.get(charge) else { continue };
            if let Some(account) = &mut self.accounts[*place as usize] {
                account.spent = account.spent.minus(hold.amount).plus(actual);
                crossed.extend(account.step_up(self.warn_percent));
            }
        }
        crossed
    }

    /// The calls whose deadline has come, oldest first.
    pub fn overdue(&self, now: Mono) -> Vec<CallId> {
        let mut ids: Vec<CallId> = self
            .holds
            .iter()
            .filter_map(|slot| slot.open.as_ref())
            .filter(|open| open.deadline <= now)
            .map(|open| open.id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Ends every overdue hold by charging its whole amount: better too much than nothing for a call of which nobody
    /// knows the end. Should the call report after all, `settle` corrects it.
    pub fn reap(&mut self, now: Mono) -> Vec<Reaped> {
        let mut reaped = Vec::new();
        for slot in 0..self.holds.len() {
            let Some(Open { id, amount, deadline }) = self.holds[slot].open else { continue };
            if deadline <= now {
                reaped.push(Reaped { id, amount, crossed: self.close(slot as u32, amount) });
            }
        }
        reaped
    }

    /// What the tightest of these budgets has left; negative in debt. None if no budget applies.
    pub fn room(&self, charges: &[(Charge, NanoUsd)]) -> Option<NanoUsd> {
        charges
            .iter()
            .map(|(charge, cap)| self.get(charge).map_or(*cap, |a| cap.minus(a.spent).minus(a.held)))
            .min()
    }

    /// Spent and held of one budget.
    pub fn line(&self, charge: &Charge) -> Option<Line> {
        self.get(charge).map(Account::line)
    }

    /// All budgets, in no order.
    pub fn state(&self) -> Vec<Line> {
        self.accounts.iter().flatten().map(Account::line).collect()
    }

    pub fn open_holds(&self) -> usize {
        self.holds.len() - self.free_holds.len()
    }

    /// The sum of all open holds, each call counted once however many budgets it draws on.
    pub fn held_total(&self) -> NanoUsd {
        self.holds.iter().filter_map(|slot| slot.open.as_ref()).map(|open| open.amount).sum()
    }

    /// Drops the budgets of days before `day`, but for those that a call in flight still draws on.
    pub fn forget_before(&mut self, day: Day) {
        for (place, account) in self.accounts.iter_mut().enumerate() {
            let is_past =
                account.as_ref().is_some_and(|a| a.holds == 0 && a.charge.period.is_some_and(|p| p < day));
            if !is_past {
                continue;
            }
            if let Some(past) = account.take() {
                self.index.remove(&past.charge);
                self.free_accounts.push(place as u32);
            }
        }
    }

    fn get(&self, charge: &Charge) -> Option<&Account> {
        self.accounts[*self.index.get(charge)? as usize].as_ref()
    }

    /// Finds the account, or opens it.
    fn account(&mut self, charge: &Charge) -> u32 {
        if let Some(place) = self.index.get(charge) {
            return *place;
        }
        let account = Account {
            charge: charge.clone(),
            spent: NanoUsd::ZERO,
            held: NanoUsd::ZERO,
            holds: 0,
            cap: None,
            step: Step::Below,
        };
        let place = match self.free_accounts.pop() {
            Some(place) => {
                self.accounts[place as usize] = Some(account);
                place
            }
            None => {
                self.accounts.push(Some(account));
                (self.accounts.len() - 1) as u32
            }
        };
        self.index.insert(charge.clone(), place);
        place
    }

    fn refusal(
        &mut self,
        place: Option<u32>,
        charge: &Charge,
        cap: NanoUsd,
        wanted: NanoUsd,
    ) -> Option<Refused> {
        let account = place.and_then(|place| self.accounts[place as usize].as_mut());
        let (spent, held) = account.as_ref().map_or((NanoUsd::ZERO, NanoUsd::ZERO), |a| (a.spent, a.held));
        // Wide enough for any three amounts, so that no overflow can look like room.
        let sum = |parts: [NanoUsd; 3]| parts.iter().map(|part| part.0 as i128).sum::<i128>();
        if sum([spent, held, wanted]) <= cap.0 as i128 {
            return None;
        }
        let is_used_up = wanted <= cap && sum([spent, NanoUsd::ZERO, wanted]) > cap.0 as i128;
        let crossed = account.filter(|_| is_used_up).and_then(|account| {
            account.see_cap(cap, false, self.warn_percent);
            account.raise(Step::Full, 100).map(Box::new)
        });
        Some(Refused { charge: charge.clone(), cap, spent, held, wanted, crossed })
    }

    /// Ends an open hold.
    fn close(&mut self, slot: u32, actual: NanoUsd) -> Vec<Crossed> {
        let mut crossed = Vec::new();
        let place = &mut self.holds[slot as usize];
        let Some(open) = place.open.take() else { return crossed };
        self.free_holds.push(slot);
        for place in &place.accounts {
            if let Some(account) = &mut self.accounts[*place as usize] {
                account.held = account.held.minus(open.amount);
                account.holds -= 1;
                account.spent = account.spent.plus(actual);
                crossed.extend(account.step_up(self.warn_percent));
            }
        }
        crossed
    }
}

/// Stands for an account that is not there yet.
const UNKNOWN: u32 = u32::MAX;

impl Account {
    fn line(&self) -> Line {
        Line { charge: self.charge.clone(), spent: self.spent, held: self.held, cap: self.cap }
    }

    /// Notes the cap that applies now. The first one seen takes the spend as it stands, so that a restart does not
    /// repeat alerts; a raised one lowers the step, so that it can be reached again.
    fn see_cap(&mut self, cap: NanoUsd, is_repeat: bool, warn_percent: u8) {
        let cap = if is_repeat { self.cap.map_or(cap, |known| known.min(cap)) } else { cap };
        match self.cap.replace(cap) {
            Some(known) if known == cap => {}
            Some(_) => self.step = self.step.min(step_of(self.spent, cap, warn_percent)),
            None => self.step = step_of(self.spent, cap, warn_percent),
        }
    }

    fn step_up(&mut self, warn_percent: u8) -> Option<Crossed> {
        let step = step_of(self.spent, self.cap?, warn_percent);
        self.raise(step, if step == Step::Full { 100 } else { warn_percent })
    }

    fn raise(&mut self, step: Step, percent: u8) -> Option<Crossed> {
        if step <= self.step {
            return None;
        }
        self.step = step;
        Some(Crossed { charge: self.charge.clone(), cap: self.cap?, spent: self.spent, step, percent })
    }
}

fn step_of(spent: NanoUsd, cap: NanoUsd, warn_percent: u8) -> Step {
    let (spent, cap) = (spent.0 as i128, cap.0 as i128);
    if spent <= 0 {
        // A cap of nothing is not used up before something is spent.
        Step::Below
    } else if spent >= cap {
        Step::Full
    } else if spent * 100 >= cap * i128::from(warn_percent) {
        Step::Warned
    } else {
        Step::Below
    }
}

impl Refused {
    /// What the caller is told: which budget, its cap and what is left, in numbers for programs too.
    pub fn fault(&self) -> Fault {
        let left = self.cap.minus(self.spent).minus(self.held).max(NanoUsd::ZERO);
        let period = self.charge.period.map(|day| day.to_string());
        let turns = match &period {
            Some(day) => format!("it turns after {day} (UTC)"),
            None => "it does not turn".to_owned(),
        };
        let message = format!(
            "budget `{}` of `{}` has {left} USD of {} USD left and this call may cost {} USD; {turns}",
            self.charge.scope, self.charge.key, self.cap, self.wanted
        );
        Fault::policy(Code::BudgetExceeded, message).detail(serde_json::json!({
            "scope": self.charge.scope, "key": self.charge.key, "period": period,
            "cap_usd": self.cap.as_usd(), "spent_usd": self.spent.as_usd(),
            "held_usd": self.held.as_usd(), "wanted_usd": self.wanted.as_usd(),
        }))
    }
}

#[cfg(test)]
mod tests;
