//! The real kernel's target, for a VM that nothing else uses: needs root, the modules nvmet,
//! nvmet-tcp, nvme-tcp and brd (four RAM disks), configfs mounted, and the addresses 10.0.0.1,
//! 10.0.0.2 and fd00::1 on some interface. Fails, and doesn't skip, where it lacks one.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use nvmet::fake::Release;
use nvmet::{
    Authentication, Configfs, ConnectOptions, Host, Outcome, Port, PortId, Portal, Subsystem,
    Target, Tree, fake, plan,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[path = "support/generate.rs"]
mod generate;

use generate::{DEVICES, any_target, device, filled, host, subsystem};

/// From target to target, each plan stopped after some step and then planned again: the real kernel
/// and the in-memory one take and refuse the same changes and show the same trees.
#[test]
fn the_kernel_in_memory_is_like_the_real_one() {
    let real = Configfs::new();
    let release = release();
    let kernel = fake::Kernel::like(release);
    make_devices(&kernel);
    let fake = Configfs::over(&kernel);
    clear(&real);
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut targets = TestRunner::new_with_rng(Config::default(), seed);
    for round in 0..150_usize {
        let want = any_target(release)
            .new_tree(&mut targets)
            .unwrap()
            .current();
        let (have, have_fake) = (real.read().unwrap(), fake.read().unwrap());
        let (changes, changes_fake) = (plan(&have, &want), plan(&have_fake, &want));
        assert_eq!(changes, changes_fake, "round {round}");
        let stop = changes.len() * (round % 7) / 7;
        let (done, done_fake) = (
            real.apply_interrupting(&changes[..stop]),
            fake.apply_interrupting(&changes[..stop]),
        );
        done.unwrap_or_else(|error| panic!("round {round}: {error:?} in {changes:#?}"));
        done_fake.unwrap();
        assert_same(
            &real,
            &fake,
            &format!("round {round}, {stop} of {changes:#?}"),
        );
        // Out of order and so mostly refused, and then by both.
        for change in changes[stop..].iter().rev().take(4) {
            let errno = |result: Result<Outcome, nvmet::ApplyError>| match result {
                Ok(_) => None,
                Err(nvmet::ApplyError::Refused { source, .. }) => source.raw_os_error(),
                Err(other) => panic!("round {round}, {change}: {other:?}"),
            };
            let change = std::slice::from_ref(change);
            let (answer, answer_fake) = (
                errno(real.apply_interrupting(change)),
                errno(fake.apply_interrupting(change)),
            );
            assert_eq!(
                answer, answer_fake,
                "round {round}: {} after {stop} of {changes:#?}",
                change[0]
            );
        }
        for configfs in [&real as &dyn Reach, &fake] {
            configfs.reach(&want, round);
        }
    }
    clear(&real);
}

/// The release that runs here.
fn release() -> Release {
    let kernel = nvmet::tree::Kernel.kernel();
    let is = |version: &str| kernel.starts_with(&format!("Linux {version}."));
    match () {
        () if is("6.1") => Release::Linux6_1,
        () if is("6.12") => Release::Linux6_12,
        () if is("7.3") => Release::Linux7_3,
        () => panic!("{kernel} is none of those that this library says it is proven on"),
    }
}

/// A fresh host, subsystem, namespace, port and referral have the same attributes and values, those
/// aside that each kernel or each directory makes up.
#[test]
fn what_is_fresh_is_the_same_in_memory() {
    let real = Configfs::new();
    clear(&real);
    let kernel = fake::Kernel::like(release());
    let root = std::path::Path::new(nvmet::configfs::DEFAULT_ROOT);
    let fresh = [
        "hosts/nqn.h",
        "subsystems/nqn.s",
        "subsystems/nqn.s/namespaces/1",
        "ports/1",
        "ports/1/referrals/r",
        "ports/1/ana_groups/2",
    ];
    for directory in fresh {
        real.tree().mkdir(&root.join(directory)).unwrap();
        kernel.mkdir(&root.join(directory)).unwrap();
    }
    for directory in fresh.into_iter().chain([""]) {
        let directory = root.join(directory);
        for entry in fs::read_dir(&directory).unwrap().map(Result::unwrap) {
            if !entry.file_type().unwrap().is_file() {
                continue;
            }
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            let made_up = ["attr_serial", "attr_firmware", "device_uuid"].contains(&name.as_str());
            match (real.tree().read(&path), kernel.read(&path)) {
                (Ok(real), Ok(fake)) if made_up || real == fake => {}
                (Err(real), Err(fake)) if real.raw_os_error() == fake.raw_os_error() => {}
                (real, fake) => panic!("{}: {real:?}, in memory {fake:?}", path.display()),
            }
            assert!(release().has(&name), "{name}");
        }
    }
    clear(&real);
    // And none that the real one lacks.
    let mut want = Target::default();
    want.hosts.insert(host(0), Authentication::default());
    real.reach(&want, 0);
    let has = |path: &str| root.join(path).exists();
    let keys = format!("hosts/{}/dhchap_key", host(0));
    assert_eq!(has(&keys), release().has("dhchap_key"));
    assert_eq!(has("discovery_nqn"), release().has("discovery_nqn"));
    clear(&real);
}

/// Random serials and UUIDs aside.
fn assert_same(real: &Configfs, fake: &Configfs<&fake::Kernel>, context: &str) {
    let (real, mut fake) = (real.read().unwrap(), fake.read().unwrap());
    for (nqn, subsystem) in &mut fake.subsystems {
        let Some(other) = real.subsystems.get(nqn) else {
            continue;
        };
        if subsystem
            .serial
            .as_ref()
            .is_some_and(|serial| serial.starts_with("000000"))
        {
            subsystem.serial.clone_from(&other.serial);
        }
        // Of each kernel's build.
        if subsystem.firmware.as_deref() == Some("memory") {
            subsystem.firmware.clone_from(&other.firmware);
        }
        for (nsid, namespace) in &mut subsystem.namespaces {
            let other = other.namespaces.get(nsid);
            if let Some(other) = other.filter(|_| namespace.device_path.as_os_str().is_empty()) {
                namespace.uuid = other.uuid;
            }
        }
    }
    assert_eq!(real, fake, "{context}");
}

trait Reach {
    fn reach(&self, want: &Target, round: usize);
}

impl<T: nvmet::Tree> Reach for Configfs<T> {
    fn reach(&self, want: &Target, round: usize) {
        let changes = plan(&self.read().unwrap(), want);
        let applied = self.apply_interrupting(&changes);
        applied.unwrap_or_else(|error| panic!("round {round}: {error:?} in {changes:#?}"));
        let have = self.read().unwrap();
        assert_eq!(have, filled(want, &have), "round {round}");
        assert_eq!(plan(&have, want), [], "round {round}");
    }
}

/// A disk is exported, connected, found, written, read and taken away again.
#[test]
fn an_exported_disk_is_used_over_tcp() {
    let configfs = Configfs::new();
    make_devices(&fake::Kernel::new());
    clear(&configfs);
    let id = uuid::Uuid::new_v4();
    let namespace = nvmet::Namespace::new(device(0), id);
    let exported = Subsystem {
        allowed_hosts: [host(0)].into(),
        serial: Some("1234".to_owned()),
        model: Some("Weir".to_owned()),
        namespaces: [(nvmet::Nsid::FIRST, namespace)].into(),
        ..Subsystem::default()
    };
    let port = |address: &str| Port {
        subsystems: [subsystem(0)].into(),
        ..Port::new(Portal::tcp(address.parse().unwrap(), 4420))
    };
    let want = Target {
        hosts: [(host(0), Authentication::default())].into(),
        subsystems: [(subsystem(0), exported)].into(),
        ports: [(PortId(1), port("10.0.0.1")), (PortId(2), port("fd00::1"))].into(),
        ..Target::default()
    };
    configfs.reach(&want, 0);

    let local = Host::new();
    let options = ConnectOptions::tcp("10.0.0.1".parse().unwrap(), 4420, subsystem(0), host(0));
    let other = ConnectOptions {
        host: host(1),
        host_id: nvmet::host_id(&host(1)),
        ..options.clone()
    };
    let refused = local.connect(&other).unwrap_err();
    println!(
        "as a host that is not allowed: {:#}",
        anyhow::Error::from(refused)
    );

    let connected = local.connect(&options).unwrap();
    assert_eq!(connected.outcome, Outcome::Changed);
    let again = local.connect(&options).unwrap();
    assert_eq!(
        (again.outcome, again.controller),
        (Outcome::Unchanged, connected.controller)
    );
    let over_ipv6 = ConnectOptions {
        address: "fd00::1".parse().unwrap(),
        ..options
    };
    assert_eq!(local.connect(&over_ipv6).unwrap().outcome, Outcome::Changed);
    assert_eq!(
        local.connect(&over_ipv6).unwrap().outcome,
        Outcome::Unchanged
    );

    let deadline = Instant::now() + Duration::from_secs(60);
    let path = local.wait_for_namespace(id, deadline).unwrap();
    println!("{} {:#?}", path.display(), local.list().unwrap());
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut disk| std::io::Write::write_all(&mut disk, &[0x5a; 4096]).map(|()| disk))
        .and_then(|disk| disk.sync_all())
        .unwrap();
    // Past the page cache of the initiator and of the RAM disk.
    let mut start = [0; 4096];
    std::io::Read::read_exact(&mut fs::File::open(device(0)).unwrap(), &mut start).unwrap();
    assert_eq!(start, [0x5a; 4096]);

    // What a host was told can't be written any more, and so the subsystem is made anew.
    let change = nvmet::Change::SetSubsystem {
        subsystem: subsystem(0),
        value: nvmet::change::SubsystemValue::Serial("5678".to_owned()),
    };
    let sticky = configfs.apply(&[change]).unwrap_err();
    println!("a sticky serial: {:#}", anyhow::Error::from(sticky));

    assert_eq!(local.disconnect(&subsystem(0)).unwrap(), Outcome::Changed);
    assert_eq!(local.disconnect(&subsystem(0)).unwrap(), Outcome::Unchanged);
    let left = local.list().unwrap();
    assert!(
        !left.iter().any(|left| left.nqn == subsystem(0).as_str()),
        "{left:?}"
    );
    let gone = local.wait_for_namespace(id, Instant::now()).unwrap_err();
    println!("after disconnecting: {:#}", anyhow::Error::from(gone));

    let mut renamed = want.clone();
    let subsystems = renamed.subsystems.values_mut();
    subsystems.for_each(|subsystem| subsystem.serial = Some("5678".to_owned()));
    configfs.reach(&renamed, 1);
    clear(&configfs);
}

fn make_devices(kernel: &fake::Kernel) {
    fs::create_dir_all("/dev/vg").unwrap();
    for number in 0..DEVICES {
        let path = device(number);
        if !path.exists() {
            symlink(format!("/dev/ram{number}"), &path).unwrap();
        }
        kernel.add_block_device(path);
    }
}

fn clear(configfs: &Configfs) {
    let nothing = Target {
        discovery_nqn: release()
            .has("discovery_nqn")
            .then(|| "nqn.2014-08.org.nvmexpress.discovery".parse().unwrap()),
        ..Target::default()
    };
    configfs.reach(&nothing, 0);
}
