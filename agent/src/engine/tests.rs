//! The engine on a simulated node.

mod boot;
mod calm;
mod cases;
mod fuzz;
mod join;
mod multihost;
mod orphans;
mod pools;
mod random;
mod thin;
mod tombstones;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use nvmet::Configfs;
use uuid::Uuid;
use weir_api::condition::{Condition, Truth};
use weir_api::names::{Generation, VolumeId, host_nqn};
use weir_api::volume::{Access, Attachment, Phase, Provisioning, Volume, VolumeStatus};

use super::{Engine, Parts, Round};
use crate::durable::Fs;
use crate::fuse::Fuse;
use crate::gauges::Gauges;
use crate::measure::Measure;
use crate::plan::Node;
use crate::probe::Wanted;
use crate::record::{BootId, RecordError, Store};
use crate::requests::Requests;
use crate::sim::node::parts;
use crate::sim::{Content, EXTENT, Sim, name};
use crate::target::KernelTarget;

const NODE: &str = "storage-1";
const REQUESTS: &str = "/requests";
const RECORD: &str = "/record";
const STATUS: &str = "/status";
const POOL: &str = r#"{"apiVersion": "weir.dev/v1alpha1", "kind": "StoragePool",
    "metadata": {"name": "fast"}, "spec": {"nodeName": "storage-1",
    "engine": {"kernel": {"volumeGroup": "vg0", "devices": ["/dev/vdb"],
                          "thinPool": {"capacityBytes": 67108864}}},
    "portals": [{"address": "10.0.0.1"}]}}"#;

/// A simulated node, its agent, and whoever asks it for things.
struct World {
    sim: Sim,
    engine: Engine,
    gauges: Arc<Mutex<Gauges>>,
    measured: Arc<Mutex<Wanted>>,
    /// Hosts that any request granted a volume to.
    hosts: BTreeMap<VolumeId, BTreeSet<String>>,
    generation: u64,
}

impl Measure for Arc<Mutex<Wanted>> {
    fn sync(&mut self, wanted: &Wanted) {
        self.lock().unwrap().clone_from(wanted);
    }
}

impl World {
    fn empty() -> Self {
        let sim = Sim::new();
        let gauges = Arc::default();
        let measured = Arc::default();
        let engine = engine(&sim, &gauges, &measured);
        World {
            sim,
            engine,
            gauges,
            measured,
            hosts: BTreeMap::new(),
            generation: 0,
        }
    }

    /// With a pool that has a portal and a thin pool.
    fn new() -> Self {
        let mut world = World::empty();
        world.put("fast", POOL);
        world.settle();
        world
    }

    /// A node that exports volume 1, `a`, to app-1 with this generation.
    fn exported() -> (Self, Generation) {
        let mut world = World::new();
        let generation = world.next();
        world.ask(&attached(volume("a", 1), "app-1", generation));
        world.settle();
        (world, generation)
    }

    /// A node that exports volume 1, `a`, to app-1 and app-2 with these generations.
    fn exported_to_two() -> (Self, Generation, Generation) {
        let mut world = World::new();
        let (first, second) = (world.next(), world.next());
        let grants = [("app-1", first), ("app-2", second)];
        world.ask(&shared(volume("a", 1), &grants));
        world.settle();
        (world, first, second)
    }

    fn restart(&mut self) {
        self.engine = engine(&self.sim, &self.gauges, &self.measured);
    }

    fn put(&self, file: &str, text: &str) {
        let path = Path::new(REQUESTS).join(format!("{file}.json"));
        self.sim.fs.put(&path, text.as_bytes());
    }

    /// Asks for a volume, and notes what that orders.
    fn ask(&mut self, volume: &Volume) {
        let id = volume.spec.id;
        let granted: BTreeSet<String> = granted_hosts(volume).collect();
        let hosts = self.hosts.entry(id).or_default();
        let mut state = self.sim.lock();
        for other in hosts.difference(&granted) {
            state.revoked.insert((id, other.clone()));
        }
        hosts.extend(granted);
        if volume.is_deleted() {
            state.ordered.insert(id);
        }
        drop(state);
        self.put(
            volume.metadata.name.as_str(),
            &serde_json::to_string(volume).unwrap(),
        );
    }

    fn vanish(&self, file: &str) {
        let path = Path::new(REQUESTS).join(format!("{file}.json"));
        let _ = self.sim.fs.unlink(&path);
    }

    fn next(&mut self) -> Generation {
        self.generation += 1;
        Generation(self.generation)
    }

    fn try_round(&mut self) -> Result<Round, RecordError> {
        let requests = Requests::read(&self.sim.fs, Path::new(REQUESTS), &|_| true);
        self.engine.round(&requests)
    }

    fn round(&mut self) -> Round {
        let round = self.try_round();
        self.check();
        round.unwrap_or(Round::Failed)
    }

    /// Rounds until nothing changes any more, zeroing included.
    fn settle(&mut self) {
        for _ in 0..8 {
            let writes = self.sim.fs.writes();
            let commands = changes(&self.sim);
            self.round();
            let zeroed = self.sim.finish_zeroing();
            if !zeroed && self.sim.fs.writes() == writes && changes(&self.sim) == commands {
                return;
            }
        }
        panic!(
            "the engine does not come to rest: {:?}",
            self.sim.lock().commands
        );
    }

    fn check(&self) {
        let violations = self.sim.lock().violations.clone();
        assert!(violations.is_empty(), "{violations:#?}");
        let statuses = self.engine.statuses();
        let volumes = statuses
            .volumes
            .values()
            .map(|(_, status)| &status.conditions);
        let pools = statuses.pools.values().map(|status| &status.conditions);
        for conditions in volumes.chain(pools) {
            let types: BTreeSet<&str> = conditions.iter().map(|one| one.kind.as_str()).collect();
            assert_eq!(types.len(), conditions.len(), "{conditions:#?}");
        }
    }

    fn status(&self, volume: &str) -> Option<VolumeStatus> {
        let path = Path::new(STATUS).join(format!("volume-{volume}.json"));
        let text = self.sim.fs.read(&path).ok()?;
        let volume: Volume = serde_json::from_slice(&text).unwrap();
        volume.status
    }

    fn phase(&self, volume: &str) -> Option<Phase> {
        self.status(volume).map(|status| status.phase)
    }

    fn reason(&self, volume: &str, kind: &str) -> (Truth, String) {
        let status = self.status(volume).unwrap();
        let condition = status.conditions.iter().find(|c| c.kind == kind);
        let condition: &Condition = condition.unwrap_or_else(|| panic!("{status:?}"));
        (condition.status, condition.reason.clone())
    }

    fn pool(&self, pool: &str) -> weir_api::pool::PoolStatus {
        let path = Path::new(STATUS).join(format!("storagepool-{pool}.json"));
        let text = self.sim.fs.read(&path).unwrap();
        let pool: weir_api::pool::StoragePool = serde_json::from_slice(&text).unwrap();
        pool.status.unwrap()
    }

    fn pool_reason(&self, pool: &str, kind: &str) -> (Truth, String) {
        let status = self.pool(pool);
        let condition = status.conditions.iter().find(|c| c.kind == kind);
        let condition: &Condition = condition.unwrap_or_else(|| panic!("{status:?}"));
        (condition.status, condition.reason.clone())
    }

    fn records(&self) -> crate::record::Records {
        Store::new(Box::new(self.sim.fs.clone()), RECORD.into())
            .load()
            .unwrap()
    }

    fn content(&self, id: VolumeId) -> Option<Content> {
        let lv = self.sim.lvs("vg0").get(&id.lv_name()).cloned()?;
        self.sim.lock().content.get(&lv.uuid).copied()
    }

    /// Whoever can use the volume writes to it, and flushes.
    fn write(&self, id: VolumeId) {
        let lv = self.sim.lvs("vg0").get(&id.lv_name()).cloned().unwrap();
        self.sim.lock().content.insert(lv.uuid, Content::Written);
    }

    /// Hosts that can do I/O on the volume.
    fn hosts_of(&self, id: VolumeId) -> BTreeSet<String> {
        self.sim.lock().served_hosts(id)
    }
}

fn engine(sim: &Sim, gauges: &Arc<Mutex<Gauges>>, measured: &Arc<Mutex<Wanted>>) -> Engine {
    let node = Node {
        name: NODE.parse().unwrap(),
        max_volumes: 6,
        boot: BootId(Uuid::from_u128(sim.boots())),
    };
    let store = Store::new(Box::new(sim.fs.clone()), RECORD.into());
    let parts = Parts {
        requests: Some(REQUESTS.into()),
        measure: Box::new(Arc::clone(measured)),
        ..parts(sim, node, store, STATUS)
    };
    Engine::new(parts, Arc::clone(gauges))
}

/// Commands that change something, so far.
fn changes(sim: &Sim) -> usize {
    let state = sim.lock();
    let reads = ["lvm pvs", "lvm lvs", "wipefs --no-act", "dmsetup status"];
    let changes = |cmd: &&String| !reads.iter().any(|read| cmd.starts_with(read));
    state.commands.iter().filter(changes).count()
}

fn id(number: u128) -> VolumeId {
    VolumeId(Uuid::from_u128(number))
}

/// A request for a volume of two extents, less a bit.
fn volume(volume: &str, number: u128) -> Volume {
    let spec = weir_api::volume::VolumeSpec {
        id: id(number),
        capacity_bytes: weir_api::units::Bytes(2 * EXTENT - 1),
        pool_name: name("fast"),
        provisioning: Provisioning::Thick,
        source: None,
        access: Access::SingleHost,
        attachments: Vec::new(),
    };
    Volume::new("Volume", name(volume), spec)
}

fn attached(mut volume: Volume, node: &str, generation: Generation) -> Volume {
    let node_name = node.parse().unwrap();
    volume.spec.attachments = vec![Attachment {
        node_name,
        generation,
        read_only: false,
    }];
    volume
}

/// Attached to several nodes.
fn shared(mut volume: Volume, grants: &[(&str, Generation)]) -> Volume {
    volume.spec.access = Access::MultiHost;
    let grants = grants.iter().map(|(node, generation)| Attachment {
        node_name: node.parse().unwrap(),
        generation: *generation,
        read_only: false,
    });
    volume.spec.attachments = grants.collect();
    volume
}

/// The hosts that a request grants its volume to.
fn granted_hosts(volume: &Volume) -> impl Iterator<Item = String> {
    let grants = volume.spec.attachments.iter();
    grants.map(|grant| host_nqn(&grant.node_name, grant.generation))
}

fn deleted(mut volume: Volume) -> Volume {
    volume.metadata.deletion_timestamp = Some("2026-11-22T12:00:00Z".to_owned());
    volume
}
