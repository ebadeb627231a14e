//! fio and libbpf-tools, unpacked from Debian's packages with all that they need, for measuring on this machine: nothing is
//! installed, and they run with their own C library whatever the machine's is.

use std::path::PathBuf;

use anyhow::Result;

use super::apt::Apt;
use crate::cache::Cache;
use crate::command::Cmd;
use crate::progress::Progress;

const SUITE: &str = "trixie";
const PACKAGES: [&str; 2] = ["fio", "libbpf-tools"];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "ld-linux-x86-64.so.2";

/// Where they are.
pub(crate) struct Measuring {
    tree: PathBuf,
}

/// Brings them unless they are there.
pub(super) fn ensure(cache: &Cache) -> Result<Measuring> {
    let tree = cache.dir("measuring")?;
    cache.once(
        "measuring",
        &format!("{SUITE} {}", PACKAGES.join(" ")),
        || {
            let debs = cache.dir("debs/measuring")?;
            let debs = Apt::open(cache, SUITE)?.download(&PACKAGES, &debs)?;
            let progress = Progress::spinner(format!("unpacking {}", PACKAGES.join(" and ")));
            for deb in debs {
                Cmd::new("dpkg-deb").arg("-x").arg(deb).arg(&tree).run()?;
            }
            progress.done();
            Ok(())
        },
    )?;
    Ok(Measuring { tree })
}

impl Measuring {
    /// The words of a command that runs a program of theirs.
    pub(crate) fn command(&self, program: &str) -> String {
        let libraries = self.tree.join(LIBRARIES);
        let loader = libraries.join(LOADER);
        // fio can do I/O to Ceph, whose libraries keep one to themselves.
        let ceph = libraries.join("ceph");
        format!(
            "{} --library-path {}:{} {}",
            loader.display(),
            libraries.display(),
            ceph.display(),
            self.tree.join(program).display()
        )
    }
}
