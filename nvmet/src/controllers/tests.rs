//! Listing on directories that look like a real kernel's.

use super::testing::{Machine, VOLUME};
use super::*;

fn listed(machine: &Machine) -> Vec<Controller> {
    list(&machine.sysfs()).unwrap()
}

fn disk_names(controller: &Controller) -> Vec<&str> {
    let disks = controller.namespaces.iter();
    disks.map(|disk| disk.name.as_str()).collect()
}

#[test]
fn a_controller_is_listed_with_its_disk() {
    let machine = Machine::new();
    machine.controller(1, 1, "nqn.volume", "live");
    machine.multipath_disk(1, 1);
    let host = "nqn.host".parse().unwrap();
    let expected = Controller {
        name: "nvme1".to_owned(),
        nqn: "nqn.volume".to_owned(),
        host_nqn: Some("nqn.host".to_owned()),
        host_id: Some(crate::host_id(&host)),
        transport: "tcp".to_owned(),
        address: "traddr=10.0.0.1,trsvcid=4420,src_addr=10.0.0.2".to_owned(),
        state: State::Live,
        cntlid: Some(1),
        namespaces: vec![Disk {
            name: "nvme1n1".to_owned(),
            nsid: Some(1),
            uuid: Some(VOLUME.parse().unwrap()),
            size_bytes: 1 << 30,
            device_number: Some("259:2".to_owned()),
        }],
    };
    let found = listed(&machine);
    assert_eq!(found, [expected]);
    assert_eq!(found[0].target_address(), Some("10.0.0.1".parse().unwrap()));
    assert_eq!(found[0].service(), Some(4420));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json[0]["state"], "live");
}

/// The paths nvme1c1n1 and nvme1c2n1 answer no reads. Seen red with: `is_usable` and the `hidden`
/// attribute both ignored.
#[test]
fn with_multipath_every_controller_has_the_one_disk_and_no_path_is_shown() {
    let machine = Machine::new();
    machine.controller(1, 1, "nqn.volume", "live");
    machine.controller(2, 1, "nqn.volume", "connecting");
    machine.multipath_disk(1, 1);
    let hidden = "devices/virtual/nvme-fabrics/ctl/nvme2/nvme1c2n1";
    machine.write(&format!("{hidden}/size"), "2097152");
    let found = listed(&machine);
    assert_eq!(found.len(), 2);
    assert_eq!(disk_names(&found[0]), ["nvme1n1"]);
    assert_eq!(disk_names(&found[1]), ["nvme1n1"]);
    assert_eq!(found[1].state, State::Connecting);
}

#[test]
fn without_multipath_every_controller_has_its_own_disk() {
    let machine = Machine::new();
    machine.controller(0, 0, "nqn.volume", "live");
    machine.controller(1, 0, "nqn.volume", "live");
    machine.plain_disk(0);
    machine.plain_disk(1);
    let found = listed(&machine);
    assert_eq!(disk_names(&found[0]), ["nvme0n1"]);
    assert_eq!(disk_names(&found[1]), ["nvme1n1"]);
}

#[test]
fn a_uuid_is_found_in_the_wwid_too() {
    let machine = Machine::new();
    machine.controller(0, 0, "nqn.volume", "live");
    machine.plain_disk(0);
    let directory = "devices/virtual/nvme-fabrics/ctl/nvme0/nvme0n1";
    machine.remove(&format!("{directory}/uuid"));
    let uuid = |machine: &Machine| listed(machine)[0].namespaces[0].uuid;
    assert_eq!(uuid(&machine), Some(VOLUME.parse().unwrap()));
    machine.write(&format!("{directory}/wwid"), "nvme.1af4-1234-Weir-00000001");
    assert_eq!(uuid(&machine), None);
}

#[test]
fn local_drives_and_odd_states_are_listed() {
    let machine = Machine::new();
    machine.write(
        "class/nvme/nvme0/subsysnqn",
        "nqn.2014.08.org.nvmexpress:1b36 1b36drive QEMU",
    );
    machine.write("class/nvme/nvme0/state", "deleting (no IO)");
    machine.write("class/nvme/nvme0/transport", "pcie");
    machine.write("class/nvme/nvme10/subsysnqn", "nqn.x");
    machine.write("class/nvme/nvme10/state", "suspended");
    machine.write("class/nvme/nvme2/subsysnqn", "nqn.y");
    machine.write("class/nvme/nvme2/state", "new");
    // Going away: its attributes have gone already.
    machine.write("class/nvme/nvme3/transport", "tcp");
    let found = listed(&machine);
    let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(names, ["nvme0", "nvme2", "nvme10"]);
    assert_eq!(found[0].state, State::Deleting);
    assert_eq!(found[0].host_nqn, None);
    assert_eq!(found[2].state, State::Other("suspended".to_owned()));
}

#[test]
fn a_machine_without_nvme_has_no_controllers() {
    assert_eq!(list(Path::new("/nonexistent")).unwrap(), []);
}

#[test]
fn names_of_paths_partitions_and_others_are_no_disks() {
    assert!(is_usable("nvme0n1") && is_usable("nvme10n255"));
    for name in [
        "nvme0c1n1",
        "nvme0n1p1",
        "nvme0",
        "nvmen1",
        "nvme0n",
        "sda",
        "ng0n1",
    ] {
        assert!(!is_usable(name), "{name}");
    }
}
