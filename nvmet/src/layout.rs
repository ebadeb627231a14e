//! Where things are below the root. Every name comes from a type that is a single path component.

use crate::model::{AnaGroupId, Nsid, PortId, ReferralName};
use crate::nqn::Nqn;

pub(crate) const DISCOVERY_NQN: &str = "discovery_nqn";
pub(crate) const HOSTS: &str = "hosts";
pub(crate) const SUBSYSTEMS: &str = "subsystems";
pub(crate) const PORTS: &str = "ports";

pub(crate) fn host(host: &Nqn) -> String {
    format!("{HOSTS}/{host}")
}

pub(crate) fn subsystem(subsystem: &Nqn) -> String {
    format!("{SUBSYSTEMS}/{subsystem}")
}

pub(crate) fn allowed_host(subsystem: &Nqn, host: &Nqn) -> String {
    format!("{SUBSYSTEMS}/{subsystem}/allowed_hosts/{host}")
}

pub(crate) fn namespace(subsystem: &Nqn, nsid: Nsid) -> String {
    format!("{SUBSYSTEMS}/{subsystem}/namespaces/{nsid}")
}

pub(crate) fn port(port: PortId) -> String {
    format!("{PORTS}/{port}")
}

pub(crate) fn ana_group(port: PortId, group: AnaGroupId) -> String {
    format!("{PORTS}/{port}/ana_groups/{group}")
}

pub(crate) fn port_link(port: PortId, subsystem: &Nqn) -> String {
    format!("{PORTS}/{port}/subsystems/{subsystem}")
}

pub(crate) fn referral(port: PortId, referral: &ReferralName) -> String {
    format!("{PORTS}/{port}/referrals/{referral}")
}
