//! Making the node's kernel ready: modules and configfs.

use std::io;
use std::path::Path;
use std::time::Duration;

use nix::mount::{MsFlags, mount};

use crate::cmd::{Cmd, Program, Runner};

/// Loads what can be loaded and mounts configfs if it isn't there. Failures are only logged: a
/// kernel may have things built in, and what is really missing shows where it is needed, as the
/// condition of a volume or a pool.
pub fn prepare(runner: &dyn Runner, configfs: &Path) {
    let modules = ["configfs", "nvmet", "nvmet-tcp", "dm-mod", "dm-thin-pool"];
    for module in modules.into_iter().filter(|module| !is_there(module)) {
        let cmd = Cmd {
            program: Program::Modprobe,
            args: vec!["--quiet".to_owned(), module.to_owned()],
            deadline: Duration::from_secs(30),
            lock: "modprobe".to_owned(),
        };
        if let Err(error) = runner.run(&cmd) {
            tracing::info!(module, error = crate::chain(&error), "not loaded");
        }
    }
    // Where no udev runs, an agent that was killed between making a mapping and making its node left
    // the one without the other.
    let nodes = Cmd {
        program: Program::Dmsetup,
        args: vec!["mknodes".to_owned()],
        deadline: Duration::from_secs(30),
        lock: "dm".to_owned(),
    };
    if let Err(error) = runner.run(&nodes) {
        tracing::info!(error = crate::chain(&error), "device nodes are not checked");
    }
    if let Err(error) = mount_configfs(configfs) {
        let path = configfs.display();
        tracing::warn!(%path, %error, "configfs is not mounted there and could not be");
    }
}

/// Whether a module is loaded; one that is built in may or may not say so.
fn is_there(module: &str) -> bool {
    Path::new("/sys/module")
        .join(module.replace('-', "_"))
        .exists()
}

/// Whether configfs is mounted at `path` already, or was now.
fn mount_configfs(path: &Path) -> io::Result<()> {
    // The kernel's directory is empty until configfs is mounted over it, and configfs itself is
    // empty until a module registers with it: only the list of mounts tells.
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let is_it = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        fields.next().map(Path::new) == Some(path) && fields.next() == Some("configfs")
    };
    if mounts.lines().any(is_it) {
        return Ok(());
    }
    let none = None::<&str>;
    mount(none, path, Some("configfs"), MsFlags::empty(), none).map_err(io::Error::from)
}
