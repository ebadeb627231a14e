//! The demo's volumes: asked for with kubectl, placed by the controller.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::cluster::{Cluster, list};
use crate::scene::{consumer, storage};
use crate::vm::guest::Guest;

/// A volume that is used.
pub(super) struct Volume {
    pub(super) name: &'static str,
    id: &'static str,
    pub(super) path: Path,
    /// The storage node it is on.
    pub(super) node: usize,
    /// Its device where it is used.
    pub(super) device: String,
}

/// How a volume is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    Local,
    NvmeTcp,
}

/// A volume to ask for.
struct Wish {
    name: &'static str,
    id: &'static str,
    provisioning: &'static str,
    path: Path,
}

const WISHES: [Wish; 4] = [
    Wish {
        name: "linear-local",
        id: "1b0e6bd2-6a4f-4a52-8d0e-6f2f3c5e0001",
        provisioning: "thick",
        path: Path::Local,
    },
    Wish {
        name: "thin-local",
        id: "1b0e6bd2-6a4f-4a52-8d0e-6f2f3c5e0002",
        provisioning: "thin",
        path: Path::Local,
    },
    Wish {
        name: "linear-remote",
        id: "1b0e6bd2-6a4f-4a52-8d0e-6f2f3c5e0003",
        provisioning: "thick",
        path: Path::NvmeTcp,
    },
    Wish {
        name: "thin-remote",
        id: "1b0e6bd2-6a4f-4a52-8d0e-6f2f3c5e0004",
        provisioning: "thin",
        path: Path::NvmeTcp,
    },
];

impl Path {
    /// The word for it in the demo's JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Path::Local => "local",
            Path::NvmeTcp => "nvme-tcp",
        }
    }
}

impl Wish {
    fn object(&self) -> Value {
        let (user, placement) = match self.path {
            Path::Local => (storage::NODE, local(storage::NODE)),
            Path::NvmeTcp => (consumer::NODE, json!({})),
        };
        json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": self.name},
            "spec": {
                "id": self.id,
                "capacityBytes": 128_u64 << 20,
                "provisioning": self.provisioning,
                "placement": placement,
                "attachments": [{"nodeName": user, "generation": 1}],
            },
        })
    }
}

/// Where a volume has to be that is used on the node that has it.
pub(super) fn local(node: &str) -> Value {
    json!({"locality": "MustLocal", "consumerNode": node})
}

/// Applies the volumes, waits until they are served, and connects to them.
pub(super) fn apply(cluster: &Cluster<'_>) -> Result<Vec<Volume>> {
    let plane = cluster.plane();
    plane.apply(&list(&WISHES.each_ref().map(Wish::object)))?;
    let volume = |wish: Wish| -> Result<Volume> {
        let object = format!("wvol {}", wish.name);
        let mut served = plane.wait(&object, "\"phase\":\"Ready\"")?;
        if wish.path == Path::NvmeTcp {
            served = plane.wait(&object, &format!(":host:{}:1\"", consumer::NODE))?;
        }
        let pool = served["spec"]["poolName"].as_str();
        let status = &served["status"];
        let device = match wish.path {
            Path::Local => {
                let path = status["devicePath"].as_str();
                path.context("no devicePath")?.to_owned()
            }
            Path::NvmeTcp => consumer::connect(cluster.consumer(), status)?,
        };
        Ok(Volume {
            name: wish.name,
            id: wish.id,
            path: wish.path,
            node: Cluster::node_of(pool.context("no poolName")?)?,
            device,
        })
    };
    WISHES.into_iter().map(volume).collect()
}

impl Volume {
    /// The node that uses it.
    pub(super) fn user<'a>(&self, cluster: &'a Cluster<'_>) -> &'a Guest {
        match self.path {
            Path::Local => cluster.storage_guest(self.node),
            Path::NvmeTcp => cluster.consumer(),
        }
    }

    /// Ends its use over the network.
    pub(super) fn disconnect(&self, cluster: &Cluster<'_>) -> Result<()> {
        if self.path == Path::Local {
            return Ok(());
        }
        let disconnect = format!("nvmet disconnect nqn.2026-11.dev.weir:{}", self.id);
        cluster.consumer().sh(&disconnect).map(drop)
    }
}
