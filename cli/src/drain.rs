//! `weir drain`: for now, a cordon and a list of what is still there.

mod leftover;

use std::process::ExitCode;

use anyhow::Result;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use weir_api::crd::Volume;
use weir_api::names::LEASE_NAMESPACE;

use crate::connect::Connection;
use crate::cordon::plan::{Cordon, Plan};
use crate::cordon::{self, Arguments};
use crate::lease::Agent;
use crate::pool_state::PoolState;
use crate::target::Target;
use leftover::{Drain, Leftovers};

/// The exit code that says that volumes are there still: 1 and 2 say that the command failed.
pub(crate) const REMAINING: u8 = 3;

/// Cordons, and tells what is there.
pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let target = arguments.target.target()?;
    let connection = arguments.api.connect().await?;
    let drain = drain(&connection, &target).await?;
    arguments.output.show(&drain, Drain::text)?;
    Ok(match drain.is_empty {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(REMAINING),
    })
}

async fn drain(connection: &Connection, target: &Target) -> Result<Drain> {
    let plan = Plan::of(&target.pools(connection).await?, Cordon::On);
    cordon::apply(connection, &plan).await?;
    // Read again, and volumes after them: what was placed before the cordon is seen.
    let pools = target.pools(connection).await?;
    let now = Timestamp::now();
    let leases = connection.within::<Lease>(LEASE_NAMESPACE);
    let mut states = Vec::new();
    for pool in &pools {
        let node = &pool.spec.node_name;
        let lease = connection.get(&leases, node.agent_lease()).await?;
        let agent = Agent::of(node, lease.as_ref(), now);
        states.push(PoolState::of(pool, agent, false));
    }
    let mut leftovers = Leftovers::of(states);
    let volumes = connection.all::<Volume>();
    connection
        .each(&volumes, "", |page| {
            page.iter().for_each(|volume| leftovers.see(volume))
        })
        .await?;
    Ok(leftovers.after(plan, target.to_string()))
}
