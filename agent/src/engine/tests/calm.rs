//! When a glance may stand for a look.

use super::*;

fn rests_on(world: &World) -> Option<Vec<&str>> {
    let disks = world.engine.rests_on()?;
    Some(disks.iter().map(String::as_str).collect())
}

#[test]
fn a_node_where_all_is_as_asked_rests_on_its_disks() {
    let (mut world, _) = World::exported();
    assert_eq!(rests_on(&world), Some(vec!["/dev/vdb"]));
    // It comes back by a change of LVM's metadata, which a glance sees.
    world.sim.lose_lv("vg0", &id(1).lv_name());
    world.settle();
    assert_eq!(world.phase("a"), Some(Phase::Failed));
    assert_eq!(rests_on(&world), Some(vec!["/dev/vdb"]));
}

/// Seen red with: `waits` in `calm::disks` always false.
#[test]
fn what_ends_unseen_is_looked_for() {
    let mut world = World::new();
    let generation = world.next();
    world.ask(&attached(volume("a", 1), NODE, generation));
    world.settle();
    let lv = world.sim.lvs("vg0")[&id(1).lv_name()].uuid.clone();
    world.sim.lock().local_users.insert(lv.clone());
    world.ask(&deleted(volume("a", 1)));
    world.settle();
    assert_eq!(rests_on(&world), None, "its device is open");
    world.sim.lock().local_users.remove(&lv);
    world.settle();
    assert_eq!(world.phase("a"), Some(Phase::Deleted));
    assert_eq!(rests_on(&world), Some(vec!["/dev/vdb"]));
}

/// Seen red with: `!disks.is_empty()` in `calm::disks` left out.
#[test]
fn a_node_without_a_pool_is_looked_at() {
    let mut world = World::empty();
    world.settle();
    assert_eq!(rests_on(&world), None);
}
