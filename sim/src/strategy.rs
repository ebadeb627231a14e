//! Strategies: ways to choose a pool.

mod oracle;
mod ours;
mod simple;

use std::time::Duration;

use crate::report::Report;
use crate::scenario::Scenario;
use crate::tenant::Tenant;
use crate::world::World;
use crate::{pool, simulation};

use oracle::Oracle;
use ours::Ours;
use simple::{CapacityWeighted, Fullest, MostFree, PowerOfTwo, Random};

use crate::measure::Measured;

/// The strategies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The controller's.
    Ours,
    /// Greedy, and knows what nobody can.
    Oracle,
    /// Any pool.
    Random,
    /// The one of two with less in flight.
    PowerOfTwo,
    /// The emptiest.
    MostFree,
    /// The fullest that has room: LiteIO's.
    LiteIo,
    /// By weights of space and the number of volumes: Mayastor's.
    CapacityWeighted,
}

impl Name {
    /// All of them.
    pub const ALL: [Name; 7] = [
        Name::Ours,
        Name::Oracle,
        Name::Random,
        Name::PowerOfTwo,
        Name::MostFree,
        Name::LiteIo,
        Name::CapacityWeighted,
    ];

    /// What figures call it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Name::Ours => "ours",
            Name::Oracle => "oracle",
            Name::Random => "random",
            Name::PowerOfTwo => "power_of_two",
            Name::MostFree => "most_free",
            Name::LiteIo => "liteio",
            Name::CapacityWeighted => "capacity_weighted",
        }
    }
}

/// Lives through a scenario with a strategy.
#[must_use]
pub fn run(scenario: &'static Scenario, name: Name, seed: u64) -> Measured {
    let mut strategy: Box<dyn Strategy> = match name {
        Name::Ours => Box::new(Ours::new(seed, &pool::all(scenario, seed))),
        Name::Oracle => Box::new(Oracle::default()),
        Name::Random => Box::new(Random::new(seed)),
        Name::PowerOfTwo => Box::new(PowerOfTwo::new(seed, scenario.pools)),
        Name::MostFree => Box::new(MostFree::new(seed)),
        Name::LiteIo => Box::new(Fullest::new()),
        Name::CapacityWeighted => Box::new(CapacityWeighted::new(seed)),
    };
    simulation::run(scenario, seed, strategy.as_mut())
}

/// What a strategy hears of pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hears {
    /// Nothing but what was bound to them.
    Nothing,
    /// How much is in flight, of what agents tell.
    InFlight,
    /// All that agents tell.
    Reports,
}

/// A way to choose a pool. It is told everything that the cluster is told, and may look at the world; only the oracle
/// looks at what nobody can see.
pub(crate) trait Strategy {
    /// What it needs to hear.
    fn hears(&self) -> Hears;

    /// An agent told something of a pool.
    fn hear(&mut self, report: &Report, now: Duration);

    /// Chooses a pool that has room for a tenant's volume; `None`: it has to wait.
    fn choose(&mut self, world: &mut World, tenant: usize, now: Duration) -> Option<usize>;

    /// A volume is bound to a pool.
    fn bound(&mut self, pool: usize, index: usize, tenant: &Tenant, now: Duration);

    /// A volume is deleted.
    fn gone(&mut self, pool: usize, index: usize, tenant: &Tenant);
}
