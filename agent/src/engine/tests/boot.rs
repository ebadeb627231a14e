//! What survives when the node is started again.

use weir_api::condition::{REFUSED, VOLATILE_WRITE_CACHE, reason};

use super::*;
use crate::shutdown::shutdown;

/// A world whose disk has a volatile cache; the pool accepts that or not.
fn volatile(accept: bool) -> World {
    let mut world = World::empty();
    let mut state = world.sim.lock();
    state.disks.get_mut("/dev/vdb").unwrap().write_back = true;
    drop(state);
    let accept = format!("\"acceptVolatileWriteCache\": {accept}, \"portals\"");
    world.put("fast", &POOL.replace("\"portals\"", &accept));
    world.settle();
    world
}

fn after(mut world: World, stop: impl Fn(&Sim)) -> World {
    stop(&world.sim);
    world.restart();
    world.settle();
    world
}

fn granted(world: &mut World) -> Volume {
    let generation = world.next();
    let request = attached(volume("a", 1), "app-1", generation);
    world.ask(&request);
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    request
}

/// Seen red with: `settle_boot` returning `Some(self.this_boot())` at once.
#[test]
fn after_an_unclean_stop_a_volatile_cache_ends_every_grant_to_another_node() {
    for stop in [Sim::power_cut, Sim::reboot] {
        let mut world = volatile(false);
        let told = (Truth::True, reason::WRITE_BACK.to_owned());
        assert_eq!(world.pool_reason("fast", VOLATILE_WRITE_CACHE), told);
        granted(&mut world);
        let mut world = after(world, stop);
        assert!(world.hosts_of(id(1)).is_empty());
        assert_eq!(
            world.reason("a", REFUSED),
            (Truth::True, reason::UNCLEAN_STOP.to_owned())
        );
        // A new grant is a new host, which knows nothing of the old one's writes.
        granted(&mut world);
        let world = after(world, Sim::kill);
        assert_eq!(
            world.hosts_of(id(1)).len(),
            1,
            "an agent's restart is no boot"
        );
    }
}

#[test]
fn a_cache_that_keeps_its_content_or_is_accepted_ends_nothing() {
    for mut world in [World::new(), volatile(true)] {
        granted(&mut world);
        let world = after(world, Sim::power_cut);
        assert_eq!(world.hosts_of(id(1)).len(), 1);
    }
}

#[test]
fn a_boot_that_ended_in_good_order_ends_nothing() {
    let mut world = volatile(false);
    granted(&mut world);
    let store = Store::new(Box::new(world.sim.fs.clone()), RECORD.into());
    let exports = KernelTarget {
        configfs: Configfs::over(world.sim.clone()),
        is_loaded: Box::new(|| true),
    };
    let boot = BootId(Uuid::from_u128(world.sim.boots()));
    // For the watch this is an end without an order, and in a way it is.
    shutdown(&store, &exports, &world.sim, boot).unwrap();
    world.sim.lock().violations.clear();
    assert!(world.hosts_of(id(1)).is_empty());
    let world = after(world, Sim::reboot);
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    let boot = world.records().pools[&name("fast")].boot.clone().unwrap();
    assert!(!boot.ended, "the next one has to say so again");
}

#[test]
fn what_this_node_itself_used_is_its_own_again() {
    let mut world = volatile(false);
    let generation = world.next();
    world.ask(&attached(volume("a", 1), NODE, generation));
    world.settle();
    let world = after(world, Sim::power_cut);
    assert!(world.status("a").unwrap().device_path.is_some());
}
