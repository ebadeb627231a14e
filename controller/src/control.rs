//! The controller: it places volumes and tells who is not heard any more.
//!
//! One of several controllers leads ([`election`]). The leader has one task that owns everything it knows
//! ([`leader`]): watches feed it, writes are tasks of their own that report back to it, so that a decision and the
//! hold of its space are one step and no lock is needed. What is decided is in functions of data ([`decide`],
//! [`weir_placement`]); the leader carries it out, one write per object at a time and per round, each with the
//! `resourceVersion` that was looked at. A write that fails is no loss: the object is looked at again.
//!
//! What a leader knows begins with its term: lists that are taken after it got the lease show everything that
//! an earlier leader did. An earlier leader stops before its lease ends for others ([`election`]), and a bind of
//! its that is still under way can't bind a volume a second time, since the volume's `resourceVersion` is part of
//! it.

pub mod decide;
pub mod election;
mod event;
mod leader;
mod ledger;
mod liveness;
mod queue;
mod settings;
#[cfg(test)]
mod tests;
mod watching;
mod write;

use kube::Client;
use thiserror::Error;
use tokio::sync::watch;

use crate::telemetry::Announcement;

pub use settings::Settings;

use election::Election;
use leader::{Ended, Leader};

/// The controller could not be started.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The kubeconfig can't be read.
    #[error("cannot read the kubeconfig")]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    /// No client can be made of it.
    #[error("cannot make a client of the kubeconfig")]
    Client(#[source] Box<kube::Error>),
}

/// A client of the API that a kubeconfig names.
///
/// # Errors
/// The kubeconfig can't be read or used.
pub async fn client(kubeconfig: &std::path::Path) -> Result<Client, ControlError> {
    let config = config(kubeconfig).await?;
    Client::try_from(config).map_err(|error| ControlError::Client(Box::new(error)))
}

/// The authority by which that API is known, as DER; nothing if it is known by the host's.
///
/// # Errors
/// The kubeconfig can't be read or used.
pub async fn authority(kubeconfig: &std::path::Path) -> Result<Vec<Vec<u8>>, ControlError> {
    let config = config(kubeconfig).await?;
    Ok(config.root_cert.unwrap_or_default())
}

async fn config(kubeconfig: &std::path::Path) -> Result<kube::Config, ControlError> {
    let file = kube::config::Kubeconfig::read_from(kubeconfig).map_err(ControlError::Kubeconfig)?;
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options);
    config.await.map_err(ControlError::Kubeconfig)
}

/// Takes part until `stop` becomes true or its sender is gone: waits for the lease, leads, waits again. At the end
/// it finishes the writes that are under way and gives the lease back.
pub async fn run(client: Client, settings: Settings, mut stop: watch::Receiver<bool>) {
    let (announce, announced) = watch::channel(Announcement::new());
    let mut election = Election::new(client.clone(), settings.clone(), announced);
    while let Some(term) = election.acquire(&mut stop).await {
        tracing::info!(identity = %settings.identity, "leading");
        let leader = Leader::new(client.clone(), settings.clone(), term.clone());
        let ended = tokio::select! {
            ended = leader.lead(stop.clone()) => ended,
            () = election.keep() => Ended::Lost,
            // It goes on for as long as this one leads; agents are told where by the lease.
            () = take(&settings, &announce) => Ended::Lost,
        };
        match ended {
            Ended::Lost => tracing::warn!(identity = %settings.identity, "not leading any more"),
            Ended::Stopped => {
                election.release().await;
                return;
            }
        }
    }
}

/// Takes telemetry, if that is wanted, until dropped: then its streams end.
async fn take(settings: &Settings, announce: &watch::Sender<Announcement>) {
    match &settings.telemetry {
        Some(taking) => taking.take(announce).await,
        None => std::future::pending().await,
    }
}

/// Returns when it is time to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error is a sender that is gone: nobody can say it any more.
    drop(stop.wait_for(|stop| *stop).await);
}
