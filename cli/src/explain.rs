//! `weir explain`.

mod explanation;
mod text;
mod told;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::jiff::Timestamp;
use weir_api::crd::{StoragePool, Tombstone, Volume};
use weir_api::names::{CONTROLLER_LEASE, CONTROLLER_NAMESPACE, LEASE_NAMESPACE, ObjectName};

use crate::connect::{ApiArguments, Connection};
use crate::lease::{Agent, Controller};
use crate::node_facts;
use crate::output::Output;
use crate::pool_state::PoolState;
use explanation::{Explanation, Known};

/// The namespace of events about what belongs to none.
const EVENTS: &str = "default";

/// `weir explain`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What a volume waits for, and what to do next
    #[command(after_help = "\
Examples:
  weir explain volume pg-data
  weir explain volume pg-data -o json | jq -r .waitsFor.reason")]
    Volume(OfVolume),
}

#[derive(Debug, Args)]
struct OfVolume {
    /// The volume's name
    #[arg(value_name = "NAME")]
    name: ObjectName,
    #[command(flatten)]
    api: ApiArguments,
    /// What goes to standard output
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Looks once, and tells.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let What::Volume(wanted) = &arguments.what;
    let connection = wanted.api.connect().await?;
    let explanation = look(&connection, wanted.name.as_str()).await?;
    wanted.output.show(&explanation, text::page)
}

async fn look(connection: &Connection, name: &str) -> Result<Explanation> {
    let volume = connection.get(&connection.all::<Volume>(), name).await?;
    let Some(volume) = volume else {
        return Err(why_not_there(connection, name).await?);
    };
    let now = Timestamp::now();
    let leases = connection.within::<Lease>(CONTROLLER_NAMESPACE);
    let election = connection.get(&leases, CONTROLLER_LEASE).await?;
    let pool = match &volume.spec.pool_name {
        Some(pool) => {
            connection
                .get(&connection.all::<StoragePool>(), pool.as_str())
                .await?
        }
        None => None,
    };
    let pool = match &pool {
        Some(pool) => Some(pool_state(connection, pool, now).await?),
        None => None,
    };
    let about = format!("regarding.kind=Volume,regarding.name={name}");
    let events: Vec<Event> = connection.list(&connection.within(EVENTS), &about).await?;
    Ok(Explanation::of(&Known {
        volume: &volume,
        pool,
        controller: Controller::of(election.as_ref(), now),
        events: &events,
        now,
    }))
}

/// There is no volume of that name: it may have been deleted, and its data wait for its node.
async fn why_not_there(connection: &Connection, name: &str) -> Result<anyhow::Error> {
    let tombstones: Vec<Tombstone> = connection.list(&connection.all(), "").await?;
    let mut tombstones = tombstones
        .iter()
        .filter(|one| one.spec.volume_name.as_str() == name);
    let Some(tombstone) = tombstones.next() else {
        let missing = connection.need(&connection.all::<Volume>(), name).await;
        return Ok(match missing {
            Ok(_) => anyhow!("volume `{name}` was created just now: ask again"),
            Err(error) => error.into(),
        });
    };
    let (pool, called) = (&tombstone.spec.pool_name, &tombstone.metadata.name);
    Ok(anyhow!(
        "volume `{name}` was deleted, and its object is gone. What pool {pool} holds of it is to be destroyed: `weir \
         status` says what tombstone {} waits for",
        called.as_deref().unwrap_or_default()
    ))
}

async fn pool_state(
    connection: &Connection,
    pool: &StoragePool,
    now: Timestamp,
) -> Result<PoolState> {
    let node = &pool.spec.node_name;
    let leases = connection.within::<Lease>(LEASE_NAMESPACE);
    let lease = connection.get(&leases, node.agent_lease()).await?;
    let agent = Agent::of(node, lease.as_ref(), now);
    // A standalone API has the nodes that somebody made.
    let object = connection
        .get(&connection.all::<Node>(), node.as_str())
        .await?;
    let is_node_cordoned = object.is_some_and(|node| node_facts::is_cordoned(&node));
    Ok(PoolState::of(pool, agent, is_node_cordoned))
}
