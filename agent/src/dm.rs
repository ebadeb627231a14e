//! Device mapper, for what LVM doesn't know of: one linear mapping per grant of a multi-host volume.
//!
//! A mapping is the fence of such a grant: its table is replaced by one that fails everything, which
//! returns once the I/O that was on its way has ended (kernel: `dm_suspend` in drivers/md/dm.c waits
//! for it), and no other host's I/O goes through it.

pub(crate) mod control;
pub(crate) mod packet;
pub mod thin_pool;

use std::collections::BTreeMap;
use std::time::Duration;

use weir_api::names::MappingName;
use weir_api::units::Bytes;

use crate::cmd::{Cmd, CmdError, Program, Runner};
use crate::probe::DevT;
use thin_pool::Fill;

/// What is asked between looks holds up those on all volumes.
const GLANCE: Duration = Duration::from_secs(10);
/// Replacing a table waits for I/O that is on its way, and slow disks take their time.
const CHANGE: Duration = Duration::from_secs(120);

/// Sizes in device mapper's tables are in sectors.
const SECTOR: u64 = 512;

/// Device mapper's own view of a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mapped {
    /// What whoever made it named it for as long as it exists; empty if nothing.
    pub uuid: String,
    /// Whose it is, if it is a mapping of Weir's.
    pub mapping: Option<MappingName>,
    /// Its number.
    pub number: DevT,
    /// How often it is open: by programs, mounts, the NVMe target, other mappings.
    pub open: u32,
    /// What its table passes I/O to. None: it has no table, or one that fails everything.
    pub below: Vec<DevT>,
}

/// Device mapper through its own tool.
pub struct Dm<'a>(pub &'a dyn Runner);

impl Dm<'_> {
    /// How full these thin pools are, each told by its path below `/dev/mapper`; those that are not active are
    /// left out.
    ///
    /// The kernel is asked, and not `lvs`: that reads the metadata of every disk first, to say the same.
    /// `--noflush` keeps the question from being a commit of the thin pool's own metadata, a write to an idle
    /// disk (kernel: `pool_status` in drivers/md/dm-thin.c).
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn thin_pools<K: Ord + Clone>(
        &self,
        paths: &BTreeMap<K, String>,
    ) -> Result<BTreeMap<K, Fill>, CmdError> {
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let args = ["status", "--noflush", "--target", "thin-pool"];
        // It waits for a commit of the metadata that hangs on its disk: nothing else is to wait for it.
        let cmd = command(&args, GLANCE, "thin pools".to_owned());
        let text = self.0.run(&cmd)?;
        let fills = paths.iter().filter_map(|(key, path)| {
            let fill = thin_pool::read(&text, path).transpose()?;
            Some(fill.map(|fill| (key.clone(), fill)))
        });
        let fills: Result<_, String> = fills.collect();
        fills.map_err(|reason| CmdError::Output {
            cmd: cmd.to_string(),
            reason,
        })
    }

    /// Makes a mapping of the first `size` bytes of `device`.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn create(&self, mapping: &MappingName, device: &str, size: Bytes) -> Result<(), CmdError> {
        let table = format!("0 {} linear {device} 0", size.0 / SECTOR);
        let (name, uuid) = (mapping.dm_name(), mapping.dm_uuid());
        self.change(
            mapping,
            &["create", &name, "--uuid", &uuid, "--table", &table],
        )?;
        self.node(mapping)
    }

    /// Makes a mapping fail all I/O, once what is on its way has ended.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn fail(&self, mapping: &MappingName) -> Result<(), CmdError> {
        // No file system that the kernel knows of is on it: there is none to freeze.
        self.change(mapping, &["wipe_table", "--nolockfs", &mapping.dm_name()])
    }

    /// Removes a mapping that nobody has open.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn remove(&self, mapping: &MappingName) -> Result<(), CmdError> {
        // udev may have it open for a moment after its table changed.
        self.change(mapping, &["remove", "--retry", &mapping.dm_name()])?;
        self.node(mapping)
    }

    fn change(&self, mapping: &MappingName, args: &[&str]) -> Result<(), CmdError> {
        let cmd = command(args, CHANGE, mapping.dm_name());
        tracing::info!(%cmd, "run");
        self.0.run(&cmd).map(|_| ())
    }

    /// Where no udev runs, nobody else makes and removes a device's node; where one does, there is nothing
    /// left to do.
    fn node(&self, mapping: &MappingName) -> Result<(), CmdError> {
        self.change(mapping, &["mknodes", &mapping.dm_name()])
    }
}

fn command(args: &[&str], deadline: Duration, lock: String) -> Cmd {
    Cmd {
        program: Program::Dmsetup,
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        deadline,
        lock,
    }
}
