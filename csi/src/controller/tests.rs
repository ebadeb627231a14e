//! The service on an API in memory, with the others played.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::{Code, Request};
use weir_api::condition::{Condition, READY, SCHEDULED, Truth, reason};
use weir_api::crd::StoragePool;
use weir_api::names::FINALIZER;
use weir_api::volume::{AttachmentStatus, Phase, VolumeStatus};

use super::*;
use crate::capability::tests::{block, mount};
use crate::objects::fake::{Fake, Play, Trouble};
use crate::proto::volume_capability::access_mode::Mode;
use crate::wanted::tests::{at, request as claim};

/// Long for a test, and short for a person.
const PATIENCE: Duration = Duration::from_secs(60);

fn pool() -> StoragePool {
    let pool = json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "StoragePool", "metadata": {"name": "p"},
        "spec": {"nodeName": "s", "engine": {"kernel": {"volumeGroup": "vg"}}, "portals": [{"address": "10.0.0.1"}]},
        "status": {
            "capacityBytes": 10_u64 << 30, "freeBytes": 8_u64 << 30,
            "conditions": [{"type": "Ready", "status": "True", "reason": "AsAsked", "message": "m"}],
        },
    });
    serde_json::from_value(pool).unwrap()
}

/// A controller that places everything in `p`.
fn place(volume: &mut Volume) {
    if volume.spec.pool_name.is_none() && volume.metadata.deletion_timestamp.is_none() {
        volume.spec.pool_name = Some("p".parse().unwrap());
        volume.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    }
}

/// An agent that does at once what it is asked.
fn serve(volume: &mut Volume) {
    let mut status = volume.status.clone().unwrap_or_default();
    status.phase = Phase::Ready;
    status.node_name = Some("s".parse().unwrap());
    status.capacity_bytes = volume.spec.capacity_bytes;
    status.observed_generation = volume.metadata.generation;
    let granted = volume.spec.attachments.iter().map(|one| AttachmentStatus {
        node_name: one.node_name.clone(),
        generation: one.generation,
        device_path: Some("/dev/mapper/x".to_owned()),
        target: None,
        message: None,
    });
    status.attachments = granted.collect();
    if volume.metadata.deletion_timestamp.is_some() {
        status.phase = Phase::Deleted;
        volume.metadata.finalizers = None;
    }
    volume.status = Some(status);
}

fn all(volume: &mut Volume) {
    place(volume);
    serve(volume);
}

/// A controller that finds no room.
fn no_room(volume: &mut Volume) {
    let message = "none of 1 pool: 1 with too little space (p)";
    let mut said = Condition::new(SCHEDULED, Truth::False, reason::NO_POOL_FITS, message);
    said.observed_generation = volume.metadata.generation;
    volume.status = Some(VolumeStatus {
        conditions: vec![said],
        ..VolumeStatus::default()
    });
}

/// An agent that does not come to an end with it.
fn zeroing(volume: &mut Volume) {
    place(volume);
    let said = Condition::new(
        READY,
        Truth::False,
        reason::ZEROING,
        "3 of 8 GiB are zeroed",
    );
    volume.status = Some(VolumeStatus {
        phase: Phase::Creating,
        conditions: vec![said],
        ..VolumeStatus::default()
    });
}

fn nothing(_: &mut Volume) {}

fn start(play: Play) -> (Fake, Controller<Fake>) {
    let fake = Fake::new(play, vec![pool()], &["a", "b", "s"]);
    (fake.clone(), Controller::new(fake, PATIENCE))
}

async fn create(
    controller: &Controller<Fake>,
    request: proto::CreateVolumeRequest,
) -> Result<proto::Volume, Status> {
    let answer = controller.create_volume(Request::new(request)).await?;
    Ok(answer.into_inner().volume.unwrap())
}

async fn delete(controller: &Controller<Fake>, id: &str) -> Result<(), Status> {
    let request = proto::DeleteVolumeRequest {
        volume_id: id.to_owned(),
        ..proto::DeleteVolumeRequest::default()
    };
    controller
        .delete_volume(Request::new(request))
        .await
        .map(drop)
}

async fn publish(
    controller: &Controller<Fake>,
    id: &str,
    node: &str,
) -> Result<proto::ControllerPublishVolumeResponse, Status> {
    let request = proto::ControllerPublishVolumeRequest {
        volume_id: id.to_owned(),
        node_id: node.to_owned(),
        volume_capability: Some(mount(Mode::SingleNodeWriter, "")),
        ..proto::ControllerPublishVolumeRequest::default()
    };
    Ok(controller
        .controller_publish_volume(Request::new(request))
        .await?
        .into_inner())
}

async fn unpublish(controller: &Controller<Fake>, id: &str, node: &str) -> Result<(), Status> {
    let request = proto::ControllerUnpublishVolumeRequest {
        volume_id: id.to_owned(),
        node_id: node.to_owned(),
        ..proto::ControllerUnpublishVolumeRequest::default()
    };
    controller
        .controller_unpublish_volume(Request::new(request))
        .await
        .map(drop)
}

fn code<T>(answer: Result<T, Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_made_and_a_retry_is_the_same_volume() {
    let (fake, controller) = start(all);
    let made = create(&controller, claim("pvc-1")).await.unwrap();
    assert_eq!(made.capacity_bytes, 1 << 30);
    assert!(made.volume_id.starts_with("pvc-1."), "{}", made.volume_id);
    assert_eq!(made.volume_context["fsType"], "ext4");
    assert!(made.accessible_topology.is_empty());
    assert_eq!(create(&controller, claim("pvc-1")).await.unwrap(), made);
    let mut larger = claim("pvc-1");
    larger.capacity_range.as_mut().unwrap().required_bytes = 2 << 30;
    assert_eq!(code(create(&controller, larger).await), Code::AlreadyExists);
    assert_eq!(fake.made().len(), 1);
}

/// Whatever happens to its writes, a claim has one volume in the end.
///
/// Seen red with: the object's name made of a new UUID instead of the request's.
#[tokio::test(start_paused = true)]
async fn a_retry_makes_no_second_volume() {
    for trouble in [Trouble::Lost, Trouble::Unheard] {
        let (fake, controller) = start(all);
        fake.trouble(&[trouble]);
        assert_eq!(
            code(create(&controller, claim("pvc-1")).await),
            Code::Unavailable
        );
        // Another plugin, which knows nothing.
        let next = Controller::new(fake.clone(), PATIENCE);
        let made = create(&next, claim("pvc-1")).await.unwrap();
        let volumes = fake.volumes();
        assert_eq!(volumes.len(), 1);
        assert_eq!(fake.made(), [volumes[0].spec.id.to_string()]);
        assert!(made.volume_id.ends_with(&volumes[0].spec.id.to_string()));
    }
    // Two at once: one makes it, the other comes again.
    let (fake, one) = start(all);
    let other = Controller::new(fake.clone(), PATIENCE);
    let (a, b) = tokio::join!(create(&one, claim("pvc-1")), create(&other, claim("pvc-1")));
    assert!(a.is_ok() || b.is_ok());
    assert_eq!(fake.made().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_without_room_leaves_nothing_behind_and_can_go_elsewhere() {
    let (fake, controller) = start(no_room);
    let refused = create(&controller, claim("pvc-1")).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("too little space"), "{refused}");
    assert_eq!(fake.volumes(), []);
    // The pod was scheduled elsewhere.
    fake.play(all);
    let mut elsewhere = claim("pvc-1");
    elsewhere.accessibility_requirements = at(&["b"]);
    assert!(create(&controller, elsewhere).await.is_ok());
}

/// A pool is found just when the volume is to be taken back.
///
/// Seen red with: the deletion's `Conflict` taken for done.
#[tokio::test(start_paused = true)]
async fn a_volume_that_found_its_pool_is_not_taken_back() {
    let (fake, controller) = start(no_room);
    // The creation is raced by nobody; then comes the deletion.
    fake.trouble(&[Trouble::Raced, Trouble::Played(all)]);
    assert!(create(&controller, claim("pvc-1")).await.is_ok());
    assert_eq!(fake.volumes().len(), 1);
    // Another state that is as hopeless: it is looked at, and taken back then.
    let (fake, controller) = start(no_room);
    fake.trouble(&[Trouble::Raced, Trouble::Raced]);
    assert_eq!(
        code(create(&controller, claim("pvc-1")).await),
        Code::ResourceExhausted
    );
    assert_eq!(fake.volumes(), []);
}

/// An attempt was killed before it took its volume back, and the pod was scheduled elsewhere.
#[tokio::test(start_paused = true)]
async fn what_was_asked_for_elsewhere_is_made_anew() {
    let (fake, controller) = start(nothing);
    let on = |node: &str| {
        let mut local = claim("pvc-1");
        local
            .parameters
            .insert("locality".to_owned(), "MustLocal".to_owned());
        local.accessibility_requirements = at(&[node]);
        local
    };
    assert_eq!(
        code(create(&controller, on("a")).await),
        Code::DeadlineExceeded
    );
    assert_eq!(
        code(create(&controller, on("s")).await),
        Code::DeadlineExceeded
    );
    assert_eq!((fake.volumes().len(), fake.made().len()), (1, 2));
    fake.play(all);
    assert!(create(&controller, on("s")).await.is_ok());
    assert_eq!(fake.made().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_takes_its_time_is_told_and_found_again() {
    let (fake, controller) = start(zeroing);
    let late = create(&controller, claim("pvc-1")).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert!(late.message().contains("3 of 8 GiB are zeroed"), "{late}");
    let alone = {
        let mut silent = claim("pvc-1");
        silent
            .parameters
            .insert("locality".to_owned(), "MustLocal".to_owned());
        create(&controller, silent).await
    };
    assert_eq!(code(alone), Code::AlreadyExists);
    fake.play(all);
    assert!(create(&controller, claim("pvc-1")).await.is_ok());
    assert_eq!(fake.made().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_local_volume_says_where_it_is() {
    let (_, controller) = start(all);
    let mut local = claim("pvc-1");
    local
        .parameters
        .insert("locality".to_owned(), "MustLocal".to_owned());
    local.accessibility_requirements = at(&["s"]);
    let made = create(&controller, local.clone()).await.unwrap();
    assert_eq!(made.accessible_topology, at(&["s"]).unwrap().requisite);
    local.accessibility_requirements = at(&["a"]);
    assert_eq!(code(create(&controller, local).await), Code::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn one_operation_per_volume() {
    let (_, controller) = start(zeroing);
    let (one, other) = tokio::join!(
        create(&controller, claim("pvc-1")),
        create(&controller, claim("pvc-1"))
    );
    let mut codes = [code(one), code(other)];
    codes.sort_by_key(|code| *code as i32);
    assert_eq!(codes, [Code::DeadlineExceeded, Code::Aborted]);
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_deleted_once_nobody_has_it() {
    let (fake, controller) = start(all);
    let id = create(&controller, claim("pvc-1")).await.unwrap().volume_id;
    publish(&controller, &id, "a").await.unwrap();
    let held = delete(&controller, &id).await.unwrap_err();
    assert_eq!(held.code(), Code::FailedPrecondition);
    assert!(held.message().contains("node `a`"), "{held}");
    unpublish(&controller, &id, "a").await.unwrap();
    delete(&controller, &id).await.unwrap();
    assert_eq!(fake.volumes(), []);
    delete(&controller, &id).await.unwrap();
    for nobodys in [
        "reallyfakevolumeid",
        "pvc-1.7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
    ] {
        delete(&controller, nobodys).await.unwrap();
    }
    assert_eq!(code(delete(&controller, "").await), Code::InvalidArgument);
}

/// Seen red with: `find` without its comparison of ids.
#[tokio::test(start_paused = true)]
async fn another_volume_of_the_same_name_is_never_touched() {
    let (fake, controller) = start(all);
    let old = create(&controller, claim("pvc-1")).await.unwrap().volume_id;
    delete(&controller, &old).await.unwrap();
    let new = create(&controller, claim("pvc-1")).await.unwrap().volume_id;
    assert_ne!(old, new);
    delete(&controller, &old).await.unwrap();
    unpublish(&controller, &old, "").await.unwrap();
    assert_eq!(code(publish(&controller, &old, "a").await), Code::NotFound);
    assert_eq!(fake.volumes().len(), 1);
    assert!(publish(&controller, &new, "a").await.is_ok());
}

/// A grant may come between looking and deleting.
///
/// Seen red with: the deletion's `Conflict` taken for done.
#[tokio::test(start_paused = true)]
async fn a_deletion_that_was_overtaken_looks_again() {
    let (fake, controller) = start(all);
    let id = create(&controller, claim("pvc-1")).await.unwrap().volume_id;
    fake.trouble(&[Trouble::Granted]);
    let held = delete(&controller, &id).await.unwrap_err();
    assert_eq!(held.code(), Code::FailedPrecondition);
    assert!(held.message().contains("node `b`"), "{held}");
    unpublish(&controller, &id, "b").await.unwrap();
    fake.trouble(&[Trouble::Raced]);
    delete(&controller, &id).await.unwrap();
    assert_eq!(fake.volumes(), []);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_waits_until_the_data_is_gone() {
    fn busy(volume: &mut Volume) {
        place(volume);
        let gone = volume.metadata.deletion_timestamp.is_some();
        if !gone {
            serve(volume);
        }
    }
    let (fake, controller) = start(busy);
    let id = create(&controller, claim("pvc-1")).await.unwrap().volume_id;
    assert_eq!(code(delete(&controller, &id).await), Code::DeadlineExceeded);
    assert_eq!(fake.volumes().len(), 1);
    assert_eq!(
        code(create(&controller, claim("pvc-1")).await),
        Code::Aborted
    );
    fake.play(all);
    delete(&controller, &id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_volume_goes_from_node_to_node_with_a_new_generation() {
    let (fake, controller) = start(all);
    let id = create(&controller, claim("pvc-1")).await.unwrap().volume_id;
    let first = publish(&controller, &id, "a")
        .await
        .unwrap()
        .publish_context;
    assert_eq!(first["devicePath"], "/dev/mapper/x");
    assert_eq!(
        publish(&controller, &id, "a")
            .await
            .unwrap()
            .publish_context,
        first
    );
    let held = publish(&controller, &id, "b").await.unwrap_err();
    assert_eq!(held.code(), Code::FailedPrecondition);
    assert!(held.message().contains("node `a`"), "{held}");
    for _ in 0..2 {
        unpublish(&controller, &id, "a").await.unwrap();
    }
    // Somebody who was never granted it.
    unpublish(&controller, &id, "s").await.unwrap();
    let second = publish(&controller, &id, "b")
        .await
        .unwrap()
        .publish_context;
    let number = |context: &std::collections::HashMap<String, String>| {
        context["generation"].parse::<u64>().unwrap()
    };
    assert!(number(&second) > number(&first));
    let holders = &fake.volumes()[0].spec.attachments;
    assert_eq!(holders.len(), 1);
    unpublish(&controller, &id, "").await.unwrap();
    assert!(fake.volumes()[0].spec.attachments.is_empty());
}

/// Two plugins, each of which thinks it is alone, and grants that are written between the other's look and its write.
///
/// Seen red with: `excludes` of [`crate::attachment`] always false.
#[tokio::test(start_paused = true)]
async fn two_nodes_never_both_have_a_volume() {
    let (fake, one) = start(all);
    let other = Controller::new(fake.clone(), PATIENCE);
    let id = create(&one, claim("pvc-1")).await.unwrap().volume_id;
    for round in 0..20 {
        if round % 3 == 0 {
            fake.trouble(&[Trouble::Raced]);
        }
        let (a, b) = tokio::join!(publish(&one, &id, "a"), publish(&other, &id, "b"));
        assert!(a.is_err() || b.is_err(), "round {round}");
        let holders = fake.volumes()[0].spec.attachments.clone();
        assert!(holders.len() <= 1, "{holders:?}");
        unpublish(&one, &id, "").await.unwrap();
    }
    fake.trouble(&[Trouble::Granted]);
    let held = publish(&one, &id, "a").await.unwrap_err();
    assert_eq!(held.code(), Code::FailedPrecondition);
    assert!(held.message().contains("node `b`"), "{held}");
}

#[tokio::test(start_paused = true)]
async fn an_end_is_only_told_once_the_agent_says_so() {
    let (fake, controller) = start(all);
    let id = create(&controller, claim("pvc-1")).await.unwrap().volume_id;
    publish(&controller, &id, "a").await.unwrap();
    // The agent is silent from now on.
    fake.play(nothing);
    let late = unpublish(&controller, &id, "a").await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    let held = publish(&controller, &id, "b").await.unwrap_err();
    assert_eq!(held.code(), Code::FailedPrecondition);
    fake.play(all);
    unpublish(&controller, &id, "a").await.unwrap();
    publish(&controller, &id, "b").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_found() {
    let (_, controller) = start(all);
    let id = create(&controller, claim("pvc-1")).await.unwrap().volume_id;
    for (volume, node, wanted) in [
        ("", "a", Code::InvalidArgument),
        (&*id, "", Code::InvalidArgument),
        ("fake", "a", Code::NotFound),
        (&*id, "nowhere", Code::NotFound),
        (&*id, "No Node", Code::NotFound),
    ] {
        assert_eq!(
            code(publish(&controller, volume, node).await),
            wanted,
            "{volume} {node}"
        );
    }
    assert_eq!(
        code(unpublish(&controller, "", "a").await),
        Code::InvalidArgument
    );
    assert_eq!(code(unpublish(&controller, "fake", "a").await), Code::Ok);
    assert_eq!(code(unpublish(&controller, &id, "No Node").await), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn capabilities_are_confirmed_as_a_whole() {
    let (_, controller) = start(all);
    let made = create(&controller, claim("pvc-1")).await.unwrap();
    let validate = async |capabilities: Vec<proto::VolumeCapability>,
                          parameters: &[(&str, &str)]| {
        let request = proto::ValidateVolumeCapabilitiesRequest {
            volume_id: made.volume_id.clone(),
            volume_context: made.volume_context.clone(),
            volume_capabilities: capabilities,
            parameters: parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..proto::ValidateVolumeCapabilitiesRequest::default()
        };
        let answer = controller
            .validate_volume_capabilities(Request::new(request))
            .await;
        answer.map(|answer| answer.into_inner().confirmed.is_some())
    };
    let rwo = mount(Mode::SingleNodeWriter, "");
    assert!(validate(vec![rwo.clone()], &[]).await.unwrap());
    assert!(
        validate(vec![rwo.clone()], &[("engine", "kernel")])
            .await
            .unwrap()
    );
    assert!(
        !validate(vec![rwo.clone()], &[("fsType", "xfs")])
            .await
            .unwrap()
    );
    assert!(
        !validate(
            vec![rwo.clone(), mount(Mode::MultiNodeMultiWriter, "")],
            &[]
        )
        .await
        .unwrap()
    );
    assert!(
        !validate(vec![mount(Mode::MultiNodeReaderOnly, "")], &[])
            .await
            .unwrap()
    );
    assert!(
        !validate(vec![block(Mode::SingleNodeWriter)], &[])
            .await
            .unwrap()
    );
    assert_eq!(
        validate(vec![], &[]).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[tokio::test(start_paused = true)]
async fn volumes_are_listed_page_by_page() {
    let (fake, controller) = start(all);
    for number in 0..5 {
        create(&controller, claim(&format!("pvc-{number}")))
            .await
            .unwrap();
    }
    let id = create(&controller, claim("pvc-0")).await.unwrap().volume_id;
    publish(&controller, &id, "a").await.unwrap();
    let list = async |max_entries: i32, starting_token: &str| {
        let starting_token = starting_token.to_owned();
        let request = proto::ListVolumesRequest {
            max_entries,
            starting_token,
        };
        controller
            .list_volumes(Request::new(request))
            .await
            .map(tonic::Response::into_inner)
    };
    let (mut token, mut found) = (String::new(), Vec::new());
    loop {
        let page = list(2, &token).await.unwrap();
        assert!(page.entries.len() <= 2);
        found.extend(page.entries);
        token = page.next_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(found.len(), 5);
    let first = found[0].status.clone().unwrap();
    assert_eq!(first.published_node_ids, ["a"]);
    assert!(!first.volume_condition.unwrap().abnormal);
    assert_eq!(
        list(-1, "").await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(list(0, "nonsense").await.unwrap_err().code(), Code::Aborted);
    assert_eq!(list(0, "").await.unwrap().entries.len(), 5);

    let get = async |volume_id: &str| {
        let volume_id = volume_id.to_owned();
        let request = proto::ControllerGetVolumeRequest { volume_id };
        controller
            .controller_get_volume(Request::new(request))
            .await
            .map(tonic::Response::into_inner)
    };
    assert_eq!(get(&id).await.unwrap().volume, found[0].volume);
    assert_eq!(get("fake").await.unwrap_err().code(), Code::NotFound);
    fake.patch(
        "pvc-0",
        &json!({"status": {"conditions": [
            {"type": "Orphaned", "status": "True", "reason": "NoRequest", "message": "m"},
        ]}}),
    );
    assert!(
        get(&id)
            .await
            .unwrap()
            .status
            .unwrap()
            .volume_condition
            .unwrap()
            .abnormal
    );
}

#[tokio::test(start_paused = true)]
async fn capacity_is_told_for_a_class_and_a_place() {
    let (_, controller) = start(all);
    let capacity = async |locality: &str, node: Option<&str>| {
        let request = proto::GetCapacityRequest {
            parameters: [("locality".to_owned(), locality.to_owned())].into(),
            accessible_topology: node.map(|node| at(&[node]).unwrap().requisite.remove(0)),
            ..proto::GetCapacityRequest::default()
        };
        let answer = controller.get_capacity(Request::new(request)).await;
        answer.map(|answer| answer.into_inner().available_capacity >> 30)
    };
    assert_eq!(capacity("MustLocal", Some("s")).await.unwrap(), 8);
    assert_eq!(capacity("MustLocal", Some("a")).await.unwrap(), 0);
    assert_eq!(capacity("PreferLocal", Some("a")).await.unwrap(), 8);
    assert_eq!(capacity("PreferLocal", None).await.unwrap(), 8);
    assert_eq!(
        capacity("nowhere", None).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

/// What is advertised is served, and what is not says so.
#[tokio::test(start_paused = true)]
async fn nothing_is_advertised_that_is_not_there() {
    let (_, controller) = start(all);
    let request = Request::new(proto::ControllerGetCapabilitiesRequest {});
    let told = controller
        .controller_get_capabilities(request)
        .await
        .unwrap()
        .into_inner();
    let told: Value = told
        .capabilities
        .iter()
        .map(|one| match &one.r#type {
            Some(proto::controller_service_capability::Type::Rpc(rpc)) => json!(rpc.r#type),
            None => json!(null),
        })
        .collect();
    assert_eq!(told, json!([1, 2, 3, 10, 4, 12, 11, 13]));
    let expand = Request::new(proto::ControllerExpandVolumeRequest::default());
    assert_eq!(
        controller
            .controller_expand_volume(expand)
            .await
            .unwrap_err()
            .code(),
        Code::Unimplemented
    );
}
