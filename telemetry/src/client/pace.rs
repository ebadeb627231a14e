//! How long to wait before the next attempt.

use std::time::Duration;

/// Pauses that grow while attempts fail. A leader that comes back is not met by all agents at once: each pause is cut by chance.
#[derive(Clone, Debug)]
pub struct Pace {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pace {
    /// Begins with this pause, and doubles it up to the longest.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Pace {
            first,
            longest,
            next: first,
        }
    }

    /// The next pause: at least half of what it has grown to, and more by `chance`, which is from 0 to 1.
    #[must_use]
    pub fn next(&mut self, chance: f64) -> Duration {
        let whole = self.next.min(self.longest);
        self.next = (whole * 2).min(self.longest);
        whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// Whether nothing failed since an attempt succeeded.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.next == self.first
    }

    /// An attempt succeeded.
    pub fn begin_anew(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_begin_anew() {
        let ms = Duration::from_millis;
        let mut pace = Pace::new(ms(500), ms(3_000));
        let pauses = [1.0, 1.0, 1.0, 1.0, 0.0].map(|chance| pace.next(chance));
        assert_eq!(pauses, [500, 1_000, 2_000, 3_000, 1_500].map(ms));
        assert!(!pace.is_new());
        pace.begin_anew();
        assert!(pace.is_new());
        assert_eq!(pace.next(0.5), ms(375));
    }
}
