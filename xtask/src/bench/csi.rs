//! `cargo xtask bench csi`: how long the CSI plugin's requests take beside the same done by hand, in VMs: `lvcreate` and zeroing, writes to
//! configfs, `nvme connect` and `mount`.
//!
//! One VM stores and has the API, the other one uses the volumes. By turns, a volume's whole life is gone through by hand and by what kubelet and
//! the sidecars ask.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Figure, median};
use crate::cache::Cache;
use crate::kernel::Kernel;
use crate::progress::say;
use crate::scene::consumer;
use crate::scene::control_plane::{AGENT_KUBECONFIG, ControlPlane, Parts};
use crate::scene::plugin::{Half, KUBELET, Plugin};
use crate::scene::storage::{self, Agent, PATIENCE, POOL};
use crate::setup::guest::Userland;
use crate::vm::disk::Disk;
use crate::vm::guest::Guest;
use crate::vm::machine::{Lab, Machine, address};
use crate::workspace::Workspace;
use crate::{setup, vm};

/// How often a life is lived by either side.
const PAIRS: u32 = 7;
const BYTES: u64 = 64 << 20;

/// Does by hand what the plugin does.
const BY_HAND: &str = include_str!("../../guest/csi-by-hand.py");
const SCRIPT: &str = "/run/csi-by-hand.py";

/// A step's seconds.
type Of = fn(&Life) -> f64;

/// What is compared, and how many times as long it may take.
const STEPS: [(&str, Of, f64); 3] = [
    ("create", |life| life.create, 2.0),
    ("publish", |life| life.publish, 1.5),
    ("stage", |life| life.stage, 1.5),
];

/// The seconds of a life's steps.
#[derive(Clone, Copy, Debug)]
struct Life {
    create: f64,
    publish: f64,
    stage: f64,
    unstage: f64,
}

/// Measures.
pub(super) fn run(cache: &Cache, workspace: &Workspace, kernel: Kernel) -> Result<Vec<Figure>> {
    let lab = lab(cache, workspace, kernel)?;
    let disk = Disk::plain(lab.dir(), "pool", 4 << 30)?;
    let pair = Pair::boot(&lab, &disk)?;
    say(format!(
        "kernel {kernel}, {:?}: {PAIRS} volumes by hand and through CSI, by turns",
        lab.accel()
    ));
    // The first ones are not counted: everything is loaded then.
    pair.by_hand(0)?;
    pair.by_plugin(0)?;
    let mut lives = Vec::new();
    for number in 1..=PAIRS {
        lives.push((pair.by_hand(number)?, pair.by_plugin(number)?));
        say(format!("{number} of {PAIRS}: {:?}", lives.last()));
    }
    pair.stop()?;
    let middle = |of: Of| {
        let by_hand = lives.iter().map(|(life, _)| of(life)).collect();
        let by_plugin = lives.iter().map(|(_, life)| of(life)).collect();
        (median(by_hand), median(by_plugin))
    };
    let mut figures = Vec::new();
    for (name, of, aim) in STEPS {
        let (hand, plugin) = middle(of);
        let ratio = Figure::new(format!("{name}_ratio"), plugin / hand, "x");
        figures.push(ratio.against("by_hand", 1.0).at_most(aim));
        let seconds = Figure::new(format!("{name}_seconds"), plugin, "s");
        figures.push(seconds.against("by_hand_seconds", hand));
    }
    let (hand, plugin) = middle(|life| life.unstage);
    figures.push(Figure::new("unstage_seconds", plugin, "s").against("by_hand_seconds", hand));
    Ok(figures)
}

/// A lab with everything as it is released, and a kubectl that runs in any guest.
fn lab(cache: &Cache, workspace: &Workspace, kernel: Kernel) -> Result<Lab> {
    setup::vms(cache, &[kernel], Userland::Small)?;
    let mut programs = workspace.optimised(&[
        ("weir-agent", "weir-agent"),
        ("weir-controller", "weir-controller"),
        ("weir-csi", "weir-csi"),
    ])?;
    let kubectl = setup::kubectl(cache)?.pop();
    programs.push(kubectl.context("no kubectl")?.program);
    let asks = workspace
        .csi()?
        .into_iter()
        .filter(|file| file.ends_with("guest-csi"));
    programs.extend(asks);
    let dir = workspace.for_vms()?;
    let payload = dir.join("bench-csi.ext4");
    vm::payload::make(&programs, &workspace.deploy(), &payload)?;
    Lab::new(cache, kernel, Userland::Small, &payload, &dir)
}

/// The two VMs.
struct Pair {
    storage: Machine,
    consumer: Machine,
}

impl Pair {
    fn boot(lab: &Lab, disk: &Disk) -> Result<Self> {
        let disks = [disk];
        let [storage, consumer] = lab.boot([storage::spec(&disks), consumer::spec()])?;
        let pair = Pair { storage, consumer };
        let plane = pair.plane();
        plane.start(Parts::Both)?;
        plane.enrol()?;
        Agent::joined(&pair.storage.guest, AGENT_KUBECONFIG)
            .by_default()
            .start()?;
        let nodes = [storage::NODE, consumer::NODE]
            .map(|node| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}));
        let mut objects = nodes.to_vec();
        objects.push(storage::pool_object(POOL, storage::NODE, &address(1)));
        plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": objects}))?;
        plane.wait(&format!("wpool {POOL}"), "\"freeBytes\":[1-9]")?;
        for plugin in [pair.sidecars(), pair.kubelet()] {
            plugin.enrol(&plane)?;
            plugin.start()?;
        }
        pair.consumer.guest.sh("modprobe nvme-tcp")?;
        for guest in [&pair.storage.guest, &pair.consumer.guest] {
            guest.write(SCRIPT, BY_HAND)?;
        }
        Ok(pair)
    }

    fn plane(&self) -> ControlPlane<'_> {
        ControlPlane::at(&self.storage.guest, &address(1))
    }

    fn sidecars(&self) -> Plugin<'_> {
        Plugin::new(&self.storage.guest, Half::Controller)
    }

    fn kubelet(&self) -> Plugin<'_> {
        Plugin::new(&self.consumer.guest, Half::Node(consumer::NODE))
    }

    fn by_hand(&self, number: u32) -> Result<Life> {
        let (storage, consumer) = (&self.storage.guest, &self.consumer.guest);
        let (group, name) = (format!("weir-{POOL}"), format!("hand{number}"));
        let (address, host) = (address(1), "nqn.2026-11.org.example:host:by-hand");
        let made = hand(storage, &format!("make {group} {name} {BYTES}"))?;
        let granted = hand(storage, &format!("grant {group} {name} {address} {host}"))?;
        let text = |key: &str| granted[key].as_str().context("what was granted");
        let (nqn, uuid) = (text("nqn")?, text("uuid")?);
        let used = hand(
            consumer,
            &format!("use {address} {nqn} {host} {uuid} /mnt/by-hand"),
        )?;
        hand(storage, &format!("remove {group} {name} {nqn}"))?;
        Ok(Life {
            create: seconds(&made, "seconds")?,
            publish: seconds(&granted, "seconds")?,
            stage: seconds(&used, "seconds")?,
            unstage: seconds(&used, "undone")?,
        })
    }

    fn by_plugin(&self, number: u32) -> Result<Life> {
        let (sidecars, kubelet) = (self.sidecars(), self.kubelet());
        let name = format!("bench-{number}");
        let capability =
            json!({"mount": {"fs_type": "ext4"}, "access_mode": {"mode": "SINGLE_NODE_WRITER"}});
        let (created, create) = timed(
            &sidecars,
            "CreateVolume",
            &json!({"name": name, "capacity_range": {"required_bytes": BYTES}, "volume_capabilities": [capability]}),
        )?;
        let volume = &created["volume"];
        let (id, context) = (&volume["volume_id"], &volume["volume_context"]);
        let node = json!({"volume_id": id, "node_id": consumer::NODE});
        let mut grant = node.clone();
        grant["volume_capability"] = capability.clone();
        grant["volume_context"] = context.clone();
        let (granted, publish) = timed(&sidecars, "ControllerPublishVolume", &grant)?;
        let staging = format!("{KUBELET}/plugins/{name}");
        self.consumer.guest.sh(&format!("mkdir -p {staging}"))?;
        let stage = json!({
            "volume_id": id, "publish_context": granted["publish_context"], "staging_target_path": staging,
            "volume_capability": capability, "volume_context": context,
        });
        let unstage = json!({"volume_id": id, "staging_target_path": staging});
        // The first time it is formatted, which is not counted.
        timed(&kubelet, "NodeStageVolume", &stage)?;
        timed(&kubelet, "NodeUnstageVolume", &unstage)?;
        let (_, staged) = timed(&kubelet, "NodeStageVolume", &stage)?;
        let (_, unstaged) = timed(&kubelet, "NodeUnstageVolume", &unstage)?;
        timed(&sidecars, "ControllerUnpublishVolume", &node)?;
        timed(&sidecars, "DeleteVolume", &json!({"volume_id": id}))?;
        Ok(Life {
            create,
            publish,
            stage: staged,
            unstage: unstaged,
        })
    }

    fn stop(self) -> Result<()> {
        self.consumer.cut_power()?;
        self.storage.stop()
    }
}

/// Makes a request; the answer, and the seconds that it took.
fn timed(plugin: &Plugin<'_>, name: &str, with: &Value) -> Result<(Value, f64)> {
    let told = plugin.ask(&json!([{"ask": name, "with": with}]))?;
    let answer = told[0].get("ok").cloned();
    let answer = answer.with_context(|| format!("{name}: {told}\n{}", plugin.log()))?;
    Ok((answer, seconds(&told[0], "seconds")?))
}

fn hand(guest: &Guest, arguments: &str) -> Result<Value> {
    let output = guest.run_for(&format!("python3 {SCRIPT} {arguments}"), PATIENCE)?;
    ensure!(output.code == 0, "{arguments}: {}", output.stderr);
    serde_json::from_str(output.stdout.trim()).context("reading what was done by hand")
}

fn seconds(seen: &Value, key: &str) -> Result<f64> {
    let seconds = seen[key].as_f64();
    seconds.with_context(|| format!("no {key} in {seen}"))
}
