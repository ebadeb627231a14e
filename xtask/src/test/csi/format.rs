//! A file system is made once, whatever interrupts it, and never where one may be.

use anyhow::{Result, ensure};
use serde_json::json;

use super::claim::{Claim, Form, Made};
use super::cluster::{Cluster, Node};
use super::life;
use crate::test::Scale;

/// Stands in the place of mkfs and fsck: notes that they run, and ends the plugin at the moment that it is told. What it started goes on, unless
/// the moment is `middle`: then mkfs is ended as well, as by a power cut.
const WRAPPER: &str = r#"#!/bin/bash
name=${0##*/}
is_now() { [ "$(cat /tmp/moment 2>/dev/null)" = "$1" ]; }
end_plugin() { rm /tmp/moment; kill -9 $(cat /run/csi/csi-node.pid); }
echo "begin $name" >> /tmp/tools
if is_now before; then end_plugin; sleep 4; fi
if is_now middle; then timeout -s KILL $(cat /tmp/after) $0.real "$@"; end_plugin; exit 1; fi
$0.real "$@"; code=$?
echo "end $name $code" >> /tmp/tools
if is_now after; then end_plugin; fi
exit $code
"#;
const PROGRAMS: [&str; 3] = ["mke2fs", "mkfs.xfs", "e2fsck"];

/// When the plugin is killed.
const MOMENTS: [&str; 3] = ["before", "middle", "after"];

/// Puts the wrappers in place on the node, unless they are there.
fn watch(cluster: &Cluster, node: Node) -> Result<()> {
    let guest = cluster.guest(node);
    guest.write("/tmp/wrapper", WRAPPER)?;
    let place = format!(
        "for name in {}; do program=/usr/sbin/$name; [ -e $program.real ] || mv $program $program.real && cp /tmp/wrapper $program && chmod 755 $program; done",
        PROGRAMS.join(" ")
    );
    guest.sh(&place).map(drop)
}

/// How often mkfs was begun.
fn begun(cluster: &Cluster, node: Node) -> Result<u64> {
    let count = "grep -c '^begin mk' /tmp/tools 2>/dev/null || true";
    let count = cluster.guest(node).sh(count)?;
    Ok(count.trim().parse().unwrap_or(0))
}

/// The plugin is killed while it formats; it is asked again; data is written; nothing formats ever after.
///
/// Not seen red yet: in `format::decide`, `Format` instead of `Mount` where device and note agree.
pub(super) fn interrupted(cluster: &Cluster, scale: Scale) -> Result<()> {
    let node = Node::A;
    watch(cluster, node)?;
    let mut random = fastrand::Rng::with_seed(scale.seed);
    let forms = [Form::Ext4, Form::Xfs];
    let all: Vec<_> = MOMENTS
        .iter()
        .flat_map(|moment| forms.map(|form| (*moment, form)))
        .collect();
    let chosen = match scale.full {
        true => all,
        false => vec![all[random.usize(..all.len())]],
    };
    for (moment, form) in chosen {
        let after = random.u32(1..30);
        let case = format!("{moment} {form:?}, 0.{after:02} s");
        one(cluster, node, (moment, form, after)).map_err(|error| error.context(case))?;
    }
    Ok(())
}

fn one(cluster: &Cluster, node: Node, (moment, form, after): (&str, Form, u32)) -> Result<()> {
    let name = format!("killed-{moment}-{form:?}").to_lowercase();
    let made = life::make(cluster, vec![Claim::new(&name, form)])?;
    let volume = &made[0];
    let (guest, plugin) = (cluster.guest(node), cluster.kubelet(node));
    let granted = cluster.sidecars().retried(&volume.grant(node))?;
    life::prepare(cluster, node, &[volume])?;
    guest.sh(&format!(
        "echo {moment} > /tmp/moment; echo 0.{after:02} > /tmp/after; rm -f /tmp/tools"
    ))?;
    let told = plugin.ask(&json!([volume.stage(&granted)]))?;
    ensure!(
        told[0].get("ok").is_none(),
        "the plugin was killed and says {told}"
    );
    guest.wait_for("! [ -e /tmp/moment ]", crate::scene::storage::PATIENCE)?;
    plugin.start()?;
    plugin.retried(&volume.stage(&granted))?;
    plugin.retried(&volume.publish(&granted))?;
    let before = begun(cluster, node)?;
    ensure!((1..=2).contains(&before), "mkfs was begun {before} times");
    life::write(cluster, node, volume, 0, 4)?;
    plugin.kill()?;
    plugin.start()?;
    plugin.retried(&volume.stage(&granted))?;
    plugin.retried(&volume.publish(&granted))?;
    life::take(cluster, node, &[volume])?;
    life::bring(cluster, node, &[volume])?;
    life::holds(cluster, node, volume, 4)?;
    life::take(cluster, node, &[volume])?;
    let last = begun(cluster, node)?;
    ensure!(
        before == last,
        "mkfs was begun again after data was written"
    );
    life::remove(cluster, &[volume])
}

/// Somebody wipes a file system's beginning: that is an error, and nothing is formatted.
///
/// Seen red with: in `format::decide`, `Format` instead of the refusal for a device that was formatted and is blank.
pub(super) fn wiped(cluster: &Cluster) -> Result<()> {
    let node = Node::A;
    watch(cluster, node)?;
    let made = life::make(cluster, vec![Claim::new("wiped", Form::Ext4)])?;
    let volume = &made[0];
    life::bring(cluster, node, &[volume])?;
    life::write(cluster, node, volume, 0, 2)?;
    life::take(cluster, node, &[volume])?;
    let wipe = format!(
        "dd if=/dev/zero of={} bs=1M count=1 oflag=direct conv=nocreat,fsync status=none",
        volume.lv()
    );
    cluster.guest(Node::S).sh(&wipe)?;
    refuses(cluster, node, volume, "not formatted again")?;
    cluster.sidecars().retried(&volume.revoke(node))?;
    life::remove(cluster, &[volume])
}

/// What is on a device can't be read: that is an error, and nothing is formatted. Once it can, it is.
///
/// Seen red with: not seen red yet.
pub(super) fn unreadable(cluster: &Cluster) -> Result<()> {
    let node = Node::A;
    watch(cluster, node)?;
    let made = life::make(cluster, vec![Claim::new("unreadable", Form::Ext4)])?;
    let volume = &made[0];
    let lv = volume.lv();
    let spoil = format!(
        "name=$(dmsetup info -c --noheadings -o name {lv}) && dmsetup table $name > /tmp/table && \
         read begin length kind device offset < /tmp/table && \
         printf '0 2048 error\\n2048 %s linear %s %s\\n' $((length-2048)) $device $((offset+2048)) | dmsetup load $name && \
         dmsetup suspend $name && dmsetup resume $name"
    );
    cluster.guest(Node::S).sh(&spoil)?;
    let granted = refuses(cluster, node, volume, "can't be told")?;
    let mend = format!(
        "name=$(dmsetup info -c --noheadings -o name {lv}) && dmsetup load $name < /tmp/table && dmsetup suspend $name && dmsetup resume $name"
    );
    cluster.guest(Node::S).sh(&mend)?;
    life::prepare(cluster, node, &[volume])?;
    cluster.kubelet(node).retried(&volume.stage(&granted))?;
    life::take(cluster, node, &[volume])?;
    life::remove(cluster, &[volume])
}

/// Fails unless staging is refused for this reason, and nothing is formatted; the grant that goes on.
fn refuses(cluster: &Cluster, node: Node, volume: &Made, why: &str) -> Result<serde_json::Value> {
    let before = begun(cluster, node)?;
    let granted = cluster.sidecars().retried(&volume.grant(node))?;
    life::prepare(cluster, node, &[volume])?;
    let plugin = cluster.kubelet(node);
    let told = plugin.ask(&json!([volume.stage(&granted), volume.stage(&granted)]))?;
    for told in told.as_array().into_iter().flatten() {
        let said = told["why"].as_str().unwrap_or_default();
        ensure!(
            told["code"] == "FailedPrecondition" && said.contains(why),
            "staging says {told} instead of {why}"
        );
    }
    ensure!(begun(cluster, node)? == before, "mkfs was begun");
    plugin.retried(&volume.unstage())?;
    life::tidy(cluster, node, &[volume])?;
    Ok(granted)
}
