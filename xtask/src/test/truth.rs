//! Weir's numbers against fio's: the same I/Os, counted and timed by both.

use anyhow::{Context, Result, ensure};
use weir_agent_ebpf::scale::bucket_of;

use super::pair::{Pair, READ_DELAY_MS, WRITE_DELAY_MS};
use super::report::Report;
use super::{Scale, expect};
use crate::exposition::Exposition;
use crate::scene::fio::{Load, Outcome, Seen, Until};
use crate::scene::storage::{Agent, Wish};
use crate::scene::{consumer, storage};
use crate::vm::guest::PATIENCE;

/// Stages of all volumes, as the full exposition has them.
const STAGES: &str = "weir_volume_io_stage_latency_seconds";

const LOCAL: Wish<'_> = Wish {
    name: "linear-local",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0001",
    mib: 64,
    thin: false,
    attached: Some((storage::NODE, 1)),
    deleted: false,
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

/// Runs the cases on a pair whose agent doesn't run yet; leaves it running, without volumes of its
/// own and without delay.
pub(crate) fn run(pair: &Pair, report: &mut Report, scale: Scale) {
    let agent = pair.agent();
    let kernel = pair.kernel;
    let made = report.need(&format!("{kernel} truth: pool and volumes"), || {
        agent.start()?;
        agent.ask_pool(&["/dev/mapper/slow"], &pair.portal(), 256)?;
        for wish in [&LOCAL, &REMOTE, &THIN] {
            agent.ask(wish)?;
        }
        [&LOCAL, &REMOTE, &THIN]
            .map(|wish| agent.wait_ready(wish))
            .into_iter()
            .collect::<Result<Vec<_>>>()
    });
    let Some(statuses) = made else { return };
    for (wish, status) in [LOCAL, REMOTE, THIN].iter().zip(&statuses) {
        let name = format!("{kernel} truth: {}", wish.name);
        let seen = report.need(&name, || {
            let device = match wish.attached {
                Some((storage::NODE, _)) => status["devicePath"]
                    .as_str()
                    .context("no devicePath")?
                    .to_owned(),
                _ => consumer::connect(&pair.storage.guest, status)?,
            };
            let line = compare(pair, &agent, wish, device, scale);
            pair.delay(false)?;
            line
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
    for wish in [&LOCAL, &REMOTE, &THIN] {
        report.case(&format!("{kernel} truth: {} is deleted", wish.name), || {
            agent.ask(&Wish {
                deleted: true,
                attached: None,
                ..wish.clone()
            })?;
            agent.wait_phase(wish.name, "Deleted").map(drop)
        });
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
    pair.delay(true)?;
    // What fio times includes the way to the target and back, Weir's `total` does not: the storage
    // node is its own initiator here, one I/O at a time, so that this way is short even in an
    // emulated guest.
    let (jobs, ios) = match (local, scale.full) {
        (true, false) => (8, 64),
        (true, true) => (8, 256),
        (false, false) => (1, 160),
        (false, true) => (1, 512),
    };
    let load = Load {
        device,
        jobs,
        until: Until::Ios(ios),
    };
    let before = agent.scrape()?;
    let fio = Outcome::parse(&guest.sh_within(&load.command(), PATIENCE * 3)?)?;
    let after = agent.scrape()?;
    expect("fio's errors", &fio.errors, &0)?;
    expect(
        "fio's I/Os",
        &(fio.read.ios + fio.write.ios),
        &u64::from(jobs * ios),
    )?;
    let mut lines = Vec::new();
    for (op, seen, delay_ms) in [
        ("read", fio.read, READ_DELAY_MS),
        ("write", fio.write, WRITE_DELAY_MS),
    ] {
        let line = compare_op(wish.name, op, seen, delay_ms, &before, &after);
        lines.push(line.with_context(|| format!("{op}s of {}", wish.name))?);
    }
    expect(
        "dropped I/Os",
        &after.sum("weir_probe_dropped_total", &[]),
        &0.0,
    )?;
    expect(
        "I/Os in flight",
        &after.sum("weir_volume_io_in_flight", &[("volume", wish.name)]),
        &0.0,
    )?;
    if !local {
        // The one host that is attached did it all.
        let initiator = [("volume", wish.name), ("initiator", consumer::NODE)];
        let count =
            |scrape: &Exposition| scrape.sum("weir_initiator_io_latency_seconds_count", &initiator);
        #[expect(clippy::cast_precision_loss, reason = "a count of I/Os")]
        let ios = (fio.read.ios + fio.write.ios) as f64;
        ensure!(
            count(&after) - count(&before) >= ios,
            "the initiator did fewer I/Os than fio"
        );
    }
    Ok(lines)
}

/// Weir's count equals fio's exactly; its percentiles lie within one bucket (12.5 %) of fio's.
fn compare_op(
    volume: &str,
    op: &str,
    fio: Seen,
    delay_ms: u64,
    before: &Exposition,
    after: &Exposition,
) -> Result<String> {
    let labels = [("volume", volume), ("op", op), ("stage", "total")];
    let weir = after
        .buckets(STAGES, &labels)
        .since(&before.buckets(STAGES, &labels));
    expect("Weir's count", &weir.count(), &fio.ios)?;
    let mut line = format!("  {volume} {op}: {} I/Os", fio.ios);
    for (quantile, name, fio_ns) in [(0.5, "p50", fio.p50_ns), (0.99, "p99", fio.p99_ns)] {
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
