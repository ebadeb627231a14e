//! What consumers write to volumes and find there again.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::node::Node;
use crate::run;
use crate::wishes::{Volume, Wishes};

/// What is read or written at once.
const CHUNK: usize = 64 << 10;

/// Aligned as O_DIRECT wants it: page caches of several devices over one LV must not answer.
#[repr(C, align(4096))]
struct Chunk([u8; CHUNK]);

/// Uses a volume as whoever it is attached to: connects or takes the LV, checks what it holds, and
/// writes something else.
pub(crate) fn use_volume(wishes: &mut Wishes, name: &str, value: u64) -> Result<()> {
    let address = wishes.pool.address.clone();
    let service = wishes.pool.services[0].to_string();
    let volume = wishes.volumes.get_mut(name).context("no such volume")?;
    let device = match volume.exports().into_iter().next() {
        Some((nqn, host)) => connect(volume, nqn, &host, &address, &service)?,
        None if volume.is_used_here() => volume.path().display().to_string(),
        None => return Ok(()),
    };
    check(volume, Path::new(&device))?;
    write(Path::new(&device), &volume.id, volume.mib, value)?;
    volume.written = Some(value);
    Ok(())
}

/// Connects; the namespace's device.
fn connect(
    volume: &mut Volume,
    nqn: String,
    host: &str,
    address: &str,
    service: &str,
) -> Result<String> {
    // One machine can't be two hosts of one subsystem.
    disconnect(volume)?;
    let id = &volume.id;
    let target = [
        "--address",
        address,
        "--service",
        service,
        "--nqn",
        &nqn,
        "--host-nqn",
        host,
    ];
    let how = [
        "--namespace",
        id,
        "--ctrl-loss-tmo",
        "600",
        "--reconnect-delay",
        "10",
    ];
    let how_few = ["--nr-io-queues", "1", "-o", "json"];
    let answer = run(
        "nvmet",
        &[&["connect"], &target[..], &how, &how_few].concat(),
    )?;
    volume.connected = Some(nqn);
    let answer: Value = serde_json::from_str(&answer)?;
    let device = answer["devices"][0].as_str().context("no device")?;
    Ok(device.to_owned())
}

/// Ends this machine's connection to a volume, if there is one.
pub(crate) fn disconnect(volume: &mut Volume) -> Result<()> {
    match volume.connected.take() {
        Some(nqn) => run("nvmet", &["disconnect", &nqn]).map(drop),
        None => Ok(()),
    }
}

/// Checks every volume that is to be there, and notes which LV it is.
pub(crate) fn check_all(wishes: &mut Wishes, node: &Node) -> Result<()> {
    let volumes = wishes.volumes.values_mut();
    for volume in volumes.filter(|volume| !volume.deleted) {
        volume.lv_uuid = node.lvs.get(&volume.lv()).map(|lv| lv.uuid.clone());
        check(volume, &volume.path())?;
    }
    Ok(())
}

/// Checks that a device holds what was written to its volume last; zeroes if nothing was.
fn check(volume: &Volume, device: &Path) -> Result<()> {
    let file = open(device, false)?;
    let mut chunk = Box::new(Chunk([0; CHUNK]));
    for (at, wanted) in content(&volume.id, volume.mib, volume.written) {
        file.read_exact_at(&mut chunk.0, at)
            .with_context(|| format!("reading {} at {at}", device.display()))?;
        ensure!(
            chunk.0 == wanted[..],
            "volume {} does not hold what was written ({:?}): at {at} begins {:?}",
            volume.name,
            volume.written,
            &chunk.0[..16]
        );
    }
    Ok(())
}

/// Writes what [`check`] finds again.
pub(crate) fn write(device: &Path, id: &str, mib: u64, value: u64) -> Result<()> {
    let file = open(device, true)?;
    let mut chunk = Box::new(Chunk([0; CHUNK]));
    for (at, bytes) in content(id, mib, Some(value)) {
        chunk.0.copy_from_slice(&bytes);
        file.write_all_at(&chunk.0, at)
            .with_context(|| format!("writing {} at {at}", device.display()))?;
    }
    file.sync_data()
        .with_context(|| format!("flushing {}", device.display()))
}

/// What a volume holds: everywhere zeroes until something is written, then a word of the volume's
/// own and of this writing's, at its beginning, middle and end.
fn content(id: &str, mib: u64, written: Option<u64>) -> Vec<(u64, Vec<u8>)> {
    let size = mib << 20;
    let chunk = CHUNK as u64;
    let Some(value) = written else {
        return (0..size / chunk)
            .map(|n| (n * chunk, vec![0; CHUNK]))
            .collect();
    };
    let word = format!("{id} {value:016x} ");
    let text: Vec<u8> = word.bytes().cycle().take(CHUNK).collect();
    [0, size / 2, size - chunk]
        .map(|at| (at, text.clone()))
        .into()
}

/// Opens a device past the page cache, and never makes a plain file of its name.
fn open(path: &Path, write: bool) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(write)
        .custom_flags(nix::libc::O_DIRECT)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))?;
    ensure!(
        file.metadata()?.file_type().is_block_device(),
        "{} is not a block device",
        path.display()
    );
    Ok(file)
}
