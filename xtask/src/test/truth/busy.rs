//! A node on which the kernel skips events.

use anyhow::{Context, Result, bail, ensure};
use weir_agent_ebpf::layout::Loss;

use super::{ATTEMPTS, LOCAL, dropped_by, since};
use crate::exposition::Exposition;
use crate::scene::fio::{Load, Mix, Outcome, Until};
use crate::scene::storage::{Agent, Wish};
use crate::test::pair::Pair;
use crate::test::{Scale, expect};
use crate::vm::guest::{Guest, PATIENCE};

/// A thin volume of which nothing is written: its reads end in the thread that queued them, where an
/// interrupt may bring another volume's end.
pub(super) const BUSY: Wish<'_> = Wish {
    name: "thin-local",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0004",
    thin: true,
    ..LOCAL
};

/// Two local volumes at once, as fast as they go: the kernel skips ends, until the agent sees that and attaches more
/// programs. Until then each of them is known to be lost, and from then on none is. Where programs can be preempted (7.3, see
/// ARCHITECTURE.md), the kernel skips beginnings as well, now and then: those are as many at most as it says.
///
/// Seen red with: `is_skipped` false in `Groups::attach_copies`; and with `ENDS` = 1 in `probe::groups`.
pub(super) fn busy(pair: &Pair, agent: &Agent<'_>, scale: Scale) -> Result<()> {
    agent.kill()?;
    agent.remove_probes()?;
    let on_demand = Agent::on_demand(&pair.storage.guest);
    on_demand.start()?;
    let seen = busy_until_exact(&pair.storage.guest, &on_demand, scale);
    on_demand.kill()?;
    on_demand.remove_probes()?;
    agent.start()?;
    seen
}

fn busy_until_exact(guest: &Guest, agent: &Agent<'_>, scale: Scale) -> Result<()> {
    agent.ask(&BUSY)?;
    let device = |wish: &Wish<'_>| -> Result<String> {
        let status = agent.wait_ready(wish)?;
        Ok(status["devicePath"]
            .as_str()
            .context("no devicePath")?
            .to_owned())
    };
    let devices = [device(&LOCAL)?, device(&BUSY)?];
    let ios = if scale.full { 20_000 } else { 5_000 };
    for _ in 0..ATTEMPTS {
        let missed = busy_once(guest, agent, &devices, ios)?;
        if missed.skipped > 0.0 {
            let (lost, skipped) = (missed.ios, missed.skipped);
            eprintln!("weir: {lost} I/Os are missing, the kernel skipped {skipped} ends");
            guest.wait_for("ls /sys/fs/bpf/weir/v*/links-*/bio_complete-3", PATIENCE)?;
            // Each copy is still skipped now and then, but not all of them for one end: what is told of skips is a bound.
            let missed = busy_once(guest, agent, &devices, ios)?;
            ensure!(
                missed.ios <= missed.unbegun,
                "with all copies {} I/Os are missing, and {} beginnings were skipped",
                missed.ios,
                missed.unbegun
            );
            return Ok(());
        }
    }
    // Nothing was skipped, and nothing is missing.
    Ok(())
}

/// What was missed meanwhile.
struct Missed {
    /// Of fio's I/Os.
    ios: f64,
    /// Ends, as the agent tells.
    skipped: f64,
    /// Beginnings, likewise.
    unbegun: f64,
}

fn busy_once(guest: &Guest, agent: &Agent<'_>, devices: &[String; 2], ios: u32) -> Result<Missed> {
    let before = agent.scrape()?;
    let outcomes = std::thread::scope(|scope| {
        let runs = devices.clone().map(|device| {
            // One thread each: on 7.3 more threads than CPUs would go uncounted (see ARCHITECTURE.md).
            let load = Load {
                device,
                jobs: 1,
                mix: Mix::Reads,
                until: Until::Ios(ios),
            };
            scope.spawn(move || Outcome::parse(&guest.sh_within(&load.command(), PATIENCE * 3)?))
        });
        let join = |run: std::thread::ScopedJoinHandle<'_, Result<Outcome>>| {
            run.join()
                .unwrap_or_else(|_| bail!("fio's thread panicked"))
        };
        runs.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    let after = agent.scrape()?;
    let skipped = |program| {
        let labels = [("program", program)];
        after.sum("weir_probe_skipped_total", &labels)
            - before.sum("weir_probe_skipped_total", &labels)
    };
    let unbegun = skipped("bio_queue");
    let skipped = skipped("bio_complete") + skipped("rq_complete");
    let mut missing = 0;
    for (wish, fio) in [LOCAL, BUSY].iter().zip(&outcomes) {
        expect("fio's errors", &fio.errors, &0)?;
        let counted = since(wish.name, "read", &before, &after).count();
        missing += fio.read.ios - counted;
    }
    // An end that was skipped leaves its start, until its address is used again: of an I/O, or of a disk's bio.
    let superseded = [("reason", Loss::Superseded.label())];
    let lost = |scrape: &Exposition| {
        scrape.sum("weir_volume_io_in_flight", &[])
            + scrape.sum("weir_probe_dropped_total", &superseded)
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of I/Os")]
    let missing = missing as f64;
    let known = lost(&after) - lost(&before);
    ensure!(
        missing <= known + unbegun && missing <= skipped + unbegun,
        "{missing} I/Os are missing, {known} are known to be lost, {skipped} ends and {unbegun} beginnings were skipped; \
         dropped: {:?}, before: {:?}; skipped: {:?}, before: {:?}",
        dropped_by(&after),
        dropped_by(&before),
        skipped_by(&after),
        skipped_by(&before)
    );
    Ok(Missed {
        ios: missing,
        skipped,
        unbegun,
    })
}

/// How many events of the block layer were skipped, by the programs that would have seen them.
fn skipped_by(scrape: &Exposition) -> Vec<(&'static str, f64)> {
    let skipped = |program| {
        let labels = [("program", program)];
        (program, scrape.sum("weir_probe_skipped_total", &labels))
    };
    let all = ["bio_queue", "bio_complete", "rq_issue", "rq_complete"];
    let all = all.map(skipped).into_iter();
    all.filter(|(_, skipped)| *skipped > 0.0).collect()
}
