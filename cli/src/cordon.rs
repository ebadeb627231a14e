//! `weir cordon` and `weir uncordon`.

pub(crate) mod plan;

use anyhow::Result;
use clap::Args;
use k8s_openapi::api::core::v1::Node;
use serde_json::json;
use weir_api::crd::StoragePool;

use crate::connect::{ApiArguments, Connection};
use crate::fetch::FetchError;
use crate::node_facts;
use crate::output::Output;
use crate::target::TargetArguments;
use plan::{Cordon, Plan};

/// `weir cordon`, `weir uncordon` and `weir drain`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    #[command(flatten)]
    pub(crate) api: ApiArguments,
    /// What goes to standard output
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// Does it, and tells what changed.
pub(crate) async fn run(arguments: &Arguments, wanted: Cordon) -> Result<()> {
    let target = arguments.target.target()?;
    let connection = arguments.api.connect().await?;
    let pools = target.pools(&connection).await?;
    let plan = make(&connection, &pools, wanted).await?;
    apply(&connection, &plan).await?;
    arguments.output.show(&plan, Plan::text)
}

/// A plan for these pools.
async fn make(
    connection: &Connection,
    pools: &[StoragePool],
    wanted: Cordon,
) -> Result<Plan, FetchError> {
    let mut plan = Plan::of(pools, wanted);
    if wanted == Cordon::Off {
        for node in plan.nodes() {
            let object = connection.get(&connection.all::<Node>(), &node).await?;
            if object.is_some_and(|node| node_facts::is_cordoned(&node)) {
                plan.node_is_cordoned(&node);
            }
        }
    }
    Ok(plan)
}

/// Carries it out. One field of each pool is merged in, so that nothing else of it can be undone by this; what
/// was done before an error stays, and the command may be given again.
pub(crate) async fn apply(connection: &Connection, plan: &Plan) -> Result<(), FetchError> {
    let all = connection.all::<StoragePool>();
    for change in plan.changes() {
        let body = json!({"spec": {"unschedulable": plan.wanted == Cordon::On}});
        connection.merge(&all, &change.name, &body).await?;
    }
    Ok(())
}
