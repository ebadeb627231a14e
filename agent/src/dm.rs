//! Device mapper, for what LVM doesn't know of: one linear mapping per grant of a multi-host volume.
//!
//! A mapping is the fence of such a grant: its table is replaced by one that fails everything, which
//! returns once the I/O that was on its way has ended (kernel: `dm_suspend` in drivers/md/dm.c waits
//! for it), and no other host's I/O goes through it.

pub mod thin_pool;

use std::collections::BTreeMap;
use std::time::Duration;

use weir_api::names::MappingName;
use weir_api::units::Bytes;

use crate::cmd::{Cmd, CmdError, Program, Runner};
use crate::probe::DevT;
use thin_pool::Fill;

/// A look is quick; a hung device is told by the deadline.
const READ: Duration = Duration::from_secs(30);
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
    /// Every device.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn list(&self) -> Result<Vec<Mapped>, CmdError> {
        let fields = "major,minor,open,uuid,devnos_used";
        let args = [
            "info",
            "--columns",
            "--noheadings",
            "--separator",
            ";",
            "--options",
            fields,
        ];
        let cmd = command(&args, READ, "dm".to_owned());
        let text = self.0.run(&cmd)?;
        read(&text).map_err(|reason| CmdError::Output {
            cmd: cmd.to_string(),
            reason,
        })
    }

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

/// Reads rows of `major;minor;open;uuid;major:minor,major:minor`.
fn read(text: &str) -> Result<Vec<Mapped>, String> {
    let mut devices = Vec::new();
    for row in text.lines().map(str::trim) {
        if row.is_empty() || row == "No devices found" {
            continue;
        }
        let bad = || format!("`{row}` is not a device");
        let fields: Vec<&str> = row.split(';').map(str::trim).collect();
        let [major, minor, open, uuid, below] = fields.as_slice() else {
            return Err(bad());
        };
        let number: DevT = format!("{major}:{minor}").parse().map_err(|_| bad())?;
        let below = below.split(',').filter(|dev| !dev.is_empty());
        devices.push(Mapped {
            uuid: (*uuid).to_owned(),
            mapping: MappingName::from_dm_uuid(uuid),
            number,
            open: open.parse().map_err(|_| bad())?,
            below: below
                .map(|dev| dev.trim().parse().map_err(|_| bad()))
                .collect::<Result<_, _>>()?,
        });
    }
    Ok(devices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROWS: &str = "253;0;1;LVM-abc;254:16\n\
        253;3;1;WEIR-123456789abcdef0123456789abcdef0-0123456789abcdef-7;253:0\n\
        253;4;0;WEIR-123456789abcdef0123456789abcdef0-0123456789abcdef-6;\n\
        253;5;0;WEIR-somebody-else;253:1,253:2\n";

    #[test]
    fn mappings_are_told_from_other_devices_and_by_what_is_below() {
        let devices = read(ROWS).unwrap();
        let ours: Vec<bool> = devices.iter().map(|d| d.mapping.is_some()).collect();
        assert_eq!(ours, [false, true, true, false]);
        assert_eq!(devices[1].below, [devices[0].number]);
        assert_eq!(devices[2].below, []);
        assert_eq!((devices[0].open, devices[3].below.len()), (1, 2));
        assert_eq!(read("No devices found\n"), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_damaged_report_panics(cut in 0..ROWS.len(), junk in "\\PC{0,8}") {
            let mut text = ROWS.to_owned();
            text.insert_str(cut, &junk);
            let _ = read(&text);
        }
    }
}
