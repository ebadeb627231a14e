//! Kernel memory that device mapper's statistics take.
//!
//! Most of it is not the histogram: the kernel keeps a table of as many CPUs as it was built for (Debian: 8192) with every
//! region.

use std::fs;
use std::path::Path;

use super::bounds::BOUNDS;

/// `struct dm_stat` without its table of CPUs, and one `struct dm_stat_shared` (drivers/md/dm-stats.c).
const SHARED: u64 = 128 + 120;
/// `struct dm_stat_percpu`.
const OF_CPU: u64 = 104;
const HISTOGRAM: u64 = (BOUNDS as u64 + 1) * 8;

/// Bytes of one region where `built_for` CPUs are possible at most and `possible` ones on this machine, as the kernel
/// accounts for it in `/sys/module/dm_mod/parameters/stats_current_allocated_bytes`.
const fn region_bytes(built_for: u64, possible: u64) -> u64 {
    SHARED + 8 * built_for + HISTOGRAM + possible * (OF_CPU + HISTOGRAM)
}

/// Bytes of so many regions on this machine; `None` if it doesn't say how many CPUs its kernel was built for.
pub(super) fn bytes(sysfs: &Path, regions: usize) -> Option<u64> {
    let highest = fs::read_to_string(sysfs.join("devices/system/cpu/kernel_max")).ok()?;
    let built_for = highest.trim().parse::<u64>().ok()? + 1;
    let possible = aya::util::nr_cpus().ok()? as u64;
    Some(regions as u64 * region_bytes(built_for, possible))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_volumes_take_what_is_documented() {
        let mib = |built_for, possible| (1000 * region_bytes(built_for, possible)) >> 20;
        assert_eq!(mib(8192, 64), 100);
        assert_eq!(mib(512, 64), 42);
        assert_eq!(mib(8192, 8), 67);
    }
}
