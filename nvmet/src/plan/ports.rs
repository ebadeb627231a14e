//! Ports, what is below them, and the links that make subsystems reachable.

use std::collections::{BTreeMap, BTreeSet};

use super::subsystems::is_kept;
use super::{Phase, Plan, wanted};
use crate::change::{self, Change, PortValue, ReferralValue};
use crate::model::{
    AnaGroupId, AnaState, Port, PortId, Raw, Referral, ReferralName, Target, Treq, Tsas,
};
use crate::nqn::Nqn;

impl Plan {
    pub(super) fn ports(&mut self, have: &Target, want: &Target) {
        for (&id, port) in &have.ports {
            let is_kept = match want.ports.get(&id) {
                Some(wanted) => can_be_written(&port.portal.raw(), wanted),
                None => want.unfinished_ports.contains_key(&id),
            };
            if !is_kept {
                self.remove_port(id, &port.ana_groups, &port.referrals);
            }
        }
        // What was written of an unfinished one is not told: it is made anew.
        for (&id, port) in &have.unfinished_ports {
            if want.ports.contains_key(&id) || !want.unfinished_ports.contains_key(&id) {
                self.remove_port(id, &port.ana_groups, &port.referrals);
            }
        }
        for (&id, port) in &want.ports {
            let had = have.ports.get(&id);
            if let Some(had) = had.filter(|had| can_be_written(&had.portal.raw(), port)) {
                self.set_port(id, settings(Some(had), port));
                self.ana_groups(id, &had.ana_groups, &port.ana_groups);
                self.referrals(id, &had.referrals, &port.referrals);
            } else {
                self.push(Phase::CreatePorts, Change::CreatePort { port: id });
                self.set_port(id, settings(None, port));
                self.ana_groups(id, &BTreeMap::new(), &port.ana_groups);
                self.referrals(id, &BTreeMap::new(), &port.referrals);
            }
        }
    }

    fn remove_port(
        &mut self,
        port: PortId,
        groups: &BTreeMap<AnaGroupId, AnaState>,
        referrals: &BTreeMap<ReferralName, Referral>,
    ) {
        for referral in referrals.keys().cloned() {
            let change = Change::RemoveReferral { port, referral };
            self.push(Phase::RemovePorts, change);
        }
        for &group in groups.keys().filter(|group| **group != AnaGroupId::DEFAULT) {
            self.push(Phase::RemovePorts, Change::RemoveAnaGroup { port, group });
        }
        self.push(Phase::RemovePorts, Change::RemovePort { port });
    }

    fn set_port(&mut self, port: PortId, values: Vec<PortValue>) {
        for value in values {
            self.push(Phase::CreatePorts, Change::SetPort { port, value });
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

    fn referrals(
        &mut self,
        port: PortId,
        have: &BTreeMap<ReferralName, Referral>,
        want: &BTreeMap<ReferralName, Referral>,
    ) {
        let raw = |referral: &Referral| referral.portal.as_ref().map(|portal| portal.raw());
        let is_kept = |had: &Referral, wanted: &Referral| match (raw(had), raw(wanted)) {
            (Some(had), Some(wanted)) => change::can_become(&had, &wanted),
            // What was written of an unfinished one is not told.
            (had, wanted) => had.is_none() && wanted.is_none(),
        };
        for (name, had) in have {
            if !want.get(name).is_some_and(|wanted| is_kept(had, wanted)) {
                let referral = name.clone();
                let change = Change::RemoveReferral { port, referral };
                self.push(Phase::RemovePorts, change);
            }
        }
        for (name, wanted) in want {
            let had = have.get(name).filter(|had| is_kept(had, wanted));
            if had.is_none() {
                let referral = name.clone();
                let change = Change::CreateReferral { port, referral };
                self.push(Phase::CreatePorts, change);
            }
            self.change_referral(port, name, had, wanted);
        }
    }

    fn change_referral(
        &mut self,
        port: PortId,
        name: &ReferralName,
        have: Option<&Referral>,
        want: &Referral,
    ) {
        let fresh = Referral {
            portal: None,
            port_id: 0,
            treq: Some(Treq::NotSpecified),
            enabled: false,
        };
        let have = have.unwrap_or(&fresh);
        let mut values = Vec::new();
        if let Some(portal) = &want.portal {
            let had = have.portal.as_ref().map(|portal| portal.raw());
            values = change::address(
                &had.unwrap_or_default(),
                &portal.raw(),
                ReferralValue::Family,
                ReferralValue::Address,
                ReferralValue::Service,
                ReferralValue::Transport,
            );
        }
        if have.port_id != want.port_id {
            values.push(ReferralValue::PortId(want.port_id));
        }
        values.extend(wanted(have.treq, want.treq).map(ReferralValue::Treq));
        let stop = have.enabled && (!values.is_empty() || !want.enabled);
        let start = want.enabled && (!values.is_empty() || !have.enabled);
        let stop = stop.then_some(ReferralValue::Enabled(false));
        let start = start.then_some(ReferralValue::Enabled(true));
        for value in stop.into_iter().chain(values).chain(start) {
            let referral = name.clone();
            self.push(
                Phase::CreatePorts,
                Change::SetReferral {
                    port,
                    referral,
                    value,
                },
            );
        }
    }

    pub(super) fn links(&mut self, have: &Target, want: &Target) {
        let had = all_links(have);
        let wanted = all_links(want);
        // A link that is the same on both sides and yet in the way of another change.
        let is_remade = |nqn: &Nqn| match (have.subsystems.get(nqn), want.subsystems.get(nqn)) {
            (Some(have), Some(want)) => !is_kept(have, want),
            _ => false,
        };
        let is_rewritten = |port: &PortId| match (have.ports.get(port), want.ports.get(port)) {
            (Some(have), Some(want)) => {
                !can_be_written(&have.portal.raw(), want) || !settings(Some(have), want).is_empty()
            }
            _ => false,
        };
        for link in &had {
            let (port, subsystem) = (link.0, link.1.clone());
            if !wanted.contains(link) || is_remade(link.1) {
                self.push(Phase::Unlink, Change::Unlink { port, subsystem });
            } else if is_rewritten(&port) {
                self.push(Phase::Unlink, Change::Interrupt { port, subsystem });
            }
        }
        for link in &wanted {
            if !had.contains(link) || is_remade(link.1) || is_rewritten(&link.0) {
                let (port, subsystem) = (link.0, link.1.clone());
                self.push(Phase::Link, Change::Link { port, subsystem });
            }
        }
    }
}

/// Everything that can be written only while nothing is linked.
fn settings(have: Option<&Port>, want: &Port) -> Vec<PortValue> {
    let mut values = change::address(
        &have.map(|have| have.portal.raw()).unwrap_or_default(),
        &want.portal.raw(),
        PortValue::Family,
        PortValue::Address,
        PortValue::Service,
        PortValue::Transport,
    );
    values.extend(security(have, want));
    values.extend(parameters(have, want));
    values
}

/// `nvmet_addr_tsas_store` changes the TREQ too, and `nvmet_addr_trtype_store` before it both.
fn security(have: Option<&Port>, want: &Port) -> Vec<PortValue> {
    let mut treq = have.map_or(Some(Treq::NotSpecified), |have| have.treq);
    let tsas = wanted(have.and_then(|have| have.tsas), want.tsas);
    if let Some(tsas) = tsas {
        treq = match (tsas, treq) {
            (Tsas::Tls13, Some(Treq::NotSpecified)) => Some(Treq::Required),
            (Tsas::None, _) => Some(Treq::NotSpecified),
            (_, treq) => treq,
        };
    }
    let treq = wanted(treq, want.treq).map(PortValue::Treq);
    tsas.map(PortValue::Tsas).into_iter().chain(treq).collect()
}

fn parameters(have: Option<&Port>, want: &Port) -> Vec<PortValue> {
    let values = [
        wanted(
            have.and_then(|have| have.inline_data_size),
            want.inline_data_size,
        )
        .map(PortValue::InlineDataSize),
        wanted(
            have.and_then(|have| have.max_queue_size),
            want.max_queue_size,
        )
        .map(PortValue::MaxQueueSize),
        wanted(have.and_then(|have| have.mdts), want.mdts).map(PortValue::Mdts),
        wanted(have.and_then(|have| have.pi_enable), want.pi_enable).map(PortValue::PiEnable),
    ];
    values.into_iter().flatten().collect()
}

/// Whether a port can become another without being made anew.
fn can_be_written(have: &Raw, want: &Port) -> bool {
    change::can_become(have, &want.portal.raw())
}

fn all_links(target: &Target) -> BTreeSet<(PortId, &Nqn)> {
    let of_port = |(id, port)| {
        let (id, port): (&PortId, &Port) = (id, port);
        port.subsystems.iter().map(|nqn| (*id, nqn))
    };
    target.ports.iter().flat_map(of_port).collect()
}
