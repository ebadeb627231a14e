//! Pools and volumes are made, and waited for.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::agents::{node, pool};
use crate::asking::{Asking, VOLUMES};
use crate::say;

/// Pools of each agent.
pub(crate) const PER_AGENT: usize = 10;
/// Volumes for each pool.
pub(crate) const PER_POOL: usize = 10;

const POOLS: &str = "/apis/weir.dev/v1alpha1/storagepools";
/// How many requests are under way at once.
const TOGETHER: usize = 64;
const PAGE: usize = 500;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(1800);
/// How often it is looked for what is waited for.
const AGAIN: Duration = Duration::from_secs(2);
/// How long nothing but Leases may be written until it is called quiet.
const QUIET: Duration = Duration::from_secs(10);

/// Makes every agent's pools, as a person would write them.
pub(crate) async fn create_pools(asking: &Asking, agents: usize) {
    let body = |number: usize| {
        let (agent, of_agent) = (number / PER_AGENT, number % PER_AGENT);
        json!({
            "apiVersion": "weir.dev/v1alpha1",
            "kind": "StoragePool",
            "metadata": {"name": pool(agent, of_agent)},
            "spec": {
                "nodeName": node(agent),
                "engine": {"kernel": {"volumeGroup": "fast", "devices": ["/dev/vdb"]}},
            },
        })
    };
    create(asking, POOLS, 0..agents * PER_AGENT, body).await;
}

/// Makes volumes that are nowhere.
pub(crate) async fn create_volumes(asking: &Asking, volumes: Range<usize>) {
    let body = |number: usize| {
        json!({
            "apiVersion": "weir.dev/v1alpha1",
            "kind": "Volume",
            "metadata": {
                "name": format!("vol-{number:06}"),
                "labels": {"app.kubernetes.io/name": "postgres", "app.kubernetes.io/instance": format!("shop-{number}")},
            },
            "spec": {"id": Uuid::new_v4(), "capacityBytes": 1_u64 << 30},
        })
    };
    create(asking, VOLUMES, volumes, body).await;
}

async fn create(
    asking: &Asking,
    path: &'static str,
    numbers: Range<usize>,
    body: impl Fn(usize) -> Value + Clone + Send + 'static,
) {
    let (next, end) = (Arc::new(AtomicUsize::new(numbers.start)), numbers.end);
    let makers = (0..TOGETHER).map(|_| {
        let (asking, next, body) = (asking.clone(), Arc::clone(&next), body.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return;
                }
                let body = body(number).to_string();
                asking
                    .ask("POST", path, "application/json", body.into())
                    .await;
            }
        })
    });
    for maker in makers.collect::<Vec<_>>() {
        maker.await.unwrap();
    }
}

/// Waits until every pool's agent said that it is Ready.
pub(crate) async fn wait_for_pools(asking: &Asking, count: usize) {
    let is_ready = |pool: &Value| {
        let conditions = pool["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    wait_for(asking, POOLS, count, is_ready).await;
}

/// Waits until every volume is Ready.
pub(crate) async fn wait_for_volumes(asking: &Asking, count: usize) {
    wait_for(asking, VOLUMES, count, |volume| {
        volume["status"]["phase"] == "Ready"
    })
    .await;
}

async fn wait_for(asking: &Asking, path: &str, count: usize, is_so: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    loop {
        let (all, so) = counted(asking, path, &is_so).await;
        assert_eq!(all, count);
        if so == count {
            return;
        }
        say(&format!("  {so} of {count}"));
        assert!(begun.elapsed() < PATIENCE, "only {so} of {count}");
        // A look at all of them costs: it must not be what they are waiting for.
        tokio::time::sleep(AGAIN.max(begun.elapsed() / 8)).await;
    }
}

async fn counted(asking: &Asking, path: &str, is_so: impl Fn(&Value) -> bool) -> (usize, usize) {
    let (mut all, mut so, mut next) = (0, 0, String::new());
    loop {
        let page = asking.get(&format!("{path}?limit={PAGE}{next}")).await;
        let items = page["items"].as_array().unwrap();
        all += items.len();
        so += items.iter().filter(|item| is_so(item)).count();
        match page["metadata"]["continue"].as_str().unwrap_or_default() {
            "" => return (all, so),
            token => next = format!("&continue={token}"),
        }
    }
}

/// Waits until hardly more is written than so many agents' Leases.
pub(crate) async fn wait_for_quiet(asking: &Asking, agents: usize) {
    let begun = Instant::now();
    // A renewal every ten seconds, and some of the controller.
    let most = agents as u64 * QUIET.as_secs() / 10 * 5 / 4 + 20;
    let mut before = revision(asking).await;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = revision(asking).await;
        if now - before <= most {
            return;
        }
        say(&format!(
            "  {} writes in {} s",
            now - before,
            QUIET.as_secs()
        ));
        assert!(begun.elapsed() < PATIENCE, "it never became quiet");
        before = now;
    }
}

/// How much was ever written: each change that was really made has the next number.
pub(crate) async fn revision(asking: &Asking) -> u64 {
    let page = asking.get(&format!("{VOLUMES}?limit=1")).await;
    let version = page["metadata"]["resourceVersion"].as_str().unwrap();
    version.parse().unwrap()
}
