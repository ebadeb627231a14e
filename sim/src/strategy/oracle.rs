//! The oracle: it knows every pool's true model and present load, volumes that are bound and have not begun included, and
//! what the new volume will do while it is calm. It does not know the future. It is greedy: it puts a volume where the
//! sum of all tenants' 99th percentiles grows least, and where it breaks no objective if there is such a pool.

use std::time::Duration;

use super::{Hears, Strategy};
use crate::distribution::{Distribution, narrow, quantile};
use crate::pool::{Pool, State};
use crate::queue::Demand;
use crate::report::Report;
use crate::tenant::Tenant;
use crate::world::World;
use weir_agent_ebpf::scale::BUCKETS;

/// What it remembers of each pool.
#[derive(Default)]
pub(crate) struct Oracle {
    known: Vec<Known>,
    /// Volumes that are bound, with what they will do, by pool.
    bound: Vec<Vec<(usize, Demand)>>,
}

/// A pool as it is now.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Of the pool when this was computed, and how many volumes were bound: it holds as long as these do.
    version: Option<(u32, usize)>,
    p99: f64,
}

/// So many pools are looked at in earnest. Beyond, they are sorted by what they are without the volume, which is never more
/// than with it.
const MOST: usize = 200;

impl Strategy for Oracle {
    fn hears(&self) -> Hears {
        Hears::Nothing
    }

    fn hear(&mut self, _: &Report, _: Duration) {}

    fn choose(&mut self, world: &mut World, tenant: usize, _: Duration) -> Option<usize> {
        let count = world.pools.len();
        self.known.resize(count, Known::default());
        self.bound.resize(count, Vec::new());
        let asked = &world.tenants[tenant];
        let (size, new) = (asked.size, asked.calm);
        let most = asked
            .objective
            .map(|objective| objective.as_secs_f64() * 1e9);
        let mut order: Vec<(f64, usize)> = Vec::new();
        for index in 0..count {
            if world.pools[index].free() >= size {
                order.push((self.p99(&world.pools[index], index), index));
            }
        }
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut best: Option<(bool, f64, usize)> = None;
        for (looked_at, (before, index)) in order.into_iter().enumerate() {
            // The cost is at least what the newcomer's own 99th percentile is.
            let is_settled =
                best.is_some_and(|(breaks, cost, _)| !breaks && cost <= before * 1.005);
            if is_settled || looked_at >= MOST {
                break;
            }
            let pool = &world.pools[index];
            let demands = self.demands(pool, index);
            let volumes = demands.len() as f64;
            let with: Vec<Demand> = demands.into_iter().chain([new]).collect();
            let after = p99(pool, &with);
            let cost = (volumes + 1.0) * after.all - volumes * before;
            let breaks = most.is_some_and(|most| after.reads > most || after.writes > most);
            if best.is_none_or(|best| (breaks, cost) < (best.0, best.1)) {
                best = Some((breaks, cost, index));
            }
        }
        best.map(|(_, _, index)| index)
    }

    fn bound(&mut self, pool: usize, index: usize, tenant: &Tenant, _: Duration) {
        if self.bound.len() <= pool {
            self.bound.resize(pool + 1, Vec::new());
        }
        self.bound[pool].push((index, tenant.calm));
    }

    fn gone(&mut self, pool: usize, index: usize, _: &Tenant) {
        self.bound[pool].retain(|(bound, _)| *bound != index);
    }
}

/// 99th percentiles, in nanoseconds.
#[derive(Clone, Copy)]
struct P99 {
    reads: f64,
    writes: f64,
    all: f64,
}

impl Oracle {
    /// What each volume of a pool does now, or will do as soon as it begins.
    fn demands(&self, pool: &Pool, index: usize) -> Vec<Demand> {
        let now = |volume: usize| {
            let mut active = pool.active.iter().filter(|(member, _)| *member == volume);
            active.next().map(|(_, demand)| *demand)
        };
        let bound = self.bound[index].iter();
        bound
            .map(|(volume, calm)| now(*volume).unwrap_or(*calm))
            .collect()
    }

    fn p99(&mut self, pool: &Pool, index: usize) -> f64 {
        let version = Some((pool.stamp, self.bound[index].len()));
        if self.known[index].version != version {
            let demands = self.demands(pool, index);
            let p99 = p99(pool, &demands).all;
            self.known[index] = Known { version, p99 };
        }
        self.known[index].p99
    }
}

/// Of a pool with these demands: with its garbage collection, for as much of the time as it will take.
fn p99(pool: &Pool, demands: &[Demand]) -> P99 {
    let idle = Demand {
        rate: 1e-3,
        reads: 0.7,
        depth: 1.0,
    };
    let demands = if demands.is_empty() {
        std::slice::from_ref(&idle)
    } else {
        demands
    };
    let state = |is_collecting: bool| {
        State::of(
            &pool.disk,
            pool.times(is_collecting),
            demands.iter().copied(),
        )
    };
    let (calm, collecting) = (state(false), state(true));
    let collects = pool.disk.collects;
    let between = collects.every_writes / calm.flow.rates.1.max(1e-3);
    let lasts = collects.lasts.as_secs_f64();
    let share = lasts / (lasts + between);
    let of = |parts: &[(&Distribution, f64)]| {
        let mut counts = [0.0; BUCKETS];
        for (distribution, weight) in parts {
            distribution.add_to(&mut counts, narrow(weight * 1e6));
        }
        quantile(&counts, 0, 0.99).unwrap_or(0.0)
    };
    let (calmly, collectingly) = (1.0 - share, share);
    let reads = calm.flow.rates.0 / (calm.flow.rates.0 + calm.flow.rates.1).max(1e-9);
    P99 {
        reads: of(&[(&*calm.reads, calmly), (&*collecting.reads, collectingly)]),
        writes: of(&[(&*calm.writes, calmly), (&*collecting.writes, collectingly)]),
        all: of(&[
            (&*calm.reads, calmly * reads),
            (&*collecting.reads, collectingly * reads),
            (&*calm.writes, calmly * (1.0 - reads)),
            (&*collecting.writes, collectingly * (1.0 - reads)),
        ]),
    }
}
