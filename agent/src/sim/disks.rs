//! The simulated node's block devices and zeroing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use weir_api::units::Bytes;

use super::{Content, Sim};
use crate::disk::{DiskError, Disks};
use crate::dm::Mapped;
use crate::lvm::area::Area;
use crate::probe::DevT;
use crate::zero::{ZeroJob, ZeroState, Zeroing};

impl Disks for Sim {
    fn number(&self, path: &Path) -> Result<DevT, DiskError> {
        let state = self.lock();
        let text = path.to_str().unwrap();
        let index = state.disks.keys().position(|disk| disk == text);
        let minor = index.and_then(|index| u32::try_from(index).ok());
        minor.map(|minor| DevT { major: 8, minor }).ok_or_else(|| {
            DiskError::new("look up", path, io::Error::from(io::ErrorKind::NotFound))
        })
    }

    fn scannable(&self) -> Result<Vec<String>, DiskError> {
        Ok(self.lock().disks.keys().cloned().collect())
    }

    fn area(&self, path: &Path) -> Result<Area, DiskError> {
        let state = self.lock();
        let strange = || {
            DiskError::new(
                "read LVM's metadata on",
                path,
                io::Error::other("simulated"),
            )
        };
        let device = path.to_str().unwrap();
        let mut groups = state.groups.iter().filter(|_| !state.is_strange);
        let found = groups.find(|(_, group)| group.devices.iter().any(|d| d == device));
        let (name, group) = found.ok_or_else(strange)?;
        if !state.disks.contains_key(device) {
            return Err(strange());
        }
        Ok(Area {
            uuid: device.to_owned(),
            text: Some(group.text(name, &state.disks)),
        })
    }

    fn mapped(&self) -> Result<Vec<Mapped>, DiskError> {
        let state = self.lock();
        let failed = |error| DiskError::new("list the devices of", Path::new("/dev/mapper"), error);
        if state.fuse.is_blown() {
            state.fuse.burn().map_err(failed)?;
        }
        Ok(state.mapped())
    }

    fn check_unused(&self, path: &Path) -> Result<(), DiskError> {
        let state = self.lock();
        let text = path.to_str().unwrap();
        let refusal = match state.disks.get(text) {
            None => Some("no such device".to_owned()),
            Some(disk) => disk.refusal.clone(),
        };
        match refusal {
            None => Ok(()),
            Some(refusal) => Err(DiskError::new("claim", path, io::Error::other(refusal))),
        }
    }

    fn flush(&self, path: &Path) -> Result<(), DiskError> {
        let mut state = self.lock();
        let failed = |error| DiskError::new("flush", path, error);
        state.fuse.burn().map_err(failed)?;
        state.flushed(path.to_str().unwrap());
        state.fuse.burn().map_err(failed)
    }

    fn has_volatile_cache(&self, number: DevT) -> Result<bool, DiskError> {
        let state = self.lock();
        let disk = state.disks.values().nth(number.minor as usize);
        Ok(disk.is_some_and(|disk| disk.write_back))
    }

    fn users(&self, _: DevT) -> Vec<String> {
        vec!["process 7 (test)".to_owned()]
    }

    fn drop_cache(&self, path: &Path) -> Result<(), DiskError> {
        let state = self.lock();
        let there = state.lv_at(path.to_str().unwrap());
        if there.is_some_and(|uuid| state.active.contains(&uuid)) {
            return Ok(());
        }
        Err(DiskError::new(
            "drop cache",
            path,
            io::Error::from(io::ErrorKind::NotFound),
        ))
    }
}

impl Zeroing for Sim {
    fn start(&mut self, job: &ZeroJob, device: PathBuf, _: Bytes) {
        let mut state = self.lock();
        if state.fuse.is_blown() || matches!(state.jobs.get(job), Some(ZeroState::Running(_))) {
            return;
        }
        let uuid = state.lv_at(device.to_str().unwrap());
        if uuid.as_ref() != Some(&job.lv_uuid) || !state.active.contains(&job.lv_uuid) {
            let failed = ZeroState::Failed("no such device".to_owned());
            state.jobs.insert(job.clone(), failed);
            return;
        }
        if state.content.get(&job.lv_uuid) == Some(&Content::Written) {
            state.violation(format!("data of volume {} is zeroed", job.id));
        }
        state.jobs.insert(job.clone(), ZeroState::Running(Bytes(0)));
    }

    fn stop(&mut self, job: &ZeroJob) {
        let stopped = ZeroState::Failed("stopped".to_owned());
        self.lock().jobs.insert(job.clone(), stopped);
    }

    fn jobs(&self) -> BTreeMap<ZeroJob, ZeroState> {
        self.lock().jobs.clone()
    }

    fn retain(&mut self, keep: &dyn Fn(&ZeroJob) -> bool) {
        let running = |state: &ZeroState| matches!(state, ZeroState::Running(_));
        self.lock()
            .jobs
            .retain(|job, state| keep(job) || running(state));
    }
}
