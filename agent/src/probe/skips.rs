//! How often the kernel skipped a program: it does not run a raw tracepoint's program on a CPU where
//! the same program is not finished yet (`__bpf_trace_run`, kernel/trace/bpf_trace.c).
//!
//! Up to 6.18 that takes an interrupt in the middle of the program, which is why ends have several
//! copies of theirs where it happens ([`super::groups`]). From 7.0 on a program can be
//! preempted, and is then skipped on that CPU until its thread runs again: with more runnable threads
//! than CPUs that can be many I/Os.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::loaded_programs;
use weir_agent_ebpf::layout::COPIES;

/// What the kernel tells of each copy of a program; `None` of those that are not attached.
pub(super) type Misses = [Option<u64>; COPIES as usize];

/// The misses of the programs behind pinned links, each of them a copy of some program (from 0 on), as far as the kernel tells.
pub(super) fn of_links(
    pins: impl Iterator<Item = (&'static str, usize, PathBuf)>,
) -> BTreeMap<&'static str, Misses> {
    let names: HashMap<u32, (&'static str, usize)> = pins
        .filter_map(|(name, copy, pin)| {
            let link: FdLink = PinnedLink::from_pin(pin).ok()?.into();
            Some((link.info().ok()?.program_id(), (name, copy)))
        })
        .collect();
    let mut all: BTreeMap<&str, Misses> = BTreeMap::new();
    for program in loaded_programs().flatten() {
        let Some((name, copy)) = names.get(&program.id()) else {
            continue;
        };
        let known = program.fd().ok().and_then(|fd| {
            let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
            misses(&fs::read_to_string(path).ok()?)
        });
        all.entry(name).or_default()[*copy] = known;
    }
    all
}

/// What one program missed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Skips {
    /// Before its last copy was attached, but after this agent started.
    before: u64,
    /// What each copy had missed then.
    then: [u64; COPIES as usize],
}

impl Skips {
    /// How many events at most it missed: what the kernel skipped for every copy is no more than what it skipped for the luckiest.
    pub(super) fn total(&self, misses: &Misses) -> u64 {
        let since = misses
            .iter()
            .zip(self.then)
            .filter_map(|(misses, then)| Some((*misses)?.saturating_sub(then)));
        self.before + since.min().unwrap_or(0)
    }

    /// From now on there are more copies than those that had missed something before they were attached. Until `now` none of the
    /// new ones may have seen an event.
    pub(super) fn more_copies(&mut self, before: &Misses, now: &Misses) {
        let mut of_old = *now;
        for (now, before) in of_old.iter_mut().zip(before) {
            if before.is_none() {
                *now = None;
            }
        }
        *self = Skips {
            before: self.total(&of_old),
            then: now.map(Option::unwrap_or_default),
        };
    }
}

/// The line `recursion_misses: 0` of a program's fdinfo.
fn misses(info: &str) -> Option<u64> {
    let mut lines = info.lines();
    let value = lines.find_map(|line| line.strip_prefix("recursion_misses:"))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: `before` left out of the total; `of_old` taken from what was missed before.
    #[test]
    fn what_was_missed_is_told_for_good_when_more_copies_come() {
        let mut skips = Skips::default();
        assert_eq!(skips.total(&[Some(7), None, None]), 7);
        skips.more_copies(&[Some(7), None, None], &[Some(9), Some(1), Some(0)]);
        assert_eq!(skips.total(&[Some(9), Some(1), Some(0)]), 9);
        assert_eq!(skips.total(&[Some(14), Some(5), Some(0)]), 9);
        assert_eq!(skips.total(&[Some(14), Some(5), Some(3)]), 12);
    }

    #[test]
    fn the_misses_are_found_among_a_programs_facts() {
        let info = "pos:\t0\nprog_type:\t17\nrecursion_misses:\t29035\nverified_insns:\t713\n";
        assert_eq!(misses(info), Some(29035));
        assert_eq!(misses("pos:\t0\n"), None);
    }
}
