//! Weir's numbers against fio's: the same I/Os, counted and timed by both.

use anyhow::{Context, Result, ensure};
use weir_agent_ebpf::layout::Loss;
use weir_agent_ebpf::scale::bucket_of;

mod busy;

use self::busy::BUSY;
use super::pair::{Pair, READ_DELAY_MS, WRITE_DELAY_MS};
use super::report::Report;
use super::{Scale, expect};
use crate::exposition::{Buckets, Exposition};
use crate::scene::fio::{Load, Mix, Outcome, Seen, Until};
use crate::scene::storage::{Agent, Wish};
use crate::scene::{consumer, storage};
use crate::vm::guest::{Guest, PATIENCE};

/// A host that is busy with something else stretches single I/Os between fio's clock and the target's:
/// then percentiles (never counts) get another chance.
const ATTEMPTS: u32 = 3;

/// Stages of all volumes, as the full exposition has them.
const STAGES: &str = "weir_volume_io_stage_latency_seconds";

/// Those of volumes that the node uses over NVMe.
const IMPORT_STAGES: &str = "weir_import_io_stage_latency_seconds";

const LOCAL: Wish<'_> = Wish {
    attached: Some((storage::NODE, 1)),
    ..Wish::linear("linear-local", "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0001")
};
const REMOTE: Wish<'_> = Wish {
    name: "linear-remote",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0002",
    attached: Some((consumer::NODE, 1)),
    ..LOCAL
};
const THIN: Wish<'_> = Wish {
    name: "thin-remote",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0003",
    thin: true,
    ..REMOTE
};

/// It has a snapshot, so that what is overwritten is copied first. With it LVM would destroy its snapshot, whose deletion nobody
/// ordered: it stays until the snapshot is gone.
///
/// Seen red with: `is_origin` taken for false in `Planner::deleting`.
const ORIGIN: Wish<'_> = Wish {
    name: "linear-origin",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0005",
    ..LOCAL
};

/// Those that fio compares besides [`LOCAL`], one after the other. CI has time for one of them, which the seed tells.
const MEASURED: [&Wish<'_>; 3] = [&REMOTE, &THIN, &ORIGIN];

/// Runs the cases on a pair whose agent doesn't run yet; leaves it running, without volumes of its
/// own and without delay.
pub(crate) fn run(pair: &Pair, report: &mut Report, scale: Scale) {
    let agent = pair.agent();
    let kernel = pair.kernel;
    let due = (0..).zip(MEASURED);
    let due = due.filter(|(number, _)| scale.is_due(4, *number, 3));
    let measured: Vec<&Wish<'_>> = std::iter::once(&LOCAL)
        .chain(due.map(|(_, wish)| wish))
        .collect();
    let made = report.need(&format!("{kernel} truth: pool and volumes"), || {
        agent.start()?;
        agent.ask_pool(&["/dev/mapper/slow"], &pair.portal(), 256)?;
        for wish in &measured {
            agent.ask(wish)?;
        }
        let ready = measured.iter().map(|wish| agent.wait_ready(wish));
        ready.collect::<Result<Vec<_>>>()
    });
    let Some(statuses) = made else { return };
    for (wish, status) in measured.iter().copied().zip(&statuses) {
        let name = format!("{kernel} truth: {}", wish.name);
        let seen = report.need(&name, || {
            let device = match wish.attached {
                Some((storage::NODE, _)) => status["devicePath"]
                    .as_str()
                    .context("no devicePath")?
                    .to_owned(),
                _ => consumer::connect(&pair.storage.guest, status)?,
            };
            let snapshot = (wish.name == ORIGIN.name).then(|| Snapshot::of(pair, &device));
            let snapshot = snapshot.transpose()?;
            let line = compare(pair, &agent, wish, device, scale);
            pair.delay(false)?;
            if let Some(snapshot) = snapshot {
                agent.ask(&Wish {
                    deleted: true,
                    attached: None,
                    ..ORIGIN
                })?;
                agent.wait_status("volume-linear-origin", "has snapshots")?;
                snapshot.remove()?;
            }
            line.with_context(|| agent.log())
        });
        if let Some(lines) = seen {
            lines.into_iter().for_each(|line| report.figure(line));
        }
        if wish.attached != LOCAL.attached {
            report.case(&format!("{name} disconnects"), || {
                consumer::disconnect(&pair.storage.guest, status)
            });
        }
    }
    report.case(
        &format!("{kernel} truth: counts are exact on a busy node"),
        || busy::busy(pair, &agent, scale),
    );
    for wish in measured.iter().copied().chain([&BUSY]) {
        report.case(&format!("{kernel} truth: {} is deleted", wish.name), || {
            agent.delete(wish)
        });
    }
}

/// One of the old kind, of LVM alone: it lies beside its origin.
struct Snapshot<'a>(&'a Guest);

/// LVM sees the pool's disk twice: `slow`, and what lies below it.
const BESIDE: &str = "--quiet --devices /dev/mapper/slow";

impl<'a> Snapshot<'a> {
    fn of(pair: &'a Pair, origin: &str) -> Result<Self> {
        let guest = &pair.storage.guest;
        let make = format!("lvcreate {BESIDE} --snapshot --name copied --size 64M {origin}");
        guest.sh_within(&make, PATIENCE)?;
        Ok(Snapshot(guest))
    }

    fn remove(self) -> Result<()> {
        let remove = format!("lvremove {BESIDE} --yes weir-{}/copied", storage::POOL);
        self.0.sh_within(&remove, PATIENCE).map(drop)
    }
}

fn compare(
    pair: &Pair,
    agent: &Agent<'_>,
    wish: &Wish<'_>,
    device: String,
    scale: Scale,
) -> Result<Vec<String>> {
    let local = wish.attached == LOCAL.attached;
    let guest = &pair.storage.guest;
    if wish.thin {
        // A block that was never written is read without asking the disk.
        guest.sh_within(&format!("guest-io fill {device} data"), PATIENCE)?;
    }
    if !local {
        agent.wait_imported(wish.id)?;
    }
    pair.delay(true)?;
    // What fio times includes the way to the target and back, as the initiator's `total` does. The storage node is
    // its own initiator here.
    let (jobs, ios) = match (local, scale.full) {
        (true, false) => (8, 64),
        (true, true) => (8, 512),
        (false, false) => (1, 160),
        (false, true) => (1, 2048),
    };
    let load = Load {
        device,
        jobs,
        mix: Mix::Half,
        until: Until::Ios(ios),
    };
    let mut attempts = 1..=ATTEMPTS;
    loop {
        let attempt = attempts.next().unwrap_or(ATTEMPTS);
        let before = agent.scrape()?;
        let fio = Outcome::parse(&guest.sh_within(&load.command(), PATIENCE * 3)?)?;
        let after = agent.scrape()?;
        expect("fio's errors", &fio.errors, &0)?;
        let total = fio.read.ios + fio.write.ios;
        expect("fio's I/Os", &total, &u64::from(jobs * ios))?;
        check_counts(wish, &fio, &before, &after)?;
        let ops = [
            ("read", fio.read, READ_DELAY_MS),
            ("write", fio.write, WRITE_DELAY_MS),
        ];
        let lines = ops.map(|(op, seen, delay_ms)| {
            let weir = if local {
                since(wish.name, op, &before, &after)
            } else {
                imported_since(wish, op, &before, &after)?
            };
            compare_percentiles(&weir, wish.name, op, seen, delay_ms)
        });
        match lines.into_iter().collect() {
            Err(error) if attempt < ATTEMPTS => eprintln!("weir: once more, since {error:#}"),
            outcome => return outcome,
        }
    }
}

/// fio's I/Os are all counted, exactly, and none was lost on the way. Only where the kernel says that it skipped a program may as many
/// lack: on 7.3, if one of more threads than there are CPUs was preempted in the middle of it (see ARCHITECTURE.md).
///
/// Seen red with: one in 64 `total`s not added in `record::volume`.
fn check_counts(
    wish: &Wish<'_>,
    fio: &Outcome,
    before: &Exposition,
    after: &Exposition,
) -> Result<()> {
    let of = |scrape: &Exposition| scrape.sum("weir_probe_skipped_total", &[]);
    let skipped = of(after) - of(before);
    if skipped > 0.0 {
        eprintln!("weir: the kernel skipped {skipped} events");
    }
    for (op, seen) in [("read", fio.read), ("write", fio.write)] {
        let weir = since(wish.name, op, before, after).count();
        #[expect(clippy::cast_precision_loss, reason = "a count of I/Os")]
        let missing = seen.ios.checked_sub(weir).map(|missing| missing as f64);
        ensure!(
            missing.is_some_and(|missing| missing <= skipped),
            "{weir} of {} {op}s were counted, and {skipped} events skipped",
            seen.ios
        );
    }
    let of_volume = [("volume", wish.name)];
    for (what, labels) in [
        ("weir_volume_io_in_flight", &of_volume[..]),
        ("weir_probe_dropped_total", &[]),
    ] {
        let more = after.sum(what, labels) - before.sum(what, labels);
        let dropped = dropped_by(after);
        ensure!(more <= skipped, "{more} more {what}; dropped: {dropped:?}");
    }
    if wish.attached == LOCAL.attached {
        return Ok(());
    }
    // The one host that is attached did it all.
    for (op, seen) in [("read", fio.read), ("write", fio.write)] {
        let labels = [
            ("volume", wish.name),
            ("initiator", consumer::NODE),
            ("op", op),
        ];
        let count =
            |scrape: &Exposition| scrape.sum("weir_initiator_io_latency_seconds_count", &labels);
        #[expect(clippy::cast_precision_loss, reason = "a count of I/Os")]
        let ios = seen.ios as f64;
        expect(
            &format!("the initiator's {op}s"),
            &(count(after) - count(before)),
            &ios,
        )?;
    }
    Ok(())
}

/// How many I/Os were dropped, by their reasons.
fn dropped_by(scrape: &Exposition) -> Vec<(&'static str, f64)> {
    let dropped = |why: Loss| {
        let labels = [("reason", why.label())];
        (why.label(), scrape.sum("weir_probe_dropped_total", &labels))
    };
    let reasons = Loss::ALL.map(dropped).into_iter();
    reasons.filter(|(_, dropped)| *dropped > 0.0).collect()
}

/// What came to `total` of a volume between two scrapes.
fn since(volume: &str, op: &str, before: &Exposition, after: &Exposition) -> Buckets {
    let labels = [("volume", volume), ("op", op), ("stage", "total")];
    after
        .buckets(STAGES, &labels)
        .since(&before.buckets(STAGES, &labels))
}

/// What came to the initiator's `total`: as many I/Os, of which the target's `total` is a part.
fn imported_since(
    wish: &Wish<'_>,
    op: &str,
    before: &Exposition,
    after: &Exposition,
) -> Result<Buckets> {
    let labels = [("id", wish.id), ("op", op), ("stage", "total")];
    let buckets = |scrape: &Exposition| scrape.buckets(IMPORT_STAGES, &labels);
    let imported = buckets(after).since(&buckets(before));
    let target = since(wish.name, op, before, after);
    expect(
        &format!("the initiator's count of {op}s"),
        &imported.count(),
        &target.count(),
    )?;
    Ok(imported)
}

/// Weir's percentiles lie within one bucket (12.5 %) of fio's.
fn compare_percentiles(
    weir: &Buckets,
    volume: &str,
    op: &str,
    fio: Seen,
    delay_ms: u64,
) -> Result<String> {
    let mut line = format!("  {volume} {op}: {} I/Os", fio.ios);
    let quantiles = [
        (0.5, "p50", fio.p50_ns),
        (0.99, "p99", fio.p99_ns),
        (0.999, "p99.9", fio.p99_9_ns),
    ];
    // Of fewer I/Os it is the slowest one alone.
    let told = if fio.ios < 500 { 2 } else { 3 };
    for (quantile, name, fio_ns) in quantiles.into_iter().take(told) {
        let weir_ns = weir.quantile_ns(quantile).context("no finite quantile")?;
        let apart = bucket_of(weir_ns).abs_diff(bucket_of(fio_ns));
        line += &format!(
            ", {name} fio {} us, Weir {} us",
            fio_ns / 1000,
            weir_ns / 1000
        );
        ensure!(apart <= 1, "{line}: {apart} buckets apart");
        ensure!(
            fio_ns >= delay_ms * 1_000_000,
            "{line}: the injected {delay_ms} ms are missing"
        );
    }
    Ok(line)
}
