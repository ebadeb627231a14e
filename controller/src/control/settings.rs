//! How long the controller waits for what.

use std::sync::Arc;
use std::time::Duration;

use crate::telemetry::Taking;

/// How the controller behaves. Tests shorten the times; nothing else has a reason to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who it is among controllers: another one for every process.
    pub identity: String,
    /// How long others take its lease for valid after they saw it renewed.
    pub lease: Duration,
    /// How often it renews the lease.
    pub renew: Duration,
    /// How often it looks whether it can get the lease, or tries again to renew it.
    pub retry: Duration,
    /// For how long an agent may not be heard: its pools are not Ready then.
    pub silence: Duration,
    /// For how long the agent of a node that is said to be out of service may not be heard: then it is believed.
    pub dead: Duration,
    /// For how long a pool is left out after its agent refused a volume.
    pub rejected: Duration,
    /// How many writes may be under way.
    pub writes: usize,
    /// How long a write may take; what became of it is not known then.
    pub write: Duration,
    /// How often silence is looked for.
    pub tick: Duration,
    /// What takes telemetry while this one leads, if something does.
    pub telemetry: Option<Arc<Taking>>,
    /// How old what is known of a node's latencies may be before it counts as not known.
    pub stale: Duration,
}

impl Settings {
    /// The times that design.md names, for a controller on this host.
    #[must_use]
    pub fn new(host: &str) -> Self {
        Settings {
            identity: format!("{host}-{:08x}", fastrand::u32(..)),
            lease: Duration::from_secs(10),
            renew: Duration::from_secs(3),
            retry: Duration::from_secs(1),
            silence: Duration::from_secs(40),
            dead: Duration::from_secs(15),
            rejected: Duration::from_secs(5 * 60),
            writes: 64,
            write: Duration::from_secs(3),
            tick: Duration::from_secs(1),
            telemetry: None,
            stale: Duration::from_secs(30),
        }
    }

    /// How long it takes at most until another one leads when a leader dies, where the API answers each request
    /// within `answer`. It may die right after a renewal, which the other sees when it looks next; and it looks
    /// again only after the lease ended. Both looks are an answer late at most, and the claim is two requests.
    #[must_use]
    pub fn failover(&self, answer: Duration) -> Duration {
        self.retry + answer + self.lease + self.retry + 3 * answer
    }

    /// For how long after it sent a renewal that succeeded a leader acts. Others count from when they saw the
    /// renewal, which is later, and to the end of the lease, which is longer: the difference is for writes
    /// that are still under way.
    #[must_use]
    pub fn term(&self) -> Duration {
        self.lease * 2 / 3
    }
}
