//! One VM, and the lab it stands in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tempfile::TempDir;

use super::accel::Accel;
use super::disk::Disk;
use super::guest::Guest;
use super::network::Network;
use crate::cache::Cache;
use crate::kernel::Kernel;
use crate::progress::say;
use crate::setup::guest::{Image, Userland, image};

/// What the VMs of one run share: a kernel, a network, a directory, the binaries under test.
pub(crate) struct Lab {
    pub(crate) kernel: Kernel,
    pub(crate) network: Network,
    image: Image,
    accel: Accel,
    payload: PathBuf,
    consoles: PathBuf,
    dir: TempDir,
}

/// What a VM is.
pub(crate) struct Spec<'a> {
    /// Host name, also of its console log.
    pub(crate) name: &'a str,
    /// Last byte of its address in 10.77.0.0/24.
    pub(crate) address: u8,
    /// Memory in MiB.
    pub(crate) memory_mib: u32,
    /// Its disks, in the guest's order from vda on.
    pub(crate) disks: &'a [&'a Disk],
}

/// A running VM. Dropped, it loses power.
pub(crate) struct Machine {
    pub(crate) guest: Guest,
    qemu: Child,
    command: Command,
    console: PathBuf,
}

/// How often a guest may be booted until it is ready.
const BOOTS: u32 = 3;

/// How the directory of a lab is called; its process's id follows.
const LAB: &str = "weir-lab-";

/// How long a guest may take to boot or power off; an emulated one needs about 6 s on a quiet host.
const BOOT: Duration = Duration::from_secs(120);

impl Lab {
    /// An empty lab. `payload` is the disk with the binaries; consoles are logged below `logs`.
    pub(crate) fn new(
        cache: &Cache,
        kernel: Kernel,
        userland: Userland,
        payload: &Path,
        logs: &Path,
    ) -> Result<Self> {
        let image = image(cache, kernel, userland);
        let accel = Accel::probe(cache, &image.vmlinuz)?;
        remove_abandoned(&std::env::temp_dir());
        let prefix = format!("{LAB}{}-", std::process::id());
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        let consoles = logs.join(kernel.to_string());
        fs::create_dir_all(&consoles).with_context(|| format!("making {}", consoles.display()))?;
        let network = Network::new(dir.path())?;
        let payload = payload.to_owned();
        Ok(Lab {
            kernel,
            network,
            image,
            accel,
            payload,
            consoles,
            dir,
        })
    }

    /// Where disks of this lab are kept.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How its guests run.
    pub(crate) fn accel(&self) -> Accel {
        self.accel
    }

    /// Starts a VM and returns at once: see [`Machine::wait_ready`].
    ///
    /// To be called on a thread that outlives the VM: see [`Accel::qemu`].
    pub(crate) fn start(&self, spec: &Spec<'_>) -> Result<Machine> {
        self.start_with(spec, "")
    }

    /// The same, with more on its kernel's command line.
    pub(crate) fn start_with(&self, spec: &Spec<'_>, parameters: &str) -> Result<Machine> {
        let agent = self.dir().join(format!("{}.agent", spec.name));
        let console = self.consoles.join(format!("{}.console.log", spec.name));
        let log = File::options().create(true).append(true).open(&console);
        let log = log.with_context(|| format!("opening {}", console.display()))?;
        let mut qemu = self.qemu(spec, parameters)?;
        qemu.args(["-chardev"]).arg(format!(
            "socket,id=agent,path={},server=on,wait=off",
            agent.display()
        ));
        qemu.args(["-device", "virtio-serial-pci", "-device"]);
        qemu.arg("virtserialport,chardev=agent,name=org.qemu.guest_agent.0");
        qemu.args(["-serial", "stdio"]);
        qemu.stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(Machine {
            guest: Guest::new(spec.name, &agent),
            qemu: qemu.spawn().context("starting qemu-system-x86_64")?,
            command: qemu,
            console,
        })
    }

    /// Boots several at once and waits for all of them.
    pub(crate) fn boot<const N: usize>(&self, specs: [Spec<'_>; N]) -> Result<[Machine; N]> {
        let started: Result<Vec<_>> = specs.iter().map(|spec| self.start(spec)).collect();
        let mut machines = started?;
        for machine in &mut machines {
            machine.wait_ready()?;
        }
        machines.try_into().map_err(|_| anyhow!("a VM is missing"))
    }

    /// QEMU with everything but a console.
    pub(crate) fn qemu(&self, spec: &Spec<'_>, parameters: &str) -> Result<Command> {
        let mut qemu = self.accel.qemu(&self.image.vmlinuz);
        qemu.args(["-m", &spec.memory_mib.to_string()]);
        // Cloud kernels have NVMe built in: a root disk on it needs no initramfs.
        let root = self.image.root.display();
        qemu.args([
            "-drive",
            &format!("file={root},format=raw,if=none,id=root,snapshot=on,cache=unsafe"),
        ]);
        qemu.args([
            "-device",
            "nvme,drive=root,serial=root",
            "-device",
            "virtio-rng-pci",
        ]);
        for disk in spec.disks {
            qemu.args(disk.arguments()?);
        }
        let payload = self.payload.display();
        qemu.arg("-blockdev").arg(format!(
            "driver=raw,node-name=payload,read-only=on,file.driver=file,file.filename={payload}"
        ));
        qemu.args(["-device", "virtio-blk-pci,drive=payload,serial=payload"]);
        qemu.args(["-netdev", &self.network.join(spec.name), "-device"]);
        qemu.arg(format!(
            "virtio-net-pci,netdev=net0,mac=52:54:00:77:00:{:02x}",
            spec.address
        ));
        qemu.arg("-append").arg(format!(
            "console=ttyS0 quiet panic=-1 mitigations=off net.ifnames=0 root=/dev/nvme0n1 rw \
             init=/etc/weir/init weir.host={} weir.ip={}/24 {} {parameters}",
            spec.name,
            address(spec.address),
            self.accel.kernel_parameters()?,
        ));
        Ok(qemu)
    }
}

/// Removes the directories of labs whose process was killed before it could.
fn remove_abandoned(temporary: &Path) {
    for entry in fs::read_dir(temporary).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(LAB)
            .and_then(|rest| rest.split('-').next());
        let is_gone = |pid: &str| !Path::new("/proc").join(pid).exists();
        if owner.is_some_and(|pid| pid.parse::<u32>().is_ok() && is_gone(pid)) {
            // Somebody else's, or just being removed: either way it is not ours to complain about.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The address of a VM by the last byte of its [`Spec`].
pub(crate) fn address(last: u8) -> String {
    format!("10.77.0.{last}")
}

impl Machine {
    /// Waits until commands can be run inside.
    ///
    /// Emulated, a kernel that rewrites its own code while another CPU runs it can meet half of it
    /// and panics (an `int3` of its own), in about one boot of a hundred on a busy host. A guest that
    /// ends before it was ready is therefore booted again, a few times: it wrote to no disk yet.
    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + BOOT;
        let mut boots = 1;
        loop {
            let ready = self
                .guest
                .wait_ready(Instant::now() + Duration::from_secs(1));
            let Err(error) = ready else { return Ok(()) };
            if self.qemu.try_wait()?.is_some() && boots < BOOTS {
                boots += 1;
                say(format!(
                    "a guest ended while it booted: once more; see {}",
                    self.console.display()
                ));
                self.qemu = self
                    .command
                    .spawn()
                    .context("starting qemu-system-x86_64")?;
            } else if Instant::now() > deadline {
                return Err(error.context(format!("its console is in {}", self.console.display())));
            }
        }
    }

    /// Cuts the power: nothing in the guest gets to run again.
    pub(crate) fn cut_power(mut self) -> Result<()> {
        self.lose_power()
    }

    /// The same, for a VM that another one takes the place of.
    pub(crate) fn lose_power(&mut self) -> Result<()> {
        self.qemu.kill().context("killing QEMU")?;
        self.qemu
            .wait()
            .context("waiting for QEMU to end")
            .map(drop)
    }

    /// Shuts the guest down cleanly.
    pub(crate) fn stop(mut self) -> Result<()> {
        // The answer may be lost: the guest is going down.
        let _ = self.guest.run("poweroff");
        let deadline = Instant::now() + BOOT;
        while self.qemu.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!(
                    "a guest did not power off; its console is in {}",
                    self.console.display()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_directories_of_dead_labs_are_removed() {
        let temporary = tempfile::tempdir().unwrap();
        // Process ids end at 2^22 on Linux: this one never ran.
        let dead = temporary.path().join("weir-lab-4294967295-abc");
        let alive = temporary
            .path()
            .join(format!("weir-lab-{}-abc", std::process::id()));
        let other = temporary.path().join("weir-lab-notes");
        for dir in [&dead, &alive, &other] {
            fs::create_dir(dir).unwrap();
        }
        remove_abandoned(temporary.path());
        assert!(!dead.exists() && alive.exists() && other.exists());
    }
}
