//! `cargo xtask dist`: what is installed. Static programs, an image for each component, one manifest of everything for a cluster.
//!
//! - [`component`]: what there is, as data; tests of `deploy/` read it too.
//! - [`programs`]: our programs, linked statically.
//! - [`root`]: an image's files, Debian's packages unpacked and ours.
//! - [`layer`], [`blob`], [`image`]: files → a layer → an image → a layout and archives.
//! - [`verify`]: what was made is read back, and run.
//! - [`arm64`]: nothing is made for it yet; that it compiles is checked.
//!
//! No daemon is asked and nothing has to be root's. The same programs and packages give the same digests.

pub(crate) mod arm64;
mod blob;
mod component;
mod image;
mod layer;
mod programs;
mod root;
mod verify;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::command::Cmd;
use crate::progress::{Progress, say};
use crate::setup;
use crate::workspace::{self, Workspace};
use blob::Blobs;
use component::{COMPONENTS, Component};
use image::{Image, Made};

/// Makes everything, below `dist` in the target directory; of programs that are there already, if they are given.
pub(crate) fn run(cache: &Cache, programs: Option<&Path>) -> Result<()> {
    setup::images()?;
    let root = workspace::root()?;
    let target = workspace::target(&root);
    let built = match programs {
        Some(programs) => programs.to_owned(),
        None => programs::build(&Workspace::open(cache)?)?,
    };
    programs::check(&built)?;
    let dist = target.join("dist");
    let made = made(&root)?;
    // Beside, and renamed: what is there is whole, of one run.
    let new = target.join("dist.new");
    empty(&new)?;
    let bin = new.join("bin");
    fs::create_dir_all(&bin).context("making dist/bin")?;
    for (_, program) in programs::PROGRAMS {
        let copy = fs::copy(built.join(program), bin.join(program));
        copy.with_context(|| format!("copying {program}"))?;
    }
    let layout = new.join("oci");
    let images = COMPONENTS
        .iter()
        .map(|component| make(cache, component, &made, &bin, &new))
        .collect::<Result<Vec<_>>>()?;
    image::index(&layout, &images)?;
    for (image, component) in images.iter().zip(COMPONENTS) {
        archive(&layout, image, component, &made, &new)?;
    }
    manifest(cache, &root, &new)?;
    verify::layout(&layout, &made.version)?;
    empty(&dist)?;
    fs::remove_dir(&dist).context("removing the dist before")?;
    fs::rename(&new, &dist).context("putting dist in place")?;
    for image in &images {
        say(format!("{} {}", image.name, image.manifest.digest()));
    }
    say(format!(
        "made {0}/bin, {0}/oci (a layout), {0}/weir-*.tar (docker load) and {0}/weir.yaml (kubectl apply)",
        dist.display()
    ));
    Ok(())
}

/// One image: its packages are a layer, what is ours is another, so that a new version of ours alone is small.
fn make(
    cache: &Cache,
    component: &Component,
    made: &Made,
    programs: &Path,
    dist: &Path,
) -> Result<Image> {
    let blobs = Blobs::of(&dist.join("oci"))?;
    let tree = || tempfile::tempdir_in(dist).context("making a directory to unpack in");
    let (packages, own) = (tree()?, tree()?);
    let list = root::debian(cache, component, packages.path())?;
    let named = dist.join(format!("{}.packages", component.name));
    fs::write(&named, list).with_context(|| format!("writing {}", named.display()))?;
    root::ours(component, programs, own.path())?;
    let layers = [packages.path(), own.path()].map(|tree| layer::store(tree, made.time, &blobs));
    let layers = layers.into_iter().collect::<Result<Vec<_>>>()?;
    image::store(component, layers, made, &blobs)
}

/// An image in a file of its own.
fn archive(
    layout: &Path,
    image: &Image,
    component: Component,
    made: &Made,
    dist: &Path,
) -> Result<()> {
    let alone = tempfile::tempdir_in(dist).context("making a directory for one image")?;
    image::save(&Blobs::of(layout)?, image, alone.path())?;
    let tar = layer::archive(alone.path(), made.time)?;
    let named = dist.join(format!("{}.tar", component.name));
    fs::write(&named, tar).with_context(|| format!("writing {}", named.display()))
}

/// All of `deploy` in one file, for who has no kustomize: kubectl's own puts it together.
fn manifest(cache: &Cache, root: &Path, dist: &Path) -> Result<()> {
    let kubectl = setup::kubectl(cache)?;
    let newest = kubectl.first().context("no kubectl is set up")?;
    let whole = Cmd::new(&newest.program)
        .arg("kustomize")
        .arg(root.join("deploy"))
        .read()?;
    fs::write(dist.join("weir.yaml"), whole).context("writing weir.yaml")
}

/// Of what and when: the commit's time, unless SOURCE_DATE_EPOCH says another
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn made(root: &Path) -> Result<Made> {
    let git = |format: &str| {
        let format = format!("--format={format}");
        let said = Cmd::new("git").dir(root).args(["log", "-1", &format]);
        said.read().map(|text| text.trim().to_owned())
    };
    let told = std::env::var("SOURCE_DATE_EPOCH").ok();
    let time = match told {
        Some(told) => told,
        None => git("%ct")?,
    };
    let time: i64 = time.parse().context("SOURCE_DATE_EPOCH is no number")?;
    let created = jiff::Timestamp::from_second(time).context("SOURCE_DATE_EPOCH is no time")?;
    Ok(Made {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: git("%H")?,
        time: u64::try_from(time).context("SOURCE_DATE_EPOCH is before 1970")?,
        created: created.to_string(),
    })
}

fn empty(dir: &Path) -> Result<()> {
    let progress = Progress::spinner("clearing".to_owned());
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    progress.done();
    Ok(())
}
