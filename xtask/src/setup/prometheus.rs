//! Prometheus and promtool, unpacked from Debian's packages: what reads the agent's metrics in tests.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::apt::Apt;
use crate::cache::Cache;
use crate::command::Cmd;

/// The suite they are from; both need nothing but a C library.
const SUITE: &str = "trixie";
/// Their version, less Debian's revision: the last one before 3.0, which many still run.
const VERSION: &str = "2.53";
const PACKAGES: [&str; 2] = ["prometheus", "promtool"];

/// Brings them unless they are there; returns the directory they are in.
pub(super) fn ensure(cache: &Cache) -> Result<PathBuf> {
    let tree = cache.dir("prometheus")?;
    cache.once("prometheus", &format!("{SUITE} {VERSION}"), || {
        let apt = Apt::open(cache, SUITE)?;
        for package in PACKAGES {
            let version = apt.version(package, VERSION)?;
            let version =
                version.with_context(|| format!("{SUITE} has no {package} {VERSION} any more"))?;
            let debs = cache.dir("debs/prometheus")?;
            let deb = apt.download_alone(package, &version, &debs)?;
            Cmd::new("dpkg-deb").arg("-x").arg(deb).arg(&tree).run()?;
        }
        Ok(())
    })?;
    Ok(tree.join("usr/bin"))
}
