//! A cluster of two nodes: a person applies pools and volumes with kubectl, and does nothing else.
//!
//! One VM has a controller with its own API, kubectl, a disk and an agent that follows the API; the other one uses
//! the volumes.

mod chaos;
mod replaced;
mod telemetry;
mod thin;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::report::Report;
use super::{Scale, expect};
use crate::scene::consumer;
use crate::scene::control_plane::{AGENT_KUBECONFIG, ControlPlane, Parts};
use crate::scene::storage::{self, Agent, POOL};
use crate::vm::disk::Disk;
use crate::vm::machine::{Lab, Machine, address};

const EXPORTED: Volume = Volume {
    name: "exported",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0091",
};
/// Made after the copy of the store that is restored.
const NEWER: Volume = Volume {
    name: "newer",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0093",
};
/// Deleted after it.
const GONE: Volume = Volume {
    name: "gone",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0094",
};
const KEPT: Volume = Volume {
    name: "kept",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0092",
};

const DEAD: Volume = Volume {
    name: "dead",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0095",
};

/// After so long an object of a volume whose agent was killed is gone: the agent's silence, a renewal of its Lease before
/// that, and a little.
const UNHEARD: Duration = Duration::from_secs(40 + 10 + 5);

/// What a tenant wrote.
const DATA: &str = "data that nobody may lose";

/// A volume of 64 MiB for the consumer. Where it is, the controller decides.
struct Volume {
    name: &'static str,
    id: &'static str,
}

struct Scene {
    storage: Machine,
    consumer: Machine,
    /// The consumer's device of [`EXPORTED`].
    device: String,
    exported: Value,
}

pub(crate) fn run(lab: &Lab, report: &mut Report, scale: Scale) {
    let is_trial = std::env::var_os(chaos::TRIAL).is_some();
    // CI has time for one of the two, which the seed tells.
    if !is_trial && scale.is_due(5, 0, 2) {
        life(lab, report, scale);
    }
    if is_trial || scale.is_due(5, 1, 2) {
        chaos::run(lab, report, scale);
    }
}

/// What a person sees of a cluster in its life.
fn life(lab: &Lab, report: &mut Report, scale: Scale) {
    let kernel = lab.kernel;
    let disk = Disk::plain(lab.dir(), "control", 2 << 30);
    let disk = report.need(&format!("{kernel} control: a disk"), || disk);
    let Some(disk) = disk else { return };
    let scene = report.need(
        &format!("{kernel} control: what is applied is served"),
        || Scene::set_up(lab, &disk),
    );
    let Some(scene) = scene else { return };
    let mut case = |name: &str, run: fn(&Scene) -> Result<()>| {
        report.case(&format!("{kernel} control: {name}"), || run(&scene));
    };
    case(
        "without controller and API everything goes on",
        Scene::goes_on,
    );
    case("an object that vanishes orders nothing", Scene::vanish);
    // CI has time for two of these five, which the seed tells.
    if scale.is_due(6, 0, 2) {
        case(
            "what the agent counts arrives once, whoever leads",
            telemetry::arrives_once,
        );
        if scale.is_due(7, 0, 2) {
            case(
                "an emptied store takes nothing, and a person brings the objects back",
                Scene::emptied,
            );
        }
        if scale.is_due(7, 1, 2) {
            case(
                "another cluster's store takes nothing and shows nothing empty",
                replaced::changes_nothing,
            );
        }
    }
    if scale.is_due(6, 1, 2) {
        case(
            "what is deleted while its agent is dead is gone when it is back",
            Scene::bury,
        );
        case(
            "a store restored from an old copy takes nothing and shows nothing empty",
            Scene::restored,
        );
    }
    case("what is deleted is gone", Scene::delete);
    // CI has time for it where the seed tells so.
    if scale.is_due(8, 0, 2) {
        case(
            "a thin pool that fills up tells, and gets no more",
            thin::fills_up,
        );
    }
    report.case(&format!("{kernel} control: stop"), || {
        scene.consumer.cut_power()?;
        scene.storage.stop()
    });
}

impl Volume {
    fn object(&self) -> Value {
        json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": self.name},
            "spec": {
                "id": self.id,
                "capacityBytes": 64 << 20,
                "attachments": [{"nodeName": consumer::NODE, "generation": 1}],
            },
        })
    }

    fn lv(&self) -> String {
        format!("weir-{POOL}/w_{}", self.id.replace('-', ""))
    }

    fn subsystem(&self) -> String {
        let id = self.id;
        format!("/sys/kernel/config/nvmet/subsystems/nqn.2026-11.dev.weir:{id}")
    }
}

impl Scene {
    fn set_up(lab: &Lab, disk: &Disk) -> Result<Self> {
        let disks = [disk];
        let [storage, consumer] = lab.boot([storage::spec(&disks), consumer::spec()])?;
        let plane = ControlPlane::new(&storage.guest);
        plane.start(Parts::Both)?;
        plane.enrol()?;
        agent(&storage).start()?;
        plane.apply(&storage::pool_object(POOL, storage::NODE, &address(1)))?;
        plane.wait(&format!("wpool {POOL}"), "\"freeBytes\":[1-9]")?;
        plane.apply(&EXPORTED.object())?;
        let exported = granted(&plane, &EXPORTED)?;
        expect(
            "its pool",
            &exported["spec"]["poolName"],
            &Value::from(POOL),
        )?;
        let finalizers = &exported["metadata"]["finalizers"];
        expect("its finalizers", finalizers, &json!(["weir.dev/data"]))?;
        let guest = &storage.guest;
        guest.sh(&format!("lvs {}", EXPORTED.lv()))?;
        let hosts = guest.sh(&format!("ls {}/allowed_hosts", EXPORTED.subsystem()))?;
        let host = format!("nqn.2026-11.dev.weir:host:{}:1", consumer::NODE);
        expect("who may use it", &hosts.trim(), &host.as_str())?;
        let device = consumer::connect(&consumer.guest, &exported["status"])?;
        let write = format!("guest-io fill {device} \"{DATA}\" && sync");
        consumer.guest.sh(&write)?;
        Ok(Scene {
            storage,
            consumer,
            device,
            exported,
        })
    }

    /// API and controller die in mid-life, and the agent starts anew without them.
    fn goes_on(&self) -> Result<()> {
        let (plane, agent) = (self.plane(), agent(&self.storage));
        let before = self.sum()?;
        plane.kill()?;
        agent.kill()?;
        agent.start()?;
        agent.wait_resync()?;
        expect("the consumer's data", &self.sum()?, &before)?;
        let orphaned = "grep -l Orphaned /run/weir/status/*.json";
        let orphaned = self.storage.guest.run(orphaned)?;
        ensure!(orphaned.code != 0, "orphans: {}", orphaned.stdout);
        plane.start(Parts::Both)?;
        plane.apply(&KEPT.object())?;
        granted(&plane, &KEPT)?;
        expect("the consumer's data", &self.sum()?, &before)?;
        plane.check_log()
    }

    /// Somebody takes the finalizer away, and the object, where no controller could put it back.
    fn vanish(&self) -> Result<()> {
        let (plane, agent) = (self.plane(), agent(&self.storage));
        let (guest, name) = (&self.storage.guest, KEPT.name);
        plane.kill()?;
        plane.start(Parts::Api)?;
        plane.kubectl(&format!(
            "patch wvol {name} --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'"
        ))?;
        plane.kubectl(&format!("delete wvol {name}"))?;
        plane.wait_gone(&format!("wvol {name}"))?;
        agent.wait_status(&format!("volume-{name}"), "Orphaned")?;
        guest.sh(&format!("lvs {} && ls {}", KEPT.lv(), KEPT.subsystem()))?;
        plane.kill()?;
        plane.start(Parts::Both)?;
        // It names no pool. The controller may choose the same one only, there is no other, and what is there is
        // the volume's again.
        plane.apply(&KEPT.object())?;
        granted(&plane, &KEPT)?;
        guest.sh(&format!("lvs {}", KEPT.lv()))?;
        plane.check_log()
    }

    /// The agent is dead, a volume is deleted; its object goes, and its data once the agent is back. Nothing else does.
    fn bury(&self) -> Result<()> {
        let (plane, agent) = (self.plane(), agent(&self.storage));
        let guest = &self.storage.guest;
        plane.apply(&DEAD.object())?;
        granted(&plane, &DEAD)?;
        let before = self.sum()?;
        agent.kill()?;
        plane.kubectl(&format!("delete wvol {} --wait=false", DEAD.name))?;
        let ordered = Instant::now();
        plane.wait_gone(&format!("wvol {}", DEAD.name))?;
        let took = ordered.elapsed();
        ensure!(took < UNHEARD, "the object was gone after {took:?}");
        let tombstones = plane.kubectl("get wtomb -o jsonpath='{.items[*].spec.id}'")?;
        expect("the tombstones", &tombstones.trim(), &DEAD.id)?;
        guest.sh(&format!("lvs {} && ls {}", DEAD.lv(), DEAD.subsystem()))?;
        agent.start()?;
        let name = plane.kubectl("get wtomb -o name")?;
        if !name.trim().is_empty() {
            plane.wait_gone(name.trim())?;
        }
        guest.sh(&format!(
            "! lvs {} 2>/dev/null && ! ls {} 2>/dev/null",
            DEAD.lv(),
            DEAD.subsystem()
        ))?;
        expect("the consumer's data", &self.sum()?, &before)?;
        for volume in [&EXPORTED, &KEPT] {
            granted(&plane, volume)?;
            guest.sh(&format!("lvs {}", volume.lv()))?;
        }
        plane.check_log()
    }

    fn restored(&self) -> Result<()> {
        let (plane, guest) = (self.plane(), &self.storage.guest);
        let before = self.sum()?;
        plane.apply(&GONE.object())?;
        granted(&plane, &GONE)?;
        plane.kill()?;
        plane.save()?;
        plane.start(Parts::Both)?;
        plane.apply(&NEWER.object())?;
        granted(&plane, &NEWER)?;
        plane.kubectl(&format!("delete wvol {}", GONE.name))?;
        plane.wait_gone(&format!("wvol {}", GONE.name))?;
        plane.kill()?;
        plane.restore()?;
        plane.start(Parts::Both)?;
        plane.wait(&format!("wvol {}", GONE.name), "DataMissing")?;
        plane.wait(&format!("wpool {POOL}"), "\"orphans\":1")?;
        guest.sh(&format!(
            "! lvs {} 2>/dev/null && lvs {}",
            GONE.lv(),
            NEWER.lv()
        ))?;
        expect("the consumer's data", &self.sum()?, &before)?;
        plane.weir("orphans adopt --all --api")?;
        granted(&plane, &NEWER)?;
        for volume in [&GONE, &NEWER] {
            plane.kubectl(&format!("delete wvol {} --wait=false", volume.name))?;
            plane.wait_gone(&format!("wvol {}", volume.name))?;
        }
        expect("the consumer's data", &self.sum()?, &before)?;
        plane.check_log()
    }

    /// The new store has certificates of its own too: the agent is enrolled anew.
    fn emptied(&self) -> Result<()> {
        let (plane, agent, guest) = (self.plane(), agent(&self.storage), &self.storage.guest);
        let before = self.sum()?;
        plane.kill()?;
        plane.empty()?;
        plane.start(Parts::Both)?;
        plane.enrol()?;
        agent.kill()?;
        agent.start()?;
        agent.wait_status(&format!("storagepool-{POOL}"), "ForeignCluster")?;
        guest.sh(&format!("lvs {} && lvs {}", EXPORTED.lv(), KEPT.lv()))?;
        expect("the consumer's data", &self.sum()?, &before)?;
        guest.sh(&format!("weir cluster accept {}", plane.cluster()?))?;
        guest.sh(&format!("weir orphans adopt --pool {POOL}"))?;
        plane.wait(&format!("wpool {POOL}"), "\"orphans\":2")?;
        plane.weir("orphans adopt --all --api")?;
        for volume in [&EXPORTED, &KEPT] {
            granted(&plane, volume)?;
        }
        expect("the consumer's data", &self.sum()?, &before)?;
        plane.check_log()
    }

    fn delete(&self) -> Result<()> {
        let plane = self.plane();
        let guest = &self.storage.guest;
        consumer::disconnect(&self.consumer.guest, &self.exported["status"])?;
        for volume in [&EXPORTED, &KEPT] {
            plane.kubectl(&format!("delete wvol {} --wait=false", volume.name))?;
        }
        for volume in [&EXPORTED, &KEPT] {
            plane.wait_gone(&format!("wvol {}", volume.name))?;
            guest.sh(&format!(
                "! lvs {} 2>/dev/null && ! ls {} 2>/dev/null",
                volume.lv(),
                volume.subsystem()
            ))?;
        }
        plane.check_log()
    }

    fn plane(&self) -> ControlPlane<'_> {
        ControlPlane::new(&self.storage.guest)
    }

    /// The consumer reads 200 times.
    fn read(&self) -> Result<()> {
        let device = &self.device;
        let read = format!("dd if={device} of=/dev/null bs=64k count=200 iflag=direct status=none");
        self.consumer.guest.sh(&read).map(drop)
    }

    /// A checksum of what the consumer reads.
    fn sum(&self) -> Result<String> {
        let device = &self.device;
        let sum = format!("dd if={device} bs=1M iflag=direct status=none | md5sum");
        self.consumer.guest.sh(&sum)
    }
}

fn agent(storage: &Machine) -> Agent<'_> {
    Agent::joined(&storage.guest, AGENT_KUBECONFIG)
}

/// Waits until a volume is Ready and its status tells the consumer how to connect; the object.
fn granted(plane: &ControlPlane<'_>, volume: &Volume) -> Result<Value> {
    let object = format!("wvol {}", volume.name);
    plane.wait(&object, "\"phase\":\"Ready\"")?;
    let host = format!(":host:{}:1\"", consumer::NODE);
    let seen = plane.wait(&object, &host);
    seen.with_context(|| format!("{object} is not granted"))
}
