//! Blocks that tell, in a log of a disk's writes, what had to be durable before what. Shared by the
//! program that writes them in a guest and the test that reads the log.
//!
//! Several threads write data blocks, each of them once, numbered per thread. A mark is written after a
//! flush was acknowledged (or after a write that was durable by itself), and says how many blocks of
//! each thread were acknowledged before that flush was asked for. So before the mark the log must have
//! all those blocks, and after them a flush of the disk.

/// Size of a block in bytes.
pub(crate) const BLOCK: usize = 4096;
/// Threads that write data.
pub(crate) const THREADS: usize = 4;
/// Data blocks that a thread may write.
pub(crate) const PER_THREAD: u64 = 1500;

const MAGIC: u64 = u64::from_le_bytes(*b"weirmark");

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Which run wrote it.
    pub(crate) tag: u64,
    /// What it says.
    pub(crate) says: Says,
}

/// What a block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// This thread's data block of this number.
    Data(u64, u64),
    /// Mark of this number: so many data blocks of each thread are durable.
    Mark(u64, [u64; THREADS]),
}

impl Block {
    /// Its place on the device, in blocks: no two share one.
    pub(crate) fn place(&self) -> u64 {
        match self.says {
            Says::Data(thread, number) => thread * PER_THREAD + number,
            Says::Mark(number, _) => THREADS as u64 * PER_THREAD + number,
        }
    }

    /// As it stands on the disk.
    pub(crate) fn bytes(&self) -> [u8; BLOCK] {
        let mut words = vec![MAGIC, self.tag];
        match &self.says {
            Says::Data(thread, number) => words.extend([0, *thread, *number]),
            Says::Mark(number, durable) => {
                words.extend([1, *number]);
                words.extend(durable);
            }
        }
        let mut bytes = [0; BLOCK];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    /// Reads one, if it is one.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes
            .as_chunks()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word));
        let mut next = || words.next();
        if next()? != MAGIC {
            return None;
        }
        let tag = next()?;
        let says = match next()? {
            0 => Says::Data(next()?, next()?),
            _ => {
                let number = next()?;
                let mut durable = [0; THREADS];
                for count in &mut durable {
                    *count = next()?;
                }
                Says::Mark(number, durable)
            }
        };
        Some(Block { tag, says })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_as_it_was_written() {
        for says in [Says::Data(3, 7), Says::Mark(9, [4, 3, 2, 1])] {
            let block = Block { tag: 5, says };
            assert_eq!(Block::read(&block.bytes()), Some(block));
        }
        assert_eq!(Block::read(&[0; BLOCK]), None);
    }
}
