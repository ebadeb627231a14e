//! Where a volume belongs that names no pool: where its data is, if it is anywhere already.
//!
//! An object that was lost and comes back may name no pool. Were it placed as a new one is, two nodes would serve
//! one id, and a host that is connected to the one would take the other for a second path to it. So:
//! - what a pool's agent lists as an orphan goes to that pool, and to no other: while the pool can't be used it waits;
//! - while there is a pool that may hold it unlisted, it waits: the agent has not told since the pool's object was
//!   made, or its list is cut short. A pool that told once is believed while its agent is silent: else one dead node
//!   would end all placement;
//! - of several objects with one id only one is bound: that which is, or else the oldest.
//!
//! A person who names a pool in `spec.poolName` decides all this.

use weir_api::condition::{Condition, SCHEDULED, Truth, reason};
use weir_api::names::ObjectName;

use weir_placement::{Health, PoolView};

/// So many pools are named in a condition; of more, that there are more.
pub const MOST_NAMES: usize = 5;

/// Where a volume belongs that names no pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// Nothing is known of it anywhere.
    Anywhere,
    /// In this pool.
    In(ObjectName),
    /// Several pools say that they hold it.
    Several(Vec<ObjectName>),
    /// One of these pools may hold it, or one of those that are left out after [`MOST_NAMES`] and one more.
    Unknown(Vec<ObjectName>),
    /// Nowhere: this other object has its id.
    Taken(String),
}

/// What is to be done about a volume with such a home.
#[derive(Clone, Debug, PartialEq)]
pub enum Homing {
    /// A pool is to be chosen.
    Place,
    /// It is to be bound to this pool.
    Bind(ObjectName),
    /// It is to wait, and to say this.
    Wait(Condition),
}

/// Decides; `pool` is the pool of [`Home::In`], if it has an object, and `refused` says whether its agent refused the
/// volume lately.
#[must_use]
pub fn home(home: &Home, pool: Option<&PoolView>, refused: bool) -> Homing {
    let wait = |reason: &str, message: String| {
        Homing::Wait(Condition::new(SCHEDULED, Truth::False, reason, message))
    };
    match home {
        Home::Anywhere => Homing::Place,
        Home::In(name) => {
            let why = match pool.map(|pool| pool.health) {
                None => "has no StoragePool object any more: create it again",
                Some(_) if refused => "refused it a short while ago",
                Some(Health::Ready) => return Homing::Bind(name.clone()),
                Some(Health::NotReady) => "is not Ready",
                Some(Health::Silent) => "has an agent that is not heard",
                Some(Health::NodeDead) => "is on a node that is out of service",
                Some(Health::Deleted) => "is being deleted",
            };
            let message = format!(
                "its data is in pool `{name}`, which {why}: it waits for that pool, and goes to no other one, \
                 empty. For a new volume take another id"
            );
            wait(reason::ORPHAN_ELSEWHERE, message)
        }
        Home::Several(pools) => {
            let message = format!(
                "pools {} each say that they hold it: name the right one in spec.poolName",
                listed(pools)
            );
            wait(reason::ORPHAN_ELSEWHERE, message)
        }
        Home::Unknown(pools) => {
            let message = format!(
                "its data may be in a pool that has not told, or not all, of what it holds without an object: \
                 {}. Start the agents there; adopt or remove orphans (`weir orphans ls`) where they are too many \
                 to list; delete the StoragePool of a node that is gone for good. Or name a pool in spec.poolName",
                listed(pools)
            );
            wait(reason::ORPHANS_UNKNOWN, message)
        }
        Home::Taken(other) => {
            let message = format!(
                "Volume `{other}` has the same spec.id, and an id is one volume's: delete one of the two objects, \
                 or create this one with another id"
            );
            wait(reason::ID_IN_USE, message)
        }
    }
}

fn listed(pools: &[ObjectName]) -> String {
    let names: Vec<String> = pools
        .iter()
        .take(MOST_NAMES)
        .map(|pool| format!("`{pool}`"))
        .collect();
    let more = if pools.len() > names.len() {
        ", …"
    } else {
        ""
    };
    format!("{}{more}", names.join(", "))
}
