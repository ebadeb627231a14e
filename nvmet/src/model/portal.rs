//! Where a port listens, or a referral points to.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::words::words;

/// Transport, address family, address and service in one: what belongs together.
///
/// TCP is proven on Linux 6.1, 6.12 and 7.3, loop on 6.12 and 7.3. RDMA and Fibre Channel are
/// modelled after the kernel's source and were never tried: they need hardware.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "transport", rename_all = "lowercase", deny_unknown_fields)]
pub enum Portal {
    /// NVMe/TCP (module `nvmet_tcp`).
    Tcp {
        /// Its family is what `addr_adrfam` says.
        address: IpAddr,
        /// TCP port.
        service: u16,
    },
    /// NVMe/RDMA (module `nvmet_rdma`). Unproven.
    Rdma {
        /// Its family is what `addr_adrfam` says.
        address: IpAddr,
        /// RDMA CM port.
        service: u16,
    },
    /// NVMe over Fibre Channel (module `nvmet_fc`). Unproven.
    Fc {
        /// As in `nn-0x…:pn-0x…`.
        address: String,
        /// Usually `none`.
        #[serde(default)]
        service: String,
    },
    /// This machine alone (module `nvme_loop`).
    Loop {
        /// Empty, or what a host has to give as `traddr`.
        #[serde(default)]
        address: String,
        /// Means nothing.
        #[serde(default)]
        service: String,
        /// Means nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        family: Option<Family>,
    },
}

words! {
    /// NVMe transports of the kernel's target (`addr_trtype`).
    Transport {
        /// NVMe/TCP.
        Tcp = "tcp",
        /// NVMe/RDMA.
        Rdma = "rdma",
        /// NVMe over Fibre Channel.
        Fc = "fc",
        /// This machine alone.
        Loop = "loop",
    }
}

words! {
    /// Address families (`addr_adrfam`).
    Family {
        /// IPv4.
        Ipv4 = "ipv4",
        /// IPv6.
        Ipv6 = "ipv6",
        /// InfiniBand.
        Ib = "ib",
        /// Fibre Channel.
        Fc = "fc",
        /// This machine alone.
        Loop = "loop",
    }
}

words! {
    /// Whether a host must use a secure channel (`addr_treq`).
    Treq {
        /// Nothing is said.
        NotSpecified = "not specified",
        /// It must.
        Required = "required",
        /// It may.
        NotRequired = "not required",
    }
}

words! {
    /// Transport specific address subtype (`addr_tsas`).
    Tsas {
        /// TCP in the clear.
        None = "none",
        /// TCP with TLS 1.3; needs the kernel's nvme keyring, and tlshd for the handshake.
        Tls13 = "tls1.3",
        /// RDMA, connected queue pairs.
        Connected = "connected",
        /// RDMA, datagrams.
        Datagram = "datagram",
    }
}

/// The four attributes that make a portal, as configfs has them; empty where nothing is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) transport: String,
    pub(crate) family: String,
    pub(crate) address: String,
    pub(crate) service: String,
}

/// What four attributes are together.
pub(crate) enum Parsed {
    Portal(Portal),
    /// Something is missing or doesn't fit together yet.
    Incomplete,
    /// Something that the model can't say.
    Foreign,
}

impl Portal {
    /// NVMe/TCP.
    #[must_use]
    pub fn tcp(address: IpAddr, service: u16) -> Self {
        Portal::Tcp { address, service }
    }

    /// This machine alone.
    #[must_use]
    pub fn local() -> Self {
        Portal::Loop {
            address: String::new(),
            service: String::new(),
            family: None,
        }
    }

    /// Its transport.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self {
            Portal::Tcp { .. } => Transport::Tcp,
            Portal::Rdma { .. } => Transport::Rdma,
            Portal::Fc { .. } => Transport::Fc,
            Portal::Loop { .. } => Transport::Loop,
        }
    }

    /// IP address and port, where the transport has them.
    #[must_use]
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Portal::Tcp { address, service } | Portal::Rdma { address, service } => {
                Some(SocketAddr::new(*address, *service))
            }
            Portal::Fc { .. } | Portal::Loop { .. } => None,
        }
    }

    /// Its address family, if it has one.
    #[must_use]
    pub fn family(&self) -> Option<Family> {
        match self {
            Portal::Tcp { address, .. } | Portal::Rdma { address, .. } => {
                Some(Family::of(*address))
            }
            Portal::Fc { .. } => Some(Family::Fc),
            Portal::Loop { family, .. } => *family,
        }
    }

    pub(crate) fn raw(&self) -> Raw {
        let (address, service) = match self {
            Portal::Tcp { address, service } | Portal::Rdma { address, service } => {
                (address.to_string(), service.to_string())
            }
            Portal::Fc { address, service }
            | Portal::Loop {
                address, service, ..
            } => (address.clone(), service.clone()),
        };
        Raw {
            transport: self.transport().as_str().to_owned(),
            family: self.family().map_or("", Family::as_str).to_owned(),
            address,
            service,
        }
    }
}

impl Family {
    /// The family of `address`.
    #[must_use]
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() {
            Family::Ipv4
        } else {
            Family::Ipv6
        }
    }
}

impl Raw {
    pub(crate) fn parse(&self) -> Parsed {
        // Just made: its family may already say anything, and nothing can be linked to it.
        if self.transport.is_empty() {
            return Parsed::Incomplete;
        }
        let Some(transport) = Transport::named(&self.transport) else {
            return Parsed::Foreign;
        };
        match transport {
            Transport::Tcp | Transport::Rdma => self.over_ip(transport),
            Transport::Fc => match self.family.as_str() {
                "fc" if !self.address.is_empty() => Parsed::Portal(Portal::Fc {
                    address: self.address.clone(),
                    service: self.service.clone(),
                }),
                _ => Parsed::Incomplete,
            },
            Transport::Loop => {
                // `pci` is what a referral shows of which no family was set.
                let family = match self.family.as_str() {
                    "" | "pci" => None,
                    word => match Family::named(word) {
                        Some(family) => Some(family),
                        None => return Parsed::Foreign,
                    },
                };
                Parsed::Portal(Portal::Loop {
                    address: self.address.clone(),
                    service: self.service.clone(),
                    family,
                })
            }
        }
    }

    fn over_ip(&self, transport: Transport) -> Parsed {
        let is_known = ["", "pci"].contains(&self.family.as_str())
            || matches!(Family::named(&self.family), Some(family) if family != Family::Ib);
        let address = self.address.parse::<IpAddr>();
        // In the one spelling that we would write.
        let service = self.service.parse::<u16>();
        let service = service
            .ok()
            .filter(|service| service.to_string() == self.service);
        let is_odd = |text: &str, is_good: bool| !text.is_empty() && !is_good;
        if !is_known
            || is_odd(&self.address, address.is_ok())
            || is_odd(&self.service, service.is_some())
        {
            return Parsed::Foreign;
        }
        let (Ok(address), Some(service)) = (address, service) else {
            return Parsed::Incomplete;
        };
        if Family::of(address).as_str() != self.family {
            return Parsed::Incomplete;
        }
        Parsed::Portal(match transport {
            Transport::Tcp => Portal::Tcp { address, service },
            _ => Portal::Rdma { address, service },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for portal in [
            Portal::tcp("fd00::1".parse().unwrap(), 4420),
            Portal::Rdma {
                address: "10.0.0.1".parse().unwrap(),
                service: 4420,
            },
            Portal::Fc {
                address: "nn-0x1:pn-0x2".to_owned(),
                service: "none".to_owned(),
            },
            Portal::local(),
            Portal::Loop {
                address: "here".to_owned(),
                service: "1".to_owned(),
                family: Some(Family::Loop),
            },
        ] {
            match portal.raw().parse() {
                Parsed::Portal(parsed) => assert_eq!(parsed, portal),
                Parsed::Incomplete | Parsed::Foreign => panic!("{portal:?}"),
            }
        }
    }
}
