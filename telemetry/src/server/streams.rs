//! Each node's present stream: a new one ends the one before it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use weir_api::names::NodeName;

/// The present stream of each node.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<Ends>>);

/// By node: the number of its session, and what ends the stream.
type Ends = HashMap<NodeName, (u64, oneshot::Sender<()>)>;

/// One node's present stream, until another begins.
pub(super) struct Present {
    streams: Streams,
    node: NodeName,
    number: u64,
    /// Ends when another one begins.
    pub(super) over: oneshot::Receiver<()>,
}

impl Streams {
    /// This one is the node's present one from now on, unless a later one, by the sessions' numbers, has begun already.
    pub(super) fn begin(&self, node: &NodeName, number: u64) -> Present {
        let (end, over) = oneshot::channel();
        let mut streams = self.lock();
        let is_latest = streams
            .get(node)
            .is_none_or(|(present, _)| *present < number);
        if is_latest {
            streams.insert(node.clone(), (number, end));
        }
        Present {
            streams: self.clone(),
            node: node.clone(),
            number,
            over,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut streams = self.streams.lock();
        let present = streams.get(&self.node);
        if present.is_some_and(|(number, _)| *number == self.number) {
            streams.remove(&self.node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_stream_ends_the_one_before_it() {
        let streams = Streams::default();
        let node = "n".parse().unwrap();
        let mut first = streams.begin(&node, 1);
        let mut other = streams.begin(&"other".parse().unwrap(), 2);
        let mut second = streams.begin(&node, 4);
        // It was welcomed before the second and comes here after it.
        let mut late = streams.begin(&node, 3);
        let is_over = |present: &mut Present| {
            let waits = oneshot::error::TryRecvError::Empty;
            present.over.try_recv() != Err(waits)
        };
        assert!(is_over(&mut first));
        assert!(is_over(&mut late));
        drop((first, late));
        assert!(!is_over(&mut second) && !is_over(&mut other));
        drop((second, other));
        assert!(streams.lock().is_empty());
    }
}
