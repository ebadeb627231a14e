//! ControllerPublishVolume and ControllerUnpublishVolume.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use weir_api::names::NodeName;

use super::Controller;
use super::make::in_time;
use super::wait::{Look, wait};
use crate::attachment::{self, Ask, Grant};
use crate::capability::Use;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::handle::{Handle, nobodys};
use crate::objects::{ApiError, Objects, Surroundings};
use crate::proto::{ControllerPublishVolumeRequest, ControllerUnpublishVolumeRequest};

impl<C: Objects + Surroundings> Controller<C> {
    pub(super) async fn publish(
        &self,
        request: &ControllerPublishVolumeRequest,
        deadline: Deadline,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let id = &request.volume_id;
        let handle = Handle::of(id)?;
        if request.node_id.is_empty() {
            return Err(Failure::Invalid("node_id is missing".to_owned()));
        }
        let usage = Use::of(request.volume_capability.as_ref())?;
        let handle = handle.ok_or_else(|| nobodys(id))?;
        let unknown = || {
            Failure::NotFound(format!(
                "there is no node `{}` with an agent of Weir's",
                request.node_id
            ))
        };
        let node: NodeName = request.node_id.parse().map_err(|_| unknown())?;
        let _turn = self.locks.take(&handle.name)?;
        let ask = Ask {
            node: node.clone(),
            is_read_only: request.readonly || usage.is_read_only,
            usage,
        };
        let generation = loop {
            let volume = self.find(&handle).await?.ok_or_else(|| nobodys(id))?;
            self.cluster.node(&node).await?.ok_or_else(unknown)?;
            if volume.spec.pool_name.is_none() {
                let message = format!("volume `{}` is in no pool yet", handle.name);
                return Err(Failure::Precondition(message));
            }
            let (generation, patch) = match attachment::grant(&volume, &ask, now())? {
                Grant::Asked(generation) => break generation,
                Grant::New(generation, patch) => (generation, patch),
            };
            match self.cluster.change(&volume, patch).await {
                Ok(_) => {
                    tracing::info!(volume = %handle.name, %node, %generation, "grant asked for");
                    break generation;
                }
                // Somebody else may have been granted it meanwhile: decide anew.
                Err(ApiError::Conflict) => in_time(deadline, "a quiet moment to grant the volume")?,
                Err(error) => return Err(error.into()),
            }
        };
        let doing = format!("volume `{}` is not granted to node `{node}`", handle.name);
        wait(&self.cluster, &handle.name, deadline, &doing, |state| {
            let volume = state.filter(|volume| volume.spec.id == handle.id);
            let volume = volume.ok_or_else(|| nobodys(id))?;
            let granted = attachment::granted(&volume, &node, generation)?;
            Ok(granted.map_or_else(Look::Not, Look::Done))
        })
        .await
    }

    pub(super) async fn unpublish(
        &self,
        request: &ControllerUnpublishVolumeRequest,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        let Some(handle) = Handle::of(&request.volume_id)? else {
            return Ok(());
        };
        let node: Option<NodeName> = match request.node_id.as_str() {
            "" => None,
            name => match name.parse() {
                Ok(node) => Some(node),
                // Nothing can have been granted to it.
                Err(_) => return Ok(()),
            },
        };
        let node = node.as_ref();
        let _turn = self.locks.take(&handle.name)?;
        let written = loop {
            let Some(volume) = self.find(&handle).await? else {
                return Ok(());
            };
            let Some(patch) = attachment::revoke(&volume, node) else {
                break volume.metadata.generation;
            };
            match self.cluster.change(&volume, patch).await {
                Ok(volume) => {
                    let node = node.map_or("*", NodeName::as_str);
                    tracing::info!(volume = %handle.name, node, "end of the grant asked for");
                    break volume.metadata.generation;
                }
                Err(ApiError::Conflict) => in_time(deadline, "a quiet moment to end the grant")?,
                Err(error) => return Err(error.into()),
            }
        };
        let whose = node.map_or("some node".to_owned(), |node| format!("node `{node}`"));
        let doing = format!("volume `{}` is not taken back from {whose}", handle.name);
        wait(&self.cluster, &handle.name, deadline, &doing, |state| {
            let Some(volume) = state.filter(|volume| volume.spec.id == handle.id) else {
                return Ok(Look::Done(()));
            };
            let ended = attachment::revoked(&volume, node, written);
            Ok(ended.map_or_else(Look::Not, Look::Done))
        })
        .await
    }
}

/// Seconds since 1970; 0 with a clock before that, where the generations that are known have to do.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
