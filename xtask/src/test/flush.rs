//! A flush reaches the disk: what a user of a volume was told is durable, is.
//!
//! The disk's log of writes is the witness. Threads write blocks while another one flushes and then
//! writes a mark: all that was acknowledged before the flush was asked for must lie before the mark in
//! the log, with a flush of the disk in between. The same for writes that are durable by themselves
//! (FUA, O_DSYNC).

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::Scale;
use super::report::Report;
use crate::ordered::{BLOCK, Block, Says};
use crate::scene::consumer;
use crate::scene::storage::{self, Agent, Wish};
use crate::vm::disk::Disk;
use crate::vm::guest::{Guest, PATIENCE};
use crate::vm::machine::{Lab, Machine, address};
use crate::vm::write_log::Log;

const LINEAR_REMOTE: Wish<'_> = Wish {
    mib: 32,
    attached: Some((consumer::NODE, 1)),
    ..Wish::linear("linear-remote", "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0081")
};

const VOLUMES: [Wish<'_>; 4] = [
    LINEAR_REMOTE,
    Wish {
        name: "thin-remote",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0082",
        thin: true,
        ..LINEAR_REMOTE
    },
    Wish {
        name: "linear-local",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0083",
        attached: Some((storage::NODE, 1)),
        ..LINEAR_REMOTE
    },
    Wish {
        name: "thin-local",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0084",
        thin: true,
        attached: Some((storage::NODE, 1)),
        ..LINEAR_REMOTE
    },
];

/// A way to make writes durable, as `guest-io order` knows it.
const FLUSH: &str = "flush";
const DSYNC: &str = "dsync";
const FUA: &str = "fua";

/// Two VMs, with the volumes ready for use.
struct Scene {
    storage: Machine,
    consumer: Machine,
    disk: Disk,
    /// As [`VOLUMES`].
    devices: Vec<String>,
    marks: u32,
    tags: u64,
}

pub(crate) fn run(lab: &Lab, report: &mut Report, scale: Scale) {
    let kernel = lab.kernel;
    let marks = if scale.full { 200 } else { 12 };
    let scene = report.need(&format!("{kernel} flush: boot"), || {
        Scene::set_up(lab, marks)
    });
    let Some(mut scene) = scene else { return };
    for (at, wish) in VOLUMES.iter().enumerate() {
        let modes = match wish.attached {
            Some((storage::NODE, _)) => [FLUSH, DSYNC],
            // Sent by itself: on a block device O_DSYNC is FUA and a flush.
            _ => [FLUSH, FUA],
        };
        for mode in modes {
            let name = format!("{kernel} flush: {mode} on {}", wish.name);
            report.case(&name, || scene.check(at, mode));
        }
    }
    for mode in [FLUSH, FUA] {
        let name = format!("{kernel} flush: negative control, {mode} not passed on");
        report.case(&name, || scene.control(mode));
    }
    report.case(&format!("{kernel} flush: stop"), || scene.stop());
}

impl Scene {
    fn set_up(lab: &Lab, marks: u32) -> Result<Self> {
        let disk = Disk::volatile(lab.dir(), "pool", 1 << 30)?;
        let disks = [&disk];
        let [storage, consumer] = lab.boot([storage::spec(&disks), consumer::spec()])?;
        let agent = Agent::new(&storage.guest);
        agent.start()?;
        agent.ask_pool(&["/dev/vda"], &address(1), 256)?;
        for wish in &VOLUMES {
            agent.ask(wish)?;
        }
        let mut devices = Vec::new();
        for wish in &VOLUMES {
            let status = agent.wait_ready(wish)?;
            devices.push(match wish.attached {
                Some((storage::NODE, _)) => {
                    let path = status["devicePath"].as_str();
                    path.context("the status names no device")?.to_owned()
                }
                _ => consumer::connect(&consumer.guest, &status)?,
            });
        }
        Ok(Scene {
            storage,
            consumer,
            disk,
            devices,
            marks,
            tags: 0,
        })
    }

    /// Writes, and asks the disk's log.
    fn check(&mut self, volume: usize, mode: &str) -> Result<()> {
        self.tags += 1;
        let guest = self.user_of(volume);
        let (tag, device) = (self.tags, &self.devices[volume]);
        let command = format!("guest-io order {device} {mode} {tag} {}", self.marks);
        guest.sh_within(&command, PATIENCE * 3)?;
        let counted = ordered(&self.disk.writes()?, tag)?;
        ensure!(
            counted.marks == self.marks && counted.blocks > 0,
            "the disk's log has {counted:?} instead of {} marks: this proves nothing",
            self.marks
        );
        Ok(())
    }

    /// The storage node's kernel believes that its disk has no volatile cache, and passes no flush on.
    fn control(&mut self, mode: &str) -> Result<()> {
        self.believe("through")?;
        let outcome = self.check(0, mode);
        self.believe("back")?;
        match outcome {
            Ok(()) => bail!("the test passes without flushes: it proves nothing"),
            Err(error) if format!("{error:#}").contains("no flush of the disk") => Ok(()),
            Err(error) => Err(error.context("failed, but not for want of a flush")),
        }
    }

    fn believe(&self, cache: &str) -> Result<()> {
        let script = format!("echo 'write {cache}' > /sys/block/vda/queue/write_cache");
        self.storage.guest.sh(&script).map(drop)
    }

    fn user_of(&self, volume: usize) -> &Guest {
        match VOLUMES[volume].attached {
            Some((storage::NODE, _)) => &self.storage.guest,
            _ => &self.consumer.guest,
        }
    }

    fn stop(self) -> Result<()> {
        self.consumer.cut_power()?;
        self.storage.cut_power()
    }
}

/// What was found in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    marks: u32,
    blocks: usize,
}

/// Checks all marks of one run against the log of the disk's writes.
fn ordered(log: &Log, tag: u64) -> Result<Counted> {
    let mut data: BTreeMap<(u64, u64), usize> = BTreeMap::new();
    let mut durable_alone = Vec::new();
    let mut flushes = Vec::new();
    let mut counted = Counted::default();
    for (at, entry) in log.entries().iter().enumerate() {
        if entry.is_flush() {
            flushes.push(at);
        }
        let content = log.content(entry)?;
        for block in content.chunks(BLOCK).filter_map(Block::read) {
            if block.tag != tag {
                continue;
            }
            match block.says {
                Says::Data(thread, number) => {
                    data.insert((thread, number), at);
                    if entry.is_fua() {
                        durable_alone.push(at);
                    }
                }
                Says::Mark(number, durable) => {
                    counted.marks += 1;
                    for (thread, count) in (0..).zip(durable) {
                        for block in 0..count {
                            let written = data.get(&(thread, block)).with_context(|| {
                                format!(
                                    "block {block} of thread {thread} is not before mark {number}"
                                )
                            })?;
                            let flushed = flushes.iter().any(|flush| flush > written)
                                || durable_alone.contains(written);
                            ensure!(
                                flushed,
                                "no flush of the disk between block {block} of thread {thread} and mark {number}"
                            );
                        }
                    }
                }
            }
        }
    }
    counted.blocks = data.len();
    Ok(counted)
}
