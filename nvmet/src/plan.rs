//! What has to be done to turn one target into another. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::change::{Change, NamespaceValue, PortValue, SubsystemValue};
use crate::model::{
    AnaGroupId, AnaState, Family, Namespace, Nsid, Port, PortId, Subsystem, Target,
};
use crate::nqn::Nqn;

/// The changes that turn `have` into `want`, in an order that the kernel accepts.
///
/// * Everything that goes away or is interrupted goes first: links of ports, then namespaces (this
///   waits for their I/O), allowed hosts, subsystems, ports, hosts. Nothing is enabled or linked
///   before the last of these, so a device or a disk's identity never shows up in its new place
///   while it is still served in its old one.
/// * Then hosts, ports with their ANA groups, subsystems with their attributes, hosts and
///   namespaces; then the links; and last ANA groups that nothing is in any more.
/// * A namespace whose device, UUID or NGUID changes is disabled, written and enabled again.
/// * A subsystem whose serial or model changes is removed and made anew, it alone: the kernel
///   refuses both once a host has connected, and doesn't say whether one has. Attributes that the
///   model doesn't have begin anew with it.
/// * A port whose address changes loses all its links first. [`Change::interrupts`] says which
///   changes hosts notice.
/// * What is equal on both sides is not in the plan, so a caller that edited its own things in a
///   copy of `have` touches nothing else.
///
/// `want` is not checked here; see [`crate::check()`].
#[must_use]
pub fn plan(have: &Target, want: &Target) -> Vec<Change> {
    let mut plan = Plan::default();
    plan.hosts(have, want);
    plan.ports(have, want);
    plan.subsystems(have, want);
    plan.links(have, want);
    // Stable: what belongs to one port or subsystem keeps its order.
    plan.changes.sort_by_key(|(phase, _)| *phase);
    plan.changes.into_iter().map(|(_, change)| change).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Unlink,
    StopNamespaces,
    DenyHosts,
    RemoveSubsystems,
    RemovePorts,
    RemoveHosts,
    CreateHosts,
    // Before subsystems, so that a namespace never is in an ANA group that a port doesn't know yet.
    CreatePorts,
    CreateSubsystems,
    Link,
    // After namespaces have left them: without its directory a group is inaccessible.
    RemoveAnaGroups,
}

#[derive(Default)]
struct Plan {
    changes: Vec<(Phase, Change)>,
}

impl Plan {
    fn push(&mut self, phase: Phase, change: Change) {
        self.changes.push((phase, change));
    }

    fn hosts(&mut self, have: &Target, want: &Target) {
        for host in have.hosts.difference(&want.hosts).cloned() {
            self.push(Phase::RemoveHosts, Change::RemoveHost { host });
        }
        for host in want.hosts.difference(&have.hosts).cloned() {
            self.push(Phase::CreateHosts, Change::CreateHost { host });
        }
    }

    fn ports(&mut self, have: &Target, want: &Target) {
        let gone =
            |id: &PortId| !want.ports.contains_key(id) && !want.unfinished_ports.contains_key(id);
        let finished = have.ports.iter().map(|(id, port)| (id, &port.ana_groups));
        for (&id, groups) in finished.chain(&have.unfinished_ports) {
            if gone(&id) {
                self.remove_port(id, groups);
            }
        }
        for (&id, port) in &want.ports {
            if let Some(had) = have.ports.get(&id) {
                self.readdress(id, had, port);
                self.ana_groups(id, &had.ana_groups, &port.ana_groups);
            } else if let Some(groups) = have.unfinished_ports.get(&id) {
                self.address(id, port);
                self.ana_groups(id, groups, &port.ana_groups);
            } else {
                self.push(Phase::CreatePorts, Change::CreatePort { port: id });
                self.address(id, port);
                self.ana_groups(id, &BTreeMap::new(), &port.ana_groups);
            }
        }
    }

    fn remove_port(&mut self, port: PortId, groups: &BTreeMap<AnaGroupId, AnaState>) {
        for &group in groups.keys().filter(|group| **group != AnaGroupId::DEFAULT) {
            self.push(Phase::RemovePorts, Change::RemoveAnaGroup { port, group });
        }
        self.push(Phase::RemovePorts, Change::RemovePort { port });
    }

    fn address(&mut self, id: PortId, port: &Port) {
        for value in [
            PortValue::Family(port.family()),
            PortValue::Address(port.address),
            PortValue::Service(port.service),
            // Last, so that a port whose making stopped half-way is seen to be unfinished.
            PortValue::Transport(port.transport),
        ] {
            self.push(Phase::CreatePorts, Change::SetPort { port: id, value });
        }
    }

    fn readdress(&mut self, id: PortId, have: &Port, want: &Port) {
        let mut set = |value| self.push(Phase::CreatePorts, Change::SetPort { port: id, value });
        if have.family() != want.family() {
            set(PortValue::Family(Family::of(want.address)));
        }
        if have.address != want.address {
            set(PortValue::Address(want.address));
        }
        if have.service != want.service {
            set(PortValue::Service(want.service));
        }
        if have.transport != want.transport {
            set(PortValue::Transport(want.transport));
        }
    }

    fn ana_groups(
        &mut self,
        port: PortId,
        have: &BTreeMap<AnaGroupId, AnaState>,
        want: &BTreeMap<AnaGroupId, AnaState>,
    ) {
        for (&group, &state) in want {
            let had = have.get(&group).copied().unwrap_or_else(|| {
                if group == AnaGroupId::DEFAULT {
                    return AnaState::Optimized;
                }
                self.push(Phase::CreatePorts, Change::CreateAnaGroup { port, group });
                AnaState::Inaccessible
            });
            if had != state {
                self.push(
                    Phase::CreatePorts,
                    Change::SetAnaState { port, group, state },
                );
            }
        }
        for &group in have.keys() {
            if group != AnaGroupId::DEFAULT && !want.contains_key(&group) {
                self.push(
                    Phase::RemoveAnaGroups,
                    Change::RemoveAnaGroup { port, group },
                );
            }
        }
    }

    fn subsystems(&mut self, have: &Target, want: &Target) {
        for (nqn, subsystem) in &have.subsystems {
            match want.subsystems.get(nqn) {
                None => self.remove_subsystem(nqn, subsystem),
                Some(wanted) if !is_kept(subsystem, wanted) => {
                    self.remove_subsystem(nqn, subsystem);
                }
                Some(_) => {}
            }
        }
        for (nqn, wanted) in &want.subsystems {
            match have.subsystems.get(nqn) {
                Some(subsystem) if is_kept(subsystem, wanted) => {
                    self.change_subsystem(nqn, subsystem, wanted);
                }
                _ => self.create_subsystem(nqn, wanted),
            }
        }
    }

    fn remove_subsystem(&mut self, nqn: &Nqn, subsystem: &Subsystem) {
        for &nsid in subsystem.namespaces.keys() {
            self.remove_namespace(nqn, nsid);
        }
        for host in &subsystem.allowed_hosts {
            self.deny_host(nqn, host);
        }
        self.push(
            Phase::RemoveSubsystems,
            Change::RemoveSubsystem {
                subsystem: nqn.clone(),
            },
        );
    }

    fn create_subsystem(&mut self, nqn: &Nqn, want: &Subsystem) {
        self.push(
            Phase::CreateSubsystems,
            Change::CreateSubsystem {
                subsystem: nqn.clone(),
            },
        );
        for value in [
            want.serial.clone().map(SubsystemValue::Serial),
            want.model.clone().map(SubsystemValue::Model),
        ]
        .into_iter()
        .flatten()
        {
            self.set_subsystem(nqn, value);
        }
        self.change_subsystem(nqn, &Subsystem::default(), want);
    }

    /// Everything but what [`is_kept`] looks at.
    fn change_subsystem(&mut self, nqn: &Nqn, have: &Subsystem, want: &Subsystem) {
        for host in have.allowed_hosts.difference(&want.allowed_hosts) {
            self.deny_host(nqn, host);
        }
        // Between the hosts that go and those that come: the kernel wants no host listed while any
        // host is allowed, in either direction.
        if have.allow_any_host != want.allow_any_host {
            self.set_subsystem(nqn, SubsystemValue::AllowAnyHost(want.allow_any_host));
        }
        for host in want.allowed_hosts.difference(&have.allowed_hosts) {
            let (subsystem, host) = (nqn.clone(), host.clone());
            self.push(
                Phase::CreateSubsystems,
                Change::AllowHost { subsystem, host },
            );
        }
        for (&nsid, had) in &have.namespaces {
            match want.namespaces.get(&nsid) {
                Some(wanted) if can_be_written(had, wanted) => {}
                _ => self.remove_namespace(nqn, nsid),
            }
        }
        for (&nsid, wanted) in &want.namespaces {
            match have.namespaces.get(&nsid) {
                Some(had) if can_be_written(had, wanted) => {
                    self.change_namespace(nqn, nsid, had, wanted);
                }
                _ => self.create_namespace(nqn, nsid, wanted),
            }
        }
    }

    fn create_namespace(&mut self, nqn: &Nqn, nsid: Nsid, want: &Namespace) {
        let subsystem = nqn.clone();
        self.push(
            Phase::CreateSubsystems,
            Change::CreateNamespace { subsystem, nsid },
        );
        // The kernel makes up a UUID; the rest begins like this (nvmet_ns_alloc in
        // drivers/nvme/target/core.c).
        let fresh = Namespace {
            device_path: "".into(),
            uuid: want.uuid,
            nguid: uuid::Uuid::nil(),
            ana_group: AnaGroupId::DEFAULT,
            enabled: false,
        };
        self.set_namespace(nqn, nsid, NamespaceValue::Uuid(want.uuid));
        self.change_namespace(nqn, nsid, &fresh, want);
    }

    fn change_namespace(&mut self, nqn: &Nqn, nsid: Nsid, have: &Namespace, want: &Namespace) {
        let path = (have.device_path != want.device_path)
            .then(|| NamespaceValue::DevicePath(want.device_path.clone()));
        let uuid = (have.uuid != want.uuid).then_some(NamespaceValue::Uuid(want.uuid));
        let nguid = (have.nguid != want.nguid).then_some(NamespaceValue::Nguid(want.nguid));
        // These three only while it is disabled.
        let rewritten = path.is_some() || uuid.is_some() || nguid.is_some();
        if have.enabled && (rewritten || !want.enabled) {
            let subsystem = nqn.clone();
            self.push(Phase::StopNamespaces, Change::Disable { subsystem, nsid });
        }
        let group =
            (have.ana_group != want.ana_group).then_some(NamespaceValue::AnaGroup(want.ana_group));
        for value in [path, uuid, nguid, group].into_iter().flatten() {
            self.set_namespace(nqn, nsid, value);
        }
        if want.enabled && (rewritten || !have.enabled) {
            self.push(
                Phase::CreateSubsystems,
                Change::Enable {
                    subsystem: nqn.clone(),
                    nsid,
                    device_path: want.device_path.clone(),
                },
            );
        }
    }

    fn links(&mut self, have: &Target, want: &Target) {
        let had = all_links(have);
        let wanted = all_links(want);
        // A link that is the same on both sides and yet in the way of another change.
        let is_cut = |(port, nqn): &(PortId, &Nqn)| {
            let subsystem_is_kept = match (have.subsystems.get(nqn), want.subsystems.get(nqn)) {
                (Some(have), Some(want)) => is_kept(have, want),
                _ => true,
            };
            let address_is_kept = match (have.ports.get(port), want.ports.get(port)) {
                (Some(have), Some(want)) => {
                    (have.transport, have.address, have.service)
                        == (want.transport, want.address, want.service)
                }
                _ => true,
            };
            !subsystem_is_kept || !address_is_kept
        };
        for link in &had {
            if !wanted.contains(link) || is_cut(link) {
                let (port, subsystem) = (link.0, link.1.clone());
                self.push(Phase::Unlink, Change::Unlink { port, subsystem });
            }
        }
        for link in &wanted {
            if !had.contains(link) || is_cut(link) {
                let (port, subsystem) = (link.0, link.1.clone());
                self.push(Phase::Link, Change::Link { port, subsystem });
            }
        }
    }

    fn remove_namespace(&mut self, nqn: &Nqn, nsid: Nsid) {
        let subsystem = nqn.clone();
        self.push(
            Phase::StopNamespaces,
            Change::RemoveNamespace { subsystem, nsid },
        );
    }

    fn deny_host(&mut self, nqn: &Nqn, host: &Nqn) {
        let (subsystem, host) = (nqn.clone(), host.clone());
        self.push(Phase::DenyHosts, Change::DenyHost { subsystem, host });
    }

    fn set_subsystem(&mut self, nqn: &Nqn, value: SubsystemValue) {
        let subsystem = nqn.clone();
        self.push(
            Phase::CreateSubsystems,
            Change::SetSubsystem { subsystem, value },
        );
    }

    fn set_namespace(&mut self, nqn: &Nqn, nsid: Nsid, value: NamespaceValue) {
        self.push(
            Phase::CreateSubsystems,
            Change::SetNamespace {
                subsystem: nqn.clone(),
                nsid,
                value,
            },
        );
    }
}

/// Whether the subsystem's directory may stay. `None` wants whatever is there.
fn is_kept(have: &Subsystem, want: &Subsystem) -> bool {
    let same = |have: &Option<String>, want: &Option<String>| want.is_none() || have == want;
    same(&have.serial, &want.serial) && same(&have.model, &want.model)
}

/// A device path, once set, can be changed but not taken away: the store refuses an empty one.
fn can_be_written(have: &Namespace, want: &Namespace) -> bool {
    !want.device_path.as_os_str().is_empty() || have.device_path.as_os_str().is_empty()
}

fn all_links(target: &Target) -> BTreeSet<(PortId, &Nqn)> {
    let of_port = |(id, port)| {
        let (id, port): (&PortId, &Port) = (id, port);
        port.subsystems.iter().map(|nqn| (*id, nqn))
    };
    target.ports.iter().flat_map(of_port).collect()
}

#[cfg(test)]
mod tests;
