//! Pools on real disks: data that somebody else has there is safe.

use anyhow::{Result, ensure};

use super::pair::Pair;
use crate::scene::storage::{self, Agent, Wish};

/// The pair's disk that no other test uses.
const DISK: &str = "/dev/vda";
const VG: &str = "weir-other";

const VOLUME: Wish<'_> = Wish {
    name: "guest-of-theirs",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0051",
    pool: "theirs",
    mib: 16,
    thin: false,
    attached: Some((storage::NODE, 1)),
    deleted: false,
};

/// Seen red with: the request's `overwriteSignatures` taken for `true` (`wipe` in plan/making.rs).
pub(crate) fn a_disk_with_a_signature_is_refused(pair: &Pair, agent: &Agent<'_>) -> Result<()> {
    let guest = &pair.storage.guest;
    pair.ensure_pool(agent)?;
    guest.sh(&format!("mkfs.ext4 -q {DISK} && sync"))?;
    let checksum = format!("dd if={DISK} bs=1M count=64 iflag=direct status=none | md5sum");
    let before = guest.sh(&checksum)?;
    agent.ask_local_pool("other", VG, &[DISK], false)?;
    let refused = agent.wait_status("storagepool-other", "ext4")?;
    ensure!(
        refused.to_string().contains("\"False\""),
        "the pool is not refused: {refused}"
    );
    ensure!(guest.sh(&checksum)? == before, "the disk was written to");
    ensure!(guest.run(&format!("vgs {VG}"))?.code != 0, "{VG} was made");

    agent.ask_local_pool("other", VG, &[DISK], true)?;
    agent.wait_status("storagepool-other", "\"capacityBytes\": *[1-9]")?;
    guest.sh(&format!("vgs {VG}")).map(drop)
}

/// An existing volume group, with somebody's LV in it, becomes a pool; that LV stays as it is.
pub(crate) fn an_existing_group_is_taken_over_with_its_lvs(
    pair: &Pair,
    agent: &Agent<'_>,
) -> Result<()> {
    let guest = &pair.storage.guest;
    pair.ensure_pool(agent)?;
    guest.sh(
        "modprobe loop && truncate -s 256M /tmp/theirs.img && disk=$(losetup -f --show /tmp/theirs.img) && \
         vgcreate -q theirs $disk && lvcreate -q -y -Wn -n data -L 64M theirs && \
         guest-io fill /dev/theirs/data 'somebody else, who stays'",
    )?;
    let theirs = "md5sum < /dev/theirs/data && lvs --noheadings -o lv_uuid,lv_attr theirs/data";
    let before = guest.sh(theirs)?;
    agent.ask_local_pool("theirs", "theirs", &[], false)?;
    agent.wait_status("storagepool-theirs", "\"capacityBytes\": *[1-9]")?;
    agent.ask(&VOLUME)?;
    agent.wait_ready(&VOLUME)?;
    agent.delete(&VOLUME)?;
    ensure!(
        guest.sh(theirs)? == before,
        "an LV without Weir's mark was changed"
    );
    Ok(())
}
