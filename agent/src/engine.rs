//! The engine: `observe -> plan -> apply -> report`, until there is nothing left to do.

mod answer;
mod apply;
mod calm;
mod observe;
mod on_disk;
mod report;
mod thin;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::cluster::heeded;
use crate::cmd::Runner;
use crate::disk::Disks;
use crate::dm::{Dm, Mapped};
use crate::durable::Fs;
use crate::fail_point;
use crate::gauges::Gauges;
use crate::measure::Measure;
use crate::plan::{Node, Plan, plan};
use crate::record::{RecordError, Records, Store};
use crate::requests::Requests;
use crate::statuses::Statuses;
use crate::step::Subject;
use crate::target::Exports;
use crate::zero::Zeroing;

/// Everything that the engine touches.
pub struct Parts {
    /// This node.
    pub node: Node,
    /// Where requests are; an order to adopt writes one there. None: they come from an API, to which only
    /// people and controllers write.
    pub requests: Option<PathBuf>,
    /// Where status is published.
    pub status: PathBuf,
    /// Where status files and requests are.
    pub fs: Box<dyn Fs>,
    /// The record.
    pub store: Store,
    /// Commands.
    pub runner: Box<dyn Runner>,
    /// Block devices.
    pub disks: Box<dyn Disks>,
    /// Zeroing.
    pub zeroing: Box<dyn Zeroing>,
    /// The NVMe target.
    pub exports: Box<dyn Exports>,
    /// Probes.
    pub measure: Box<dyn Measure>,
}

/// The engine. It keeps nothing between two rounds that it could not read again, but for when it told how full a
/// thin pool is.
pub struct Engine {
    parts: Parts,
    gauges: Arc<Mutex<Gauges>>,
    published: BTreeMap<String, Vec<u8>>,
    statuses: Statuses,
    /// Failures of the last round, so that the same one is not logged again and again.
    told: BTreeMap<Subject, String>,
    /// See [`Engine::rests_on`].
    rests_on: Option<BTreeSet<String>>,
    /// When the loop began to look this time.
    now: Instant,
    thin: thin::ThinPools,
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// All is as asked, or waits for somebody else.
    Settled,
    /// Something failed and has to be tried again.
    Failed,
}

/// More plans in a row than any change needs; a bug may not spin.
const MOST_PLANS: usize = 16;

impl Engine {
    /// An engine over `parts`, which tells `gauges` what it saw.
    #[must_use]
    pub fn new(parts: Parts, gauges: Arc<Mutex<Gauges>>) -> Self {
        Engine {
            parts,
            gauges,
            published: BTreeMap::new(),
            statuses: Statuses::default(),
            told: BTreeMap::new(),
            rests_on: None,
            now: Instant::now(),
            thin: thin::ThinPools::default(),
        }
    }

    /// Plans and applies `requests` until nothing is left to do, and reports.
    ///
    /// # Errors
    /// The record could not be read: nothing was done, since nobody knows what is served.
    pub fn round(&mut self, requests: &Requests) -> Result<Round, RecordError> {
        let mut failures: BTreeMap<Subject, String> = BTreeMap::new();
        self.rests_on = None;
        self.thin.begin();
        for _ in 0..MOST_PLANS {
            let (records, plan) = self.look(requests)?;
            let requests = &*heeded(requests, &records);
            let work: Vec<_> = plan
                .work
                .iter()
                .filter(|work| !failures.contains_key(&work.subject))
                .collect();
            if work.is_empty() {
                if failures.is_empty() {
                    self.rests_on = calm::disks(&plan.plan, &plan.observed);
                }
                self.report(requests, &records, plan, &failures);
                let settled = failures.is_empty();
                return Ok(if settled {
                    Round::Settled
                } else {
                    Round::Failed
                });
            }
            for work in work {
                self.apply(work, &mut failures);
            }
        }
        tracing::error!("plans don't come to an end");
        let (records, plan) = self.look(requests)?;
        self.report(&heeded(requests, &records), &records, plan, &failures);
        Ok(Round::Failed)
    }

    /// What the last round that came to its end found, for whoever tells it on.
    #[must_use]
    pub fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// The disks of all pools, if the last round found that nothing is to be done or waited for that
    /// [`crate::glance`] would not see coming.
    #[must_use]
    pub fn rests_on(&self) -> Option<&BTreeSet<String>> {
        self.rests_on.as_ref()
    }

    /// Says what time it is: how often something is told depends on it.
    pub fn begins(&mut self, now: Instant) {
        self.now = now;
    }

    /// Whether a look would tell something else of how full thin pools are. No figure is told on it: each that is told comes
    /// from a look.
    #[must_use]
    pub fn has_thin_news(&self) -> bool {
        let dm = Dm(self.parts.runner.as_ref());
        // A look could not say more while device mapper does not answer.
        let seen = dm.thin_pools(self.thin.paths()).unwrap_or_default();
        self.thin.is_news(&seen, self.now)
    }

    /// What device mapper says now, for a glance; `None` if it can't be asked.
    #[must_use]
    pub fn mapped(&self) -> Option<Vec<Mapped>> {
        self.parts.disks.mapped().ok()
    }

    /// Counts a glance as a look at the node: it found what the last one found, and measuring goes on.
    pub fn count_glance(&mut self) {
        self.parts.measure.tend();
        crate::gauges::lock(&self.gauges).rounds_total += 1;
    }

    fn look(&mut self, requests: &Requests) -> Result<(Records, Looked), RecordError> {
        fail_point::enter("look");
        let records = self.parts.store.load()?;
        let requests = &*heeded(requests, &records);
        let observed = self.observe(requests, &records, false);
        let plan = plan(&self.parts.node, requests, &records, &observed);
        Ok((records, Looked { plan, observed }))
    }
}

/// A plan and what it was made from.
struct Looked {
    plan: Plan,
    observed: crate::observed::Observed,
}

impl std::ops::Deref for Looked {
    type Target = Plan;
    fn deref(&self) -> &Plan {
        &self.plan
    }
}

#[cfg(test)]
mod tests;
