//! The kernel's statistics of programs: how often they ran, and how long.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use aya::programs::loaded_programs;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// While it is there, the kernel keeps them.
pub(crate) struct Enabled(String);

impl Enabled {
    pub(crate) fn new() -> Self {
        let before = fs::read_to_string(SWITCH).unwrap();
        fs::write(SWITCH, "1").unwrap();
        Enabled(before)
    }
}

impl Drop for Enabled {
    fn drop(&mut self) {
        let _ = fs::write(SWITCH, &self.0);
    }
}

/// What one program, or several of one name, did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Runs {
    pub(crate) ns: u64,
    pub(crate) runs: u64,
}

impl Runs {
    /// The lines `run_time_ns` and `run_cnt` of a program's fdinfo.
    pub(crate) fn of(program: BorrowedFd<'_>) -> Self {
        let path = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
        let info = fs::read_to_string(path).unwrap();
        let number = |key: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(key));
            line.map_or(0, |value| value.trim().parse().unwrap())
        };
        Runs {
            ns: number("run_time_ns:"),
            runs: number("run_cnt:"),
        }
    }

    pub(crate) fn since(self, before: Runs) -> Self {
        Runs {
            ns: self.ns - before.ns,
            runs: self.runs - before.runs,
        }
    }
}

/// The programs of some kind, by name; for each I/O once a difference was made.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    by_name: BTreeMap<String, Runs>,
    ios: u64,
}

/// All programs in the kernel.
pub(crate) fn ids() -> BTreeSet<u32> {
    loaded_programs().flatten().map(|info| info.id()).collect()
}

impl Costs {
    pub(crate) fn of(programs: &BTreeSet<u32>) -> Self {
        let mut costs = Costs::default();
        for info in loaded_programs().flatten() {
            if programs.contains(&info.id()) {
                let name = info.name_as_str().unwrap_or_default().to_owned();
                let runs = Runs::of(info.fd().unwrap().as_fd());
                let all = costs.by_name.entry(name).or_default();
                all.ns += runs.ns;
                all.runs += runs.runs;
            }
        }
        costs
    }

    pub(crate) fn since(self, before: &Costs, ios: u64) -> Self {
        let since = |(name, runs): (String, Runs)| {
            let earlier = before.by_name.get(&name).copied().unwrap_or_default();
            (name, runs.since(earlier))
        };
        Costs {
            by_name: self.by_name.into_iter().map(since).collect(),
            ios,
        }
    }

    fn sum(&self, prefix: &str, of: impl Fn(&Runs) -> u64) -> f64 {
        let programs = self.by_name.iter();
        let programs = programs.filter(|(name, _)| name.starts_with(prefix));
        programs.map(|(_, runs)| of(runs)).sum::<u64>() as f64 / self.ios as f64
    }

    /// Nanoseconds for each I/O of the programs whose names begin so.
    pub(crate) fn ns(&self, prefix: &str) -> f64 {
        self.sum(prefix, |runs| runs.ns)
    }

    /// How often these run for an I/O.
    pub(crate) fn runs(&self, prefix: &str) -> f64 {
        self.sum(prefix, |runs| runs.runs)
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let programs = self.by_name.iter().filter(|(_, runs)| runs.runs > 0);
        for (name, runs) in programs {
            let (ns, times) = (
                runs.ns as f64 / self.ios as f64,
                runs.runs as f64 / self.ios as f64,
            );
            write!(f, "{name} {ns:.0} ns in {times:.2} runs, ")?;
        }
        write!(f, "{:.0} ns in all", self.ns(""))
    }
}
