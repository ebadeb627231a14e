//! What was heard of one node.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use weir_api::names::{NodeName, ObjectName, VolumeId};

use super::history::{History, Totals};
use super::links::{End, Mean};
use crate::key::{Key, Subject};
use crate::op::{Op, Rung};
use crate::reading::InFlight;
use crate::run::{Run, Sequence};

/// Runs of which it is known what was counted in: the present one, and some before it, in case that two agents of a node take turns.
const RUNS: usize = 4;

/// What was heard of one node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The number of the last session.
    pub(super) session: u64,
    /// The newest last.
    runs: VecDeque<(Run, Sequence)>,
    /// When it began to be known.
    pub(super) since: Instant,
    heard: Option<Heard>,
    pub(super) pools: BTreeMap<ObjectName, Pool>,
    /// Of pools of which nothing else may be known: where nothing ever ends, this is all that there is.
    in_flight: BTreeMap<(ObjectName, Op), u64>,
    pub(super) links: BTreeMap<Link, End>,
}

/// One end of a link, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Link {
    Target(VolumeId, NodeName, Op),
    Host(VolumeId, Op),
}

/// Of the last report.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Instant,
    age: Duration,
    rung: Rung,
    left_out: u64,
}

/// What was heard of one pool.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    pub(super) histories: BTreeMap<Op, History>,
}

impl Pool {
    /// One operation, if it was ever heard of.
    #[must_use]
    pub fn history(&self, op: Op) -> Option<&History> {
        self.histories.get(&op)
    }

    /// Every operation that was heard of.
    pub fn histories(&self) -> impl Iterator<Item = (Op, &History)> {
        self.histories.iter().map(|(op, history)| (*op, history))
    }
}

impl Node {
    pub(super) fn new(now: Instant) -> Self {
        Node {
            session: 0,
            runs: VecDeque::new(),
            since: now,
            heard: None,
            pools: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            links: BTreeMap::new(),
        }
    }

    /// What it measures with; `None` before its first report.
    #[must_use]
    pub fn rung(&self) -> Option<Rung> {
        self.heard.map(|heard| heard.rung)
    }

    /// How often its agent left out a series, since it was started.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.heard.map_or(0, |heard| heard.left_out)
    }

    /// How old what is known of it is; `None` before its first report.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        let heard = self.heard?;
        Some(now.saturating_duration_since(heard.at) + heard.age)
    }

    /// One of its pools, if something was heard of it.
    #[must_use]
    pub fn pool(&self, name: &ObjectName) -> Option<&Pool> {
        self.pools.get(name)
    }

    /// Every pool that something was heard of.
    pub fn pools(&self) -> impl Iterator<Item = (&ObjectName, &Pool)> {
        self.pools.iter()
    }

    /// I/Os of one operation of a pool that had begun and not ended when the node last read.
    #[must_use]
    pub fn in_flight(&self, pool: &ObjectName, op: Op) -> u64 {
        let key = (pool.clone(), op);
        self.in_flight.get(&key).copied().unwrap_or(0)
    }

    /// I/Os of any operation of a pool.
    #[must_use]
    pub fn all_in_flight(&self, pool: &ObjectName) -> u64 {
        let each = Op::ALL.map(|op| self.in_flight(pool, op));
        each.into_iter().fold(0, u64::saturating_add)
    }

    /// All that was counted in of a series.
    #[must_use]
    pub fn totals(&self, key: &Key) -> Option<Totals> {
        match Link::of(key) {
            Some(link) => self.links.get(&link).map(End::totals),
            None => match &key.subject {
                Subject::Pool(name) => Some(self.pools.get(name)?.history(key.op)?.totals()),
                _ => None,
            },
        }
    }

    pub(super) fn mean(&self, link: &Link, now: Instant) -> Option<Mean> {
        self.links.get(link)?.mean(now)
    }

    /// What was counted in of a run; it is the newest from now on.
    pub(super) fn begin(&mut self, run: Run) -> Sequence {
        let known = self.runs.iter().position(|(this, _)| *this == run);
        let counted = known.and_then(|at| self.runs.remove(at));
        let (_, counted) = counted.unwrap_or((run, Sequence::default()));
        if self.runs.len() == RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back((run, counted));
        counted
    }

    /// What was counted in of the newest run.
    pub(super) fn counted(&self) -> Sequence {
        self.runs
            .back()
            .map_or(Sequence::default(), |(_, counted)| *counted)
    }

    pub(super) fn set_counted(&mut self, sequence: Sequence) {
        if let Some((_, counted)) = self.runs.back_mut() {
            *counted = sequence;
        }
    }

    pub(super) fn hear(&mut self, at: Instant, age: Duration, rung: Rung, left_out: u64) {
        self.heard = Some(Heard {
            at,
            age,
            rung,
            left_out,
        });
    }

    /// When it last said something.
    pub(super) fn heard_at(&self) -> Instant {
        self.heard.map_or(self.since, |heard| heard.at)
    }

    /// Replaces all of it: what is missing has nothing in flight. Returns how many there was no room for.
    pub(super) fn set_in_flight(&mut self, in_flight: Vec<InFlight>, room: usize) -> usize {
        let left_out = in_flight.len().saturating_sub(room);
        let kept = in_flight.into_iter().take(room);
        self.in_flight = kept.map(|now| ((now.pool, now.op), now.now)).collect();
        left_out
    }
}

impl Link {
    /// The link that a series is an end of.
    pub(super) fn of(key: &Key) -> Option<Self> {
        match &key.subject {
            Subject::Pool(_) => None,
            Subject::Target { volume, host } => Some(Link::Target(*volume, host.clone(), key.op)),
            Subject::Host(volume) => Some(Link::Host(*volume, key.op)),
        }
    }
}
