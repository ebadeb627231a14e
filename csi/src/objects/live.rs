//! The objects of a real API.

use std::error::Error;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;
use weir_api::crd::{StoragePool, Volume};
use weir_api::names::{LEASE_NAMESPACE, NodeName, ObjectName};

use super::{ApiError, Labels, Objects, Page, States, Surroundings};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many pools are one page of a list.
const PAGE: u32 = 500;

/// A connection to an API.
#[derive(Clone)]
pub struct Live(Client);

/// There is no way to the API.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The kubeconfig can't be used.
    #[error("the kubeconfig `{path}` can't be used: {cause}")]
    Kubeconfig {
        /// Which.
        path: String,
        /// Why. kube's errors name their causes already.
        cause: String,
    },
    /// The pod's service account can't be used.
    #[error("this is no pod with a service account, and --kubeconfig is not given: {0}")]
    InCluster(String),
    /// No client can be made.
    #[error("no client can be made: {0}")]
    Client(String),
}

impl Live {
    /// A connection by a kubeconfig, or as the pod's service account. Whether anybody answers, the first request tells.
    ///
    /// # Errors
    /// What says where the API is can't be used.
    pub async fn connect(kubeconfig: Option<&Path>) -> Result<Self, ConnectError> {
        let mut config = match kubeconfig {
            Some(path) => {
                let unusable = |cause: String| ConnectError::Kubeconfig {
                    path: path.display().to_string(),
                    cause,
                };
                let file = Kubeconfig::read_from(path).map_err(|e| unusable(e.to_string()))?;
                let options = KubeConfigOptions::default();
                let config = Config::from_custom_kubeconfig(file, &options).await;
                config.map_err(|e| unusable(e.to_string()))?
            }
            None => Config::incluster().map_err(|e| ConnectError::InCluster(e.to_string()))?,
        };
        config.connect_timeout = Some(PATIENCE);
        let client = Client::try_from(config).map_err(|e| ConnectError::Client(e.to_string()))?;
        Ok(Live(client))
    }

    fn volumes(&self) -> Api<Volume> {
        Api::all(self.0.clone())
    }
}

impl Objects for Live {
    async fn get(&self, name: &ObjectName) -> Result<Option<Volume>, ApiError> {
        get(&self.volumes(), name.as_str()).await
    }

    async fn create(&self, volume: Volume) -> Result<Volume, ApiError> {
        let (api, how) = (self.volumes(), PostParams::default());
        answer(api.create(&how, &volume)).await
    }

    async fn change(&self, volume: &Volume, mut patch: Value) -> Result<Volume, ApiError> {
        patch["metadata"]["resourceVersion"] = json!(volume.metadata.resource_version);
        let (api, how) = (self.volumes(), PatchParams::default());
        answer(api.patch(name(volume), &how, &Patch::Merge(&patch))).await
    }

    async fn delete(&self, volume: &Volume) -> Result<(), ApiError> {
        let this = Preconditions {
            resource_version: volume.metadata.resource_version.clone(),
            uid: volume.metadata.uid.clone(),
        };
        let how = DeleteParams::default().preconditions(this);
        let api = self.volumes();
        // Another one of that name may be there, or none: whoever asked looks again.
        answer(api.delete(name(volume), &how)).await.map(drop)
    }

    fn follow(&self, name: &ObjectName) -> States {
        let states = watcher::watch_object(self.volumes(), name.as_str()).default_backoff();
        let error = |error: watcher::Error| ApiError::Unavailable(innermost(&error));
        states.map_err(error).boxed()
    }

    async fn page(&self, most: u32, token: Option<String>) -> Result<Page, ApiError> {
        let how = ListParams {
            limit: (most > 0).then_some(most),
            continue_token: token,
            ..ListParams::default()
        };
        let api = self.volumes();
        let list = answer(api.list(&how)).await?;
        let next = list.metadata.continue_.filter(|token| !token.is_empty());
        let volumes = list.items;
        Ok(Page { volumes, next })
    }
}

impl Surroundings for Live {
    async fn answers(&self) -> bool {
        let api: Api<StoragePool> = Api::all(self.0.clone());
        answer(api.list(&ListParams::default().limit(1)))
            .await
            .is_ok()
    }

    async fn pools(&self) -> Result<Vec<StoragePool>, ApiError> {
        let api: Api<StoragePool> = Api::all(self.0.clone());
        let (mut all, mut how) = (Vec::new(), ListParams::default().limit(PAGE));
        loop {
            let list = answer(api.list(&how)).await?;
            all.extend(list.items);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => how = how.continue_token(&token),
                None => return Ok(all),
            }
        }
    }

    async fn pool(&self, name: &ObjectName) -> Result<Option<StoragePool>, ApiError> {
        get(&Api::all(self.0.clone()), name.as_str()).await
    }

    async fn node(&self, name: &NodeName) -> Result<Option<Labels>, ApiError> {
        let nodes: Api<Node> = Api::all(self.0.clone());
        if let Some(node) = get(&nodes, name.as_str()).await? {
            return Ok(Some(node.metadata.labels.unwrap_or_default()));
        }
        // Without Kubernetes there may be no Node objects; every node that uses a volume has an agent.
        let leases: Api<Lease> = Api::namespaced(self.0.clone(), LEASE_NAMESPACE);
        let lease = get(&leases, name.agent_lease()).await?;
        Ok(lease.map(|_| Labels::new()))
    }
}

fn name(volume: &Volume) -> &str {
    volume.metadata.name.as_deref().unwrap_or_default()
}

async fn get<K>(api: &Api<K>, name: &str) -> Result<Option<K>, ApiError>
where
    K: Clone + Debug + DeserializeOwned,
{
    answer(api.get_opt(name)).await
}

async fn answer<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, ApiError> {
    let Ok(answer) = tokio::time::timeout(PATIENCE, request).await else {
        let message = format!("no answer in {} s", PATIENCE.as_secs());
        return Err(ApiError::Unavailable(message));
    };
    answer.map_err(|error| match error {
        kube::Error::Api(status) => {
            let message = status.message.clone();
            match status.code {
                404 | 409 => ApiError::Conflict,
                410 => ApiError::Expired,
                401 | 403 => ApiError::Denied(message),
                400 if message.contains("continue") => ApiError::Expired,
                400..=499 if status.code != 429 => ApiError::Refused(message),
                _ => ApiError::Unavailable(message),
            }
        }
        error => ApiError::Unavailable(innermost(&error)),
    })
}

/// What an error began with: those around it repeat it, or say less.
fn innermost(error: &dyn Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
