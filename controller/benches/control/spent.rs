//! What a process took, as the kernel tells it.

use std::fs;

/// What it took so far.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    /// User and system time of all its threads, those that ended too.
    pub(crate) cpu_seconds: f64,
    /// What it holds of memory now,
    pub(crate) rss_mib: f64,
    /// and held at most.
    pub(crate) rss_high_mib: f64,
}

impl Spent {
    pub(crate) fn by(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        Spent {
            cpu_seconds: cpu_seconds(&fs::read_to_string(format!("/proc/{pid}/stat")).unwrap()),
            rss_mib: memory(&status, "VmRSS:"),
            rss_high_mib: memory(&status, "VmHWM:"),
        }
    }
}

/// The 14th and 15th fields; the second one, the program's name, may have blanks in it.
fn cpu_seconds(stat: &str) -> f64 {
    let (_, after) = stat.rsplit_once(") ").unwrap();
    let ticks = after.split(' ').skip(11).take(2);
    let ticks: f64 = ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    #[expect(clippy::cast_precision_loss, reason = "100 on any Linux")]
    let per_second = per_second.unwrap().unwrap() as f64;
    ticks / per_second
}

fn memory(status: &str, what: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.unwrap().trim_end_matches("kB").trim();
    kib.parse::<f64>().unwrap() / 1024.0
}
