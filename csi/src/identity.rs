//! The Identity service: who this is, and whether it can work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    cluster: C,
    is_controller: bool,
    /// The API answered since the plugin was started.
    answered: Arc<AtomicBool>,
}

impl<C> Who<C> {
    /// The plugin over an API: with the Controller service, or without.
    pub fn new(cluster: C, is_controller: bool) -> Self {
        Who {
            cluster,
            is_controller,
            answered: Arc::default(),
        }
    }
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
        // Sidecars wait for this before they begin. Once it was ready it stays so: who is told otherwise starts the plugin again,
        // which does not bring an API back that is away.
        let is_ready = self.answered.load(Ordering::Relaxed) || self.cluster.answers().await;
        self.answered.fetch_or(is_ready, Ordering::Relaxed);
        Ok(Response::new(ProbeResponse {
            ready: Some(is_ready),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::fake::Fake;

    /// Seen red with: `answered` not looked at; `is_ready` always true.
    #[tokio::test]
    async fn it_is_ready_once_the_api_answered_and_stays_so() {
        let fake = Fake::new(|_| {}, Vec::new(), &[]);
        let who = Who::new(fake.clone(), true);
        let ready = async || {
            let answer = who.probe(Request::new(ProbeRequest {})).await;
            answer.unwrap().into_inner().ready
        };
        fake.is_away(true);
        assert_eq!(ready().await, Some(false));
        fake.is_away(false);
        assert_eq!(ready().await, Some(true));
        fake.is_away(true);
        assert_eq!(ready().await, Some(true));
    }
}
