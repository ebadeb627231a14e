//! Pools: one story each.

use weir_api::condition::{PORTALS_LISTENING, READY, REFUSED, reason};

use super::*;
use crate::lvm::THIN_POOL;

fn said(truth: Truth, reason: &str) -> (Truth, String) {
    (truth, reason.to_owned())
}

/// `vg0` as somebody else made it.
fn foreign_group(world: &World, tag: Option<&str>) {
    let mut state = world.sim.lock();
    let group = crate::sim::Group {
        uuid: "theirs".to_owned(),
        tags: tag.map(str::to_owned).into_iter().collect(),
        devices: vec!["/dev/vdb".to_owned()],
        extents: 64,
        ..crate::sim::Group::default()
    };
    state.groups.insert("vg0".to_owned(), group);
}

#[test]
fn a_pool_is_made_from_an_empty_disk() {
    let world = World::new();
    assert_eq!(
        world.pool_reason("fast", READY),
        said(Truth::True, reason::AS_ASKED)
    );
    let lvs = world.sim.lvs("vg0");
    assert!(lvs[THIN_POOL].zeroes);
    let status = world.pool("fast");
    assert_eq!(status.capacity_bytes.0, 64 * EXTENT);
    assert_eq!(status.free_bytes.0, 48 * EXTENT);
}

/// Seen red with: `if foreign.peek().is_none()` in `wipe` replaced by `if true`.
#[test]
fn a_disk_with_any_signature_is_refused() {
    for signature in ["ext4", "gpt", "LVM2_member", "linux_raid_member"] {
        let mut world = World::empty();
        let disk = |world: &World| world.sim.lock().disks["/dev/vdb"].clone();
        world
            .sim
            .lock()
            .disks
            .get_mut("/dev/vdb")
            .unwrap()
            .signatures = vec![signature.to_owned()];
        world.put("fast", POOL);
        world.settle();
        assert_eq!(
            world.pool_reason("fast", READY),
            said(Truth::False, reason::DEVICE_REFUSED)
        );
        assert_eq!(disk(&world).signatures, [signature]);

        world
            .sim
            .lock()
            .disks
            .get_mut("/dev/vdb")
            .unwrap()
            .expendable = true;
        world.put(
            "fast",
            &POOL.replace("\"devices\"", "\"overwriteSignatures\": true, \"devices\""),
        );
        world.settle();
        assert_eq!(
            world.pool_reason("fast", READY),
            said(Truth::True, reason::AS_ASKED)
        );
    }
}

#[test]
fn a_disk_in_use_is_refused_even_if_it_may_be_overwritten() {
    let mut world = World::empty();
    world.sim.lock().disks.get_mut("/dev/vdb").unwrap().refusal = Some("mounted".to_owned());
    world.put(
        "fast",
        &POOL.replace("\"devices\"", "\"overwriteSignatures\": true, \"devices\""),
    );
    world.settle();
    assert_eq!(
        world.pool_reason("fast", READY),
        said(Truth::False, reason::DEVICE_REFUSED)
    );
}

/// Seen red with: the `pool_in(&vg.tags)` check in `wipe` removed.
#[test]
fn a_disk_of_another_pool_of_weirs_is_never_overwritten() {
    let mut world = World::new();
    let other = POOL.replace("\"fast\"", "\"slow\"").replace("vg0", "vg1");
    let other = other.replace("\"devices\"", "\"overwriteSignatures\": true, \"devices\"");
    world.sim.fs.empty(Path::new(RECORD));
    world.vanish("fast");
    world.put("slow", &other);
    world.settle();
    assert_eq!(
        world.pool_reason("slow", READY),
        said(Truth::False, reason::DEVICE_REFUSED)
    );
}

#[test]
fn an_existing_group_is_used_only_if_no_devices_are_named() {
    let mut world = World::empty();
    foreign_group(&world, None);
    world.put("fast", POOL);
    world.settle();
    assert_eq!(
        world.pool_reason("fast", READY),
        said(Truth::False, reason::VOLUME_GROUP_TAKEN)
    );
    assert!(world.sim.lock().groups["vg0"].tags.is_empty());
    world.put("fast", &POOL.replace("\"/dev/vdb\"", ""));
    world.settle();
    assert_eq!(
        world.pool_reason("fast", READY),
        said(Truth::True, reason::AS_ASKED)
    );
    assert!(
        world.sim.lock().groups["vg0"]
            .tags
            .contains("weir.pool=fast")
    );
}

/// Seen red with: the `Some(owner)` arm of the match in `pool_new` that refuses made to accept.
#[test]
fn a_group_of_another_pool_is_refused() {
    let mut world = World::empty();
    foreign_group(&world, Some("weir.pool=slow"));
    world.put("fast", &POOL.replace("\"/dev/vdb\"", ""));
    world.settle();
    assert!(world.records().pools.is_empty());
    assert_eq!(
        world.pool_reason("fast", READY),
        said(Truth::False, reason::VOLUME_GROUP_TAKEN)
    );
}

#[test]
fn a_group_is_known_by_its_uuid_not_its_name() {
    let mut world = World::new();
    world.ask(&volume("a", 1));
    world.settle();
    world.sim.lock().groups.get_mut("vg0").unwrap().uuid = "another".to_owned();
    world.settle();
    assert_eq!(
        world.pool_reason("fast", READY),
        said(Truth::False, reason::VOLUME_GROUP_MISSING)
    );
    assert_eq!(world.phase("a"), Some(Phase::Failed));
}

#[test]
fn a_pool_follows_its_disk_to_another_name() {
    let mut world = World::new();
    world.ask(&volume("a", 1));
    world.settle();
    let mut state = world.sim.lock();
    state.groups.get_mut("vg0").unwrap().devices = vec!["/dev/vdc".to_owned()];
    drop(state);
    world.sim.kill();
    world.restart();
    world.settle();
    assert_eq!(world.phase("a"), Some(Phase::Ready));
    let pool = serde_json::to_string(&world.pool("fast")).unwrap();
    assert!(
        pool.contains("IMMUTABLE") || pool.contains("not a disk of the pool"),
        "{pool}"
    );
}

#[test]
fn a_thin_pool_that_would_show_old_data_is_not_used() {
    let mut world = World::new();
    let mut state = world.sim.lock();
    let lvs = &mut state.groups.get_mut("vg0").unwrap().lvs;
    lvs.get_mut(THIN_POOL).unwrap().zeroes = false;
    drop(state);
    let mut thin = volume("a", 1);
    thin.spec.provisioning = Provisioning::Thin;
    world.ask(&thin);
    world.settle();
    assert_eq!(
        world.reason("a", READY),
        said(Truth::False, reason::NO_THIN_POOL)
    );
    assert_eq!(
        world.pool_reason("fast", READY),
        said(Truth::False, reason::NO_THIN_POOL)
    );
}

#[test]
fn portals_come_and_go_without_their_neighbours() {
    let mut world = World::new();
    let generation = world.next();
    world.ask(&attached(volume("a", 1), "app-1", generation));
    world.settle();
    let two = "[{\"address\": \"10.0.0.1\"}, {\"address\": \"fd00::1\", \"port\": 4421}]";
    world.put("fast", &POOL.replace("[{\"address\": \"10.0.0.1\"}]", two));
    world.settle();
    assert_eq!(world.status("a").unwrap().target.unwrap().portals.len(), 2);
    let target = world.sim.target();
    let ports: Vec<u16> = target.ports.keys().map(|id| id.0).collect();
    assert_eq!(ports, [0x5700, 0x5701]);
    assert!(target.ports.values().all(|port| port.subsystems.len() == 1));
    assert_eq!(
        world.pool_reason("fast", PORTALS_LISTENING),
        said(Truth::True, reason::AS_ASKED)
    );

    world.put("fast", POOL);
    world.settle();
    let ports: Vec<u16> = world.sim.target().ports.keys().map(|id| id.0).collect();
    assert_eq!(ports, [0x5700]);
    assert_eq!(world.hosts_of(id(1)).len(), 1);
}

#[test]
fn a_portal_that_cannot_listen_holds_up_nothing_else() {
    let mut world = World::new();
    // Somebody else's port listens there already.
    let mut stranger = nvmet::Target::default();
    let port = nvmet::Port {
        subsystems: ["nqn.x:s".parse().unwrap()].into(),
        ..nvmet::Port::new(nvmet::Portal::tcp("10.0.0.9".parse().unwrap(), 4420))
    };
    stranger.ports.insert(nvmet::PortId(7), port);
    stranger
        .subsystems
        .insert("nqn.x:s".parse().unwrap(), nvmet::Subsystem::default());
    let kernel = world.sim.lock().kernel.clone();
    let changes = nvmet::plan(&nvmet::Target::default(), &stranger);
    let _ = Configfs::over(kernel.as_ref()).apply(&changes).unwrap();

    let two = "[{\"address\": \"10.0.0.1\"}, {\"address\": \"10.0.0.9\"}]";
    world.put("fast", &POOL.replace("[{\"address\": \"10.0.0.1\"}]", two));
    let generation = world.next();
    world.ask(&attached(volume("a", 1), "app-1", generation));
    world.ask(&volume("b", 2));
    world.settle();
    assert_eq!(world.status("a").unwrap().target.unwrap().portals.len(), 1);
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    assert_eq!(world.phase("b"), Some(Phase::Ready));
    let unavailable = said(Truth::False, reason::PORTAL_UNAVAILABLE);
    assert_eq!(world.pool_reason("fast", PORTALS_LISTENING), unavailable);
}

#[test]
fn what_cannot_change_of_a_pool_is_refused() {
    let rows = [
        ("vg0", "vg1", reason::IMMUTABLE_FIELD),
        ("storage-1", "storage-2", reason::IMMUTABLE_FIELD),
        (
            "\"/dev/vdb\"",
            "\"/dev/vdb\", \"/dev/vdc\"",
            reason::IMMUTABLE_FIELD,
        ),
        ("67108864", "67108865", reason::RESIZE_NOT_SUPPORTED),
    ];
    for (from, to, expected) in rows {
        let mut world = World::new();
        let before = world.sim.lock().groups.clone();
        world.put("fast", &POOL.replace(from, to));
        world.settle();
        assert_eq!(
            world.pool_reason("fast", REFUSED),
            said(Truth::True, expected),
            "{to}"
        );
        assert_eq!(world.sim.lock().groups, before);
    }
}

#[test]
fn a_pool_is_given_up_once_it_is_empty_and_its_group_stays() {
    let mut world = World::new();
    world.ask(&volume("a", 1));
    world.settle();
    let deleted_pool = POOL.replace(
        "\"name\"",
        "\"deletionTimestamp\": \"2026-11-22T12:00:00Z\", \"name\"",
    );
    world.put("fast", &deleted_pool);
    world.settle();
    assert_eq!(
        world.pool_reason("fast", READY),
        said(Truth::False, reason::VOLUMES_EXIST)
    );
    world.ask(&deleted(volume("a", 1)));
    world.settle();
    assert_eq!(
        world.pool_reason("fast", READY),
        said(Truth::False, reason::DELETED)
    );
    let state = world.sim.lock();
    let group = &state.groups["vg0"];
    assert!(group.tags.is_empty() && group.lvs.is_empty(), "{group:?}");
    assert!(state.target().ports.is_empty());
}
