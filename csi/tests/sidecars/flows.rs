//! What sidecars ask, in the order in which they do.

use tonic::Code;
use weir_csi::proto::{GetPluginInfoRequest, ListVolumesRequest, ProbeRequest};

use super::cluster::{Cluster, GIB};
use super::plugin::Plugin;

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_lives_and_goes() {
    let mut cluster = Cluster::start().await;
    cluster.serve();
    let plugin = Plugin::start(&cluster).await;
    let who = plugin
        .identity()
        .get_plugin_info(GetPluginInfoRequest {})
        .await
        .unwrap();
    assert_eq!(who.into_inner().name, "csi.weir.dev");
    let probe = plugin.identity().probe(ProbeRequest {}).await.unwrap();
    assert_eq!(probe.into_inner().ready, Some(true));

    let made = plugin.create("pvc-1", GIB).await.unwrap();
    assert_eq!(made.capacity_bytes, GIB);
    assert_eq!(plugin.create("pvc-1", GIB).await.unwrap(), made);
    let other = plugin.create("pvc-1", 2 * GIB).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists, "{other}");

    let id = made.volume_id;
    let remote = plugin.publish(&id, "a").await.unwrap();
    assert_eq!(remote["portals"], "tcp://10.0.0.1:4420");
    assert_eq!(plugin.publish(&id, "a").await.unwrap(), remote);
    let held = plugin.publish(&id, "b").await.unwrap_err();
    assert_eq!(held.code(), Code::FailedPrecondition, "{held}");
    assert!(held.message().contains("node `a`"), "{held}");
    assert_eq!(
        plugin.delete(&id).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    assert_eq!(
        plugin.publish(&id, "nowhere").await.unwrap_err().code(),
        Code::NotFound
    );
    plugin.unpublish(&id, "a").await.unwrap();
    plugin.unpublish(&id, "a").await.unwrap();
    let local = plugin.publish(&id, "s").await.unwrap();
    assert_eq!(local["devicePath"], "/dev/mapper/x");
    let generation = |context: &std::collections::HashMap<String, String>| {
        context["generation"].parse::<u64>().unwrap()
    };
    assert!(generation(&local) > generation(&remote));
    plugin.unpublish(&id, "").await.unwrap();
    plugin.delete(&id).await.unwrap();
    plugin.delete(&id).await.unwrap();
    assert!(cluster.volumes().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_without_room_says_why_and_leaves_nothing() {
    let mut cluster = Cluster::start().await;
    cluster.serve();
    let plugin = Plugin::start(&cluster).await;
    let refused = plugin.create("pvc-1", 20 * GIB).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(
        refused.message().contains("with too little space"),
        "{refused}"
    );
    assert!(cluster.volumes().await.is_empty());
    assert!(plugin.create("pvc-1", GIB).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_pages() {
    let mut cluster = Cluster::start().await;
    cluster.serve();
    let plugin = Plugin::start(&cluster).await;
    for number in 0..3 {
        plugin.create(&format!("pvc-{number}"), GIB).await.unwrap();
    }
    let list = async |max_entries: i32, token: &str| {
        let starting_token = token.to_owned();
        let request = ListVolumesRequest {
            max_entries,
            starting_token,
        };
        plugin
            .controller()
            .list_volumes(request)
            .await
            .map(tonic::Response::into_inner)
    };
    let first = list(2, "").await.unwrap();
    assert_eq!(first.entries.len(), 2);
    let second = list(2, &first.next_token).await.unwrap();
    assert_eq!((second.entries.len(), second.next_token.as_str()), (1, ""));
    let nonsense = list(2, "nonsense").await.unwrap_err();
    assert_eq!(nonsense.code(), Code::Aborted, "{nonsense}");
}
