//! Clusters: whose API a node heeds.
//!
//! A pool stores the identity of the cluster that owns it. The API that asks for things may be another one's:
//! its store was emptied, a wrong kubeconfig was put there, a node was moved. Nothing it says, or fails to
//! say, concerns what is here then.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::record::Records;
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
         heeded; give the agent its own cluster's kubeconfig"
    );
    Cow::Owned(Requests {
        unreadable: Some(message.clone()),
        foreign: Some(message),
        ..Requests::default()
    })
}
