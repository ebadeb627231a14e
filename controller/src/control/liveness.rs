//! Which agents are heard: by their Leases, and by the controller's own clock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// When each agent was heard last.
#[derive(Debug)]
pub(super) struct Liveness {
    /// What its Lease said, and when this controller first saw it say so. What it says is not understood: a time
    /// of another host's clock means nothing here.
    heard: HashMap<String, (String, Instant)>,
    /// An agent that was never heard is silent since then.
    since: Instant,
}

impl Liveness {
    pub(super) fn new(now: Instant) -> Self {
        Liveness {
            heard: HashMap::new(),
            since: now,
        }
    }

    /// A node's Lease was seen.
    pub(super) fn hear(&mut self, node: &str, renewal: &str, now: Instant) {
        match self.heard.get_mut(node) {
            Some((known, _)) if known == renewal => {}
            Some(known) => *known = (renewal.to_owned(), now),
            None => {
                self.heard
                    .insert(node.to_owned(), (renewal.to_owned(), now));
            }
        }
    }

    /// A node's agent gave another sign of life.
    pub(super) fn is_alive(&mut self, node: &str, now: Instant) {
        let known = self.heard.entry(node.to_owned());
        known.or_insert_with(|| (String::new(), now)).1 = now;
    }

    /// For how long a node's agent has not been heard.
    pub(super) fn silence(&self, node: &str, now: Instant) -> Duration {
        let last = self.heard.get(node).map_or(self.since, |(_, at)| *at);
        now.saturating_duration_since(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: `hear` taking every sight of a Lease for a renewal.
    #[test]
    fn only_a_renewal_that_was_not_seen_before_is_a_sign_of_life() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut liveness = Liveness::new(begin);
        assert_eq!(liveness.silence("n", at(7)), Duration::from_secs(7));
        liveness.hear("n", "1", at(10));
        liveness.hear("n", "1", at(20));
        assert_eq!(liveness.silence("n", at(30)), Duration::from_secs(20));
        liveness.hear("n", "0", at(30));
        assert_eq!(liveness.silence("n", at(30)), Duration::ZERO);
    }
}
