//! Volumes, and what their tenants write into them.

use crate::scene::consumer;
use crate::scene::storage::{self, Wish};

/// A volume that the consumer has mounted from before the rules come.
pub(super) const MOUNTED: Wish<'_> = Wish {
    name: "mounted",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0068",
    pool: storage::POOL,
    mib: 16,
    thin: false,
    attached: Some((consumer::NODE, 1)),
    deleted: false,
};

/// A volume for several hosts: on the storage node it is an LV, and a mapping for each host.
pub(super) const SHARED: Wish<'_> = Wish {
    name: "shared",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0067",
    ..MOUNTED
};

/// The one with the UUID of the pool's disk.
pub(super) const TWIN: usize = 1;

/// Content that hosts act on: see [`write`].
pub(super) const TENANTS: [Wish<'_>; 6] = [
    Wish {
        name: "namesake",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0061",
        ..MOUNTED
    },
    Wish {
        name: "twin",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0062",
        ..MOUNTED
    },
    Wish {
        name: "member",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0063",
        ..MOUNTED
    },
    // The kernel takes note of a btrfs only if it has several devices.
    Wish {
        name: "btrfs-one",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0064",
        mib: 128,
        thin: true,
        ..MOUNTED
    },
    Wish {
        name: "btrfs-two",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0065",
        mib: 128,
        thin: true,
        ..MOUNTED
    },
    Wish {
        name: "parted",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0066",
        ..MOUNTED
    },
];

/// A volume's device on the consumer; its identity makes the link, not its content.
pub(super) fn device(wish: &Wish<'_>) -> String {
    format!("/dev/disk/by-id/nvme-uuid.{}", wish.id)
}

/// The script with which tenants, on the consumer, write: a volume group named as the pool's, one on
/// a disk with the UUID of the pool's disk, halves of two RAIDs, a btrfs, a partition table. Nothing is
/// active at its end.
pub(super) fn write(pool_disk_uuid: &str) -> String {
    let [namesake, twin, member, one, two, parted] = TENANTS.each_ref().map(device);
    let (shared, pool) = (device(&SHARED), storage::POOL);
    format!(
        "set -e; exec 2>&1
         group() {{
             vgcreate -q --devices $1 $2 $1
             lvcreate -q -y --devices $1 -n tenant -L 4M $2
             vgchange -q --devices $1 -an $2
         }}
         namesake=$(realpath {namesake}) twin=$(realpath {twin})
         group $namesake weir-{pool}
         pvcreate -q --devices $twin --uuid {pool_disk_uuid} --norestorefile $twin
         group $twin stolen
         mdadm --create /dev/md/tenant --run --level=1 --raid-devices=2 {member} missing
         mdadm --create /dev/md/shared --run --level=1 --raid-devices=2 {shared} missing
         mkfs.btrfs -q -L tenant {one} {two}
         printf 'label: gpt\\n,4M\\n,4M\\n' | sfdisk -q {parted}
         udevadm settle
         mdadm --stop --scan
         sync"
    )
}
