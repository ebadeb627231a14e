//! Tests of tables, against recorded ones.

use serde_json::{Value, json};

use super::json_path::JsonPath;
use super::{IncludeObject, definitions, row};
use crate::standalone::event::to_events_v1;
use crate::standalone::fixtures::{now, resource};
use crate::standalone::resource::built_in;

fn cells(group: &str, plural: &str, object: &Value) -> Value {
    row(&resource(group, plural), object, IncludeObject::None, now())["cells"].clone()
}

#[test]
fn a_definitions_columns_are_shown() {
    let pool = json!({
        "metadata": {"name": "pool-a", "creationTimestamp": "2026-11-22T09:55:51Z"},
        "spec": {"nodeName": "node1", "devices": ["/dev/sda", "/dev/sdb"], "backend": "thin"},
        "status": {
            "capacityBytes": 1_000_000,
            "conditions": [
                {"type": "Other", "status": "False"},
                {"type": "Ready", "status": "True"},
            ],
        },
    });
    let expected = json!([
        "pool-a",
        "node1",
        null,
        1_000_000,
        "True",
        "[\"/dev/sda\",\"/dev/sdb\"]",
        "thin",
        "4m9s",
    ]);
    assert_eq!(cells("weir.dev", "storagepools", &pool), expected);
    let columns = definitions(&resource("weir.dev", "storagepools"));
    let names: Vec<_> = columns
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["name"])
        .collect();
    let expected = [
        "Name", "Node", "Phase", "Capacity", "Ready", "Devices", "Backend", "Age",
    ];
    assert_eq!(names, expected);
    assert_eq!(columns[0]["format"], "name");
    assert_eq!(
        columns[1],
        json!({
            "name": "Node", "type": "string", "format": "", "priority": 0,
            "description":
                "Custom resource definition column (in JSONPath format): .spec.nodeName",
        })
    );
    assert_eq!(columns[2]["description"], "Current phase.");
    assert_eq!(
        (&columns[3]["format"], &columns[5]["priority"]),
        (&json!("int64"), &json!(1))
    );
}

#[test]
fn rows_carry_as_much_of_the_object_as_is_asked_for() {
    let kind = resource("weir.dev", "volumes");
    let volume = json!({"kind": "Volume", "metadata": {"name": "v"}, "spec": {}});
    let object = |include| row(&kind, &volume, include, now())["object"].clone();
    assert_eq!(object(IncludeObject::None), Value::Null);
    assert_eq!(object(IncludeObject::Object), volume);
    assert_eq!(
        object(IncludeObject::Metadata),
        json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "v"},
        })
    );
    assert_eq!(
        IncludeObject::parse("Bogus").unwrap_err().message,
        "Unable to convert to Table as requested: includeObject: Invalid value: \"Bogus\": must \
         be 'Metadata', 'Object', 'None', or empty"
    );
}

#[test]
fn built_in_kinds_are_shown_as_a_real_server_does() {
    let made = json!({"name": "x", "creationTimestamp": "2026-11-22T09:59:59Z"});
    let lease = json!({"metadata": made, "spec": {"holderIdentity": "ctl-0"}});
    assert_eq!(
        cells("coordination.k8s.io", "leases", &lease),
        json!(["x", "ctl-0", "1s"])
    );
    let namespace = json!({"metadata": made, "status": {"phase": "Active"}});
    assert_eq!(
        cells("", "namespaces", &namespace),
        json!(["x", "Active", "1s"])
    );
    let bare = json!([
        "x",
        "Unknown",
        "<none>",
        "1s",
        "",
        "<none>",
        "<none>",
        "<unknown>",
        "<unknown>",
        "<unknown>",
    ]);
    assert_eq!(cells("", "nodes", &json!({"metadata": made})), bare);
    let node = json!({
        "metadata": {
            "name": "n", "creationTimestamp": "2026-11-20T10:00:00Z",
            "labels": {"node-role.kubernetes.io/storage": ""},
        },
        "spec": {"unschedulable": true},
        "status": {
            "conditions": [{"type": "Ready", "status": "False"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}],
            "nodeInfo": {"kubeletVersion": "v9", "osImage": "Debian", "kernelVersion": "6.1"},
        },
    });
    let expected = json!([
        "n",
        "NotReady,SchedulingDisabled",
        "storage",
        "2d",
        "v9",
        "10.0.0.9",
        "<none>",
        "Debian",
        "6.1",
        "<unknown>",
    ]);
    assert_eq!(cells("", "nodes", &node), expected);
}

#[test]
fn events_look_the_same_in_both_groups() {
    let old = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "pool-a.18c0ffee"},
        "involvedObject": {"kind": "StoragePool", "name": "pool-a"},
        "reason": "PoolReady", "message": "pool is ready\n", "type": "Normal", "count": 3,
        "firstTimestamp": "2026-11-22T09:54:51Z", "lastTimestamp": "2026-11-22T09:55:51Z",
        "source": {"component": "weir-agent", "host": "node1"},
    });
    let expected = json!([
        "4m9s",
        "Normal",
        "PoolReady",
        "storagepool/pool-a",
        "",
        "weir-agent, node1",
        "pool is ready",
        "5m9s",
        3,
        "pool-a.18c0ffee",
    ]);
    assert_eq!(cells("", "events", &old), expected);
    assert_eq!(
        cells("events.k8s.io", "events", &to_events_v1(&old)),
        expected
    );
    let new = json!({
        "metadata": {"name": "e"}, "eventTime": "2026-11-22T09:59:00.000000Z", "reason": "R",
        "regarding": {"kind": "Volume", "name": "v"}, "note": "n", "type": "Warning",
        "reportingController": "weir-controller", "reportingInstance": "ctl-0",
        "series": {"count": 2, "lastObservedTime": "2026-11-22T09:59:50.000000Z"},
    });
    let expected = json!([
        "10s",
        "Warning",
        "R",
        "volume/v",
        "",
        "weir-controller, ctl-0",
        "n",
        "60s",
        2,
        "e",
    ]);
    assert_eq!(cells("events.k8s.io", "events", &new), expected);
}

#[test]
fn every_row_is_as_wide_as_its_table() {
    for kind in built_in().iter().chain([&resource("weir.dev", "volumes")]) {
        for object in [
            json!({}),
            json!({"metadata": 1, "spec": [], "status": "x"}),
            json!(null),
        ] {
            let cells = row(kind, &object, IncludeObject::None, now())["cells"].clone();
            let columns = definitions(kind);
            let width = |v: &Value| v.as_array().unwrap().len();
            assert_eq!(width(&cells), width(&columns), "{}", kind.kind);
        }
    }
}

#[test]
fn paths_lead_to_the_first_of_what_they_name() {
    let object = json!({
        "a": {"b": [{"t": "x", "v": 1, "in": {"y": true}}, {"t": "y", "v": 2}]},
        "a.b/c": "dotted",
    });
    let rows = [
        (".a.b[0].v", json!(1)),
        ("$.a.b[1].v", json!(2)),
        (".a.b[-1].v", json!(2)),
        (".a.b[*].v", json!(1)),
        (".a.*[1].t", json!("y")),
        (".a.b[?(@.t==\"y\")].v", json!(2)),
        (".a.b[?(@.t=='y')].v", json!(2)),
        (".a.b[?(@.t != \"x\")].v", json!(2)),
        (".a.b[?(@.in.y==true)].t", json!("x")),
        (".a.b[?(@.v==2)].t", json!("y")),
        ("['a.b/c']", json!("dotted")),
        (".a['b'][0].t", json!("x")),
        (".a.b[5].v", json!(null)),
        (".a.b[-5].v", json!(null)),
        (".a.c.d", json!(null)),
        (".a.b.v", json!(null)),
    ];
    for (path, expected) in rows {
        let path = JsonPath::parse(path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(
            path.first(&object).cloned().unwrap_or_default(),
            expected,
            "{path:?}"
        );
    }
    for bad in [
        "",
        ".",
        "..a",
        ".a[",
        ".a[x]",
        ".a[?(@.t)]",
        ".a[?(t==1)]",
        ".a[1:2]",
        "a.b",
    ] {
        assert_eq!(JsonPath::parse(bad), None, "{bad}");
    }
}
