//! Probes on a BPF file system of their own, so that tests don't disturb each other or an agent.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aya::programs::loaded_programs;
use nix::mount::{MntFlags, umount2};
use uuid::Uuid;
use weir_agent::chain;
use weir_agent::histogram::Histogram;
use weir_agent::probe::{
    Copies, DevT, EMBEDDED, MeasuredDevice, MeasuredDisk, MeasuredVolume, Mode, Op, ProbeConfig,
    Probes, Room, Snapshot, Stage, Wanted,
};
use weir_agent_ebpf::layout::{COPIES, VERSION};
use weir_api::names::VolumeId;

/// A directory on which the probes mount a BPF file system; unmounting it removes every pin.
pub(crate) struct Pins {
    dir: tempfile::TempDir,
}

impl Pins {
    pub(crate) fn new() -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "loading eBPF programs needs root"
        );
        assert!(
            Path::new("/sys/kernel/btf/vmlinux").exists(),
            "needs a kernel with BTF"
        );
        assert!(
            !EMBEDDED.is_empty(),
            "built without probes: set WEIR_BPF_OBJECT, as `cargo xtask test` does"
        );
        Pins {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn config(&self) -> ProbeConfig {
        ProbeConfig {
            bpffs: self.path().to_owned(),
            room: Room::of_volumes(8),
            ..ProbeConfig::default()
        }
    }

    /// The directories that hold an object's links.
    pub(crate) fn links(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path().join(format!("weir/v{VERSION}"))).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains("/links-"))
            .collect()
    }

    /// Detaches all copies of a program that sees something end.
    pub(crate) fn remove_links(&self, program: &str) {
        (1..=COPIES).for_each(|copy| self.remove_link(program, copy));
    }

    /// Detaches one of them, if it is there.
    pub(crate) fn remove_link(&self, program: &str, copy: u32) {
        let links = self.links().remove(0);
        let _ = std::fs::remove_file(links.join(format!("{program}-{copy}")));
    }

    /// Detaches one that is there, and waits until the kernel has let go of it, which it does a little later. No other probes
    /// may be loaded: tests run one after the other.
    pub(crate) fn take_away(&self, program: &str, copy: u32) {
        let there = || {
            let all = loaded_programs().flatten();
            all.filter(|info| info.name_as_str() == Some(program))
                .count()
        };
        let before = there();
        self.remove_link(program, copy);
        let deadline = Instant::now() + Duration::from_secs(20);
        while there() >= before {
            assert!(Instant::now() < deadline, "copy {copy} of {program} stays");
        }
    }

    /// For tests that count exactly over the loopback, where ends of the target interrupt ends of the initiator: the kernel skips some of
    /// them, and copies on demand come after the first.
    pub(crate) fn start_with_all_copies(&self) -> Probes {
        let config = ProbeConfig {
            copies: Copies::All,
            ..self.config()
        };
        Probes::start(config).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    pub(crate) fn start(&self) -> Probes {
        Probes::start(self.config()).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let _ = umount2(self.dir.path(), MntFlags::MNT_DETACH);
    }
}

/// Bytes after the end of an ELF file mean nothing, but make it another build.
pub(crate) fn another_build() -> &'static [u8] {
    let mut object = EMBEDDED.to_vec();
    object.push(0);
    object.leak()
}

pub(crate) fn volume(id: u128, dev: DevT) -> MeasuredVolume {
    MeasuredVolume {
        id: VolumeId(Uuid::from_u128(id)),
        name: format!("v{id}").parse().unwrap(),
        pool: "p".parse().unwrap(),
        devices: vec![MeasuredDevice {
            dev,
            mode: Mode::Local,
        }],
    }
}

pub(crate) fn disk(dev: DevT) -> MeasuredDisk {
    MeasuredDisk {
        pool: "p".parse().unwrap(),
        disk: "d".to_owned(),
        dev,
    }
}

pub(crate) fn only(volume: MeasuredVolume) -> Wanted {
    Wanted {
        volumes: vec![volume],
        disks: Vec::new(),
        ..Wanted::default()
    }
}

/// All that was counted for the only volume.
pub(crate) fn total(snapshot: &Snapshot, op: Op) -> Histogram {
    stage(snapshot, op, Stage::Total)
}

/// A stage of the only volume.
pub(crate) fn stage(snapshot: &Snapshot, op: Op, stage: Stage) -> Histogram {
    let [volume] = &snapshot.volumes[..] else {
        panic!("not one volume: {snapshot:?}");
    };
    let figures = volume.ops.iter().find(|figures| figures.op == op);
    figures
        .and_then(|figures| figures.stage(stage).cloned())
        .unwrap_or_default()
}

pub(crate) fn in_flight(snapshot: &Snapshot) -> u64 {
    let volumes = snapshot.volumes.iter();
    volumes
        .flat_map(|volume| &volume.ops)
        .map(|figures| figures.in_flight)
        .sum()
}

pub(crate) fn drops(snapshot: &Snapshot) -> u64 {
    snapshot.dropped.iter().map(|(_, count)| count).sum()
}
