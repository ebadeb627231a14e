//! The Node service: requests become runs.

mod publishing;
mod staging;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};
use weir_api::names::NodeName;

use super::host::Host;
use super::plan::{Known, Next};
use super::run::{NoMarkers, run};
use super::seen::{Seen, Subject};
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::handle::Handle;
use crate::lock::Locks;
use crate::objects::Objects;
use crate::proto;
use crate::proto::node_server::Node as Rpc;
use crate::proto::node_service_capability::rpc::Type as Capability;
use crate::topology;

/// The service.
#[derive(Clone, Debug)]
pub struct Node<C, H>(Arc<Inner<C, H>>);

#[derive(Debug)]
struct Inner<C, H> {
    cluster: C,
    host: H,
    settings: Settings,
    locks: Locks,
}

/// What this node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What it is called.
    pub name: NodeName,
    /// How many volumes it takes; 0: the scheduler decides.
    pub most: u32,
    /// How long a request waits.
    pub patience: Duration,
}

/// What it can do. What is not here answers UNIMPLEMENTED.
const CAPABILITIES: [Capability; 5] = [
    Capability::StageUnstageVolume,
    Capability::GetVolumeStats,
    Capability::ExpandVolume,
    Capability::VolumeCondition,
    Capability::SingleNodeMultiWriter,
];

impl<C: Objects, H: Host> Node<C, H> {
    /// A service on an API and a host.
    pub fn new(cluster: C, host: H, settings: Settings) -> Self {
        Node(Arc::new(Inner {
            cluster,
            host,
            settings,
            locks: Locks::default(),
        }))
    }

    /// Does what a request asks for, in its volume's turn. It goes on where the client does not wait for it: a file system that is half made, or
    /// a mount that nobody looks after, is worse than an answer that nobody hears.
    async fn turn<T, F>(
        &self,
        handle: &Handle,
        metadata: &tonic::metadata::MetadataMap,
        work: impl FnOnce(Arc<Inner<C, H>>, Deadline) -> F,
    ) -> Result<Response<T>, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let turn = self.0.locks.take(&handle.name)?;
        let deadline = Deadline::of(metadata, self.0.settings.patience);
        let work = work(self.0.clone(), deadline);
        let mut work = tokio::spawn(async move {
            let done = work.await;
            drop(turn);
            done
        });
        // A little later: what is waited for can be told then.
        let end = deadline.at() + Duration::from_millis(100);
        match tokio::time::timeout_at(end, &mut work).await {
            Ok(Ok(done)) => Ok(Response::new(done?)),
            Ok(Err(error)) => Err(Failure::Internal(format!("it was broken off: {error}")).into()),
            Err(_) => Err(Failure::Late("it is still being done: ask again".to_owned()).into()),
        }
    }
}

impl<C, H: Host> Inner<C, H> {
    /// Runs a request that makes no file system.
    async fn run(
        &self,
        subject: &Subject,
        deadline: Deadline,
        next: impl Fn(&Seen, &Known) -> Next,
    ) -> Result<Seen, Failure> {
        run(
            &self.host,
            &NoMarkers,
            subject,
            Known::default(),
            deadline,
            next,
        )
        .await
    }

    fn subject(&self, handle: &Handle) -> Subject {
        Subject {
            id: handle.id,
            node: self.settings.name.clone(),
            mapping: None,
            staging: None,
            target: None,
        }
    }
}

#[tonic::async_trait]
impl<C: Objects, H: Host> Rpc for Node<C, H> {
    async fn node_stage_volume(
        &self,
        request: Request<proto::NodeStageVolumeRequest>,
    ) -> Result<Response<proto::NodeStageVolumeResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let asked = staging::read(&request)?;
        let handle = asked.handle.clone();
        self.turn(&handle, &metadata, move |inner, deadline| async move {
            inner.stage(asked, deadline).await?;
            Ok(proto::NodeStageVolumeResponse {})
        })
        .await
    }

    async fn node_unstage_volume(
        &self,
        request: Request<proto::NodeUnstageVolumeRequest>,
    ) -> Result<Response<proto::NodeUnstageVolumeResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let Some((handle, path)) = staging::read_end(&request)? else {
            return Ok(Response::new(proto::NodeUnstageVolumeResponse {}));
        };
        self.turn(
            &handle.clone(),
            &metadata,
            move |inner, deadline| async move {
                inner.unstage(&handle, path, deadline).await?;
                Ok(proto::NodeUnstageVolumeResponse {})
            },
        )
        .await
    }

    async fn node_publish_volume(
        &self,
        request: Request<proto::NodePublishVolumeRequest>,
    ) -> Result<Response<proto::NodePublishVolumeResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let asked = publishing::read(&request)?;
        let handle = asked.handle.clone();
        self.turn(&handle, &metadata, move |inner, deadline| async move {
            inner.publish(asked, deadline).await?;
            Ok(proto::NodePublishVolumeResponse {})
        })
        .await
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<proto::NodeUnpublishVolumeRequest>,
    ) -> Result<Response<proto::NodeUnpublishVolumeResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let Some((handle, path)) = publishing::read_end(&request)? else {
            return Ok(Response::new(proto::NodeUnpublishVolumeResponse {}));
        };
        self.turn(
            &handle.clone(),
            &metadata,
            move |inner, deadline| async move {
                inner.unpublish(&handle, path, deadline).await?;
                Ok(proto::NodeUnpublishVolumeResponse {})
            },
        )
        .await
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<proto::NodeGetVolumeStatsRequest>,
    ) -> Result<Response<proto::NodeGetVolumeStatsResponse>, Status> {
        // It changes nothing, and tells of a volume that something else is stuck with.
        Ok(Response::new(self.0.stats(request.into_inner()).await?))
    }

    async fn node_expand_volume(
        &self,
        request: Request<proto::NodeExpandVolumeRequest>,
    ) -> Result<Response<proto::NodeExpandVolumeResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let asked = telling::read_size(&request)?;
        let handle = asked.handle.clone();
        self.turn(&handle, &metadata, move |inner, deadline| async move {
            inner.expand(asked, deadline).await
        })
        .await
    }

    async fn node_get_capabilities(
        &self,
        _: Request<proto::NodeGetCapabilitiesRequest>,
    ) -> Result<Response<proto::NodeGetCapabilitiesResponse>, Status> {
        use proto::node_service_capability::{Rpc, Type};
        let capability = |kind: &Capability| proto::NodeServiceCapability {
            r#type: Some(Type::Rpc(Rpc {
                r#type: (*kind).into(),
            })),
        };
        let capabilities = CAPABILITIES.iter().map(capability).collect();
        Ok(Response::new(proto::NodeGetCapabilitiesResponse {
            capabilities,
        }))
    }

    async fn node_get_info(
        &self,
        _: Request<proto::NodeGetInfoRequest>,
    ) -> Result<Response<proto::NodeGetInfoResponse>, Status> {
        let Settings { name, most, .. } = &self.0.settings;
        Ok(Response::new(proto::NodeGetInfoResponse {
            node_id: name.to_string(),
            max_volumes_per_node: i64::from(*most),
            accessible_topology: Some(topology::of(name)),
        }))
    }
}

#[cfg(test)]
mod tests;
