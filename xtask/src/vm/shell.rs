//! `cargo xtask vm`: a VM with two empty disks, for a person or for a script.

use std::process::ExitStatus;

use anyhow::{Context, Result, bail};

use super::disk::Disk;
use super::guest::PATIENCE;
use super::machine::{Lab, Spec};
use crate::progress::say;

/// Hands the terminal to a VM until it powers off.
pub(crate) fn interactive(lab: &Lab) -> Result<()> {
    say(format!(
        "kernel {}, {:?}; Weir's programs are in /weir, empty disks are /dev/vda and /dev/vdb (and \
         /dev/vdc, with little room in its queue); \
         `poweroff` (or Ctrl-A X) ends it",
        lab.kernel,
        lab.accel()
    ));
    with_spec(lab, |spec| {
        let mut qemu = lab.qemu(spec, "weir.shell")?;
        qemu.args(["-serial", "mon:stdio"]);
        let ended: ExitStatus = qemu.status().context("running qemu-system-x86_64")?;
        if ended.success() {
            Ok(())
        } else {
            bail!("QEMU ended with {ended}")
        }
    })
}

/// Runs a script in a VM and prints what it wrote.
pub(crate) fn script(lab: &Lab, script: &str) -> Result<()> {
    with_spec(lab, |spec| {
        let mut vm = lab.start(spec)?;
        vm.wait_ready()?;
        let output = vm.guest.run_for(script, PATIENCE * 5)?;
        eprint!("{}{}", output.stdout, output.stderr);
        vm.stop()?;
        if output.code == 0 {
            Ok(())
        } else {
            bail!("the script ended with {}", output.code)
        }
    })
}

fn with_spec(lab: &Lab, with: impl FnOnce(&Spec<'_>) -> Result<()>) -> Result<()> {
    let disks = [
        Disk::plain(lab.dir(), "disk0", 8 << 30)?,
        Disk::plain(lab.dir(), "disk1", 8 << 30)?,
        Disk::cramped(lab.dir(), "cramped", 64 << 20)?,
    ];
    let disks: Vec<_> = disks.iter().collect();
    with(&Spec {
        name: "shell",
        address: 99,
        memory_mib: 1024,
        disks: &disks,
    })
}
