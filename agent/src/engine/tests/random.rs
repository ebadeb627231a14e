//! Anything anybody can do to the engine, in any order.

use proptest::prelude::*;

use super::*;

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// Volume `0..4` is asked for, as its object of the day is, attached to one of the nodes or to
    /// nobody.
    Ask {
        volume: u8,
        node: Option<u8>,
        thin: bool,
    },
    /// Its deletion is ordered.
    Delete(u8),
    /// Another object of the same name is asked for.
    Replace(u8),
    /// Its file vanishes.
    Vanish(u8),
    /// Its file is damaged.
    Damage(u8),
    /// All requests vanish.
    EmptyRequests,
    /// All records vanish.
    EmptyRecord,
    /// Somebody on the node opens what is there for local use, or closes it.
    Open(u8, bool),
    /// Zeroing ends.
    Zeroed,
    /// The agent works.
    Round,
    /// The agent is stopped after so many steps: killed, rebooted, or without power.
    Stop { after: i64, how: u8 },
}

fn event() -> impl Strategy<Value = Event> {
    let volume = 0..4u8;
    prop_oneof![
        6 => (volume.clone(), proptest::option::of(0..3u8), any::<bool>())
            .prop_map(|(volume, node, thin)| Event::Ask { volume, node, thin }),
        2 => volume.clone().prop_map(Event::Delete),
        1 => volume.clone().prop_map(Event::Replace),
        1 => volume.clone().prop_map(Event::Vanish),
        1 => volume.clone().prop_map(Event::Damage),
        1 => Just(Event::EmptyRequests),
        1 => Just(Event::EmptyRecord),
        1 => (volume, any::<bool>()).prop_map(|(volume, open)| Event::Open(volume, open)),
        3 => Just(Event::Zeroed),
        6 => Just(Event::Round),
        6 => (0..60i64, 0..3u8).prop_map(|(after, how)| Event::Stop { after, how }),
    ]
}

const NODES: [&str; 3] = [NODE, "app-1", "app-2"];

/// The first object of each name. Those of odd numbers are for several hosts.
fn volume_of(number: u8) -> Volume {
    let mut volume = volume(&format!("v{number}"), u128::from(number) + 1);
    if number % 2 == 1 {
        volume.spec.access = Access::MultiHost;
    }
    volume
}

struct Story {
    world: World,
    /// The object of the day under each name.
    current: [Volume; 4],
    /// Volumes that were deleted to the end.
    gone: BTreeSet<VolumeId>,
    /// Volumes that somebody wrote to.
    written: BTreeSet<VolumeId>,
    made: u128,
}

impl Story {
    fn new() -> Self {
        Story {
            world: World::new(),
            current: [0, 1, 2, 3].map(|n: u8| volume_of(n)),
            gone: BTreeSet::new(),
            written: BTreeSet::new(),
            made: 4,
        }
    }

    fn happen(&mut self, event: &Event) {
        let world = &mut self.world;
        match *event {
            Event::Ask { volume, node, thin } => {
                let current = &mut self.current[usize::from(volume)];
                let is_new = !world.hosts.contains_key(&current.spec.id);
                if is_new && thin {
                    current.spec.provisioning = Provisioning::Thin;
                }
                if current.is_deleted() {
                    return;
                }
                let node = node.map(|node| NODES[usize::from(node)]);
                let generation = node.map(|_| world.next());
                let granted = node.zip(generation);
                if current.spec.access == Access::MultiHost {
                    // A node comes, goes, or is granted again.
                    let grants = &mut current.spec.attachments;
                    let before = grants.len();
                    if let Some((node, generation)) = granted {
                        grants.retain(|grant| grant.node_name.as_str() != node);
                        if grants.len() == before || thin {
                            let mut again = attached(volume_of(1), node, generation);
                            grants.append(&mut again.spec.attachments);
                        }
                    } else {
                        grants.clear();
                    }
                } else {
                    current.spec.attachments.clear();
                    if let Some((node, generation)) = granted {
                        *current = attached(current.clone(), node, generation);
                    }
                }
                world.ask(current);
            }
            Event::Delete(volume) => {
                let current = &mut self.current[usize::from(volume)];
                *current = deleted(current.clone());
                world.ask(current);
            }
            Event::Replace(number) => {
                self.made += 1;
                let mut new = volume_of(number);
                new.spec.id = id(self.made);
                self.current[usize::from(number)] = new;
                world.ask(&self.current[usize::from(number)]);
            }
            Event::Vanish(volume) => world.vanish(&format!("v{volume}")),
            Event::Damage(volume) => {
                let text = serde_json::to_string(&self.current[usize::from(volume)]).unwrap();
                world.put(&format!("v{volume}"), &text.replace("thick", "thicc"));
            }
            Event::EmptyRequests => world.sim.fs.empty(Path::new(REQUESTS)),
            Event::EmptyRecord => world.sim.fs.empty(Path::new(RECORD)),
            Event::Open(volume, open) => self.open(volume, open),
            Event::Zeroed => {
                world.sim.finish_zeroing();
            }
            Event::Round => {
                if world.round() == Round::Settled {
                    self.note_gone();
                }
            }
            Event::Stop { after, how } => {
                let fuse = Fuse::after(after);
                world.sim.fuse(&fuse);
                let _ = world.try_round();
                world.check();
                match how {
                    0 => world.sim.kill(),
                    1 => world.sim.reboot(),
                    _ => world.sim.power_cut(),
                }
                world.restart();
            }
        }
        self.write();
        self.look();
    }

    /// What the agent says is deleted never comes back.
    fn note_gone(&mut self) {
        let records = self.world.records();
        let ordered = self.world.sim.lock().ordered.clone();
        let is_gone =
            |id: &VolumeId| self.world.content(*id).is_none() && !records.volumes.contains_key(id);
        self.gone.extend(ordered.into_iter().filter(is_gone));
    }

    /// A volume that its status offers for local use is opened, unless it was taken back.
    fn open(&mut self, volume: u8, open: bool) {
        let world = &self.world;
        let id = self.current[usize::from(volume)].spec.id;
        let Some(lv) = world.sim.lvs("vg0").get(&id.lv_name()).cloned() else {
            return;
        };
        let offered = world
            .status(&format!("v{volume}"))
            .is_some_and(|s| s.device_path.is_some());
        let exported = world
            .sim
            .target()
            .subsystems
            .keys()
            .any(|nqn| nqn.as_str() == id.nqn());
        let mut state = world.sim.lock();
        if !open {
            state.local_users.remove(&lv.uuid);
        } else if offered && !exported && state.active.contains(&lv.uuid) {
            state.local_users.insert(lv.uuid);
        }
    }

    /// Whoever can use a volume writes to it.
    fn write(&mut self) {
        let ids: Vec<VolumeId> = self.world.hosts.keys().copied().collect();
        for id in ids {
            if !self.world.hosts_of(id).is_empty() && self.world.content(id).is_some() {
                self.world.write(id);
                self.written.insert(id);
            }
        }
    }

    /// What was written and not ordered away is there.
    fn look(&self) {
        self.world.check();
        for id in &self.gone {
            assert_eq!(self.world.content(*id), None, "volume {id} came back");
        }
        for id in &self.written {
            if !self.world.sim.lock().ordered.contains(id) {
                assert_eq!(
                    self.world.content(*id),
                    Some(Content::Written),
                    "volume {id}"
                );
            }
        }
    }

    /// In the end, everything that is asked for is as it is asked for.
    fn end(mut self) {
        self.world.put("fast", POOL);
        for volume in &self.current {
            let text = serde_json::to_string(volume).unwrap();
            self.world.put(volume.metadata.name.as_str(), &text);
        }
        self.world.sim.lock().local_users.clear();
        self.comes_true();
        // All of it is on stable storage, whichever agent made it.
        self.write();
        self.world.sim.power_cut();
        self.world.restart();
        self.comes_true();
        let before = self.world.sim.target();
        let (writes, commands) = (self.world.sim.fs.writes(), changes(&self.world.sim));
        self.world.round();
        assert_eq!(
            self.world.sim.target(),
            before,
            "the second time is not quiet"
        );
        assert_eq!(
            (writes, commands),
            (self.world.sim.fs.writes(), changes(&self.world.sim))
        );
    }

    fn comes_true(&mut self) {
        self.world.settle();
        self.look();
        for volume in &self.current {
            self.is_as_asked(volume);
        }
    }

    fn is_as_asked(&self, volume: &Volume) {
        let (world, id) = (&self.world, volume.spec.id);
        let status = world.status(volume.metadata.name.as_str()).unwrap();
        let reasons: Vec<&str> = status
            .conditions
            .iter()
            .map(|c| c.reason.as_str())
            .collect();
        if volume.is_deleted() {
            assert_eq!(status.phase, Phase::Deleted, "{status:?}");
            assert_eq!(world.content(id), None);
            assert!(world.hosts_of(id).is_empty());
            return;
        }
        // Its name may still be another volume's, and the grants of a lost record are unknown.
        if reasons.contains(&"NameInUse") || reasons.contains(&"NoSpace") {
            return;
        }
        assert_eq!(status.phase, Phase::Ready, "{status:?}");
        if reasons.contains(&"StaleGeneration") {
            return;
        }
        let grants = volume.spec.attachments.iter();
        let (local, remote): (Vec<_>, Vec<_>) =
            grants.partition(|grant| grant.node_name.as_str() == NODE);
        let usable = status.attachments.iter();
        let usable = usable.filter(|attachment| attachment.device_path.is_some());
        assert_eq!(usable.count(), local.len(), "{status:?}");
        let remote = remote.into_iter();
        let hosts = remote.map(|grant| host_nqn(&grant.node_name, grant.generation));
        assert_eq!(world.hosts_of(id), hosts.collect(), "{status:?}");
    }
}

proptest! {
    /// Whatever happens, and wherever the agent is stopped: no data is lost or shown to others
    /// without an order, no two hosts share a subsystem, and in the end all is as asked.
    ///
    /// Seen red with, one at a time: the record before `create` in `new_volume` not written; each
    /// `Step::FlushDisks` before a volume is recorded as Ready left out; `Step::FlushDisks` before
    /// `RemoveVolume` left out; `UNZEROED_TAG` not given in `create_linear`; `exports::fence` keeping
    /// the subsystem; `|| exported.is_some()` in the `Grant` arm of `attach` left out (a subsystem
    /// that an interrupted fence left gets the next host); the grant not recorded; `Step::FlushDisks`
    /// before an export in `mark_generation` left out.
    #[test]
    fn whatever_happens_nothing_is_lost_and_all_converges(
        events in proptest::collection::vec(event(), 1..40)
    ) {
        let mut story = Story::new();
        for event in &events {
            story.happen(event);
        }
        story.end();
    }
}

/// The life of one volume, stopped at each step in each way.
///
/// Seen red with: the flush before an export left out (`mark_generation`): the tag that is read there may
/// not be on the disk yet.
#[test]
fn a_stop_at_any_step_of_a_volumes_life_converges() {
    let events = [
        Event::Ask {
            volume: 0,
            node: Some(1),
            thin: false,
        },
        Event::Ask {
            volume: 1,
            node: Some(2),
            thin: true,
        },
        Event::Round,
        Event::Zeroed,
        Event::Round,
        Event::Ask {
            volume: 0,
            node: Some(2),
            thin: false,
        },
        Event::Round,
        Event::Ask {
            volume: 0,
            node: Some(0),
            thin: false,
        },
        Event::Round,
        Event::Delete(0),
        Event::Round,
    ];
    for how in 0..3 {
        for (at, _) in events
            .iter()
            .enumerate()
            .filter(|(_, e)| matches!(e, Event::Round))
        {
            for after in 0.. {
                let mut story = Story::new();
                for event in &events[..at] {
                    story.happen(event);
                }
                let fuse = Fuse::after(after);
                story.world.sim.fuse(&fuse);
                let _ = story.world.try_round();
                let blown = fuse.is_blown();
                story.happen(&Event::Stop { after: 0, how });
                for event in &events[at..] {
                    story.happen(event);
                }
                story.end();
                if !blown {
                    break;
                }
            }
        }
    }
}
