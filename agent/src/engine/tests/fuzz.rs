//! Random request files and random lvm reports: nothing panics, nobody loses anything, and no file is
//! written where none belongs. `cargo xtask test fuzz` runs these for longer.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::*;
use crate::fuzz::fuzz;
use crate::lvm::{self, report};
use crate::objects;
use crate::observed::GroupView;

/// Text that somebody might want to be something else.
fn any_text() -> impl Strategy<Value = String> {
    let odd = [
        "",
        ".",
        "..",
        "/",
        "../../etc/passwd",
        "a/../../b",
        "-",
        "--yes",
        "-f",
        "a b",
        "a\0b",
        "a\nb",
        "a,b",
        "@tag",
        "0",
        "-1",
        "1e9",
        "18446744073709551616",
        "9223372036854775808",
        "null",
        "fast",
        "vg0",
        "weir_thin",
        "a",
        "app-1",
        "storage-1",
        "/dev/vdb",
        "/dev/vdc",
        "/dev/../etc/passwd",
        "0.0.0.0",
        "10.0.0.1",
        "::",
        "fd00::1",
        "weir.id=",
        "weir.unzeroed",
        "weir.generation=-1",
        "weir.portal=tcp/4420/10.0.0.1",
        "weir.portal=tcp//",
        "weir.id=00000000-0000-0000-0000-000000000001",
        "00000000-0000-0000-0000-000000000001",
        "00000000-0000-0000-0000-000000000002",
    ];
    prop_oneof![
        4 => select(odd.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "\\PC{0,300}",
    ]
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => any_text().prop_map(Value::String),
        2 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!([])),
        1 => Just(json!({})),
    ]
}

/// The values at the ends of a document.
fn leaves(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Array(items) => items.iter_mut().flat_map(leaves).collect(),
        Value::Object(fields) => fields.values_mut().flat_map(leaves).collect(),
        leaf => vec![leaf],
    }
}

/// One of some good documents with values or bytes changed, or no such document at all.
fn damaged(good: Vec<Value>) -> impl Strategy<Value = String> {
    let values = (
        select(good.clone()),
        vec((any::<Index>(), any_scalar()), 0..4),
    );
    let values = values.prop_map(|(mut value, edits)| {
        for (place, new) in edits {
            let count = leaves(&mut value).len();
            if count > 0 {
                *leaves(&mut value).swap_remove(place.index(count)) = new;
            }
        }
        value.to_string()
    });
    let bytes = (
        select(good),
        vec((any::<Index>(), any::<u8>(), 0..4u8), 1..6),
    );
    let bytes = bytes.prop_map(|(value, edits)| {
        let mut bytes = value.to_string().into_bytes();
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
    prop_oneof![6 => values, 3 => bytes, 1 => any::<String>()]
}

fn good_requests() -> Vec<Value> {
    let value = |volume: &Volume| serde_json::to_value(volume).unwrap();
    let pool: Value = serde_json::from_str(POOL).unwrap();
    let mut other = pool.clone();
    other["metadata"]["name"] = "slow".into();
    other["spec"]["engine"]["kernel"] = json!({
        "volumeGroup": "vg1", "devices": ["/dev/vdc"], "overwriteSignatures": true,
    });
    let mut thin = volume("c", 3);
    thin.spec.provisioning = Provisioning::Thin;
    let mut adopting = volume("d", 4);
    adopting.spec.capacity_bytes.0 = 2 * EXTENT;
    adopting.spec.source = Some(weir_api::volume::Source {
        logical_volume: "data".to_owned(),
    });
    vec![
        pool,
        other,
        value(&volume("a", 1)),
        value(&attached(volume("b", 2), "app-2", Generation(7))),
        value(&thin),
        value(&adopting),
    ]
}

/// A volume is exported, and beside its request lies a file that may be anything. The simulated node
/// notes what must never happen; here: that the host loses its volume, or that data is destroyed.
///
/// Seen red with: a request's `metadata.name` put into the name of its status file without being checked
/// (`is_dns_label` returning `true`).
#[test]
fn fuzz_request_files() {
    fuzz("fuzz_request_files", &damaged(good_requests()), |text| {
        let mut world = World::new();
        let generation = world.next();
        world.ask(&attached(volume("a", 1), "app-1", generation));
        world.sim.foreign_lv("vg0", "data", "theirs");
        world.settle();
        world.put("fuzz", &text);
        for _ in 0..3 {
            world.round();
            world.sim.finish_zeroing();
        }
        assert_eq!(world.content(id(1)), Some(Content::Zero));
        assert_eq!(world.hosts_of(id(1)).len(), 1);
        for path in world.sim.fs.paths() {
            let dir = path.parent().unwrap().to_str().unwrap();
            assert!([REQUESTS, RECORD, STATUS].contains(&dir), "{path:?}");
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(!name.contains(['/', '\0', '\n', ' ']), "{path:?}");
        }
    });
}

fn good_reports() -> Vec<Value> {
    let pv = |name: &str, tags: &str| {
        json!({"pv_name": name, "pv_uuid": "p", "vg_name": "vg0", "vg_uuid": "v", "vg_size": "268435456",
               "vg_free": "4194304", "vg_extent_size": "4194304", "vg_tags": tags})
    };
    let lv = |name: &str, attr: &str, tags: &str| {
        json!({"vg_uuid": "v", "lv_name": name, "lv_uuid": name, "lv_size": "8388608", "lv_tags": tags,
               "lv_attr": attr, "pool_lv": "", "lv_dm_path": "/dev/mapper/vg0-x", "lv_kernel_major": "253",
               "lv_kernel_minor": "0"})
    };
    let tags = format!("{},weir.name=a,weir.generation=3", lvm::id_tag(id(1)));
    vec![
        json!({"report": [{"pv": [pv("/dev/vdb", "weir.pool=fast,weir.node=storage-1"), pv("[unknown]", "")]}]}),
        json!({"report": [{"lv": [
            lv(&id(1).lv_name(), "-wi-ao----", &tags),
            lv("weir_thin", "twi-aotz--", "weir.thin"),
            lv("other", "Vwi---tz--", ""),
        ]}]}),
    ]
}

/// Whatever LVM prints, it is read or refused, and what tags tell is a record that can be read again.
#[test]
fn fuzz_lvm_reports() {
    fuzz("fuzz_lvm_reports", &damaged(good_reports()), |text| {
        let pvs = report::pvs(&text).unwrap_or_default();
        let lvs = report::lvs(&text, "v").unwrap_or_default();
        let vg = pvs.iter().find_map(|pv| pv.vg.clone());
        let view = vg.map(|vg| GroupView::find(&pvs, |other| other.uuid == vg.uuid));
        if let Some(Ok(Some(view))) = view {
            let pool = lvm::pool_in(&view.vg.tags).and_then(|pool| pool.parse().ok());
            let pool = pool.and_then(|pool| objects::pool_from_tags(&pool, &view));
            if let Some(pool) = pool {
                round_trip(&objects::of_pool(&NODE.parse().unwrap(), &pool));
            }
            for portal in lvm::portals_in(&view.vg.tags) {
                assert_eq!(lvm::portals_in([&lvm::portal_tag(&portal)]), [portal]);
            }
        }
        for lv in &lvs {
            if let Ok(volume) = objects::volume_from_tags(&name("fast"), lv, None) {
                assert_eq!(volume.id.lv_name(), lv.name);
                round_trip(&objects::of_volume(&volume));
            }
        }
    });
}

/// What is written as a request for an object can be read as JSON's own shape again.
fn round_trip<S, T>(object: &weir_api::object::Object<S, T>)
where
    S: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug + Clone,
{
    let yaml = weir_api::parse::print(object).unwrap();
    if let Err(error) = weir_api::parse(&yaml) {
        // Sizes and paths that LVM can't have are refused by name.
        let error = error.to_string();
        assert!(error.starts_with("spec."), "{error}\n{yaml}");
    }
}
