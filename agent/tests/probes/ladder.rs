//! The ladder, rung by rung: what an agent that lacks a privilege measures with, and that its numbers are true.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::time::{Duration, Instant};

use crate::DISK;
use crate::batch;
use crate::bench::{Pins, only, volume};
use crate::deprive::{Without, deprive};
use crate::io::{Io, dev_of};
use crate::stack::Stack;
use weir_agent::ladder::{BackendFigures, Rung};
use weir_agent::measure::{Measure, SharedProbes};
use weir_agent::probe::{Op, ProbeConfig, Tally, Wanted};

const DELAY_MS: u32 = 20;
/// dm-delay counts ticks of 4 ms, of which the first has begun already.
const DELAY_NS: u64 = (DELAY_MS as u64 - 4) * 1_000_000;

/// Runs something on a thread that lacks something.
fn on_thread_without<T: Send>(without: Without, run: impl FnOnce() -> T + Send) -> T {
    // aya asks the kernel for its features once in a process, and an agent has its privileges from the beginning.
    static ASKED: Once = Once::new();
    ASKED.call_once(|| drop(Pins::new().start()));
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            deprive(without).unwrap();
            run()
        });
        thread.join().unwrap()
    })
}

/// An agent's measuring that has begun.
fn measuring(pins: &Pins, wanted: &Wanted) -> SharedProbes {
    let mut probes = SharedProbes::start(pins.config()).unwrap();
    probes.sync(wanted);
    wait(|| probes.read().backends.len() == wanted.volumes.len());
    probes
}

fn wait(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "it never happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn figures(probes: &SharedProbes) -> BackendFigures {
    let snapshot = probes.read();
    assert_eq!(snapshot.backends.len(), 1, "{snapshot:?}");
    snapshot.backends[0].clone()
}

fn sum(figures: &BackendFigures, op: Op) -> Tally {
    let of_op = figures.ops.iter().find(|(this, _)| *this == op);
    of_op
        .unwrap_or_else(|| panic!("no {op:?} in {figures:?}"))
        .1
}

fn count(figures: &BackendFigures, op: Op) -> u64 {
    sum(figures, op).count
}

/// A message to the volume of a stack, and the answer.
fn message(text: &str) -> String {
    let arguments = ["message", "weir_volume", "0", text];
    let output = Command::new("dmsetup").args(arguments).output().unwrap();
    assert!(output.status.success(), "{text}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Seen red with: what was written added to `Op::Read` in `BackendFigures::add_region`; `None` for every word in `Owner::of_word`
/// (the next agent begins anew); `plan.delete` ignored in `Keeper::keep` (the region stays); `remove_regions` left out of
/// `SharedProbes::start` (it stays when the programs take over).
#[test]
fn without_bpf_device_mapper_counts_exactly_and_goes_on_over_a_restart() {
    let (pins, slow) = (Pins::new(), Stack::slow(DISK, DELAY_MS));
    let wanted = only(volume(1, slow.dev()));
    let mut io = Io::open(&slow.path());
    message("@stats_create - /1 somebody");
    on_thread_without(Without::Bpf, || {
        let probes = measuring(&pins, &wanted);
        let snapshot = probes.read();
        assert_eq!(snapshot.rung, Rung::DmStatistics);
        assert!(
            snapshot
                .off
                .iter()
                .all(|off| off.reason.contains("not permitted")),
            "{snapshot:?}"
        );
        assert_eq!(count(&figures(&probes), Op::Write), 0);
        let mut took = [0; 50];
        for (number, took) in took.iter_mut().enumerate() {
            let begun = Instant::now();
            if number < 20 {
                io.write(1)
            } else {
                io.read(1)
            }
            *took = u64::try_from(begun.elapsed().as_nanos()).unwrap();
        }
        let figures = figures(&probes);
        assert_eq!(
            (count(&figures, Op::Write), count(&figures, Op::Read)),
            (20, 30)
        );
        let together = figures.together.clone().unwrap();
        assert_eq!((together.count(), figures.in_flight), (50, 0));
        // Each took at least what was injected, and less than it took for us.
        let inside = |sum: Tally, ours: &[u64]| {
            assert!(
                sum.sum_ns >= sum.count * DELAY_NS && sum.sum_ns <= ours.iter().sum(),
                "{sum:?}"
            );
        };
        inside(sum(&figures, Op::Write), &took[..20]);
        inside(sum(&figures, Op::Read), &took[20..]);
        took.sort_unstable();
        let (p50, ours) = (together.quantile(0.5).unwrap(), took[24]);
        println!("p50: at most {p50} ns; ours {ours} ns");
        // A bucket there ends at most a quarter above its beginning.
        assert!(p50 >= DELAY_NS && p50 - p50 / 5 <= ours, "{together:?}");
        drop(probes);
        // Nobody measures, and the kernel counts.
        io.write(7);
        let mut probes = measuring(&pins, &wanted);
        assert_eq!(count(&self::figures(&probes), Op::Write), 27);
        probes.sync(&Wanted::default());
        wait(|| message("@stats_list weir").is_empty());
        assert!(message("@stats_list").contains("somebody"));
        probes.sync(&wanted);
        wait(|| probes.read().backends.len() == 1);
        assert_eq!(count(&self::figures(&probes), Op::Write), 0);
    });
    assert!(!message("@stats_list weir").is_empty());
    let probes = SharedProbes::start(pins.config()).unwrap();
    assert_eq!(probes.read().rung, Rung::Ebpf);
    assert!(message("@stats_list weir").is_empty());
    assert!(message("@stats_list").contains("somebody"));
}

/// Seen red with: `DmStatistics::start` without `control.probe()`.
#[test]
fn without_any_privilege_the_kernels_own_statistics_are_read() {
    let (pins, slow) = (Pins::new(), Stack::slow(DISK, DELAY_MS));
    let wanted = only(volume(1, slow.dev()));
    let mut io = Io::open(&slow.path());
    on_thread_without(Without::Admin, || {
        let probes = measuring(&pins, &wanted);
        let snapshot = probes.read();
        assert_eq!(snapshot.rung, Rung::Diskstats);
        let histogram = snapshot.off.iter().find(|off| off.stage == "histogram");
        assert!(histogram.unwrap().reason.contains("ermi"), "{snapshot:?}");
        let before = figures(&probes);
        assert_eq!(before.together, None);
        let begun = Instant::now();
        io.write(20);
        drop(probes);
        let probes = measuring(&pins, &wanted);
        io.read(30);
        let (took, after) = (begun.elapsed().as_nanos(), figures(&probes));
        let mut all = 0;
        for (op, ios) in [(Op::Write, 20), (Op::Read, 30)] {
            let (before, after) = (sum(&before, op), sum(&after, op));
            assert_eq!(after.count - before.count, ios, "{op:?}");
            let ns = after.sum_ns - before.sum_ns;
            assert!(ns >= ios * DELAY_NS, "{op:?}: {ns}");
            all += u128::from(ns);
        }
        // The kernel counts ticks of a few ms, each rounded on its own.
        assert!(all <= took + 50 * 4_000_000, "{all} of {took}");
        assert_eq!(after.in_flight, 0);
    });
}

/// A kernel without BTF: the maps can be made, and no program attached.
///
/// Seen red with: `None` from `Groups::blind`.
#[test]
fn where_the_programs_would_see_no_volume_device_mapper_counts() {
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    let sysfs = tempfile::tempdir().unwrap();
    for entry in ["block", "class", "dev", "devices", "module"] {
        std::os::unix::fs::symlink(Path::new("/sys").join(entry), sysfs.path().join(entry))
            .unwrap();
    }
    let mut probes = SharedProbes::start(ProbeConfig {
        sysfs: sysfs.path().to_owned(),
        ..pins.config()
    })
    .unwrap();
    probes.sync(&only(volume(1, linear.dev())));
    wait(|| probes.read().backends.len() == 1);
    let snapshot = probes.read();
    assert_eq!(snapshot.rung, Rung::DmStatistics);
    assert!(snapshot.off[0].reason.contains("btf"), "{snapshot:?}");
    Io::open(&linear.path()).write(12);
    assert_eq!(count(&figures(&probes), Op::Write), 12);
}

/// As METRICS.md tells it: device mapper takes zeroes and discards for writes and does not see flushes; the kernel's own statistics
/// of a volume take zeroes and flushes for writes.
#[test]
fn discards_zeroes_and_flushes_count_as_documented() {
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    let wanted = only(volume(1, linear.dev()));
    let io = Io::open(&linear.path());
    let new = |without, run: &(dyn Fn() + Sync)| {
        on_thread_without(without, || {
            let probes = measuring(&pins, &wanted);
            let before = figures(&probes);
            run();
            let after = figures(&probes);
            let ops = after.ops.iter().filter(|(op, _)| *op != Op::Read);
            let ops = ops.map(|(op, sum)| (*op, sum.count - count(&before, *op)));
            ops.filter(|(_, count)| *count > 0).collect::<Vec<_>>()
        })
    };
    let flush = || fs::File::open(linear.path()).unwrap().sync_all().unwrap();
    let zero = || io.zero_out(1 << 20);
    let discard = || io.discard(1 << 20);
    assert_eq!(new(Without::Bpf, &flush), []);
    assert_eq!(new(Without::Admin, &flush), [(Op::Write, 1)]);
    assert_eq!(new(Without::Bpf, &zero), [(Op::Write, 1)]);
    assert_eq!(new(Without::Admin, &zero), [(Op::Write, 1)]);
    assert_eq!(new(Without::Bpf, &discard), [(Op::Write, 1)]);
    assert_eq!(new(Without::Admin, &discard), [(Op::Discard, 1)]);
}

/// Four chunks of a striped volume, each on the other disk than the one before.
#[test]
fn a_write_that_device_mapper_splits_counts_once_for_each_part() {
    let (pins, striped) = (Pins::new(), Stack::striped(DISK));
    let wanted = only(volume(1, striped.dev()));
    for without in [Without::Bpf, Without::Admin] {
        on_thread_without(without, || {
            let probes = measuring(&pins, &wanted);
            let before = count(&figures(&probes), Op::Write);
            batch::write_long(&striped.path(), 256 << 10, 1);
            assert_eq!(
                count(&figures(&probes), Op::Write) - before,
                4,
                "{without:?}"
            );
        });
    }
}

/// A boundary of device mapper's belongs to the bucket above it. The clock of this region has a tick of 4 ms: between
/// 20 and 21 ms lies what took exactly 20 ms, or, if it were the other way round, nothing ever.
#[test]
fn an_io_that_took_exactly_a_boundary_lies_above_it() {
    let slow = Stack::slow(DISK, DELAY_MS);
    let mut io = Io::open(&slow.path());
    message("@stats_create - /1 1 histogram:16,17,20,21,24,25,28,29,32,33 test");
    let exactly = || {
        let text = message("@stats_print 0");
        let histogram = text.split_ascii_whitespace().last().unwrap();
        let counts = histogram
            .split(':')
            .map(|count| count.parse::<u64>().unwrap());
        counts.skip(1).step_by(2).sum::<u64>()
    };
    io.repeat_until(|| exactly() > 0);
}

/// Seen red with: `memory::SHARED` without its 120.
#[test]
fn memory_is_what_the_kernel_accounts_for() {
    let allocated = || -> u64 {
        let file = "/sys/module/dm_mod/parameters/stats_current_allocated_bytes";
        fs::read_to_string(file).unwrap().trim().parse().unwrap()
    };
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    let before = allocated();
    on_thread_without(Without::Bpf, || {
        let probes = measuring(&pins, &only(volume(1, linear.dev())));
        assert_eq!(probes.read().map_bytes, allocated() - before);
        println!("a region takes {} bytes", allocated() - before);
    });
}

/// Printed for RESULTS.md and METRICS.md.
#[test]
fn many_volumes_are_read_at_once() {
    const VOLUMES: u128 = 20;
    let (pins, _linear) = (Pins::new(), Stack::linear(DISK));
    let many = Many::new(VOLUMES);
    let volumes = (0..VOLUMES).map(|number| volume(number + 1, many.dev(number)));
    let wanted = Wanted {
        volumes: volumes.collect(),
        ..Wanted::default()
    };
    for without in [Without::Bpf, Without::Admin] {
        on_thread_without(without, || {
            let begun = Instant::now();
            let probes = measuring(&pins, &wanted);
            let made = begun.elapsed();
            let begun = Instant::now();
            let snapshot = probes.read();
            println!(
                "{without:?}: {VOLUMES} volumes made in {made:?}, read in {:?}",
                begun.elapsed()
            );
            assert_eq!(
                snapshot
                    .off
                    .iter()
                    .filter(|off| off.reason.contains("volume "))
                    .count(),
                0
            );
        });
    }
}

/// Devices without a disk.
struct Many(u128);

impl Many {
    fn new(devices: u128) -> Self {
        for number in 0..devices {
            let (name, uuid) = (Self::name(number), format!("WEIR-test-{number}"));
            let arguments = [
                "create",
                &name,
                "--uuid",
                &uuid,
                "--noudevsync",
                "--table",
                "0 2048 zero",
            ];
            assert!(
                Command::new("dmsetup")
                    .args(arguments)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        assert!(
            Command::new("dmsetup")
                .arg("mknodes")
                .status()
                .unwrap()
                .success()
        );
        Many(devices)
    }

    fn name(number: u128) -> String {
        format!("weir_many_{number}")
    }

    fn dev(&self, number: u128) -> weir_agent::probe::DevT {
        dev_of(&Path::new("/dev/mapper").join(Self::name(number)))
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        for number in 0..self.0 {
            let name = Self::name(number);
            let arguments = ["remove", "--retry", "--noudevsync", &name];
            let _ = Command::new("dmsetup").args(arguments).status();
        }
    }
}
