//! Who leads: the holder of a Lease.
//!
//! Clocks of two hosts are never compared. A candidate counts, on its own monotonic clock, for how long it saw
//! the lease unchanged; a leader counts from before it sent its renewal ([`Settings::term`]).

mod claim;

use std::time::Instant;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;

pub use claim::{Candidate, Move, announce, claim, give_back, goes_on};

use super::settings::Settings;
use crate::telemetry::Announcement;

/// The namespace of the lease.
pub const NAMESPACE: &str = weir_api::names::CONTROLLER_NAMESPACE;
/// The lease.
pub const NAME: &str = weir_api::names::CONTROLLER_LEASE;

/// How long a leader may act.
#[derive(Clone, Debug)]
pub struct Term(watch::Receiver<Instant>);

impl Term {
    /// Until when, as far as is known now.
    #[must_use]
    pub fn until(&self) -> Instant {
        *self.0.borrow()
    }

    /// Whether something may be done now.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        Instant::now() < self.until()
    }
}

/// One candidate's part in the election.
pub struct Election {
    api: Api<Lease>,
    settings: Settings,
    candidate: Candidate,
    /// What was written last, with the version under which the API has it.
    held: Option<Lease>,
    until: watch::Sender<Instant>,
    announced: watch::Receiver<Announcement>,
}

impl Election {
    /// Takes part. While it holds the lease, that has the annotations that are `announced`.
    #[must_use]
    pub fn new(
        client: Client,
        settings: Settings,
        announced: watch::Receiver<Announcement>,
    ) -> Self {
        Election {
            api: Api::namespaced(client, NAMESPACE),
            candidate: Candidate::new(settings.identity.clone()),
            settings,
            held: None,
            until: watch::Sender::new(Instant::now()),
            announced,
        }
    }

    /// Returns once this one leads, or nothing once it shall stop. An attempt is never given up in the middle: the
    /// API may have taken it already, and a lease that nobody gives back is missed until its end.
    pub async fn acquire(&mut self, stop: &mut watch::Receiver<bool>) -> Option<Term> {
        while !*stop.borrow() {
            let sent = Instant::now();
            match self.attempt().await {
                Ok(Some(held)) => {
                    self.held = Some(held);
                    // A channel of its own: nothing of an earlier term becomes valid again.
                    self.until = watch::Sender::new(sent + self.settings.term());
                    return Some(Term(self.until.subscribe()));
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "cannot look at the controllers' lease"),
            }
            let pause = tokio::time::sleep(self.settings.retry);
            tokio::select! {
                () = pause => {}
                () = super::stopped(stop) => break,
            }
        }
        None
    }

    async fn attempt(&mut self) -> Result<Option<Lease>, kube::Error> {
        let found = self.limited(self.api.get_opt(NAME)).await?;
        let next = self.candidate.look(found.as_ref(), Instant::now());
        if next == Move::Wait {
            return Ok(None);
        }
        let wanted = self.claim(found.as_ref());
        let post = PostParams::default();
        let written = match found {
            None => self.limited(self.api.create(&post, &wanted)).await,
            Some(_) => self.limited(self.api.replace(NAME, &post, &wanted)).await,
        };
        match written {
            Ok(lease) => Ok(Some(lease)),
            // Another one was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Renews the lease; returns when that was not possible in time, or another one has it.
    pub async fn keep(&mut self) {
        loop {
            let next = Instant::now() + self.settings.renew;
            let next = next.min(self.deadline());
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = changed(&mut self.announced) => {}
            }
            while !self.renew().await {
                if Instant::now() >= self.deadline() || self.held.is_none() {
                    self.until.send_replace(Instant::now());
                    return;
                }
                tokio::time::sleep(self.settings.retry).await;
            }
        }
    }

    /// Whether the lease was renewed.
    async fn renew(&mut self) -> bool {
        let Some(held) = self.held.clone() else {
            return false;
        };
        let sent = Instant::now();
        if sent >= self.deadline() {
            return false;
        }
        let wanted = self.claim(Some(&held));
        let post = PostParams::default();
        let renewing = self.api.replace(NAME, &post, &wanted);
        match self.limited(renewing).await {
            Ok(lease) => {
                self.held = Some(lease);
                // An answer that came too late renews nothing: others may have begun to count.
                let is_in_time = Instant::now() < self.deadline();
                if is_in_time {
                    self.until.send_replace(sent + self.settings.term());
                }
                is_in_time
            }
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {
                self.held = self.again(held).await;
                false
            }
            Err(error) => {
                tracing::warn!(%error, "cannot renew the controllers' lease");
                false
            }
        }
    }

    /// What is known of one's own lease after a write of it was refused, if the term goes on with it.
    async fn again(&self, held: Lease) -> Option<Lease> {
        match self.limited(self.api.get_opt(NAME)).await {
            Ok(found) => found.filter(|found| goes_on(&held, found, &self.settings.identity)),
            Err(_) => Some(held),
        }
    }

    /// Gives the lease back, so that another one need not wait for its end.
    pub async fn release(&mut self) {
        self.until.send_replace(Instant::now());
        // Twice: a renewal that was under way may have made it another version of one's own.
        for _ in 0..2 {
            let Some(held) = self.held.take() else { return };
            let given = give_back(&held, MicroTime(Timestamp::now()));
            let post = PostParams::default();
            match self.limited(self.api.replace(NAME, &post, &given)).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    self.held = self.again(held).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot give the controllers' lease back");
                    return;
                }
            }
        }
    }

    fn claim(&self, found: Option<&Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let mut lease = claim(found, &self.settings.identity, self.settings.lease, now);
        announce(&mut lease, &self.announced.borrow());
        lease
    }

    fn deadline(&self) -> Instant {
        *self.until.borrow()
    }

    /// A request that is given up after a while: a connection that is cut says nothing.
    async fn limited<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, kube::Error> {
        let limit = self.settings.write.min(self.settings.term() / 3);
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer,
            Err(late) => Err(kube::Error::Service(Box::new(late))),
        }
    }
}

/// Returns when something else is announced.
async fn changed(announced: &mut watch::Receiver<Announcement>) {
    if announced.changed().await.is_err() {
        // Nobody announces anything any more.
        std::future::pending().await
    }
}
