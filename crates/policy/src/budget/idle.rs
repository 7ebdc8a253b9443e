//! Budgets that never turn and that nobody uses: a conversation that is over keeps its spend, and nothing else.
//!
//! An account with its names takes some 270 bytes, and a busy route leaves one behind for each conversation for good.
//! Here each is two hashes and a figure. Both hashes are keyed with seeds of this process, so that callers, who choose
//! the names, cannot make two budgets meet; by chance two in a billion do with a probability of 2⁻⁶⁸.
//!
//! What is here is found by its name alone and not listed. So that lists stay whole where people read them, each scope
//! keeps its first [`LISTED_MAX`] accounts by name.

use std::{collections::HashMap, hash::BuildHasher, hash::RandomState};

use gauntlet_types::{Charge, Name};

use super::Line;

/// Accounts of a scope that are never idle. Tenants, teams and models are hundreds at most; conversations are millions.
#[cfg(not(test))]
pub(super) const LISTED_MAX: u32 = 1_000;
#[cfg(test)]
pub(super) const LISTED_MAX: u32 = 1;

pub(super) struct Idle {
    spent: HashMap<[u64; 2], i64>,
    seeds: [RandomState; 2],
    /// Accounts in the book that never turn, by scope.
    listed: HashMap<Name, u32>,
}

impl Idle {
    pub(super) fn new() -> Idle {
        Idle {
            spent: HashMap::new(),
            seeds: [RandomState::new(), RandomState::new()],
            listed: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.spent.len()
    }

    /// Whether the scope of a budget that never turns has as many listed as it may.
    pub(super) fn is_full(&self, charge: &Charge) -> bool {
        charge.period.is_none() && self.listed_of(charge) >= LISTED_MAX
    }

    /// Whether it has more.
    pub(super) fn is_over(&self, charge: &Charge) -> bool {
        charge.period.is_none() && self.listed_of(charge) > LISTED_MAX
    }

    fn listed_of(&self, charge: &Charge) -> u32 {
        self.listed.get(&charge.scope).copied().unwrap_or(0)
    }

    pub(super) fn put(&mut self, charge: &Charge, spent: i64) {
        self.spent.insert(self.key(charge), spent);
    }

    /// What was spent of it, which is no longer kept here then.
    pub(super) fn take(&mut self, charge: &Charge) -> Option<i64> {
        if charge.period.is_some() || self.spent.is_empty() {
            return None;
        }
        let key = self.key(charge);
        self.spent.remove(&key)
    }

    pub(super) fn line(&self, charge: &Charge) -> Option<Line> {
        let spent = *self.spent.get(&self.key(charge))?;
        Some(Line { charge: charge.clone(), spent, held: 0, elsewhere: 0, cap: None })
    }

    /// Notes that the book has an account for it. (A rolling budget stands under no period too, and is counted with them:
    /// its scope has no others.)
    pub(super) fn list(&mut self, charge: &Charge) {
        if charge.period.is_none() {
            match self.listed.get_mut(&charge.scope) {
                Some(count) => *count += 1,
                None => drop(self.listed.insert(charge.scope.clone(), 1)),
            }
        }
    }

    pub(super) fn unlist(&mut self, charge: &Charge) {
        if charge.period.is_none()
            && let Some(count) = self.listed.get_mut(&charge.scope)
        {
            *count = count.saturating_sub(1);
        }
    }

    fn key(&self, charge: &Charge) -> [u64; 2] {
        self.seeds.each_ref().map(|seed| seed.hash_one(charge))
    }
}
