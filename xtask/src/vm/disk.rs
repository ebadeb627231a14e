//! Disks of VMs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::write_log::{self, Log, SECTOR, Survivors, Unflushed};
use crate::command::Cmd;

/// A disk that outlives the VMs it is plugged into.
pub(crate) struct Disk {
    name: String,
    /// What the disk holds while no VM runs.
    image: PathBuf,
    /// Present where a power cut loses what was not flushed.
    log: Option<PathBuf>,
    /// See [`Disk::cramped`].
    cramped: bool,
}

impl Disk {
    /// An empty disk whose every write survives the VM.
    pub(crate) fn plain(dir: &Path, name: &str, bytes: u64) -> Result<Self> {
        Self::make(dir, name, bytes, None)
    }

    /// An empty disk with a volatile write cache: see [`Disk::settle`].
    pub(crate) fn volatile(dir: &Path, name: &str, bytes: u64) -> Result<Self> {
        Self::make(dir, name, bytes, Some(dir.join(format!("{name}.log"))))
    }

    /// A plain disk whose queue has no room for all requests that the guest's driver lets be in flight: each needs three places, and the driver
    /// reckons with two (`virtblk_probe`, drivers/block/virtio_blk.c). So some of eight at once are put back and issued again.
    pub(crate) fn cramped(dir: &Path, name: &str, bytes: u64) -> Result<Self> {
        let disk = Self::plain(dir, name, bytes)?;
        Ok(Disk {
            cramped: true,
            ..disk
        })
    }

    fn make(dir: &Path, name: &str, bytes: u64, log: Option<PathBuf>) -> Result<Self> {
        let image = dir.join(format!("{name}.img"));
        let file = File::create(&image).with_context(|| format!("making {}", image.display()))?;
        file.set_len(bytes).context("sizing a disk")?;
        Ok(Disk {
            name: name.to_owned(),
            image,
            log,
            cramped: false,
        })
    }

    /// QEMU's arguments; in the guest the disk is found by its serial number, its name.
    pub(crate) fn arguments(&self) -> Result<Vec<String>> {
        let name = &self.name;
        // The host's own cache need not be flushed: it survives everything a test does.
        let node = |file: &Path| {
            format!(
                "file.driver=file,file.filename={},cache.no-flush=on",
                file.display()
            )
        };
        let mut arguments = vec!["-blockdev".to_owned()];
        match &self.log {
            None => arguments.push(format!("driver=raw,node-name={name},{}", node(&self.image))),
            Some(log) => {
                File::create(log).with_context(|| format!("making {}", log.display()))?;
                Cmd::new("cp")
                    .arg("--sparse=always")
                    .arg(&self.image)
                    .arg(self.work())
                    .run()?;
                arguments.push(format!(
                    "driver=raw,node-name={name}-file,{}",
                    node(&self.work())
                ));
                arguments.push("-blockdev".to_owned());
                arguments.push(format!("driver=raw,node-name={name}-log,{}", node(log)));
                arguments.push("-blockdev".to_owned());
                arguments.push(format!(
                    "driver=blklogwrites,node-name={name},file={name}-file,log={name}-log,\
                     log-sector-size={SECTOR}"
                ));
            }
        }
        arguments.push("-device".to_owned());
        let queue = match self.cramped {
            true => ",indirect_desc=off,queue-size=16,num-queues=1",
            false => "",
        };
        arguments.push(format!("virtio-blk-pci,drive={name},serial={name}{queue}"));
        Ok(arguments)
    }

    /// To be called when the VM has ended: decides what the disk holds now.
    pub(crate) fn settle(&self, unflushed: Unflushed) -> Result<Survivors> {
        let Some(log) = &self.log else {
            return Ok(Survivors::default());
        };
        let survivors = write_log::replay(log, &self.image, unflushed)?;
        fs::remove_file(self.work()).context("removing the disk's working copy")?;
        Ok(survivors)
    }

    /// What a volatile disk was asked for since its VM was started.
    pub(crate) fn writes(&self) -> Result<Log> {
        let log = self.log.as_ref().context("the disk keeps no log")?;
        Log::open(log)
    }

    fn work(&self) -> PathBuf {
        self.image.with_extension("work")
    }
}
