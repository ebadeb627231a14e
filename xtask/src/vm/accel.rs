//! Whether KVM can run a stock kernel here. Some hosts offer `/dev/kvm` and then emulate or refuse
//! guest instructions: only a kernel that really boots tells.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::command::read_file;
use crate::progress::Progress;

/// How guests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accel {
    /// In hardware.
    Kvm,
    /// Emulated: a guest's CPU is roughly 15 times slower than the host's.
    Tcg,
}

/// A kernel without a root disk panics within a second or two; one that did nothing by then won't.
const PATIENCE: Duration = Duration::from_secs(12);

impl Accel {
    /// Probes once per boot of this host.
    pub(crate) fn probe(cache: &Cache, vmlinuz: &Path) -> Result<Self> {
        if fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_err()
        {
            return Ok(Accel::Tcg);
        }
        let boot = read_file(Path::new("/proc/sys/kernel/random/boot_id"))?;
        let answer = cache.dir("stamps")?.join("kvm-works");
        if cache
            .once("kvm-probed", &boot, || {
                let progress = Progress::spinner("trying KVM");
                let works = boots_with_kvm(vmlinuz)?;
                crate::cache::write_whole(&answer, if works { "yes" } else { "no" })?;
                progress.done();
                Ok(())
            })
            .is_err()
        {
            return Ok(Accel::Tcg);
        }
        Ok(if read_file(&answer)? == "yes" {
            Accel::Kvm
        } else {
            Accel::Tcg
        })
    }

    /// A QEMU with nothing but CPUs and a kernel. It dies with the thread that starts it, so that a
    /// killed run leaves no VM.
    pub(crate) fn qemu(self, vmlinuz: &Path) -> Command {
        let mut qemu = Command::new("setpriv");
        qemu.args([
            "--pdeathsig",
            "KILL",
            "qemu-system-x86_64",
            "-M",
            "q35",
            "-nodefaults",
        ]);
        qemu.args([
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
            "-smp",
            "2",
        ]);
        qemu.args(match self {
            Accel::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // qemu64 boots faster than `max`; with cx16, 6.12 double-faulted once on QEMU 7.2.
            Accel::Tcg => [
                "-accel",
                "tcg,thread=multi,tb-size=512",
                "-cpu",
                "qemu64,-cx16",
            ],
        });
        qemu.arg("-kernel").arg(vmlinuz);
        qemu
    }

    /// Kernel parameters. Emulated, the guest's TSC is the host's, but the guest kernel can't
    /// calibrate it: told its frequency, it keeps good time; untold, it once ran wildly fast.
    pub(crate) fn kernel_parameters(self) -> Result<String> {
        match self {
            Accel::Kvm => Ok(String::new()),
            Accel::Tcg => Ok(format!("tsc=reliable tsc_early_khz={}", host_khz()?)),
        }
    }
}

fn boots_with_kvm(vmlinuz: &Path) -> Result<bool> {
    let mut qemu = Accel::Kvm
        .qemu(vmlinuz)
        .args(["-net", "none", "-m", "512", "-serial", "stdio"])
        .args(["-append", "console=ttyS0 panic=-1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("starting qemu-system-x86_64")?;
    let mut console = qemu.stdout.take().context("QEMU's console is missing")?;
    let said = std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = console.read_to_end(&mut said);
        said
    });
    let begun = Instant::now();
    while qemu.try_wait()?.is_none() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = qemu.kill();
    qemu.wait()?;
    let said = said.join().unwrap_or_default();
    Ok(String::from_utf8_lossy(&said).contains("Unable to mount root fs"))
}

fn host_khz() -> Result<u64> {
    let cpuinfo = read_file(Path::new("/proc/cpuinfo"))?;
    let mhz = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("cpu MHz")?.split(": ").nth(1));
    let mhz = mhz.context("/proc/cpuinfo names no frequency")?;
    let (whole, thousandths) = mhz.split_once('.').unwrap_or((mhz, "0"));
    let khz = format!("{whole}{thousandths:0<3}");
    khz.parse()
        .with_context(|| format!("`{mhz}` is not a frequency"))
}
