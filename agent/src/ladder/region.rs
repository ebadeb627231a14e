//! Device mapper's statistics as text: what is sent to a device, and what it answers
//! (Documentation/admin-guide/device-mapper/statistics.rst, drivers/md/dm-stats.c).

use uuid::Uuid;
use weir_api::names::VolumeId;

use super::bounds::{BOUNDS, boundaries};
use crate::dm::packet::NotUnderstood;
use crate::probe::Tally;

/// Under this name the kernel keeps our regions apart from everybody else's.
const PROGRAM: &str = "weir";

/// Sectors of a region: whatever size its device has or will have. A region that is made for the whole device is not
/// extended with it.
const SECTORS: u64 = 1 << 55;

/// Whose I/Os a region counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) volume: VolumeId,
    /// Used on this node alone. Nothing of the one use is counted for the other: they begin at 0 each.
    pub(super) is_local: bool,
}

impl Owner {
    /// The word that the kernel keeps with the region.
    fn word(self) -> String {
        let used = if self.is_local { "local" } else { "exported" };
        format!("{}:{used}", self.volume)
    }

    fn of_word(word: &str) -> Option<Self> {
        let (volume, used) = word.split_once(':')?;
        let is_local = match used {
            "local" => true,
            "exported" => false,
            _ => return None,
        };
        let volume = VolumeId(Uuid::try_parse(volume).ok()?);
        Some(Owner { volume, is_local })
    }
}

/// The message that makes a region.
pub(super) fn create(owner: Owner) -> String {
    format!(
        "@stats_create 0+{SECTORS} /1 2 precise_timestamps histogram:{} {PROGRAM} {}",
        boundaries(),
        owner.word()
    )
}

/// The message that lists our regions.
pub(super) fn list() -> String {
    format!("@stats_list {PROGRAM}")
}

/// The message that asks for a region's counters.
pub(super) fn print(region: u32) -> String {
    format!("@stats_print {region}")
}

/// The message that ends a region.
pub(super) fn delete(region: u32) -> String {
    format!("@stats_delete {region}")
}

/// A region of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) number: u32,
    pub(super) owner: Owner,
    /// Whether it is what [`create`] makes, or what another version of Weir did.
    pub(super) is_current: bool,
}

/// Reads the answer to [`list`]: `0: 0+1024 1024 weir WORD precise_timestamps histogram:1,2`. What somebody else made under our
/// name, without a word of ours, is not ours.
pub(super) fn parse_list(text: &str) -> Result<Vec<Listed>, NotUnderstood> {
    let mut listed = Vec::new();
    for line in text.lines() {
        let bad = || NotUnderstood {
            what: "a region of device mapper's statistics",
            text: line.to_owned(),
        };
        let (number, rest) = line.split_once(": ").ok_or_else(bad)?;
        let number = number.parse().map_err(|_| bad())?;
        let words: Vec<&str> = rest.split(' ').collect();
        let [range, _step, PROGRAM, word, options @ ..] = &words[..] else {
            return Err(bad());
        };
        let Some(owner) = Owner::of_word(word) else {
            continue;
        };
        let histogram = format!("histogram:{}", boundaries());
        listed.push(Listed {
            number,
            owner,
            is_current: *range == format!("0+{SECTORS}")
                && options == ["precise_timestamps", &histogram],
        });
    }
    Ok(listed)
}

/// A region's counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) reads: Tally,
    /// Whatever changes data: discards and zeroes too, which device mapper does not tell from writes.
    pub(super) writes: Tally,
    pub(super) in_flight: u64,
    /// Reads and writes together.
    pub(super) histogram: [u64; BOUNDS + 1],
}

/// Reads the answer to [`print`]: the range, 13 figures, the histogram.
pub(super) fn parse_print(text: &str) -> Result<Counted, NotUnderstood> {
    let parse = || {
        let words: Vec<&str> = text.trim_end().split(' ').collect();
        let [_range, figures @ .., histogram] = &words[..] else {
            return None;
        };
        let figures: Vec<i128> = figures
            .iter()
            .map(|word| word.parse().ok())
            .collect::<Option<_>>()?;
        let [
            reads,
            _,
            _,
            read_ns,
            writes,
            _,
            _,
            write_ns,
            in_flight,
            _,
            _,
            _,
            _,
        ] = figures[..]
        else {
            return None;
        };
        let counts: Vec<u64> = histogram
            .split(':')
            .map(|count| count.parse().ok())
            .collect::<Option<_>>()?;
        let number = |figure: i128| u64::try_from(figure).ok();
        Some(Counted {
            reads: Tally {
                count: number(reads)?,
                sum_ns: number(read_ns)?,
            },
            writes: Tally {
                count: number(writes)?,
                sum_ns: number(write_ns)?,
            },
            // The sum of two numbers that are not read at one moment.
            in_flight: number(in_flight.max(0))?,
            histogram: counts.try_into().ok()?,
        })
    };
    parse().ok_or_else(|| NotUnderstood {
        what: "what a region of ours counted",
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::fuzz;
    use proptest::prelude::*;

    fn owner(number: u128, is_local: bool) -> Owner {
        Owner {
            volume: VolumeId(Uuid::from_u128(number)),
            is_local,
        }
    }

    /// As the kernel lists what it was told to create.
    fn line(number: u32, message: &str) -> String {
        let words: Vec<&str> = message.split(' ').collect();
        let [_, range, _, _, precise, histogram, program, word] = words[..] else {
            panic!("{message}")
        };
        let (_, step) = range.split_once('+').unwrap();
        format!("{number}: {range} {step} {program} {word} {precise} {histogram}\n")
    }

    fn printed() -> String {
        let histogram = (0..=BOUNDS).map(|n| n.to_string());
        let histogram = histogram.collect::<Vec<_>>().join(":");
        format!("0+100 10 1 80 5000 20 2 160 9000 -1 7 8 9 10 {histogram}\n")
    }

    #[test]
    fn what_was_made_is_found_again() {
        let text = line(0, &create(owner(1, true))) + &line(3, &create(owner(2, false)));
        let listed = parse_list(&text).unwrap();
        let expected = [(0, owner(1, true)), (3, owner(2, false))];
        assert_eq!(
            listed,
            expected.map(|(number, owner)| Listed {
                number,
                owner,
                is_current: true
            })
        );
        assert_eq!(parse_list(""), Ok(Vec::new()));
    }

    /// Seen red with: `is_current: true`.
    #[test]
    fn what_another_version_made_is_not_current() {
        let made = line(0, &create(owner(1, true)));
        for (from, to) in [
            ("4097,", ""),
            (" precise_timestamps", ""),
            ("0+36028797018963968", "0+8"),
        ] {
            let listed = parse_list(&made.replace(from, to)).unwrap();
            assert!(!listed[0].is_current, "{from}");
        }
    }

    #[test]
    fn what_somebody_else_made_under_our_name_is_not_ours() {
        let text = "0: 0+8 8 weir - precise_timestamps\n1: 0+8 8 weir dmstats=x:local y\n";
        assert_eq!(parse_list(text), Ok(Vec::new()));
    }

    #[test]
    fn figures_are_where_the_kernel_writes_them() {
        let counted = parse_print(&printed()).unwrap();
        assert_eq!((counted.reads.count, counted.reads.sum_ns), (10, 5000));
        assert_eq!((counted.writes.count, counted.writes.sum_ns), (20, 9000));
        assert_eq!((counted.in_flight, counted.histogram[63]), (0, 63));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in ["", "0+8\n", "0+8 1 2 3 4 5 6 7 8 9 10 11 12 13\n"] {
            parse_print(text).unwrap_err();
        }
        let negative = printed().replacen(" 10 ", " -10 ", 1);
        parse_print(&negative).unwrap_err();
        parse_print(&printed().replace(":63", "")).unwrap_err();
        for text in ["x", "0: 0+8 8\n", "-1: 0+8 8 weir -\n", "0: 0+8 8 lvm -\n"] {
            parse_list(text).unwrap_err();
        }
    }

    #[test]
    fn fuzz_device_mappers_answers() {
        let texts = [printed(), line(0, &create(owner(1, true)))];
        let damaged = (0..2usize, 0..800usize, 0..20usize, "[0-9:+ a-z\\n-]{0,12}");
        fuzz(
            "fuzz_device_mappers_answers",
            &damaged,
            |(text, at, cut, junk)| {
                let text = &texts[text];
                let at = at.min(text.len());
                let end = (at + cut).min(text.len());
                let text = [&text[..at], &junk, &text[end..]].concat();
                let _ = (parse_list(&text), parse_print(&text));
                let _ = super::super::disk_statistics::parse(&text);
            },
        );
    }

    proptest! {
        #[test]
        fn no_damaged_answer_panics(cut in 0..400usize, junk in "\\PC{0,8}") {
            for text in [printed(), line(0, &create(owner(1, true)))] {
                let mut text = text;
                text.insert_str(cut.min(text.len()), &junk);
                let _ = (parse_list(&text), parse_print(&text));
            }
        }
    }
}
