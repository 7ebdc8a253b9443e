//! The order in which the targets of a call are asked: which first, and which follow should it fail.
//!
//! Pure: chance comes as a number made from the call's id, or from what keeps a conversation together, so that the same
//! number always gives the same order. Targets that are left alone come last, whatever the strategy says.

use gauntlet_types::{NanoUsd, Target};

use crate::{
    config::Strategy,
    health::{View, Why},
};

/// What the order depends on, of one target.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Candidate<'a> {
    pub target: &'a Target,
    pub weight: u32,
    pub view: View,
    /// Its worst case for this call; none: nobody knows.
    pub price: Option<NanoUsd>,
}

/// How to choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Draw {
    pub strategy: Strategy,
    pub seed: u64,
    /// The seed stands for the conversation, not for the call: its first choice holds against load and latency.
    pub is_sticky: bool,
}

/// The candidates by number, the first choice first; each once.
pub fn order(draw: Draw, candidates: &[Candidate<'_>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    if draw.strategy != Strategy::Fallback {
        let scores: Vec<f64> = candidates.iter().map(|candidate| score(draw.seed, candidate)).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    }
    // A stable sort: within each rank the draw stands.
    order.sort_by_key(|at| rank(candidates[*at].view.standing.why()));
    let free = order.iter().take_while(|at| candidates[**at].view.standing.is_free()).count();
    let free = &mut order[..free];
    match draw.strategy {
        Strategy::Fallback | Strategy::Weighted => {}
        Strategy::Cheapest => free.sort_by_key(|at| {
            // A price that nobody knows may be any.
            candidates[*at].price.unwrap_or(NanoUsd(i64::MAX))
        }),
        Strategy::LeastBusy => {
            let load = |at: &usize| load(&candidates[*at]);
            behind_first(free, draw.is_sticky).sort_by(|a, b| load(a).total_cmp(&load(b)));
        }
        Strategy::Latency => {
            let cost = |at: &usize| cost(&candidates[*at]);
            if !draw.is_sticky && free.len() > 1 && cost(&free[1]) < cost(&free[0]) {
                free.swap(0, 1);
            }
            behind_first(free, true).sort_by(|a, b| cost(a).total_cmp(&cost(b)));
        }
    }
    order
}

/// All but the first, if that is to stay where it is.
fn behind_first(order: &mut [usize], is_kept: bool) -> &mut [usize] {
    let from = usize::from(is_kept).min(order.len());
    &mut order[from..]
}

/// Free ones first; then those that may be asked for want of better; then those that may not.
fn rank(why: Option<Why>) -> u8 {
    match why {
        None => 0,
        Some(Why::RateLimited | Why::Outrun) => 1,
        Some(Why::KeyRefused | Why::Unpaid) => 2,
        Some(Why::Probe) => 3,
        Some(Why::Breaker) => 4,
    }
}

/// A number whose smallest among all candidates is each one's as often as its weight says: weighted rendezvous hashing
/// (Schindelhauer and Schomaker, 2005). Leaving a candidate out moves only what was its.
fn score(seed: u64, candidate: &Candidate<'_>) -> f64 {
    let name = hash(&[candidate.target.provider.as_bytes(), candidate.target.model.as_bytes()]);
    let drawn = unit(seed ^ name);
    match candidate.weight {
        0 => f64::INFINITY,
        weight => -drawn.ln() / f64::from(weight),
    }
}

/// Calls for a share of one, this call counted, so that an idle target of weight 3 comes before one of weight 1.
fn load(candidate: &Candidate<'_>) -> f64 {
    match candidate.weight {
        0 => f64::INFINITY,
        weight => (f64::from(candidate.view.in_flight) + 1.0) / f64::from(weight),
    }
}

/// The wait to expect. A target that nobody has measured is tried at once, but by one call at a time.
fn cost(candidate: &Candidate<'_>) -> f64 {
    let View { in_flight, latency_us, .. } = candidate.view;
    match (candidate.weight, latency_us) {
        (0, _) => f64::INFINITY,
        (_, Some(us)) => us * (f64::from(in_flight) + 1.0),
        (_, None) if in_flight == 0 => 0.0,
        (_, None) => f64::MAX,
    }
}

/// What keeps things together that are to have the same order.
pub fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        // Lengths go in front, so that no two lists read the same.
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

/// The seed of a call by itself.
pub fn seed_of(call: u128) -> u64 {
    (call >> 64) as u64 ^ call as u64
}

/// A number above 0 and up to 1 that looks drawn: the finish of SplitMix64 (Steele, Lea and Flood, 2014), whose upper 53
/// bits fill a float.
fn unit(seed: u64) -> f64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    ((mixed >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
