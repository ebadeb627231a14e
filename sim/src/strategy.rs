//! Strategies: ways to choose a pool.

use std::time::Duration;

use crate::report::Report;
use crate::tenant::Tenant;
use crate::world::World;

/// What a strategy hears of pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hears {
    /// Nothing but what was bound to them.
    Nothing,
    /// What agents tell.
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
