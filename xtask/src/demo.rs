//! `cargo xtask demo`: the main job, end to end, in two VMs.
//!
//! A storage node carves volumes out of a disk; two are used on the node itself, two by a consumer
//! over NVMe/TCP, all at once; Weir shows what each I/O's time was spent on. Then the agent is
//! killed in mid-I/O, and nothing happens.

mod result;
mod view;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::exposition::Exposition;
use crate::progress::{Progress, say};
use crate::scene::fio::{Load, Mix, Outcome, Until};
use crate::scene::storage::{Agent, Wish};
use crate::scene::{consumer, storage};
use crate::vm::disk::Disk;
use crate::vm::guest::{Guest, PATIENCE};
use crate::vm::machine::{Lab, address};
use result::{AgentKill, Demo, Entry};
use view::View;

/// How long fio runs while we watch, and again while the agent dies.
const WATCHED: u32 = 12;
const KILLED: u32 = 8;

/// A volume of the demo.
struct Volume {
    wish: Wish<'static>,
    path: Path,
    device: String,
}

/// How a volume is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Local,
    NvmeTcp,
}

impl Path {
    /// The word for it in the demo's JSON.
    fn name(self) -> &'static str {
        match self {
            Path::Local => "local",
            Path::NvmeTcp => "nvme-tcp",
        }
    }
}

/// Runs it; its result goes to standard output, everything else to standard error.
pub(crate) fn run(lab: &Lab, json: bool) -> Result<()> {
    let begun = Instant::now();
    let disk = Disk::plain(lab.dir(), "disk", 4 << 30)?;
    say(format!(
        "two VMs with Debian's {} kernel ({:?})",
        lab.kernel,
        lab.accel()
    ));
    let progress = Progress::spinner("booting a storage node and a consumer");
    let disks = [&disk];
    let [storage, consumer] = lab.boot([storage::spec(&disks), consumer::spec()])?;
    progress.done();

    let agent = Agent::new(&storage.guest);
    let progress = Progress::spinner("a pool on /dev/vda, two linear and two thin volumes");
    agent.start()?;
    agent.ask_pool(&["/dev/vda"], &address(1), 512)?;
    let volumes = make_volumes(&agent, &consumer.guest)?;
    progress.done();
    for volume in &volumes {
        say(format!(
            "{} is {} ({})",
            volume.wish.name,
            volume.device,
            volume.path.name()
        ));
    }

    say(format!(
        "fio on all four at once, {WATCHED} s: what the kernel saw"
    ));
    let mut view = View::new();
    let before = agent.scrape()?;
    let outcomes = load_all(&volumes, &storage.guest, &consumer.guest, WATCHED, |_| {
        view.show(&table(&volumes, &before, &agent.scrape()?, None));
        Ok(())
    })?;
    let after = agent.scrape()?;
    view.show(&table(&volumes, &before, &after, Some(&outcomes)));
    view.show_below(&histogram(&volumes, &before, &after));

    say("the agent is killed with SIGKILL in mid-I/O, and started again 2 s later");
    let agent_kill = kill_agent(&agent, &volumes, &storage.guest, &consumer.guest)?;
    say(format!(
        "I/O errors: {}; counters went on: {}",
        agent_kill.io_errors, agent_kill.counter_monotonic
    ));

    let demo = Demo {
        kernel: storage.guest.sh("uname -r")?.trim().to_owned(),
        volumes: entries(&volumes, &outcomes, &before, &after),
        agent_kill,
        elapsed_s: begun.elapsed().as_secs_f64(),
    };
    for volume in volumes.iter().filter(|volume| volume.path == Path::NvmeTcp) {
        consumer.guest.sh(&format!(
            "nvmet disconnect nqn.2026-11.dev.weir:{}",
            volume.wish.id
        ))?;
    }
    consumer.stop()?;
    storage.stop()?;
    demo.print(json)?;
    let ok = demo.agent_kill.io_errors == 0 && demo.agent_kill.counter_monotonic;
    ensure!(
        ok,
        "the agent's death did not go unnoticed: {:?}",
        demo.agent_kill
    );
    Ok(())
}

fn make_volumes(agent: &Agent<'_>, consumer: &Guest) -> Result<Vec<Volume>> {
    let wish = |name, id, thin, node| Wish {
        name,
        id,
        pool: storage::POOL,
        mib: 128,
        thin,
        attached: Some((node, 1)),
        deleted: false,
    };
    let wishes = [
        wish(
            "linear-local",
            "1b0e6bd2-6a4f-4a52-8d0e-6f2f3c5e0001",
            false,
            storage::NODE,
        ),
        wish(
            "thin-local",
            "1b0e6bd2-6a4f-4a52-8d0e-6f2f3c5e0002",
            true,
            storage::NODE,
        ),
        wish(
            "linear-remote",
            "1b0e6bd2-6a4f-4a52-8d0e-6f2f3c5e0003",
            false,
            consumer::NODE,
        ),
        wish(
            "thin-remote",
            "1b0e6bd2-6a4f-4a52-8d0e-6f2f3c5e0004",
            true,
            consumer::NODE,
        ),
    ];
    for wish in &wishes {
        agent.ask(wish)?;
    }
    let mut volumes = Vec::new();
    for wish in wishes {
        let status = agent.wait_ready(&wish)?;
        let local = wish.attached.is_some_and(|(node, _)| node == storage::NODE);
        let (path, device) = if local {
            (
                Path::Local,
                status["devicePath"]
                    .as_str()
                    .context("no devicePath")?
                    .to_owned(),
            )
        } else {
            (Path::NvmeTcp, consumer::connect(consumer, &status)?)
        };
        volumes.push(Volume { wish, path, device });
    }
    Ok(volumes)
}

/// fio on every volume, each on its own node; `meanwhile` is called about once a second.
fn load_all(
    volumes: &[Volume],
    storage: &Guest,
    consumer: &Guest,
    seconds: u32,
    mut meanwhile: impl FnMut(Duration) -> Result<()>,
) -> Result<Vec<Outcome>> {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let start = |volume: &Volume| {
            let guest = if volume.path == Path::Local {
                storage
            } else {
                consumer
            };
            let load = Load {
                device: volume.device.clone(),
                jobs: 1,
                mix: Mix::Half,
                until: Until::Seconds(seconds),
            };
            scope.spawn(move || Outcome::parse(&guest.sh_within(&load.command(), PATIENCE)?))
        };
        let running: Vec<_> = volumes.iter().map(start).collect();
        while running.iter().any(|fio| !fio.is_finished()) {
            meanwhile(begun.elapsed())?;
            std::thread::sleep(Duration::from_secs(1));
        }
        let join = |fio: std::thread::ScopedJoinHandle<'_, Result<Outcome>>| {
            fio.join()
                .unwrap_or_else(|_| bail!("fio's thread panicked"))
        };
        running.into_iter().map(join).collect()
    })
}

fn kill_agent(
    agent: &Agent<'_>,
    volumes: &[Volume],
    storage: &Guest,
    consumer: &Guest,
) -> Result<AgentKill> {
    let counts = |scrape: &Exposition| -> Vec<u64> {
        let count = |volume: &Volume, op| total(scrape, volume, op).count();
        volumes
            .iter()
            .flat_map(|volume| view::OPS.map(|op| count(volume, op)))
            .collect()
    };
    let before = counts(&agent.scrape()?);
    let mut killed = None;
    let outcomes = load_all(volumes, storage, consumer, KILLED, |elapsed| {
        match killed {
            None if elapsed > Duration::from_secs(2) => {
                agent.kill()?;
                killed = Some(Instant::now());
            }
            Some(when)
                if when.elapsed() > Duration::from_secs(2)
                    && storage.run("pidof weir-agent")?.code != 0 =>
            {
                agent.start()?;
            }
            _ => {}
        }
        Ok(())
    })?;
    ensure!(
        killed.is_some(),
        "fio ended before the agent could be killed"
    );
    if storage.run("pidof weir-agent")?.code != 0 {
        agent.start()?;
    }
    let after = counts(&agent.scrape()?);
    // What fio did while nobody watched must be in the counters too.
    let did = outcomes
        .iter()
        .flat_map(|outcome| [outcome.read.ios, outcome.write.ios]);
    let went_on = before
        .iter()
        .zip(&after)
        .zip(did)
        .all(|((before, after), did)| *after >= before + did);
    let io_errors = outcomes.iter().map(|outcome| outcome.errors).sum();
    Ok(AgentKill {
        io_errors,
        counter_monotonic: went_on,
    })
}

fn total(scrape: &Exposition, volume: &Volume, op: &str) -> crate::exposition::Buckets {
    stage(scrape, volume.wish.name, op, "total")
}

fn stage(scrape: &Exposition, volume: &str, op: &str, stage: &str) -> crate::exposition::Buckets {
    let labels = [("volume", volume), ("op", op), ("stage", stage)];
    scrape.buckets("weir_volume_io_stage_latency_seconds", &labels)
}

fn table(
    volumes: &[Volume],
    before: &Exposition,
    after: &Exposition,
    outcomes: Option<&[Outcome]>,
) -> String {
    let mut rows = view::header();
    for (index, volume) in volumes.iter().enumerate() {
        for op in view::OPS {
            let fio = outcomes.map(|outcomes| match op {
                "read" => outcomes[index].read,
                _ => outcomes[index].write,
            });
            let stages = view::STAGES.map(|name| {
                let since = stage(after, volume.wish.name, op, name);
                (
                    name,
                    since.since(&stage(before, volume.wish.name, op, name)),
                )
            });
            rows += &view::row(volume.wish.name, volume.path.name(), op, &stages, fio);
        }
    }
    rows
}

fn histogram(volumes: &[Volume], before: &Exposition, after: &Exposition) -> String {
    let Some(volume) = volumes.iter().find(|volume| volume.path == Path::NvmeTcp) else {
        return String::new();
    };
    let between = total(after, volume, "read").since(&total(before, volume, "read"));
    view::histogram(&format!("{}, read, total", volume.wish.name), &between)
}

fn entries(
    volumes: &[Volume],
    outcomes: &[Outcome],
    before: &Exposition,
    after: &Exposition,
) -> Vec<Entry> {
    let entry = |volume: &Volume, op: &str, fio| {
        let between = |name| {
            let since = stage(after, volume.wish.name, op, name);
            since.since(&stage(before, volume.wish.name, op, name))
        };
        let stages = view::STAGES.map(|name| (name, between(name)));
        Entry::new(volume.wish.name, volume.path.name(), op, fio, &stages)
    };
    volumes
        .iter()
        .zip(outcomes)
        .flat_map(|(volume, fio)| {
            [
                entry(volume, "read", fio.read),
                entry(volume, "write", fio.write),
            ]
        })
        .collect()
}
