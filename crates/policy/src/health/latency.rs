//! Latency as routing needs it: up at once, down by and by.

use std::time::Duration;

use gauntlet_types::Mono;

/// After so long without news, a third of what was measured is left: a slow target is tried again within a minute.
const DECAY: Duration = Duration::from_secs(10);

/// Peak-sensitive exponentially weighted moving average, after Finagle's `PeakEwma` load balancer: a value above the
/// average replaces it, one below draws it down by the time that has passed, and time alone draws it to nothing.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct PeakEwma {
    us: f64,
    noted: Option<Mono>,
}

impl PeakEwma {
    pub fn note(&mut self, took: Duration, now: Mono) {
        let took_us = took.as_secs_f64() * 1e6;
        let Some(noted) = self.noted else {
            *self = PeakEwma { us: took_us, noted: Some(now) };
            return;
        };
        if took_us > self.us {
            self.us = took_us;
        } else {
            let kept = kept(now.since(noted));
            self.us = self.us * kept + took_us * (1.0 - kept);
        }
        self.noted = Some(now);
    }

    /// In microseconds; none if nothing was ever noted.
    pub fn at(&self, now: Mono) -> Option<f64> {
        Some(self.us * kept(now.since(self.noted?)))
    }
}

fn kept(passed: Duration) -> f64 {
    (-passed.as_secs_f64() / DECAY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_counts_at_once_and_fades() {
        let second = |at: u64| Mono(at * 1_000_000);
        let ms = |ewma: &PeakEwma, at| ewma.at(second(at)).unwrap() / 1e3;
        let mut ewma = PeakEwma::default();
        assert_eq!(ewma.at(second(1)), None);
        ewma.note(Duration::from_millis(200), second(1));
        assert_eq!(ms(&ewma, 1), 200.0);
        ewma.note(Duration::from_secs(4), second(2));
        assert_eq!(ms(&ewma, 2), 4000.0);
        ewma.note(Duration::from_millis(200), second(3));
        assert!((3500.0..4000.0).contains(&ms(&ewma, 3)), "{}", ms(&ewma, 3));
        ewma.note(Duration::from_millis(200), second(33));
        assert!((200.0..400.0).contains(&ms(&ewma, 33)), "{}", ms(&ewma, 33));
        assert!(ms(&ewma, 93) < 2.0, "what nobody asks is forgotten: {}", ms(&ewma, 93));
    }
}
