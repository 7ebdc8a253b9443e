//! The book of every budget: what is spent, what is held for calls in flight, and so what is left.
//!
//! Pure and in memory: the caller hands in times, keeps the book under one lock, and writes what was charged to the
//! record, from which the store adds up the same figures. The book knows no prices and no rules; it is given the caps
//! that apply to a call, and answers yes or no. Amounts are nano-dollars, tokens or requests, as each charge measures.
//!
//! The life of a hold:
//! ```text
//! (none) ─reserve, room in every scope→ open │ ─reserve, no room in one→ (none), and nothing is held anywhere
//! open   ─amend, room in every new scope→ open, over other budgets or amounts │ ─no room→ open as it was
//! open   ─settle(actual)→ closed: the hold is released, the actual cost is spent
//! open   ─reap, deadline over→ reaped: the hold is released, its whole amount is spent
//! reaped ─settle(actual)→ closed: the amount that was spent for it is corrected to the actual cost
//! ```
//! `settle` takes the [`Hold`] itself and a `Hold` cannot be cloned, so that nothing is settled twice.
//!
//! Several replicas share a cap by slices: see [`share`].

mod account;
mod idle;
mod refused;
pub mod share;

use std::collections::HashMap;

use gauntlet_types::{CallId, Charge, Day, Drawn, Mono, NanoUsd, Timestamp};

use account::Account;
pub use account::{Crossed, Line};
use idle::Idle;
pub use refused::{Refused, Short, show};

/// How much a budget allows, and when people are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cap {
    /// Nano-dollars, tokens or requests.
    pub amount: i64,
    /// None: the charge's period says what counts.
    pub rolling: Option<Rolling>,
    /// Percent of the amount at which somebody is told, rising, 0 where unused. 100 is always told.
    pub steps: [u8; STEPS_MAX],
}

/// Steps below 100 that a budget may have: more would be noise.
pub const STEPS_MAX: usize = 4;

/// A window that ends now, counted in parts of a day. The part under way counts besides `parts`, so that what is counted
/// spans the whole window and up to one part more: a rolling cap holds for every window of its length.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rolling {
    /// Whole parts in the window.
    pub parts: u16,
    /// 1, 24 or 1440.
    pub parts_per_day: u16,
}

impl Cap {
    /// Over the charge's own period, told at 80 %.
    pub const fn of(amount: i64) -> Cap {
        Cap { amount, rolling: None, steps: [80, 0, 0, 0] }
    }
}

/// One budget that a call draws on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draw {
    pub charge: Charge,
    pub cap: Cap,
    /// Which rule asks for it, for whoever made the list.
    pub rule: u32,
}

/// Spent and held per budget and period.
///
/// Every account that was charged stays until its day is forgotten. The spend of a budget that never turns (`period:
/// None`) stays for good, since it decides over calls years later: where a scope has many of them (one for each
/// conversation), those that nobody uses are kept as bare figures; see [`idle`].
pub struct Book {
    /// Finds an account without allocating. Keyed with a random seed, since callers choose users and sessions. A rolling
    /// budget stands under its charge without period and part.
    index: HashMap<Charge, u32>,
    /// Boxed, so that a place that is free costs little.
    accounts: Vec<Option<Box<Account>>>,
    free_accounts: Vec<u32>,
    /// Budgets that never turn and are not in use.
    idle: Idle,
    holds: Vec<Slot>,
    free_holds: Vec<u32>,
    /// Caps are shared with other replicas: what is not in a slice is not ours to spend.
    is_shared: bool,
    /// Accounts whose slices must be looked at.
    active: Vec<u32>,
}

/// A place for an open hold. Its number goes up with each use, so that a hold that was reaped is told from the one
/// that has its place now. `accounts` keeps its memory from use to use.
struct Slot {
    turn: u64,
    open: Option<Open>,
    /// The account, and the part of a rolling window that the call counts in.
    accounts: Vec<(u32, i64)>,
}

struct Open {
    id: CallId,
    amount: Drawn,
    deadline: Mono,
}

/// The worst case of one call, held in every budget it draws on. Settle it, whatever became of the call.
#[derive(Debug)]
#[must_use = "a hold that is not settled blocks its budgets until it is reaped"]
pub struct Hold {
    pub id: CallId,
    pub amount: Drawn,
    pub charges: Vec<Charge>,
    pub deadline: Mono,
    slot: u32,
    turn: u64,
}

/// A hold whose deadline passed: its call is taken for dead, and its whole amount was spent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reaped {
    pub id: CallId,
    pub amount: Drawn,
    pub crossed: Vec<Crossed>,
}

impl Default for Book {
    fn default() -> Book {
        Book::new()
    }
}

/// Stands for an account that is not there yet.
const UNKNOWN: u32 = u32::MAX;

impl Book {
    /// An empty book of a gateway that has its budgets to itself.
    pub fn new() -> Book {
        Book {
            index: HashMap::new(),
            accounts: Vec::new(),
            free_accounts: Vec::new(),
            idle: Idle::new(),
            holds: Vec::new(),
            free_holds: Vec::new(),
            is_shared: false,
            active: Vec::new(),
        }
    }

    /// Takes over what the store knows to be spent; replaces the figure there was and leaves holds alone. `cap` says
    /// what sort of budget the charge belongs to; a rolling one takes the figure for its part of the window.
    pub fn load(&mut self, charge: &Charge, rolling: Option<Rolling>, spent: i64) {
        if rolling.is_none() && !self.index.contains_key(charge) && self.idle.is_full(charge) {
            return self.idle.put(charge, spent);
        }
        let at = self.account(charge, rolling);
        if let Some(account) = &mut self.accounts[at as usize] {
            account.load(charge, spent);
        }
    }

    /// Adds a spend for which nothing was held: a call found interrupted at start, a correction by hand.
    pub fn charge(&mut self, charge: &Charge, rolling: Option<Rolling>, actual: i64) -> Option<Crossed> {
        let at = self.account(charge, rolling);
        self.touch(at);
        let account = self.accounts[at as usize].as_mut()?;
        account.spend(part_of(charge, rolling), actual);
        account.step_up()
    }

    /// Holds `amount` in all budgets or in none: in each, spent + held + amount must not pass the cap. A debt (spent
    /// above the cap) therefore refuses even a call that costs nothing. A budget that is named twice is held once, and
    /// both caps count.
    ///
    /// `deadline` is when the call is taken for dead; after it [`Book::reap`] charges the whole amount.
    pub fn reserve(
        &mut self,
        id: CallId,
        amount: Drawn,
        draws: &[Draw],
        deadline: Mono,
    ) -> Result<Hold, Box<Refused>> {
        let amount = not_negative(amount);
        let slot = self.free_holds.pop().unwrap_or_else(|| {
            self.holds.push(Slot { turn: 0, open: None, accounts: Vec::new() });
            (self.holds.len() - 1) as u32
        });
        match self.take(slot, amount, draws) {
            Ok(charges) => {
                let place = &mut self.holds[slot as usize];
                place.turn += 1;
                place.open = Some(Open { id, amount, deadline });
                Ok(Hold { id, amount, charges, deadline, slot, turn: place.turn })
            }
            Err(refused) => {
                self.free_holds.push(slot);
                Err(refused)
            }
        }
    }

    /// Changes an open hold to another amount over other budgets, all or none: for a call that turns to another model,
    /// or that needs room for one attempt more. Where there is no room, or the hold was reaped, it comes back as it was.
    pub fn amend(
        &mut self,
        hold: Hold,
        amount: Drawn,
        draws: &[Draw],
    ) -> Result<Hold, (Hold, Option<Box<Refused>>)> {
        let amount = not_negative(amount);
        let slot = hold.slot as usize;
        let is_open = self.is_open(&hold);
        let Some(before) = self.holds[slot].open.as_ref().filter(|_| is_open).map(|open| open.amount) else {
            return Err((hold, None));
        };
        let places = std::mem::take(&mut self.holds[slot].accounts);
        for (place, _) in &places {
            self.release(*place, before);
        }
        match self.take(hold.slot, amount, draws) {
            Ok(charges) => {
                if let Some(open) = &mut self.holds[slot].open {
                    open.amount = amount;
                }
                Ok(Hold { amount, charges, ..hold })
            }
            Err(refused) => {
                for (place, _) in &places {
                    self.hold_in(*place, before);
                }
                self.holds[slot].accounts = places;
                Err((hold, Some(refused)))
            }
        }
    }

    /// Notes that a call was turned away for this: a budget that is used up is told once per period, though it may not
    /// have reached its cap to the last cent.
    pub fn turned_away(&mut self, refused: &Refused) -> Option<Crossed> {
        let place = self.find(&refused.charge)?;
        self.accounts[place as usize].as_mut()?.used_up(refused.cap, refused.wanted)
    }

    /// Releases the hold and charges what the call really cost, which may be more than was held: the cap is then
    /// passed, the debt is shown and blocks. A hold that was reaped meanwhile has its charge corrected.
    ///
    /// Gives the budgets that took a step up.
    pub fn settle(&mut self, hold: Hold, actual: Drawn) -> Vec<Crossed> {
        // A negative cost would hand out money.
        let actual = not_negative(actual);
        if self.is_open(&hold) {
            return self.close(hold.slot, actual);
        }
        let mut crossed = Vec::new();
        for charge in &hold.charges {
            // An account that was forgotten since belongs to a day that nobody asks about any more.
            let Some(place) = self.find(charge).or_else(|| self.wake(charge)) else { continue };
            self.touch(place);
            if let Some(account) = &mut self.accounts[place as usize] {
                let correction = charge.amount(&actual).saturating_sub(charge.amount(&hold.amount));
                account.spend(part_of(charge, account.rolling()), correction);
                crossed.extend(account.step_up());
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

    /// Spent and held of one budget.
    pub fn line(&self, charge: &Charge) -> Option<Line> {
        let Some(place) = self.find(charge) else { return self.idle.line(charge) };
        self.accounts[place as usize].as_deref().map(Account::line)
    }

    /// All budgets but the idle, in no order; rolling ones as they stand at `now`.
    pub fn state(&mut self, now: Timestamp) -> Vec<Line> {
        self.accounts
            .iter_mut()
            .flatten()
            .map(|account| {
                account.turn_to(now);
                account.line()
            })
            .collect()
    }

    pub fn open_holds(&self) -> usize {
        self.holds.len() - self.free_holds.len()
    }

    /// The sum of all open holds, each call counted once however many budgets it draws on.
    pub fn held_total(&self) -> NanoUsd {
        self.holds.iter().filter_map(|slot| slot.open.as_ref()).map(|open| open.amount.usd).sum()
    }

    /// Drops the budgets of days before `day`, but for those that a call in flight still draws on; of rolling ones, those
    /// whose window holds nothing any more. Of those that never turn, the many that were not used since this was last
    /// called become idle.
    pub fn forget_before(&mut self, day: Day) {
        for (place, account) in self.accounts.iter_mut().enumerate() {
            let Some(known) = account else { continue };
            let is_idle = !self.is_shared && known.rest() && self.idle.is_over(&known.charge);
            if !is_idle && !known.is_past(day) {
                continue;
            }
            if is_idle {
                self.idle.put(&known.charge, known.spent);
            }
            self.idle.unlist(&known.charge);
            self.index.remove(&known.charge);
            self.free_accounts.push(place as u32);
            *account = None;
        }
        // Memory goes back once most of it is unused, not with every day.
        if self.index.len() < self.index.capacity() / 4 {
            self.index.shrink_to_fit();
        }
        let accounts = &self.accounts;
        self.active.retain(|place| accounts[*place as usize].is_some());
    }

    /// Checks every budget and holds the amount in each, or in none. `self.holds[slot].accounts` names them after.
    fn take(&mut self, slot: u32, amount: Drawn, draws: &[Draw]) -> Result<Vec<Charge>, Box<Refused>> {
        let mut places = std::mem::take(&mut self.holds[slot as usize].accounts);
        places.clear();
        let refused = draws.iter().enumerate().find_map(|(index, draw)| {
            let place = match draw.cap.rolling {
                None => self.index.get(&draw.charge).copied(),
                Some(_) => self.index.get(&root(&draw.charge)).copied(),
            };
            // An unknown account is opened only once the call is let in, so that refused calls leave nothing behind;
            // where caps are shared it is opened at once, since it must be asked for.
            let place = match place.or_else(|| self.wake(&draw.charge)) {
                None if self.is_shared => Some(self.account(&draw.charge, draw.cap.rolling)),
                place => place,
            };
            places.push((place.unwrap_or(UNKNOWN), part_of(&draw.charge, draw.cap.rolling)));
            self.refusal(place, index, draw, amount)
        });
        if let Some(refused) = refused {
            self.holds[slot as usize].accounts = places;
            return Err(refused);
        }
        let mut named = Vec::with_capacity(draws.len());
        let mut kept = 0;
        for (i, draw) in draws.iter().enumerate() {
            let (place, part) = places[i];
            let place = if place == UNKNOWN { self.account(&draw.charge, draw.cap.rolling) } else { place };
            let is_repeat = places[..kept].iter().any(|(known, _)| *known == place);
            if let Some(account) = &mut self.accounts[place as usize] {
                // A new account has no window yet, and a late report of a reaped call may fall before it.
                account.turn_to_part(part);
                account.see_cap(draw.cap, is_repeat);
            }
            if !is_repeat {
                self.hold_in(place, amount);
                places[kept] = (place, part);
                kept += 1;
                named.push(draw.charge.clone());
            }
        }
        places.truncate(kept);
        self.holds[slot as usize].accounts = places;
        Ok(named)
    }

    fn hold_in(&mut self, place: u32, amount: Drawn) {
        if let Some(account) = &mut self.accounts[place as usize] {
            account.hold(amount);
        }
        self.touch(place);
    }

    fn release(&mut self, place: u32, amount: Drawn) {
        if let Some(account) = &mut self.accounts[place as usize] {
            account.release(amount);
        }
        self.touch(place);
    }

    fn is_open(&self, hold: &Hold) -> bool {
        self.holds.get(hold.slot as usize).is_some_and(|slot| slot.turn == hold.turn && slot.open.is_some())
    }

    fn find(&self, charge: &Charge) -> Option<u32> {
        let rolls = |place: &&u32| {
            self.accounts[**place as usize].as_ref().is_some_and(|account| account.rolling().is_some())
        };
        self.index.get(charge).or_else(|| self.index.get(&root(charge)).filter(rolls)).copied()
    }

    /// Finds the account, or opens it.
    fn account(&mut self, charge: &Charge, rolling: Option<Rolling>) -> u32 {
        let named = if rolling.is_some() { root(charge) } else { charge.clone() };
        if let Some(place) = self.index.get(&named).copied().or_else(|| self.wake(&named)) {
            return place;
        }
        self.open(named, rolling)
    }

    /// Takes a budget that never turns back into use, as it was left.
    fn wake(&mut self, charge: &Charge) -> Option<u32> {
        let spent = self.idle.take(charge)?;
        let place = self.open(charge.clone(), None);
        let account = self.accounts[place as usize].as_mut()?;
        account.load(charge, spent);
        if let Some(slice) = &mut account.slice {
            slice.ceiling = spent;
        }
        Some(place)
    }

    fn open(&mut self, named: Charge, rolling: Option<Rolling>) -> u32 {
        self.idle.list(&named);
        let account = Box::new(Account::new(named.clone(), rolling, self.is_shared));
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
        self.index.insert(named, place);
        place
    }

    fn refusal(
        &mut self,
        place: Option<u32>,
        index: usize,
        draw: &Draw,
        wanted: Drawn,
    ) -> Option<Box<Refused>> {
        let wanted = draw.charge.amount(&wanted);
        let Some(place) = place else {
            let fresh = || Refused {
                index,
                charge: draw.charge.clone(),
                cap: draw.cap,
                spent: 0,
                held: 0,
                wanted,
                short: Short::Cap,
                until: None,
            };
            return (wanted > draw.cap.amount).then(|| Box::new(fresh()));
        };
        let account = self.accounts[place as usize].as_mut()?;
        let refused = account.refusal(index, draw, wanted)?;
        if refused.short == Short::Slice {
            self.touch(place);
        }
        Some(refused)
    }

    /// Ends an open hold.
    fn close(&mut self, slot: u32, actual: Drawn) -> Vec<Crossed> {
        let mut crossed = Vec::new();
        let place = &mut self.holds[slot as usize];
        let Some(open) = place.open.take() else { return crossed };
        self.free_holds.push(slot);
        let places = std::mem::take(&mut place.accounts);
        for (place, part) in &places {
            self.touch(*place);
            if let Some(account) = &mut self.accounts[*place as usize] {
                account.release(open.amount);
                account.spend(*part, account.charge.amount(&actual));
                crossed.extend(account.step_up());
            }
        }
        self.holds[slot as usize].accounts = places;
        crossed
    }

    /// Budgets that never turn and are kept as bare figures.
    pub fn idle(&self) -> usize {
        self.idle.len()
    }
}

/// A negative amount would make room instead of taking it.
fn not_negative(amount: Drawn) -> Drawn {
    Drawn {
        usd: amount.usd.max(NanoUsd::ZERO),
        tokens: amount.tokens.max(0),
        requests: amount.requests.max(0),
    }
}

/// The name of a rolling budget whatever the time.
fn root(charge: &Charge) -> Charge {
    Charge { period: None, part: 0, ..charge.clone() }
}

/// Parts are numbered through all days.
fn part_of(charge: &Charge, rolling: Option<Rolling>) -> i64 {
    match (rolling, charge.period) {
        (Some(rolling), Some(day)) => {
            i64::from(day.0) * i64::from(rolling.parts_per_day) + i64::from(charge.part)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
