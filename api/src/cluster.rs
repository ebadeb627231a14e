//! Whose pools a node has, and the order to take another cluster for their owner, as an agent takes it on its local
//! socket.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::names::ObjectName;

/// `GET`: [`Clusters`].
pub const SHOW: &str = "/v1/cluster";
/// `POST` an [`Accept`]: [`crate::orphan::Done`].
pub const ACCEPT: &str = "/v1/cluster/accept";

/// Which clusters an agent knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clusters {
    /// The cluster whose API it follows, if it could be asked now.
    pub api: Option<Uuid>,
    /// The pools that it keeps, by name.
    pub pools: Vec<OwnedPool>,
}

/// A pool and the cluster that owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnedPool {
    /// Its name.
    pub name: ObjectName,
    /// The UID of its cluster's namespace `kube-system`; nobody's, if no API ever asked for it.
    pub cluster: Option<Uuid>,
}

/// An order to heed another cluster from now on: all pools of the node are its own. It names the cluster, so that no
/// other one is accepted by mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Accept {
    /// The UID of its namespace `kube-system`.
    pub cluster: Uuid,
}
