//! LVM's JSON reports (lvmreport(7)), read into types. LVM prints every value as a string.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use weir_api::units::Bytes;

use crate::probe::DevT;

/// What [`pvs`] wants to be asked for.
pub const PV_FIELDS: &str =
    "pv_name,pv_uuid,vg_name,vg_uuid,vg_size,vg_free,vg_extent_size,vg_tags";
/// What [`lvs`] wants to be asked for.
pub const LV_FIELDS: &str = "vg_uuid,lv_name,lv_uuid,lv_size,lv_tags,lv_attr,pool_lv,lv_dm_path,\
                             lv_kernel_major,lv_kernel_minor";

/// A physical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pv {
    /// Its device; `None` where the group misses it.
    pub path: Option<String>,
    /// LVM's UUID of it.
    pub uuid: String,
    /// The group it belongs to.
    pub vg: Option<Vg>,
}

/// What a physical volume's row says of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vg {
    /// Name.
    pub name: String,
    /// LVM's UUID of it.
    pub uuid: String,
    /// All extents.
    pub size: Bytes,
    /// Unused extents.
    pub free: Bytes,
    /// Size of one extent.
    pub extent: Bytes,
    /// Tags.
    pub tags: BTreeSet<String>,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lv {
    /// Name.
    pub name: String,
    /// LVM's UUID of it.
    pub uuid: String,
    /// Size.
    pub size: Bytes,
    /// Tags.
    pub tags: BTreeSet<String>,
    /// What it is.
    pub kind: LvKind,
    /// Whether somebody has it open, nvmet included. Also true if LVM couldn't tell.
    pub is_open: bool,
    /// Whether it has snapshots of the kind that lie beside it and need it: `lvremove` would take them along.
    pub is_origin: bool,
    /// For a thin pool: whether blocks are zeroed when they are handed out.
    pub zeroes_blocks: bool,
    /// For a thin volume: its pool.
    pub pool: Option<String>,
    /// Its path below `/dev/mapper`.
    pub dm_path: String,
    /// Its number, while it is active.
    pub number: Option<DevT>,
}

/// What an LV is, as far as Weir makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LvKind {
    /// Plain extents.
    Linear,
    /// A thin volume.
    Thin,
    /// A thin pool.
    ThinPool,
    /// Something Weir doesn't make.
    Other,
}

/// Reads the output of `pvs` with [`PV_FIELDS`].
///
/// # Errors
/// Says what could not be read.
pub fn pvs(text: &str) -> Result<Vec<Pv>, String> {
    #[derive(Deserialize)]
    struct Report {
        pv: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        pv_name: String,
        pv_uuid: String,
        vg_name: String,
        vg_uuid: String,
        vg_size: String,
        vg_free: String,
        vg_extent_size: String,
        vg_tags: String,
    }
    let mut pvs = Vec::new();
    for row in reports::<Report>(text)?
        .into_iter()
        .flat_map(|report| report.pv)
    {
        let vg = if row.vg_name.is_empty() {
            None
        } else {
            Some(Vg {
                size: bytes("vg_size", &row.vg_size)?,
                free: bytes("vg_free", &row.vg_free)?,
                extent: bytes("vg_extent_size", &row.vg_extent_size)?,
                tags: tags(&row.vg_tags),
                name: row.vg_name,
                uuid: row.vg_uuid,
            })
        };
        // A group's missing disk has a row named `[unknown]`.
        let path = row.pv_name.starts_with('/').then_some(row.pv_name);
        pvs.push(Pv {
            path,
            uuid: row.pv_uuid,
            vg,
        });
    }
    Ok(pvs)
}

/// Reads the output of `lvs` with [`LV_FIELDS`], as far as the group with `vg_uuid` is concerned.
///
/// # Errors
/// Says what could not be read.
pub fn lvs(text: &str, vg_uuid: &str) -> Result<Vec<Lv>, String> {
    #[derive(Deserialize)]
    struct Report {
        lv: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        vg_uuid: String,
        lv_name: String,
        lv_uuid: String,
        lv_size: String,
        lv_tags: String,
        lv_attr: String,
        pool_lv: String,
        lv_dm_path: String,
        lv_kernel_major: String,
        lv_kernel_minor: String,
    }
    let mut lvs = Vec::new();
    let rows = reports::<Report>(text)?
        .into_iter()
        .flat_map(|report| report.lv);
    for row in rows.filter(|row| row.vg_uuid == vg_uuid) {
        // lvs(8): 1 volume type, 5 state, 6 device open, 8 zeroing.
        let attr: Vec<char> = row.lv_attr.chars().collect();
        if attr.len() < 8 {
            return Err(format!("lv_attr `{}` is too short", row.lv_attr));
        }
        let number = |text: &str| text.parse::<u32>().ok();
        lvs.push(Lv {
            size: bytes("lv_size", &row.lv_size)?,
            tags: tags(&row.lv_tags),
            kind: match attr[0] {
                '-' => LvKind::Linear,
                'V' => LvKind::Thin,
                't' => LvKind::ThinPool,
                _ => LvKind::Other,
            },
            is_open: attr[5] != '-',
            // `O` while a snapshot is merged into it.
            is_origin: matches!(attr[0], 'o' | 'O'),
            // Of a thin volume it says what its pool does.
            zeroes_blocks: attr[0] == 't' && attr[7] == 'z',
            pool: (!row.pool_lv.is_empty()).then_some(row.pool_lv),
            dm_path: row.lv_dm_path,
            // `-1` while it is inactive.
            number: number(&row.lv_kernel_major)
                .zip(number(&row.lv_kernel_minor))
                .map(|(major, minor)| DevT { major, minor }),
            name: row.lv_name,
            uuid: row.lv_uuid,
        });
    }
    Ok(lvs)
}

fn reports<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, String> {
    #[derive(Deserialize)]
    struct Document<T> {
        report: Vec<T>,
    }
    let document: Document<T> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(document.report)
}

fn bytes(field: &str, text: &str) -> Result<Bytes, String> {
    let bytes = text.parse().map(Bytes);
    bytes.map_err(|_| format!("{field} `{text}` is not a number of bytes"))
}

fn tags(text: &str) -> BTreeSet<String> {
    text.split(',')
        .filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PVS: &str = r#"{"report": [{"pv": [
        {"pv_name":"/dev/vdb", "pv_uuid":"a", "vg_name":"fast", "vg_uuid":"v", "vg_size":"1069547520", "vg_free":"4194304", "vg_extent_size":"4194304", "vg_tags":"weir.pool=fast,x"},
        {"pv_name":"[unknown]", "pv_uuid":"b", "vg_name":"fast", "vg_uuid":"v", "vg_size":"1069547520", "vg_free":"4194304", "vg_extent_size":"4194304", "vg_tags":""},
        {"pv_name":"/dev/vdc", "pv_uuid":"c", "vg_name":"", "vg_uuid":"", "vg_size":"0", "vg_free":"0", "vg_extent_size":"0", "vg_tags":""}]}]}"#;
    const LVS: &str = r#"{"report": [{"lv": [
        {"vg_uuid":"v", "lv_name":"w_1", "lv_uuid":"l1", "lv_size":"8388608", "lv_tags":"weir.unzeroed", "lv_attr":"-wi-ao----", "pool_lv":"", "lv_dm_path":"/dev/mapper/fast-w_1", "lv_kernel_major":"253", "lv_kernel_minor":"0"},
        {"vg_uuid":"v", "lv_name":"w_2", "lv_uuid":"l2", "lv_size":"8388608", "lv_tags":"", "lv_attr":"Vwi---tz--", "pool_lv":"weir_thin", "lv_dm_path":"/dev/mapper/fast-w_2", "lv_kernel_major":"-1", "lv_kernel_minor":"-1"},
        {"vg_uuid":"v", "lv_name":"weir_thin", "lv_uuid":"l3", "lv_size":"8388608", "lv_tags":"", "lv_attr":"twi-aotz--", "pool_lv":"", "lv_dm_path":"/dev/mapper/fast-weir_thin", "lv_kernel_major":"253", "lv_kernel_minor":"4"},
        {"vg_uuid":"v", "lv_name":"w_4", "lv_uuid":"l5", "lv_size":"8388608", "lv_tags":"", "lv_attr":"owi-a-s---", "pool_lv":"", "lv_dm_path":"/dev/mapper/fast-w_4", "lv_kernel_major":"253", "lv_kernel_minor":"6"},
        {"vg_uuid":"other", "lv_name":"w_3", "lv_uuid":"l4", "lv_size":"8388608", "lv_tags":"", "lv_attr":"-wi-a-----", "pool_lv":"", "lv_dm_path":"/dev/mapper/fast-w_3", "lv_kernel_major":"253", "lv_kernel_minor":"5"}]}]}"#;

    #[test]
    fn physical_volumes_are_read_with_their_group() {
        let pvs = pvs(PVS).unwrap();
        let vg = pvs[0].vg.as_ref().unwrap();
        assert_eq!((vg.name.as_str(), vg.free), ("fast", Bytes(4 << 20)));
        assert!(vg.tags.contains("weir.pool=fast"));
        assert_eq!(pvs[1].path, None);
        assert_eq!(pvs[2].vg, None);
    }

    #[test]
    fn logical_volumes_of_this_group_only_are_read() {
        let lvs = lvs(LVS, "v").unwrap();
        let kinds: Vec<LvKind> = lvs.iter().map(|lv| lv.kind).collect();
        let made = [LvKind::Linear, LvKind::Thin, LvKind::ThinPool];
        assert_eq!(kinds, [&made[..], &[LvKind::Other]].concat());
        let origins: Vec<bool> = lvs.iter().map(|lv| lv.is_origin).collect();
        assert_eq!(origins, [false, false, false, true]);
        assert_eq!(
            lvs[0].number,
            Some(DevT {
                major: 253,
                minor: 0
            })
        );
        assert!(lvs[0].is_open && !lvs[0].zeroes_blocks);
        assert_eq!((lvs[1].number, lvs[1].is_open), (None, false));
        assert!(lvs[2].zeroes_blocks);
    }

    proptest! {
        #[test]
        fn no_damaged_report_panics(cut in 0..LVS.len(), junk in "\\PC{0,8}") {
            for good in [LVS, PVS] {
                let mut text = good.to_owned();
                text.insert_str(cut.min(good.len()), &junk);
                let _ = pvs(&text);
                let _ = lvs(&text, "v");
            }
        }
    }
}
