//! Volumes: one story each.

use weir_api::condition::{EXPORTED, ORPHANED, ORPHANS, READY, REFUSED, reason};
use weir_api::names::MODEL;

use super::*;
use crate::lvm::UNZEROED_TAG;
use crate::probe::Mode;

fn said(truth: Truth, reason: &str) -> (Truth, String) {
    (truth, reason.to_owned())
}

#[test]
fn a_volume_is_made_zeroed_and_exported_to_its_host_alone() {
    let mut world = World::new();
    let generation = world.next();
    world.ask(&attached(volume("a", 1), "app-1", generation));
    world.round();
    assert_eq!(world.phase("a"), Some(Phase::Creating));
    assert_eq!(world.sim.target().subsystems.len(), 0);
    world.settle();

    let status = world.status("a").unwrap();
    assert_eq!(status.phase, Phase::Ready);
    assert_eq!(status.capacity_bytes.0, 2 * EXTENT);
    assert_eq!(status.device_path, None);
    let host = host_nqn(&"app-1".parse().unwrap(), generation);
    assert_eq!(status.target.unwrap().host_nqn, host);
    let target = world.sim.target();
    let (nqn, subsystem) = target.subsystems.first_key_value().unwrap();
    assert_eq!(nqn.as_str(), id(1).nqn());
    assert_eq!(subsystem.serial, Some(id(1).serial()));
    assert_eq!(subsystem.model.as_deref(), Some(MODEL));
    let namespace = subsystem.namespaces.values().next().unwrap();
    assert_eq!((namespace.uuid, namespace.nguid), (id(1).0, id(1).0));
    assert_eq!(world.hosts_of(id(1)), BTreeSet::from([host]));
    assert_eq!(
        world.reason("a", EXPORTED),
        said(Truth::True, reason::AS_ASKED)
    );
    let measured = world.measured.lock().unwrap().clone();
    assert!(matches!(
        measured.volumes[0].devices[0].mode,
        Mode::Exported { .. }
    ));
    assert_eq!(measured.disks[0].disk, "/dev/vdb");
}

#[test]
fn a_thin_volume_needs_no_zeroing() {
    let mut world = World::new();
    let mut thin = volume("a", 1);
    thin.spec.provisioning = Provisioning::Thin;
    world.ask(&thin);
    world.round();
    assert_eq!(world.phase("a"), Some(Phase::Ready));
}

#[test]
fn on_its_own_node_a_volume_is_a_device() {
    let mut world = World::new();
    let generation = world.next();
    world.ask(&attached(volume("a", 1), NODE, generation));
    world.settle();
    let path = format!("/dev/mapper/vg0-{}", id(1).lv_name());
    assert_eq!(world.status("a").unwrap().device_path, Some(path));
    assert!(world.sim.target().subsystems.is_empty());
}

/// Seen red with: `lv.tags.contains(UNZEROED_TAG)` in `creating` replaced by `false`.
#[test]
fn a_volume_is_zeroed_again_if_the_agent_was_killed_while_it_was() {
    let mut world = World::new();
    let generation = world.next();
    world.ask(&attached(volume("a", 1), "app-1", generation));
    world.round();
    world.sim.kill();
    world.restart();
    world.round();
    assert_eq!(world.phase("a"), Some(Phase::Creating));
    world.settle();
    assert_eq!(world.content(id(1)), Some(Content::Zero));
    assert_eq!(world.hosts_of(id(1)).len(), 1);
}

/// Seen red with: the `record` call in the deletion branch of `recorded` removed (a deletion that
/// was recorded is forgotten when its request vanishes).
#[test]
fn a_recorded_deletion_goes_on_without_its_request() {
    let mut world = World::new();
    let generation = world.next();
    world.ask(&attached(volume("a", 1), NODE, generation));
    world.settle();
    let lv = world.sim.lvs("vg0")[&id(1).lv_name()].uuid.clone();
    world.sim.lock().local_users.insert(lv);
    world.ask(&deleted(volume("a", 1)));
    world.settle();
    assert_eq!(world.reason("a", READY), said(Truth::False, reason::IN_USE));
    world.vanish("a");
    world.sim.lock().local_users.clear();
    world.settle();
    assert_eq!(world.content(id(1)), None);
}

#[test]
fn a_deleted_volume_says_so_until_its_request_is_gone() {
    let mut world = World::new();
    world.ask(&volume("a", 1));
    world.settle();
    world.ask(&deleted(volume("a", 1)));
    world.settle();
    assert_eq!(world.phase("a"), Some(Phase::Deleted));
    assert_eq!(world.content(id(1)), None);
    world.vanish("a");
    world.settle();
    assert_eq!(world.phase("a"), None);
}

/// Seen red with: in `volumes`, `self.recorded(volume, None)` given a deletion of that volume.
#[test]
fn a_request_that_vanishes_leaves_an_orphan_that_is_served() {
    let (mut world, _) = World::exported();
    world.sim.fs.empty(Path::new(REQUESTS));
    world.settle();
    assert_eq!(
        world.reason("a", ORPHANED),
        said(Truth::True, reason::NO_REQUEST)
    );
    assert_eq!(world.phase("a"), Some(Phase::Ready));
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    assert_eq!(world.gauges.lock().unwrap().orphan_volumes, 1);

    world.sim.reboot();
    world.restart();
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 1);
}

#[test]
fn a_broken_request_changes_nothing_and_names_the_field() {
    let mut world = World::new();
    let generation = world.next();
    let request = attached(volume("a", 1), "app-1", generation);
    world.ask(&request);
    world.settle();
    let text = serde_json::to_string(&request).unwrap();
    world.put("a", &text.replace("capacityBytes\":", "capacityBytes\":-"));
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    assert_eq!(
        world.reason("a", REFUSED),
        said(Truth::True, reason::INVALID_REQUEST)
    );
    let path = Path::new(STATUS).join("invalid-a.json.json");
    let said = String::from_utf8(world.sim.fs.read(&path).unwrap()).unwrap();
    assert!(said.contains("spec.capacityBytes"), "{said}");
}

/// Seen red with: in `mark_pool`, what is asked for not kept.
#[test]
fn a_pool_that_is_claimed_again_never_loses_its_tags() {
    let (mut world, _) = World::exported();
    world.sim.fs.empty(Path::new(RECORD));
    let commands = world.sim.lock().commands.len();
    world.settle();
    let state = world.sim.lock();
    let mut later = state.commands[commands..].iter();
    assert_eq!(later.find(|cmd| cmd.contains("--deltag")), None);
}

/// Seen red with: `attachment: attachment.cloned()` in `claim` replaced by `attachment: None`.
#[test]
fn a_record_that_was_emptied_ends_nothing_and_is_claimed_again() {
    let (mut world, _) = World::exported();
    world.write(id(1));
    world.sim.fs.empty(Path::new(RECORD));
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    assert_eq!(world.content(id(1)), Some(Content::Written));
    assert_eq!(world.phase("a"), Some(Phase::Ready));
    assert_eq!(
        world.reason("a", EXPORTED),
        said(Truth::True, reason::AS_ASKED)
    );

    // Neither record nor request: an LV that nobody knows is reported, and left alone.
    world.vanish("a");
    world.sim.fs.empty(Path::new(RECORD));
    world.settle();
    assert_eq!(
        world.pool_reason("fast", ORPHANS),
        said(Truth::True, reason::NO_REQUEST)
    );
    assert_eq!(world.gauges.lock().unwrap().orphan_lvs, 1);
    assert_eq!(world.content(id(1)), Some(Content::Written));

    // Nor a pool.
    world.vanish("fast");
    world.sim.fs.empty(Path::new(RECORD));
    world.settle();
    assert_eq!(
        world.pool_reason("fast", READY),
        said(Truth::False, reason::NO_REQUEST)
    );
    assert_eq!(world.gauges.lock().unwrap().orphan_lvs, 1);
    assert_eq!(world.content(id(1)), Some(Content::Written));
    assert_eq!(world.hosts_of(id(1)).len(), 1);
}

/// A record that was made anew and names nobody is no order to end the export that is there.
///
/// Seen red with: `exported.is_some() && volume.revoked` in `attach` without its second half.
#[test]
fn a_record_without_an_order_ends_no_export() {
    let (mut world, _) = World::exported();
    world.vanish("a");
    let mut record = world.records().volumes[&id(1)].clone();
    record.attachments.clear();
    let path = Path::new(RECORD).join(format!("volume-{}.json", id(1)));
    world
        .sim
        .fs
        .put(&path, &serde_json::to_vec(&record).unwrap());
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 1);
}

/// Seen red with: `LvKind::Linear if lv.tags.contains(UNZEROED_TAG)` in `claim` removed.
#[test]
fn an_lv_that_was_never_zeroed_is_claimed_as_such() {
    let mut world = World::new();
    let generation = world.next();
    world.ask(&attached(volume("a", 1), "app-1", generation));
    world.round();
    world.sim.fs.empty(Path::new(RECORD));
    world.sim.kill();
    world.restart();
    world.round();
    assert_eq!(world.phase("a"), Some(Phase::Creating));
    world.settle();
    assert_eq!(world.content(id(1)), Some(Content::Zero));
}

/// Seen red with: the `DATA_MISSING` branch of `ready_as` returning `self.creating(volume)`.
#[test]
fn a_volume_whose_lv_is_gone_has_failed_and_is_not_made_again() {
    let mut world = World::new();
    world.ask(&volume("a", 1));
    world.settle();
    world.sim.lose_lv("vg0", &id(1).lv_name());
    world.settle();
    assert_eq!(
        world.reason("a", READY),
        said(Truth::False, reason::DATA_MISSING)
    );
    assert_eq!(world.content(id(1)), None);
}

/// Seen red with: the `NOT_ZEROED` check in `ready_as` removed.
#[test]
fn a_ready_volume_that_is_marked_as_not_zeroed_is_neither_shown_nor_zeroed() {
    let mut world = World::new();
    world.ask(&volume("a", 1));
    world.settle();
    world.write(id(1));
    let mut state = world.sim.lock();
    let lvs = &mut state.groups.get_mut("vg0").unwrap().lvs;
    lvs.get_mut(&id(1).lv_name())
        .unwrap()
        .tags
        .insert(UNZEROED_TAG.to_owned());
    drop(state);
    let generation = world.next();
    world.ask(&attached(volume("a", 1), "app-1", generation));
    world.settle();
    assert_eq!(
        world.reason("a", READY),
        said(Truth::False, reason::NOT_ZEROED)
    );
    assert!(world.hosts_of(id(1)).is_empty());
    assert_eq!(world.content(id(1)), Some(Content::Written));
}

#[test]
fn a_name_is_free_again_only_once_its_volume_is_deleted() {
    let (mut world, _) = World::exported();
    world.ask(&volume("a", 2));
    world.settle();
    assert_eq!(
        world.reason("a", REFUSED),
        said(Truth::True, reason::NAME_IN_USE)
    );
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    assert_eq!(world.content(id(2)), None);

    world.ask(&deleted(volume("a", 1)));
    world.settle();
    world.ask(&volume("a", 2));
    world.settle();
    assert_eq!(world.phase("a"), Some(Phase::Ready));
    assert_eq!(
        (world.content(id(1)), world.content(id(2))),
        (None, Some(Content::Zero))
    );
}

/// A list of conditions has one of each type, or no API would take it.
///
/// Seen red with: `add` in the API's `condition.rs` made to push.
#[test]
fn two_reasons_to_refuse_a_volume_are_one_condition() {
    let mut world = World::new();
    let mut request = volume("a", 1);
    world.ask(&request);
    world.settle();
    request.spec.capacity_bytes.0 = EXTENT;
    world.ask(&request);
    let unreadable =
        r#"{"apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": "a"}}"#;
    world.put("other", unreadable);
    world.settle();
    let status = world.status("a").unwrap();
    let refused: Vec<_> = status
        .conditions
        .iter()
        .filter(|c| c.kind == REFUSED)
        .collect();
    assert_eq!(refused.len(), 1, "{refused:#?}");
    assert_eq!(refused[0].reason, reason::SHRINK_REFUSED);
    assert!(refused[0].message.contains("other.json"), "{refused:#?}");
}

/// Seen red with: `spec.pool_name != volume.pool` in `wish` replaced by `false`, and likewise for
/// each other field.
#[test]
fn a_changed_field_that_cannot_change_is_refused_and_changes_nothing() {
    type Edit = fn(&mut Volume);
    let rows: [(Edit, &str); 4] = [
        (|v| v.spec.pool_name = name("slow"), reason::IMMUTABLE_FIELD),
        (
            |v| v.spec.provisioning = Provisioning::Thin,
            reason::IMMUTABLE_FIELD,
        ),
        (|v| v.spec.capacity_bytes.0 = EXTENT, reason::SHRINK_REFUSED),
        (
            |v| v.spec.capacity_bytes.0 = 3 * EXTENT,
            reason::RESIZE_NOT_SUPPORTED,
        ),
    ];
    for (change, expected) in rows {
        let mut world = World::new();
        let generation = world.next();
        let mut request = attached(volume("a", 1), "app-1", generation);
        world.ask(&request);
        world.settle();
        change(&mut request);
        world.ask(&request);
        world.settle();
        assert_eq!(world.reason("a", REFUSED), said(Truth::True, expected));
        assert_eq!(world.phase("a"), Some(Phase::Ready));
        assert_eq!(world.hosts_of(id(1)).len(), 1);
        assert_eq!(world.sim.lvs("vg0")[&id(1).lv_name()].extents, 2);
    }
}

#[test]
fn an_id_belongs_to_one_object() {
    let mut world = World::new();
    world.ask(&volume("a", 1));
    world.ask(&volume("b", 1));
    world.settle();
    for name in ["a", "b"] {
        assert_eq!(
            world.reason(name, REFUSED),
            said(Truth::True, reason::ID_IN_USE)
        );
    }
    assert_eq!(world.content(id(1)), None);
    world.vanish("b");
    world.settle();
    world.ask(&volume("b", 1));
    world.settle();
    assert_eq!(world.phase("a"), Some(Phase::Ready));
    assert_eq!(
        world.reason("b", REFUSED),
        said(Truth::True, reason::ID_IN_USE)
    );
}

/// Seen red with: `want.subsystems.clear()` in `exports::fence` left out: A's connections could still
/// reach it.
#[test]
fn the_next_host_is_granted_a_subsystem_that_the_last_one_never_had() {
    let mut world = World::new();
    let first = world.next();
    world.ask(&attached(volume("a", 1), "app-1", first));
    world.settle();
    let second = world.next();
    world.ask(&attached(volume("a", 1), "app-2", second));
    world.settle();
    let host = host_nqn(&"app-2".parse().unwrap(), second);
    assert_eq!(world.hosts_of(id(1)), BTreeSet::from([host]));
    let hosts = world.sim.target().hosts;
    assert_eq!(hosts.len(), 1, "{hosts:?}");
    let third = world.next();
    world.ask(&attached(volume("a", 1), "app-2", third));
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 1);
}

/// Seen red with: `asked.generation <= highest` in `wish` replaced by `false`.
#[test]
fn a_generation_is_granted_once() {
    let mut world = World::new();
    let (first, second) = (world.next(), world.next());
    world.ask(&attached(volume("a", 1), "app-2", second));
    world.settle();
    for generation in [first, second] {
        world.ask(&attached(volume("a", 1), "app-1", generation));
        world.settle();
        assert_eq!(
            world.reason("a", REFUSED),
            said(Truth::True, reason::STALE_GENERATION)
        );
        assert_eq!(
            world.hosts_of(id(1)),
            BTreeSet::from([host_nqn(&"app-2".parse().unwrap(), second)])
        );
    }
    world.ask(&volume("a", 1));
    world.settle();
    assert!(world.hosts_of(id(1)).is_empty());
    world.ask(&attached(volume("a", 1), "app-2", second));
    world.settle();
    assert_eq!(
        world.reason("a", REFUSED),
        said(Truth::True, reason::STALE_GENERATION)
    );
    assert!(world.hosts_of(id(1)).is_empty());
}

/// Seen red with: both `lv.is_open` checks in `attach` replaced by `false` and `CheckClosed` left
/// out.
#[test]
fn nothing_is_exported_while_this_node_has_it_open() {
    let mut world = World::new();
    let local = world.next();
    world.ask(&attached(volume("a", 1), NODE, local));
    world.settle();
    let lv = world.sim.lvs("vg0")[&id(1).lv_name()].uuid.clone();
    world.sim.lock().local_users.insert(lv.clone());
    let remote = world.next();
    world.ask(&attached(volume("a", 1), "app-1", remote));
    world.settle();
    assert_eq!(
        world.reason("a", EXPORTED),
        said(Truth::False, reason::IN_USE)
    );
    assert_eq!(world.status("a").unwrap().device_path, None);
    world.sim.lock().local_users.clear();
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 1);
}

#[test]
fn a_subsystem_that_somebody_opened_to_others_is_made_anew() {
    let (mut world, generation) = World::exported();
    let stranger = "nqn.2014-08.org.example:stranger";
    let kernel = world.sim.lock().kernel.clone();
    let root = Path::new("/sys/kernel/config/nvmet");
    let host = root.join("hosts").join(stranger);
    let link = root
        .join("subsystems")
        .join(id(1).nqn())
        .join("allowed_hosts")
        .join(stranger);
    nvmet::Tree::mkdir(&*kernel, &host).unwrap();
    nvmet::Tree::symlink(&*kernel, &host, &link).unwrap();
    // It is this removal of the stranger's access that the watch would take for one without order.
    world
        .sim
        .lock()
        .revoked
        .insert((id(1), host_nqn(&"app-1".parse().unwrap(), generation)));
    world.try_round().unwrap();
    world.sim.lock().violations.clear();
    world.settle();
    let target = world.sim.target();
    let subsystem = target.subsystems.values().next().unwrap();
    assert_eq!(subsystem.allowed_hosts.len(), 1);
    assert!(
        target.hosts.keys().any(|host| host.as_str() == stranger),
        "not ours to remove"
    );
}

#[test]
fn volumes_that_share_a_host_share_its_entry() {
    let mut world = World::new();
    let generation = world.next();
    let ask = |world: &mut World, change: fn(Volume) -> Volume| {
        for (name, number) in [("a", 1), ("b", 2), ("z", 3)] {
            let volume = attached(volume(name, number), "app-1", generation);
            world.ask(&change(volume));
        }
    };
    ask(&mut world, |volume| volume);
    world.settle();
    assert_eq!(world.gauges.lock().unwrap().failed_steps_total, 0);
    assert_eq!(world.sim.target().hosts.len(), 1);
    assert_eq!(world.hosts_of(id(3)).len(), 1);
    ask(&mut world, deleted);
    world.settle();
    assert_eq!(world.gauges.lock().unwrap().failed_steps_total, 0);
    assert!(world.sim.target().hosts.is_empty());
}

#[test]
fn foreign_things_in_the_target_are_left_alone() {
    let mut world = World::new();
    let kernel = world.sim.lock().kernel.clone();
    let root = Path::new("/sys/kernel/config/nvmet");
    for dir in ["hosts/nqn.x:h", "subsystems/nqn.x:s", "ports/7"] {
        nvmet::Tree::mkdir(&*kernel, &root.join(dir)).unwrap();
    }
    let before = world.sim.target();
    assert_eq!(before.ports.len(), 1, "the pool's");
    let generation = world.next();
    world.ask(&attached(volume("a", 1), "app-1", generation));
    world.settle();
    world.ask(&deleted(volume("a", 1)));
    world.settle();
    // The port's transport chose its parameters when the volume was linked, and the kernel keeps them.
    assert_eq!(nvmet::plan(&world.sim.target(), &before), []);
}

/// Seen red with: the `RECORD_BROKEN` check in `requested` removed (the volume is claimed anew).
#[test]
fn a_broken_record_stops_what_it_is_about_and_nothing_else() {
    let (mut world, _) = World::exported();
    let path = Path::new(RECORD).join(format!("volume-{}.json", id(1)));
    world.sim.fs.put(&path, b"{\"version\":1");
    world.ask(&deleted(volume("a", 1)));
    world.ask(&volume("b", 2));
    world.settle();
    assert_eq!(
        world.reason("a", READY),
        said(Truth::False, reason::RECORD_BROKEN)
    );
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    assert_eq!(world.content(id(1)), Some(Content::Zero));
    assert_eq!(world.phase("b"), Some(Phase::Ready));
    assert_eq!(world.gauges.lock().unwrap().broken_records, 1);
    assert_eq!(world.sim.fs.read(&path).unwrap(), b"{\"version\":1");
}

/// An agent that was downgraded, on a volume that a later one recorded in a way of its own.
///
/// Seen red with: the check of `min_reader` in `record::format` removed.
#[test]
fn a_record_for_newer_agents_leaves_lv_and_export_alone() {
    let (mut world, _) = World::exported();
    let path = Path::new(RECORD).join(format!("volume-{}.json", id(1)));
    let mut newer: serde_json::Value =
        serde_json::from_slice(&world.sim.fs.read(&path).unwrap()).unwrap();
    newer["version"] = 900.into();
    newer["minReader"] = 900.into();
    let newer = newer.to_string();
    world.sim.fs.put(&path, newer.as_bytes());
    world.ask(&deleted(volume("a", 1)));
    world.settle();
    world.restart();
    world.settle();
    assert_eq!(
        world.reason("a", READY),
        said(Truth::False, reason::RECORD_BROKEN)
    );
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    assert_eq!(world.content(id(1)), Some(Content::Zero));
    assert_eq!(world.sim.fs.read(&path).unwrap(), newer.as_bytes());
}

#[test]
fn a_node_holds_no_more_volumes_than_it_may() {
    let mut world = World::new();
    for number in 1..=7 {
        world.ask(&volume(&format!("v{number}"), number));
    }
    world.settle();
    let ready = (1..=7)
        .filter(|n| world.phase(&format!("v{n}")) == Some(Phase::Ready))
        .count();
    assert_eq!(ready, 6);
    assert_eq!(
        world.reason("v7", READY),
        said(Truth::False, reason::NO_SPACE)
    );
}

#[test]
fn a_volume_that_does_not_fit_waits_and_is_not_recorded() {
    let mut world = World::new();
    let mut large = volume("a", 1);
    large.spec.capacity_bytes.0 = 63 * EXTENT;
    world.ask(&large);
    world.ask(&volume("b", 2));
    world.settle();
    assert_eq!(
        world.reason("a", READY),
        said(Truth::False, reason::NO_SPACE)
    );
    assert_eq!(world.phase("b"), Some(Phase::Ready));
    assert_eq!(world.records().volumes.len(), 1);
}
