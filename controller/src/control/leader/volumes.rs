//! The leader's part about volumes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::watcher::Event;
use weir_api::condition::{self, Condition, NODE_AVAILABLE, SCHEDULED, Truth};
use weir_api::crd::Volume;
use weir_api::names::ObjectName;
use weir_api::units::Bytes;

use super::super::decide::{self, Around, Held, Homing, Step};
use super::super::event::{Note, Weight};
use super::super::write::{Came, Write};
use super::{Key, LOOK_AGAIN, Leader};
use weir_placement::{Climate, Hold, PoolView, Usage, VolumeView, place};

impl Leader {
    pub(super) fn see_volume(&mut self, event: Event<Volume>) {
        let event = event.modify(leave_out_words);
        for name in self.volumes.see(event) {
            match self.volumes.get(&name).cloned() {
                Some(volume) => {
                    if volume.metadata.deletion_timestamp.is_some() {
                        // A bind that is under way asks for an older version: it can't be done any more.
                        self.ledger.holds.release(&name);
                        self.held.remove(&name);
                    }
                    if volume.spec.pool_name.is_some() {
                        self.held.remove(&name);
                        self.waiting.remove(&name);
                    }
                    self.look_at_tombstones_of(&volume);
                    self.ledger.see_volume(&name, volume);
                    self.queue.push(Key::Volume(name));
                }
                None => self.forget_volume(&name),
            }
        }
    }

    fn forget_volume(&mut self, name: &str) {
        if let Some(gone) = self.ledger.forget_volume(name) {
            self.left_out.remove(uid(&gone));
        }
        self.held.remove(name);
        self.records.remove(name);
        self.waiting.remove(name);
        self.wake_waiting();
    }

    pub(super) fn look_at_volume(&mut self, name: String, now: Instant) {
        let Some(volume) = self.ledger.volume(&name).cloned() else {
            return;
        };
        let agent = volume.spec.pool_name.as_ref();
        let agent = agent.and_then(|pool| self.agent_of(pool, now));
        let graves = self.graves(&name, &volume);
        let around = Around {
            held: self.held.get(&name),
            agent,
            graves: &graves,
        };
        let mut step = decide::volume(&volume, around);
        if step == Step::Place {
            step = self.place(&name, &volume, now);
        }
        let key = Key::Volume(name.clone());
        match step {
            Step::Place => {}
            Step::Nothing => {
                if volume.spec.pool_name.is_some() {
                    self.records.remove(&name);
                }
            }
            Step::Bind(pool) | Step::Repeat(pool) => {
                let write = Write::bind(key, &volume, &pool);
                self.write(write, true, None);
            }
            Step::Finalizer => self.write(Write::finalizer(key, &volume), false, None),
            Step::Bury(pool) => self.bury(key, &volume, pool),
            Step::Release => self.write(Write::release(key, &volume), false, None),
            Step::Unbind(pool, why) => {
                let note = Note {
                    weight: Weight::Warning,
                    reason: condition::REJECTED.to_owned(),
                    action: "Unbind",
                    text: format!("pool `{pool}` refused it, and another is looked for: {why}"),
                };
                self.leave_out(&volume, &pool, now);
                self.write(Write::unbind(key, &volume), false, Some(note));
            }
            Step::Show(condition) => self.show(key, &volume, condition),
        }
    }

    /// Chooses a pool and holds its space, in one step.
    fn place(&mut self, name: &str, volume: &Volume, now: Instant) -> Step {
        self.ledger.holds.release(name);
        self.held.remove(name);
        let mut view = VolumeView::of(&volume.spec);
        view.occupied = self.ledger.occupied(view.key());
        let (left_out, until) = self.left_out_for(volume, now);
        view.left_out.extend(left_out);
        match self.homing(name, volume, &view) {
            Homing::Place => {}
            Homing::Bind(pool) => {
                // Its space is taken already.
                self.records.remove(name);
                if let Some(pool) = self.ledger.pool(&pool).cloned() {
                    let usage = Usage {
                        unshown: Bytes(0),
                        ..view.usage(&pool.node)
                    };
                    self.hold(name, volume, &view, &pool, usage);
                }
                return Step::Bind(pool);
            }
            Homing::Wait(condition) => {
                self.records.remove(name);
                self.wait(name, now, until);
                return decide::waits(volume, condition);
            }
        }
        // What is measured does not come here yet: space decides.
        let (pools, holds) = (self.ledger.pools(), &self.ledger.holds);
        let placement = place(pools, &Climate::default(), &view, holds, seed(volume));
        let record = placement.record(Some(Time(Timestamp::now())));
        self.records.insert(name.to_owned(), record);
        match placement.winner {
            Some(winner) => {
                let pool = self.ledger.pools()[winner].clone();
                let usage = view.usage(&pool.node);
                self.hold(name, volume, &view, &pool, usage);
            }
            None => self.wait(name, now, until),
        }
        decide::placed(volume, &placement, self.ledger.pools())
    }

    /// What its data being somewhere already comes to.
    fn homing(&self, name: &str, volume: &Volume, view: &VolumeView) -> Homing {
        let home = self.ledger.home(name, volume);
        let (pool, refused) = match &home {
            decide::Home::In(pool) => (self.ledger.pool(pool), view.left_out.contains(pool)),
            _ => (None, false),
        };
        decide::home(&home, pool, refused)
    }

    /// It is looked at again when something changes, and soon in any case.
    fn wait(&mut self, name: &str, now: Instant, until: Option<Instant>) {
        self.waiting.insert(name.to_owned());
        let soon = now + LOOK_AGAIN;
        let again = until.map_or(soon, |until| until.min(soon));
        self.wake = Some(self.wake.map_or(again, |wake| wake.min(again)));
    }

    fn hold(
        &mut self,
        name: &str,
        volume: &Volume,
        view: &VolumeView,
        pool: &PoolView,
        usage: Usage,
    ) {
        let hold = Hold {
            pool: pool.name.clone(),
            node: pool.node.clone(),
            usage,
            key: view.key().map(str::to_owned),
        };
        let held = Held {
            pool: hold.pool.clone(),
            version: volume.metadata.resource_version.clone().unwrap_or_default(),
            is_written: false,
        };
        self.ledger.holds.take(name, hold);
        self.held.insert(name.to_owned(), held);
    }

    /// Tells a volume's status and, where that is new, a person.
    fn show(&mut self, key: Key, volume: &Arc<Volume>, mut condition: Condition) {
        let name = key.name();
        let status = volume.status.clone().unwrap_or_default();
        let action = match condition.kind.as_str() {
            SCHEDULED => Some("Place"),
            NODE_AVAILABLE => Some("WatchAgent"),
            _ => None,
        };
        let note = action.map(|action| Note {
            weight: match condition.status {
                Truth::True => Weight::Normal,
                _ => Weight::Warning,
            },
            reason: condition.reason.clone(),
            action,
            text: condition.message.clone(),
        });
        // A record of a bind is told with the bind; one of a search without an end, with that.
        let record = self.records.get(name).filter(|record| {
            condition.kind == SCHEDULED && record.pool_name == volume.spec.pool_name
        });
        let record = record.and_then(|record| serde_json::to_value(record).ok());
        let record = record.map(|mut record| {
            // What this record does not have must not be left over from the last one.
            for field in ["poolName", "candidates", "filtered"] {
                if record.get(field).is_none() {
                    record[field] = serde_json::Value::Null;
                }
            }
            record
        });
        condition.observed_generation = volume.metadata.generation;
        let mut conditions = status.conditions;
        condition::set(&mut conditions, condition, &Time(Timestamp::now()));
        let version = volume.metadata.resource_version.as_deref();
        let write = Write::status(key, version, &conditions, record);
        self.write(write, false, note);
    }

    pub(super) fn came_of_bind(&mut self, name: &str, came: &Came) {
        match came {
            Came::Done => {
                // Its watch may have been quicker, and the hold be gone.
                if let Some(held) = self.held.get_mut(name) {
                    held.is_written = true;
                }
            }
            Came::Refused(_) => {
                self.held.remove(name);
                self.ledger.holds.release(name);
                self.wake_waiting();
            }
            _ => {}
        }
    }

    fn leave_out(&mut self, volume: &Volume, pool: &ObjectName, now: Instant) {
        let until = now + self.settings.rejected;
        let pools = self.left_out.entry(uid(volume).to_owned()).or_default();
        pools.retain(|(known, _)| known != pool);
        pools.push((pool.clone(), until));
    }

    /// The pools that are left out for a volume, and when that ends for the first of them.
    fn left_out_for(
        &mut self,
        volume: &Volume,
        now: Instant,
    ) -> (Vec<ObjectName>, Option<Instant>) {
        let Some(pools) = self.left_out.get_mut(uid(volume)) else {
            return (Vec::new(), None);
        };
        pools.retain(|(_, until)| *until > now);
        let first = pools.iter().map(|(_, until)| *until).min();
        (pools.iter().map(|(pool, _)| pool.clone()).collect(), first)
    }
}

fn uid(volume: &Volume) -> &str {
    volume.metadata.uid.as_deref().unwrap_or_default()
}

/// Leaves out what nothing is decided by, which is the larger part of a volume: every one is kept in memory. Writes are merge
/// patches of what is theirs, and leave it alone in the API.
fn leave_out_words(volume: &mut Volume) {
    volume.metadata.managed_fields = None;
    volume.metadata.annotations = None;
    volume.metadata.labels = None;
    if let Some(status) = &mut volume.status {
        status.placement = None;
        status.latency = None;
    }
}

/// The same for the same object, so that a decision can be made again.
fn seed(volume: &Volume) -> u64 {
    let mut hasher = DefaultHasher::new();
    uid(volume).hash(&mut hasher);
    hasher.finish()
}
