//! Test programs of our crates that need a real kernel with NVMe target and device mapper: built
//! here, run in the storage VM before anything else uses it.

use anyhow::{Result, ensure};

use super::Area;
use super::pair::Pair;
use crate::vm::guest::PATIENCE;

/// A test program.
pub(crate) struct Program {
    pub(crate) area: Area,
    pub(crate) package: &'static str,
    pub(crate) name: &'static str,
    /// What it wants to be there, as a shell script.
    prepare: &'static str,
}

/// All of them.
pub(crate) const PROGRAMS: [Program; 3] = [
    Program {
        area: Area::Nvmet,
        package: "nvmet",
        name: "vm_nvmet",
        prepare: "modprobe brd rd_nr=12 rd_size=16384",
    },
    Program {
        area: Area::Nvmet,
        package: "nvmet",
        name: "vm_target",
        prepare: "modprobe brd rd_nr=12 rd_size=16384; modprobe -q -a nvme-keyring nvme-loop; \
                  for address in 10.0.0.1/32 10.0.0.2/32 \
                  fd00::1/128; do ip address replace $address dev lo; done",
    },
    Program {
        area: Area::Probes,
        package: "weir-agent",
        name: "vm_probes",
        prepare: "modprobe dm-mod",
    },
];

/// Runs one of them.
pub(crate) fn run(pair: &Pair, program: &Program) -> Result<()> {
    let script = format!(
        "modprobe -a nvmet-tcp nvme-tcp && \
         {{ mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config; }} && \
         {} && {} --test-threads=1",
        program.prepare, program.name
    );
    // Dozens of tests, one after the other, and an emulated guest checks the probes anew for each.
    let output = pair.storage.guest.run_for(&script, PATIENCE * 5)?;
    eprint!("{}", output.stdout);
    ensure!(output.code == 0, "{}", output.stderr);
    Ok(())
}
