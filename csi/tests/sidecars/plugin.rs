//! The plugin as a program, and its client.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;
use weir_csi::proto::controller_client::ControllerClient;
use weir_csi::proto::identity_client::IdentityClient;
use weir_csi::proto::volume_capability::access_mode::Mode;
use weir_csi::proto::volume_capability::{AccessMode, AccessType, MountVolume};
use weir_csi::proto::{
    CapacityRange, ControllerPublishVolumeRequest, ControllerUnpublishVolumeRequest,
    CreateVolumeRequest, DeleteVolumeRequest, Volume, VolumeCapability,
};

use super::cluster::{Cluster, until};

/// A plugin that runs.
pub(crate) struct Plugin {
    child: Child,
    socket: PathBuf,
    channel: Channel,
}

impl Plugin {
    pub(crate) async fn start(cluster: &Cluster) -> Self {
        let socket = cluster.dir.path().join("csi.sock");
        let child = spawn(cluster, &socket);
        until("a plugin", async || {
            UnixStream::connect(&socket).await.is_ok()
        })
        .await;
        let channel = connect(&socket).await;
        Plugin {
            child,
            socket,
            channel,
        }
    }

    /// As a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As kubelet does; returns once it has ended.
    pub(crate) async fn stop(mut self) -> (ExitStatus, PathBuf) {
        let id = self.child.id().to_string();
        let done = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(done.success());
        let ended = tokio::task::spawn_blocking(move || self.child.wait().unwrap());
        (ended.await.unwrap(), self.socket)
    }

    pub(crate) fn identity(&self) -> IdentityClient<Channel> {
        IdentityClient::new(self.channel.clone())
    }

    pub(crate) fn controller(&self) -> ControllerClient<Channel> {
        ControllerClient::new(self.channel.clone())
    }

    pub(crate) async fn create(&self, name: &str, bytes: i64) -> Result<Volume, Status> {
        let request = CreateVolumeRequest {
            name: name.to_owned(),
            capacity_range: Some(CapacityRange {
                required_bytes: bytes,
                limit_bytes: 0,
            }),
            volume_capabilities: vec![writer()],
            ..CreateVolumeRequest::default()
        };
        let answer = self.controller().create_volume(request).await?;
        Ok(answer.into_inner().volume.unwrap())
    }

    pub(crate) async fn delete(&self, id: &str) -> Result<(), Status> {
        let request = DeleteVolumeRequest {
            volume_id: id.to_owned(),
            ..DeleteVolumeRequest::default()
        };
        self.controller().delete_volume(request).await.map(drop)
    }

    pub(crate) async fn publish(
        &self,
        id: &str,
        node: &str,
    ) -> Result<std::collections::HashMap<String, String>, Status> {
        let request = ControllerPublishVolumeRequest {
            volume_id: id.to_owned(),
            node_id: node.to_owned(),
            volume_capability: Some(writer()),
            ..ControllerPublishVolumeRequest::default()
        };
        let answer = self.controller().controller_publish_volume(request).await?;
        Ok(answer.into_inner().publish_context)
    }

    pub(crate) async fn unpublish(&self, id: &str, node: &str) -> Result<(), Status> {
        let request = ControllerUnpublishVolumeRequest {
            volume_id: id.to_owned(),
            node_id: node.to_owned(),
            ..ControllerUnpublishVolumeRequest::default()
        };
        self.controller()
            .controller_unpublish_volume(request)
            .await
            .map(drop)
    }
}

fn writer() -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode {
            mode: Mode::SingleNodeWriter.into(),
        }),
        access_type: Some(AccessType::Mount(MountVolume::default())),
    }
}

fn spawn(cluster: &Cluster, socket: &Path) -> Child {
    let log = File::create(cluster.dir.path().join("csi.log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir-csi"));
    command
        .args(["--mode", "controller", "--patience", "10", "--endpoint"])
        .arg(format!("unix://{}", socket.display()))
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().unwrap()
}

async fn connect(socket: &Path) -> Channel {
    let socket = socket.to_owned();
    // The address is only a name: the connection is made by the function.
    let endpoint = Endpoint::from_static("http://csi.invalid");
    let dial = service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    endpoint.connect_with_connector(dial).await.unwrap()
}
