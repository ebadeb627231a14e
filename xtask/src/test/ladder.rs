//! The agent itself on the lower rungs of its ladder, against fio, and back on the highest. Each rung alone is tried by
//! `vm_probes`.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::expect;
use super::pair::{Pair, READ_DELAY_MS, WRITE_DELAY_MS};
use crate::exposition::Exposition;
use crate::scene::fio::{Load, Mix, Outcome, Until};
use crate::scene::storage::{Agent, PATIENCE, Wish};
use crate::scene::{consumer, storage};

const LOCAL: Wish<'_> = Wish {
    attached: Some((storage::NODE, 1)),
    ..Wish::linear("ladder-local", "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d00e1")
};
const REMOTE: Wish<'_> = Wish {
    name: "ladder-remote",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d00e2",
    attached: Some((consumer::NODE, 1)),
    ..LOCAL
};

const LATENCY: &str = "weir_volume_io_latency_seconds";
const STAGES: &str = "weir_volume_io_stage_seconds";

pub(crate) fn run(pair: &Pair) -> Result<()> {
    let guest = &pair.storage.guest;
    if guest.run("pidof weir-agent")?.code == 0 {
        pair.agent().kill()?;
    }
    pair.agent().start()?;
    pair.agent().kill()?;
    // An agent that can't load programs goes on with those that another one pinned.
    pair.agent().remove_probes()?;
    let agent = Agent::without_bpf(guest);
    agent.start()?;
    agent.ask_pool(&["/dev/mapper/slow"], &pair.portal(), 256)?;
    for wish in [&LOCAL, &REMOTE] {
        agent.ask(wish)?;
    }
    let [local, remote] = [&LOCAL, &REMOTE].map(|wish| agent.wait_ready(wish));
    let (local, remote) = (device(&local?)?, remote?);
    let imported = consumer::connect(guest, &remote)?;
    pair.delay(true)?;
    on_rung(pair, &agent, &LOCAL, &local, "dm-statistics")?;
    on_rung(pair, &agent, &REMOTE, &imported, "dm-statistics")?;
    pair.delay(false)?;
    goes_on_without_an_agent(pair, &agent, &local)?;
    consumer::disconnect(guest, &remote)?;
    agent.kill()?;
    least(pair)?;
    let agent = pair.agent();
    agent.start()?;
    expect("the rung", &rung(&agent.scrape()?), &"ebpf")?;
    let regions = guest
        .sh("for d in $(dmsetup ls | cut -f1); do dmsetup message $d 0 @stats_list weir; done")?;
    ensure!(regions.trim().is_empty(), "regions are left: {regions}");
    agent.delete(&REMOTE)?;
    agent.delete(&LOCAL)
}

/// fio's I/Os are all counted, and what was injected is seen.
fn on_rung(
    pair: &Pair,
    agent: &Agent<'_>,
    wish: &Wish<'_>,
    device: &str,
    name: &str,
) -> Result<()> {
    let before = wait_measured(agent, wish)?;
    expect("the rung", &rung(&before), &name)?;
    let fio = fio(pair, device, 40)?;
    let after = agent.scrape()?;
    expect(
        "reads",
        &(count(&after, wish, "read") - count(&before, wish, "read")),
        &fio.read.ios,
    )?;
    expect(
        "writes",
        &(count(&after, wish, "write") - count(&before, wish, "write")),
        &fio.write.ios,
    )?;
    let in_flight = after.sum("weir_volume_io_in_flight", &[("volume", wish.name)]);
    expect("I/Os in flight", &in_flight, &0.0)?;
    // Over NVMe `backend` is not `total`, which only the programs see.
    let totals = after.sum(&format!("{LATENCY}_count"), &[("volume", wish.name)]);
    expect(
        "whether it has a total",
        &(totals > 0.0),
        &(wish.attached == LOCAL.attached),
    )?;
    let stages = "weir_volume_io_stage_latency_seconds";
    let labels = [
        ("volume", wish.name),
        ("op", "read_write"),
        ("stage", "backend"),
    ];
    let together = after
        .buckets(stages, &labels)
        .since(&before.buckets(stages, &labels));
    expect(
        "I/Os with a bucket",
        &together.count(),
        &(fio.read.ios + fio.write.ios),
    )?;
    // Half are reads, which are faster: the median of each kind is a quartile of both.
    for (quantile, fio_ns, delay_ms) in [
        (0.25, fio.read.p50_ns, READ_DELAY_MS),
        (0.75, fio.write.p50_ns, WRITE_DELAY_MS),
    ] {
        let bound = together
            .quantile_ns(quantile)
            .context("no finite quantile")?;
        eprintln!(
            "  {} {quantile}: at most {} us, fio {} us",
            wish.name,
            bound / 1000,
            fio_ns / 1000
        );
        // dm-delay's tick is 4 ms. A bucket ends at most a quarter above its beginning.
        ensure!(
            bound >= (delay_ms - 4) * 1_000_000,
            "{delay_ms} ms are missing"
        );
        ensure!(bound - bound / 5 <= fio_ns, "more than fio saw");
    }
    Ok(())
}

fn goes_on_without_an_agent(pair: &Pair, agent: &Agent<'_>, device: &str) -> Result<()> {
    let before = agent.scrape()?;
    agent.kill()?;
    let fio = fio(pair, device, 200)?;
    agent.start()?;
    let after = wait_measured(agent, &LOCAL)?;
    for (op, ios) in [("read", fio.read.ios), ("write", fio.write.ios)] {
        let new = count(&after, &LOCAL, op) - count(&before, &LOCAL, op);
        expect(&format!("{op}s while no agent ran"), &new, &ios)?;
    }
    Ok(())
}

/// Without CAP_SYS_ADMIN there is no LVM either, so no volume is served; the agent says what it lacks and stays.
fn least(pair: &Pair) -> Result<()> {
    let agent = Agent::without_admin(&pair.storage.guest);
    agent.begin()?;
    let scrape = agent.scrape()?;
    expect("the rung", &rung(&scrape), &"diskstats")?;
    let off = scrape.sum("weir_probe_stage_off", &[("stage", "histogram")]);
    expect("reasons for no histogram", &off, &1.0)?;
    agent.kill()
}

fn device(status: &Value) -> Result<String> {
    Ok(status["devicePath"]
        .as_str()
        .context("no devicePath")?
        .to_owned())
}

fn fio(pair: &Pair, device: &str, ios: u32) -> Result<Outcome> {
    let load = Load {
        device: device.to_owned(),
        jobs: 2,
        mix: Mix::Half,
        until: Until::Ios(ios),
    };
    let output = pair.storage.guest.sh_within(&load.command(), PATIENCE)?;
    let fio = Outcome::parse(&output)?;
    expect("fio's errors", &fio.errors, &0)?;
    Ok(fio)
}

/// The scrape in which a volume is measured at last.
fn wait_measured(agent: &Agent<'_>, wish: &Wish<'_>) -> Result<Exposition> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let scrape = agent.scrape()?;
        let backend = [("volume", wish.name), ("stage", "backend")];
        if scrape.has(&format!("{STAGES}_count"), &backend) {
            return Ok(scrape);
        }
        ensure!(
            std::time::Instant::now() < deadline,
            "{} is not measured; {}",
            wish.name,
            agent.log()
        );
    }
}

/// The only rung that a scrape tells.
fn rung(scrape: &Exposition) -> &'static str {
    let told = ["ebpf", "dm-statistics", "diskstats"]
        .into_iter()
        .filter(|rung| scrape.has("weir_probe_rung", &[("rung", rung)]));
    match told.collect::<Vec<_>>()[..] {
        [rung] => rung,
        _ => "not one",
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of I/Os"
)]
fn count(scrape: &Exposition, wish: &Wish<'_>, op: &str) -> u64 {
    let labels = [("volume", wish.name), ("op", op), ("stage", "backend")];
    scrape.sum(&format!("{STAGES}_count"), &labels) as u64
}
