//! A volume's export: one subsystem for one host, and the fence that ends it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nvmet::{Namespace, Nqn, Nsid, Port, Subsystem, Target};
use weir_api::names::{Generation, MODEL, NQN_PREFIX, NodeName, VolumeId, host_nqn};
use weir_api::volume::{Access, Attachment};

use super::Planner;
use crate::record::VolumeRecord;
use crate::step::{Step, Subject};

/// The NQN of the one subsystem that a single-host volume ever has.
pub(super) fn sole_nqn(id: VolumeId) -> Nqn {
    nqn(id.nqn())
}

/// The NQN of the subsystem that exports a volume to a node.
pub(super) fn nqn_of(id: VolumeId, access: Access, node: &NodeName) -> Nqn {
    match access {
        Access::SingleHost => sole_nqn(id),
        Access::MultiHost => nqn(id.nqn_for(node)),
    }
}

/// The NQN of the host that an attachment grants a volume to.
pub(super) fn host_of(attachment: &Attachment) -> Nqn {
    nqn(host_nqn(&attachment.node_name, attachment.generation))
}

fn nqn(text: String) -> Nqn {
    // Both are made of UUIDs, DNS labels and digits, within the length (api's own tests).
    text.parse().expect("weir-api makes valid NQNs")
}

/// The highest generation that a subsystem was granted with, as its hosts' names tell.
pub(super) fn generation_in(subsystem: &Subsystem) -> Option<Generation> {
    let generation = |host: &Nqn| {
        let (node, generation) = host.as_str().rsplit_once(':')?;
        let node: NodeName = node.rsplit_once(':')?.1.parse().ok()?;
        let generation = generation.parse().map(Generation).ok()?;
        (host_nqn(&node, generation) == host.as_str()).then_some(generation)
    };
    subsystem.allowed_hosts.iter().filter_map(generation).max()
}

/// The subsystem that exports a volume, through `device`, to one host.
pub(super) fn subsystem(volume: &VolumeRecord, host: &Nqn, device: &str) -> Subsystem {
    let namespace = Namespace::new(device, volume.id.0);
    Subsystem {
        allowed_hosts: BTreeSet::from([host.clone()]),
        serial: Some(volume.id.serial()),
        model: Some(MODEL.to_owned()),
        namespaces: BTreeMap::from([(Nsid::FIRST, namespace)]),
        ..Subsystem::default()
    }
}

/// Whether nobody but the hosts of `want` can have reached anything through `have`, and nothing but
/// the volume: then what is missing may be added to it. Else it has to go, and its hosts with it:
/// taking a host off the list does not disconnect it.
pub(super) fn is_part_of(have: &Subsystem, want: &Subsystem) -> bool {
    let same = |(nsid, namespace): (&Nsid, &Namespace)| {
        let wanted = want.namespaces.get(nsid);
        wanted.is_some_and(|wanted| {
            !namespace.enabled
                || (&namespace.device_path, namespace.uuid, namespace.nguid)
                    == (&wanted.device_path, wanted.uuid, wanted.nguid)
        })
    };
    !have.allow_any_host
        && have.allowed_hosts.is_subset(&want.allowed_hosts)
        && have.namespaces.iter().all(same)
}

/// Whether a subsystem shows a device to hosts.
pub(super) fn shows(subsystem: &Subsystem, device: &str) -> bool {
    let shown =
        |namespace: &Namespace| namespace.enabled && namespace.device_path == Path::new(device);
    subsystem.namespaces.values().any(shown)
}

/// What of the target concerns one subsystem: it, its hosts, and its links.
fn part(target: &Target, nqn: &Nqn) -> Target {
    let mut part = Target::default();
    if let Some(subsystem) = target.subsystems.get(nqn) {
        let hosts = target.hosts.iter();
        part.hosts = hosts
            .filter(|(host, _)| subsystem.allowed_hosts.contains(host))
            .map(|(host, keys)| (host.clone(), keys.clone()))
            .collect();
        part.subsystems.insert(nqn.clone(), subsystem.clone());
    }
    for (id, port) in &target.ports {
        if port.subsystems.contains(nqn) {
            let subsystems = BTreeSet::from([nqn.clone()]);
            part.ports.insert(
                *id,
                Port {
                    subsystems,
                    ..port.clone()
                },
            );
        }
    }
    part
}

/// Ends an export: unlinked from its ports, its namespace removed (this waits for I/O that is on
/// its way), the subsystem removed. A stale connection reaches nothing of what is made anew under
/// the same name.
pub(super) fn fence(target: &Target, nqn: &Nqn) -> Step {
    let have = part(target, nqn);
    let mut want = have.clone();
    want.subsystems.clear();
    for port in want.ports.values_mut() {
        port.subsystems.clear();
    }
    Step::Export { have, want }
}

/// Makes or completes an export, without its links; `None` where nothing is missing.
pub(super) fn serve(target: &Target, nqn: &Nqn, want: Subsystem) -> Option<Step> {
    let mut have = part(target, nqn);
    // Hosts are made before, by a step of their own: other volumes may name the same one.
    for host in &want.allowed_hosts {
        have.hosts.entry(host.clone()).or_default();
    }
    let mut wanted = have.clone();
    let mut subsystem = want;
    if !have.ports.is_empty()
        && let Some(had) = have.subsystems.get(nqn)
    {
        // What hosts were told once doesn't change under them; nor would the kernel let it.
        subsystem.serial.clone_from(&had.serial);
        subsystem.model.clone_from(&had.model);
    }
    wanted.subsystems.insert(nqn.clone(), subsystem);
    let is_served = nvmet::plan(&have, &wanted).is_empty();
    (!is_served).then_some(Step::Export { have, want: wanted })
}

impl Planner<'_> {
    /// Makes a host known, once for all volumes of this plan that name it.
    pub(super) fn want_host(&mut self, target: &Target, host: &Nqn) {
        if self.wanted_hosts.insert(host.clone()) && !target.hosts.contains_key(host) {
            let (have, mut want) = (Target::default(), Target::default());
            want.hosts.entry(host.clone()).or_default();
            self.work(
                Subject::Host(host.clone()),
                vec![Step::Export { have, want }],
            );
        }
    }

    /// Removes the entries of Weir's hosts that no subsystem names: what fences leave behind.
    pub(super) fn unused_hosts(&mut self) {
        let Ok(target) = self.target() else { return };
        let named: BTreeSet<&Nqn> = target
            .subsystems
            .values()
            .flat_map(|subsystem| &subsystem.allowed_hosts)
            .collect();
        for host in target.hosts.keys() {
            let is_ours = host.as_str().starts_with(&format!("{NQN_PREFIX}host:"));
            if is_ours && !named.contains(host) && !self.wanted_hosts.contains(host) {
                let (mut have, want) = (Target::default(), Target::default());
                have.hosts.entry(host.clone()).or_default();
                self.work(
                    Subject::Host(host.clone()),
                    vec![Step::Export { have, want }],
                );
            }
        }
    }
}

/// Links a subsystem to a port that is there or is made before.
pub(super) fn link(nqn: &Nqn, id: nvmet::PortId, port: &Port) -> Step {
    let without = Port {
        subsystems: BTreeSet::new(),
        ..port.clone()
    };
    let with = Port {
        subsystems: BTreeSet::from([nqn.clone()]),
        ..port.clone()
    };
    let mut have = Target::default();
    let mut want = Target::default();
    have.ports.insert(id, without);
    want.ports.insert(id, with);
    Step::Export { have, want }
}
