//! The StorageClasses and the CSIDriver, as weir-csi understands them.

use std::collections::HashMap;

use k8s_openapi::api::storage::v1::{CSIDriver, StorageClass};
use weir_csi::capability::{FsType, Uses};
use weir_csi::identity::DRIVER;
use weir_csi::parameters::Class;
use weir_csi::proto::VolumeCapability;
use weir_csi::proto::volume_capability::access_mode::Mode;
use weir_csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};

use crate::manifests::all;

/// What the provisioner makes of a class: its own parameters are taken out, the file system goes into the capability.
fn read(class: &StorageClass) -> Class {
    let mut parameters: HashMap<String, String> = class
        .parameters
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    let fs_type = parameters.remove("csi.storage.k8s.io/fstype");
    for key in ["pvc/name", "pvc/namespace", "pv/name"] {
        parameters.insert(format!("csi.storage.k8s.io/{key}"), "a".to_owned());
    }
    let access = match &fs_type {
        Some(fs_type) => AccessType::Mount(MountVolume {
            fs_type: fs_type.clone(),
            ..MountVolume::default()
        }),
        None => AccessType::Block(BlockVolume {}),
    };
    let mode = match fs_type {
        Some(_) => Mode::SingleNodeWriter,
        None => Mode::MultiNodeMultiWriter,
    };
    let capability = VolumeCapability {
        access_type: Some(access),
        access_mode: Some(AccessMode { mode: mode.into() }),
    };
    let uses = Uses::of(&[capability]).unwrap();
    Class::of(&parameters, &uses).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Seen red with: `fstype: ext3` in a class; a parameter `localities`.
#[test]
fn classes_are_read_by_weir_csi() {
    let classes: Vec<StorageClass> = all()
        .iter()
        .filter(|one| one.kind() == "StorageClass")
        .map(crate::manifests::Manifest::typed)
        .collect();
    let names: Vec<&str> = classes
        .iter()
        .map(|one| one.metadata.name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["weir", "weir-xfs", "weir-block"]);
    for class in &classes {
        assert_eq!(class.provisioner, DRIVER);
        assert_eq!(
            class.volume_binding_mode.as_deref(),
            Some("WaitForFirstConsumer")
        );
    }
    assert_eq!(read(&classes[0]).fs_type, FsType::Ext4);
    assert_eq!(read(&classes[1]).fs_type, FsType::Xfs);
    read(&classes[2]);
}

#[test]
fn the_driver_is_called_as_the_plugin_is() {
    let drivers: Vec<CSIDriver> = all()
        .iter()
        .filter(|one| one.kind() == "CSIDriver")
        .map(crate::manifests::Manifest::typed)
        .collect();
    assert_eq!(drivers.len(), 1);
    assert_eq!(drivers[0].metadata.name.as_deref(), Some(DRIVER));
    assert_eq!(drivers[0].spec.attach_required, Some(true));
    assert_eq!(drivers[0].spec.storage_capacity, Some(true));
}
