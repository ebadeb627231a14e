//! What a leader has counted in: a function of the messages that came, and when.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use thiserror::Error;
use weir_api::names::{NodeName, ObjectName, VolumeId};

use super::history::History;
use super::limits::Limits;
use super::links::{End, Network};
use super::node::{Link, Node, Pool};
use crate::key::Subject;
use crate::op::Op;
use crate::run::{Run, Sequence};
use crate::wire::{CheckedReport, CheckedSeries};

/// What a leader has counted in since its term began.
#[derive(Debug)]
pub struct Book {
    limits: Limits,
    nodes: BTreeMap<NodeName, Node>,
    sessions: u64,
    histories: usize,
    links: usize,
    reports: u64,
    left_out: u64,
}

/// One stream of one agent, from its welcome on until another one's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    node: NodeName,
    number: u64,
}

impl Session {
    /// Whose it is.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// Its number: greater than that of any session before it in this term.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// Something was not counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is no room for another node.
    #[error("there are too many nodes")]
    Nodes,
    /// The agent began another stream since.
    #[error("the agent has begun another stream")]
    Superseded,
}

impl Book {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Book {
            limits,
            nodes: BTreeMap::new(),
            sessions: 0,
            histories: 0,
            links: 0,
            reports: 0,
            left_out: 0,
        }
    }

    /// Its bounds.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// An agent begins a stream. Every earlier one of its node is over from here on; what was counted in of its run is told
    /// in the same step.
    ///
    /// # Errors
    /// There is no room for another node.
    pub fn welcome(
        &mut self,
        node: &NodeName,
        run: Run,
        now: Instant,
    ) -> Result<(Session, Sequence), Refusal> {
        if !self.nodes.contains_key(node) && self.nodes.len() >= self.limits.nodes {
            self.make_room(now)?;
        }
        self.sessions += 1;
        let known = self.nodes.entry(node.clone());
        let known = known.or_insert_with(|| Node::new(now));
        known.session = self.sessions;
        let session = Session {
            node: node.clone(),
            number: self.sessions,
        };
        Ok((session, known.begin(run)))
    }

    /// Counts a report in, unless it was before; returns what is counted in of its run now.
    ///
    /// # Errors
    /// The session is over. Nothing changed.
    pub fn count(
        &mut self,
        session: &Session,
        report: CheckedReport,
        now: Instant,
    ) -> Result<Sequence, Refusal> {
        let Some(node) = self.nodes.get_mut(&session.node) else {
            return Err(Refusal::Superseded);
        };
        if node.session != session.number {
            return Err(Refusal::Superseded);
        }
        let counted = node.counted();
        if report.sequence <= counted {
            return Ok(counted);
        }
        node.set_counted(report.sequence);
        node.hear(now, report.age, report.rung, report.left_out);
        let more = node.set_in_flight(report.in_flight, self.limits.histories_each);
        self.left_out += more as u64;
        let mut room = Room {
            limits: &self.limits,
            histories: &mut self.histories,
            links: &mut self.links,
        };
        for series in &report.series {
            if !room.add(node, series, now) {
                self.left_out += 1;
            }
        }
        self.reports += 1;
        Ok(report.sequence)
    }

    /// A node, if it was heard in this term.
    #[must_use]
    pub fn node(&self, node: &NodeName) -> Option<&Node> {
        self.nodes.get(node)
    }

    /// Every node that was heard in this term.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeName, &Node)> {
        self.nodes.iter()
    }

    /// A pool, if something was heard of it from its node.
    #[must_use]
    pub fn pool(&self, node: &NodeName, pool: &ObjectName) -> Option<&Pool> {
        self.nodes.get(node)?.pool(pool)
    }

    /// How old what is known of a node is: `None` if nothing was heard in this term.
    #[must_use]
    pub fn age(&self, node: &NodeName, now: Instant) -> Option<Duration> {
        self.nodes.get(node)?.age(now)
    }

    /// The age of each node that reported in this term.
    pub fn ages(&self, now: Instant) -> impl Iterator<Item = (NodeName, Duration)> {
        let known = self.nodes.iter();
        known.filter_map(move |(name, node)| Some((name.clone(), node.age(now)?)))
    }

    /// What both ends of a volume said that `host` uses over NVMe from `target`; `None` if one of them said nothing lately.
    #[must_use]
    pub fn network(
        &self,
        volume: VolumeId,
        target: &NodeName,
        host: &NodeName,
        op: Op,
        now: Instant,
    ) -> Option<Network> {
        let there = Link::Target(volume, host.clone(), op);
        Some(Network {
            host: self.nodes.get(host)?.mean(&Link::Host(volume, op), now)?,
            target: self.nodes.get(target)?.mean(&there, now)?,
        })
    }

    /// Reports that were counted in.
    #[must_use]
    pub fn reports(&self) -> u64 {
        self.reports
    }

    /// How often a series was left out, since there was no room.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Histories and links that are held.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.histories, self.links)
    }

    /// Lets go of what was not heard of for long. Whoever comes back begins with empty sums.
    pub fn tidy(&mut self, now: Instant) {
        let limit = self.limits.forgotten;
        let is_recent = |heard: Instant| now.saturating_duration_since(heard) < limit;
        self.nodes.retain(|_, node| is_recent(node.heard_at()));
        for node in self.nodes.values_mut() {
            for pool in node.pools.values_mut() {
                pool.histories
                    .retain(|_, history| is_recent(history.heard()));
            }
            node.pools.retain(|_, pool| !pool.histories.is_empty());
            node.links.retain(|_, end| is_recent(end.heard()));
        }
        self.count_held();
    }

    /// Lets go of the node that was silent for longest, if that was long.
    fn make_room(&mut self, now: Instant) -> Result<(), Refusal> {
        let silent = self.nodes.iter().min_by_key(|(_, node)| node.heard_at());
        let (name, node) = silent.ok_or(Refusal::Nodes)?;
        if now.saturating_duration_since(node.heard_at()) < self.limits.replaced {
            return Err(Refusal::Nodes);
        }
        let name = name.clone();
        self.nodes.remove(&name);
        self.count_held();
        Ok(())
    }

    fn count_held(&mut self) {
        let pools = self.nodes.values().flat_map(|node| node.pools.values());
        self.histories = pools.map(|pool| pool.histories.len()).sum();
        self.links = self.nodes.values().map(|node| node.links.len()).sum();
    }
}

/// What may still be held.
struct Room<'a> {
    limits: &'a Limits,
    histories: &'a mut usize,
    links: &'a mut usize,
}

impl Room<'_> {
    /// Counts a series in. `false`: there is no room for it.
    fn add(&mut self, node: &mut Node, series: &CheckedSeries, now: Instant) -> bool {
        let CheckedSeries { key, delta, span } = series;
        if let Subject::Pool(name) = &key.subject {
            let in_flight = node.in_flight(name, key.op);
            let pool = node.pools.get(name);
            if pool.and_then(|pool| pool.history(key.op)).is_none() {
                let of_node = node.pools.values().map(|pool| pool.histories.len());
                let of_node: usize = of_node.sum();
                if of_node >= self.limits.histories_each || *self.histories >= self.limits.histories
                {
                    return false;
                }
                *self.histories += 1;
            }
            let pool = node.pools.entry(name.clone()).or_default();
            let history = pool.histories.entry(key.op);
            let history = history.or_insert_with(|| History::new(now));
            history.add(delta, *span, in_flight, now);
        } else if let Some(link) = Link::of(key) {
            if !node.links.contains_key(&link) {
                if node.links.len() >= self.limits.links_each || *self.links >= self.limits.links {
                    return false;
                }
                *self.links += 1;
            }
            let end = node.links.entry(link);
            end.or_insert_with(|| End::new(now)).add(delta, *span, now);
        }
        true
    }
}

#[cfg(test)]
mod tests;
