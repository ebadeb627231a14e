//! Clusters: whose API a node heeds.
//!
//! A pool stores the identity of the cluster that owns it. The API that asks for things may be another one's:
//! its store was emptied, a wrong kubeconfig was put there, a node was moved. Nothing it says, or fails to
//! say, concerns what is here then.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_api::cluster::{Clusters, OwnedPool};

use crate::record::{PoolRecord, Records};
use crate::requests::Requests;

/// Which cluster: the UID of its namespace `kube-system`, which is made with it and never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub Uuid);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What of `requests` this node heeds: nothing if they are another cluster's than that of a recorded pool.
/// What is asked for is unknown then, not absent.
#[must_use]
pub fn heeded<'a>(requests: &'a Requests, records: &Records) -> Cow<'a, Requests> {
    let Some(asking) = requests.cluster else {
        return Cow::Borrowed(requests);
    };
    let mut pools = records.pools.values();
    let foreign = pools.find_map(|pool| {
        let owner = pool.cluster.filter(|owner| *owner != asking)?;
        Some((&pool.name, owner))
    });
    let Some((pool, owner)) = foreign else {
        return Cow::Borrowed(requests);
    };
    let message = format!(
        "the API is that of cluster {asking}, and pool `{pool}` belongs to cluster {owner}: nothing it says is \
         heeded. Give the agent its own cluster's kubeconfig; or, if that cluster is lost and this one takes its \
         place, order so on this node: weir cluster accept {asking}"
    );
    Cow::Owned(Requests {
        unreadable: Some(message.clone()),
        foreign: Some(message),
        ..Requests::default()
    })
}

/// What an order to heed another cluster comes to: the records of pools that change owners. None of them is written
/// yet: until all are, either cluster is a foreign one to some pool, and nothing is heeded.
///
/// # Errors
/// Says why it can't be carried out.
pub fn accepted(
    wanted: ClusterId,
    requests: &Requests,
    records: &Records,
) -> Result<Vec<PoolRecord>, String> {
    let Some(asking) = requests.cluster else {
        return Err("there is no API that answers, so nobody knows whose it is".to_owned());
    };
    if asking != wanted {
        return Err(format!(
            "the API is that of cluster {asking}, and not of {wanted}"
        ));
    }
    if let Some(error) = &requests.unreadable {
        return Err(format!("it is not known what the API asks for: {error}"));
    }
    if let Some((pool, broken)) = records.broken_pools.iter().next() {
        return Err(format!(
            "nobody knows whose pool `{pool}` is: {}: {}",
            broken.path.display(),
            broken.reason
        ));
    }
    let others = records.pools.values();
    let others = others.filter(|pool| pool.cluster != Some(wanted));
    let accepted = others.map(|pool| PoolRecord {
        cluster: Some(wanted),
        ..pool.clone()
    });
    Ok(accepted.collect())
}

/// Which clusters are known here.
#[must_use]
pub fn known(requests: &Requests, records: &Records) -> Clusters {
    let pools = records.pools.values().map(|pool| OwnedPool {
        name: pool.name.clone(),
        cluster: pool.cluster.map(|cluster| cluster.0),
    });
    Clusters {
        api: requests.cluster.map(|cluster| cluster.0),
        pools: pools.collect(),
    }
}
