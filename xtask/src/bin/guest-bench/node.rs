//! A node with many volumes, as an agent would have left it before it lost its record: made in bulk,
//! since a thousand `lvcreate` take most of an hour in an emulated guest.

use std::fmt::Write;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::run;

/// Where everything but the pool is.
pub(crate) const DIR: &str = "/var/lib/weir-bench";
/// As many volumes are not exported: an LV that is exported can't be removed.
pub(crate) const UNUSED: u32 = 10;

const GROUP: &str = "weirbench";
const TARGET: &str = "/sys/kernel/config/nvmet";

pub(crate) fn id(volume: u32) -> String {
    format!("be4c0000-3c0b-4c8e-9d1a-{volume:012x}")
}

pub(crate) fn lv(volume: u32) -> String {
    format!("{GROUP}/w_{}", id(volume).replace('-', ""))
}

fn host() -> String {
    "nqn.2026-11.dev.weir:host:app-1:1".to_owned()
}

/// Makes `volumes` volumes, their exports and their requests.
pub(crate) fn make(device: &str, address: &str, volumes: u32) -> Result<()> {
    make_lvs(device, volumes)?;
    make_target(address, volumes)?;
    for dir in ["requests", "record", "status"] {
        fs::create_dir_all(Path::new(DIR).join(dir))?;
    }
    let pool = format!(
        "{{apiVersion: weir.dev/v1alpha1, kind: StoragePool, metadata: {{name: bench}}, spec: {{nodeName: \
         bench-node, engine: {{kernel: {{volumeGroup: {GROUP}, devices: [{device}]}}}}, portals: [{{address: \
         {address}}}]}}}}"
    );
    ask("pool", &pool)?;
    for volume in 0..volumes {
        let attachment = if volume < UNUSED {
            ""
        } else {
            "{nodeName: app-1, generation: 1}"
        };
        let text = format!(
            "{{apiVersion: weir.dev/v1alpha1, kind: Volume, metadata: {{name: v{volume}}}, spec: {{id: {}, \
             capacityBytes: 4194304, poolName: bench, provisioning: thick, attachments: [{attachment}]}}}}",
            id(volume)
        );
        ask(&format!("v{volume}"), &text)?;
    }
    Ok(())
}

fn ask(name: &str, text: &str) -> Result<()> {
    let path = Path::new(DIR).join("requests").join(format!("{name}.yaml"));
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    let past = SystemTime::now() - Duration::from_secs(10);
    File::options()
        .write(true)
        .open(&path)?
        .set_modified(past)?;
    Ok(())
}

/// Writes all LVs into the group's metadata at once (vgcfgrestore(8)).
fn make_lvs(device: &str, volumes: u32) -> Result<()> {
    run(
        "pvcreate",
        &[
            "--devices",
            device,
            "--yes",
            "--metadatasize",
            "16m",
            device,
        ],
    )?;
    run(
        "vgcreate",
        &[
            "--devices",
            device,
            "--addtag",
            "weir.pool=bench",
            GROUP,
            device,
        ],
    )?;
    let file = "/tmp/weirbench.vg";
    run("vgcfgbackup", &["--devices", device, "-f", file, GROUP])?;
    let text = fs::read_to_string(file)?;
    let end = text.rfind('}').context("no end of the group's metadata")?;
    let mut lvs = String::from("logical_volumes {\n");
    for volume in 0..volumes {
        let digits = format!("{volume:032}");
        let parts = [0..6, 6..10, 10..14, 14..18, 18..22, 22..26, 26..32].map(|part| &digits[part]);
        let (_, name) = lv(volume)
            .split_once('/')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .context("a path")?;
        write!(
            lvs,
            "{name} {{\nid = \"{}\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\ntags = \
             [\"weir.id={}\", \"weir.name=v{volume}\", \"weir.generation={}\"]\nsegment_count = 1\nsegment1 {{\nstart_extent = 0\n\
             extent_count = 1\ntype = \"striped\"\nstripe_count = 1\nstripes = [\"pv0\", {volume}]\n}}\n}}\n",
            parts.join("-"),
            id(volume),
            u32::from(volume >= UNUSED),
        )?;
    }
    lvs.push_str("}\n");
    fs::write(file, format!("{}{lvs}{}", &text[..end], &text[end..]))?;
    run("vgcfgrestore", &["--devices", device, "-f", file, GROUP])?;
    run("vgchange", &["--devices", device, "-ay", GROUP]).map(drop)
}

fn make_target(address: &str, volumes: u32) -> Result<()> {
    let target = Path::new(TARGET);
    let set = |path: &Path, value: &str| {
        fs::write(path, value).with_context(|| format!("setting {}", path.display()))
    };
    let port = target.join("ports/22272");
    fs::create_dir(&port).context("making a port")?;
    let attributes = [
        ("adrfam", "ipv4"),
        ("traddr", address),
        ("trsvcid", "4420"),
        ("trtype", "tcp"),
    ];
    for (name, value) in attributes {
        set(&port.join(format!("addr_{name}")), value)?;
    }
    set(&port.join("ana_groups/1/ana_state"), "optimized")?;
    let host_dir = target.join("hosts").join(host());
    fs::create_dir(&host_dir)?;
    for volume in UNUSED..volumes {
        let id = id(volume);
        let nqn = format!("nqn.2026-11.dev.weir:{id}");
        let subsystem = target.join("subsystems").join(&nqn);
        fs::create_dir(&subsystem)?;
        set(&subsystem.join("attr_model"), "Weir")?;
        symlink(&host_dir, subsystem.join("allowed_hosts").join(host()))?;
        let namespace = subsystem.join("namespaces/1");
        fs::create_dir(&namespace)?;
        let device = format!("/dev/mapper/{}", lv(volume).replace('/', "-"));
        for (name, value) in [
            ("device_uuid", &id),
            ("device_path", &device),
            ("device_nguid", &id),
        ] {
            set(&namespace.join(name), value)?;
        }
        fs::write(namespace.join("enable"), "1")?;
        symlink(&subsystem, port.join("subsystems").join(&nqn))?;
    }
    Ok(())
}
