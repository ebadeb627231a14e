//! What a scrape is told of the book.

use std::time::{Duration, Instant};

use weir_api::names::NodeName;

use super::book::Book;
use super::refusals::Refusals;

/// The state of telemetry at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// For each node that was heard in this term, how old what is known of it is.
    pub ages: Vec<(NodeName, Duration)>,
    /// Reports that were counted in.
    pub reports: u64,
    /// Series for which there was no room, here.
    pub left_out: u64,
    /// Series for which there was no room on agents, as they say.
    pub left_out_by_agents: u64,
    /// Histories and links that are held.
    pub held: (usize, usize),
    /// Who and what was refused.
    pub refusals: Refusals,
}

impl Figures {
    pub(super) fn of(book: &Book, refusals: &Refusals, now: Instant) -> Self {
        Figures {
            ages: book.ages(now).collect(),
            reports: book.reports(),
            left_out: book.left_out(),
            left_out_by_agents: book.nodes().map(|(_, node)| node.left_out()).sum(),
            held: book.held(),
            refusals: *refusals,
        }
    }
}
