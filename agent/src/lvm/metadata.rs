//! A volume group as its metadata on the disks says, without a process of LVM's.
//!
//! `lvs` and `pvs` read the same text, and take a fifth of a second each where `lvcreate` takes as long: a volume that
//! is made is looked at many times. Whatever is not plainly what Weir makes is an error here, and LVM is asked: disks
//! that are missing or differ in what they say, groups of other hosts, kinds of LVs that are new or rare.

use std::collections::{BTreeMap, BTreeSet};

use weir_api::names::VgName;
use weir_api::units::Bytes;

use super::area::Area;
use super::report::{Lv, LvKind, Vg};
use super::text::Section;
use crate::dm::Mapped;
use crate::observed::GroupView;

/// Sizes in LVM's metadata are in sectors.
const SECTOR: u64 = 512;
/// What a group, a physical volume and an LV may be said to be without any of it changing what is read here.
const OF_GROUPS: [&str; 4] = ["RESIZEABLE", "READ", "WRITE", "NOAUTOACTIVATE"];
const OF_DISKS: [&str; 1] = ["ALLOCATABLE"];
const OF_LVS: [&str; 6] = [
    "READ",
    "WRITE",
    "VISIBLE",
    "NOAUTOACTIVATE",
    "ACTIVATION_SKIP",
    "ERROR_WHEN_FULL",
];

/// The group with this name, and this UUID if one is known, of which these devices hold parts; the LVs as they are while inactive
/// ([`activity`]).
///
/// # Errors
/// Says why only LVM can tell.
pub fn group(
    name: &VgName,
    uuid: Option<&str>,
    disks: &[(String, Area)],
) -> Result<GroupView, String> {
    let mut texts = disks.iter().filter_map(|(_, area)| area.text.as_ref());
    let text = texts.next().ok_or("no disk has metadata")?;
    if texts.any(|other| other != text) {
        return Err("disks differ in what they say".to_owned());
    }
    let text = Section::read(text)?;
    let vg = text.section(name.as_str())?;
    let id = vg.text("id")?;
    if uuid.is_some_and(|uuid| uuid != id) {
        return Err("the group has another UUID".to_owned());
    }
    if vg.value("system_id").is_some() || vg.value("lock_type").is_some() {
        return Err("the group is shared with other hosts".to_owned());
    }
    check(vg, &OF_GROUPS)?;
    let extent = Bytes(product(vg.number("extent_size")?, SECTOR)?);
    let extents = disk_extents(vg.section("physical_volumes")?, disks)?;
    let mut used = 0_u64;
    let mut lvs = BTreeMap::new();
    let made = vg.optional("logical_volumes")?;
    for (lv_name, section) in made.iter().flat_map(|made| made.sections()) {
        let read = lv(name, lv_name, section, extent);
        let (lv, taken) = read.map_err(|error| format!("LV `{lv_name}`: {error}"))?;
        used = used.checked_add(taken).ok_or("too many extents")?;
        if section.texts("status")?.contains(&"VISIBLE") {
            lvs.insert(lv_name.to_owned(), lv);
        }
    }
    let free = extents
        .checked_sub(used)
        .ok_or("more is used than there is")?;
    Ok(GroupView {
        vg: Vg {
            name: name.to_string(),
            uuid: id.to_owned(),
            size: Bytes(product(extents, extent.0)?),
            free: Bytes(product(free, extent.0)?),
            extent,
            tags: tags(vg)?,
        },
        devices: disks.iter().map(|(path, _)| path.clone()).collect(),
        missing: 0,
        lvs,
    })
}

/// Says of each LV whether it is active and open, as device mapper does.
pub fn activity(group: &mut GroupView, mapped: &[Mapped]) {
    let devices: BTreeMap<&str, &Mapped> = mapped
        .iter()
        .map(|device| (device.uuid.as_str(), device))
        .collect();
    for lv in group.lvs.values_mut() {
        // A thin pool has a layer of its own below its name, which is there alone until thin volumes are.
        let uuid = dm_uuid(&group.vg.uuid, &lv.uuid);
        let layer = (lv.kind == LvKind::ThinPool).then(|| format!("{uuid}-tpool"));
        let device = devices.get(uuid.as_str());
        let device = device.or_else(|| devices.get(layer?.as_str()));
        lv.number = device.map(|device| device.number);
        lv.is_open = device.is_some_and(|device| device.open > 0);
    }
}

/// By what device mapper knows an LV.
#[must_use]
pub fn dm_uuid(vg: &str, lv: &str) -> String {
    let plain = |uuid: &str| uuid.replace('-', "");
    format!("LVM-{}{}", plain(vg), plain(lv))
}

/// How many extents the group has, if each of its disks is one of these.
fn disk_extents(section: &Section, disks: &[(String, Area)]) -> Result<u64, String> {
    let mut extents = 0_u64;
    let mut named = BTreeSet::new();
    for (_, disk) in section.sections() {
        let id = disk.text("id")?;
        if !named.insert(id) || !disks.iter().any(|(_, area)| area.uuid == id) {
            return Err(format!("physical volume {id} is not among the disks, once"));
        }
        check(disk, &OF_DISKS)?;
        if !disk.texts("status")?.contains(&"ALLOCATABLE") {
            return Err(format!("nothing may be made on physical volume {id}"));
        }
        let count = disk.number("pe_count")?;
        extents = extents.checked_add(count).ok_or("too many extents")?;
    }
    if named.len() != disks.len() {
        return Err("a disk is not one of the group's".to_owned());
    }
    Ok(extents)
}

/// An LV, and how many extents it takes.
fn lv(vg: &VgName, name: &str, section: &Section, extent: Bytes) -> Result<(Lv, u64), String> {
    check(section, &OF_LVS)?;
    let (mut size, mut taken) = (0_u64, 0_u64);
    let mut kinds = BTreeSet::new();
    let (mut pool, mut zeroes) = (None, false);
    for (_, segment) in section.sections() {
        let count = segment.number("extent_count")?;
        size = size.checked_add(count).ok_or("too many extents")?;
        let kind = segment.text("type")?;
        match kind {
            "striped" => taken += count,
            "thin" if segment.value("external_origin").is_none() => {
                pool = Some(segment.text("thin_pool")?.to_owned());
            }
            "thin-pool" => zeroes = segment.number("zero_new_blocks") == Ok(1),
            other => return Err(format!("its kind is `{other}`")),
        }
        kinds.insert(kind);
    }
    let kind = match kinds.iter().copied().collect::<Vec<_>>()[..] {
        ["striped"] => LvKind::Linear,
        ["thin"] => LvKind::Thin,
        ["thin-pool"] => LvKind::ThinPool,
        _ => return Err("it is of several kinds".to_owned()),
    };
    let lv = Lv {
        name: name.to_owned(),
        uuid: section.text("id")?.to_owned(),
        size: Bytes(product(size, extent.0)?),
        tags: tags(section)?,
        kind,
        is_open: false,
        is_origin: false,
        zeroes_blocks: zeroes,
        pool,
        dm_path: dm_path(vg, name),
        number: None,
    };
    Ok((lv, taken))
}

/// LVM doubles each hyphen of a name, so that the one between the two is known (`dm_build_dm_name`).
#[must_use]
pub fn dm_path(vg: &VgName, lv: &str) -> String {
    let doubled = |name: &str| name.replace('-', "--");
    format!("/dev/mapper/{}-{}", doubled(vg.as_str()), doubled(lv))
}

fn check(section: &Section, known: &[&str]) -> Result<(), String> {
    let said = [section.texts("status")?, section.texts("flags")?].concat();
    let unknown = said.into_iter().find(|said| !known.contains(said));
    unknown.map_or(Ok(()), |said| Err(format!("it is {said}")))
}

fn tags(section: &Section) -> Result<BTreeSet<String>, String> {
    let tags = section.texts("tags")?;
    Ok(tags.into_iter().map(str::to_owned).collect())
}

fn product(count: u64, unit: u64) -> Result<u64, String> {
    let product = count.checked_mul(unit);
    product.ok_or_else(|| "a size is too large".to_owned())
}

#[cfg(test)]
mod tests;
