//! Updates of volumes' status, as agents write it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::time::sleep_until;

use crate::asking::{Asking, VOLUMES};
use crate::load::name;

/// How many clients write.
const WRITERS: u64 = 64;

/// What came of it.
pub(crate) struct Written {
    pub(crate) acknowledged: usize,
    /// In a second.
    pub(crate) rate: f64,
    /// From each request to its answer.
    pub(crate) delays: Vec<Duration>,
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos()
}

/// Updates volumes chosen at random, so many a second or as many as can be, and waits for every answer. Each update holds
/// the moment it was sent at, for whoever watches.
pub(crate) async fn write(
    asking: &Asking,
    volumes: usize,
    time: Duration,
    rate: Option<f64>,
    run: &'static str,
) -> Written {
    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let delays = Arc::new(Mutex::new(Vec::new()));
    let writers = (0..WRITERS).map(|writer| {
        let (asking, next, delays) = (asking.clone(), Arc::clone(&next), Arc::clone(&delays));
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(writer);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if let Some(rate) = rate {
                    #[expect(clippy::cast_precision_loss, reason = "far from 2^52 updates")]
                    let due = begun + Duration::from_secs_f64(number as f64 / rate);
                    if due >= begun + time {
                        return;
                    }
                    sleep_until(due.into()).await;
                } else if begun.elapsed() >= time {
                    return;
                }
                let sent = Instant::now();
                one(&asking, &name(random.usize(..volumes)), run, number).await;
                delays.lock().unwrap().push(sent.elapsed());
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let delays = std::mem::take(&mut *delays.lock().unwrap());
    #[expect(clippy::cast_precision_loss, reason = "far from 2^52 updates")]
    let rate = delays.len() as f64 / elapsed;
    Written {
        acknowledged: delays.len(),
        rate,
        delays,
    }
}

async fn one(asking: &Asking, name: &str, run: &str, number: u64) {
    let status = json!({"status": {
        "phase": "Ready",
        "nodeName": "storage-1",
        "conditions": [{
            "type": "Ready",
            "status": "True",
            "reason": "Ok",
            "message": format!("{run}{number} sent={};", now()),
            "lastTransitionTime": "2026-11-22T09:00:00Z",
        }],
    }});
    let path = format!("{VOLUMES}/{name}/status");
    asking
        .ask(
            "PATCH",
            &path,
            "application/merge-patch+json",
            status.to_string().into(),
        )
        .await;
}
