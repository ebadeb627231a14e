//! A target that does not answer: I/O waits for it, other volumes don't, and one that never comes back is let go of.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Scale;
use super::claim::{Claim, Form, Made};
use super::cluster::{Cluster, Node};
use super::life;
use crate::scene::storage::PATIENCE;

const NODE: Node = Node::A;
const LOG: &str = "/tmp/flushed";

/// So long at most an unstage goes on whose target is gone: the grace that it has, and what an emulated guest needs.
const BOUND: Duration = Duration::from_secs(60);

/// I/O waits for a target that comes back, other volumes' requests do not, and one that is gone for good is let go of.
///
/// Seen red with: `Step::Unmount` not in `Step::needs_target`, and not in `Known::failed`: unstaging took 145 s.
pub(super) fn waits(cluster: &Cluster, scale: Scale) -> Result<()> {
    let claims = vec![
        Claim::new("hung", Form::Ext4).durable(),
        Claim::new("beside", Form::Ext4),
    ];
    let made = life::make(cluster, claims)?;
    let [hung, beside] = &made[..] else {
        anyhow::bail!("two volumes were asked for")
    };
    life::bring(cluster, NODE, &[hung])?;
    load(cluster, hung)?;
    let guest = cluster.guest(NODE);
    cluster.reach(false)?;
    let cut = Instant::now();
    let told = told(cluster)?;
    life::bring(cluster, NODE, &[beside])?;
    life::write(cluster, NODE, beside, 0, 2)?;
    life::take(cluster, NODE, &[beside])?;
    let others = cut.elapsed();
    let all = Duration::from_secs(if scale.full { 60 } else { 20 });
    std::thread::sleep(all.saturating_sub(others));
    guest
        .sh("pidof guest-io")
        .with_context(|| guest.sh("cat /tmp/writer.log").unwrap_or_default())
        .context("the writer ended while its target did not answer")?;
    cluster.reach(true)?;
    let on = format!("[ \"$(tail -n 1 {LOG})\" -gt $(({told} + 20)) ]");
    let on = guest.wait_for(&on, PATIENCE);
    on.with_context(|| guest.sh("cat /tmp/writer.log").unwrap_or_default())?;
    end_load(cluster)?;
    let told = self::told(cluster)?;
    life::holds(cluster, NODE, hung, told)?;

    // Now it is gone for good, with writes that nobody flushed.
    let dirty = format!(
        "dd if=/dev/zero of={}/dirty bs=64k count=32 status=none",
        hung.target()
    );
    guest.sh(&dirty)?;
    cluster.reach(false)?;
    let begun = Instant::now();
    let plugin = cluster.kubelet(NODE);
    plugin.retried(&hung.unpublish())?;
    let unstage = hung.unstage();
    let calls = json!([[[unstage.clone()], [stats_of(beside)]]]);
    let answers = plugin.ask(&calls)?;
    if answers[0][0][0].get("ok").is_none() {
        plugin.retried(&unstage)?;
    }
    let took = begun.elapsed();
    let beside_took = answers[0][1][0]["seconds"].as_f64().unwrap_or(f64::MAX);
    ensure!(took < BOUND, "unstaging took {took:?}");
    ensure!(
        beside_took < 10.0,
        "another volume's request took {beside_took} s: {answers}"
    );
    life::tidy(cluster, NODE, &[hung])?;
    cluster.is_clean(NODE)?;
    cluster.reach(true)?;
    cluster.sidecars().retried(&hung.revoke(NODE))?;
    life::remove(cluster, &[hung, beside])?;
    cluster.is_empty()
}

/// Is asked of a volume that is not there any more: it is answered all the same.
fn stats_of(volume: &Made) -> serde_json::Value {
    volume.stats()
}

/// A pod writes.
fn load(cluster: &Cluster, volume: &Made) -> Result<()> {
    let guest = cluster.guest(NODE);
    let from = guest.sh(&format!(
        "rm -f {LOG}; guest-io blocks {} 2>/dev/null || echo 0",
        volume.data()
    ))?;
    let from: u64 = from.trim().parse()?;
    let write = format!("guest-io append {} {LOG} {from} 100000", volume.data());
    guest.spawn(&write, "/tmp/writer.log")?;
    let going = format!(
        "[ \"$(tail -n 1 {LOG} 2>/dev/null || echo 0)\" -ge {} ]",
        from + 4
    );
    guest.wait_for(&going, PATIENCE).map(drop)
}

fn end_load(cluster: &Cluster) -> Result<()> {
    let end = "kill -9 $(pidof guest-io); while pidof guest-io >/dev/null; do sleep 0.1; done";
    cluster.guest(NODE).sh(end).map(drop)
}

fn told(cluster: &Cluster) -> Result<u64> {
    let told = cluster.guest(NODE).sh(&format!("tail -n 1 {LOG}"))?;
    Ok(told.trim().parse()?)
}
