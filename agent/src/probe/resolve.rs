//! From what is wanted to what can be measured on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use uuid::Uuid;
use weir_agent_ebpf::layout::{
    DISK_BIOS, DISK_FLUSHES, DISK_REQUESTS, NQN_BYTES, VOLUME_CARRIED, VOLUME_EXPORTED,
    VOLUME_LOCAL,
};
use weir_api::names::{NodeName, ObjectName, VolumeId};

use super::slots::HolderId;
use super::snapshot::{InitiatorLabels, Stage, StageOff};
use super::sysfs;
use super::wanted::{MeasuredDevice, MeasuredDisk, MeasuredImport, MeasuredVolume, Mode, Wanted};

/// What can be measured.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) volumes: Vec<Volume>,
    pub(super) disks: Vec<Disk>,
    pub(super) initiators: Vec<Initiator>,
    pub(super) imports: Vec<Import>,
    /// What can't, and why.
    pub(super) off: Vec<StageOff>,
}

#[derive(Debug)]
pub(super) struct Volume {
    pub(super) id: HolderId,
    /// Each device's number, and one of the `VOLUME_…` bits.
    pub(super) devices: Vec<(u32, u32)>,
    /// Whether the time between t1 and t4 can be divided.
    pub(super) is_divided: bool,
    pub(super) wanted: MeasuredVolume,
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) id: HolderId,
    /// Each device's number, and its `DISK_…` bits: the disk's own, and the partition's if it is one.
    pub(super) devices: Vec<(u32, u32)>,
    pub(super) wanted: MeasuredDisk,
}

#[derive(Debug)]
pub(super) struct Import {
    /// Not that of the volume, which may be one of this node's own.
    pub(super) id: HolderId,
    pub(super) dev: u32,
    pub(super) volume: VolumeId,
}

#[derive(Debug)]
pub(super) struct Initiator {
    pub(super) id: HolderId,
    pub(super) volume: HolderId,
    /// Padded with NULs.
    pub(super) nqns: Vec<[u8; NQN_BYTES]>,
    pub(super) labels: InitiatorLabels,
}

/// What can't be measured on this node for want of events, and why.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lacks<'a> {
    /// The time between t1 and t4 can't be divided.
    pub(super) division: Option<&'a str>,
    /// The ends of imported volumes' I/Os are not seen: begun ones would fill the table.
    pub(super) imports: Option<&'a str>,
    /// The same of volumes whose device has requests.
    pub(super) requests: Option<&'a str>,
}

pub(super) fn resolve(wanted: &Wanted, sysfs: &Path, lacks: Lacks<'_>) -> Resolved {
    let mut resolved = Resolved::default();
    let mut off = BTreeMap::new();
    for volume in &wanted.volumes {
        match resolved.volume(volume, sysfs, lacks) {
            Ok(found) => {
                resolved.add_initiators(&found);
                resolved.volumes.push(found);
            }
            Err(reason) => resolved.off("backend", format!("volume {}: {reason}", volume.name)),
        }
    }
    for disk in &wanted.disks {
        match resolved.disk(disk, sysfs) {
            Ok(found) => resolved.disks.push(found),
            Err(reason) => {
                let reason = format!("disk {}: {reason}", disk.disk);
                off.insert(disk.pool.clone(), reason.clone());
                resolved.off("disk", reason);
            }
        }
    }
    for import in &wanted.imports {
        let lacking = lacks
            .imports
            .map_or(Ok(()), |reason| Err(reason.to_owned()));
        if let Err(reason) = lacking.and_then(|()| resolved.import(import)) {
            resolved.off("import", format!("volume {}: {reason}", import.id));
        }
    }
    resolved.divide(lacks.division, &off);
    resolved
}

impl Volume {
    fn is_carried(&self) -> bool {
        let mut devices = self.devices.iter();
        devices.all(|(_, flags)| flags & VOLUME_CARRIED != 0)
    }

    fn has(&self, dev: u32) -> bool {
        self.devices.iter().any(|(own, _)| *own == dev)
    }
}

impl Resolved {
    /// Who wants a slot among the volumes.
    pub(super) fn holders(&self) -> impl Iterator<Item = HolderId> {
        let imports = self.imports.iter().map(|import| import.id);
        self.volumes.iter().map(|volume| volume.id).chain(imports)
    }

    fn volume(
        &self,
        volume: &MeasuredVolume,
        sysfs: &Path,
        lacks: Lacks<'_>,
    ) -> Result<Volume, String> {
        let id = volume.id.0.into_bytes();
        if let Some(other) = self.volumes.iter().find(|v| v.id == id) {
            return Err(format!("its id is also that of {}", other.wanted.name));
        }
        let devices = volume.devices.iter();
        let devices = devices.map(|device| self.device(device, sysfs, lacks));
        Ok(Volume {
            id,
            devices: devices.collect::<Result<_, _>>()?,
            is_divided: false,
            wanted: volume.clone(),
        })
    }

    fn device(
        &self,
        device: &MeasuredDevice,
        sysfs: &Path,
        lacks: Lacks<'_>,
    ) -> Result<(u32, u32), String> {
        let dev = device.dev.in_kernel();
        if let Some(other) = self.volumes.iter().find(|v| v.has(dev)) {
            let other = &other.wanted.name;
            return Err(format!("its device {} is also that of {other}", device.dev));
        }
        if sysfs::whole_disk(sysfs, device.dev).is_none() {
            return Err(format!("there is no device {}", device.dev));
        }
        // The kernel traces the end of a bio only where no request carries it (block/blk-mq.c clears
        // BIO_TRACE_COMPLETION). Logical volumes are bio-based.
        let is_carried = sysfs::whole_disk(sysfs, device.dev)
            .is_some_and(|disk| sysfs::has_requests(sysfs, disk));
        let flags = match device.mode {
            Mode::Exported { .. } if is_carried => {
                return Err(format!("device {} is no logical volume", device.dev));
            }
            Mode::Exported { .. } => VOLUME_EXPORTED,
            Mode::Local if is_carried => {
                lacks
                    .requests
                    .map_or(Ok(()), |reason| Err(reason.to_owned()))?;
                if sysfs::is_partition(sysfs, device.dev) {
                    return Err(format!("device {} is a partition", device.dev));
                }
                VOLUME_LOCAL | VOLUME_CARRIED
            }
            Mode::Local => VOLUME_LOCAL,
        };
        Ok((dev, flags))
    }

    fn disk(&self, disk: &MeasuredDisk, sysfs: &Path) -> Result<Disk, String> {
        let whole = sysfs::whole_disk(sysfs, disk.dev)
            .ok_or_else(|| format!("there is no device {}", disk.dev))?;
        let id = Uuid::new_v5(
            &Uuid::NAMESPACE_OID,
            format!("disk {whole} {}", disk.disk).as_bytes(),
        );
        let has_requests = sysfs::has_requests(sysfs, whole);
        if !has_requests && sysfs::is_nvme_multipath(sysfs, whole) {
            return Err("its requests go to paths of it that have no device number".to_owned());
        }
        // A bio keeps the partition's number, a request has only the disk's.
        let (whole, own) = (whole.in_kernel(), disk.dev.in_kernel());
        let mut devices = vec![(own, DISK_BIOS)];
        if has_requests {
            devices = vec![(whole, DISK_REQUESTS | DISK_FLUSHES)];
            if own != whole {
                devices.push((own, DISK_FLUSHES));
            }
        }
        let is_in = |other: &Disk| other.devices.iter().any(|(dev, _)| *dev == devices[0].0);
        let mut others = self.disks.iter();
        if others.any(|other| is_in(other) && other.id != id.into_bytes()) {
            return Err("another pool disk has the same device under another name".to_owned());
        }
        if !has_requests && self.volumes.iter().any(|v| v.has(own)) {
            return Err("its bios are already measured as a volume's".to_owned());
        }
        Ok(Disk {
            id: id.into_bytes(),
            devices,
            wanted: disk.clone(),
        })
    }

    fn import(&mut self, import: &MeasuredImport) -> Result<(), String> {
        let dev = import.dev.in_kernel();
        let id = Uuid::new_v5(&import.id.0, b"import").into_bytes();
        if self.imports.iter().any(|other| other.id == id) {
            return Err(format!("it is also on another disk than {}", import.dev));
        }
        let mut disks = self.disks.iter().flat_map(|disk| &disk.devices);
        if self.volumes.iter().any(|v| v.has(dev)) || disks.any(|(own, _)| *own == dev) {
            return Err(format!("{} is already measured as a disk", import.dev));
        }
        self.imports.push(Import {
            id,
            dev,
            volume: import.id,
        });
        Ok(())
    }

    /// Marks the volumes whose pools' disks are all measured.
    fn divide(&mut self, undivided: Option<&str>, off: &BTreeMap<ObjectName, String>) {
        let mut reasons = BTreeSet::new();
        for volume in &mut self.volumes {
            let pool = &volume.wanted.pool;
            let has_disks = self.disks.iter().any(|disk| disk.wanted.pool == *pool);
            let unknown = (!has_disks).then_some("no disk of it is known");
            let of_pool = off.get(pool).map(String::as_str).or(unknown);
            let of_pool = of_pool.map(|reason| format!("pool {pool}: {reason}"));
            // No copies of device mapper's have to be followed where the disk's requests carry the bios themselves.
            let undivided = undivided.filter(|_| !volume.is_carried());
            let reason = undivided.map(str::to_owned).or(of_pool);
            volume.is_divided = reason.is_none();
            reasons.extend(reason);
        }
        for reason in reasons {
            for stage in [Stage::Queue, Stage::Device, Stage::Dm] {
                self.off(stage.label(), reason.clone());
            }
        }
    }

    fn add_initiators(&mut self, volume: &Volume) {
        let modes = volume.wanted.devices.iter().map(|device| &device.mode);
        let initiators = modes.flat_map(|mode| match mode {
            Mode::Local => [].as_slice(),
            Mode::Exported { initiators } => initiators,
        });
        let mut by_node: BTreeMap<&NodeName, Vec<[u8; NQN_BYTES]>> = BTreeMap::new();
        for (nqn, node) in initiators {
            let mut padded = [0; NQN_BYTES];
            // One byte is left for the NUL.
            match padded[..NQN_BYTES - 1].get_mut(..nqn.len()) {
                Some(room) if !nqn.is_empty() && !nqn.contains('\0') => {
                    room.copy_from_slice(nqn.as_bytes());
                    by_node.entry(node).or_default().push(padded);
                }
                _ => self.off("initiator", format!("`{nqn}` is not a host NQN")),
            }
        }
        for (node, nqns) in by_node {
            self.initiators.push(Initiator {
                id: initiator_id(volume.id, node),
                volume: volume.id,
                nqns,
                labels: labels(&volume.wanted.name, node),
            });
        }
    }

    fn off(&mut self, stage: &str, reason: String) {
        self.off.push(StageOff {
            stage: stage.to_owned(),
            reason,
        });
    }
}

fn initiator_id(volume: HolderId, node: &NodeName) -> HolderId {
    Uuid::new_v5(&Uuid::from_bytes(volume), node.as_str().as_bytes()).into_bytes()
}

fn labels(volume: &ObjectName, node: &NodeName) -> InitiatorLabels {
    InitiatorLabels {
        volume: volume.clone(),
        initiator: node.clone(),
    }
}
