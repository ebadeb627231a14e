//! Ours: the function that the controller calls, on what it would know.

use std::collections::BTreeSet;
use std::time::Duration;

use weir_api::latency::Rung;
use weir_api::names::{NodeName, ObjectName};
use weir_api::units::Bytes;
use weir_placement::model::{self, Calibration, Counts, Line};
use weir_placement::{Climate, Health, Holds, Phantoms, PoolModel, PoolView, VolumeView, place};

use super::{Hears, Strategy};
use crate::distribution::{narrow, quantile};
use crate::draw::{Stream, normal, stream};
use crate::pool::{Pool, State};
use crate::queue::Demand;
use crate::report::{self, Report};
use crate::tenant::Tenant;
use crate::world::World;

/// What the controller knows.
pub(crate) struct Ours {
    seed: u64,
    pools: Vec<PoolView>,
    models: Vec<PoolModel>,
    /// Which were heard of since their figures were computed.
    heard: Vec<bool>,
    phantoms: Phantoms,
    /// Pools that a phantom stands on.
    expecting: BTreeSet<usize>,
    climate: Climate,
    computed: Option<Duration>,
    count: u64,
}

/// How often figures are computed, at most.
const EVERY: Duration = Duration::from_secs(1);

impl Ours {
    pub(crate) fn new(seed: u64, pools: &[Pool]) -> Self {
        let view = |(index, pool): (usize, &Pool)| view(index, pool);
        let mut rng = stream(seed, Stream::Choice, 4);
        let model = |pool: &Pool| PoolModel::new(Some(calibrate(pool, &mut rng)), Duration::ZERO);
        Ours {
            seed,
            pools: pools.iter().enumerate().filter_map(view).collect(),
            models: pools.iter().map(model).collect(),
            heard: vec![true; pools.len()],
            phantoms: Phantoms::default(),
            expecting: BTreeSet::new(),
            climate: Climate::default(),
            computed: None,
            count: 0,
        }
    }

    /// Brings the figures up to date, as the controller does on a timer.
    fn compute(&mut self, now: Duration) {
        if self
            .computed
            .is_some_and(|at| now.saturating_sub(at) < EVERY)
        {
            return;
        }
        self.computed = Some(now);
        self.phantoms.tidy(now);
        for (index, pool) in self.pools.iter_mut().enumerate() {
            let is_stale = now.saturating_sub(self.models[index].heard_at()) > model::STALE;
            if std::mem::take(&mut self.heard[index]) || is_stale {
                let phantom = pool.live.phantom;
                pool.live = self.models[index].figures(now);
                pool.live.phantom = phantom;
            }
        }
        // Of ten thousand pools, few.
        let (pools, phantoms) = (&mut self.pools, &self.phantoms);
        self.expecting.retain(|index| {
            let phantom = phantoms.on(&pools[*index].name, now);
            pools[*index].live.phantom = phantom;
            phantom > 0.0
        });
        self.climate = Climate::of(&self.pools);
    }
}

impl Strategy for Ours {
    fn hears(&self) -> Hears {
        Hears::Reports
    }

    fn hear(&mut self, report: &Report, now: Duration) {
        let told = model::Report {
            span: report.span,
            age: now.saturating_sub(report.at),
            rung: Rung::Ebpf,
            reads: told(&report.reads),
            writes: told(&report.writes),
            in_flight: report.in_flight,
            failed: 0,
        };
        self.models[report.pool].hear(&told, now);
        self.heard[report.pool] = true;
    }

    fn choose(&mut self, world: &mut World, tenant: usize, now: Duration) -> Option<usize> {
        self.compute(now);
        let asked = volume(&world.tenants[tenant]);
        self.count += 1;
        let seed = self.seed ^ (self.count << 32);
        place(&self.pools, &self.climate, &asked, &Holds::default(), seed).winner
    }

    fn bound(&mut self, pool: usize, _: usize, tenant: &Tenant, now: Duration) {
        let view = &mut self.pools[pool];
        view.booked = view.booked.plus(&volume(tenant).usage(&view.node));
        self.phantoms.add(&view.name, self.climate.of_one, now);
        view.live.phantom += self.climate.of_one;
        self.expecting.insert(pool);
    }

    fn gone(&mut self, pool: usize, _: usize, tenant: &Tenant) {
        let view = &mut self.pools[pool];
        view.booked = view.booked.minus(&volume(tenant).usage(&view.node));
    }
}

fn told(counts: &report::Counts) -> Counts<'_> {
    Counts {
        buckets: &counts.buckets,
        unbucketed: 0,
        sum_ns: counts.sum_ns,
    }
}

/// A pool as its object would tell.
fn view(index: usize, pool: &Pool) -> Option<PoolView> {
    let (name, node) = (format!("pool-{index:05}"), format!("node-{index:05}"));
    let (name, node): (ObjectName, NodeName) = (name.parse().ok()?, node.parse().ok()?);
    let mut view = PoolView::named(name, node);
    view.health = Health::Ready;
    view.space.capacity = Bytes(pool.disk.capacity);
    view.space.free = Bytes(pool.disk.capacity);
    Some(view)
}

/// A volume as its object would tell.
fn volume(tenant: &Tenant) -> VolumeView {
    let most = tenant
        .objective
        .map(|most| narrow(most.as_secs_f64() * 1e6));
    VolumeView {
        size: Bytes(tenant.size),
        read_p99: most,
        write_p99: most,
        ..VolumeView::default()
    }
}

/// What an agent finds out about a pool that is new: the 99th percentiles with one I/O in flight and with many, each measured
/// to a tenth.
fn calibrate(pool: &Pool, rng: &mut fastrand::Rng) -> Calibration {
    const MANY: f64 = 32.0;
    let mut line = |reads: f64| {
        let mut at = |depth: f64| {
            let demand = Demand {
                rate: 1e9,
                reads,
                depth,
            };
            let state = State::of(&pool.disk, pool.times(false), std::iter::once(demand));
            let distribution = if reads > 0.5 {
                &*state.reads
            } else {
                &*state.writes
            };
            let counts: Vec<f32> = distribution.iter().map(|(_, share)| share * 1e6).collect();
            let p99 = quantile(&counts, distribution.first, 0.99);
            let measured = p99.unwrap_or(0.0) / 1e3 * (0.1 * normal(rng)).exp();
            (state.flow.in_flight, measured)
        };
        let ((few, low), (many, high)) = (at(1.0), at(MANY));
        let slope = ((high - low) / (many - few).max(1.0)).max(0.0);
        Line {
            base: narrow(low - slope * few),
            slope: narrow(slope),
        }
    };
    Calibration {
        reads: line(1.0),
        writes: line(0.0),
    }
}
