//! A volume that somebody claims, and the requests about it.

use anyhow::Result;
use serde_json::{Value, json};

use super::cluster::{DURABLE, Node, text};
use crate::scene::plugin::KUBELET;
use crate::scene::storage::POOL;

/// What a pod has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Ext4,
    Xfs,
    Block,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) name: String,
    pub(super) form: Form,
    pub(super) mib: u64,
    /// The `access_mode`.
    pub(super) mode: &'static str,
    /// Of its StorageClass.
    pub(super) parameters: Value,
}

/// What there is.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) claim: Claim,
    pub(super) id: String,
    context: Value,
}

impl Claim {
    pub(super) fn new(name: &str, form: Form) -> Self {
        Claim {
            name: name.to_owned(),
            form,
            // No XFS is smaller than 300 MiB.
            mib: if form == Form::Xfs { 320 } else { 48 },
            mode: "SINGLE_NODE_WRITER",
            parameters: json!({"poolSelector": format!("disk={POOL}")}),
        }
    }

    /// On the pool whose disk has a volatile write cache, and whose portal can be taken away.
    pub(super) fn durable(self) -> Self {
        Claim {
            parameters: json!({"poolSelector": format!("disk={DURABLE}"), "reconnectDelay": "1"}),
            ..self
        }
    }

    pub(super) fn capability(&self) -> Value {
        let mode = json!({"mode": self.mode});
        match self.form {
            Form::Ext4 => json!({"mount": {"fs_type": "ext4"}, "access_mode": mode}),
            Form::Xfs => json!({"mount": {"fs_type": "xfs"}, "access_mode": mode}),
            Form::Block => json!({"block": {}, "access_mode": mode}),
        }
    }

    pub(super) fn create(&self) -> Value {
        json!({"ask": "CreateVolume", "with": {
            "name": self.name,
            "capacity_range": {"required_bytes": self.mib << 20},
            "volume_capabilities": [self.capability()],
            "parameters": self.parameters,
        }})
    }

    /// From what CreateVolume answered.
    pub(super) fn made(self, answer: &Value) -> Result<Made> {
        let volume = &answer["volume"];
        Ok(Made {
            claim: self,
            id: text(volume, "volume_id")?.to_owned(),
            context: volume["volume_context"].clone(),
        })
    }
}

impl Made {
    /// Where kubelet has it staged.
    pub(super) fn staging(&self) -> String {
        format!("{KUBELET}/plugins/{}", self.claim.name)
    }

    /// Where its pod has it.
    pub(super) fn target(&self) -> String {
        format!("{KUBELET}/pods/{}", self.claim.name)
    }

    /// The file, or the device, that its pod writes.
    pub(super) fn data(&self) -> String {
        match self.claim.form {
            Form::Block => self.target(),
            Form::Ext4 | Form::Xfs => format!("{}/data", self.target()),
        }
    }

    /// Its subsystem.
    pub(super) fn nqn(&self) -> String {
        format!("nqn.2026-11.dev.weir:{}", self.uuid())
    }

    fn uuid(&self) -> &str {
        self.id.rsplit('.').next().unwrap_or_default()
    }

    /// Its logical volume on the storage node.
    pub(super) fn lv(&self) -> String {
        let selector = self.claim.parameters["poolSelector"].as_str();
        let pool = selector.and_then(|selector| selector.strip_prefix("disk="));
        let pool = pool.unwrap_or(POOL);
        format!("/dev/weir-{pool}/w_{}", self.uuid().replace('-', ""))
    }

    pub(super) fn delete(&self) -> Value {
        json!({"ask": "DeleteVolume", "with": {"volume_id": self.id}})
    }

    pub(super) fn grant(&self, node: Node) -> Value {
        json!({"ask": "ControllerPublishVolume", "with": {
            "volume_id": self.id, "node_id": node.name(), "volume_capability": self.claim.capability(),
            "volume_context": self.context,
        }})
    }

    pub(super) fn revoke(&self, node: Node) -> Value {
        json!({"ask": "ControllerUnpublishVolume", "with": {"volume_id": self.id, "node_id": node.name()}})
    }

    /// With what the grant answered.
    pub(super) fn stage(&self, granted: &Value) -> Value {
        json!({"ask": "NodeStageVolume", "with": {
            "volume_id": self.id, "publish_context": granted["publish_context"], "staging_target_path": self.staging(),
            "volume_capability": self.claim.capability(), "volume_context": self.context,
        }})
    }

    pub(super) fn publish(&self, granted: &Value) -> Value {
        json!({"ask": "NodePublishVolume", "with": {
            "volume_id": self.id, "publish_context": granted["publish_context"], "staging_target_path": self.staging(),
            "target_path": self.target(), "volume_capability": self.claim.capability(), "volume_context": self.context,
        }})
    }

    pub(super) fn stats(&self) -> Value {
        json!({"ask": "NodeGetVolumeStats", "with": {
            "volume_id": self.id, "volume_path": self.target(), "staging_target_path": self.staging(),
        }})
    }

    pub(super) fn unpublish(&self) -> Value {
        json!({"ask": "NodeUnpublishVolume", "with": {"volume_id": self.id, "target_path": self.target()}})
    }

    pub(super) fn unstage(&self) -> Value {
        json!({"ask": "NodeUnstageVolume", "with": {"volume_id": self.id, "staging_target_path": self.staging()}})
    }
}
