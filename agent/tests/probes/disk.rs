//! A pool's disk: a loop device, which gets requests as real disks do, and
//! zram, which has none.

use crate::bench::{Pins, disk, drops};
use crate::device::{Loop, Zram};
use crate::io::Io;
use crate::untold::Untold;
use weir_agent::histogram::Histogram;
use weir_agent::probe::{MeasuredDisk, Op, Snapshot, Wanted};
use weir_agent_ebpf::layout::COPIES;

fn only_disk(disk: MeasuredDisk) -> Wanted {
    Wanted {
        volumes: Vec::new(),
        disks: vec![disk],
        ..Wanted::default()
    }
}

fn figures(snapshot: &Snapshot, op: Op) -> Histogram {
    let ops = snapshot.disks[0].ops.iter();
    let mut ops = ops.filter(|(this, _)| *this == op);
    ops.next().map(|(_, h)| h.clone()).unwrap_or_default()
}

/// How many of so many I/Os to a loop device lack in what was counted: none was counted twice, and no more lack than reached no
/// program.
pub(crate) fn lacking(counted: u64, ios: u64, untold: &Untold) -> u64 {
    assert!(counted <= ios, "{counted} counted of {ios} I/Os");
    let (lacking, untold) = (ios - counted, untold.count());
    assert!(
        lacking <= untold,
        "{counted} counted of {ios} I/Os, {untold} ends reached no program"
    );
    lacking
}

/// Seen red with: `>= left` replaced by `> left` in `request::rq_complete`.
#[test]
fn every_request_to_a_disk_is_counted_exactly_once() {
    let (pins, disk_device) = (Pins::new(), Loop::new());
    let mut probes = pins.start();
    probes.sync(&only_disk(disk(disk_device.dev()))).unwrap();
    let (untold, mut io) = (Untold::watch(), Io::open(&disk_device.path()));
    io.write(321);
    io.read(654);
    let snapshot = probes.read().unwrap();
    let of = |op| figures(&snapshot, op).count();
    let counted = of(Op::Write) + of(Op::Read);
    assert!(of(Op::Write) <= 321 && of(Op::Read) <= 654);
    let lacking = lacking(counted, 321 + 654, &untold);
    assert!(drops(&snapshot) <= lacking, "{snapshot:?}");
}

/// Also where the kernel itself notes when a request is issued, as for this one: then nothing of ours would say that its end
/// was seen.
///
/// Seen red with: `is_first_copy` always true (counted three times); `notes_requests` always false (none, once the first copy
/// is away).
#[test]
fn a_request_is_counted_once_whichever_copies_see_its_end() {
    let (pins, disk_device) = (Pins::new(), Loop::new());
    let mut probes = pins.start_with_all_copies();
    probes.sync(&only_disk(disk(disk_device.dev()))).unwrap();
    let (untold, mut io) = (Untold::watch(), Io::open(&disk_device.path()));
    for copy in 1..=COPIES {
        io.write(100);
        let snapshot = probes.read().unwrap();
        let counted = figures(&snapshot, Op::Write).count();
        let lacking = lacking(counted, 100 * u64::from(copy), &untold);
        assert!(drops(&snapshot) <= lacking, "{snapshot:?}");
        pins.take_away("rq_complete", copy);
    }
}

#[test]
fn a_disk_without_requests_is_measured_by_its_bios() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let mut probes = pins.start();
    probes.sync(&only_disk(disk(zram.dev()))).unwrap();
    Io::open(&zram.path()).write(100);
    let snapshot = probes.read().unwrap();
    assert_eq!(figures(&snapshot, Op::Write).count(), 100);
    assert_eq!(drops(&snapshot), 0);
}
