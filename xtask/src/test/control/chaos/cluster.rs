//! The cluster: two VMs with a disk and an agent each; the first one also has the API and two controllers.
//!
//! Each part reaches the API at an address of its own on the first VM's loopback device. Without that address no packet
//! gets through either way, and those that were on their way are lost; connections stay, and go on when it is back.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::driver::{Fault, PARTS, Part, Volume};
use crate::scene::storage;
use crate::vm::disk::Disk;
use crate::vm::guest::{Guest, Output};
use crate::vm::machine::{Lab, Machine, Spec, address};

/// The names of the nodes, which their pools have too.
pub(super) const NODES: [&str; 2] = ["one", "two"];
/// Who uses volumes. There is no such node.
pub(super) const CONSUMER: &str = "app";
/// How many volumes a node takes, which no controller knows. Both together take all that there ever are.
const MOST: u32 = 6;

const DIR: &str = "/var/lib/weir/api";
const KEYS: &str = "/var/lib/weir/keys";
const PORT: u16 = 6443;
const PATIENCE: Duration = storage::PATIENCE;

/// All of it.
pub(super) struct Cluster {
    machines: [Machine; 2],
    /// The process of each part.
    pids: RefCell<BTreeMap<Part, i64>>,
}

impl Cluster {
    /// Boots both, starts everything, waits until both pools are there.
    pub(super) fn start(lab: &Lab, disks: [&Disk; 2]) -> Result<Self> {
        let disks = [[disks[0]], [disks[1]]];
        let spec = |number: usize| Spec {
            name: NODES[number],
            address: last_byte(number),
            memory_mib: 1024,
            disks: &disks[number],
        };
        let cluster = Cluster {
            machines: lab.boot([spec(0), spec(1)])?,
            pids: RefCell::default(),
        };
        cluster.set_up()?;
        for (number, name) in NODES.into_iter().enumerate() {
            let pool = storage::pool_object(name, name, &address(last_byte(number)));
            let file = format!("/run/weir/pool-{name}.json");
            cluster.guest(0).write(&file, &pool.to_string())?;
            let apply = format!("{} apply -f {file}", kubectl());
            cluster.guest(0).wait_for(&apply, PATIENCE)?;
        }
        for name in NODES {
            let get = format!(
                "{} get wpool {name} -o jsonpath={{.status.freeBytes}}",
                kubectl()
            );
            let ready = format!("{get} | grep -q '[1-9]'");
            let ready = cluster.guest(0).wait_for(&ready, PATIENCE);
            ready.with_context(|| cluster.logs())?;
        }
        Ok(cluster)
    }

    fn set_up(&self) -> Result<()> {
        let names = PARTS.map(|part| format!("--name {}", at(part))).join(" ");
        let first = self.guest(0);
        for guest in self.guests() {
            guest.sh(&format!(
                "mkdir -p /run/weir {KEYS} {} && ip link set lo up",
                storage::RECORD
            ))?;
        }
        for part in PARTS {
            first.sh(&format!("ip addr add {}/32 dev lo", at(part)))?;
        }
        let route = format!("ip route add 10.78.0.0/24 via {}", address(last_byte(0)));
        self.guest(1).sh(&route)?;
        first.write("/run/weir/names", &names)?;
        self.begin(Part::Api)?;
        let made = format!("test -e {DIR}/admin.kubeconfig");
        first.wait_for(&made, PATIENCE)?;
        for part in PARTS {
            let identity = match part {
                Part::Api => "admin".to_owned(),
                Part::Controller(_) => "controller".to_owned(),
                Part::Agent(number) => format!("agent:{}", NODES[number]),
            };
            let text = first.sh(&format!(
                "weir-controller --standalone {DIR} kubeconfig {identity} --server https://{}:{PORT}",
                at(part)
            ))?;
            self.home(part).write(&key(part), &text)?;
        }
        let ready = format!("{} get --raw /readyz", kubectl());
        first.wait_for(&ready, PATIENCE)?;
        let others = PARTS.into_iter().filter(|part| *part != Part::Api);
        others.into_iter().try_for_each(|part| self.begin(part))
    }

    /// Starts a part.
    fn begin(&self, part: Part) -> Result<()> {
        let command = match part {
            Part::Api => format!(
                "weir-controller --standalone {DIR} --api-only --listen 0.0.0.0:{PORT} --allow-any-address \
                 $(cat /run/weir/names)"
            ),
            Part::Controller(_) => format!("weir-controller --kubeconfig {}", key(part)),
            Part::Agent(number) => format!(
                "weir-agent run --node {} --kubeconfig {} --record {} --status /run/weir/status --max-volumes {MOST} \
                 --resync 5",
                NODES[number],
                key(part),
                storage::RECORD
            ),
        };
        let pid = self.home(part).spawn(&command, &log(part))?;
        self.pids.borrow_mut().insert(part, pid);
        Ok(())
    }

    /// Something happens to a part.
    pub(super) fn strike(&self, part: Part, fault: Fault) -> Result<()> {
        match fault {
            Fault::Killed => self.signal(part, "KILL"),
            Fault::Paused => self.signal(part, "STOP"),
            Fault::CutOff => self.address(part, "del"),
        }
    }

    /// It is over.
    pub(super) fn heal(&self, part: Part, fault: Fault) -> Result<()> {
        match fault {
            Fault::Killed => self.begin(part),
            Fault::Paused => self.signal(part, "CONT"),
            Fault::CutOff => self.address(part, "add"),
        }
    }

    fn signal(&self, part: Part, signal: &str) -> Result<()> {
        let pid = self.pids.borrow().get(&part).copied();
        let pid = pid.with_context(|| format!("{part} was never started"))?;
        let killed = match signal {
            "KILL" => format!(" && while kill -0 {pid} 2>/dev/null; do sleep 0.02; done"),
            _ => String::new(),
        };
        let script = format!("kill -{signal} {pid}{killed}");
        self.home(part).sh(&script).map(drop)
    }

    fn address(&self, part: Part, what: &str) -> Result<()> {
        let script = format!("ip addr {what} {}/32 dev lo", at(part));
        self.guest(0).sh(&script).map(drop)
    }

    /// Fails if a part ended that nobody ended.
    pub(super) fn check_alive(&self) -> Result<()> {
        for (part, pid) in self.pids.borrow().iter() {
            let alive = self.home(*part).run(&format!("kill -0 {pid}"))?;
            anyhow::ensure!(alive.code == 0, "{part} ended by itself");
        }
        Ok(())
    }

    /// Runs kubectl, which may fail; it waits for no answer for long.
    pub(super) fn kubectl(&self, arguments: &str) -> Result<Output> {
        let limit = Duration::from_secs(60);
        let script = format!("timeout 20 {} --request-timeout=5s {arguments}", kubectl());
        self.guest(0).run_for(&script, limit)
    }

    pub(super) fn guest(&self, number: usize) -> &Guest {
        &self.machines[number].guest
    }

    pub(super) fn guests(&self) -> impl Iterator<Item = &Guest> {
        self.machines.iter().map(|machine| &machine.guest)
    }

    fn home(&self, part: Part) -> &Guest {
        match part {
            Part::Agent(number) => self.guest(number),
            Part::Api | Part::Controller(_) => self.guest(0),
        }
    }

    /// The last lines that each part wrote.
    pub(super) fn logs(&self) -> String {
        let tail = |part: Part| {
            let script = format!("tail -n 30 {}", log(part));
            let output = self.home(part).run(&script);
            let text = output.map(|output| output.stdout).unwrap_or_default();
            format!("--- {part}\n{text}")
        };
        PARTS.map(tail).concat()
    }

    /// Fails if a part's log has what only a defect writes.
    pub(super) fn check_logs(&self) -> Result<()> {
        for part in PARTS {
            let found = self
                .home(part)
                .run(&format!("grep -n panicked {}", log(part)))?;
            anyhow::ensure!(found.code != 0, "{part} said: {}", found.stdout);
        }
        Ok(())
    }

    pub(super) fn stop(self) -> Result<()> {
        self.machines.into_iter().try_for_each(Machine::cut_power)
    }

    /// Waits for something, looking at it again and again; what was in the way last.
    pub(super) fn until(limit: Duration, look: impl Fn() -> Result<()>) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            match look() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_secs(1)),
            }
        }
    }
}

/// A volume as a person asks for it.
pub(super) fn object(volume: &Volume) -> Value {
    let mut spec = json!({"id": volume.id(), "capacityBytes": volume.mib << 20});
    if let Some(node) = volume.prefers {
        spec["placement"] = json!({"locality": "PreferLocal", "consumerNode": NODES[node]});
    }
    if volume.is_attached {
        spec["attachments"] = json!([{"nodeName": CONSUMER, "generation": 1}]);
    }
    json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": volume.name()}, "spec": spec,
    })
}

fn kubectl() -> String {
    format!("env KUBECONFIG={} kubectl", key(Part::Api))
}

fn key(part: Part) -> String {
    format!("{KEYS}/{part}.kubeconfig")
}

fn log(part: Part) -> String {
    format!("/run/weir/{part}.log")
}

/// The last byte of a VM's address.
fn last_byte(number: usize) -> u8 {
    if number == 0 { 1 } else { 2 }
}

/// Where a part finds the API.
fn at(part: Part) -> String {
    let last = match part {
        Part::Api => 10,
        Part::Controller(number) => 11 + number,
        Part::Agent(number) => 21 + number,
    };
    format!("10.78.0.{last}")
}
