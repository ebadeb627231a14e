//! Against device mapper in memory.

use std::path::Path;

use super::*;
use crate::ladder::fake::{Fake, measured, wanted};
use weir_agent_ebpf::layout::Op;

fn dev(minor: u32) -> DevT {
    DevT { major: 253, minor }
}

fn rung(fake: &Fake, sysfs: &Path) -> DmStatistics {
    DmStatistics::new(Box::new(fake.clone()), sysfs.to_owned())
}

/// Devices 1 and 2, and a region of somebody else's on the first.
fn two() -> Fake {
    let fake = Fake::default();
    fake.add(dev(1), "LVM-1");
    fake.add(dev(2), "LVM-2");
    let foreign = ("0+8 8 dmstats - precise_timestamps".to_owned(), 7);
    fake.with(dev(1), |device| device.regions.insert(0, foreign));
    fake
}

fn reads(figures: &BackendFigures) -> u64 {
    assert_eq!(figures.ops[0].0, Op::Read);
    figures.ops[0].1.count
}

fn count(fake: &Fake, dev: DevT, region: u32, ios: u64) {
    let at = |device: &mut super::super::fake::Device| {
        device.regions.get_mut(&region).unwrap().1 += ios;
    };
    fake.with(dev, at);
}

/// Seen red with: nothing found in `plan`, so that every look makes regions anew.
#[test]
fn counters_go_on_with_the_next_agent_and_end_with_the_wish() {
    let (fake, sysfs) = (two(), Path::new("/nonexistent"));
    let wish = wanted(vec![measured(1, &[dev(1), dev(2)], true)]);
    let first = rung(&fake, sysfs);
    first.keeper.keep(&wish, &fake);
    count(&fake, dev(1), 1, 10);
    count(&fake, dev(2), 0, 5);
    drop(first);
    let second = rung(&fake, sysfs);
    assert_eq!(second.read().0, []);
    second.keeper.keep(&wish, &fake);
    second.keeper.keep(&wish, &fake);
    let (figures, off) = second.read();
    assert_eq!((reads(&figures[0]), off), (15, Vec::new()));
    assert_eq!(figures[0].together.as_ref().unwrap().count(), 15);
    // Another use of it begins at 0.
    let exported = wanted(vec![measured(1, &[dev(1), dev(2)], false)]);
    second.keeper.keep(&exported, &fake);
    assert_eq!(reads(&second.read().0[0]), 0);
    second.keeper.keep(&Wanted::default(), &fake);
    assert_eq!(
        (fake.listed(dev(1)).len(), fake.listed(dev(2)).len()),
        (1, 0)
    );
}

/// Seen red with: the comparison of uuids in `read_regions` replaced by `true`.
#[test]
fn another_device_with_the_same_number_is_not_taken_for_the_volumes() {
    let (fake, sysfs) = (two(), Path::new("/nonexistent"));
    let rung = rung(&fake, sysfs);
    let wish = wanted(vec![measured(1, &[dev(2)], true)]);
    rung.keeper.keep(&wish, &fake);
    let regions = fake.with(dev(2), |device| device.regions.clone());
    fake.add(dev(2), "LVM-3");
    fake.with(dev(2), |device| device.regions = regions);
    assert_eq!(rung.read().0, []);
}

#[test]
fn a_volume_is_told_whole_or_not_at_all() {
    let (fake, sysfs) = (two(), Path::new("/nonexistent"));
    let rung = rung(&fake, sysfs);
    let wish = wanted(vec![measured(1, &[dev(1), dev(2)], true)]);
    rung.keeper.keep(&wish, &fake);
    fake.with(dev(2), |device| device.regions.clear());
    assert_eq!(rung.read().0, []);
    rung.keeper.keep(&wish, &fake);
    assert_eq!(rung.read().0.len(), 1);
}

#[test]
fn a_volume_that_gets_no_region_is_measured_by_the_rung_below_and_says_why() {
    let (fake, sysfs) = (two(), tempfile::tempdir().unwrap());
    for minor in [2, 9] {
        let dir = sysfs.path().join(format!("dev/block/253:{minor}"));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("diskseq"), "4\n").unwrap();
        std::fs::write(dir.join("stat"), "3 0 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n").unwrap();
    }
    fake.with(dev(2), |device| device.refuses = true);
    let rung = rung(&fake, sysfs.path());
    let wish = wanted(vec![
        measured(1, &[dev(1)], true),
        measured(2, &[dev(2)], true),
        measured(9, &[dev(9)], true),
    ]);
    rung.keeper.keep(&wish, &fake);
    let (figures, off) = rung.read();
    let told = figures.iter().map(|f| (reads(f), f.together.is_some()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(0, true), (3, false), (3, false)]
    );
    let reasons: Vec<&str> = off.iter().map(|off| off.reason.as_str()).collect();
    let expected = [
        "volume v2: `an earlier one` is still running",
        "volume v9: its device is none of device mapper's",
    ];
    assert_eq!(reasons, expected);
}

/// Seen red with: a wish taken only where there is none.
#[test]
fn the_latest_wish_is_the_one_that_counts() {
    let (fake, sysfs) = (two(), Path::new("/nonexistent"));
    let rung = rung(&fake, sysfs);
    rung.sync(&wanted(vec![measured(1, &[dev(1)], true)]));
    rung.sync(&Wanted::default());
    assert_eq!(rung.keeper.next(), Some(Wanted::default()));
    let keeper = Arc::clone(&rung.keeper);
    drop(rung);
    assert_eq!(keeper.next(), None);
}
