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
    if expected > 12.0 {
        // Four evenly drawn numbers are near enough to a normal one, and quick.
        let bits = rng.u64(..);
        let part = |shift: u32| f32::from(u16::try_from((bits >> shift) & 0xffff).unwrap_or(0));
        let sum = (part(0) + part(16) + part(32) + part(48)) / 65_536.0 - 2.0;
        let drawn = expected + sum * 1.732 * expected.sqrt();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        return (drawn + 0.5).max(0.0) as u32;
    }
    if expected < 0.02 {
        // Two would come together once in five thousand times.
        return u32::from(expected > 0.0 && rng.f32() < expected);
    }
    let mut left = rng.f32();
    let mut share = (-expected).exp();
    let mut count = 0;
    while left > share && count < 200 {
        left -= share;
        count += 1;
        share *= expected / narrow(f64::from(count));
    }
    count
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
