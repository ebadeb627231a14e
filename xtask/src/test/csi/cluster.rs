//! The three nodes.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::scene::control_plane::{AGENT_KUBECONFIG, ControlPlane, Parts};
use crate::scene::plugin::{Half, KUBELET, Plugin};
use crate::scene::storage::{self, Agent, POOL};
use crate::vm::disk::Disk;
use crate::vm::guest::Guest;
use crate::vm::machine::{Lab, Machine, Spec, address};
use crate::vm::write_log::Unflushed;

/// The pool whose disk has a volatile write cache.
pub(super) const DURABLE: &str = "durable";

/// Its portal is at an address of its own, which can be taken away.
const OWN_PORTAL: u8 = 11;

/// A node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// That of the pools and the API.
    S,
    A,
    B,
}

impl Node {
    pub(super) const ALL: [Node; 3] = [Node::S, Node::A, Node::B];

    pub(super) fn name(self) -> &'static str {
        match self {
            Node::S => storage::NODE,
            Node::A => "a",
            Node::B => "b",
        }
    }

    fn number(self) -> usize {
        match self {
            Node::S => 0,
            Node::A => 1,
            Node::B => 2,
        }
    }
}

/// What the storage node has: the disks of two pools, and one for API and record.
pub(super) struct Disks {
    fast: Disk,
    state: Disk,
    durable: Disk,
}

impl Disks {
    pub(super) fn new(lab: &Lab) -> Result<Self> {
        Ok(Disks {
            fast: Disk::plain(lab.dir(), "fast", 8 << 30)?,
            state: Disk::plain(lab.dir(), "state", 512 << 20)?,
            durable: Disk::volatile(lab.dir(), "durable", 256 << 20)?,
        })
    }

    /// To be called when the storage node has lost power: decides what its disks hold.
    pub(super) fn settle(&self, unflushed: Unflushed) -> Result<()> {
        self.all()
            .into_iter()
            .try_for_each(|disk| disk.settle(unflushed).map(drop))
    }

    fn all(&self) -> [&Disk; 3] {
        [&self.fast, &self.state, &self.durable]
    }
}

/// All of it.
pub(super) struct Cluster {
    machines: [Machine; 3],
}

impl Cluster {
    /// Boots all, starts everything, waits until there is room.
    pub(super) fn boot(lab: &Lab, disks: &Disks) -> Result<Self> {
        let all = disks.all();
        let machines = lab.boot([storage::spec(&all), user(Node::A), user(Node::B)])?;
        let cluster = Cluster { machines };
        cluster.guest(Node::S).sh("mkfs.ext4 -q /dev/vdb")?;
        cluster.start_storage(true)?;
        let plane = cluster.plane();
        let nodes = Node::ALL.map(
            |node| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name()}}),
        );
        let mut objects = nodes.to_vec();
        let mut fast = storage::pool_object(POOL, storage::NODE, &address(1));
        fast["metadata"]["labels"] = json!({"disk": POOL});
        objects.push(fast);
        let mut durable = storage::pool_object(DURABLE, storage::NODE, &address(OWN_PORTAL));
        durable["spec"]["engine"]["kernel"]["devices"] = json!(["/dev/vdc"]);
        durable["spec"]["acceptVolatileWriteCache"] = json!(false);
        durable["metadata"]["labels"] = json!({"disk": DURABLE});
        objects.push(durable);
        plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": objects}))?;
        cluster.sidecars().enrol(&plane)?;
        cluster.sidecars().start()?;
        for node in Node::ALL {
            let plugin = cluster.kubelet(node);
            plugin.enrol(&plane)?;
            plugin.start()?;
        }
        for pool in [POOL, DURABLE] {
            let free = plane.wait(&format!("wpool {pool}"), "\"freeBytes\":[1-9]");
            free.with_context(|| cluster.agent().log())?;
        }
        Ok(cluster)
    }

    /// What the storage node does when it boots, the first time or again.
    fn start_storage(&self, is_first: bool) -> Result<()> {
        let guest = self.guest(Node::S);
        guest.sh("mkdir -p /var/lib/weir && mount /dev/vdb /var/lib/weir")?;
        self.reach(true)?;
        let plane = self.plane();
        plane.start(Parts::Both)?;
        if is_first {
            plane.enrol()?;
        }
        self.agent().start()
    }

    /// A node loses power.
    pub(super) fn lose_power(&mut self, node: Node) -> Result<()> {
        self.machines[node.number()].lose_power()
    }

    /// It has power again, and everything that starts by itself is there.
    pub(super) fn return_power(&mut self, lab: &Lab, disks: &Disks, node: Node) -> Result<()> {
        let all = disks.all();
        let spec = match node {
            Node::S => storage::spec(&all),
            Node::A | Node::B => user(node),
        };
        let [machine] = lab.boot([spec])?;
        self.machines[node.number()] = machine;
        match node {
            Node::S => {
                self.start_storage(false)?;
                self.sidecars().start()?;
            }
            // Its root disk is as it was made.
            Node::A | Node::B => self.kubelet(node).enrol(&self.plane())?,
        }
        self.kubelet(node).start()
    }

    /// Lets the pool [`DURABLE`] be reached, or not any more: packets go nowhere, and no connection is told.
    pub(super) fn reach(&self, can_be: bool) -> Result<()> {
        let change = if can_be { "add" } else { "del" };
        let address = address(OWN_PORTAL);
        self.guest(Node::S)
            .sh(&format!("ip addr {change} {address}/24 dev eth0"))
            .map(drop)
    }

    pub(super) fn guest(&self, node: Node) -> &Guest {
        &self.machines[node.number()].guest
    }

    pub(super) fn plane(&self) -> ControlPlane<'_> {
        ControlPlane::at(self.guest(Node::S), &address(1))
    }

    pub(super) fn agent(&self) -> Agent<'_> {
        Agent::joined(self.guest(Node::S), AGENT_KUBECONFIG).by_default()
    }

    /// Who asks the controller's half.
    pub(super) fn sidecars(&self) -> Plugin<'_> {
        Plugin::new(self.guest(Node::S), Half::Controller)
    }

    /// Who asks a node's half.
    pub(super) fn kubelet(&self, node: Node) -> Plugin<'_> {
        Plugin::new(self.guest(node), Half::Node(node.name()))
    }

    /// Fails unless a node has nothing of any volume: no mount, connection, device, directory.
    pub(super) fn is_clean(&self, node: Node) -> Result<()> {
        let look = format!(
            "grep -n {KUBELET} /proc/self/mountinfo; grep -l dev.weir /sys/class/nvme/*/subsysnqn 2>/dev/null; \
             find {KUBELET} -mindepth 2 2>/dev/null; \
             ps -o pid,args | grep '[w]eir-csi helper'; true"
        );
        let left = self.guest(node).sh(&look)?;
        ensure!(left.trim().is_empty(), "left on {node:?}: {left}");
        Ok(())
    }

    /// Fails unless nothing of any volume is anywhere.
    pub(super) fn is_empty(&self) -> Result<()> {
        for node in Node::ALL {
            self.is_clean(node)?;
        }
        let look = "ls /dev/mapper | grep -e w_ -e ^weir-; ls /sys/kernel/config/nvmet/subsystems | grep dev.weir; \
                    lvs --noheadings -o lv_name 2>/dev/null | grep w_; ls /var/lib/weir/record | grep volume; true";
        let left = self.guest(Node::S).sh(look)?;
        ensure!(left.trim().is_empty(), "left of volumes: {left}");
        let objects = self.plane().kubectl("get wvol -o name")?;
        ensure!(objects.trim().is_empty(), "left in the API: {objects}");
        self.plane().check_log()
    }

    pub(super) fn stop(self) -> Result<()> {
        let [s, a, b] = self.machines;
        a.cut_power()?;
        b.cut_power()?;
        s.stop()
    }
}

/// The value of a field that is text.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str> {
    let text = value[name].as_str();
    text.with_context(|| format!("{value} has no {name}"))
}

fn user(node: Node) -> Spec<'static> {
    Spec {
        name: node.name(),
        address: match node {
            Node::S => 1,
            Node::A => 2,
            Node::B => 3,
        },
        memory_mib: 768,
        disks: &[],
    }
}
