//! Orphans, foreign LVs and recovery: one story each.

use weir_api::condition::{READY, REFUSED, reason};
use weir_api::orphan::{Adopt, Orphan, OrphanKind, Remove};

use super::*;
use crate::lvm::generation_tag;
use crate::orders::{Answer, Order};
use crate::record::VolumeState;
use crate::recover::{self, Places, Recovery, Wish};
use crate::target::Exports;

const LV: &str = "w_00000000000000000000000000000001";

impl World {
    fn order(&mut self, order: &Order) -> Answer {
        let requests = Requests::read(&self.sim.fs, Path::new(REQUESTS), &|_| true);
        let answer = self.engine.answer(order, &requests);
        self.check();
        answer
    }

    fn remove(&mut self, id: VolumeId) -> Answer {
        let answer = self.order(&Order::Remove(Remove { id }));
        if matches!(answer, Answer::Done(_)) {
            self.sim.lock().ordered.insert(id);
        }
        answer
    }

    fn adopt(&mut self, order: Adopt) -> Answer {
        self.order(&Order::Adopt(order))
    }

    fn orphans(&mut self) -> Vec<Orphan> {
        match self.order(&Order::List) {
            Answer::Orphans(orphans) => orphans.items,
            answer => panic!("{answer:?}"),
        }
    }

    /// Removes a request for good.
    fn unlink(&self, file: &str) {
        let dir = Path::new(REQUESTS);
        self.sim.fs.unlink(&dir.join(file)).unwrap();
        self.sim.fs.sync(dir).unwrap();
    }

    fn forget(&self, id: VolumeId) {
        let path = Path::new(RECORD).join(format!("volume-{id}.json"));
        self.sim.fs.unlink(&path).unwrap();
        self.sim.fs.sync(Path::new(RECORD)).unwrap();
    }

    /// A volume `a` that is ready and holds data.
    fn with_volume() -> Self {
        let mut world = World::new();
        world.ask(&volume("a", 1));
        world.settle();
        world.write(id(1));
        world
    }

    /// The same, exported to app-1.
    fn with_export() -> Self {
        let (world, _) = World::exported();
        world.write(id(1));
        world
    }

    /// Makes record and requests again, as `weir-agent recover` does.
    fn recover(&mut self, floor: Option<Generation>) -> Recovery {
        let target = KernelTarget {
            configfs: Configfs::over(self.sim.clone()),
            is_loaded: Box::new(|| true),
        };
        let node = NODE.parse().unwrap();
        let wish = Wish { node: &node, floor };
        let places = Places {
            store: &Store::new(Box::new(self.sim.fs.clone()), RECORD.into()),
            fs: &self.sim.fs,
            requests: Path::new(REQUESTS),
        };
        let recovery = recover::look(&wish, &self.sim, &self.sim, &target.read(), &places).unwrap();
        recover::write(&recovery, &places).unwrap();
        recovery
    }

    fn lose_everything(&mut self) {
        self.sim.fs.empty(Path::new(RECORD));
        self.sim.fs.empty(Path::new(REQUESTS));
        self.sim.kill();
        self.restart();
    }
}

fn said(truth: Truth, reason: &str) -> (Truth, String) {
    (truth, reason.to_owned())
}

fn kinds(orphans: &[Orphan]) -> Vec<OrphanKind> {
    orphans.iter().map(|orphan| orphan.kind).collect()
}

fn refused(answer: &Answer) -> &str {
    match answer {
        Answer::Refused(why) => why,
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn orphans_are_listed_by_what_is_left_of_them() {
    let mut world = World::with_volume();
    assert!(world.orphans().is_empty());
    world.vanish("a");
    let orphans = world.orphans();
    assert_eq!(kinds(&orphans), [OrphanKind::Volume]);
    assert_eq!(orphans[0].name.as_ref().unwrap().as_str(), "a");
    world.forget(id(1));
    let orphans = world.orphans();
    assert_eq!(kinds(&orphans), [OrphanKind::LogicalVolume]);
    assert_eq!(orphans[0].place, format!("vg0/{LV}"));
    assert_eq!(orphans[0].capacity_bytes.0, 2 * EXTENT);
    world.vanish("fast");
    let orphans = world.orphans();
    assert_eq!(
        kinds(&orphans),
        [OrphanKind::Pool, OrphanKind::LogicalVolume]
    );
    world.sim.fs.empty(Path::new(RECORD));
    let orphans = world.orphans();
    assert_eq!(
        kinds(&orphans),
        [OrphanKind::VolumeGroup, OrphanKind::LogicalVolume]
    );
    let path = Path::new(RECORD).join(format!("volume-{}.json", id(1)));
    world.sim.fs.put(&path, b"{");
    assert_eq!(
        kinds(&world.orphans()),
        [OrphanKind::VolumeGroup, OrphanKind::Record]
    );
}

/// Seen red with: `state: VolumeState::Deleting` in `Sight::remove` left out.
#[test]
fn an_orphan_is_destroyed_by_an_order_that_names_it_and_nothing_else() {
    for is_recorded in [true, false] {
        let mut world = World::with_volume();
        world.ask(&volume("b", 2));
        world.settle();
        for name in ["a", "b"] {
            world.vanish(name);
        }
        if !is_recorded {
            world.forget(id(1));
        }
        world.settle();
        assert!(matches!(world.remove(id(1)), Answer::Done(_)));
        assert!(world.content(id(1)).is_some(), "it is only recorded yet");
        assert_eq!(world.records().volumes[&id(1)].state, VolumeState::Deleting);
        world.settle();
        assert_eq!(world.content(id(1)), None);
        assert!(world.content(id(2)).is_some());
        assert_eq!(kinds(&world.orphans()), [OrphanKind::Volume], "b");
    }
}

/// The power fails after each step of an order and of what follows it.
#[test]
fn an_order_to_destroy_is_carried_out_whole_or_not_at_all() {
    for steps in 0.. {
        let mut world = World::with_volume();
        world.unlink("a.json");
        world.forget(id(1));
        // What is destroyed must be recorded as such: the simulated LVM looks at the disk.
        world.sim.lock().ordered.insert(id(1));
        world.sim.fuse(&Fuse::after(steps));
        let answer = world.order(&Order::Remove(Remove { id: id(1) }));
        let round = world.try_round();
        world.check();
        world.sim.power_cut();
        world.restart();
        world.settle();
        let is_there = world.content(id(1)).is_some();
        if matches!(answer, Answer::Done(_)) {
            assert!(!is_there, "the order is lost after {steps} steps");
        }
        if matches!(round, Ok(Round::Settled)) && steps > 40 {
            return;
        }
    }
}

/// Each row: what is done to an orphan LV, and why the order to destroy it is refused then.
///
/// Seen red with: the check of `is_open` in `Sight::remove` removed, and with that of
/// `requests.invalid` without an object removed.
#[test]
fn an_order_to_destroy_what_may_be_in_use_is_refused() {
    type Do = fn(&mut World);
    let rows: [(Do, &str); 6] = [
        (|world| world.ask(&volume("other", 1)), "asked for"),
        (
            |world| {
                let uuid = uuid_of(world, LV);
                world.sim.lock().local_users.insert(uuid);
            },
            "open",
        ),
        (|world| world.put("junk", "{"), "may ask for it"),
        (
            |world| {
                let text = serde_json::to_string(&volume("a", 1)).unwrap();
                world.put("a", &text.replace("\"spec\"", "\"spek\""));
            },
            "asks for it",
        ),
        (
            |world| {
                let path = Path::new(RECORD).join(format!("volume-{}.json", id(1)));
                world.sim.fs.put(&path, b"{");
            },
            "EOF",
        ),
        (
            |world| {
                let mut state = world.sim.lock();
                let lvs = &mut state.groups.get_mut("vg0").unwrap().lvs;
                let lv = lvs.remove(LV).unwrap();
                lvs.insert("copy".to_owned(), lv);
            },
            "rename it",
        ),
    ];
    for (make, why) in rows {
        let mut world = World::with_volume();
        world.vanish("a");
        world.forget(id(1));
        make(&mut world);
        let writes = world.sim.fs.writes();
        let answer = world.order(&Order::Remove(Remove { id: id(1) }));
        assert!(refused(&answer).contains(why), "{answer:?}");
        assert_eq!(world.sim.fs.writes(), writes);
    }
    let mut world = World::with_export();
    world.vanish("a");
    let answer = world.order(&Order::Remove(Remove { id: id(1) }));
    assert!(refused(&answer).contains("exported"), "{answer:?}");
    let answer = world.order(&Order::Remove(Remove { id: id(9) }));
    assert!(refused(&answer).contains("no orphan"), "{answer:?}");
}

fn uuid_of(world: &World, lv: &str) -> String {
    world.sim.lvs("vg0")[lv].uuid.clone()
}

/// An export that goes on is checked by the simulated node: nobody may lose it without an order.
///
/// Seen red with: `live_grants` returning no grants.
#[test]
fn an_orphan_is_adopted_as_it_is_exports_included() {
    for is_recorded in [true, false] {
        let mut world = World::with_export();
        world.vanish("a");
        if !is_recorded {
            world.forget(id(1));
        }
        world.settle();
        let adopt = Adopt::Volume {
            id: id(1),
            name: None,
        };
        let answer = world.adopt(adopt.clone());
        assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
        world.settle();
        assert_eq!(world.phase("a"), Some(Phase::Ready));
        assert_eq!(world.hosts_of(id(1)).len(), 1);
        assert_eq!(world.content(id(1)), Some(Content::Written));
        assert!(world.orphans().is_empty());
        assert!(refused(&world.adopt(adopt)).contains("asked for"));
    }
}

#[test]
fn a_pool_is_adopted_from_its_record_or_its_tags() {
    for is_recorded in [true, false] {
        let mut world = World::with_volume();
        let before = world.records().pools.values().next().cloned().unwrap();
        for name in ["a", "fast"] {
            world.vanish(name);
        }
        if !is_recorded {
            world.sim.fs.empty(Path::new(RECORD));
        }
        let answer = world.adopt(Adopt::Volume {
            id: id(1),
            name: None,
        });
        if !is_recorded {
            assert!(refused(&answer).contains("adopt it first"), "{answer:?}");
        }
        let answer = world.adopt(Adopt::Pool { name: name("fast") });
        assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
        world.settle();
        world.settle();
        assert_eq!(world.records().pools.values().next(), Some(&before));
        world.adopt(Adopt::Volume {
            id: id(1),
            name: None,
        });
        world.settle();
        assert_eq!(world.phase("a"), Some(Phase::Ready));
        assert!(world.orphans().is_empty());
    }
}

fn foreign(name: &str) -> Adopt {
    Adopt::Foreign {
        volume_group: "vg0".parse().unwrap(),
        logical_volume: "data".to_owned(),
        name: name.parse().unwrap(),
        id: Some(id(1)),
    }
}

#[test]
fn a_foreign_lv_becomes_a_volume_with_its_data() {
    let mut world = World::new();
    world.sim.foreign_lv("vg0", "data", "theirs");
    let answer = world.adopt(foreign("a"));
    assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    world.settle();
    assert_eq!(world.phase("a"), Some(Phase::Ready));
    assert_eq!(uuid_of(&world, LV), "theirs");
    assert_eq!(world.content(id(1)), Some(Content::Written));
    assert!(!world.sim.lvs("vg0").contains_key("data"));
    let generation = world.next();
    world.ask(&attached(volume("a", 1), "app-1", generation));
    world.unlink("volume-a.yaml");
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 1);
}

/// The power fails after each step, and the request vanishes once it was taken: the LV is as it was, or
/// becomes the volume in the end, and its data is there.
#[test]
fn an_adoption_survives_a_power_cut_at_any_step() {
    for steps in 0.. {
        let mut world = World::new();
        world.sim.foreign_lv("vg0", "data", "theirs");
        world.adopt(foreign("a"));
        world.sim.fuse(&Fuse::after(steps));
        let round = world.round();
        world.sim.power_cut();
        world.restart();
        if world.records().volumes.contains_key(&id(1)) {
            world.unlink("volume-a.yaml");
        }
        world.settle();
        assert_eq!(world.phase("a"), Some(Phase::Ready), "after {steps} steps");
        assert_eq!(uuid_of(&world, LV), "theirs");
        assert_eq!(world.content(id(1)), Some(Content::Written));
        if round == Round::Settled {
            return;
        }
    }
}

/// Seen red with: `adopting: None` in `adopting_steps` left out of what is recorded in the end.
#[test]
fn an_lv_that_takes_the_name_of_one_that_was_adopted_is_nobodys_volume() {
    let mut world = World::new();
    world.sim.foreign_lv("vg0", "data", "theirs");
    world.adopt(foreign("a"));
    world.settle();
    assert_eq!(world.records().volumes[&id(1)].adopting, None);
    world.sim.lose_lv("vg0", LV);
    world.sim.foreign_lv("vg0", "data", "anothers");
    world.settle();
    assert_eq!(
        world.reason("a", READY),
        said(Truth::False, reason::DATA_MISSING)
    );
    assert!(world.sim.lvs("vg0")["data"].tags.is_empty());
}

/// Seen red with: the check of `is_open` in plan/adopt.rs removed, and with that of Weir's tags removed.
#[test]
fn an_lv_that_is_in_use_or_weirs_own_is_not_adopted() {
    let request = |source: &str, extents: u64| {
        let mut wanted = volume("a", 1);
        wanted.spec.capacity_bytes.0 = extents * EXTENT;
        wanted.spec.source = Some(weir_api::volume::Source {
            logical_volume: source.to_owned(),
        });
        wanted
    };
    let mut world = World::new();
    world.sim.foreign_lv("vg0", "data", "theirs");
    world.sim.lock().local_users.insert("theirs".to_owned());
    world.ask(&request("data", 2));
    world.settle();
    assert_eq!(world.reason("a", READY), said(Truth::False, reason::IN_USE));
    world.sim.lock().local_users.clear();
    for (source, extents, why) in [
        ("data", 3, reason::FOREIGN),
        ("data", 1, reason::FOREIGN),
        ("weir_thin", 16, reason::FOREIGN),
        ("nothing", 2, reason::DATA_MISSING),
    ] {
        world.ask(&request(source, extents));
        world.settle();
        assert_eq!(
            world.reason("a", READY),
            said(Truth::False, why),
            "{source}"
        );
        assert!(world.records().volumes.is_empty());
    }
    world.ask(&volume("b", 2));
    world.settle();
    world.ask(&request(&id(2).lv_name(), 2));
    world.settle();
    assert_eq!(
        world.reason("a", READY),
        said(Truth::False, reason::FOREIGN)
    );
    assert_eq!(world.phase("b"), Some(Phase::Ready));
}

/// Record and requests are lost, the node runs on: nobody notices.
///
/// Seen red with: `live_grants` returning no grants.
#[test]
fn what_was_recovered_from_tags_serves_on() {
    let mut world = World::with_export();
    let mut thin = volume("thin", 2);
    thin.spec.provisioning = Provisioning::Thin;
    world.ask(&thin);
    world.settle();
    let before = world.records();
    world.lose_everything();
    let recovery = world.recover(None);
    assert_eq!(recovery.left, []);
    assert_eq!((recovery.pools.len(), recovery.volumes.len()), (1, 2));
    world.settle();
    assert_eq!(world.records(), before);
    assert_eq!(world.phase("a"), Some(Phase::Ready));
    assert_eq!(world.phase("thin"), Some(Phase::Ready));
    assert_eq!(world.hosts_of(id(1)).len(), 1);
    assert_eq!(world.content(id(1)), Some(Content::Written));
    assert!(world.orphans().is_empty());
    assert_eq!(world.recover(None), Recovery::default());
}

/// The same for a volume that two hosts use: both go on, each through the mapping it has.
#[test]
fn what_was_recovered_from_tags_serves_several_hosts_on() {
    let (mut world, _, _) = World::exported_to_two();
    let (before, target) = (world.records(), world.sim.target());
    world.lose_everything();
    assert_eq!(world.recover(None).left, []);
    let commands = world.sim.lock().commands.len();
    world.settle();
    assert_eq!(world.records(), before);
    assert_eq!(world.sim.target(), target);
    let state = world.sim.lock();
    let mut later = state.commands[commands..].iter();
    let changes_mappings =
        |cmd: &&String| cmd.starts_with("dmsetup") && !cmd.starts_with("dmsetup status");
    assert_eq!(later.find(changes_mappings), None);
}

/// After a reboot nothing but the tags says which generations were granted.
///
/// Seen red with: `max(known)` in `volumes_of` left out together with the tag's part in
/// `volume_from_tags`.
#[test]
fn no_generation_that_was_ever_granted_is_granted_after_a_recovery() {
    let mut world = World::with_export();
    for host in ["app-2", "app-3"] {
        let generation = world.next();
        world.ask(&attached(volume("a", 1), host, generation));
        world.settle();
    }
    world.lose_everything();
    world.sim.power_cut();
    world.sim.fs.empty(Path::new(RECORD));
    world.sim.fs.empty(Path::new(REQUESTS));
    world.restart();
    world.recover(None);
    world.settle();
    assert!(world.hosts_of(id(1)).is_empty());
    world.unlink("volume-a.yaml");
    for used in 1..=3 {
        world.ask(&attached(volume("a", 1), "app-1", Generation(used)));
        world.settle();
        let stale = said(Truth::True, reason::STALE_GENERATION);
        assert_eq!(world.reason("a", REFUSED), stale);
        assert!(world.hosts_of(id(1)).is_empty());
    }
    world.ask(&attached(volume("a", 1), "app-1", Generation(4)));
    world.settle();
    assert_eq!(world.hosts_of(id(1)).len(), 1);
}

/// The agent itself claims the volume of a request again: the tag holds there too.
///
/// Seen red with: `.max(granted(lv))` in `claim` removed.
#[test]
fn a_claimed_volume_remembers_its_generations() {
    let mut world = World::with_export();
    world.ask(&volume("a", 1));
    world.settle();
    world.sim.fs.empty(Path::new(RECORD));
    world.sim.reboot();
    world.restart();
    world.settle();
    world.ask(&attached(volume("a", 1), "app-1", Generation(1)));
    world.settle();
    let stale = said(Truth::True, reason::STALE_GENERATION);
    assert_eq!(world.reason("a", REFUSED), stale);
}

#[test]
fn what_the_tags_do_not_tell_is_left_alone() {
    let mut world = World::with_volume();
    let mut state = world.sim.lock();
    let lvs = &mut state.groups.get_mut("vg0").unwrap().lvs;
    lvs.get_mut(LV)
        .unwrap()
        .tags
        .remove(&generation_tag(Generation(0)));
    drop(state);
    world.lose_everything();
    let recovery = world.recover(None);
    assert_eq!(recovery.volumes, []);
    assert!(recovery.left[0].why.contains("--floor"), "{recovery:?}");
    let recovery = world.recover(Some(Generation(70)));
    assert_eq!(recovery.volumes[0].highest_generation, Some(Generation(70)));
    assert_eq!(recovery.left, []);

    let mut world = World::with_volume();
    world.lose_everything();
    let mut state = world.sim.lock();
    let tags = &mut state.groups.get_mut("vg0").unwrap().tags;
    tags.retain(|tag| !tag.starts_with("weir.node="));
    tags.insert("weir.node=storage-2".to_owned());
    drop(state);
    let recovery = world.recover(None);
    assert_eq!((recovery.pools, recovery.volumes), (vec![], vec![]));
    assert!(recovery.left[0].why.contains("storage-2"));
}

/// A volume that was not zeroed yet is not given to anybody by a recovery.
#[test]
fn an_unzeroed_volume_is_zeroed_after_a_recovery() {
    let mut world = World::new();
    world.ask(&volume("a", 1));
    world.round();
    assert_eq!(world.content(id(1)), Some(Content::Old));
    world.lose_everything();
    let recovery = world.recover(None);
    assert_eq!(recovery.volumes[0].state, VolumeState::Creating);
    world.settle();
    assert_eq!(world.phase("a"), Some(Phase::Ready));
    assert_eq!(world.content(id(1)), Some(Content::Zero));
}
