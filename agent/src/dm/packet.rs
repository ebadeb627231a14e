//! What goes to and from device mapper: `struct dm_ioctl` and what follows it (include/uapi/linux/dm-ioctl.h).

use thiserror::Error;

use crate::probe::DevT;

/// DM_VERSION_CMD.
pub(crate) const VERSION: u8 = 0;
/// DM_LIST_DEVICES_CMD.
pub(crate) const LIST_DEVICES: u8 = 2;
/// DM_DEV_STATUS_CMD.
pub(crate) const STATUS: u8 = 7;
/// DM_TABLE_DEPS_CMD.
pub(crate) const DEPS: u8 = 11;
/// DM_TARGET_MSG_CMD.
pub(crate) const MESSAGE: u8 = 14;

/// Size of `struct dm_ioctl` in bytes.
pub(crate) const HEADER: usize = 312;

/// The interface's version: any kernel's minor version will do.
const MAJOR: u32 = 4;
/// DM_BUFFER_FULL_FLAG: the answer had no room.
const FULL: u32 = 1 << 8;
/// DM_DATA_OUT_FLAG: the message was answered with a text.
const ANSWERED: u32 = 1 << 16;

/// Bytes for a question and its answer, enough for a region's counters.
pub(crate) const ROOM: usize = 4 << 10;
/// Nothing that is asked for here is longer: a hundred thousand devices.
pub(crate) const MOST_ROOM: usize = 16 << 20;

/// A device answered something else than it should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not {what}")]
pub(crate) struct NotUnderstood {
    pub(crate) what: &'static str,
    pub(crate) text: String,
}

/// Where the header's members lie.
mod at {
    pub(crate) const DATA_SIZE: usize = 12;
    pub(crate) const DATA_START: usize = 16;
    pub(crate) const OPEN: usize = 24;
    pub(crate) const FLAGS: usize = 28;
    pub(crate) const DEV: usize = 40;
    pub(crate) const UUID: usize = 176;
    pub(crate) const UUID_END: usize = 305;
}

/// A question, and then its answer, aligned as the kernel wants it.
pub(crate) struct Packet(Vec<u64>);

impl Packet {
    /// A question about a device (0:0 for none).
    pub(crate) fn new(dev: DevT, message: Option<&str>, room: usize) -> Self {
        let message = message.unwrap_or_default().as_bytes();
        // A message is preceded by a sector, which these don't have, and followed by a NUL.
        let room = room.max(HEADER + 8 + message.len() + 1);
        let mut packet = Packet(vec![0; room.div_ceil(8)]);
        let mut bytes = vec![0; packet.0.len() * 8];
        let mut put = |at: usize, what: &[u8]| bytes[at..at + what.len()].copy_from_slice(what);
        put(0, &MAJOR.to_ne_bytes());
        let size = u32::try_from(packet.0.len() * 8).unwrap_or(u32::MAX);
        put(at::DATA_SIZE, &size.to_ne_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "312")]
        put(at::DATA_START, &(HEADER as u32).to_ne_bytes());
        put(at::DEV, &encode(dev).to_ne_bytes());
        put(HEADER + 8, message);
        for (word, bytes) in packet.0.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        packet
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut u64 {
        self.0.as_mut_ptr()
    }

    /// Whether the answer had no room.
    pub(crate) fn is_full(&self) -> bool {
        self.flags() & FULL != 0
    }

    /// The uuid of the device that answered.
    pub(crate) fn uuid(&self) -> String {
        until_nul(&self.bytes()[at::UUID..at::UUID_END])
    }

    /// How often the device that answered is open.
    pub(crate) fn open(&self) -> u32 {
        number(&self.bytes(), at::OPEN).unwrap_or(0)
    }

    /// The answer to a message; empty if there was none.
    pub(crate) fn text(&self) -> String {
        match self.flags() & ANSWERED {
            0 => String::new(),
            _ => until_nul(&self.data()),
        }
    }

    /// The answer to [`LIST_DEVICES`].
    pub(crate) fn devices(&self) -> Result<Vec<DevT>, NotUnderstood> {
        devices(&self.data())
    }

    /// The answer to [`DEPS`]: a count, four bytes of nothing, and so many numbers of devices.
    pub(crate) fn deps(&self) -> Result<Vec<DevT>, NotUnderstood> {
        let data = self.data();
        let bad = || NotUnderstood {
            what: "a list of devices below one",
            text: format!("{} bytes", data.len()),
        };
        // A device without a table has nothing to say of it.
        let Some(count) = number(&data, 0) else {
            return Ok(Vec::new());
        };
        let count = usize::try_from(count).map_err(|_| bad())?;
        let numbers = data.get(8..).unwrap_or_default().as_chunks::<8>().0;
        let numbers = numbers.get(..count).ok_or_else(bad)?;
        let devs = numbers.iter().map(|dev| u64::from_ne_bytes(*dev));
        Ok(devs.map(DevT::of_rdev).collect())
    }

    fn flags(&self) -> u32 {
        number(&self.bytes(), at::FLAGS).unwrap_or(0)
    }

    /// What the kernel says it wrote.
    fn data(&self) -> Vec<u8> {
        let bytes = self.bytes();
        let from = |at| number(&bytes, at).and_then(|n| usize::try_from(n).ok());
        let (start, end) = (from(at::DATA_START), from(at::DATA_SIZE));
        let range = start
            .zip(end)
            .and_then(|(start, end)| bytes.get(start..end));
        range.unwrap_or_default().to_vec()
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }
}

/// Reads a chain of `struct dm_name_list`: number, offset to the next (0 in the last), name. Without any device there is
/// none, or one with the number 0: the kernel writes that number, and says that the answer ends in front of it
/// (`list_devices` in drivers/md/dm-ioctl.c).
fn devices(data: &[u8]) -> Result<Vec<DevT>, NotUnderstood> {
    if data.is_empty() {
        return Ok(Vec::new());
    }
    let bad = || NotUnderstood {
        what: "a list of devices",
        text: format!("{} bytes", data.len()),
    };
    let mut devices = Vec::new();
    let mut at = 0usize;
    loop {
        let rest = data.get(at..).ok_or_else(bad)?;
        let dev = rest.first_chunk().ok_or_else(bad)?;
        match u64::from_ne_bytes(*dev) {
            0 => return Ok(devices),
            dev => devices.push(DevT::of_rdev(dev)),
        }
        match number(rest, 8).ok_or_else(bad)? {
            0 => return Ok(devices),
            next => at = at.saturating_add(usize::try_from(next).map_err(|_| bad())?),
        }
    }
}

/// The kernel's `huge_encode_dev`, which for the numbers that it gives is what `stat(2)` has.
fn encode(dev: DevT) -> u64 {
    nix::sys::stat::makedev(dev.major.into(), dev.minor.into())
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn until_nul(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(dev: u64, next: u32, name: &str) -> Vec<u8> {
        let mut entry = [&dev.to_ne_bytes()[..], &next.to_ne_bytes()].concat();
        entry.extend(name.as_bytes());
        entry.resize(entry.len().next_multiple_of(8), 0);
        entry
    }

    #[test]
    fn a_chain_of_devices_is_read_to_its_end() {
        let dev = |minor| DevT { major: 253, minor };
        let first = entry(encode(dev(0)), 24, "weir-a");
        let chain = [first, entry(encode(dev(300)), 0, "b"), vec![9; 40]].concat();
        assert_eq!(devices(&chain).unwrap(), [dev(0), dev(300)]);
        assert_eq!(devices(&entry(0, 0, "")).unwrap(), []);
        devices(&entry(encode(dev(0)), 4000, "a")).unwrap_err();
        assert_eq!(devices(&[]).unwrap(), []);
    }

    #[test]
    fn a_question_has_the_kernels_layout() {
        let dev = DevT {
            major: 253,
            minor: 7,
        };
        let packet = Packet::new(dev, Some("@stats_list weir"), 0);
        let bytes = packet.bytes();
        assert_eq!(bytes.len(), 344);
        assert_eq!(number(&bytes, 0), Some(4));
        assert_eq!(number(&bytes, at::DATA_SIZE), Some(344));
        assert_eq!(number(&bytes, at::DATA_START), Some(312));
        assert_eq!(number(&bytes, at::DEV), Some(253 << 8 | 7));
        assert_eq!(bytes[320..337], *b"@stats_list weir\0");
        assert_eq!((packet.text(), packet.uuid()), Default::default());
    }

    fn answer(data: &[u8]) -> Packet {
        let mut bytes = vec![0; HEADER];
        bytes.extend(data);
        let end = u32::try_from(bytes.len()).unwrap();
        bytes[at::DATA_SIZE..][..4].copy_from_slice(&end.to_ne_bytes());
        bytes[at::DATA_START..][..4].copy_from_slice(&312_u32.to_ne_bytes());
        bytes[at::OPEN..][..4].copy_from_slice(&3_u32.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let words = bytes
            .as_chunks()
            .0
            .iter()
            .map(|word| u64::from_ne_bytes(*word));
        Packet(words.collect())
    }

    #[test]
    fn what_is_below_a_device_is_read_with_its_count() {
        let below = DevT {
            major: 254,
            minor: 16,
        };
        let data = [&1_u64.to_ne_bytes()[..], &encode(below).to_ne_bytes()].concat();
        let packet = answer(&data);
        assert_eq!((packet.deps().unwrap(), packet.open()), (vec![below], 3));
        assert_eq!(answer(&[]).deps().unwrap(), []);
        answer(&data[..8]).deps().unwrap_err();
    }

    proptest! {
        #[test]
        fn no_damaged_answer_panics(words in proptest::collection::vec(any::<u64>(), 39..80)) {
            let packet = Packet(words);
            let _ = (packet.text(), packet.uuid(), packet.is_full(), packet.devices());
            let _ = packet.deps();
        }
    }
}
