//! What was made is read back as a container runtime would, and what has to run in each image is run.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};

use super::blob::{Blobs, digest};
use super::component::{COMPONENTS, Call, Component};
use super::image::NAMES;
use crate::command::is_root;
use crate::progress::{Progress, say};

/// Checks every digest of a layout; as root, also runs what has to run in each image.
pub(crate) fn layout(layout: &Path, version: &str) -> Result<()> {
    let index = ImageIndex::from_file(layout.join("index.json")).context("reading index.json")?;
    let blobs = Blobs::of(layout)?;
    for component in COMPONENTS {
        let name = component.image(version);
        let manifest = named(&index, &name).with_context(|| format!("there is no {name}"))?;
        let layers = layers(&blobs, manifest).with_context(|| format!("reading {name}"))?;
        if is_root() {
            let progress = Progress::spinner(format!("running what {name} is for"));
            run_all(&component, &layers, version).with_context(|| format!("in {name}"))?;
            progress.done();
        }
    }
    if !is_root() {
        say("not root: nothing was run in the images");
    }
    Ok(())
}

fn named<'a>(index: &'a ImageIndex, name: &str) -> Option<&'a Descriptor> {
    let mut manifests = index.manifests().iter();
    manifests.find(|manifest| {
        let annotations = manifest.annotations().as_ref();
        NAMES.iter().all(|key| {
            let value = annotations.and_then(|all| all.get(*key));
            value.is_some_and(|value| value == name)
        })
    })
}

/// An image's layers, unpacked, each of which is what the manifest and the configuration say.
fn layers(blobs: &Blobs, manifest: &Descriptor) -> Result<Vec<Vec<u8>>> {
    let manifest = ImageManifest::from_reader(blobs.read(manifest)?.as_slice())?;
    let config = ImageConfiguration::from_reader(blobs.read(manifest.config())?.as_slice())?;
    let diff_ids = config.rootfs().diff_ids();
    let (there, told) = (manifest.layers().len(), diff_ids.len());
    ensure!(
        there == told,
        "{there} layers, and {told} in the configuration"
    );
    let mut layers = Vec::new();
    for (layer, diff_id) in manifest.layers().iter().zip(diff_ids) {
        let packed = blobs.read(layer)?;
        let mut tar = Vec::new();
        let mut gzip = GzDecoder::new(packed.as_slice());
        gzip.read_to_end(&mut tar).context("unpacking a layer")?;
        let is = digest(&tar);
        ensure!(is == *diff_id, "a layer is {is}, not {diff_id}");
        layers.push(tar);
    }
    Ok(layers)
}

fn run_all(component: &Component, layers: &[Vec<u8>], version: &str) -> Result<()> {
    let root = tempfile::tempdir().context("making a root")?;
    for layer in layers {
        let mut archive = tar::Archive::new(layer.as_slice());
        archive.set_preserve_permissions(true);
        archive
            .unpack(root.path())
            .context("unpacking a layer into a root")?;
    }
    for call in component.calls {
        run(root.path(), call, version)?;
    }
    Ok(())
}

/// Runs a command with that root, in which nothing but /proc is mounted, and that for nobody else.
fn run(root: &Path, (argv, expected): &Call, version: &str) -> Result<()> {
    let inside = r#"mount -t proc proc "$0/proc" && exec chroot "$0" "$@""#;
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", inside])
        .arg(root)
        .args(*argv)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .context("starting unshare")?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    let is_ours = argv.get(1) == Some(&"--version") && expected.starts_with("weir");
    let is_said = said.contains(expected) && (!is_ours || said.contains(version));
    // resize2fs has nothing that it does without a device: that it says who it is shows that it runs.
    let is_well = output.status.success() || argv.contains(&"/nothing");
    if !is_well || !is_said {
        bail!("`{}` ended with {}: {said}", argv.join(" "), output.status);
    }
    Ok(())
}
