//! `biolatency` of libbpf-tools, as `cargo xtask bench probes` unpacked it.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fio;
use crate::statistics;

/// It runs, and ends with its value.
pub(crate) struct Biolatency {
    child: Child,
    programs: BTreeSet<u32>,
}

impl Biolatency {
    pub(crate) fn start() -> Self {
        let before = statistics::ids();
        let command = fio::command("WEIR_BIOLATENCY");
        let child = Command::new(&command[0])
            .args(&command[1..])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut rival = Biolatency {
            child,
            programs: BTreeSet::new(),
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        // It loads and attaches issue and completion.
        while rival.programs.len() < 2 {
            let ended = rival.child.try_wait().unwrap();
            assert!(ended.is_none(), "biolatency ended: {ended:?}");
            assert!(Instant::now() < deadline, "biolatency loads no programs");
            std::thread::sleep(Duration::from_millis(200));
            rival.programs = &statistics::ids() - &before;
        }
        std::thread::sleep(Duration::from_secs(1));
        rival
    }

    pub(crate) fn programs(&self) -> &BTreeSet<u32> {
        &self.programs
    }
}

impl Drop for Biolatency {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
        let _ = self.child.wait();
    }
}
