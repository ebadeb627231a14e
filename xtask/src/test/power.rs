//! The storage node loses power in mid-write.
//!
//! What is promised: exports come back without anyone asking, the consumer reconnects, and every
//! write covered by a flush that succeeded before the cut is there. (A flush that succeeds *after*
//! a transparent reconnect can't speak for writes that were acknowledged before the cut: refusing
//! old generations after an unclean boot closes that, see `VolatileWriteCache` in the design.)

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Scale;
use super::report::Report;
use crate::scene::storage::{Agent, PATIENCE, Wish};
use crate::scene::{consumer, storage};
use crate::vm::disk::Disk;
use crate::vm::machine::{Lab, Machine, address};
use crate::vm::write_log::Unflushed;

const VOLUME: Wish<'_> = Wish {
    attached: Some((consumer::NODE, 1)),
    ..Wish::linear("durable", "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0041")
};

/// Blocks the writer may write, and after how many it flushes.
const BLOCKS: u64 = 16_000;
const FLUSH_EVERY: u64 = 8;

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    Nothing,
    /// The agent's fsync does nothing.
    RecordWithoutFsync,
    /// The storage node's kernel believes that its disk has no volatile cache, and passes no flush
    /// on to it.
    FlushNotPassedOn,
}

pub(crate) fn run(lab: &Lab, report: &mut Report, scale: Scale) {
    let kernel = lab.kernel;
    // CI has time for one of the disks, and for the old grants or one of the controls, as the seed tells.
    let rounds = if scale.full { 3 } else { 1 };
    for round in (0..rounds).filter(|_| scale.is_due(0, 0, 2)) {
        let seed = scale.seed.wrapping_add(round);
        let unflushed = Unflushed::Random { seed };
        let name = format!("{kernel} power: flushed writes and exports survive (seed {seed})");
        report.case(&name, || cut(lab, Sabotage::Nothing, unflushed));
    }
    if scale.is_due(0, 1, 2) {
        report.case(
            &format!("{kernel} power: they survive the worst disk"),
            || cut(lab, Sabotage::Nothing, Unflushed::Lost),
        );
    }
    if scale.is_due(1, 0, 3) {
        report.case(
            &format!(
                "{kernel} power: a volatile cache ends old grants, unless the end was in good order"
            ),
            || old_grants_end(lab),
        );
    }
    let controls = [
        (Sabotage::RecordWithoutFsync, "the export did not come back"),
        (Sabotage::FlushNotPassedOn, "was flushed and is not there"),
    ];
    let due = (1..)
        .zip(controls)
        .filter(|(number, _)| scale.is_due(1, *number, 3));
    for (_, (sabotage, symptom)) in due {
        report.case(
            &format!("{kernel} power: negative control {sabotage:?}"),
            || match cut(lab, sabotage, Unflushed::Lost) {
                Ok(()) => bail!("the test passes with {sabotage:?}: it proves nothing"),
                Err(error) if format!("{error:#}").contains(symptom) => Ok(()),
                Err(error) => Err(error.context(format!("failed, but not with `{symptom}`"))),
            },
        );
    }
}

fn cut(lab: &Lab, sabotage: Sabotage, unflushed: Unflushed) -> Result<()> {
    let disks = disks(lab)?;
    let [storage, consumer] = boot(lab, &disks)?;
    let agent = match sabotage {
        Sabotage::RecordWithoutFsync => Agent::without_fsync(&storage.guest),
        Sabotage::Nothing | Sabotage::FlushNotPassedOn => Agent::new(&storage.guest),
    };
    agent.start()?;
    agent.ask_pool(&["/dev/vdb"], &address(1), 64)?;
    agent.ask(&VOLUME)?;
    let status = agent.wait_ready(&VOLUME)?;
    let device = consumer::connect(&consumer.guest, &status)?;
    if sabotage == Sabotage::FlushNotPassedOn {
        storage
            .guest
            .sh("echo 'write through' > /sys/block/vdb/queue/write_cache")?;
    }
    let log = "/tmp/flushed";
    consumer.guest.spawn(
        &format!("guest-io write {device} {log} {BLOCKS} {FLUSH_EVERY}"),
        "/tmp/writer.log",
    )?;
    let progress = format!(
        "[ \"$(tail -n 1 {log} 2>/dev/null || echo 0)\" -ge {} ]",
        FLUSH_EVERY * 4
    );
    let writing = consumer.guest.wait_for(&progress, PATIENCE);
    writing.with_context(|| agent.log())?;

    storage.cut_power()?;
    // Whatever the writer learnt before the cut is in the log by now: nothing answers it any more.
    std::thread::sleep(Duration::from_millis(300));
    let flushed: u64 = consumer
        .guest
        .sh(&format!("tail -n 1 {log}"))?
        .trim()
        .parse()?;
    for disk in &disks {
        disk.settle(unflushed)?;
    }

    let storage = reboot(lab, &disks)?;
    let agent = Agent::new(&storage.guest);
    agent.start()?;
    let exported = format!(
        "[ \"$(cat /sys/kernel/config/nvmet/subsystems/nqn.2026-11.dev.weir:{}/namespaces/1/enable)\" = 1 ] && \
         ls /sys/kernel/config/nvmet/ports/*/subsystems/nqn.2026-11.dev.weir:{}",
        VOLUME.id, VOLUME.id
    );
    let back = storage.guest.wait_for(&exported, Duration::from_secs(30));
    back.with_context(|| agent.log())
        .context("the export did not come back")?;
    let live = "grep -qx live /sys/class/nvme/nvme*/state && [ \"$(grep -lx tcp /sys/class/nvme/nvme*/transport | xargs dirname | xargs -I{} cat {}/state)\" = live ]";
    consumer
        .guest
        .wait_for(live, PATIENCE)
        .context("the consumer did not reconnect")?;
    ensure!(
        flushed >= FLUSH_EVERY * 4,
        "only {flushed} blocks were flushed before the cut"
    );
    // The writer goes on where it was held up; the blocks it writes now are later ones.
    consumer
        .guest
        .sh(&format!("guest-io check {device} {flushed}"))?;
    consumer
        .guest
        .sh("pkill -9 -x guest-io || kill -9 $(pidof guest-io)")?;
    consumer.stop()?;
    storage.stop()
}

/// Without `acceptVolatileWriteCache`, a host from before the power cut gets an error instead of success for
/// its next flush; it is granted anew, and the end of a boot in good order ends nothing.
fn old_grants_end(lab: &Lab) -> Result<()> {
    let disks = disks(lab)?;
    let [storage, consumer] = boot(lab, &disks)?;
    let agent = Agent::new(&storage.guest);
    agent.start()?;
    agent.ask_pool_as(&["/dev/vdb"], &[&address(1)], 64, false)?;
    agent.ask(&VOLUME)?;
    let status = agent.wait_ready(&VOLUME)?;
    let device = consumer::connect(&consumer.guest, &status)?;
    // Acknowledged, and never flushed.
    let burst = |letter: char| format!("guest-io burst {device} /tmp/{letter} 0 8 {letter}");
    consumer.guest.sh(&burst('a'))?;
    storage.cut_power()?;
    for disk in &disks {
        disk.settle(Unflushed::Lost)?;
    }

    let storage = reboot(lab, &disks)?;
    let agent = Agent::new(&storage.guest);
    agent.start()?;
    agent.ask_pool_as(&["/dev/vdb"], &[&address(1)], 64, false)?;
    agent.ask(&VOLUME)?;
    agent.wait_status(&format!("volume-{}", VOLUME.name), "UncleanStop")?;
    // It may be held back until somebody tells the host that its grant has ended: a portal without exports
    // accepts no connection, and the host tries again.
    let ended = "/tmp/flush-ended";
    let flush = format!(
        "bash -c 'dd if=/dev/zero of={device} bs=4k count=1 oflag=direct conv=nocreat,fsync; \
         echo $? > {ended}'"
    );
    consumer.guest.spawn(&flush, "/tmp/flush.log")?;
    let again = Wish {
        attached: Some((consumer::NODE, 2)),
        ..VOLUME
    };
    agent.ask(&again)?;
    let status = agent.wait_ready(&again)?;
    consumer::disconnect(&consumer.guest, &status)?;
    let code = consumer.guest.wait_for(&format!("cat {ended}"), PATIENCE)?;
    ensure!(
        code.trim() != "0",
        "the old host flushed with success after its writes were lost"
    );
    let device = consumer::connect(&consumer.guest, &status)?;

    // The end of a boot in good order: the agent stops, then the node.
    agent.kill()?;
    storage
        .guest
        .sh(&format!("weir-agent shutdown --record {}", storage::RECORD))?;
    storage.guest.sh("umount /var/lib/weir")?;
    storage.stop()?;
    for disk in &disks {
        disk.settle(Unflushed::Lost)?;
    }
    let storage = reboot(lab, &disks)?;
    let agent = Agent::new(&storage.guest);
    agent.start()?;
    let writes = format!("guest-io burst {device} /tmp/last 0 8 z && ! grep -v ^ok /tmp/last");
    consumer
        .guest
        .sh_within(&writes, PATIENCE)
        .context("a host lost its volume although the boot ended in good order")?;
    consumer.stop()?;
    storage.stop()
}

fn disks(lab: &Lab) -> Result<[Disk; 2]> {
    Ok([
        Disk::volatile(lab.dir(), "state", 256 << 20)?,
        Disk::volatile(lab.dir(), "pool", 1 << 30)?,
    ])
}

/// A storage node, with a new file system for the record, and a consumer.
fn boot(lab: &Lab, disks: &[Disk; 2]) -> Result<[Machine; 2]> {
    let disks: Vec<_> = disks.iter().collect();
    let machines = lab.boot([storage::spec(&disks), consumer::spec()])?;
    machines[0].guest.sh("mkfs.ext4 -q /dev/vda && sync")?;
    mount_state(&machines[0])?;
    Ok(machines)
}

/// The storage node after its end.
fn reboot(lab: &Lab, disks: &[Disk; 2]) -> Result<Machine> {
    let disks: Vec<_> = disks.iter().collect();
    let [storage] = lab.boot([storage::spec(&disks)])?;
    mount_state(&storage)?;
    Ok(storage)
}

/// What a system's start would do: the record's file system is mounted before the agent starts. It
/// commits nothing by itself within the test, so that only an fsync makes the record durable.
fn mount_state(storage: &Machine) -> Result<()> {
    let mount = "mkdir -p /var/lib/weir && mount -o commit=600 /dev/vda /var/lib/weir";
    storage.guest.sh(mount).map(drop)
}
