//! `weir status`.

mod summary;
mod text;

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use weir_api::crd::{Snapshot, StoragePool, Tombstone, Volume, VolumeMigration, VolumeSet};
use weir_api::names::{CONTROLLER_LEASE, CONTROLLER_NAMESPACE, LEASE_NAMESPACE};

use crate::connect::{ApiArguments, Connection};
use crate::node_facts;
use crate::output::Output;
use summary::{Cluster, Summary};

/// `weir status`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    api: ApiArguments,
    /// What goes to standard output
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Looks once, and tells.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let connection = arguments.api.connect().await?;
    let summary = look(&connection).await?;
    arguments.output.show(&summary, text::screen)
}

async fn look(connection: &Connection) -> Result<Summary> {
    let leases = connection.within::<Lease>(CONTROLLER_NAMESPACE);
    let election = connection.get(&leases, CONTROLLER_LEASE).await?;
    let leases = connection.within::<Lease>(LEASE_NAMESPACE);
    let leases = connection.list(&leases, "").await?;
    let nodes: Vec<Node> = connection.list(&connection.all(), "").await?;
    let cordoned: BTreeSet<String> = nodes
        .iter()
        .filter(|node| node_facts::is_cordoned(node))
        .filter_map(|node| node.metadata.name.clone())
        .collect();
    let pools: Vec<StoragePool> = connection.list(&connection.all(), "").await?;
    let cluster = Cluster {
        now: Timestamp::now(),
        election: election.as_ref(),
        leases: &leases,
        cordoned: &cordoned,
        pools: &pools,
    };
    let mut gathering = cluster.gather();
    let volumes = connection.all::<Volume>();
    connection
        .each(&volumes, "", |page| {
            page.iter().for_each(|volume| gathering.volume(volume))
        })
        .await?;
    let tombstones = connection.all::<Tombstone>();
    connection
        .each(&tombstones, "", |page| {
            page.iter().for_each(|one| gathering.tombstone(one));
        })
        .await?;
    let snapshots = connection.list(&connection.all::<Snapshot>(), "").await?;
    let sets = connection.list(&connection.all::<VolumeSet>(), "").await?;
    let migrations = connection
        .list(&connection.all::<VolumeMigration>(), "")
        .await?;
    for one in &snapshots {
        gathering.other(
            one,
            one.status.as_ref().map(|status| &status.conditions[..]),
        );
    }
    for one in &sets {
        gathering.other(
            one,
            one.status.as_ref().map(|status| &status.conditions[..]),
        );
    }
    for one in &migrations {
        gathering.other(
            one,
            one.status.as_ref().map(|status| &status.conditions[..]),
        );
    }
    Ok(gathering.finish())
}
