//! kubectl in two versions, unpacked from Debian's packages: what people talk to the API with in tests. The newest one
//! asks for everything a server may have, the oldest one that is still around for little of it.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::apt::Apt;
use crate::cache::Cache;
use crate::command::Cmd;
use crate::progress::say;

/// A version of kubectl, and where it is from.
struct Package {
    /// As tests name it, and the version's beginning.
    version: &'static str,
    suite: &'static str,
    name: &'static str,
    /// Whether any version will do when the suite has moved on.
    moves: bool,
}

/// The versions that tests know.
const PACKAGES: [Package; 2] = [
    Package {
        version: "1.36",
        suite: "sid",
        name: "kubectl",
        moves: true,
    },
    Package {
        version: "1.20",
        suite: "bookworm",
        name: "kubernetes-client",
        moves: false,
    },
];

/// One of them, unpacked.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl {
    /// The version that tests know it by, such as `1.36`.
    pub(crate) version: &'static str,
    /// The program.
    pub(crate) program: PathBuf,
}

/// Brings them unless they are there, the newest first.
pub(super) fn ensure(cache: &Cache) -> Result<Vec<Kubectl>> {
    PACKAGES.iter().map(|package| one(cache, package)).collect()
}

fn one(cache: &Cache, package: &Package) -> Result<Kubectl> {
    let name = format!("kubectl-{}", package.version);
    let tree = cache.dir(&name)?;
    cache.once(
        &name,
        &format!("{} {}", package.suite, package.name),
        || {
            let apt = Apt::open(cache, package.suite)?;
            let deb = apt.download_alone(
                package.name,
                &newest(&apt, package)?,
                &cache.dir("debs/kubectl")?,
            )?;
            Cmd::new("dpkg-deb").arg("-x").arg(deb).arg(&tree).run()
        },
    )?;
    Ok(Kubectl {
        version: package.version,
        program: tree.join("usr/bin/kubectl"),
    })
}

/// The wanted version, or the newest one where a suite that moves on has left it behind.
fn newest(apt: &Apt, package: &Package) -> Result<String> {
    let prefix = format!("{}.", package.version);
    if let Some(version) = apt.version(package.name, &prefix)? {
        return Ok(version);
    }
    let other = apt.version(package.name, "")?.filter(|_| package.moves);
    let version = other.with_context(|| {
        format!(
            "{0} has no {1} {2} any more: unpack one from an archive of Debian's into the cache's kubectl-{2}, or name \
             another version in xtask/src/setup/kubectl.rs",
            package.suite, package.name, package.version
        )
    })?;
    say(format!(
        "{} has no {} {} any more: taking {version}; what tests expect of it may have changed",
        package.suite, package.name, package.version
    ));
    Ok(version)
}
