//! A port's and a referral's attributes and rules.

use std::collections::BTreeSet;

use nix::errno::Errno;

use super::subsystem::{boolean, digit};
use super::{Answer, Named, Release};
use crate::model::{AnaState, Treq};

/// `nvmet_transport` in drivers/nvme/target/configfs.c.
const TRANSPORTS: [&str; 5] = ["rdma", "fc", "tcp", "pci", "loop"];
/// `nvmet_addr_family`.
const FAMILIES: [&str; 6] = ["ipv4", "ipv6", "ib", "fc", "pci", "loop"];
/// Attributes of a port and how they begin.
const PORT: [(&str, &str); 10] = [
    ("addr_trtype", ""),
    ("addr_adrfam", ""),
    ("addr_traddr", ""),
    ("addr_trsvcid", ""),
    ("addr_treq", "not specified"),
    ("addr_tsas", ""),
    ("param_inline_data_size", "-1"),
    ("param_max_queue_size", "-1"),
    ("param_mdts", "-1"),
    ("param_pi_enable", "0"),
];

#[derive(Clone, Debug)]
pub(super) struct Port {
    attributes: Named<String>,
    pub(super) ana_groups: Named<String>,
    pub(super) referrals: Named<Referral>,
    /// Link name to subsystem.
    pub(super) subsystems: Named<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Referral {
    attributes: Named<String>,
}

impl Port {
    pub(super) fn new(release: Release) -> Self {
        let attributes = PORT.into_iter().filter(|(name, _)| release.has(name));
        let optimized = AnaState::Optimized.as_str().to_owned();
        Port {
            attributes: owned(attributes),
            ana_groups: [("1".to_owned(), optimized)].into(),
            referrals: Named::new(),
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

    /// What it listens on, if that is something two ports can't share.
    pub(super) fn listens(&self) -> Option<(String, String)> {
        let is_on_tcp = self.is_enabled() && self.attributes["addr_trtype"] == "tcp";
        is_on_tcp.then(|| self.address())
    }

    fn address(&self) -> (String, String) {
        (
            self.attributes["addr_traddr"].clone(),
            self.attributes["addr_trsvcid"].clone(),
        )
    }

    pub(super) fn read(&self, parts: &[&str]) -> Answer<String> {
        let value = match parts {
            ["ana_groups", group, "ana_state"] => self.ana_groups.get(*group),
            ["referrals", name, attribute] => {
                let referral = self.referrals.get(*name).ok_or(Errno::ENOENT)?;
                referral.attributes.get(*attribute)
            }
            [attribute] => self.attributes.get(*attribute),
            _ => None,
        };
        value.cloned().ok_or(Errno::ENOENT)
    }

    pub(super) fn write(&mut self, parts: &[&str], value: &str) -> Answer<()> {
        match parts {
            ["ana_groups", group, "ana_state"] => {
                let state = self.ana_groups.get_mut(*group).ok_or(Errno::ENOENT)?;
                if AnaState::named(value).is_none() {
                    return Err(Errno::EINVAL);
                }
                value.clone_into(state);
                Ok(())
            }
            ["referrals", name, attribute] => {
                let referral = self.referrals.get_mut(*name).ok_or(Errno::ENOENT)?;
                referral.write(attribute, value)
            }
            [attribute] => {
                let is_enabled = self.is_enabled();
                store(&mut self.attributes, attribute, value, is_enabled)
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

    pub(super) fn make_referral(&mut self, name: &str, release: Release) -> Answer<()> {
        super::make(&mut self.referrals, name, || Referral {
            attributes: owned([
                ("addr_trtype", ""),
                ("addr_adrfam", release.fresh_family()),
                ("addr_traddr", ""),
                ("addr_trsvcid", ""),
                ("addr_treq", "not specified"),
                ("addr_portid", "0"),
                ("enable", "0"),
            ]),
        })
    }

    /// The first link makes it listen; `taken` is what others listen on.
    pub(super) fn link(
        &mut self,
        subsystem: &str,
        link: &str,
        taken: &BTreeSet<(String, String)>,
        release: Release,
    ) -> Answer<()> {
        if self.subsystems.contains_key(link) || super::links_to(&self.subsystems, subsystem) {
            return Err(Errno::EEXIST);
        }
        if !self.is_enabled() {
            self.bind(taken, release)?;
        }
        self.subsystems
            .insert(link.to_owned(), subsystem.to_owned());
        Ok(())
    }

    /// `nvmet_enable_port` in drivers/nvme/target/core.c and the transport's `add_port`.
    fn bind(&mut self, taken: &BTreeSet<(String, String)>, release: Release) -> Answer<()> {
        let transport = self.attributes["addr_trtype"].clone();
        // The modules that Debian's cloud kernels have.
        let is_there = transport == "tcp" || (transport == "loop" && release > Release::Linux6_1);
        // Neither carries protection information.
        if !is_there || self.attributes["param_pi_enable"] == "1" {
            return Err(Errno::EINVAL);
        }
        if transport == "tcp" {
            let (address, service) = self.address();
            let parsed: std::net::IpAddr = address.parse().map_err(|_| Errno::EINVAL)?;
            let family = if parsed.is_ipv4() { "ipv4" } else { "ipv6" };
            if self.attributes["addr_adrfam"] != family || service.parse::<u16>().is_err() {
                return Err(Errno::EINVAL);
            }
            self.choose("param_inline_data_size", |size| {
                if size < 0 { 16384 } else { size }
            });
            if taken.contains(&(address, service)) {
                return Err(Errno::EADDRINUSE);
            }
        }
        self.choose("param_inline_data_size", |size| size.max(0));
        self.choose("param_max_queue_size", |size| {
            if size < 0 { 1024 } else { size.clamp(16, 1024) }
        });
        self.choose("param_mdts", |mdts| mdts.max(0));
        Ok(())
    }

    fn choose(&mut self, attribute: &str, choice: impl Fn(i32) -> i32) {
        if let Some(value) = self.attributes.get_mut(attribute) {
            *value = choice(value.parse().unwrap_or(-1)).to_string();
        }
    }
}

impl Referral {
    fn write(&mut self, attribute: &str, value: &str) -> Answer<()> {
        if attribute == "enable" {
            let enable = digit(boolean(value)?);
            self.attributes.insert(attribute.to_owned(), enable);
            return Ok(());
        }
        let is_enabled = self.attributes["enable"] == "1";
        store(&mut self.attributes, attribute, value, is_enabled)
    }
}

/// What ports and referrals have in common: addresses, and what only ports have.
fn store(
    attributes: &mut Named<String>,
    attribute: &str,
    value: &str,
    is_enabled: bool,
) -> Answer<()> {
    if !attributes.contains_key(attribute) {
        return Err(Errno::ENOENT);
    }
    // These look at the value first.
    if (attribute == "param_pi_enable" && boolean(value).is_err())
        || (attribute == "addr_portid" && value.parse::<u16>().is_err())
        || (attribute == "addr_traddr" && value.len() > 256)
        || (attribute == "addr_trsvcid" && value.len() > 32)
    {
        return Err(Errno::EINVAL);
    }
    if is_enabled {
        return Err(Errno::EACCES);
    }
    let mut treq = attributes.get("addr_treq").cloned().unwrap_or_default();
    let is_tcp = attributes["addr_trtype"] == "tcp";
    let is_fit = match attribute {
        "addr_trtype" => TRANSPORTS.contains(&value),
        "addr_adrfam" => FAMILIES.contains(&value),
        "addr_treq" => {
            let is_tls = attributes
                .get("addr_tsas")
                .is_some_and(|tsas| tsas == "tls1.3");
            Treq::named(value).is_some() && !(is_tls && value == "not specified")
        }
        // With the keyring there, as in the VMs.
        "addr_tsas" => is_tcp && ["none", "tls1.3"].contains(&value),
        "param_inline_data_size" | "param_max_queue_size" => value.parse::<i32>().is_ok(),
        "param_mdts" => value.parse::<u8>().is_ok(),
        _ => !value.trim().is_empty(),
    };
    if !is_fit {
        return Err(Errno::EINVAL);
    }
    if attribute == "addr_trtype"
        && let Some(tsas) = attributes.get_mut("addr_tsas")
    {
        let fresh = match value {
            "tcp" => "none",
            "rdma" => "connected",
            _ => "",
        };
        fresh.clone_into(tsas);
    }
    if attribute == "addr_tsas" {
        if value == "none" {
            "not specified".clone_into(&mut treq);
        } else if treq == "not specified" {
            "required".clone_into(&mut treq);
        }
        attributes.insert("addr_treq".to_owned(), treq);
    }
    attributes.insert(attribute.to_owned(), value.to_owned());
    Ok(())
}

fn owned<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Named<String> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    attributes.into_iter().map(owned).collect()
}
