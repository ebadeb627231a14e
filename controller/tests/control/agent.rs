//! An agent that is played: it has one pool, and keeps account of what is in it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::task::JoinSet;
use weir_api::condition::{self, READY, Truth};
use weir_api::crd::{StoragePool, Volume};
use weir_api::names::LEASE_NAMESPACE;
use weir_api::volume::Phase;

use super::cluster::Cluster;

const RENEW: Duration = Duration::from_millis(200);

/// How an agent behaves.
#[derive(Default)]
pub(crate) struct Manner {
    /// It refuses every volume.
    pub(crate) refuses: AtomicBool,
    /// Volumes that did not fit: the controller put too much into the pool.
    pub(crate) overcommitted: AtomicUsize,
    used: Mutex<BTreeMap<String, u64>>,
}

pub(crate) struct Agent {
    client: Client,
    node: String,
    pool: String,
    capacity: u64,
    pub(crate) manner: Arc<Manner>,
    tasks: JoinSet<()>,
}

impl Agent {
    /// An agent on `node-<pool>` with a pool of so many bytes, which is created if it is not there.
    pub(crate) async fn start(cluster: &Cluster, pool: &str, capacity: u64) -> Self {
        let node = format!("node-{pool}");
        if cluster.pools().get_opt(pool).await.unwrap().is_none() {
            cluster.create_pool(pool, &node, json!({})).await;
        }
        let mut agent = Agent {
            client: cluster.client_of(&node).await,
            pool: pool.to_owned(),
            node,
            capacity,
            manner: Arc::default(),
            tasks: JoinSet::new(),
        };
        agent.go_on().await;
        agent
    }

    /// As if it was killed.
    pub(crate) async fn fall_silent(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Starts, or starts again.
    pub(crate) async fn go_on(&mut self) {
        renew(&self.client, &self.node).await;
        let (client, node) = (self.client.clone(), self.node.clone());
        self.tasks.spawn(async move {
            let mut every = tokio::time::interval(RENEW);
            loop {
                every.tick().await;
                renew(&client, &node).await;
            }
        });
        self.tasks.spawn(self.part().watch_pool());
        self.tasks.spawn(self.part().watch_volumes());
    }

    fn part(&self) -> Part {
        Part {
            pools: Api::all(self.client.clone()),
            volumes: Api::all(self.client.clone()),
            pool: self.pool.clone(),
            node: self.node.clone(),
            capacity: self.capacity,
            manner: Arc::clone(&self.manner),
        }
    }
}

async fn renew(client: &Client, node: &str) {
    let api: Api<Lease> = Api::namespaced(client.clone(), LEASE_NAMESPACE);
    let name = node;
    let mut lease = api.get_opt(name).await.unwrap().unwrap_or_default();
    lease.metadata.name = Some(name.to_owned());
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(node.to_owned());
    spec.renew_time = Some(MicroTime(Timestamp::now()));
    let post = PostParams::default();
    // Whatever comes of it, the next one is near.
    if lease.metadata.resource_version.is_some() {
        drop(api.replace(name, &post, &lease).await);
    } else {
        drop(api.create(&post, &lease).await);
    }
}

struct Part {
    pools: Api<StoragePool>,
    volumes: Api<Volume>,
    pool: String,
    node: String,
    capacity: u64,
    manner: Arc<Manner>,
}

impl Part {
    /// Says that the pool is Ready whenever it does not say so.
    async fn watch_pool(self) {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.pool));
        let mut events = pin!(watcher(self.pools.clone(), config).default_backoff());
        while let Some(event) = events.next().await {
            if let Ok(watcher::Event::Apply(pool) | watcher::Event::InitApply(pool)) = event {
                let status = pool.status.unwrap_or_default();
                let ready = condition::get(&status.conditions, READY);
                if ready.is_none_or(|ready| ready.status != Truth::True) {
                    self.tell_pool().await;
                }
            }
        }
    }

    async fn tell_pool(&self) {
        let used: u64 = self.manner.used.lock().unwrap().values().sum();
        let body = json!({"status": {
            "capacityBytes": self.capacity,
            "freeBytes": self.capacity.saturating_sub(used),
            "orphans": 0,
            "conditions": [{"type": "Ready", "status": "True", "reason": "AsAsked", "message": ""}],
        }});
        let (how, patch) = (PatchParams::default(), Patch::Merge(&body));
        self.pools
            .patch_status(&self.pool, &how, &patch)
            .await
            .unwrap();
    }

    async fn watch_volumes(self) {
        let config = watcher::Config::default().fields(&format!("spec.poolName={}", self.pool));
        let mut events = pin!(watcher(self.volumes.clone(), config).default_backoff());
        while let Some(event) = events.next().await {
            if let Ok(watcher::Event::Apply(volume) | watcher::Event::InitApply(volume)) = event {
                self.serve(volume).await;
            }
        }
    }

    /// Does what a volume asks for; what is in the way is tried again with the object as it is then.
    async fn serve(&self, mut volume: Volume) {
        let name = volume.name_any();
        while let Some(status) = self.decide(&volume) {
            let version = volume.metadata.resource_version.clone();
            let body = json!({"metadata": {"resourceVersion": version}, "status": status});
            let (how, patch) = (PatchParams::default(), Patch::Merge(&body));
            match self.volumes.patch_status(&name, &how, &patch).await {
                Ok(_) => {
                    self.tell_pool().await;
                    return;
                }
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                // Gone, or no longer in this pool.
                Err(_) => return,
            }
            match self.volumes.get_opt(&name).await.unwrap() {
                Some(now) => volume = now,
                None => return,
            }
        }
    }

    fn decide(&self, volume: &Volume) -> Option<serde_json::Value> {
        let (name, size) = (volume.name_any(), volume.spec.capacity_bytes.0);
        let status = volume.status.clone().unwrap_or_default();
        let is_ours = volume
            .spec
            .pool_name
            .as_ref()
            .is_some_and(|pool| pool.as_str() == self.pool);
        let is_rejected = condition::get(&status.conditions, "Rejected")
            .is_some_and(|there| there.status == Truth::True);
        if !is_ours || is_rejected {
            return None;
        }
        let mut used = self.manner.used.lock().unwrap();
        if volume.metadata.deletion_timestamp.is_some() {
            used.remove(&name);
            let is_told = status.phase == Phase::Deleted;
            return (!is_told).then(|| json!({"phase": "Deleted"}));
        }
        if status.phase == Phase::Ready {
            return None;
        }
        let others: u64 = used
            .iter()
            .filter(|(other, _)| **other != name)
            .map(|(_, size)| size)
            .sum();
        let is_too_much = others + size > self.capacity;
        if is_too_much {
            self.manner.overcommitted.fetch_add(1, Ordering::Relaxed);
        }
        if is_too_much || self.manner.refuses.load(Ordering::Relaxed) {
            let mut conditions = status.conditions;
            let message = format!("pool `{}` has no room", self.pool);
            let new = condition::Condition::new("Rejected", Truth::True, "NoSpace", message);
            condition::set(
                &mut conditions,
                new,
                &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::now()),
            );
            return Some(json!({"conditions": conditions}));
        }
        used.insert(name, size);
        Some(json!({"phase": "Ready", "capacityBytes": size, "nodeName": self.node}))
    }
}
