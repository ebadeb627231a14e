//! A subsystem's and a namespace's attributes and rules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use uuid::Uuid;

use super::{Answer, Named, Release};
use crate::model::Version;

#[derive(Clone, Debug)]
pub(super) struct Subsystem {
    /// A host has connected: what it was told then must not change.
    pub(super) discovered: bool,
    release: Release,
    allow_any_host: bool,
    serial: String,
    model: String,
    firmware: String,
    ieee_oui: u32,
    version: String,
    cntlid_min: u16,
    cntlid_max: u16,
    qid_max: u16,
    pi_enable: bool,
    vendor_id: u16,
    subsys_vendor_id: u16,
    passthru: bool,
    /// Link name to host.
    pub(super) allowed_hosts: Named<String>,
    pub(super) namespaces: Named<Namespace>,
}

#[derive(Clone, Debug)]
pub(super) struct Namespace {
    device_path: Option<String>,
    uuid: Uuid,
    nguid: Uuid,
    ana_group: u32,
    buffered_io: bool,
    resv_enable: bool,
    p2pmem: bool,
    enabled: bool,
}

impl Subsystem {
    /// `made` differs from every other subsystem's.
    pub(super) fn new(made: u64, release: Release) -> Self {
        Subsystem {
            discovered: false,
            release,
            allow_any_host: false,
            serial: format!("{made:016x}"),
            model: "Linux".to_owned(),
            firmware: "memory".to_owned(),
            ieee_oui: 0,
            version: release.version().to_owned(),
            cntlid_min: 1,
            cntlid_max: 0xFFEF,
            qid_max: 128,
            pi_enable: false,
            vendor_id: 0,
            subsys_vendor_id: 0,
            passthru: false,
            allowed_hosts: Named::new(),
            namespaces: Named::new(),
        }
    }

    /// Nothing that was made or linked below it.
    pub(super) fn is_empty(&self) -> bool {
        self.allowed_hosts.is_empty() && self.namespaces.is_empty()
    }

    fn has(&self, parts: &[&str]) -> Answer<()> {
        let attribute = parts.last().copied().unwrap_or_default();
        self.release
            .has(attribute)
            .then_some(())
            .ok_or(Errno::ENOENT)
    }

    pub(super) fn read(&self, parts: &[&str]) -> Answer<String> {
        self.has(parts)?;
        Ok(match parts {
            ["attr_allow_any_host"] => digit(self.allow_any_host),
            // The kernel pads it.
            ["attr_serial"] => format!("{:<20}", self.serial),
            ["attr_model"] => self.model.clone(),
            ["attr_firmware"] => self.firmware.clone(),
            ["attr_ieee_oui"] => format!("0x{:06x}", self.ieee_oui),
            ["attr_version"] => self.version.clone(),
            ["attr_cntlid_min"] => self.cntlid_min.to_string(),
            ["attr_cntlid_max"] => self.cntlid_max.to_string(),
            ["attr_qid_max"] => self.qid_max.to_string(),
            ["attr_pi_enable"] => digit(self.pi_enable),
            ["attr_vendor_id"] => format!("{:#x}", self.vendor_id),
            ["attr_subsys_vendor_id"] => format!("{:#x}", self.subsys_vendor_id),
            ["passthru", "enable"] => digit(self.passthru),
            ["namespaces", nsid, attribute] => {
                let namespace = self.namespaces.get(*nsid).ok_or(Errno::ENOENT)?;
                namespace.read(attribute)?
            }
            _ => return Err(Errno::ENOENT),
        })
    }

    pub(super) fn write(&mut self, parts: &[&str], value: &str) -> Answer<()> {
        self.has(parts)?;
        match parts {
            ["attr_allow_any_host"] => {
                let any = boolean(value)?;
                if any && !self.allowed_hosts.is_empty() {
                    return Err(Errno::EINVAL);
                }
                self.allow_any_host = any;
            }
            ["attr_serial"] => self.serial = self.text(value, 20)?,
            ["attr_model"] => self.model = self.text(value, 40)?,
            ["attr_firmware"] => self.firmware = self.text(value, 8)?,
            ["attr_ieee_oui"] => {
                let oui = unsigned(value).filter(|oui| *oui < 0x0100_0000);
                self.ieee_oui = oui.filter(|_| !self.discovered).ok_or(Errno::EINVAL)?;
            }
            ["attr_version"] => {
                let version: Version = value.parse().map_err(|_| Errno::EINVAL)?;
                if self.discovered {
                    return Err(Errno::EINVAL);
                }
                self.version = version.to_string();
            }
            ["attr_cntlid_min"] => {
                let id = short(value)?;
                self.cntlid_min = fit(id, (1..=self.cntlid_max).contains(&id))?;
            }
            ["attr_cntlid_max"] => {
                let id = short(value)?;
                self.cntlid_max = fit(id, id >= self.cntlid_min)?;
            }
            ["attr_qid_max"] => {
                let queues = short(value)?;
                self.qid_max = fit(queues, (1..=128).contains(&queues))?;
            }
            ["attr_pi_enable"] => self.pi_enable = boolean(value)?,
            ["attr_vendor_id"] => self.vendor_id = short(value)?,
            ["attr_subsys_vendor_id"] => self.subsys_vendor_id = short(value)?,
            ["passthru", "enable"] => self.passthru = boolean(value)?,
            ["namespaces", nsid, attribute] => {
                let namespace = self.namespaces.get_mut(*nsid).ok_or(Errno::ENOENT)?;
                namespace.write(attribute, value)?;
            }
            _ => return Err(Errno::ENOENT),
        }
        Ok(())
    }

    fn text(&self, value: &str, longest: usize) -> Answer<String> {
        let is_printable = |byte: u8| (0x20..=0x7e).contains(&byte);
        if self.discovered
            || value.is_empty()
            || value.len() > longest
            || !value.bytes().all(is_printable)
        {
            return Err(Errno::EINVAL);
        }
        Ok(value.to_owned())
    }

    pub(super) fn allow_host(&mut self, host: &str, link: &str) -> Answer<()> {
        if self.allow_any_host {
            return Err(Errno::EINVAL);
        }
        if self.allowed_hosts.contains_key(link) || super::links_to(&self.allowed_hosts, host) {
            return Err(Errno::EEXIST);
        }
        self.allowed_hosts.insert(link.to_owned(), host.to_owned());
        Ok(())
    }

    pub(super) fn make_namespace(&mut self, nsid: &str, made: u64) -> Answer<()> {
        let number: u32 = nsid.parse().map_err(|_| Errno::EINVAL)?;
        if number == 0 || number == u32::MAX {
            return Err(Errno::EINVAL);
        }
        super::make(&mut self.namespaces, nsid, || Namespace {
            device_path: None,
            // Random in the kernel; different from every other here.
            uuid: Uuid::from_u128(u128::from(made) << 64),
            nguid: Uuid::nil(),
            ana_group: 1,
            buffered_io: false,
            resv_enable: false,
            p2pmem: false,
            enabled: false,
        })
    }

    pub(super) fn enable(
        &mut self,
        nsid: &str,
        value: &str,
        block_devices: &BTreeSet<PathBuf>,
    ) -> Answer<()> {
        let namespace = self.namespaces.get_mut(nsid).ok_or(Errno::ENOENT)?;
        if !boolean(value)? {
            namespace.enabled = false;
            return Ok(());
        }
        // Success, and yet nothing happens (nvmet_ns_enable in drivers/nvme/target/core.c).
        if self.passthru || namespace.enabled {
            return Ok(());
        }
        let device = namespace.device_path.as_deref().ok_or(Errno::EINVAL)?;
        if !block_devices.contains(Path::new(device)) {
            return Err(Errno::ENOENT);
        }
        namespace.enabled = true;
        Ok(())
    }
}

impl Namespace {
    fn read(&self, attribute: &str) -> Answer<String> {
        Ok(match attribute {
            "device_path" => self.device_path.clone().unwrap_or("(null)".to_owned()),
            "device_uuid" => self.uuid.to_string(),
            "device_nguid" => self.nguid.to_string(),
            "ana_grpid" => self.ana_group.to_string(),
            "enable" => digit(self.enabled),
            "buffered_io" => digit(self.buffered_io),
            "resv_enable" => digit(self.resv_enable),
            "p2pmem" => digit(self.p2pmem),
            "revalidate_size" => return Err(Errno::EACCES),
            _ => return Err(Errno::ENOENT),
        })
    }

    fn write(&mut self, attribute: &str, value: &str) -> Answer<()> {
        let errno = match attribute {
            "device_path" | "device_uuid" | "device_nguid" | "p2pmem" => Some(Errno::EBUSY),
            "buffered_io" | "resv_enable" => Some(Errno::EINVAL),
            _ => None,
        };
        if let Some(errno) = errno.filter(|_| self.enabled) {
            return Err(errno);
        }
        match attribute {
            "buffered_io" => self.buffered_io = boolean(value)?,
            "resv_enable" => self.resv_enable = boolean(value)?,
            // There is no PCI device that has any.
            "p2pmem" => self.p2pmem = boolean(value).map_err(|_| Errno::ENODEV)?,
            "revalidate_size" if !(boolean(value)? && self.enabled) => return Err(Errno::EINVAL),
            "revalidate_size" => {}
            "device_path" if value.is_empty() => return Err(Errno::EINVAL),
            "device_path" => self.device_path = Some(value.to_owned()),
            "device_uuid" => self.uuid = value.parse().map_err(|_| Errno::EINVAL)?,
            "device_nguid" => self.nguid = value.parse().map_err(|_| Errno::EINVAL)?,
            "ana_grpid" => {
                let group = value.parse().map_err(|_| Errno::EINVAL)?;
                if !(1..=128).contains(&group) {
                    return Err(Errno::EINVAL);
                }
                // array_index_nospec(128, 128) is 0.
                self.ana_group = if group == 128 { 0 } else { group };
            }
            _ => return Err(Errno::ENOENT),
        }
        Ok(())
    }
}

/// The kernel's kstrtouint with base 0, as far as anyone uses it.
fn unsigned(value: &str) -> Option<u32> {
    match value.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}

fn short(value: &str) -> Answer<u16> {
    let number = unsigned(value).and_then(|number| u16::try_from(number).ok());
    number.ok_or(Errno::EINVAL)
}

fn fit(number: u16, fits: bool) -> Answer<u16> {
    fits.then_some(number).ok_or(Errno::EINVAL)
}

pub(super) fn digit(value: bool) -> String {
    if value { "1" } else { "0" }.to_owned()
}

/// The kernel's kstrtobool, as far as anyone uses it.
pub(super) fn boolean(value: &str) -> Answer<bool> {
    match value {
        "1" | "y" | "on" => Ok(true),
        "0" | "n" | "off" => Ok(false),
        _ => Err(Errno::EINVAL),
    }
}
