//! Whose a device mapping is by its name.

use super::*;

fn id() -> VolumeId {
    VolumeId("7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90".parse().unwrap())
}

/// Seen red with: `is_of` always true.
#[test]
fn a_path_is_a_volumes_only_by_its_id() {
    let node: NodeName = "n".parse().unwrap();
    let lv = id().lv_name();
    let grant = id().mapping(&node, Generation(3));
    for (path, name) in [
        (format!("/dev/mapper/vg-{lv}"), Some(format!("vg-{lv}"))),
        (format!("/dev/vg/{lv}"), Some(format!("vg-{lv}"))),
        (format!("/dev/my-vg/{lv}"), Some(format!("my--vg-{lv}"))),
        (grant.path(), Some(grant.dm_name())),
        ("/dev/sda".to_owned(), None),
        (format!("/dev/{lv}"), None),
        (format!("/dev/mapper/{lv}"), None),
        (format!("/dev/mapper/vg-x{lv}"), None),
        // A group whose name ends in a hyphen, and no volume.
        (format!("/dev/mapper/vg--{lv}"), None),
        (format!("/dev/mapper/vg-{lv}0"), None),
        (format!("/dev/a/b/{lv}"), None),
        (format!("/tmp/vg-{lv}"), None),
    ] {
        assert_eq!(mapping(&path, id()), name, "{path}");
    }
    let other = VolumeId("7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d91".parse().unwrap());
    assert_eq!(mapping(&format!("/dev/vg/{lv}"), other), None);
    assert_eq!(mapping(&grant.path(), other), None);
}

#[test]
fn a_grants_mapping_is_the_nodes_whatever_its_generation() {
    let (n, m): (NodeName, NodeName) = ("n".parse().unwrap(), "m".parse().unwrap());
    for generation in [0, 1, 10, 1_700_000_000] {
        let name = id().mapping(&n, Generation(generation)).dm_name();
        assert!(is_grant_to(&name, id(), &n), "{name}");
        assert!(!is_grant_to(&name, id(), &m), "{name}");
    }
    assert!(!is_grant_to(&format!("vg-{}", id().lv_name()), id(), &n));
}
