//! Where kept answers rest: in memory, by tenant, within bounds of entries and bytes for each and of bytes for all.
//!
//! A tenant that needs room lets go of its own least used answers; when all together are too many, the tenant with the most
//! bytes does. Which answer was used least is looked for among a few picked at random, which needs no list that every look
//! would have to rearrange under a lock.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use gauntlet_policy::{
    breaker::{Breaker, BreakerEvent, BreakerPolicy},
    config::{CacheBounds, EmbedBy},
};
use gauntlet_types::{CallId, Finish, Mono, Name, NanoUsd, Target, Usage};
use tokio::sync::Semaphore;

use crate::gate::lock;

use super::{
    agree,
    shelf::{Probe, Shelf},
};

/// Tenants of one part wait for each other while one of them stores; more parts than a gateway has workers.
const PARTS: usize = 32;
/// Entries among which the least used is looked for.
const SAMPLE: u64 = 8;
/// Near questions that are compared word by word; the ninth nearest is seldom the one that agrees.
const COMPARED_MAX: usize = 8;
/// What an entry takes beside its bytes: key, maps, counters, the allocator's rounding.
const ENTRY_BYTES: usize = 512;
/// When all tenants are too large together, this part of the largest goes at once, so that the next answer finds room.
const SHED: usize = 16;
/// Models of this process embed so many questions at once; each takes a core for milliseconds.
const EMBEDDED_AT_ONCE: usize = 2;

pub(crate) type Key = [u8; 32];

/// An answer that passed every guard, and has nothing private in it or its question.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) call: CallId,
    pub(crate) route: Name,
    /// As it went out: a document, or the frames of a stream.
    pub(crate) body: Bytes,
    pub(crate) is_stream: bool,
    /// Its stream tells the usage.
    pub(crate) has_usage: bool,
    /// The same answer as the record of a hit shows it.
    pub(crate) output: Bytes,
    pub(crate) target: Target,
    pub(crate) model_answered: Option<Name>,
    pub(crate) usage: Usage,
    pub(crate) finish: Option<Finish>,
    pub(crate) cost: NanoUsd,
    /// The words that were embedded; empty where none were.
    pub(crate) question: Box<str>,
    pub(crate) born: Mono,
    pub(crate) until: Mono,
}

/// Which of the kept answers will do.
#[derive(Clone, Copy)]
pub(crate) struct When {
    pub(crate) now: Mono,
    pub(crate) age_max: Option<Duration>,
}

impl When {
    fn allows(&self, kept: &Kept) -> bool {
        let age = self.now.since(kept.born);
        kept.until > self.now && self.age_max.is_none_or(|oldest| age <= oldest)
    }
}

/// A question that is looked for by its meaning.
pub(crate) struct Asked<'a> {
    /// The hash of all that must be the same.
    pub(crate) frame: Key,
    pub(crate) probe: &'a Probe,
    pub(crate) question: &'a str,
    pub(crate) threshold: f32,
    /// Numbers, names and negations must agree.
    pub(crate) checks: bool,
}

struct Slot {
    key: Key,
    /// The shelf that its vector stands on, and where.
    shelf: Option<(Key, u32)>,
    kept: Arc<Kept>,
    used: AtomicU64,
    bytes: usize,
}

#[derive(Default)]
struct Tenant {
    by_key: HashMap<Key, u32>,
    slots: Vec<Slot>,
    shelves: HashMap<Key, Shelf>,
    bytes: usize,
    counts: HashMap<Name, Counts>,
    /// Picks the entries among which the least used is looked for.
    random: u64,
}

/// Hits of a route since its tenant's first answer was kept.
#[derive(Default)]
struct Counts {
    exact: AtomicU64,
    semantic: AtomicU64,
    saved: AtomicI64,
}

/// All kept answers.
pub struct Cache {
    parts: [RwLock<HashMap<Name, Tenant>>; PARTS],
    bytes: AtomicUsize,
    evicted: AtomicU64,
    expired: AtomicU64,
    near_misses: AtomicU64,
    embed_failures: AtomicU64,
    saved: AtomicI64,
    pub(crate) embedding: Arc<Semaphore>,
    /// An embedder that fails is left alone for a while, so that its time limit is not added to every call.
    breakers: Mutex<HashMap<EmbedBy, Breaker>>,
}

/// What the cache holds and has done since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Figures {
    pub entries: usize,
    pub bytes: usize,
    /// Let go for want of room.
    pub evicted: u64,
    pub expired: u64,
    /// Questions near enough whose numbers, names or negations differ, so that nothing was given.
    pub near_misses: u64,
    /// Questions that could not be embedded; each was taken for a miss.
    pub embed_failures: u64,
    /// What the answers that were given again had cost.
    pub saved: NanoUsd,
}

/// What is kept of one tenant's route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub tenant: Name,
    pub route: Name,
    pub entries: usize,
    pub bytes: usize,
    pub exact_hits: u64,
    pub semantic_hits: u64,
    pub saved: NanoUsd,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cleared {
    pub entries: usize,
    pub bytes: usize,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            parts: std::array::from_fn(|_| RwLock::default()),
            bytes: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            near_misses: AtomicU64::new(0),
            embed_failures: AtomicU64::new(0),
            saved: AtomicI64::new(0),
            embedding: Arc::new(Semaphore::new(EMBEDDED_AT_ONCE)),
            breakers: Mutex::default(),
        }
    }
}

impl Cache {
    pub(crate) fn get(&self, tenant: &Name, key: &Key, when: When) -> Option<Arc<Kept>> {
        let part = read(self.part(tenant));
        let tenant = part.get(tenant)?;
        let slot = &tenant.slots[*tenant.by_key.get(key)? as usize];
        if !when.allows(&slot.kept) {
            return None;
        }
        slot.used.store(when.now.0, Relaxed);
        Some(Arc::clone(&slot.kept))
    }

    /// The answer to the nearest question that agrees, and how near it is.
    pub(crate) fn near(&self, tenant: &Name, asked: &Asked<'_>, when: When) -> Option<(Arc<Kept>, f32)> {
        let near: Vec<(Arc<Kept>, f32)> = {
            let part = read(self.part(tenant));
            let tenant = part.get(tenant)?;
            let found = tenant.shelves.get(&asked.frame)?.nearest(asked.probe, asked.threshold);
            let kept = found.iter().map(|near| (&tenant.slots[near.owner as usize], near.similarity));
            let alive = kept.filter(|(slot, _)| when.allows(&slot.kept)).take(COMPARED_MAX);
            alive.map(|(slot, similarity)| (Arc::clone(&slot.kept), similarity)).collect()
        };
        let is_near = !near.is_empty();
        let agrees =
            |kept: &Kept| !asked.checks || agree::difference(asked.question, &kept.question).is_none();
        let found = near.into_iter().find(|(kept, _)| agrees(kept));
        if is_near && found.is_none() {
            self.near_misses.fetch_add(1, Relaxed);
        }
        found
    }

    /// Counts an answer that was given again.
    pub(crate) fn note_hit(&self, tenant: &Name, kept: &Kept, is_semantic: bool) {
        self.saved.fetch_add(kept.cost.0, Relaxed);
        let part = read(self.part(tenant));
        // Cleared meanwhile: there is nothing to count it beside.
        let Some(counts) = part.get(tenant).and_then(|tenant| tenant.counts.get(&kept.route)) else { return };
        let hits = if is_semantic { &counts.semantic } else { &counts.exact };
        hits.fetch_add(1, Relaxed);
        counts.saved.fetch_add(kept.cost.0, Relaxed);
    }

    /// Whether an embedder may be asked now.
    pub(crate) fn may_embed(&self, by: &EmbedBy, now: Mono) -> bool {
        let mut breakers = lock(&self.breakers);
        // One that never failed has none.
        breakers.get_mut(by).is_none_or(|breaker| breaker.allows(now, &BreakerPolicy::default()))
    }

    pub(crate) fn note_embedded(&self, by: &EmbedBy, is_ok: bool, now: Mono) {
        let event = if is_ok { BreakerEvent::Ok } else { BreakerEvent::Failed };
        if !is_ok {
            self.embed_failures.fetch_add(1, Relaxed);
        }
        let mut breakers = lock(&self.breakers);
        if is_ok && !breakers.contains_key(by) {
            return;
        }
        // As many as routes name embedders.
        let breaker = breakers.entry(by.clone()).or_default();
        *breaker = breaker.next(event, now, &BreakerPolicy::default());
    }

    /// Keeps an answer, in the place of an older one to the same question.
    pub(crate) fn put(
        &self,
        name: &Name,
        key: Key,
        framed: Option<(Key, &Probe)>,
        kept: Kept,
        bounds: &CacheBounds,
    ) {
        let vector = framed.map_or(0, |(_, probe)| Shelf::bytes_each(probe.dimensions()));
        let texts = kept.body.len() + kept.output.len() + kept.question.len();
        let bytes = ENTRY_BYTES + texts + vector;
        if bytes > bounds.tenant_bytes.min(bounds.bytes) {
            return;
        }
        {
            let mut part = write(self.part(name));
            let tenant = part.entry(name.clone()).or_default();
            let before = tenant.bytes;
            if let Some(old) = tenant.by_key.get(&key).copied() {
                tenant.remove(old);
            }
            let now = kept.born;
            // Ends: each round lets one go, and an empty tenant has room.
            while !tenant.slots.is_empty()
                && (tenant.slots.len() >= bounds.tenant_entries || tenant.bytes + bytes > bounds.tenant_bytes)
            {
                self.note_gone(tenant.evict(now));
            }
            tenant.insert(key, framed, kept, bytes);
            self.changed(before, tenant.bytes);
        }
        self.shed(bounds);
    }

    /// Lets the largest tenants' least used answers go until all have room together.
    fn shed(&self, bounds: &CacheBounds) {
        // Each round lets a good part of the largest go; a bound all the same, since others store meanwhile.
        for _ in 0..PARTS * SHED {
            if self.bytes.load(Relaxed) <= bounds.bytes {
                return;
            }
            let largest = self.parts.iter().filter_map(|part| {
                let part = read(part);
                let (name, tenant) = part.iter().max_by_key(|(_, tenant)| tenant.bytes)?;
                Some((tenant.bytes, name.clone()))
            });
            let Some((_, name)) = largest.max() else { return };
            let mut part = write(self.part(&name));
            let Some(tenant) = part.get_mut(&name) else { continue };
            let before = tenant.bytes;
            let goal = before - before / SHED;
            while tenant.bytes >= goal && !tenant.slots.is_empty() {
                // What was stored just now is the newest and goes last, unless it is alone.
                let now = tenant.slots.last().map_or(Mono(0), |slot| slot.kept.born);
                self.note_gone(tenant.evict(now));
            }
            self.changed(before, tenant.bytes);
            if tenant.slots.is_empty() {
                part.remove(&name);
            }
        }
    }

    /// Lets go of what belongs to this tenant and this route; of all where neither is said.
    pub fn clear(&self, tenant: Option<&str>, route: Option<&str>) -> Cleared {
        self.remove_where(|name, kept| {
            tenant.is_none_or(|wanted| **name == *wanted) && route.is_none_or(|wanted| *kept.route == *wanted)
        })
    }

    /// Lets go of what is too old to be given.
    pub fn sweep(&self, now: Mono) {
        let gone = self.remove_where(|_, kept| kept.until <= now);
        self.expired.fetch_add(gone.entries as u64, Relaxed);
    }

    fn remove_where(&self, goes: impl Fn(&Name, &Kept) -> bool) -> Cleared {
        let mut cleared = Cleared::default();
        for part in &self.parts {
            let mut part = write(part);
            part.retain(|name, tenant| {
                let before = tenant.bytes;
                // From the end, since the last takes the place of one that goes.
                for at in (0..tenant.slots.len()).rev() {
                    if goes(name, &tenant.slots[at].kept) {
                        tenant.remove(at as u32);
                        cleared.entries += 1;
                    }
                }
                cleared.bytes += before - tenant.bytes;
                self.changed(before, tenant.bytes);
                !tenant.slots.is_empty()
            });
        }
        cleared
    }

    pub fn figures(&self) -> Figures {
        let entries =
            self.parts.iter().map(|part| read(part).values().map(|tenant| tenant.slots.len()).sum::<usize>());
        Figures {
            entries: entries.sum(),
            bytes: self.bytes.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            expired: self.expired.load(Relaxed),
            near_misses: self.near_misses.load(Relaxed),
            embed_failures: self.embed_failures.load(Relaxed),
            saved: NanoUsd(self.saved.load(Relaxed)),
        }
    }

    /// What is kept, by tenant and route, in their order.
    pub fn lines(&self, tenant: Option<&str>, route: Option<&str>) -> Vec<Line> {
        let mut lines = Vec::new();
        for part in &self.parts {
            for (name, kept) in
                read(part).iter().filter(|(name, _)| tenant.is_none_or(|wanted| **name == *wanted))
            {
                lines.extend(kept.lines(name));
            }
        }
        lines.retain(|line| route.is_none_or(|wanted| *line.route == *wanted));
        lines.sort_by(|a, b| (&a.tenant, &a.route).cmp(&(&b.tenant, &b.route)));
        lines
    }

    fn part(&self, tenant: &Name) -> &RwLock<HashMap<Name, Tenant>> {
        let mut hasher = DefaultHasher::new();
        tenant.hash(&mut hasher);
        &self.parts[hasher.finish() as usize % PARTS]
    }

    fn changed(&self, before: usize, after: usize) {
        // Under the tenant's lock, so that the sum never falls below what is there.
        self.bytes.fetch_add(after, Relaxed);
        self.bytes.fetch_sub(before, Relaxed);
    }

    fn note_gone(&self, was_expired: bool) {
        let count = if was_expired { &self.expired } else { &self.evicted };
        count.fetch_add(1, Relaxed);
    }
}

impl Tenant {
    fn insert(&mut self, key: Key, framed: Option<(Key, &Probe)>, kept: Kept, bytes: usize) {
        let at = self.slots.len() as u32;
        let shelf = framed.and_then(|(frame, probe)| {
            let shelf = self.shelves.entry(frame).or_insert_with(|| Shelf::new(probe.dimensions()));
            Some((frame, shelf.push(probe, at)?))
        });
        self.counts.entry(kept.route.clone()).or_default();
        self.by_key.insert(key, at);
        self.bytes += bytes;
        let used = AtomicU64::new(kept.born.0);
        self.slots.push(Slot { key, shelf, kept: Arc::new(kept), used, bytes });
    }

    fn remove(&mut self, at: u32) {
        let slot = self.slots.swap_remove(at as usize);
        self.by_key.remove(&slot.key);
        self.bytes -= slot.bytes;
        // The vector goes before the slot that has moved is told of, since the shelf still knows that one by its old number.
        if let Some((frame, place)) = slot.shelf {
            self.unshelve(&frame, place, at);
        }
        if let Some(moved) = self.slots.get(at as usize) {
            self.by_key.insert(moved.key, at);
            if let Some((frame, place)) = &moved.shelf
                && let Some(shelf) = self.shelves.get_mut(frame)
            {
                shelf.set_owner(*place, at);
            }
        }
    }

    /// Takes a vector down. Whose vector has come to its place is told; `hole` is the slot that is being filled by the last.
    fn unshelve(&mut self, frame: &Key, place: u32, hole: u32) {
        let Some(shelf) = self.shelves.get_mut(frame) else { return };
        let moved = shelf.remove(place);
        if shelf.is_empty() {
            self.shelves.remove(frame);
        }
        let Some(owner) = moved else { return };
        // The slot that was the last stands in the hole already.
        let at = if owner as usize == self.slots.len() { hole } else { owner };
        if let Some(Slot { shelf: Some((_, known)), .. }) = self.slots.get_mut(at as usize) {
            *known = place;
        }
    }

    /// Lets go of an answer that is too old, or else of one that was used little; says whether it was too old.
    fn evict(&mut self, now: Mono) -> bool {
        let mut pick = |slots: usize| {
            // SplitMix64's step is enough of chance here.
            self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
            ((self.random ^ (self.random >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33) as usize % slots
        };
        let picked: Vec<usize> = (0..SAMPLE).map(|_| pick(self.slots.len())).collect();
        let rank = |at: &usize| {
            let slot = &self.slots[*at];
            (slot.kept.until > now, slot.used.load(Relaxed))
        };
        let Some(worst) = picked.into_iter().min_by_key(rank) else { return false };
        let was_expired = !rank(&worst).0;
        self.remove(worst as u32);
        was_expired
    }

    fn lines(&self, tenant: &Name) -> Vec<Line> {
        let mut held: HashMap<&Name, (usize, usize)> = HashMap::new();
        for slot in &self.slots {
            let sum = held.entry(&slot.kept.route).or_default();
            *sum = (sum.0 + 1, sum.1 + slot.bytes);
        }
        let line = |(route, counts): (&Name, &Counts)| {
            let (entries, bytes) = held.get(route).copied().unwrap_or_default();
            Line {
                tenant: tenant.clone(),
                route: route.clone(),
                entries,
                bytes,
                exact_hits: counts.exact.load(Relaxed),
                semantic_hits: counts.semantic.load(Relaxed),
                saved: NanoUsd(counts.saved.load(Relaxed)),
            }
        };
        self.counts.iter().map(line).collect()
    }
}

/// What is changed under these locks is plain numbers and maps; a panic elsewhere leaves nothing half-done behind.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
