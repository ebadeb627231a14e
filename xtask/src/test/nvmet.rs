//! The nvmet crate's own tests on a real kernel: test programs of that crate, run in the guest.

use anyhow::{Result, ensure};

use super::pair::Pair;
use crate::vm::guest::PATIENCE;

/// The crate's tests that need a real kernel.
pub(crate) const PROGRAMS: [&str; 2] = ["vm_nvmet", "vm_target"];

/// Runs one of them in the storage VM, before anything else uses its target.
pub(crate) fn run(pair: &Pair, program: &str) -> Result<()> {
    let script = format!(
        "modprobe -a nvmet-tcp nvme-tcp && modprobe brd rd_nr=12 rd_size=16384 && \
         {{ mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config; }} && \
         for address in 10.0.0.1/32 10.0.0.2/32 fd00::1/128; do \
         ip address replace $address dev lo; done && {program} --test-threads=1"
    );
    let output = pair.storage.guest.run_for(&script, PATIENCE)?;
    eprint!("{}", output.stdout);
    ensure!(output.code == 0, "{}", output.stderr);
    Ok(())
}
