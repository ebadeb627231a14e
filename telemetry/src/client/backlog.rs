//! What was read and not yet acknowledged: one delta for each series, however long that takes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use prost::Message;
use thiserror::Error;

use crate::delta::Delta;
use crate::key::Key;
use crate::op::Rung;
use crate::reading::{InFlight, Reading};
use crate::run::{Run, Sequence};
use crate::wire::{self, LONGEST_SERIES};

/// What is told to be in flight, at most: pools times operations. A node has far fewer.
const MOST_IN_FLIGHT: usize = 512;

/// How often it is told that there is nothing new: how old a quiet node's figures get at most.
const QUIET: Duration = Duration::from_secs(4);

/// What a message's other fields take at most, and the lengths around it.
const FRAME: usize = 64;

/// What was read and not yet acknowledged, and what of it is on its way.
///
/// Each delta is in one of two places: it waits, or it is in the one report that was sent and not yet acknowledged. What of
/// that is not counted in goes back to what waits ([`Backlog::resume`]).
#[derive(Debug)]
pub struct Backlog {
    run: Run,
    room: usize,
    waiting: BTreeMap<Key, Part>,
    sent: Option<Sent>,
    /// Series that wait or are on their way.
    held: usize,
    /// Where the next report begins, so that each series has its turn.
    turn: Option<Key>,
    last: Sequence,
    latest: Option<Latest>,
    told: Option<Latest>,
    left_out: u64,
}

/// A leader claims to have counted in what was never sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the leader has counted in report {counted}, and the last one that was sent is {last}")]
pub struct NeverSent {
    /// What it claims.
    pub counted: Sequence,
    /// What was sent last.
    pub last: Sequence,
}

#[derive(Debug)]
struct Part {
    delta: Delta,
    /// The beginning of what it was added in.
    since: Instant,
}

#[derive(Debug)]
struct Sent {
    sequence: Sequence,
    parts: BTreeMap<Key, Part>,
}

/// Of a reading, beside what was added.
#[derive(Clone, Debug)]
struct Latest {
    at: Instant,
    rung: Rung,
    in_flight: Vec<InFlight>,
}

impl Latest {
    /// Whether it is to be told by itself, after this one.
    fn is_news_after(&self, told: Option<&Latest>) -> bool {
        told.is_none_or(|told| {
            self.rung != told.rung
                || self.in_flight != told.in_flight
                || self.at.saturating_duration_since(told.at) >= QUIET
        })
    }
}

impl Backlog {
    /// Nothing yet, with room for a delta of so many series. Whoever comes when there is none is left out, and counted.
    #[must_use]
    pub fn new(run: Run, room: usize) -> Self {
        Backlog {
            run,
            room,
            waiting: BTreeMap::new(),
            sent: None,
            held: 0,
            turn: None,
            last: Sequence::default(),
            latest: None,
            told: None,
            left_out: 0,
        }
    }

    /// The run whose sequence numbers these are.
    #[must_use]
    pub fn run(&self) -> Run {
        self.run
    }

    /// How many series wait or are on their way.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// How often a series was left out, since there was no room.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether a series waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a report is on its way.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.sent.is_some()
    }

    /// Takes a reading in.
    pub fn add(&mut self, reading: Reading) {
        for (key, delta) in reading.added {
            if !delta.is_empty() {
                self.put(key, delta, reading.since);
            }
        }
        let mut in_flight = reading.in_flight;
        if in_flight.len() > MOST_IN_FLIGHT {
            self.left_out += (in_flight.len() - MOST_IN_FLIGHT) as u64;
            in_flight.truncate(MOST_IN_FLIGHT);
        }
        self.latest = Some(Latest {
            at: reading.at,
            rung: reading.rung,
            in_flight,
        });
    }

    fn put(&mut self, key: Key, delta: Delta, since: Instant) {
        if let Some(part) = self.waiting.get_mut(&key) {
            part.delta.merge(&delta);
            part.since = part.since.min(since);
            return;
        }
        // A series that is on its way keeps its place: what is not counted in comes back to it.
        if !self.is_on_its_way(&key) {
            if self.held >= self.room {
                self.left_out += 1;
                return;
            }
            self.held += 1;
        }
        self.waiting.insert(key, Part { delta, since });
    }

    fn is_on_its_way(&self, key: &Key) -> bool {
        let sent = self.sent.as_ref();
        sent.is_some_and(|sent| sent.parts.contains_key(key))
    }

    /// The next report, no longer than this many bytes; `None` while one is on its way, or if there is nothing new to tell. From
    /// here on it is on its way.
    pub fn take(&mut self, longest: usize, now: Instant) -> Option<wire::Report> {
        let latest = self.latest.as_ref()?;
        let is_news = !self.waiting.is_empty() || latest.is_news_after(self.told.as_ref());
        if self.sent.is_some() || !is_news {
            return None;
        }
        self.told = Some(latest.clone());
        let at = latest.at;
        let in_flight: Vec<_> = latest.in_flight.iter().map(wire::in_flight).collect();
        let mut report = wire::Report {
            sequence: self.last.next().0,
            age_ms: millis(now.saturating_duration_since(at)),
            rung: wire::Rung::from(latest.rung).into(),
            series: Vec::new(),
            in_flight,
            left_out: self.left_out,
        };
        let mut left = longest
            .saturating_sub(report.encoded_len() + FRAME)
            // Whatever is said, one series has room: else nothing would ever go.
            .max(LONGEST_SERIES);
        let mut parts = BTreeMap::new();
        while let Some(key) = self.next_key() {
            let part = &self.waiting[&key];
            let span = at.saturating_duration_since(part.since);
            let series = wire::series(&key, &part.delta, span);
            // Its tag and length come on top.
            let size = series.encoded_len() + 4;
            if size > left {
                self.turn = Some(key);
                break;
            }
            left -= size;
            report.series.push(series);
            let part = self.waiting.remove(&key);
            self.turn = Some(key.clone());
            parts.extend(part.map(|part| (key, part)));
        }
        self.last = self.last.next();
        self.sent = Some(Sent {
            sequence: self.last,
            parts,
        });
        Some(report)
    }

    /// The first series that waits from the turn on, or from the beginning.
    fn next_key(&self) -> Option<Key> {
        let turn = self.turn.as_ref();
        let from_turn = turn.and_then(|turn| self.waiting.range(turn..).next());
        let next = from_turn.or_else(|| self.waiting.first_key_value());
        next.map(|(key, _)| key.clone())
    }

    /// The leader has counted in everything up to this: the agent may forget it.
    ///
    /// # Errors
    /// That was never sent. Nothing is forgotten.
    pub fn counted(&mut self, counted: Sequence) -> Result<(), NeverSent> {
        if counted > self.last {
            let last = self.last;
            return Err(NeverSent { counted, last });
        }
        if let Some(sent) = self.sent.take_if(|sent| sent.sequence <= counted) {
            let gone = sent.parts.keys();
            let gone = gone.filter(|key| !self.waiting.contains_key(key)).count();
            self.held -= gone;
        }
        Ok(())
    }

    /// A stream begins, with a leader that has counted in everything up to this. What it has not goes back to what waits.
    ///
    /// # Errors
    /// That was never sent. What is on its way stays so, and a later stream decides.
    pub fn resume(&mut self, counted: Sequence) -> Result<(), NeverSent> {
        self.counted(counted)?;
        // Whoever it is may not have heard it.
        self.told = None;
        if let Some(sent) = self.sent.take() {
            for (key, part) in sent.parts {
                // It was held all the time, so there is room.
                match self.waiting.get_mut(&key) {
                    Some(waiting) => {
                        waiting.delta.merge(&part.delta);
                        waiting.since = waiting.since.min(part.since);
                    }
                    None => {
                        self.waiting.insert(key, part);
                    }
                }
            }
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
