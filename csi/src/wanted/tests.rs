//! Requests as objects, and objects against requests.

use serde_json::json;
use tonic::Code;
use uuid::Uuid;
use weir_api::volume::Access;

use super::*;
use crate::capability::tests::{block, mount};
use crate::proto::volume_capability::access_mode::Mode;
use crate::proto::{CapacityRange, TopologyRequirement};
use crate::topology;

const GIB: i64 = 1 << 30;

pub(crate) fn id(number: u128) -> VolumeId {
    VolumeId(Uuid::from_u128(number))
}

/// A claim of 1 GiB with a file system.
pub(crate) fn request(name: &str) -> CreateVolumeRequest {
    CreateVolumeRequest {
        name: name.to_owned(),
        capacity_range: Some(CapacityRange {
            required_bytes: GIB,
            limit_bytes: 0,
        }),
        volume_capabilities: vec![mount(Mode::SingleNodeWriter, "")],
        ..CreateVolumeRequest::default()
    }
}

fn with(change: impl FnOnce(&mut CreateVolumeRequest)) -> CreateVolumeRequest {
    let mut request = request("pvc-1");
    change(&mut request);
    request
}

fn parameter(name: &str, value: &str) -> CreateVolumeRequest {
    with(|request| {
        request.parameters.insert(name.to_owned(), value.to_owned());
    })
}

pub(crate) fn at(nodes: &[&str]) -> Option<TopologyRequirement> {
    let places: Vec<_> = nodes
        .iter()
        .map(|node| topology::of(&node.parse().unwrap()))
        .collect();
    Some(TopologyRequirement {
        requisite: places.clone(),
        preferred: places,
    })
}

fn wanted(request: &CreateVolumeRequest) -> Wanted {
    Wanted::of(request, id(1)).unwrap()
}

#[test]
fn a_claim_becomes_a_volume() {
    let volume = wanted(&with(|request| {
        request.parameters = [
            ("provisioning", "thin"),
            ("locality", "MustLocal"),
            ("antiAffinityKey", "pg"),
            ("csi.storage.k8s.io/pvc/name", "data-0"),
            ("csi.storage.k8s.io/pvc/namespace", "shop"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        request.accessibility_requirements = at(&["a"]);
    }))
    .object();
    let spec = serde_json::to_value(&volume.spec).unwrap();
    assert_eq!(
        spec,
        json!({
            "id": "00000000-0000-0000-0000-000000000001", "capacityBytes": GIB, "engine": "kernel", "provisioning": "thin",
            "layout": "linear", "access": "SingleHost", "wipe": "zero",
            "placement": {"locality": "MustLocal", "consumerNode": "a", "antiAffinityKey": "pg"},
        })
    );
    let metadata = serde_json::to_value(&volume.metadata).unwrap();
    assert_eq!(metadata["name"], "pvc-1");
    assert_eq!(
        metadata["labels"]["weir.dev/persistentvolumeclaim"],
        "data-0"
    );
    assert_eq!(metadata["annotations"]["csi.weir.dev/form"], "mount");
}

#[test]
fn what_agents_can_not_serve_is_refused_before_anything_is_made() {
    let refused = [
        with(|r| r.name = String::new()),
        with(|r| r.volume_capabilities = vec![]),
        with(|r| r.volume_capabilities = vec![mount(Mode::MultiNodeReaderOnly, "")]),
        with(|r| r.volume_content_source = Some(crate::proto::VolumeContentSource::default())),
        with(|r| {
            drop(
                r.mutable_parameters
                    .insert("iops".to_owned(), "1".to_owned()),
            )
        }),
        parameter("layout", "mirror"),
        parameter("engine", "spdk"),
        parameter("wipe", "none"),
        parameter("readP99", "2ms"),
    ];
    for request in refused {
        let failure = Wanted::of(&request, id(1)).unwrap_err();
        assert_eq!(failure.code(), Code::InvalidArgument, "{failure}");
    }
    let shared = with(|r| r.volume_capabilities = vec![block(Mode::MultiNodeMultiWriter)]);
    assert_eq!(wanted(&shared).object().spec.access, Access::MultiHost);
}

/// Seen red with: `difference` always `None`.
#[test]
fn only_the_same_request_finds_its_volume_again() {
    let there = wanted(&request("pvc-1")).object();
    // A retry has made up another id, which does not matter.
    let again = Wanted::of(&request("pvc-1"), id(2)).unwrap();
    assert_eq!(again.compare(&there), Ok(Existing::Same));
    let larger = |required_bytes, limit_bytes| {
        with(|r| {
            r.capacity_range = Some(CapacityRange {
                required_bytes,
                limit_bytes,
            });
        })
    };
    assert_eq!(
        wanted(&larger(GIB / 2, 2 * GIB)).compare(&there),
        Ok(Existing::Same)
    );
    let others = [
        larger(2 * GIB, 0),
        larger(0, GIB / 2),
        with(|r| r.volume_capabilities = vec![block(Mode::SingleNodeWriter)]),
        with(|r| r.volume_capabilities = vec![mount(Mode::SingleNodeWriter, "xfs")]),
        parameter("provisioning", "thin"),
        parameter("locality", "MustLocal"),
        parameter("antiAffinityKey", "pg"),
        parameter("nodeSelector", "a=b"),
        parameter("poolSelector", "a=b"),
        parameter("mkfsOptions", "-m 0"),
        parameter("ctrlLossTmo", "never"),
        parameter("engine", "any"),
    ];
    for other in others {
        let failure = wanted(&other).compare(&there).unwrap_err();
        assert_eq!(failure.code(), Code::AlreadyExists, "{failure}");
    }
    let shared = wanted(&with(|r| {
        r.volume_capabilities = vec![block(Mode::MultiNodeMultiWriter)]
    }))
    .object();
    let alone = with(|r| r.volume_capabilities = vec![block(Mode::SingleNodeWriter)]);
    assert_eq!(
        wanted(&alone).compare(&shared).unwrap_err().code(),
        Code::AlreadyExists
    );
}

/// Seen red with: the annotation of the request not compared.
#[test]
fn a_volume_that_somebody_else_made_is_never_taken() {
    let mut there = wanted(&request("pvc-1")).object();
    there.metadata.annotations = None;
    let failure = wanted(&request("pvc-1")).compare(&there).unwrap_err();
    assert_eq!(failure.code(), Code::AlreadyExists);
    let mut other = wanted(&request("pvc-1")).object();
    other
        .metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert(REQUEST.to_owned(), "PVC-1".to_owned());
    assert!(wanted(&request("pvc-1")).compare(&other).is_err());
}

#[test]
fn a_volume_that_is_going_is_waited_for() {
    let mut there = serde_json::to_value(wanted(&request("pvc-1")).object()).unwrap();
    there["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let there = serde_json::from_value(there).unwrap();
    assert_eq!(
        wanted(&request("pvc-1"))
            .compare(&there)
            .unwrap_err()
            .code(),
        Code::Aborted
    );
}

/// The pod was scheduled anew after there was no room where it was to be.
///
/// Seen red with: `is_nowhere` without `is_untouched`: what is told as `Outdated` is deleted.
#[test]
fn a_volume_in_no_pool_follows_its_pod() {
    let on = |node: &str| {
        with(|r| {
            r.accessibility_requirements = at(&[node]);
            r.parameters
                .insert("locality".to_owned(), "MustLocal".to_owned());
        })
    };
    let mut there = wanted(&on("a")).object();
    assert_eq!(wanted(&on("b")).compare(&there), Ok(Existing::Outdated));
    // Somebody cleared the name of its pool.
    let mut lost = serde_json::to_value(&there).unwrap();
    lost["status"] = json!({"phase": "Ready", "capacityBytes": GIB});
    let lost = serde_json::from_value(lost).unwrap();
    assert_eq!(wanted(&on("b")).compare(&lost), Ok(Existing::Same));
    there.spec.pool_name = Some("fast".parse().unwrap());
    assert_eq!(wanted(&on("b")).compare(&there), Ok(Existing::Same));
}
