//! Every parameter in words.

use std::fmt::Write;

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name in a StorageClass.
    pub name: &'static str,
    /// What it may be.
    pub values: &'static str,
    /// What it is if nothing is said.
    pub default: &'static str,
    /// What it does, and with what it can't stand.
    pub meaning: &'static str,
    /// One that is taken.
    pub example: &'static str,
}

const fn row(
    name: &'static str,
    values: &'static str,
    default: &'static str,
    meaning: &'static str,
    example: &'static str,
) -> Row {
    Row {
        name,
        values,
        default,
        meaning,
        example,
    }
}

/// All of them; nothing else is taken.
pub const TABLE: &[Row] = &[
    row(
        "engine",
        "`kernel`, `spdk`, `any`",
        "`kernel`",
        "What serves the volume. Agents serve `kernel` so far.",
        "kernel",
    ),
    row(
        "provisioning",
        "`thick`, `thin`",
        "`thick`",
        "Whether its space is taken at once or as it is written. Thin wants pools with a thin pool.",
        "thin",
    ),
    row(
        "layout",
        "`linear`, `striped`, `mirror`",
        "`linear`",
        "How its data lies on its pool's disks. Agents serve `linear` so far; not beside `provisioning: thin`.",
        "linear",
    ),
    row(
        "locality",
        "`MustLocal`, `PreferLocal`, `NoPreference`, `PreferRemote`, `MustRemote`",
        "`PreferLocal`",
        "Where its pool should be, seen from its first user. A `MustLocal` volume stays on that node, and so do its pods; of the others, pods move freely, unless the pool has no portals.",
        "MustLocal",
    ),
    row(
        "wipe",
        "`zero`, `discard`, `none`",
        "`zero`",
        "What happens to its space in the end. Agents serve `zero` so far.",
        "zero",
    ),
    row(
        "readP99",
        "`850us`, `2ms`, `1s`",
        "no objective",
        "99 of 100 reads should take no longer. Not served yet.",
        "2ms",
    ),
    row(
        "writeP99",
        "as `readP99`",
        "no objective",
        "99 of 100 writes should take no longer. Not served yet.",
        "2ms",
    ),
    row(
        "antiAffinityKey",
        "1 to 63 characters",
        "none",
        "Volumes with the same key are kept on different nodes.",
        "postgres",
    ),
    row(
        "nodeSelector",
        "`key=value`, `key=a\\|b`, `key!=value`, `key`, `!key`; at most 16, with commas between them",
        "every node",
        "Labels that the node of its pool must have.",
        "disk=nvme,!old",
    ),
    row(
        "poolSelector",
        "as `nodeSelector`",
        "every pool",
        "Labels that its pool must have.",
        "tier!=slow",
    ),
    row(
        "fsType",
        "`ext4`, `xfs`",
        "`ext4`",
        "Its file system. The same as `csi.storage.k8s.io/fstype`, which the provisioner puts into the capability; the two must not differ.",
        "xfs",
    ),
    row(
        "mkfsOptions",
        "options of mkfs that are known to be harmless, e.g. `-m 0 -E nodiscard`",
        "none",
        "How its file system is made. Each option and value is a word of its own. Whether a device may be formatted, and which, is not an option's to say: `-F`, `-f`, external journals, offsets are refused.",
        "-i 65536",
    ),
    row(
        "mountOptions",
        "`known`, `any`",
        "`known`",
        "Which of the class's `mountOptions` are taken: those that are known neither to lose what was acknowledged nor to show old data, or any.",
        "any",
    ),
    row(
        "portals",
        "`all`, 1 to 8",
        "`all`",
        "Over how many of the pool's portals a node connects. Not with `MustLocal`, as the next three.",
        "2",
    ),
    row(
        "ctrlLossTmo",
        "1 to 86400 (seconds), `never`",
        "600",
        "So long a lost target is waited for; then its I/O fails and the volume has to be staged again. Ten minutes are longer than a storage node takes to start again; its data is nowhere else, so that failing earlier gains nothing.",
        "1800",
    ),
    row(
        "reconnectDelay",
        "1 to 300 (seconds)",
        "2",
        "A lost target is tried again after so long. At most `ctrlLossTmo`.",
        "5",
    ),
    row(
        "fastIoFail",
        "1 to 86400 (seconds), `never`",
        "`never`",
        "I/O fails after so long, while the target is still waited for. Less than `ctrlLossTmo`.",
        "30",
    ),
    row(
        "csi.storage.k8s.io/pvc/name",
        "set by the provisioner",
        "",
        "With `--extra-create-metadata`: the claim's name, which becomes the Volume's label `weir.dev/persistentvolumeclaim`.",
        "data-0",
    ),
    row(
        "csi.storage.k8s.io/pvc/namespace",
        "set by the provisioner",
        "",
        "Its namespace: `weir.dev/namespace`.",
        "shop",
    ),
    row(
        "csi.storage.k8s.io/pv/name",
        "set by the provisioner",
        "",
        "The PersistentVolume's name: `weir.dev/persistentvolume`.",
        "pvc-1",
    ),
];

/// The parameter of a name.
#[must_use]
pub fn row_of(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

/// `PARAMETERS.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Parameters of a StorageClass\n\n\
         `provisioner: csi.weir.dev`. What is not in this table, is malformed, or contradicts something is refused by its name when a claim \
         is made. `csi/src/parameters/table.rs` has this text, and a test compares the two.\n\n\
         | parameter | values | default | meaning |\n|---|---|---|---|\n",
    );
    for Row {
        name,
        values,
        default,
        meaning,
        ..
    } in TABLE
    {
        // Writing to a text does not fail.
        let _ = writeln!(text, "| `{name}` | {values} | {default} | {meaning} |");
    }
    text
}
