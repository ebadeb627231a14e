//! The service on a node, a target and an API in memory.

mod arguments;
mod faults;
mod interrupted;
mod storm;

use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;
use weir_api::crd::Volume;
use weir_api::names::host_nqn;

use super::*;
use crate::capability::tests::{block, mount};
use crate::node::format::Found;
use crate::node::host::fake::Fake as FakeHost;
use crate::node::marker::MARKER;
use crate::objects::fake::Fake as Cluster;
use crate::proto::volume_capability::access_mode::Mode;
use crate::proto::{
    NodeExpandVolumeRequest, NodeGetVolumeStatsRequest, NodePublishVolumeRequest,
    NodeStageVolumeRequest, NodeUnpublishVolumeRequest, NodeUnstageVolumeRequest, VolumeCapability,
};

const ID: &str = "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90";
const HANDLE: &str = "v.7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90";
const STAGING: &str = "/k/staging";
const TARGET: &str = "/k/pods/1/mount";
const PORTALS: [&str; 2] = ["10.0.0.1:4420", "10.0.1.1:4420"];
/// As it is by default: time passes only where nothing else is left to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node, the API, and a volume that is granted to the node.
struct Scene {
    node: Node<Cluster, FakeHost>,
    cluster: Cluster,
    host: FakeHost,
    capability: VolumeCapability,
    generation: u64,
    is_local: bool,
}

fn volume(generation: u64, is_local: bool, is_read_only: bool) -> Value {
    let portals = PORTALS
        .map(|one| json!({"transport": "tcp", "address": one.split(':').next(), "port": 4420}));
    let mut grant = json!({"nodeName": "n", "generation": generation});
    match is_local {
        true => grant["devicePath"] = json!(mapping().replace("vg-", "/dev/mapper/vg-")),
        false => {
            grant["target"] = json!({
                "nqn": format!("nqn.2026-11.dev.weir:{ID}"),
                "hostNqn": host_nqn(&"n".parse().unwrap(), weir_api::names::Generation(generation)),
                "nsid": 1, "uuid": ID, "portals": portals,
            });
        }
    }
    json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": "v"},
        "spec": {
            "id": ID, "capacityBytes": 1 << 30, "poolName": "p", "access": "MultiHost",
            "attachments": [{"nodeName": "n", "generation": generation, "readOnly": is_read_only}],
        },
        "status": {"phase": "Ready", "attachments": [grant]},
    })
}

fn mapping() -> String {
    format!("vg-w_{}", ID.replace('-', ""))
}

impl Scene {
    async fn new(capability: VolumeCapability, is_local: bool, is_read_only: bool) -> Self {
        let cluster = Cluster::new(|_| {}, Vec::new(), &["n"]);
        let object: Volume = serde_json::from_value(volume(1, is_local, is_read_only)).unwrap();
        cluster.create(object).await.unwrap();
        let portals = PORTALS.map(|portal| portal.parse().unwrap());
        let granted = host_nqn(&"n".parse().unwrap(), weir_api::names::Generation(1));
        let mapping = is_local.then(mapping);
        let host = FakeHost::new(&portals, Some(granted), mapping.as_deref());
        // As kubelet does.
        host.with(|world| {
            world
                .files
                .insert(STAGING.into(), crate::node::seen::Kind::Empty)
        });
        let settings = Settings {
            name: "n".parse().unwrap(),
            most: 256,
            patience: PATIENCE,
        };
        Scene {
            node: Node::new(cluster.clone(), host.clone(), settings),
            cluster,
            host,
            capability,
            generation: 1,
            is_local,
        }
    }

    async fn ext4() -> Self {
        Scene::new(mount(Mode::SingleNodeMultiWriter, "ext4"), false, false).await
    }

    /// The plugin is started again.
    fn restart(&mut self) {
        self.host.revive();
        let settings = self.node.0.settings.clone();
        self.node = Node::new(self.cluster.clone(), self.host.clone(), settings);
    }

    /// It was taken back, and is granted anew: the target lets nobody else in.
    fn regrant(&mut self) {
        self.generation += 1;
        let object = volume(self.generation, self.is_local, false);
        let (spec, status) = (&object["spec"], &object["status"]);
        let patch = json!({
            "spec": {"attachments": spec["attachments"]},
            "status": {"attachments": status["attachments"]},
        });
        self.cluster.patch("v", &patch);
        self.host.cut();
        let granted = host_nqn(
            &"n".parse().unwrap(),
            weir_api::names::Generation(self.generation),
        );
        self.host.with(|world| world.granted = Some(granted));
    }

    fn marker(&self) -> Option<String> {
        let volume = self.cluster.volumes().remove(0);
        volume.metadata.annotations?.get(MARKER).cloned()
    }

    fn stage_request(&self) -> NodeStageVolumeRequest {
        NodeStageVolumeRequest {
            volume_id: HANDLE.to_owned(),
            publish_context: [("generation".to_owned(), self.generation.to_string())].into(),
            staging_target_path: STAGING.to_owned(),
            volume_capability: Some(self.capability.clone()),
            ..NodeStageVolumeRequest::default()
        }
    }

    fn publish_request(&self) -> NodePublishVolumeRequest {
        NodePublishVolumeRequest {
            volume_id: HANDLE.to_owned(),
            staging_target_path: STAGING.to_owned(),
            target_path: TARGET.to_owned(),
            volume_capability: Some(self.capability.clone()),
            ..NodePublishVolumeRequest::default()
        }
    }

    async fn stage(&self) -> Result<(), Status> {
        let asked = self
            .node
            .node_stage_volume(Request::new(self.stage_request()));
        asked.await.map(drop)
    }

    async fn publish(&self) -> Result<(), Status> {
        let asked = self
            .node
            .node_publish_volume(Request::new(self.publish_request()));
        asked.await.map(drop)
    }

    async fn unpublish(&self) -> Result<(), Status> {
        let request = NodeUnpublishVolumeRequest {
            volume_id: HANDLE.to_owned(),
            target_path: TARGET.to_owned(),
        };
        self.node
            .node_unpublish_volume(Request::new(request))
            .await
            .map(drop)
    }

    async fn unstage(&self) -> Result<(), Status> {
        let request = NodeUnstageVolumeRequest {
            volume_id: HANDLE.to_owned(),
            staging_target_path: STAGING.to_owned(),
        };
        self.node
            .node_unstage_volume(Request::new(request))
            .await
            .map(drop)
    }

    /// The request of this number, of a whole life.
    async fn turn(&self, number: usize) -> Result<(), Status> {
        match number {
            0 => self.stage().await,
            1 => self.publish().await,
            2 => self.unpublish().await,
            _ => self.unstage().await,
        }
    }

    async fn stats(&self) -> Result<proto::NodeGetVolumeStatsResponse, Status> {
        let request = NodeGetVolumeStatsRequest {
            volume_id: HANDLE.to_owned(),
            volume_path: TARGET.to_owned(),
            staging_target_path: STAGING.to_owned(),
        };
        let told = self
            .node
            .node_get_volume_stats(Request::new(request))
            .await?;
        Ok(told.into_inner())
    }
}

fn code(result: Result<(), Status>) -> Code {
    result.map_or_else(|status| status.code(), |()| Code::Ok)
}

/// Every way of use that there is, on another node and on the volume's own.
async fn scenes() -> Vec<Scene> {
    let mut scenes = Vec::new();
    for is_local in [false, true] {
        for (capability, is_read_only) in [
            (mount(Mode::SingleNodeMultiWriter, "ext4"), false),
            (mount(Mode::SingleNodeSingleWriter, "xfs"), false),
            (mount(Mode::MultiNodeReaderOnly, "ext4"), true),
            (block(Mode::SingleNodeMultiWriter), false),
            (block(Mode::MultiNodeMultiWriter), false),
            (block(Mode::MultiNodeReaderOnly), true),
        ] {
            let scene = Scene::new(capability, is_local, is_read_only).await;
            if is_read_only {
                // Somebody wrote it before.
                scene.host.with(|world| {
                    world.disk =
                        crate::node::host::fake::filesystem(crate::capability::FsType::Ext4, None)
                });
            }
            scenes.push(scene);
        }
    }
    scenes
}

#[tokio::test(start_paused = true)]
async fn a_life_leaves_nothing_and_each_request_can_be_made_twice() {
    for scene in scenes().await {
        let before = scene.host.with(|world| {
            (
                world.paths.clone(),
                world.mounts.clone(),
                world.files.clone(),
            )
        });
        for number in 0..4 {
            scene.turn(number).await.unwrap();
            let once = scene.host.outcome();
            let steps = scene.host.with(|world| world.done.len());
            scene.turn(number).await.unwrap();
            assert_eq!(scene.host.outcome(), once);
            // Only that nobody has the device is asked again.
            let again = scene.host.with(|world| world.done[steps..].to_vec());
            let is_asking = |step: &_| matches!(step, crate::node::step::Step::Claim(_));
            assert!(again.iter().all(is_asking), "{again:?}");
        }
        let after = scene.host.with(|world| {
            (
                world.paths.clone(),
                world.mounts.clone(),
                world.files.clone(),
            )
        });
        assert_eq!(before, after, "{:?}", scene.capability);
        assert!(
            !scene
                .host
                .with(|world| world.is_read_only && world.mapping.is_some())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn all_portals_become_paths_and_one_is_enough() {
    let scene = Scene::ext4().await;
    scene.stage().await.unwrap();
    assert_eq!(scene.host.with(|world| world.paths.len()), 2);
    let one = Scene::ext4().await;
    one.host.with(|world| world.portals.pop_first());
    one.stage().await.unwrap();
    assert_eq!(one.host.with(|world| world.paths.len()), 1);
    let none = Scene::ext4().await;
    none.host.with(|world| world.portals.clear());
    assert_eq!(code(none.stage().await), Code::Unavailable);
    assert_eq!(none.marker(), None);
}

/// Seen red with: `Step::Harden` left out of `publish::next`.
#[tokio::test(start_paused = true)]
async fn read_only_is_enforced_here() {
    // By the mode, by the grant, and by the pod.
    let reader = mount(Mode::MultiNodeReaderOnly, "ext4");
    let writer = mount(Mode::SingleNodeMultiWriter, "ext4");
    for (capability, by_grant) in [(reader, false), (writer, true)] {
        let scene = Scene::new(capability, false, by_grant).await;
        scene.host.with(|world| {
            world.disk = crate::node::host::fake::filesystem(crate::capability::FsType::Ext4, None)
        });
        scene.stage().await.unwrap();
        assert!(
            scene
                .host
                .with(|world| world.is_read_only && world.mounts[0].is_read_only)
        );
    }
    let scene = Scene::ext4().await;
    scene.stage().await.unwrap();
    let request = NodePublishVolumeRequest {
        readonly: true,
        ..scene.publish_request()
    };
    scene
        .node
        .node_publish_volume(Request::new(request))
        .await
        .unwrap();
    let is_read_only = scene
        .host
        .with(|world| [world.mounts[0].is_read_only, world.mounts[1].is_read_only]);
    assert_eq!(is_read_only, [false, true]);
    // Never the other way round.
    assert_eq!(code(scene.publish().await), Code::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn only_one_pod_has_a_volume_of_one_writer() {
    for (mode, expected) in [
        (Mode::SingleNodeSingleWriter, Code::FailedPrecondition),
        (Mode::SingleNodeMultiWriter, Code::Ok),
    ] {
        for capability in [mount(mode, "ext4"), block(mode)] {
            let scene = Scene::new(capability, false, false).await;
            scene.stage().await.unwrap();
            scene.publish().await.unwrap();
            let request = NodePublishVolumeRequest {
                target_path: "/k/pods/2/mount".to_owned(),
                ..scene.publish_request()
            };
            let second = scene.node.node_publish_volume(Request::new(request)).await;
            assert_eq!(code(second.map(drop)), expected, "{mode:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stats_tell_of_bytes_inodes_and_how_it_is() {
    let scene = Scene::ext4().await;
    assert_eq!(scene.stats().await.unwrap_err().code(), Code::NotFound);
    scene.stage().await.unwrap();
    scene.publish().await.unwrap();
    let told = scene.stats().await.unwrap();
    let figures: Vec<_> = told
        .usage
        .iter()
        .map(|one| (one.total, one.available, one.used))
        .collect();
    assert_eq!(figures, [(1000, 600, 300), (100, 90, 10)]);
    let condition = told.volume_condition.unwrap();
    assert!(!condition.abnormal, "{}", condition.message);
    scene
        .host
        .with(|world| world.paths[0].state = crate::node::seen::State::Trying);
    let condition = scene.stats().await.unwrap().volume_condition.unwrap();
    assert_eq!(
        (condition.abnormal, condition.message.as_str()),
        (true, "1 of 2 connections work")
    );
    scene.host.cut();
    assert!(
        scene
            .stats()
            .await
            .unwrap()
            .volume_condition
            .unwrap()
            .abnormal
    );
    scene.host.give_up();
    let condition = scene.stats().await.unwrap().volume_condition.unwrap();
    assert!(
        condition.abnormal && condition.message.contains("staged again"),
        "{}",
        condition.message
    );
}

/// Seen red with: a pause in `run` that goes beyond the deadline: the next request finds the volume's turn taken.
#[tokio::test(start_paused = true)]
async fn growing_waits_for_the_device_and_then_grows_the_file_system() {
    let scene = Scene::ext4().await;
    scene.stage().await.unwrap();
    scene.publish().await.unwrap();
    let grow = async |bytes: i64| {
        let request = NodeExpandVolumeRequest {
            volume_id: HANDLE.to_owned(),
            volume_path: TARGET.to_owned(),
            staging_target_path: STAGING.to_owned(),
            capacity_range: Some(proto::CapacityRange {
                required_bytes: bytes,
                limit_bytes: 0,
            }),
            ..NodeExpandVolumeRequest::default()
        };
        let done = scene.node.node_expand_volume(Request::new(request)).await;
        done.map(|done| done.into_inner().capacity_bytes)
    };
    let late = grow(2 << 30).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert!(late.message().contains("its device has"), "{late}");
    scene.host.with(|world| world.size = 2 << 30);
    for _ in 0..2 {
        assert_eq!(grow(2 << 30).await.unwrap(), 2 << 30);
    }
    let grown = scene.host.with(|world| {
        world
            .done
            .iter()
            .filter(|step| matches!(step, crate::node::step::Step::Grow { .. }))
            .count()
    });
    assert_eq!(grown, 2);
}

#[tokio::test(start_paused = true)]
async fn a_node_says_who_and_where_it_is() {
    let scene = Scene::ext4().await;
    let info = scene
        .node
        .node_get_info(Request::new(proto::NodeGetInfoRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (info.node_id.as_str(), info.max_volumes_per_node),
        ("n", 256)
    );
    assert_eq!(
        info.accessible_topology,
        Some(topology::of(&"n".parse().unwrap()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_volume_has_one_operation_at_a_time() {
    let scene = Scene::ext4().await;
    let turn = scene.node.0.locks.take(&"v".parse().unwrap()).unwrap();
    for number in 0..4 {
        assert_eq!(code(scene.turn(number).await), Code::Aborted);
    }
    drop(turn);
    scene.stage().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_system_is_made_once() {
    let scene = Scene::ext4().await;
    scene.stage().await.unwrap();
    let marker = scene.marker().unwrap();
    let uuid: Uuid = marker
        .strip_prefix("formatted ext4 ")
        .unwrap()
        .parse()
        .unwrap();
    let made = crate::node::host::fake::filesystem(crate::capability::FsType::Ext4, Some(uuid));
    assert_eq!(scene.host.with(|world| world.disk.clone()), made);
    scene.unstage().await.unwrap();
    // Its signature is lost, or this is another device.
    for lost in [Found::Blank, Found::Unmarked] {
        scene.host.with(|world| world.disk = lost);
        assert_eq!(code(scene.stage().await), Code::FailedPrecondition);
    }
    let formats = scene.host.with(|world| {
        world
            .done
            .iter()
            .filter(|step| matches!(step, crate::node::step::Step::Format { .. }))
            .count()
    });
    assert_eq!(formats, 1);
    assert_eq!(scene.marker(), Some(marker));
}
