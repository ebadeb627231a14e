//! The nvmet crate's own tests on a real kernel: a test binary of that crate, run in the guest.

use anyhow::{Result, ensure};

use super::pair::Pair;
use crate::vm::guest::PATIENCE;

pub(crate) fn run(pair: &Pair) -> Result<()> {
    let script = "modprobe -a nvmet-tcp nvme-tcp && modprobe brd rd_nr=12 rd_size=16384 && mkdir -p /sys/kernel/config && \
                  { mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config; } && \
                  vm_nvmet --test-threads=1";
    let output = pair.storage.guest.run_for(script, PATIENCE)?;
    eprint!("{}", output.stdout);
    ensure!(output.code == 0, "{}", output.stderr);
    Ok(())
}
