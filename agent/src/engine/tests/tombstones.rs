//! Tombstones: what they destroy, what they leave alone, and when they say that they are done.

use weir_api::condition::{READY, REMOVED, reason};
use weir_api::crd::TombstonePhase;

use super::join::{OURS, THEIRS};
use super::*;
use crate::cluster::ClusterId;
use crate::record::VolumeState;
use crate::requests::Burial;

impl World {
    /// With volumes `a` (1) and `b` (2), which an API asked for and which hold data.
    fn with_two() -> Self {
        let mut world = World::joined();
        for (name, number) in [("a", 1), ("b", 2)] {
            world.ask(&volume(name, number));
        }
        world.settle_for(&world.asked_by(OURS));
        for number in [1, 2] {
            world.write(id(number));
        }
        world
    }

    /// The same, and `a`'s object is gone, as after its deletion was ordered and its finalizer dropped.
    fn without_a() -> Self {
        let world = World::with_two();
        world.gone("a");
        world.sim.lock().ordered.insert(id(1));
        world
    }

    /// Whatever the power is cut at.
    fn gone(&self, name: &str) {
        self.vanish(name);
        self.sim.fs.sync(Path::new(REQUESTS)).unwrap();
    }

    fn lose_record(&self, number: u128) {
        let path = Path::new(RECORD).join(format!("volume-{}.json", id(number)));
        self.sim.fs.unlink(&path).unwrap();
        self.sim.fs.sync(Path::new(RECORD)).unwrap();
    }

    /// What is asked for, and a tombstone of a volume.
    fn buried(&self, cluster: ClusterId, number: u128) -> Requests {
        let mut requests = self.asked_by(cluster);
        requests.tombstones = [(name("t"), burial(number))].into();
        requests
    }

    /// What is said of the tombstone.
    fn grave(&self) -> (TombstonePhase, String) {
        let (_, status) = &self.engine.statuses().tombstones[&name("t")];
        let [said] = &status.conditions[..] else {
            panic!("{status:?}");
        };
        assert_eq!(said.kind, REMOVED);
        let is_done = status.phase == TombstonePhase::Done;
        assert_eq!(said.status == Truth::True, is_done, "{said:?}");
        (status.phase, said.reason.clone())
    }
}

fn burial(number: u128) -> Burial {
    Burial {
        id: id(number),
        pool: name("fast"),
        claimed_by: None,
    }
}

fn done() -> (TombstonePhase, String) {
    (TombstonePhase::Done, reason::DELETED.to_owned())
}

fn waits(reason: &str) -> (TombstonePhase, String) {
    (TombstonePhase::Pending, reason.to_owned())
}

/// Seen red with: `is_buried` not comparing ids.
#[test]
fn a_tombstone_destroys_what_it_names_and_nothing_else() {
    for is_recorded in [true, false] {
        let mut world = World::without_a();
        if !is_recorded {
            world.lose_record(1);
        }
        world.settle_for(&world.buried(OURS, 1));
        assert_eq!(world.content(id(1)), None);
        assert_eq!(world.content(id(2)), Some(Content::Written));
        assert!(world.has("b", READY));
        assert_eq!(world.grave(), done());
        assert!(!world.records().volumes.contains_key(&id(1)));
        // Told again, it says the same and does nothing.
        let commands = changes(&world.sim);
        world.settle_for(&world.buried(OURS, 1));
        assert_eq!((world.grave(), changes(&world.sim)), (done(), commands));
    }
}

/// Also where nothing of it ever was.
#[test]
fn the_tombstone_of_another_id_or_pool_touches_nothing() {
    let mut world = World::without_a();
    let records = world.records();
    world.settle_for(&world.buried(OURS, 3));
    assert_eq!(world.grave(), done());
    let mut elsewhere = world.buried(OURS, 1);
    elsewhere.tombstones.get_mut(&name("t")).unwrap().pool = name("slow");
    world.settle_for(&elsewhere);
    assert_eq!(world.grave(), waits(reason::POOL_NOT_FOUND));
    assert_eq!(world.records(), records);
    assert!(world.content(id(1)).is_some() && world.content(id(2)).is_some());
}

/// An object under its own or another name, one that can't be served, and one that is not known for certain to be
/// another.
///
/// Seen red with: the search for `live` in `heed` left out, and with `claimed_by` left out, each alone.
#[test]
fn a_volume_that_is_asked_for_wins() {
    let mut world = World::with_two();
    world.settle_for(&world.buried(OURS, 1));
    assert_eq!(world.grave(), waits(reason::LIVE_VOLUME));
    world.gone("a");
    world.ask(&volume("c", 1));
    world.settle_for(&world.buried(OURS, 1));
    assert_eq!(world.grave(), waits(reason::LIVE_VOLUME));
    world.gone("c");
    let mut claimed = world.buried(OURS, 1);
    claimed.tombstones.get_mut(&name("t")).unwrap().claimed_by = Some("d".to_owned());
    world.settle_for(&claimed);
    assert_eq!(world.grave(), waits(reason::LIVE_VOLUME));
    assert_eq!(world.content(id(1)), Some(Content::Written));
    // Its object is deleted: both order the same.
    world.ask(&deleted(volume("a", 1)));
    world.settle_for(&world.buried(OURS, 1));
    assert_eq!((world.content(id(1)), world.grave()), (None, done()));
}

/// Seen red with: `is_open` in `deleting` made `false` (the LV can't be removed then, and the reason is another).
#[test]
fn a_tombstone_waits_for_openers() {
    let mut world = World::without_a();
    let lv = world.sim.lvs("vg0")[&id(1).lv_name()].uuid.clone();
    world.sim.lock().local_users.insert(lv);
    for _ in 0..3 {
        world.settle_for(&world.buried(OURS, 1));
        assert_eq!(world.grave(), waits(reason::IN_USE));
        assert_eq!(world.content(id(1)), Some(Content::Written));
    }
    assert_eq!(world.engine.rests_on(), None, "nobody tells of an LV's end");
    world.sim.lock().local_users.clear();
    world.settle_for(&world.buried(OURS, 1));
    assert_eq!((world.content(id(1)), world.grave()), (None, done()));
}

/// What was recorded goes on, whether the API is there or not; what was not, does not begin.
///
/// Seen red with: the check of `unreadable` in `heed` left out.
#[test]
fn without_the_api_only_what_is_recorded_goes_on() {
    let mut world = World::without_a();
    let mut unknown = world.buried(OURS, 1);
    unknown.unreadable = Some("not listed".to_owned());
    world.settle_for(&unknown);
    assert_eq!(world.grave(), waits(reason::WAITING));
    assert_eq!(world.content(id(1)), Some(Content::Written));
    let lv = world.sim.lvs("vg0")[&id(1).lv_name()].uuid.clone();
    world.sim.lock().local_users.insert(lv);
    world.settle_for(&world.buried(OURS, 1));
    assert_eq!(world.records().volumes[&id(1)].state, VolumeState::Deleting);
    world.restart();
    world.sim.lock().local_users.clear();
    let away = Requests {
        unreadable: Some("the API is away".to_owned()),
        ..Requests::default()
    };
    world.settle_for(&away);
    assert_eq!(world.content(id(1)), None);
    assert_eq!(world.content(id(2)), Some(Content::Written));
}

/// Seen red with: the comparison of clusters in `heed` left out, and with `heeded` in `cluster.rs` made to return what it is
/// given, each alone.
#[test]
fn another_clusters_tombstones_are_not_heeded() {
    let mut world = World::without_a();
    world.settle_for(&world.buried(THEIRS, 1));
    assert!(world.engine.statuses().tombstones.is_empty());
    assert_eq!(world.content(id(1)), Some(Content::Written));
    // A pool that no cluster ever asked for: somebody's files did.
    let mut world = World::new();
    world.ask(&volume("a", 1));
    world.settle();
    world.gone("a");
    world.gone("fast");
    world.settle_for(&world.buried(OURS, 1));
    assert_eq!(world.grave(), waits(reason::FOREIGN_CLUSTER));
    assert!(world.content(id(1)).is_some());
}

/// Seen red with: the look at `broken_volumes` in `bury` left out.
#[test]
fn what_cannot_be_looked_at_is_not_said_to_be_gone() {
    let mut world = World::without_a();
    let path = Path::new(RECORD).join(format!("volume-{}.json", id(1)));
    world.sim.fs.put(&path, b"{");
    world.settle_for(&world.buried(OURS, 1));
    assert_eq!(world.grave(), waits(reason::RECORD_BROKEN));
    let pool = Path::new(RECORD).join("pool-fast.json");
    world.sim.fs.put(&pool, b"{");
    world.settle_for(&world.buried(OURS, 1));
    assert_eq!(world.grave(), waits(reason::POOL_NOT_FOUND));
    assert_eq!(world.content(id(1)), Some(Content::Written));
}

/// The power fails after each step: what is destroyed was recorded before, and `Done` is said of what is gone for good.
///
/// Seen red with: `recorded_with` not recording `Deleting`.
#[test]
fn a_tombstone_is_carried_out_whole_whatever_the_power_is_cut_at() {
    for is_recorded in [true, false] {
        for steps in 0.. {
            let mut world = World::without_a();
            if !is_recorded {
                world.lose_record(1);
            }
            let requests = world.buried(OURS, 1);
            world.sim.fuse(&Fuse::after(steps));
            let _ = world.engine.round(&requests);
            let told = world.engine.statuses().tombstones.get(&name("t"));
            let is_told = told.is_some_and(|(_, said)| said.phase == TombstonePhase::Done);
            let is_over = !world.sim.lock().fuse.is_blown();
            world.check();
            world.sim.power_cut();
            let records = world.records();
            let (state, lv) = (
                records.volumes.get(&id(1)).map(|volume| volume.state),
                world.sim.lvs("vg0").contains_key(&id(1).lv_name()),
            );
            if !lv {
                let is_right = matches!(state, None | Some(VolumeState::Deleting));
                assert!(is_right, "after {steps} steps: {state:?}");
            }
            assert!(!is_told || (!lv && state.is_none()), "after {steps} steps");
            world.restart();
            world.settle_for(&world.buried(OURS, 1));
            assert_eq!((world.content(id(1)), world.grave()), (None, done()));
            assert!(world.content(id(2)).is_some());
            if is_over {
                break;
            }
        }
    }
}

/// Its name may be another's by now, and that one waits for its turn as it would after any deletion.
#[test]
fn another_volume_of_the_name_is_made_after_it() {
    let mut world = World::without_a();
    world.ask(&volume("a", 4));
    world.settle_for(&world.buried(OURS, 1));
    world.settle_for(&world.buried(OURS, 1));
    assert_eq!((world.content(id(1)), world.grave()), (None, done()));
    assert_eq!(world.content(id(4)), Some(Content::Zero));
}
