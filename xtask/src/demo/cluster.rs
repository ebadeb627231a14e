//! Three nodes: two with a disk, and one that uses volumes, where the controller runs as well.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::volume::Volume;
use crate::exposition::Exposition;
use crate::scene::consumer;
use crate::scene::control_plane::{AGENT_KUBECONFIG, ControlPlane, Parts};
use crate::scene::storage::{self, Agent};
use crate::vm::disk::Disk;
use crate::vm::guest::Guest;
use crate::vm::machine::{Lab, Machine, Spec, address};

/// The controller's node, by the last byte of its address.
const CONTROL: u8 = 2;

/// A storage node.
#[derive(Clone, Copy, Debug)]
struct Node {
    name: &'static str,
    pool: &'static str,
    /// The last byte of its address.
    address: u8,
}

const NODES: [Node; 2] = [
    Node {
        name: storage::NODE,
        pool: storage::POOL,
        address: 1,
    },
    Node {
        name: "storage-2",
        pool: "fast-2",
        address: 3,
    },
];

/// The disks of a storage node: for its pool, and for what its system keeps.
pub(super) type Disks = [Disk; 2];

/// All of it.
pub(super) struct Cluster<'a> {
    lab: &'a Lab,
    disks: &'a [Disks; 2],
    storage: [Machine; 2],
    consumer: Machine,
}

/// What every storage node's agent showed at one time.
pub(super) struct Scrapes([Exposition; 2]);

impl Scrapes {
    /// That of the node where a volume is.
    pub(super) fn of(&self, volume: &Volume) -> &Exposition {
        let Scrapes(all) = self;
        &all[volume.node]
    }
}

/// Makes the disks.
pub(super) fn disks(lab: &Lab) -> Result<[Disks; 2]> {
    let disks = |node: Node| -> Result<Disks> {
        let disk =
            |part: &str, bytes| Disk::plain(lab.dir(), &format!("{}-{part}", node.name), bytes);
        Ok([disk("pool", 4 << 30)?, disk("state", 256 << 20)?])
    };
    let [one, other] = NODES;
    Ok([disks(one)?, disks(other)?])
}

impl<'a> Cluster<'a> {
    /// Boots the nodes and starts what runs on them.
    pub(super) fn boot(lab: &'a Lab, disks: &'a [Disks; 2]) -> Result<Self> {
        let [one, other] = disks
            .each_ref()
            .map(|disks| disks.iter().collect::<Vec<_>>());
        let specs = [spec(0, &one), spec(1, &other), consumer::spec()];
        let [one, other, consumer] = lab.boot(specs)?;
        let cluster = Cluster {
            lab,
            disks,
            storage: [one, other],
            consumer,
        };
        let plane = cluster.plane();
        plane.start(Parts::Both)?;
        for (index, node) in NODES.into_iter().enumerate() {
            let guest = cluster.storage_guest(index);
            guest.sh("mkfs.ext4 -q /dev/vdb")?;
            mount_state(guest)?;
            plane.enrol_node(node.name, guest)?;
            cluster.agent(index).start()?;
        }
        Ok(cluster)
    }

    /// Applies a pool for each storage node, and waits until both are there.
    pub(super) fn apply_pools(&self) -> Result<()> {
        let plane = self.plane();
        plane.apply(&list(&NODES.map(pool)))?;
        for node in NODES {
            plane.wait(&format!("wpool {}", node.pool), "\"freeBytes\":[1-9]")?;
        }
        Ok(())
    }

    /// kubectl, `weir` and the controller.
    pub(super) fn plane(&self) -> ControlPlane<'_> {
        ControlPlane::at(&self.consumer.guest, &address(CONTROL))
    }

    /// A storage node's agent.
    pub(super) fn agent(&self, node: usize) -> Agent<'_> {
        let guest = self.storage_guest(node);
        Agent::joined(guest, AGENT_KUBECONFIG).of(NODES[node].name)
    }

    /// A storage node.
    pub(super) fn storage_guest(&self, node: usize) -> &Guest {
        &self.storage[node].guest
    }

    /// The node that uses volumes.
    pub(super) fn consumer(&self) -> &Guest {
        &self.consumer.guest
    }

    /// The name of a storage node.
    pub(super) fn name(node: usize) -> &'static str {
        NODES[node].name
    }

    /// The pool of a storage node.
    pub(super) fn pool(node: usize) -> &'static str {
        NODES[node].pool
    }

    /// The storage node that a pool is on.
    pub(super) fn node_of(pool: &str) -> Result<usize> {
        let node = NODES.iter().position(|node| node.pool == pool);
        node.with_context(|| format!("there is no pool {pool}"))
    }

    /// What both agents show.
    pub(super) fn scrape(&self) -> Result<Scrapes> {
        Ok(Scrapes([self.agent(0).scrape()?, self.agent(1).scrape()?]))
    }

    /// A storage node's power is cut.
    pub(super) fn lose(&mut self, node: usize) -> Result<()> {
        self.storage[node].lose_power()
    }

    /// It comes back: its system boots, and starts the agent.
    pub(super) fn boot_again(&mut self, node: usize) -> Result<()> {
        let disks: Vec<&Disk> = self.disks[node].iter().collect();
        let [machine] = self.lab.boot([spec(node, &disks)])?;
        self.storage[node] = machine;
        mount_state(self.storage_guest(node))?;
        self.agent(node).start()
    }

    /// Ends all of it in good order.
    pub(super) fn stop(self) -> Result<()> {
        self.consumer.stop()?;
        self.storage.into_iter().try_for_each(Machine::stop)
    }
}

/// Several objects as one, for one `kubectl apply`.
pub(super) fn list(objects: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": objects})
}

fn spec<'a>(node: usize, disks: &'a [&'a Disk]) -> Spec<'a> {
    Spec {
        name: NODES[node].name,
        address: NODES[node].address,
        ..storage::spec(disks)
    }
}

fn pool(node: Node) -> Value {
    let mut pool = storage::pool_object(node.pool, node.name, &address(node.address));
    pool["spec"]["engine"]["kernel"]["thinPool"] = json!({"capacityBytes": 512_u64 << 20});
    pool
}

/// What a system does at its start.
fn mount_state(guest: &Guest) -> Result<()> {
    let mount = "mkdir -p /var/lib/weir && mount /dev/vdb /var/lib/weir";
    guest.sh(mount).map(drop)
}
