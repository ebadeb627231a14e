//! Tenants: what each volume is for, drawn once and the same for every strategy.

use std::time::Duration;

use fastrand::Rng;

use crate::draw::{Stream, exponential, normal, stream};
use crate::queue::Demand;
use crate::scenario::{Arrivals, Scenario};

/// A volume and who uses it.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    /// When it is created.
    pub(crate) created: Duration,
    /// Bytes.
    pub(crate) size: u64,
    /// What it does while it is calm.
    pub(crate) calm: Demand,
    /// What it does in a burst; `None`: it has none.
    pub(crate) burst: Option<Demand>,
    /// How long it takes from the bind to the first I/O.
    pub(crate) start: Duration,
    /// What 99 of 100 I/Os are to take at most.
    pub(crate) objective: Option<Duration>,
    /// How long it lives.
    pub(crate) lifetime: Option<Duration>,
    /// Whether it is there at the beginning.
    pub(crate) is_existing: bool,
    /// Bursts are drawn from it as they come.
    pub(crate) rng: Rng,
}

impl Tenant {
    fn draw(scenario: &Scenario, seed: u64, index: usize, created: Duration) -> Self {
        let tenants = &scenario.tenants;
        let mut rng = stream(seed, Stream::Tenant, index);
        let (fewest, most) = tenants.reads;
        let calm = Demand {
            rate: tenants.rate * (tenants.spread * normal(&mut rng)).exp(),
            reads: fewest + (most - fewest) * rng.f64(),
            depth: tenants.depth,
        };
        let is_bursty = rng.f64() < tenants.bursty;
        let burst = Demand {
            rate: calm.rate * tenants.burst_times,
            ..calm
        };
        let gib = tenants.sizes[rng.usize(..tenants.sizes.len())];
        let start = exponential(&mut rng, tenants.start);
        let has_objective = rng.f64() < tenants.with_objective;
        let objective = tenants.objectives[rng.usize(..tenants.objectives.len())];
        let lifetime = scenario.lifetime.map(|mean| exponential(&mut rng, mean));
        Tenant {
            created,
            size: gib << 30,
            calm,
            burst: is_bursty.then_some(burst),
            start,
            objective: has_objective.then_some(objective),
            lifetime,
            is_existing: false,
            rng,
        }
    }
}

/// Every tenant of a scenario, in the order in which they are created.
pub(crate) fn all(scenario: &Scenario, seed: u64, capacity: u64) -> Vec<Tenant> {
    let mut tenants = Vec::new();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of volumes"
    )]
    let existing = (scenario.existing * scenario.pools as f64) as usize;
    for index in 0..existing {
        let tenant = Tenant::draw(scenario, seed, index, Duration::ZERO);
        tenants.push(Tenant {
            is_existing: true,
            lifetime: None,
            start: Duration::ZERO,
            ..tenant
        });
    }
    let mut arrivals = stream(seed, Stream::Arrivals, 0);
    let mut more = |created: Duration| {
        let index = tenants.len();
        tenants.push(Tenant::draw(scenario, seed, index, created));
        tenants[index].size
    };
    match scenario.arrivals {
        Arrivals::Burst { at, count } => (0..count).for_each(|_| {
            more(at);
        }),
        Arrivals::Number(count) => {
            let mean = scenario.length / (count + 1);
            let mut at = Duration::ZERO;
            for _ in 0..count {
                at += exponential(&mut arrivals, mean);
                if at < scenario.length {
                    more(at);
                }
            }
        }
        Arrivals::Poisson { fill, during } => {
            let sizes = scenario.tenants.sizes;
            let mean_size =
                sizes.iter().sum::<u64>() as f64 / sizes.len() as f64 * f64::from(1 << 30);
            let room = fill * capacity as f64;
            let length = scenario.length.mul_f64(during);
            let mean = length.div_f64(room / mean_size);
            let (mut at, mut taken) = (Duration::ZERO, 0.0);
            while at < length && taken < room {
                taken += more(at) as f64;
                at += exponential(&mut arrivals, mean);
            }
        }
    }
    tenants
}
