//! The pinned maps, opened with their types.

use std::path::Path;
use std::sync::atomic::Ordering;

use aya::Pod;
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray};
use weir_agent_ebpf::layout::{
    Account, DISK_REQUESTS, Device, DiskStart, Figure, HostKey, Loss, Mapper, Meta, Place,
    RawHistogram, RequestStart, Slot, Start, Tally, VOLUME_CARRIED, maps,
};
use weir_agent_ebpf::table::{self, device_of_key, key_of_device};

use super::ProbeError;
use super::owned::Owned;
use super::shared::Shared;
use super::tables::Table;
use crate::histogram::Histogram;

/// Whether requests to a device are looked at.
pub(super) fn has_requests(device: &Device) -> bool {
    device.flags & (DISK_REQUESTS | VOLUME_CARRIED) != 0
}

/// An array that names itself in errors.
pub(super) struct Elements<V: Pod> {
    name: &'static str,
    map: Array<MapData, V>,
}

/// A hash map that names itself in errors.
pub(super) struct Entries<K: Pod, V: Pod> {
    name: &'static str,
    map: HashMap<MapData, K, V>,
}

/// All maps that user space uses.
pub(super) struct Maps {
    meta: Elements<Meta>,
    pub(super) shared: Shared,
    pub(super) devices: Table<Device>,
    pub(super) hosts: Entries<HostKey, Place>,
    pub(super) volumes: Owned<Slot>,
    pub(super) disks: Owned<Slot>,
    pub(super) initiators: Owned<Slot>,
    pub(super) mapper: Elements<Mapper>,
    pub(super) accounts: Elements<Account>,
    pub(super) disk_figures: Elements<Figure>,
    pub(super) host_figures: Elements<Figure>,
    histograms: Elements<RawHistogram>,
    given: Elements<u32>,
    pub(super) volume_failures: Elements<Tally>,
    pub(super) disk_failures: Elements<Tally>,
    pub(super) throttled: Elements<Tally>,
    pub(super) bios: Table<Start>,
    pub(super) requests: Table<DiskStart>,
    pub(super) targets: Table<RequestStart>,
    dropped: PerCpuArray<MapData, u64>,
}

impl Maps {
    /// Opens them from their pins.
    pub(super) fn open(dir: &Path) -> Result<Self, ProbeError> {
        let sets = |keys| Ok(open::<Array<MapData, table::Keys>>(dir, keys)?.len());
        let of_starts = sets(maps::BIO_KEYS)?;
        let accounts: Elements<Account> = Elements::open(dir, maps::ACCOUNTS)?;
        Ok(Maps {
            meta: Elements::open(dir, maps::META)?,
            shared: Shared::open(dir, accounts.map.len())?,
            devices: Table::open(
                dir,
                [maps::DEVICE_KEYS, maps::DEVICES],
                table::Table::Devices,
                sets(maps::DEVICE_KEYS)?,
            )?,
            hosts: Entries::open(dir, maps::HOSTS)?,
            volumes: Owned::open(dir, maps::VOLUMES)?,
            disks: Owned::open(dir, maps::DISKS)?,
            initiators: Owned::open(dir, maps::INITIATORS)?,
            mapper: Elements::open(dir, maps::MAPPER)?,
            accounts,
            disk_figures: Elements::open(dir, maps::DISK_FIGURES)?,
            host_figures: Elements::open(dir, maps::HOST_FIGURES)?,
            histograms: Elements::open(dir, maps::HISTOGRAMS)?,
            given: Elements::open(dir, maps::GIVEN)?,
            volume_failures: Elements::open(dir, maps::VOLUME_FAILURES)?,
            disk_failures: Elements::open(dir, maps::DISK_FAILURES)?,
            throttled: Elements::open(dir, maps::THROTTLED)?,
            bios: Table::open(
                dir,
                [maps::BIO_KEYS, maps::BIOS],
                table::Table::Bios,
                of_starts,
            )?,
            requests: Table::open(
                dir,
                [maps::REQUEST_KEYS, maps::REQUESTS],
                table::Table::Requests,
                of_starts,
            )?,
            targets: Table::open(
                dir,
                [maps::TARGET_KEYS, maps::TARGETS],
                table::Table::Targets,
                of_starts,
            )?,
            dropped: open(dir, maps::DROPPED)?,
        })
    }

    pub(super) fn meta(&self) -> Result<Meta, ProbeError> {
        self.meta.get(0)
    }

    pub(super) fn set_meta(&mut self, meta: Meta) -> Result<(), ProbeError> {
        self.meta.set(0, &meta)
    }

    /// What was recorded of a figure.
    pub(super) fn recorded(&self, figure: Figure) -> Result<Histogram, ProbeError> {
        let raw = match figure.histogram.checked_sub(1) {
            Some(number) => self.histograms.get(number)?,
            None => RawHistogram::EMPTY,
        };
        Ok(Histogram::recorded(&figure, &raw))
    }

    /// Empties a figure that no program writes any more; it keeps its histogram.
    pub(super) fn clear(
        &mut self,
        figures: impl Fn(&mut Self) -> &mut Elements<Figure>,
        index: u32,
    ) -> Result<(), ProbeError> {
        let Figure { histogram, .. } = figures(self).get(index)?;
        self.empty(histogram)?;
        let empty = Figure {
            histogram,
            ..Figure::default()
        };
        figures(self).set(index, &empty)
    }

    /// The same of all that is counted of one operation of a volume.
    pub(super) fn clear_account(&mut self, index: u32) -> Result<(), ProbeError> {
        let account = self.accounts.get(index)?;
        for histogram in account.histograms {
            self.empty(histogram)?;
        }
        self.accounts.set(index, &account.emptied())
    }

    /// Empties a figure's histogram, if it has one.
    fn empty(&mut self, histogram: u32) -> Result<(), ProbeError> {
        match histogram.checked_sub(1) {
            Some(number) => self.histograms.set(number, &RawHistogram::EMPTY),
            None => Ok(()),
        }
    }

    /// All device numbers that mean something, and what: without what the programs know of them.
    pub(super) fn devices(&self) -> impl Iterator<Item = (u32, Device)> {
        let entries = self.devices.entries();
        entries.map(|(key, device)| (device_of_key(key), Device { timed: 0, ..device }))
    }

    /// Whether requests of disks have to be noted when they are issued: of some the kernel does not note it, or is not known to, or it
    /// does not suffice.
    pub(super) fn needs_issues(&self) -> bool {
        let devices = self.devices.entries();
        let mut with_requests = devices.filter(|(_, device)| has_requests(device));
        self.shared.notes_requests().load(Ordering::SeqCst) != 0
            || with_requests.any(|(_, device)| device.timed == 0)
    }

    /// Adds one, of which the kernel is not known to note when its requests are issued.
    pub(super) fn add_device(&mut self, dev: u32, device: &Device) -> Result<(), ProbeError> {
        self.devices.put(key_of_device(dev), device)
    }

    /// How many histograms of the pool are given out, and how many there are.
    pub(super) fn histograms(&self) -> Result<(u32, u32), ProbeError> {
        let size = self.histograms.map.len();
        // Programs that took one at the same moment may have counted beyond the end.
        Ok((self.given.get(0)?.min(size), size))
    }

    /// How many were dropped for a reason, on all CPUs.
    pub(super) fn dropped(&self, why: Loss) -> Result<u64, ProbeError> {
        let per_cpu = self
            .dropped
            .get(&(why as u32), 0)
            .map_err(in_map(maps::DROPPED))?;
        Ok(per_cpu.iter().sum())
    }
}

impl<V: Pod> Elements<V> {
    pub(super) fn open(dir: &Path, name: &'static str) -> Result<Self, ProbeError> {
        Ok(Elements {
            name,
            map: open(dir, name)?,
        })
    }

    pub(super) fn get(&self, index: u32) -> Result<V, ProbeError> {
        self.map.get(&index, 0).map_err(in_map(self.name))
    }

    pub(super) fn set(&mut self, index: u32, value: &V) -> Result<(), ProbeError> {
        self.map.set(index, value, 0).map_err(in_map(self.name))
    }

    pub(super) fn all(&self) -> Result<Vec<V>, ProbeError> {
        (0..self.map.len()).map(|index| self.get(index)).collect()
    }
}

impl<K: Pod, V: Pod> Entries<K, V> {
    fn open(dir: &Path, name: &'static str) -> Result<Self, ProbeError> {
        Ok(Entries {
            name,
            map: open(dir, name)?,
        })
    }

    /// All entries of a map that only user space changes.
    pub(super) fn all(&self) -> Result<Vec<(K, V)>, ProbeError> {
        self.map
            .iter()
            .map(|entry| entry.map_err(in_map(self.name)))
            .collect()
    }

    pub(super) fn insert(&mut self, key: &K, value: &V) -> Result<(), ProbeError> {
        self.map.insert(key, value, 0).map_err(in_map(self.name))
    }

    pub(super) fn remove(&mut self, key: &K) -> Result<(), ProbeError> {
        self.map.remove(key).map_err(in_map(self.name))
    }
}

fn open<M: TryFrom<Map, Error = MapError>>(
    dir: &Path,
    name: &'static str,
) -> Result<M, ProbeError> {
    MapData::from_pin(dir.join(name))
        .and_then(Map::from_map_data)
        .and_then(M::try_from)
        .map_err(in_map(name))
}

fn in_map(map: &'static str) -> impl Fn(MapError) -> ProbeError {
    move |source| ProbeError::Map { map, source }
}
