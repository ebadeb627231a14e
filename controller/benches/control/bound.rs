//! When volumes are bound: each leaves the selection of those without a pool once.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use kube::client::Body;

use crate::asking::{Asking, VOLUMES};

/// How long nothing may be bound before it is given up: a controller first waits for its lease and for silence.
const PATIENCE: Duration = Duration::from_secs(120);
const UNBOUND: &str = "fieldSelector=spec.poolName%3D";

/// A watch of the volumes without a pool.
pub(crate) struct Bound {
    body: Body,
}

/// When they were bound.
pub(crate) struct Binds {
    count: usize,
    first: Instant,
    last: Instant,
}

impl Bound {
    /// From now on.
    pub(crate) async fn begin(asking: &Asking) -> Self {
        let page = asking.get(&format!("{VOLUMES}?limit=1&{UNBOUND}")).await;
        let version = page["metadata"]["resourceVersion"].as_str().unwrap();
        let path = format!("{VOLUMES}?watch=true&resourceVersion={version}&{UNBOUND}");
        let response = asking.begin("GET", &path, "application/json", Vec::new());
        Bound {
            body: response.await.into_body(),
        }
    }

    /// Waits until so many were bound.
    pub(crate) async fn all(mut self, volumes: usize) -> Binds {
        let mut count = 0;
        let mut first = None;
        let mut line = Vec::new();
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.unwrap_or_else(|_| panic!("{count} of {volumes} were bound"));
            let frame = frame.expect("the watch ended").unwrap();
            let now = Instant::now();
            for byte in frame.data_ref().into_iter().flatten() {
                if *byte != b'\n' {
                    line.push(*byte);
                    continue;
                }
                if line.starts_with(br#"{"type":"DELETED""#) {
                    first.get_or_insert(now);
                    count += 1;
                }
                line.clear();
            }
            if count >= volumes {
                return Binds {
                    count,
                    first: first.unwrap(),
                    last: now,
                };
            }
        }
    }
}

impl Binds {
    /// In a second, from the first to the last.
    pub(crate) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far from 2^52 volumes")]
        let count = self.count as f64;
        count / (self.last - self.first).as_secs_f64()
    }
}
