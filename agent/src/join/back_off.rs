//! Pauses between attempts: longer each time, and not the same for all nodes, which lost the API together.

use std::time::Duration;

/// The first pause, at most.
const FIRST: Duration = Duration::from_millis(200);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses that double, each cut short by up to a half at random.
#[derive(Clone, Debug)]
pub(super) struct BackOff(Duration);

impl Default for BackOff {
    fn default() -> Self {
        BackOff(FIRST)
    }
}

impl BackOff {
    /// The next pause.
    pub(super) fn next(&mut self) -> Duration {
        let longest = self.0;
        self.0 = (longest * 2).min(LONGEST);
        longest.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        let mut pause = BackOff::default();
        let mut longest = FIRST;
        for _ in 0..20 {
            let next = pause.next();
            assert!(next >= longest / 2 && next <= longest, "{next:?}");
            longest = (longest * 2).min(LONGEST);
        }
        let other: Vec<Duration> = (0..8).map(|_| BackOff::default().next()).collect();
        assert!(other.iter().any(|pause| *pause != other[0]));
    }
}
