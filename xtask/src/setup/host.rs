//! Programs of the host, installed with apt where this process may.

use anyhow::{Result, bail};

use crate::command::{Cmd, find_program, is_root};
use crate::progress::Progress;

/// A program and the Debian package that has it, others that it is no use without behind a blank.
type Need = (&'static str, &'static str);

/// To build the eBPF toolchain.
pub(super) const BUILDING: [Need; 3] = [("cc", "gcc"), ("c++", "g++"), ("dpkg-deb", "dpkg")];

/// To make images of containers.
pub(super) const IMAGES: [Need; 3] = [
    ("dpkg-deb", "dpkg"),
    ("readelf", "binutils"),
    ("unshare", "util-linux"),
];

/// To compile C for 64-bit ARM.
pub(super) const ARM64: [Need; 1] = [(
    "aarch64-linux-gnu-gcc",
    "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
)];

/// To make and run VMs.
pub(super) const VMS: [Need; 6] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mke2fs", "e2fsprogs"),
    ("setpriv", "util-linux"),
    ("dpkg-deb", "dpkg"),
    ("strip", "binutils"),
    ("depmod", "kmod"),
];

/// Installs what is missing.
pub(super) fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<_> = needs
        .iter()
        .filter(|(program, _)| find_program(program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.iter().map(|(_, package)| *package);
    let packages: Vec<_> = packages.flat_map(|names| names.split(' ')).collect();
    let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    if find_program("apt-get").is_none() {
        bail!(
            "missing on this machine: {}. It has no apt-get, so install them yourself (Debian's \
             packages are called {}), then run this again",
            programs.join(", "),
            packages.join(", ")
        );
    }
    let as_root = || {
        let sudo = !is_root();
        Cmd::new(if sudo { "sudo" } else { "env" })
            .args(sudo.then_some("-n"))
            .args(["apt-get", "-q"])
    };
    let remedy = format!(
        "apt-get update && apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    );
    if !is_root() && Cmd::new("sudo").args(["-n", "true"]).run().is_err() {
        bail!(
            "missing on this machine: {}. Run as root: {remedy}",
            programs.join(", ")
        );
    }
    let progress = Progress::spinner(format!("installing {}", packages.join(", ")));
    let update = as_root().arg("update").run();
    let install = as_root()
        .args(["install", "-y", "--no-install-recommends"])
        .args(&packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run();
    if let Err(error) = update.and(install) {
        bail!(
            "{error:#}\nCould not install {}. If this machine is offline, connect it once; else run as root: {remedy}",
            packages.join(", ")
        );
    }
    progress.done();
    Ok(())
}
