//! What this node measured, told to the controller that leads: the join of the probes with [`weir_telemetry::client`].
//!
//! Whoever knows the API says where the leader is, by a channel of [`Place`]s: it stands in the annotations of the controllers' Lease
//! ([`Place::of_annotations`]). Streaming has a thread of its own, and reading the maps another: neither waits for the engine,
//! nor it for them.

mod growth;

use std::io;
use std::time::Instant;

use tokio::sync::watch;
use weir_api::names::NodeName;
use weir_telemetry::client::{self, Credentials, Settings, Source};
use weir_telemetry::{Place, Reading};

use crate::measure::SharedProbes;
use growth::Growth;

/// Streams until the sender of `leader` is gone.
///
/// # Errors
/// There is no thread for it.
pub fn start(
    node: NodeName,
    credentials: Credentials,
    probes: SharedProbes,
    leader: watch::Receiver<Option<Place>>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let source = Measured {
        probes,
        growth: Growth::default(),
    };
    let stream = client::run(Settings::new(node), credentials, source, leader);
    std::thread::Builder::new()
        .name("telemetry".to_owned())
        .spawn(move || runtime.block_on(stream))
        .map(drop)
}

/// What the probes count.
struct Measured {
    probes: SharedProbes,
    growth: Growth,
}

impl Source for Measured {
    fn read(&mut self) -> Option<Reading> {
        let snapshot = self.probes.read();
        self.growth.since_last(snapshot, Instant::now())
    }
}
