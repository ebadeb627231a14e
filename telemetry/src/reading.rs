//! What an agent read at one moment.

use std::time::Instant;

use weir_api::names::ObjectName;

use crate::delta::Delta;
use crate::key::Key;
use crate::op::{Op, Rung};

/// What was added to each series between two moments, and what was the case at the second.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The moment of the reading before it.
    pub since: Instant,
    /// The moment of this one.
    pub at: Instant,
    /// What it was measured with.
    pub rung: Rung,
    /// What was added; a series that appears twice is added twice.
    pub added: Vec<(Key, Delta)>,
    /// What was in flight. What is missing had nothing in flight.
    pub in_flight: Vec<InFlight>,
}

/// I/Os of a pool that have begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// The pool.
    pub pool: ObjectName,
    /// The operation.
    pub op: Op,
    /// How many.
    pub now: u64,
}
