//! The rung between: device mapper counts each volume's I/Os, in a region of its own statistics over the whole device.
//!
//! Making a region suspends the device for a moment, which waits for its I/O (`dm_stats_create` in drivers/md/dm-stats.c). So that
//! a disk that hangs holds up nobody, regions are made on a thread of their own and by `dmsetup`, which is given up when it
//! takes long. Until then, and where there can be no region, the volume is measured as on the rung below.
//!
//! Regions live as long as their devices: counters go on while no agent runs, and the next one finds them by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::disk_statistics::{self, Disk};
use super::figures::BackendFigures;
use super::memory;
use super::plan::{Plan, Region, Seen, plan};
use super::region::{self, Owner};
use crate::cmd::{Cmd, Host, Program, Runner};
use crate::dm::control::{Control, ControlError, Mapper};
use crate::probe::{DevT, MeasuredVolume, StageOff, Wanted};

/// So long the making of a region is waited for.
const DEADLINE: Duration = Duration::from_secs(10);

/// The rung.
pub(crate) struct DmStatistics {
    keeper: Arc<Keeper>,
}

/// What both threads share: the one that makes regions, and whoever reads.
struct Keeper {
    mapper: Box<dyn Mapper>,
    sysfs: PathBuf,
    wish: Mutex<Wish>,
    wished: Condvar,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
enum Wish {
    #[default]
    None,
    Measure(Wanted),
    Stop,
}

/// What the last look found.
#[derive(Debug, Default)]
struct Kept {
    volumes: Vec<MeasuredVolume>,
    regions: BTreeMap<DevT, Region>,
    /// Why a device has no region, and won't have one soon.
    refused: BTreeMap<DevT, String>,
    disks: BTreeMap<DevT, Disk>,
}

impl DmStatistics {
    /// Starts the thread that makes regions.
    ///
    /// # Errors
    /// This process may not use device mapper.
    pub(crate) fn start(sysfs: PathBuf) -> Result<Self, ControlError> {
        let control = Control::new();
        match control.probe() {
            Err(error) if !error.is_not_there_yet() => return Err(error),
            _ => {}
        }
        let rung = DmStatistics::new(Box::new(control), sysfs);
        let keeper = Arc::clone(&rung.keeper);
        let runner = Host::new(None);
        let thread = std::thread::Builder::new().name("dm-statistics".to_owned());
        let started = thread.spawn(move || {
            while let Some(wanted) = keeper.next() {
                keeper.keep(&wanted, &runner);
            }
        });
        if let Err(error) = started {
            tracing::error!(%error, "volumes are measured by diskstats alone");
        }
        Ok(rung)
    }

    fn new(mapper: Box<dyn Mapper>, sysfs: PathBuf) -> Self {
        DmStatistics {
            keeper: Arc::new(Keeper {
                mapper,
                sysfs,
                wish: Mutex::default(),
                wished: Condvar::new(),
                kept: Mutex::default(),
            }),
        }
    }

    /// Says what to measure. What is made for it is there a little later.
    pub(crate) fn sync(&self, wanted: &Wanted) {
        self.keeper.wish(Wish::Measure(wanted.clone()));
    }

    /// The figures of every volume that has all its regions, and what of the others is not measured.
    pub(crate) fn read(&self) -> (Vec<BackendFigures>, Vec<StageOff>) {
        let kept = locked(&self.keeper.kept);
        let (mut all, mut off) = (Vec::new(), Vec::new());
        for volume in &kept.volumes {
            let mut devices = volume.devices.iter();
            match devices.find_map(|device| kept.refused.get(&device.dev)) {
                Some(why) => {
                    off.push(StageOff {
                        stage: "histogram".to_owned(),
                        reason: format!("volume {}: {why}", volume.name),
                    });
                    all.extend(self.keeper.read_disks(&kept, volume));
                }
                None => all.extend(self.keeper.read_regions(&kept, volume)),
            }
        }
        (all, off)
    }

    /// Kernel memory of all regions, in bytes; 0 if it can't be told.
    pub(crate) fn bytes(&self) -> u64 {
        let regions = locked(&self.keeper.kept).regions.len();
        memory::bytes(&self.keeper.sysfs, regions).unwrap_or(0)
    }
}

impl Drop for DmStatistics {
    fn drop(&mut self) {
        self.keeper.wish(Wish::Stop);
    }
}

impl Keeper {
    fn wish(&self, wish: Wish) {
        *locked(&self.wish) = wish;
        self.wished.notify_one();
    }

    /// The latest wish, once there is one; `None` to stop.
    fn next(&self) -> Option<Wanted> {
        let mut wish = locked(&self.wish);
        loop {
            match std::mem::take(&mut *wish) {
                Wish::Measure(wanted) => return Some(wanted),
                Wish::Stop => return None,
                Wish::None => {
                    let woken = self.wished.wait(wish);
                    wish = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Makes the regions be what is wanted: repeating it changes nothing.
    fn keep(&self, wanted: &Wanted, runner: &dyn Runner) {
        let seen = match self.look() {
            Ok(seen) => seen,
            Err(error) => {
                tracing::error!(error = crate::chain(&error), "no regions are kept");
                BTreeMap::new()
            }
        };
        let Plan {
            found,
            delete,
            create,
            foreign,
        } = plan(wanted, &seen);
        for (dev, number) in delete {
            self.delete(dev, number);
        }
        let refused = foreign.into_iter();
        let refused: BTreeMap<DevT, String> = refused
            .map(|dev| (dev, "its device is none of device mapper's".to_owned()))
            .collect();
        let devices = wanted.volumes.iter().flat_map(|volume| &volume.devices);
        let disks = devices.filter_map(|device| {
            let disk = Disk::at(&self.sysfs, device.dev)?;
            Some((device.dev, disk))
        });
        let disks = disks.collect();
        let earlier = std::mem::replace(
            &mut *locked(&self.kept),
            Kept {
                volumes: wanted.volumes.clone(),
                regions: found,
                refused,
                disks,
            },
        );
        for (dev, owner) in create {
            let uuid = seen.get(&dev).map(|seen| seen.uuid.as_str());
            match self.create(dev, uuid.unwrap_or_default(), owner, runner) {
                Ok(region) => {
                    locked(&self.kept).regions.insert(dev, region);
                }
                Err(why) => {
                    if earlier.refused.get(&dev) != Some(&why) {
                        tracing::warn!(volume = %owner.volume, %dev, why, "no region: diskstats alone");
                    }
                    locked(&self.kept).refused.insert(dev, why);
                }
            }
        }
    }

    /// Every device of device mapper, with our regions on it. A device that keeps no statistics is left out.
    fn look(&self) -> Result<BTreeMap<DevT, Seen>, ControlError> {
        let devices = match self.mapper.devices() {
            Err(error) if error.is_not_there_yet() => Vec::new(),
            devices => devices?,
        };
        let mut all = BTreeMap::new();
        for dev in devices {
            match self.see(dev) {
                Ok(seen) => {
                    all.insert(dev, seen);
                }
                // It may also have gone away in this moment.
                Err(error) => tracing::debug!(error = crate::chain(&error), "left out"),
            }
        }
        Ok(all)
    }

    fn see(&self, dev: DevT) -> Result<Seen, ControlError> {
        let answer = self.mapper.message(dev, &region::list())?;
        Ok(Seen {
            regions: region::parse_list(&answer.text)?,
            uuid: answer.uuid,
        })
    }

    fn create(
        &self,
        dev: DevT,
        uuid: &str,
        owner: Owner,
        runner: &dyn Runner,
    ) -> Result<Region, String> {
        let message = region::create(owner);
        let (major, minor) = (dev.major.to_string(), dev.minor.to_string());
        let whom = match uuid {
            "" => vec!["--major", &major, "--minor", &minor],
            uuid => vec!["--uuid", uuid],
        };
        let args = [&["message"][..], &whom, &["0", &message]].concat();
        let cmd = Cmd {
            program: Program::Dmsetup,
            args: args.into_iter().map(str::to_owned).collect(),
            deadline: DEADLINE,
            lock: format!("dm-statistics {dev}"),
        };
        runner.run(&cmd).map_err(|error| crate::chain(&error))?;
        let seen = self.see(dev).map_err(|error| crate::chain(&error))?;
        let made = seen.regions.iter();
        let made = made.filter(|listed| listed.owner == owner && listed.is_current);
        match made.map(|listed| listed.number).min() {
            Some(number) if seen.uuid == uuid => Ok(Region {
                uuid: seen.uuid,
                number,
            }),
            _ => Err("its region is not there although it was made".to_owned()),
        }
    }

    fn delete(&self, dev: DevT, number: u32) -> bool {
        match self.mapper.message(dev, &region::delete(number)) {
            Ok(_) => true,
            Err(error) => {
                let error = crate::chain(&error);
                tracing::warn!(%dev, number, error, "a region of ours stays");
                false
            }
        }
    }

    /// `None` if not all of the volume's devices have their regions: a part of the figures is none.
    fn read_regions(&self, kept: &Kept, volume: &MeasuredVolume) -> Option<BackendFigures> {
        let mut figures = BackendFigures::of(volume);
        for device in &volume.devices {
            let region = kept.regions.get(&device.dev)?;
            let message = region::print(region.number);
            let counted = self
                .mapper
                .message(device.dev, &message)
                .and_then(|answer| {
                    let is_it = answer.uuid == region.uuid;
                    Ok(is_it.then_some(region::parse_print(&answer.text)?))
                });
            match counted {
                Ok(counted) => figures.add_region(&counted?),
                Err(error) => {
                    // Most likely its device went away; else the next look makes it anew.
                    tracing::debug!(error = crate::chain(&error), "not measured");
                    return None;
                }
            }
        }
        Some(figures)
    }

    fn read_disks(&self, kept: &Kept, volume: &MeasuredVolume) -> Option<BackendFigures> {
        let devices = volume.devices.iter();
        let disks = devices.map(|device| kept.disks.get(&device.dev).copied());
        disk_statistics::figures(&self.sysfs, volume, &disks.collect::<Option<Vec<_>>>()?)
    }
}

/// Removes every region of ours from every device. Returns how many there were. Where this process may not use device mapper, it
/// removes none.
pub(crate) fn remove_regions() -> usize {
    let rung = DmStatistics::new(Box::new(Control::new()), PathBuf::new());
    let seen = match rung.keeper.look() {
        Ok(seen) => seen,
        Err(error) => {
            tracing::debug!(error = crate::chain(&error), "regions are not looked for");
            return 0;
        }
    };
    let removed = seen.into_iter().flat_map(|(dev, seen)| {
        let numbers = seen.regions.into_iter().map(move |listed| listed.number);
        numbers.map(move |number| (dev, number))
    });
    removed
        .filter(|(dev, number)| rung.keeper.delete(*dev, *number))
        .count()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept is replaced whole, or grows by one entry.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
