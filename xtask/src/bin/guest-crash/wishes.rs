//! What is asked of the agent, and what is known of it: the test's own books.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::agent::NODE;

/// Nodes that volumes are exported to. All of them are this machine.
pub(crate) const REMOTE: [&str; 2] = ["app-1", "app-2"];

/// The size of a volume: two extents.
pub(crate) const MIB: u64 = 8;

/// The pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) device: String,
    pub(crate) address: String,
    /// The portals' TCP ports.
    pub(crate) services: Vec<u16>,
    pub(crate) thin_mib: Option<u64>,
    pub(crate) asked: bool,
    pub(crate) deleted: bool,
}

/// A volume.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) thin: bool,
    pub(crate) mib: u64,
    /// Whether several nodes may use it at once.
    pub(crate) several: bool,
    /// The LV of somebody else that it is to be made of.
    pub(crate) source: Option<String>,
    /// The nodes it is attached to, and the generation of each grant.
    pub(crate) attached: BTreeMap<String, u64>,
    /// The generation of the last attachment that was asked for.
    pub(crate) generation: u64,
    /// Its deletion was ordered.
    pub(crate) deleted: bool,
    /// The LV that held it when it was ready first: it stays that one.
    pub(crate) lv_uuid: Option<String>,
    /// Its record was removed behind the agent's back, and it need not be recorded again yet.
    pub(crate) unrecorded: bool,
    /// What was written to it.
    pub(crate) written: Option<u64>,
    /// This machine is connected to this subsystem of it.
    pub(crate) connected: Option<String>,
}

/// Everything that was ever asked.
pub(crate) struct Wishes {
    dir: PathBuf,
    pub(crate) pool: Pool,
    pub(crate) volumes: BTreeMap<String, Volume>,
    made: u32,
}

impl Pool {
    pub(crate) const NAME: &str = "crash";
    /// No dash: device mapper doubles it, and names are to be compared.
    pub(crate) const GROUP: &str = "weircrash";

    pub(crate) fn new(device: &Path, address: &str) -> Self {
        Pool {
            device: device.display().to_string(),
            address: address.to_owned(),
            services: vec![4420],
            thin_mib: Some(128),
            asked: true,
            deleted: false,
        }
    }

    fn object(&self) -> Value {
        let mut kernel = json!({
            "volumeGroup": Self::GROUP,
            "devices": [self.device],
            "overwriteSignatures": true,
        });
        if let Some(mib) = self.thin_mib {
            kernel["thinPool"] = json!({ "capacityBytes": mib << 20 });
        }
        let portals: Vec<_> = self
            .services
            .iter()
            .map(|port| json!({ "address": self.address, "port": port }))
            .collect();
        let spec = json!({ "nodeName": NODE, "engine": { "kernel": kernel }, "portals": portals });
        object("StoragePool", Self::NAME, self.deleted, &spec)
    }
}

impl Volume {
    pub(crate) fn lv(&self) -> String {
        format!("w_{}", self.id.replace('-', ""))
    }

    /// The device of its LV.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/dev/mapper/{}-{}", Pool::GROUP, self.lv()).into()
    }

    /// The subsystem that exports it to each node, and the host that may use it.
    pub(crate) fn exports(&self) -> BTreeMap<String, String> {
        let remote = self.attached.iter().filter(|(node, _)| *node != NODE);
        let export = remote.map(|(node, generation)| (self.nqn(node), host(node, *generation)));
        export.collect()
    }

    pub(crate) fn nqn(&self, node: &str) -> String {
        let id = &self.id;
        if self.several {
            return format!("nqn.2026-11.dev.weir:{id}:{node}");
        }
        format!("nqn.2026-11.dev.weir:{id}")
    }

    /// Whether this node itself may use its LV: a multi-host volume is used through another device.
    pub(crate) fn is_used_here(&self) -> bool {
        !self.several && self.attached.contains_key(NODE)
    }

    /// Asks for it to be attached to these nodes and no others. Of a single-host volume each order is a
    /// new grant.
    pub(crate) fn attach(&mut self, nodes: &[&str]) {
        self.attached
            .retain(|node, _| self.several && nodes.contains(&node.as_str()));
        for node in nodes {
            if !self.attached.contains_key(*node) {
                self.generation += 1;
                self.attached.insert((*node).to_owned(), self.generation);
            }
        }
    }

    fn object(&self) -> Value {
        let attachments: Vec<_> = self
            .attached
            .iter()
            .map(|(node, generation)| json!({ "nodeName": node, "generation": generation }))
            .collect();
        let mut spec = json!({
            "id": self.id,
            "capacityBytes": self.mib << 20,
            "poolName": Pool::NAME,
            "access": if self.several { "MultiHost" } else { "SingleHost" },
            "provisioning": if self.thin { "thin" } else { "thick" },
            "attachments": attachments,
        });
        if let Some(lv) = &self.source {
            spec["source"] = json!({ "logicalVolume": lv });
        }
        object("Volume", &self.name, self.deleted, &spec)
    }

    /// What is not as it is asked for, going by the volume's status.
    fn unfulfilled(&self, object: Option<&Value>) -> Option<String> {
        let problem = |what: &str| Some(format!("volume {}: {what}: {object:?}", self.name));
        let Some(object) = object else {
            return problem("nothing is said of it");
        };
        let status = &object["status"];
        if self.deleted {
            return (status["phase"] != "Deleted")
                .then(|| problem("not deleted"))
                .flatten();
        }
        if status["phase"] != "Ready" {
            return problem("not ready");
        }
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        if conditions
            .iter()
            .any(|condition| condition["status"] == "False")
        {
            return problem("something is not as asked");
        }
        let said = status["attachments"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if said.len() != self.attached.len() {
            return problem("attachments");
        }
        for said in said {
            let node = said["nodeName"].as_str().unwrap_or_default();
            let generation = self.attached.get(node).copied();
            if generation != said["generation"].as_u64() {
                return problem("an attachment");
            }
            let host = host(node, generation.unwrap_or_default());
            let usable = if node == NODE {
                said["devicePath"].is_string()
            } else {
                said["target"]["hostNqn"] == host
            };
            if !usable {
                return problem("an attachment that can't be used");
            }
        }
        None
    }
}

/// The NQN of a node's host with a generation.
pub(crate) fn host(node: &str, generation: u64) -> String {
    format!("nqn.2026-11.dev.weir:host:{node}:{generation}")
}

fn object(kind: &str, name: &str, deleted: bool, spec: &Value) -> Value {
    let mut metadata = json!({ "name": name });
    if deleted {
        metadata["deletionTimestamp"] = json!("2026-11-22T00:00:00Z");
    }
    json!({ "apiVersion": "weir.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec })
}

impl Wishes {
    pub(crate) fn new(dir: &Path, pool: Pool) -> Self {
        Wishes {
            dir: dir.to_owned(),
            pool,
            volumes: BTreeMap::new(),
            made: 0,
        }
    }

    /// A new volume, not asked for yet.
    pub(crate) fn make(&mut self, thin: bool, several: bool) -> Volume {
        self.made += 1;
        Volume {
            name: format!("v{}", self.made),
            id: format!("c4a50000-3c0b-4c8e-9d1a-{:012x}", self.made),
            thin,
            mib: MIB,
            several,
            source: None,
            attached: BTreeMap::new(),
            generation: 0,
            deleted: false,
            lv_uuid: None,
            unrecorded: false,
            written: None,
            connected: None,
        }
    }

    /// Asks for all of it.
    pub(crate) fn ask(&self) -> Result<()> {
        if self.pool.asked {
            self.put("pool", &self.pool.object())?;
        }
        for volume in self.volumes.values() {
            self.put(&volume.name, &volume.object())?;
        }
        Ok(())
    }

    /// Asks for what is gone no more.
    pub(crate) fn forget_deleted(&mut self) -> Result<()> {
        let gone: Vec<String> = self
            .volumes
            .values()
            .filter(|volume| volume.deleted)
            .map(|volume| volume.name.clone())
            .collect();
        for name in gone {
            self.volumes.remove(&name);
            fs::remove_file(self.dir.join(format!("{name}.yaml")))?;
        }
        Ok(())
    }

    /// Writes a request that counts at once: by its time it was complete long ago.
    fn put(&self, name: &str, object: &Value) -> Result<()> {
        let path = self.dir.join(format!("{name}.yaml"));
        let text = format!("{object:#}\n");
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return Ok(());
        }
        let beside = self.dir.join(format!(".{name}"));
        fs::write(&beside, text).context("writing a request")?;
        let past = SystemTime::now() - Duration::from_secs(10);
        File::options()
            .write(true)
            .open(&beside)?
            .set_modified(past)?;
        fs::rename(&beside, path).context("asking")
    }

    /// What is not as it is asked for, going by what the agent published.
    pub(crate) fn unfulfilled(&self, says: &BTreeMap<String, Value>) -> Option<String> {
        let pool = says.get(&format!("storagepool-{}.json", Pool::NAME));
        let conditions = pool.map(|pool| &pool["status"]["conditions"]);
        let ready = conditions.and_then(|conditions| {
            let mut all = conditions.as_array()?.iter();
            all.find(|condition| condition["type"] == "Ready").cloned()
        });
        let fulfilled = ready.as_ref().is_some_and(|ready| {
            if self.pool.deleted {
                ready["reason"] == "Deleted"
            } else {
                ready["status"] == "True"
            }
        });
        if !fulfilled {
            return Some(format!("the pool: {ready:?}"));
        }
        self.volumes.values().find_map(|volume| {
            volume.unfulfilled(says.get(&format!("volume-{}.json", volume.name)))
        })
    }
}
