//! The image that does what users' hosts do: systemd, udev, and Debian's own rules and services of
//! everything that looks at disks by itself.
//!
//! Packages are only unpacked: what their installation would set up, as far as it matters to disks, is
//! done here. What has nothing to do with disks is switched off, since a guest may be emulated.

use std::path::Path;

use anyhow::Result;

use super::{Ours, link};

/// What it has besides the small image's packages.
pub(super) const PACKAGES: [&str; 8] = [
    "btrfs-progs",
    "fdisk",
    "kpartx",
    "mdadm",
    "multipath-tools",
    "parted",
    "systemd-sysv",
    "udev",
];

/// Files of ours in it.
pub(super) const FILES: [Ours; 6] = [
    // Those that udev's rules name.
    (
        "etc/group",
        include_str!("../../../guest/systemd/group"),
        false,
    ),
    (
        "etc/weir/init",
        include_str!("../../../guest/systemd/init"),
        true,
    ),
    (
        "etc/systemd/system/weir-guest.service",
        include_str!("../../../guest/systemd/weir-guest.service"),
        false,
    ),
    (
        "etc/mdadm/mdadm.conf",
        include_str!("../../../guest/systemd/mdadm.conf"),
        false,
    ),
    // Any will do; without one every boot is a first boot.
    (
        "etc/machine-id",
        "5eed5eed5eed5eed5eed5eed5eed5eed\n",
        false,
    ),
    ("etc/fstab", "", false),
];

/// Services that Debian's packages switch on, and ours: target and unit.
const ENABLED: [(&str, &str); 6] = [
    ("sysinit.target", "blk-availability.service"),
    ("sysinit.target", "lvm2-monitor.service"),
    ("sysinit.target", "multipathd.service"),
    ("sockets.target", "dm-event.socket"),
    ("sockets.target", "lvm2-lvmpolld.socket"),
    ("multi-user.target", "weir-guest.service"),
];

/// Services that have nothing to do with disks and cost an emulated guest seconds, and the one that
/// ours stands for.
const MASKED: [&str; 24] = [
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty.target",
    "ldconfig.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "qemu-guest-agent.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-debug.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-logind.service",
    "systemd-networkd.service",
    "systemd-random-seed.service",
    "systemd-sysusers.service",
    "systemd-timesyncd.service",
    "systemd-udev-load-credentials.service",
    "systemd-update-done.service",
    "systemd-update-utmp.service",
    "systemd-user-sessions.service",
];

/// Does what the installation of the packages would.
pub(super) fn set_up(tree: &Path) -> Result<()> {
    let etc = "etc/systemd/system";
    for (target, unit) in ENABLED {
        let unit_file = match unit {
            "weir-guest.service" => format!("/{etc}/{unit}"),
            packaged => format!("/usr/lib/systemd/system/{packaged}"),
        };
        link(tree, &unit_file, &format!("{etc}/{target}.wants/{unit}"))?;
    }
    for unit in MASKED {
        link(tree, "/dev/null", &format!("{etc}/{unit}"))?;
    }
    let target = "/usr/lib/systemd/system/multi-user.target";
    link(tree, target, &format!("{etc}/default.target"))
}
