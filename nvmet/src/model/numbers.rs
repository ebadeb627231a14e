//! Numbers that are names: each with its range and its spelling.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A port's number: the name of its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortId(pub u16);

/// A namespace's number: 1 to 0xFFFFFFFE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Nsid(u32);

/// An ANA group's number: 1 to 127. The kernels we know accept 128 and then use group 0 for it
/// (`array_index_nospec(128, 128)` in drivers/nvme/target/configfs.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct AnaGroupId(u32);

/// An IEEE organizationally unique identifier: 24 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Oui(u32);

/// A number that is not allowed where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{what} {number} is not in {low}..={high}")]
pub struct OutOfRange {
    what: &'static str,
    number: u32,
    low: u32,
    high: u32,
}

/// A version of the NVMe specification, as in `1.3` or `2.1.1` (`NVME_VS` in include/linux/nvme.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// Major number.
    pub major: u16,
    /// Minor number.
    pub minor: u8,
    /// Tertiary number; the kernel doesn't show a 0.
    pub tertiary: u8,
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a version such as 1.3 or 2.1.1")]
pub struct VersionError(String);

impl Nsid {
    /// Namespace 1.
    pub const FIRST: Nsid = Nsid(1);
}

impl AnaGroupId {
    /// The group every namespace begins in; the kernel makes it with every port.
    pub const DEFAULT: AnaGroupId = AnaGroupId(1);
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

macro_rules! ranged {
    ($name:ident, $what:literal, $range:expr, $format:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }

        impl TryFrom<u32> for $name {
            type Error = OutOfRange;
            fn try_from(number: u32) -> Result<Self, OutOfRange> {
                let range = $range;
                if range.contains(&number) {
                    return Ok($name(number));
                }
                Err(OutOfRange {
                    what: $what,
                    number,
                    low: *range.start(),
                    high: *range.end(),
                })
            }
        }

        impl From<$name> for u32 {
            fn from(number: $name) -> u32 {
                number.0
            }
        }
    };
}

ranged!(Nsid, "namespace id", 1..=0xFFFF_FFFE, "{}");
ranged!(AnaGroupId, "ANA group", 1..=127, "{}");
// As the kernel shows it.
ranged!(Oui, "IEEE OUI", 0..=0xFF_FFFF, "0x{:06x}");

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.tertiary != 0 {
            write!(f, ".{}", self.tertiary)?;
        }
        Ok(())
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let wrong = || VersionError(text.to_owned());
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let parts: Vec<&str> = text.split('.').collect();
        if !parts.iter().all(|part| is_number(part)) {
            return Err(wrong());
        }
        let (major, minor, tertiary) = match parts.as_slice() {
            [major, minor] => (*major, *minor, "0"),
            [major, minor, tertiary] => (*major, *minor, *tertiary),
            _ => return Err(wrong()),
        };
        Ok(Version {
            major: major.parse().map_err(|_| wrong())?,
            minor: minor.parse().map_err(|_| wrong())?,
            tertiary: tertiary.parse().map_err(|_| wrong())?,
        })
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;
    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_two_or_three_numbers() {
        for good in ["1.3", "2.1", "1.2.1"] {
            assert_eq!(good.parse::<Version>().unwrap().to_string(), good);
        }
        assert_eq!("1.3.0".parse::<Version>().unwrap().to_string(), "1.3");
        for bad in ["", "1", "1.", "1.3.0.0", "+1.3", "1.256", "1.-3", "1.3\n"] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_have_ranges() {
        assert!(Oui::try_from(0x0100_0000).is_err());
        assert_eq!(Oui::try_from(0xabc).unwrap().to_string(), "0x000abc");
        assert!(AnaGroupId::try_from(128).is_err());
        assert!(Nsid::try_from(0).is_err());
    }
}
