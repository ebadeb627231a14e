//! Rules of ports and referrals.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Check, Violation};
use crate::model::{AnaGroupId, Port, PortId, Portal, ReferralName, Target, Transport, Treq, Tsas};

/// Bytes of a transport address (NVMF_TRADDR_SIZE in include/linux/nvme.h).
const ADDRESS: usize = 256;
/// Bytes of a transport service id (NVMF_TRSVCID_SIZE).
const SERVICE: usize = 32;

impl Check<'_> {
    pub(super) fn check_ports(&self, target: &Target, found: &mut Vec<Violation>) {
        let mut addresses = BTreeMap::new();
        for (&id, port) in &target.ports {
            self.check_address(id, port, &mut addresses, found);
            check_portal(id, None, &port.portal, found);
            check_parameters(id, port, found);
            for (name, referral) in &port.referrals {
                if let Some(portal) = &referral.portal {
                    check_portal(id, Some(name), portal, found);
                } else if referral.enabled {
                    found.push(Violation::Portal {
                        port: id,
                        referral: format!(", referral {name}"),
                        attribute: "portal",
                        rule: "is not set, and the referral is to be enabled",
                    });
                }
            }
            for nqn in &port.subsystems {
                let Some(subsystem) = target.subsystems.get(nqn) else {
                    found.push(Violation::UnknownSubsystem {
                        port: id,
                        subsystem: nqn.clone(),
                    });
                    continue;
                };
                for (&nsid, namespace) in &subsystem.namespaces {
                    let group = namespace.ana_group;
                    if group != AnaGroupId::DEFAULT && !port.ana_groups.contains_key(&group) {
                        found.push(Violation::UnknownAnaGroup {
                            port: id,
                            subsystem: nqn.clone(),
                            nsid,
                            group,
                        });
                    }
                }
            }
        }
    }

    fn check_address(
        &self,
        id: PortId,
        port: &Port,
        addresses: &mut BTreeMap<(Transport, SocketAddr), PortId>,
        found: &mut Vec<Violation>,
    ) {
        let Some(address) = port.portal.socket() else {
            return;
        };
        if address.ip().is_unspecified() && !self.allow_unspecified_address {
            found.push(Violation::UnspecifiedAddress { port: id, address });
        }
        if address.port() == 0 {
            found.push(Violation::NoService { port: id });
        }
        if let Some(first) = addresses.insert((port.portal.transport(), address), id) {
            found.push(Violation::SameAddress {
                first,
                second: id,
                address,
            });
        }
    }
}

fn check_portal(
    port: PortId,
    referral: Option<&ReferralName>,
    portal: &Portal,
    found: &mut Vec<Violation>,
) {
    let (Portal::Fc { address, service }
    | Portal::Loop {
        address, service, ..
    }) = portal
    else {
        return;
    };
    let mut refuse = |attribute, rule| {
        found.push(Violation::Portal {
            port,
            referral: referral.map_or(String::new(), |name| format!(", referral {name}")),
            attribute,
            rule,
        });
    };
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    for (attribute, text, longest) in [("address", address, ADDRESS), ("service", service, SERVICE)]
    {
        if text.len() >= longest {
            refuse(attribute, "is longer than the kernel takes");
        } else if !is_word(text) {
            refuse(
                attribute,
                "has a blank or a character that is not printable ASCII",
            );
        }
    }
    if matches!(portal, Portal::Fc { .. }) && address.is_empty() {
        refuse("address", "is empty");
    }
}

fn check_parameters(port: PortId, wanted: &Port, found: &mut Vec<Violation>) {
    let mut refuse = |attribute, rule| {
        found.push(Violation::Portal {
            port,
            referral: String::new(),
            attribute,
            rule,
        });
    };
    // Others are clamped, and would never be read back (`nvmet_enable_port`).
    if wanted
        .max_queue_size
        .is_some_and(|size| !(16..=1024).contains(&size))
    {
        refuse("max_queue_size", "is not in 16..=1024");
    }
    if wanted
        .inline_data_size
        .is_some_and(|size| i32::try_from(size).is_err())
    {
        refuse("inline_data_size", "is larger than the kernel can count");
    }
    let fits = match (wanted.portal.transport(), wanted.tsas) {
        (_, None) => true,
        (Transport::Tcp, Some(tsas)) => matches!(tsas, Tsas::None | Tsas::Tls13),
        (Transport::Rdma, Some(tsas)) => matches!(tsas, Tsas::Connected | Tsas::Datagram),
        (Transport::Fc | Transport::Loop, Some(_)) => false,
    };
    if !fits {
        refuse("tsas", "is not one of its transport's");
    }
    if (wanted.tsas, wanted.treq) == (Some(Tsas::Tls13), Some(Treq::NotSpecified)) {
        refuse("treq", "has to be `required` or `not required` with TLS");
    }
    // Refused when the first subsystem is linked (`nvmet_enable_port`).
    if wanted.portal.transport() != Transport::Rdma && wanted.pi_enable == Some(true) {
        refuse("pi_enable", "is for RDMA alone");
    }
}
