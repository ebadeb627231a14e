//! Test programs of our crates that need a real kernel with NVMe target and device mapper: built
//! here, run in the storage VM before anything else uses it.

use anyhow::{Result, ensure};

use super::pair::Pair;
use super::{Area, Scale};
use crate::vm::guest::PATIENCE;

/// A test program.
pub(crate) struct Program {
    pub(crate) area: Area,
    pub(crate) name: &'static str,
    /// What it wants to be there, as a shell script.
    prepare: &'static str,
    /// Into how many parts CI divides its tests, to run one of them.
    parts: u64,
}

/// All of them.
pub(crate) const PROGRAMS: [Program; 4] = [
    Program {
        area: Area::Nvmet,
        name: "vm_nvmet",
        prepare: "modprobe brd rd_nr=12 rd_size=16384",
        parts: 1,
    },
    Program {
        area: Area::Nvmet,
        name: "vm_target",
        prepare: "modprobe brd rd_nr=12 rd_size=16384; modprobe -q -a nvme-keyring nvme-loop; \
                  for address in 10.0.0.1/32 10.0.0.2/32 \
                  fd00::1/128; do ip address replace $address dev lo; done",
        parts: 1,
    },
    Program {
        area: Area::Pools,
        name: "vm_lvm",
        prepare: "modprobe -a dm-mod dm-thin-pool dm-snapshot; modprobe brd rd_nr=12 rd_size=16384",
        parts: 1,
    },
    Program {
        area: Area::Probes,
        name: "vm_probes",
        prepare: "modprobe dm-mod",
        parts: 3,
    },
];

/// Runs one of them.
pub(crate) fn run(pair: &Pair, program: &Program, scale: Scale) -> Result<()> {
    let guest = &pair.storage.guest;
    let name = program.name;
    let list = guest.sh(&format!("{name} --list --format terse"))?;
    let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
    let due = (0..)
        .zip(tests)
        .filter(|(number, _)| scale.is_due(2, number % program.parts, program.parts));
    let due: Vec<&str> = due.map(|(_, test)| test).collect();
    ensure!(!due.is_empty(), "{name} has no tests");
    let script = format!(
        "modprobe -a nvmet-tcp nvme-tcp && \
         {{ mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config; }} && \
         {} && {name} --test-threads=1 --exact {}",
        program.prepare,
        due.join(" ")
    );
    // Dozens of tests, one after the other, and an emulated guest checks the probes anew for each.
    let output = guest.run_for(&script, PATIENCE * 5)?;
    eprint!("{}", output.stdout);
    ensure!(output.code == 0, "{}", output.stderr);
    Ok(())
}
