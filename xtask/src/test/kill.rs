//! The agent is killed in mid-I/O: nobody notices, and the counters go on.

use anyhow::{Result, ensure};

use super::expect;
use super::pair::Pair;
use crate::scene::consumer;
use crate::scene::fio::{Load, Mix, Outcome, Until};
use crate::scene::storage::Wish;
use crate::vm::guest::PATIENCE;

const VOLUME: Wish<'_> = Wish {
    attached: Some((consumer::NODE, 1)),
    ..Wish::linear("survivor", "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0031")
};

/// Seen red with: the probes' links not pinned (the count falls short).
pub(crate) fn run(pair: &Pair) -> Result<()> {
    let agent = pair.agent();
    pair.ensure_pool(&agent)?;
    agent.ask(&VOLUME)?;
    let status = agent.wait_ready(&VOLUME)?;
    let device = consumer::connect(&pair.consumer.guest, &status)?;
    let count = || -> Result<f64> {
        let labels = [("volume", VOLUME.name), ("stage", "total")];
        let scrape = agent.scrape()?;
        let ios = |op| {
            scrape.sum(
                "weir_volume_io_stage_latency_seconds_count",
                &[labels[0], labels[1], ("op", op)],
            )
        };
        Ok(ios("read") + ios("write"))
    };
    let before = count()?;
    let load = Load {
        device,
        jobs: 2,
        mix: Mix::Half,
        until: Until::Seconds(20),
    };
    let fio = std::thread::scope(|scope| -> Result<Outcome> {
        let fio = scope.spawn(|| pair.consumer.guest.sh_within(&load.command(), PATIENCE));
        let started = || -> Result<()> {
            while count()? < before + 20.0 {
                ensure!(!fio.is_finished(), "fio ended before the agent was killed");
            }
            Ok(())
        };
        started()?;
        agent.kill()?;
        // The time nobody watches: pinned programs count on.
        std::thread::sleep(std::time::Duration::from_secs(1));
        agent.start()?;
        ensure!(!fio.is_finished(), "fio ended before the agent was back");
        Outcome::parse(
            &fio.join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("fio's thread panicked")))?,
        )
    })?;
    expect("fio's errors", &fio.errors, &0)?;
    #[expect(clippy::cast_precision_loss, reason = "a count of I/Os")]
    let did = (fio.read.ios + fio.write.ios) as f64;
    expect("I/Os counted across the kill", &(count()? - before), &did)?;
    consumer::disconnect(&pair.consumer.guest, &status)?;
    agent.delete(&VOLUME)
}
