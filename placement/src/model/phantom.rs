//! Load that is on its way: volumes that were bound, and of which nothing is seen yet.

use std::collections::HashMap;
use std::time::Duration;

use weir_api::names::ObjectName;

/// What volumes that were bound lately will add to each pool's in-flight.
///
/// A phantom stands in full for a while, in which a volume is attached and its user starts; then it fades as quickly as the
/// mean over minutes takes in what is really there, so that both together stay what was expected. One whose volume stays
/// idle is gone after that, and one whose volume is deleted at once.
#[derive(Clone, Debug, Default)]
pub struct Phantoms {
    on_pool: HashMap<ObjectName, Vec<Phantom>>,
}

#[derive(Clone, Copy, Debug)]
struct Phantom {
    at: Duration,
    in_flight: f32,
}

/// For how long it stands in full.
const STANDS: Duration = Duration::from_secs(60);
/// After how long nothing is left of it.
const GONE: Duration = Duration::from_secs(20 * 60);

impl Phantoms {
    /// A volume was bound to a pool, and will add so much.
    pub fn add(&mut self, pool: &ObjectName, in_flight: f32, now: Duration) {
        let there = self.on_pool.entry(pool.clone()).or_default();
        there.retain(|phantom| now.saturating_sub(phantom.at) < GONE);
        there.push(Phantom { at: now, in_flight });
    }

    /// What is on its way to a pool.
    #[must_use]
    pub fn on(&self, pool: &ObjectName, now: Duration) -> f32 {
        let there = self.on_pool.get(pool).into_iter().flatten();
        there.map(|phantom| phantom.left(now)).sum()
    }

    /// Forgets what is gone.
    pub fn tidy(&mut self, now: Duration) {
        self.on_pool.retain(|_, there| {
            there.retain(|phantom| now.saturating_sub(phantom.at) < GONE);
            !there.is_empty()
        });
    }

    /// Pools that something is on its way to.
    pub fn pools(&self) -> impl Iterator<Item = &ObjectName> {
        self.on_pool.keys()
    }
}

impl Phantom {
    fn left(&self, now: Duration) -> f32 {
        let age = now.saturating_sub(self.at);
        if age >= GONE {
            return 0.0;
        }
        let fading = age.saturating_sub(STANDS).as_secs_f64() / super::MINUTES.as_secs_f64();
        self.in_flight * super::narrow((-fading).exp())
    }
}
