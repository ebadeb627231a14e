//! A port's attributes and rules.

use std::collections::BTreeSet;

use nix::errno::Errno;

use super::{Answer, Named};
use crate::model::AnaState;

/// `nvmet_transport` in drivers/nvme/target/configfs.c.
const TRANSPORTS: [&str; 5] = ["rdma", "fc", "tcp", "pci", "loop"];
/// `nvmet_addr_family`.
const FAMILIES: [&str; 6] = ["ipv4", "ipv6", "ib", "fc", "pci", "loop"];

#[derive(Clone, Debug)]
pub(super) struct Port {
    attributes: Named<String>,
    pub(super) ana_groups: Named<String>,
    pub(super) referrals: BTreeSet<String>,
    /// Link name to subsystem.
    pub(super) subsystems: Named<String>,
}

impl Port {
    pub(super) fn new() -> Self {
        let attributes = ["addr_trtype", "addr_adrfam", "addr_traddr", "addr_trsvcid"]
            .map(|name| (name.to_owned(), String::new()));
        let optimized = AnaState::Optimized.as_str().to_owned();
        Port {
            attributes: attributes.into(),
            ana_groups: [("1".to_owned(), optimized)].into(),
            referrals: BTreeSet::new(),
            subsystems: Named::new(),
        }
    }

    pub(super) fn is_enabled(&self) -> bool {
        !self.subsystems.is_empty()
    }

    /// Nothing that was made or linked below it.
    pub(super) fn is_empty(&self) -> bool {
        self.subsystems.is_empty() && self.referrals.is_empty() && self.ana_groups.len() == 1
    }

    pub(super) fn address(&self) -> (String, String) {
        (
            self.attributes["addr_traddr"].clone(),
            self.attributes["addr_trsvcid"].clone(),
        )
    }

    pub(super) fn read(&self, parts: &[&str]) -> Answer<String> {
        let value = match parts {
            ["ana_groups", group, "ana_state"] => self.ana_groups.get(*group),
            [attribute] => self.attributes.get(*attribute),
            _ => None,
        };
        value.cloned().ok_or(Errno::ENOENT)
    }

    pub(super) fn write(&mut self, parts: &[&str], value: &str) -> Answer<()> {
        match parts {
            ["ana_groups", group, "ana_state"] => {
                let state = self.ana_groups.get_mut(*group).ok_or(Errno::ENOENT)?;
                if !AnaState::ALL.iter().any(|known| known.as_str() == value) {
                    return Err(Errno::EINVAL);
                }
                value.clone_into(state);
                Ok(())
            }
            [attribute] => {
                let is_enabled = self.is_enabled();
                let stored = self.attributes.get_mut(*attribute).ok_or(Errno::ENOENT)?;
                if is_enabled {
                    return Err(Errno::EACCES);
                }
                let is_known = match *attribute {
                    "addr_trtype" => TRANSPORTS.contains(&value),
                    "addr_adrfam" => FAMILIES.contains(&value),
                    _ => !value.is_empty(),
                };
                if !is_known {
                    return Err(Errno::EINVAL);
                }
                value.clone_into(stored);
                Ok(())
            }
            _ => Err(Errno::ENOENT),
        }
    }

    pub(super) fn make_ana_group(&mut self, group: &str) -> Answer<()> {
        let number: u32 = group.parse().map_err(|_| Errno::EINVAL)?;
        if self.ana_groups.contains_key(group) {
            return Err(Errno::EEXIST);
        }
        if !(2..=128).contains(&number) {
            return Err(Errno::EINVAL);
        }
        let inaccessible = AnaState::Inaccessible.as_str();
        self.ana_groups
            .insert(group.to_owned(), inaccessible.to_owned());
        Ok(())
    }

    /// The first link makes it listen; `taken` is what others listen on.
    pub(super) fn link(
        &mut self,
        subsystem: &str,
        link: &str,
        taken: &BTreeSet<(String, String)>,
    ) -> Answer<()> {
        if self.subsystems.contains_key(link) || super::links_to(&self.subsystems, subsystem) {
            return Err(Errno::EEXIST);
        }
        if !self.is_enabled() {
            self.bind(taken)?;
        }
        self.subsystems
            .insert(link.to_owned(), subsystem.to_owned());
        Ok(())
    }

    fn bind(&self, taken: &BTreeSet<(String, String)>) -> Answer<()> {
        let transport = self.attributes["addr_trtype"].as_str();
        if transport == "loop" {
            return Ok(());
        }
        if transport != "tcp" {
            return Err(Errno::EINVAL);
        }
        let (address, service) = self.address();
        let parsed: std::net::IpAddr = address.parse().map_err(|_| Errno::EINVAL)?;
        let family = if parsed.is_ipv4() { "ipv4" } else { "ipv6" };
        if self.attributes["addr_adrfam"] != family || service.parse::<u16>().is_err() {
            return Err(Errno::EINVAL);
        }
        if taken.contains(&(address, service)) {
            return Err(Errno::EADDRINUSE);
        }
        Ok(())
    }
}
