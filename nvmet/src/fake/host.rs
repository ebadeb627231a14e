//! A host's attributes and rules.

use nix::errno::Errno;

use super::{Answer, Release};
use crate::model::{DhGroup, DhHash};

#[derive(Clone, Debug)]
pub(super) struct Host {
    key: String,
    controller_key: String,
    hash: DhHash,
    group: DhGroup,
}

impl Host {
    pub(super) fn new() -> Self {
        Host {
            key: String::new(),
            controller_key: String::new(),
            hash: DhHash::Sha256,
            group: DhGroup::Null,
        }
    }

    pub(super) fn read(&self, attribute: &str, release: Release) -> Answer<String> {
        if !release.has(attribute) {
            return Err(Errno::ENOENT);
        }
        Ok(match attribute {
            "dhchap_key" => self.key.clone(),
            "dhchap_ctrl_key" => self.controller_key.clone(),
            "dhchap_hash" => self.hash.to_string(),
            "dhchap_dhgroup" => self.group.to_string(),
            _ => return Err(Errno::ENOENT),
        })
    }

    pub(super) fn write(&mut self, attribute: &str, value: &str, release: Release) -> Answer<()> {
        if !release.has(attribute) {
            return Err(Errno::ENOENT);
        }
        match attribute {
            "dhchap_key" => self.key = key(value)?,
            "dhchap_ctrl_key" => self.controller_key = key(value)?,
            "dhchap_hash" => self.hash = DhHash::named(value).ok_or(Errno::EINVAL)?,
            "dhchap_dhgroup" => self.group = DhGroup::named(value).ok_or(Errno::EINVAL)?,
            _ => return Err(Errno::ENOENT),
        }
        Ok(())
    }
}

/// `nvmet_auth_set_key` in drivers/nvme/target/auth.c: a text that ends at once clears.
fn key(value: &str) -> Answer<String> {
    let value = value.split('\0').next().unwrap_or_default();
    if value.is_empty() {
        return Ok(String::new());
    }
    let hash = value
        .strip_prefix("DHHC-1:")
        .and_then(|rest| rest.split(':').next());
    match hash.and_then(|hash| hash.parse::<u8>().ok()) {
        Some(0..=3) => Ok(value.trim().to_owned()),
        _ => Err(Errno::EINVAL),
    }
}
