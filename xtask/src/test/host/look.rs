//! What a host did with volumes: one line per trace that it left anywhere.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::scene::storage::{self, PATIENCE};
use crate::vm::guest::Guest;

/// Prints a line per trace: mappings and arrays that are not the pool's, partitions, holders, openers,
/// mounts, what udev found out by probing, links that come from content, what the kernel's btrfs was
/// told, what LVM's own commands see.
const SEEN: &str = r#"
volumes=' '
for block in /sys/block/dm-* /sys/block/nvme*n*; do
    name= nqn=
    read -r name 2>/dev/null <$block/dm/name
    read -r nqn 2>/dev/null <$block/device/subsysnqn
    case "$block $name $nqn" in
    *c[0-9]*n[0-9]' '*) ;;
    *-w_????????????????????????????????*|*' 'weir-????????????????????????????????-*|*' 'nqn.2026-11.dev.weir:*) volumes="$volumes${block##*/} " ;;
    esac
done
dmsetup ls | grep -vE -- '-w_[0-9a-f]{32}|-weir_thin|^weir-[0-9a-f]|^No devices' | sed 's/^/mapping /'
sed -n 's/^md/array md/p' /proc/mdstat
declare -A opened
while read -r minor count; do opened[dm-$minor]=$count; done \
    < <(dmsetup info -c --noheadings --separator ' ' -o minor,open 2>/dev/null)
for volume in $volumes; do
    for part in /sys/block/$volume/${volume}p*; do [ -e $part ] && echo partition ${part##*/}; done
    # A volume's opener is its export, or the mappings of its hosts.
    usual=1 mappings=0
    for holder in /sys/block/$volume/holders/*; do
        name=
        read -r name 2>/dev/null <$holder/dm/name
        case "$name" in
        weir-????????????????????????????????-*) mappings=$((mappings + 1)) usual=$mappings ;;
        *) [ -e $holder ] && echo holder ${holder##*/} of $volume ;;
        esac
    done
    [ "${opened[$volume]:-0}" -gt $usual ] && echo opened $volume ${opened[$volume]} times
    read -r number </sys/block/$volume/dev
    sed -nE "s/^E:(ID_FS_TYPE|ID_PART_TABLE_TYPE)/probed $volume \1/p" /run/udev/data/b$number
done
for link in /dev/disk/by-uuid/* /dev/disk/by-label/* /dev/disk/by-part*/* /dev/disk/by-id/*-part*; do
    target=$(readlink $link) target=${target##*/}
    case "$volumes" in *" ${target%p[0-9]} "*|*" $target "*) echo link $link to $target ;; esac
done
grep -E '^/dev/(mapper/weir-|weir|nvme[1-9]|md)' /proc/mounts | grep -v ' /mnt/kept ' | sed 's/^/mount /'
dmesg | grep -i 'btrfs: device' | sed 's/^/btrfs /'
for scan_lvs in 0 1; do
    vgs --config devices/scan_lvs=$scan_lvs --noheadings -o vg_name 2>&1 | sed "s/^ */lvm with scan_lvs=$scan_lvs: /"
done
true
"#;

/// Ends what a host opened by itself, and forgets the kernel's messages about it.
pub(super) const CLOSE: &str = "exec 2>&1; set -e
    for name in $(dmsetup ls | grep tenant | cut -f1); do dmsetup remove --retry $name; done
    mdadm --stop --scan; btrfs device scan --forget; rm -rf /run/lvm/pvs_online /run/lvm/vgs_online
    dmesg --clear";

/// What a host, a person who means no harm, or a tenant's program that ends may set off at any time.
pub(super) const PROVOKE: &str = "exec 2>&1
    for device in /dev/weir/*; do
        case $device in *weir_thin*) ;; *) exec 3<>$device && exec 3>&- || exit 1 ;; esac
    done
    multipathd reconfigure && pvscan --cache -aay && vgchange -aay && \
    vgchange -ay --config devices/scan_lvs=1 && vgscan";

/// Installs the rules as a script for sed changes them; all of them if it is empty.
///
/// udev remembers what the rules said of a device-mapper device. While they are spoilt, one more rule
/// makes each device new to it, between those that name it and Weir's.
pub(super) fn spoil(script: &str) -> String {
    let new = match script {
        "" => "rm -f /etc/udev/rules.d/55-zz-new.rules",
        _ => {
            r#"echo 'KERNEL=="dm-[0-9]*", ENV{DM_UDEV_DISABLE_DISK_RULES_FLAG}=""' >/etc/udev/rules.d/55-zz-new.rules"#
        }
    };
    format!(
        "sed '{script}' /weir/deploy/udev/57-weir.rules >/etc/udev/rules.d/57-weir.rules && {new} && \
         udevadm control --reload"
    )
}

/// Lines of the rules, as a script for sed that spoils one, and what a host shows without it.
pub(super) struct Needed {
    pub(super) spoil: &'static str,
    pub(super) on_storage: bool,
    pub(super) symptom: &'static str,
}

/// Those without which this image's hosts open something. (`DM_UDEV_DISABLE_OTHER_RULES_FLAG` and
/// `UDISKS_IGNORE` speak to programs that probe by themselves, which it has none of. LVM itself tells
/// udev to leave a thin pool's parts alone when it activates them: that line is for whoever else does.)
pub(super) const NEEDED: [Needed; 8] = [
    Needed {
        spoil: "s/^ENV.DM_UUID.==.LVM.*-w_.*//",
        on_storage: true,
        symptom: "array ",
    },
    Needed {
        spoil: "s/^ENV.DM_UUID.==.WEIR.*//",
        on_storage: true,
        symptom: "array ",
    },
    Needed {
        spoil: "s/^ENV.DM_UDEV_DISABLE_DISK_RULES_FLAG.*//",
        on_storage: true,
        symptom: "array ",
    },
    Needed {
        spoil: "s|^SYMLINK+=.weir/.env{DM_NAME}.*||",
        on_storage: true,
        symptom: "lvm with scan_lvs=1: WARNING",
    },
    Needed {
        spoil: "s/^ENV.UDEV_DISABLE_PERSISTENT_STORAGE_BLKID_FLAG.*//",
        on_storage: false,
        symptom: "array ",
    },
    Needed {
        spoil: "s|^SYMLINK+=.weir/.kernel.*||",
        on_storage: false,
        symptom: "lvm with scan_lvs=0: stolen",
    },
    Needed {
        spoil: "s/exec partx/exec true/",
        on_storage: false,
        symptom: "partition ",
    },
    // Both lines of a partition: it stays, and is linked.
    Needed {
        spoil: "s/exec partx/exec true/; s/ENV.UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG.=.1., //",
        on_storage: false,
        symptom: "link /dev/disk/by-id/",
    },
];

/// How lines of [`SEEN`] begin that a storage node without rules must show.
pub(super) const ON_STORAGE: &[&str] = &[
    "array ",
    "btrfs ",
    "holder ",
    "link /dev/disk/by-uuid/",
    "probed ",
    // The twin takes the place of the pool's disk.
    "lvm with scan_lvs=1: WARNING",
];

/// How lines of [`SEEN`] begin that a consumer without rules must show.
pub(super) const ON_CONSUMER: &[&str] = &[
    "array ",
    "btrfs ",
    "holder ",
    "link /dev/disk/by-uuid/",
    "mapping stolen-tenant",
    "mapping weir--fast-tenant",
    "partition ",
    "probed ",
];

/// What was seen on a host.
pub(super) struct Seen {
    lines: Vec<String>,
    /// What LVM sees where there is nothing to see: the pool on a storage node, nothing elsewhere.
    usual: Vec<String>,
}

/// Looks at a host.
pub(super) fn seen(guest: &Guest) -> Result<Seen> {
    let text = guest.sh(SEEN)?;
    let is_storage = guest.sh("hostname")?.trim() == storage::NODE;
    let usual = [0, 1].map(|on| format!("lvm with scan_lvs={on}: weir-{}", storage::POOL));
    Ok(Seen {
        lines: text.lines().map(str::to_owned).collect(),
        usual: usual.into_iter().filter(|_| is_storage).collect(),
    })
}

impl Seen {
    /// Fails if a host opened anything, or does not see its own pool.
    pub(super) fn expect_nothing(&self) -> Result<()> {
        if self.lines == self.usual {
            return Ok(());
        }
        bail!("seen on the host:\n  {}", self.lines.join("\n  "))
    }
}

/// Waits until a host shows lines that begin like all of `symptoms`; what it shows.
pub(super) fn wait(guest: &Guest, symptoms: &[&str]) -> Result<Vec<String>> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let lines = seen(guest)?.lines;
        let shows = |symptom: &&&str| lines.iter().any(|line| line.starts_with(**symptom));
        let Some(missing) = symptoms.iter().find(|symptom| !shows(symptom)) else {
            return Ok(lines);
        };
        if std::time::Instant::now() > deadline {
            bail!("no line begins with `{missing}`:\n  {}", lines.join("\n  "));
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// How many reads each volume of a host has had, by its device.
pub(super) fn reads(guest: &Guest) -> Result<BTreeMap<String, u64>> {
    let text = guest.sh("for block in /sys/block/dm-* /sys/block/nvme[1-9]n*; do
             [ -e $block ] || continue
             name=$(cat $block/dm/name 2>/dev/null || echo nvme)
             case $name in *-w_*|weir-[0-9a-f]*|nvme) echo ${block##*/} $(awk '{ print $1 }' $block/stat) ;; esac
         done")?;
    let row = |line: &str| {
        let (device, count) = line.split_once(' ')?;
        Some((device.to_owned(), count.parse().ok()?))
    };
    text.lines()
        .map(|line| row(line).with_context(|| format!("`{line}` is no count of reads")))
        .collect()
}
