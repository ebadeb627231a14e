//! The lowest rung: what the kernel counts of every block device (Documentation/block/stat.rst), for whoever may read sysfs.

use std::fs;
use std::path::{Path, PathBuf};

use super::figures::BackendFigures;
use crate::dm::packet::NotUnderstood;
use crate::probe::{DevT, MeasuredVolume, Tally, Wanted};

/// A device's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) reads: Tally,
    /// A volume's flushes and zeroes are among them: only disks that have requests keep flushes apart.
    pub(super) writes: Tally,
    pub(super) discards: Tally,
    pub(super) in_flight: u64,
}

/// Reads `/sys/.../stat`: 17 figures since 5.5, times in milliseconds.
pub(super) fn parse(text: &str) -> Result<Counted, NotUnderstood> {
    let parse = || {
        let figures: Vec<u64> = text
            .split_ascii_whitespace()
            .map(|word| word.parse().ok())
            .collect::<Option<_>>()?;
        let [
            reads,
            _,
            _,
            read_ms,
            writes,
            _,
            _,
            write_ms,
            in_flight,
            _,
            _,
            discards,
            _,
            _,
            discard_ms,
            _,
            _,
            ..,
        ] = figures[..]
        else {
            return None;
        };
        let sum = |count, ms: u64| {
            let sum_ns = ms.checked_mul(1_000_000)?;
            Some(Tally { count, sum_ns })
        };
        Some(Counted {
            reads: sum(reads, read_ms)?,
            writes: sum(writes, write_ms)?,
            discards: sum(discards, discard_ms)?,
            in_flight,
        })
    };
    parse().ok_or_else(|| NotUnderstood {
        what: "the statistics of a block device",
        text: text.to_owned(),
    })
}

/// A device that was there when somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    dev: DevT,
    /// No two devices of a boot have the same.
    sequence: u64,
}

impl Disk {
    /// The device that has this number now.
    pub(super) fn at(sysfs: &Path, dev: DevT) -> Option<Self> {
        let sequence = sequence(sysfs, dev)?;
        Some(Disk { dev, sequence })
    }

    /// Its counters; `None` if it is gone.
    fn read(self, sysfs: &Path) -> Option<Counted> {
        let text = fs::read_to_string(directory(sysfs, self.dev).join("stat")).ok()?;
        // Read last: if it is still the same device, then it was when its counters were read.
        if sequence(sysfs, self.dev)? != self.sequence {
            return None;
        }
        let counted = parse(&text);
        counted
            .inspect_err(|error| tracing::error!(%error, dev = %self.dev, "not measured"))
            .ok()
    }
}

/// The figures of a volume that has these devices; `None` if one of them is gone.
pub(super) fn figures(
    sysfs: &Path,
    volume: &MeasuredVolume,
    disks: &[Disk],
) -> Option<BackendFigures> {
    let mut figures = BackendFigures::of(volume);
    for disk in disks {
        figures.add_disk(&disk.read(sysfs)?);
    }
    Some(figures)
}

/// All of a volume's devices; `None` if one is not there.
pub(super) fn disks(sysfs: &Path, volume: &MeasuredVolume) -> Option<Vec<Disk>> {
    let devices = volume.devices.iter();
    devices.map(|device| Disk::at(sysfs, device.dev)).collect()
}

/// The rung: volumes, and the devices they had at the last look.
pub(crate) struct DiskStatistics {
    sysfs: PathBuf,
    volumes: Vec<(MeasuredVolume, Vec<Disk>)>,
}

impl DiskStatistics {
    pub(crate) fn new(sysfs: PathBuf) -> Self {
        let volumes = Vec::new();
        DiskStatistics { sysfs, volumes }
    }

    pub(crate) fn sync(&mut self, wanted: &Wanted) {
        let volumes = wanted.volumes.iter().filter_map(|volume| {
            let disks = disks(&self.sysfs, volume)?;
            Some((volume.clone(), disks))
        });
        self.volumes = volumes.collect();
    }

    pub(crate) fn read(&self) -> Vec<BackendFigures> {
        let volumes = self.volumes.iter();
        volumes
            .filter_map(|(volume, disks)| figures(&self.sysfs, volume, disks))
            .collect()
    }
}

fn sequence(sysfs: &Path, dev: DevT) -> Option<u64> {
    let text = fs::read_to_string(directory(sysfs, dev).join("diskseq")).ok()?;
    text.trim().parse().ok()
}

fn directory(sysfs: &Path, dev: DevT) -> PathBuf {
    sysfs.join("dev/block").join(dev.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::fake::{measured, wanted};
    use proptest::prelude::*;
    use weir_agent_ebpf::layout::Op;

    const STAT: &str =
        "    10   0  80   7   20    3   160    9   2    12    16    4   0   8   1   0   0\n";

    fn device(sysfs: &Path, dev: DevT, sequence: u64) {
        let dir = directory(sysfs, dev);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("stat"), STAT).unwrap();
        fs::write(dir.join("diskseq"), format!("{sequence}\n")).unwrap();
    }

    fn dev(minor: u32) -> DevT {
        DevT { major: 253, minor }
    }

    #[test]
    fn a_volumes_figures_are_those_of_all_its_devices() {
        let sysfs = tempfile::tempdir().unwrap();
        let wanted = wanted(vec![measured(1, &[dev(1), dev(2)], true)]);
        let mut rung = DiskStatistics::new(sysfs.path().to_owned());
        device(sysfs.path(), dev(1), 5);
        rung.sync(&wanted);
        assert_eq!(rung.read(), []);
        device(sysfs.path(), dev(2), 6);
        rung.sync(&wanted);
        let figures = &rung.read()[0];
        let sum = |count, ms: u64| Tally {
            count,
            sum_ns: ms * 1_000_000,
        };
        let expected = [
            (Op::Read, sum(20, 14)),
            (Op::Write, sum(40, 18)),
            (Op::Discard, sum(8, 2)),
        ];
        assert_eq!(figures.ops, expected);
        assert_eq!((figures.in_flight, figures.is_local), (4, true));
        assert_eq!(figures.together, None);
    }

    /// Seen red with: the comparison of `sequence` in `Disk::read` removed.
    #[test]
    fn another_device_with_the_same_number_is_not_taken_for_the_volumes() {
        let sysfs = tempfile::tempdir().unwrap();
        let wanted = wanted(vec![measured(1, &[dev(1)], true)]);
        let mut rung = DiskStatistics::new(sysfs.path().to_owned());
        device(sysfs.path(), dev(1), 5);
        rung.sync(&wanted);
        device(sysfs.path(), dev(1), 6);
        assert_eq!(rung.read(), []);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let too_long = STAT.replace(" 9 ", " 18446744073709551615 ");
        for text in ["", "1 2 3", &STAT.replace("10", "x"), &too_long] {
            parse(text).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn no_damaged_text_panics(cut in 0..STAT.len(), junk in "\\PC{0,8}") {
            let mut text = STAT.to_owned();
            text.insert_str(cut, &junk);
            let _ = parse(&text);
        }
    }
}
