//! What is on the node: LVs, device mapper's devices, the target, the record. Read without the agent
//! and without its code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::run;
use crate::wishes::Pool;

/// Everything that the agent makes.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// LVs of the pool's group by name.
    pub(crate) lvs: BTreeMap<String, Lv>,
    /// Names of all device-mapper devices.
    pub(crate) dm: BTreeSet<String>,
    /// Weir's subsystems by NQN.
    pub(crate) subsystems: BTreeMap<String, Subsystem>,
    /// The target's hosts.
    pub(crate) hosts: BTreeSet<String>,
    /// The target's ports, and what is linked to each.
    pub(crate) ports: BTreeMap<String, BTreeSet<String>>,
    /// Names of all files of the record, hidden ones too.
    pub(crate) files: BTreeSet<String>,
    /// Records of volumes by id.
    pub(crate) records: BTreeMap<String, Value>,
}

#[derive(Debug)]
pub(crate) struct Lv {
    pub(crate) uuid: String,
    pub(crate) tags: String,
}

#[derive(Debug)]
pub(crate) struct Subsystem {
    pub(crate) allows_any: bool,
    pub(crate) hosts: BTreeSet<String>,
    /// The device of namespace 1, if it is enabled.
    pub(crate) device: Option<String>,
}

const TARGET: &str = "/sys/kernel/config/nvmet";

impl Node {
    /// Reads all of it.
    pub(crate) fn read(record: &Path, device: &str) -> Result<Self> {
        let mut node = Node::default();
        node.read_lvm(device)?;
        node.dm = dm_devices()?;
        node.read_target()?;
        node.files = names(record)?;
        // The agent's own: it is made once and stays.
        node.files.remove(".lock");
        for file in &node.files {
            let Some(id) = file
                .strip_prefix("volume-")
                .and_then(|rest| rest.strip_suffix(".json"))
            else {
                continue;
            };
            let text = fs::read(record.join(file))?;
            let volume =
                serde_json::from_slice(&text).with_context(|| format!("reading {file}"))?;
            node.records.insert(id.to_owned(), volume);
        }
        Ok(node)
    }

    /// One command for all of it: in an emulated guest each takes a quarter of a second.
    fn read_lvm(&mut self, device: &str) -> Result<()> {
        let report = ["--devices", device, "--reportformat", "json"];
        let fields = ["-o", "vg_name,lv_name,lv_uuid,lv_tags"];
        let text = run("lvs", &[&report[..], &fields].concat())?;
        let report: Value = serde_json::from_str(&text).context("reading LVM's report")?;
        for row in report["report"][0]["lv"].as_array().into_iter().flatten() {
            ensure!(
                row["vg_name"] == Pool::GROUP,
                "a strange volume group: {row}"
            );
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let lv = Lv {
                uuid: text("lv_uuid"),
                tags: text("lv_tags"),
            };
            self.lvs.insert(text("lv_name"), lv);
        }
        Ok(())
    }

    fn read_target(&mut self) -> Result<()> {
        let target = Path::new(TARGET);
        if !target.exists() {
            return Ok(());
        }
        self.hosts = names(&target.join("hosts"))?;
        for port in names(&target.join("ports"))? {
            let links = names(&target.join("ports").join(&port).join("subsystems"))?;
            self.ports.insert(port, links);
        }
        for nqn in names(&target.join("subsystems"))? {
            if !nqn.starts_with("nqn.2026-11.dev.weir:") {
                continue;
            }
            let dir = target.join("subsystems").join(&nqn);
            let read = |path: &str| fs::read_to_string(dir.join(path)).unwrap_or_default();
            let enabled = read("namespaces/1/enable").trim() == "1";
            let subsystem = Subsystem {
                allows_any: read("attr_allow_any_host").trim() != "0",
                hosts: names(&dir.join("allowed_hosts"))?,
                device: enabled.then(|| read("namespaces/1/device_path").trim().to_owned()),
            };
            self.subsystems.insert(nqn, subsystem);
        }
        Ok(())
    }
}

/// Names of all device-mapper devices.
pub(crate) fn dm_devices() -> Result<BTreeSet<String>> {
    let blocks = Path::new("/sys/block");
    let mut devices = BTreeSet::new();
    for block in names(blocks)? {
        // Every other block device has none; and one may go away meanwhile.
        if let Ok(name) = fs::read_to_string(blocks.join(block).join("dm/name")) {
            devices.insert(name.trim().to_owned());
        }
    }
    Ok(devices)
}

fn names(dir: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))?;
    Ok(entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}
