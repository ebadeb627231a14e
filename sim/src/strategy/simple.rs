//! Strategies that know nothing of latency.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use super::{Hears, Strategy};
use crate::draw::{Stream, stream};
use crate::report::Report;
use crate::tenant::Tenant;
use crate::world::World;

/// Any pool that has room.
pub(crate) struct Random {
    rng: Rng,
}

/// Of two pools that have room, the one with less in flight, as its agent last said.
pub(crate) struct PowerOfTwo {
    rng: Rng,
    in_flight: Vec<u32>,
}

/// The pool with the most space left, by its share of the pool; any of those that are equal.
pub(crate) struct MostFree {
    rng: Rng,
}

/// LiteIO's: the fullest pool that has room, by whole percents of what agents said two minutes ago; the first of those that
/// are equal.
pub(crate) struct Fullest {
    /// What was free, and since when that is what is known.
    told: VecDeque<(Duration, Vec<u64>)>,
}

/// Mayastor's: pairs of pools are compared by weights of the number of volumes (25), free space (40) and what is promised
/// beyond (35, which is equal where nothing is); any of those that are equal.
pub(crate) struct CapacityWeighted {
    rng: Rng,
}

/// How old what LiteIO's agents said of space is.
const TOLD_LATER: Duration = Duration::from_secs(120);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random {
            rng: stream(seed, Stream::Choice, 0),
        }
    }
}

impl PowerOfTwo {
    pub(crate) fn new(seed: u64, pools: usize) -> Self {
        PowerOfTwo {
            rng: stream(seed, Stream::Choice, 1),
            in_flight: vec![0; pools],
        }
    }
}

impl MostFree {
    pub(crate) fn new(seed: u64) -> Self {
        MostFree {
            rng: stream(seed, Stream::Choice, 2),
        }
    }
}

impl Fullest {
    pub(crate) fn new() -> Self {
        Fullest {
            told: VecDeque::new(),
        }
    }

    /// What is known to be free: the present from the first look on, and then what was two minutes ago.
    fn told(&mut self, world: &World, now: Duration) -> &[u64] {
        let present = || world.pools.iter().map(crate::pool::Pool::free).collect();
        let is_next =
            |(at, _): &(Duration, Vec<u64>)| now.saturating_sub(*at) >= Duration::from_secs(10);
        if self.told.back().is_none_or(is_next) {
            self.told.push_back((now, present()));
        }
        while self
            .told
            .get(1)
            .is_some_and(|(at, _)| now.saturating_sub(*at) >= TOLD_LATER)
        {
            self.told.pop_front();
        }
        self.told.front().map_or(&[], |(_, free)| free)
    }
}

impl CapacityWeighted {
    pub(crate) fn new(seed: u64) -> Self {
        CapacityWeighted {
            rng: stream(seed, Stream::Choice, 3),
        }
    }
}

/// The pools that have room.
fn with_room(world: &World, tenant: usize) -> Vec<usize> {
    let size = world.tenants[tenant].size;
    let pools = world.pools.iter().enumerate();
    let roomy = pools.filter(|(_, pool)| pool.free() >= size);
    roomy.map(|(index, _)| index).collect()
}

/// Any of the best.
fn best(rng: &mut Rng, pools: &[usize], order: impl Fn(usize, usize) -> Ordering) -> Option<usize> {
    let first = *pools.first()?;
    let mut best = vec![first];
    for pool in &pools[1..] {
        match order(*pool, best[0]) {
            Ordering::Greater => best = vec![*pool],
            Ordering::Equal => best.push(*pool),
            Ordering::Less => {}
        }
    }
    Some(best[rng.usize(..best.len())])
}

/// What hears nothing.
macro_rules! deaf {
    () => {
        fn hears(&self) -> Hears {
            Hears::Nothing
        }
        fn hear(&mut self, _: &Report, _: Duration) {}
        deaf!(unmoved);
    };
    (unmoved) => {
        fn bound(&mut self, _: usize, _: usize, _: &Tenant, _: Duration) {}
        fn gone(&mut self, _: usize, _: usize, _: &Tenant) {}
    };
}

impl Strategy for Random {
    deaf!();

    fn choose(&mut self, world: &mut World, tenant: usize, _: Duration) -> Option<usize> {
        let pools = with_room(world, tenant);
        (!pools.is_empty()).then(|| pools[self.rng.usize(..pools.len())])
    }
}

impl Strategy for PowerOfTwo {
    deaf!(unmoved);

    fn hears(&self) -> Hears {
        Hears::InFlight
    }

    fn hear(&mut self, report: &Report, _: Duration) {
        self.in_flight[report.pool] = report.in_flight;
    }

    fn choose(&mut self, world: &mut World, tenant: usize, _: Duration) -> Option<usize> {
        let pools = with_room(world, tenant);
        if pools.is_empty() {
            return None;
        }
        let mut any = || pools[self.rng.usize(..pools.len())];
        let (one, other) = (any(), any());
        let is_less = self.in_flight[one] <= self.in_flight[other];
        Some(if is_less { one } else { other })
    }
}

impl Strategy for MostFree {
    deaf!();

    fn choose(&mut self, world: &mut World, tenant: usize, _: Duration) -> Option<usize> {
        let pools = with_room(world, tenant);
        let share = |pool: usize| {
            let pool = &world.pools[pool];
            pool.free() as f64 / pool.disk.capacity as f64
        };
        best(&mut self.rng, &pools, |a, b| share(a).total_cmp(&share(b)))
    }
}

impl Strategy for Fullest {
    deaf!();

    fn choose(&mut self, world: &mut World, tenant: usize, now: Duration) -> Option<usize> {
        let pools = with_room(world, tenant);
        let told = self.told(world, now);
        let percent = |pool: usize| {
            let whole = world.pools[pool].disk.capacity;
            let used = whole - told.get(pool).copied().unwrap_or(whole);
            used * 100 / whole
        };
        let mut fullest = None;
        for pool in pools {
            if fullest.is_none_or(|(_, most)| percent(pool) > most) {
                fullest = Some((pool, percent(pool)));
            }
        }
        fullest.map(|(pool, _)| pool)
    }
}

impl Strategy for CapacityWeighted {
    deaf!();

    fn choose(&mut self, world: &mut World, tenant: usize, _: Duration) -> Option<usize> {
        let pools = with_room(world, tenant);
        // A value's part of both: what is higher, or lower, is better by as much as its part.
        let part = |mine: f64, other: f64| {
            if mine + other > 0.0 {
                mine / (mine + other)
            } else {
                0.5
            }
        };
        let order = |a: usize, b: usize| {
            let (a, b) = (&world.pools[a], &world.pools[b]);
            let volumes = 1.0 - part(f64::from(a.volumes), f64::from(b.volumes));
            let free = part(a.free() as f64, b.free() as f64);
            let score = 25.0 * volumes + 40.0 * free;
            score.total_cmp(&32.5)
        };
        best(&mut self.rng, &pools, order)
    }
}
