//! What a disk with a volatile cache holds after a power cut, told from the log of its writes.
//!
//! QEMU's block driver `blklogwrites` writes the log in the format of Linux' dm-log-writes
//! (Documentation/admin-guide/device-mapper/log-writes.rst, struct log_write_super and struct
//! log_write_entry in drivers/md/dm-log-writes.c): a superblock in the first sector, then per
//! request an entry padded to a sector, followed by its data.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Sector size of the log, also of its units.
pub(crate) const SECTOR: u64 = 512;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;

/// What becomes of writes that no flush covered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unflushed {
    /// Each is lost or not by the toss of a seeded coin, as a real cache would have it.
    Random {
        /// Seed of the coin.
        seed: u64,
    },
    /// All are lost: the worst a disk may do.
    Lost,
}

/// How many writes survived, and how many did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survivors {
    pub(crate) flushed: u64,
    pub(crate) kept: u64,
    pub(crate) lost: u64,
}

/// One request that the disk completed.
pub(crate) struct Entry {
    sector: u64,
    sectors: u64,
    flags: u64,
    /// Where its data begins in the log.
    data: u64,
}

impl Entry {
    /// Whether it makes durable what came before it.
    pub(crate) fn is_flush(&self) -> bool {
        self.flags & FLUSH != 0
    }

    /// Whether it is durable by itself.
    pub(crate) fn is_fua(&self) -> bool {
        self.flags & FUA != 0
    }
}

/// A log, also of a VM that still runs.
pub(crate) struct Log {
    entries: Vec<Entry>,
    file: File,
}

impl Log {
    /// Reads what is there by now.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let entries = entries(path)?;
        Ok(Log { entries, file })
    }

    /// All requests, in the order in which the disk did them.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What a request wrote; nothing for one that wrote no data.
    pub(crate) fn content(&self, entry: &Entry) -> Result<Vec<u8>> {
        let length = if entry.flags & DISCARD == 0 {
            entry.sectors * SECTOR
        } else {
            0
        };
        let mut data = vec![0; usize::try_from(length)?];
        self.file
            .read_exact_at(&mut data, entry.data)
            .context("reading a write's data")?;
        Ok(data)
    }
}

/// Brings `disk`, as it was when the log began, to what it is after the power cut.
pub(crate) fn replay(log: &Path, disk: &Path, unflushed: Unflushed) -> Result<Survivors> {
    let entries = entries(log)?;
    let log = File::open(log).with_context(|| format!("opening {}", log.display()))?;
    let disk_file = File::options().write(true).open(disk);
    let disk = disk_file.with_context(|| format!("opening {}", disk.display()))?;
    let covered = entries
        .iter()
        .rposition(|entry| entry.flags & FLUSH != 0)
        .map_or(0, |last| last + 1);
    let mut coin = Coin(match unflushed {
        Unflushed::Random { seed } => seed,
        Unflushed::Lost => 0,
    });
    let mut survivors = Survivors::default();
    for (index, entry) in entries.iter().enumerate() {
        let durable = index < covered || entry.flags & FUA != 0;
        let kept = match unflushed {
            Unflushed::Random { .. } => coin.toss(),
            Unflushed::Lost => false,
        };
        if entry.sectors == 0 {
            continue;
        }
        match (durable, kept) {
            (true, _) => survivors.flushed += 1,
            (false, true) => survivors.kept += 1,
            (false, false) => survivors.lost += 1,
        }
        if durable || kept {
            write(entry, &log, &disk)?;
        }
    }
    Ok(survivors)
}

fn write(entry: &Entry, log: &File, disk: &File) -> Result<()> {
    let length = usize::try_from(entry.sectors * SECTOR)?;
    let mut data = vec![0; length];
    // What a discarded block reads as is up to the disk; zeroes are what most return.
    if entry.flags & DISCARD == 0 {
        log.read_exact_at(&mut data, entry.data)
            .context("reading a write's data")?;
    }
    disk.write_all_at(&data, entry.sector * SECTOR)
        .context("writing the rebuilt disk")
}

fn entries(path: &Path) -> Result<Vec<Entry>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let end = file.metadata()?.len();
    let mut log = BufReader::new(file);
    ensure!(
        read_u64(&mut log)? == MAGIC,
        "{} is not a log of writes",
        path.display()
    );
    // The count of entries in the superblock lags behind after a kill: the log is a new file, so
    // an entry of zeroes (a real one has sectors or flags) marks its end.
    let mut entries = Vec::new();
    let mut at = SECTOR;
    while at + SECTOR <= end {
        log.seek(SeekFrom::Start(at))?;
        let [sector, sectors, flags] = [
            read_u64(&mut log)?,
            read_u64(&mut log)?,
            read_u64(&mut log)?,
        ];
        if sectors == 0 && flags == 0 {
            break;
        }
        let data = at + SECTOR;
        let length = if flags & DISCARD == 0 {
            sectors * SECTOR
        } else {
            0
        };
        if data + length > end {
            break;
        }
        entries.push(Entry {
            sector,
            sectors,
            flags,
            data,
        });
        at = data + length;
    }
    Ok(entries)
}

fn read_u64(from: &mut impl Read) -> Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)
        .context("reading the log of writes")?;
    Ok(u64::from_le_bytes(bytes))
}

/// A reproducible coin: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, 2014), whose whole state is the seed that the test prints.
struct Coin(u64);

impl Coin {
    fn toss(&mut self) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of one-sector writes: `Some(byte)` fills sector `byte` with it, `None` is a flush.
    fn log_of(requests: &[Option<u8>]) -> Vec<u8> {
        let pad = |mut bytes: Vec<u8>| {
            bytes.resize(bytes.len().next_multiple_of(512), 0);
            bytes
        };
        let words =
            |words: [u64; 4]| pad(words.iter().flat_map(|word| word.to_le_bytes()).collect());
        let mut log = words([MAGIC, 1, 0, 512]);
        for request in requests {
            match request {
                Some(byte) => {
                    log.extend(words([u64::from(*byte), 1, 0, 512]));
                    log.extend([*byte; 512]);
                }
                None => log.extend(words([0, 0, FLUSH, 0])),
            }
        }
        log
    }

    fn survivors(requests: &[Option<u8>], unflushed: Unflushed) -> (Vec<u8>, Survivors) {
        let dir = tempfile::tempdir().unwrap();
        let [log, disk] = ["log", "disk"].map(|name| dir.path().join(name));
        std::fs::write(&log, log_of(requests)).unwrap();
        std::fs::write(&disk, [0; 512 * 8]).unwrap();
        let count = replay(&log, &disk, unflushed).unwrap();
        let disk = std::fs::read(&disk).unwrap();
        (disk.chunks(512).map(|sector| sector[0]).collect(), count)
    }

    /// Seen red with: `covered` one entry too far, and with `durable` always true.
    #[test]
    fn what_a_flush_covered_survives_and_the_rest_may_not() {
        let requests = [Some(1), Some(2), None, Some(3), Some(4)];
        let (disk, count) = survivors(&requests, Unflushed::Lost);
        assert_eq!(disk, [0, 1, 2, 0, 0, 0, 0, 0]);
        assert_eq!(
            count,
            Survivors {
                flushed: 2,
                kept: 0,
                lost: 2
            }
        );
    }

    #[test]
    fn a_seed_gives_the_same_disk_again_and_some_seeds_differ() {
        let requests: Vec<_> = (1..8).map(Some).collect();
        let disk = |seed| survivors(&requests, Unflushed::Random { seed }).0;
        assert_eq!(disk(7), disk(7));
        assert!((0..32).any(|seed| disk(seed) != disk(7)));
    }

    #[test]
    fn without_a_flush_everything_is_lost() {
        assert_eq!(survivors(&[Some(1), Some(2)], Unflushed::Lost).0, [0; 8]);
    }
}
