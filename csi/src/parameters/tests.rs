//! What a StorageClass may say, and what not.

use std::collections::HashMap;

use tonic::Code;

use super::*;
use crate::capability::tests::{block, mount};
use crate::proto::volume_capability::access_mode::Mode;

fn given(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    pairs.collect()
}

fn as_mount(fs_type: &str) -> Uses {
    Uses::of(&[mount(Mode::SingleNodeWriter, fs_type)]).unwrap()
}

fn class(pairs: &[(&str, &str)]) -> Result<Class, Failure> {
    Class::of(&given(pairs), &as_mount(""))
}

/// With `WEIR_BLESS=1` it is written instead.
#[test]
fn the_document_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/PARAMETERS.md");
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(path, table::markdown()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == table::markdown(),
        "PARAMETERS.md is not what WEIR_BLESS=1 writes"
    );
}

#[test]
fn every_parameter_of_the_table_is_read() {
    for row in table::TABLE {
        let with = class(&[(row.name, row.example)]);
        assert!(with.is_ok(), "{}: {with:?}", row.name);
        // Whatever is said has to make a difference: a parameter that nobody reads would be ignored.
        let differs = row.example != row.default.trim_matches('`');
        assert_eq!(
            with.unwrap() != class(&[]).unwrap(),
            differs,
            "{}",
            row.name
        );
    }
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    for (pairs, name) in [
        (&[("Engine", "kernel")][..], "Engine"),
        (&[("fstype", "ext4")], "fstype"),
        (
            &[("csi.storage.k8s.io/other", "x")],
            "csi.storage.k8s.io/other",
        ),
        (&[("engine", "lvm")], "engine"),
        (&[("engine", "")], "engine"),
        (&[("provisioning", "Thick")], "provisioning"),
        (&[("layout", "raid5")], "layout"),
        (&[("locality", "local")], "locality"),
        (&[("wipe", "no")], "wipe"),
        (&[("readP99", "2")], "readP99"),
        (&[("writeP99", "0ms")], "writeP99"),
        (&[("antiAffinityKey", "")], "antiAffinityKey"),
        (&[("nodeSelector", "=x")], "nodeSelector"),
        (&[("poolSelector", "")], "poolSelector"),
        (&[("fsType", "btrfs")], "fsType"),
        (&[("mkfsOptions", "-F")], "mkfsOptions"),
        (&[("mountOptions", "all")], "mountOptions"),
        (&[("portals", "0")], "portals"),
        (&[("portals", "9")], "portals"),
        (&[("ctrlLossTmo", "0")], "ctrlLossTmo"),
        (&[("ctrlLossTmo", "-1")], "ctrlLossTmo"),
        (&[("ctrlLossTmo", "+5")], "ctrlLossTmo"),
        (&[("reconnectDelay", "never")], "reconnectDelay"),
        (&[("reconnectDelay", "")], "reconnectDelay"),
        (&[("fastIoFail", "1s")], "fastIoFail"),
        (
            &[("csi.storage.k8s.io/pvc/name", "A B")],
            "csi.storage.k8s.io/pvc/name",
        ),
        // Contradictions.
        (&[("provisioning", "thin"), ("layout", "mirror")], "layout"),
        (
            &[("reconnectDelay", "20"), ("ctrlLossTmo", "10")],
            "reconnectDelay",
        ),
        (&[("fastIoFail", "10"), ("ctrlLossTmo", "10")], "fastIoFail"),
        (
            &[("locality", "MustLocal"), ("ctrlLossTmo", "10")],
            "ctrlLossTmo",
        ),
        (&[("locality", "MustLocal"), ("portals", "all")], "portals"),
        (
            &[("fsType", "xfs"), ("mkfsOptions", "-i 65536")],
            "mkfsOptions",
        ),
    ] {
        let failure = class(pairs).unwrap_err();
        assert_eq!(failure.code(), Code::InvalidArgument, "{pairs:?}");
        let said = failure.to_string();
        assert!(
            said.starts_with(&format!("parameter `{name}`: ")),
            "{pairs:?}: {said}"
        );
    }
    let other = Class::of(&given(&[("fsType", "xfs")]), &as_mount("ext4")).unwrap_err();
    assert!(other.to_string().contains("`fsType`"), "{other}");
}

#[test]
fn nothing_said_is_all_said_for_the_nodes() {
    let context = |pairs: &[(&str, &str)], form| class(pairs).unwrap().context(form);
    let text = |context: BTreeMap<String, String>| {
        let pairs = context
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        text(context(&[], Form::Mount)),
        "ctrlLossTmo=600 fastIoFail=never fsType=ext4 mkfsOptions= mountOptions=known portals=all reconnectDelay=2"
    );
    assert_eq!(
        text(context(
            &[("ctrlLossTmo", "never"), ("fsType", "xfs")],
            Form::Block
        )),
        "ctrlLossTmo=never fastIoFail=never portals=all reconnectDelay=2"
    );
    assert_eq!(text(context(&[("locality", "MustLocal")], Form::Block)), "");
}

#[test]
fn a_flag_that_is_not_known_is_refused() {
    let mut uses = as_mount("");
    uses.mount_flags = vec!["nobarrier".to_owned()];
    assert!(Class::of(&given(&[]), &uses).is_err());
    assert!(Class::of(&given(&[("mountOptions", "any")]), &uses).is_ok());
    // A device is not mounted: what a class says of that is for its other volumes.
    let device = Uses::of(&[block(Mode::SingleNodeWriter)]).unwrap();
    assert!(Class::of(&given(&[("mkfsOptions", "-m 0")]), &device).is_ok());
}
