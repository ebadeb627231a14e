//! Clients that watch the volumes of one pool each, as agents do.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use kube::client::Body;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::asking::{Asking, VOLUMES};
use crate::updates::now;

/// How long the last updates may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// All of them.
pub(crate) struct Readers {
    tasks: Vec<JoinHandle<()>>,
    delays: Arc<Mutex<Vec<Duration>>>,
}

impl Readers {
    /// One for each pool, all of them connected when this returns.
    pub(crate) async fn begin(asking: &Asking, pools: usize, version: &str) -> Self {
        let delays = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for pool in 0..pools {
            let selector = format!("fieldSelector=spec.poolName%3Dpool-{pool}");
            let path = format!("{VOLUMES}?watch=true&resourceVersion={version}&{selector}");
            let response = asking
                .begin("GET", &path, "application/json", Vec::new())
                .await;
            tasks.push(tokio::spawn(read(
                response.into_body(),
                Arc::clone(&delays),
            )));
        }
        Self { tasks, delays }
    }

    /// From each update's sending to its arrival, once all of so many have arrived: each at exactly one of them.
    pub(crate) async fn take(&self, updates: usize) -> Vec<Duration> {
        let begun = Instant::now();
        loop {
            let arrived = self.delays.lock().unwrap().len();
            assert!(arrived <= updates, "{arrived} of {updates} updates arrived");
            assert!(
                begun.elapsed() < PATIENCE,
                "{arrived} of {updates} updates arrived"
            );
            if arrived == updates {
                return std::mem::take(&mut *self.delays.lock().unwrap());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn end(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Notes the delay of each event: when it was sent stands in it.
async fn read(mut body: Body, delays: Arc<Mutex<Vec<Duration>>>) {
    let mut rest = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else {
            continue;
        };
        rest.extend_from_slice(data);
        let arrived = now();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if let Some(sent) = sent(&String::from_utf8_lossy(&line)) {
                let nanos = u64::try_from(arrived.saturating_sub(sent)).unwrap();
                delays.lock().unwrap().push(Duration::from_nanos(nanos));
            }
        }
    }
}

fn sent(line: &str) -> Option<u128> {
    let (_, after) = line.split_once("sent=")?;
    after.split_once(';')?.0.parse().ok()
}
