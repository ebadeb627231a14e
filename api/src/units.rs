//! Quantities as types: a bare integer never says whether it counts bytes, sectors or extents, nor a
//! bare duration whether it is in microseconds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

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

/// A text that is not a quantity of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not {what}")]
pub struct QuantityError {
    text: String,
    what: &'static str,
}

/// How long an I/O takes, in microseconds. As text a whole number with its unit: `850us`, `2ms`, `1s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Latency(pub u64);

/// The units of a latency as text, the largest first, and the microseconds in each.
const LATENCY_UNITS: [(&str, u64); 3] = [("s", 1_000_000), ("ms", 1_000), ("us", 1)];

impl FromStr for Latency {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let unit = LATENCY_UNITS
            .iter()
            .find(|(name, _)| text.strip_prefix(digits) == Some(name));
        let count = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let micros = unit
            .filter(|_| count)
            .and_then(|(_, factor)| digits.parse::<u64>().ok()?.checked_mul(*factor));
        micros.map(Latency).ok_or_else(|| QuantityError {
            text: text.to_owned(),
            what: "a latency such as `850us`, `2ms` or `1s`",
        })
    }
}

/// In the largest unit in which it is a whole number.
impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, factor): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*factor);
        let (unit, factor) = LATENCY_UNITS.iter().find(whole).unwrap_or(&("us", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

/// A ratio in hundredths. As text a decimal, `1.5`: Kubernetes' conventions keep floating-point numbers
/// out of objects, since they don't survive every client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ratio(pub u32);

/// One: nothing more than there is.
impl Default for Ratio {
    fn default() -> Self {
        Ratio(100)
    }
}

impl FromStr for Ratio {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let error = || QuantityError {
            text: text.to_owned(),
            what: "a ratio from 1 to 999.99 such as `1.5`",
        };
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str, most: usize| {
            (1..=most).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        };
        if !is_number(whole, 3) || !is_number(part, 2) || whole.starts_with('0') {
            return Err(error());
        }
        let hundredths: u32 = format!("{part:0<2}").parse().map_err(|_| error())?;
        let whole: u32 = whole.parse().map_err(|_| error())?;
        Ok(Ratio(whole * 100 + hundredths))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match part {
            0 => write!(f, "{whole}"),
            part if part % 10 == 0 => write!(f, "{whole}.{}", part / 10),
            part => write!(f, "{whole}.{part:02}"),
        }
    }
}

macro_rules! text_quantity {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = QuantityError;
            fn try_from(text: String) -> Result<Self, QuantityError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(quantity: $name) -> String {
                quantity.to_string()
            }
        }
    )*};
}
text_quantity!(Latency, Ratio);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    #[test]
    fn latencies_and_ratios_are_read_as_they_are_written() {
        for (text, micros) in [
            ("850us", 850),
            ("2ms", 2_000),
            ("1s", 1_000_000),
            ("0us", 0),
        ] {
            assert_eq!(text.parse(), Ok(Latency(micros)), "{text}");
            assert_eq!(Latency(micros).to_string(), text);
        }
        for (text, hundredths) in [("1", 100), ("1.5", 150), ("999.99", 99_999), ("2.05", 205)] {
            assert_eq!(text.parse(), Ok(Ratio(hundredths)), "{text}");
            assert_eq!(Ratio(hundredths).to_string(), text);
        }
        for bad in [
            "",
            "us",
            "1",
            "1.5ms",
            "-1us",
            "1 ms",
            "1h",
            "1234567890us",
            "1usus",
            "٣us",
        ] {
            assert!(bad.parse::<Latency>().is_err(), "{bad}");
        }
        for bad in [
            "", "0.5", "1000", "1.", ".5", "1.234", "+1", "1e1", "-1", "٣",
        ] {
            assert!(bad.parse::<Ratio>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_quantity_survives_its_text(micros in 0..1_000_000_000u64, hundredths in 100..100_000u32) {
            prop_assert_eq!(Latency(micros).to_string().parse(), Ok(Latency(micros)));
            prop_assert_eq!(Ratio(hundredths).to_string().parse(), Ok(Ratio(hundredths)));
        }
    }
}
