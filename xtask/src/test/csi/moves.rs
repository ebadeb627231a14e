//! A volume moves between nodes while its pod writes, and hosts lose power: every block whose flush succeeded is there, and what an old
//! host still had to write never lands.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scale;
use super::claim::{Claim, Form, Made};
use super::cluster::{Cluster, Disks, Node};
use super::life;
use crate::scene::storage::PATIENCE;
use crate::vm::machine::Lab;
use crate::vm::write_log::Unflushed;

/// How a stay on a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its kubelet is dead and its pod goes on: the grant is taken from it.
    Revoked,
    /// It loses power.
    Cut,
    /// The storage node does.
    TargetCut,
    /// In good order.
    Order,
}

/// One after the other: where, and how it ends there.
const WAY: [(Node, End); 8] = [
    (Node::A, End::Revoked),
    (Node::B, End::Cut),
    (Node::S, End::TargetCut),
    (Node::A, End::TargetCut),
    (Node::S, End::Order),
    (Node::B, End::Revoked),
    (Node::A, End::Cut),
    (Node::S, End::TargetCut),
];

/// Where a pod notes what was flushed.
const LOG: &str = "/tmp/flushed";

/// So many flushed blocks at least in each stay.
const LEAST: u64 = 4;

/// Seen red with: `ControllerUnpublishVolume` answered before the agent says that the grant is over.
///
/// Not seen red yet: a disk that loses what was flushed.
pub(super) fn run(lab: &Lab, disks: &Disks, cluster: &mut Cluster, scale: Scale) -> Result<()> {
    let made = life::make(cluster, vec![Claim::new("mover", Form::Ext4).durable()])?;
    let volume = &made[0];
    let moves = if scale.full { 50 } else { 3 };
    // So that each seed has others.
    let first = match scale.full {
        true => 0,
        false => usize::try_from(scale.drawn(20, WAY.len() as u64))?,
    };
    let mut known = 0;
    for number in 0..=moves {
        let (node, end) = WAY[(first + number) % WAY.len()];
        let end = if number == moves { End::Order } else { end };
        let stay = format!("stay {number}, on {node:?}, which ends with {end:?}");
        known = stays(
            lab,
            disks,
            cluster,
            volume,
            (node, end),
            known,
            scale.seed.wrapping_add(number as u64),
        )
        .with_context(|| stay.clone())?;
        eprintln!("weir: {stay}: {known} blocks");
    }
    life::remove(cluster, &[volume])?;
    cluster.is_empty()
}

/// Writes on a node until the stay ends; how many blocks are known to be flushed.
fn stays(
    lab: &Lab,
    disks: &Disks,
    cluster: &mut Cluster,
    volume: &Made,
    (node, end): (Node, End),
    known: u64,
    seed: u64,
) -> Result<u64> {
    life::bring(cluster, node, &[volume])?;
    if known > 0 {
        life::holds(cluster, node, volume, known)?;
    }
    let guest = cluster.guest(node);
    guest.sh(&format!("rm -f {LOG}"))?;
    let write = format!("guest-io append {} {LOG} {known} 100000", volume.data());
    guest.spawn(&write, "/tmp/writer.log")?;
    let going = format!(
        "[ \"$(tail -n 1 {LOG} 2>/dev/null || echo 0)\" -ge {} ]",
        known + LEAST
    );
    let going = guest.wait_for(&going, PATIENCE);
    going.with_context(|| guest.sh("cat /tmp/writer.log").unwrap_or_default())?;
    let known = match end {
        End::Order => {
            end_pod(cluster, node, volume)?;
            let known = flushed(cluster, node)?;
            life::take(cluster, node, &[volume])?;
            known
        }
        End::Revoked => {
            nothing_lands(cluster, node, volume)?;
            let known = flushed(cluster, node)?;
            end_pod(cluster, node, volume)?;
            life::take(cluster, node, &[volume])?;
            known
        }
        End::Cut => {
            let known = flushed(cluster, node)?;
            cluster.lose_power(node)?;
            cluster.sidecars().retried(&volume.revoke(node))?;
            cluster.return_power(lab, disks, node)?;
            known
        }
        End::TargetCut => {
            let known = flushed(cluster, node)?;
            cluster.lose_power(Node::S)?;
            // What a host was told before the cut is in its log by now.
            std::thread::sleep(Duration::from_millis(300));
            let known = if node == Node::S {
                known
            } else {
                flushed(cluster, node)?
            };
            disks.settle(Unflushed::Random { seed })?;
            cluster.return_power(lab, disks, Node::S)?;
            if node != Node::S {
                end_pod(cluster, node, volume)?;
                life::take(cluster, node, &[volume])?;
            } else {
                cluster.sidecars().retried(&volume.revoke(node))?;
            }
            known
        }
    };
    ensure!(known >= LEAST, "only {known} blocks were flushed");
    Ok(known)
}

/// The grant is taken from a node that writes: from the moment that this is answered, nothing changes on the volume.
fn nothing_lands(cluster: &Cluster, node: Node, volume: &Made) -> Result<()> {
    let asking = cluster
        .sidecars()
        .asking(&serde_json::json!([volume.revoke(node)]));
    // How many writes there were, and how many sectors they had: nothing is started between the answer and the first look.
    let look = "set -- $(<$stat); echo writes $5 $7";
    let script = format!(
        "stat=/sys/block/dm-$(dmsetup info -c --noheadings -o minor {} | tr -d ' ')/stat\n\
         {asking}\n{look}\nsleep 3\n{look}",
        volume.lv()
    );
    let told = cluster.guest(Node::S).sh_within(&script, PATIENCE * 2)?;
    let lines: Vec<&str> = told.lines().collect();
    ensure!(
        lines.len() == 3 && lines[0].contains("\"ok\"") && lines[1] == lines[2],
        "after the grant of {node:?} was taken: {told}"
    );
    Ok(())
}

/// The pod is ended. One that waits for a target which will not have it again can't be: where the kernel goes on trying, a person ends that.
fn end_pod(cluster: &Cluster, node: Node, volume: &Made) -> Result<()> {
    let end = format!(
        "kill -9 $(pidof guest-io) 2>/dev/null; is_there() {{ pidof guest-io >/dev/null; }}; \
         for second in $(seq 30); do is_there || exit 0; sleep 1; done; \
         nvmet disconnect {} && while is_there; do sleep 0.2; done; echo disconnected",
        volume.nqn()
    );
    let told = cluster.guest(node).sh(&end)?;
    if !told.is_empty() {
        eprintln!("weir: {node:?}: its pod waited for a target that will not have it again");
    }
    Ok(())
}

fn flushed(cluster: &Cluster, node: Node) -> Result<u64> {
    let told = cluster.guest(node).sh(&format!("tail -n 1 {LOG}"))?;
    Ok(told.trim().parse()?)
}
