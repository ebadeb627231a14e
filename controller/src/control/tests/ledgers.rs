//! What is where, in whatever order it was seen.

use std::sync::Arc;

use serde_json::json;

use super::super::ledger::Ledger;
use super::{pool, volume};
use weir_api::names::ObjectName;
use weir_api::units::Bytes;
use weir_placement::{Hold, Usage, VolumeView};

fn see_volume(ledger: &mut Ledger, name: &str, json: serde_json::Value) {
    ledger.see_volume(name, Arc::new(volume(json)));
}

fn booked(ledger: &Ledger) -> Usage {
    let name: ObjectName = "o".parse().unwrap();
    ledger.pool(&name).unwrap().booked
}

#[test]
fn a_volume_counts_whichever_of_the_two_was_seen_first() {
    let gib = Bytes(1 << 30);
    let bound = json!({"spec": {"poolName": "o", "placement": {"antiAffinityKey": "k"}}});
    let mut early = Ledger::default();
    see_volume(&mut early, "v", bound.clone());
    early.see_pool(&pool(json!({})));
    let mut late = Ledger::default();
    late.see_pool(&pool(json!({})));
    see_volume(&mut late, "v", bound.clone());
    for mut ledger in [early, late] {
        let usage = booked(&ledger);
        assert_eq!((usage.volumes, usage.thick, usage.unshown), (1, gib, gib));
        assert_eq!(ledger.occupied(Some("k")).len(), 1);
        // Its status shows it: the agent's word on what is free does too.
        let mut shown = bound.clone();
        shown["status"] = json!({"phase": "Ready", "capacityBytes": 1u64 << 30});
        see_volume(&mut ledger, "v", shown.clone());
        let usage = booked(&ledger);
        assert_eq!(
            (usage.volumes, usage.thick, usage.unshown),
            (1, gib, Bytes(0))
        );
        // It is to grow: the rest is not there yet.
        shown["spec"]["capacityBytes"] = json!(3u64 << 30);
        see_volume(&mut ledger, "v", shown);
        assert_eq!(booked(&ledger).unshown, Bytes(2 << 30));
        ledger.forget_pool(&"o".parse().unwrap());
        ledger.see_pool(&pool(json!({})));
        assert_eq!(booked(&ledger).thick, Bytes(3 << 30));
        ledger.forget_volume("v");
        assert_eq!(booked(&ledger), Usage::default());
        assert!(ledger.occupied(Some("k")).is_empty());
    }
}

/// Seen red with: `Ledger::see_volume` never releasing the hold.
#[test]
fn a_decision_counts_once_before_and_after_it_is_shown() {
    let mut ledger = Ledger::default();
    ledger.see_pool(&pool(json!({})));
    let unbound = volume(json!({}));
    let view = VolumeView::of(&unbound.spec);
    let name: ObjectName = "o".parse().unwrap();
    let hold = Hold {
        pool: name.clone(),
        node: "n".parse().unwrap(),
        usage: view.usage(&"n".parse().unwrap()),
        key: None,
    };
    ledger.see_volume("v", Arc::new(unbound));
    ledger.holds.take("v", hold);
    let counted = |ledger: &Ledger| ledger.holds.on(&name).plus(&booked(ledger));
    let before = counted(&ledger);
    assert_eq!(before.volumes, 1);
    // Something else of the object changed: the decision stands.
    see_volume(
        &mut ledger,
        "v",
        json!({"metadata": {"resourceVersion": "6"}}),
    );
    assert_eq!(counted(&ledger), before);
    see_volume(&mut ledger, "v", json!({"spec": {"poolName": "o"}}));
    assert_eq!(counted(&ledger), before);
    assert!(ledger.holds.is_empty());
}
