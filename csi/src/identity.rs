//! The Identity service: who this is, and whether it can work.

use tonic::{Request, Response, Status};

use crate::objects::Surroundings;
use crate::proto::identity_server::Identity;
use crate::proto::plugin_capability::{Service, Type, service};
use crate::proto::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest,
    GetPluginInfoResponse, PluginCapability, ProbeRequest, ProbeResponse,
};

/// The plugin's name: of its `CSIDriver`, in StorageClasses and PersistentVolumes.
pub const DRIVER: &str = "csi.weir.dev";

/// What is told of this plugin.
#[derive(Clone, Debug)]
pub struct Who<C> {
    /// The API: without it nothing can be done.
    pub cluster: C,
    /// Whether the Controller service is served here.
    pub is_controller: bool,
}

#[tonic::async_trait]
impl<C: Surroundings> Identity for Who<C> {
    async fn get_plugin_info(
        &self,
        _: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        Ok(Response::new(GetPluginInfoResponse {
            name: DRIVER.to_owned(),
            vendor_version: env!("CARGO_PKG_VERSION").to_owned(),
            manifest: [].into(),
        }))
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        let services = [
            self.is_controller
                .then_some(service::Type::ControllerService),
            Some(service::Type::VolumeAccessibilityConstraints),
        ];
        let capability = |kind: service::Type| PluginCapability {
            r#type: Some(Type::Service(Service {
                r#type: kind.into(),
            })),
        };
        let capabilities = services.into_iter().flatten().map(capability).collect();
        Ok(Response::new(GetPluginCapabilitiesResponse {
            capabilities,
        }))
    }

    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        // An API that is away is no reason to be started again, which is what a failed probe leads to.
        let is_ready = self.cluster.answers().await;
        Ok(Response::new(ProbeResponse {
            ready: Some(is_ready),
        }))
    }
}
