//! What the server may be asked for at most.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::standalone::error::ApiError;

/// Bounds. The defaults are for 1,000 agents with ten pools each, which are twenty-one watches (the node's pools, and the
/// volumes and tombstones of each), each on a connection of its own.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections, with and without a certificate.
    pub connections: usize,
    /// Connections without one of our certificates: they can ask nothing but whether the server is
    /// well.
    pub strangers: usize,
    /// Requests that are being answered, watches not counted.
    pub requests: usize,
    /// Lists of more than [`Limits::large_list`] items that are being sent. Others wait.
    pub large_lists: usize,
    /// From how many items on a list is a large one.
    pub large_list: usize,
    /// Watches.
    pub watches: usize,
    /// Watches of one identity.
    pub watches_each: usize,
    /// A request's body, in bytes, as a real API server has it.
    pub body: usize,
    /// All bodies that are being worked on, in bytes. An object in memory takes many times the room
    /// of its text in the worst case.
    pub bodies: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a stranger may take for the head of a request, or wait before it.
    pub stranger_head: Duration,
    /// How long a stranger's connection may last.
    pub stranger_life: Duration,
    /// How long a client may take for the head of a request, or wait before it. Longer than clients
    /// keep a connection that they do not use, so that none is closed in their hands.
    pub head: Duration,
    /// How long a body may take.
    pub body_time: Duration,
    /// How long a client may read nothing of an answer.
    pub stall: Duration,
    /// How long a request waits for room.
    pub patience: Duration,
    /// How often a watch is told how far it is.
    pub bookmark: Duration,
    /// How long an event is kept that nobody writes to: an hour, as by a real API server.
    pub event_life: Duration,
    /// How long connections are waited for at the end.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32_768,
            strangers: 128,
            requests: 512,
            large_lists: 4,
            large_list: 10_000,
            watches: 32_768,
            watches_each: 4_096,
            body: 3 * 1024 * 1024,
            bodies: 8 * 1024 * 1024,
            handshake: Duration::from_secs(10),
            stranger_head: Duration::from_secs(10),
            stranger_life: Duration::from_secs(60),
            head: Duration::from_secs(150),
            body_time: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            patience: Duration::from_secs(5),
            bookmark: Duration::from_secs(60),
            event_life: Duration::from_secs(60 * 60),
            farewell: Duration::from_secs(10),
        }
    }
}

/// The counters behind the bounds.
pub(super) struct Gates {
    pub(super) connections: Arc<Semaphore>,
    pub(super) strangers: Arc<Semaphore>,
    pub(super) requests: Arc<Semaphore>,
    pub(super) large_lists: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    patience: Duration,
}

impl Gates {
    pub(super) fn new(limits: &Limits) -> Self {
        let gate = |permits| Arc::new(Semaphore::new(permits));
        Self {
            connections: gate(limits.connections),
            strangers: gate(limits.strangers),
            requests: gate(limits.requests),
            large_lists: gate(limits.large_lists),
            bodies: gate(limits.bodies),
            patience: limits.patience,
        }
    }

    /// A permit for one request, or 429.
    pub(super) fn request(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let permit = Arc::clone(&self.requests).try_acquire_owned();
        permit.map_err(|_| ApiError::too_many_requests())
    }

    /// A permit for a large list, waited for.
    pub(super) async fn large_list(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.wait(&self.large_lists, 1).await
    }

    /// A permit for so many bytes of bodies, waited for.
    pub(super) async fn body(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let bytes = u32::try_from(bytes).map_err(|_| ApiError::too_many_requests())?;
        self.wait(&self.bodies, bytes).await
    }

    async fn wait(
        &self,
        gate: &Arc<Semaphore>,
        permits: u32,
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        let permit = Arc::clone(gate).acquire_many_owned(permits);
        match tokio::time::timeout(self.patience, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(ApiError::too_many_requests()),
        }
    }
}
