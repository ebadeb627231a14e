//! How large a volume is to be.

use weir_api::units::Bytes;

use crate::failure::Failure;
use crate::proto::CapacityRange;

/// What is made where no size is asked for.
pub const DEFAULT: Bytes = Bytes::GIB;
/// LVM hands out whole extents, of 4 MiB unless somebody made the group otherwise.
pub const UNIT: Bytes = Bytes(4 << 20);

/// What is asked for: at least so much, at most so much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    least: u64,
    /// 0: no limit.
    most: u64,
}

impl Range {
    /// A request's range.
    ///
    /// # Errors
    /// Its figures contradict each other.
    pub fn of(range: Option<&CapacityRange>) -> Result<Self, Failure> {
        let Some(range) = range else {
            return Ok(Range::default());
        };
        let figure = |name: &str, value: i64| {
            u64::try_from(value).map_err(|_| {
                Failure::Invalid(format!("capacity_range.{name}: {value} is negative"))
            })
        };
        let least = figure("required_bytes", range.required_bytes)?;
        let most = figure("limit_bytes", range.limit_bytes)?;
        if most > 0 && least > most {
            let message =
                format!("capacity_range: required_bytes {least} is more than limit_bytes {most}");
            return Err(Failure::Invalid(message));
        }
        Ok(Range { least, most })
    }

    /// The size to make: the smallest that will do, in whole extents.
    ///
    /// # Errors
    /// There is none in the range.
    pub fn size(self) -> Result<Bytes, Failure> {
        let out_of_range = |message| Err(Failure::OutOfRange(message));
        let least = match self.least {
            // Nothing is asked for: as much as is usual, and is allowed.
            0 if self.most > 0 => Bytes(DEFAULT.0.min(self.most - self.most % UNIT.0)),
            0 => DEFAULT,
            least => Bytes(least),
        };
        let size = least
            .round_up(UNIT)
            .filter(|size| i64::try_from(size.0).is_ok());
        let Some(size) = size else {
            return out_of_range(format!(
                "{} bytes are more than any volume can have",
                self.least
            ));
        };
        if size.0 == 0 || !self.admits(size) {
            return out_of_range(format!(
                "a volume has whole extents of {UNIT}: none has {} to {} bytes",
                self.least, self.most
            ));
        }
        Ok(size)
    }

    /// Whether a size is in the range.
    #[must_use]
    pub fn admits(self, size: Bytes) -> bool {
        size.0 >= self.least && (self.most == 0 || size.0 <= self.most)
    }
}

/// Bytes as the interface has them.
#[must_use]
pub fn signed(bytes: Bytes) -> i64 {
    i64::try_from(bytes.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;

    fn asked(required_bytes: i64, limit_bytes: i64) -> Result<Bytes, Failure> {
        let range = CapacityRange {
            required_bytes,
            limit_bytes,
        };
        Range::of(Some(&range))?.size()
    }

    #[test]
    fn sizes_are_rounded_up_and_stay_in_their_range() {
        let (mib, gib) = (1 << 20, 1 << 30);
        assert_eq!(Range::of(None).unwrap().size(), Ok(DEFAULT));
        for (required, limit, size) in [
            (0, 0, gib),
            (1, 0, 4 * mib),
            (4 * mib, 4 * mib, 4 * mib),
            (4 * mib + 1, 0, 8 * mib),
            (0, 9 * mib, 8 * mib),
            (0, 3 * gib, gib),
            (gib, gib, gib),
        ] {
            let size = u64::try_from(size).unwrap();
            assert_eq!(
                asked(required, limit),
                Ok(Bytes(size)),
                "{required} {limit}"
            );
        }
        for (required, limit, code) in [
            (-1, 0, Code::InvalidArgument),
            (0, -1, Code::InvalidArgument),
            (2, 1, Code::InvalidArgument),
            (1, mib, Code::OutOfRange),
            (0, 1, Code::OutOfRange),
            (4 * mib + 1, 8 * mib - 1, Code::OutOfRange),
            (i64::MAX, 0, Code::OutOfRange),
        ] {
            assert_eq!(
                asked(required, limit).unwrap_err().code(),
                code,
                "{required} {limit}"
            );
        }
    }

    proptest! {
        /// Seen red with: `admits` always true.
        #[test]
        fn a_size_is_never_smaller_than_asked_for_nor_larger_than_allowed(
            required in 0..1_i64 << 45, room in 0..16_i64 << 20, is_limited: bool,
        ) {
            let limit = if is_limited { required + room } else { 0 };
            if let Ok(size) = asked(required, limit) {
                let size = signed(size);
                prop_assert!(size >= required && size > 0);
                prop_assert!(limit == 0 || size <= limit);
                prop_assert_eq!(size % signed(UNIT), 0);
            }
        }
    }
}
