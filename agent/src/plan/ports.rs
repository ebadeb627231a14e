//! Portals: each has one port of the kernel's, shared by all its subsystems, from a reserved range.

use std::collections::BTreeSet;

use nvmet::{Port, PortId, Target};
use weir_api::names::VolumeId;
use weir_api::pool::Portal;

use super::Planner;
use crate::observed::{Observed, TargetView};
use crate::record::{PoolRecord, PortalRecord, Records};
use crate::step::{Step, Subject};

/// Ports that Weir may make: "W" and a byte.
const RESERVED: std::ops::RangeInclusive<u16> = 0x5700..=0x57ff;

/// Port numbers that can't be given to another portal.
pub(super) fn taken(records: &Records, observed: &Observed) -> BTreeSet<PortId> {
    let portals = records.pools.values().flat_map(|pool| &pool.portals);
    let mut taken: BTreeSet<PortId> = portals.map(|portal| PortId(portal.port_id)).collect();
    if let TargetView::Present(target) = &observed.target {
        taken.extend(target.ports.keys());
        taken.extend(target.unfinished_ports.keys());
    }
    taken
}

/// A port as it is made for a portal.
pub(super) fn port(portal: &Portal) -> Port {
    Port::new(listening(portal))
}

/// Whether a port listens where a portal is.
pub(super) fn is_at(port: &Port, portal: &Portal) -> bool {
    port.portal == listening(portal)
}

fn listening(portal: &Portal) -> nvmet::Portal {
    let weir_api::pool::Transport::Tcp = portal.transport;
    nvmet::Portal::tcp(portal.address, portal.port)
}

impl<'a> Planner<'a> {
    /// Changes a record to the portals asked for: new ones get a port number, others retire.
    pub(super) fn ask_for_portals(&mut self, pool: &mut PoolRecord, asked: &[Portal]) {
        for record in &mut pool.portals {
            record.retiring = !asked.contains(&record.portal);
        }
        for portal in asked {
            if pool.portals.iter().any(|record| record.portal == *portal) {
                continue;
            }
            if let Some(port_id) = self.port_for(portal) {
                self.taken_ports.insert(PortId(port_id));
                let portal = portal.clone();
                pool.portals.push(PortalRecord {
                    portal,
                    port_id,
                    retiring: false,
                });
            }
        }
    }

    /// Another pool's port for the same portal; one of ours that nothing is recorded of; a new one.
    fn port_for(&self, portal: &Portal) -> Option<u16> {
        let mut recorded = self.records.pools.values().flat_map(|pool| &pool.portals);
        if let Some(record) = recorded.find(|record| record.portal == *portal) {
            return Some(record.port_id);
        }
        if let Ok(target) = self.target() {
            let ours =
                |(id, port): &(&PortId, &Port)| RESERVED.contains(&id.0) && is_at(port, portal);
            if let Some((id, _)) = target.ports.iter().find(ours) {
                return Some(id.0);
            }
        }
        RESERVED
            .into_iter()
            .find(|id| !self.taken_ports.contains(&PortId(*id)))
    }

    /// Makes the ports of a recorded pool and removes those of its retiring portals.
    pub(super) fn ports_of(&mut self, pool: &'a PoolRecord) {
        // Not loaded: there is nothing to remove, and a volume that needs a port says what is wrong.
        let Ok(target) = self.target() else { return };
        let is_present = matches!(self.observed.target, TargetView::Present(_));
        for record in &pool.portals {
            let id = PortId(record.port_id);
            let subject = Subject::Port(pool.name.clone(), id);
            if record.retiring {
                if !self.planned_ports.insert(id) {
                    // Another pool leaves it in this plan; who is last removes it.
                    continue;
                }
                let steps = self.retire(target, pool, record);
                self.work(subject, steps);
            } else if is_present && !target.ports.contains_key(&id) && self.planned_ports.insert(id)
            {
                let mut have = Target::default();
                if let Some(groups) = target.unfinished_ports.get(&id) {
                    have.unfinished_ports.insert(id, groups.clone());
                }
                let mut want = Target::default();
                want.ports.insert(id, port(&record.portal));
                self.work(subject, vec![Step::Export { have, want }]);
            }
        }
    }

    fn retire(&self, target: &Target, pool: &PoolRecord, record: &PortalRecord) -> Vec<Step> {
        let id = PortId(record.port_id);
        let mut forgotten = pool.clone();
        forgotten.portals.retain(|portal| portal != record);
        let forget = Step::WritePool(forgotten);
        let others = self
            .records
            .pools
            .values()
            .filter(|other| other.name != pool.name);
        let mut portals = others.flat_map(|other| &other.portals);
        let is_shared = portals.any(|other| other.portal == record.portal && !other.retiring);
        let listening = target
            .ports
            .get(&id)
            .filter(|port| is_at(port, &record.portal));
        let mut have = Target::default();
        let mut want = Target::default();
        if let Some(port) = listening {
            // Only this pool's volumes leave a port that another pool or a stranger uses too.
            let ours = |nqn: &&nvmet::Nqn| {
                let volume = VolumeId::from_nqn(nqn.as_str());
                let volume = volume.and_then(|id| self.records.volumes.get(&id));
                volume.is_some_and(|volume| volume.pool == pool.name)
            };
            let leaving: BTreeSet<_> = port.subsystems.iter().filter(ours).cloned().collect();
            let is_unused = leaving.len() == port.subsystems.len();
            have.ports.insert(
                id,
                Port {
                    subsystems: leaving,
                    ..port.clone()
                },
            );
            if is_shared || !is_unused {
                want.ports.insert(
                    id,
                    Port {
                        subsystems: BTreeSet::new(),
                        ..port.clone()
                    },
                );
            }
        } else if let Some(groups) = target.unfinished_ports.get(&id).filter(|_| !is_shared) {
            have.unfinished_ports.insert(id, groups.clone());
        }
        if have == want {
            return vec![forget];
        }
        vec![Step::Export { have, want }, forget]
    }
}
