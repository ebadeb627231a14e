//! Volumes come and go while they are used and scraped, more of them than there is room for.

use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use weir_agent::probe::{DevT, Op, ProbeConfig, Probes, Room, Size, VolumeFigures, Wanted};

use crate::bench::{Pins, volume};
use crate::device::{Loop, Zram};
use crate::io::BLOCK;
use crate::untold::Untold;

/// What is done to a device, and to no other: so that an I/O that counts for another's volume shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Habit {
    op: Op,
    bytes: usize,
    size: Size,
}

struct Used {
    dev: DevT,
    habit: Habit,
    begun: AtomicU64,
}

/// A volume that is wanted: its device, and what had begun there before it was.
struct Wished {
    id: u128,
    device: usize,
    before: u64,
}

const HABITS: [Habit; 4] = [
    Habit {
        op: Op::Read,
        bytes: BLOCK,
        size: Size::UpTo4K,
    },
    Habit {
        op: Op::Write,
        bytes: BLOCK,
        size: Size::UpTo4K,
    },
    Habit {
        op: Op::Read,
        bytes: 4 * BLOCK,
        size: Size::UpTo16K,
    },
    Habit {
        op: Op::Write,
        bytes: 4 * BLOCK,
        size: Size::UpTo16K,
    },
];

fn rounds() -> u64 {
    std::env::var("WEIR_HOSTILE_ROUNDS").map_or(300, |rounds| rounds.parse().unwrap())
}

fn use_until(is_done: &AtomicBool, path: &Path, used: &Used) {
    let mut options = std::fs::OpenOptions::new();
    let options = options
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_DIRECT);
    let file = options.open(path).unwrap();
    let mut buffer = vec![0x5a; used.habit.bytes + BLOCK];
    let start = buffer.as_ptr().align_offset(BLOCK);
    let block = &mut buffer[start..start + used.habit.bytes];
    while !is_done.load(Ordering::Relaxed) {
        let begun = used.begun.fetch_add(1, Ordering::SeqCst);
        let offset = begun % 64 * used.habit.bytes as u64;
        match used.habit.op {
            Op::Read => file.read_exact_at(block, offset).unwrap(),
            _ => file.write_all_at(block, offset).unwrap(),
        }
    }
}

/// A volume's figures are those of its own device since it was wanted, at most.
fn check(figures: &VolumeFigures, wished: &[Wished], used: &[Used], untold: &Untold) {
    let wished = wished
        .iter()
        .find(|wished| wished.id == figures.id.0.as_u128());
    let wished = wished.unwrap_or_else(|| panic!("nobody wants {figures:?}"));
    let Used { habit, begun, .. } = &used[wished.device];
    let most = begun.load(Ordering::SeqCst) - wished.before;
    for of_op in &figures.ops {
        assert_eq!(of_op.op, habit.op, "{figures:?}");
        let mut count = 0;
        for (size, sized) in &of_op.sizes {
            assert_eq!(*size, habit.size, "{figures:?}");
            // One at a time: the one that is just being counted may be in one of the two alone.
            let bytes = habit.bytes as u64;
            let differ = sized.bytes.abs_diff(sized.total.count * bytes);
            assert!(differ == 0 || differ == bytes, "{figures:?}");
            count += sized.total.count;
        }
        assert!(count <= most, "{count} of {most}: {figures:?}");
        assert!(of_op.failed.is_empty(), "{figures:?}");
        // One at a time, and those whose end reached no program until their address is used again.
        let in_flight = of_op.in_flight;
        assert!(
            in_flight <= 1 || in_flight <= 1 + untold.count(),
            "{figures:?}"
        );
    }
}

/// Three places for four volumes, under a new id each time or the old one.
///
/// Seen red with: `clear_volume` left out of `carry_out` in sync.rs.
#[test]
fn whatever_comes_and_goes_nothing_is_counted_for_another() {
    let (loops, zrams) = ([Loop::new(), Loop::new()], [Zram::new(), Zram::new()]);
    let paths = [
        loops[0].path(),
        zrams[0].path(),
        zrams[1].path(),
        loops[1].path(),
    ];
    let devs = [
        loops[0].dev(),
        zrams[0].dev(),
        zrams[1].dev(),
        loops[1].dev(),
    ];
    let used: Vec<Used> = devs
        .into_iter()
        .zip(HABITS)
        .map(|(dev, habit)| Used {
            dev,
            habit,
            begun: AtomicU64::new(0),
        })
        .collect();
    let pins = Pins::new();
    let mut probes = Probes::start(ProbeConfig {
        room: Room::of_volumes(3),
        ..pins.config()
    })
    .unwrap();
    let (is_done, untold) = (AtomicBool::new(false), Untold::watch());
    let mut wished: Vec<Wished> = Vec::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        // A linear congruential generator (Knuth's MMIX): what is chosen matters little.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let (mut seen, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        for (path, used) in paths.iter().zip(&used) {
            scope.spawn(|| use_until(&is_done, path, used));
        }
        // Also when a check fails, so that the threads end.
        let _end = End(&is_done);
        for round in 0..rounds() {
            wished.retain(|_| next(3) > 0);
            for (device, used) in used.iter().enumerate() {
                if next(2) == 0 && wished.iter().all(|wished| wished.device != device) {
                    let before = used.begun.load(Ordering::SeqCst).saturating_sub(1);
                    let id = u128::from(round) << 8 | device as u128 | 1 << 100;
                    wished.push(Wished { id, device, before });
                }
            }
            let volumes = wished
                .iter()
                .map(|wished| volume(wished.id, used[wished.device].dev));
            let wanted = Wanted {
                volumes: volumes.collect(),
                ..Wanted::default()
            };
            probes.sync(&wanted).unwrap();
            for _ in 0..2 {
                let snapshot = probes.read().unwrap();
                refused += snapshot
                    .off
                    .iter()
                    .filter(|off| off.reason.contains("full"))
                    .count();
                for figures in &snapshot.volumes {
                    check(figures, &wished, &used, &untold);
                    seen += figures.ops.len();
                }
            }
        }
    });
    println!(
        "{} rounds, {seen} figures, {refused} volumes without a place",
        rounds()
    );
    assert!(seen > 0 && refused > 0);
}

/// Sets it when it ends.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
