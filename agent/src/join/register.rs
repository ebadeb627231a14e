//! The pools that the agent's configuration names, and those that a person orders back: their objects are created
//! where there are none.
//!
//! The configuration is a standing order: an object that vanishes, by whomever, is created again at once. One that is
//! there is the truth, and is left as it is; where it says something else, that is told. Nothing is created before
//! the engine heeded this very API, and nothing at all in a foreign cluster's.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::Value;
use weir_api::crd::StoragePoolSpec;
use weir_api::manifest::PoolManifest;
use weir_api::names::{NodeName, ObjectName};

use super::back_off::BackOff;
use super::error::{JoinError, answered};
use super::follow::identity;
use super::known::Kind;
use super::shared::{Shared, State};
use crate::chain;
use crate::cluster::ClusterId;

/// Creates the objects of these pools whenever they are not there.
pub(super) async fn register(shared: &Arc<Shared>, client: &Client, pools: &[PoolManifest]) {
    let mut pause = BackOff::default();
    let mut told: BTreeMap<ObjectName, String> = BTreeMap::new();
    // The generation of each object that was looked at.
    let mut seen: BTreeMap<ObjectName, i64> = BTreeMap::new();
    if pools.is_empty() {
        return std::future::pending().await;
    }
    loop {
        let mut failed = false;
        for pool in pools {
            let Some((cluster, there)) = due(&shared.lock(), pool, &seen) else {
                continue;
            };
            let result = match there {
                None => create(client, cluster, &pool.object).await.map(drop),
                Some(_) => Ok(()),
            };
            let result = match result {
                Ok(()) => compare(client, &shared.node, pool).await,
                Err(error) => Err(error),
            };
            let said = match result {
                Ok(said) => {
                    seen.insert(pool.name.clone(), there.unwrap_or_default());
                    said
                }
                Err(error) => {
                    failed = true;
                    Some(chain(&error))
                }
            };
            let name = pool.name.as_str();
            match said {
                Some(said) if told.get(&pool.name) != Some(&said) => {
                    tracing::warn!(pool = name, "{said}");
                    told.insert(pool.name.clone(), said);
                }
                Some(_) => {}
                None => {
                    told.remove(&pool.name);
                }
            }
        }
        if failed {
            tokio::time::sleep(pause.next()).await;
        } else {
            pause = BackOff::default();
            shared.to_register.notified().await;
        }
    }
}

/// Whether something is to be done about a pool: in which cluster, and the generation of its object, if there is one.
fn due(
    state: &State,
    pool: &PoolManifest,
    seen: &BTreeMap<ObjectName, i64>,
) -> Option<(ClusterId, Option<i64>)> {
    let cluster = state.heeded()?;
    let known = state.cache.known(Kind::Pool, pool.name.as_str());
    let generation = known.map(|known| known.generation.unwrap_or_default());
    if generation.is_some() && seen.get(&pool.name) == generation.as_ref() {
        return None;
    }
    Some((cluster, generation))
}

/// Creates a StoragePool in that cluster's API; says whether there was none. One that was created meanwhile stays.
pub(super) async fn create(
    client: &Client,
    cluster: ClusterId,
    pool: &Value,
) -> Result<bool, JoinError> {
    if identity(client).await? != cluster {
        return Err(JoinError::Moved);
    }
    let pools: Api<DynamicObject> = Api::all_with(client.clone(), &Kind::Pool.resource());
    let object = serde_json::from_value(pool.clone()).map_err(JoinError::Object)?;
    let params = PostParams::default();
    match answered("create a StoragePool", pools.create(&params, &object)).await {
        Ok(object) => {
            tracing::info!(pool = object.metadata.name, "created in the API");
            Ok(true)
        }
        Err(error) if error.code() == Some(409) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What of an object that is there is to be told.
async fn compare(
    client: &Client,
    node: &NodeName,
    pool: &PoolManifest,
) -> Result<Option<String>, JoinError> {
    let pools: Api<DynamicObject> = Api::all_with(client.clone(), &Kind::Pool.resource());
    let object = answered("read a StoragePool", pools.get(pool.name.as_str())).await?;
    let spec = object.data["spec"].clone();
    let spec: StoragePoolSpec = serde_json::from_value(spec).map_err(JoinError::Object)?;
    if spec.node_name != *node {
        return Ok(Some(format!(
            "the API has a pool of this name on node `{}`: this one is not created; give it another name",
            spec.node_name
        )));
    }
    let differences = pool.differences(&spec);
    if differences.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "the API's object stands, and the configuration differs from it: {}",
        differences.join(", ")
    )))
}
