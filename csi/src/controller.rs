//! The Controller service: what is done once for a cluster.
//!
//! It only turns requests into changes of objects and waits for what agents and controller make of them. Whatever it was doing when it
//! was killed, the same request made again goes on with.

mod grants;
mod make;
mod tell;
mod wait;

use std::time::Duration;

use tonic::{Request, Response, Status};
use weir_api::crd::Volume;
use weir_api::names::NodeName;

use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::handle::{Handle, nobodys};
use crate::lock::Locks;
use crate::objects::{Objects, Surroundings};
use crate::proto;
use crate::proto::controller_server::Controller as Rpc;
use crate::proto::controller_service_capability::rpc::Type as Capability;

/// The service.
#[derive(Clone, Debug)]
pub struct Controller<C> {
    cluster: C,
    locks: Locks,
    patience: Duration,
}

/// What it can do. What is not here answers UNIMPLEMENTED.
const CAPABILITIES: [Capability; 8] = [
    Capability::CreateDeleteVolume,
    Capability::PublishUnpublishVolume,
    Capability::ListVolumes,
    Capability::ListVolumesPublishedNodes,
    Capability::GetCapacity,
    Capability::GetVolume,
    Capability::VolumeCondition,
    Capability::SingleNodeMultiWriter,
];

impl<C: Objects + Surroundings> Controller<C> {
    /// A service on an API; a request that waits does so for at most `patience`.
    pub fn new(cluster: C, patience: Duration) -> Self {
        Controller {
            cluster,
            locks: Locks::default(),
            patience,
        }
    }

    fn deadline<T>(&self, request: &Request<T>) -> Deadline {
        Deadline::of(request.metadata(), self.patience)
    }

    /// The volume of a handle, if it is there.
    async fn find(&self, handle: &Handle) -> Result<Option<Volume>, Failure> {
        let there = self.cluster.get(&handle.name).await?;
        Ok(there.filter(|volume| volume.spec.id == handle.id))
    }

    /// The volume that a request names, which has to be there.
    async fn need(&self, id: &str) -> Result<(Handle, Volume), Failure> {
        let handle = Handle::known(id)?;
        let volume = self.find(&handle).await?;
        let volume = volume.ok_or_else(|| nobodys(id))?;
        Ok((handle, volume))
    }
}

/// Every node that may use a volume, or still can.
fn users(volume: &Volume) -> Vec<NodeName> {
    let asked = volume.spec.attachments.iter().map(|one| &one.node_name);
    let shown = volume.status.iter().flat_map(|status| &status.attachments);
    let mut users: Vec<NodeName> = asked
        .chain(shown.map(|one| &one.node_name))
        .cloned()
        .collect();
    users.sort_unstable();
    users.dedup();
    users
}

fn answered<T>(answer: Result<T, Failure>) -> Result<Response<T>, Status> {
    Ok(Response::new(answer?))
}

#[tonic::async_trait]
impl<C: Objects + Surroundings> Rpc for Controller<C> {
    async fn create_volume(
        &self,
        request: Request<proto::CreateVolumeRequest>,
    ) -> Result<Response<proto::CreateVolumeResponse>, Status> {
        let deadline = self.deadline(&request);
        let made = self.create(&request.into_inner(), deadline).await;
        answered(made.map(|volume| proto::CreateVolumeResponse {
            volume: Some(volume),
        }))
    }

    async fn delete_volume(
        &self,
        request: Request<proto::DeleteVolumeRequest>,
    ) -> Result<Response<proto::DeleteVolumeResponse>, Status> {
        let deadline = self.deadline(&request);
        let gone = self.remove(&request.into_inner().volume_id, deadline).await;
        answered(gone.map(|()| proto::DeleteVolumeResponse {}))
    }

    async fn controller_publish_volume(
        &self,
        request: Request<proto::ControllerPublishVolumeRequest>,
    ) -> Result<Response<proto::ControllerPublishVolumeResponse>, Status> {
        let deadline = self.deadline(&request);
        let granted = self.publish(&request.into_inner(), deadline).await;
        answered(
            granted.map(|context| proto::ControllerPublishVolumeResponse {
                publish_context: context.into_iter().collect(),
            }),
        )
    }

    async fn controller_unpublish_volume(
        &self,
        request: Request<proto::ControllerUnpublishVolumeRequest>,
    ) -> Result<Response<proto::ControllerUnpublishVolumeResponse>, Status> {
        let deadline = self.deadline(&request);
        let ended = self.unpublish(&request.into_inner(), deadline).await;
        answered(ended.map(|()| proto::ControllerUnpublishVolumeResponse {}))
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<proto::ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<proto::ValidateVolumeCapabilitiesResponse>, Status> {
        answered(self.validate(request.into_inner()).await)
    }

    async fn list_volumes(
        &self,
        request: Request<proto::ListVolumesRequest>,
    ) -> Result<Response<proto::ListVolumesResponse>, Status> {
        answered(self.list(request.into_inner()).await)
    }

    async fn controller_get_volume(
        &self,
        request: Request<proto::ControllerGetVolumeRequest>,
    ) -> Result<Response<proto::ControllerGetVolumeResponse>, Status> {
        answered(self.get(&request.into_inner().volume_id).await)
    }

    async fn get_capacity(
        &self,
        request: Request<proto::GetCapacityRequest>,
    ) -> Result<Response<proto::GetCapacityResponse>, Status> {
        answered(self.capacity(&request.into_inner()).await)
    }

    async fn controller_get_capabilities(
        &self,
        _: Request<proto::ControllerGetCapabilitiesRequest>,
    ) -> Result<Response<proto::ControllerGetCapabilitiesResponse>, Status> {
        use proto::controller_service_capability::{Rpc, Type};
        let capability = |kind: &Capability| proto::ControllerServiceCapability {
            r#type: Some(Type::Rpc(Rpc {
                r#type: (*kind).into(),
            })),
        };
        let capabilities = CAPABILITIES.iter().map(capability).collect();
        answered(Ok(proto::ControllerGetCapabilitiesResponse {
            capabilities,
        }))
    }
}

#[cfg(test)]
mod tests;
