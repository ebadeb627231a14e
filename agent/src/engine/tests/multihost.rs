//! Volumes that several hosts use at once.

use weir_api::condition::{EXPORTED, OPENED_LOCALLY, REFUSED, reason};

use super::*;

fn mappings(world: &World) -> Vec<(String, bool)> {
    let state = world.sim.lock();
    let mappings = state.mappings.iter();
    mappings
        .map(|(name, mapping)| (name.clone(), mapping.lv.is_some()))
        .collect()
}

fn ready(world: &World, node: &str) -> bool {
    let status = world.status("a").unwrap();
    let of = status
        .attachments
        .iter()
        .find(|a| a.node_name.as_str() == node);
    of.is_some_and(|a| a.message.is_none() && (a.target.is_some() || a.device_path.is_some()))
}

#[test]
fn each_host_has_a_mapping_and_a_subsystem_of_its_own() {
    let mut world = World::new();
    let (first, second) = (world.next(), world.next());
    let request = shared(volume("a", 1), &[("app-1", first), ("app-2", second)]);
    world.ask(&request);
    world.settle();
    assert_eq!(world.hosts_of(id(1)), granted_hosts(&request).collect());
    assert_eq!(mappings(&world).len(), 2);
    let target = world.sim.target();
    assert_eq!(target.subsystems.len(), 2);
    for subsystem in target.subsystems.values() {
        assert_eq!(subsystem.allowed_hosts.len(), 1);
        let namespace = subsystem.namespaces.values().next().unwrap();
        assert_eq!(namespace.uuid, id(1).0);
        let device = namespace.device_path.to_str().unwrap();
        assert!(device.starts_with("/dev/mapper/weir-00000000000000000000000000000001-"));
    }
    assert!(ready(&world, "app-1") && ready(&world, "app-2"));
    let measured = world.measured.lock().unwrap().clone();
    assert_eq!(measured.volumes[0].devices.len(), 2);
}

/// Seen red with: `cut_off` taking all of `traces` instead of `unwanted`.
#[test]
fn one_host_goes_and_the_other_notices_nothing() {
    let (mut world, _, second) = World::exported_to_two();
    let stays = world
        .sim
        .target()
        .subsystems
        .keys()
        .next_back()
        .cloned()
        .unwrap();
    let commands = world.sim.lock().commands.len();
    let request = shared(volume("a", 1), &[("app-2", second)]);
    world.ask(&request);
    world.settle();
    assert_eq!(world.hosts_of(id(1)), granted_hosts(&request).collect());
    assert_eq!(mappings(&world).len(), 1);
    let target = world.sim.target();
    assert_eq!(target.subsystems.keys().collect::<Vec<_>>(), [&stays]);
    // The mapping fails before anything else ends: only that waits for I/O that is on its way.
    let state = world.sim.lock();
    let dm: Vec<&String> = state.commands[commands..]
        .iter()
        .filter(|cmd| cmd.starts_with("dmsetup") && !cmd.starts_with("dmsetup status"))
        .collect();
    assert!(dm[0].starts_with("dmsetup wipe_table"), "{dm:?}");
    assert!(dm[1].starts_with("dmsetup remove"), "{dm:?}");
}

#[test]
fn a_host_is_granted_again_once_its_last_grant_is_gone() {
    let (mut world, first, second) = World::exported_to_two();
    let old = mappings(&world);
    let third = world.next();
    let request = shared(volume("a", 1), &[("app-1", third), ("app-2", second)]);
    world.ask(&request);
    world.settle();
    assert_eq!(world.hosts_of(id(1)), granted_hosts(&request).collect());
    let new = mappings(&world);
    assert_eq!(
        new.iter().filter(|mapping| old.contains(mapping)).count(),
        1
    );
    let request = shared(volume("a", 1), &[("app-1", first), ("app-2", second)]);
    world.ask(&request);
    world.settle();
    assert_eq!(
        world.reason("a", REFUSED),
        (Truth::True, reason::STALE_GENERATION.to_owned())
    );
    assert_eq!(mappings(&world), new, "a refused request changes nothing");
}

#[test]
fn this_node_is_one_of_several_and_leaves_with_its_last_closer() {
    let mut world = World::new();
    let (here, there) = (world.next(), world.next());
    world.ask(&shared(volume("a", 1), &[(NODE, here), ("app-1", there)]));
    world.settle();
    let status = world.status("a").unwrap();
    let own = status
        .attachments
        .iter()
        .find(|a| a.node_name.as_str() == NODE);
    let path = own.unwrap().device_path.clone().unwrap();
    let name = path.strip_prefix("/dev/mapper/").unwrap().to_owned();
    world.sim.lock().local_users.insert(name);
    world.ask(&shared(volume("a", 1), &[("app-1", there)]));
    world.settle();
    assert_eq!(
        world.reason("a", EXPORTED),
        (Truth::False, reason::IN_USE.to_owned())
    );
    assert_eq!(mappings(&world).len(), 2);
    assert!(ready(&world, "app-1") && !ready(&world, NODE));
    world.sim.lock().local_users.clear();
    world.settle();
    assert_eq!(mappings(&world).len(), 1);
    assert_eq!(world.hosts_of(id(1)).len(), 1);
}

#[test]
fn whoever_opens_the_lv_itself_beside_its_hosts_is_told_of() {
    let mut world = World::new();
    let grant = world.next();
    world.ask(&shared(volume("a", 1), &[("app-1", grant)]));
    world.settle();
    let lv = world.sim.lvs("vg0")[&id(1).lv_name()].uuid.clone();
    world.sim.lock().local_users.insert(lv);
    world.settle();
    assert_eq!(
        world.reason("a", OPENED_LOCALLY),
        (Truth::True, reason::IN_USE.to_owned())
    );
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    // But nobody else is let in.
    let next = world.next();
    world.ask(&shared(
        volume("a", 1),
        &[("app-1", grant), ("app-2", next)],
    ));
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    assert!(!ready(&world, "app-2"));
    world.sim.lock().local_users.clear();
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 2);
}

#[test]
fn everything_comes_back_after_a_reboot_and_goes_with_the_volume() {
    let mut world = World::new();
    let (first, second) = (world.next(), world.next());
    let request = shared(volume("a", 1), &[("app-1", first), ("app-2", second)]);
    world.ask(&request);
    world.settle();
    world.vanish("a");
    world.sim.reboot();
    world.restart();
    world.settle();
    assert_eq!(world.hosts_of(id(1)), granted_hosts(&request).collect());
    world.ask(&deleted(request));
    world.settle();
    assert_eq!(world.phase("a"), Some(Phase::Deleted));
    assert!(mappings(&world).is_empty());
    assert!(world.sim.target().subsystems.is_empty());
}

#[test]
fn how_many_hosts_may_use_a_volume_never_changes() {
    let mut world = World::new();
    let grant = world.next();
    world.ask(&attached(volume("a", 1), "app-1", grant));
    world.settle();
    world.ask(&shared(volume("a", 1), &[("app-1", grant)]));
    world.settle();
    let refused = (Truth::True, reason::IMMUTABLE_FIELD.to_owned());
    assert_eq!(world.reason("a", REFUSED), refused);
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    // Nor when the record was lost.
    world.sim.fs.empty(Path::new(RECORD));
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    assert!(mappings(&world).is_empty());
}
