//! Limits of cgroups.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use weir_agent::probe::{Op, Stage, Tally, Wanted};

use crate::bench::{Pins, drops, in_flight, stage, volume};
use crate::stack::Stack;
use crate::{DISK, run};

/// A cgroup, whose processes have ended when it goes.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Self {
        let root = Path::new("/sys/fs/cgroup");
        if !root.join("cgroup.controllers").exists() {
            fs::create_dir_all(root).unwrap();
            run("mount", &["-t", "cgroup2", "none", "/sys/fs/cgroup"]);
        }
        fs::write(root.join("cgroup.subtree_control"), "+io").expect("needs the io controller");
        let path = root.join("weir-probed");
        fs::create_dir_all(&path).unwrap();
        Cgroup(path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Ten writes for each second: all but the first few have to wait, before they begin.
///
/// Seen red with: `starts::held_back` doing nothing.
#[test]
fn time_that_a_limit_takes_is_no_stages() {
    const WRITES: u64 = 20;
    let (pins, stack) = (Pins::new(), Stack::linear(DISK));
    let mut probes = pins.start();
    let wanted = Wanted {
        volumes: vec![volume(1, stack.dev())],
        ..Wanted::default()
    };
    probes.sync(&wanted).unwrap();
    let before = probes.read().unwrap();
    assert_eq!(before.off.iter().find(|off| off.stage == "throttle"), None);
    let cgroup = Cgroup::new();
    let path = stack.path();
    let dd = format!(
        "dd if=/dev/zero of={} bs=4k count={WRITES} oflag=direct",
        path.display()
    );
    // Without a limit nothing is checked.
    run("sh", &["-c", &dd]);
    let limit = format!("{} wiops=10", stack.dev());
    fs::write(cgroup.0.join("io.max"), limit).unwrap();
    let procs = cgroup.0.join("cgroup.procs");
    let script = format!("echo $$ > {} && exec {dd}", procs.display());
    let status = Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(status.success());
    let snapshot = probes.read().unwrap();
    let mut ops = snapshot.volumes[0].ops.iter();
    let writes = ops.find(|figures| figures.op == Op::Write).unwrap();
    let Tally { count, sum_ns } = writes.throttled;
    assert_eq!(count, WRITES, "{snapshot:?}");
    // Twenty at ten for each second take a second at least, whatever burst the kernel allows.
    assert!(sum_ns > 500_000_000, "{snapshot:?}");
    let total = stage(&snapshot, Op::Write, Stage::Total);
    assert_eq!(total.count(), 2 * WRITES);
    assert!(total.sum_ns() < sum_ns, "{snapshot:?}");
    assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
}
