//! What must be true of a node: at every moment, and once all is as asked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::node::{Node, Subsystem};
use crate::wishes::{Pool, Volume, Wishes, host};

const NQN: &str = "nqn.2026-11.dev.weir:";

/// What is true at every moment, whatever the agent was doing when it was ended: no deed without its
/// record, no data gone without an order, nobody allowed who is not granted.
pub(crate) fn at_any_time(node: &Node, wishes: &Wishes) -> Result<()> {
    let volumes = wishes.volumes.values();
    let unrecorded: BTreeSet<&str> = volumes
        .filter(|volume| volume.unrecorded)
        .map(|volume| volume.id.as_str())
        .collect();
    let is_recorded = |id: &str| node.records.contains_key(id) || unrecorded.contains(id);
    for (name, lv) in &node.lvs {
        let mut tags = lv.tags.split(',');
        let Some(id) = tags.find_map(|tag| tag.strip_prefix("weir.id=")) else {
            continue;
        };
        ensure!(
            is_recorded(id),
            "LV `{name}` is there and nothing is recorded of it"
        );
    }
    for volume in wishes.volumes.values().filter(|volume| !volume.deleted) {
        let Some(uuid) = &volume.lv_uuid else {
            continue;
        };
        let lv = node.lvs.get(&volume.lv());
        let name = &volume.name;
        ensure!(
            lv.is_some_and(|lv| lv.uuid == *uuid),
            "volume {name} was ready, its deletion was not ordered, and its LV is {lv:?} now"
        );
        ensure!(
            is_recorded(&volume.id),
            "volume {name} was ready, its deletion was not ordered, and its record is gone"
        );
    }
    for (nqn, subsystem) in &node.subsystems {
        ensure!(!subsystem.allows_any, "`{nqn}` allows any host");
        // That of a multi-host volume names its node.
        let rest = nqn.trim_start_matches(NQN);
        let (id, user) = rest.split_once(':').unwrap_or((rest, ""));
        match node.records.get(id) {
            Some(record) => allows_only_granted(node, nqn, (id, user), record, subsystem)?,
            None => ensure!(
                unrecorded.contains(id),
                "`{nqn}` is there and nothing is recorded of its volume"
            ),
        }
    }
    Ok(())
}

fn allows_only_granted(
    node: &Node,
    nqn: &str,
    (id, user): (&str, &str),
    record: &Value,
    subsystem: &Subsystem,
) -> Result<()> {
    let highest = record["highestGeneration"].as_u64();
    let mut granted = granted(record);
    granted.retain(|node, _| user.is_empty() || node == user);
    for allowed in &subsystem.hosts {
        let mut grants = granted.iter();
        let is_granted = grants.any(|(node, generation)| *allowed == host(node, *generation));
        let generation = allowed
            .rsplit(':')
            .next()
            .and_then(|text| text.parse().ok());
        // Where nobody is granted it is being ended: whom it allows was granted once.
        let is_ending = granted.is_empty() && generation.is_some() && generation <= highest;
        ensure!(
            is_granted || is_ending,
            "`{nqn}` allows `{allowed}`, and recorded are {granted:?}, {highest:?} at most"
        );
    }
    if let Some(device) = &subsystem.device {
        let simple = id.replace('-', "");
        let lv = format!("w_{simple}");
        let is_its = device.ends_with(&lv) || device.contains(&format!("/weir-{simple}-"));
        ensure!(is_its, "`{nqn}` shows `{device}`");
        let lv = node.lvs.get(&lv);
        ensure!(
            lv.is_some_and(|lv| !lv.tags.contains("weir.unzeroed")),
            "`{nqn}` shows an LV that is gone or not zeroed: {lv:?}"
        );
    }
    Ok(())
}

fn granted(record: &Value) -> BTreeMap<String, u64> {
    let attachments = record["attachments"].as_array().into_iter().flatten();
    let granted = attachments.filter_map(|attachment| {
        let node = attachment["nodeName"].as_str()?.to_owned();
        Some((node, attachment["generation"].as_u64()?))
    });
    granted.collect()
}

/// What is true once all is as asked: LVM, device mapper, target and record hold just that.
/// `foreign` are the device-mapper devices that are not the agent's.
pub(crate) fn converged(node: &Node, wishes: &Wishes, foreign: &BTreeSet<String>) -> Result<()> {
    at_any_time(node, wishes)?;
    let volumes: Vec<&Volume> = wishes
        .volumes
        .values()
        .filter(|volume| !volume.deleted)
        .collect();
    if wishes.pool.deleted {
        let nothing = BTreeSet::new();
        same("files of the record", &node.files, &nothing)?;
        same("LVs", &keys(&node.lvs), &nothing)?;
        same("ports", &keys(&node.ports), &nothing)?;
        return same("device-mapper devices", &node.dm, foreign);
    }
    let mut files = names(&volumes, |volume| format!("volume-{}.json", volume.id));
    files.insert(format!("pool-{}.json", Pool::NAME));
    same("files of the record", &node.files, &files)?;

    let mut lvs = names(&volumes, Volume::lv);
    lvs.extend(wishes.pool.thin_mib.map(|_| "weir_thin".to_owned()));
    same("LVs", &keys(&node.lvs), &lvs)?;
    devices(node, &volumes, foreign)?;
    target(node, &volumes, wishes.pool.services.len())?;

    for volume in volumes {
        let (name, record) = (&volume.name, &node.records[&volume.id]);
        ensure!(
            record["state"] == "Ready" && granted(record) == volume.attached,
            "volume {name} is asked for {:?} and recorded as {record}",
            volume.attached
        );
        let unzeroed = node.lvs[&volume.lv()].tags.contains("weir.unzeroed");
        ensure!(!unzeroed, "volume {name} is not zeroed");
    }
    Ok(())
}

/// One device for each volume, one for each grant of a multi-host volume.
fn devices(node: &Node, volumes: &[&Volume], foreign: &BTreeSet<String>) -> Result<()> {
    let inside_thin = format!("{}-weir_thin", Pool::GROUP);
    let seen = node
        .dm
        .iter()
        .filter(|name| !name.starts_with(&inside_thin));
    let (mappings, seen): (BTreeSet<_>, BTreeSet<_>) =
        seen.cloned().partition(|name| name.starts_with("weir-"));
    let mut wanted = names(volumes, |volume| format!("{}-{}", Pool::GROUP, volume.lv()));
    wanted.extend(foreign.iter().cloned());
    same("device-mapper devices", &seen, &wanted)?;

    // `weir-<id>-<hash of the node>-<generation>`; which hash is the agent's own business.
    let without_hash = |name: String| {
        let mut parts: Vec<&str> = name.split('-').collect();
        (parts.len() == 4).then(|| parts.remove(2));
        parts.join("-")
    };
    let seen = mappings.into_iter().map(without_hash).collect();
    let several = volumes.iter().filter(|volume| volume.several);
    let wanted = several.flat_map(|volume| {
        let id = volume.id.replace('-', "");
        let grants = volume.attached.values();
        grants.map(move |generation| format!("weir-{id}-{generation}"))
    });
    same("mappings of grants", &seen, &wanted.collect())
}

/// One subsystem for each grant to another node, for its host alone, linked to every port.
fn target(node: &Node, volumes: &[&Volume], ports: usize) -> Result<()> {
    let exports: BTreeMap<String, String> =
        volumes.iter().flat_map(|volume| volume.exports()).collect();
    same("subsystems", &keys(&node.subsystems), &keys(&exports))?;
    same("hosts", &node.hosts, &exports.values().cloned().collect())?;
    for (nqn, host) in &exports {
        let subsystem = &node.subsystems[nqn];
        ensure!(
            subsystem.device.is_some() && subsystem.hosts == BTreeSet::from([host.clone()]),
            "`{nqn}` is for `{host}` and is {subsystem:?}"
        );
    }
    let seen = &node.ports;
    ensure!(
        seen.len() == ports,
        "the ports are {seen:?} instead of {ports}"
    );
    for links in seen.values() {
        same("links of a port", links, &keys(&exports))?;
    }
    Ok(())
}

fn names(volumes: &[&Volume], name: impl Fn(&Volume) -> String) -> BTreeSet<String> {
    volumes.iter().map(|volume| name(volume)).collect()
}

fn keys<T>(map: &BTreeMap<String, T>) -> BTreeSet<String> {
    map.keys().cloned().collect()
}

fn same(what: &str, seen: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Result<()> {
    let leaked: Vec<_> = seen.difference(wanted).collect();
    let missing: Vec<_> = wanted.difference(seen).collect();
    ensure!(
        leaked.is_empty() && missing.is_empty(),
        "{what}: leaked {leaked:?}, missing {missing:?}"
    );
    Ok(())
}
