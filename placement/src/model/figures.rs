//! What placement has to know of a pool's latency: few numbers, next to the pool's others.

use weir_api::units::Latency;

/// How far what was measured can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Not at all: nothing was heard, or too long ago, or it has no percentiles. Capacity decides.
    #[default]
    None,
    /// It is measured with less than Weir's own probes: an objective must be met with a quarter to spare.
    Coarse,
    /// As far as anything.
    Full,
}

/// A prediction: microseconds, by in-flight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// With nothing in flight, if the line went that far.
    pub base: f32,
    /// More for each I/O in flight.
    pub slope: f32,
}

/// What is known of a pool's latency at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// How far it can be trusted.
    pub trust: Trust,
    /// I/Os in flight, on average over the last minutes.
    pub in_flight: f32,
    /// What volumes that were bound lately will add to that, and which is not seen yet.
    pub phantom: f32,
    /// The 99th percentile of reads, in the worst of five minutes.
    pub read: Line,
    /// The same of writes.
    pub write: Line,
    /// I/Os that fail, of a thousand.
    pub failing: u16,
}

impl Line {
    /// What is predicted with so much in flight, in microseconds.
    #[must_use]
    pub fn at(&self, in_flight: f32) -> f32 {
        self.base + self.slope * in_flight
    }
}

impl Figures {
    /// What is in flight, or will be.
    #[must_use]
    pub fn load(&self) -> f32 {
        self.in_flight + self.phantom
    }

    /// The 99th percentiles of reads and of writes, with so much more in flight, in microseconds.
    #[must_use]
    pub fn with(&self, more: f32) -> (f32, f32) {
        let load = self.load() + more;
        (self.read.at(load), self.write.at(load))
    }

    /// The longer of them.
    #[must_use]
    pub fn worse_with(&self, more: f32) -> f32 {
        let (read, write) = self.with(more);
        read.max(write)
    }
}

/// As it is said in objects.
pub(crate) fn latency(micros: f32) -> Latency {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole microseconds, and at most as many as can be said"
    )]
    let whole = f64::from(micros).clamp(0.0, 999_999_999.0).round() as u64;
    Latency(whole)
}

/// In-flight as it is said in objects.
pub(crate) fn whole(in_flight: f32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number that is not negative"
    )]
    let whole = f64::from(in_flight).clamp(0.0, 2e9).round() as u32;
    whole
}
