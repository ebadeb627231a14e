//! A source whose sums say which of its deltas are in them: each is one interval of a power of two of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use weir_telemetry::client::Source;
use weir_telemetry::server::{Book, Totals};
use weir_telemetry::{Delta, InFlight, Key, Op, Reading, Rung, Subject};

/// As many deltas as a sum has bits for.
pub(crate) const MOST: u32 = 60;

/// Makes one delta with each reading, up to [`MOST`].
#[derive(Clone)]
pub(crate) struct Counting {
    made: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    since: Instant,
    reads: u64,
}

impl Counting {
    pub(crate) fn new() -> Self {
        Counting {
            made: Arc::default(),
            most: Arc::new(AtomicU32::new(MOST)),
            since: Instant::now(),
            reads: 0,
        }
    }

    /// How many it makes, and then nothing that is news.
    pub(crate) fn allow(&self, most: u32) {
        self.most.store(most, Ordering::SeqCst);
    }

    pub(crate) fn made(&self) -> u32 {
        self.made.load(Ordering::SeqCst)
    }
}

impl Source for Counting {
    fn read(&mut self) -> Option<Reading> {
        let (since, at) = (self.since, Instant::now());
        self.since = at;
        let (made, most) = (self.made(), self.most.load(Ordering::SeqCst));
        if made < most || most == MOST {
            self.reads += 1;
        }
        let delta = Delta::of_sum(1, 1 << made);
        let added = (made < most).then(|| (key(), delta));
        if added.is_some() {
            self.made.fetch_add(1, Ordering::SeqCst);
        }
        Some(Reading {
            since,
            at,
            rung: Rung::Ebpf,
            added: added.into_iter().collect(),
            in_flight: vec![InFlight {
                pool: "p".parse().unwrap(),
                op: Op::Read,
                // Each reading is news, unless it may not make more, so that there is always something on its way.
                now: self.reads,
            }],
        })
    }
}

pub(crate) fn key() -> Key {
    Key {
        subject: Subject::Pool("p".parse().unwrap()),
        op: Op::Read,
    }
}

/// The sums of a node; its deltas must be in them once.
pub(crate) fn sums(book: &Book, node: &str) -> u64 {
    let node = book.node(&node.parse().unwrap());
    let totals = node.and_then(|node| node.totals(&key()));
    let Totals { count, sum_ns } = totals.unwrap_or_default();
    assert_eq!(
        u64::from(sum_ns.count_ones()),
        count,
        "one was counted twice"
    );
    sum_ns
}
