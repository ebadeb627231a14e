//! Volumes are made, and listed in pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use uuid::Uuid;

use crate::asking::{Asking, VOLUMES};

/// How many requests are under way at once.
const TOGETHER: usize = 64;
/// What kubectl and the kube client take at once.
const PAGE: usize = 500;

/// The name of a volume.
pub(crate) fn name(number: usize) -> String {
    format!("vol-{number:06}")
}

/// Makes volumes, evenly in pools, each as large as an object in use is: placed, attached, with a status.
pub(crate) async fn create(asking: &Asking, volumes: usize, pools: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let makers = (0..TOGETHER).map(|_| {
        let (asking, next) = (asking.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= volumes {
                    return;
                }
                one(&asking, number, pools).await;
            }
        })
    });
    for maker in makers.collect::<Vec<_>>() {
        maker.await.unwrap();
    }
}

async fn one(asking: &Asking, number: usize, pools: usize) {
    let (id, pool) = (Uuid::new_v4(), number % pools);
    let body = json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": "Volume",
        "metadata": {
            "name": name(number),
            "labels": {"app.kubernetes.io/name": "postgres", "app.kubernetes.io/instance": format!("shop-{number}")},
            "finalizers": ["weir.dev/agent"],
        },
        "spec": {
            "id": id,
            "capacityBytes": 21_474_836_480_u64,
            "provisioning": "thin",
            "poolName": format!("pool-{pool}"),
            "placement": {"locality": "PreferLocal", "consumerNode": format!("app-{pool}")},
            "latency": {"readP99": "2ms", "writeP99": "5ms"},
            "attachments": [{"nodeName": format!("app-{pool}"), "generation": 1}],
        },
    });
    asking
        .ask("POST", VOLUMES, "application/json", body.to_string().into())
        .await;
}

/// Lists all, in pages: how many there are, and as of which version.
pub(crate) async fn list(asking: &Asking) -> (usize, String) {
    let mut count = 0;
    let mut next = String::new();
    loop {
        let page = asking.get(&format!("{VOLUMES}?limit={PAGE}{next}")).await;
        count += page["items"].as_array().unwrap().len();
        match page["metadata"]["continue"].as_str().unwrap_or_default() {
            "" => {
                let version = page["metadata"]["resourceVersion"].as_str();
                return (count, version.unwrap().to_owned());
            }
            token => next = format!("&continue={token}"),
        }
    }
}
