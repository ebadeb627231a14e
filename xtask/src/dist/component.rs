//! What is shipped: a program for each component, the image it is in, and what it calls there.

/// Where images are named to be; whoever has them elsewhere says so in a kustomization of their own.
pub(crate) const REGISTRY: &str = "weir.dev";
/// The release whose packages images are made of.
pub(crate) const SUITE: &str = "trixie";

/// One image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Component {
    /// The program that it is for, its package and the image's name.
    pub(crate) name: &'static str,
    /// Other programs of ours in it, for people.
    pub(crate) beside: &'static [&'static str],
    /// Debian packages that it needs besides their dependencies.
    pub(crate) packages: &'static [&'static str],
    /// Files of ours below its root: path and content.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// As whom it runs, where the pod doesn't say.
    pub(crate) user: &'static str,
    /// What has to run in it: command lines that end well and say this.
    pub(crate) calls: &'static [Call],
}

/// A command line that must run in an image, and a part of what it says.
pub(crate) type Call = (&'static [&'static str], &'static str);

/// LVM as the agent has to have it in a container. A dmeventd that it started would end with the pod, and the host's can't be reached.
const LVM: &str = "activation { monitoring = 0 }\n";

/// All of them.
pub(crate) const COMPONENTS: [Component; 3] = [
    Component {
        name: "weir-agent",
        beside: &["weir"],
        // What it calls: lvm and what that calls, dmsetup, wipefs, modprobe, sleep; and what deploy/install-host is made of.
        packages: &[
            "coreutils",
            "dash",
            "dmsetup",
            "grep",
            "kmod",
            "lvm2",
            "sed",
            "thin-provisioning-tools",
            "util-linux",
        ],
        files: &[("etc/lvm/lvmlocal.conf", LVM)],
        user: "0:0",
        calls: &[
            (&["/usr/bin/weir-agent", "--version"], "weir-agent"),
            (&["/usr/bin/weir", "--version"], "weir"),
            (&["/usr/sbin/lvm", "version"], "LVM version"),
            (
                &["/usr/sbin/lvm", "lvmconfig", "activation/monitoring"],
                "monitoring=0",
            ),
            (&["/usr/sbin/thin_check", "--version"], "."),
            (&["/usr/sbin/dmsetup", "help"], "create"),
            (&["/usr/sbin/wipefs", "--version"], "util-linux"),
            (&["/usr/sbin/modprobe", "--version"], "kmod"),
            (&["/bin/sleep", "0"], ""),
            (
                &[
                    "/bin/sh",
                    "-c",
                    "for one in cat chroot dirname grep install mkdir rm sed; do command -v $one || exit 1; done; echo all",
                ],
                "all",
            ),
        ],
    },
    Component {
        name: "weir-controller",
        beside: &[],
        packages: &[],
        files: &[],
        user: "65532:65532",
        calls: &[(
            &["/usr/bin/weir-controller", "--version"],
            "weir-controller",
        )],
    },
    Component {
        name: "weir-csi",
        beside: &[],
        packages: &["e2fsprogs", "kmod", "mount", "util-linux", "xfsprogs"],
        files: &[],
        user: "0:0",
        calls: &[
            (&["/usr/bin/weir-csi", "--version"], "weir-csi"),
            (&["/usr/sbin/blkid", "--version"], "util-linux"),
            (&["/usr/sbin/mke2fs", "-V"], "mke2fs"),
            (&["/usr/sbin/e2fsck", "-V"], "e2fsck"),
            (&["/usr/sbin/resize2fs", "/nothing"], "resize2fs"),
            (&["/usr/sbin/mkfs.xfs", "-V"], "mkfs.xfs"),
            (&["/usr/sbin/xfs_growfs", "-V"], "xfs_growfs"),
            (&["/usr/sbin/modprobe", "--version"], "kmod"),
        ],
    },
];

/// What packages depend on and no program above calls: interpreters, what logs people in, what sets packages up.
pub(crate) const LEFT_OUT: [&str; 28] = [
    "debconf",
    "debianutils",
    "dmeventd",
    "dpkg",
    "libaudit",
    "libcap-ng0",
    "libdb5.3",
    "libdbus-1",
    "libexpat",
    "libffi",
    "libglib2.0",
    "libgmp",
    "libicu",
    "liblastlog",
    "libncursesw",
    "libpam",
    "libpython3",
    "libsqlite3",
    "libatomic",
    "logsave",
    "media-types",
    "netbase",
    "openssl-provider-legacy",
    "python3",
    "readline-common",
    "tar_",
    "tzdata",
    "libss2",
];

impl Component {
    /// The image's name with its tag.
    pub(crate) fn image(&self, version: &str) -> String {
        format!("{REGISTRY}/{}:{version}", self.name)
    }
}
