//! Reading real directories, and what apply refuses.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::fake::Release;
use crate::{
    AnaGroupId, AnaState, Authentication, Namespace, Nqn, Nsid, P2pMem, Port, PortId, Portal,
    Secret, Subsystem, Tsas, UnfinishedPort, fake, plan,
};

fn nqn(name: &str) -> Nqn {
    format!("nqn.{name}").parse().unwrap()
}

fn volume(device: &str) -> Target {
    let identity = uuid::Uuid::from_u128(0x42);
    let namespace = Namespace::new(device, identity);
    let subsystem = Subsystem {
        allowed_hosts: [nqn("host")].into(),
        serial: Some("1234".to_owned()),
        namespaces: [(Nsid::FIRST, namespace)].into(),
        ..Subsystem::default()
    };
    let port = Port {
        subsystems: [nqn("volume")].into(),
        ..Port::new(Portal::tcp("10.0.0.1".parse().unwrap(), 4420))
    };
    Target {
        hosts: [(nqn("host"), Authentication::default())].into(),
        subsystems: [(nqn("volume"), subsystem)].into(),
        ports: [(PortId(1), port)].into(),
        ..Target::default()
    }
}

/// A directory with what Linux 6.1 shows for one exported volume, a loop port and a new port.
fn kernel_tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, value: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{value}\n")).unwrap();
    };
    let directory = |path: &str| fs::create_dir_all(root.path().join(path)).unwrap();
    directory("hosts/nqn.host");
    write("subsystems/nqn.volume/attr_allow_any_host", "0");
    write("subsystems/nqn.volume/attr_serial", "1234                ");
    write("subsystems/nqn.volume/attr_version", "1.3");
    write("subsystems/nqn.volume/passthru/enable", "0");
    let namespace = "subsystems/nqn.volume/namespaces/1";
    write(&format!("{namespace}/device_path"), "/dev/vg/volume");
    let identity = "00000000-0000-0000-0000-000000000042";
    write(&format!("{namespace}/device_uuid"), identity);
    write(&format!("{namespace}/device_nguid"), identity);
    write(&format!("{namespace}/ana_grpid"), "1");
    write(&format!("{namespace}/enable"), "1");
    directory("subsystems/nqn.volume/allowed_hosts");
    for (port, transport, family, address, service) in [
        ("1", "tcp", "ipv4", "10.0.0.1", "4420"),
        ("2", "pci", "", "", ""),
        ("3", "", "", "", ""),
    ] {
        write(&format!("ports/{port}/addr_trtype"), transport);
        write(&format!("ports/{port}/addr_adrfam"), family);
        write(&format!("ports/{port}/addr_traddr"), address);
        write(&format!("ports/{port}/addr_trsvcid"), service);
        write(&format!("ports/{port}/ana_groups/1/ana_state"), "optimized");
        directory(&format!("ports/{port}/subsystems"));
        directory(&format!("ports/{port}/referrals"));
    }
    symlink(
        "../../../../nvmet/hosts/nqn.host",
        root.path()
            .join("subsystems/nqn.volume/allowed_hosts/nqn.host"),
    )
    .unwrap();
    symlink(
        "../../../../nvmet/subsystems/nqn.volume",
        root.path().join("ports/1/subsystems/nqn.volume"),
    )
    .unwrap();
    root
}

#[test]
fn a_kernels_tree_is_read() {
    let root = kernel_tree();
    let mut expected = volume("/dev/vg/volume");
    let groups = [(AnaGroupId::DEFAULT, AnaState::Optimized)];
    let unfinished = UnfinishedPort {
        ana_groups: groups.into(),
        ..UnfinishedPort::default()
    };
    expected.unfinished_ports = [(PortId(3), unfinished)].into();
    expected.unmodelled = ["ports/2".to_owned()].into();
    let have = read(root.path()).unwrap();
    let version = &mut expected.subsystems.get_mut(&nqn("volume")).unwrap().version;
    *version = Some("1.3".parse().unwrap());
    assert_eq!(have, expected);
    // An attribute that this kernel lacks.
    assert_eq!(have.subsystems[&nqn("volume")].model, None);
    let json = serde_json::to_string(&have).unwrap();
    assert_eq!(serde_json::from_str::<Target>(&json).unwrap(), have);
}

#[test]
fn a_namespace_that_was_never_finished_is_read() {
    let root = kernel_tree();
    let namespace = root.path().join("subsystems/nqn.volume/namespaces/1");
    fs::write(namespace.join("device_path"), "(null)\n").unwrap();
    let have = read(root.path()).unwrap();
    let namespace = &have.subsystems[&nqn("volume")].namespaces[&Nsid::FIRST];
    assert_eq!(namespace.device_path, PathBuf::new());
}

/// A link `nqn.b` to the host `nqn.host` allows `nqn.host`. Seen red with: `is_what_it_says`
/// always true.
#[test]
fn a_link_is_not_believed_to_be_what_it_is_called() {
    let root = kernel_tree();
    let hosts = root.path().join("subsystems/nqn.volume/allowed_hosts");
    fs::rename(hosts.join("nqn.host"), hosts.join("nqn.b")).unwrap();
    let have = read(root.path()).unwrap();
    assert_eq!(have.subsystems[&nqn("volume")].allowed_hosts, [].into());
    let path = "subsystems/nqn.volume/allowed_hosts/nqn.b";
    assert!(have.unmodelled.contains(path), "{:?}", have.unmodelled);
}

#[test]
fn numbers_in_another_spelling_are_not_taken_for_ours() {
    let root = kernel_tree();
    let namespaces = root.path().join("subsystems/nqn.volume/namespaces");
    fs::rename(namespaces.join("1"), namespaces.join("0x1")).unwrap();
    fs::rename(root.path().join("ports/1"), root.path().join("ports/01")).unwrap();
    let have = read(root.path()).unwrap();
    assert_eq!(have.subsystems[&nqn("volume")].namespaces, [].into());
    assert_eq!(have.ports, [].into());
    assert!(
        have.unmodelled
            .contains("subsystems/nqn.volume/namespaces/0x1")
    );
    assert!(have.unmodelled.contains("ports/01"));
}

#[test]
fn a_machine_without_a_target_is_not_an_empty_target() {
    let error = read("/nonexistent/nvmet").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/nonexistent/nvmet: no NVMe target here (is the module nvmet loaded and configfs mounted?)"
    );
}

/// Seen red with: `self.examine` not called in `apply`.
#[test]
fn nothing_is_written_if_one_device_is_no_block_device() {
    let kernel = fake::Kernel::new();
    let configfs = Configfs::over(&kernel);
    let changes = plan(&Target::default(), &volume("/dev/vg/volume"));
    let error = configfs.apply(&changes).unwrap_err();
    assert!(matches!(error, ApplyError::Device { .. }), "{error}");
    assert_eq!(kernel.log(), Vec::<String>::new());
}

/// The real check, on a device file that is none and on a plain file.
#[test]
fn a_file_is_not_a_block_device() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("image.raw");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for path in [file, "/dev/null", "relative"] {
        let changes = plan(&Target::default(), &volume(path));
        let error = Configfs::at(root.path()).apply(&changes).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{path}: not a block device, and so not exported as namespace 1 of nqn.volume")
        );
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

/// Seen red with: the read after `Change::Enable` left out of `make`.
#[test]
fn enabling_that_does_nothing_is_an_error() {
    let kernel = fake::Kernel::new();
    kernel.add_block_device("/dev/vg/volume");
    let configfs = Configfs::over(&kernel);
    let changes = plan(&Target::default(), &volume("/dev/vg/volume"));
    let enable = changes
        .iter()
        .position(|change| matches!(change, Change::Enable { .. }));
    let (before, rest) = changes.split_at(enable.unwrap());
    configfs.apply(before).unwrap();
    let passthru = configfs
        .root()
        .join("subsystems/nqn.volume/passthru/enable");
    kernel.write(&passthru, b"1").unwrap();
    let error = configfs.apply(rest).unwrap_err();
    assert!(matches!(error, ApplyError::StillDisabled { .. }), "{error}");
    assert!(error.to_string().contains("namespaces/1/enable"), "{error}");
}

#[test]
fn a_refusal_names_the_path_the_value_and_the_usual_reason() {
    let kernel = fake::Kernel::new();
    kernel.add_block_device("/dev/vg/volume");
    let configfs = Configfs::over(&kernel);
    let want = volume("/dev/vg/volume");
    configfs.apply(&plan(&Target::default(), &want)).unwrap();
    let changes = [Change::SetPort {
        port: PortId(1),
        value: crate::change::PortValue::Service("4421".to_owned()),
    }];
    let error = configfs.apply(&changes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/sys/kernel/config/nvmet/ports/1/addr_trsvcid: cannot be set to `4421` (the port is \
         enabled: something is linked to it)"
    );
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains("Permission denied"), "{source}");
}

/// Configfs calls a store for each `write(2)`. Seen red with: a newline written after the value.
#[test]
fn a_value_is_written_whole_and_without_a_newline() {
    let root = kernel_tree();
    let service = root.path().join("ports/3/addr_trsvcid");
    fs::write(&service, "").unwrap();
    let changes = [Change::SetPort {
        port: PortId(3),
        value: crate::change::PortValue::Service("4421".to_owned()),
    }];
    let outcome = Configfs::at(root.path()).apply(&changes).unwrap();
    assert_eq!(outcome, Outcome::Changed);
    assert_eq!(fs::read_to_string(&service).unwrap(), "4421");
}

/// An attribute that the kernel lacks is an error, not a new file.
#[test]
fn an_attribute_that_is_not_there_is_not_made() {
    let root = kernel_tree();
    let changes = [Change::SetSubsystem {
        subsystem: nqn("volume"),
        value: crate::change::SubsystemValue::Model("Weir".to_owned()),
    }];
    let error = Configfs::at(root.path()).apply(&changes).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("this kernel lacks the attribute"),
        "{error}"
    );
    assert!(
        !root
            .path()
            .join("subsystems/nqn.volume/attr_model")
            .exists()
    );
}

/// The kernel resolves a link's target from the caller's working directory.
#[test]
fn links_point_to_absolute_paths() {
    let root = kernel_tree();
    let changes = [Change::Link {
        port: PortId(3),
        subsystem: nqn("volume"),
    }];
    Configfs::at(root.path()).apply(&changes).unwrap();
    let link = fs::read_link(root.path().join("ports/3/subsystems/nqn.volume")).unwrap();
    assert_eq!(link, root.path().join("subsystems/nqn.volume"));
}

/// Every attribute that some release lacks, asked for on each: there it is written, elsewhere it is
/// an error that names attribute and kernel, and nothing is changed. Seen red with: `examine` of
/// lacks.rs returning at once.
#[test]
fn what_a_kernel_lacks_is_an_error_that_names_it_and_changes_nothing() {
    type Ask = fn(&mut Target);
    let asked: Vec<(&str, Ask)> = vec![
        ("discovery_nqn", |want| {
            want.discovery_nqn = Some(nqn("discovery"))
        }),
        ("dhchap_key", |want| {
            host(want).key = Some(Secret::new("DHHC-1:00:c2VjcmV0:"))
        }),
        ("dhchap_hash", |want| {
            host(want).hash = Some(crate::DhHash::Sha256)
        }),
        ("attr_firmware", |want| {
            subsystem(want).firmware = Some("1".to_owned())
        }),
        ("attr_ieee_oui", |want| {
            subsystem(want).ieee_oui = 0.try_into().ok()
        }),
        ("attr_vendor_id", |want| subsystem(want).vendor_id = Some(0)),
        ("attr_subsys_vendor_id", |want| {
            subsystem(want).subsys_vendor_id = Some(1)
        }),
        ("resv_enable", |want| {
            namespace(want).resv_enable = Some(false)
        }),
        ("p2pmem", |want| namespace(want).p2pmem = Some(P2pMem::Off)),
        ("addr_tsas", |want| port(want).tsas = Some(Tsas::None)),
        ("param_max_queue_size", |want| {
            port(want).max_queue_size = Some(16)
        }),
        ("param_mdts", |want| port(want).mdts = Some(5)),
    ];
    for release in Release::ALL {
        for there_already in [false, true] {
            for (attribute, ask) in &asked {
                let kernel = fake::Kernel::like(release);
                kernel.add_block_device("/dev/vg/volume");
                let configfs = Configfs::over(&kernel);
                let mut want = volume("/dev/vg/volume");
                if there_already {
                    configfs.apply(&plan(&Target::default(), &want)).unwrap();
                }
                ask(&mut want);
                let have = configfs.read().unwrap();
                let result = configfs.apply_interrupting(&plan(&have, &want));
                if release.has(attribute) {
                    result.unwrap_or_else(|error| panic!("{release:?} {attribute}: {error}"));
                    assert_eq!(plan(&configfs.read().unwrap(), &want), []);
                    continue;
                }
                let error = result.unwrap_err().to_string();
                let kernel = configfs.tree().kernel();
                let expected = format!("{kernel} has no attribute `{attribute}`");
                assert!(error.contains(&expected), "{release:?}: {error}");
                assert_eq!(configfs.read().unwrap(), have);
            }
        }
    }
}

fn host(target: &mut Target) -> &mut Authentication {
    target.hosts.get_mut(&nqn("host")).unwrap()
}

fn subsystem(target: &mut Target) -> &mut Subsystem {
    target.subsystems.get_mut(&nqn("volume")).unwrap()
}

fn namespace(target: &mut Target) -> &mut Namespace {
    subsystem(target).namespaces.get_mut(&Nsid::FIRST).unwrap()
}

fn port(target: &mut Target) -> &mut Port {
    target.ports.get_mut(&PortId(1)).unwrap()
}

/// Seen red with: `Value::is_secret` always false.
#[test]
fn a_refused_key_is_not_in_the_error() {
    let kernel = fake::Kernel::new();
    let configfs = Configfs::over(&kernel);
    let mut want = Target::default();
    let keys = Authentication {
        key: Some(Secret::new("DHHC-1:09:c2VjcmV0:")),
        ..Authentication::default()
    };
    want.hosts.insert(nqn("host"), keys);
    let error = configfs
        .apply(&plan(&Target::default(), &want))
        .unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("dhchap_key") && !text.contains("c2Vj"),
        "{text}"
    );
}

#[test]
fn a_changed_size_is_told_to_hosts_of_an_enabled_namespace() {
    let kernel = fake::Kernel::new();
    kernel.add_block_device("/dev/vg/volume");
    let configfs = Configfs::over(&kernel);
    let grown = [Change::RevalidateSize {
        subsystem: nqn("volume"),
        nsid: Nsid::FIRST,
    }];
    assert!(configfs.apply(&grown).is_err());
    let want = volume("/dev/vg/volume");
    configfs.apply(&plan(&Target::default(), &want)).unwrap();
    assert_eq!(configfs.apply(&grown).unwrap(), Outcome::Changed);
}
