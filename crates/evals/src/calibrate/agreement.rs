//! What is known of a judge, found again by whoever wants to rely on it.

use gauntlet_ports::{EvalGate, GateFilter};
use gauntlet_types::{Name, Timestamp};

use super::{Calibration, RATINGS_MIN, ScaleKind};
use crate::judge::Fingerprint;

/// Calibrations of a kind that are looked through for the newest of one judge.
const LOOKED_THROUGH: u32 = 200;

/// The newest agreement of a judge with people.
#[derive(Clone, PartialEq, Debug)]
pub struct Agreement {
    /// The id under which it is kept.
    pub id: Name,
    pub at: Timestamp,
    /// Ratings by people.
    pub n: usize,
    pub kappa: Option<f64>,
    pub kappa_low: Option<f64>,
    pub rho: Option<f64>,
    pub rho_low: Option<f64>,
    /// Which of both counts.
    pub scale: ScaleKind,
    pub has_drifted: bool,
}

impl Agreement {
    /// The lower bound that counts: of kappa, but for scores without levels of rho.
    pub fn low(&self) -> Option<f64> {
        if self.scale == ScaleKind::Continuous { self.rho_low } else { self.kappa_low }
    }

    /// Whether enough people were asked, and the judge surely agrees with them so far.
    pub fn is_proven(&self, minimum: f64) -> bool {
        self.n >= RATINGS_MIN && self.low().is_some_and(|low| low >= minimum)
    }
}

/// The suite under which calibrations of a kind are kept: none that a file may be named by, so that nothing takes them for runs of one.
pub(super) fn suite(kind: &str) -> Name {
    format!("calibration:{kind}").into()
}

/// Where the store is to be asked for what [`agreement_of`] looks through.
pub fn filter(kind: &str) -> GateFilter {
    GateFilter { suite: Some(suite(kind)), limit: Some(LOOKED_THROUGH), ..GateFilter::default() }
}

/// The newest agreement of exactly this judge: same model, texts, draws and parameters. `gates` are those of [`filter`], in any order.
pub fn agreement_of(gates: &[EvalGate], judge: &Fingerprint) -> Option<Agreement> {
    let of_judge = |gate: &&EvalGate| {
        gate.suite == suite(&judge.kind)
            && gate.report["judge"] == judge.model.as_str()
            && gate.report["judge_hash"] == judge.hash.as_str()
    };
    let newest = gates.iter().filter(of_judge).max_by_key(|gate| gate.at)?;
    let found = Calibration::of_gate(newest)?;
    Some(Agreement {
        id: newest.id.clone(),
        at: newest.at,
        n: found.n,
        kappa: found.kappa.map(|kappa| kappa.value),
        kappa_low: found.kappa.map(|kappa| kappa.low),
        rho: found.rho.map(|rho| rho.value),
        rho_low: found.rho.map(|rho| rho.low),
        scale: found.scale,
        has_drifted: found.drift.is_some_and(|drift| drift.has_drifted && drift.same_judge),
    })
}

/// The newest calibration of a kind and model, whatever the judge was asked by: what a new one is compared with.
pub fn last_of(gates: &[EvalGate], judge: &Fingerprint) -> Option<Calibration> {
    let of_model =
        |gate: &&EvalGate| gate.suite == suite(&judge.kind) && gate.report["judge"] == judge.model.as_str();
    gates.iter().filter(of_model).max_by_key(|gate| gate.at).and_then(Calibration::of_gate)
}
