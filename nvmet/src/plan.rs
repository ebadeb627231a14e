//! What has to be done to turn one target into another. Pure.

use crate::change::{Change, HostValue};
use crate::model::{Authentication, Secret, Target};
use crate::nqn::Nqn;

mod ports;
mod subsystems;

/// The changes that turn `have` into `want`, in an order that the kernel accepts.
///
/// * Everything that goes away or is interrupted goes first: links of ports, then namespaces (this
///   waits for their I/O), allowed hosts, subsystems, ports, hosts. Nothing is enabled or linked
///   before the last of these, so a device or a disk's identity never shows up in its new place
///   while it is still served in its old one.
/// * Then the discovery NQN, hosts with their keys, ports with their ANA groups and referrals,
///   subsystems with their attributes, hosts and namespaces; then the links; and last ANA groups that
///   nothing is in any more.
/// * A namespace of which more than the ANA group changes is disabled, written and enabled again.
/// * A subsystem whose serial, model, firmware, IEEE OUI or version changes is removed and made
///   anew, it alone: the kernel refuses them once a host has connected, and doesn't say whether one
///   has. Attributes that are wanted as `None` begin anew with it.
/// * A port whose address or parameters change loses all its links first: [`Change::Interrupt`] for
///   those that come back. A port that gets another transport, or of which something that was set
///   is to be empty, is made anew, and so is one whose making stopped half-way.
/// * A referral is changed while it is disabled.
/// * What is equal on both sides is not in the plan, so a caller that edited its own things in a
///   copy of `have` touches nothing else. Nor is what is wanted as `None`.
///
/// [`Change::interrupts`] says which changes hosts notice. `want` is not checked here; see
/// [`crate::check()`].
#[must_use]
pub fn plan(have: &Target, want: &Target) -> Vec<Change> {
    let mut plan = Plan::default();
    plan.discovery(have, want);
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
    // Before subsystems are made, of which none may be called so.
    NameDiscovery,
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

    fn discovery(&mut self, have: &Target, want: &Target) {
        if let Some(nqn) = wanted(have.discovery_nqn.as_ref(), want.discovery_nqn.as_ref()) {
            let nqn = nqn.clone();
            self.push(Phase::NameDiscovery, Change::SetDiscoveryNqn { nqn });
        }
    }

    fn hosts(&mut self, have: &Target, want: &Target) {
        for host in have.hosts.keys() {
            if !want.hosts.contains_key(host) {
                let host = host.clone();
                self.push(Phase::RemoveHosts, Change::RemoveHost { host });
            }
        }
        for (host, authentication) in &want.hosts {
            let had = have.hosts.get(host);
            if had.is_none() {
                let host = host.clone();
                self.push(Phase::CreateHosts, Change::CreateHost { host });
            }
            let fresh = Authentication::default();
            self.authenticate(host, had.unwrap_or(&fresh), authentication);
        }
    }

    fn authenticate(&mut self, host: &Nqn, have: &Authentication, want: &Authentication) {
        // A host without a key and a kernel without keys are the same here.
        let key = |have: &Option<Secret>, want: &Option<Secret>| {
            let had = have.clone().unwrap_or_default();
            wanted(Some(&had), want.as_ref()).cloned()
        };
        let values = [
            wanted(have.hash, want.hash).map(HostValue::Hash),
            wanted(have.group, want.group).map(HostValue::Group),
            key(&have.controller_key, &want.controller_key).map(HostValue::ControllerKey),
            key(&have.key, &want.key).map(HostValue::Key),
        ];
        for value in values.into_iter().flatten() {
            let host = host.clone();
            self.push(Phase::CreateHosts, Change::SetHost { host, value });
        }
    }
}

/// The value that has to be written: one that is asked for and isn't there.
fn wanted<V: PartialEq>(have: Option<V>, want: Option<V>) -> Option<V> {
    want.filter(|want| have.as_ref() != Some(want))
}

#[cfg(test)]
mod tests;
