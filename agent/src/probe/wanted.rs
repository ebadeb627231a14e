//! What is to be measured.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use weir_api::names::{NodeName, ObjectName, VolumeId};

/// A block device's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevT {
    /// Major number: 12 bits inside the kernel.
    pub major: u32,
    /// Minor number: 20 bits inside the kernel.
    pub minor: u32,
}

/// Bits of the minor number in the kernel's own encoding (include/linux/kdev_t.h), which differs from
/// that of `stat(2)`.
const MINOR_BITS: u32 = 20;

impl DevT {
    /// From the number in a `stat` of the device's node.
    #[must_use]
    pub fn of_rdev(rdev: u64) -> Self {
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        DevT {
            major: number(nix::sys::stat::major(rdev)),
            minor: number(nix::sys::stat::minor(rdev)),
        }
    }

    /// As the kernel has it in `block_device.bd_dev`.
    #[must_use]
    pub fn in_kernel(self) -> u32 {
        self.major << MINOR_BITS | self.minor & ((1 << MINOR_BITS) - 1)
    }
}

impl fmt::Display for DevT {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// Not a device number.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a device number such as 253:0")]
pub struct DevTError(String);

impl FromStr for DevT {
    type Err = DevTError;
    /// As sysfs writes it: `253:0`.
    fn from_str(text: &str) -> Result<Self, DevTError> {
        let parse = || {
            let (major, minor) = text.trim().split_once(':')?;
            let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
            (major < 1 << 12 && minor < 1 << MINOR_BITS).then_some(DevT { major, minor })
        };
        parse().ok_or_else(|| DevTError(text.to_owned()))
    }
}

/// Everything that is to be measured on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Volumes whose devices exist.
    pub volumes: Vec<MeasuredVolume>,
    /// The disks of the pools.
    pub disks: Vec<MeasuredDisk>,
    /// Volumes that this node uses over NVMe.
    pub imports: Vec<MeasuredImport>,
}

/// A volume whose I/O is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredVolume {
    /// Its identity: the counters belong to it.
    pub id: VolumeId,
    /// The label `volume`.
    pub name: ObjectName,
    /// The label `pool`.
    pub pool: ObjectName,
    /// Its devices: the LV, or those through which several hosts use it. Their I/Os are counted
    /// together.
    pub devices: Vec<MeasuredDevice>,
}

/// A device of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredDevice {
    /// Its number.
    pub dev: DevT,
    /// Which events are I/Os of the volume.
    pub mode: Mode,
}

/// How a device is used, which decides what one I/O of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On this node: a bio is an I/O.
    Local,
    /// Over the NVMe target: a request of the target is an I/O. Bios that somebody on this node
    /// queues on the device are not counted.
    Exported {
        /// The host NQNs that may connect, and their nodes. A node that has several gets one histogram.
        initiators: Vec<(String, NodeName)>,
    },
}

/// A volume that this node uses over NVMe, whatever node it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredImport {
    /// The volume.
    pub id: VolumeId,
    /// The NVMe disk: with several paths the one that stands for all of them.
    pub dev: DevT,
}

/// A disk of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredDisk {
    /// The label `pool`.
    pub pool: ObjectName,
    /// The label `disk`, and the identity of the counters.
    pub disk: String,
    /// The physical volume's device. If it is a partition, the whole disk is measured.
    pub dev: DevT,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_number_has_the_kernels_encoding() {
        let dev: DevT = "253:3\n".parse().unwrap();
        assert_eq!(dev.in_kernel(), 253 << 20 | 3);
        assert_eq!(
            DevT::of_rdev(nix::sys::stat::makedev(259, 70_000)).minor,
            70_000
        );
        assert_eq!(dev.to_string(), "253:3");
    }

    #[test]
    fn what_is_no_device_number_is_refused() {
        for text in [
            "",
            "253",
            "253:",
            ":1",
            "a:b",
            "5000:0",
            "1:1048576",
            "-1:0",
        ] {
            assert!(text.parse::<DevT>().is_err(), "{text:?}");
        }
    }
}
