//! What this node measured, told to the controller that leads: the join of the probes with [`weir_telemetry::client`].
//!
//! [`crate::join`] says where the leader is, as the annotations of the controllers' Lease have it, and what it is shown. Streaming has
//! a thread of its own, and reading the maps another: neither waits for the engine, nor it for them.

mod growth;

use std::io;
use std::time::Instant;

use weir_api::names::NodeName;
use weir_telemetry::Reading;
use weir_telemetry::client::{self, Settings, Source};

use crate::join::Leader;
use crate::measure::SharedProbes;
use growth::Growth;

/// Streams for as long as the agent runs.
///
/// # Errors
/// There is no thread for it.
pub fn start(node: NodeName, probes: SharedProbes, mut leader: Leader) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let source = Measured {
        probes,
        growth: Growth::default(),
    };
    let settings = Settings {
        state: leader.stream,
        ..Settings::new(node)
    };
    let stream = async move {
        let known = leader.credentials.wait_for(Option::is_some).await;
        let credentials = known.ok().and_then(|known| known.clone());
        if let Some(credentials) = credentials {
            client::run(settings, credentials, source, leader.place).await;
        }
    };
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
