//! How the chance of a mistake is spent over several looks at growing data.

use std::f64::consts::PI;

use crate::distributions::{bisect, normal_quantile, normal_sf};

/// The chance of a mistake that is spent when a share `t` of the data is there: little early, all of `alpha` at the end.
///
/// 2 − 2Φ(z₁₋α⸝₂/√t), which is like O'Brien and Fleming's boundary. Source: Lan & DeMets (1983), "Discrete sequential boundaries for clinical trials".
pub fn spent(t: f64, alpha: f64) -> f64 {
    if t <= 0.0 {
        return 0.0;
    }
    (2.0 * normal_sf(normal_quantile(1.0 - alpha / 2.0) / t.min(1.0).sqrt())).min(alpha)
}

/// Points of the density that is carried from look to look; a look's error is below 1e-6 with them.
const POINTS: usize = 801;
/// Standard deviations beyond which nothing is.
const FAR: f64 = 8.0;

/// Levels for p-values at successive looks, made one by one (Armitage, McPherson, Rowe 1969).
///
/// Carries the density of the score process (a Brownian motion) where it has not crossed yet.
#[derive(Clone, Debug)]
pub struct Levels {
    alpha: f64,
    reached: f64,
    /// Where on the line, and the density there times the step's weight.
    density: Vec<(f64, f64)>,
}

impl Levels {
    pub fn new(alpha: f64) -> Levels {
        Levels { alpha, reached: 0.0, density: vec![(0.0, 1.0)] }
    }

    /// The level of a look when a share `t` of the data is there. `None` unless `t` is above that of the look before and at most 1.
    pub fn next(&mut self, t: f64) -> Option<f64> {
        if !(t > self.reached && t <= 1.0) {
            return None;
        }
        let now = spent(t, self.alpha) - spent(self.reached, self.alpha);
        let width = (t - self.reached).sqrt();
        let beyond = |line: f64| -> f64 {
            self.density.iter().map(|(at, weight)| weight * normal_sf((line - at) / width)).sum()
        };
        let far = FAR * t.sqrt();
        // So early that nothing is to be spent, no line is low enough.
        let line = bisect(-far, far, |line| beyond(line) <= now);
        self.density = self.carried(-far, line, width);
        self.reached = t;
        Some(normal_sf(line / t.sqrt()))
    }

    fn carried(&self, low: f64, high: f64, width: f64) -> Vec<(f64, f64)> {
        let step = (high - low) / (POINTS - 1) as f64;
        (0..POINTS)
            .map(|at| {
                let here = low + at as f64 * step;
                let density: f64 = self
                    .density
                    .iter()
                    .map(|(from, weight)| weight * (-((here - from) / width).powi(2) / 2.0).exp())
                    .sum();
                // Simpson's weights: 1, 4, 2, …, 4, 1.
                let simpson = match at {
                    0 => 1.0,
                    last if last == POINTS - 1 => 1.0,
                    odd if odd % 2 == 1 => 4.0,
                    _ => 2.0,
                };
                (here, density / (width * (2.0 * PI).sqrt()) * simpson * step / 3.0)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_published_boundaries() {
        // ldbounds 2.0 (R): one-sided 0.025, O'Brien-Fleming spending at 0.2, 0.4, …, 1 gives z = 4.8769, 3.3569, 2.6803, 2.2898, 2.0310.
        let mut levels = Levels::new(0.025);
        for (t, z) in [(0.2, 4.8769), (0.4, 3.3569), (0.6, 2.6803), (0.8, 2.2898), (1.0, 2.0310)] {
            let level = levels.next(t).unwrap();
            assert!((normal_quantile(1.0 - level) - z).abs() < 2e-3, "{t} {}", normal_quantile(1.0 - level));
        }
        assert_eq!(levels.next(1.0), None);
    }

    #[test]
    fn one_look_at_the_end_has_all() {
        assert!((Levels::new(0.05).next(1.0).unwrap() - 0.05).abs() < 1e-9);
    }

    #[test]
    fn a_look_without_new_data_is_refused() {
        let mut levels = Levels::new(0.05);
        assert!(levels.next(0.5).is_some());
        for t in [0.5, 0.4, 0.0, -1.0, 1.1, f64::NAN] {
            assert_eq!(levels.next(t), None, "{t}");
        }
    }
}
