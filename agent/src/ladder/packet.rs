//! What goes to and from device mapper: `struct dm_ioctl` and what follows it (include/uapi/linux/dm-ioctl.h).

use super::region::NotUnderstood;
use crate::probe::DevT;

/// DM_VERSION_CMD.
pub(super) const VERSION: u8 = 0;
/// DM_LIST_DEVICES_CMD.
pub(super) const LIST_DEVICES: u8 = 2;
/// DM_TARGET_MSG_CMD.
pub(super) const MESSAGE: u8 = 14;

/// Size of `struct dm_ioctl` in bytes.
pub(super) const HEADER: usize = 312;

/// The interface's version: any kernel's minor version will do.
const MAJOR: u32 = 4;
/// DM_BUFFER_FULL_FLAG: the answer had no room.
const FULL: u32 = 1 << 8;
/// DM_DATA_OUT_FLAG: the message was answered with a text.
const ANSWERED: u32 = 1 << 16;

/// Bytes for a question and its answer, enough for a region's counters.
pub(super) const ROOM: usize = 4 << 10;
/// Nothing that is asked for here is longer: a hundred thousand devices.
pub(super) const MOST_ROOM: usize = 16 << 20;

/// Where the header's members lie.
mod at {
    pub(super) const DATA_SIZE: usize = 12;
    pub(super) const DATA_START: usize = 16;
    pub(super) const FLAGS: usize = 28;
    pub(super) const DEV: usize = 40;
    pub(super) const UUID: usize = 176;
    pub(super) const UUID_END: usize = 305;
}

/// A question, and then its answer, aligned as the kernel wants it.
pub(super) struct Packet(Vec<u64>);

impl Packet {
    /// A question about a device (0:0 for none).
    pub(super) fn new(dev: DevT, message: Option<&str>, room: usize) -> Self {
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

    pub(super) fn as_mut_ptr(&mut self) -> *mut u64 {
        self.0.as_mut_ptr()
    }

    /// Whether the answer had no room.
    pub(super) fn is_full(&self) -> bool {
        self.flags() & FULL != 0
    }

    /// The uuid of the device that answered.
    pub(super) fn uuid(&self) -> String {
        until_nul(&self.bytes()[at::UUID..at::UUID_END])
    }

    /// The answer to a message; empty if there was none.
    pub(super) fn text(&self) -> String {
        match self.flags() & ANSWERED {
            0 => String::new(),
            _ => until_nul(&self.data()),
        }
    }

    /// The answer to [`LIST_DEVICES`].
    pub(super) fn devices(&self) -> Result<Vec<DevT>, NotUnderstood> {
        devices(&self.data())
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

/// Reads a chain of `struct dm_name_list`: number, offset to the next (0 in the last), name. Without any device there is one
/// with the number 0.
fn devices(data: &[u8]) -> Result<Vec<DevT>, NotUnderstood> {
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
        devices(&[]).unwrap_err();
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

    proptest! {
        #[test]
        fn no_damaged_answer_panics(words in proptest::collection::vec(any::<u64>(), 39..80)) {
            let packet = Packet(words);
            let _ = (packet.text(), packet.uuid(), packet.is_full(), packet.devices());
        }
    }
}
