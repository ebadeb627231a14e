//! How often the kernel skipped a program: it does not run a raw tracepoint's program on a CPU where
//! the same program is not finished yet (`__bpf_trace_run`, kernel/trace/bpf_trace.c).
//!
//! Up to 6.18 that takes an interrupt in the middle of the program, which is why ends have several
//! copies of theirs ([`super::groups`]). From 7.0 on a program can be
//! preempted, and is then skipped on that CPU until its thread runs again: with more runnable threads
//! than CPUs that can be many I/Os.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::loaded_programs;

/// The skips of the programs behind pinned links, as far as the kernel tells; of several with one
/// name the least.
pub(super) fn of_links(pins: Vec<(&'static str, PathBuf)>) -> Vec<(String, u64)> {
    let names: HashMap<u32, &str> = pins
        .into_iter()
        .filter_map(|(name, pin)| {
            let link: FdLink = PinnedLink::from_pin(pin).ok()?.into();
            Some((link.info().ok()?.program_id(), name))
        })
        .collect();
    let mut least: BTreeMap<String, u64> = BTreeMap::new();
    for program in loaded_programs().flatten() {
        let Some(name) = names.get(&program.id()) else {
            continue;
        };
        let skipped = || {
            let fd = program.fd().ok()?;
            let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
            misses(&fs::read_to_string(path).ok()?)
        };
        if let Some(skipped) = skipped() {
            let so_far = least.entry((*name).to_owned()).or_insert(skipped);
            *so_far = skipped.min(*so_far);
        }
    }
    least.into_iter().collect()
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

    #[test]
    fn the_misses_are_found_among_a_programs_facts() {
        let info = "pos:\t0\nprog_type:\t17\nrecursion_misses:\t29035\nverified_insns:\t713\n";
        assert_eq!(misses(info), Some(29035));
        assert_eq!(misses("pos:\t0\n"), None);
    }
}
