//! What there is on a node.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::vm::guest::Guest;

/// Prints `lv NAME BYTES` and `vg SIZE FREE` of a pool's group, `record ID STATE`, and `export ID` of each subsystem that a
/// port has. A script, since each command takes its time in an emulated guest.
const LOOK: &str = r#"
lvs --noheadings --nosuffix --units b -o lv_name,lv_size weir-$POOL | sed 's/^ */lv /' &&
vgs --noheadings --nosuffix --units b -o vg_size,vg_free weir-$POOL | sed 's/^ */vg /' || exit 1
for file in /var/lib/weir/record/volume-*.json; do
    [ -e "$file" ] && echo "record $(basename "$file" .json | cut -c8-) $(grep -o '"state": *"[A-Za-z]*"' "$file" | head -n 1 | grep -o '[A-Za-z]*"$')"
done
for link in /sys/kernel/config/nvmet/ports/*/subsystems/*; do
    [ -e "$link" ] && echo "export ${link##*:}"
done
true
"#;

/// Writes a volume's name at the beginning of each extent, unless anything is in it; prints what is in it then: a name, if that
/// is all, and where it belongs. What another volume left is found wherever it begins.
const MARK: &str = r#"
for lv in $LVS; do
    file=/dev/weir-$POOL/$lv
    [ -e $file ] || lvchange -ay weir-$POOL/$lv 2>/dev/null
    size=$(blockdev --getsize64 $file) || continue
    extents=$((size / 4194304))
    look() { dd if=$file bs=1M iflag=direct status=none | tr -d '\0' | head -c 4096 | sort | uniq -c | tr -s ' \n' '  '; }
    found=$(look)
    if [ -z "$found" ] && [ "$WRITE" = 1 ]; then
        { echo "mark $lv"; dd if=/dev/zero bs=512 count=1 status=none; } | head -c 512 >/run/weir/mark
        for extent in $(seq 0 $((extents - 1))); do
            dd if=/run/weir/mark of=$file bs=512 count=1 seek=$((extent * 8192)) oflag=direct conv=notrunc,fsync status=none || continue 2
        done
        found=$(look)
    fi
    [ "$found" = " $extents mark $lv " ] && found="mark $lv"
    echo "$lv $found"
done
true
"#;

/// A node's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Sizes by the names of the LVs that are volumes.
    pub(super) lvs: BTreeMap<String, u64>,
    /// States by volumes' ids.
    pub(super) records: BTreeMap<String, String>,
    /// Ids of the volumes that are exported.
    pub(super) exports: Vec<String>,
    /// What the group has, and what of that is free.
    pub(super) size: u64,
    pub(super) free: u64,
}

/// Looks at a node.
pub(super) fn look(guest: &Guest, pool: &str) -> Result<Seen> {
    let said = guest.sh(&format!("POOL={pool}\n{LOOK}"))?;
    parse(&said).with_context(|| format!("`{said}`"))
}

fn parse(said: &str) -> Result<Seen> {
    let mut seen = Seen::default();
    for line in said.lines() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["lv", name, bytes] if name.starts_with("w_") => {
                seen.lvs.insert(name.to_owned(), bytes.parse()?);
            }
            ["vg", size, free] => (seen.size, seen.free) = (size.parse()?, free.parse()?),
            ["record", id, state] => {
                let state = state.trim_matches('"').to_owned();
                seen.records.insert(id.to_owned(), state);
            }
            ["export", id] => seen.exports.push(id.to_owned()),
            _ => {}
        }
    }
    seen.exports.sort();
    Ok(seen)
}

/// Marks these LVs where nothing is in them and `write` is true; what is in each then.
pub(super) fn mark(
    guest: &Guest,
    pool: &str,
    lvs: &[String],
    write: bool,
) -> Result<BTreeMap<String, String>> {
    if lvs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (lvs, write) = (lvs.join(" "), u8::from(write));
    let said = guest.sh(&format!("POOL={pool} WRITE={write} LVS='{lvs}'\n{MARK}"))?;
    let lines = said.lines().filter_map(|line| line.split_once(' '));
    Ok(lines
        .map(|(lv, found)| (lv.to_owned(), found.trim().to_owned()))
        .collect())
}

/// What is in a marked LV.
pub(super) fn marker(lv: &str) -> String {
    format!("mark {lv}")
}

/// The name of a volume's LV.
pub(super) fn lv(id: &str) -> String {
    format!("w_{}", id.replace('-', ""))
}

/// A number in an object, which may stand there as text.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_prints_is_read() {
        let said = "lv w_ab 8388608\nlv pmspare 1\nvg 100 60\nrecord a-b Ready\"\nexport a-b\n";
        let seen = parse(said).unwrap();
        assert_eq!(seen.lvs, BTreeMap::from([("w_ab".to_owned(), 8 << 20)]));
        assert_eq!((seen.size, seen.free), (100, 60));
        assert_eq!(seen.records["a-b"], "Ready");
        assert_eq!(seen.exports, ["a-b"]);
    }
}
