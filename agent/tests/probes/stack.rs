//! Stacks of device mapper devices on one disk, such as LVM makes. They disappear with their values, also
//! when a test fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use weir_agent::probe::DevT;

use crate::io::{Io, dev_of};

/// Size of a volume, and of each part of what is below it.
pub(crate) const BYTES: u64 = 32 << 20;
const SECTORS: u64 = BYTES / 512;

/// A volume and what is below it.
pub(crate) struct Stack {
    /// From the bottom up.
    names: Vec<&'static str>,
}

impl Stack {
    /// A linear LV.
    pub(crate) fn linear(disk: &str) -> Self {
        let mut stack = Stack { names: Vec::new() };
        stack.add("weir_volume", &on(disk, 0));
        stack
    }

    /// A striped LV: two stripes of 64 KiB chunks.
    pub(crate) fn striped(disk: &str) -> Self {
        let mut stack = Stack { names: Vec::new() };
        let table = format!("0 {SECTORS} striped 2 128 {disk} 0 {disk} {SECTORS}");
        stack.add("weir_volume", &table);
        stack
    }

    /// A thin LV in a pool with chunks of 64 KiB, on linear metadata and data as LVM makes them.
    pub(crate) fn thin(disk: &str) -> Self {
        Stack::in_pool(disk, SECTORS, "")
    }

    /// A thin LV in a pool whose only chunk, the volume's first, is written; more is refused at once.
    pub(crate) fn in_full_pool(disk: &str) -> Self {
        let stack = Stack::in_pool(disk, 128, " 1 error_if_no_space");
        Io::open(&stack.path()).write(1);
        stack
    }

    fn in_pool(disk: &str, sectors: u64, features: &str) -> Self {
        let mut stack = Stack { names: Vec::new() };
        stack.add("weir_tmeta", &on(disk, 0));
        stack.add("weir_tdata", &on(disk, SECTORS));
        // Metadata of zeroes is taken for an empty pool.
        let zeroes = vec![0; 1 << 20];
        std::fs::write("/dev/mapper/weir_tmeta", zeroes).unwrap();
        let table = format!(
            "0 {sectors} thin-pool /dev/mapper/weir_tmeta /dev/mapper/weir_tdata 128 0{features}"
        );
        stack.add("weir_tpool", &table);
        dmsetup(&["message", "weir_tpool", "0", "create_thin 0"]);
        let table = format!("0 {SECTORS} thin /dev/mapper/weir_tpool 0");
        stack.add("weir_volume", &table);
        stack
    }

    /// An LV that has a snapshot: what is overwritten is copied first.
    pub(crate) fn with_snapshot(disk: &str) -> Self {
        let mut stack = Stack { names: Vec::new() };
        stack.add("weir_real", &on(disk, 0));
        stack.add("weir_cow", &on(disk, SECTORS));
        std::fs::write("/dev/mapper/weir_cow", [0; 4096]).unwrap();
        let table = "snapshot /dev/mapper/weir_real /dev/mapper/weir_cow P 16";
        stack.add("weir_snapshot", &format!("0 {SECTORS} {table}"));
        let table = format!("0 {SECTORS} snapshot-origin /dev/mapper/weir_real");
        stack.add("weir_volume", &table);
        stack
    }

    /// Six levels, of which the highest is the volume.
    pub(crate) fn tower(disk: &str) -> Self {
        let names = ["weir_1", "weir_2", "weir_3", "weir_4", "weir_5"];
        let mut stack = Stack { names: Vec::new() };
        let mut below = disk.to_owned();
        for name in names.into_iter().chain(["weir_volume"]) {
            stack.add(name, &on(&below, 0));
            below = format!("/dev/mapper/{name}");
        }
        stack
    }

    /// Two linear LVs side by side; `weir_next` is the second.
    pub(crate) fn neighbours(disk: &str) -> Self {
        let mut stack = Stack::linear(disk);
        stack.add("weir_next", &on(disk, SECTORS));
        stack
    }

    /// A linear LV that answers after a while.
    pub(crate) fn slow(disk: &str, delay_ms: u32) -> Self {
        let mut stack = Stack { names: Vec::new() };
        let table = format!("0 {SECTORS} delay {disk} 0 {delay_ms} {disk} 0 {delay_ms}");
        stack.add("weir_volume", &table);
        stack
    }

    /// Its first 64 KiB are written at once, the rest after a while.
    pub(crate) fn with_slow_end(disk: &str, delay_ms: u32) -> Self {
        let mut stack = Stack { names: Vec::new() };
        let (fast, slow) = (128, SECTORS - 128);
        let table = format!(
            "0 {fast} linear {disk} 0\n{fast} {slow} delay {disk} {fast} 0 {disk} {fast} {delay_ms}"
        );
        stack.add("weir_volume", &table);
        stack
    }

    /// A volume whose writes fail and whose reads give zeroes after a while, without any disk.
    pub(crate) fn without_disk(delay_ms: u32) -> Self {
        let mut stack = Stack { names: Vec::new() };
        stack.add("weir_zero", &format!("0 {SECTORS} zero"));
        stack.add("weir_error", &format!("0 {SECTORS} error"));
        let (zero, error) = ("/dev/mapper/weir_zero", "/dev/mapper/weir_error");
        let table = format!("0 {SECTORS} delay {zero} 0 {delay_ms} {error} 0 0");
        stack.add("weir_volume", &table);
        stack
    }

    pub(crate) fn path(&self) -> PathBuf {
        "/dev/mapper/weir_volume".into()
    }

    pub(crate) fn dev(&self) -> DevT {
        dev_of(&self.path())
    }

    fn add(&mut self, name: &'static str, table: &str) {
        if !Path::new("/sys/class/misc/device-mapper").exists() {
            let _ = Command::new("modprobe").arg("dm-mod").status();
        }
        dmsetup(&["create", name, "--noudevsync", "--table", table]);
        dmsetup(&["mknodes"]);
        self.names.push(name);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for name in self.names.iter().rev() {
            let arguments = ["remove", "--retry", "--noudevsync", name];
            let _ = Command::new("dmsetup").args(arguments).status();
        }
    }
}

fn on(below: &str, offset: u64) -> String {
    format!("0 {SECTORS} linear {below} {offset}")
}

fn dmsetup(arguments: &[&str]) {
    let output = Command::new("dmsetup").args(arguments).output();
    let output = output.expect("needs dmsetup");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "dmsetup {arguments:?}: {errors}");
}
