//! Every request with what it needs left out or spoilt: the code, and that nothing was done.

use super::*;

fn stage(
    scene: &Scene,
    spoil: impl FnOnce(&mut NodeStageVolumeRequest),
) -> Request<NodeStageVolumeRequest> {
    let mut request = scene.stage_request();
    spoil(&mut request);
    Request::new(request)
}

#[tokio::test(start_paused = true)]
async fn staging() {
    let scene = Scene::ext4().await;
    let group = || {
        let mut capability = mount(Mode::SingleNodeWriter, "");
        if let Some(proto::volume_capability::AccessType::Mount(mount)) =
            &mut capability.access_type
        {
            mount.mount_flags = vec!["nobarrier".to_owned()];
        }
        Some(capability)
    };
    let text = str::to_owned;
    type Spoil = Box<dyn Fn(&mut NodeStageVolumeRequest)>;
    let rows: Vec<(Code, Spoil)> = vec![
        (Code::InvalidArgument, Box::new(|r| r.volume_id.clear())),
        (
            Code::InvalidArgument,
            Box::new(|r| r.staging_target_path.clear()),
        ),
        (
            Code::InvalidArgument,
            Box::new(move |r| r.staging_target_path = text("relative")),
        ),
        (
            Code::InvalidArgument,
            Box::new(move |r| r.staging_target_path = text("/a/../b")),
        ),
        (
            Code::InvalidArgument,
            Box::new(|r| r.volume_capability = None),
        ),
        (
            Code::InvalidArgument,
            Box::new(|r| r.volume_capability = Some(VolumeCapability::default())),
        ),
        (
            Code::InvalidArgument,
            Box::new(|r| r.volume_capability = Some(mount(Mode::MultiNodeMultiWriter, "ext4"))),
        ),
        (
            Code::InvalidArgument,
            Box::new(|r| r.volume_capability = Some(mount(Mode::SingleNodeWriter, "btrfs"))),
        ),
        (
            Code::InvalidArgument,
            Box::new(move |r| r.volume_capability = group()),
        ),
        (
            Code::InvalidArgument,
            Box::new(|r| r.publish_context.clear()),
        ),
        (
            Code::InvalidArgument,
            Box::new(move |r| drop(r.publish_context.insert(text("generation"), text("one")))),
        ),
        (
            Code::InvalidArgument,
            Box::new(move |r| drop(r.publish_context.insert(text("nqn"), text("nqn.other")))),
        ),
        (
            Code::InvalidArgument,
            Box::new(move |r| {
                drop(
                    r.publish_context
                        .insert(text("devicePath"), text("/dev/sda")),
                )
            }),
        ),
        (
            Code::FailedPrecondition,
            Box::new(move |r| drop(r.publish_context.insert(text("generation"), text("7")))),
        ),
        (
            Code::InvalidArgument,
            Box::new(move |r| drop(r.volume_context.insert(text("fsType"), text("xfs")))),
        ),
        (
            Code::InvalidArgument,
            Box::new(move |r| drop(r.volume_context.insert(text("mkfsOptions"), text("-F")))),
        ),
        (
            Code::InvalidArgument,
            Box::new(move |r| drop(r.volume_context.insert(text("nonsense"), text("x")))),
        ),
        (
            Code::NotFound,
            Box::new(move |r| r.volume_id = text("reallyfakevolumeid")),
        ),
        (
            Code::NotFound,
            Box::new(move |r| r.volume_id = HANDLE.replace("v.7", "v.8")),
        ),
    ];
    for (number, (expected, spoil)) in rows.iter().enumerate() {
        let answer = scene.node.node_stage_volume(stage(&scene, spoil)).await;
        assert_eq!(code(answer.map(drop)), *expected, "{number}");
    }
    assert_eq!(scene.host.with(|world| world.done.len()), 0);
    assert_eq!(scene.marker(), None);
}

/// A pod's own data is not looked into.
///
/// Seen red with: `fits` left out of `stage`.
#[tokio::test(start_paused = true)]
async fn a_volume_is_not_staged_as_what_it_was_not_made_for() {
    for (form, capability) in [
        ("block", mount(Mode::SingleNodeWriter, "ext4")),
        ("mount", block(Mode::SingleNodeWriter)),
    ] {
        let scene = Scene::new(capability, false, false).await;
        let made = json!({"metadata": {"annotations": {crate::wanted::FORM: form}}});
        scene.cluster.patch("v", &made);
        assert_eq!(code(scene.stage().await), Code::InvalidArgument);
        assert_eq!(scene.host.with(|world| world.done.len()), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn unstaging_and_unpublishing() {
    let scene = Scene::ext4().await;
    for (id, path, expected) in [
        ("", STAGING, Code::InvalidArgument),
        (HANDLE, "", Code::InvalidArgument),
        (HANDLE, "x", Code::InvalidArgument),
        (HANDLE, "/", Code::InvalidArgument),
        // Nothing of ours was ever called so.
        ("reallyfakevolumeid", STAGING, Code::Ok),
    ] {
        let (volume_id, path) = (id.to_owned(), path.to_owned());
        let request = NodeUnstageVolumeRequest {
            volume_id: volume_id.clone(),
            staging_target_path: path.clone(),
        };
        let answer = scene.node.node_unstage_volume(Request::new(request)).await;
        assert_eq!(code(answer.map(drop)), expected, "{id} {path}");
        let request = NodeUnpublishVolumeRequest {
            volume_id,
            target_path: path.clone(),
        };
        let answer = scene
            .node
            .node_unpublish_volume(Request::new(request))
            .await;
        assert_eq!(code(answer.map(drop)), expected, "{id} {path}");
    }
    assert_eq!(scene.host.with(|world| world.done.len()), 0);
}

#[tokio::test(start_paused = true)]
async fn publishing() {
    let scene = Scene::ext4().await;
    // Before it is staged.
    assert_eq!(code(scene.publish().await), Code::FailedPrecondition);
    scene.stage().await.unwrap();
    let done = scene.host.with(|world| world.done.len());
    type Spoil = fn(&mut NodePublishVolumeRequest);
    let rows: [(Code, Spoil); 9] = [
        (Code::InvalidArgument, |r| r.volume_id.clear()),
        (Code::InvalidArgument, |r| r.target_path.clear()),
        (Code::InvalidArgument, |r| r.target_path = "../x".to_owned()),
        (Code::FailedPrecondition, |r| r.staging_target_path.clear()),
        (Code::InvalidArgument, |r| {
            r.target_path = STAGING.to_owned()
        }),
        (Code::InvalidArgument, |r| r.volume_capability = None),
        (Code::FailedPrecondition, |r| {
            r.staging_target_path = "/k/elsewhere".to_owned()
        }),
        (Code::NotFound, |r| {
            r.volume_id = "reallyfakevolumeid".to_owned()
        }),
        (Code::InvalidArgument, |r| {
            drop(
                r.publish_context
                    .insert("devicePath".to_owned(), "/dev/sda".to_owned()),
            )
        }),
    ];
    for (number, (expected, spoil)) in rows.into_iter().enumerate() {
        let mut request = scene.publish_request();
        spoil(&mut request);
        let answer = scene.node.node_publish_volume(Request::new(request)).await;
        assert_eq!(code(answer.map(drop)), expected, "{number}");
    }
    assert_eq!(scene.host.with(|world| world.done.len()), done);
}

#[tokio::test(start_paused = true)]
async fn stats_and_growing() {
    let scene = Scene::ext4().await;
    for (id, path, expected) in [
        ("", TARGET, Code::InvalidArgument),
        (HANDLE, "", Code::InvalidArgument),
        (HANDLE, "x", Code::InvalidArgument),
        ("reallyfakevolumeid", TARGET, Code::NotFound),
        (HANDLE, TARGET, Code::NotFound),
    ] {
        let request = NodeGetVolumeStatsRequest {
            volume_id: id.to_owned(),
            volume_path: path.to_owned(),
            staging_target_path: String::new(),
        };
        let answer = scene
            .node
            .node_get_volume_stats(Request::new(request))
            .await;
        assert_eq!(code(answer.map(drop)), expected, "{id} {path}");
        let request = NodeExpandVolumeRequest {
            volume_id: id.to_owned(),
            volume_path: path.to_owned(),
            ..NodeExpandVolumeRequest::default()
        };
        let answer = scene.node.node_expand_volume(Request::new(request)).await;
        assert_eq!(code(answer.map(drop)), expected, "{id} {path}");
    }
    for (required_bytes, limit_bytes) in [(-1, 0), (0, -1), (2, 1)] {
        let request = NodeExpandVolumeRequest {
            volume_id: HANDLE.to_owned(),
            volume_path: TARGET.to_owned(),
            capacity_range: Some(proto::CapacityRange {
                required_bytes,
                limit_bytes,
            }),
            ..NodeExpandVolumeRequest::default()
        };
        let answer = scene.node.node_expand_volume(Request::new(request)).await;
        assert_eq!(code(answer.map(drop)), Code::InvalidArgument);
    }
}
