//! Sizes as types: a bare integer never says whether it counts bytes, sectors or extents.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A size or an offset in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// One kibibyte.
    pub const KIB: Bytes = Bytes(1 << 10);
    /// One mebibyte.
    pub const MIB: Bytes = Bytes(1 << 20);
    /// One gibibyte.
    pub const GIB: Bytes = Bytes(1 << 30);

    /// The smallest multiple of `unit` that holds `self`; `None` where that exceeds 64 bits or
    /// `unit` is zero. LVM hands out whole extents: a volume is never smaller than asked for.
    #[must_use]
    pub fn round_up(self, unit: Bytes) -> Option<Bytes> {
        self.0.checked_next_multiple_of(unit.0).map(Bytes)
    }
}

/// Binary units with up to one decimal: `1.5 GiB`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        for (shift, name) in UNITS {
            let whole = self.0 >> shift;
            if whole > 0 {
                let tenths = ((self.0 & ((1 << shift) - 1)) * 10) >> shift;
                return if tenths == 0 {
                    write!(f, "{whole} {name}")
                } else {
                    write!(f, "{whole}.{tenths} {name}")
                };
            }
        }
        write!(f, "{} B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_rounded_up_never_down() {
        let extent = Bytes(4 << 20);
        assert_eq!(Bytes(1).round_up(extent), Some(extent));
        assert_eq!(extent.round_up(extent), Some(extent));
        assert_eq!(Bytes(extent.0 + 1).round_up(extent), Some(Bytes(8 << 20)));
        assert_eq!(Bytes(u64::MAX).round_up(extent), None);
        assert_eq!(Bytes(1).round_up(Bytes(0)), None);
    }

    #[test]
    fn sizes_read_in_binary_units() {
        assert_eq!(Bytes(512).to_string(), "512 B");
        assert_eq!(Bytes(1536 << 20).to_string(), "1.5 GiB");
        assert_eq!(Bytes::GIB.to_string(), "1 GiB");
    }
}
