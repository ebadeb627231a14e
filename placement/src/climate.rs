//! The cluster as a whole: what a pool is compared with.

use super::model::Trust;
use super::pool_view::PoolView;

/// What is known of all pools together. It is computed once for each look at telemetry, not for each volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climate {
    /// A pool that has more in flight is hot.
    pub hot_above: f32,
    /// What a volume is expected to add to in-flight.
    pub of_one: f32,
    /// How many pools' latency is known.
    pub known: u32,
}

/// The share of pools that are not hot.
const COLD: f64 = 0.8;

/// What a volume is expected to add where nothing was ever seen.
const OF_ONE: f32 = 1.0;

/// Nothing is known.
impl Default for Climate {
    fn default() -> Self {
        Climate {
            hot_above: f32::INFINITY,
            of_one: OF_ONE,
            known: 0,
        }
    }
}

impl Climate {
    /// Of these pools, in whatever order.
    #[must_use]
    pub fn of(pools: &[PoolView]) -> Self {
        let is_known = |pool: &&PoolView| pool.live.trust != Trust::None;
        let mut loads: Vec<f32> = Vec::with_capacity(pools.len());
        let mut each: Vec<f32> = Vec::with_capacity(pools.len());
        for pool in pools.iter().filter(is_known) {
            loads.push(pool.live.load());
            if pool.booked.volumes > 0 {
                let volumes = f64::from(pool.booked.volumes);
                each.push(super::model::narrow(f64::from(pool.live.load()) / volumes));
            }
        }
        let nothing = Climate::default();
        let of_one = quantile(&mut each, 0.5).unwrap_or(OF_ONE);
        // The median: a pool that can't keep up has more of its volumes' I/Os in flight than any other would.
        Climate {
            hot_above: quantile(&mut loads, COLD).unwrap_or(nothing.hot_above),
            of_one,
            known: u32::try_from(loads.len()).unwrap_or(u32::MAX),
        }
    }
}

fn quantile(values: &mut [f32], q: f64) -> Option<f32> {
    if values.is_empty() {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index, and below the length"
    )]
    let rank = ((values.len() - 1) as f64 * q).round() as usize;
    Some(*values.select_nth_unstable_by(rank, f32::total_cmp).1)
}
