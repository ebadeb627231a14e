//! What is to be looked at, each thing once, later after failures.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Keys that are due, and keys that will be.
#[derive(Debug)]
pub(super) struct Queue<K> {
    due: VecDeque<K>,
    is_due: HashSet<K>,
    /// By time; the number tells keys of one instant apart.
    later: BTreeMap<(Instant, u64), K>,
    times: HashMap<K, (Instant, u64)>,
    failures: HashMap<K, u32>,
    number: u64,
}

impl<K: Clone + Eq + Hash> Queue<K> {
    pub(super) fn new() -> Self {
        Queue {
            due: VecDeque::new(),
            is_due: HashSet::new(),
            later: BTreeMap::new(),
            times: HashMap::new(),
            failures: HashMap::new(),
            number: 0,
        }
    }

    /// To be looked at now.
    pub(super) fn push(&mut self, key: K) {
        if self.is_due.insert(key.clone()) {
            self.due.push_back(key);
        }
    }

    /// To be looked at then, unless it is sooner.
    pub(super) fn push_at(&mut self, key: K, at: Instant) {
        if let Some(known) = self.times.get(&key) {
            if known.0 <= at {
                return;
            }
            self.later.remove(known);
        }
        self.number += 1;
        self.times.insert(key.clone(), (at, self.number));
        self.later.insert((at, self.number), key);
    }

    /// To be looked at again after a failure.
    pub(super) fn failed(&mut self, key: K, now: Instant) {
        let failures = self.failures.entry(key.clone()).or_insert(0);
        let wait = FIRST_WAIT.saturating_mul(1 << (*failures).min(16));
        *failures = failures.saturating_add(1);
        self.push_at(key, now + wait.min(LONGEST_WAIT));
    }

    /// Its failures are forgotten.
    pub(super) fn succeeded(&mut self, key: &K) {
        self.failures.remove(key);
    }

    /// What is to be looked at now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<K> {
        while let Some(first) = self.later.first_entry() {
            if first.key().0 > now {
                break;
            }
            let key = first.remove();
            self.times.remove(&key);
            self.push(key);
        }
        let key = self.due.pop_front()?;
        self.is_due.remove(&key);
        Some(key)
    }

    /// When something is due that is not yet.
    pub(super) fn next(&self) -> Option<Instant> {
        self.later.keys().next().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_looked_at_once_and_later_after_failures() {
        let mut queue = Queue::new();
        let now = Instant::now();
        queue.push("a");
        queue.push("a");
        queue.push("b");
        assert_eq!(queue.pop(now), Some("a"));
        queue.failed("a", now);
        assert_eq!(queue.pop(now), Some("b"));
        assert_eq!(queue.pop(now), None);
        assert_eq!(queue.next(), Some(now + FIRST_WAIT));
        assert_eq!(queue.pop(now + FIRST_WAIT), Some("a"));
        queue.failed("a", now);
        assert_eq!(queue.next(), Some(now + 2 * FIRST_WAIT));
        queue.push_at("a", now + FIRST_WAIT);
        assert_eq!(queue.pop(now + FIRST_WAIT), Some("a"));
        assert_eq!(queue.next(), None);
        queue.succeeded(&"a");
        for _ in 0..40 {
            queue.failed("a", now);
            queue.pop(now + LONGEST_WAIT).unwrap();
        }
        queue.failed("a", now);
        assert_eq!(queue.next(), Some(now + LONGEST_WAIT));
    }
}
