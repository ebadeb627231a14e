//! What a node is like: read below a root, and asked of the kernel and of LVM.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nvmet::Configfs;

use crate::cmd::{Cmd, Program, Runner};

/// Kernel modules that are looked for.
pub const MODULES: [&str; 5] = ["nvmet", "nvmet-tcp", "nvme-tcp", "dm-mod", "dm-thin-pool"];

/// Directories that LVM and udev share with everybody else on the node (lvm(8), udev(7)).
pub const SHARED: [&str; 4] = ["/run/lock/lvm", "/run/lvm", "/run/udev", "/dev"];

/// Everything that is judged.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The running kernel's release.
    pub release: String,
    /// How each of [`MODULES`] is there.
    pub modules: BTreeMap<&'static str, Module>,
    /// Types of the kernel, and of `nvmet` where it is loaded, that probes need.
    pub btf: BTreeSet<String>,
    /// What `lvm version` printed.
    pub lvm: Result<String, String>,
    /// LVM's configuration in force, as lvmconfig(8) prints it.
    pub lvm_config: Result<String, String>,
    /// In a container: for each of [`SHARED`], whether it is the host's. `None` on a host.
    pub container: Option<BTreeMap<&'static str, bool>>,
    /// What trying to listen on each portal gave.
    pub portals: BTreeMap<SocketAddr, Portal>,
    /// The clock.
    pub clock: Clock,
    /// Content of `/etc/nvme/hostnqn`.
    pub host_nqn: Option<String>,
    /// Content of nvme_core's parameter `multipath`, where it is loaded.
    pub nvme_multipath: Option<String>,
    /// Whether a udev daemon runs.
    pub has_udev: bool,
    /// Weir's udev rules, where they are installed.
    pub udev_rules: Vec<PathBuf>,
    /// Names of all files of udev's rules, which is the order they run in.
    pub udev_order: BTreeSet<String>,
    /// Whether LVM has a list of the devices that it may look at (lvmdevices(8)).
    pub has_devices_file: bool,
    /// Whether multipath-tools are installed.
    pub has_multipath_tools: bool,
    /// Files of multipath's configuration that name Weir.
    pub multipath_config: Vec<PathBuf>,
}

/// How a kernel module is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// Loaded.
    Loaded,
    /// Part of the kernel.
    BuiltIn,
    /// It can be loaded.
    Available,
    /// It is nowhere.
    Absent,
}

/// What listening on an address gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Portal {
    /// Nobody listens there, and we could.
    Free,
    /// The kernel's target listens there.
    Target,
    /// Somebody else does.
    Taken,
    /// Nobody could.
    Refused(String),
}

/// The node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// What time it is.
    pub now: SystemTime,
    /// Whether the kernel was told that it is kept right; `None` if it would not say.
    pub is_synchronised: Option<bool>,
}

/// What can't be read from files.
pub trait Node {
    /// The running kernel's release.
    fn release(&self) -> String;
    /// The clock.
    fn clock(&self) -> Clock;
    /// Listens on an address for a moment.
    ///
    /// # Errors
    /// The kernel's.
    fn listen(&self, address: SocketAddr) -> io::Result<()>;
}

/// Looks at the node below `root`.
#[must_use]
pub fn facts(
    root: &Path,
    node: &dyn Node,
    runner: &dyn Runner,
    portals: &BTreeSet<SocketAddr>,
) -> Facts {
    let at = |path: &str| root.join(path.trim_start_matches('/'));
    let release = node.release();
    let lvm = |args: &[&str]| {
        let cmd = Cmd {
            program: Program::Lvm,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            deadline: Duration::from_secs(30),
            lock: "check".to_owned(),
        };
        runner.run(&cmd).map_err(|error| crate::chain(&error))
    };
    let rules = [
        "/usr/lib/udev/rules.d",
        "/lib/udev/rules.d",
        "/etc/udev/rules.d",
    ];
    let rules: Vec<PathBuf> = rules.iter().flat_map(|dir| files(&at(dir))).collect();
    let name = |path: &PathBuf| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let is_ours = |name: &str| name.contains("-weir") && name.ends_with(".rules");
    let multipath = [
        "/etc/multipath.conf",
        "/etc/multipath/conf.d",
        "/usr/share/multipath/conf.d",
    ];
    let tools = ["/sbin/multipathd", "/usr/sbin/multipathd"];
    Facts {
        modules: modules(root, &release),
        release,
        btf: btf(root),
        lvm: lvm(&["version"]),
        lvm_config: lvm(&["lvmconfig", "--typeconfig", "full", "devices"]),
        container: container(root),
        portals: listen(root, node, portals),
        clock: node.clock(),
        host_nqn: text(&at("/etc/nvme/hostnqn")),
        nvme_multipath: text(&at("/sys/module/nvme_core/parameters/multipath")),
        has_udev: at("/run/udev/control").exists(),
        udev_order: rules.iter().map(name).collect(),
        udev_rules: rules
            .into_iter()
            .filter(|path| is_ours(&name(path)))
            .collect(),
        has_devices_file: at("/etc/lvm/devices/system.devices").exists(),
        has_multipath_tools: tools.iter().any(|path| at(path).exists()),
        multipath_config: multipath
            .iter()
            .flat_map(|path| files(&at(path)))
            .filter(|path| text(path).is_some_and(|text| text.to_lowercase().contains("weir")))
            .collect(),
    }
}

fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// The file itself, or the files in the directory.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn modules(root: &Path, release: &str) -> BTreeMap<&'static str, Module> {
    let lists = ["lib/modules", "usr/lib/modules"].map(|dir| root.join(dir).join(release));
    let read = |name: &str| -> String {
        let found = lists.iter().find_map(|dir| text(&dir.join(name)));
        found.unwrap_or_default()
    };
    let (built_in, available) = (read("modules.builtin"), read("modules.dep"));
    // Each line of either begins with the module's path, `.xz` or so at its end in modules.dep
    // (modules.dep(5)); file names have `-` or `_`, as their makers liked it.
    let has = |list: &str, module: &str| {
        list.lines().any(|line| {
            let path = line.split(':').next().unwrap_or_default();
            let name = path.rsplit('/').next().unwrap_or_default();
            let name = name.split('.').next().unwrap_or_default();
            name.replace('_', "-") == module
        })
    };
    let state = |module: &'static str| {
        let loaded = root.join("sys/module").join(module.replace('-', "_"));
        if has(&built_in, module) {
            Module::BuiltIn
        } else if loaded.exists() {
            Module::Loaded
        } else if has(&available, module) {
            Module::Available
        } else {
            Module::Absent
        }
    };
    MODULES
        .iter()
        .map(|&module| (module, state(module)))
        .collect()
}

fn btf(root: &Path) -> BTreeSet<String> {
    let names = ["vmlinux", "nvmet"].map(str::to_owned);
    let dir = root.join("sys/kernel/btf");
    names
        .into_iter()
        .filter(|name| dir.join(name).exists())
        .collect()
}

/// Containers' runtimes leave marks: `/.dockerenv`, `/run/.containerenv`, a service account of
/// Kubernetes', or `container=` in the environment of what they start (systemd's
/// CONTAINER_INTERFACE). A root that is an overlay is one more.
fn container(root: &Path) -> Option<BTreeMap<&'static str, bool>> {
    let marks = [
        ".dockerenv",
        "run/.containerenv",
        "var/run/secrets/kubernetes.io",
    ];
    let mounts = mounts(&text(&root.join("proc/self/mountinfo")).unwrap_or_default());
    let is_overlay = mounts.get("/").is_some_and(|kind| kind == "overlay");
    if !is_overlay && !marks.iter().any(|mark| root.join(mark).exists()) {
        return None;
    }
    // What the runtime makes by itself: a tmpfs for /dev; the others not at all.
    let shared = |dir: &'static str| {
        let mount = Path::new(dir).ancestors().find_map(|dir| {
            let dir = dir.to_str()?;
            let kind = mounts.get(dir)?;
            Some((dir, kind.as_str()))
        });
        match mount {
            Some(("/dev", kind)) => kind == "devtmpfs",
            Some(("/", _)) | None => false,
            Some(_) => true,
        }
    };
    Some(SHARED.iter().map(|&dir| (dir, shared(dir))).collect())
}

/// Those of [`SHARED`] that are a container's own; none on a host.
#[must_use]
pub fn unshared(root: &Path) -> Vec<&'static str> {
    let shared = container(root).unwrap_or_default();
    let own = shared.into_iter().filter(|(_, is_shared)| !is_shared);
    own.map(|(dir, _)| dir).collect()
}

/// Mount points and the kind of file system there, the last mount over each
/// (proc_pid_mountinfo(5): the point is the fifth field, the kind comes after `-`).
fn mounts(mountinfo: &str) -> BTreeMap<String, String> {
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let point = left.split(' ').nth(4)?;
        let kind = right.split(' ').next()?;
        Some((point.to_owned(), kind.to_owned()))
    };
    mountinfo.lines().filter_map(mount).collect()
}

fn listen(
    root: &Path,
    node: &dyn Node,
    portals: &BTreeSet<SocketAddr>,
) -> BTreeMap<SocketAddr, Portal> {
    let target = Configfs::at(root.join("sys/kernel/config/nvmet"))
        .read()
        .ok();
    let is_targets = |address: &SocketAddr| {
        let mut ports = target.iter().flat_map(|target| target.ports.values());
        ports.any(|port| !port.subsystems.is_empty() && port.portal.socket() == Some(*address))
    };
    let state = |address: &SocketAddr| match node.listen(*address) {
        Ok(()) => Portal::Free,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if is_targets(address) {
                Portal::Target
            } else {
                Portal::Taken
            }
        }
        Err(error) => Portal::Refused(error.to_string()),
    };
    portals
        .iter()
        .map(|address| (*address, state(address)))
        .collect()
}

/// This node.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisNode;

impl Node for ThisNode {
    fn release(&self) -> String {
        text(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default()
    }

    fn clock(&self) -> Clock {
        // SAFETY: timex is plain data, for which zeroes are valid.
        let mut time: libc::timex = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is valid for the call; with `modes` 0 nothing is set (adjtimex(2)).
        let state = unsafe { libc::adjtimex(&raw mut time) };
        Clock {
            now: SystemTime::now(),
            is_synchronised: (state >= 0).then_some(time.status & libc::STA_UNSYNC == 0),
        }
    }

    fn listen(&self, address: SocketAddr) -> io::Result<()> {
        std::net::TcpListener::bind(address).map(drop)
    }
}
