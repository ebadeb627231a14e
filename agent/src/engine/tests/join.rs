//! Requests from a cluster's API: whose they are, what of them is unknown, and what can't be made.

use weir_api::condition::{ORPHANED, READY, REFUSED, REJECTED, reason};
use weir_api::orphan::Remove;

use super::*;
use crate::cluster::ClusterId;
use crate::orders::{Answer, Order};
use crate::record::{Records, VolumeState};
use crate::requests::Invalid;

pub(super) const OURS: ClusterId = ClusterId(Uuid::from_u128(1));
pub(super) const THEIRS: ClusterId = ClusterId(Uuid::from_u128(2));

impl World {
    /// What is in the request directory, as an API would ask for it.
    pub(super) fn asked_by(&self, cluster: ClusterId) -> Requests {
        let mut requests = Requests::read(&self.sim.fs, Path::new(REQUESTS), &|_| true);
        requests.cluster = Some(cluster);
        requests
    }

    pub(super) fn settle_for(&mut self, requests: &Requests) {
        let _ = self.engine.round(requests);
        while self.sim.finish_zeroing() {
            let _ = self.engine.round(requests);
        }
        self.check();
    }

    /// A pool that an API asked for.
    pub(super) fn joined() -> Self {
        let mut world = World::empty();
        world.put("fast", POOL);
        world.settle_for(&world.asked_by(OURS));
        world
    }

    pub(super) fn has(&self, volume: &str, kind: &str) -> bool {
        let (_, status) = &self.engine.statuses().volumes[&name(volume)];
        status
            .conditions
            .iter()
            .any(|c| c.kind == kind && c.status == Truth::True)
    }
}

/// Of so many extents.
fn sized(name: &str, number: u128, extents: u64) -> Volume {
    let mut volume = volume(name, number);
    volume.spec.capacity_bytes = weir_api::units::Bytes(extents * EXTENT);
    volume
}

fn state(records: &Records, number: u128) -> Option<VolumeState> {
    records.volumes.get(&id(number)).map(|volume| volume.state)
}

#[test]
fn a_pool_belongs_to_the_cluster_that_first_asked_for_it() {
    let mut world = World::new();
    assert_eq!(world.records().pools[&name("fast")].cluster, None);
    world.settle_for(&world.asked_by(OURS));
    assert_eq!(world.records().pools[&name("fast")].cluster, Some(OURS));
}

/// Seen red with: `heeded` made to return what it is given.
#[test]
fn nothing_is_done_for_another_cluster_not_even_what_it_orders() {
    let mut world = World::joined();
    world.ask(&volume("a", 1));
    world.settle_for(&world.asked_by(OURS));
    let (records, lvs) = (world.records(), world.sim.lvs("vg0"));
    world.ask(&deleted(volume("a", 1)));
    world.ask(&volume("b", 2));
    world.settle_for(&world.asked_by(THEIRS));
    assert_eq!(world.records(), records);
    assert_eq!(world.sim.lvs("vg0"), lvs);
    assert!(!world.has("a", ORPHANED));
    assert!(world.engine.statuses().foreign.is_some());
    let said = world.pool_reason("fast", REFUSED);
    assert_eq!(said, (Truth::True, reason::FOREIGN_CLUSTER.to_owned()));
    world.settle_for(&world.asked_by(OURS));
    assert_eq!(state(&world.records(), 1), None);
}

/// Seen red with: the condition on `unreadable` in `volume_status` removed.
#[test]
fn what_is_unknown_is_no_orphan() {
    let mut world = World::joined();
    world.ask(&volume("a", 1));
    world.settle_for(&world.asked_by(OURS));
    let unknown = Requests {
        unreadable: Some("the API is away".to_owned()),
        ..Requests::default()
    };
    world.settle_for(&unknown);
    assert!(world.has("a", READY) && !world.has("a", ORPHANED));
    let gauges = crate::gauges::lock(&world.gauges).clone();
    assert_eq!(gauges.orphan_volumes, 0);
    world.vanish("a");
    world.settle_for(&world.asked_by(OURS));
    assert!(world.has("a", READY) && world.has("a", ORPHANED));
}

/// A record that can't be written, since its disk is full: whoever was told would choose another pool, and this one
/// would know nothing of it.
///
/// Seen red with: `rejected` of the verdict set by `cannot_make`.
#[test]
fn a_rejection_that_cannot_be_recorded_is_not_told() {
    let mut world = World::joined();
    world.ask(&sized("a", 1, 1000));
    let requests = world.asked_by(OURS);
    world.sim.fs.fill(Some(Path::new(RECORD)));
    for _ in 0..3 {
        let _ = world.engine.round(&requests);
        assert!(!world.has("a", REJECTED));
        assert_eq!(state(&world.records(), 1), None);
    }
    world.sim.fs.fill(None);
    world.settle_for(&requests);
    assert!(world.has("a", REJECTED));
    assert_eq!(state(&world.records(), 1), Some(VolumeState::Rejected));
}

/// Whatever the power is cut at: what was told to the API is in the record afterwards.
///
/// Seen red with: `replace` in `durable.rs` without its syncs.
#[test]
fn a_rejection_is_durable_before_it_is_told() {
    for steps in 0.. {
        let mut world = World::joined();
        world.ask(&sized("a", 1, 1000));
        let requests = world.asked_by(OURS);
        world.sim.fuse(&Fuse::after(steps));
        let _ = world.engine.round(&requests);
        let told =
            world.engine.statuses().volumes.contains_key(&name("a")) && world.has("a", REJECTED);
        let is_over = !world.sim.lock().fuse.is_blown();
        world.sim.power_cut();
        let recorded = state(&world.records(), 1);
        assert!(!told || recorded == Some(VolumeState::Rejected), "{steps}");
        if is_over {
            assert!(told);
            return;
        }
    }
}

/// Seen red with: `stays` in `rejected` made `false` where there is a request.
#[test]
fn a_rejected_volume_is_made_only_after_it_was_unbound() {
    let mut world = World::joined();
    world.ask(&sized("a", 1, 40));
    world.ask(&sized("b", 2, 40));
    world.settle_for(&world.asked_by(OURS));
    assert!(world.has("b", REJECTED));
    world.ask(&deleted(sized("a", 1, 40)));
    world.settle_for(&world.asked_by(OURS));
    world.restart();
    world.settle_for(&world.asked_by(OURS));
    assert!(world.has("b", REJECTED), "there is room now");
    assert_eq!(world.content(id(2)), None);
    let mut unknown = world.asked_by(OURS);
    unknown.volumes.clear();
    unknown.unreadable = Some("not listed".to_owned());
    world.settle_for(&unknown);
    assert_eq!(state(&world.records(), 2), Some(VolumeState::Rejected));
    world.vanish("b");
    world.settle_for(&world.asked_by(OURS));
    assert_eq!(state(&world.records(), 2), None);
    world.ask(&sized("b", 2, 40));
    world.settle_for(&world.asked_by(OURS));
    assert_eq!(world.content(id(2)), Some(Content::Zero));
}

#[test]
fn a_rejected_volume_that_is_deleted_is_gone_at_once() {
    let mut world = World::joined();
    world.ask(&sized("a", 1, 1000));
    world.settle_for(&world.asked_by(OURS));
    world.ask(&deleted(sized("a", 1, 1000)));
    world.settle_for(&world.asked_by(OURS));
    assert_eq!(world.phase("a"), Some(Phase::Deleted));
    assert!(world.records().volumes.is_empty());
}

/// In a file a person chose the pool: nobody would choose again.
#[test]
fn a_file_is_not_rejected() {
    let mut world = World::new();
    world.ask(&sized("a", 1, 1000));
    world.settle();
    assert!(world.records().volumes.is_empty());
    assert_eq!(
        world.reason("a", READY),
        (Truth::False, reason::NO_SPACE.to_owned())
    );
}

/// Seen red with: `tell` in `orphan_volumes.rs` not looking at `unreadable`.
#[test]
fn a_pools_status_names_the_volumes_that_nobody_asks_for_once_that_is_known() {
    let mut world = World::joined();
    world.ask(&volume("a", 1));
    world.ask(&attached(volume("b", 2), "app-1", Generation(1)));
    world.settle_for(&world.asked_by(OURS));
    let status = |world: &World| world.engine.statuses().pools[&name("fast")].clone();
    assert_eq!(
        (status(&world).orphans, status(&world).orphan_volumes.len()),
        (Some(0), 0)
    );
    world.vanish("b");
    let mut unknown = world.asked_by(OURS);
    unknown.unreadable = Some("not listed".to_owned());
    world.settle_for(&unknown);
    assert_eq!(
        (status(&world).orphans, status(&world).orphan_volumes.len()),
        (None, 0)
    );
    world.settle_for(&world.asked_by(OURS));
    let told = status(&world);
    assert_eq!(told.orphans, Some(1));
    let orphan = &told.orphan_volumes[0];
    assert_eq!((orphan.id, orphan.name.as_str()), (id(2), "b"));
    assert_eq!(orphan.attachments.len(), 1, "{orphan:?}");
    // Without a record its LV tells the same, and its export who may use it.
    world.sim.fs.empty(Path::new(RECORD));
    world.settle_for(&world.asked_by(OURS));
    assert_eq!(status(&world).orphan_volumes, told.orphan_volumes);
}

/// An object that this agent can't serve asks for the volume that its id names, and for no other of its name.
///
/// Seen red with: `may_ask` in `found` of `orphan_volumes.rs` made `invalid.is_some()`.
#[test]
fn a_volume_is_an_orphan_although_another_one_that_cannot_be_served_has_its_name() {
    let mut world = World::joined();
    world.ask(&volume("a", 1));
    world.settle_for(&world.asked_by(OURS));
    world.vanish("a");
    for (theirs, orphans) in [(Some(id(2)), 1), (Some(id(1)), 0), (None, 0)] {
        let mut requests = world.asked_by(OURS);
        requests.invalid.push(Invalid {
            file: "volume-a".to_owned(),
            object: Some(("Volume".to_owned(), name("a"))),
            id: theirs,
            error: "spec.layout: no".to_owned(),
        });
        world.settle_for(&requests);
        let statuses = world.engine.statuses();
        let told = statuses.pools[&name("fast")].orphans;
        assert_eq!(told, Some(orphans), "{theirs:?}");
    }
}

/// The object that asks for it can't be served, and has another name. The volume has no other user: it was not exported.
///
/// Seen red with: the look at `id` of `requests.invalid` in `Sight::remove` removed.
#[test]
fn what_an_object_asks_for_that_cannot_be_served_is_not_destroyed() {
    let mut world = World::joined();
    world.ask(&volume("a", 1));
    world.settle_for(&world.asked_by(OURS));
    world.vanish("a");
    let mut requests = world.asked_by(OURS);
    requests.invalid.push(Invalid {
        file: "volume-other".to_owned(),
        object: Some(("Volume".to_owned(), name("other"))),
        id: Some(id(1)),
        error: "spec.layout: no".to_owned(),
    });
    world.settle_for(&requests);
    let answer = world
        .engine
        .answer(&Order::Remove(Remove { id: id(1) }), &requests);
    assert!(
        matches!(&answer, Answer::Refused(why) if why.contains("asks for it")),
        "{answer:?}"
    );
}

/// An object that was restored from a copy older than the deletion.
///
/// Seen red with: the look at `made` in `new_volume` removed.
#[test]
fn what_was_made_once_and_is_gone_is_not_made_again_empty() {
    let mut world = World::joined();
    world.ask(&volume("a", 1));
    let mut restored = world.asked_by(OURS);
    restored.made.insert(id(1));
    world.settle_for(&restored);
    assert_eq!(
        world.reason("a", READY),
        (Truth::False, reason::DATA_MISSING.to_owned())
    );
    assert_eq!(world.phase("a"), Some(Phase::Failed));
    assert_eq!(world.content(id(1)), None);
    assert!(world.records().volumes.is_empty());
    world.ask(&deleted(volume("a", 1)));
    let mut ended = world.asked_by(OURS);
    ended.made.insert(id(1));
    world.settle_for(&ended);
    assert_eq!(world.phase("a"), Some(Phase::Deleted));
}
