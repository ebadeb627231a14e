//! What happens, and when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Something that happens. Those of one moment come in the order in which they were put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A volume is asked for.
    Create(usize),
    /// A volume's tenant begins.
    Start(usize),
    /// A tenant begins or ends a burst.
    Burst(usize),
    /// A volume is deleted.
    End(usize),
    /// A pool begins or ends to limp.
    Limp(usize),
    /// A pool's disk begins to collect garbage, unless its load changed since.
    Collect { pool: usize, stamp: u32 },
    /// It is done with that.
    Collected(usize),
    /// A pool's speed wanders.
    Wander(usize),
    /// Agents tell what they saw.
    Report,
    /// What they told at this moment is heard.
    Hear(Duration),
    /// A window ends over which latency is judged, and volumes that wait are looked at.
    Window,
}

/// What is to come.
#[derive(Debug, Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    count: u64,
}

impl Events {
    pub(crate) fn put(&mut self, at: Duration, event: Event) {
        self.count += 1;
        self.heap.push(Reverse((at, self.count, event)));
    }

    /// The next one, if there is one before the end.
    pub(crate) fn next(&mut self, end: Duration) -> Option<(Duration, Event)> {
        let Reverse((at, _, event)) = self.heap.pop()?;
        (at <= end).then_some((at, event))
    }
}
