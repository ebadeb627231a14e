//! A subsystem's and a namespace's attributes and rules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use uuid::Uuid;

use super::{Answer, Named};

#[derive(Clone, Debug)]
pub(super) struct Subsystem {
    /// A host has connected: what it was told then must not change.
    pub(super) discovered: bool,
    allow_any_host: bool,
    serial: String,
    model: String,
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
    enabled: bool,
}

impl Subsystem {
    /// `made` differs from every other subsystem's.
    pub(super) fn new(made: u64) -> Self {
        Subsystem {
            discovered: false,
            allow_any_host: false,
            serial: format!("{made:016x}"),
            model: "Linux".to_owned(),
            passthru: false,
            allowed_hosts: Named::new(),
            namespaces: Named::new(),
        }
    }

    /// Nothing that was made or linked below it.
    pub(super) fn is_empty(&self) -> bool {
        self.allowed_hosts.is_empty() && self.namespaces.is_empty()
    }

    pub(super) fn read(&self, parts: &[&str]) -> Answer<String> {
        Ok(match parts {
            ["attr_allow_any_host"] => digit(self.allow_any_host),
            // The kernel pads it.
            ["attr_serial"] => format!("{:<20}", self.serial),
            ["attr_model"] => self.model.clone(),
            ["passthru", "enable"] => digit(self.passthru),
            ["namespaces", nsid, attribute] => {
                let namespace = self.namespaces.get(*nsid).ok_or(Errno::ENOENT)?;
                namespace.read(attribute)?
            }
            _ => return Err(Errno::ENOENT),
        })
    }

    pub(super) fn write(&mut self, parts: &[&str], value: &str) -> Answer<()> {
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
            _ => return Err(Errno::ENOENT),
        })
    }

    fn write(&mut self, attribute: &str, value: &str) -> Answer<()> {
        let fixed = matches!(attribute, "device_path" | "device_uuid" | "device_nguid");
        if fixed && self.enabled {
            return Err(Errno::EBUSY);
        }
        match attribute {
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

fn digit(value: bool) -> String {
    if value { "1" } else { "0" }.to_owned()
}

/// The kernel's kstrtobool, as far as anyone uses it.
fn boolean(value: &str) -> Answer<bool> {
    match value {
        "1" | "y" | "on" => Ok(true),
        "0" | "n" | "off" => Ok(false),
        _ => Err(Errno::EINVAL),
    }
}
