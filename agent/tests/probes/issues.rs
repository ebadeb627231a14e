//! The program that notes when a disk's requests are issued is attached while the kernel does not do so, or is not known to.

use std::fs;
use std::path::Path;
use std::time::Duration;

use weir_agent::btf::Btf;
use weir_agent::probe::{Loss, Op, ProbeConfig, Probes, Snapshot, Stage, Wanted};
use weir_agent_ebpf::kernel::placeholder;

use crate::bench::{Pins, another_build, disk, stage, total, volume};
use crate::device::Loop;
use crate::disk::lacking;
use crate::io::Io;
use crate::untold::Untold;

const LONG: Duration = Duration::from_secs(600);
const IOS: u64 = 100;

/// A load of eight bytes (Documentation/bpf/standardization/instruction-set.rst).
const LOAD: u8 = 0x79;

/// Another build, to which this kernel seems not to note when it issues requests: it looks at a member that is 0 without a scheduler.
fn without_times() -> &'static [u8] {
    let kernel = Btf::of_kernel(Path::new("/sys/kernel/btf")).unwrap();
    let nothing = kernel.offset("request", "fifo_time").unwrap();
    let nothing = i16::try_from(nothing).unwrap().to_ne_bytes();
    let started = placeholder("RQ_STARTED").unwrap().to_ne_bytes();
    let mut object = another_build().to_vec();
    let (instructions, _) = object.as_chunks_mut::<8>();
    let loads = instructions
        .iter_mut()
        .filter(|load| load[0] == LOAD && load[2..4] == started && load[4..] == [0; 4]);
    let mut found = 0;
    for load in loads {
        load[2..4].copy_from_slice(&nothing);
        found += 1;
    }
    assert!(found > 0);
    object.leak()
}

fn is_attached(pins: &Pins) -> bool {
    let links = pins.links();
    links.iter().any(|links| links.join("rq_issue-1").exists())
}

fn dropped(snapshot: &Snapshot, why: Loss) -> u64 {
    let mut dropped = snapshot.dropped.iter();
    dropped
        .find(|(this, _)| *this == why)
        .map_or(0, |(_, n)| *n)
}

fn of_disk(snapshot: &Snapshot) -> u64 {
    let ops = snapshot.disks[0].ops.iter();
    ops.map(|(_, histogram)| histogram.count()).sum()
}

/// Should a kernel stop noting, then no I/O is lost or wrongly divided until the agent looks: it counts, undivided, and the disk's request
/// counts as dropped.
///
/// Seen red with: `UNSEEN_NS` not looked at in `Counted::disk_parts`, which divides by a time that nobody noted.
#[test]
fn what_notes_issues_is_there_while_it_is_needed_only() {
    let (pins, device) = (Pins::new(), Loop::new());
    let name = device.path().file_name().unwrap().to_owned();
    let scheduler = Path::new("/sys/block").join(name).join("queue/scheduler");
    fs::write(scheduler, "none").unwrap();
    let wanted = Wanted {
        volumes: vec![volume(1, device.dev())],
        disks: vec![disk(device.dev())],
        ..Wanted::default()
    };
    let mut probes = pins.start();
    assert!(!is_attached(&pins), "there is no disk");
    probes.sync(&wanted).unwrap();
    assert!(is_attached(&pins), "nothing is known of the disk");
    let mut io = Io::open(&device.path());
    io.write(IOS);
    probes.tend(LONG).unwrap();
    assert!(!is_attached(&pins), "the kernel notes issues");
    drop(probes);

    let config = ProbeConfig {
        object: without_times(),
        ..pins.config()
    };
    let mut probes = Probes::start(config).unwrap();
    probes.sync(&wanted).unwrap();
    assert!(!is_attached(&pins), "it was known to note them");
    let before = probes.read().unwrap();
    let untold = Untold::watch();
    io.write(IOS);
    let after = probes.read().unwrap();
    let counted = total(&after, Op::Write).count() - total(&before, Op::Write).count();
    let missing = lacking(counted, IOS, &untold);
    let unseen = dropped(&after, Loss::IssueUnseen);
    assert!(
        unseen >= counted && unseen <= counted + missing,
        "{after:?}"
    );
    assert_eq!(dropped(&after, Loss::Undivided), counted, "{after:?}");
    assert_eq!(of_disk(&after), of_disk(&before), "{after:?}");
    let divided = |snapshot: &Snapshot| stage(snapshot, Op::Write, Stage::Device).count();
    assert_eq!(divided(&after), divided(&before), "{after:?}");

    probes.tend(LONG).unwrap();
    assert!(is_attached(&pins), "the kernel does not note issues");
    let before = probes.read().unwrap();
    io.write(IOS);
    let after = probes.read().unwrap();
    let counted = total(&after, Op::Write).count() - total(&before, Op::Write).count();
    lacking(counted, IOS, &untold);
    assert_eq!(divided(&after) - divided(&before), counted, "{after:?}");
}
