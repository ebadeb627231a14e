//! Device mapper in memory, and things to measure.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use uuid::Uuid;
use weir_api::names::VolumeId;

use crate::cmd::{Cmd, CmdError, Runner};
use crate::dm::control::{Answer, ControlError, Mapper};
use crate::probe::{DevT, MeasuredDevice, MeasuredVolume, Mode, Wanted};

/// A volume that has these devices.
pub(super) fn measured(number: u128, devices: &[DevT], is_local: bool) -> MeasuredVolume {
    let mode = if is_local {
        Mode::Local
    } else {
        let initiators = Vec::new();
        Mode::Exported { initiators }
    };
    let devices = devices.iter().map(|&dev| MeasuredDevice {
        dev,
        mode: mode.clone(),
    });
    MeasuredVolume {
        id: VolumeId(Uuid::from_u128(number)),
        name: format!("v{number}").parse().unwrap(),
        pool: "fast".parse().unwrap(),
        devices: devices.collect(),
    }
}

pub(super) fn wanted(volumes: Vec<MeasuredVolume>) -> Wanted {
    Wanted {
        volumes,
        ..Wanted::default()
    }
}

/// Devices and their regions.
#[derive(Clone, Default)]
pub(super) struct Fake(pub(super) Arc<Mutex<BTreeMap<DevT, Device>>>);

#[derive(Clone, Debug, Default)]
pub(super) struct Device {
    pub(super) uuid: String,
    /// As they are listed, and the I/Os they counted.
    pub(super) regions: BTreeMap<u32, (String, u64)>,
    /// What it says when a region is made.
    pub(super) refuses: bool,
}

impl Fake {
    pub(super) fn add(&self, dev: DevT, uuid: &str) {
        let device = Device {
            uuid: uuid.to_owned(),
            ..Device::default()
        };
        self.0.lock().unwrap().insert(dev, device);
    }

    /// Changes a device.
    pub(super) fn with<T>(&self, dev: DevT, change: impl FnOnce(&mut Device) -> T) -> T {
        change(self.0.lock().unwrap().get_mut(&dev).unwrap())
    }

    pub(super) fn listed(&self, dev: DevT) -> Vec<String> {
        let of_device = |device: &mut Device| {
            let regions = device.regions.values();
            regions.map(|(line, _)| line.clone()).collect()
        };
        self.with(dev, of_device)
    }
}

impl Device {
    fn create(&mut self, message: &str) {
        let words: Vec<&str> = message.split(' ').collect();
        let [_, range, _, _, precise, histogram, program, word] = words[..] else {
            panic!("{message}")
        };
        let line = format!("{range} 1 {program} {word} {precise} {histogram}");
        let number = (0..).find(|number| !self.regions.contains_key(number));
        self.regions.insert(number.unwrap(), (line, 0));
    }
}

fn refused(errno: i32) -> ControlError {
    ControlError::Refused {
        what: "obey".to_owned(),
        source: io::Error::from_raw_os_error(errno),
    }
}

impl Mapper for Fake {
    fn devices(&self) -> Result<Vec<DevT>, ControlError> {
        Ok(self.0.lock().unwrap().keys().copied().collect())
    }

    fn message(&self, dev: DevT, text: &str) -> Result<Answer, ControlError> {
        let mut devices = self.0.lock().unwrap();
        let device = devices.get_mut(&dev).ok_or_else(|| refused(libc::ENXIO))?;
        let words: Vec<&str> = text.split(' ').collect();
        let number = words.get(1).and_then(|word| word.parse().ok());
        let text = match (words[0], number) {
            ("@stats_list", _) => {
                let lines = device.regions.iter();
                lines
                    .filter(|(_, (line, _))| line.contains(" weir "))
                    .map(|(number, (line, _))| format!("{number}: {line}\n"))
                    .collect()
            }
            ("@stats_delete", Some(number)) => {
                let removed = device.regions.remove(&number);
                removed.ok_or_else(|| refused(libc::ENOENT))?;
                String::new()
            }
            ("@stats_print", Some(number)) => {
                let (_, count) = device
                    .regions
                    .get(&number)
                    .ok_or_else(|| refused(libc::ENOENT))?;
                let rest = ":0".repeat(63);
                format!("0+8 {count} 0 0 1000 0 0 0 0 0 0 0 0 0 {count}{rest}\n")
            }
            _ => panic!("{text}"),
        };
        Ok(Answer {
            uuid: device.uuid.clone(),
            text,
        })
    }
}

/// `dmsetup message --uuid UUID 0 MESSAGE`.
impl Runner for Fake {
    fn run(&self, cmd: &Cmd) -> Result<String, CmdError> {
        let [_, _, uuid, _, message] = &cmd.args[..] else {
            panic!("{cmd}")
        };
        let mut devices = self.0.lock().unwrap();
        let device = devices.values_mut().find(|device| device.uuid == *uuid);
        let device = device.filter(|device| !device.refuses);
        let Some(device) = device else {
            return Err(CmdError::Busy {
                earlier: "an earlier one".to_owned(),
            });
        };
        device.create(message);
        Ok(String::new())
    }
}
