//! A cluster of two nodes: a person applies pools and volumes with kubectl, and does nothing else.
//!
//! One VM has a controller with its own API, kubectl, a disk and an agent that follows the API; the other one uses
//! the volumes.

mod chaos;

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
const KEPT: Volume = Volume {
    name: "kept",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0092",
};

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
    if std::env::var_os(chaos::TRIAL).is_none() {
        life(lab, report);
    }
    chaos::run(lab, report, scale);
}

/// What a person sees of a cluster in its life.
fn life(lab: &Lab, report: &mut Report) {
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
    case("what is deleted is gone", Scene::delete);
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
