//! Guest images: Debian's userland and one cloud kernel, as an ext4 root disk, made without root.
//!
//! There are two: a small one without udev, in which nothing happens by itself, and [`systemd`]'s, in
//! which a host does to its disks what users' hosts do.

mod systemd;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::apt::Apt;
use super::unpack;
use crate::cache::Cache;
use crate::command::{Cmd, find_program};
use crate::kernel::Kernel;
use crate::progress::Progress;

/// The suite the userland is from, whatever the kernel: new enough for binaries that were built on
/// any Debian from 12 on (its C library is at least as new).
const USERLAND: &str = "trixie";

/// What tests use in a guest.
const PACKAGES: [&str; 18] = [
    "bash",
    "busybox-static",
    "coreutils",
    "dmsetup",
    "e2fsprogs",
    "fio",
    "iproute2",
    "kmod",
    "libeatmydata1",
    "lvm2",
    "mount",
    // What a person connects with; Weir doesn't need it.
    "nvme-cli",
    // nvmetcli's, which comes from a newer suite.
    "python3",
    "python3-configshell-fb",
    "qemu-guest-agent",
    "thin-provisioning-tools",
    "util-linux",
    "xfsprogs",
];

/// The suite that nvmetcli is from: Debian 13 has none. It is Python alone, so that it runs with the
/// userland's.
const NVMETCLI_SUITE: &str = "forky";
/// Its version, less Debian's revision.
const NVMETCLI_VERSION: &str = "0.9";

/// What of packages no guest needs.
const LEFT_OUT: [&str; 4] = [
    "./usr/share/doc*",
    "./usr/share/man*",
    "./usr/share/locale*",
    "./boot/System.map*",
];

/// A file of ours in an image: path, content, whether it is a program.
type Ours = (&'static str, &'static str, bool);

/// Files of ours in every image.
const FILES: [Ours; 3] = [
    ("etc/weir/boot", include_str!("../../guest/boot"), true),
    ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n", false),
    ("etc/group", "root:x:0:\ndisk:x:6:\n", false),
];

/// Files of ours in the small image.
const SMALL_FILES: [Ours; 4] = [
    ("etc/inittab", include_str!("../../guest/inittab"), false),
    ("etc/weir/agent", include_str!("../../guest/agent"), true),
    (
        "etc/weir/console",
        include_str!("../../guest/console"),
        true,
    ),
    (
        "etc/lvm/lvm.conf",
        include_str!("../../guest/lvm.conf"),
        false,
    ),
];

/// What runs in a guest besides what is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Userland {
    /// busybox as init, no udev: boots fast, and nothing happens by itself.
    Small,
    /// systemd, udev and everything that looks at disks by itself on an installed Debian.
    Systemd,
}

impl Userland {
    fn packages(self) -> Vec<&'static str> {
        let more: &[&str] = match self {
            Userland::Small => &[],
            Userland::Systemd => &systemd::PACKAGES,
        };
        PACKAGES.iter().chain(more).copied().collect()
    }

    fn files(self) -> Vec<Ours> {
        let more: &[Ours] = match self {
            Userland::Small => &SMALL_FILES,
            Userland::Systemd => &systemd::FILES,
        };
        FILES.iter().chain(more).copied().collect()
    }

    fn suffix(self) -> &'static str {
        match self {
            Userland::Small => "",
            Userland::Systemd => "-systemd",
        }
    }
}

/// What a VM boots from.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The kernel, for QEMU's `-kernel`.
    pub(crate) vmlinuz: PathBuf,
    /// The root file system; guests get a throw-away overlay of it.
    pub(crate) root: PathBuf,
}

/// The image of a kernel, wherever it stands in the cache.
pub(crate) fn image(cache: &Cache, kernel: Kernel, userland: Userland) -> Image {
    let dir = cache.path(&format!("guest/{kernel}{}", userland.suffix()));
    Image {
        vmlinuz: dir.join("vmlinuz"),
        root: dir.join("root.ext4"),
    }
}

/// Makes the image unless it is there.
pub(super) fn ensure(cache: &Cache, kernel: Kernel, userland: Userland) -> Result<()> {
    let files: String = userland
        .files()
        .iter()
        .map(|(path, content, _)| format!("{path}\n{content}"))
        .collect();
    let packages = userland.packages().join(" ");
    let nvmetcli = format!("{NVMETCLI_SUITE} {NVMETCLI_VERSION}");
    let key = format!("5 {USERLAND} {packages} {nvmetcli} {files}");
    let step = format!("guest-{kernel}{}", userland.suffix());
    cache.once(&step, &key, || make(cache, kernel, userland))
}

fn make(cache: &Cache, kernel: Kernel, userland: Userland) -> Result<()> {
    let apt = Apt::open(cache, USERLAND)?;
    let mut debs = apt.download(&userland.packages(), &cache.dir("debs/userland")?)?;
    debs.push(nvmetcli(cache)?);
    debs.extend(kernel_packages(cache, kernel)?);

    let dir = cache.dir(&format!("guest/{kernel}{}", userland.suffix()))?;
    let tree = tempfile::tempdir_in(&dir).context("making a directory to unpack in")?;
    unpack::debs(&debs, tree.path(), &LEFT_OUT)?;
    for (path, content, program) in userland.files() {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().context("a file of ours has no directory")?)?;
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        let mode = if program { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    link_busybox(tree.path())?;
    match userland {
        Userland::Small => link(tree.path(), "/usr/bin/busybox", "etc/weir/init")?,
        Userland::Systemd => systemd::set_up(tree.path())?,
    }
    let version = only_entry(&tree.path().join("usr/lib/modules"))?;
    let depmod = find_program("depmod").context("depmod is missing")?;
    Cmd::new(depmod)
        .arg("-b")
        .arg(tree.path())
        .arg(&version)
        .run()?;

    let image = image(cache, kernel, userland);
    // Kernel packages put it into /boot, from 7.3 on also beside the modules.
    let places = [
        format!("boot/vmlinuz-{version}"),
        format!("usr/lib/modules/{version}/vmlinuz"),
    ];
    let vmlinuz = places
        .iter()
        .map(|place| tree.path().join(place))
        .find(|file| file.exists());
    let vmlinuz = vmlinuz.with_context(|| format!("the packages of {kernel} hold no kernel"))?;
    fs::copy(vmlinuz, &image.vmlinuz).context("copying the kernel")?;

    let progress = Progress::spinner(format!("making the root disk of the {kernel} guest"));
    let new = dir.join("root.new");
    let _ = fs::remove_file(&new);
    Cmd::new("mke2fs")
        .args([
            "-q",
            "-t",
            "ext4",
            "-E",
            "root_owner=0:0",
            "-O",
            "^has_journal",
            "-d",
        ])
        .arg(tree.path())
        .arg(&new)
        .arg("2G")
        .run()?;
    fs::rename(&new, &image.root).context("putting the root disk in place")?;
    progress.done();
    Ok(())
}

/// What `nvmet` is measured against and exchanges files with.
fn nvmetcli(cache: &Cache) -> Result<PathBuf> {
    let suite = Apt::open(cache, NVMETCLI_SUITE)?;
    let version = suite.version("nvmetcli", NVMETCLI_VERSION)?;
    let version = version
        .with_context(|| format!("{NVMETCLI_SUITE} has no nvmetcli {NVMETCLI_VERSION} any more"))?;
    suite.download_alone("nvmetcli", &version, &cache.dir("debs/nvmetcli")?)
}

fn kernel_packages(cache: &Cache, kernel: Kernel) -> Result<Vec<PathBuf>> {
    let suite = Apt::open(cache, kernel.suite())?;
    let into = cache.dir(&format!("debs/linux-{kernel}"))?;
    let closure = suite.download(&["linux-image-cloud-amd64"], &into)?;
    // What a kernel package depends on serves its installation; the guest needs what it holds.
    let parts = [
        "linux-image-",
        "linux-binary-",
        "linux-modules-",
        "linux-base-",
    ];
    let is_part = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        parts.iter().any(|part| name.starts_with(part))
    };
    Ok(closure.into_iter().filter(is_part).collect())
}

/// Busybox goes by the name it is called with: every command that no package brought.
fn link_busybox(tree: &Path) -> Result<()> {
    let busybox = "usr/bin/busybox";
    let applets = Cmd::new(tree.join(busybox)).arg("--list").read()?;
    let has = |name: &str| {
        ["usr/bin", "usr/sbin"]
            .iter()
            .any(|dir| tree.join(dir).join(name).exists())
    };
    let missing = applets
        .lines()
        .filter(|name| !has(name))
        .map(|name| format!("usr/bin/{name}"));
    for name in missing {
        link(tree, &format!("/{busybox}"), &name)?;
    }
    Ok(())
}

fn link(tree: &Path, target: &str, name: &str) -> Result<()> {
    let path = tree.join(name);
    fs::create_dir_all(path.parent().context("a link has no directory")?)?;
    let made = std::os::unix::fs::symlink(target, path);
    made.with_context(|| format!("linking {name}"))
}

fn only_entry(dir: &Path) -> Result<String> {
    let names: Vec<_> = fs::read_dir(dir)
        .with_context(|| format!("reading {}", dir.display()))?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    match names.as_slice() {
        [name] => Ok(name.clone()),
        other => bail!(
            "{} holds {other:?} instead of one kernel's modules",
            dir.display()
        ),
    }
}
