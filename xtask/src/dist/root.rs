//! An image's root as two trees: what Debian brings, and what is ours.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::component::{Component, LEFT_OUT, SUITE};
use crate::cache::Cache;
use crate::command::Cmd;
use crate::setup::apt::Apt;
use crate::setup::unpack;

/// Directories that are links into /usr.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];
/// Directories that something is mounted over, or written to.
const EMPTY: [&str; 11] = [
    "dev",
    "etc/lvm/archive",
    "etc/lvm/backup",
    "host",
    "proc",
    "run/lock",
    "run/lvm",
    "run/udev",
    "sys",
    "tmp",
    "usr/lib/modules",
];
/// Users and names, without which a few programs complain.
const FILES: [(&str, &str); 3] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\ndisk:x:6:\nnonroot:x:65532:\n"),
    ("etc/nsswitch.conf", "hosts: files dns\n"),
];

/// Unpacks what a component needs of Debian; which packages and versions these are, one to a line.
pub(crate) fn debian(cache: &Cache, component: &Component, tree: &Path) -> Result<String> {
    skeleton(tree)?;
    if component.packages.is_empty() {
        return Ok(String::new());
    }
    // Always what the mirror has now: an image is to have what was mended.
    let apt = Apt::open(cache, SUITE)?;
    let into = cache.dir(&format!("debs/{}", component.name))?;
    let mut debs = apt.download(component.packages, &into)?;
    debs.retain(|deb| is_wanted(component, deb));
    debs.sort();
    unpack::debs(&debs, tree, &["./usr/share/man*", "./usr/share/locale*"])?;
    prune(tree)?;
    let list = record(&debs, tree)?;
    Ok(list)
}

/// Puts what is ours into a tree.
pub(crate) fn ours(component: &Component, programs: &Path, tree: &Path) -> Result<()> {
    for program in component.beside.iter().chain([&component.name]) {
        let to = tree.join("usr/bin").join(program);
        parent(&to)?;
        fs::copy(programs.join(program), &to).with_context(|| format!("copying {program}"))?;
    }
    for (path, content) in FILES.iter().chain(component.files) {
        let to = tree.join(path);
        parent(&to)?;
        fs::write(&to, content).with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

fn is_wanted(component: &Component, deb: &Path) -> bool {
    let name = deb.file_name().unwrap_or_default().to_string_lossy();
    let package = name.split('_').next().unwrap_or_default();
    let is_left_out = LEFT_OUT.iter().any(|start| name.starts_with(start));
    !is_left_out || component.packages.contains(&package)
}

fn skeleton(tree: &Path) -> Result<()> {
    for dir in MERGED {
        let real = format!("usr/{dir}");
        fs::create_dir_all(tree.join(&real)).with_context(|| format!("making {real}"))?;
        symlink(&real, tree.join(dir)).with_context(|| format!("linking {dir}"))?;
    }
    for dir in EMPTY {
        fs::create_dir_all(tree.join(dir)).with_context(|| format!("making {dir}"))?;
    }
    fs::create_dir_all(tree.join("var")).context("making var")?;
    symlink("/run", tree.join("var/run")).context("linking var/run")?;
    let everybodys = fs::Permissions::from_mode(0o1777);
    fs::set_permissions(tree.join("tmp"), everybodys).context("opening tmp")
}

/// Takes away what nobody reads in an image; licences stay.
fn prune(tree: &Path) -> Result<()> {
    for dir in [
        "usr/share/bash-completion",
        "usr/share/bug",
        "usr/share/info",
        "usr/share/lintian",
        "usr/share/zsh",
        "usr/lib/systemd",
        "usr/lib/udev",
        "usr/share/initramfs-tools",
    ] {
        match fs::remove_dir_all(tree.join(dir)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {dir}"));
            }
            _ => {}
        }
    }
    let doc = tree.join("usr/share/doc");
    for package in entries(&doc)? {
        // A package that shares another's documents has a link there.
        if package.is_symlink() {
            continue;
        }
        for file in entries(&package)? {
            if file.file_name().is_some_and(|name| name != "copyright") {
                remove(&file)?;
            }
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    let removed = match path.is_dir() && !path.is_symlink() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    removed.with_context(|| format!("removing {}", path.display()))
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(
            entry
                .with_context(|| format!("reading {}", dir.display()))?
                .path(),
        );
    }
    paths.sort();
    Ok(paths)
}

/// Writes down which packages these are, where scanners look for it (as distroless images do).
fn record(debs: &[PathBuf], tree: &Path) -> Result<String> {
    let to = tree.join("var/lib/dpkg/status.d");
    fs::create_dir_all(&to).context("making status.d")?;
    let mut list = String::new();
    for deb in debs {
        let said = Cmd::new("dpkg-deb").arg("--field").arg(deb).read()?;
        let field = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).unwrap_or_default().to_owned()
        };
        let package = field("Package:");
        fs::write(to.join(&package), &said).with_context(|| format!("recording {package}"))?;
        list.push_str(&format!("{package} {}\n", field("Version:")));
    }
    Ok(list)
}

fn parent(path: &Path) -> Result<()> {
    let dir = path.parent().context("a file has no directory")?;
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::super::component::COMPONENTS;
    use super::*;

    #[test]
    fn what_a_component_asks_for_is_never_left_out() {
        let component = Component {
            packages: &["dpkg"],
            ..COMPONENTS[0]
        };
        assert!(is_wanted(&component, Path::new("/d/dpkg_1.22_amd64.deb")));
        assert!(!is_wanted(
            &COMPONENTS[0],
            Path::new("/d/dpkg_1.22_amd64.deb")
        ));
        assert!(is_wanted(
            &COMPONENTS[0],
            Path::new("/d/libc6_2.41_amd64.deb")
        ));
    }
}
