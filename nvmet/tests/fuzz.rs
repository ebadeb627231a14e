//! Random input for what reads names, files and configfs: nothing panics, and no change ever names a
//! path outside the tree. `cargo xtask test fuzz` runs these for longer.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;

use nvmet::change::Operation;
use nvmet::configfs::DEFAULT_ROOT;
use nvmet::fake::Release;
use nvmet::tree::Entry;
use nvmet::{Change, Configfs, Nqn, Target, Tree, check, fake, nvmetcli, plan};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

#[path = "support/fuzz.rs"]
mod support;

#[path = "support/generate.rs"]
#[expect(dead_code, reason = "the tests on kernels use the rest")]
mod generate;

use generate::{DEVICES, any_target, device, host};
use support::fuzz;

/// Names that somebody might want to be something else.
fn any_name() -> impl Strategy<Value = String> {
    let odd = [
        "..",
        ".",
        "",
        "/",
        "../..",
        "nqn.",
        "nqn./",
        "nqn.a/../../../etc",
        "nqn.a\0b",
        "nqn.a,b",
        "nqn.ä",
        "nqn.a\n",
        "1",
        "01",
        "0x1",
        "-1",
        "65536",
        "4294967295",
        "128",
        "nqn.subsystem:1",
    ];
    prop_oneof![
        select(odd.to_vec()).prop_map(str::to_owned),
        any::<String>(),
        "nqn\\.\\PC{0,300}",
        "nqn\\.[!-~]{0,240}",
    ]
}

/// Seen red with: the slash allowed in `Nqn::from_str`.
#[test]
fn fuzz_nqn() {
    fuzz("fuzz_nqn", &any_name(), |name| {
        let Ok(nqn) = name.parse::<Nqn>() else {
            return;
        };
        assert_eq!(nqn.as_str(), name);
        assert!(name.len() <= Nqn::LONGEST && !name.contains([',', '/', '\0', '\n', ' ']));
        let path = Path::new("hosts").join(&name);
        assert_eq!(path.components().count(), 2);
        assert!(
            path.components()
                .all(|part| matches!(part, Component::Normal(_)))
        );
        let json = serde_json::to_string(&nqn).unwrap();
        assert_eq!(serde_json::from_str::<Nqn>(&json).unwrap(), nqn);
    });
}

/// A file of ours with bytes and values changed, or no such file at all.
fn any_file() -> impl Strategy<Value = String> {
    let saved = || any_target(Release::Linux7_3).prop_map(|target| nvmetcli::write(&target));
    let bytes =
        (saved(), vec((any::<Index>(), any::<u8>(), 0..4u8), 1..6)).prop_map(|(text, edits)| {
            let mut bytes = text.into_bytes();
            for (place, byte, kind) in edits {
                if bytes.is_empty() {
                    break;
                }
                let at = place.index(bytes.len());
                match kind {
                    0 => bytes[at] = byte,
                    1 => drop(bytes.remove(at)),
                    2 => bytes.truncate(at),
                    _ => bytes.insert(at, byte),
                }
            }
            String::from_utf8_lossy(&bytes).into_owned()
        });
    let values = (saved(), vec((any::<Index>(), any_scalar()), 1..4)).prop_map(|(text, edits)| {
        let mut value: Value = serde_json::from_str(&text).unwrap();
        for (place, new) in edits {
            let count = leaves(&mut value).len();
            if count > 0 {
                *leaves(&mut value).swap_remove(place.index(count)) = new;
            }
        }
        value.to_string()
    });
    prop_oneof![1 => any::<String>(), 3 => bytes, 6 => values, 1 => saved()]
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any_name().prop_map(Value::String),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
        Just(Value::Array(Vec::new())),
        Just(serde_json::json!({"": 1})),
        select(vec![
            "0x1",
            "0xffffffffff",
            "(null)",
            "/dev/vg/0",
            "../x",
            "",
            " "
        ])
        .prop_map(Value::from),
    ]
}

/// Everything in a value that holds nothing else.
fn leaves(value: &mut Value) -> Vec<&mut Value> {
    let is_leaf = match value {
        Value::Array(entries) => entries.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => true,
    };
    if is_leaf {
        return vec![value];
    }
    match value {
        Value::Array(entries) => entries.iter_mut().flat_map(leaves).collect(),
        Value::Object(members) => members.values_mut().flat_map(leaves).collect(),
        _ => Vec::new(),
    }
}

/// What was read is applied to the kernel in memory and to one that takes everything: no path is
/// outside. Seen red with: `qid_max` left out of nvmetcli's writer.
#[test]
fn fuzz_nvmetcli_json() {
    fuzz("fuzz_nvmetcli_json", &any_file(), |text| {
        let Ok(target) = nvmetcli::read(&text) else {
            return;
        };
        assert_eq!(nvmetcli::read(&nvmetcli::write(&target)).unwrap(), target);
        let changes = plan(&Target::default(), &target);
        assert_inside(&changes);
        let kernel = fake::Kernel::new();
        (0..DEVICES).for_each(|number| kernel.add_block_device(device(number)));
        let sound = check(&target);
        let applied = Configfs::over(&kernel).apply(&changes);
        let yielding = Yielding::default();
        let _ = Configfs::of(&yielding, "/root/nvmet").apply(&changes);
        yielding.assert_inside(Path::new("/root/nvmet"));
        // What the checks let through, the kernel may still refuse; what it took is what was wanted.
        if sound.is_ok() && applied.is_ok() {
            let have = Configfs::over(&kernel).read().unwrap();
            assert_eq!(plan(&have, &target), []);
        }
    });
}

/// Paths below the root with odd names and odd contents.
fn any_content() -> impl Strategy<Value = Content> {
    let nasty = || {
        prop_oneof![
            4 => any_name().prop_map(String::into_bytes),
            2 => vec(any::<u8>(), 0..40),
            2 => select(vec![
                "0", "1", "tcp", "loop", "ipv4", "10.0.0.1", "4420", "(null)", "not specified",
                "optimized", "0x000abc", "1.3", "-1", "none",
            ])
            .prop_map(|text| text.as_bytes().to_owned()),
        ]
    };
    (
        any_target(Release::Linux7_3),
        vec((any::<Index>(), nasty()), 0..12),
        vec((any::<Index>(), any_name()), 0..4),
        vec(
            (select(vec!["hosts", "subsystems", "ports"]), any_name()),
            0..3,
        ),
    )
        .prop_map(|(target, values, links, made)| {
            let kernel = fake::Kernel::new();
            (0..DEVICES).for_each(|number| kernel.add_block_device(device(number)));
            Configfs::over(&kernel)
                .apply(&plan(&Target::default(), &target))
                .unwrap();
            let mut content = Content::copy(&kernel, &target);
            let attributes: Vec<PathBuf> = content.attributes.keys().cloned().collect();
            for (place, value) in values {
                if !attributes.is_empty() {
                    let path = attributes[place.index(attributes.len())].clone();
                    content.attributes.insert(path, value);
                }
            }
            let directories: Vec<PathBuf> = content.directories.keys().cloned().collect();
            for (place, name) in links {
                let directory = directories[place.index(directories.len())].clone();
                let entry = Entry {
                    links_to: Some(name.clone()),
                    name,
                };
                content.directories.get_mut(&directory).unwrap().push(entry);
            }
            for (directory, name) in made {
                let entry = Entry {
                    name,
                    links_to: None,
                };
                let directory = content.directories.entry(directory.into()).or_default();
                directory.push(entry);
            }
            content
        })
}

/// Whatever configfs shows: it is read, nothing is planned where nothing is wanted, what can't be
/// said is never named, and nothing outside is. Seen red with: `Reader::parsed` panicking on what
/// it can't parse.
#[test]
fn fuzz_configfs_content() {
    let input = (any_content(), any_target(Release::Linux7_3));
    fuzz("fuzz_configfs_content", &input, |(content, want)| {
        let have = Configfs::of(&content, DEFAULT_ROOT).read().unwrap();
        assert_eq!(plan(&have, &have), []);
        let json = serde_json::to_string(&have).unwrap();
        assert_eq!(serde_json::from_str::<Target>(&json).unwrap(), have);
        let removed = plan(&have, &Target::default());
        assert_inside(&removed);
        assert_inside(&plan(&have, &want));
        for change in &removed {
            assert!(!have.unmodelled.contains(&change.path()), "{change}");
        }
        let _ = nvmetcli::write(&have);
        let _ = check(&have);
    });
}

fn assert_inside(changes: &[Change]) {
    for change in changes {
        let mut paths = vec![change.path()];
        if let Operation::Symlink(target, _) = change.operation() {
            paths.push(target);
        }
        for path in paths {
            let parts: Vec<Component<'_>> = Path::new(&path).components().collect();
            let is_normal = parts
                .iter()
                .all(|part| matches!(part, Component::Normal(_)));
            let top = path.split('/').next().unwrap();
            let is_known = ["hosts", "subsystems", "ports", "discovery_nqn"].contains(&top);
            assert!(
                is_normal && is_known && !path.contains("//") && parts.len() <= 5,
                "{change}"
            );
        }
    }
}

/// A kernel that takes everything, and every path it was given.
#[derive(Default)]
struct Yielding(Mutex<BTreeSet<PathBuf>>);

impl Yielding {
    fn note(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().insert(path.to_owned());
        Ok(())
    }

    fn assert_inside(&self, root: &Path) {
        for path in self.0.lock().unwrap().iter() {
            let is_inside = path.strip_prefix(root).is_ok_and(|below| {
                below
                    .components()
                    .all(|part| matches!(part, Component::Normal(_)))
            });
            assert!(is_inside, "{}", path.display());
        }
    }
}

impl Tree for Yielding {
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        self.note(directory).map(|()| Vec::new())
    }
    fn read(&self, attribute: &Path) -> io::Result<Vec<u8>> {
        self.note(attribute).map(|()| b"1\n".to_vec())
    }
    fn write(&self, attribute: &Path, _: &[u8]) -> io::Result<()> {
        self.note(attribute)
    }
    fn mkdir(&self, directory: &Path) -> io::Result<()> {
        self.note(directory)
    }
    fn rmdir(&self, directory: &Path) -> io::Result<()> {
        self.note(directory)
    }
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.note(target)?;
        self.note(link)
    }
    fn unlink(&self, link: &Path) -> io::Result<()> {
        self.note(link)
    }
    fn is_block_device(&self, _: &Path) -> io::Result<bool> {
        Ok(true)
    }
}

/// What a configfs shows, to be read only.
#[derive(Debug, Default)]
struct Content {
    directories: BTreeMap<PathBuf, Vec<Entry>>,
    attributes: BTreeMap<PathBuf, Vec<u8>>,
}

/// Every attribute that is read.
const ATTRIBUTES: [&str; 40] = [
    "discovery_nqn",
    "dhchap_key",
    "dhchap_ctrl_key",
    "dhchap_hash",
    "dhchap_dhgroup",
    "attr_allow_any_host",
    "attr_serial",
    "attr_model",
    "attr_firmware",
    "attr_ieee_oui",
    "attr_version",
    "attr_cntlid_min",
    "attr_cntlid_max",
    "attr_qid_max",
    "attr_pi_enable",
    "attr_vendor_id",
    "attr_subsys_vendor_id",
    "passthru/enable",
    "device_path",
    "device_uuid",
    "device_nguid",
    "ana_grpid",
    "enable",
    "buffered_io",
    "resv_enable",
    "p2pmem",
    "addr_trtype",
    "addr_adrfam",
    "addr_traddr",
    "addr_trsvcid",
    "addr_treq",
    "addr_tsas",
    "addr_portid",
    "param_inline_data_size",
    "param_max_queue_size",
    "param_mdts",
    "param_pi_enable",
    "ana_state",
    "namespaces",
    "referrals",
];

impl Content {
    /// Everything below the root of a kernel that holds `target`.
    fn copy(kernel: &fake::Kernel, target: &Target) -> Self {
        let mut content = Content::default();
        let mut directories: Vec<String> = vec![String::new()];
        directories.extend(["hosts", "subsystems", "ports"].map(str::to_owned));
        directories.extend(target.hosts.keys().map(|host| format!("hosts/{host}")));
        for (nqn, subsystem) in &target.subsystems {
            let path = format!("subsystems/{nqn}");
            directories
                .extend(["allowed_hosts", "namespaces"].map(|name| format!("{path}/{name}")));
            let nsids = subsystem.namespaces.keys();
            directories.extend(nsids.map(|nsid| format!("{path}/namespaces/{nsid}")));
            directories.push(path);
        }
        for (id, port) in &target.ports {
            let path = format!("ports/{id}");
            let parts = ["subsystems", "referrals", "ana_groups"];
            directories.extend(parts.map(|name| format!("{path}/{name}")));
            let groups = port.ana_groups.keys();
            directories.extend(groups.map(|group| format!("{path}/ana_groups/{group}")));
            let referrals = port.referrals.keys();
            directories.extend(referrals.map(|name| format!("{path}/referrals/{name}")));
            directories.push(path);
        }
        let root = Path::new(DEFAULT_ROOT);
        for directory in directories {
            for attribute in ATTRIBUTES {
                let path = Path::new(&directory).join(attribute);
                if let Ok(value) = kernel.read(&root.join(&path)) {
                    content.attributes.insert(path, value);
                }
            }
            if let Ok(entries) = kernel.list(&root.join(&directory)) {
                content.directories.insert(directory.into(), entries);
            }
        }
        // A host that nothing in the target names.
        let entries = content.directories.entry("hosts".into()).or_default();
        let name = host(9).as_str().to_owned();
        entries.push(Entry {
            name,
            links_to: None,
        });
        content
    }
}

impl Tree for Content {
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        let below = directory.strip_prefix(DEFAULT_ROOT).unwrap();
        let mut entries = self.directories.get(below).cloned().unwrap_or_default();
        // As a file system: each name once.
        entries.sort_unstable();
        entries.dedup_by(|one, other| one.name == other.name);
        Ok(entries)
    }
    fn read(&self, attribute: &Path) -> io::Result<Vec<u8>> {
        let below = attribute.strip_prefix(DEFAULT_ROOT).unwrap();
        let value = self.attributes.get(below).cloned();
        value.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
    fn mkdir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
    fn rmdir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
    fn symlink(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
    fn unlink(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
    fn is_block_device(&self, _: &Path) -> io::Result<bool> {
        Ok(false)
    }
}
