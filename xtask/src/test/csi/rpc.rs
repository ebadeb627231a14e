//! Every request with what is missing, malformed or contradictory; at once with itself; and every step of a life with its parts killed.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Scale;
use super::claim::{Claim, Form, Made};
use super::cluster::{Cluster, Node};
use super::life;
use crate::scene::control_plane::Parts;
use crate::scene::plugin::Plugin;

const NODE: Node = Node::A;
const INVALID: &str = "InvalidArgument";
const ABSENT: &str = "NotFound";
const UNFIT: &str = "FailedPrecondition";
/// Of no volume.
const NOBODYS: &str = "nobody.7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90";

/// A request, less or other than it should be, and what it is to be told (`ok`: it succeeds all the same).
type Bad = (Value, &'static str);

/// `call` with one field changed; `null` takes it away.
fn with(call: &Value, field: &str, value: Value) -> Value {
    let mut call = call.clone();
    match value {
        Value::Null => drop(
            call["with"]
                .as_object_mut()
                .and_then(|all| all.remove(field)),
        ),
        value => call["with"][field] = value,
    }
    call
}

fn unserved(name: &str) -> Bad {
    (json!({"ask": name}), "Unimplemented")
}

fn of_controller(volume: &Made, other: &Claim) -> Vec<Bad> {
    let (claim, id) = (&volume.claim, &volume.id);
    let (create, grant) = (other.create(), volume.grant(NODE));
    let (revoke, delete) = (volume.revoke(NODE), volume.delete());
    let capability = claim.capability();
    let mode = |mode: &str| json!({"mount": {}, "access_mode": {"mode": mode}});
    let validate = json!({"ask": "ValidateVolumeCapabilities", "with": {"volume_id": id, "volume_capabilities": [capability]}});
    let get = json!({"ask": "ControllerGetVolume", "with": {"volume_id": id}});
    let list = json!({"ask": "ListVolumes", "with": {}});
    let capacity = json!({"ask": "GetCapacity", "with": {}});
    let range = |least: i64, most: i64| json!({"required_bytes": least, "limit_bytes": most});
    vec![
        (json!({"ask": "GetPluginInfo"}), "ok"),
        (json!({"ask": "GetPluginCapabilities"}), "ok"),
        (json!({"ask": "Probe"}), "ok"),
        (json!({"ask": "ControllerGetCapabilities"}), "ok"),
        (json!({"ask": "CreateVolume"}), INVALID),
        (with(&create, "name", Value::Null), INVALID),
        (with(&create, "name", json!("x".repeat(2000))), INVALID),
        (with(&create, "volume_capabilities", Value::Null), INVALID),
        (with(&create, "volume_capabilities", json!([{}])), INVALID),
        (
            with(&create, "volume_capabilities", json!([mode("UNKNOWN")])),
            INVALID,
        ),
        (
            with(
                &create,
                "volume_capabilities",
                json!([mode("MULTI_NODE_MULTI_WRITER")]),
            ),
            INVALID,
        ),
        (
            with(
                &create,
                "volume_capabilities",
                json!([mode("SINGLE_NODE_WRITER"), {"block": {}, "access_mode": {"mode": 1}}]),
            ),
            INVALID,
        ),
        (
            with(
                &create,
                "volume_capabilities",
                json!([{"mount": {"fs_type": "btrfs"}, "access_mode": {"mode": 1}}]),
            ),
            INVALID,
        ),
        (with(&create, "capacity_range", range(-1, 0)), INVALID),
        (
            with(&create, "capacity_range", range(2 << 30, 1 << 30)),
            INVALID,
        ),
        (
            with(
                &create,
                "capacity_range",
                range((4 << 20) + 1, (8 << 20) - 1),
            ),
            "OutOfRange",
        ),
        (
            with(&create, "capacity_range", range(1 << 50, 0)),
            "ResourceExhausted",
        ),
        (
            with(&create, "parameters", json!({"nonsense": "1"})),
            INVALID,
        ),
        (
            with(&create, "parameters", json!({"ctrlLossTmo": "soon"})),
            INVALID,
        ),
        (
            with(&create, "mutable_parameters", json!({"readP99": "1ms"})),
            INVALID,
        ),
        (
            with(
                &create,
                "volume_content_source",
                json!({"volume": {"volume_id": id}}),
            ),
            INVALID,
        ),
        (
            with(&claim.create(), "capacity_range", range(1 << 30, 0)),
            "AlreadyExists",
        ),
        (with(&delete, "volume_id", Value::Null), INVALID),
        (with(&delete, "volume_id", json!("nonsense")), "ok"),
        (with(&delete, "volume_id", json!(NOBODYS)), "ok"),
        (with(&grant, "volume_id", Value::Null), INVALID),
        (with(&grant, "node_id", Value::Null), INVALID),
        (with(&grant, "volume_capability", Value::Null), INVALID),
        (with(&grant, "volume_capability", json!({})), INVALID),
        (with(&grant, "volume_id", json!("nonsense")), ABSENT),
        (with(&grant, "volume_id", json!(NOBODYS)), ABSENT),
        (with(&grant, "node_id", json!("nowhere")), ABSENT),
        (with(&grant, "node_id", json!("No Node")), ABSENT),
        // It is granted to `NODE`.
        (volume.grant(Node::B), UNFIT),
        (volume.delete(), UNFIT),
        (with(&revoke, "volume_id", Value::Null), INVALID),
        (with(&revoke, "volume_id", json!("nonsense")), "ok"),
        (with(&revoke, "volume_id", json!(NOBODYS)), "ok"),
        (volume.revoke(Node::B), "ok"),
        (with(&validate, "volume_id", Value::Null), INVALID),
        (with(&validate, "volume_capabilities", Value::Null), INVALID),
        (with(&validate, "volume_id", json!(NOBODYS)), ABSENT),
        (validate, "ok"),
        (with(&get, "volume_id", Value::Null), INVALID),
        (with(&get, "volume_id", json!(NOBODYS)), ABSENT),
        (get, "ok"),
        (with(&list, "max_entries", json!(-1)), INVALID),
        (with(&list, "starting_token", json!("nonsense")), "Aborted"),
        (list, "ok"),
        (
            with(&capacity, "parameters", json!({"nonsense": "1"})),
            INVALID,
        ),
        (capacity, "ok"),
        unserved("CreateSnapshot"),
        unserved("DeleteSnapshot"),
        unserved("ListSnapshots"),
        unserved("ControllerModifyVolume"),
        unserved("GroupControllerGetCapabilities"),
        unserved("NodeGetInfo"),
    ]
}

/// `granted`: to the node; nothing is staged.
fn of_node(volume: &Made, granted: &Value) -> Vec<Bad> {
    let (stage, publish) = (volume.stage(granted), volume.publish(granted));
    let (unpublish, unstage) = (volume.unpublish(), volume.unstage());
    let stats = volume.stats();
    let expand = json!({"ask": "NodeExpandVolume", "with": {"volume_id": volume.id, "volume_path": volume.target()}});
    let context = |field: &str, value: &str| {
        let mut context = granted["publish_context"].clone();
        context[field] = json!(value);
        context
    };
    let long = format!("/{}", "x".repeat(5000));
    vec![
        (json!({"ask": "GetPluginInfo"}), "ok"),
        (json!({"ask": "Probe"}), "ok"),
        (json!({"ask": "NodeGetInfo"}), "ok"),
        (json!({"ask": "NodeGetCapabilities"}), "ok"),
        unserved("CreateVolume"),
        (json!({"ask": "NodeStageVolume"}), INVALID),
        (with(&stage, "volume_id", Value::Null), INVALID),
        (with(&stage, "volume_id", json!("nonsense")), ABSENT),
        (with(&stage, "volume_id", json!(NOBODYS)), ABSENT),
        (with(&stage, "staging_target_path", Value::Null), INVALID),
        (
            with(&stage, "staging_target_path", json!("relative")),
            INVALID,
        ),
        (
            with(&stage, "staging_target_path", json!("/a/../b")),
            INVALID,
        ),
        (with(&stage, "staging_target_path", json!(long)), INVALID),
        (with(&stage, "volume_capability", Value::Null), INVALID),
        (
            with(
                &stage,
                "volume_capability",
                json!({"mount": {"fs_type": "btrfs"}, "access_mode": {"mode": 1}}),
            ),
            INVALID,
        ),
        (
            with(
                &stage,
                "volume_capability",
                json!({"mount": {"mount_flags": ["nobarrier", "x-nonsense"]}, "access_mode": {"mode": 1}}),
            ),
            INVALID,
        ),
        (
            with(&stage, "volume_context", json!({"nonsense": "1"})),
            INVALID,
        ),
        (with(&stage, "publish_context", Value::Null), INVALID),
        (
            with(&stage, "publish_context", context("generation", "x")),
            INVALID,
        ),
        (
            with(&stage, "publish_context", context("generation", "1")),
            UNFIT,
        ),
        (
            with(
                &stage,
                "publish_context",
                context("nqn", "nqn.2020-01.org.example:x"),
            ),
            INVALID,
        ),
        (with(&publish, "volume_id", Value::Null), INVALID),
        (with(&publish, "volume_id", json!("nonsense")), ABSENT),
        (with(&publish, "target_path", Value::Null), INVALID),
        (with(&publish, "target_path", json!("relative")), INVALID),
        (with(&publish, "volume_capability", Value::Null), INVALID),
        (with(&publish, "staging_target_path", Value::Null), UNFIT),
        (publish, UNFIT),
        (with(&unpublish, "volume_id", Value::Null), INVALID),
        (with(&unpublish, "target_path", Value::Null), INVALID),
        (with(&unpublish, "target_path", json!("relative")), INVALID),
        (with(&unpublish, "volume_id", json!("nonsense")), "ok"),
        (unpublish, "ok"),
        (with(&unstage, "volume_id", Value::Null), INVALID),
        (with(&unstage, "staging_target_path", Value::Null), INVALID),
        (with(&unstage, "volume_id", json!("nonsense")), "ok"),
        (unstage, "ok"),
        (with(&stats, "volume_id", Value::Null), INVALID),
        (with(&stats, "volume_path", Value::Null), INVALID),
        (with(&stats, "volume_id", json!(NOBODYS)), ABSENT),
        (stats, ABSENT),
        (with(&expand, "volume_id", Value::Null), INVALID),
        (with(&expand, "volume_path", Value::Null), INVALID),
        (with(&expand, "volume_id", json!(NOBODYS)), ABSENT),
        (
            with(
                &expand,
                "capacity_range",
                json!({"required_bytes": 2, "limit_bytes": 1}),
            ),
            INVALID,
        ),
        (expand, ABSENT),
    ]
}

/// Each is made twice, and told the same.
fn all_are_told(plugin: &Plugin<'_>, bad: &[Bad]) -> Result<()> {
    let calls = bad
        .iter()
        .flat_map(|(call, _)| [call.clone(), call.clone()]);
    let told = plugin.ask(&Value::Array(calls.collect()))?;
    let told = told.as_array().context("no answers")?;
    let mut wrong = Vec::new();
    for ((call, code), told) in bad.iter().zip(told.chunks(2)) {
        for told in told {
            let is = told["code"].as_str().unwrap_or("ok");
            // Of a service that isn't there, the server says nothing.
            let is_told = *code == "Unimplemented" || told["why"] != "";
            if is != *code || !is_told {
                wrong.push(format!("{call}: {told} instead of {code}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What is missing, malformed or contradictory is refused by its code, and changes nothing.
pub(super) fn arguments(cluster: &Cluster) -> Result<()> {
    let made = life::make(cluster, vec![Claim::new("asked", Form::Ext4)])?;
    let volume = &made[0];
    let granted = cluster.sidecars().retried(&volume.grant(NODE))?;
    let other = Claim::new("never", Form::Ext4);
    all_are_told(&cluster.sidecars(), &of_controller(volume, &other))?;
    all_are_told(&cluster.kubelet(NODE), &of_node(volume, &granted))?;
    cluster.is_clean(NODE)?;
    let objects = cluster.plane().kubectl("get wvol -o name")?;
    ensure!(objects.lines().count() == 1, "there are {objects}");
    cluster.sidecars().retried(&volume.revoke(NODE))?;
    life::remove(cluster, &[volume])?;
    cluster.is_empty()
}

/// Each request of a life is made four times at once: some are told that it is under way, one does it, and a last one finds it done.
pub(super) fn beside_itself(cluster: &Cluster) -> Result<()> {
    let claim = Claim::new("beside-itself", Form::Ext4);
    let (sidecars, kubelet) = (cluster.sidecars(), cluster.kubelet(NODE));
    let volume = claim.clone().made(&four(&sidecars, &claim.create())?)?;
    let granted = four(&sidecars, &volume.grant(NODE))?;
    life::prepare(cluster, NODE, &[&volume])?;
    four(&kubelet, &volume.stage(&granted))?;
    four(&kubelet, &volume.publish(&granted))?;
    let mounts = "grep -c /var/lib/kubelet /proc/self/mountinfo";
    let mounts = cluster.guest(NODE).sh(mounts)?;
    ensure!(
        mounts.trim() == "2",
        "{mounts} mounts after all were made at once"
    );
    life::write(cluster, NODE, &volume, 0, 2)?;
    four(&kubelet, &volume.unpublish())?;
    four(&kubelet, &volume.unstage())?;
    life::tidy(cluster, NODE, &[&volume])?;
    four(&sidecars, &volume.revoke(NODE))?;
    four(&sidecars, &volume.delete())?;
    cluster.is_empty()
}

fn four(plugin: &Plugin<'_>, call: &Value) -> Result<Value> {
    let told = plugin.ask(&json!([[call, call, call, call]]))?;
    for told in told[0].as_array().into_iter().flatten() {
        let code = told["code"].as_str().unwrap_or("ok");
        ensure!(
            ["ok", "Aborted"].contains(&code),
            "{call} beside itself: {told}"
        );
    }
    plugin.retried(call)
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Plugin,
    Agent,
    Controller,
}

/// Each step of a life while one of the parts is killed; it is started again, the request is made again, and all is as if nothing had happened.
pub(super) fn interrupted(cluster: &Cluster, scale: Scale) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(scale.seed);
    let victims = [Victim::Plugin, Victim::Agent, Victim::Controller];
    let chosen: Vec<_> = match scale.full {
        true => victims.to_vec(),
        false => vec![victims[random.usize(..victims.len())]],
    };
    for victim in chosen {
        let life = interrupted_life(cluster, victim, &mut random);
        life.with_context(|| format!("{victim:?} was killed"))?;
    }
    Ok(())
}

fn interrupted_life(cluster: &Cluster, victim: Victim, random: &mut fastrand::Rng) -> Result<()> {
    let name = format!("interrupted-{victim:?}").to_lowercase();
    let claim = Claim::new(&name, Form::Ext4);
    let (sidecars, kubelet) = (cluster.sidecars(), cluster.kubelet(NODE));
    let mut step = |on: Node, plugin: &Plugin<'_>, call: &Value| -> Result<Value> {
        let after = random.u32(1..60);
        let asking = plugin.asking(&json!([call]));
        let guest = cluster.guest(on);
        guest.spawn(&format!("bash -c {}", quoted(&asking)), "/tmp/asked")?;
        let pause = format!("sleep 0.{after:02}");
        guest.sh(&pause)?;
        match victim {
            Victim::Plugin => {
                plugin.kill()?;
                plugin.start()?;
            }
            Victim::Agent => {
                cluster.agent().kill()?;
                cluster.agent().start()?;
            }
            Victim::Controller => {
                cluster.plane().kill()?;
                cluster.plane().start(Parts::Both)?;
            }
        }
        let told = plugin.retried(call);
        told.with_context(|| format!("killed after 0.{after:02} s"))
    };
    let made = step(Node::S, &sidecars, &claim.create())?;
    let volume = claim.made(&made)?;
    let granted = step(Node::S, &sidecars, &volume.grant(NODE))?;
    life::prepare(cluster, NODE, &[&volume])?;
    step(NODE, &kubelet, &volume.stage(&granted))?;
    step(NODE, &kubelet, &volume.publish(&granted))?;
    life::write(cluster, NODE, &volume, 0, 2)?;
    step(NODE, &kubelet, &volume.unpublish())?;
    step(NODE, &kubelet, &volume.unstage())?;
    life::tidy(cluster, NODE, &[&volume])?;
    cluster.is_clean(NODE)?;
    step(Node::S, &sidecars, &volume.revoke(NODE))?;
    life::bring(cluster, Node::S, &[&volume])?;
    life::holds(cluster, Node::S, &volume, 2)?;
    life::take(cluster, Node::S, &[&volume])?;
    step(Node::S, &sidecars, &volume.delete())?;
    cluster.is_empty()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
