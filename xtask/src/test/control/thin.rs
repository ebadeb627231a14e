//! A thin pool that fills up: its status tells, placement goes by it, and an idle one writes nothing.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Scene, agent};
use crate::scene::control_plane::ControlPlane;
use crate::scene::storage::{self, POOL};
use crate::test::expect;

/// The pool.
const THIN: &str = "thin";
/// Its thin pool.
const MIB: u64 = 64;

/// What is written to.
const FILLS: &str = "fills";
const FILLS_ID: &str = "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0098";
/// What is asked for when there is no room left.
const LATE: &str = "late";
const LATE_ID: &str = "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0097";

/// Everything on a pool of its own, on a loop device, that nothing else uses; it stays there, so no case may come after this one.
///
/// Seen red with: `Filter::ThinPool` never refusing; `thin` left out of a pool's status. With `has_thin_news` made to return `false` it
/// is green: what is new is told at the next whole look then, which is within its patience.
pub(super) fn fills_up(scene: &Scene) -> Result<()> {
    let (plane, guest) = (scene.plane(), &scene.storage.guest);
    let disk = guest
        .sh("modprobe loop && truncate -s 160M /tmp/thin.img && losetup -f --show /tmp/thin.img")?;
    plane.apply(&pool(disk.trim()))?;
    plane.wait(&format!("wpool {THIN}"), "\"dataPercent\":0,")?;
    plane.apply(&volume(FILLS, FILLS_ID, MIB))?;
    plane.wait(&format!("wvol {FILLS}"), "\"devicePath\":")?;
    let seen = plane.wait(
        &format!("wpool {THIN}"),
        &format!("\"allocatedBytes\":{}[,}}]", MIB << 20),
    )?;
    let is_full = |pool: &Value| pool.to_string().contains("ThinPoolFull");
    ensure!(!is_full(&seen), "an empty thin pool is full: {seen}");

    write(&plane, scene, 0, 32)?;
    plane.wait(&format!("wpool {THIN}"), "\"dataPercent\":50,")?;
    idles(scene, "half full")?;

    write(&plane, scene, 32, 28)?;
    let seen = plane.wait(&format!("wpool {THIN}"), "\"dataPercent\":94,")?;
    let conditions = seen["status"]["conditions"].as_array();
    let mut conditions = conditions.context("no conditions")?.iter();
    let full = conditions.find(|one| one["type"] == "ThinPoolFull");
    let full = full.with_context(|| format!("it does not say that it is full: {seen}"))?;
    expect("why", &full["reason"], &json!("ThinPoolNearlyFull"))?;
    let screen = plane.weir("status")?;
    let row = screen.lines().find(|line| line.starts_with(THIN));
    let is_shown = row.is_some_and(|row| row.contains("94 %"));
    ensure!(
        is_shown && screen.contains("ThinPoolNearlyFull"),
        "weir status says: {screen}"
    );
    let metric = agent(&scene.storage).scrape()?.sum(
        "weir_pool_thin_used_percent",
        &[("pool", THIN), ("part", "data")],
    );
    ensure!((metric - 94.0).abs() < 0.5, "its metric says {metric}");

    // The ratio would let it in, the other pool has no thin pool.
    plane.apply(&volume(LATE, LATE_ID, 16))?;
    let refused = plane.wait(&format!("wvol {LATE}"), "NoPoolFits")?;
    let message = refused["status"]["conditions"].to_string();
    for why in [
        format!("1 whose thin pool is too full for another volume (thinPool: {THIN})"),
        format!("1 with too little space (capacity: {POOL})"),
    ] {
        ensure!(message.contains(&why), "{LATE} says {message}");
    }
    idles(scene, "nearly full")?;

    // What is deleted makes room, which is told, and goes to whoever waits for it.
    plane.kubectl(&format!("delete wvol {FILLS} --wait=false"))?;
    plane.wait_gone(&format!("wvol {FILLS}"))?;
    let late = plane.wait(&format!("wvol {LATE}"), "\"phase\":\"Ready\"")?;
    expect("its pool", &late["spec"]["poolName"], &json!(THIN))?;
    let seen = plane.wait(&format!("wpool {THIN}"), "\"dataPercent\":0,")?;
    ensure!(!is_full(&seen), "it is full still: {seen}");
    plane.check_log()
}

/// Writes so many MiB to the volume that fills, from there on.
fn write(plane: &ControlPlane<'_>, scene: &Scene, from: u64, mib: u64) -> Result<()> {
    let volume: Value =
        serde_json::from_str(&plane.kubectl(&format!("get wvol {FILLS} -o json"))?)?;
    let device = volume["status"]["devicePath"].as_str();
    let device = device.context("no device")?;
    let write = format!(
        "dd if=/dev/urandom of={device} bs=1M seek={from} count={mib} oflag=direct conv=notrunc status=none"
    );
    scene.storage.guest.sh(&write).map(drop)
}

/// Nobody writes its object while nothing is written to the pool, though its agent looks.
fn idles(scene: &Scene, what: &str) -> Result<()> {
    let version = || {
        let plane = scene.plane();
        plane.kubectl(&format!(
            "get wpool {THIN} -o jsonpath='{{.metadata.resourceVersion}}'"
        ))
    };
    let before = version()?;
    for _ in 0..2 {
        agent(&scene.storage).wait_resync()?;
    }
    expect(
        &format!("the version of a pool that is {what} and idle"),
        &version()?,
        &before,
    )
}

fn pool(disk: &str) -> Value {
    json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "StoragePool", "metadata": {"name": THIN},
        "spec": {
            "nodeName": storage::NODE,
            "engine": {"kernel": {
                "volumeGroup": format!("weir-{THIN}"),
                "devices": [disk],
                "thinPool": {"capacityBytes": MIB << 20},
            }},
            "overprovisionRatio": "2",
            "acceptVolatileWriteCache": true,
        },
    })
}

/// A thin volume for the storage node itself.
fn volume(name: &str, id: &str, mib: u64) -> Value {
    json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": name},
        "spec": {
            "id": id,
            "capacityBytes": mib << 20,
            "provisioning": "thin",
            "attachments": [{"nodeName": storage::NODE, "generation": 1}],
        },
    })
}
