//! Plugins that end in the middle of something.

use tonic::Code;

use super::cluster::{Cluster, GIB, until};
use super::plugin::Plugin;

/// Nobody serves the volume yet; the plugin that asked for it is killed; the next one, on the same socket, is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_killed_makes_no_second_volume() {
    let mut cluster = Cluster::start().await;
    let plugin = Plugin::start(&cluster).await;
    let mut client = plugin.controller();
    let asking = tokio::spawn(async move {
        let request = weir_csi::proto::CreateVolumeRequest {
            name: "Data 1".to_owned(),
            volume_capabilities: vec![weir_csi::proto::VolumeCapability {
                access_mode: Some(weir_csi::proto::volume_capability::AccessMode { mode: 1 }),
                access_type: Some(weir_csi::proto::volume_capability::AccessType::Mount(
                    weir_csi::proto::volume_capability::MountVolume::default(),
                )),
            }],
            ..weir_csi::proto::CreateVolumeRequest::default()
        };
        client.create_volume(request).await
    });
    until("a volume", async || !cluster.volumes().await.is_empty()).await;
    plugin.kill();
    assert!(asking.await.unwrap().is_err());
    cluster.serve();
    let plugin = Plugin::start(&cluster).await;
    let made = plugin.create("Data 1", GIB).await.unwrap();
    let volumes = cluster.volumes().await;
    assert_eq!(volumes.len(), 1);
    assert!(made.volume_id.ends_with(&volumes[0].spec.id.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_stopped_takes_its_socket_along() {
    let cluster = Cluster::start().await;
    let plugin = Plugin::start(&cluster).await;
    // It waits in vain: nobody serves it.
    let late = plugin.create("pvc-1", GIB).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late}");
    let (ended, socket) = plugin.stop().await;
    assert!(ended.success(), "{ended}");
    assert!(!socket.exists());
}
