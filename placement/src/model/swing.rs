//! How much a pool's latency is another after a few minutes: what it is now tells no more of what it will be.

/// The median of how far, by logarithms, one minute's 99th percentile is from that of ten minutes before. A median: a burst that
/// comes every other hour changes what a pool is like for a while; a pool that is always another has no likeness.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Swing {
    /// The last minutes' logarithms, and where the next one goes.
    minutes: [f32; LATER],
    next: u8,
    /// How many there were.
    count: u16,
    median: f32,
}

/// So many minutes later.
const LATER: usize = 10;
/// The median is followed in steps: large ones first, and this one in the end.
const FIRST_STEP: f32 = 0.1;
const LAST_STEP: f32 = 0.005;

impl Swing {
    /// A minute was like this.
    pub(super) fn add(&mut self, p99: f32) {
        let log = p99.max(1e-3).ln();
        let slot = &mut self.minutes[usize::from(self.next) % LATER];
        let before = std::mem::replace(slot, log);
        self.next = (self.next + 1) % 10;
        self.count = self.count.saturating_add(1);
        let Some(compared) = self.count.checked_sub(10).filter(|count| *count > 0) else {
            return;
        };
        let step = (FIRST_STEP / f32::from(compared)).max(LAST_STEP);
        let is_more = (log - before).abs() > self.median;
        self.median += if is_more { step } else { -step };
        self.median = self.median.max(0.0);
    }

    pub(super) fn median(&self) -> f32 {
        self.median
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(minutes: impl Iterator<Item = f32>) -> f32 {
        let mut swing = Swing::default();
        minutes.for_each(|p99| swing.add(p99));
        swing.median()
    }

    /// Seen red with: the mean in place of the median, i.e. steps as long as the distance is.
    #[test]
    fn bursts_are_not_swing_and_wandering_is() {
        let bursts = of((0..600u16).map(|minute| if minute % 120 < 10 { 5000.0 } else { 200.0 }));
        assert!(bursts < 0.05, "{bursts}");
        // Every ten minutes a speed that has nothing to do with the one before.
        let wanders = of((0..600u16).map(|minute| 100.0 * f32::from(1 + (minute / 10 * 7) % 5)));
        assert!((0.3..1.2).contains(&wanders), "{wanders}");
    }
}
