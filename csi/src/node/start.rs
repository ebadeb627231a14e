//! What has to be so before a node's half is served. Where it is not, volumes would be mounted where nobody sees them, or
//! connected where the next reconnect fails: it is not started.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::mountinfo::{self, Mount, MountinfoError};

/// Why it is not started.
#[derive(Debug, Error)]
pub enum Unfit {
    /// A file of the kernel's can't be read.
    #[error("`{path}` can't be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Mounts can't be told.
    #[error("what is mounted can't be told")]
    Mounts(#[from] MountinfoError),
    /// What is mounted below is seen by nobody else.
    #[error(
        "what is mounted below `{directory}` would be seen by no pod: its mount `{mount}` is not shared; in a pod, give it mountPropagation: Bidirectional, and on the host `mount --make-rshared /`"
    )]
    NotShared {
        /// Kubelet's directory.
        directory: PathBuf,
        /// The mount that it is in.
        mount: PathBuf,
    },
    /// The directory is not there.
    #[error(
        "`{0}` is not there: it is to be kubelet's directory, under the same path as on the host"
    )]
    NoDirectory(PathBuf),
    /// We are in a container that hides the host.
    #[error("this is a user namespace of its own, in which nothing can be mounted for others")]
    UserNamespace,
    /// We have a network of our own.
    #[error(
        "this is a network namespace of its own: the kernel reconnects from the host's, where the targets' addresses may be others; set hostNetwork: true"
    )]
    NetworkNamespace,
    /// Devices would not appear.
    #[error(
        "`{0}` is not the kernel's own: devices that appear later would not be in it; give the host's /dev to the pod"
    )]
    Dev(PathBuf),
}

/// What has to be looked at, injected.
#[derive(Clone, Debug)]
pub struct Places {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// Kubelet's directory, where it mounts volumes.
    pub kubelet: PathBuf,
}

/// Checks all of it.
///
/// # Errors
/// The first thing that is not so.
pub fn check(places: &Places) -> Result<(), Unfit> {
    let read = |path: PathBuf| fs::read(&path).map_err(|cause| Unfit::Read { path, cause });
    let mounts = mountinfo::parse(&read(places.proc.join("self/mountinfo"))?)?;
    let directory = fs::canonicalize(&places.kubelet);
    let directory = directory.map_err(|_| Unfit::NoDirectory(places.kubelet.clone()))?;
    let over = over(&mounts, &directory);
    if let Some(mount) = over.filter(|mount| !mount.is_shared) {
        return Err(Unfit::NotShared {
            directory,
            mount: mount.path.clone(),
        });
    }
    if !over_is(&mounts, &places.dev, "devtmpfs") {
        return Err(Unfit::Dev(places.dev.clone()));
    }
    // The first user namespace maps every number to itself.
    let map = read(places.proc.join("self/uid_map"))?;
    let map = String::from_utf8_lossy(&map).into_owned();
    if !map.split_ascii_whitespace().eq(["0", "0", "4294967295"]) {
        return Err(Unfit::UserNamespace);
    }
    let net = |process: &str| fs::read_link(places.proc.join(process).join("ns/net")).ok();
    // Where process 1 is the host's (hostPID), its network is; otherwise it can't be told, and the DaemonSet says hostNetwork.
    match (net("self"), net("1")) {
        (Some(own), Some(first)) if own != first => Err(Unfit::NetworkNamespace),
        _ => Ok(()),
    }
}

/// The mount that a path is in: the last one that begins it.
fn over<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.path));
    above.max_by_key(|mount| mount.path.components().count())
}

fn over_is(mounts: &[Mount], path: &Path, fs_type: &str) -> bool {
    over(mounts, path).is_some_and(|mount| mount.fs_type == fs_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each spoils one thing of a host that will do.
    ///
    /// Seen red with: `!mount.is_shared` left out.
    #[test]
    fn what_hides_mounts_or_devices_keeps_the_plugin_from_starting() {
        let root = tempfile::tempdir().unwrap();
        let kubelet = root.path().join("kubelet");
        fs::create_dir_all(&kubelet).unwrap();
        let kubelet = fs::canonicalize(kubelet).unwrap();
        let proc = root.path().join("proc");
        for process in ["self", "1"] {
            fs::create_dir_all(proc.join(process).join("ns")).unwrap();
        }
        let fit = format!(
            "22 1 253:0 / / rw shared:1 - ext4 /dev/vda1 rw\n30 22 0:6 / /dev rw - devtmpfs dev rw\n40 22 253:0 /k {} rw shared:2 - ext4 /dev/vda1 rw\n",
            kubelet.display()
        );
        let places = Places {
            proc: proc.clone(),
            dev: "/dev".into(),
            kubelet,
        };
        let try_with = |mounts: &str, map: &str, net: &str| {
            fs::write(proc.join("self/mountinfo"), mounts).unwrap();
            fs::write(proc.join("self/uid_map"), map).unwrap();
            for (process, net) in [("self", net), ("1", "net:[1]")] {
                let link = proc.join(process).join("ns/net");
                let _ = fs::remove_file(&link);
                std::os::unix::fs::symlink(net, link).unwrap();
            }
            check(&places)
        };
        let whole = "         0          0 4294967295\n";
        assert!(try_with(&fit, whole, "net:[1]").is_ok());
        let private = fit.replace(" shared:2", "");
        assert!(matches!(
            try_with(&private, whole, "net:[1]"),
            Err(Unfit::NotShared { .. })
        ));
        let slave = fit.replace("shared:2", "master:2");
        assert!(matches!(
            try_with(&slave, whole, "net:[1]"),
            Err(Unfit::NotShared { .. })
        ));
        let tmpfs = fit.replace("devtmpfs dev", "tmpfs tmpfs");
        assert!(matches!(
            try_with(&tmpfs, whole, "net:[1]"),
            Err(Unfit::Dev(_))
        ));
        assert!(matches!(
            try_with(&fit, "0 100000 65536\n", "net:[1]"),
            Err(Unfit::UserNamespace)
        ));
        assert!(matches!(
            try_with(&fit, whole, "net:[2]"),
            Err(Unfit::NetworkNamespace)
        ));
        assert!(try_with("nonsense\n", whole, "net:[1]").is_err());
    }
}
