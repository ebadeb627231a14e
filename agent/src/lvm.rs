//! LVM through its own tools: JSON reports in, exact commands out.
//!
//! Every call names the devices it may look at, so that what a tenant wrote into a volume, or
//! another disk of the node holds, is never taken for a part of a pool. The host's own filters and
//! devices file don't matter to such a call (lvm(8), `--devices`).
//!
//! Groups and linear volumes are made with autoactivation off: the host's boot scripts leave them
//! alone, and only the agent activates what is recorded. (`lvcreate` refuses the option for thin
//! volumes; in a group that was there before, they are left to the host's boot scripts.)

pub mod area;
pub mod metadata;
pub mod report;
pub mod text;

use std::time::Duration;

use uuid::Uuid;
use weir_api::names::{Generation, NodeName, ObjectName, VgName, VolumeId};
use weir_api::pool::{Portal, Transport};
use weir_api::units::Bytes;
use weir_api::volume::Access;

use crate::cmd::{Cmd, CmdError, Program, Runner};
use report::{Lv, Pv};

/// The thin pool of a Weir pool.
pub const THIN_POOL: &str = "weir_thin";

/// Marks the thin pool as Weir's.
pub const THIN_TAG: &str = "weir.thin";

/// On an LV whose old data was not zeroed yet: nobody may see it.
pub const UNZEROED_TAG: &str = "weir.unzeroed";

/// Marks a volume group as a pool's.
#[must_use]
pub fn pool_tag(pool: &ObjectName) -> String {
    format!("weir.pool={pool}")
}

/// The pool that a volume group's tags name.
pub fn pool_in<'a>(tags: impl IntoIterator<Item = &'a String>) -> Option<&'a str> {
    tags.into_iter()
        .find_map(|tag| tag.strip_prefix("weir.pool="))
}

/// Names the node of a volume group's pool.
#[must_use]
pub fn node_tag(node: &NodeName) -> String {
    format!("weir.node={node}")
}

/// The node that a volume group's tags name.
pub fn node_in<'a>(tags: impl IntoIterator<Item = &'a String>) -> Option<&'a str> {
    tags.into_iter()
        .find_map(|tag| tag.strip_prefix("weir.node="))
}

/// How tags that name portals begin.
pub const PORTAL_TAG: &str = "weir.portal=";

/// Names a portal of a volume group's pool: `weir.portal=tcp/4420/10.0.0.1`. LVM's tags take no
/// brackets, so an address comes last.
#[must_use]
pub fn portal_tag(portal: &Portal) -> String {
    let Transport::Tcp = portal.transport;
    format!("{PORTAL_TAG}tcp/{}/{}", portal.port, portal.address)
}

/// The portals that a volume group's tags name.
pub fn portals_in<'a>(tags: impl IntoIterator<Item = &'a String>) -> Vec<Portal> {
    let portal = |tag: &String| {
        let mut parts = tag
            .strip_prefix(PORTAL_TAG)?
            .strip_prefix("tcp/")?
            .splitn(2, '/');
        Some(Portal {
            transport: Transport::Tcp,
            port: parts.next()?.parse().ok()?,
            address: parts.next()?.parse().ok()?,
        })
    };
    tags.into_iter().filter_map(portal).collect()
}

/// Marks an LV as a volume's.
#[must_use]
pub fn id_tag(id: VolumeId) -> String {
    format!("weir.id={id}")
}

/// The volume that an LV's tags name.
pub fn id_in<'a>(tags: impl IntoIterator<Item = &'a String>) -> Option<VolumeId> {
    let id = tags
        .into_iter()
        .find_map(|tag| tag.strip_prefix("weir.id="))?;
    Uuid::try_parse(id).ok().map(VolumeId)
}

/// Names the object of an LV. Nothing depends on it but what is made from tags alone.
#[must_use]
pub fn name_tag(name: &ObjectName) -> String {
    format!("weir.name={name}")
}

/// The object's name that an LV's tags tell.
pub fn name_in<'a>(tags: impl IntoIterator<Item = &'a String>) -> Option<ObjectName> {
    let mut tags = tags.into_iter();
    tags.find_map(|tag| tag.strip_prefix("weir.name=")?.parse().ok())
}

/// Says up to which generation an LV was granted: what a record that was lost can't say any more.
#[must_use]
pub fn generation_tag(generation: Generation) -> String {
    format!("weir.generation={generation}")
}

/// The highest generation that an LV's tags name; `None` where they name none.
pub fn generation_in<'a>(tags: impl IntoIterator<Item = &'a String>) -> Option<Generation> {
    let tags = tags.into_iter();
    let generations = tags.filter_map(|tag| tag.strip_prefix("weir.generation=")?.parse().ok());
    generations.map(Generation).max()
}

/// On the LV of a volume that several nodes may use at once.
pub const MULTI_HOST_TAG: &str = "weir.access=multihost";

/// How many nodes may use a volume at once, as its LV's tags tell.
pub fn access_in<'a>(tags: impl IntoIterator<Item = &'a String>) -> Access {
    if tags.into_iter().any(|tag| tag == MULTI_HOST_TAG) {
        return Access::MultiHost;
    }
    Access::SingleHost
}

/// Whether a tag is one of Weir's.
#[must_use]
pub fn is_ours(tag: &str) -> bool {
    tag.starts_with("weir.")
}

/// A volume group and the devices it consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: VgName,
    /// What every call names.
    pub devices: Vec<String>,
}

/// LVM's verbs.
pub struct Lvm<'a>(pub &'a dyn Runner);

/// Long enough for a busy node; a report that takes longer is worth an error.
const READ: Duration = Duration::from_secs(60);
/// A change may wait for other users of the volume group's lock.
const CHANGE: Duration = Duration::from_secs(180);

impl Lvm<'_> {
    /// The physical volumes among `devices`, with their volume groups, whatever these are.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn scan(&self, devices: &[String]) -> Result<Vec<Pv>, CmdError> {
        if devices.is_empty() {
            return Ok(Vec::new());
        }
        self.pvs(devices, "scan")
    }

    /// The physical volumes among a group's devices.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn group(&self, group: &Group) -> Result<Vec<Pv>, CmdError> {
        self.pvs(&group.devices, group.name.as_str())
    }

    /// A group's LVs.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn lvs(&self, group: &Group, vg_uuid: &str) -> Result<Vec<Lv>, CmdError> {
        let mut args = json(report::LV_FIELDS);
        args.push(group.name.to_string());
        let cmd = command("lvs", &group.devices, args, READ, group.name.as_str());
        let text = self.0.run(&cmd)?;
        report::lvs(&text, vg_uuid).map_err(|reason| CmdError::Output {
            cmd: cmd.to_string(),
            reason,
        })
    }

    /// Makes a volume group with `tag` from the group's devices, physical volumes included.
    ///
    /// # Errors
    /// See [`CmdError`]; devices may have become physical volumes without a group.
    pub fn create_group(&self, group: &Group, tag: &str) -> Result<(), CmdError> {
        let off = ["--setautoactivation", "n"];
        let mut args = words(&[
            "--yes",
            off[0],
            off[1],
            "--addtag",
            tag,
            group.name.as_str(),
        ]);
        args.extend(group.devices.iter().cloned());
        self.change("vgcreate", group, args)
    }

    /// Adds a tag to a group.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn tag_group(&self, group: &Group, tag: &str) -> Result<(), CmdError> {
        self.change(
            "vgchange",
            group,
            words(&["--addtag", tag, group.name.as_str()]),
        )
    }

    /// Removes a tag from a group.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn untag_group(&self, group: &Group, tag: &str) -> Result<(), CmdError> {
        self.change(
            "vgchange",
            group,
            words(&["--deltag", tag, group.name.as_str()]),
        )
    }

    /// Makes the thin pool. Blocks are zeroed when they are handed to a volume.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn create_thin_pool(&self, group: &Group, extents: u64) -> Result<(), CmdError> {
        let extents = extents.to_string();
        let args = words(&[
            "--yes",
            "--type",
            "thin-pool",
            "--zero",
            "y",
            "--addtag",
            THIN_TAG,
            "--name",
            THIN_POOL,
            "--extents",
            &extents,
            group.name.as_str(),
        ]);
        self.change("lvcreate", group, args)
    }

    /// Makes a volume's linear LV, active and marked as not zeroed. LVM must not touch its content:
    /// wiping would need the device node, which zeroing opens anyway.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn create_linear(
        &self,
        group: &Group,
        id: VolumeId,
        name: &ObjectName,
        extents: u64,
    ) -> Result<(), CmdError> {
        let extents = extents.to_string();
        let (id_tag, name_tag) = (id_tag(id), name_tag(name));
        let args = words(&[
            "--yes",
            "--type",
            "linear",
            "-Wn",
            "-Zn",
            "-ay",
            "--setautoactivation",
            "n",
            "--addtag",
            &id_tag,
            "--addtag",
            &name_tag,
            "--addtag",
            UNZEROED_TAG,
            "--addtag",
            &generation_tag(Generation(0)),
            "--name",
            &id.lv_name(),
            "--extents",
            &extents,
            group.name.as_str(),
        ]);
        self.change("lvcreate", group, args)
    }

    /// Makes a volume's thin LV, active.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn create_thin(
        &self,
        group: &Group,
        id: VolumeId,
        name: &ObjectName,
        size: Bytes,
    ) -> Result<(), CmdError> {
        let size = format!("{}b", size.0);
        let (id_tag, name_tag) = (id_tag(id), name_tag(name));
        let args = words(&[
            "--yes",
            "--type",
            "thin",
            "-Wn",
            "-ay",
            "--addtag",
            &id_tag,
            "--addtag",
            &name_tag,
            "--addtag",
            &generation_tag(Generation(0)),
            "--name",
            &id.lv_name(),
            "--virtualsize",
            &size,
            "--thinpool",
            THIN_POOL,
            group.name.as_str(),
        ]);
        self.change("lvcreate", group, args)
    }

    /// Makes an LV's device node appear.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn activate(&self, group: &Group, lv: &str) -> Result<(), CmdError> {
        self.change(
            "lvchange",
            group,
            words(&["--yes", "-ay", &path(group, lv)]),
        )
    }

    /// Adds tags to the LV that has this name and this UUID, and takes others off it; no other LV is
    /// changed.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn retag(
        &self,
        group: &Group,
        lv: &str,
        uuid: &str,
        (add, remove): (&[String], &[String]),
    ) -> Result<(), CmdError> {
        let mut args = words(&["--select", &format!("lv_uuid=\"{uuid}\"")]);
        for (option, tags) in [("--addtag", add), ("--deltag", remove)] {
            args.extend(tags.iter().flat_map(|tag| words(&[option, tag])));
        }
        args.push(path(group, lv));
        self.change("lvchange", group, args)
    }

    /// Gives an LV another name.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn rename(&self, group: &Group, from: &str, to: &str) -> Result<(), CmdError> {
        self.change("lvrename", group, words(&[group.name.as_str(), from, to]))
    }

    /// Destroys the LV that has this name and this UUID and carries `tag`; no other, and nothing while it has snapshots,
    /// which LVM would take along. LVM refuses while it is open.
    ///
    /// # Errors
    /// See [`CmdError`].
    pub fn remove(&self, group: &Group, lv: &str, uuid: &str, tag: &str) -> Result<(), CmdError> {
        let select = format!("lv_uuid=\"{uuid}\" && lv_tags={{\"{tag}\"}} && lv_attr!~\"^[oO]\"");
        let args = words(&["--yes", "--select", &select, &path(group, lv)]);
        self.change("lvremove", group, args)
    }

    fn pvs(&self, devices: &[String], lock: &str) -> Result<Vec<Pv>, CmdError> {
        let cmd = command("pvs", devices, json(report::PV_FIELDS), READ, lock);
        let text = self.0.run(&cmd)?;
        report::pvs(&text).map_err(|reason| CmdError::Output {
            cmd: cmd.to_string(),
            reason,
        })
    }

    fn change(&self, verb: &str, group: &Group, args: Vec<String>) -> Result<(), CmdError> {
        let cmd = command(verb, &group.devices, args, CHANGE, group.name.as_str());
        tracing::info!(%cmd, "run");
        self.0.run(&cmd).map(|_| ())
    }
}

/// The whole extents that hold `size`; `None` where the extent size is zero.
#[must_use]
pub fn extents(size: Bytes, extent: Bytes) -> Option<u64> {
    size.round_up(extent).map(|size| size.0 / extent.0)
}

/// The one place where LVM's commands are made, so that none can leave out its devices.
fn command(
    verb: &str,
    devices: &[String],
    args: Vec<String>,
    deadline: Duration,
    lock: &str,
) -> Cmd {
    let mut all = words(&[verb, "--devices", &devices.join(",")]);
    all.extend(args);
    Cmd {
        program: Program::Lvm,
        args: all,
        deadline,
        lock: lock.to_owned(),
    }
}

fn json(fields: &str) -> Vec<String> {
    words(&[
        "--reportformat",
        "json",
        "--units",
        "b",
        "--nosuffix",
        "--options",
        fields,
    ])
}

fn path(group: &Group, lv: &str) -> String {
    format!("{}/{lv}", group.name)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests;
