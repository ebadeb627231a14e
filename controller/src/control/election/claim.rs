//! What a candidate does about the lease that it finds, and what it writes.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use weir_telemetry::{ADDRESS, AUTHORITY};

use crate::telemetry::Announcement;

/// What to do about the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Write it as one's own.
    Claim,
    /// Look again later.
    Wait,
}

/// What a candidate saw of the lease.
#[derive(Clone, Debug)]
pub struct Candidate {
    identity: String,
    /// The version that was seen last, and since when.
    seen: Option<(String, Instant)>,
}

impl Candidate {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(identity: String) -> Self {
        Candidate {
            identity,
            seen: None,
        }
    }

    /// Looks at the lease. Another's is over when it was seen unchanged for as long as it says.
    pub fn look(&mut self, found: Option<&Lease>, now: Instant) -> Move {
        let Some(lease) = found else {
            return Move::Claim;
        };
        match holder(lease) {
            None => return Move::Claim,
            Some(holder) if holder == self.identity => return Move::Claim,
            Some(_) => {}
        }
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        match &self.seen {
            Some((seen, since)) if *seen == version => {
                let is_over = now.duration_since(*since) >= duration(lease);
                if is_over { Move::Claim } else { Move::Wait }
            }
            _ => {
                self.seen = Some((version, now));
                Move::Wait
            }
        }
    }
}

/// Who holds a lease; nobody if it was given back.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    let spec = lease.spec.as_ref()?;
    let holder = spec.holder_identity.as_deref();
    holder.filter(|holder| !holder.is_empty())
}

fn duration(lease: &Lease) -> Duration {
    let seconds = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds);
    // Without a length, as somebody may write by hand: the usual one.
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(seconds.unwrap_or(15))
}

/// The lease as its new or its old holder writes it, on top of what was found.
#[must_use]
pub fn claim(found: Option<&Lease>, identity: &str, lease: Duration, now: MicroTime) -> Lease {
    let mut claimed = found.cloned().unwrap_or_default();
    claimed.metadata.name = Some(super::NAME.to_owned());
    let is_new = found.and_then(holder) != Some(identity);
    let spec = claimed.spec.get_or_insert_default();
    if is_new {
        spec.acquire_time = Some(now.clone());
        spec.lease_transitions = Some(match found {
            Some(_) => spec.lease_transitions.unwrap_or(0).saturating_add(1),
            None => 0,
        });
    }
    spec.holder_identity = Some(identity.to_owned());
    spec.renew_time = Some(now);
    let seconds = lease.as_millis().div_ceil(1000).max(1);
    spec.lease_duration_seconds = i32::try_from(seconds).ok();
    claimed
}

/// The lease as it is when nobody holds it.
#[must_use]
pub fn give_back(held: &Lease, now: MicroTime) -> Lease {
    let spec = held.spec.clone().unwrap_or_default();
    let mut given = Lease {
        spec: Some(LeaseSpec {
            holder_identity: Some(String::new()),
            renew_time: Some(now),
            ..spec
        }),
        ..held.clone()
    };
    announce(&mut given, &Announcement::new());
    given
}

/// What a lease says of where telemetry is taken becomes this; what an earlier holder said of it is gone.
pub fn announce(lease: &mut Lease, announced: &Announcement) {
    let annotations = lease.metadata.annotations.get_or_insert_default();
    for name in [ADDRESS, AUTHORITY] {
        annotations.remove(name);
    }
    annotations.extend(announced.clone());
    if annotations.is_empty() {
        lease.metadata.annotations = None;
    }
}

/// Whether a term goes on with the lease that is found after a renewal failed, of which `held` is known: a renewal whose
/// answer was lost left a newer version of one's own. An older one is of a store that went back to an earlier state: what
/// this term knows is not what that holds, and its watches would go on as if it were.
#[must_use]
pub fn goes_on(held: &Lease, found: &Lease, identity: &str) -> bool {
    let version = |lease: &Lease| {
        lease
            .metadata
            .resource_version
            .as_deref()?
            .parse::<u64>()
            .ok()
    };
    let went_back = version(found).zip(version(held));
    let went_back = went_back.is_some_and(|(found, held)| found < held);
    let is_same = found.metadata.uid == held.metadata.uid;
    holder(found) == Some(identity) && is_same && !went_back
}
