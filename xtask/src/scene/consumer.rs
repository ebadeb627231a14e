//! A consumer node: a VM that uses volumes over NVMe/TCP.

use anyhow::{Context, Result};
use serde_json::Value;

use super::storage::PATIENCE;
use crate::vm::guest::Guest;
use crate::vm::machine::Spec;

/// The name of the consumer node.
pub(crate) const NODE: &str = "consumer";

/// The consumer node.
pub(crate) fn spec() -> Spec<'static> {
    Spec {
        name: NODE,
        address: 2,
        memory_mib: 768,
        disks: &[],
    }
}

/// Connects to an exported volume, given the storage node's status of it; the device's path.
pub(crate) fn connect(guest: &Guest, status: &Value) -> Result<String> {
    connect_to(guest, &status["target"], "--ctrl-loss-tmo 600")
}

/// Connects to a target as a status tells of it, with further options of `nvmet connect`; the device's
/// path.
pub(crate) fn connect_to(guest: &Guest, target: &Value, options: &str) -> Result<String> {
    let text = |value: &Value| {
        value
            .as_str()
            .map(str::to_owned)
            .context("the target's status is incomplete")
    };
    let portal = &target["portals"][0];
    let command = format!(
        "modprobe nvme-tcp && nvmet connect --address {} --service {} --nqn {} --host-nqn {} \
         --namespace {} --reconnect-delay 1 {options} -o json",
        text(&portal["address"])?,
        portal["port"],
        text(&target["nqn"])?,
        text(&target["hostNqn"])?,
        text(&target["uuid"])?,
    );
    let answer = guest.sh_within(&command, PATIENCE)?;
    let answer: Value = serde_json::from_str(&answer).with_context(|| format!("`{answer}`"))?;
    text(&answer["devices"][0])
}

/// Disconnects from an exported volume.
pub(crate) fn disconnect(guest: &Guest, status: &Value) -> Result<()> {
    let nqn = status["target"]["nqn"]
        .as_str()
        .context("the target's status has no NQN")?;
    guest.sh(&format!("nvmet disconnect {nqn}")).map(drop)
}
