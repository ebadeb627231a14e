//! What is random, each from a stream of its own: a tenant, a pool or a report is the same for every strategy.

use std::time::Duration;

use fastrand::Rng;

use crate::distribution::narrow;

/// What streams are for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Kinds = 1,
    Arrivals,
    Tenant,
    Limp,
    Collects,
    Wander,
    Existing,
    Reports,
    Loss,
    Choice,
}

/// The stream of one thing.
pub(crate) fn stream(seed: u64, of: Stream, index: usize) -> Rng {
    let index = index as u64;
    let mixed = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add((of as u64) << 56)
        .wrapping_add(index.wrapping_mul(0xd1b5_4a32_d192_ed03));
    let mut rng = Rng::with_seed(mixed);
    // Neighbouring seeds begin alike.
    rng.u64(..);
    Rng::with_seed(rng.u64(..))
}

/// Exponential.
pub(crate) fn exponential(rng: &mut Rng, mean: Duration) -> Duration {
    mean.mul_f64(exponent(rng))
}

/// Exponential, with the mean 1.
pub(crate) fn exponent(rng: &mut Rng) -> f64 {
    -(1.0 - rng.f64()).max(1e-12).ln()
}

/// Normal.
pub(crate) fn normal(rng: &mut Rng) -> f64 {
    let (u, v) = ((1.0 - rng.f64()).max(1e-12), rng.f64());
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

/// How many there are where this many are expected.
pub(crate) fn poisson(rng: &mut Rng, expected: f32) -> u32 {
    Poisson::of(expected).draw(rng)
}

/// So many are expected; what it takes to draw from that is computed once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Poisson {
    expected: f32,
    /// The root of it where it is large, or else how likely none is.
    part: f32,
}

/// Where more are expected, the distribution is taken to be a normal one.
const MANY: f32 = 12.0;
/// Where fewer are, two would come together once in five thousand times.
const FEW: f32 = 0.02;

impl Poisson {
    pub(crate) fn of(expected: f32) -> Self {
        let part = if expected > MANY {
            expected.sqrt()
        } else if expected < FEW {
            1.0
        } else {
            (-expected).exp()
        };
        Poisson { expected, part }
    }

    /// How many there are.
    #[inline]
    pub(crate) fn draw(&self, rng: &mut Rng) -> u32 {
        if self.expected < FEW {
            return u32::from(self.expected > 0.0 && rng.f32() < self.expected);
        }
        if self.expected > MANY {
            // Four evenly drawn numbers are near enough to a normal one, and quick.
            let bits = rng.u64(..);
            #[expect(clippy::cast_possible_truncation, reason = "these 16 bits are meant")]
            let part = |shift: u32| f32::from((bits >> shift) as u16);
            let sum = (part(0) + part(16) + part(32) + part(48)) / 65_536.0 - 2.0;
            let drawn = self.expected + sum * 1.732 * self.part;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count"
            )]
            return (drawn + 0.5).max(0.0) as u32;
        }
        let mut left = rng.f32();
        let mut share = self.part;
        let mut count = 0;
        while left > share && count < 200 {
            left -= share;
            count += 1;
            share *= self.expected / narrow(f64::from(count));
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_as_many_as_expected() {
        let mut rng = stream(1, Stream::Reports, 0);
        for expected in [0.01f32, 0.5, 5.0, 50.0, 5000.0] {
            let drawn: f64 = (0..20_000)
                .map(|_| f64::from(poisson(&mut rng, expected)))
                .sum();
            let mean = drawn / 20_000.0;
            let expected = f64::from(expected);
            assert!(
                (mean - expected).abs() < 0.1 * expected.sqrt().max(0.05),
                "{mean} {expected}"
            );
        }
    }

    #[test]
    fn streams_differ() {
        let first = |seed, of, index| stream(seed, of, index).u64(..);
        let one = first(1, Stream::Tenant, 0);
        assert_ne!(one, first(2, Stream::Tenant, 0));
        assert_ne!(one, first(1, Stream::Tenant, 1));
        assert_ne!(one, first(1, Stream::Limp, 0));
        assert_eq!(one, first(1, Stream::Tenant, 0));
    }
}
