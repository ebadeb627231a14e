//! A delay that is injected somewhere lies in the stage of that place: what each stage of both ends takes more, on average,
//! than without the delay.

use std::hint::spin_loop;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc::{SCHED_FIFO, sched_param, sched_setscheduler};
use weir_agent::histogram::Histogram;
use weir_agent::probe::{Op, Snapshot, Stage, Wanted};

use crate::bench::{Pins, disk, stage};
use crate::exported::Exported;
use crate::io::{Io, dev_of};
use crate::null_disk::NullDisk;
use crate::stack::Stack;
use crate::{DISK, batch, import, on_both_nodes};

const DELAY: Duration = Duration::from_millis(20);
/// Device mapper counts in ticks of 4 ms, of which up to one is missing.
const SLOW_MS: u32 = 50;
const AT_ONCE: Duration = Duration::from_micros(10);
const IOS: u64 = 40;
/// Beyond what a write brings with its command (nvmet-tcp's `inline_data_size`).
const LARGE: usize = 256 << 10;

/// What an I/O over NVMe/TCP takes: parts that sum to what its initiator waits, on average, in nanoseconds.
#[derive(Debug)]
struct Parts([(&'static str, f64); 7]);

impl Parts {
    fn of(before: &Snapshot, after: &Snapshot, op: Op) -> Self {
        let target = |which| stage(after, op, which).since(&stage(before, op, which));
        let host = |which| import(after, op, which).since(&import(before, op, which));
        let ios = target(Stage::Total).count();
        assert!(ios >= IOS * 9 / 10, "{after:?}");
        #[expect(clippy::cast_precision_loss, reason = "a mean")]
        let mean = |part: Histogram| part.sum_ns() as f64 / ios as f64;
        let target = |which| mean(target(which));
        let host = |which| mean(host(which));
        let host_queue = host(Stage::HostQueue);
        let network = host(Stage::Total) - host_queue - target(Stage::Total);
        Parts([
            ("host_queue", host_queue),
            ("network", network),
            ("fabric_wait", target(Stage::FabricWait)),
            ("queue", target(Stage::Queue)),
            ("device", target(Stage::Device)),
            ("dm", target(Stage::Dm)),
            ("response", target(Stage::Response)),
        ])
    }

    /// What each part takes more than here.
    fn rise_from(&self, before: &Parts) -> Parts {
        let mut rise = Parts(self.0);
        for ((_, ns), (_, before)) in rise.0.iter_mut().zip(before.0) {
            *ns -= before;
        }
        rise
    }

    /// Of the whole.
    fn share_of(&self, names: &[&str]) -> f64 {
        let of = |wanted: &dyn Fn(&str) -> bool| -> f64 {
            let parts = self.0.iter().filter(|(name, _)| wanted(name));
            parts.map(|(_, ns)| ns).sum()
        };
        of(&|name| names.contains(&name)) / of(&|_| true)
    }

    /// At least 90 % of the rise lies there, and it is the delay.
    fn assert_in(&self, names: &[&str], delay: Duration) {
        let whole: f64 = self.0.iter().map(|(_, ns)| ns).sum();
        assert!(whole >= 0.9 * delay.as_secs_f64() * 1e9, "{self:?}");
        assert!(self.share_of(names) >= 0.9, "{self:?}");
    }
}

/// A volume on a disk, used over NVMe/TCP on this very machine.
struct Used {
    probes: weir_agent::probe::Probes,
    exported: Exported,
    _stack: Stack,
    _pins: Pins,
}

impl Used {
    fn new(stack: Stack, disk_of_pool: &str) -> Self {
        let pins = Pins::new();
        let exported = Exported::new(&stack.path());
        let mut probes = pins.start();
        let wanted = Wanted {
            disks: vec![disk(dev_of(Path::new(disk_of_pool)))],
            ..on_both_nodes(&stack, &exported)
        };
        probes.sync(&wanted).unwrap();
        assert_eq!(probes.read().unwrap().off, []);
        Used {
            probes,
            exported,
            _stack: stack,
            _pins: pins,
        }
    }

    fn parts(&self, op: Op, io: impl FnOnce(&Path)) -> Parts {
        let before = self.probes.read().unwrap();
        io(&self.exported.path());
        Parts::of(&before, &self.probes.read().unwrap(), op)
    }

    fn reads(&self) -> Parts {
        self.parts(Op::Read, |path| Io::open(path).read(IOS))
    }

    fn writes(&self) -> Parts {
        self.parts(Op::Write, |path| Io::open(path).write(IOS))
    }

    fn large_writes(&self) -> Parts {
        self.parts(Op::Write, |path| batch::write_long(path, LARGE, IOS))
    }
}

fn on_null_disk(answers_after: Duration) -> (Used, NullDisk) {
    let disk = NullDisk::new(answers_after);
    let path = disk.path();
    (Used::new(Stack::linear(&path), &path), disk)
}

/// Seen red with: `Stage::Device` and `Stage::Queue` exchanged in `record.rs`.
#[test]
fn a_disks_delay_is_the_devices() {
    let [before, after] = [AT_ONCE, DELAY].map(|answers_after| {
        let (used, _disk) = on_null_disk(answers_after);
        [used.reads(), used.writes()]
    });
    for (before, after) in before.iter().zip(&after) {
        after.rise_from(before).assert_in(&["device"], DELAY);
    }
}

/// What device mapper waits for before it asks a disk is `queue`, by definition; without a disk all is `dm`.
///
/// Seen red with: the sabotage of [`a_disks_delay_is_the_devices`].
#[test]
fn device_mappers_delay_is_not_the_devices() {
    let delay = Duration::from_millis(SLOW_MS.into());
    let quick = Used::new(Stack::linear(DISK), DISK);
    let before = [quick.reads(), quick.writes()];
    drop(quick);
    let slow = Used::new(Stack::slow(DISK, SLOW_MS), DISK);
    for (before, after) in before.iter().zip([slow.reads(), slow.writes()]) {
        after.rise_from(before).assert_in(&["queue"], delay);
    }
    drop(slow);
    let [before, after] =
        [0, SLOW_MS].map(|delay| Used::new(Stack::without_disk(delay), DISK).reads());
    after.rise_from(&before).assert_in(&["dm"], delay);
}

/// Every packet of this machine to itself is late.
struct SlowNetwork;

impl SlowNetwork {
    fn new() -> Self {
        let delay = format!("{}ms", DELAY.as_millis());
        tc(&[
            "qdisc", "add", "dev", "lo", "root", "netem", "delay", &delay,
        ]);
        SlowNetwork
    }
}

impl Drop for SlowNetwork {
    fn drop(&mut self) {
        tc(&["qdisc", "del", "dev", "lo", "root"]);
    }
}

fn tc(arguments: &[&str]) {
    let status = Command::new("tc").args(arguments).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "tc {arguments:?}"
    );
}

/// A command brings a small write's data with it. A large one's is asked for: it is on its way while the target waits for it.
///
/// Seen red with: `Stage::FabricWait` and `Stage::Response` exchanged in `target::completed`.
#[test]
fn a_networks_delay_is_nobodys_else() {
    let (used, _disk) = on_null_disk(AT_ONCE);
    let all = || [used.reads(), used.writes(), used.large_writes()];
    let before = all();
    let network = SlowNetwork::new();
    let after = all();
    drop(network);
    let mut rises = after
        .iter()
        .zip(&before)
        .map(|(after, before)| after.rise_from(before));
    let [reads, writes, large] = [(); 3].map(|()| rises.next().unwrap());
    reads.assert_in(&["network"], DELAY);
    writes.assert_in(&["network"], DELAY);
    large.assert_in(&["network", "fabric_wait"], DELAY);
    assert!(large.share_of(&["fabric_wait"]) >= 0.3, "{large:?}");
}

/// Threads that come before all others take every CPU for a while, again and again, while something is done.
fn starved<T>(something: impl FnOnce() -> T) -> T {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                let first = sched_param { sched_priority: 1 };
                // SAFETY: a plain system call, which reads `first`; 0 is the thread that calls.
                let done = unsafe { sched_setscheduler(0, SCHED_FIFO, &raw const first) };
                assert_eq!(done, 0);
                while !is_done.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    while begun.elapsed() < Duration::from_millis(50) {
                        spin_loop();
                    }
                    thread::sleep(Duration::from_millis(10));
                }
            });
        }
        let seen = something();
        is_done.store(true, Ordering::Relaxed);
        seen
    })
}

/// What is late because threads have no CPU is nothing that the disk did.
#[test]
fn a_starved_cpu_is_no_slow_disk() {
    let (used, _disk) = on_null_disk(Duration::from_millis(1));
    let before = [used.reads(), used.writes()];
    let after = starved(|| [used.reads(), used.writes()]);
    for (before, after) in before.iter().zip(&after) {
        let rise = after.rise_from(before);
        println!("starved: {rise:?}");
        assert!(rise.share_of(&["device"]) <= 0.25, "{rise:?}");
    }
}
